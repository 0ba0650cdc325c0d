//! Where time comes from: two clocks, read together.

use std::fmt;
use std::time::SystemTime;

/// Both clocks at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock: milliseconds since the Unix epoch, 0 if it is before that. Anybody may set it.
    pub wall_ms: u64,
    /// The boot-time clock: milliseconds since some instant, sleep included. Nobody can set it.
    pub boot_ms: u64,
}

impl Reading {
    /// The wall clock less the boot-time clock, in milliseconds: it changes only if somebody sets the wall clock.
    pub(super) fn offset_ms(self) -> i64 {
        super::signed(self.wall_ms).saturating_sub(super::signed(self.boot_ms))
    }
}

/// What reads the clocks: those of the machine, or a script's.
pub struct Source(Box<dyn Fn() -> Reading + Send + Sync>);

impl Source {
    /// The clocks of this machine.
    pub fn system() -> Self {
        Self(Box::new(read_system))
    }

    /// Another source of time.
    pub fn of(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self(Box::new(read))
    }

    pub(super) fn read(&self) -> Reading {
        (self.0)()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Between the two readings of one clock the other is read; if that took longer, the process was paused.
const TOGETHER_MS: u64 = 5;

fn read_system() -> Reading {
    let mut before = boot_ms();
    // A pause between the two clocks would look like a jump. Twice in a row is bad luck, and fails closed.
    for _ in 0..3 {
        let wall_ms = wall_ms();
        let after = boot_ms();
        if after.saturating_sub(before) <= TOGETHER_MS {
            return Reading { wall_ms, boot_ms: after };
        }
        before = after;
    }
    Reading { wall_ms: wall_ms(), boot_ms: boot_ms() }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn boot_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1000) + u64::try_from(now.tv_nsec / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_this_machine_run() {
        let first = Source::system().read();
        assert!(first.wall_ms > 1_700_000_000_000, "{first:?}");
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 20 {}
        let second = Source::system().read();
        assert!((15..10_000).contains(&(second.boot_ms - first.boot_ms)), "{first:?} {second:?}");
    }
}
