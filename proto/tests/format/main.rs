//! The bytes of the protocol: their encoding, the export, and what an audit makes of bad ones.
//!
//! Only the public interface is used. Every key, nonce and choice follows from a number, so each run makes
//! the same bytes.

mod chain;
mod document;
mod example;
mod files;
mod fuzz;
mod golden;
mod governing;
mod random;
mod tampering;
mod treachery;
