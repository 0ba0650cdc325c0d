//! `writ import`.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::record::Effect;

use crate::node::Faults;
use crate::program::World;

const SEED: &str = r#"{"sub":"1234-org2","obj":"file.dat","access":"granted","iss":"tomorrow","exp":"tomorrow+1","issuingAuth":"org1","added":"now"}"#;

#[test]
fn the_seed_tuple_is_denied_now_granted_tomorrow_and_denied_the_day_after() {
    let world = World::new(&["org1"]);
    let file = world.write("seed.jsonl", &format!("{SEED}\n"));
    let said = world.sign("org1", &["import", &file, "--authority", "org1"]).expect(0);
    assert_eq!(said.out.split_whitespace().take(2).collect::<Vec<_>>(), ["appended", "1"]);
    let check = |at: &str| world.ask(&["check", "--sub", "1234-org2", "--obj", "file.dat", "--at", at]).code;
    assert_eq!(["now", "tomorrow", "tomorrow+1"].map(check), [3, 0, 3]);
    let entry = world.ask(&["log", "--json"]).expect(0).json();
    let today = world.node.entries()[0].added.start_of_day();
    let day = |days: u64| today.saturating_add_millis(days * 86_400_000).to_string();
    for (member, want) in [
        ("sub", "1234-org2"),
        ("obj", "file.dat"),
        ("act", "*"),
        ("access", "granted"),
        ("iss", &day(1)),
        ("exp", &day(2)),
        ("issuingAuth", "org1"),
    ] {
        assert_eq!(entry[member], want, "{member}");
    }
    let again = world.sign("org1", &["import", &file, "--json"]).expect(0).json();
    assert_eq!((again["appended"].as_u64(), again["duplicate"].as_u64()), (Some(0), Some(1)));
    assert_eq!(world.node.entries().len(), 1);
    let journal = std::fs::read_to_string(world.path("seed.jsonl.writ-journal")).unwrap();
    assert!(journal.contains(&day(1)), "{journal}");
}

#[test]
fn bad_rows_are_told_with_line_code_and_field_and_the_others_are_in() {
    let world = World::new(&["org1"]);
    let file = world
        .write("rows.csv", "sub,obj,act,access\na,x,,granted\nb*,x,,granted\nc,x,,what\nd,x,,granted\na,x,,revoked\n");
    let said = world.sign("org1", &["import", &file]).expect(1);
    assert!(said.out.contains("appended           2\n") && said.out.contains("refused            2\n"), "{}", said.out);
    assert!(said.out.contains("   3  bad_request  sub     `b*`"), "{}", said.out);
    assert!(said.out.contains("   4  bad_request  access  `what`"), "{}", said.out);
    let summary = world.sign("org1", &["import", &file, "--json"]).expect(1).json();
    assert_eq!((summary["duplicate"].as_u64(), summary["refused"].as_u64()), (Some(3), Some(2)));
    assert_eq!(
        (summary["refusals"][0]["line"].as_u64(), summary["refusals"][0]["field"].as_str()),
        (Some(3), Some("sub"))
    );

    // Corrected, the same file goes in.
    let file =
        world.write("rows.csv", "sub,obj,act,access\na,x,,granted\nb,x,,granted\nd,x,,granted\na,x,,revoked\ne,x,,\n");
    let said = world.sign("org1", &["import", &file]).expect(0);
    assert!(said.out.contains("appended           2\n") && said.out.contains("duplicate          3\n"), "{}", said.out);
    let file = world.write("rows.csv", "sub,obj,act,access\nz,x,,granted\nb,x,,granted\n");
    let said = world.sign("org1", &["import", &file]).expect(1);
    assert!(
        said.err.contains("imported from line 2 is no longer in the file") && said.err.contains("hint: "),
        "{}",
        said.err
    );
}

