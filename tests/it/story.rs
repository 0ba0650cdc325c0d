//! The main job, as two organisations do it with the programs alone.

use std::path::{Path, PathBuf};

use serde_json::Value;
use writ_proto::api::{Place, Receipt, from_base64};
use writ_proto::record::{RecordId, Signed};
use writ_tests::node::{Node, assert_sound};
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::receipts::{Seen, assert_grown, assert_included};
use writ_tests::world::text;
use writ_tests::writ::{Said, writ};

/// Two organisations with keys made by `writ key new`, and the node of their chain.
struct Federation {
    folder: tempfile::TempDir,
    node: Node,
}

impl Federation {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut arguments: Vec<String> =
            ["init", "--chain", "ledger.example/story", "--home"].map(str::to_owned).into();
        arguments.push(text(&folder.path().join("chain")));
        for name in ["org1", "org2"] {
            let key = folder.path().join(format!("{name}.key"));
            writ(["key", "new", "--out", &text(&key)]).expect(0);
            let shown = writ(["key", "show", &text(&key)]).expect(0);
            assert!(!shown.out.is_empty(), "`writ key show` shows something");
            let public = PathBuf::from(format!("{}.pub", text(&key)));
            assert!(public.is_file(), "`writ key new` leaves the public key beside the secret one");
            arguments.extend(["--authority".to_owned(), format!("{name}={}", text(&public))]);
        }
        let output = command(&programs::writ_node(), &arguments).output().expect("`writ-node init` starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let home = folder.path().join("chain").join("node0");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), text(&home), "`init` prints the home that it made");
        let node = Node::run(&home);
        Self { folder, node }
    }

    fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name))
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("chain").join("node0")
    }

    /// Runs `writ` against the node.
    fn ask(&self, arguments: &[&str]) -> Said {
        let mut all = arguments.to_vec();
        all.extend(["--node", self.node.url()]);
        writ(all)
    }

    /// Runs `writ` against the node, signing as `authority`; gives the record's id.
    fn sign(&self, authority: &str, arguments: &[&str]) -> RecordId {
        let said = self.try_sign(authority, arguments).expect(0);
        let told: Receipt = serde_json::from_value(said.json()).expect("a receipt");
        let (signed, served) = self.served(&told.id);
        assert_included(&signed, told.place.as_ref().expect("it is committed"));
        // All but the checkpoint, which comes after the block.
        let without =
            |place: Option<Place>| place.map(|place| Place { checkpoint: None, checkpoint_inclusion: None, ..place });
        assert_eq!(without(served.place), without(told.place), "a record has one receipt, whenever it is asked for");
        told.id
    }

    fn try_sign(&self, authority: &str, arguments: &[&str]) -> Said {
        let key = self.path(&format!("{authority}.key"));
        let mut all = arguments.to_vec();
        all.extend(["--authority", authority, "--key", &key, "--json"]);
        self.ask(&all)
    }

    /// `writ check`, with the exit code and the first line that belong to the answer.
    #[track_caller]
    fn assert_check(&self, claim: &str, granted: bool, question: &[&str]) {
        let mut arguments = vec!["check"];
        arguments.extend(question);
        let (code, word) = if granted { (0, "granted") } else { (3, "denied") };
        let said = self.ask(&arguments);
        assert_eq!((said.code, said.first_line()), (Some(code), word), "{claim}: {said:?}");
        arguments.push("--json");
        let said = self.ask(&arguments).expect(code);
        assert_eq!(said.json()["decision"], word, "{claim}");
    }

    /// The record as the node serves it; its bytes are what the id and the receipt speak of.
    fn served(&self, id: &RecordId) -> (Signed, Receipt) {
        let receipt = self.node.http().record(id);
        let bytes = from_base64(receipt.record.as_deref().expect("the record's bytes")).expect("base64");
        let signed = Signed::decode(bytes).expect("a record");
        assert_eq!(signed.id(), *id);
        (signed, receipt)
    }
}

