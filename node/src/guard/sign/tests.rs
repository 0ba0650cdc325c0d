use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;

const CHAIN: Digest = Digest([7; 32]);

fn secret() -> SecretKey {
    SecretKey::from_seed(&[1; 32])
}

fn begun() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    SignGuard::create(dir.path(), &CHAIN, &secret().public()).unwrap();
    dir
}

fn open(dir: &Path) -> Result<SignGuard, SignGuardError> {
    SignGuard::open(dir, &CHAIN, secret())
}

/// A statement in short: height, round, step, value (0: none), valid round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ask(u64, u32, Step, u8, Option<u32>);

const fn proposal(height: u64, round: u32, value: u8) -> Ask {
    Ask(height, round, Step::Proposal, value, None)
}

const fn prevote(height: u64, round: u32, value: u8) -> Ask {
    Ask(height, round, Step::Prevote, value, None)
}

const fn precommit(height: u64, round: u32, value: u8) -> Ask {
    Ask(height, round, Step::Precommit, value, None)
}

fn value(n: u8) -> Option<Digest> {
    (n > 0).then_some(Digest([n; 32]))
}

fn voter() -> KeyId {
    secret().public().id()
}

impl Ask {
    fn signed_bytes(&self) -> Vec<u8> {
        let Self(height, round, step, n, valid_round) = *self;
        match step {
            Step::Proposal => self.proposal(height, round, n, valid_round).signed_bytes(&CHAIN),
            Step::Prevote | Step::Precommit => self.vote(height, round, step, n).signed_bytes(&CHAIN),
        }
    }

    fn vote(&self, height: u64, round: u32, step: Step, n: u8) -> Vote {
        let kind = if step == Step::Prevote { VoteKind::Prevote } else { VoteKind::Precommit };
        Vote { kind, height, round, value: value(n), voter: voter() }
    }

    fn proposal(&self, height: u64, round: u32, n: u8, valid_round: Option<u32>) -> Proposal {
        Proposal { height, round, value: Digest([n; 32]), valid_round, proposer: voter() }
    }

    fn of(&self, guard: &SignGuard) -> Result<Signature, SignRefused> {
        let Self(height, round, step, n, valid_round) = *self;
        match step {
            Step::Proposal => guard.sign_proposal(&self.proposal(height, round, n, valid_round)),
            Step::Prevote | Step::Precommit => guard.sign_vote(&self.vote(height, round, step, n)),
        }
    }
}

#[test]
fn steps_go_forward_and_what_was_signed_is_signed_again_alike() {
    let dir = begun();
    let mut guard = open(dir.path()).unwrap();
    let reproposal = Ask(5, 3, Step::Proposal, 1, Some(2));
    #[derive(Debug, PartialEq)]
    enum Want {
        Signed,
        Again,
        Behind,
        Conflict,
    }
    use Want::{Again, Behind, Conflict, Signed};
    for (case, ask, want) in [
        ("the first", prevote(5, 1, 1), Signed),
        ("the same", prevote(5, 1, 1), Again),
        ("another value", prevote(5, 1, 2), Conflict),
        ("nil instead", prevote(5, 1, 0), Conflict),
        ("an earlier step", proposal(5, 1, 1), Behind),
        ("an earlier round", precommit(5, 0, 1), Behind),
        ("a lower height", precommit(4, 9, 1), Behind),
        ("the next step, nil", precommit(5, 1, 0), Signed),
        ("a value instead of nil", precommit(5, 1, 1), Conflict),
        ("nil again", precommit(5, 1, 0), Again),
        ("the step before, again", prevote(5, 1, 1), Again),
        ("the step before, otherwise", prevote(5, 1, 2), Conflict),
        ("a later round", reproposal, Signed),
        ("the same proposal", reproposal, Again),
        ("with another valid round", Ask(5, 3, Step::Proposal, 1, Some(1)), Conflict),
        ("with none", proposal(5, 3, 1), Conflict),
        ("a round that was passed over", prevote(5, 2, 1), Behind),
        ("two rounds back, again", prevote(5, 1, 1), Again),
        ("the next height", prevote(6, 0, 1), Signed),
        ("the height before, even what was signed", reproposal, Behind),
    ] {
        let syncs = guard.syncs();
        let found = match ask.of(&guard) {
            Ok(signature) => {
                guard.public_key().verify(&ask.signed_bytes(), &signature).unwrap();
                if guard.syncs() > syncs { Signed } else { Again }
            }
            Err(SignRefused::Behind { .. }) => Behind,
            Err(SignRefused::Conflict { .. }) => Conflict,
            Err(other) => panic!("{case}: {other}"),
        };
        assert_eq!(found, want, "{case}");
        // All of it survives a restart.
        drop(guard);
        guard = open(dir.path()).unwrap();
        assert_eq!(guard.syncs(), 0);
    }
    let (height, last) = guard.last().unwrap().unwrap();
    assert_eq!((height, last.round, last.step, last.value), (6, 0, Step::Prevote, value(1)));
}

