//! The deterministic state machine: a block in; changes, outcomes and `result` out.
//!
//! ```text
//!   bytes --Signed::decode--> Signed --State::verify--> Verified --State::admit--> may be pooled
//!   pooled records --State::build--> a block and its Changes          (the proposer)
//!   a block        --State::execute--> its Changes, or why it is invalid  (every voter and auditor)
//!   decided        --State::commit(Changes)--> the next state
//! ```
//!
//! Nothing here performs anything: [`State::build`] and [`State::execute`] only read, and return what is to
//! be stored. [`State::commit`] takes the changes over into memory. All of it follows from the genesis and
//! the blocks, so it can be rebuilt at any time.

mod authority;
mod changes;
mod execution;
mod overlay;
mod protocol;
mod set;
mod signers;
mod turns;
mod validators;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use hashbrown::HashMap;

pub use authority::{Authorities, Authority, KnownKey};
pub use changes::{Changes, Placed};
pub use protocol::{Activation, UnsupportedProtocol};

use crate::block::{Block, Header, records_root};
use crate::codec::Blob;
use crate::genesis::{Genesis, PROTOCOL, Parameters};
use crate::hash::Digest;
use crate::index::{EntryOrdinal, HashKey, Index, NewEntry};
use crate::key::{KeyId, PublicKey, Signature};
use crate::limits::{BLOCK_BYTES_MAX, BLOCK_RECORDS_MAX};
use crate::merkle::Frontier;
use crate::record::{AtomicSet, Body, Made, RecordId, Signed, ValidatorKeys, Verified};
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;
use execution::{Execution, Judgement};
pub(crate) use execution::{not_ones_own, too_many_grants, too_many_memberships};
use overlay::Overlay;
use protocol::Protocols;
use turns::Turns;
use validators::Validators;

/// The last block, as the next one needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height; 0 before block 1.
    pub height: u64,
    /// Its time; before block 1 the genesis time.
    pub time: LedgerTime,
    /// Leaf hash of its commit leaf; before block 1 the chain id.
    pub commit_leaf: Digest,
    /// Its hash; before block 1 the chain id.
    pub block: Digest,
}

/// A record that is in the log, or an entry that a set in the log made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Its leaf.
    pub index: u64,
    /// Its access entry, if it is one that was accepted.
    pub entry: Option<EntryOrdinal>,
}

/// A revocation of a grant that came before its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) authority: u32,
    pub(crate) index: u64,
}

/// Everything that follows from the genesis and the blocks so far.
#[derive(Clone, Debug)]
pub struct State {
    genesis: Genesis,
    chain: Digest,
    tip: Tip,
    log: Frontier,
    authorities: Authorities,
    validators: Validators,
    parameters: Parameters,
    protocols: Protocols,
    /// The highest protocol version that this program speaks.
    speaks: u32,
    turns: Turns,
    index: Index,
    /// The leaves of the records that are no access entry.
    others: HashMap<RecordId, u64, HashKey>,
    waiting: BTreeMap<RecordId, Vec<Waiting>>,
    /// How many revocations of each authority wait.
    waiting_of: BTreeMap<u32, usize>,
}

/// Why a block is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A header member is not what it must be.
    #[error("`{field}` of block {height} is {found}, expected {expected}")]
    Header {
        /// The block's height by its own word.
        height: u64,
        /// The member.
        field: &'static str,
        /// What it is.
        found: alloc::string::String,
        /// What it must be.
        expected: alloc::string::String,
    },
    /// A record may not stand in this block.
    #[error("record {at} of block {height} may not stand in it: {refusal}")]
    Record {
        /// The block's height.
        height: u64,
        /// The place in the block, from 0.
        at: usize,
        /// Why not.
        refusal: Refusal,
    },
    /// Too many records or bytes.
    #[error("block {height} is too large: {detail}")]
    TooLarge {
        /// The block's height.
        height: u64,
        /// What is too large.
        detail: alloc::string::String,
    },
    /// It cannot be told: the height is under a protocol version that this program does not speak.
    #[error(transparent)]
    Protocol(#[from] UnsupportedProtocol),
}

/// A block that was built, with what follows from it.
#[derive(Clone, Debug)]
pub struct Built {
    /// The block.
    pub block: Block,
    /// What committing it changes.
    pub changes: Changes,
    /// Records that cannot be in this block, nor in a later one as things stand, and why.
    pub refused: Vec<(RecordId, Refusal)>,
}

