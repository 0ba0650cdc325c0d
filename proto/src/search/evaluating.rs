//! The conditions of one question of a search, and what they cost.

use core::cell::Cell;

use super::{Asked, Conditions};
use crate::condition::STEPS_MAX;
use crate::decision::Truth;

/// Steps of a condition that take about as long as one look-up.
const STEPS_PER_LOOKUP: u64 = 8;

/// Evaluates conditions for one question, and counts what that takes: a request may carry lists that are long, and a
/// search evaluates them for each name.
pub(super) struct Evaluating<'a> {
    conditions: Conditions<'a>,
    asked: Asked<'a>,
    steps: Cell<u64>,
}

impl<'a> Evaluating<'a> {
    pub(super) fn of(conditions: Conditions<'a>, asked: Asked<'a>) -> Self {
        Self { conditions, asked, steps: Cell::new(0) }
    }

    /// What a condition comes to; nothing is evaluated any more once all of them took too much.
    pub(super) fn truth(&self, text: &str) -> Truth {
        if self.steps.get() > STEPS_MAX {
            return Truth::Indeterminate;
        }
        let evaluation = (self.conditions)(&self.asked, text);
        self.steps.set(self.steps.get().saturating_add(evaluation.steps));
        evaluation.truth
    }

    /// What all evaluations so far took, in look-ups.
    pub(super) fn lookups(&self) -> u32 {
        u32::try_from(self.steps.get() / STEPS_PER_LOOKUP).unwrap_or(u32::MAX)
    }
}
