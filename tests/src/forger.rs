//! Validators who lie together: a chain of any blocks, in which every hash, link, root, vote and trailer fits, so that
//! only judging what the blocks hold can tell; or in which just one of these does not.

use writ_proto::block::{
    BLOCK_VERSION, Block, CommitLeaf, Executed, Header, Outcome, outcomes_root, records_root, validators_hash,
};
use writ_proto::certificate::{Certificate, Vote, VoteKind};
use writ_proto::codec::Blob;
use writ_proto::export::{End, Frame, Writer};
use writ_proto::genesis::Genesis;
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::{KeyId, SecretKey};
use writ_proto::merkle::{self, Frontier};
use writ_proto::record::ValidatorKeys;
use writ_proto::time::LedgerTime;

/// What a block is to hold, and what is claimed of it.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its time.
    pub time: LedgerTime,
    /// Who is said to have proposed it.
    pub proposer: KeyId,
    /// The bytes of its records, each with what is claimed to have become of it.
    pub records: Vec<(Vec<u8>, Outcome)>,
    /// The version of its header.
    pub version: u16,
    /// Who votes for it.
    pub voters: Vec<SecretKey>,
    /// The validators that are claimed to be the next height's.
    pub next_validators: Vec<ValidatorKeys>,
    /// What is wrong beside that.
    pub lie: Lie,
}

/// Something wrong beside the contents of a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    #[default]
    None,
    /// Another version in the header.
    Version,
    /// Another chain in the header.
    Chain,
    /// Another height in the header.
    Height,
    /// Another hash of the commit leaf before.
    Previous,
    /// Another root of records in the header.
    Records,
    /// Another result in the header.
    Result,
    /// Other validators next.
    NextValidators,
    /// A map, in a version without one.
    MapRoot,
    /// A log of another size.
    LogSize,
    /// A vote too few.
    Absent,
    /// The first vote of a round instead of the second.
    Prevote,
    /// A vote for no block.
    Nil,
    /// A vote of another round.
    OtherRound,
    /// A vote for another block.
    OtherBlock,
    /// A vote twice.
    Twice,
    /// A vote of a key that is no validator's.
    Stranger,
    /// Such a vote beside enough others.
    BesideStranger,
    /// A certificate that says another height.
    CertificateOfOtherHeight,
    /// A certificate that says another block.
    CertificateOfOtherBlock,
    /// No lie: all fits, in a later round than usual.
    LaterRound,
}

/// Every one of them but none.
pub const LIES: [Lie; 20] = [
    Lie::Version,
    Lie::Chain,
    Lie::Height,
    Lie::Previous,
    Lie::Records,
    Lie::Result,
    Lie::NextValidators,
    Lie::MapRoot,
    Lie::LogSize,
    Lie::Absent,
    Lie::Prevote,
    Lie::Nil,
    Lie::OtherRound,
    Lie::OtherBlock,
    Lie::Twice,
    Lie::Stranger,
    Lie::BesideStranger,
    Lie::CertificateOfOtherHeight,
    Lie::CertificateOfOtherBlock,
    Lie::LaterRound,
];

/// The export of a chain of these blocks. A lie about votes is the last voter's.
pub fn forge(genesis: &Genesis, blocks: &[Claimed]) -> Vec<u8> {
    let chain = genesis.chain_id();
    let mut log = Frontier::new();
    let mut previous = chain;
    let mut writer = Writer::new();
    let mut file = writer.header(genesis);
    for (claimed, height) in blocks.iter().zip(1..) {
        for (record, _) in &claimed.records {
            log.push(merkle::leaf_hash(record));
        }
        let mut executed = Executed {
            outcomes: outcomes_root(claimed.records.iter().map(|(_, outcome)| *outcome)),
            next_validators: validators_hash(&claimed.next_validators),
            map_root: Digest::ZERO,
            log_size: log.size(),
            log_root: log.root(),
        };
        match claimed.lie {
            Lie::MapRoot => executed.map_root.0[0] ^= 1,
            Lie::NextValidators => executed.next_validators.0[0] ^= 1,
            Lie::LogSize => executed.log_size += 1,
            _ => {}
        }
        let mut header = Header {
            version: claimed.version,
            chain,
            height,
            previous,
            time: claimed.time,
            proposer: claimed.proposer,
            records: records_root(claimed.records.iter().map(|(record, _)| record.as_slice())),
            result: executed.hash(),
        };
        match claimed.lie {
            Lie::Version => header.version += 1,
            Lie::Chain => header.chain.0[31] ^= 1,
            Lie::Height => header.height += 1,
            Lie::Previous => header.previous.0[31] ^= 1,
            Lie::Records => header.records.0[31] ^= 1,
            Lie::Result => header.result.0[31] ^= 1,
            _ => {}
        }
        let certificate = certify(&chain, &claimed.voters, height, header.hash(), claimed.lie);
        let leaf = CommitLeaf { version: BLOCK_VERSION, header: header.clone(), executed };
        previous = leaf.hash();
        log.push(previous);
        let records = claimed.records.iter().map(|(record, _)| Blob(record.clone())).collect();
        let block = Block { header, records };
        file.extend(writer.frame(&Frame { block: Blob(block.encode()), certificate }));
    }
    let height = blocks.len() as u64;
    file.extend(writer.trailer(End { height, log_size: log.size(), log_root: log.root(), commit_leaf: previous }));
    file
}

fn certify(chain: &Digest, voters: &[SecretKey], height: u64, block: Digest, lie: Lie) -> Certificate {
    let round = if lie == Lie::LaterRound { 7 } else { 0 };
    let vote = |kind, height, round, value, voter: &SecretKey| {
        let vote = Vote { kind, height, round, value, voter: voter.public().id() };
        (vote.voter, voter.sign_in(Domain::Vote, &vote.signed_bytes(chain)))
    };
    let good = |voter: &SecretKey| vote(VoteKind::Precommit, height, round, Some(block), voter);
    let (last, others) = voters.split_last().expect("somebody votes");
    let mut signatures: Vec<_> = others.iter().map(good).collect();
    let stranger = SecretKey::from_seed(&[250; 32]);
    match lie {
        Lie::Absent => {}
        Lie::Prevote => signatures.push(vote(VoteKind::Prevote, height, round, Some(block), last)),
        Lie::Nil => signatures.push(vote(VoteKind::Precommit, height, round, None, last)),
        Lie::OtherRound => signatures.push(vote(VoteKind::Precommit, height, round + 1, Some(block), last)),
        Lie::OtherBlock => signatures.push(vote(VoteKind::Precommit, height, round, Some(*chain), last)),
        Lie::Twice => signatures.extend(others.first().map(good)),
        Lie::Stranger => signatures.push(good(&stranger)),
        Lie::BesideStranger => signatures.extend([good(last), good(&stranger)]),
        _ => signatures.push(good(last)),
    }
    let (height, block) = match lie {
        Lie::CertificateOfOtherHeight => (height + 1, block),
        Lie::CertificateOfOtherBlock => (height, *chain),
        _ => (height, block),
    };
    Certificate { height, round, block, signatures }
}
