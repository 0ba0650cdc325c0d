//! Chains that change themselves: their validators, their parameters, the protocol they are under. The audit follows
//! the honest ones, and names what is wrong with the others.

use writ_proto::audit::{Auditor, Finding, Part, audit_export};
use writ_proto::block::{Block, Executed, validators_hash};
use writ_proto::certificate::VoteKind;
use writ_proto::codec::Blob;
use writ_proto::export::{End, Frame};
use writ_proto::genesis::{PROTOCOL, Parameters};
use writ_proto::limits::ACTIVATION_LEAD_MIN;
use writ_proto::record::{Body, Effect, ParameterChange, ValidatorChange, ValidatorKeys};
use writ_proto::refusal::Code;
use writ_proto::state::State;

use crate::chain::{Chain, access, certify, export_parts, genesis, joining, key, time, validator};

/// The first version that this program does not speak.
const NEXT: u32 = PROTOCOL + 1;

fn voter(n: u8) -> writ_proto::key::KeyId {
    key(100 + n).public().id()
}

fn change(change: ValidatorChange) -> Body {
    Body::Validator(change)
}

/// Four validators; the fifth comes in block 2, in block 3 the first gets a new voting key, in block 4 the second goes.
fn moving() -> Chain {
    let mut chain = Chain::new(4);
    let id = *chain.state.chain();
    chain.append(1000, &[]);
    let renewed = ValidatorKeys { vote: joining(&id, 5).vote, ..validator(0) };
    let changes = [
        ValidatorChange::Add(joining(&id, 4)),
        ValidatorChange::Replace { old: voter(0), new: renewed },
        ValidatorChange::Remove(voter(1)),
    ];
    for (body, n) in changes.into_iter().zip(2..) {
        let record = chain.rule(change(body), n * 1000);
        chain.append(n * 1000, &[record]);
    }
    chain.append(5000, &[]);
    chain
}

fn audit(chain: &Chain) -> Result<State, Finding> {
    let file = export_parts(chain.state.genesis(), &chain.frames, End::of(&chain.state)).concat();
    audit_export([file], Some(chain.state.chain())).map(|audited| audited.state)
}

/// The chain with the block of `height` voted for by these instead.
fn voted_by(chain: &Chain, height: u64, voters: &[u8]) -> Chain {
    let mut forged = chain.clone();
    let frame = &mut forged.frames[height as usize - 1];
    let block = frame.certificate.block;
    frame.certificate = certify(chain.state.chain(), height, block, VoteKind::Precommit, voters);
    forged
}

fn refused(what: &str, chain: &Chain, height: u64, part: Part, code: Option<Code>) {
    let found = audit(chain).map(drop).expect_err(what);
    assert_eq!((found.height, found.part, found.code), (Some(height), part, code), "{what}: {found}");
}

#[test]
fn each_block_is_decided_by_the_validators_of_its_height() {
    let chain = moving();
    let state = audit(&chain).expect("a good chain");
    assert_eq!(state.validators(), chain.state.validators());
    assert_eq!(state.proposing_order(), chain.state.proposing_order());
    let names: Vec<_> = state.validators().iter().map(|validator| validator.name.to_string()).collect();
    assert_eq!(names, ["validator0", "validator2", "validator3", "validator4"]);

    for (what, height, voters, good) in [
        ("those who were there when it was added", 2, &[0, 1, 2][..], true),
        ("the new one before it counts", 2, &[1, 2, 4], false),
        ("five need four", 3, &[0, 1, 2], false),
        ("the new one among them", 3, &[0, 1, 2, 4], true),
        ("the old key in the block that replaces it", 3, &[0, 2, 3, 4], true),
        ("the new key in that block", 3, &[5, 2, 3, 4], false),
        ("the new key in the next", 4, &[5, 1, 2, 3], true),
        ("the old key in the next", 4, &[0, 1, 2, 3], false),
        ("who is removed, in that block", 4, &[1, 2, 3, 4], true),
        ("who was removed", 5, &[1, 2, 3], false),
        ("who was removed, beside a quorum", 5, &[1, 2, 3, 4], false),
        ("the validators of the genesis", 5, &[0, 1, 2, 3], false),
        ("those who are left", 5, &[5, 3, 4], true),
    ] {
        let forged = voted_by(&chain, height, voters);
        if good {
            assert!(audit(&forged).is_ok(), "{what}");
        } else {
            refused(what, &forged, height, Part::Certificate, None);
        }
    }
}

/// The chain up to `height`, whose last block is changed and signed anew: all who vote lie together.
fn twisted(chain: &Chain, height: u64, twist: impl Fn(&mut Block, &mut Executed)) -> Chain {
    let mut forged = Chain::new(4);
    let mut auditor = Auditor::new(chain.state.genesis().clone()).expect("a good genesis");
    for frame in &chain.frames[..height as usize - 1] {
        auditor.block(frame).expect("a good block");
        forged.frames.push(frame.clone());
    }
    let mut block = Block::decode(&chain.frames[height as usize - 1].block.0).expect("a block");
    let records = block.records.iter().map(|record| writ_proto::audit::verify_record(auditor.state(), &record.0));
    let records: Vec<_> = records.collect::<Result<_, _>>().expect("good records");
    let changes = auditor.state().execute(&block, records).expect("a good block");
    let mut executed = changes.leaf.executed;
    twist(&mut block, &mut executed);
    block.header.result = executed.hash();
    forged.state = auditor.into_state();
    let certificate = certify(chain.state.chain(), height, block.header.hash(), VoteKind::Precommit, &forged.voters());
    forged.frames.push(Frame { block: Blob(block.encode()), certificate });
    forged
}

