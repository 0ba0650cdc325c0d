//! A database that is not what it was: lost, put back from earlier, or with a byte changed. A node gives the answers
//! that it gave before, or none.

use std::path::{Path, PathBuf};

use serde_json::Value;
use writ_proto::record::Effect;
use writ_tests::files;
use writ_tests::http::Http;
use writ_tests::node::{Node, assert_sound, fsck};
use writ_tests::random::Random;
use writ_tests::wait;
use writ_tests::world::World;

/// Bytes changed in CI; `WRIT_FLIPS` says another number.
const FLIPS: usize = 12;

const QUESTION: &str = "sub=alice&obj=file:secret&act=read";

/// A chain on which access was granted, copied, and then revoked. Gives the home's database and the older copy of it.
fn granted_then_revoked() -> (World, PathBuf, PathBuf) {
    let world = World::new(&["org1"]);
    let (db, old) = (world.home().join("db"), world.folder().join("old-db"));
    let mut node = world.run();
    let grant = world.issuer("org1").grant("alice", "read", "file:secret");
    node.http().submit(&grant);
    assert_eq!(node.http().check(QUESTION).decision, Effect::Grant);
    assert!(node.stop().success());
    files::copy(&db, &old);
    node.start_again();
    node.http().submit(&world.issuer("org1").revoke(grant.id(), Effect::Grant));
    assert_eq!(node.http().check(QUESTION).decision, Effect::Deny);
    assert!(node.stop().success());
    (world, db, old)
}

/// How a program ends that finds something wrong: failed, a guard forbids it, storage, version, configuration.
const REFUSED: [i32; 5] = [1, 4, 5, 7, 8];

#[test]
fn an_older_database_is_not_taken_for_the_truth() {
    let (world, db, old) = granted_then_revoked();
    let new = world.folder().join("new-db");
    files::copy(&db, &new);

    files::replace(&old, &db);
    assert_no_answer(&world.home(), "an older copy of the database");
    let (code, said) = fsck(&world.home());
    assert_eq!(code, Some(1), "`check` sees that the database is behind its guard: {said}");

    files::remove(&db);
    assert_no_answer(&world.home(), "no database");

    files::replace(&new, &db);
    let mut node = world.run();
    assert_eq!(node.http().check(QUESTION).decision, Effect::Deny, "the right database answers again");
    assert!(node.stop().success());
    assert_sound(&world.home());
}

