//! Ten years of real access history through `writ import`: in the end `check` agrees with what is known to stand.
//!
//! Runs where the history is (see [`writ_tests::history::folder`]); the conversion is tested everywhere.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::record::Effect;
use writ_tests::history::{self, Right};
use writ_tests::http::{Http, escape};
use writ_tests::node::Node;
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::world::text;
use writ_tests::writ::writ;

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

/// Imports `rows` through a node of its own, twice, and asks about every right.
fn replay(rows: &str, standing: &[Right], gone: &[Right]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| text(&folder.path().join(name));
    let (key, file) = (path("registry.key"), path("rows.csv"));
    writ(["key", "new", "--out", &key]).expect(0);
    let authority = format!("registry={key}.pub");
    let arguments = ["init", "--home", &path("chain"), "--chain", "ledger.example/history", "--authority", &authority];
    assert!(command(&programs::writ_node(), arguments).output().expect("it starts").status.success());
    let node = Node::run(&folder.path().join("chain").join("node0"));
    std::fs::write(&file, rows).expect("a temporary folder can be written to");
    let import = || {
        let began = std::time::Instant::now();
        let said = writ(["import", &file, "--node", node.url(), "--key", &key, "--authority", "registry"]).expect(0);
        println!("imported in {:?}: {}", began.elapsed(), said.out.trim());
    };
    import();
    assert_rights(node.http(), standing, gone);
    let before = node.http().status();

    assert_holders(node.url(), standing, gone);
    import();
    let after = node.http().status();
    assert_eq!((after.log_size, after.log_root), (before.log_size, before.log_root), "imported again, it adds nothing");
    assert_eq!(node.http().status().pending, 0);
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
