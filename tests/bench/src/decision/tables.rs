//! What was measured, as figures, tables and plots.

use super::child::{ByKeys, Size};
use super::measure::Timed;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::format::{count, grouped, quantity};
use crate::plot::{Axis, Bar, Chart, Mark, Plot, Point, Scale, Series};
use crate::stats::Summary;

/// Everybody who is asked, in the order of tables and colours.
const WHO: [&str; 4] = ["Writ", "SQLite", "Cedar", "Rego"];
/// The size at which times have goals in absolute terms.
const GOAL_SIZE: u64 = 1_000_000;

pub(super) fn fill(section: &mut Section, sizes: &[Size]) {
    for size in sizes {
        for by in &size.by_keys {
            for (name, timed) in everybody(by) {
                figures_of(section, size, by, name, timed);
            }
            figures_of_writ(section, size, by);
        }
        figures_of_size(section, size);
    }
    grow_with_size(section, sizes);
    section.tables = vec![
        times(sizes),
        against_sqlite(sizes),
        against_smallest(sizes),
        lookups(sizes),
        threads(sizes),
        memory(sizes),
    ];
    section.tables.retain(|table| !table.rows.is_empty());
    section.plots = plots(sizes);
    notes(section, sizes);
}

fn everybody(by: &ByKeys) -> impl Iterator<Item = (&str, &Timed)> {
    let peers = by.peers.iter().map(|(name, timed)| (name.as_str(), timed));
    std::iter::once((WHO[0], &by.writ)).chain(peers)
}

fn id(size: &Size, keys: &str, who: &str, what: &str) -> String {
    format!("decision/{}/{keys}/{}/{what}", count(size.ordered), who.to_lowercase())
}

fn figures_of(section: &mut Section, size: &Size, by: &ByKeys, who: &str, timed: &Timed) {
    let has_sqlite = by.peers.iter().any(|(name, _)| name == "SQLite");
    let values = [
        ("p50", Unit::Nanoseconds, &timed.p50),
        ("p99", Unit::Nanoseconds, &timed.p99),
        ("p99.9", Unit::Nanoseconds, &timed.p999),
        ("mean", Unit::Nanoseconds, &timed.mean),
        ("rate", Unit::PerSecond, &timed.per_second),
    ];
    for (what, unit, values) in values {
        let words = format!("{who}, {} entries, {} keys: {what}", grouped(size.ordered), by.keys);
        let mut figure = Figure::new(id(size, &by.keys, who, what), words, unit, values.clone());
        if has_sqlite && who != "SQLite" {
            figure = figure.against(id(size, &by.keys, "SQLite", what));
        }
        let goal = match (who, what) {
            ("Writ", "p50") if size.ordered == GOAL_SIZE => Some(Goal::AtMost(5_000.0)),
            ("Writ", "p99") if size.ordered == GOAL_SIZE => Some(Goal::AtMost(25_000.0)),
            _ => None,
        };
        section.figure(Figure { goal, ..figure });
    }
    if is_beside_sqlite(size, by, who) {
        let words = format!("{who}, {} entries, {} keys: p50 beside SQLite's", grouped(size.ordered), by.keys);
        let figure = Figure::new(id(size, &by.keys, who, "beside"), words, Unit::Nanoseconds, timed.p50.clone());
        section.figure(figure.against(id(size, &by.keys, "SQLite", "p50")).goal(Goal::RatioAtMost(1.0 / 3.0)));
    }
}

/// Whether the goal beside SQLite is for this one.
fn is_beside_sqlite(size: &Size, by: &ByKeys, who: &str) -> bool {
    who == "Writ" && size.ordered == GOAL_SIZE && by.peers.iter().any(|(name, _)| name == "SQLite")
}

