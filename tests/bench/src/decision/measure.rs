//! Asking an evaluator the same questions, with a clock beside it.

use std::hint::black_box;
use std::time::Instant;

use writ_proto::decision::{Question, Why};

use crate::stats::Durations;

/// Whatever answers questions.
pub(super) trait Evaluator {
    /// The answer to question number `at`, and what it cost in look-ups where that is counted.
    ///
    /// # Errors
    /// If it cannot answer at all.
    fn answer(&mut self, at: usize) -> anyhow::Result<Why>;
}

/// What asking one evaluator gave, in each repetition.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Timed {
    /// How many questions were asked per repetition.
    pub(super) questions: usize,
    /// Nanoseconds: the median decision.
    pub(super) p50: Vec<f64>,
    /// Nanoseconds.
    pub(super) p99: Vec<f64>,
    /// Nanoseconds.
    pub(super) p999: Vec<f64>,
    /// Nanoseconds.
    pub(super) mean: Vec<f64>,
    /// Decisions per second of one thread, with no clock between them.
    pub(super) per_second: Vec<f64>,
    /// Share slower than so many nanoseconds, of the last repetition: the points of a curve.
    pub(super) tail: Vec<(f64, f64)>,
}

/// Shares of the curve of a distribution: from the median to the slowest of ten thousand.
const SHARES: [f64; 17] =
    [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985, 0.99, 0.995, 0.997, 0.999, 0.9995, 0.9999];

/// The answers to the first `count` questions, untimed: they also warm what there is to warm.
pub(super) fn answers(evaluator: &mut dyn Evaluator, count: usize) -> anyhow::Result<Vec<Why>> {
    (0..count).map(|at| evaluator.answer(at)).collect()
}

/// Asks the first `count` questions, each timed by itself, and all of them again without a clock.
pub(super) fn timed(evaluator: &mut dyn Evaluator, count: usize, repetitions: usize) -> anyhow::Result<Timed> {
    let mut timed = Timed { questions: count, ..Timed::default() };
    for _ in 0..repetitions {
        let mut durations = Durations::with_capacity(count);
        for at in 0..count {
            let start = Instant::now();
            black_box(evaluator.answer(at)?);
            durations.push(start.elapsed());
        }
        timed.p50.push(durations.percentile(0.5));
        timed.p99.push(durations.percentile(0.99));
        timed.p999.push(durations.percentile(0.999));
        timed.mean.push(durations.mean());
        timed.tail = SHARES.map(|share| (durations.percentile(share), 1.0 - share)).into();

        let start = Instant::now();
        for at in 0..count {
            black_box(evaluator.answer(at)?);
        }
        timed.per_second.push(count as f64 / start.elapsed().as_secs_f64());
    }
    Ok(timed)
}

/// Says where two lists of answers first differ.
///
/// # Errors
/// If they do.
pub(super) fn agree(who: &str, own: &[Why], other: &[Why], questions: &[Question]) -> anyhow::Result<()> {
    for ((own, other), question) in own.iter().zip(other).zip(questions) {
        anyhow::ensure!(own == other, "Writ answers {own:?} and {who} {other:?} to {question:?}");
    }
    Ok(())
}
