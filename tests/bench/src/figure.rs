//! What a run finds out: figures, the tables they stand in, and the section of the report that holds them.
//!
//! A [`Figure`] is one measured quantity, once per repetition. It names the command that reproduces it and,
//! unless it is itself a baseline, the figure *of the same run* that it is to be compared with. So no
//! number stands alone: a machine that is twice as fast changes both.

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::machine::Load;
use crate::plot::Plot;
use crate::stats::Summary;

/// In what a figure is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Unit {
    /// A duration in nanoseconds.
    Nanoseconds,
    /// A duration in seconds.
    Seconds,
    /// How often per second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// A plain number.
    Count,
    /// A share, where 1 is the whole.
    Share,
}

/// A bound that was set before anything was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Goal {
    /// The median is to be at most this.
    AtMost(f64),
    /// The median is to be at least this.
    AtLeast(f64),
    /// The median divided by the baseline's is to be at most this.
    RatioAtMost(f64),
    /// The median divided by the baseline's is to be at least this.
    RatioAtLeast(f64),
}

/// One measured quantity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// Its name in the raw figures, unique in a run: `part/what/...`.
    pub(crate) id: String,
    /// What it is, for readers.
    pub(crate) what: String,
    /// In what it is measured.
    pub(crate) unit: Unit,
    /// One value per repetition, in the order in which they were measured.
    pub(crate) values: Vec<f64>,
    /// The id of the figure that it is compared with; it may belong to another section of the run.
    pub(crate) baseline: Option<String>,
    /// What it was to reach.
    pub(crate) goal: Option<Goal>,
}

impl Figure {
    /// A figure from one value per repetition.
    pub(crate) fn new(id: impl Into<String>, what: impl Into<String>, unit: Unit, values: Vec<f64>) -> Self {
        Self { id: id.into(), what: what.into(), unit, values, baseline: None, goal: None }
    }

    /// To be compared with the figure of this id.
    #[must_use]
    pub(crate) fn against(mut self, baseline: impl Into<String>) -> Self {
        self.baseline = Some(baseline.into());
        self
    }

    /// With a bound to reach.
    #[must_use]
    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    /// Median and spread over the repetitions.
    pub(crate) fn summary(&self) -> Summary {
        Summary::of(&self.values)
    }
}

/// One cell of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Cell {
    /// Words.
    Text(String),
    /// Median and spread of the figure of this id.
    Value(String),
    /// Only the median of the figure of this id.
    Median(String),
    /// The figure of this id divided by its baseline.
    Ratio(String),
    /// The goal of the figure of this id, and whether it was met.
    Goal(String),
    /// The goals of several figures.
    Goals(Vec<String>),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A table of figures. All columns but the first are right-aligned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Table {
    /// What it shows, in a sentence.
    pub(crate) caption: String,
    /// The heads of the columns.
    pub(crate) columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(caption: impl Into<String>, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { caption: caption.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }
}

/// What one part of the bench found: a section of the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Section {
    /// The name of the part.
    pub(crate) part: String,
    /// The command that measures just this again.
    pub(crate) command: String,
    /// The machine while this was measured.
    pub(crate) load: Option<Load>,
    /// How long the part took.
    pub(crate) seconds: f64,
    /// Whether this was the short form, whose figures mean nothing.
    pub(crate) short: bool,
    /// All figures.
    pub(crate) figures: Vec<Figure>,
    /// The tables of the report; none: one row per figure.
    pub(crate) tables: Vec<Table>,
    /// The plots of the report.
    pub(crate) plots: Vec<Plot>,
    /// Sentences below the tables.
    pub(crate) notes: Vec<String>,
}

