//! Tables in Markdown, padded so that they can also be read as they are.

use crate::figure::{Cell, Findings, Section, Table};
use crate::format::{goal, quantity, ratio, spread};

/// A table as Markdown.
pub(super) fn markdown(findings: &Findings, table: &Table) -> anyhow::Result<String> {
    let mut rows = vec![table.columns.clone()];
    for row in &table.rows {
        rows.push(row.iter().map(|cell| text_of(findings, cell)).collect::<anyhow::Result<_>>()?);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let room = widths[column];
            text.push_str(&if column == 0 { format!("| {cell:<room$} ") } else { format!("| {cell:>room$} ") });
        }
        text.push_str("|\n");
        if at == 0 {
            for (column, room) in widths.iter().enumerate() {
                let dashes = "-".repeat(*room);
                text.push_str(&if column == 0 { format!("|-{dashes}-") } else { format!("|-{dashes}:") });
            }
            text.push_str("|\n");
        }
    }
    Ok(text)
}

/// The table of a section that made none: every figure in a row.
pub(super) fn of_all(section: &Section) -> Table {
    let columns = ["figure", "median (least..greatest)", "÷ baseline", "baseline", "goal"];
    let mut table = Table::new("", &columns);
    for figure in &section.figures {
        let id = || figure.id.clone();
        let baseline = figure.baseline.clone().unwrap_or_default();
        let name =
            section.figures.iter().find(|other| other.id == baseline).map_or(baseline, |other| other.what.clone());
        let what = figure.what.as_str().into();
        table.row(vec![what, Cell::Value(id()), Cell::Ratio(id()), name.into(), Cell::Goal(id())]);
    }
    table
}

fn text_of(findings: &Findings, cell: &Cell) -> anyhow::Result<String> {
    Ok(match cell {
        Cell::Text(text) => text.replace('|', "\\|"),
        Cell::Value(id) => findings.figure(id).map(|figure| spread(figure.summary(), figure.unit))?,
        Cell::Median(id) => findings.figure(id).map(|figure| quantity(figure.summary().median, figure.unit))?,
        Cell::Ratio(id) => findings.ratio(findings.figure(id)?)?.map(ratio).unwrap_or_default(),
        Cell::Goal(id) => goal_of(findings, id)?,
        Cell::Goals(ids) => {
            let goals = ids.iter().map(|id| goal_of(findings, id)).collect::<anyhow::Result<Vec<_>>>()?;
            goals.into_iter().filter(|goal| !goal.is_empty()).collect::<Vec<_>>().join(", ")
        }
    })
}

/// What a figure was to reach, and whether it did.
fn goal_of(findings: &Findings, id: &str) -> anyhow::Result<String> {
    let figure = findings.figure(id)?;
    Ok(match (figure.goal, findings.is_met(figure)?) {
        (Some(bound), Some(true)) => format!("{}: met", goal(bound, figure.unit)),
        (Some(bound), _) => format!("{}: **missed**", goal(bound, figure.unit)),
        (None, _) => String::new(),
    })
}
