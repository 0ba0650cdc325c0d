//! The interface as callers meet it, over a ledger in memory.

mod chain;
mod check;
mod entries;
mod garbage;
mod openapi;
mod records;
mod refusals;
mod serve;
mod world;
