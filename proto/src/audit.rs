//! Re-derives everything from the genesis and the blocks, trusting nobody.
//!
//! An [`Auditor`] starts from a genesis and takes the blocks in order. For each block it
//!
//! 1. reads it: encoding, size, chain, height;
//! 2. reads each record and checks its signatures, their keys and the authority's threshold
//!    ([`verify_records`]: most of the work, and apart from the rest, so that a shell can do it on all cores);
//! 3. executes the records as every voter did, and compares every member of the header: the link to the
//!    block before, the time, the root of the records, the hash of what execution gave, the next validators among it;
//! 4. checks that a quorum of that height's validators, as the blocks before left them, signed a precommit for just
//!    this header.
//!
//! The first thing that is wrong is a [`Finding`], which names the block and the part. What was good so far
//! stays: [`Auditor::state`] is the state after the last good block, and answers questions
//! ([`crate::decision`]) like a node that was at that height.
//!
//! [`ExportAuditor`] and [`audit_export`] do this for a whole [`crate::export`].
//!
//! Three things no audit of this kind can tell. *Which genesis* is the right one: pin a chain id that came
//! another way. *Whether the chain goes on* after the last block of the file: the report says how far it
//! went, to be compared with a receipt or another node. *Whether a quorum of validators lied together*
//! about another chain of the same genesis: compare a commit leaf with the one that somebody else saw.

mod finding;
mod whole;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

pub use finding::{Finding, Part};
pub use whole::{Audited, ExportAuditor, audit_export};

use crate::block::{Block, Outcome};
use crate::certificate::Certificate;
use crate::export::{End, Frame, Trailer};
use crate::genesis::Genesis;
use crate::hash::Digest;
use crate::key::{KeyId, OpenedKey, Signature};
use crate::record::{RecordId, Signed, Verified};
use crate::refusal::{Code, Refusal};
use crate::state::{Changes, Invalid, State, UnsupportedProtocol};
use crate::time::LedgerTime;

/// Checks a chain block by block.
#[derive(Clone, Debug)]
pub struct Auditor {
    state: State,
    totals: Totals,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Blocks.
    pub blocks: u64,
    /// Records in them.
    pub records: u64,
    /// Records that do not count: settled with a code.
    pub rejected: u64,
    /// Signatures on records.
    pub signatures: u64,
    /// Signatures on certificates.
    pub votes: u64,
}

/// What a good chain is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The chain id.
    pub chain: Digest,
    /// The chain's name.
    pub name: alloc::string::String,
    /// Where it stands after its last block.
    pub end: End,
    /// The time of its last block; without one, of its genesis.
    pub time: LedgerTime,
    /// How much was checked.
    pub totals: Totals,
}

/// What a good block holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReport {
    /// The height.
    pub height: u64,
    /// The time.
    pub time: LedgerTime,
    /// The block hash.
    pub hash: Digest,
    /// Leaf hash of its commit leaf.
    pub commit_leaf: Digest,
    /// The commit leaf's place in the log.
    pub leaf_index: u64,
    /// The records, in order.
    pub records: Vec<Recorded>,
    /// Signatures on the records.
    pub signatures: usize,
    /// Signatures on the certificate.
    pub votes: usize,
}

/// A record of a good block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its leaf in the log.
    pub index: u64,
    /// Its id.
    pub id: RecordId,
    /// What became of it.
    pub outcome: Outcome,
}

/// Reads one record's bytes and checks everything that does not depend on entries: form, chain, authority,
/// keys, signatures, threshold.
pub fn verify_record(state: &State, bytes: &[u8]) -> Result<Verified, Refusal> {
    state.verify(Signed::decode(bytes.to_vec())?)
}

/// [`verify_record`] for each record of the block that comes next on `state`; an error names the place of
/// the first record at fault, from 0. A shell with several cores may share the records out instead.
pub fn verify_records(state: &State, block: &Block) -> Result<Vec<Verified>, (usize, Refusal)> {
    let verify =
        |(at, bytes): (usize, &crate::codec::Blob)| verify_record(state, &bytes.0).map_err(|refusal| (at, refusal));
    block.records.iter().enumerate().map(verify).collect()
}