#[test]
fn a_vote_is_said_again_in_the_place_of_another_of_its_step_unless_it_binds() {
    let dir = begun();
    let guard = open(dir.path()).unwrap();
    let signed = [prevote(5, 0, 1), precommit(5, 0, 0), prevote(5, 1, 0), precommit(5, 1, 2)];
    let signatures = signed.map(|ask| ask.of(&guard).unwrap());
    let vote = |Ask(height, round, step, n, _): Ask| prevote(height, round, 0).vote(height, round, step, n);
    for (case, wanted, instead) in [
        ("nil where a block was voted for", prevote(5, 0, 0), Some(0)),
        ("another block", prevote(5, 0, 2), Some(0)),
        ("the same", prevote(5, 0, 1), Some(0)),
        ("a block where it committed to none", precommit(5, 0, 1), Some(1)),
        ("a block where nil was voted", prevote(5, 1, 3), Some(2)),
        ("nil where it committed to a block", precommit(5, 1, 0), None),
        ("another block than it committed to", precommit(5, 1, 3), None),
        ("a step that was not signed", prevote(5, 2, 1), None),
        ("a lower height", prevote(4, 0, 1), None),
        ("a higher one", prevote(6, 0, 1), None),
    ] {
        let expected = instead.map(|at: usize| (vote(signed[at]), signatures[at]));
        assert_eq!(guard.said_instead(&vote(wanted)), expected, "{case}");
    }
    let strangers = Vote { voter: KeyId([9; 32]), ..vote(signed[0]) };
    assert_eq!(guard.said_instead(&strangers), None);

    // A guard that was begun anew above the height says nothing of it.
    drop(guard);
    SignGuard::adopt(dir.path(), &CHAIN, &secret().public(), 5).unwrap();
    let guard = open(dir.path()).unwrap();
    assert!(signed.iter().all(|ask| guard.said_instead(&vote(*ask)).is_none()));
}

