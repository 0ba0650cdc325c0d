use std::fs;
use std::path::Path;

use writ_proto::certificate::VoteKind;
use writ_proto::hash::Digest;

use super::*;
use crate::restore::tests::{home, vote};
use crate::storage::rocks;
use crate::storage::sample::Sample;

/// What happened to the home of a lone validator at block 6.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    None,
    /// The tip guard is gone.
    TipGone,
    /// Every byte of the tip guard is zero.
    TipDamaged,
    /// The whole folder of guards but the sign guard is gone.
    GuardsGone,
    /// The sign guard is gone.
    SignGone,
    /// The home was copied: same bytes, other file.
    SignCopied,
    /// The database is an older copy, of block 4.
    Rolled,
    /// The tip guard is gone, and the key had begun to sign the next block, which is not here.
    TipGoneAndVoted,
    /// The same, and the block is here.
    TipGoneAndHeld,
}

fn make(dir: &Path, validators: u8, mishap: Mishap) -> (Sample, Home) {
    let mut sample = Sample::with_validators("a.example/log", validators);
    let blocks = if matches!(mishap, Mishap::Rolled) { 4 } else { 6 };
    let home = home(&mut sample, &dir.join("node0"), blocks, 0);
    let chain = sample.chain();
    let (tip, sign) = (TipGuard::path(&home.guard()), SignGuard::path(&home.keys()));
    let sign_next = |value: u8| {
        let guard = SignGuard::open(&home.keys(), &chain, sample.vote()).unwrap();
        guard.sign_vote(&vote(&sample, VoteKind::Prevote, 7, Digest([value; 32]))).unwrap();
    };
    match mishap {
        Mishap::None => {}
        Mishap::TipGone => fs::remove_file(tip).unwrap(),
        Mishap::TipDamaged => fs::write(tip, vec![0; 8192]).unwrap(),
        Mishap::GuardsGone => {
            fs::remove_dir_all(home.guard()).unwrap();
            fs::create_dir_all(home.guard()).unwrap();
        }
        Mishap::SignGone => fs::remove_file(sign).unwrap(),
        Mishap::SignCopied => {
            let bytes = fs::read(&sign).unwrap();
            fs::remove_file(&sign).unwrap();
            // So that the copy does not get the number of the one that is gone.
            fs::write(dir.join("other"), "").unwrap();
            fs::write(sign, bytes).unwrap();
        }
        Mishap::Rolled => {
            let older = dir.join("older");
            fs::create_dir(&older).unwrap();
            for file in fs::read_dir(home.database()).unwrap() {
                let file = file.unwrap();
                fs::copy(file.path(), older.join(file.file_name())).unwrap();
            }
            {
                let store = rocks::open(&home.database(), &chain).unwrap();
                let (guard, _) = TipGuard::open(&home.guard(), &chain, &*store).unwrap();
                let signs = SignGuard::open(&home.keys(), &chain, sample.vote()).unwrap();
                for height in 5..=6 {
                    let (block, changes) = sample.next(1);
                    let hash = changes.leaf.header.hash();
                    signs.sign_vote(&vote(&sample, VoteKind::Precommit, height, hash)).unwrap();
                    store.commit(&block, &changes).unwrap();
                    guard.advance(height, hash, changes.leaf.hash()).unwrap();
                }
            }
            fs::remove_dir_all(home.database()).unwrap();
            fs::rename(older, home.database()).unwrap();
        }
        Mishap::TipGoneAndVoted => {
            sign_next(9);
            fs::remove_file(tip).unwrap();
        }
        Mishap::TipGoneAndHeld => {
            let store = rocks::open(&home.database(), &chain).unwrap();
            let undecided = crate::storage::Undecided {
                round: 0,
                valid_round: None,
                proposer: sample.vote().public().id(),
                bytes: vec![1],
            };
            store.put_undecided(7, &Digest([9; 32]), &undecided).unwrap();
            drop(store);
            sign_next(9);
            fs::remove_file(tip).unwrap();
        }
    }
    (sample, home)
}

/// Whether a node could answer and sign the block after `height`.
fn is_whole(sample: &Sample, home: &Home) -> bool {
    let chain = sample.chain();
    let store = rocks::open(&home.database(), &chain).unwrap();
    let (_, standing) = TipGuard::open(&home.guard(), &chain, &*store).unwrap();
    let last = store.tip().unwrap().map(|tip| tip.time);
    let clock = Clock::open(&home.guard(), &chain, 500, last);
    let guard = SignGuard::open(&home.keys(), &chain, sample.vote());
    standing.may_answer()
        && clock.is_ok()
        && guard.is_ok_and(|guard| {
            let next = store.tip().unwrap().unwrap().height + 1;
            let value = guard.last().unwrap().filter(|(height, _)| *height == next).and_then(|(_, step)| step.value);
            guard.sign_vote(&vote(sample, VoteKind::Precommit, next, value.unwrap_or(Digest([5; 32])))).is_ok()
        })
}

