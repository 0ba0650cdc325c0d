//! From values to places on an axis, and where its ticks stand.

use super::{Axis, Scale};
use crate::format::quantity;

/// An axis with its range of values and its place in the picture.
pub(super) struct Ruler {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// The values with a tick, and their texts.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Ruler {
    /// Fits all of `values` between the places `from` and `to`.
    pub(super) fn fit(axis: &Axis, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let positive = |value: &f64| value.is_finite() && (*value > 0.0 || axis.scale == Scale::Linear);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(positive) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let (low, high, ticks) = match axis.scale {
            Scale::Linear => linear(high),
            Scale::Log => log(low, high),
        };
        let ticks = ticks.into_iter().map(|value| (value, quantity(value, axis.unit))).collect();
        Self { scale: axis.scale, low, high, from, to, ticks }
    }

    /// Keeps only ticks at these values, for an axis of few known places.
    pub(super) fn only(mut self, axis: &Axis, values: &[f64]) -> Self {
        self.ticks = values.iter().map(|value| (*value, quantity(*value, axis.unit))).collect();
        self
    }

    /// The place of a value; none if the axis cannot show it.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => return None,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        share.is_finite().then(|| self.from + share.clamp(0.0, 1.0) * (self.to - self.from))
    }
}

/// From zero to a round value at or above `high`, with about five ticks.
fn linear(high: f64) -> (f64, f64, Vec<f64>) {
    let high = if high > 0.0 { high } else { 1.0 };
    let raw = high / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|round| round * power).find(|step| *step >= raw * 0.999);
    let step = step.unwrap_or(raw);
    let count = (high / step * 0.999).ceil().max(1.0);
    (0.0, step * count, (0..=count as u32).map(|at| f64::from(at) * step).collect())
}

/// From a round value at or below `low` to one at or above `high`: 1, 2 and 5 times powers of ten, or only
/// powers of ten where that would be too many ticks.
fn log(low: f64, high: f64) -> (f64, f64, Vec<f64>) {
    let decades = high.log10().ceil() - low.log10().floor();
    let rounds: &[f64] = if decades <= 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let mut all = Vec::new();
    for power in low.log10().floor() as i32..=high.log10().ceil() as i32 {
        all.extend(rounds.iter().map(|round| round * 10_f64.powi(power)));
    }
    let first = all.iter().rposition(|value| *value <= low * 1.0001).unwrap_or(0);
    let last = all.iter().position(|value| *value >= high * 0.9999).unwrap_or(all.len() - 1);
    // A single value still needs an axis of some length.
    let last = if last <= first { (first + 1).min(all.len() - 1) } else { last };
    let ticks = all[first..=last].to_vec();
    (ticks[0], ticks[ticks.len() - 1], ticks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Unit;

    #[test]
    fn a_linear_axis_starts_at_zero_and_holds_the_greatest() {
        for (high, end) in [(9.0, 10.0), (10.0, 10.0), (0.7, 0.8), (1234.0, 1250.0), (0.0, 1.0)] {
            let (low, found, ticks) = linear(high);
            assert_eq!(low, 0.0);
            assert!((found - end).abs() < 1e-9, "{high}: {found}");
            assert!((3..=7).contains(&ticks.len()), "{high}: {ticks:?}");
        }
    }

    #[test]
    fn a_log_axis_holds_all_values_between_round_ones() {
        for (low, high, ends) in [(3.0, 40.0, (2.0, 50.0)), (1.0, 1e6, (1.0, 1e6)), (7.0, 7.0, (5.0, 10.0))] {
            let (first, last, ticks) = log(low, high);
            assert!(
                (first / ends.0 - 1.0).abs() < 1e-9 && (last / ends.1 - 1.0).abs() < 1e-9,
                "{low} {high}: {ticks:?}"
            );
        }
    }

    #[test]
    fn places_keep_the_order_of_values_and_stay_within() {
        let axis = Axis::new("time", Unit::Count, Scale::Log);
        let ruler = Ruler::fit(&axis, [2.0, 300.0].into_iter(), 100.0, 0.0);
        let places: Vec<f64> = [2.0, 20.0, 300.0].into_iter().filter_map(|value| ruler.place(value)).collect();
        assert!(places.is_sorted_by(|a, b| a > b), "{places:?}");
        assert!(places.iter().all(|place| (0.0..=100.0).contains(place)));
        assert_eq!(ruler.place(0.0), None, "a log axis has no zero");
    }
}
