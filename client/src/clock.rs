//! The one place of the client that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use writ_proto::time::LedgerTime;

/// Now, by the clock of this machine; before 1970 the first instant, after 9999 the last.
pub fn now() -> LedgerTime {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    u64::try_from(millis).ok().and_then(|millis| LedgerTime::from_millis(millis).ok()).unwrap_or(LedgerTime::MAX)
}
