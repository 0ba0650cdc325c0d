//! Reads an export ahead and checks the signatures of blocks before it is their turn.
//!
//! ```text
//!   file --> reader --> blocks in order ------------------------> judged and taken over, one after the other
//!               \                                                     ^
//!                \--> shares of records --> checked on all cores -----/ if the circle of trust is still the same
//! ```
//!
//! Which keys may sign is decided by the blocks before. So what was checked ahead counts only if no block since
//! the state that it was checked against changed who may speak; else, and whenever a share found a fault, the
//! block's records are checked once more when it is its turn, against the state before it. So a finding never
//! comes from a look ahead, and nothing is good because of an older circle of trust.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread;

use writ_proto::audit::{Auditor, BlockReport, Checker, Finding, Report};
use writ_proto::block::Block;
use writ_proto::export::{Frame, Item, Reader, Trailer};
use writ_proto::hash::Digest;
use writ_proto::record::{Body, Verified};
use writ_proto::state::Changes;

use super::{begin, next_block, verify_all};

/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Records that are checked in one piece.
const SHARE: usize = 128;

/// Bytes of blocks that are read ahead at most, unless one alone has more.
const AHEAD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// What a block counts for at least, so that small ones are not read ahead without bound.
const AHEAD_BYTES_MIN: usize = 32 * 1024;

/// Why an export is not known to be good.
pub(super) enum Fault {
    /// It is not.
    Finding(Finding),
    /// It cannot be read.
    Io(io::Error),
}

impl From<Finding> for Fault {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

/// Audits the export that `file` gives. `is_new_circle` tells whether a block changed who may speak.
pub(super) fn audit(
    mut file: impl Read + Send,
    chain: Option<&Digest>,
    mut on_block: impl FnMut(&BlockReport, u64),
    is_new_circle: impl Fn(&Changes) -> bool,
) -> Result<Report, Fault> {
    let mut source = Source { reader: Reader::new(), bytes: 0, chunk: vec![0; CHUNK_BYTES] };
    // Nothing can be checked before the genesis says who may speak.
    let genesis = match source.next(&mut file)? {
        Some(Item::Genesis(genesis)) => genesis,
        Some(_) => unreachable!("a reader gives the genesis first"),
        None => return Err(source.finish().err().unwrap_or_else(|| unreachable!("a whole export has a genesis"))),
    };
    let mut auditor = begin(*genesis, chain)?;
    let circle = RwLock::new(Circle { generation: 0, checker: Arc::new(Checker::of(auditor.state().clone())) });
    let room = Room::default();
    let (pieces, parts) = channel();
    let (jobs, to_do) = channel();
    let to_do = Mutex::new(to_do);
    thread::scope(|scope| {
        // However this ends, nobody waits for room any more.
        let _closing = Closing(&room);
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| check_shares(&to_do, &circle, &room));
        }
        scope.spawn(|| read_on(source, file, jobs, pieces, &room));
        let mut report = None;
        for piece in parts {
            match piece {
                Piece::Block(due) => {
                    let Due { offset, bytes, frame, opened } = *due;
                    let size = frame.block.0.len();
                    let taken = take(&mut auditor, &frame, opened, &circle, &is_new_circle);
                    on_block(&taken.map_err(|finding| Finding { offset: Some(offset), ..finding })?, bytes);
                    room.give_back(size);
                }
                Piece::Trailer(trailer) => report = Some(auditor.finish(&trailer)?),
                Piece::Fault(fault) => return Err(fault),
            }
        }
        Ok(report.expect("a whole export has a trailer"))
    })
}

/// Who checks records, and how often the circle of trust changed before.
struct Circle {
    generation: u64,
    checker: Arc<Checker>,
}

/// A part of an export, in its order.
enum Piece {
    Block(Box<Due>),
    Trailer(Trailer),
    Fault(Fault),
}

/// A block that waits for its turn.
struct Due {
    offset: u64,
    /// How much of the file was read when it came.
    bytes: u64,
    frame: Frame,
    /// The block and its shares, if it is one at all.
    opened: Option<Opened>,
}

struct Opened {
    block: Arc<Block>,
    checked: Receiver<Checked>,
}

/// Records of a block, to be checked.
struct Job {
    block: Arc<Block>,
    share: usize,
    checked: Sender<Checked>,
}

/// A share that was checked, and under which circle of trust; nothing if a record is at fault.
struct Checked {
    share: usize,
    generation: u64,
    records: Option<Vec<Verified>>,
}

fn check_shares(to_do: &Mutex<Receiver<Job>>, circle: &RwLock<Circle>, room: &Room) {
    loop {
        let job = to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, share, checked }) = job else { return };
        if room.is_closed() {
            return;
        }
        let (generation, checker) = {
            let circle = circle.read().unwrap_or_else(PoisonError::into_inner);
            (circle.generation, circle.checker.clone())
        };
        let records = block.records.iter().skip(share * SHARE).take(SHARE);
        let records = records.map(|record| checker.record(&record.0).ok()).collect();
        // Nobody asks any more if the audit is over.
        let _ = checked.send(Checked { share, generation, records });
    }
}

