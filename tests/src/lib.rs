//! The harness of the system tests: real programs, real processes, real sockets.
//!
//! Nothing here looks inside a node. A [`world::World`] is a chain in a folder that goes away, with the keys of its
//! authorities; a [`node::Node`] is a running `writ-node`, asked over [`http`] or driven with [`writ`]. A
//! [`cluster::Cluster`] is a chain of several of them, under [`load::Load`], in a [`netlab::Netlab`] or on a
//! [`volume::Volume`] that can be broken.
//! Whatever was started is killed when it is dropped, also when a test fails, and then tells what it said.
//!
//! A harness that cannot go on panics: that is how a test fails.

pub mod attack;
pub mod auditor;
pub mod cluster;
pub mod damage;
pub mod files;
pub mod forger;
pub mod history;
pub mod http;
pub mod issuer;
pub mod load;
pub mod netlab;
pub mod node;
pub mod outside;
pub mod process;
pub mod programs;
pub mod python;
pub mod random;
pub mod raw;
pub mod receipts;
pub mod scenario;
pub mod skip;
pub mod volume;
pub mod wait;
pub mod watcher;
pub mod world;
pub mod writ;
