//! Rolled back, cloned and doubled: whatever is done with the folder of the guards, the voting key never signs two
//! statements for one step, and the checkpoint key never a smaller checkpoint or another of one size.
//!
//! A trial is a validator's life in short. Its engine remembers nothing and asks for any statement near the present height,
//! as one does whose own log was lost. Meanwhile its operator kills it, starts it twice, copies its home and runs the
//! copy beside it, puts back a copy from earlier, or writes one over the home's own files. Who starts is told what the others saw last,
//! as every validator is before it signs. Every signature that ever left any of the processes is
//! remembered here. 200 trials, or as many as `WRIT_TWINS` says; the seed is printed, and taken from `WRIT_SEED`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use writ_node::guard::{CheckpointGuard, GuardFileError, Learned, SignGuard, SignGuardError};
use writ_proto::certificate::{Proposal, Vote, VoteKind};
use writ_proto::checkpoint::{Checkpoint, Cosignature};
use writ_proto::hash::Digest;
use writ_proto::key::{SecretKey, Signature};

const CHAIN: Digest = Digest([7; 32]);
/// What happens in a trial.
const EVENTS: usize = 60;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn place(&mut self, bound: usize) -> usize {
        self.below(bound as u64) as usize
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, expected a number")))
}

fn secret() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

/// A height, a round, and 0 to 2 for proposal, prevote and precommit.
type Step = (u64, u32, u8);
/// What a statement says: a value or none, and a proposal's valid round.
type Said = (Option<Digest>, Option<u32>);

/// How often what happened.
#[derive(Debug, Default)]
struct Tally {
    signed: u64,
    refused: u64,
    said_again: u64,
    in_use: u64,
    copied: u64,
    opened: u64,
    cosigned: u64,
    overwritten: u64,
    learned: u64,
}

/// A validator's home, copies of it, and the processes that run there.
struct Trial {
    folder: TempDir,
    copies: Vec<PathBuf>,
    made: usize,
    running: Vec<(SignGuard, CheckpointGuard)>,
    /// All that was ever signed.
    signed: BTreeMap<Step, (Said, Signature)>,
    height: u64,
    /// The largest checkpoint that was ever cosigned.
    cosigned: Option<Cosignature>,
    /// The clock, in seconds.
    time: u64,
}

