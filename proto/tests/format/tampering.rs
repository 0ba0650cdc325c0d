//! A good export, and every way to damage its bytes: the audit names a block or a part, and never panics.
//!
//! Each damage is tried twice: as it is, and with the digest in the trailer made to fit again, since
//! whoever tampers can do that too. So the digest hides nothing that the audit itself must see.

use writ_proto::audit::{ExportAuditor, Finding, Part, audit_export};
use writ_proto::decision::{Moment, Question, Truth, Why, resolve};
use writ_proto::export::{End, Frame, Trailer};
use writ_proto::hash::Digest;
use writ_proto::name::{Name, Side};
use writ_proto::time::Interval;

use crate::chain::{Chain, export_parts, time};
use crate::example::{FIRST_BLOCK_MS, example};
use crate::random::Random;

/// The finding, if the audit of this file fails as it must, naming a block or a part of the file.
fn finding(chunks: &[&[u8]], chain: &Digest) -> Result<Finding, String> {
    let Err(finding) = audit_export(chunks, Some(chain)) else { return Err("the audit finds nothing".into()) };
    let of_file = matches!(finding.part, Part::Start | Part::Genesis | Part::Trailer | Part::End);
    if finding.height.is_none() != of_file || finding.detail.is_empty() {
        return Err(format!("the finding names no part: {finding}"));
    }
    Ok(finding)
}

/// The same file with a trailer whose digest fits, if it is long enough to have one.
fn with_fitting_digest(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    if let Some(body) = file.len().checked_sub(Trailer::BYTES) {
        let digest = Digest::of(&[&file[..body]]);
        let at = file.len() - 32;
        file[at..].copy_from_slice(&digest.0);
    }
    file
}

fn assert_found(what: &str, file: &[u8], original: &[u8], chain: &Digest) {
    assert_ne!(file, original, "{what}: nothing is damaged");
    let whole = finding(&[file], chain);
    let in_pieces = finding(&file.chunks(701).collect::<Vec<_>>(), chain);
    assert!(whole.is_ok() && whole == in_pieces, "{what}: {whole:?}, in pieces {in_pieces:?}");
    let fitting = with_fitting_digest(file);
    // Fitting the digest again undoes a change of the digest alone.
    if fitting != original
        && let Err(fault) = finding(&[&fitting], chain)
    {
        panic!("{what}, with a fitting digest: {fault}");
    }
}

/// Runs `check` on every number below `count`, on all cores.
fn for_each(count: usize, check: impl Fn(usize) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let check = &check;
            scope.spawn(move || (thread..count).step_by(threads).for_each(check));
        }
    });
}

#[test]
fn a_good_chain_passes_and_its_state_answers() {
    for (protocol, validators, seed) in [(1, 1, 1), (1, 4, 2), (2, 4, 3)] {
        let chain = Chain::random_under(protocol, validators, 20, seed);
        let in_sets = chain.state.index().entries().filter(|entry| entry.member.is_some()).count();
        assert_eq!(protocol >= 2, in_sets > 10, "{in_sets} entries of sets");
        let file = chain.parts().concat();
        let audited = audit_export(file.chunks(1000), Some(chain.state.chain())).expect("a good chain");
        assert_eq!(audited.report.end, End::of(&chain.state));
        assert_eq!(audited.report.totals.blocks, 20);
        assert_eq!(audited.report.totals.votes, 20 * u64::from(validators - validators / 4));
        assert_eq!(audited.report.totals.records + 20, chain.state.log().size());
        assert!(audited.report.totals.rejected > 0, "the chain holds rejected records too");
        assert!(audited.state.index().entries().eq(chain.state.index().entries()));
        assert_eq!(audit_export([&file], None).expect("its own genesis").report, audited.report);
        let other = audit_export([&file], Some(&Digest([7; 32]))).expect_err("another chain id");
        assert_eq!(other.part, Part::Genesis);
    }
}

#[test]
fn after_an_audit_the_export_answers_questions() {
    let file = example().chain.parts().concat();
    let state = audit_export([file], None).expect("a good chain").state;
    let question = Question {
        sub: Name::parse("1234-org2", Side::Subject).expect("a name"),
        act: None,
        obj: Name::parse("file.dat", Side::Object).expect("a name"),
    };
    let tomorrow = Interval::at(time(36 * 3_600_000));
    let why = |interval, height| {
        resolve(state.index(), &question, &Moment { interval, height }, &|_| Truth::Indeterminate).why
    };
    assert_eq!(why(tomorrow, 1), Why::Grant, "before it was revoked");
    assert_eq!(why(Interval::at(time(FIRST_BLOCK_MS)), 1), Why::NoMatch, "before it began");
    assert_eq!(why(tomorrow, 2), Why::NoMatch, "after it was revoked");
}

