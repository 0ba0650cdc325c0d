//! What an audit finds: which block, which part of it, and what is wrong there.

use alloc::string::{String, ToString as _};
use core::fmt;

use crate::export::{ExportError, Place};
use crate::refusal::{Code, Refusal};

/// The first thing that is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which block; `None`: none of them.
    pub height: Option<u64>,
    /// Which part of the block, or of the file.
    pub part: Part,
    /// The code that a node would refuse it with, where one is.
    pub code: Option<Code>,
    /// Where the part begins in the file, in bytes, where there is a file and that is known.
    pub offset: Option<u64>,
    /// What was found and what was expected.
    pub detail: String,
}

/// A part of a block, or of the file that it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The start of the file.
    Start,
    /// The genesis.
    Genesis,
    /// A frame: its length, or the encoding of block and certificate.
    Frame,
    /// The block's encoding or size.
    Block,
    /// A member of the header, by its name.
    Header(&'static str),
    /// A record, by its place in the block, from 0.
    Record(usize),
    /// The votes that made the block final.
    Certificate,
    /// The trailer of the file.
    Trailer,
    /// What follows the trailer.
    End,
}

impl Part {
    /// One word for it, stable, for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Genesis => "genesis",
            Self::Frame => "frame",
            Self::Block => "block",
            Self::Header(_) => "header",
            Self::Record(_) => "record",
            Self::Certificate => "certificate",
            Self::Trailer => "trailer",
            Self::End => "end",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start of the file"),
            Self::Block => f.write_str("encoding and size"),
            Self::Header(member) => write!(f, "header, `{member}`"),
            Self::Record(at) => write!(f, "record {at}"),
            Self::End => f.write_str("end of the file"),
            Self::Genesis | Self::Frame | Self::Certificate | Self::Trailer => f.write_str(self.as_str()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(height) = self.height {
            write!(f, "block {height}, ")?;
        }
        write!(f, "{}", self.part)?;
        if let Some(offset) = self.offset {
            write!(f, " (at byte {offset})")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl core::error::Error for Finding {}

impl Finding {
    pub(super) fn of(height: Option<u64>, part: Part, detail: String) -> Self {
        Self { height, part, code: None, offset: None, detail }
    }

    pub(super) fn of_refusal(height: Option<u64>, part: Part, refusal: &Refusal) -> Self {
        let detail = match refusal.path() {
            Some(field) => alloc::format!("`{field}`: {}", refusal.detail),
            None => refusal.detail.clone(),
        };
        Self { code: Some(refusal.code), ..Self::of(height, part, detail) }
    }

    /// The same, with the place of its block in the file.
    pub(super) fn at(self, offset: u64) -> Self {
        Self { offset: Some(offset), ..self }
    }
}

impl From<ExportError> for Finding {
    fn from(error: ExportError) -> Self {
        let (height, part) = match error.place {
            Place::Start => (None, Part::Start),
            Place::Genesis => (None, Part::Genesis),
            Place::Frame(height) => (Some(height), Part::Frame),
            Place::Trailer => (None, Part::Trailer),
            Place::End => (None, Part::End),
        };
        Self::of(height, part, error.fault.to_string()).at(error.offset)
    }
}
