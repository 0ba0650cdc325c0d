//! Decisions in process: Writ beside SQLite on the same full question, and beside policy engines on the
//! part of it that they can express.
//!
//! Each size is measured in a process of its own, so that what one size leaves behind in the allocator does
//! not count as the memory of the next.

mod child;
mod measure;
mod questions;
mod tables;
mod writ;

#[cfg(feature = "peers")]
mod cedar;
#[cfg(feature = "peers")]
mod rego;
#[cfg(feature = "peers")]
mod relations;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::figure::Section;
use crate::run::{Part, Run};
pub(crate) use child::child;
use child::{Order, Size};

/// The part.
pub(crate) const PART: Part =
    Part { name: "decision", about: "decisions in process, against SQLite and policy engines", measure };

/// The numbers of entries of a full run.
const SIZES: [u64; 3] = [100_000, 1_000_000, 10_000_000];
/// The one of the short form.
const SIZES_SHORT: [u64; 1] = [20_000];

fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let mut sizes = Vec::new();
    for entries in run.sizes(if run.short { &SIZES_SHORT } else { &SIZES }) {
        let order = Order { entries, seed: run.seed, repetitions: run.repetitions, short: run.short };
        sizes.push(in_a_process_of_its_own(&order)?);
    }
    tables::fill(section, &sizes);
    Ok(())
}

fn in_a_process_of_its_own(order: &Order) -> anyhow::Result<Size> {
    let own = std::env::current_exe().context("cannot tell where this program stands")?;
    let order = serde_json::to_string(order)?;
    let done = Command::new(own)
        .args(["child", PART.name, &order])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start the bench again for one size")?;
    ensure!(done.status.success(), "measuring {order} ended with {}", done.status);
    serde_json::from_slice(&done.stdout).context("the figures of one size cannot be read")
}