#[test]
fn a_height_of_many_rounds_forgets_its_first_steps_and_refuses_them() {
    let dir = begun();
    let guard = open(dir.path()).unwrap();
    let asks: Vec<_> = (0..20).flat_map(|round| [prevote(1, round, 1), precommit(1, round, 0)]).collect();
    for ask in &asks {
        ask.of(&guard).unwrap();
    }
    let remembered = asks.len() - STEPS_MAX;
    for (at, ask) in asks.iter().enumerate() {
        match ask.of(&guard) {
            Ok(_) => assert!(at >= remembered, "step {at}"),
            Err(SignRefused::Behind { .. }) => assert!(at < remembered, "step {at}"),
            Err(other) => panic!("step {at}: {other}"),
        }
    }
    drop(guard);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn the_fullest_mark_fits_its_slot() {
    let dir = begun();
    let guard = open(dir.path()).unwrap();
    for round in 0..STEPS_MAX as u32 {
        Ask(u64::MAX, round, Step::Proposal, 1, Some(u32::MAX)).of(&guard).unwrap();
    }
}

#[test]
fn a_statement_of_another_key_is_not_signed() {
    let dir = begun();
    let guard = open(dir.path()).unwrap();
    let stranger = KeyId([9; 32]);
    let vote = Vote { kind: VoteKind::Prevote, height: 1, round: 0, value: None, voter: stranger };
    assert!(matches!(guard.sign_vote(&vote), Err(SignRefused::OtherVoter { found, .. }) if found == stranger));
    let proposal = Proposal { height: 1, round: 0, value: Digest::ZERO, valid_round: None, proposer: stranger };
    assert!(matches!(guard.sign_proposal(&proposal), Err(SignRefused::OtherVoter { .. })));
    assert_eq!(guard.last().unwrap(), None);
}

#[test]
fn nothing_leaves_that_is_not_on_disk() {
    for (case, device) in [("write", "/dev/full"), ("fsync", "/dev/null")] {
        let dir = begun();
        let guard = open(dir.path()).unwrap();
        prevote(1, 0, 1).of(&guard).unwrap();
        let broken = fs::OpenOptions::new().write(true).open(device).unwrap();
        guard.file.lock().unwrap().write_to(broken);
        let refused = precommit(1, 0, 1).of(&guard);
        assert!(matches!(refused, Err(SignRefused::NotKept(GuardFileError::Io { .. }))), "{case}: {refused:?}");
        // Refused for ever, whatever the disk does now; what was signed before may be said again.
        let good = fs::OpenOptions::new().read(true).write(true).open(SignGuard::path(dir.path())).unwrap();
        guard.file.lock().unwrap().write_to(good);
        for ask in [precommit(1, 0, 1), prevote(2, 0, 1)] {
            let refused = ask.of(&guard);
            assert!(matches!(refused, Err(SignRefused::NotKept(GuardFileError::Failed { .. }))), "{case}: {refused:?}");
        }
        assert!(prevote(1, 0, 1).of(&guard).is_ok());
    }
}

#[test]
fn a_missing_guard_is_never_made_by_opening() {
    let dir = begun();
    let again = SignGuard::create(dir.path(), &CHAIN, &secret().public());
    assert!(matches!(again, Err(SignGuardError::File(GuardFileError::Exists { .. }))));
    fs::remove_file(SignGuard::path(dir.path())).unwrap();
    let missing = open(dir.path()).unwrap_err();
    assert!(matches!(missing, SignGuardError::GuardMissing { .. }), "{missing}");
    assert!(!SignGuard::path(dir.path()).exists());
}

#[test]
fn a_guard_of_another_key_or_chain_or_in_use_is_refused() {
    let dir = begun();
    let other = SignGuard::open(dir.path(), &CHAIN, SecretKey::from_seed(&[2; 32])).unwrap_err();
    assert!(matches!(other, SignGuardError::OtherKey { expected, .. } if expected != voter()), "{other}");
    let other = SignGuard::open(dir.path(), &Digest([8; 32]), secret()).unwrap_err();
    assert!(matches!(other, SignGuardError::File(GuardFileError::OtherChain { .. })), "{other}");
    let _first = open(dir.path()).unwrap();
    let second = open(dir.path()).unwrap_err();
    assert!(matches!(second, SignGuardError::File(GuardFileError::InUse { .. })), "{second}");
}

#[test]
fn a_damaged_byte_loses_nothing_and_two_refuse() {
    let dir = begun();
    let path = SignGuard::path(dir.path());
    let guard = open(dir.path()).unwrap();
    prevote(5, 1, 1).of(&guard).unwrap();
    precommit(5, 1, 1).of(&guard).unwrap();
    drop(guard);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let guard = open(dir.path()).unwrap();
        for ask in [prevote(5, 1, 2), precommit(5, 1, 0)] {
            assert!(matches!(ask.of(&guard), Err(SignRefused::Conflict { .. })), "byte {at}");
        }
        drop(guard);
        bytes[(at + 4096) % 8192] ^= 1;
        bytes[at] = whole[at] ^ 1;
        fs::write(&path, &bytes).unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(matches!(refused, SignGuardError::File(GuardFileError::Damaged { .. })), "byte {at}: {refused}");
    }
}

#[test]
fn a_copied_or_restored_guard_signs_nothing_until_it_is_adopted() {
    let dir = begun();
    let path = SignGuard::path(dir.path());
    let guard = open(dir.path()).unwrap();
    prevote(5, 0, 1).of(&guard).unwrap();
    let backup = fs::read(&path).unwrap();
    precommit(5, 0, 1).of(&guard).unwrap();
    prevote(6, 0, 1).of(&guard).unwrap();
    drop(guard);

    // A twin in another home, and the backup put back in its own.
    let twin = tempfile::tempdir().unwrap();
    fs::copy(&path, SignGuard::path(twin.path())).unwrap();
    let restored = tempfile::tempdir().unwrap();
    fs::write(SignGuard::path(restored.path()), backup).unwrap();
    for home in [twin.path(), restored.path()] {
        let refused = open(home).unwrap_err();
        assert!(matches!(refused, SignGuardError::Copied { .. }), "{refused}");
    }
    // The original goes on, also under another name.
    let moved = dir.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::rename(&path, SignGuard::path(&moved)).unwrap();
    precommit(6, 0, 1).of(&open(&moved).unwrap()).unwrap();

    let adopt = |home: &Path, floor| SignGuard::adopt(home, &CHAIN, &secret().public(), floor);
    let low = adopt(twin.path(), 5).unwrap_err();
    assert!(matches!(low, SignGuardError::FloorTooLow { floor: 5, signed: 6 }), "{low}");
    adopt(restored.path(), 16).unwrap();
    let guard = open(restored.path()).unwrap();
    for ask in [precommit(5, 0, 2), prevote(6, 0, 2), prevote(16, 9, 1)] {
        assert!(matches!(ask.of(&guard), Err(SignRefused::BelowFloor { floor: 16, .. })), "{ask:?}");
    }
    prevote(17, 0, 1).of(&guard).unwrap();
    drop(guard);
    assert!(adopt(restored.path(), 16).is_err(), "the floor lies above what was signed since");
}

