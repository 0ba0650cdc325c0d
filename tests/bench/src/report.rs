//! The report: sections as text on the terminal, and as Markdown between markers of a page.
//!
//! ```text
//!   prose that people wrote
//!   <!-- bench:decision -->     from here on the bench writes
//!   ...
//!   <!-- /bench:decision -->    until here
//! ```
//!
//! A section that was not measured keeps what stood there, so single parts can be measured again.

mod page;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::figure::{Findings, Section};
use crate::machine::Machine;

/// The page, in the folder of documentation.
const PAGE: &str = "benchmarks.md";
/// The folder of plots, beside the page.
const PLOTS: &str = "benchmarks";

/// Raw figures as they are kept.
#[derive(Serialize, Deserialize)]
struct Raw {
    machine: Machine,
    findings: Findings,
}

/// Writes every raw figure as JSON.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_raw(findings: &Findings, file: &Path) -> anyhow::Result<()> {
    let raw = Raw { machine: Machine::here(), findings: findings.clone() };
    fs::write(file, serde_json::to_string_pretty(&raw)?)
        .with_context(|| format!("cannot write `{}`", file.display()))?;
    eprintln!("raw figures: {}", file.display());
    Ok(())
}

/// The raw figures of the last run.
///
/// # Errors
/// If there are none, or they are those of a short run or of another machine.
pub(crate) fn read_raw(file: &Path) -> anyhow::Result<Findings> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let Raw { machine, findings } = serde_json::from_str(&text).context("the raw figures cannot be read")?;
    ensure!(machine == Machine::here(), "the raw figures are of another machine: {machine:?}");
    let short = findings.sections.iter().find(|section| section.short);
    ensure!(short.is_none(), "the raw figures are of a short run, whose times mean nothing");
    Ok(findings)
}

/// The sections for a terminal: the same tables as on the page.
///
/// # Errors
/// If a figure's baseline is not among the findings.
pub(crate) fn as_text(findings: &Findings) -> anyhow::Result<String> {
    let mut text = String::new();
    for section in &findings.sections {
        text.push_str(&format!("\n# {}\n\n{}", section.part, page::section(findings, section, None)?));
    }
    Ok(text)
}

/// Writes sections and plots into the page in the folder `docs`.
///
/// # Errors
/// If a file cannot be read or written, or the page lacks the markers of a section.
pub(crate) fn write_page(findings: &Findings, docs: &Path) -> anyhow::Result<()> {
    let path = docs.join(PAGE);
    let mut text = fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    text = page::replace(&text, "machine", &page::machine(&Machine::here()))?;
    for section in &findings.sections {
        text = page::replace(&text, &section.part, &page::section(findings, section, Some(PLOTS))?)?;
        write_plots(section, &docs.join(PLOTS))?;
    }
    fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    eprintln!("page: {}", path.display());
    Ok(())
}

fn write_plots(section: &Section, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    for plot in &section.plots {
        let path = folder.join(&plot.file);
        fs::write(&path, plot.to_svg()).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(())
}
