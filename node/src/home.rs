//! A node's home: which file lies where, and how a home is made.
//!
//! ```text
//!   writ.toml            the configuration
//!   genesis.json         where the chain starts
//!   validator.json       the public halves of its voting and checkpoint keys: what a chain enrols a validator by
//!   checkpoint           the final checkpoint, as the node last wrote it down; made again if it is lost
//!   db/                  RocksDB: the system of record
//!   wal/                 the engine's write-ahead log
//!   guard/               the tip guard and the clock's high-water mark: never part of a backup
//!   guard/repairs.log    what operators took upon themselves
//!   keys/vote.key        the voting key, and beside it the sign guard: never part of a backup
//!   keys/checkpoint.key  the key that cosigns checkpoints, and beside it the checkpoint guard: never part of a backup
//!   keys/node.key        the transport's key
//!   tokens               who may call from beyond this machine: names and hashes
//!   last-backup          when the last backup was made, for the metrics
//! ```

use std::path::{Path, PathBuf};

use crate::config::Config;

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

    /// The final checkpoint.
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint")
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

    /// The file that lists tokens, where the configuration says.
    pub fn tokens(&self, config: &Config) -> PathBuf {
        self.0.join(&config.http.tokens_file)
    }

    /// What the last backup left behind.
    pub fn last_backup(&self) -> PathBuf {
        self.0.join("last-backup")
    }

    /// Whether a node lives here.
    pub fn is_made(&self) -> bool {
        self.genesis().exists()
    }
}
