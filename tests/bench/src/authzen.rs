//! The AuthZEN interface: single questions, batches and searches over HTTP, conditions in process, and servers of others.
//!
//! | module | idea |
//! |---|---|
//! | `body` | questions as AuthZEN has them |
//! | `evaluation` | one question beside an empty handler, and a hundred at a time beside one |
//! | `search` | everything for which it is yes, beside asking about everything |
//! | `condition` | what a condition adds to a question |
//! | `peers` | Cerbos and PostgreSQL on the same questions, where they are at hand |

mod body;
mod condition;
mod evaluation;
mod peers;
mod search;

use std::net::SocketAddr;

use anyhow::ensure;

use crate::dataset::Dataset;
use crate::figure::Section;
use crate::format::grouped;
use crate::load::{self, Script};
use crate::processes::Chain;
use crate::random::{Keys, Random};
use crate::run::{Part, Run};
use crate::traffic::{Asked, loaded, questions};
use body::{Decision, Decisions};

/// The part.
pub(crate) const PART: Part =
    Part { name: "authzen", about: "AuthZEN over HTTP, conditions, and Cerbos and PostgreSQL beside it", measure };

/// Connections at a time.
const CONNECTIONS: usize = 32;

/// A node with the dataset, and questions.
struct World {
    dataset: Dataset,
    chain: Chain,
    address: SocketAddr,
    process: u32,
    host: String,
    uniform: Vec<Asked>,
    zipf: Vec<Asked>,
}

fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let world = World::new(run)?;
    section.note(format!(
        "{} entries; {CONNECTIONS} connections that stay open, {} for searches; the generator runs on the same cores. All servers are \
         among the other processes that are named below.",
        grouped(world.dataset.entries()),
        search::CONNECTIONS
    ));
    evaluation::measure(run, section, &world)?;
    search::measure(run, section, &world)?;
    condition::measure(run, section)?;
    peers::measure(run, section, &world)
}

impl World {
    fn new(run: &Run) -> anyhow::Result<Self> {
        let (dataset, mut chain) = loaded(run)?;
        let random = Random::new(run.seed);
        let count = if run.short { 500 } else { 100_000 };
        let of = |keys: Keys| questions(&dataset, keys, &mut random.fork(keys as u64), count);
        let (uniform, zipf) = (of(Keys::Uniform), of(Keys::Zipf));
        let (address, process, host) = (chain.address()?, chain.node().process_id(), chain.http().address().to_owned());
        Ok(Self { dataset, chain, address, process, host, uniform, zipf })
    }

    /// Single questions as requests.
    fn evaluations(&self, questions: &[Asked]) -> Script {
        Script::post(&self.host, "/access/v1/evaluation", questions.iter().map(body::evaluation))
    }

    /// The node's answers to the first `count` requests of a script of single questions.
    fn decisions(&self, script: &Script, count: usize) -> anyhow::Result<Vec<bool>> {
        decisions(self.address, script, count)
    }
}

/// A server's answers to the first `count` requests of a script of single questions.
fn decisions(address: SocketAddr, script: &Script, count: usize) -> anyhow::Result<Vec<bool>> {
    let answers = load::answers(address, script, count)?;
    answers.iter().map(|answer| Ok(serde_json::from_slice::<Decision>(answer)?.decision)).collect()
}

/// A server's answers to the first `count` requests of a script of batches.
fn batches(address: SocketAddr, script: &Script, count: usize) -> anyhow::Result<Vec<Vec<bool>>> {
    let answers = load::answers(address, script, count)?;
    let decisions = |decisions: Decisions| decisions.evaluations.iter().map(|one| one.decision).collect();
    answers.iter().map(|answer| Ok(decisions(serde_json::from_slice(answer)?))).collect()
}

/// Says where two lists of answers to the same questions first differ.
fn agree(who: &str, own: &[bool], other: &[bool], questions: &[Asked]) -> anyhow::Result<()> {
    ensure!(own.len() == other.len(), "Writ gives {} answers and {who} {}", own.len(), other.len());
    for ((own, other), question) in own.iter().zip(other).zip(questions) {
        ensure!(own == other, "Writ answers {own} and {who} {other} to {question:?}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measuring asserts that all ways of asking give the same answers.
    #[test]
    fn the_short_form_finds_every_figure() {
        let scratch = tempfile::tempdir().unwrap();
        let run = Run { short: true, repetitions: 1, seed: 3, sizes: Vec::new(), scratch: scratch.path().into() };
        let section = run.part(&PART).unwrap();
        for id in [
            "authzen/evaluation/empty/rate",
            "authzen/evaluation/uniform/rate",
            "authzen/evaluation/zipf/processor",
            "authzen/batch/shared/rate",
            "authzen/batch/own/rate",
            "authzen/search/subject/rate",
            "authzen/search/subject-asked/rate",
            "authzen/search/resource/rate",
            "authzen/condition/long/writ/both",
        ] {
            assert!(section.figures.iter().any(|figure| figure.id == id), "{id}");
        }
    }

    #[test]
    fn a_difference_is_told_with_its_question() {
        let question = Asked { sub: "user:a".into(), act: "read", obj: "file:x".into() };
        let error = agree("SQLite", &[true], &[false], std::slice::from_ref(&question)).unwrap_err().to_string();
        assert!(error.contains("SQLite") && error.contains("user:a"), "{error}");
        assert!(agree("SQLite", &[true], &[], std::slice::from_ref(&question)).is_err());
        assert!(agree("SQLite", &[true], &[true], &[question]).is_ok());
    }
}
