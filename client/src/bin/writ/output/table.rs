//! Columns that stand below one another, whatever the letters.

use unicode_width::UnicodeWidthStr as _;

use super::Style;

/// One cell: its text, and how it is painted.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    paint: fn(Style, &str) -> String,
    right: bool,
}

/// Rows of cells, the columns as wide as their widest cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    widths: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

impl Cell {
    /// Text as it is.
    pub(crate) fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), paint: |_, text| text.into(), right: false }
    }

    /// A number: to the right.
    pub(crate) fn number(number: u64) -> Self {
        Self { right: true, ..Self::of(number.to_string()) }
    }

    /// Beside the point.
    pub(crate) fn dim(text: impl Into<String>) -> Self {
        Self::of(text).painted(Style::dim)
    }

    /// The same, painted.
    pub(crate) fn painted(self, paint: fn(Style, &str) -> String) -> Self {
        Self { paint, ..self }
    }
}

impl Table {
    /// A table below these headings.
    pub(crate) fn headed(headings: &[&str]) -> Self {
        let mut table = Self::default();
        table.row(headings.iter().map(|heading| Cell::dim(*heading)).collect());
        table
    }

    /// One more row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.widths.resize(self.widths.len().max(cells.len()), 0);
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.text.width());
        }
        self.rows.push(cells);
    }

    /// The rows so far as text, and an empty table that keeps their widths for the rows to come.
    pub(crate) fn take(&mut self, style: Style) -> String {
        let rows = std::mem::take(&mut self.rows);
        rows.iter().map(|row| self.line(row, style)).collect()
    }

    fn line(&self, row: &[Cell], style: Style) -> String {
        let mut line = String::new();
        for (at, (cell, width)) in row.iter().zip(&self.widths).enumerate() {
            let pad = " ".repeat(width - cell.text.width().min(*width));
            let painted = (cell.paint)(style, &cell.text);
            let last = at + 1 == row.len();
            line.push_str(&match (cell.right, last) {
                (true, _) => pad + &painted,
                (false, true) => painted,
                (false, false) => painted + &pad,
            });
            line.push_str(if last { "" } else { "  " });
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

/// Names and values below one another. A value of several lines goes on below its first.
pub(crate) fn fields(style: Style, pairs: &[(&str, String)]) -> String {
    let mut table = Table::default();
    for (name, value) in pairs {
        for (at, line) in value.lines().enumerate() {
            table.row(vec![Cell::dim(if at == 0 { *name } else { "" }), Cell::of(line)]);
        }
    }
    table.take(style)
}
