//! Which protocol version each height is under, and which of them this program speaks.
//!
//! A version is activated by a record, at a height that lies ahead. Whether that record may stand in a block does not
//! depend on what a program speaks: an old program takes it in like a new one, agrees on every block before that
//! height, and stops there in order.

use alloc::format;
use alloc::vec::Vec;

use crate::limits::{ACTIVATION_LEAD_MAX, ACTIVATION_LEAD_MIN};
use crate::refusal::{Code, Refusal};

/// A protocol version and the first height under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The version.
    pub protocol: u32,
    /// The first height under it.
    pub height: u64,
}

/// The next block is under a protocol version that this program does not speak: it can neither build nor judge it.
/// What it has so far stays good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {height} needs protocol {needs}, this program speaks up to {speaks}")]
pub struct UnsupportedProtocol {
    /// The height of that block.
    pub height: u64,
    /// The version in force there.
    pub needs: u32,
    /// The highest version that this program speaks.
    pub speaks: u32,
}

/// The versions of a chain, by the heights from which they are in force.
#[derive(Clone, Debug)]
pub(super) struct Protocols {
    first: u32,
    /// Ascending by height and by version.
    activated: Vec<Activation>,
}

impl Protocols {
    pub(super) fn of(first: u32) -> Self {
        Self { first, activated: Vec::new() }
    }

    /// The version in force at `height`, by what is known.
    pub(super) fn at(&self, height: u64) -> u32 {
        let begun = self.activated.iter().rev().find(|activation| activation.height <= height);
        begun.map_or(self.first, |activation| activation.protocol)
    }

    /// The activation that lies after `height`, if there is one.
    pub(super) fn pending(&self, height: u64) -> Option<Activation> {
        self.activated.last().copied().filter(|activation| activation.height > height)
    }

    /// Whether a record in block `height` may activate this.
    pub(super) fn judge(&self, new: Activation, height: u64) -> Result<(), Refusal> {
        let refuse = |code, field, detail| Err(Refusal::of(code, field, detail));
        if u16::try_from(new.protocol).is_err() {
            let detail = format!("protocol version {}, a header can say up to {}", new.protocol, u16::MAX);
            return refuse(Code::BadRequest, "protocol", detail);
        }
        if let Some(Activation { protocol, height }) = self.pending(height) {
            let detail = format!("protocol {protocol} is to be in force from height {height}, one change at a time");
            return refuse(Code::Conflict, "protocol", detail);
        }
        let present = self.at(height);
        if new.protocol <= present {
            let detail = format!("protocol version {}, the chain is under {present} already", new.protocol);
            return refuse(Code::Conflict, "protocol", detail);
        }
        let (first, last) = (height.saturating_add(ACTIVATION_LEAD_MIN), height.saturating_add(ACTIVATION_LEAD_MAX));
        if new.height < first {
            let detail = format!("height {}, block {height} can activate one from {first} on", new.height);
            return refuse(Code::Conflict, "height", detail);
        }
        if new.height > last {
            let detail = format!("height {}, block {height} can activate one up to {last}", new.height);
            return refuse(Code::LimitExceeded, "height", detail);
        }
        Ok(())
    }

    /// Takes in what [`Protocols::judge`] found good.
    pub(super) fn activate(&mut self, new: Activation) {
        self.activated.push(new);
    }
}