/// Checks records as [`verify_record`] does, under the circle of trust of one state, with each key read once.
#[derive(Clone, Debug)]
pub struct Checker {
    state: State,
    keys: BTreeMap<KeyId, OpenedKey>,
}

impl Checker {
    /// One for the records that come next on `state`.
    pub fn of(state: State) -> Self {
        let known = state.authorities().iter().flat_map(|authority| &authority.keys);
        let keys = known.filter_map(|(id, known)| Some((*id, known.key.open().ok()?))).collect();
        Self { state, keys }
    }

    /// Exactly what [`verify_record`] answers.
    pub fn record(&self, bytes: &[u8]) -> Result<Verified, Refusal> {
        let signed = Signed::decode(bytes.to_vec())?;
        let fits = |(id, signature): &(KeyId, Signature)| {
            self.keys.get(id).is_some_and(|key| key.verify(signed.signed_bytes(), signature).is_ok())
        };
        // All signatures were just checked; chain, authority, its keys and threshold are looked at in either case.
        // What is wrong is for the state to say.
        if signed.signatures().iter().all(fits) { self.state.recall(signed) } else { self.state.verify(signed) }
    }
}

impl Auditor {
    /// An auditor before block 1.
    ///
    /// # Errors
    /// If the genesis cannot start a chain.
    pub fn new(genesis: Genesis) -> Result<Self, Finding> {
        State::new(genesis).map(Self::resume).map_err(|refusal| Finding::of_genesis(&refusal))
    }

    /// As [`Auditor::new`], for a genesis whose hash must be `chain`.
    pub fn pinned(genesis: Genesis, chain: &Digest) -> Result<Self, Finding> {
        let auditor = Self::new(genesis)?;
        if auditor.state.chain() != chain {
            let detail = format!("its chain id is {}, expected {chain}", auditor.state.chain());
            return Err(Finding::of(None, Part::Genesis, detail));
        }
        Ok(auditor)
    }

    /// An auditor who goes on from a state that is trusted.
    pub fn resume(state: State) -> Self {
        Self { state, totals: Totals::default() }
    }

    /// What follows from the blocks so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The same, to keep.
    pub fn into_state(self) -> State {
        self.state
    }

    /// How much was checked so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Checks the next block and takes it over. On a finding nothing changes.
    pub fn block(&mut self, frame: &Frame) -> Result<BlockReport, Finding> {
        let block = self.open(frame)?;
        let height = block.header.height;
        let verified = verify_records(&self.state, &block)
            .map_err(|(at, refusal)| Finding::of_refusal(Some(height), Part::Record(at), &refusal))?;
        let changes = self.judge(&block, verified, &frame.certificate)?;
        Ok(self.take(changes, &frame.certificate))
    }

    /// Step 1: the block of the frame, if its protocol is one that this program speaks, it is a block, and its chain and
    /// height are those that come next.
    pub fn open(&self, frame: &Frame) -> Result<Block, Finding> {
        let height = self.state.tip().height + 1;
        // What a block is, its protocol says: of one that is not known, nothing more can be told.
        self.state.next_protocol()?;
        let block = Block::decode(&frame.block.0)
            .map_err(|refusal| Finding::of_refusal(Some(height), Part::Block, &refusal))?;
        self.expect(&block)?;
        Ok(block)
    }

    /// Step 1 for a block that was decoded already: whether its protocol is spoken here, and its chain and height are
    /// those that come next.
    pub fn expect(&self, block: &Block) -> Result<(), Finding> {
        self.state.next_protocol()?;
        let height = self.state.tip().height + 1;
        let found = |part, detail| Finding::of(Some(height), part, detail);
        let header = &block.header;
        // A block from elsewhere is called that, and not by what its records lack here.
        if header.chain != *self.state.chain() {
            let detail = format!("{}, expected {}", header.chain, self.state.chain());
            return Err(found(Part::Header("chain"), detail));
        }
        if header.height != height {
            return Err(found(Part::Header("height"), format!("{}, expected {height}", header.height)));
        }
        Ok(())
    }

