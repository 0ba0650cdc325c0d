//! Writers that go on appending whatever happens to the nodes, and take note of what was acknowledged.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use writ_proto::api::Receipt;
use writ_proto::record::Signed;

use crate::cluster::{Cluster, Memory, lock, new_record};
use crate::http::Http;
use crate::issuer::Issuer;
use crate::random::Random;
use crate::wait::LONG;

/// How long a writer waits for an answer: a node that is paused or cut off gives none.
const PATIENCE: Duration = Duration::from_secs(5);

/// The writers. They end when this is dropped.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    issuer: Arc<Issuer>,
    memory: Arc<Mutex<Memory>>,
    targets: Mutex<Vec<Http>>,
    ended: AtomicBool,
    /// Answers that no node may give.
    wrong: Mutex<Vec<String>>,
}

impl Load {
    /// So many writers, each with one submission at a time, to any node of `cluster`.
    pub fn start(cluster: &Cluster, writers: usize, random: &mut Random) -> Self {
        let shared = Arc::new(Shared {
            issuer: cluster.issuer().clone(),
            memory: cluster.memory().clone(),
            targets: Mutex::default(),
            ended: AtomicBool::new(false),
            wrong: Mutex::default(),
        });
        let spawn = |seed| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.write(&mut Random::new(seed)))
        };
        let writers = (0..writers).map(|_| spawn(random.number())).collect();
        let load = Self { shared, writers };
        load.at(cluster, &(0..cluster.len()).collect::<Vec<_>>());
        load
    }

    /// From now on, submissions go to these nodes.
    pub fn at(&self, cluster: &Cluster, nodes: &[usize]) {
        let targets = nodes.iter().map(|n| Http::impatient(cluster.http(*n).base(), PATIENCE)).collect();
        *self.shared.targets.lock().expect("no writer has panicked") = targets;
    }

    /// From now on, nothing more is submitted, until [`Load::at`] says where.
    pub fn rest(&self) {
        self.shared.targets.lock().expect("no writer has panicked").clear();
    }

    /// Waits until so many more records were answered as being in the log: the chain goes on.
    pub fn until_committed(&self, what: &str, more: u64) {
        let start = Instant::now();
        let goal = lock(&self.shared.memory).committed + more;
        while lock(&self.shared.memory).committed < goal {
            self.assert_good();
            let found = lock(&self.shared.memory).committed + more - goal;
            assert!(start.elapsed() < LONG, "{what}: {found} of {more} records committed in {LONG:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many were committed so far.
    pub fn committed(&self) -> u64 {
        lock(&self.shared.memory).committed
    }

    /// Ends the writers, and waits until their last submissions are answered or given up.
    pub fn stop(mut self) {
        self.end();
        self.assert_good();
    }

    fn end(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for writer in self.writers.drain(..) {
            // Its panic was printed.
            let _ = writer.join();
        }
    }

    fn assert_good(&self) {
        let wrong = self.shared.wrong.lock().expect("no writer has panicked");
        assert!(wrong.is_empty(), "answers that no node may give: {wrong:?}");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn write(&self, random: &mut Random) {
        while !self.ended.load(Ordering::Relaxed) {
            let target = {
                let targets = self.targets.lock().expect("no writer has panicked");
                (!targets.is_empty()).then(|| random.pick(&targets).clone())
            };
            let Some(target) = target else {
                std::thread::sleep(Duration::from_millis(10));
                continue;
            };
            let record = new_record(&self.issuer);
            let wait = *random.pick(&["wait=committed&wait_ms=3000", "wait=committed&wait_ms=3000", "wait=none"]);
            let Ok(answer) = target.try_submit(&record, wait) else {
                // Nothing is known of this record.
                std::thread::sleep(Duration::from_millis(20));
                continue;
            };
            match answer.status {
                200 | 202 => self.note(record, answer.json()),
                429 | 503 => std::thread::sleep(Duration::from_millis(50)),
                status => {
                    let text = format!("{status} {}", answer.text());
                    self.wrong.lock().expect("no writer has panicked").push(text);
                }
            }
        }
    }

    fn note(&self, record: Signed, receipt: Receipt) {
        let mut memory = lock(&self.memory);
        memory.acknowledged.insert(record.id(), record);
        memory.committed += u64::from(receipt.place.is_some());
    }
}
