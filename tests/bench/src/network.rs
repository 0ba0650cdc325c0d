//! A network of four validators, each a process, beside a lone node and beside the consensus engine alone.
//!
//! All of it runs on one machine: four nodes share its cores and its disk, and no message travels far. So what an
//! exchange between two places costs is not in these figures, and what four machines would do side by side is.
//!
//! | module | idea |
//! |---|---|
//! | `engine` | the engine alone, on a ledger that does nothing |
//! | `disk` | what one flush costs |
//! | `idle` | nodes with nothing to do |
//! | `commit` | one record from rest |
//! | `rejoin` | a validator is killed and comes back |
//! | `load` | as much as goes in, and the memory that it takes |
//! | `catchup` | a new full node |

mod catchup;
mod commit;
mod disk;
mod engine;
mod idle;
mod load;
mod rejoin;

use writ_tests::cluster::Cluster;

use crate::figure::Section;
use crate::processes::Chain;
use crate::run::{Part, Run};

/// The part.
pub(crate) const PART: Part =
    Part { name: "network", about: "four validators, beside one and beside the engine alone", measure };

/// Validators of a network.
const VALIDATORS: usize = 4;

fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let mut cluster = Cluster::new(VALIDATORS, 0);
    let mut lone = Chain::start(&run.scratch)?;
    // A chain that has begun, and a checkpoint.
    cluster.grow(0, 1);
    idle::measure(run, section, &mut cluster, &mut lone)?;
    commit::measure(run, section, &mut cluster, &mut lone)?;
    rejoin::measure(run, section, &mut cluster)?;
    load::measure(run, section, &mut cluster, &lone)?;
    drop((cluster, lone));
    catchup::measure(run, section)?;
    section.note("All nodes are among the other processes that are named below.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_finds_every_figure() {
        let scratch = tempfile::tempdir().unwrap();
        let run = Run { short: true, repetitions: 1, seed: 3, sizes: Vec::new(), scratch: scratch.path().into() };
        let section = run.part(&PART).unwrap();
        for id in [
            "network/commit/four-p50",
            "network/load/four",
            "network/memory/2k/loaded",
            "network/catchup/rate",
            "network/rejoin/took",
            "network/idle/four",
        ] {
            assert!(section.figures.iter().any(|figure| figure.id == id), "{id}");
        }
        let records = section.figures.iter().find(|figure| figure.id == "network/commit/four-records").unwrap();
        assert_eq!(records.values, [1.0], "one record at a time is one block at a time");
    }
}
