//! The language of conditions, checked from outside: only the public interface is used.

mod cost;
mod errors;
mod generator;
#[cfg(feature = "api")]
mod json;
mod laws;
mod oracle;
mod page;
#[path = "../format/random.rs"]
mod random;
mod requests;
mod tables;
