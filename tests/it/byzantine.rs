//! Three honest nodes and one that lies, a real process (`node/examples/liar.rs`), under load: the three go on and agree,
//! nothing that is wrong is decided, nobody but the liar is ever accused, and once the honest program runs in the liar's
//! home it takes part again by itself.
//!
//! Every lie for 8 blocks and two of the liar's turns, or for as many blocks as `WRIT_BYZANTINE` says.
//!
//! The liar signs without its guard, so its guard knows nothing of what it signed. The honest program is started in its
//! home only when all heights for which the liar can have signed anything are decided: then there is nothing left that a
//! second statement could contradict.

use std::time::{Duration, Instant};

use writ_proto::api::{EvidenceAnswer, SignedAnswer, from_base64};
use writ_proto::hash::Domain;
use writ_proto::key::{KeyId, PublicKey, Signature};
use writ_tests::auditor::{Follower, Turn};
use writ_tests::cluster::Cluster;
use writ_tests::load::Load;
use writ_tests::programs;
use writ_tests::random::Random;
use writ_tests::skip;

/// The node that lies.
const LIAR: usize = 3;
const HONEST: [usize; 3] = [0, 1, 2];
/// Its turns of each lie.
const TURNS: usize = 2;
/// How far beyond the tip of an honest node a liar can have signed: six heights early, and some that this node is behind.
const AHEAD: u64 = 10;
/// How long a lie may take to show.
const PATIENCE: Duration = Duration::from_secs(300);

fn blocks() -> usize {
    match std::env::var("WRIT_BYZANTINE") {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("WRIT_BYZANTINE is `{text}`, expected a number")),
        Err(_) => 8,
    }
}

/// What a lie leaves behind with the honest.
#[derive(Clone, Copy, Debug, Default)]
struct Traces {
    /// Each of them found a block of its invalid.
    refused: bool,
    /// Whenever it was the liar's turn, the height took another round.
    passed_over: bool,
    /// Two statements of the liar for one step.
    proof: Proof,
    /// What each of them has said.
    said: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Proof {
    /// It never signs twice.
    #[default]
    Impossible,
    /// It does, and nobody need be able to show it.
    Possible,
    /// It does, and some honest node keeps both, which are of this kind.
    Certain(Domain),
}

/// A cluster in which one node lies, one lie after another.
struct Trial {
    cluster: Cluster,
    load: Load,
    /// Derives everything again from an honest node's blocks.
    watcher: Follower,
    liar: PublicKey,
    /// The heights under way while it lied, first and last.
    lied: Vec<(u64, u64)>,
}

impl Trial {
    /// Nothing, if no liar was built.
    fn start(name: &str) -> Option<Self> {
        skip::unless(name, programs::liar())?;
        let cluster = Cluster::new(4, 0);
        let load = Load::start(&cluster, 4, &mut Random::from_environment(name));
        let watcher = Follower::new(cluster.genesis().clone());
        let liar = cluster.genesis().validators[LIAR].vote.key;
        load.until_committed("all are well", 10);
        Some(Self { cluster, load, watcher, liar, lied: Vec::new() })
    }

    /// One lie, from the liar's start until its home is an honest node's again.
    fn tell(&mut self, lie: &str, traces: Traces) {
        let start = Instant::now();
        self.load.at(&self.cluster, &HONEST);
        self.cluster.stop(LIAR);
        let first = self.height() + 1;
        let refused = HONEST.map(|n| judged(&self.cluster, n, "invalid"));
        self.cluster.start_of(LIAR).program = programs::liar().expect("it was there before");
        self.cluster.start_of(LIAR).environment = vec![("WRIT_LIE".into(), lie.into())];
        self.cluster.start(LIAR);
        while let Some(missing) = self.missing(traces, first, &refused) {
            assert!(start.elapsed() < PATIENCE, "{lie}: after {PATIENCE:?} still {missing}");
            self.load.until_committed(&format!("three go on beside one of {lie}"), 3);
            if traces.passed_over {
                self.assert_passed_over(lie, first);
            }
        }
        self.cluster.kill(LIAR);
        let last = self.height() + AHEAD;
        self.lied.push((first, last));
        self.judge(lie, traces, first);
        self.rejoin(lie);
        println!("{lie}: heights {first} to {}, {:?}", self.height(), start.elapsed());
    }

