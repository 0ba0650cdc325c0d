//! The list of entries: filters that compare the stored text, pages that neither skip nor repeat while the log grows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use writ_proto::api::{EntriesPage, Entry};
use writ_proto::record::{Effect, RecordId};
use writ_tests::http::{Http, escape};
use writ_tests::world::World;

#[test]
fn filters_compare_the_stored_text() {
    let world = World::new(&["org1", "org2"]);
    let node = world.run();
    let (org1, org2) = (world.issuer("org1"), world.issuer("org2"));
    let records = [
        org1.grant("alice", "read", "file:a/b"),
        org1.grant("user:*", "*", "file:a/*"),
        org2.deny("alice", "read", "file:a/b"),
        org2.grant("ålice", "write", "file:a/b"),
        org2.grant("role:staff", "read", "file:a"),
    ];
    let places: Vec<u64> =
        records.iter().map(|record| node.http().submit(record).place.expect("it is committed").index).collect();
    let ended = node.http().submit(&org1.revoke(records[0].id(), Effect::Grant));
    let height = |at: usize| node.http().record(&records[at].id()).place.expect("it is committed").height;

    let found = |filter: &str| -> Vec<usize> {
        let place = |entry: Entry| places.iter().position(|place| *place == entry.index).expect("one of ours");
        node.http().entries(filter).into_iter().map(place).collect()
    };
    for (filter, expected) in [
        (String::new(), vec![0, 1, 2, 3, 4]),
        ("&sub=alice".into(), vec![0, 2]),
        ("&sub=user:alice".into(), vec![0, 2]),
        (format!("&sub={}", escape("user:*")), vec![1]),
        (format!("&sub={}", escape("ålice")), vec![3]),
        // The same letter, written as two: one text after NFC.
        (format!("&sub={}", escape("a\u{30a}lice")), vec![3]),
        ("&obj=file:a".into(), vec![4]),
        (format!("&obj={}", escape("file:a/*")), vec![1]),
        ("&act=read".into(), vec![0, 2, 4]),
        (format!("&act={}", escape("*")), vec![1]),
        ("&access=denied".into(), vec![2]),
        ("&access=granted&authority=org2".into(), vec![3, 4]),
        ("&authority=nobody".into(), vec![]),
        (format!("&from_index={}", places[3]), vec![3, 4]),
        (format!("&height={}", height(1)), vec![1]),
    ] {
        assert_eq!(found(&filter), expected, "`{filter}`");
    }
    let first = node.http().entries("&sub=alice&access=granted").remove(0);
    let revoked = first.revoked.expect("it was revoked");
    assert_eq!((revoked.by, Some(revoked.height)), (ended.id, ended.place.map(|place| place.height)));
    assert_eq!(node.http().entries(&format!("&sub={}", escape("ålice")))[0].sub, "ålice");
}

#[test]
fn pages_neither_skip_nor_repeat_while_the_log_grows() {
    let world = World::new(&["org1"]);
    let node = world.run();
    let issuer = world.issuer("org1");
    let batch: Vec<_> = (0..60).map(|at| issuer.grant(&format!("u{at}"), "read", "file:x")).collect();
    node.http().submit_batch(&batch);
    let first: BTreeSet<RecordId> = node.http().entries("").into_iter().map(|entry| entry.id).collect();

    let done = AtomicBool::new(false);
    let pages = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut at = 0;
            while !done.load(Ordering::Relaxed) {
                node.http().submit(&issuer.grant(&format!("v{at}"), "read", "file:x"));
                at += 1;
            }
        });
        let pages: Vec<Vec<Entry>> = (0..5).map(|_| page_by_page(node.http(), 7)).collect();
        done.store(true, Ordering::Relaxed);
        pages
    });
    for entries in pages {
        let indexes: Vec<u64> = entries.iter().map(|entry| entry.index).collect();
        assert!(indexes.windows(2).all(|pair| pair[0] < pair[1]), "ascending, so nothing twice: {indexes:?}");
        let ids: BTreeSet<RecordId> = entries.iter().map(|entry| entry.id).collect();
        assert!(ids.is_superset(&first), "what stood before is listed");
        // All that lies between what was listed was listed: the log holds no other entry there.
        let last = indexes.last().copied().unwrap_or_default();
        let all = node.http().entries(&format!("&to_index={last}"));
        let missed = all.iter().filter(|entry| entry.index < last && !ids.contains(&entry.id)).count();
        assert_eq!(missed, 0, "entries were skipped");
    }
}

fn page_by_page(http: &Http, limit: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut cursor = String::new();
    loop {
        let page: EntriesPage = http.read(&format!("/v1/entries?limit={limit}{cursor}"));
        assert!(page.entries.len() <= limit);
        entries.extend(page.entries);
        match page.next {
            Some(next) => cursor = format!("&cursor={}", escape(&next)),
            None => return entries,
        }
    }
}