impl State {
    /// The state before block 1.
    ///
    /// # Errors
    /// What [`Genesis::check`] finds.
    pub fn new(genesis: Genesis) -> Result<Self, Refusal> {
        Self::keyed(genesis, HashKey::default())
    }

    /// As [`State::new`], for a process that others send records to: with a key for its hash tables that they
    /// do not know.
    ///
    /// # Errors
    /// What [`Genesis::check`] finds.
    pub fn keyed(genesis: Genesis, key: HashKey) -> Result<Self, Refusal> {
        genesis.check()?;
        let chain = genesis.chain_id();
        Ok(Self {
            chain,
            tip: Tip { height: 0, time: genesis.time, commit_leaf: chain, block: chain },
            log: Frontier::new(),
            authorities: Authorities::of(&genesis),
            validators: Validators::of(&genesis),
            parameters: genesis.parameters.clone(),
            protocols: Protocols::of(genesis.protocol),
            speaks: PROTOCOL,
            turns: Turns::default(),
            index: Index::new(genesis.time, key),
            others: HashMap::with_hasher(key),
            waiting: BTreeMap::new(),
            waiting_of: BTreeMap::new(),
            genesis,
        })
    }

    /// The same, in a program that speaks every protocol version up to `max`.
    #[must_use]
    pub fn speaking(self, max: u32) -> Self {
        Self { speaks: max, ..self }
    }

    /// The genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The chain id.
    pub fn chain(&self) -> &Digest {
        &self.chain
    }

    /// The last block.
    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    /// The log's size and compact range, the last commit leaf included.
    pub fn log(&self) -> &Frontier {
        &self.log
    }

    /// Who may speak of what.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// The validators of the next height.
    pub fn validators(&self) -> &[ValidatorKeys] {
        self.validators.present()
    }

    /// The ids of their voting keys, ascending.
    pub fn voters(&self) -> Vec<KeyId> {
        self.validators.voters()
    }

    /// Who proposes at the next height, by the ids of voting keys: in round r the one at place r, modulo their
    /// number. All validators stand in it; those that missed their last turn stand at the end for a while.
    pub fn proposing_order(&self) -> Vec<KeyId> {
        self.turns.order(&self.voters(), self.tip.height + 1)
    }

    /// The chain's own bounds, as the next block is judged by them.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The protocol version in force at a height; of a height that lies ahead, by what is known now.
    pub fn protocol_at(&self, height: u64) -> u32 {
        self.protocols.at(height)
    }

    /// The protocol version that is to come into force after the next height, and when.
    pub fn pending_activation(&self) -> Option<Activation> {
        self.protocols.pending(self.tip.height + 1)
    }

    /// The protocol version of the next height.
    ///
    /// # Errors
    /// If this program does not speak it. Then it can take part no longer: [`State::build`] and [`State::execute`]
    /// answer with the same error, while everything that asks about the chain so far goes on.
    pub fn next_protocol(&self) -> Result<u32, UnsupportedProtocol> {
        let height = self.tip.height + 1;
        let (needs, speaks) = (self.protocol_at(height), self.speaks);
        if needs > speaks { Err(UnsupportedProtocol { height, needs, speaks }) } else { Ok(needs) }
    }

    /// The access entries.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Where a record, or an entry that a set made, stands in the log, if it does.
    pub fn settled(&self, id: &RecordId) -> Option<Settled> {
        if let Some(entry) = self.index.by_id(id) {
            return Some(Settled { index: self.index.slot(entry).index, entry: Some(entry) });
        }
        self.others.get(id).map(|index| Settled { index: *index, entry: None })
    }

    /// The time of a block; of height 0 the genesis time.
    pub fn time_of(&self, height: u64) -> Option<LedgerTime> {
        self.index.time_of(height)
    }

    /// The last height whose block's time is at most `time`; `None` before the genesis.
    pub fn height_at(&self, time: LedgerTime) -> Option<u64> {
        self.index.height_at(time)
    }

    /// Checks everything about a record that does not depend on entries: chain, authority, keys,
    /// signatures, threshold or root quorum. Costs one signature check per signature.
    pub fn verify(&self, signed: Signed) -> Result<Verified, Refusal> {
        self.identify(signed, |key, signed, signature| key.verify(signed.signed_bytes(), signature).is_ok())
    }

    /// [`State::verify`] without the signature checks, for records that this node verified before it
    /// stored them and now reads back, to rebuild the state at start; and for an audit that has just checked the
    /// same signatures by the same keys, ahead of time and on other threads.
    pub fn recall(&self, signed: Signed) -> Result<Verified, Refusal> {
        self.identify(signed, |_, _, _| true)
    }

