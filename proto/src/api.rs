//! The wire types of the HTTP interface, and text as people write it.
//!
//! These types are a promise to strangers, so they stand apart from the types that the protocol computes
//! with. Node and client share them; `docs/openapi.json` describes them to everybody else. Members that the caller
//! sends are checked to the last one (unknown members are refused); members that we send may grow.
//!
//! Names travel as people write them: any Unicode text, brought to NFC here and percent-encoded into ledger
//! form, and decoded on the way back. This module is the only place with a Unicode table.

mod account;
mod answers;
mod changes;
mod search;
mod tuple;
mod watch;

pub use account::*;
pub use answers::*;
pub use changes::*;
pub use search::{ExpiringPage, Possession, WhatCanPage, WhoCanPage, check_type, possessions_of, shown};
pub use tuple::{Tuple, entry_of, question_of, statement_of};
pub use watch::WatchPosition;

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::hash::Digest;

/// Standard base64 with padding: roots and hashes of proofs, as transparency logs write them.
pub fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads [`to_base64`].
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Reads a digest in base64.
pub fn digest_from_base64(text: &str) -> Option<Digest> {
    Some(Digest(from_base64(text)?.try_into().ok()?))
}

/// A text in NFC.
pub fn to_nfc(text: &str) -> String {
    // Most names, and every question asks for two.
    if text.is_ascii() { text.into() } else { text.nfc().collect() }
}

/// Whether a decoded name may be shown as it is: in NFC, so that it reads back as the same name, and
/// without control characters, which would let a name write on the screen. Others are shown in ledger form.
pub fn is_readable(text: &str) -> bool {
    unicode_normalization::is_nfc(text) && !text.chars().any(char::is_control)
}

/// The token of a place in the chain: `height.mark`, where the mark is the first sixteen hexadecimal
/// digits of that block's commit leaf hash (at height 0 of the chain id). It orders answers, and tells
/// when two of them come from different chains.
pub fn position_token(height: u64, commit_leaf: &Digest) -> String {
    alloc::format!("{height}.{}", hex::encode(&commit_leaf.0[..8]))
}

/// Since when nothing may have changed: since the log had a size, or since a position, which is a block's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a size of the log, a whole number, or the `position` of an answer")]
pub enum Since {
    /// Leaves in the log.
    Size(u64),
    /// A [`position_token`].
    Position(String),
}

/// A text that says no [`Since`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the `position` of an answer, or a size of the log")]
pub struct SinceError;

impl core::str::FromStr for Since {
    type Err = SinceError;

    fn from_str(text: &str) -> Result<Self, SinceError> {
        if read_position_token(text).is_some() {
            return Ok(Self::Position(text.into()));
        }
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain).map(Self::Size).ok_or(SinceError)
    }
}

/// The two parts of a [`position_token`].
pub fn read_position_token(token: &str) -> Option<(u64, &str)> {
    let (height, mark) = token.split_once('.')?;
    let fits = mark.len() == 16 && mark.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let plain = height == "0" || (!height.starts_with('0') && height.bytes().all(|b| b.is_ascii_digit()));
    (fits && plain).then_some((height.parse().ok()?, mark))
}
