//! A whole chain verified: from an export, or from the nodes, of which none is trusted.
//!
//! Verification always starts at the genesis: what a block may hold depends on all blocks before it. What it
//! costs is signatures, and those are checked on all cores.
//!
//! From a file: what comes next is read and checked [`ahead`], on all cores, while blocks are executed in order.
//!
//! From the nodes: the blocks come from whichever node has them, and each is verified with its certificate.
//! Then every node's own word for where it stands is compared with the chain that was verified, and where one
//! went another way, the first height at which it did is looked for.

mod ahead;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use writ_proto::audit::{Auditor, BlockReport, Finding, Part, Report, verify_record};
use writ_proto::block::Block;
use writ_proto::checkpoint::{Checkpoint, Cosigners};
use writ_proto::codec::Blob;
use writ_proto::export::Frame;
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::record::Verified;
use writ_proto::refusal::Refusal;
use writ_proto::state::State;

use crate::client::Client;
use crate::error::ClientError;
use crate::standing::{leaf_of, parting};
use crate::verify::{ProofFault, View};

/// Blocks asked for at once.
const BLOCKS_AT_ONCE: u64 = 500;

/// Records below which more threads cost more than they bring.
const RECORDS_FOR_THREADS: usize = 32;

/// Why a chain is not known to be good.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// It is not.
    #[error("{0}")]
    Finding(Finding),
    /// It is not, as a node serves it.
    #[error("{node} serves a chain that is not good: {finding}")]
    Served {
        /// Which node.
        node: String,
        /// What is wrong.
        finding: Finding,
    },
    /// A node tells of another chain than the one that was verified.
    #[error("{node} has another block at height {height}: its commit leaf is {found}, verified was {expected}")]
    Fork {
        /// Which node.
        node: String,
        /// The height.
        height: u64,
        /// The commit leaf that the node tells.
        found: Digest,
        /// The commit leaf that was verified.
        expected: Digest,
    },
    /// A node shows a checkpoint that is not final, or not of the chain that was verified.
    #[error("{node} shows a checkpoint that does not fit the chain: {fault}")]
    Checkpoint {
        /// Which node.
        node: String,
        /// What is wrong with it.
        fault: ProofFault,
    },
    /// A node is of another chain.
    #[error("{node} is of chain {found}, verified was {expected}")]
    OtherChain {
        /// Which node.
        node: String,
        /// The chain that the node is of.
        found: Digest,
        /// The chain that was verified.
        expected: Digest,
    },
    /// The file cannot be read.
    #[error("cannot read `{path}`", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The nodes do not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl From<Finding> for AuditError {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

/// One node's word, which agrees with what was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreeing {
    /// Which node.
    pub node: String,
    /// The height that it has reached; `None`: it did not answer.
    pub height: Option<u64>,
    /// The size of its final checkpoint, which the validators signed and which is of this chain; `None`: it has none.
    pub checkpoint: Option<u64>,
}

/// Verifies an export. With `chain`, its genesis must be of that chain. `on_block` also hears how many bytes
/// were read.
pub fn audit_file(
    path: &Path,
    chain: Option<&Digest>,
    on_block: impl FnMut(&BlockReport, u64),
) -> Result<Report, AuditError> {
    let io_error = |source| AuditError::Io { path: path.into(), source };
    let file = File::open(path).map_err(io_error)?;
    ahead::audit(file, chain, on_block, ahead::changes_circle).map_err(|fault| match fault {
        ahead::Fault::Finding(finding) => finding.into(),
        ahead::Fault::Io(source) => io_error(source),
    })
}