#[test]
fn a_guard_begun_anew_starts_above_its_floor() {
    let dir = tempfile::tempdir().unwrap();
    SignGuard::create_above(dir.path(), &CHAIN, &secret().public(), 100).unwrap();
    let guard = open(dir.path()).unwrap();
    assert!(matches!(prevote(100, 0, 1).of(&guard), Err(SignRefused::BelowFloor { height: 100, floor: 100 })));
    prevote(101, 0, 1).of(&guard).unwrap();
}

#[test]
fn a_peer_claim_is_signed_under_its_own_tag_and_uses_no_step() {
    let dir = begun();
    let guard = open(dir.path()).unwrap();
    let key = guard.public_key();
    let signature = guard.sign_peer_claim(b"peer");
    let bytes = [b"writ/peer/v1\0".as_slice(), &CHAIN.0, &key.0, b"peer"].concat();
    key.verify(&bytes, &signature).unwrap();
    assert_eq!((guard.last().unwrap(), guard.syncs()), (None, 0));
}

#[test]
fn the_bytes_are_pinned() {
    let mark = SignMark {
        key: KeyId([1; 32]),
        place: Place { inode: 2, born: Some(3) },
        floor: 4,
        height: 258,
        steps: vec![
            SignedStep {
                round: 0,
                step: Step::Proposal,
                value: value(5),
                valid_round: Some(6),
                signature: Signature([7; 64]),
            },
            SignedStep {
                round: 1,
                step: Step::Precommit,
                value: None,
                valid_round: None,
                signature: Signature([8; 64]),
            },
        ],
    };
    let golden = [
        &"01".repeat(32),
        "0200000000000000",
        "010300000000000000",
        "0400000000000000",
        "0201000000000000",
        "0200000000000000",
        &["00000000", "00000000", "01", &"05".repeat(32), "0106000000", &"07".repeat(64)].concat(),
        &["01000000", "02000000", "00", "00", &"08".repeat(64)].concat(),
    ];
    assert_eq!(hex::encode(writ_proto::codec::encode(&mark)), golden.concat());
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let step = prop_oneof![Just(Step::Proposal), Just(Step::Prevote), Just(Step::Precommit)];
    (1..4_u64, 0..3_u32, step, 0..3_u8, prop::option::of(0..2_u32)).prop_map(|(height, round, step, n, valid_round)| {
        match step {
            Step::Proposal => Ask(height, round, step, n.max(1), valid_round),
            _ => Ask(height, round, step, n, None),
        }
    })
}

