//! A short run of every fuzz target, on the compiler that everybody has.
//!
//! Each target starts from good bytes (the golden files, and texts for what reads text) and goes on with
//! random changes of them: bits, bytes, cuts, repetitions, pieces of other seeds, lengths that lie.
//! `WRIT_FUZZ_MS` says how long each target runs, `WRIT_FUZZ_SEED` where it starts; by default two seconds
//! from a fixed seed, so that a failure comes again. `WRIT_FUZZ_CORPUS=DIR` writes the good bytes of each
//! target to `DIR/TARGET/`, for libFuzzer (`proto/fuzz/run.sh`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::files;
use crate::random::Random;

#[path = "../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the same file is the library of the libFuzzer package")]
mod targets;

/// Golden files whose items are good input of a target, and texts that are.
fn seeds_of(target: &str) -> Vec<Vec<u8>> {
    let golden = files::all();
    let of = |prefix: &str| {
        golden.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>()
    };
    let text = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let export = || ["header", "frame-1", "frame-2", "trailer"].map(|part| golden[&format!("export/{part}")].clone());
    match target {
        "record" => of("record-"),
        "statement" => {
            let signed = |name: &str, bytes: &[u8]| {
                let signatures = if name.ends_with("/two") { 2 } else { 1 };
                bytes.len().checked_sub(1 + signatures * 96).map(|len| bytes[..len].to_vec())
            };
            let records = golden.iter().filter(|(name, _)| name.starts_with("record-"));
            records.filter_map(|(name, bytes)| signed(name, bytes)).collect()
        }
        "block" => of("block/"),
        "commit_leaf" => of("commit-leaf/"),
        "certificate" => [of("certificate/"), of("vote/"), of("proposal/")].concat(),
        "checkpoint" => of("checkpoint/"),
        "genesis" => of("genesis/"),
        "genesis_json" => {
            vec![std::fs::read(files::folder().join("genesis.json")).expect("the golden genesis")]
        }
        "export" => {
            let [header, first, second, trailer] = export();
            let framed = [b"a start of its".as_slice(), b"!", &first, &second].concat();
            vec![
                [header.clone(), first, second, trailer.clone()].concat(),
                [header, golden["export/trailer-of-no-blocks"].clone()].concat(),
                framed,
                trailer[8..].to_vec(),
            ]
        }
        "name" => text(&[
            "alice",
            "user:alice\nuser:alice",
            "file:acl/*\nfile:acl/2026/plan.txt",
            "*\nrole:staff",
            "user:*\nuser:a:b",
            "caf%C3%A9/menu\ncaf%C3%A9/menu/*",
            "café/menu",
            "%user:%FF\nuser:%25",
            "read",
            "org1.team-2_x",
            "file:/etc/passwd",
            "file:a//b/ c%20",
        ]),
        "condition" => text(&[
            "context.mfa == true && resource.properties.owner == subject.id",
            "!has(context.zone) || context.zone in ['intern', \"v\\u0070n\"] // or from home",
            "size(context.groups) >= 0x2 && (context.path.startsWith('/a') || context.score < -1.5e-3)",
            "[1, 2u, null, [action.name]] != [context.list.size(),]",
        ]),
        "time" => [
            text(&[
                "2026-11-22T10:15:03.120Z",
                "2026-11-22T00:00:00Z",
                "9999-12-31T23:59:59.999Z",
                "1970-01-01T00:00:00.5Z",
                "2024-02-29",
                "2026-11-22T10:15:03+01:00",
            ]),
            of("codec/time"),
        ]
        .concat(),
        "position" => [text(&["0.0123456789abcdef", "17.fedcba9876543210"]), of("log/")].concat(),
        "tuple" => text(&[
            r#"{"sub":"1234-org2","obj":"file.dat","access":"granted","iss":"2026-11-23T00:00:00Z","exp":"2026-11-24T00:00:00Z","issuingAuth":"org1","added":"2026-11-22T10:15:03.120Z"}"#,
            r#"{"sub":"user:*","obj":"file:acl/*","act":"read","access":"denied","cond":"true","ref":"T-1"}"#,
            r#"{"sub":"café","obj":"role:staff","act":"member","iss":null,"exp":null}"#,
            r#"{"sub":"%user:%FF","obj":"a:b:c"}"#,
        ]),
        _ => panic!("target `{target}` has no seeds"),
    }
}

