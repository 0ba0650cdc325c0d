//! What is known of each peer: when to call it again, what it may still send, and whether it is shut out.
//!
//! A peer is blamed only for what it must have known to be bad: bytes that are no message, a signature that does not
//! fit, a record of another chain. What may be an honest difference (a key that is not known here yet, a full pool)
//! costs it nothing. [`STRIKES`] such messages within [`STRIKES_WITHIN`] shut it out for [`SHUT_OUT`]: it is disconnected,
//! and neither called nor let in meanwhile. So does a flood: far more than any peer has to tell.
//!
//! Time comes in as an argument.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use libp2p::PeerId;

use super::address::Endpoint;

/// Bad messages that shut a peer out.
const STRIKES: usize = 3;
/// Within so long.
const STRIKES_WITHIN: Duration = Duration::from_secs(60);
/// For so long.
const SHUT_OUT: Duration = Duration::from_secs(60);
/// Peers of whom strikes are remembered: whoever makes identities to be forgotten forgets his own.
const STRUCK_MAX: usize = 4096;
/// How long to wait before a lost peer is called again, at first and at most.
const CALL_AGAIN_MIN: Duration = Duration::from_millis(200);
const CALL_AGAIN_MAX: Duration = Duration::from_secs(2);
/// How long to wait before a node of another chain is called again: somebody may set it right.
const CALL_FOREIGN: Duration = Duration::from_secs(30);
/// Calls in a row that a node which another one named may leave unanswered.
const INTRODUCED_FAILURES: usize = 10;
/// How long a call may stay unanswered, after which another is made.
const CALL_PATIENCE: Duration = Duration::from_secs(5);

/// A bucket that fills at a steady rate: what a peer may send without being slowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    level: f64,
    capacity: f64,
    per_second: f64,
    at: Instant,
}

impl Bucket {
    /// Full: `per_second` on average, ten seconds' worth at once.
    pub(super) fn new(per_second: u64, now: Instant) -> Self {
        let per_second = per_second as f64;
        Self { level: per_second * 10.0, capacity: per_second * 10.0, per_second, at: now }
    }

    /// Takes `amount` out, if there is so much.
    pub(super) fn take(&mut self, amount: usize, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.level, self.at) = ((self.level + since * self.per_second).min(self.capacity), now);
        let amount = amount as f64;
        let enough = amount <= self.level;
        if enough {
            self.level -= amount;
        }
        enough
    }
}

/// Who is blamed for what, and who is shut out.
#[derive(Debug, Default)]
pub(super) struct Blame {
    strikes: HashMap<PeerId, VecDeque<Instant>>,
    shut_out: HashMap<PeerId, Instant>,
}

impl Blame {
    /// Notes a bad message; says whether the peer is to be shut out now.
    pub(super) fn strike(&mut self, peer: PeerId, now: Instant) -> bool {
        if self.strikes.len() >= STRUCK_MAX && !self.strikes.contains_key(&peer) {
            self.strikes.clear();
        }
        let strikes = self.strikes.entry(peer).or_default();
        strikes.push_back(now);
        while strikes.front().is_some_and(|first| now.saturating_duration_since(*first) > STRIKES_WITHIN) {
            strikes.pop_front();
        }
        if strikes.len() < STRIKES {
            return false;
        }
        self.shut_out(peer, now);
        true
    }

    /// From now on.
    pub(super) fn shut_out(&mut self, peer: PeerId, now: Instant) {
        self.strikes.remove(&peer);
        self.shut_out.insert(peer, now + SHUT_OUT);
    }

    /// Those who may come back.
    pub(super) fn forgiven(&mut self, now: Instant) -> Vec<PeerId> {
        let over: Vec<_> = self.shut_out.iter().filter(|(_, until)| **until <= now).map(|(peer, _)| *peer).collect();
        over.iter().for_each(|peer| {
            self.shut_out.remove(peer);
        });
        over
    }

    pub(super) fn is_shut_out(&self, peer: &PeerId) -> bool {
        self.shut_out.contains_key(peer)
    }
}

/// A node that this one stays connected to.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    pub(super) endpoint: Endpoint,
    /// Who answered there, for an endpoint without a peer id.
    pub(super) found: Option<PeerId>,
    /// Another node named it; else the operator did.
    pub(super) introduced: bool,
    next_call: Instant,
    wait: Duration,
    failures: usize,
}

