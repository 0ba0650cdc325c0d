//! Several nodes over TCP on this machine.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard};
use writ_engine::Engine;
use writ_proto::key::KeyId;

use crate::harness::{Ledger, TestSigner, config, logs, network, start, stop, validators};

/// One cluster at a time: together they would only wait for the processor.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) struct Node {
    pub(crate) n: u8,
    pub(crate) ledger: Ledger,
    pub(crate) signer: Option<Arc<TestSigner>>,
    pub(crate) home: TempDir,
    pub(crate) engine: Option<Engine>,
    #[cfg(feature = "byzantine")]
    pub(crate) misbehaviour: Option<writ_engine::Misbehaviour>,
}

impl Node {
    pub(crate) fn new(n: u8, validators_to: u8, votes: bool) -> Self {
        let ledger = Ledger::new(votes.then_some(n), validators(1..=validators_to));
        Self {
            n,
            ledger,
            signer: votes.then(|| TestSigner::new(n)),
            home: tempfile::tempdir().unwrap(),
            engine: None,
            #[cfg(feature = "byzantine")]
            misbehaviour: None,
        }
    }

    pub(crate) async fn start(&mut self, peers: Vec<String>) {
        let config = config(&format!("v{}", self.n), self.home.path(), Some(network(self.n, peers)));
        #[cfg(feature = "byzantine")]
        let config = writ_engine::Config { misbehaviour: self.misbehaviour.clone(), ..config };
        self.engine = Some(start(config, &self.ledger, self.signer.clone()).await.unwrap());
    }

    pub(crate) async fn stop(&mut self) {
        stop(self.engine.take().expect("a running node")).await;
    }

    pub(crate) fn address(&self) -> Option<String> {
        self.engine.as_ref().map(|engine| engine.addresses()[0].clone())
    }
}

pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    _turn: MutexGuard<'static, ()>,
}

impl Cluster {
    /// `voters` validators and `followers` full nodes, all connected to all validators.
    pub(crate) async fn start(voters: u8, followers: u8) -> Self {
        logs();
        let turn = TURN.lock().await;
        let nodes = (1..=voters + followers).map(|n| Node::new(n, voters, n <= voters)).collect();
        let mut cluster = Self { nodes, _turn: turn };
        for at in 0..cluster.nodes.len() {
            cluster.start_node(at).await;
        }
        cluster
    }

    /// Starts a node with whoever runs as its peers.
    pub(crate) async fn start_node(&mut self, at: usize) {
        let peers = self.nodes.iter().filter_map(Node::address).collect();
        self.nodes[at].start(peers).await;
    }

    pub(crate) async fn stop_node(&mut self, at: usize) {
        self.nodes[at].stop().await;
    }

    /// What the nodes' own gossip will do: every ledger learns of the item.
    pub(crate) fn submit(&self, item: u64) {
        self.nodes.iter().for_each(|node| node.ledger.submit(item));
    }

    /// Waits until all that run have committed `item`.
    pub(crate) async fn until_committed(&self, item: u64) {
        for node in self.nodes.iter().filter(|node| node.engine.is_some()) {
            node.ledger.until(&format!("v{} has item {item}", node.n), |store| store.items().contains(&item)).await;
        }
    }

    /// Waits until all that run have the highest tip, and gives it.
    pub(crate) async fn settle(&self) -> u64 {
        for node in self.nodes.iter().filter(|node| node.engine.is_some()) {
            while node.ledger.tip() < self.highest() {
                let next = node.ledger.tip() + 1;
                node.ledger.until(&format!("v{} has height {next}", node.n), |store| store.tip() >= next).await;
            }
        }
        self.highest()
    }

    pub(crate) fn highest(&self) -> u64 {
        self.nodes.iter().map(|node| node.ledger.tip()).max().unwrap()
    }

    /// Asserts that all ledgers hold prefixes of one chain, with each item once, and that nobody is accused.
    pub(crate) fn agree(&self) {
        let accused = self.agree_among(&(0..self.nodes.len()).collect::<Vec<_>>());
        assert_eq!(accused, [], "nobody is accused");
    }

    /// The same of some of the nodes; gives who is accused.
    pub(crate) fn agree_among(&self, honest: &[usize]) -> Vec<KeyId> {
        let nodes: Vec<_> = honest.iter().map(|at| &self.nodes[*at]).collect();
        let chains: Vec<_> = nodes.iter().map(|node| node.ledger.lock().digests()).collect();
        let longest = chains.iter().max_by_key(|chain| chain.len()).unwrap();
        assert!(chains.iter().all(|chain| longest.starts_with(chain)), "one chain: {chains:?}");
        let mut accused = Vec::new();
        for node in nodes {
            let mut items = node.ledger.lock().items();
            let all = items.len();
            items.sort();
            items.dedup();
            assert_eq!(items.len(), all, "each item once");
            accused.extend(node.ledger.lock().evidence.iter().map(|evidence| evidence.offender));
        }
        accused.sort();
        accused.dedup();
        accused
    }

    pub(crate) async fn stop(mut self) {
        for node in &mut self.nodes {
            if let Some(engine) = node.engine.take() {
                stop(engine).await;
            }
        }
    }
}