#[test]
fn withdrawals_reach_what_was_there_and_nothing_of_others() {
    let world = World::new(&["org1", "org2"]);
    world.sign("org1", &["grant", "--sub", "a", "--obj", "x"]).expect(0);
    world.sign("org1", &["deny", "--sub", "a", "--obj", "x"]).expect(0);
    world.sign("org1", &["grant", "--sub", "a", "--obj", "x", "--act", "read"]).expect(0);
    world.sign("org2", &["grant", "--sub", "a", "--obj", "x"]).expect(0);
    let file = world.write("rows.csv", "sub,obj,access\na,x,revoked\nb,x,revoked\n");
    let summary = world.sign("org1", &["import", &file, "--json"]).expect(0).json();
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(["revoked", "entries_revoked", "nothing_to_revoke", "refused"].map(count), [1, 2, 1, 0]);
    let standing: Vec<bool> = world.node.entries().iter().map(|entry| entry.revoked.is_none()).collect();
    assert_eq!(standing, [false, false, true, true]);
    // What is granted after the first run stays, however often the file is imported.
    world.sign("org1", &["grant", "--sub", "a", "--obj", "x"]).expect(0);
    let again = world.sign("org1", &["import", &file, "--json"]).expect(0).json();
    assert_eq!((again["duplicate"].as_u64(), again["entries_revoked"].as_u64()), (Some(1), Some(0)));
    assert!(world.node.entries().last().unwrap().revoked.is_none());
}

#[test]
fn a_journal_of_another_chain_authority_or_file_is_refused() {
    let world = World::new(&["org1", "org2"]);
    let file = world.write("rows.csv", "sub,obj\na,x\n");
    let journal = world.text("journal");
    world.sign("org1", &["import", &file, "--journal", &journal]).expect(0);
    let said = world.sign("org2", &["import", &file, "--journal", &journal]).expect(1);
    assert!(said.err.contains("is of authority `org1`, this import is of `org2`"), "{}", said.err);
    let elsewhere = World::new(&["org1"]);
    let said = elsewhere.sign("org1", &["import", &file, "--journal", &journal]).expect(1);
    assert!(said.err.contains("is of chain"), "{}", said.err);
    let other = world.write("other.csv", "sub,obj\nb,x\n");
    let said = world.sign("org1", &["import", &other, "--journal", &journal, "--json"]).expect(1);
    assert_eq!(said.problem()["code"], "changed_file");
    let said = world.sign("org1", &["import", &file, "--journal", &file]).expect(1);
    assert!(said.err.contains("is no journal"), "{}", said.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "sub,obj\na,x\n");
    assert_eq!(world.node.entries().len(), 1);
}

#[test]
fn the_same_rows_in_another_file_are_the_same_records_and_that_is_said() {
    let world = World::new(&["org1"]);
    let (one, two) = (world.write("one.csv", "sub,obj\na,x\n"), world.write("two.csv", "sub,obj\na,x\nb,x\n"));
    assert!(!world.sign("org1", &["import", &one]).expect(0).err.contains("note:"));
    let said = world.sign("org1", &["import", &two]).expect(0);
    assert!(said.err.contains("note: some rows are in the ledger already"), "{}", said.err);
    assert_eq!(world.node.entries().len(), 2);
}