impl Contact {
    pub(super) fn new(endpoint: Endpoint, now: Instant) -> Self {
        Self { endpoint, found: endpoint.peer, introduced: false, next_call: now, wait: CALL_AGAIN_MIN, failures: 0 }
    }

    /// Of a node that another one named.
    pub(super) fn introduced(endpoint: Endpoint, now: Instant) -> Self {
        Self { introduced: true, ..Self::new(endpoint, now) }
    }

    /// Whether it need not be called any more: nobody but another node named it, and it does not answer.
    pub(super) fn is_given_up(&self) -> bool {
        self.introduced && self.failures >= INTRODUCED_FAILURES
    }

    /// Whether to call it now; if so it is taken to be done.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = self.next_call <= now;
        if due {
            self.next_call = now + CALL_PATIENCE;
        }
        due
    }

    /// A call failed, or the connection was lost.
    pub(super) fn lost(&mut self, now: Instant) {
        self.next_call = now + self.wait;
        self.wait = (self.wait * 2).min(CALL_AGAIN_MAX);
        self.failures += 1;
    }

    /// It is there, and of another chain: there is no use in calling it soon.
    pub(super) fn is_foreign(&mut self) {
        self.wait = CALL_FOREIGN;
    }

    /// It answered.
    pub(super) fn reached(&mut self, peer: PeerId) {
        self.found = Some(peer);
        (self.wait, self.failures) = (CALL_AGAIN_MIN, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bad_messages_within_a_minute_shut_a_peer_out_for_a_minute() {
        let (mut blame, now) = (Blame::default(), Instant::now());
        let (bad, good) = (PeerId::random(), PeerId::random());
        assert!(!blame.strike(bad, now) && !blame.strike(good, now));
        assert!(!blame.strike(bad, now + Duration::from_secs(59)));
        assert!(!blame.strike(bad, now + Duration::from_secs(61)), "the first is forgotten");
        assert!(blame.strike(bad, now + Duration::from_secs(62)));
        assert!(blame.is_shut_out(&bad) && !blame.is_shut_out(&good));
        assert!(blame.forgiven(now + Duration::from_secs(121)).is_empty());
        assert_eq!(blame.forgiven(now + Duration::from_secs(122)), [bad]);
        assert!(!blame.is_shut_out(&bad));
    }

    #[test]
    fn a_bucket_gives_its_rate_and_ten_seconds_of_it_at_once() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10, now);
        assert!(bucket.take(100, now) && !bucket.take(1, now));
        assert!(bucket.take(20, now + Duration::from_secs(2)) && !bucket.take(1, now + Duration::from_secs(2)));
        let later = now + Duration::from_secs(3600);
        assert!(!bucket.take(101, later) && bucket.take(100, later));
    }

    #[test]
    fn a_lost_peer_is_called_again_soon_and_then_less_often() {
        let now = Instant::now();
        let mut contact = Contact::new("/ip4/127.0.0.1/tcp/1".parse().unwrap(), now);
        assert!(contact.is_due(now) && !contact.is_due(now), "one call at a time");
        let mut waits = Vec::new();
        let mut at = now;
        for _ in 0..6 {
            contact.lost(at);
            let mut next = at;
            while !contact.is_due(next) {
                next += Duration::from_millis(100);
            }
            waits.push((next - at).as_millis());
            at = next;
        }
        assert_eq!(waits, [200, 400, 800, 1600, 2000, 2000]);
        assert!(!contact.is_given_up(), "whom the operator named, ever");
        contact.reached(PeerId::random());
        contact.lost(at);
        assert!(contact.is_due(at + CALL_AGAIN_MIN));
    }

    #[test]
    fn whom_only_another_node_named_is_given_up_if_it_does_not_answer() {
        let now = Instant::now();
        let place = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let (mut named, mut introduced) = (Contact::new(place, now), Contact::introduced(place, now));
        for contact in [&mut named, &mut introduced] {
            (0..INTRODUCED_FAILURES - 1).for_each(|_| contact.lost(now));
            assert!(!contact.is_given_up());
            contact.reached(PeerId::random());
            (0..INTRODUCED_FAILURES).for_each(|_| contact.lost(now));
        }
        assert!(introduced.is_given_up() && !named.is_given_up());
    }
}
