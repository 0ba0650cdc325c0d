//! Ten years of real access history through `writ import`: in the end `check` agrees with what is known to stand.
//!
//! Runs where the history is (see [`writ_tests::history::folder`]); the conversion is tested everywhere. That kills
//! change nothing is tested with the history where it is, and else with one made up in its shape.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use writ_proto::record::Effect;
use writ_tests::history::{self, Right};
use writ_tests::http::{Http, escape};
use writ_tests::node::{Node, assert_sound};
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::random::Random;
use writ_tests::wait;
use writ_tests::world::text;
use writ_tests::writ::{self, writ};

const EVENTS: &str = "unix_seconds,op,sub,obj\n10,grant,a,release:x\n10,grant,b,release:x\n20,revoke,a,release:x\n\
                      30,grant,c,release:y\n40,revoke,b,release:x\n50,grant,a,release:x\n";

#[test]
fn events_become_rows_in_their_order_and_their_play_says_what_stands() {
    let events = history::read_events(EVENTS).expect("good events");
    let rows = "sub,obj,access\na,release:x,granted\nb,release:x,granted\na,release:x,revoked\n\
                c,release:y,granted\nb,release:x,revoked\na,release:x,granted\n";
    assert_eq!(history::import_rows(&events), rows);
    let (standing, gone) = history::play(&events);
    let right = |sub: &str, obj: &str| (sub.to_owned(), obj.to_owned());
    assert_eq!(standing.into_iter().collect::<Vec<_>>(), [right("a", "release:x"), right("c", "release:y")]);
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), [right("b", "release:x")]);

    for (line, text) in
        [(1, "1,gift,a,b\n"), (2, "1,grant,a,b\nx,grant,a,b\n"), (1, "1,grant,a\n"), (1, "1,grant,\"a\",b\n")]
    {
        assert_eq!(history::read_events(text).map_err(|malformed| malformed.line), Err(line), "{text}");
    }
}

#[test]
fn a_history_is_imported_once_and_ends_as_it_is_known_to_end() {
    let events = history::read_events(EVENTS).expect("good events");
    let (standing, gone) = history::play(&events);
    replay(
        &history::import_rows(&events),
        &standing.into_iter().collect::<Vec<_>>(),
        &gone.into_iter().collect::<Vec<_>>(),
    );
}

#[test]
fn the_real_history_ends_as_it_is_known_to_end() {
    let Some(folder) = history::folder() else {
        eprintln!("SKIPPED: no access-history folder; name it with WRIT_SHARED");
        println!("SKIPPED: no access-history folder; name it with WRIT_SHARED");
        return;
    };
    let read = |name: &str| {
        let file = folder.join(name);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("`{}`: {error}", file.display()))
    };
    let events = history::read_events(&read("events.csv")).unwrap_or_else(|malformed| panic!("{malformed}"));
    let (standing, gone) = history::play(&events);
    let known = history::read_rights(&read("final.csv")).unwrap_or_else(|malformed| panic!("{malformed}"));
    assert_eq!(standing, known, "the events end in the rights that are known to stand");
    assert_eq!((events.len(), standing.len(), gone.len()), (8_019, 4_723, 1_578));
    replay(
        &history::import_rows(&events),
        &standing.into_iter().collect::<Vec<_>>(),
        &gone.into_iter().collect::<Vec<_>>(),
    );
}

/// An import that is killed at ten places, the node sometimes with it, ends in the same ledger as one in peace: the
/// same entries in the same order, of which the same are withdrawn.
#[test]
fn a_history_that_was_killed_ten_times_is_the_history() {
    let mut random = Random::from_environment("history");
    let events = match history::folder() {
        Some(folder) => {
            let text = std::fs::read_to_string(folder.join("events.csv")).expect("it is there");
            history::read_events(&text).unwrap_or_else(|malformed| panic!("{malformed}"))
        }
        None => history::made_up(&mut random, 8_000),
    };
    let rows = history::import_rows(&events);
    let peaceful = Registry::new(&rows);
    peaceful.import();
    let expected = peaceful.ledger();
    let records = peaceful.node.http().status().log_size;
    let standing = expected.iter().filter(|entry| !entry.2).map(|entry| (entry.0.clone(), entry.1.clone()));
    assert_eq!(standing.collect::<BTreeSet<Right>>(), history::play(&events).0);

    let mut killed = Registry::new(&rows);
    let mut in_the_middle = 0;
    for tenth in 0..10 {
        // Some place in this tenth of the log, and a moment more: within a lot as well as between two.
        let place = records * tenth / 10 + random.below(records / 10 + 1);
        let moment = Duration::from_micros(random.below(30_000));
        let mut process = writ::start(&killed.folder.path().join("stderr"), &killed.arguments());
        wait::until("the import to come so far", || {
            (killed.node.http().status().log_size >= place || process.ended().is_some()).then_some(())
        });
        std::thread::sleep(moment);
        in_the_middle += u32::from(process.ended().is_none());
        process.kill();
        if random.percent(30) {
            killed.node.kill();
            killed.node.start_again();
        }
    }
    println!("{in_the_middle} of 10 kills found the import under way");
    killed.import();
    assert!(killed.ledger() == expected, "the same rows make the same ledger, in the same order");
    let before = killed.node.http().status();
    killed.import();
    let after = killed.node.http().status();
    assert_eq!((after.log_size, after.log_root), (before.log_size, before.log_root), "imported again, it adds nothing");
    assert!(killed.node.stop().success());
    assert_sound(&killed.folder.path().join("chain").join("node0"));
}

