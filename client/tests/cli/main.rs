//! `writ` as a user runs it, and the library behind it, against a node in memory.

mod answers;
mod audits;
mod imports;
mod keys;
mod library;
mod misuse;
mod node;
mod program;
mod snapshots;
mod statements;