    fn identify(
        &self,
        signed: Signed,
        fits: impl Fn(&PublicKey, &Signed, &Signature) -> bool,
    ) -> Result<Verified, Refusal> {
        let statement = signed.statement();
        if statement.chain != self.chain {
            let detail = format!("signed for chain {}, this chain is {}", statement.chain, self.chain);
            return Err(Refusal::of(Code::WrongChain, "chain", detail));
        }
        let (ordinal, _) = self.authorities.by_name(&statement.authority).ok_or_else(|| {
            let detail = format!("authority `{}` is not known to this chain", statement.authority);
            Refusal::of(Code::UnknownAuthority, "issuingAuth", detail)
        })?;
        let keys = signers::signers(&self.authorities, self.genesis.root_quorum, ordinal, &signed, fits)?;
        Ok(Verified { signed, authority: ordinal, keys })
    }

    /// Whether a record could be accepted in a block of time `time` on top of this state.
    pub fn admit(&self, record: &Verified, time: LedgerTime) -> Result<(), Refusal> {
        match Execution::new(self, time).judge(record)? {
            Judgement::Accepted(_) => Ok(()),
            Judgement::Rejected(refusal) => Err(refusal),
        }
    }

    /// Whether a set of an authority could be accepted in a block of time `time` on top of this state, if it were signed.
    pub fn admit_set(&self, authority: u32, set: &AtomicSet, time: LedgerTime) -> Result<(), Refusal> {
        // An id that no set has: it names only what is thrown away.
        let id = RecordId(Digest::ZERO);
        Execution::new(self, time).judge_set(authority, id, set, &mut Overlay::default())
    }

    /// Builds the next block from `records`, in this order, as many as fit; what is inadmissible is left
    /// out and reported, except that a restrictive record which fails only by state goes in, rejected.
    ///
    /// # Errors
    /// If `time` is not later than the last block's, or this program does not speak the next block's protocol.
    pub fn build(
        &self,
        time: LedgerTime,
        proposer: KeyId,
        records: impl IntoIterator<Item = Verified>,
    ) -> Result<Built, Invalid> {
        self.next_protocol()?;
        self.check_time(self.tip.height + 1, time)?;
        let mut execution = Execution::new(self, time);
        let mut refused = Vec::new();
        let mut bytes = Block::EMPTY_BYTES;
        for record in records {
            let more = Block::bytes_of_record(record.signed().bytes().len());
            if execution.len() == BLOCK_RECORDS_MAX || bytes + more > BLOCK_BYTES_MAX {
                break;
            }
            match execution.take(record) {
                Ok(()) => bytes += more,
                Err((id, refusal)) => refused.push((id, refusal)),
            }
        }
        let records = execution.records().map(|bytes| Blob(bytes.to_vec())).collect();
        let changes = execution.finish(proposer);
        Ok(Built { block: Block { header: changes.leaf.header.clone(), records }, changes, refused })
    }

    /// Executes a block on top of this state, and checks that its header says just what follows.
    /// `records` are the block's records, verified, in order. Who may propose, and whether the time is
    /// near the clock, is for the caller.
    pub fn execute(&self, block: &Block, records: Vec<Verified>) -> Result<Changes, Invalid> {
        let header = &block.header;
        let height = header.height;
        let fault = |field, found: &dyn core::fmt::Display, expected: &dyn core::fmt::Display| {
            Err(Invalid::Header { height, field, found: found.to_string(), expected: expected.to_string() })
        };
        let protocol = self.next_protocol()?;
        if u32::from(header.version) != protocol {
            return fault("version", &header.version, &protocol);
        }
        if header.chain != self.chain {
            return fault("chain", &header.chain, &self.chain);
        }
        if height != self.tip.height + 1 {
            return fault("height", &height, &(self.tip.height + 1));
        }
        if header.previous != self.tip.commit_leaf {
            return fault("previous", &header.previous, &self.tip.commit_leaf);
        }
        self.check_time(height, header.time)?;
        if !self.voters().contains(&header.proposer) {
            return fault("proposer", &header.proposer, &"a validator of this height");
        }
        self.check_size(block)?;
        let own = records_root(block.records.iter().map(|record| record.0.as_slice()));
        if header.records != own {
            return fault("records", &header.records, &own);
        }
        if records.len() != block.records.len() {
            return fault("records", &format!("{} verified", records.len()), &block.records.len());
        }
        let mut execution = Execution::new(self, header.time);
        for (at, (record, bytes)) in records.into_iter().zip(&block.records).enumerate() {
            if record.signed().bytes() != bytes.0 {
                let refusal = Refusal::whole(Code::Conflict, "another record was verified in its place");
                return Err(Invalid::Record { height, at, refusal });
            }
            execution.take(record).map_err(|(_, refusal)| Invalid::Record { height, at, refusal })?;
        }
        let changes = execution.finish(header.proposer);
        if changes.leaf.header.result != header.result {
            return fault("result", &header.result, &changes.leaf.header.result);
        }
        debug_assert_eq!(changes.leaf.header, *header);
        Ok(changes)
    }