fn figures_of_writ(section: &mut Section, size: &Size, by: &ByKeys) {
    for (threads, rates) in (1..).zip(&by.threads) {
        let what = format!("threads-{threads}");
        let words = format!("Writ, {} entries, {} keys, {threads} threads", grouped(size.ordered), by.keys);
        let figure = Figure::new(id(size, &by.keys, "Writ", &what), words, Unit::PerSecond, rates.clone());
        section.figure(if threads == 1 { figure } else { figure.against(id(size, &by.keys, "Writ", "threads-1")) });
    }
    for (what, value) in ["least", "mean", "greatest"].into_iter().zip(by.lookups) {
        let what = format!("lookups-{what}");
        let words = format!("Writ, {} entries, {} keys: {what}", grouped(size.ordered), by.keys);
        section.figure(Figure::new(id(size, &by.keys, "Writ", &what), words, Unit::Count, vec![value]));
    }
}

fn figures_of_size(section: &mut Section, size: &Size) {
    let name = |what: &str| format!("decision/{}/{what}", count(size.ordered));
    let words = |what: &str| format!("{} entries: {what}", grouped(size.ordered));
    let per_entry = |bytes: u64| vec![bytes as f64 / size.entries as f64];
    for (who, bytes) in &size.peer_bytes {
        let own = format!("{}-bytes-per-entry", who.to_lowercase());
        section.figure(Figure::new(
            name(&own),
            words(&format!("{who}, bytes per entry")),
            Unit::Bytes,
            per_entry(*bytes),
        ));
    }
    let mut own = Figure::new(
        name("state-bytes-per-entry"),
        words("state, bytes per entry"),
        Unit::Bytes,
        per_entry(size.state_bytes),
    );
    if !size.peer_bytes.is_empty() {
        own = own.against(name("sqlite-bytes-per-entry"));
    }
    section.figure(own);
    let rate = vec![size.entries as f64 / size.build_seconds];
    section.figure(Figure::new(name("build-rate"), words("records made and executed"), Unit::PerSecond, rate));
}

/// Each size's median decision against the smallest one's.
fn grow_with_size(section: &mut Section, sizes: &[Size]) {
    let Some((smallest, larger)) = sizes.split_first() else { return };
    for size in larger {
        for by in &size.by_keys {
            for (who, timed) in everybody(by).filter(|(who, _)| ["Writ", "SQLite"].contains(who)) {
                let words = format!("{who}, {} keys: p50 at {} entries", by.keys, grouped(size.ordered));
                let figure =
                    Figure::new(id(size, &by.keys, who, "growth"), words, Unit::Nanoseconds, timed.p50.clone());
                let figure = figure.against(id(smallest, &by.keys, who, "p50"));
                let is_goal = who == "Writ" && size.ordered == 100 * smallest.ordered;
                section.figure(if is_goal { figure.goal(Goal::RatioAtMost(4.0)) } else { figure });
            }
        }
    }
}

fn times(sizes: &[Size]) -> Table {
    let caption = "Time of one decision. Medians of the repetitions; the median decision with its spread over them.";
    let mut table =
        Table::new(caption, &["who", "entries", "keys", "p50", "p99", "p99.9", "mean", "per second", "goal"]);
    for (size, by) in all(sizes) {
        for (who, _) in everybody(by) {
            let of = |what| id(size, &by.keys, who, what);
            let goal = match who {
                "Writ" if size.ordered == GOAL_SIZE => Cell::Goals(vec![of("p50"), of("p99")]),
                _ => Cell::Text(String::new()),
            };
            table.row(vec![
                who.into(),
                grouped(size.ordered).into(),
                by.keys.clone().into(),
                Cell::Value(of("p50")),
                Cell::Median(of("p99")),
                Cell::Median(of("p99.9")),
                Cell::Median(of("mean")),
                Cell::Median(of("rate")),
                goal,
            ]);
        }
    }
    table
}

fn against_sqlite(sizes: &[Size]) -> Table {
    let caption = "Divided by SQLite's figure at the same size with the same keys: times below 1 are faster.";
    let mut table = Table::new(caption, &["who", "entries", "keys", "p50", "p99", "mean", "goal"]);
    for (size, by) in all(sizes).filter(|(_, by)| by.peers.iter().any(|(name, _)| name == "SQLite")) {
        for (who, _) in everybody(by).filter(|(who, _)| *who != "SQLite") {
            let of = |what| id(size, &by.keys, who, what);
            table.row(vec![
                who.into(),
                grouped(size.ordered).into(),
                by.keys.clone().into(),
                Cell::Ratio(of("p50")),
                Cell::Ratio(of("p99")),
                Cell::Ratio(of("mean")),
                if is_beside_sqlite(size, by, who) { Cell::Goal(of("beside")) } else { "".into() },
            ]);
        }
    }
    table
}