#[test]
fn a_finding_stays_whatever_comes_after_it() {
    let chain = Chain::random(1, 4, 8);
    let mut parts = chain.parts();
    let last = parts[2].len() - 1;
    parts[2][last] ^= 1;
    let mut auditor = ExportAuditor::new(None);
    let mut heights = Vec::new();
    let results: Vec<_> = parts.iter().map(|part| auditor.push(part, |block| heights.push(block.height))).collect();
    let found = results[2].clone().expect_err("the damaged block");
    assert_eq!((found.height, found.part, heights), (Some(2), Part::Certificate, vec![1]));
    assert!(results[..2].iter().all(Result::is_ok) && results[2..].iter().all(|result| result == &Err(found.clone())));
    assert_eq!(auditor.auditor().map(|auditor| auditor.state().tip().height), Some(1));
    assert_eq!(auditor.finish().map(|_| ()), Err(found));
}

#[test]
fn an_export_of_no_blocks_is_whole() {
    let chain = Chain::new(1);
    let file = chain.parts().concat();
    let report = audit_export([&file], None).expect("a good chain").report;
    assert_eq!((report.end.height, report.end.log_size), (0, 0));
    assert_eq!(report.end.commit_leaf, *chain.state.chain());
}

#[test]
fn every_flipped_byte_of_a_small_export_is_found() {
    let chain = Chain::random_under(2, 1, 3, 11);
    assert!(chain.state.log().size() > 8, "the chain holds a few records");
    assert!(chain.state.index().entries().any(|entry| entry.member.is_some()), "and a set");
    let file = chain.parts().concat();
    for_each(file.len(), |at| {
        let flipped = |by: u8| {
            let mut bad = file.clone();
            bad[at] ^= by;
            bad
        };
        for (how, bad) in [
            ("one bit flipped", flipped(1 << (at % 8))),
            ("flipped, with a fitting digest", with_fitting_digest(&flipped(0xff))),
        ] {
            // Fitting the digest again undoes a change of the digest alone.
            if bad != file
                && let Err(fault) = finding(&[&bad], chain.state.chain())
            {
                panic!("byte {at} of {} {how}: {fault}", file.len());
            }
        }
    });
}

#[test]
fn every_cut_at_a_border_is_found_and_names_what_is_missing() {
    let chain = Chain::random(4, 20, 3);
    let parts = chain.parts();
    for kept in 0..parts.len() {
        let file = parts[..kept].concat();
        let finding = finding(&[&file], chain.state.chain()).expect("a finding");
        let expected = if kept == 0 { Part::Start } else { Part::Trailer };
        assert_eq!(finding.part, expected, "{kept} parts kept: {finding}");
        if kept > 0 {
            assert!(finding.detail.contains(&format!("after block {}", kept - 1)), "{finding}");
        }
    }
}