/// Verifies the chain that the nodes have, starting from `genesis`, up to the height that the first of them
/// says it has or any other has beyond that. Gives the report and each node's agreement, in what it says of itself
/// and in the checkpoint that it shows.
pub fn audit_nodes(
    client: &Client,
    genesis: Genesis,
    mut on_block: impl FnMut(&BlockReport),
) -> Result<(Report, Vec<Agreeing>), AuditError> {
    let mut auditor = begin(genesis, None)?;
    let mut leaves = vec![*auditor.state().chain()];
    let mut cosigners = Vec::from([(0, Cosigners::of(&auditor.state().genesis().chain, auditor.state().validators()))]);
    let nodes: Vec<Client> = client.apart().collect();
    let mut unreachable = None;
    for node in &nodes {
        // What one node does not have, the next may.
        let walked = walk(node, &mut auditor, |state, _, block| {
            leaves.push(block.commit_leaf);
            let now = Cosigners::of(&state.genesis().chain, state.validators());
            if cosigners.last().is_some_and(|(_, before)| *before != now) {
                cosigners.push((state.log().size(), now));
            }
            on_block(block);
            Ok::<_, AuditError>(())
        });
        match walked {
            Err(AuditError::Client(error)) if error.is_passing() => unreachable = Some(error),
            // What does not follow on the chain that was verified may be good on another one: that is worse.
            Err(AuditError::Finding(finding)) => {
                return Err(match place_of(node, &leaves) {
                    Err(error @ (AuditError::Fork { .. } | AuditError::OtherChain { .. })) => error,
                    _ => AuditError::Served { node: node.nodes()[0].clone(), finding },
                });
            }
            other => other?,
        }
    }
    let end = View { size: auditor.state().log().size(), root: auditor.state().log().root() };
    let mut agreeing = Vec::new();
    for node in &nodes {
        let name = node.nodes()[0].clone();
        let height = match place_of(node, &leaves) {
            Err(AuditError::Client(error)) if error.is_passing() => {
                unreachable = Some(error);
                None
            }
            other => Some(other?),
        };
        let checkpoint = match height.map(|_| checkpoint_of(node, &end, &cosigners)).transpose() {
            Err(AuditError::Client(error)) if error.is_passing() => None,
            other => other?.flatten(),
        };
        agreeing.push(Agreeing { node: name, height, checkpoint });
    }
    match unreachable {
        Some(error) if agreeing.iter().all(|agreeing| agreeing.height.is_none()) => Err(error.into()),
        _ => Ok((auditor.report(), agreeing)),
    }
}

/// Takes the blocks that a node has beyond the auditor's, up to where it stands when asked, and hands each
/// verified frame on.
pub(crate) fn walk<E: From<AuditError>>(
    node: &Client,
    auditor: &mut Auditor,
    mut on_block: impl FnMut(&State, &Frame, &BlockReport) -> Result<(), E>,
) -> Result<(), E> {
    let tip = node.status().map_err(AuditError::from)?.height;
    while auditor.state().tip().height < tip {
        let from = auditor.state().tip().height + 1;
        let frames = node.blocks(from, BLOCKS_AT_ONCE.min(tip - from + 1)).map_err(AuditError::from)?;
        if frames.is_empty() {
            let reason = format!("it says that it has reached height {tip}, and has no block {from}");
            let node = node.nodes()[0].clone();
            return Err(AuditError::from(ClientError::Answer { node, what: "list of blocks", reason }).into());
        }
        for frame in frames {
            let block = next_block(auditor, &frame).map_err(AuditError::from)?;
            on_block(auditor.state(), &frame, &block)?;
        }
    }
    Ok(())
}

/// The height that a node says it has reached, if what it says of it is what was verified.
fn place_of(node: &Client, leaves: &[Digest]) -> Result<u64, AuditError> {
    let name = || node.nodes()[0].clone();
    let status = node.status()?;
    let chain = leaves[0];
    if status.chain != chain {
        return Err(AuditError::OtherChain { node: name(), found: status.chain, expected: chain });
    }
    let verified = leaves.len() as u64 - 1;
    // A node that went on meanwhile is asked about the last height that was verified.
    let (height, found) = match status.height <= verified {
        true => (status.height, status.commit_leaf),
        false => (verified, leaf_of(node, verified, chain)?),
    };
    let expected = |height: u64| {
        let leaf = usize::try_from(height).ok().and_then(|at| leaves.get(at)).copied();
        leaf.expect("a height that was verified has a leaf")
    };
    if found != expected(height) {
        let last = (height, [found, expected(height)]);
        let leaves = |height| Ok::<_, ClientError>([leaf_of(node, height, chain)?, expected(height)]);
        // A node that does not tell is held by what it told.
        let (height, [found, expected]) = parting(last, leaves).unwrap_or(last);
        return Err(AuditError::Fork { node: name(), height, found, expected });
    }
    Ok(status.height)
}

