//! What was measured, as figures, tables and plots.

use super::child::Size;
use crate::figure::{Cell, Figure, Section, Table, Unit};
use crate::format::{count, grouped};

pub(super) fn fill(section: &mut Section, sizes: &[Size]) {
    let mut times = Table::new(
        "Time of one decision.",
        &["entries", "keys", "who", "p50", "p99", "p99.9", "mean", "p50 / SQLite's"],
    );
    for size in sizes {
        for by in &size.by_keys {
            let all =
                std::iter::once(("Writ", &by.writ)).chain(by.peers.iter().map(|(name, timed)| (name.as_str(), timed)));
            for (name, timed) in all {
                let id = |what: &str| format!("decision/{}/{}/{name}/{what}", count(size.ordered), by.keys);
                let mut p50 = Figure::new(id("p50"), "p50", Unit::Nanoseconds, timed.p50.clone());
                if name == "Writ" && by.peers.iter().any(|(name, _)| name == "SQLite") {
                    p50 = p50.against(format!("decision/{}/{}/SQLite/p50", count(size.ordered), by.keys));
                }
                times.row(vec![
                    grouped(size.ordered).into(),
                    by.keys.clone().into(),
                    name.into(),
                    Cell::Value(section.figure(p50)),
                    Cell::Median(section.figure(Figure::new(id("p99"), "p99", Unit::Nanoseconds, timed.p99.clone()))),
                    Cell::Median(section.figure(Figure::new(
                        id("p999"),
                        "p99.9",
                        Unit::Nanoseconds,
                        timed.p999.clone(),
                    ))),
                    Cell::Median(section.figure(Figure::new(
                        id("mean"),
                        "mean",
                        Unit::Nanoseconds,
                        timed.mean.clone(),
                    ))),
                    Cell::Ratio(id("p50")),
                ]);
            }
            section.note(format!(
                "{} {} {:?} lookups {:?} threads {:?} build {} bytes/entry {} timer {}",
                size.ordered,
                by.keys,
                by.answered,
                by.lookups,
                by.threads,
                size.build_seconds,
                size.state_bytes / size.entries,
                size.timer
            ));
        }
        section.note(format!("{:?}", size.peer_bytes));
    }
    section.tables.push(times);
}