#[test]
fn what_repair_does_and_refuses() {
    use Mishap::*;
    // Validators, mishap, the answer without and with `--sign-again`: what the refusal says, or where it goes on.
    type Answer = Result<u64, &'static str>;
    let table: [(u8, Mishap, Answer, Answer); 12] = [
        (1, None, Err("nothing to repair"), Err("nothing to repair")),
        (1, TipGone, Ok(6), Ok(6)),
        (1, TipDamaged, Ok(6), Ok(6)),
        (1, GuardsGone, Ok(6), Ok(6)),
        (1, TipGoneAndHeld, Ok(6), Ok(6)),
        (1, TipGoneAndVoted, Err("--sign-again"), Ok(6)),
        (1, SignGone, Err("--sign-again"), Ok(6)),
        (1, SignCopied, Err("--sign-again"), Ok(6)),
        (1, Rolled, Err("signed for height 6, and the database ends at block 4"), Ok(4)),
        (4, TipGone, Err("They have what is missing"), Err("They have what is missing")),
        (4, Rolled, Err("They have what is missing"), Err("They have what is missing")),
        (4, SignGone, Err("They have what is missing"), Err("They have what is missing")),
    ];
    for (validators, mishap, plain, again) in table {
        for (sign_again, want) in [(false, plain), (true, again)] {
            let case = format!("{mishap:?} of {validators}, sign again: {sign_again}");
            let dir = tempfile::tempdir().unwrap();
            let (sample, home) = make(dir.path(), validators, mishap);
            let sign_before = fs::read(SignGuard::path(&home.keys())).ok();
            match (repair(&home, sign_again), want) {
                (Ok(repaired), Ok(height)) => {
                    assert_eq!(repaired.height, height, "{case}");
                    assert!(!repaired.lost.is_empty(), "{case}");
                    assert!(is_whole(&sample, &home), "{case}");
                    let lines = fs::read_to_string(journal::path(&home)).unwrap();
                    let line: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
                    assert_eq!(
                        (&line["what"], &line["database"]["height"]),
                        (&json!("repair"), &json!(height)),
                        "{case}"
                    );
                    assert_eq!(line["lost"], json!(repaired.lost), "{case}");
                }
                (Err(error), Err(want)) => {
                    let said = format!("{error:#}");
                    assert!(said.contains(want), "{case}: {said}");
                    assert!(!journal::path(&home).exists(), "{case}: nothing was done");
                    assert_eq!(fs::read(SignGuard::path(&home.keys())).ok(), sign_before, "{case}");
                }
                (found, want) => panic!("{case}: {found:?}, expected {want:?}"),
            }
        }
    }
}

#[test]
fn a_repair_is_noted_with_what_the_guard_held_and_earlier_lines_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (_, home) = make(dir.path(), 1, Mishap::Rolled);
    fs::write(journal::path(&home), "an earlier line\n").unwrap();
    let repaired = repair(&home, true).unwrap();
    assert_eq!(repaired.before.unwrap().height, 6);
    let text = fs::read_to_string(journal::path(&home)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, "an earlier line"));
    let line: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!((&line["guard"]["height"], &line["database"]["height"]), (&json!(6), &json!(4)));
    assert_eq!(line["sign_again"], json!(true));
    assert!(home.keys().join("sign-guard.old-1").exists(), "what was signed stays as evidence");
    assert!(repaired.lost.iter().any(|lost| lost.contains("blocks 5 to 6")), "{:?}", repaired.lost);
    assert!(format!("{:#}", repair(&home, true).unwrap_err()).contains("nothing to repair"));
}

#[test]
fn another_history_is_not_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let (_, home) = make(dir.path(), 1, Mishap::None);
    // The same chain, another first block.
    fs::remove_dir_all(home.database()).unwrap();
    let elsewhere = crate::restore::tests::home(&mut Sample::new("a.example/log"), &dir.path().join("fork"), 0, 0);
    {
        let mut fork = Sample::new("a.example/log");
        let store = rocks::open(&elsewhere.database(), &fork.chain()).unwrap();
        for _ in 0..7 {
            let (block, changes) = fork.next(1);
            store.commit(&block, &changes).unwrap();
        }
    }
    fs::rename(elsewhere.database(), home.database()).unwrap();
    let error = format!("{:#}", repair(&home, true).unwrap_err());
    assert!(error.contains("nothing can be repaired"), "{error}");
}