/// Checks the next block and takes it over.
fn take(
    auditor: &mut Auditor,
    frame: &Frame,
    opened: Option<Opened>,
    circle: &RwLock<Circle>,
    is_new_circle: &impl Fn(&Changes) -> bool,
) -> Result<BlockReport, Finding> {
    let Some(Opened { block, checked }) = opened else {
        // Not even a block: it says itself why.
        return next_block(auditor, frame);
    };
    auditor.expect(&block)?;
    let generation = circle.read().unwrap_or_else(PoisonError::into_inner).generation;
    let verified = match in_order(&block, checked, generation) {
        Some(verified) => verified,
        None => verify_all(auditor.state(), &block)?,
    };
    let changes = auditor.judge(&block, verified, &frame.certificate)?;
    let is_new = is_new_circle(&changes);
    let report = auditor.take(changes, &frame.certificate);
    if is_new {
        let mut circle = circle.write().unwrap_or_else(PoisonError::into_inner);
        *circle = Circle { generation: generation + 1, checker: Arc::new(Checker::of(auditor.state().clone())) };
    }
    Ok(report)
}

/// The block's records, if all were found good under this circle of trust.
fn in_order(block: &Block, checked: Receiver<Checked>, generation: u64) -> Option<Vec<Verified>> {
    let mut shares: Vec<Option<Vec<Verified>>> = Vec::new();
    shares.resize_with(block.records.len().div_ceil(SHARE), || None);
    for _ in 0..shares.len() {
        let checked = checked.recv().expect("whoever checks a share answers");
        if checked.generation != generation {
            return None;
        }
        shares[checked.share] = Some(checked.records?);
    }
    Some(shares.into_iter().flatten().flatten().collect())
}

/// Whether a block changed who may speak.
pub(super) fn changes_circle(changes: &Changes) -> bool {
    let leaves_it = |body: &Body| matches!(body, Body::Access(_) | Body::Revoke(_) | Body::Set(_));
    changes.records.iter().any(|placed| !leaves_it(placed.record.signed().body()))
}

/// The file, as far as it was read.
struct Source {
    reader: Reader,
    bytes: u64,
    chunk: Vec<u8>,
}

impl Source {
    /// The next part; nothing at the end of the file.
    fn next(&mut self, file: &mut impl Read) -> Result<Option<Item>, Fault> {
        loop {
            if let Some(item) = self.reader.take().map_err(Finding::from)? {
                return Ok(Some(item));
            }
            let read = file.read(&mut self.chunk).map_err(Fault::Io)?;
            if read == 0 {
                return Ok(None);
            }
            self.bytes += read as u64;
            self.reader.push(&self.chunk[..read]);
        }
    }

    fn finish(self) -> Result<(), Fault> {
        Ok(self.reader.finish().map_err(Finding::from)?)
    }
}

/// Reads on to the end, as far ahead as there is room.
fn read_on(mut source: Source, mut file: impl Read, jobs: Sender<Job>, pieces: Sender<Piece>, room: &Room) {
    loop {
        let piece = match source.next(&mut file) {
            Ok(Some(Item::Block { offset, frame, .. })) => {
                if !room.take(frame.block.0.len()) {
                    return;
                }
                let opened = Block::decode(&frame.block.0).ok().map(|block| hand_out(block, &jobs));
                Piece::Block(Box::new(Due { offset, bytes: source.bytes, frame, opened }))
            }
            Ok(Some(Item::Trailer(trailer))) => Piece::Trailer(trailer),
            Ok(Some(Item::Genesis(_))) => unreachable!("a reader gives the genesis once"),
            Ok(None) => {
                if let Err(fault) = source.finish() {
                    let _ = pieces.send(Piece::Fault(fault));
                }
                return;
            }
            Err(fault) => Piece::Fault(fault),
        };
        let is_over = matches!(piece, Piece::Fault(_));
        if pieces.send(piece).is_err() || is_over {
            return;
        }
    }
}

fn hand_out(block: Block, jobs: &Sender<Job>) -> Opened {
    let block = Arc::new(block);
    let (checked, answers) = channel();
    for share in 0..block.records.len().div_ceil(SHARE) {
        // Those who check outlive those who read.
        let _ = jobs.send(Job { block: block.clone(), share, checked: checked.clone() });
    }
    Opened { block, checked: answers }
}

/// Bounds what is read ahead.
#[derive(Default)]
struct Room {
    held: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    is_closed: bool,
}

impl Room {
    /// Waits for room; no: the audit is over.
    fn take(&self, bytes: usize) -> bool {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |held: &mut Held| held.bytes >= AHEAD_BYTES_MAX && !held.is_closed;
        let mut held = self.changed.wait_while(held, is_full).unwrap_or_else(PoisonError::into_inner);
        held.bytes += bytes.max(AHEAD_BYTES_MIN);
        !held.is_closed
    }

    fn is_closed(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).is_closed
    }

    fn give_back(&self, bytes: usize) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).bytes -= bytes.max(AHEAD_BYTES_MIN);
        self.changed.notify_all();
    }
}

struct Closing<'a>(&'a Room);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner).is_closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
