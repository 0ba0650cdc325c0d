//! When to start the next height: with work, with the others, or to catch up; never just so.
//!
//! An idle chain makes no blocks. A validator that has committed a height does not start the next one until
//! there is a reason:
//!
//! - **work**: the ledger has something to put into a block;
//! - **heard**: a validator has signed a vote or proposal for a height that this node has not decided;
//! - **behind**: a peer says that its tip is higher. That is an unsigned claim, so it is believed only while
//!   it bears fruit: a height that was started because of a claim and was then *not* fetched from a peer
//!   silences all claims for a while, twice as long each time. Otherwise one liar among the peers could keep
//!   an idle chain making empty blocks.
//!
//! Who does not vote may start at any time: nothing is ever proposed because of it.
//! Time comes in as an argument.

use std::time::{Duration, Instant};

/// How far ahead a validator's signature counts as news: the height under way elsewhere, and those that it
/// takes to hear of it.
const NEWS_AHEAD: u64 = 4;
/// How long claims stay unheard after the first that bore no fruit.
const SILENCE_MIN: Duration = Duration::from_secs(1);
/// And at most: at this rate, a chain with a liar among its peers makes one empty block a minute.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Why a height was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// This node does not vote, so it just follows.
    Following,
    /// There is something to put into a block, or a block under way from before a restart.
    Work,
    /// A validator was heard at a height that this node has not decided.
    Heard,
    /// A peer says that its tip is higher.
    Behind,
}

/// What is known about the others.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The highest height that a validator signed something for.
    heard: u64,
    /// The highest tip that peers claim, while claims are believed.
    claimed: u64,
    /// The highest height fetched from a peer.
    fetched: u64,
    /// Why the height under way was started.
    reason: Option<Reason>,
    silent_until: Option<Instant>,
    silence: Duration,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { heard: 0, claimed: 0, fetched: 0, reason: None, silent_until: None, silence: SILENCE_MIN }
    }

    /// A validator signed something for `height`.
    pub(crate) fn heard(&mut self, height: u64) {
        self.heard = self.heard.max(height);
    }

    /// Whether it is news that a validator was heard at `height`, for a node that last decided `tip`: only
    /// then is its signature worth checking. What is far ahead never counts: a node that is really so far
    /// behind learns it from its peers' tips, and a validator that signs a vote for a height of the far
    /// future would keep the chain from ever being idle.
    pub(crate) fn is_news(&self, height: u64, tip: u64) -> bool {
        height > tip && height <= tip.saturating_add(NEWS_AHEAD) && height > self.heard
    }

    /// A peer claims the tip `claimed`.
    pub(crate) fn claim(&mut self, claimed: u64, now: Instant) {
        if self.silent_until.is_none_or(|until| until <= now) {
            self.claimed = self.claimed.max(claimed);
        }
    }

    /// The value of `height` was fetched from a peer.
    pub(crate) fn fetched(&mut self, height: u64) {
        self.fetched = self.fetched.max(height);
        self.silence = SILENCE_MIN;
    }

    /// Why the height after `tip` should start now, if it should. Work counts most: what is started for it
    /// says nothing about claims.
    pub(crate) fn reason(&self, tip: u64, votes: bool, has_work: bool) -> Option<Reason> {
        if !votes {
            Some(Reason::Following)
        } else if has_work {
            Some(Reason::Work)
        } else if self.heard > tip {
            Some(Reason::Heard)
        } else if self.claimed > tip {
            Some(Reason::Behind)
        } else {
            None
        }
    }

    /// A height was started.
    pub(crate) fn started(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// `height` was decided.
    pub(crate) fn decided(&mut self, height: u64, now: Instant) {
        let fruitless = self.reason.take() == Some(Reason::Behind) && self.fetched != height;
        if fruitless {
            self.claimed = 0;
            self.silent_until = Some(now + self.silence);
            self.silence = (self.silence * 2).min(SILENCE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_validator_starts_for_a_reason_only() {
        let mut pace = Pace::new();
        assert_eq!(pace.reason(5, true, false), None);
        assert_eq!(pace.reason(5, true, true), Some(Reason::Work));
        assert_eq!(pace.reason(5, false, false), Some(Reason::Following));
        pace.heard(5);
        pace.claim(5, Instant::now());
        assert_eq!(pace.reason(5, true, false), None, "nothing beyond the tip");
        pace.claim(6, Instant::now());
        assert_eq!(pace.reason(5, true, false), Some(Reason::Behind));
        pace.heard(6);
        assert_eq!(pace.reason(5, true, false), Some(Reason::Heard));
    }

    #[test]
    fn only_what_is_ahead_of_all_heard_is_news() {
        let mut pace = Pace::new();
        assert!(!pace.is_news(5, 5));
        assert!(pace.is_news(6, 5));
        pace.heard(6);
        assert!(!pace.is_news(6, 5));
        assert!(pace.is_news(7, 5));
        assert!(pace.is_news(5 + NEWS_AHEAD, 5) && !pace.is_news(6 + NEWS_AHEAD, 5), "nor the far future");
    }

    #[test]
    fn a_claim_that_bears_fruit_is_believed_to_its_end() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        pace.claim(8, now);
        for height in 6..=8 {
            assert_eq!(pace.reason(height - 1, true, false), Some(Reason::Behind));
            pace.started(Reason::Behind);
            pace.fetched(height);
            pace.decided(height, now);
        }
        assert_eq!(pace.reason(8, true, false), None);
    }

    #[test]
    fn a_liar_is_believed_ever_more_rarely() {
        let (mut pace, mut now) = (Pace::new(), Instant::now());
        let (mut blocks, start) = (0, now);
        while now < start + Duration::from_secs(600) {
            pace.claim(u64::MAX, now);
            if let Some(reason) = pace.reason(5 + blocks, true, false) {
                pace.started(reason);
                blocks += 1;
                pace.decided(5 + blocks, now);
            }
            now += Duration::from_millis(100);
        }
        assert!((6..=16).contains(&blocks), "{blocks} empty blocks in ten minutes");
        pace.fetched(500);
        now += SILENCE_MAX;
        pace.claim(501, now);
        assert_eq!(pace.reason(500, true, false), Some(Reason::Behind), "but who was right is believed again");
    }

    #[test]
    fn a_height_started_for_work_says_nothing_about_claims() {
        let (mut pace, now) = (Pace::new(), Instant::now());
        pace.claim(9, now);
        pace.started(Reason::Work);
        pace.decided(6, now);
        assert_eq!(pace.reason(6, true, false), Some(Reason::Behind));
    }
}
