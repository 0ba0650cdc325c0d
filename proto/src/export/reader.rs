//! Reads an export in pieces of any size, with bounded memory.

use alloc::boxed::Box;
use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::{ExportError, FRAME_BYTES_MAX, Fault, Frame, LENGTH_BYTES, Place, START, Trailer, checked_length};
use crate::genesis::Genesis;
use crate::hash::Digest;
use crate::limits::GENESIS_BYTES_MAX;

/// What an export holds, in this order: one genesis, blocks from height 1, one trailer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The genesis, which can start a chain.
    Genesis(Box<Genesis>),
    /// The frame where the block of height `height` must stand. Whether it does is for an audit to say.
    Block {
        /// The height that follows from the place in the file.
        height: u64,
        /// Where the frame begins, in bytes from the start of the file.
        offset: u64,
        /// The frame.
        frame: Frame,
    },
    /// The trailer, whose digest fits the bytes before it.
    Trailer(Trailer),
}

/// Takes the bytes of an export in pieces and gives its parts.
///
/// After each [`push`](Self::push) call [`take`](Self::take) until it gives nothing; then no more is kept
/// in memory than the piece and one frame. After an error the same error comes again.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Bytes that came in; those before `at` are done with.
    pending: Vec<u8>,
    at: usize,
    /// Where `pending[at]` stands in the file.
    offset: u64,
    next: Place,
    hasher: Sha256,
    failed: Option<ExportError>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { pending: Vec::new(), at: 0, offset: 0, next: Place::Start, hasher: Sha256::new(), failed: None }
    }
}

impl Reader {
    /// A reader at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.pending.drain(..self.at);
        self.at = 0;
        self.pending.extend_from_slice(bytes);
    }

    /// The next part, if all its bytes are here.
    pub fn take(&mut self) -> Result<Option<Item>, ExportError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.step().map_err(|fault| {
            // A part is consumed only once it is good, so the reader still stands where the wrong one begins.
            let error = ExportError { place: self.next, offset: self.offset, fault };
            self.failed = Some(error.clone());
            error
        })
    }

    /// The end of the file: an error if anything is missing.
    pub fn finish(mut self) -> Result<(), ExportError> {
        while self.take()?.is_some() {}
        let rest = self.rest();
        let found = rest.len() as u64;
        let fault = match self.next {
            Place::End => return Ok(()),
            Place::Frame(height) if rest.is_empty() => {
                let fault = Fault::Missing { height: height - 1 };
                return Err(ExportError { place: Place::Trailer, offset: self.offset, fault });
            }
            Place::Start => Fault::Cut { found, expected: START.len() as u64 },
            Place::Trailer => Fault::Cut { found, expected: Trailer::BYTES as u64 },
            Place::Genesis | Place::Frame(_) => {
                let length = rest.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
                Fault::Cut { found, expected: LENGTH_BYTES as u64 + length }
            }
        };
        Err(ExportError { place: self.next, offset: self.offset, fault })
    }

    /// How many bytes of the file are behind the parts that were taken.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn rest(&self) -> &[u8] {
        &self.pending[self.at..]
    }

    fn step(&mut self) -> Result<Option<Item>, Fault> {
        loop {
            match self.next {
                Place::Start => {
                    // A wrong start is told at its first wrong byte, before the rest is read.
                    let here = self.rest().len().min(START.len());
                    if self.rest()[..here] != START[..here] {
                        return Err(Fault::NotAnExport);
                    }
                    if here < START.len() {
                        return Ok(None);
                    }
                    self.consume(START.len());
                    self.next = Place::Genesis;
                }
                Place::Genesis => {
                    let Some(bytes) = self.framed(GENESIS_BYTES_MAX)? else { return Ok(None) };
                    let genesis = Genesis::decode(bytes).map_err(Fault::Genesis)?;
                    let length = LENGTH_BYTES + bytes.len();
                    self.consume(length);
                    self.next = Place::Frame(1);
                    return Ok(Some(Item::Genesis(Box::new(genesis))));
                }
                Place::Frame(height) => {
                    if self.rest().starts_with(&[0; LENGTH_BYTES]) {
                        self.consume(LENGTH_BYTES);
                        self.next = Place::Trailer;
                        continue;
                    }
                    let Some(bytes) = self.framed(FRAME_BYTES_MAX)? else { return Ok(None) };
                    let frame = Frame::decode(bytes)?;
                    let (offset, length) = (self.offset, LENGTH_BYTES + bytes.len());
                    self.consume(length);
                    self.next = Place::Frame(height + 1);
                    return Ok(Some(Item::Block { height, offset, frame }));
                }
                Place::Trailer => {
                    let Some(bytes) = self.rest().get(..Trailer::BYTES) else { return Ok(None) };
                    let trailer = Trailer::decode(bytes)?;
                    let found = Digest(self.hasher.clone().finalize().into());
                    if trailer.digest != found {
                        return Err(Fault::Digest { found, expected: trailer.digest });
                    }
                    self.consume(Trailer::BYTES);
                    self.next = Place::End;
                    return Ok(Some(Item::Trailer(trailer)));
                }
                Place::End => {
                    return if self.rest().is_empty() { Ok(None) } else { Err(Fault::Surplus) };
                }
            }
        }
    }

    /// The part behind a length, if it is all here. A bad length is an error before its bytes are awaited.
    fn framed(&self, max: usize) -> Result<Option<&[u8]>, Fault> {
        let Some((length, rest)) = self.rest().split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = checked_length(u64::from_le_bytes(*length), max)?;
        Ok(rest.get(..length))
    }

    fn consume(&mut self, length: usize) {
        let done = &self.pending[self.at..self.at + length];
        self.hasher.update(done);
        self.at += length;
        self.offset += length as u64;
    }
}
