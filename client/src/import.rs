//! Importing a file of access rows: idempotent, resumable, in file order.
//!
//! ```text
//!   file --rows--> rows --draft--> ids, resolved times --look up--> targets --journal, fsync--> send
//!            ^               ^                             ^                        |
//!            |               +------- journal -------------+------------------------+
//!      nonce = H(chain, authority, the row's text, its ordinal among equal rows)
//! ```
//!
//! A row's nonce follows from its text, so its record has the same id whenever it is made, and sending it
//! twice adds nothing. Two things do not follow from the text alone: what a relative time meant, and which
//! entries a withdrawal found. Those are kept in a [`journal`] beside the file, on the disk before a row is
//! sent. So a run that was killed at any point is completed by the next one, and a run that was complete is
//! repeated without effect.
//!
//! Rows take effect in file order. The log may order the records of one block otherwise (what reduces access
//! goes first), and that is as good: a withdrawal names the exact entries that it ends, so it neither misses
//! one that comes later in the block nor touches one that a later row makes.
//!
//! | module | idea |
//! |---|---|
//! | [`rows`] | from CSV or JSON lines to rows, the faulty ones marked |
//! | [`plan`] | from rows, journal and what was found to the records to send: pure |
//! | [`journal`] | what a file's rows were resolved to, torn tails and all |
//! | [`run`] | the loop that sends batches and counts |
//! | [`whole`] | the whole file as one set, all or nothing |
//! | [`preview`] | the same plan, told by a node instead of sent |

#[cfg(test)]
mod fixtures;
pub mod journal;
pub mod plan;
pub mod preview;
pub mod rows;
pub mod run;
pub mod whole;

pub use run::{Failure, Ledger, Refused, Summary, import};