const REPORT: [&str; 6] = ["--sub", "alice", "--obj", "file:reports/q3", "--act", "read"];

fn with(question: &[&'static str], more: &[&'static str]) -> Vec<&'static str> {
    [question, more].concat()
}

#[test]
fn two_organisations_grant_deny_and_revoke_and_the_answers_follow() {
    let two = Federation::new();
    let check = |claim: &str, granted: bool, question: &[&str]| two.assert_check(claim, granted, question);

    check("nothing was said", false, &REPORT);
    let first = two.sign("org1", &with(&["grant"], &REPORT));
    check("org1 granted it", true, &REPORT);
    check("another action", false, &["--sub", "alice", "--obj", "file:reports/q3", "--act", "write"]);
    check("every action is more than one", false, &["--sub", "alice", "--obj", "file:reports/q3"]);
    check("somebody else", false, &["--sub", "bob", "--obj", "file:reports/q3", "--act", "read"]);

    let wide = two.sign("org2", &["grant", "--sub", "alice", "--obj", "file:reports/*"]);
    two.sign("org1", &["revoke", &first.to_string()]);
    check("of two overlapping grants one ended", true, &REPORT);
    check(
        "a pattern covers what lies below",
        true,
        &["--sub", "alice", "--obj", "file:reports/2026/q3", "--act", "read"],
    );
    check("a pattern does not cover itself", false, &["--sub", "alice", "--obj", "file:reports", "--act", "read"]);
    check(
        "a pattern does not cover a neighbour",
        false,
        &["--sub", "alice", "--obj", "file:reports2", "--act", "read"],
    );

    let denial = two.sign("org1", &with(&["deny"], &REPORT));
    two.sign("org2", &with(&["grant"], &REPORT));
    check("a denial beats any number of grants", false, &REPORT);
    check("a denial of one action", true, &["--sub", "alice", "--obj", "file:reports/q3", "--act", "write"]);

    two.try_sign("org2", &["revoke", &denial.to_string()]).expect(1);
    check("a stranger lifts nothing", false, &REPORT);
    two.sign("org1", &["revoke", &denial.to_string()]);
    check("its own authority lifts it", true, &REPORT);
    let explained = two.ask(&with(&["check", "--explain"], &REPORT)).expect(0);
    assert_eq!(explained.first_line(), "granted");
    assert!(explained.out.contains("org2"), "an explanation names who granted: {}", explained.out);

    let staff = ["--sub", "user:org2/carol", "--obj", "api:billing", "--act", "call"];
    two.sign("org2", &["grant", "--sub", "user:org2/*", "--obj", "role:staff", "--act", "member"]);
    two.sign("org1", &["grant", "--sub", "role:staff", "--obj", "api:billing", "--act", "call"]);
    check("over a role", true, &staff);
    check("outside of the role", false, &["--sub", "user:org1/carol", "--obj", "api:billing", "--act", "call"]);

    // What was once true stays told as it was.
    let entry = two.served(&first).1.entry.expect("an access entry");
    let revoked = entry.revoked.expect("it was revoked");
    let (before, after) = (entry.height.to_string(), revoked.height.to_string());
    let past = |arguments: &[&str], granted| {
        let question = [&REPORT[..], arguments].concat();
        two.assert_check("in the past", granted, &question);
    };
    past(&["--height", &before], true);
    past(&["--height", "0"], false);
    past(&["--as-of", &entry.added.to_string()], true);
    past(&["--as-of", &entry.added.saturating_sub_millis(1).to_string()], false);
    past(&["--at", &entry.added.saturating_sub_millis(1).to_string(), "--height", &after], false);

    // Exit codes that are no answers.
    let nowhere = writ([&["check", "--node", "http://127.0.0.1:9"], &REPORT[..]].concat());
    assert_eq!((nowhere.code, nowhere.out.as_str()), (Some(1), ""), "a node that is not there: {nowhere:?}");
    two.ask(&["check", "--sub", "alice"]).expect(2);
    two.ask(&["check", "--sub", "alice", "--obj", "file:x", "--acct", "read"]).expect(2);
    two.ask(&["no-such-command"]).expect(2);
    let pattern = two.ask(&["check", "--sub", "*", "--obj", "file:x"]);
    assert!(matches!(pattern.code, Some(1 | 2)) && pattern.out.is_empty(), "a pattern is no question: {pattern:?}");
    two.try_sign("org1", &["revoke", &"0".repeat(64)]).expect(1);

    assert_everything_is_told(&two, &first, &wide);
    assert_restart_keeps_all(two, &first);
}