fn against_smallest(sizes: &[Size]) -> Table {
    let smallest = sizes.first().map_or(String::new(), |size| grouped(size.ordered));
    let caption = format!("Median decision divided by the same evaluator's at {smallest} entries.");
    let mut table = Table::new(caption, &["who", "entries", "keys", "p50", "÷ smallest", "goal"]);
    for (size, by) in all(sizes.get(1..).unwrap_or_default()) {
        for (who, _) in everybody(by).filter(|(who, _)| ["Writ", "SQLite"].contains(who)) {
            let of = || id(size, &by.keys, who, "growth");
            let (entries, keys) = (grouped(size.ordered).into(), by.keys.clone().into());
            table.row(vec![who.into(), entries, keys, Cell::Median(of()), Cell::Ratio(of()), Cell::Goal(of())]);
        }
    }
    table
}

fn lookups(sizes: &[Size]) -> Table {
    let caption = "Keys of the index that Writ looks up per decision: a count, not a time. It follows from the \
                   subject's roles and the object's depth, not from how many entries there are.";
    let mut table =
        Table::new(caption, &["entries", "keys", "least", "mean", "greatest", "granted", "denied", "no match"]);
    for (size, by) in all(sizes) {
        let of = |what| Cell::Median(id(size, &by.keys, "Writ", what));
        let mut row = vec![grouped(size.ordered).into(), by.keys.clone().into()];
        row.extend(["lookups-least", "lookups-mean", "lookups-greatest"].map(of));
        row.extend(by.answered.map(|share| Cell::Text(quantity(share, Unit::Share))));
        table.row(row);
    }
    table
}

fn threads(sizes: &[Size]) -> Table {
    let caption = "Decisions per second on one state, with no clock between them.";
    let mut table = Table::new(caption, &["entries", "keys", "one thread", "two threads", "÷ one thread"]);
    for (size, by) in all(sizes) {
        let of = |threads| id(size, &by.keys, "Writ", threads);
        table.row(vec![
            grouped(size.ordered).into(),
            by.keys.clone().into(),
            Cell::Value(of("threads-1")),
            Cell::Value(of("threads-2")),
            Cell::Ratio(of("threads-2")),
        ]);
    }
    table
}

fn memory(sizes: &[Size]) -> Table {
    let caption = "Memory per access entry: by how much the process grew while the state was built, beside the pages of \
                   SQLite's database, which holds only what is live and no ids.";
    let mut table = Table::new(caption, &["entries", "state", "SQLite", "÷ SQLite", "records made and executed"]);
    for size in sizes {
        let of = |what: &str| format!("decision/{}/{what}", count(size.ordered));
        let has_sqlite = !size.peer_bytes.is_empty();
        let sqlite = if has_sqlite { Cell::Median(of("sqlite-bytes-per-entry")) } else { "".into() };
        let own = of("state-bytes-per-entry");
        table.row(vec![
            grouped(size.ordered).into(),
            Cell::Median(own.clone()),
            sqlite,
            Cell::Ratio(own),
            Cell::Median(of("build-rate")),
        ]);
    }
    table
}

fn all(sizes: &[Size]) -> impl Iterator<Item = (&Size, &ByKeys)> {
    sizes.iter().flat_map(|size| size.by_keys.iter().map(move |by| (size, by)))
}

fn plots(sizes: &[Size]) -> Vec<Plot> {
    let mut plots = vec![growth(sizes)];
    if let Some(size) = sizes.iter().find(|size| size.ordered == GOAL_SIZE).or(sizes.last()) {
        plots.push(tails(size));
        plots.push(rates(size));
    }
    plots
}

