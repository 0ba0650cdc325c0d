//! What the bench writes into the page, and where.

use anyhow::{Context as _, ensure};

use super::table;
use crate::figure::Unit;
use crate::figure::{Findings, Section};
use crate::format::{grouped, quantity};
use crate::machine::{Load, Machine};

/// A section as Markdown; plots are shown if they stand in the folder `plots`.
pub(super) fn section(findings: &Findings, section: &Section, plots: Option<&str>) -> anyhow::Result<String> {
    let mut text = String::new();
    if section.short {
        text.push_str("Short form: everything was tried, but the sizes are tiny and the times mean nothing.\n\n");
    }
    let all = [table::of_all(section)];
    let tables = if section.tables.is_empty() { &all[..] } else { &section.tables };
    for table in tables {
        if !table.caption.is_empty() {
            text.push_str(&format!("{}\n\n", table.caption));
        }
        text.push_str(&table::markdown(findings, table)?);
        text.push('\n');
    }
    if let Some(folder) = plots {
        for plot in &section.plots {
            text.push_str(&format!("![{}]({folder}/{})\n\n", plot.title, plot.file));
        }
    }
    for note in &section.notes {
        text.push_str(&format!("- {note}\n"));
    }
    if !section.notes.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!(
        "Reproduce with `{}` ({:.0} s, {} repetitions).{}\n",
        section.command,
        section.seconds,
        repetitions(section),
        section.load.as_ref().map(load).unwrap_or_default()
    ));
    Ok(text)
}

/// How often the figures were measured: what most of those have that were measured more than once. A figure may also
/// have a value for each of several nodes.
fn repetitions(section: &Section) -> usize {
    let lengths: Vec<usize> = section.figures.iter().map(|figure| figure.values.len()).filter(|len| *len > 1).collect();
    let often = |len: usize| lengths.iter().filter(|other| **other == len).count();
    lengths.iter().copied().max_by_key(|len| often(*len)).unwrap_or(1)
}

/// The machine as Markdown.
pub(super) fn machine(machine: &Machine) -> String {
    let Machine { cores, model, memory, kernel } = machine;
    let memory = match memory {
        0 => "memory unknown".into(),
        memory => quantity(*memory as f64, Unit::Bytes),
    };
    format!("{} cores of {model}, {memory}, {kernel}.\n", grouped(*cores as u64))
}

fn load(load: &Load) -> String {
    let of = |[one, five, fifteen]: [f64; 3]| format!("{one:.2} {five:.2} {fifteen:.2}");
    format!(
        " Load average before {}, after {}; other processes used {:.1} % of all cores, the hypervisor kept {:.1} %.",
        of(load.before),
        of(load.after),
        100.0 * load.others,
        100.0 * load.stolen
    )
}

/// Puts `inner` between the markers of `name`.
///
/// # Errors
/// If the page does not have both markers, once each, in order.
pub(super) fn replace(page: &str, name: &str, inner: &str) -> anyhow::Result<String> {
    let (open, close) = (format!("<!-- bench:{name} -->"), format!("<!-- /bench:{name} -->"));
    let (before, rest) = page.split_once(&open).with_context(|| format!("the page has no marker `{open}`"))?;
    let (old, after) = rest.split_once(&close).with_context(|| format!("the page has no `{close}` after `{open}`"))?;
    ensure!(!old.contains("<!-- bench:") && !after.contains(&open), "the markers of `{name}` are mixed up");
    Ok(format!("{before}{open}\n\n{}\n\n{close}{after}", inner.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Cell, Figure, Goal, Table};

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let page = "words\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nmore\n<!-- bench:b -->\nkept\n<!-- /bench:b -->\n";
        let once = replace(page, "a", "new\n").unwrap();
        assert_eq!(
            once,
            "words\n<!-- bench:a -->\n\nnew\n\n<!-- /bench:a -->\nmore\n<!-- bench:b -->\nkept\n<!-- /bench:b -->\n"
        );
        assert_eq!(replace(&once, "a", "new").unwrap(), once, "writing again changes nothing");
    }

    #[test]
    fn a_page_without_markers_is_left_alone() {
        for page in [
            "",
            "<!-- bench:a -->",
            "<!-- /bench:a --> <!-- bench:a -->",
            "<!-- bench:a --><!-- bench:b --><!-- /bench:a -->",
        ] {
            assert!(replace(page, "a", "new").is_err(), "{page}");
        }
    }

    #[test]
    fn a_section_tells_figures_ratios_goals_and_its_command() {
        let mut own = Section::new("a", "cargo run");
        own.figure(Figure::new("a/base", "SQLite", Unit::Nanoseconds, vec![10_000.0]));
        let figure = Figure::new("a/own", "Writ", Unit::Nanoseconds, vec![2_000.0, 2_500.0, 1_500.0]);
        own.figure(figure.against("a/base").goal(Goal::RatioAtMost(0.1)));
        own.note("A note.");
        let mut findings = Findings { sections: vec![own] };
        let text = section(&findings, &findings.sections[0], None).unwrap();
        for words in [
            "| Writ ",
            "2.00 µs (1.50..2.50)",
            "0.200 × (0.150..0.250)",
            "at most 0.100 ×: **missed**",
            "- A note.",
            "`cargo run`",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        let mut table = Table::new("Caption.", &["what", "median"]);
        table.row(vec!["x".into(), Cell::Median("a/own".into())]);
        findings.sections[0].tables.push(table);
        let text = section(&findings, &findings.sections[0], None).unwrap();
        assert!(text.contains("Caption.") && text.contains("| x    | 2.00 µs |"), "{text}");
    }
}