#[test]
fn five_hundred_random_damages_are_found() {
    let chain = Chain::random(4, 20, 4);
    let parts = chain.parts();
    let file = parts.concat();
    let shorter: Vec<Vec<u8>> =
        (0..20).map(|blocks| Chain::random(4, blocks, 4).parts().pop().expect("a trailer")).collect();
    for_each(500, |round| {
        let mut random = Random::new(1000 + round as u64);
        let frame = |random: &mut Random| 1 + random.below(chain.frames.len());
        let mut bad = parts.clone();
        let kind = round % 9;
        let what = match kind {
            0 => {
                let mut file = file.clone();
                let (at, flip) = (random.below(file.len()), 1 + random.below(255) as u8);
                file[at] ^= flip;
                bad = vec![file];
                format!("byte {at} flipped by {flip}")
            }
            1 => {
                let kept = random.below(file.len());
                bad = vec![file[..kept].to_vec()];
                format!("cut after {kept} bytes")
            }
            2 => {
                let (a, b) = (frame(&mut random), frame(&mut random));
                let b = if a == b { a % 20 + 1 } else { b };
                bad.swap(a, b);
                format!("blocks {a} and {b} swapped")
            }
            3 => {
                let (a, to) = (frame(&mut random), frame(&mut random));
                bad.insert(to, parts[a].clone());
                format!("block {a} repeated at {to}")
            }
            4 => {
                let a = frame(&mut random);
                bad.remove(a);
                format!("block {a} removed")
            }
            5 => {
                let (a, b) = (frame(&mut random), frame(&mut random));
                let b = if a == b { a % 20 + 1 } else { b };
                let certificate = chain.frames[b - 1].certificate.clone();
                bad[a] = Frame { block: chain.frames[a - 1].block.clone(), certificate }.encode_framed();
                format!("block {a} with the certificate of {b}")
            }
            6 => {
                // The trailer that belongs to the cut would make a good shorter export.
                let kept = random.below(20);
                let of = (kept + 1 + random.below(19)) % 20;
                bad.truncate(1 + kept);
                bad.push(shorter[of].clone());
                format!("cut after block {kept}, with the trailer of an export of {of} blocks")
            }
            7 => {
                let mut file = file.clone();
                let (from, len) = (random.below(file.len()), 1 + random.below(300));
                let to = (from + len).min(file.len());
                file.drain(from..to);
                bad = vec![file];
                format!("bytes {from} to {to} removed")
            }
            _ => {
                let mut file = file.clone();
                let (at, len) = (random.below(file.len() + 1), 1 + random.below(300));
                let more: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
                file.splice(at..at, more);
                bad = vec![file];
                format!("{len} bytes inserted at {at}")
            }
        };
        assert_found(&format!("round {round}: {what}"), &bad.concat(), &file, chain.state.chain());
    });
}

#[test]
fn a_damaged_block_is_the_one_that_is_named() {
    let chain = Chain::random(4, 20, 5);
    let parts = chain.parts();
    let full = (1..=20).find(|n| parts[*n].len() > 1500).expect("a block with records");
    let named = |bad: &[Vec<u8>]| finding(&[&bad.concat()], chain.state.chain()).expect("a finding");
    let height = full as u64;

    let mut bad = parts.clone();
    let record = 8 + 8 + 2 + 32 + 8 + 32 + 8 + 32 + 32 + 32 + 8 + 8;
    bad[full][record + 100] ^= 1;
    let found = named(&bad);
    assert_eq!((found.height, found.part), (Some(height), Part::Record(0)), "{found}");
    let offset: usize = parts[..full].iter().map(Vec::len).sum();
    assert_eq!(found.offset, Some(offset as u64));
    assert!(found.to_string().starts_with(&format!("block {height}, record 0 (at byte {offset}): ")), "{found}");

    let mut bad = parts.clone();
    bad.swap(full, full % 20 + 1);
    let first = full.min(full % 20 + 1) as u64;
    let found = named(&bad);
    assert_eq!((found.height, found.part), (Some(first), Part::Header("height")), "{found}");

    let mut bad = parts.clone();
    let last = bad[full].len() - 1;
    bad[full][last] ^= 1;
    let found = named(&bad);
    assert_eq!((found.height, found.part), (Some(height), Part::Certificate), "{found}");
}

#[test]
fn each_member_of_the_trailer_is_compared() {
    let chain = Chain::random(1, 2, 7);
    let end = End::of(&chain.state);
    let other = Digest([7; 32]);
    for (member, end) in [
        ("height", End { height: end.height + 1, ..end }),
        ("log size", End { log_size: end.log_size + 1, ..end }),
        ("log root", End { log_root: other, ..end }),
        ("commit leaf", End { commit_leaf: other, ..end }),
    ] {
        let file = export_parts(chain.state.genesis(), &chain.frames, end).concat();
        let found = finding(&[&file], chain.state.chain()).expect("a finding");
        assert_eq!(found.part, Part::Trailer, "{member}: {found}");
        assert!(found.detail.starts_with(&format!("its {member} is ")), "{found}");
    }
}

#[test]
fn a_file_of_another_chain_cannot_be_continued() {
    // Two chains of the same validators whose names differ: frames do not pass from one to the other.
    let (one, other) = (Chain::random(1, 3, 6), {
        let mut genesis = crate::chain::genesis(1);
        genesis.chain = "ledger.example/other".into();
        genesis
    });
    let file = export_parts(&other, &one.frames, End::of(&one.state)).concat();
    let found = finding(&[&file], &other.chain_id()).expect("a finding");
    assert_eq!((found.height, found.part), (Some(1), Part::Header("chain")), "{found}");
}
