//! The harness of the system tests: real programs, real processes, real sockets.
//!
//! Nothing here looks inside a node. A [`world::World`] is a chain in a folder that goes away, with the keys of its
//! authorities; a [`node::Node`] is a running `writ-node`, asked over [`http`] or driven with [`writ`].
//! Whatever was started is killed when it is dropped, also when a test fails, and then tells what it said.
//!
//! A harness that cannot go on panics: that is how a test fails.

pub mod auditor;
pub mod damage;
pub mod files;
pub mod forger;
pub mod history;
pub mod http;
pub mod issuer;
pub mod node;
pub mod outside;
pub mod process;
pub mod programs;
pub mod python;
pub mod random;
pub mod raw;
pub mod receipts;
pub mod wait;
pub mod world;
pub mod writ;