#[test]
fn a_lie_about_who_comes_next_or_who_proposed_is_found() {
    let chain = moving();
    assert!(audit(&chain).is_ok());
    let genesis_set = validators_hash(&genesis(4).validators);
    let end_set = validators_hash(chain.state.validators());
    for (what, height, hash) in [
        ("a change that is said to have done nothing", 2, genesis_set),
        ("a change before its time", 1, end_set),
        ("the end of the story at its start", 2, end_set),
        ("a removal undone", 5, genesis_set),
    ] {
        let forged = twisted(&chain, height, |_, executed| executed.next_validators = hash);
        refused(what, &forged, height, Part::Header("result"), None);
    }
    for (what, height, proposer) in [
        ("who is not there yet", 1, 4),
        ("who is added by this block", 2, 4),
        ("a key that this block brings", 3, 5),
        ("a key that was replaced", 4, 0),
        ("who was removed", 5, 1),
    ] {
        let forged = twisted(&chain, height, |block, _| block.header.proposer = voter(proposer));
        refused(what, &forged, height, Part::Header("proposer"), None);
    }
}

#[test]
fn parameters_hold_from_the_block_after_their_record() {
    let mut chain = Chain::new(1);
    let short = Parameters { submit_ahead_ms_max: 60_000, ..Parameters::default() };
    let set = chain.rule(Body::Parameter(ParameterChange::Set(short.clone())), 1000);
    let grant = |chain: &mut Chain, sub: &str| {
        // To be submitted within an hour of block time 1000.
        chain.sign("org1", Body::Access(access(Effect::Grant, sub, "read", "file:plan")), 1000)
    };
    let (same, later) = (grant(&mut chain, "user:alice"), grant(&mut chain, "user:bob"));
    chain.append(1000, &[set, same]);
    let state = audit(&chain).expect("a good chain");
    assert_eq!((state.parameters(), &state.genesis().parameters), (&short, &Parameters::default()));
    let verified = chain.state.verify(later).expect("good signatures");
    assert_eq!(chain.state.admit(&verified, time(2000)).unwrap_err().code, Code::ExpiredSubmission);
    assert!(chain.state.admit(&verified, time(1000 + 3_600_000 - 60_000)).is_ok(), "its time comes near enough");
}

#[test]
fn an_audit_that_does_not_speak_a_protocol_says_so_at_its_first_block() {
    let mut chain = Chain::new(4);
    chain.state = State::new(genesis(4)).expect("a good genesis").speaking(NEXT);
    let first = 1 + ACTIVATION_LEAD_MIN;
    let activation = chain.rule(Body::Parameter(ParameterChange::Activate { protocol: NEXT, height: first }), 1000);
    chain.append(1000, &[activation]);
    for height in 2..first {
        chain.append(height * 1000, &[]);
    }
    assert!(audit(&chain).is_ok(), "the activation itself and all before its height is for everybody");
    chain.append(first * 1000, &[]);
    refused("a block of the future", &chain, first, Part::Header("version"), Some(Code::Unsupported));
    // Whatever stands there: nothing of it can be told.
    let mut garbage = chain.clone();
    garbage.frames[first as usize - 1].block = Blob(b"a block of another kind".to_vec());
    refused("something", &garbage, first, Part::Header("version"), Some(Code::Unsupported));

    // A newer build follows, and holds the chain to it.
    let newer = || Auditor::resume(State::new(genesis(4)).expect("a good genesis").speaking(NEXT));
    let run = |frames: &[Frame]| {
        let mut auditor = newer();
        frames.iter().try_for_each(|frame| auditor.block(frame).map(drop)).map(|()| auditor.into_state())
    };
    let state = run(&chain.frames).expect("a good chain");
    assert_eq!((state.tip(), state.next_protocol()), (chain.state.tip(), Ok(NEXT)));
    for (at, version) in [(first, 1), (first, 2), (first, 4), (first - 1, 2), (first - 1, 3)] {
        let mut frames = chain.frames[..at as usize].to_vec();
        let last = frames.last_mut().expect("a block");
        let mut block = Block::decode(&last.block.0).expect("a block");
        block.header.version = version;
        let hash = block.header.hash();
        *last = Frame {
            block: Blob(block.encode()),
            certificate: certify(chain.state.chain(), at, hash, VoteKind::Precommit, &[1, 2, 3]),
        };
        let found = run(&frames).map(drop).unwrap_err();
        assert_eq!((found.height, found.part), (Some(at), Part::Header("version")), "{found}");
    }
}