#[test]
fn entries_that_have_ended_already_are_taken_and_warned_of_once() {
    let rows = |past: usize| {
        let row = |n| format!("p{n},x,{},2020-01-01\n", if n % 2 == 0 { "granted" } else { "denied" });
        let past: String = (0..past).map(row).collect();
        format!("sub,obj,access,exp\na,x,granted,+8h\nb,x,granted,\n{past}a,y,revoked,\n")
    };
    let warnings = |err: &str| err.lines().filter(|line| line.contains("ended")).map(str::to_owned).collect::<Vec<_>>();
    for atomic in [&[][..], &["--atomic"]] {
        for (past, want) in [
            (0, None),
            (1, Some("warning: the entry of line 4 had ended already: it will never hold")),
            (3, Some("warning: 3 entries had ended already: they will never hold; lines 4, 5 and 6")),
            (5, Some("warning: 5 entries had ended already: they will never hold; lines 4, 5, 6, 7 and 8")),
            (9, Some("warning: 9 entries had ended already: they will never hold; lines 4, 5, 6, 7, 8 and 4 more")),
        ] {
            let world = World::new(&["org1"]);
            let file = world.write("rows.csv", &rows(past));
            let import = [&["import", &file][..], atomic].concat();
            let said = world.sign("org1", &import).expect(0);
            assert_eq!(warnings(&said.err), Vec::from_iter(want), "{past} {atomic:?}");
            assert_eq!(world.node.entries().len(), past + 2, "they are entries like all others");
            // What is in the log already may have held since, and was told of when it came.
            assert!(warnings(&world.sign("org1", &import).expect(0).err).is_empty(), "{past} {atomic:?}");
        }
        let world = World::new(&["org1"]);
        let file = world.write("rows.csv", &rows(9));
        let import = [&["import", &file, "--json"][..], atomic].concat();
        let summary = world.sign("org1", &import).expect(0).json();
        assert_eq!(summary["ended"], serde_json::json!([4, 5, 6, 7, 8, 9, 10, 11, 12]), "{summary}");
        let summary = world.sign("org1", &import).expect(0).json();
        assert_eq!(summary["ended"], serde_json::json!([]), "{summary}");
    }
    // What is refused is told so, and no more.
    let world = World::new(&["org1"]);
    let file = world.write("rows.csv", "sub,obj,exp\na*,x,2020-01-01\n");
    assert!(warnings(&world.sign("org1", &["import", &file]).expect(1).err).is_empty());
}

#[test]
fn a_node_that_stumbles_costs_time_and_nothing_else() {
    let rows: String =
        (0..30).map(|n| format!("u{n},x,granted\n")).chain((0..9).map(|n| format!("u{n},x,revoked\n"))).collect();
    for faults in [
        Faults { forgets_to_answer: 2, ..Faults::default() },
        Faults { is_overloaded: 3, ..Faults::default() },
        Faults { is_slow: 2, ..Faults::default() },
    ] {
        let world = World::new(&["org1"]);
        let file = world.write("rows.csv", &format!("sub,obj,access\n{rows}"));
        world.node.faults(faults);
        let summary = world.sign("org1", &["import", &file, "--json"]).expect(0).json();
        let count = |name: &str| summary[name].as_u64().unwrap();
        assert_eq!(["appended", "duplicate", "revoked", "refused"].map(count), [30, 0, 9, 0], "{faults:?}");
        assert_eq!(world.node.entries().iter().filter(|entry| entry.revoked.is_some()).count(), 9);
    }
}

/// The real history, where it is there: it ends as it is known to end.
#[test]
fn ten_years_of_history_end_as_they_are_known_to_end() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/access-history");
    let Ok(events) = std::fs::read_to_string(format!("{folder}/events.csv")) else { return };
    let mut rows = String::from("sub,obj,access\n");
    for line in events.lines().skip(1) {
        let [_, op, sub, obj] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        rows += &format!("{sub},{obj},{}\n", if op == "grant" { "granted" } else { "revoked" });
    }
    let world = World::new(&["registry"]);
    let file = world.write("history.csv", &rows);
    let summary = world.sign("registry", &["import", &file, "--json"]).expect(0).json();
    assert_eq!(summary["rows"], 8019);
    assert_eq!(summary["refused"], 0);
    let mut standing: BTreeMap<(String, String), usize> = BTreeMap::new();
    for entry in world.node.entries() {
        assert_eq!(entry.access, Effect::Grant);
        if entry.revoked.is_none() {
            *standing.entry((entry.sub, entry.obj)).or_default() += 1;
        }
    }
    let rights = std::fs::read_to_string(format!("{folder}/final.csv")).unwrap();
    let rights: BTreeSet<(String, String)> = rights
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(sub, obj)| (sub.into(), obj.into()))
        .collect();
    assert_eq!(standing.keys().cloned().collect::<BTreeSet<_>>(), rights);
    let size = world.node.log_size();
    let again = world.sign("registry", &["import", &file, "--json"]).expect(0).json();
    assert_eq!((again["appended"].as_u64(), again["entries_revoked"].as_u64()), (Some(0), Some(0)));
    assert_eq!(world.node.log_size(), size);
}