/// Time over size, everybody, both sorts of keys.
fn growth(sizes: &[Size]) -> Plot {
    let mut series: Vec<Series> = Vec::new();
    for (colour, who) in WHO.into_iter().enumerate() {
        for (keys, dashed) in [("uniform", false), ("zipf", true)] {
            let points: Vec<Point> = all(sizes)
                .filter(|(_, by)| by.keys == keys)
                .filter_map(|(size, by)| {
                    let timed = everybody(by).find(|(name, _)| *name == who)?.1;
                    let Summary { median, min, max } = Summary::of(&timed.p50);
                    Some(Point { x: size.ordered as f64, y: median, min, max })
                })
                .collect();
            if !points.is_empty() {
                series.push(Series { name: format!("{who}, {keys}"), colour, dashed, points });
            }
        }
    }
    Plot {
        file: "decision-size.svg".into(),
        title: "One decision, by the number of entries".into(),
        subtitle: "Median decision; whiskers: least and greatest of the repetitions; both scales logarithmic".into(),
        chart: Chart::Lines {
            x: Axis::new("access entries", Unit::Count, Scale::Log),
            y: Axis::new("time per decision", Unit::Nanoseconds, Scale::Log),
            series,
            marks: vec![Mark { label: "goal for the median at 1 M".into(), y: 5_000.0 }],
        },
    }
}

/// How many decisions are slower than so much.
fn tails(size: &Size) -> Plot {
    let uniform = size.by_keys.iter().filter(|by| by.keys == "uniform");
    let series = uniform.flat_map(everybody).map(|(who, timed)| Series {
        name: who.into(),
        colour: WHO.iter().position(|known| *known == who).unwrap_or(WHO.len()),
        dashed: false,
        points: timed.tail.iter().map(|(x, y)| Point { x: *x, y: *y, min: *y, max: *y }).collect(),
    });
    Plot {
        file: "decision-tail.svg".into(),
        title: format!("Slow decisions at {} entries", grouped(size.ordered)),
        subtitle: "Share of decisions that took longer; uniform keys, last repetition; both scales logarithmic".into(),
        chart: Chart::Lines {
            x: Axis::new("time per decision", Unit::Nanoseconds, Scale::Log),
            y: Axis::new("share that took longer", Unit::Share, Scale::Log),
            series: series.collect(),
            marks: Vec::new(),
        },
    }
}

/// Decisions per second at one size.
fn rates(size: &Size) -> Plot {
    let mut bars = Vec::new();
    for by in size.by_keys.iter().filter(|by| by.keys == "uniform") {
        let mut bar = |name: String, who: &str, values: &[f64]| {
            let Summary { median, min, max } = Summary::of(values);
            let colour = WHO.iter().position(|known| *known == who).unwrap_or(WHO.len());
            bars.push(Bar { name, colour, value: median, min, max });
        };
        bar("Writ, two threads".into(), WHO[0], &by.threads[1]);
        bar("Writ, one thread".into(), WHO[0], &by.threads[0]);
        for (who, timed) in &by.peers {
            bar(format!("{who}, one thread"), who, &timed.per_second);
        }
    }
    Plot {
        file: "decision-rate.svg".into(),
        title: format!("Decisions per second at {} entries", grouped(size.ordered)),
        subtitle: "Uniform keys, no clock between decisions; whiskers: least and greatest of the repetitions".into(),
        chart: Chart::Bars { x: Axis::new("decisions per second", Unit::PerSecond, Scale::Linear), bars },
    }
}

fn notes(section: &mut Section, sizes: &[Size]) {
    let Some(size) = sizes.first() else { return };
    let Some(by) = size.by_keys.first() else { return };
    let timer =
        quantity(Summary::of(&sizes.iter().map(|size| size.timer).collect::<Vec<_>>()).median, Unit::Nanoseconds);
    section.note(format!("Reading the clock costs {timer} per decision, which the times include; the rates do not."));
    let asked: Vec<String> =
        everybody(by).map(|(who, timed)| format!("{who} {}", grouped(timed.questions as u64))).collect();
    section.note(format!("Questions per repetition at the smallest size: {}.", asked.join(", ")));
    if let Some(version) = &size.sqlite_version {
        section.note(format!("SQLite {version} gave the same answer as Writ to every question that it was asked."));
    }
    if by.peers.len() > 1 {
        section.note("Cedar and Rego gave the same answers as Writ to every question that they can express.");
    }
}