    /// What has not shown yet of a lie that is told from height `first` on.
    fn missing(&mut self, traces: Traces, first: u64, before: &[u64; 3]) -> Option<String> {
        let blocks_told = self.turns_from(first).len();
        let turns = self.turns_of_liar(first).len();
        let unimpressed = HONEST.into_iter().find(|n| judged(&self.cluster, *n, "invalid") == before[*n]);
        let mut silent = |text: &str| HONEST.into_iter().find(|n| !self.cluster.node(*n).said().contains(text));
        if blocks_told < blocks() || turns < TURNS {
            Some(format!("{blocks_told} blocks, {turns} turns of the liar"))
        } else if let (true, Some(n)) = (traces.refused, unimpressed) {
            Some(format!("node {n} has refused nothing"))
        } else if let Some(n) = traces.said.and_then(&mut silent) {
            Some(format!("node {n} has not said: {:?}", traces.said))
        } else {
            let is_certain = matches!(traces.proof, Proof::Certain(_));
            (is_certain && self.accusations(first).is_empty()).then(|| "nobody accused".into())
        }
    }

    /// Holds the honest against one another, and the lie against what was to come of it.
    fn judge(&mut self, lie: &str, traces: Traces, first: u64) {
        self.load.rest();
        self.cluster.agree(&HONEST);
        self.load.at(&self.cluster, &HONEST);
        let early = HONEST.map(|n| judged(&self.cluster, n, "later"));
        assert_eq!(early, [0; 3], "{lie}: blocks that were judged before their parents");
        let is_true = |found: &EvidenceAnswer| match traces.proof {
            Proof::Impossible => false,
            Proof::Possible => true,
            Proof::Certain(kind) => bytes_of(&found.first).starts_with(kind.tag()),
        };
        let untrue = self.accusations(first).into_iter().find(|found| !is_true(found));
        assert!(untrue.is_none(), "{lie}: accused of what it did not do: {untrue:?}");
    }

    fn assert_passed_over(&mut self, lie: &str, first: u64) {
        // At the first height the honest program may have proposed before it was stopped.
        let turns = self.turns_of_liar(first + 1);
        let decided = turns.iter().find(|turn| turn.round == 0);
        assert_eq!(decided, None, "{lie}: decided in the liar's own round");
    }

    /// The honest program in the liar's home votes and proposes again.
    fn rejoin(&mut self, lie: &str) {
        let (_, signed) = *self.lied.last().expect("it lied");
        while self.height() <= signed {
            self.load.until_committed("what the liar signed for is decided", 3);
        }
        self.cluster.start_of(LIAR).program = programs::writ_node();
        self.cluster.start_of(LIAR).environment.clear();
        self.cluster.start(LIAR);
        let (back, start, liar) = (self.height() + 1, Instant::now(), self.liar.id());
        loop {
            let turns = self.turns_from(back);
            let voted = turns.iter().any(|turn| turn.voters.contains(&liar));
            let built = turns.iter().any(|turn| turn.builder == liar);
            if voted && built {
                break;
            }
            assert!(start.elapsed() < PATIENCE, "after {lie}: it votes again: {voted}, proposes again: {built}");
            self.load.until_committed("all four go on", 3);
        }
    }

    /// The end: nobody was ever accused but the liar of what it did while it lied; and the end of every cluster.
    fn end(self) {
        let accusations = self.accusations(0);
        let is_just =
            |found: &EvidenceAnswer| self.lied.iter().any(|(first, last)| (*first..=*last).contains(&found.height));
        let unjust = accusations.iter().find(|found| !is_just(found));
        assert!(unjust.is_none(), "accused of what it signed as an honest node: {unjust:?}");
        self.load.stop();
        self.cluster.verify();
    }

    /// The height of an honest node.
    fn height(&mut self) -> u64 {
        self.watcher.follow(self.cluster.http(0));
        self.watcher.height()
    }

    fn turns_from(&mut self, first: u64) -> Vec<Turn> {
        self.height();
        self.watcher.turns().iter().filter(|turn| turn.height >= first).cloned().collect()
    }

