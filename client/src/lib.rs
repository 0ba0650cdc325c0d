//! Asks, signs and audits an access ledger.
//!
//! Nothing here trusts a node more than it must: what a node answers to a submission is checked against what
//! was signed ([`verify`]), and a whole chain against its genesis alone ([`audit`]).
//!
//! ```no_run
//! use writ_client::client::{Client, Question};
//!
//! let client = Client::new(["http://127.0.0.1:7001"])?;
//! let answer = client.check(&Question { sub: "alice".into(), obj: "file:plan.txt".into(), ..Question::default() })?;
//! println!("{}, because: {}", answer.decision.as_str(), answer.why);
//! # Ok::<(), writ_client::ClientError>(())
//! ```
//!
//! | module | idea |
//! |---|---|
//! | [`clock`] | the one place that reads time |
//! | [`when`] | times as people write them: `tomorrow`, `+8h` |
//! | [`keys`] | issuer keys on disk |
//! | [`token`] | bearer tokens, each for its own node |
//! | [`client`] | the nodes of one chain, asked as if they were one |
//! | [`standing`] | the same nodes, asked one by one and compared |
//! | [`changes`] | what was, what changed, what would change |
//! | [`search`] | complete answers about many names: who can, what can, what ends |
//! | [`watch`] | what happens, as it is committed: a stream that goes on by itself |
//! | [`verify`] | proofs of what a node answers, checked here |
//! | [`circle`] | who must sign what, as the nodes tell it |
//! | [`draft`] | a record that goes from hand to hand until enough have signed it |
//! | [`author`] | a key, its authority and its chain: makes signed records |
//! | [`append`] | many records into the log, with patience |
//! | [`import`] | a file of access rows: idempotent, resumable, in file order |
//! | [`audit`] | a whole chain verified, from an export or from the nodes |
//! | [`export`] | a whole chain in one file |
//! | [`error`] | what can go wrong between us and the nodes |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "in a test a panic is the verdict"))]

pub mod append;
pub mod audit;
pub mod author;
pub mod changes;
pub mod circle;
pub mod client;
pub mod clock;
pub mod draft;
pub mod error;
pub mod export;
pub mod import;
pub mod keys;
pub mod search;
pub mod set;
pub mod standing;
pub mod token;
mod transport;
pub mod verify;
pub mod watch;
pub mod when;

pub use author::{Author, AuthorError};
pub use client::Client;
pub use error::ClientError;
