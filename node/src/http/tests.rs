//! The interface as callers meet it, over a ledger in memory.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod authzen;
mod authzen_search;
mod chain;
mod changes;
mod check;
mod checkpoint;
mod entries;
mod explain;
mod garbage;
mod openapi;
mod records;
mod refusals;
mod search;
mod serve;
mod strangers;
mod turns;
mod watch;
mod world;