/// The size of the final checkpoint that a node shows, if the validators that the verified log names for it signed it
/// and its log is a part of that one, or goes on from it.
fn checkpoint_of(node: &Client, end: &View, cosigners: &[(u64, Cosigners)]) -> Result<Option<u64>, AuditError> {
    let Some(note) = node.checkpoint()? else { return Ok(None) };
    let name = || node.nodes()[0].clone();
    let bad = |fault| AuditError::Checkpoint { node: name(), fault };
    let size = Checkpoint::claimed_by(&note).map_err(|error| bad(error.into()))?.size;
    let set = cosigners.iter().rev().find(|(from, _)| *from <= size).expect("the first set is of every size");
    let cosigned = set.1.verify(&note).map_err(|error| bad(error.into()))?;
    let shown = View { size, root: cosigned.checkpoint().root };
    if shown == *end || end.size == 0 {
        return Ok(Some(size));
    }
    let (earlier, later) = if size <= end.size { (shown, *end) } else { (*end, shown) };
    match node.check_growth(earlier, later) {
        Err(ClientError::Proof { source: ProofFault::Proof(fault), .. }) => Err(bad(ProofFault::OtherLog(fault))),
        other => Ok(other.map(|()| Some(size))?),
    }
}

/// An auditor before block 1.
pub(crate) fn begin(genesis: Genesis, chain: Option<&Digest>) -> Result<Auditor, Finding> {
    match chain {
        Some(chain) => Auditor::pinned(genesis, chain),
        None => Auditor::new(genesis),
    }
}

/// As [`Auditor::block`], with the signatures on all cores.
fn next_block(auditor: &mut Auditor, frame: &Frame) -> Result<BlockReport, Finding> {
    let block = auditor.open(frame)?;
    let verified = verify_all(auditor.state(), &block)?;
    let changes = auditor.judge(&block, verified, &frame.certificate)?;
    Ok(auditor.take(changes, &frame.certificate))
}

/// The records of the block that comes next on `state`, verified; or what is wrong with the first at fault.
fn verify_all(state: &State, block: &Block) -> Result<Vec<Verified>, Finding> {
    verify_records(state, block).map_err(|(at, refusal)| Finding {
        height: Some(state.tip().height + 1),
        part: Part::Record(at),
        code: Some(refusal.code),
        offset: None,
        detail: match refusal.path() {
            Some(field) => format!("`{field}`: {}", refusal.detail),
            None => refusal.detail,
        },
    })
}

/// The block's records, verified; or the first that is at fault.
fn verify_records(state: &State, block: &Block) -> Result<Vec<Verified>, (usize, Refusal)> {
    let verify = |first: usize, records: &[Blob]| -> Result<Vec<Verified>, (usize, Refusal)> {
        let numbered = records.iter().zip(first..);
        numbered.map(|(record, at)| verify_record(state, &record.0).map_err(|refusal| (at, refusal))).collect()
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores == 1 || block.records.len() < RECORDS_FOR_THREADS {
        return verify(0, &block.records);
    }
    let share = block.records.len().div_ceil(cores);
    thread::scope(|scope| {
        let shares = block.records.chunks(share).enumerate();
        let running: Vec<_> = shares.map(|(at, records)| scope.spawn(move || verify(at * share, records))).collect();
        // In order, so that the first fault is the one that is told.
        let parts = running.into_iter().map(|part| part.join().expect("verification does not panic"));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    })
}