/// A chain of one authority, and rows to import.
struct Registry {
    folder: tempfile::TempDir,
    node: Node,
}

impl Registry {
    fn new(rows: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| text(&folder.path().join(name));
        let key = path("registry.key");
        writ(["key", "new", "--out", &key]).expect(0);
        let authority = format!("registry={key}.pub");
        let arguments =
            ["init", "--home", &path("chain"), "--chain", "ledger.example/history", "--authority", &authority];
        assert!(command(&programs::writ_node(), arguments).output().expect("it starts").status.success());
        let node = Node::run(&folder.path().join("chain").join("node0"));
        std::fs::write(path("rows.csv"), rows).expect("a temporary folder can be written to");
        Self { folder, node }
    }

    fn arguments(&self) -> Vec<String> {
        let path = |name: &str| text(&self.folder.path().join(name));
        let (file, key) = (path("rows.csv"), path("registry.key"));
        let arguments = ["import", &file, "--node", self.node.url(), "--key", &key, "--authority", "registry"];
        arguments.map(str::to_owned).into()
    }

    fn import(&self) {
        let began = std::time::Instant::now();
        let said = writ(self.arguments()).expect(0);
        println!("imported in {:?}: {}", began.elapsed(), said.out.trim());
    }

    /// Every entry in the order of the log: who, what, and whether it was withdrawn.
    fn ledger(&self) -> Vec<(String, String, bool)> {
        let entries = self.node.http().entries("").into_iter();
        entries.map(|entry| (entry.sub, entry.obj, entry.revoked.is_some())).collect()
    }
}

/// Imports `rows` through a node of its own, twice, and asks about every right.
fn replay(rows: &str, standing: &[Right], gone: &[Right]) {
    let registry = Registry::new(rows);
    let http = registry.node.http();
    registry.import();
    assert_rights(http, standing, gone);
    let before = http.status();

    assert_holders(registry.node.url(), standing, gone);
    registry.import();
    let after = http.status();
    assert_eq!((after.log_size, after.log_root), (before.log_size, before.log_root), "imported again, it adds nothing");
    assert_eq!(http.status().pending, 0);
}

/// `writ who-can` names exactly those who are known to have each right.
fn assert_holders(url: &str, standing: &[Right], gone: &[Right]) {
    let mut holders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (sub, obj) in standing {
        holders.entry(obj).or_default().insert(sub);
    }
    for (_, obj) in gone {
        holders.entry(obj).or_default();
    }
    let began = std::time::Instant::now();
    let all: Vec<_> = holders.iter().collect();
    // A process for each right: two at a time.
    std::thread::scope(|scope| {
        for half in all.chunks(all.len().div_ceil(2)) {
            scope.spawn(move || {
                for (obj, subs) in half {
                    let found = writ(["who-can", "--obj", obj, "--node", url, "--json"]).expect(0).json();
                    let want = serde_json::json!([subs, []]);
                    assert_eq!(serde_json::json!([found["results"], found["patterns"]]), want, "{obj}");
                }
            });
        }
    });
    println!("{} times `writ who-can` in {:?}", holders.len(), began.elapsed());
}

fn assert_rights(http: &Http, standing: &[Right], gone: &[Right]) {
    let began = std::time::Instant::now();
    for (rights, decision) in [(standing, Effect::Grant), (gone, Effect::Deny)] {
        for (sub, obj) in rights {
            let answer = http.check(&format!("sub={}&obj={}", escape(sub), escape(obj)));
            assert_eq!(answer.decision, decision, "{sub} {obj}: {answer:?}");
        }
    }
    println!("{} questions in {:?}", standing.len() + gone.len(), began.elapsed());
}