    /// Steps 3 and 4: what the block changes, if it and its certificate are good. `verified` are its records
    /// by [`verify_records`].
    pub fn judge(&self, block: &Block, verified: Vec<Verified>, certificate: &Certificate) -> Result<Changes, Finding> {
        let height = block.header.height;
        let changes = self.state.execute(block, verified).map_err(|invalid| Finding::of_invalid(height, invalid))?;
        certificate
            .verify(self.state.chain(), height, &block.header.hash(), self.state.validators())
            .map_err(|error| Finding::of(Some(height), Part::Certificate, error.to_string()))?;
        Ok(changes)
    }

    /// Takes over what [`Auditor::judge`] found to follow from the next block.
    ///
    /// # Panics
    /// If the changes were made on another state.
    pub fn take(&mut self, changes: Changes, certificate: &Certificate) -> BlockReport {
        let recorded = |placed: &crate::state::Placed| Recorded {
            index: placed.index,
            id: placed.record.id(),
            outcome: placed.outcome,
        };
        let header = &changes.leaf.header;
        let report = BlockReport {
            height: header.height,
            time: header.time,
            hash: header.hash(),
            commit_leaf: changes.leaf.hash(),
            leaf_index: changes.leaf_index,
            records: changes.records.iter().map(recorded).collect(),
            signatures: changes.records.iter().map(|placed| placed.record.signed().signatures().len()).sum(),
            votes: certificate.signatures.len(),
        };
        self.state.commit(changes);
        self.totals.blocks += 1;
        self.totals.records += report.records.len() as u64;
        self.totals.rejected += report.records.iter().filter(|r| r.outcome != Outcome::Accepted).count() as u64;
        self.totals.signatures += report.signatures as u64;
        self.totals.votes += report.votes as u64;
        report
    }

    /// What was checked, if there is no more.
    pub fn report(&self) -> Report {
        Report {
            chain: *self.state.chain(),
            name: self.state.genesis().chain.clone(),
            end: End::of(&self.state),
            time: self.state.tip().time,
            totals: self.totals,
        }
    }

    /// The report of an export that ends here, if its trailer says where the chain stands.
    pub fn finish(&self, trailer: &Trailer) -> Result<Report, Finding> {
        let (said, own) = (&trailer.end, End::of(&self.state));
        let members = [
            ("height", said.height.to_string(), own.height.to_string()),
            ("log size", said.log_size.to_string(), own.log_size.to_string()),
            ("log root", said.log_root.to_string(), own.log_root.to_string()),
            ("commit leaf", said.commit_leaf.to_string(), own.commit_leaf.to_string()),
        ];
        for (member, said, own) in members {
            if said != own {
                return Err(Finding::of(None, Part::Trailer, format!("its {member} is {said}, expected {own}")));
            }
        }
        Ok(self.report())
    }
}

impl Finding {
    fn of_genesis(refusal: &Refusal) -> Self {
        Self::of_refusal(None, Part::Genesis, refusal)
    }

    fn of_invalid(height: u64, invalid: Invalid) -> Self {
        match invalid {
            Invalid::Header { field, found, expected, .. } => {
                Self::of(Some(height), Part::Header(field), format!("{found}, expected {expected}"))
            }
            Invalid::Record { at, refusal, .. } => Self::of_refusal(Some(height), Part::Record(at), &refusal),
            Invalid::TooLarge { detail, .. } => Self::of(Some(height), Part::Block, detail),
            Invalid::Protocol(unsupported) => unsupported.into(),
        }
    }
}

impl From<UnsupportedProtocol> for Finding {
    fn from(unsupported: UnsupportedProtocol) -> Self {
        let code = Some(Code::Unsupported);
        Self { code, ..Self::of(Some(unsupported.height), Part::Header("version"), unsupported.to_string()) }
    }
}
