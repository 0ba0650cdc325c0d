//! Ends a process whose consensus does not work and does not end.
//!
//! There are two ways to be like that. The engine *halts on purpose* when it cannot keep its write-ahead log, and
//! waits for somebody to look; since every signature goes through the sign guard, this node needs nobody to look, it
//! needs to be started again. And the one thread that writes the chain may *answer no more*, for whatever reason.
//!
//! What must never be taken for either: a quorum that is lost (the thread still answers), and a process that was
//! paused, or a machine that is slow. So time counts only as far as this watch itself ran on time: whoever was
//! stopped for an hour, or gets the processor once in ten seconds, has been silent for no time at all.
//!
//! ```text
//!   looks, one a second        .  .  .  .          .  .  .  .
//!   silence counted            0  1  2  3   pause  0  1  2  3   up to PATIENCE: then it is a fault
//! ```
//!
//! [`Rule`] is that and nothing else: it is told what was seen and when, and reads no clock.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use writ_engine::{Pulse, Vitals};

use crate::exit::Exit;
use crate::metrics::Metrics;

/// How often the watch looks.
pub const EVERY: Duration = Duration::from_secs(1);
/// A look that comes so late says that this process did not run.
pub const LATE: Duration = Duration::from_secs(3);
/// How long the chain's thread may be silent while this process runs: longer than any disk takes that still works.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How long the node may take to end by itself once it knows.
const GRACE: Duration = Duration::from_secs(10);

/// What is wrong with the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It has stopped for safety's sake, and does not end.
    #[error("the consensus engine has halted: it could not keep its write-ahead log, and its log says why")]
    Halted,
    /// The thread that writes the chain does not answer.
    #[error("the thread that writes the chain has not answered for {seconds} s")]
    Silent {
        /// For how long.
        seconds: u64,
    },
}

/// What was seen at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// When, on a clock that only goes forward.
    pub at: Duration,
    /// Whether the engine says that it has halted.
    pub has_halted: bool,
    /// Whether the last question to the chain's thread is answered.
    pub is_answered: bool,
}

/// When to call it a fault. See the module's doc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    last: Option<Duration>,
    silent: Duration,
    halted: bool,
}

impl Rule {
    /// Takes note of a look; gives the fault, if this one makes it one.
    pub fn look(&mut self, look: Look) -> Option<Fault> {
        let since = self.last.map_or(Duration::ZERO, |last| look.at.saturating_sub(last));
        self.last = Some(look.at);
        self.silent = if look.is_answered || since > LATE { Duration::ZERO } else { self.silent + since };
        // Seen twice, so that an engine that is just about to say so itself, with its reason, comes first.
        let has_halted = look.has_halted && self.halted;
        self.halted = look.has_halted;
        if has_halted {
            return Some(Fault::Halted);
        }
        (self.silent >= PATIENCE).then_some(Fault::Silent { seconds: self.silent.as_secs() })
    }

    /// For how long the chain's thread is known to be silent.
    pub fn silent(&self) -> Duration {
        self.silent
    }
}

/// A running watch. Dropped, it ends.
#[derive(Debug)]
pub struct Watchdog {
    fault: oneshot::Receiver<Fault>,
    _held: Arc<()>,
}

impl Watchdog {
    /// Watches over an engine, from a thread of its own: it must not wait for whatever it watches.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(vitals: Vitals, metrics: Metrics) -> std::io::Result<Self> {
        let mut asked: Option<Pulse> = None;
        let look = move || {
            let is_answered = asked.as_mut().is_none_or(Pulse::is_answered);
            if is_answered {
                asked = Some(vitals.ask());
            }
            (vitals.has_halted(), is_answered)
        };
        Self::over(look, EVERY, metrics)
    }

    /// Watches over whatever `look` sees, `every` so often: whether it has halted, and whether it answers.
    fn over(
        look: impl FnMut() -> (bool, bool) + Send + 'static,
        every: Duration,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let held = Arc::new(());
        let (tell, fault) = oneshot::channel();
        let owner = Arc::downgrade(&held);
        let watch = move || watch(look, every, &metrics, &owner, tell);
        std::thread::Builder::new().name("writ-watchdog".into()).spawn(watch)?;
        Ok(Self { fault, _held: held })
    }

    /// Completes when there is a fault; never otherwise.
    pub async fn fault(&mut self) -> Fault {
        if self.fault.is_terminated() {
            return std::future::pending().await;
        }
        match (&mut self.fault).await {
            Ok(fault) => fault,
            // The thread ends only with this handle, or after it has told.
            Err(_) => std::future::pending().await,
        }
    }
}

