//! What somebody who watches the log is told beside entries.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::time::LedgerTime;

/// How far everything was told: the end of the log as the node had it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchPosition {
    /// The log's size.
    pub log_size: u64,
    /// The height of the last block.
    pub height: u64,
    /// Its time.
    pub at: LedgerTime,
    /// The token of that height.
    pub position: String,
}
