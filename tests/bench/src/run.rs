//! One run of the bench: which parts there are, and what each is given.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use crate::figure::Section;
use crate::machine::Watch;

/// Where figures are made: one theme, one section of the report.
pub(crate) struct Part {
    /// Its name on the command line, and the start of its figures' ids.
    pub(crate) name: &'static str,
    /// What it measures.
    pub(crate) about: &'static str,
    /// Measures, and fills the section.
    pub(crate) measure: fn(&Run, &mut Section) -> anyhow::Result<()>,
}

/// What every part is given.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Tiny sizes and no heavy peers: everything is tried, nothing is meant.
    pub(crate) short: bool,
    /// How often each figure is measured.
    pub(crate) repetitions: usize,
    /// From which all randomness follows.
    pub(crate) seed: u64,
    /// Only these numbers of entries; empty: those that the part is made for.
    pub(crate) sizes: Vec<u64>,
    /// A folder for whatever a part needs on disk; parts clean up after themselves.
    #[allow(dead_code, reason = "for parts that start programs")]
    pub(crate) scratch: PathBuf,
}

impl Run {
    /// The sizes to measure at, out of those that a part is made for.
    pub(crate) fn sizes(&self, made_for: &[u64]) -> Vec<u64> {
        if self.sizes.is_empty() { made_for.to_vec() } else { self.sizes.clone() }
    }

    /// Measures one part.
    ///
    /// # Errors
    /// What the part reports, or a section that nobody could read.
    pub(crate) fn part(&self, part: &Part) -> anyhow::Result<Section> {
        eprintln!("== {}: {}", part.name, part.about);
        let mut section = Section::new(part.name, command(&format!("run {}", part.name)));
        section.short = self.short;
        let (watch, start) = (Watch::start(), Instant::now());
        (part.measure)(self, &mut section).with_context(|| format!("part `{}`", part.name))?;
        section.seconds = start.elapsed().as_secs_f64();
        section.load = Some(watch.end());
        section.check()?;
        Ok(section)
    }
}

/// The command that reproduces something: the bench with these arguments.
pub(crate) fn command(arguments: &str) -> String {
    let features = if cfg!(feature = "peers") { " --features peers" } else { "" };
    format!("cargo run --release -p writ-bench{features} -- {arguments}")
}

/// The root of the repository that this was built from.
pub(crate) fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// The folder of build artefacts that this program stands in, for raw figures: outside of what git tracks.
///
/// # Errors
/// If this program has no place.
pub(crate) fn artefacts() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program stands")?;
    let target = own.ancestors().nth(2).context("this program stands in no folder of build artefacts")?;
    Ok(target.join("bench"))
}
