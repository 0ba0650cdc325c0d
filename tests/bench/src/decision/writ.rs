//! Writ's own evaluator, as the node calls it.

use std::sync::Barrier;
use std::time::Instant;

use writ_proto::decision::{Moment, Question, Truth, Why, account, resolve};
use writ_proto::state::State;
use writ_proto::time::Interval;

use super::measure::Evaluator;

/// Writ, with questions to be answered.
pub(super) struct Writ<'a> {
    pub(super) state: &'a State,
    pub(super) questions: &'a [Question],
    pub(super) moment: Moment,
}

/// Now, as a node knows it: a second after the last block, give or take fifty milliseconds.
pub(super) fn moment_after(state: &State) -> anyhow::Result<Moment> {
    let lo = state.tip().time.saturating_add_millis(1_000);
    Ok(Moment { interval: Interval::new(lo, lo.saturating_add_millis(100))?, height: state.tip().height })
}

/// No entry of the dataset has a condition.
fn no_conditions(_: &str) -> Truth {
    Truth::Indeterminate
}

impl Evaluator for Writ<'_> {
    fn answer(&mut self, at: usize) -> anyhow::Result<Why> {
        Ok(resolve(self.state.index(), &self.questions[at], &self.moment, &no_conditions).why)
    }
}

impl Writ<'_> {
    /// How many keys each decision looked up: least, mean, greatest.
    pub(super) fn lookups(&self) -> [f64; 3] {
        let (mut least, mut sum, mut greatest) = (u32::MAX, 0_u64, 0);
        for question in self.questions {
            let lookups = resolve(self.state.index(), question, &self.moment, &no_conditions).lookups;
            (least, sum, greatest) = (least.min(lookups), sum + u64::from(lookups), greatest.max(lookups));
        }
        [f64::from(least), sum as f64 / self.questions.len() as f64, f64::from(greatest)]
    }

    /// Of which questions the answer depends on a denied membership: peers without such a notion are not
    /// asked those.
    pub(super) fn meets_denied_role(&self, at: usize) -> bool {
        let unknown = |_: &str| Truth::Indeterminate.into();
        let account = account(self.state.index(), &self.questions[at], &self.moment, &no_conditions, &unknown);
        account.roles.iter().any(|role| role.denied)
    }

    /// Decisions per second of `threads` threads together, on one state, each starting elsewhere.
    pub(super) fn per_second(&self, threads: usize, repetitions: usize) -> Vec<f64> {
        let one = || {
            // Threads start together; the last to end counts.
            let barrier = Barrier::new(threads);
            let longest = std::thread::scope(|scope| {
                let work = |thread: usize| {
                    let barrier = &barrier;
                    move || {
                        let (first, second) = self.questions.split_at(thread * self.questions.len() / threads);
                        barrier.wait();
                        let start = Instant::now();
                        for question in second.iter().chain(first) {
                            std::hint::black_box(resolve(self.state.index(), question, &self.moment, &no_conditions));
                        }
                        start.elapsed().as_secs_f64()
                    }
                };
                let all: Vec<_> = (0..threads).map(|thread| scope.spawn(work(thread))).collect();
                all.into_iter().map(|thread| thread.join().unwrap_or(f64::NAN)).fold(0.0, f64::max)
            });
            (threads * self.questions.len()) as f64 / longest
        };
        (0..repetitions).map(|_| one()).collect()
    }
}
