//! A validator is killed while records come in, and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::ensure;
use writ_tests::cluster::{Cluster, new_record};

use super::VALIDATORS;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::run::Run;

/// Until it is level and ready.
const REJOIN_SECONDS_MAX: f64 = 10.0;
/// After which it is taken for lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// Kills the last validator of `cluster` and brings it back, once per repetition.
pub(super) fn measure(run: &Run, section: &mut Section, cluster: &mut Cluster) -> anyhow::Result<()> {
    let time = Duration::from_secs(if run.short { 1 } else { 5 });
    let victim = VALIDATORS - 1;
    let (mut before, mut away, mut longest, mut took) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..run.repetitions {
        let writer = Writer::start(cluster);
        before.push(heights(cluster, time));
        writer.longest.store(0, Ordering::Relaxed);
        cluster.kill(victim);
        away.push(heights(cluster, time));
        longest.push(writer.longest.load(Ordering::Relaxed) as f64);
        let start = Instant::now();
        cluster.launch(victim);
        while !is_back(cluster, victim) {
            ensure!(start.elapsed() < PATIENCE, "a validator is not back after {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        took.push(start.elapsed().as_secs_f64());
        writer.stop();
    }
    let mut table = Table::new(
        "One of four validators gets SIGKILL while one caller submits record after record to another.",
        &[
            "heights before",
            "heights while it is away",
            "longest wait of a record then",
            "level and ready again",
            "goal",
        ],
    );
    let figure = |id: &str, what: &str, unit, values| Figure::new(format!("network/rejoin/{id}"), what, unit, values);
    let before = section.figure(figure("before", "heights with four of four", Unit::PerSecond, before));
    let away = figure("away", "heights with three of four", Unit::PerSecond, away).against(before.clone());
    let away = section.figure(away);
    let longest = section.figure(figure("longest", "longest wait with three of four", Unit::Nanoseconds, longest));
    let took = figure("took", "from its start to level and ready", Unit::Seconds, took);
    let took = section.figure(took.goal(Goal::AtMost(REJOIN_SECONDS_MAX)));
    table.row(vec![
        Cell::Value(before),
        Cell::Value(away),
        Cell::Value(longest),
        Cell::Value(took.clone()),
        Cell::Goal(took),
    ]);
    section.tables.push(table);
    Ok(())
}

/// Heights per second at the first node.
fn heights(cluster: &Cluster, time: Duration) -> f64 {
    let (first, start) = (cluster.http(0).status().height, Instant::now());
    std::thread::sleep(time);
    (cluster.http(0).status().height - first) as f64 / start.elapsed().as_secs_f64()
}

/// Whether node `n` has what the first one had just before, and says that it is ready.
fn is_back(cluster: &Cluster, n: usize) -> bool {
    let height = cluster.http(0).status().height;
    let level = cluster.status(n).is_some_and(|status| status.height >= height);
    level && cluster.http(n).try_get("/readyz").is_ok_and(|answer| answer.status == 200)
}

/// Submits one record after the other to the first node.
struct Writer {
    ended: Arc<AtomicBool>,
    /// The longest wait in nanoseconds.
    longest: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(cluster: &Cluster) -> Self {
        let (http, issuer) = (cluster.http(0).clone(), cluster.issuer().clone());
        let (ended, longest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (end, wait) = (ended.clone(), longest.clone());
        let work = move || {
            while !end.load(Ordering::Relaxed) {
                let record = new_record(&issuer);
                let start = Instant::now();
                http.submit(&record);
                wait.fetch_max(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        };
        Self { ended, longest, thread: Some(std::thread::spawn(work)) }
    }

    fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}
