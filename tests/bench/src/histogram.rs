//! A histogram of durations in little memory: buckets that are a thirty-second of their value wide.

use std::time::Duration;

/// Buckets for each power of two: an error of at most 1/32.
const FINE: u64 = 32;
const FINE_BITS: u32 = FINE.trailing_zeros();

/// Counts of durations. Recording costs a few nanoseconds and allocates only while longer ones turn up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    max: u64,
}

/// The bucket of so many nanoseconds.
fn bucket(nanos: u64) -> usize {
    let power = nanos.max(1).ilog2();
    let at = match power.checked_sub(FINE_BITS) {
        None => nanos,
        Some(shift) => u64::from(shift + 1) * FINE + (nanos >> shift) - FINE,
    };
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The greatest number of nanoseconds in a bucket.
fn last(bucket: usize) -> u64 {
    let at = bucket as u64;
    match (at / FINE).checked_sub(1) {
        None => at,
        Some(shift) => (((at % FINE + FINE) << shift) | ((1 << shift) - 1)).max(at),
    }
}

impl Histogram {
    /// Counts one.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let at = bucket(nanos);
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (own, more) in self.counts.iter_mut().zip(&other.counts) {
            *own += more;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many are in buckets above that of `duration`.
    #[cfg(test)]
    pub(crate) fn count_above(&self, duration: Duration) -> u64 {
        let at = bucket(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
        self.counts.iter().skip(at + 1).sum()
    }

    /// The duration in nanoseconds that at least `share` of all do not exceed, at most a thirty-second too long;
    /// 0 if there are none.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let rank = ((share * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return last(at).min(self.max) as f64;
            }
        }
        self.max as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_one_another_and_are_narrow() {
        let mut before = 0;
        for nanos in 0..200_000_u64 {
            let at = bucket(nanos);
            assert!(at == before || at == before + 1, "{nanos}");
            before = at;
            assert!(last(at) >= nanos && last(at) - nanos <= nanos / FINE, "{nanos} is taken for {}", last(at));
            assert_eq!(bucket(last(at)), at);
        }
        for nanos in [u64::MAX, u64::MAX / 2, 1 << 40, (1 << 40) - 1] {
            assert_eq!(bucket(last(bucket(nanos))), bucket(nanos));
        }
    }

    #[test]
    fn percentiles_are_those_of_the_durations_that_were_recorded() {
        let (mut all, mut odd) = (Histogram::default(), Histogram::default());
        for micros in 1..=10_000_u64 {
            if micros % 2 == 0 { &mut all } else { &mut odd }.record(Duration::from_micros(micros));
        }
        all.add(&odd);
        for (share, micros) in [(0.0, 1.0), (0.5, 5_000.0), (0.99, 9_900.0), (0.999, 9_990.0), (1.0, 10_000.0)] {
            let found = all.percentile(share) / 1000.0;
            assert!(found >= micros && found <= micros * (1.0 + 1.0 / FINE as f64), "{share}: {found}");
        }
        assert_eq!(all.count(), 10_000);
        assert_eq!(Histogram::default().percentile(0.5), 0.0);
    }
}
