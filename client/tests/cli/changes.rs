//! `writ history`, `writ diff`, and `--dry-run`.

use serde_json::{Value, json};

use crate::program::{Said, World, exists};

/// The lines of standard output, each with single spaces, ids and times left out.
fn lines(said: &Said) -> Vec<String> {
    let word = |word: &&str| !word.starts_with("20") && !word.starts_with('[');
    let line = |line: &str| line.split_whitespace().filter(word).collect::<Vec<_>>().join(" ");
    said.out.lines().map(line).collect()
}

#[test]
fn a_history_is_a_readable_timeline() {
    let world = World::new(&["org1", "org2"]);
    let grant = world.id("org1", &["grant", "--sub", "alice", "--obj", "role:staff", "--act", "member"]);
    world.sign("org2", &["grant", "--sub", "role:staff", "--obj", "file:*", "--act", "read", "--ref", "T-1"]).expect(0);
    world.sign("org2", &["deny", "--sub", "user:*", "--obj", "file:x", "--act", "write"]).expect(0);
    world.sign("org1", &["revoke", &grant]).expect(0);
    let said = world.ask(&["history", "--sub", "alice", "--obj", "file:x"]).expect(0);
    let ago = |line: &String| line.replace("(just now) ", "").replace("(1 s ago) ", "").replace("(2 s ago) ", "");
    let told: Vec<String> = lines(&said).iter().map(ago).collect();
    assert_eq!(
        told,
        [
            "when height event what",
            "1 added org1 makes alice a member of role:staff",
            "2 added org2 grants role:staff `read` on file:*, ref T-1",
            "answer alice may do `read` on file:x",
            "3 added org2 denies user:* `write` on file:x",
            "4 revoked by org1 org1 makes alice a member of role:staff",
            "answer alice may do nothing on file:x",
        ],
        "{}",
        said.out
    );
    assert!(said.err.is_empty() && said.out.contains(&grant[..12]), "{said:?}");

    let said = world.ask(&["history", "--sub", "alice", "--obj", "file:x", "--json"]).expect(0);
    let events: Vec<Value> = said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["added", "added", "answer", "added", "revoked", "answer"]);
    assert_eq!(events[4]["entry"]["id"], grant);
    assert_eq!(events[4]["by"]["issuingAuth"], "org1");
    assert_eq!(events[2]["rights"], json!([{"act": "read", "except": []}]));

    let said = world.ask(&["history", "--sub", "bob", "--obj", "thing"]).expect(0);
    assert!(said.out.is_empty() && said.err.contains("no entry ever bore on bob and thing"), "{said:?}");
    world.ask(&["history", "--sub", "user:*", "--obj", "thing"]).expect(2);
}

#[test]
fn a_difference_tells_who_gained_and_lost_what() {
    let world = World::new(&["org1"]);
    let first = world.id("org1", &["grant", "--sub", "alice", "--obj", "file:x"]);
    world.sign("org1", &["grant", "--sub", "bob", "--obj", "file:y", "--act", "read"]).expect(0);
    world.sign("org1", &["deny", "--sub", "alice", "--obj", "file:x", "--act", "delete"]).expect(0);
    world.sign("org1", &["revoke", &first]).expect(0);
    let said = world.ask(&["diff", "--from", "0", "--to", "3"]).expect(0);
    assert_eq!(
        lines(&said),
        ["change sub obj action", "gained alice file:x every action but `delete`", "gained bob file:y `read`",]
    );
    assert!(said.err.starts_with("between: height 0, ") && said.err.contains(" and height 3, "), "{}", said.err);
    let said = world.ask(&["diff", "--from", "3"]).expect(0);
    assert_eq!(lines(&said)[1..], ["lost alice file:x every action but `delete`"]);
    let said = world.ask(&["diff", "--from", "2", "--to", "2"]).expect(0);
    assert!(said.out.is_empty() && said.err.contains("nobody gained or lost anything"), "{said:?}");

    let told = world.ask(&["diff", "--from", "0", "--to", "3", "--json"]).expect(0).json();
    assert_eq!(told["changes"].as_array().unwrap().len(), 2, "all pages: {told}");
    assert_eq!(told["changes"][0]["gained"], json!([{"act": "*", "except": ["delete"]}]));
    assert_eq!((told["from"]["height"].as_u64(), told["to"]["height"].as_u64()), (Some(0), Some(3)));
    let told = world.ask(&["diff", "--from", "-30s", "--to", "now", "--json"]).expect(0).json();
    assert_eq!(told["changes"][0]["sub"], "bob");
    assert_eq!((told["from"]["height"].as_u64(), told["to"]["height"].as_u64()), (Some(0), Some(4)));
    let problem = world.ask(&["diff", "--from", "0", "--to", "9", "--json"]).expect(1).problem();
    assert_eq!((problem["code"].as_str(), problem["field"].as_str()), (Some("not_yet"), Some("to")));
    world.ask(&["diff", "--from", "whenever"]).expect(2);
}

