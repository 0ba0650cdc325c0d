//! A command line that makes no sense never reads as an answer.

use crate::program::{World, writ};

#[test]
fn misuse_is_exit_2_and_says_what_is_wrong() {
    let world = World::new(&["org1"]);
    let key = world.text("org1.key");
    let before = world.node.log_size();
    for (arguments, want) in [
        (&["no-such-command"][..], "no-such-command"),
        (&["check", "--sub", "a"], "--obj"),
        (&["check", "--sub", "a", "--obj", "b", "--acct", "c"], "--acct"),
        (&["check", "--sub", "*", "--obj", "b"], "`sub`"),
        (&["check", "--sub", "a", "--obj", "file:*"], "`obj`"),
        (&["check", "--sub", "a", "--obj", "b", "--act", "*"], "`act`"),
        (&["check", "--sub", "a", "--obj", ""], "`obj`"),
        (&["check", "--sub", "a", "--obj", "b", "--at", "noon"], "--at: `noon` is no time"),
        (&["check", "--sub", "a", "--obj", "b", "--at", "now", "--as-of", "now"], "cannot be used with"),
        (&["check", "--sub", "a", "--obj", "b", "--height", "many"], "--height"),
        (&["check", "--sub", "a", "--obj", "b", "--context", "x"], "NAME=VALUE"),
        (&["check", "--sub", "a", "--obj", "b", "--node", "ftp://x"], "is not the address of a node"),
        (&["who-can"], "--obj"),
        (&["who-can", "--obj", "file:*"], "`obj`"),
        (&["who-can", "--obj", "b", "--act", "*"], "`act`"),
        (&["who-can", "--obj", "b", "--at", "noon"], "--at: `noon` is no time"),
        (&["who-can", "--obj", "b", "--height", "1", "--as-of", "now"], "cannot be used with"),
        (&["what-can"], "--sub"),
        (&["what-can", "--sub", "user:*"], "`sub`"),
        (&["what-can", "--sub", "a", "--type", "file:x"], "--type: "),
        (&["what-can", "--sub", "a", "--type", ""], "--type: "),
        (&["expiring"], "--within"),
        (&["expiring", "--within", "14"], "--within: `14` is no length of time"),
        (&["expiring", "--within", "14d", "--until", "tomorrow"], "cannot be used with"),
        (&["expiring", "--until", "someday"], "--until: `someday` is no time"),
        (&["grant", "--sub", "a", "--obj", "b"], "no key to sign with"),
        (&["grant", "--sub", "a", "--obj", "b*", "--key", &key], "--obj: "),
        (&["grant", "--sub", "a", "--obj", "b", "--act", "member", "--key", &key], "--obj: "),
        (&["grant", "--sub", "a", "--obj", "b", "--until", "never", "--key", &key], "--until: `never` is no time"),
        (&["grant", "--sub", "a", "--obj", "b", "--for", "8", "--key", &key], "--for: `8` is no length of time"),
        (&["grant", "--sub", "a", "--obj", "b", "--for", "8h", "--until", "now", "--key", &key], "cannot be used with"),
        (&["grant", "--sub", "a", "--obj", "b", "--from", "today", "--until", "today", "--key", &key], "--until: "),
        (&["grant", "--sub", "a", "--obj", "b", "--ref", "", "--key", &key], "--ref: "),
        (&["grant", "--sub", "a", "--obj", "b", "--authority", "no good", "--key", &key], "--authority"),
        (&["revoke", "--key", &key], "<ID>"),
        (&["revoke", "xyz", "--key", &key], "is no id of a record"),
        (&["entry", "ABCDEF0123"], "is no id of a record"),
        (&["log", "--limit", "many"], "--limit"),
        (&["import"], "<FILE>"),
        (&["key", "new"], "--out"),
    ] {
        let said = world.ask(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with("error: ") && said.err.contains(want), "{arguments:?}: {}", said.err);

        let said = world.ask(&[arguments, &["--json"]].concat());
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {}", said.err);
        let problem = said.problem();
        assert!(
            problem["code"].is_string() && problem["detail"].is_string() && problem.get("field").is_some(),
            "{problem}"
        );
    }
    assert_eq!(world.node.log_size(), before, "nothing was sent");
}

#[test]
fn help_and_version_are_no_misuse() {
    for arguments in [&["--help"][..], &["check", "--help"], &["--version"], &["--help", "--json"]] {
        let said = writ(arguments).expect(0);
        assert!(!said.out.is_empty() && said.err.is_empty(), "{said:?}");
    }
    assert!(writ(&[]).expect(2).err.contains("Usage"));
}

#[test]
fn what_cannot_be_read_or_written_is_a_failure() {
    let world = World::new(&["org1"]);
    let missing = world.text("missing");
    for (arguments, want) in [
        (&["key", "show", &missing][..], "cannot read `"),
        (&["import", &missing, "--key", &world.text("org1.key")], "cannot read `"),
        (&["grant", "--sub", "a", "--obj", "b", "--key", &missing], "cannot read `"),
        (&["audit", "--file", &missing], "cannot read `"),
        (&["audit", "--genesis", &missing], "cannot read `"),
        (&["export", "--out", &world.text("no/such/folder")], "cannot write `"),
    ] {
        let said = world.ask(arguments).expect(1);
        assert!(said.err.contains("error: ") && said.err.contains(want), "{arguments:?}: {}", said.err);
        assert!(said.out.is_empty(), "{}", said.out);
    }
}
