//! The engine with a ledger in memory: alone, among others, and when something refuses.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

#[cfg(feature = "byzantine")]
mod byzantine;
mod cluster;
mod harness;
mod lone;
mod network;
mod stops;