/// The node does not start, or starts and answers nothing.
fn assert_no_answer(home: &Path, what: &str) {
    match Node::start_unready(home) {
        Err(refused) => {
            assert_eq!(refused.status.code(), Some(4), "{what}: {}", refused.said);
            assert!(refused.said.contains("database"), "{what}: it says why: {}", refused.said);
        }
        Ok(mut node) => {
            for _ in 0..20 {
                match node.http().try_get(&format!("/v1/check?{QUESTION}")) {
                    Ok(answer) => assert!(answer.status >= 500, "{what}: {} {}", answer.status, answer.text()),
                    Err(_) if !node.is_running() => return,
                    Err(error) => panic!("{what}: {error}"),
                }
                assert!(!node.is_ready(), "{what}: it says that it is ready");
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
    }
}

#[test]
fn a_changed_byte_never_changes_an_answer() {
    let flips = match std::env::var("WRIT_FLIPS") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_FLIPS is `{text}`, expected a number")),
        Err(_) => FLIPS,
    };
    let mut random = Random::from_environment("rot");
    let world = World::new(&["org1"]);
    let mut node = world.run();
    let issuer = world.issuer("org1");
    for number in 0..30 {
        let sub = format!("user:u{}", number % 7);
        let record =
            if number % 3 == 0 { issuer.deny(&sub, "*", "file:x") } else { issuer.grant(&sub, "read", "file:*") };
        node.http().submit(&record);
        // Opened anew, the database has files of every sort.
        if number % 12 == 11 {
            assert!(node.stop().success());
            node.start_again();
        }
    }
    let truth = Answers::of(node.http()).expect("a sound node answers");
    assert!(node.stop().success());
    assert_sound(&world.home());
    let sound = world.folder().join("sound");
    files::copy(&world.home(), &sound);

    let (mut found, mut harmless) = (0, 0);
    for _ in 0..flips {
        files::replace(&sound, &world.home());
        let what = flip_somewhere(&world.home(), &mut random);
        let (code, said) = fsck(&world.home());
        match code {
            Some(0) => harmless += 1,
            Some(code) if REFUSED.contains(&code) => found += 1,
            _ => panic!("{what}: `check` ended with {code:?}: {said}"),
        }
        // From the damaged home as it is, in case that `check` mended anything.
        match Node::start_unready(&world.home()) {
            Err(refused) => {
                let code = refused.status.code();
                assert!(code.is_some_and(|code| REFUSED.contains(&code)), "{what}: {code:?}, {}", refused.said);
            }
            Ok(mut node) => match answers_or_end(&mut node) {
                Some(answers) => assert_eq!(answers, truth, "{what}: other answers"),
                None => {
                    assert_ne!(code, Some(0), "{what}: `check` calls it sound, and it does not run: {}", node.said())
                }
            },
        }
    }
    println!("{flips} flips: {found} found by `check`, {harmless} harmless");
    assert!(found * 4 > flips, "only {found} of {flips} were in anything that matters");
}

fn flip_somewhere(home: &Path, random: &mut Random) -> String {
    // Where the data is: RocksDB's tables and logs; now and then anything else that the node keeps.
    let data = |path: &Path| path.extension().is_some_and(|extension| extension == "sst" || extension == "log");
    let all: Vec<PathBuf> = files::list(home).into_iter().filter(|file| size(file) > 0 && !is_key(file)).collect();
    let (tables, others): (Vec<PathBuf>, Vec<PathBuf>) = all.into_iter().partition(|file| data(file));
    let files = if random.percent(75) { &tables } else { &others };
    let file = random.pick(files);
    let (at, bits) = (random.place(size(file)), 1 + random.below(255) as u8);
    files::flip(file, at, bits);
    let what = format!("byte {at} of {} flipped by {bits:#04x}", file.display());
    println!("{what}");
    what
}

/// Keys and configuration are the operator's: another key is another node, another genesis another chain.
fn is_key(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "key" || extension == "toml")
}

fn size(file: &Path) -> usize {
    std::fs::metadata(file).map_or(0, |data| data.len() as usize)
}

/// What the node answers, or nothing if it ends rather than answer.
fn answers_or_end(node: &mut Node) -> Option<Answers> {
    wait::until("the node to answer or to end", || {
        if !node.is_running() {
            return Some(None);
        }
        if !node.is_ready() {
            return None;
        }
        match Answers::of(node.http()) {
            Ok(answers) => Some(Some(answers)),
            Err(fault) if fault.contains("200") => panic!("half an answer: {fault}"),
            Err(_) => Some(None),
        }
    })
}

/// All that outsiders may build on.
#[derive(Debug, PartialEq)]
struct Answers(Vec<Value>);

impl Answers {
    /// Asks for everything; an error tells the first answer that is none.
    fn of(http: &Http) -> Result<Self, String> {
        let mut paths = vec!["/v1/entries?limit=100".to_owned()];
        for number in 0..7 {
            for act in ["&act=read", "&act=write", ""] {
                // An instant long after, so that the answer does not depend on when it is asked.
                paths.push(format!("/v1/check?sub=u{number}&obj=file:x{act}&at=2100-01-01T00:00:00Z"));
                paths.push(format!("/v1/check?sub=u{number}&obj=file:y{act}&at=2100-01-01T00:00:00Z"));
            }
        }
        let mut answers = Vec::new();
        for path in paths {
            let answer = http.try_get(&path).map_err(|error| error.to_string())?;
            if answer.status != 200 {
                return Err(format!("{} {}", answer.status, answer.text()));
            }
            let mut value: Value = answer.json();
            // The chain may have gone on by an empty block.
            if let Some(members) = value.as_object_mut() {
                members.remove("height");
                members.remove("position");
            }
            answers.push(value);
        }
        Ok(Self(answers))
    }
}