    fn turns_of_liar(&mut self, first: u64) -> Vec<Turn> {
        let liar: KeyId = self.liar.id();
        self.turns_from(first).into_iter().filter(|turn| turn.first == liar).collect()
    }

    /// What the honest hold against the liar from height `first` on. Against anybody else they never hold anything.
    fn accusations(&self, first: u64) -> Vec<EvidenceAnswer> {
        let mut all = Vec::new();
        for n in HONEST {
            let mut answer: serde_json::Value = self.cluster.http(n).read("/v1/evidence");
            let found: Vec<EvidenceAnswer> =
                serde_json::from_value(answer["evidence"].take()).expect("evidence can be read");
            for one in &found {
                assert_eq!(one.offender, self.liar.id().to_string(), "node {n} accuses somebody honest: {one:?}");
                self.assert_sound(one);
            }
            all.extend(found.into_iter().filter(|found| found.height >= first));
        }
        all
    }

    /// Evidence speaks for itself: two different statements, both really signed by the liar for this chain.
    fn assert_sound(&self, evidence: &EvidenceAnswer) {
        let read = |statement: &SignedAnswer| {
            let bytes = bytes_of(statement);
            let signature = from_base64(&statement.signature).expect("base64");
            let signature = Signature(signature.try_into().expect("64 bytes"));
            self.liar.verify(&bytes, &signature).expect("the liar signed it");
            assert!(bytes.windows(32).any(|part| part == self.cluster.chain().0), "for this chain");
            bytes
        };
        assert_ne!(read(&evidence.first), read(&evidence.second));
    }
}

fn bytes_of(statement: &SignedAnswer) -> Vec<u8> {
    from_base64(&statement.bytes).expect("base64")
}

/// How many blocks that others proposed node `n` has judged so.
fn judged(cluster: &Cluster, n: usize, verdict: &str) -> u64 {
    let text = cluster.http(n).get("/metrics").text();
    let counter = format!("writ_proposals_judged_total{{verdict=\"{verdict}\"}} ");
    let count = text.lines().find_map(|line| line.strip_prefix(&counter));
    count.map_or(0, |count| count.parse().expect("a counter is a number"))
}

#[test]
fn a_block_that_does_not_follow_is_never_decided() {
    let Some(mut trial) = Trial::start("a_block_that_does_not_follow_is_never_decided") else { return };
    let refused = Traces { refused: true, passed_over: true, ..Traces::default() };
    trial.tell("wrong-result", refused);
    trial.tell("wrong-time", refused);
    trial.tell("wrong-name", refused);
    trial.tell("forged-record", refused);
    // A block without records has none to tamper with.
    trial.tell("tampered-record", Traces { passed_over: false, ..refused });
    trial.tell("repeated-record", refused);
    trial.end();
}

#[test]
fn a_block_that_does_not_come_is_passed_over() {
    let Some(mut trial) = Trial::start("a_block_that_does_not_come_is_passed_over") else { return };
    let passed_over = Traces { passed_over: true, ..Traces::default() };
    trial.tell("withholds-parts", passed_over);
    trial.tell("garbage-parts", passed_over);
    trial.tell("oversized-parts", passed_over);
    trial.end();
}

#[test]
fn a_block_for_a_height_to_come_is_not_judged_before_its_parent() {
    let Some(mut trial) = Trial::start("a_block_for_a_height_to_come_is_not_judged_before_its_parent") else { return };
    // What it proposes early and what it proposes in turn are two proposals for one round.
    trial.tell("proposes-early", Traces { refused: true, proof: Proof::Possible, ..Traces::default() });
    trial.end();
}

#[test]
fn who_signs_twice_is_caught_and_nobody_else() {
    let Some(mut trial) = Trial::start("who_signs_twice_is_caught_and_nobody_else") else { return };
    let other_log = "a validator cosigned another log than this node has";
    trial.tell("other-root", Traces { said: Some(other_log), ..Traces::default() });
    trial.tell("proposes-twice", Traces { proof: Proof::Certain(Domain::Proposal), ..Traces::default() });
    trial.tell("proposes-twins", Traces { proof: Proof::Certain(Domain::Proposal), ..Traces::default() });
    trial.tell("votes-twice", Traces { proof: Proof::Certain(Domain::Vote), ..Traces::default() });
    trial.end();
}
