//! Decisions in process: Writ beside SQLite on the same full question.

use crate::figure::Section;
use crate::run::{Part, Run};

/// The part.
pub(crate) const PART: Part = Part { name: "decision", about: "decisions in process", measure };

fn measure(_run: &Run, _section: &mut Section) -> anyhow::Result<()> {
    Ok(())
}

/// Measures one size in a process of its own.
pub(crate) fn child(_words: &[String]) -> anyhow::Result<()> {
    Ok(())
}