/// Receipts with proofs, entry, log, status, export and audit.
fn assert_everything_is_told(two: &Federation, first: &RecordId, wide: &RecordId) {
    for id in [first, wide] {
        let (signed, receipt) = two.served(id);
        assert_included(&signed, receipt.place.as_ref().expect("it is committed"));
    }
    let status = two.ask(&["status", "--json"]).expect(0).json();
    let own = two.node.http().status();
    assert_eq!(status["log_root"], Value::from(own.log_root.clone()));
    assert_eq!((status["height"].as_u64(), status["role"].as_str()), (Some(own.height), Some("validator")));
    assert!(two.ask(&["status"]).expect(0).out.contains(&own.height.to_string()));

    let entry = two.ask(&["entry", &wide.to_string(), "--json"]).expect(0).json();
    for (member, value) in
        [("sub", "alice"), ("obj", "file:reports/*"), ("act", "*"), ("access", "granted"), ("issuingAuth", "org2")]
    {
        assert_eq!(entry["entry"].get(member).or(entry.get(member)), Some(&Value::from(value)), "{member} of {entry}");
    }
    let shown = two.ask(&["entry", &wide.to_string()]).expect(0);
    assert!(shown.out.contains("alice") && shown.out.contains("file:reports/*"), "{}", shown.out);

    let lines = two.ask(&["log", "--json"]).expect(0).json_lines();
    let served = two.node.http().entries("");
    let ids = |lines: &[Value]| {
        lines.iter().map(|line| line["id"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&lines), served.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>());
    let of_org2 = two.ask(&["log", "--json", "--authority", "org2", "--sub", "alice"]).expect(0).json_lines();
    assert_eq!(of_org2.len(), 2, "{of_org2:?}");
    assert!(two.ask(&["log"]).expect(0).out.contains("file:reports/q3"));

    let export = two.path("chain.writ");
    two.ask(&["export", "--out", &export]).expect(0);
    assert_audits(two, Path::new(&export));
}

fn assert_audits(two: &Federation, export: &Path) {
    let genesis = text(&two.home().join("genesis.json"));
    let export = text(export);
    writ(["audit", "--genesis", &genesis, "--file", &export]).expect(0);
    writ(["audit", "--file", &export]).expect(0);
    let report = writ(["audit", "--genesis", &genesis, "--file", &export, "--json"]).expect(0).json();
    assert!(report.is_object(), "{report}");
    two.ask(&["audit", "--genesis", &genesis]).expect(0);
    // The same history of another chain is not this one.
    let other = Federation::new();
    let said = writ(["audit", "--genesis", &text(&other.home().join("genesis.json")), "--file", &export]).expect(1);
    assert!(said.err.contains("genesis") || said.out.contains("genesis"), "{said:?}");
}

fn assert_restart_keeps_all(mut two: Federation, id: &RecordId) {
    let before = two.node.http().status();
    let entries = two.node.http().entries("");
    assert!(two.node.stop().success(), "a node that is asked to stop stops well");
    assert_sound(&two.home());
    two.node.start_again();
    let after = two.node.http().status();
    assert_grown(two.node.http(), Seen::of(&before));
    assert_eq!((after.chain, after.name), (before.chain, before.name));
    assert_eq!(two.node.http().entries(""), entries);
    assert!(two.node.http().record(id).place.is_some());
    two.assert_check("after a restart", true, &REPORT);
}