/// What may happen between two questions.
#[derive(Clone, Copy, Debug)]
enum Event {
    Nothing,
    Restart,
    /// The newest write is torn in the slot of this parity, as far as a crash can do that.
    Torn(bool),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is asked, in whatever order, over restarts and torn files: of all signatures that ever left, no two
    /// are for different statements of one step, none is for a step before one that left, and nothing that could be
    /// signed is refused.
    #[test]
    fn no_two_statements_for_one_step_ever_leave(
        script in prop::collection::vec(
            (any_ask(), prop_oneof![4 => Just(Event::Nothing), 1 => Just(Event::Restart), 1 => any::<bool>().prop_map(Event::Torn)]),
            1..40,
        ),
    ) {
        let dir = begun();
        let mut guard = open(dir.path()).unwrap();
        let mut left: BTreeMap<(u64, u32, Step), (Ask, Signature)> = BTreeMap::new();
        for (ask, event) in script {
            let at = (ask.0, ask.1, ask.2);
            let highest = left.last_key_value().map(|(at, _)| *at);
            match ask.of(&guard) {
                Ok(signature) => {
                    prop_assert!(secret().public().verify(&ask.signed_bytes(), &signature).is_ok());
                    match left.get(&at) {
                        Some(before) => prop_assert_eq!(*before, (ask, signature)),
                        None => prop_assert!(highest.is_none_or(|highest| at > highest), "{at:?} after {highest:?}"),
                    }
                    left.insert(at, (ask, signature));
                }
                Err(refused) => {
                    let is_new = highest.is_none_or(|highest| at > highest);
                    let is_same = left.get(&at).is_some_and(|(before, _)| *before == ask) && highest.is_some_and(|highest| highest.0 == at.0);
                    prop_assert!(!is_new && !is_same, "{refused}");
                }
            }
            match event {
                Event::Nothing => {}
                Event::Restart => {
                    drop(guard);
                    guard = open(dir.path()).unwrap();
                }
                Event::Torn(slot) => {
                    drop(guard);
                    let path = SignGuard::path(dir.path());
                    let mut bytes = fs::read(&path).unwrap();
                    bytes[usize::from(slot) * 4096 + 300] ^= 0x55;
                    fs::write(&path, bytes).unwrap();
                    guard = open(dir.path()).unwrap();
                }
            }
        }
    }
}

#[test]
fn what_others_have_kept_is_signed_no_second_time() {
    // The same key signed on elsewhere; then this guard was put back as it was.
    let elsewhere = begun();
    let other = open(elsewhere.path()).unwrap();
    let learn = |guard: &SignGuard, ask: Ask, signature: Signature| match ask.2 {
        Step::Proposal => guard.learn_proposal(&ask.proposal(ask.0, ask.1, ask.3, ask.4), signature).unwrap(),
        Step::Prevote | Step::Precommit => guard.learn_vote(&ask.vote(ask.0, ask.1, ask.2, ask.3), signature).unwrap(),
    };
    let later = [proposal(7, 1, 4), prevote(7, 1, 4), precommit(7, 1, 0)];
    let signatures = later.map(|ask| ask.of(&other).unwrap());
    let dir = begun();
    let guard = open(dir.path()).unwrap();
    let own = prevote(5, 0, 1);
    let own_signature = own.of(&guard).unwrap();
    assert_eq!(learn(&guard, own, own_signature), Learned::Known);

    assert_eq!(learn(&guard, later[1], signatures[1]), Learned::New);
    assert_eq!(later[1].of(&guard).unwrap(), signatures[1], "it gives what was signed");
    for refused in [prevote(7, 1, 5), prevote(7, 1, 0), proposal(7, 1, 4), precommit(6, 9, 1), prevote(5, 0, 1)] {
        assert!(refused.of(&guard).is_err(), "{refused:?}");
    }
    assert_eq!(learn(&guard, later[0], signatures[0]), Learned::Known, "nothing is signed there any more");
    assert_eq!(learn(&guard, later[2], signatures[2]), Learned::New);
    drop(guard);
    let guard = open(dir.path()).unwrap();
    assert!(precommit(7, 1, 4).of(&guard).is_err(), "it is on disk");
    assert!(prevote(7, 2, 4).of(&guard).is_ok(), "what comes after it is free");
}

#[test]
fn nobody_teaches_a_guard_what_its_key_did_not_sign() {
    let (dir, elsewhere) = (begun(), begun());
    let (guard, other) = (open(dir.path()).unwrap(), open(elsewhere.path()).unwrap());
    let ask = prevote(9, 0, 1);
    let signature = ask.of(&other).unwrap();
    let vote = ask.vote(9, 0, Step::Prevote, 1);
    let stranger = SecretKey::from_seed(&[2; 32]);
    let in_its_name = Vote { voter: stranger.public().id(), ..vote };
    let theirs = stranger.sign_in(Domain::Vote, &in_its_name.signed_bytes(&CHAIN));
    for (case, vote, signature) in [
        ("another key's", in_its_name, theirs),
        ("another's signature", vote, theirs),
        ("another value", Vote { value: None, ..vote }, signature),
        ("another height", Vote { height: u64::MAX, ..vote }, signature),
    ] {
        assert_eq!(guard.learn_vote(&vote, signature).unwrap(), Learned::Foreign, "{case}");
    }
    assert!(prevote(9, 0, 2).of(&guard).is_ok(), "so it has learned nothing");
    assert_eq!(guard.learn_vote(&vote, signature).unwrap(), Learned::Conflict, "and this is a second statement");
}