#[test]
fn a_dry_run_tells_what_would_change_and_changes_nothing() {
    let world = World::new(&["org1", "org2"]);
    let grant = world.id("org1", &["grant", "--sub", "alice", "--obj", "file:x"]);
    let denial = world.id("org2", &["deny", "--sub", "carol", "--obj", "file:*"]);
    let size = world.node.log_size();
    let dry = |by: &str, arguments: &[&str]| {
        let said = world.sign(by, &[arguments, &["--dry-run"]].concat()).expect(0);
        assert_eq!(world.node.log_size(), size, "nothing is sent");
        assert!(said.err.contains("dry run: ") && said.err.contains("nothing is signed or sent"), "{}", said.err);
        said
    };
    let said = dry("org1", &["grant", "--sub", "bob", "--obj", "file:x", "--act", "read"]);
    assert_eq!(lines(&said), ["change sub obj action", "gains bob file:x `read`"]);
    let said = dry("org1", &["deny", "--sub", "user:*", "--obj", "file:x", "--act", "delete"]);
    assert_eq!(lines(&said)[1..], ["loses alice file:x `delete`"]);
    let said = dry("org1", &["revoke", &grant]);
    assert_eq!(lines(&said)[1..], ["loses alice file:x every action"]);

    let nothing = |said: &Said, why: &str| {
        assert!(said.out.is_empty() && said.err.contains("nobody would gain or lose anything"), "{said:?}");
        assert!(said.err.contains(why), "{}", said.err);
    };
    nothing(&dry("org2", &["grant", "--sub", "alice", "--obj", "file:x"]), "what it says holds without it");
    nothing(&dry("org1", &["grant", "--sub", "carol", "--obj", "file:y"]), "while a denial stands: ");
    let said = dry("org1", &["grant", "--sub", "carol", "--obj", "file:y"]);
    assert!(said.err.contains(&denial[..12]), "{}", said.err);
    let said = dry("org1", &["grant", "--sub", "bob", "--obj", "file:y", "--until", "2020-01-01"]);
    nothing(&said, "warning: this entry ended 2020-01-01T00:00:00Z");
    let said = dry("org1", &["revoke", &"ab".repeat(32), "--effect", "granted"]);
    assert!(said.out.is_empty() && said.err.contains("it would wait for it"), "{said:?}");

    let said = dry("org2", &["revoke", &grant]);
    let told = lines(&said);
    assert_eq!(told[0], "refused field why");
    assert!(told[1].starts_with("forbidden target the target is an entry of another authority"), "{told:?}");

    let json = world.sign("org2", &["revoke", &grant, "--dry-run", "--json"]).expect(0).json();
    assert_eq!(
        (json["refused"][0]["code"].as_str(), json["changes"].as_array().unwrap().len()),
        (Some("forbidden"), 0)
    );
    let json = world.sign("org1", &["revoke", &grant, "--dry-run", "--json"]).expect(0).json();
    assert_eq!(json["changes"][0]["lost"], json!([{"act": "*", "except": []}]));
    world.sign("org1", &["revoke", &grant, "--dry-run", "--no-wait"]).expect(2);
}