fn watch(
    mut look: impl FnMut() -> (bool, bool),
    every: Duration,
    metrics: &Metrics,
    owner: &Weak<()>,
    tell: oneshot::Sender<Fault>,
) {
    let began = Instant::now();
    let mut rule = Rule::default();
    let fault = loop {
        std::thread::sleep(every);
        if owner.strong_count() == 0 {
            return;
        }
        let (has_halted, is_answered) = look();
        let fault = rule.look(Look { at: began.elapsed(), has_halted, is_answered });
        metrics.consensus().silent_for(rule.silent());
        if let Some(fault) = fault {
            break fault;
        }
    };
    tracing::error!(%fault, "consensus does not work, and the node ends");
    // Whoever waits for it may be gone.
    let _ = tell.send(fault);
    std::thread::sleep(GRACE);
    if owner.strong_count() > 0 {
        tracing::error!("the node does not end in order, and is ended");
        std::process::exit(Exit::Engine.code().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at these times, of an engine that never answers.
    fn silence(times: impl IntoIterator<Item = Duration>) -> Option<(Duration, Fault)> {
        let mut rule = Rule::default();
        times.into_iter().find_map(|at| {
            let fault = rule.look(Look { at, has_halted: false, is_answered: false })?;
            Some((at, fault))
        })
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn silence_is_a_fault_once_it_lasts() {
        let (at, fault) = silence((0..1000).map(seconds)).expect("a fault");
        assert_eq!((at, fault), (PATIENCE, Fault::Silent { seconds: PATIENCE.as_secs() }));
        // Looks that come a little late count in full.
        let (at, _) = silence((0..1000).map(|n| seconds(2 * n))).expect("a fault");
        assert_eq!(at, PATIENCE);
    }

    #[test]
    fn an_answer_ends_the_silence_however_late() {
        let mut rule = Rule::default();
        for n in 0..10_000 {
            // Just in time, every time.
            let is_answered = n % PATIENCE.as_secs() == PATIENCE.as_secs() - 1;
            let look = Look { at: seconds(n), has_halted: false, is_answered };
            assert_eq!(rule.look(look), None, "at {n} s");
        }
    }

    #[test]
    fn a_pause_of_the_process_is_no_silence() {
        // Looks a second apart, an hour of SIGSTOP after each `run` of them, and the first look after it.
        for run in [1, 2, 60, 119] {
            let times = (0..200).flat_map(|round| (0..run).map(move |n| seconds(round * 3_600 + n)));
            assert_eq!(silence(times), None, "paused after {run} s each time");
        }
        // One pause, and then a thread that is silent in earnest.
        let times = (0..100).map(seconds).chain((0..1000).map(|n| seconds(50_000 + n)));
        assert_eq!(silence(times).map(|(at, _)| at), Some(seconds(50_000) + PATIENCE));
    }

    #[test]
    fn a_machine_too_slow_to_look_is_no_silence() {
        assert_eq!(silence((0..10_000).map(|n| (LATE + Duration::from_millis(1)) * n)), None);
    }

    #[test]
    fn an_engine_that_halted_is_a_fault_at_the_second_look() {
        for (seen, want) in [
            (&[false, false, false][..], None),
            (&[false, true], None),
            (&[true, false, true, false], None),
            (&[false, true, true], Some(2)),
            (&[true, true], Some(1)),
        ] {
            let mut rule = Rule::default();
            let looks = seen.iter().zip(0..);
            let found = looks.filter_map(|(has_halted, n)| {
                let look = Look { at: seconds(n), has_halted: *has_halted, is_answered: true };
                rule.look(look).map(|fault| (n, fault))
            });
            assert_eq!(found.last(), want.map(|n| (n, Fault::Halted)), "{seen:?}");
        }
    }

    #[tokio::test]
    async fn a_watch_tells_of_a_fault_once_and_of_nothing_else() {
        let every = Duration::from_millis(5);
        let mut halts = Watchdog::over(|| (true, true), every, Metrics::new()).unwrap();
        assert_eq!(halts.fault().await, Fault::Halted);
        let again = tokio::time::timeout(Duration::from_millis(50), halts.fault()).await;
        assert!(again.is_err(), "it tells once");
        // Held on to, it would end the process.
        drop(halts);

        let looks = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let seen = looks.clone();
        let look = move || {
            seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            // Silent for now and then, and never for long.
            (false, seen.load(std::sync::atomic::Ordering::SeqCst).is_multiple_of(2))
        };
        let mut fine = Watchdog::over(look, every, Metrics::new()).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(200), fine.fault()).await.is_err());
        drop(fine);
        // Nobody holds it, so it ends: the closure goes, and with it the count.
        while Arc::strong_count(&looks) > 1 {
            tokio::time::sleep(every).await;
        }
    }

    #[test]
    fn a_clock_that_goes_back_counts_nothing() {
        let times = (0..1000).map(|n| if n % 2 == 0 { seconds(500) } else { seconds(1) });
        assert_eq!(silence(times), None);
    }
}
