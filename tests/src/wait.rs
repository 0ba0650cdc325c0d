//! Waiting for something to become true. A pause is never an assertion: only a deadline far beyond what is
//! usual fails.

use std::time::{Duration, Instant};

/// Long enough for anything that happens at all on a machine with other work to do.
pub const LONG: Duration = Duration::from_secs(180);

/// Looks until `look` gives something; panics after [`LONG`].
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(LONG, what, look)
}

/// As [`until`], with another patience.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
