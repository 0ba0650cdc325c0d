//! Faults one after another, made from a seed: the same seed makes the same faults.

use std::fmt;
use std::time::Duration;

use writ_proto::certificate::faulty;

use crate::cluster::Cluster;
use crate::load::Load;
use crate::random::Random;

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL; it is started again afterwards.
    Kill,
    /// SIGKILL, and again while it recovers.
    KillTwice,
    /// SIGTERM; it is started again afterwards.
    Stop,
    /// SIGSTOP and SIGCONT.
    Pause,
    /// No packet from or to it. Needs a cluster in a network of its own.
    Isolate,
    /// No packet from it. Needs one too.
    Silence,
}

/// A fault with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What.
    pub fault: Fault,
    /// To whom: all of them at once.
    pub nodes: Vec<usize>,
    /// How long.
    pub lasts: Duration,
    /// How long all is well afterwards.
    pub rest: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?} for {:?}, then {:?} of rest", self.fault, self.nodes, self.lasts, self.rest)
    }
}

/// Which faults there are to choose from.
#[derive(Clone, Debug)]
pub struct Choice {
    /// These.
    pub faults: Vec<Fault>,
    /// How many validators there are: the nodes from 0.
    pub validators: usize,
    /// How many of them may be away at once.
    pub away_max: usize,
    /// How long a fault lasts at most.
    pub lasts_max: Duration,
}

impl Step {
    /// The next step of a scenario.
    pub fn random(choice: &Choice, random: &mut Random) -> Self {
        let away = 1 + random.place(choice.away_max);
        let mut all: Vec<usize> = (0..choice.validators).collect();
        let nodes = (0..away).map(|_| all.remove(random.place(all.len()))).collect();
        let up_to =
            |random: &mut Random, most: Duration| Duration::from_millis(random.below(most.as_millis() as u64 + 1));
        let (fault, lasts) = (*random.pick(&choice.faults), up_to(random, choice.lasts_max));
        Self { fault, nodes, lasts, rest: up_to(random, Duration::from_secs(2)) }
    }

    /// Carries it out, under load: while a minority is away the others go on, and once all are back the chain does.
    pub fn carry_out(&self, cluster: &mut Cluster, load: &Load, validators: usize) {
        println!("{self}");
        let others: Vec<usize> = (0..cluster.len()).filter(|n| !self.nodes.contains(n)).collect();
        self.begin(cluster);
        load.at(cluster, &others);
        if self.nodes.len() <= faulty(validators) {
            load.until_committed(&format!("{self}: the others go on"), 5);
        }
        std::thread::sleep(self.lasts);
        self.end(cluster);
        load.at(cluster, &(0..cluster.len()).collect::<Vec<_>>());
        load.until_committed(&format!("{self}: the chain goes on afterwards"), 5);
        std::thread::sleep(self.rest);
    }

    fn begin(&self, cluster: &mut Cluster) {
        for n in &self.nodes {
            match self.fault {
                Fault::Kill | Fault::KillTwice => cluster.kill(*n),
                Fault::Stop => cluster.stop(*n),
                Fault::Pause => cluster.pause(*n),
                Fault::Isolate => cluster.lab().isolate(*n),
                Fault::Silence => (0..cluster.len()).filter(|to| to != n).for_each(|to| cluster.lab().cut(*n, to)),
            }
        }
    }

    fn end(&self, cluster: &mut Cluster) {
        match self.fault {
            Fault::Kill | Fault::Stop => self.nodes.iter().for_each(|n| cluster.launch(*n)),
            Fault::KillTwice => {
                for n in &self.nodes {
                    cluster.launch(*n);
                    cluster.kill(*n);
                    cluster.launch(*n);
                }
            }
            Fault::Pause => self.nodes.iter().for_each(|n| cluster.resume(*n)),
            Fault::Isolate | Fault::Silence => cluster.lab().heal(),
        }
    }
}
