//! `writ import`, killed at random moments and run again: the ledger becomes what one run makes of the file.
//!
//! Before the import some entries stand already, which rows of the file withdraw; and after the first kill more are
//! made, which no row may withdraw, since they came after its first run.
//!
//! 3 imports, or as many as `WRIT_IMPORTS` says, each killed a few times; the seed is printed.

use std::time::{Duration, Instant};

use writ_proto::record::Effect;
use writ_tests::auditor::Follower;
use writ_tests::node::{Node, assert_sound};
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::random::Random;
use writ_tests::wait;
use writ_tests::world::text;
use writ_tests::writ::{self, Said, writ};

const NAMES: u64 = 10;

/// One chain with one authority, its key made by `writ`, and files to import.
struct Importing {
    folder: tempfile::TempDir,
    node: Node,
}

impl Importing {
    /// A chain on which `before.csv` is imported already.
    fn new(rows: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| text(&folder.path().join(name));
        writ(["key", "new", "--out", &path("org1.key")]).expect(0);
        let authority = format!("org1={}.pub", path("org1.key"));
        let arguments =
            ["init", "--home", &path("chain"), "--chain", "ledger.example/imports", "--authority", &authority];
        assert!(command(&programs::writ_node(), arguments).output().expect("it starts").status.success());
        for (name, text) in
            [("rows.csv", rows), ("before.csv", &on_every_key("before")), ("after.csv", &on_every_key("after"))]
        {
            std::fs::write(folder.path().join(name), text).expect("a temporary folder can be written to");
        }
        let node = Node::run(&folder.path().join("chain").join("node0"));
        let made = Self { folder, node };
        made.import("before.csv").expect(0);
        made
    }

    fn import(&self, file: &str) -> Said {
        writ(self.arguments(file))
    }

    fn arguments(&self, file: &str) -> Vec<String> {
        let path = |name: &str| text(&self.folder.path().join(name));
        let key = path("org1.key");
        let arguments = ["import", &path(file), "--node", self.node.url(), "--key", &key, "--authority", "org1"];
        arguments.map(str::to_owned).into()
    }

    /// What the ledger says, told without ids and times, which differ from chain to chain.
    fn ledger(&self) -> Vec<(String, String, String, Effect, Option<String>, bool)> {
        let entries = self.node.http().entries("");
        let told = entries
            .into_iter()
            .map(|entry| (entry.sub, entry.obj, entry.act, entry.access, entry.reference, entry.revoked.is_some()));
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }

    /// Reads the whole chain as an auditor.
    fn assert_follows(&self) {
        let mut follower = Follower::new(self.node.http().read("/v1/genesis"));
        follower.follow(self.node.http());
        assert!(follower.records().len() > 100);
    }
}

fn on_every_key(reference: &str) -> String {
    let mut rows = String::from("sub,obj,act,ref\n");
    for (sub, obj) in (0..NAMES).flat_map(|sub| (0..NAMES).map(move |obj| (sub, obj))) {
        rows += &format!("user:u{sub},file:f{obj},read,{reference}\n");
    }
    rows
}

/// Grants, denials, equal rows, rows with an end that counts from now, rows taken away and given again.
fn rows(random: &mut Random, count: usize) -> String {
    let mut rows = String::from("sub,obj,act,access,exp\n");
    for _ in 0..count {
        let access = *random.pick(&["granted", "granted", "granted", "denied", "revoked"]);
        let exp = if access != "revoked" && random.percent(30) { "+8h" } else { "" };
        let (sub, obj) = (random.below(NAMES), random.below(NAMES));
        rows += &format!("user:u{sub},file:f{obj},{},{access},{exp}\n", random.pick(&["read", "*"]));
    }
    rows
}

#[test]
fn an_import_that_was_killed_goes_on_to_the_same_ledger() {
    let imports = match std::env::var("WRIT_IMPORTS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_IMPORTS is `{text}`, expected a number")),
        Err(_) => 3,
    };
    let mut random = Random::from_environment("imports");
    for number in 0..imports {
        let rows = rows(&mut random, 600);
        let whole = Importing::new(&rows);
        let began = Instant::now();
        let said = whole.import("rows.csv").expect(0);
        let took = began.elapsed();
        println!("import {number}: {took:?} in one run: {}", said.out.trim());
        whole.import("after.csv").expect(0);
        let expected = whole.ledger();
        for reference in [None, Some("before")] {
            let revoked = |is: bool| expected.iter().any(|entry| entry.4.as_deref() == reference && entry.5 == is);
            assert!(revoked(true) && revoked(false), "some entries of {reference:?} are withdrawn and some are not");
        }

        let mut killed = Importing::new(&rows);
        kill_at_the_first_record(&killed);
        killed.import("after.csv").expect(0);
        for at in 0..3 {
            let moment = Duration::from_micros(random.below(took.as_micros() as u64 + 1));
            println!("  killed after {moment:?}");
            let mut process = writ::start(&killed.folder.path().join("stderr"), &killed.arguments("rows.csv"));
            std::thread::sleep(moment);
            process.kill();
            // The node too, now and then.
            if at == 1 {
                killed.node.kill();
                killed.node.start_again();
            }
        }
        killed.import("rows.csv").expect(0);
        assert_eq!(killed.ledger(), expected, "the same rows make the same ledger");
        killed.assert_follows();

        // And once more: it adds nothing.
        let before = killed.node.http().status().log_size;
        killed.import("rows.csv").expect(0);
        assert_eq!(killed.node.http().status().log_size, before);
        assert!(killed.node.stop().success());
        assert_sound(&killed.folder.path().join("chain").join("node0"));
    }
}

/// Kills the import as soon as anything of it is in the log: from then on its first run has been.
fn kill_at_the_first_record(importing: &Importing) {
    let before = importing.node.http().status().log_size;
    let mut process = writ::start(&importing.folder.path().join("stderr"), &importing.arguments("rows.csv"));
    wait::until("the first record of the import", || (importing.node.http().status().log_size > before).then_some(()));
    process.kill();
}
