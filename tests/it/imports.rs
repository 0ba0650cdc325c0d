//! `writ import`, killed at random moments and run again: the ledger becomes what one run makes of the file.
//!
//! 3 imports, or as many as `WRIT_IMPORTS` says, each killed a few times; the seed is printed.

use std::time::{Duration, Instant};

use writ_proto::record::Effect;
use writ_tests::auditor::Follower;
use writ_tests::http::Http;
use writ_tests::node::{Node, assert_sound};
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::random::Random;
use writ_tests::world::text;
use writ_tests::writ::{self, writ};

/// One chain with one authority, its key made by `writ`, and a file to import.
struct Importing {
    folder: tempfile::TempDir,
    node: Node,
}

impl Importing {
    fn new(rows: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| text(&folder.path().join(name));
        writ(["key", "new", "--out", &path("org1.key")]).expect(0);
        let authority = format!("org1={}.pub", path("org1.key"));
        let arguments =
            ["init", "--home", &path("chain"), "--chain", "ledger.example/imports", "--authority", &authority];
        assert!(command(&programs::writ_node(), arguments).output().expect("it starts").status.success());
        std::fs::write(folder.path().join("rows.csv"), rows).expect("a temporary folder can be written to");
        let node = Node::run(&folder.path().join("chain").join("node0"));
        Self { folder, node }
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name: &str| text(&self.folder.path().join(name));
        let key = path("org1.key");
        ["import", &path("rows.csv"), "--node", self.node.url(), "--key", &key, "--authority", "org1"]
            .map(str::to_owned)
            .into()
    }

    /// What the ledger says, told without ids and times, which differ from chain to chain.
    fn ledger(&self) -> Vec<(String, String, String, Effect, bool)> {
        let entries = self.node.http().entries("");
        let told =
            entries.into_iter().map(|entry| (entry.sub, entry.obj, entry.act, entry.access, entry.revoked.is_some()));
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    }

    fn genesis(&self) -> writ_proto::genesis::Genesis {
        self.node.http().read("/v1/genesis")
    }
}

/// Grants, denials, equal rows, rows taken away and given again.
fn rows(random: &mut Random, count: usize) -> String {
    let mut rows = String::from("sub,obj,act,access\n");
    for _ in 0..count {
        let access = random.pick(&["granted", "granted", "granted", "denied", "revoked"]);
        let (sub, obj) = (random.below(12), random.below(12));
        rows += &format!("user:u{sub},file:f{obj},{},{access}\n", random.pick(&["read", "*"]));
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
        let said = writ(whole.arguments()).expect(0);
        let took = began.elapsed();
        println!("import {number}: {took:?} in one run: {}", said.out.trim());
        let expected = whole.ledger();
        assert!(expected.iter().any(|entry| entry.4) && expected.iter().any(|entry| !entry.4));

        let mut killed = Importing::new(&rows);
        for at in 0..3 {
            let moment = Duration::from_micros(random.below(took.as_micros() as u64 + 1));
            println!("  killed after {moment:?}");
            let mut process = writ::start(&killed.folder.path().join("stderr"), &killed.arguments());
            std::thread::sleep(moment);
            process.kill();
            // The node too, now and then.
            if at == 1 {
                killed.node.kill();
                killed.node.start_again();
            }
        }
        writ(killed.arguments()).expect(0);
        assert_eq!(killed.ledger(), expected, "the same rows make the same ledger");
        assert_follows(killed.node.http(), &killed);

        // And once more: it adds nothing.
        let before = killed.node.http().status().log_size;
        writ(killed.arguments()).expect(0);
        assert_eq!(killed.node.http().status().log_size, before);
        assert!(killed.node.stop().success());
        assert_sound(&killed.folder.path().join("chain").join("node0"));
    }
}

fn assert_follows(http: &Http, importing: &Importing) {
    let mut follower = Follower::new(importing.genesis());
    follower.follow(http);
    assert!(follower.records().len() > 100);
}