impl Trial {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("home")).unwrap();
        SignGuard::create(&folder.path().join("home"), &CHAIN, &secret().public()).unwrap();
        CheckpointGuard::create(&folder.path().join("home"), &CHAIN, &checkpoint_secret().public()).unwrap();
        let (copies, running, signed) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { folder, copies, made: 0, running, signed, height: 1, cosigned: None, time: 1 }
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn run(mut self, random: &mut Random, tally: &mut Tally) {
        for _ in 0..EVENTS {
            self.time += random.below(3);
            match random.below(24) {
                0 => self.running.clear(),
                1 | 2 => self.copy(),
                // Where the copy lies now, its process may run beside that of the home.
                3 => self.start(&self.a_copy(random), tally),
                // The old one may still run: it holds files that no longer have a name.
                4 => {
                    let copy = self.a_copy(random);
                    self.put_back(&copy);
                }
                5 | 6 => self.start(&self.home(), tally),
                7 => {
                    // Whoever ran there is gone: nobody writes over the files of a process and lets it go on.
                    self.running.clear();
                    overwrite_folder(&self.a_copy(random), &self.home());
                    tally.overwritten += 1;
                    self.start(&self.home(), tally);
                }
                8..=12 => self.cosign(random, tally),
                _ => self.ask(random, tally),
            }
        }
    }

    fn a_copy(&self, random: &mut Random) -> PathBuf {
        if self.copies.is_empty() { self.home() } else { self.copies[random.place(self.copies.len())].clone() }
    }

    fn copy(&mut self) {
        self.made += 1;
        let copy = self.folder.path().join(format!("copy{}", self.made));
        copy_folder(&self.home(), &copy);
        self.copies.push(copy);
    }

    fn put_back(&self, copy: &Path) {
        if *copy == self.home() {
            return;
        }
        fs::remove_dir_all(self.home()).unwrap();
        copy_folder(copy, &self.home());
    }

    fn start(&mut self, home: &Path, tally: &mut Tally) {
        match SignGuard::open(home, &CHAIN, secret()) {
            Ok(guard) => {
                let checkpoints = CheckpointGuard::open(home, &CHAIN, checkpoint_secret()).unwrap();
                tally.opened += 1;
                tally.learned += u64::from(self.tell(&guard, &checkpoints));
                self.running.push((guard, checkpoints));
            }
            Err(SignGuardError::Copied { .. }) => tally.copied += 1,
            Err(SignGuardError::File(GuardFileError::InUse { .. })) => tally.in_use += 1,
            Err(error) => panic!("{error}"),
        }
    }

    /// Who starts is told what the others saw last; gives whether that was new to it.
    fn tell(&self, guard: &SignGuard, checkpoints: &CheckpointGuard) -> bool {
        let voter = guard.public_key().id();
        let mut is_new = false;
        if let Some(((height, round, step), (said, signature))) = self.signed.last_key_value() {
            let (height, round, (value, valid_round)) = (*height, *round, *said);
            let learned = match step {
                0 => {
                    let value = value.unwrap();
                    guard.learn_proposal(&Proposal { height, round, value, valid_round, proposer: voter }, *signature)
                }
                kind => guard.learn_vote(&Vote { kind: kind_of(*kind), height, round, value, voter }, *signature),
            };
            is_new |= learned.unwrap() == Learned::New;
        }
        if let Some(cosigned) = &self.cosigned {
            is_new |= checkpoints.learn(cosigned).unwrap() == Learned::New;
        }
        is_new
    }

    /// Some process is to cosign a checkpoint of about the present size.
    fn cosign(&mut self, random: &mut Random, tally: &mut Tally) {
        if self.running.is_empty() {
            return;
        }
        let largest = self.cosigned.map_or(1, |one| one.size);
        let size = (largest + random.below(4)).saturating_sub(1).max(1);
        let checkpoint =
            Checkpoint { origin: "twins.example".into(), size, root: Digest([1 + random.below(2) as u8; 32]) };
        let (_, guard) = &self.running[random.place(self.running.len())];
        let Ok(given) = guard.sign(&checkpoint, size, self.time) else {
            tally.refused += 1;
            return;
        };
        tally.cosigned += 1;
        if let Some(before) = self.cosigned {
            assert!(given.size >= before.size, "a smaller checkpoint: {} after {}", given.size, before.size);
            assert!(given.size > before.size || given.root == before.root, "another checkpoint of size {}", given.size);
        }
        self.cosigned = Some(given);
    }

    /// Some process is asked for a statement near the present height.
    fn ask(&mut self, random: &mut Random, tally: &mut Tally) {
        if self.running.is_empty() {
            return;
        }
        let height = (self.height + random.below(4)).saturating_sub(2).max(1);
        let step = (height, random.below(3) as u32, random.below(3) as u8);
        let value = [Some(Digest([1; 32])), Some(Digest([2; 32])), None][random.place(3)];
        let valid_round = (step.2 == 0 && random.below(3) == 0).then_some(0);
        let (guard, _) = &self.running[random.place(self.running.len())];
        let voter = guard.public_key().id();
        let (answer, bytes, said) = match step.2 {
            0 => {
                let value = value.unwrap_or(Digest([3; 32]));
                let proposal = Proposal { height, round: step.1, value, valid_round, proposer: voter };
                (guard.sign_proposal(&proposal), proposal.signed_bytes(&CHAIN), (Some(value), valid_round))
            }
            kind => {
                let vote = Vote { kind: kind_of(kind), height, round: step.1, value, voter };
                match (guard.sign_vote(&vote), guard.said_instead(&vote)) {
                    // What the engine says then leaves the process like any other statement.
                    (Err(_), Some((earlier, signature))) => {
                        tally.said_again += 1;
                        (Ok(signature), earlier.signed_bytes(&CHAIN), (earlier.value, None))
                    }
                    (answer, _) => (answer, vote.signed_bytes(&CHAIN), (value, None)),
                }
            }
        };
        let Ok(signature) = answer else {
            tally.refused += 1;
            return;
        };
        guard.public_key().verify(&bytes, &signature).unwrap();
        tally.signed += 1;
        self.height = self.height.max(height);
        let before = self.signed.insert(step, (said, signature)).map(|(said, _)| said);
        assert!(
            before.is_none_or(|before| before == said),
            "two statements for step {step:?}: {before:?} and {said:?}"
        );
    }
}

fn checkpoint_secret() -> SecretKey {
    SecretKey::from_seed(&[2; 32])
}

fn kind_of(step: u8) -> VoteKind {
    if step == 1 { VoteKind::Prevote } else { VoteKind::Precommit }
}

/// Writes files over those of the same names, which stay where they lie.
fn overwrite_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn no_copy_of_the_guards_ever_signs_a_second_statement_or_a_smaller_checkpoint() {
    let seed = number("WRIT_SEED").unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_nanos() as u64)
    });
    println!("twins: WRIT_SEED={seed}");
    let (mut random, mut tally) = (Random(seed), Tally::default());
    let trials = number("WRIT_TWINS").unwrap_or(200);
    for _ in 0..trials {
        Trial::new().run(&mut random, &mut tally);
    }
    println!("{trials} trials: {tally:?}");
    // All that is to be tried was tried.
    let Tally { signed, refused, said_again, in_use, copied, opened, cosigned, overwritten, learned } = tally;
    let all = [signed, refused, 4 * said_again, in_use, copied, opened, cosigned, overwritten, learned];
    assert!(all.iter().all(|count| *count >= trials / 4), "too little happened");
}