/// A change of some bytes, small most of the time.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.pick(seeds);
    if random.below(50) == 0 {
        return (0..random.below(300)).map(|_| random.next() as u8).collect();
    }
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        let to = (at + 1 + random.below(40)).min(bytes.len());
        match random.below(11) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 if at < bytes.len() => bytes[at] = random.next() as u8,
            3 if at < bytes.len() => bytes[at] = random.pick(b"\0\x01\x7f\x80\xff*%:/ \n\"{}[],."),
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..to)),
            6 => {
                let piece = bytes[at..to].to_vec();
                let elsewhere = random.below(bytes.len() + 1);
                bytes.splice(elsewhere..elsewhere, piece);
            }
            7 => bytes.insert(at, random.next() as u8),
            8 => {
                let other = random.pick(seeds);
                let from = random.below(other.len() + 1);
                let until = (from + 1 + random.below(60)).min(other.len());
                bytes.splice(at..to.min(at + random.below(40)).max(at), other[from..until].iter().copied());
            }
            9 => {
                // A number as a length could stand there.
                let number = random.pick(&[0, 1, 2, 255, 1 << 16, 1 << 32, u64::MAX, i64::MAX as u64]);
                for (byte, new) in bytes[at..].iter_mut().zip(number.to_le_bytes()) {
                    *byte = new;
                }
            }
            _ => {
                let other = random.pick(seeds);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }
    bytes
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn run(name: &str, target: targets::Target) {
    let seeds = seeds_of(name);
    let check = |bytes: &[u8]| {
        catch_unwind(AssertUnwindSafe(|| target(bytes)))
            .unwrap_or_else(|_| panic!("target `{name}` fails on {}", hex::encode(bytes)))
    };
    seeds.iter().for_each(|seed| {
        check(seed);
    });

    let start = Instant::now();
    let duration = Duration::from_millis(setting("WRIT_FUZZ_MS", 2000));
    let mut random = Random::new(setting("WRIT_FUZZ_SEED", 1));
    let (mut runs, mut good) = (0_u64, 0_u64);
    while start.elapsed() < duration {
        good += u64::from(check(&mutate(&mut random, &seeds)));
        runs += 1;
    }
    println!("{name}: {runs} runs, {good} on good bytes");
}

#[test]
fn every_target_has_good_bytes() {
    for (name, target) in targets::ALL {
        let seeds = seeds_of(name);
        assert!(seeds.iter().any(|seed| target(seed)), "none of the seeds of `{name}` is good");
        if let Some(folder) = std::env::var_os("WRIT_FUZZ_CORPUS") {
            let folder = std::path::Path::new(&folder).join(name);
            std::fs::create_dir_all(&folder).expect("a writable folder");
            for (at, seed) in seeds.iter().enumerate() {
                std::fs::write(folder.join(format!("seed-{at}")), seed).expect("a writable folder");
            }
        }
    }
}

macro_rules! short_runs {
    ($($(#[$attribute:meta])* $name:ident => $target:literal;)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                let (_, target) = targets::ALL.iter().find(|(name, _)| *name == $target).expect("a target");
                run($target, *target);
            }
        )*

        #[test]
        fn every_target_has_a_short_run() {
            let run = [$($target),*];
            assert!(targets::ALL.iter().all(|(name, _)| run.contains(name)));
        }
    };
}

short_runs! {
    records_keep_their_laws => "record";
    statements_keep_their_laws => "statement";
    blocks_keep_their_laws => "block";
    commit_leaves_keep_their_laws => "commit_leaf";
    certificates_keep_their_laws => "certificate";
    checkpoints_keep_their_laws => "checkpoint";
    genesis_bytes_keep_their_laws => "genesis";
    genesis_json_keeps_its_laws => "genesis_json";
    exports_keep_their_laws => "export";
    names_keep_their_laws => "name";
    times_keep_their_laws => "time";
    conditions_keep_their_laws => "condition";
    #[cfg(feature = "api")]
    positions_keep_their_laws => "position";
    #[cfg(feature = "api")]
    tuples_keep_their_laws => "tuple";
}
