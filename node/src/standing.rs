//! Whether this node has all that is known to exist.
//!
//! Three things are known: where the tip guard was when the node started, what the log is that validators have
//! cosigned, and whether anybody was heard at all.
//!
//! - A node *may answer* once its tip has reached the guard's, and once, since its start, it was where more than a third
//!   of the validators say that the log is. Before that it answers `503`: what it holds may be older than what it, or
//!   the node whose place it takes, answered from. It waits for what other validators' clocks say of its own as well, but no
//!   longer than [`COMPARING`] once somebody was heard: a wrong clock should be found out before anybody is answered by it. If nobody is heard for [`HEARING`] it answers from what it has: a
//!   node cut off from all others still serves reads.
//! - It is *caught up*, which is what readiness means, once a peer of this chain was heard, and while it is not behind that
//!   log for longer than [`LAG`].
//!
//! More than a third, so that one of them is honest: a validator that lies about the size of the log cannot make others
//! look late. The rule is a pure function of what was observed; time comes in as an argument.

use std::time::{Duration, Instant};

/// How long a node that starts waits to hear from others.
const HEARING: Duration = Duration::from_secs(5);
/// How long it waits for enough clocks, once it has heard somebody.
const COMPARING: Duration = Duration::from_secs(2);
/// How far behind a node that is caught up may be.
const LAG: Duration = Duration::from_secs(2);

/// What is observed at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    /// The last height here, and the size of the log.
    pub(crate) height: u64,
    pub(crate) size: u64,
    /// The size of the log that more than a third of the validators have cosigned, as far as this node has heard.
    pub(crate) cosigned: Option<u64>,
    /// Whether a peer has told all the cosignatures that it knows.
    pub(crate) heard: bool,
    /// Whether enough others have told their clock.
    pub(crate) compared: bool,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) may_answer: bool,
    pub(crate) caught_up: bool,
}

/// What was observed since the start.
#[derive(Debug)]
pub(crate) struct Standing {
    started: Instant,
    /// The height of the tip guard at the start.
    guarded: u64,
    /// Whether the node was ever where the others are.
    arrived: bool,
    /// Since when somebody was heard.
    heard: Option<Instant>,
    /// Since when it is behind.
    behind: Option<Instant>,
}

impl Standing {
    pub(crate) fn new(guarded: u64, now: Instant) -> Self {
        Self { started: now, guarded, arrived: false, heard: None, behind: None }
    }

    pub(crate) fn judge(&mut self, seen: Observed, now: Instant) -> Verdict {
        let level = seen.height >= self.guarded;
        let is_behind = seen.cosigned.is_some_and(|cosigned| cosigned > seen.size);
        self.behind = if is_behind { self.behind.or(Some(now)) } else { None };
        self.heard = self.heard.or(seen.heard.then_some(now));
        let lasts = |since: Instant, time| now.saturating_duration_since(since) >= time;
        let heard = self.heard.is_some_and(|since| seen.compared || lasts(since, COMPARING));
        self.arrived |= level && !is_behind && (heard || lasts(self.started, HEARING));
        let late = self.behind.is_some_and(|since| lasts(since, LAG));
        Verdict { may_answer: self.arrived, caught_up: self.arrived && self.heard.is_some() && level && !late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Observed = Observed { height: 5, size: 50, cosigned: None, heard: false, compared: true };

    #[test]
    fn a_node_that_hears_nobody_answers_after_a_while_and_one_behind_its_guard_does_not() {
        let start = Instant::now();
        let later = start + HEARING;
        let (mut level, mut behind) = (Standing::new(5, start), Standing::new(6, start));
        assert!(!level.judge(QUIET, start).may_answer);
        let alone = level.judge(QUIET, later);
        assert!(alone.may_answer && !alone.caught_up, "it answers, and is not ready");
        assert!(level.judge(Observed { heard: true, ..QUIET }, later).caught_up && level.judge(QUIET, later).caught_up);
        assert!(!behind.judge(QUIET, later).may_answer);
        assert!(behind.judge(Observed { height: 6, ..QUIET }, later).may_answer, "until it has fetched them");
    }

    #[test]
    fn who_starts_late_does_not_answer_before_it_was_where_the_others_are() {
        let start = Instant::now();
        let mut standing = Standing::new(0, start);
        let mut at = |height, size, cosigned, after| {
            let seen = Observed { height, size, cosigned: Some(cosigned), heard: true, compared: true };
            standing.judge(seen, start + Duration::from_millis(after))
        };
        assert!(!at(0, 0, 90, 10).may_answer);
        assert!(!at(3, 40, 90, 9_000).may_answer, "however long it takes");
        assert!(at(6, 90, 90, 9_100).caught_up);
        assert!(at(6, 90, 100, 9_200).caught_up, "a moment's lag is no matter");
        let late = at(6, 90, 120, 11_300);
        assert!(late.may_answer && !late.caught_up);
        assert!(at(9, 120, 120, 11_400).caught_up);
    }

    #[test]
    fn who_hears_that_it_is_where_the_others_are_answers_at_once() {
        let start = Instant::now();
        let mut standing = Standing::new(5, start);
        assert!(standing.judge(Observed { cosigned: Some(50), heard: true, ..QUIET }, start).caught_up);
        let mut young = Standing::new(0, start);
        let empty = Observed { height: 0, size: 0, cosigned: None, heard: true, compared: true };
        assert!(young.judge(empty, start).caught_up, "a chain without a block has no cosignatures");
    }

    #[test]
    fn who_starts_does_not_answer_by_a_clock_that_nobody_has_seen_unless_nobody_looks() {
        let start = Instant::now();
        let mut standing = Standing::new(5, start);
        let unseen = Observed { heard: true, compared: false, ..QUIET };
        assert!(!standing.judge(unseen, start).may_answer);
        assert!(standing.judge(Observed { compared: true, ..unseen }, start).may_answer);
        let mut left_alone = Standing::new(5, start);
        assert!(!left_alone.judge(unseen, start).may_answer);
        assert!(left_alone.judge(unseen, start + COMPARING).may_answer);
    }
}
