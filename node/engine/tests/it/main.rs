//! The engine with a ledger in memory: alone, among others, and when something refuses.

mod harness;
mod lone;
mod network;
mod stops;