#[test]
fn the_dry_run_of_an_import_tells_what_the_import_does() {
    let world = World::new(&["org1", "org2"]);
    world.sign("org1", &["grant", "--sub", "old", "--obj", "x"]).expect(0);
    world.sign("org2", &["grant", "--sub", "other", "--obj", "x"]).expect(0);
    world.sign("org2", &["deny", "--sub", "barred", "--obj", "x"]).expect(0);
    let rows = "sub,obj,act,access\na,x,,\na,x,,revoked\nb,x,read,\nold,x,,revoked\nother,x,,revoked\nbad*,x,,\n\
                barred,x,,\nc,x,read,granted\n";
    let file = world.write("rows.csv", rows);
    let journal = world.path("rows.csv.writ-journal");
    let size = world.node.log_size();
    let dry = || world.sign("org1", &["import", &file, "--dry-run", "--json"]).expect(0).json();
    let said = world.sign("org1", &["import", &file, "--dry-run"]).expect(0);
    assert!(said.out.contains("appended           4\n") && said.out.contains("refused            1\n"), "{}", said.out);
    assert!(said.out.contains("gains   b    x    `read`\n"), "{}", said.out);
    assert!(said.err.contains("note: line 8: it changes nothing while a denial stands: "), "{}", said.err);
    let told = dry();
    assert!(!exists(&journal) && world.node.log_size() == size, "nothing is written or sent");
    let changes: Vec<(&str, bool)> = told["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["sub"].as_str().unwrap(), change["lost"] == json!([])))
        .collect();
    assert_eq!(changes, [("old", false), ("b", true), ("c", true)]);

    // The real thing does just that, and afterwards there is nothing left to do.
    let done = world.sign("org1", &["import", &file, "--json"]).expect(1).json();
    for count in
        ["rows", "appended", "duplicate", "revoked", "entries_revoked", "nothing_to_revoke", "refused", "refusals"]
    {
        assert_eq!(told[count], done[count], "{count}: {told} {done}");
    }
    let diff = world.ask(&["diff", "--from", "3", "--json"]).expect(0).json();
    assert_eq!(told["changes"], diff["changes"]);
    let (before, again) = (std::fs::read(&journal).unwrap(), dry());
    assert_eq!(std::fs::read(&journal).unwrap(), before, "the journal is only read");
    let real = world.sign("org1", &["import", &file, "--json"]).expect(1).json();
    for count in ["appended", "duplicate", "revoked", "entries_revoked", "nothing_to_revoke", "refused"] {
        assert_eq!(again[count], real[count], "{count}: {again} {real}");
    }
    assert_eq!(again["changes"], json!([]));

    // Without its journal the rows are known all the same, by their ids.
    let lost =
        world.sign("org1", &["import", &file, "--dry-run", "--json", "--journal", &world.text("other")]).expect(0);
    assert_eq!((lost.json()["appended"].as_u64(), lost.json()["changes"].clone()), (Some(0), json!([])));
    assert!(!exists(&world.path("other")));
}

#[test]
fn the_dry_run_of_a_whole_import_tells_what_the_import_does() {
    let world = World::new(&["org1", "org2"]);
    world.sign("org1", &["grant", "--sub", "old", "--obj", "x"]).expect(0);
    let file = world.write("rows.csv", "sub,obj,act,access\na,x,,\nold,x,,revoked\nb,x,read,\nnobody,x,,revoked\n");
    let size = world.node.log_size().to_string();
    let import = ["import", &file, "--atomic", "--unchanged-since", &size, "--json"];
    let dry = |journal: &str| {
        let more = ["--dry-run", "--journal", journal];
        world.sign("org1", &[&import[..], &more].concat()).expect(0).json()
    };
    let journal = world.text("rows.csv.writ-journal");
    let counts = ["rows", "appended", "duplicate", "revoked", "entries_revoked", "nothing_to_revoke", "refused"];
    for (run, appended) in [("first", 2), ("again", 0)] {
        let told = dry(&journal);
        let done = world.sign("org1", &import).expect(0).json();
        assert_eq!(told["appended"], appended, "{run}: {told}");
        for count in counts {
            assert_eq!(told[count], done[count], "{run}, {count}: {told} {done}");
        }
    }
    assert_eq!(dry(&journal)["changes"], json!([]));
    // A file that is another one by now is told as the import tells it.
    world.write("rows.csv", "sub,obj,act,access\na,x,,\nc,x,,\n");
    for more in [&[][..], &["--dry-run"]] {
        let said = world.sign("org1", &[&["import", &file, "--atomic", "--json"], more].concat()).expect(1);
        assert!(said.err.contains("changed_file"), "{more:?}: {}", said.err);
    }
}