    /// Takes the changes of the next block over.
    ///
    /// # Panics
    /// If they were made on top of another state.
    pub fn commit(&mut self, changes: Changes) {
        let header = &changes.leaf.header;
        assert_eq!(header.previous, self.tip.commit_leaf, "changes are committed on the state that they were made on");
        for placed in &changes.records {
            let Placed { index, record, .. } = placed;
            if !placed.is_accepted() || !matches!(record.signed().body(), Body::Access(_)) {
                self.others.insert(record.id(), *index);
            }
            if !placed.is_accepted() {
                continue;
            }
            for Made { id, member, access } in record.signed().entries() {
                self.index.insert(NewEntry {
                    id,
                    access,
                    index: *index,
                    member,
                    height: header.height,
                    added: header.time,
                    authority: record.authority,
                    root: self.authorities.root_of(record.authority),
                    signers: self.authorities.intern_signers(&record.keys),
                });
            }
        }
        for (target, revoked) in &changes.revoked {
            let entry = self.index.by_id(target).expect("a revoked target is an accepted entry");
            self.index.revoke(entry, *revoked);
        }
        for (target, waiting) in &changes.now_waiting {
            self.waiting.entry(*target).or_default().push(*waiting);
            *self.waiting_of.entry(waiting.authority).or_default() += 1;
        }
        for target in &changes.no_longer_waiting {
            for waiting in self.waiting.remove(target).into_iter().flatten() {
                if let Some(count) = self.waiting_of.get_mut(&waiting.authority) {
                    *count -= 1;
                }
            }
        }
        // Whose turn it was follows from the validators before this block changed them.
        self.turns.note(&self.voters(), header.height, &header.proposer);
        if let Some(validators) = changes.validators {
            self.turns.keep(&validators.voters());
            self.validators = validators;
        }
        if let Some(parameters) = changes.parameters {
            self.parameters = parameters;
        }
        if let Some(protocols) = changes.protocols {
            self.protocols = protocols;
        }
        self.index.advance(header.time);
        self.tip =
            Tip { height: header.height, time: header.time, commit_leaf: changes.leaf.hash(), block: header.hash() };
        self.log = changes.log;
    }

    fn check_time(&self, height: u64, time: LedgerTime) -> Result<(), Invalid> {
        if time <= self.tip.time {
            let expected = format!("later than {}", self.tip.time);
            return Err(Invalid::Header { height, field: "time", found: time.to_string(), expected });
        }
        Ok(())
    }

    fn check_size(&self, block: &Block) -> Result<(), Invalid> {
        let height = block.header.height;
        if block.records.len() > BLOCK_RECORDS_MAX {
            let detail = format!("{} records, at most {BLOCK_RECORDS_MAX} are allowed", block.records.len());
            return Err(Invalid::TooLarge { height, detail });
        }
        let bytes = block.records.iter().map(|record| Block::bytes_of_record(record.0.len())).sum::<usize>()
            + Block::EMPTY_BYTES;
        if bytes > BLOCK_BYTES_MAX {
            return Err(Invalid::TooLarge {
                height,
                detail: format!("{bytes} bytes, at most {BLOCK_BYTES_MAX} are allowed"),
            });
        }
        Ok(())
    }

    /// The header of the next block, once it is executed.
    fn next_header(&self, time: LedgerTime, proposer: KeyId, records: Digest, result: Digest) -> Header {
        let height = self.tip.height + 1;
        Header {
            version: u16::try_from(self.protocol_at(height)).expect("only what a header can say is ever activated"),
            chain: self.chain,
            height,
            previous: self.tip.commit_leaf,
            time,
            proposer,
            records,
            result,
        }
    }
}

#[cfg(test)]
mod tests;
