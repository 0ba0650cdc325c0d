//! Median and spread over repetitions; percentiles of many durations.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Median, least and greatest of one figure's repetitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// The least.
    pub(crate) min: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Summary {
    /// The summary of some values.
    ///
    /// # Panics
    /// If there is none.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Self { median, min: sorted[0], max: sorted[sorted.len() - 1] }
    }
}

/// Durations in nanoseconds, one per operation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations {
    nanos: Vec<u64>,
    is_sorted: bool,
}

impl Durations {
    /// Room for `count` of them, so that recording does not allocate.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { nanos: Vec::with_capacity(count), is_sorted: false }
    }

    /// Adds one.
    pub(crate) fn push(&mut self, duration: Duration) {
        self.is_sorted = false;
        self.nanos.push(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The least duration that at least `share` of all do not exceed, in nanoseconds (nearest rank).
    ///
    /// # Panics
    /// If there are none.
    pub(crate) fn percentile(&mut self, share: f64) -> f64 {
        if !self.is_sorted {
            self.nanos.sort_unstable();
            self.is_sorted = true;
        }
        let rank = (share * self.nanos.len() as f64).ceil() as usize;
        self.nanos[rank.clamp(1, self.nanos.len()) - 1] as f64
    }

    /// The mean, in nanoseconds.
    pub(crate) fn mean(&self) -> f64 {
        self.nanos.iter().map(|nanos| *nanos as f64).sum::<f64>() / self.nanos.len() as f64
    }
}

/// What reading the clock twice costs in nanoseconds: a duration of nothing. The median of many.
pub(crate) fn timer_cost() -> f64 {
    let mut nothing = Durations::with_capacity(10_001);
    for _ in 0..10_001 {
        let start = Instant::now();
        nothing.push(start.elapsed());
    }
    nothing.percentile(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_spread_holds_all() {
        for (values, median, min, max) in
            [(vec![3.0], 3.0, 3.0, 3.0), (vec![9.0, 1.0, 2.0], 2.0, 1.0, 9.0), (vec![4.0, 2.0], 3.0, 2.0, 4.0)]
        {
            assert_eq!(Summary::of(&values), Summary { median, min, max }, "{values:?}");
        }
    }

    #[test]
    fn a_percentile_is_the_least_duration_that_covers_its_share() {
        let mut durations = Durations::with_capacity(1000);
        for nanos in (1..=1000).rev() {
            durations.push(Duration::from_nanos(nanos));
        }
        for (share, nanos) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            assert_eq!(durations.percentile(share), nanos, "{share}");
        }
        assert_eq!(durations.mean(), 500.5);
        durations.push(Duration::from_nanos(5000));
        assert_eq!(durations.percentile(1.0), 5000.0, "what was added later counts");
    }
}
