//! A node's home: which file lies where, and how a home is made.
//!
//! ```text
//!   writ.toml            the configuration
//!   genesis.json         where the chain starts
//!   validator.json       the public halves of its voting and checkpoint keys: what a chain enrols a validator by
//!   db/                  RocksDB: the system of record
//!   wal/                 the engine's write-ahead log
//!   guard/               the tip guard and the clock's high-water mark: never part of a backup
//!   keys/vote.key        the voting key, and beside it the sign guard: never part of a backup
//!   keys/checkpoint.key  the key that cosigns checkpoints
//!   keys/node.key        the transport's key
//! ```

use std::path::{Path, PathBuf};

/// A node's home.
#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The home at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.0.join("writ.toml")
    }

    /// The genesis as JSON.
    pub fn genesis(&self) -> PathBuf {
        self.0.join("genesis.json")
    }

    /// The public keys by which the node can be made a validator.
    pub fn validator(&self) -> PathBuf {
        self.0.join("validator.json")
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("db")
    }

    /// The folder of tip guard and high-water mark.
    pub fn guard(&self) -> PathBuf {
        self.0.join("guard")
    }

    /// The folder of keys.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// The voting key.
    pub fn vote_key(&self) -> PathBuf {
        self.keys().join("vote.key")
    }

    /// The key that cosigns checkpoints.
    pub fn checkpoint_key(&self) -> PathBuf {
        self.keys().join("checkpoint.key")
    }

    /// The transport's key.
    pub fn node_key(&self) -> PathBuf {
        self.keys().join("node.key")
    }

    /// Whether a node lives here.
    pub fn is_made(&self) -> bool {
        self.genesis().exists()
    }
}
