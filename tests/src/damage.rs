//! Exports made wrong: bytes flipped, parts cut, swapped, removed, repeated.

use std::ops::Range;

use writ_proto::export::{START, Trailer};
use writ_proto::hash::Digest;

use crate::random::Random;

/// A good export, and where its parts lie.
#[derive(Clone, Debug)]
pub struct Export {
    bytes: Vec<u8>,
    parts: Vec<(Part, Range<usize>)>,
}

/// A part of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The bytes that every export starts with.
    Start,
    /// The genesis with its length.
    Genesis,
    /// The frame of a block with its length.
    Block(u64),
    /// The zero where a next length would stand, and the trailer.
    Trailer,
    /// What would follow the trailer.
    End,
}

/// A wrong export.
#[derive(Clone, Debug)]
pub struct Damaged {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What was done, for messages.
    pub what: String,
    /// The part in which it first differs from the good one.
    pub part: Part,
    /// Whether it only ends too early.
    pub is_cut: bool,
}

impl Export {
    /// Finds the parts of a good export.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut parts = vec![(Part::Start, 0..START.len())];
        let mut at = START.len();
        let mut next = Part::Genesis;
        loop {
            let length = bytes[at..].first_chunk().map(|length| u64::from_le_bytes(*length));
            let length = length.expect("a good export has a length here") as usize;
            let end = at + 8 + length;
            if length == 0 {
                parts.push((Part::Trailer, at..bytes.len()));
                assert_eq!(bytes.len(), end + Trailer::BYTES, "a good export ends with its trailer");
                return Self { bytes, parts };
            }
            parts.push((next, at..end));
            at = end;
            next = match next {
                Part::Block(height) => Part::Block(height + 1),
                _ => Part::Block(1),
            };
        }
    }

    /// The good bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many blocks it holds.
    pub fn blocks(&self) -> usize {
        self.parts.iter().filter(|(part, _)| matches!(part, Part::Block(_))).count()
    }

    /// One random damage. In half of the cases the digest in the trailer is made to fit again, as a forger would,
    /// so that it is not the only thing that notices.
    pub fn damage(&self, random: &mut Random) -> Damaged {
        loop {
            let (mut bytes, mut what) = self.change(random);
            if random.percent(50) && bytes.len() > Trailer::BYTES + START.len() {
                make_digest_fit(&mut bytes);
                what += ", digest made to fit";
            }
            let Some(first) = self.first_difference(&bytes) else { continue };
            let found = self.parts.iter().find(|(_, range)| range.contains(&first));
            let part = found.map_or(Part::End, |(part, _)| *part);
            let is_cut = self.bytes.starts_with(&bytes);
            return Damaged { bytes, what, part, is_cut };
        }
    }

    fn change(&self, random: &mut Random) -> (Vec<u8>, String) {
        let mut bytes = self.bytes.clone();
        let blocks: Vec<Range<usize>> = self.ranges();
        let block = random.pick(&blocks).clone();
        let what = match random.below(10) {
            0..=3 => {
                let at = random.place(bytes.len());
                let bits = 1 + random.below(255) as u8;
                bytes[at] ^= bits;
                format!("byte {at} flipped by {bits:#04x}")
            }
            4 => {
                let to = random.place(bytes.len());
                bytes.truncate(to);
                format!("cut to {to} bytes")
            }
            5 => {
                let to = if random.percent(50) { block.start } else { block.end };
                bytes.truncate(to);
                format!("cut at the border {to}")
            }
            6 => {
                bytes.drain(block.clone());
                format!("block at {block:?} removed")
            }
            7 => {
                let other = random.pick(&blocks).clone();
                let (first, second) = if block.start <= other.start { (block, other) } else { (other, block) };
                bytes = if first == second {
                    // Its second half before its first.
                    let middle = first.start + first.len() / 2;
                    [&bytes[..first.start], &bytes[middle..first.end], &bytes[first.start..middle], &bytes[first.end..]]
                        .concat()
                } else {
                    [
                        &bytes[..first.start],
                        &bytes[second.clone()],
                        &bytes[first.end..second.start],
                        &bytes[first.clone()],
                        &bytes[second.end..],
                    ]
                    .concat()
                };
                format!("{first:?} and {second:?} swapped")
            }
            8 => {
                let repeated = if random.percent(50) { block } else { self.any_range(random) };
                let copy = bytes[repeated.clone()].to_vec();
                bytes.splice(repeated.end..repeated.end, copy);
                format!("{repeated:?} repeated")
            }
            _ => {
                let (one, other) = (random.place(bytes.len()), random.place(bytes.len()));
                bytes.swap(one, other);
                format!("bytes {one} and {other} swapped")
            }
        };
        (bytes, what)
    }

    fn ranges(&self) -> Vec<Range<usize>> {
        let of_block = |(part, range): &(Part, Range<usize>)| matches!(part, Part::Block(_)).then(|| range.clone());
        self.parts.iter().filter_map(of_block).collect()
    }

    fn any_range(&self, random: &mut Random) -> Range<usize> {
        let start = random.place(self.bytes.len());
        let length = 1 + random.place((self.bytes.len() - start).min(2048));
        start..start + length
    }

    fn first_difference(&self, bytes: &[u8]) -> Option<usize> {
        let shorter = self.bytes.len().min(bytes.len());
        let differs = (0..shorter).find(|at| self.bytes[*at] != bytes[*at]);
        differs.or((self.bytes.len() != bytes.len()).then_some(shorter))
    }
}

fn make_digest_fit(bytes: &mut [u8]) {
    let (before, trailer) = bytes.split_at_mut(bytes.len() - Trailer::BYTES);
    let digest = Digest::of(&[before]);
    let at = trailer.len() - digest.0.len();
    trailer[at..].copy_from_slice(&digest.0);
}