impl Section {
    /// An empty section of the part `part`.
    pub(crate) fn new(part: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            command: command.into(),
            load: None,
            seconds: 0.0,
            short: false,
            figures: Vec::new(),
            tables: Vec::new(),
            plots: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a figure and gives its id, for tables.
    pub(crate) fn figure(&mut self, figure: Figure) -> String {
        let id = figure.id.clone();
        self.figures.push(figure);
        id
    }

    /// Adds a sentence below the tables.
    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    /// Checks that a reader can follow it: ids once, values there and finite, tables in shape.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for figure in &self.figures {
            let Figure { id, values, .. } = figure;
            ensure!(seen.insert(id.as_str()), "figure `{id}` is there twice");
            ensure!(!values.is_empty(), "figure `{id}` has no values");
            ensure!(values.iter().all(|value| value.is_finite()), "figure `{id}` has values that are no numbers");
        }
        for table in &self.tables {
            let width = table.columns.len();
            let fits = table.rows.iter().all(|row| row.len() == width);
            ensure!(fits, "a row of table `{}` does not have {width} cells", table.caption);
        }
        Ok(())
    }
}

/// The sections of one run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// In the order in which they were measured.
    pub(crate) sections: Vec<Section>,
}

impl Findings {
    /// The figure of this id.
    ///
    /// # Errors
    /// If no section has it.
    pub(crate) fn figure(&self, id: &str) -> anyhow::Result<&Figure> {
        let all = self.sections.iter().flat_map(|section| &section.figures);
        all.into_iter().find(|figure| figure.id == id).with_context(|| format!("no figure `{id}` in this run"))
    }

    /// A figure divided by its baseline: of the medians, and the least and greatest over the repetitions
    /// (each with each, since they were not measured at the same instant). None without a baseline.
    ///
    /// # Errors
    /// If the baseline was not measured in this run.
    pub(crate) fn ratio(&self, figure: &Figure) -> anyhow::Result<Option<Summary>> {
        let Some(baseline) = &figure.baseline else { return Ok(None) };
        let (own, other) = (figure.summary(), self.figure(baseline)?.summary());
        Ok(Some(Summary { median: own.median / other.median, min: own.min / other.max, max: own.max / other.min }))
    }

    /// Whether a figure reached its goal; none if it has none.
    ///
    /// # Errors
    /// If the goal is a ratio and the baseline was not measured in this run.
    pub(crate) fn is_met(&self, figure: &Figure) -> anyhow::Result<Option<bool>> {
        let Some(goal) = figure.goal else { return Ok(None) };
        let median = figure.summary().median;
        let ratio = || {
            let ratio = self.ratio(figure)?;
            ratio.map(|ratio| ratio.median).with_context(|| format!("figure `{}` has no baseline", figure.id))
        };
        Ok(Some(match goal {
            Goal::AtMost(bound) => median <= bound,
            Goal::AtLeast(bound) => median >= bound,
            Goal::RatioAtMost(bound) => ratio()? <= bound,
            Goal::RatioAtLeast(bound) => ratio()? >= bound,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let mut section = Section::new("a", "command");
        section.figure(Figure::new("a/base", "base", Unit::Count, vec![10.0, 8.0, 20.0]));
        let own = Figure::new("a/own", "own", Unit::Count, vec![5.0, 4.0, 6.0]);
        section.figure(own.against("a/base").goal(Goal::RatioAtMost(0.5)));
        Findings { sections: vec![section] }
    }

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_is_the_widest() {
        let findings = findings();
        let ratio = findings.ratio(findings.figure("a/own").unwrap()).unwrap().unwrap();
        assert_eq!(ratio, Summary { median: 0.5, min: 0.2, max: 0.75 });
        assert!(findings.ratio(findings.figure("a/base").unwrap()).unwrap().is_none());
    }

    #[test]
    fn a_goal_is_met_at_its_bound_and_not_beyond() {
        let mut findings = findings();
        let met = |findings: &Findings| findings.is_met(findings.figure("a/own").unwrap()).unwrap();
        assert_eq!(met(&findings), Some(true));
        findings.sections[0].figures[1].values = vec![5.1];
        assert_eq!(met(&findings), Some(false));
    }

    #[test]
    fn a_baseline_of_another_run_is_an_error() {
        let mut findings = findings();
        findings.sections[0].figures.remove(0);
        assert!(findings.ratio(findings.figure("a/own").unwrap()).is_err());
    }

    #[test]
    fn a_section_with_an_empty_or_doubled_figure_is_refused() {
        let mut section = findings().sections.remove(0);
        section.check().unwrap();
        section.figures[0].values.clear();
        assert!(section.check().is_err());
        section.figures[0] = section.figures[1].clone();
        assert!(section.check().is_err());
    }
}
