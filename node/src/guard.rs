//! Small files that remember what must never be forgotten, outside the database and outside every backup.
//!
//! | file | idea |
//! |---|---|
//! | [`tip`] `HOME/guard/tip` | how far the database was: a damaged or swapped one does not quietly answer with an older truth |
//! | `HOME/guard/clock` | the high-water mark of time, kept by [`crate::clock`] |
//! | [`sign`] `HOME/keys/sign-guard` | what the voting key signed last: never two statements for one step |
//! | [`checkpoint`] `HOME/keys/checkpoint-guard` | what the checkpoint key signed last: never a smaller log, never another of one size |
//! | [`key_file`] `HOME/keys/*.key` | secret keys, readable by their owner alone |
//!
//! The first four are files of two slots (`slots`): every change is on disk before whatever depends on it
//! leaves the process, a write that was cut off by a crash leaves the value before it, and a damaged byte
//! leaves the newest value. After a failed write or fsync such a file takes no more, and the process ends.
//!
//! What they do not notice by themselves: that a guard was swapped for an older copy in place. Hence *outside every
//! backup*. The two that guard a key, where it matters most, refuse a copy that lies somewhere else, and
//! [learn](Learned) from other nodes what their key signed since.

pub mod checkpoint;
pub(crate) mod durable;
pub mod key_file;
mod place;
pub mod sign;
mod slots;
pub mod tip;

pub use checkpoint::{CheckpointGuard, CheckpointGuardError, CheckpointRefused};
pub(crate) use durable::replace as replace_file;
pub use sign::{SignGuard, SignGuardError, SignRefused};
pub use slots::GuardFileError;
pub(crate) use slots::{Kept, SlotFile};
pub use tip::{MustNotAnswer, Standing, TipGuard, TipGuardError, TipMark};

/// What a statement that others have kept says to the guard of the key that signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// Nothing: the guard signed it, or would sign nothing there.
    Known,
    /// That the key has signed more than the guard knew. It knows now.
    New,
    /// That the key has signed another statement than the guard knows, for one step or one size.
    Conflict,
    /// Nothing: the key did not sign it.
    Foreign,
}
