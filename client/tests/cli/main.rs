//! `writ` as a user runs it, and the library behind it, against a node in memory.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]
#![allow(clippy::result_large_err, reason = "a node in memory need not be fast")]

mod answers;
mod audits;
mod changes;
mod drafts;
mod imports;
mod keys;
mod library;
mod misuse;
mod network;
mod node;
mod program;
mod searches;
mod sets;
mod snapshots;
mod statements;
mod trust;
