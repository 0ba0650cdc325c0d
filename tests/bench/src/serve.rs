//! Questions over HTTP: how many a node answers beside a server that does nothing, and how long callers wait.
//!
//! Both servers run as processes on the same machine as the generator, on the same accept loop and router. So
//! what differs is what an answer costs: reading the question, the decision, and writing it down.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::dataset::Dataset;
use crate::empty;
use crate::figure::{Cell, Figure, Section, Table, Unit};
use crate::format::{count, quantity};
use crate::load::{self, Outcome, Plan, Script};
use crate::plot::{Axis, Chart, Plot, Point, Scale, Series};
use crate::processes::Chain;
use crate::random::{Keys, Random};
use crate::run::{Part, Run};
use crate::throughput::{self, Target};
use crate::traffic::{Asked, loaded, questions, rows};

/// The part.
pub(crate) const PART: Part =
    Part { name: "serve", about: "questions over HTTP, beside an empty handler and at fixed rates", measure };

/// Connections at a time.
const CONNECTIONS: usize = 32;
/// Shares of the greatest throughput at which waits are measured.
const SHARES: [f64; 3] = [0.25, 0.5, 0.75];
/// Percentiles of waits.
const PERCENTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];

fn measure(run: &Run, section: &mut Section) -> anyhow::Result<()> {
    let (dataset, mut chain) = loaded(run)?;

    let random = Random::new(run.seed);
    let of = |keys: Keys| {
        paths(&questions(&dataset, keys, &mut random.fork(keys as u64), if run.short { 500 } else { 100_000 }))
    };
    let (uniform, zipf) = (of(Keys::Uniform), of(Keys::Zipf));
    let bytes = answer_bytes(&chain, &uniform)?;
    let empty = empty::start(&chain, bytes)?;
    let host = chain.http().address().to_owned();
    let (uniform, zipf) = (Script::get(&host, uniform), Script::get(&host, zipf));
    let (address, process) = (chain.address()?, chain.node().process_id());
    let target =
        |name, what: &str, address, process, script| Target { name, what: what.into(), address, process, script };
    let targets = [
        target("empty", "a handler that does nothing", empty.address, empty.process, &uniform),
        target("uniform", "questions about all users alike", address, process, &uniform),
        target("zipf", "questions about some users far more often", address, process, &zipf),
    ];
    section.note(format!(
        "{} entries; {CONNECTIONS} connections that stay open; the generator runs on the same cores. The empty handler \
         answers with {bytes} bytes, the mean of a decision, and with the same headers. Both servers are among the other processes that are \
         named below.",
        count(dataset.entries())
    ));
    let most = most(run, section, &targets)?;
    waits(run, section, &targets[1], most)?;
    while_importing(run, section, &dataset, &chain, &targets[1], most)
}

fn paths(questions: &[Asked]) -> Vec<String> {
    questions.iter().map(Asked::to_path).collect()
}

/// The mean length of an answer's body.
fn answer_bytes(chain: &Chain, paths: &[String]) -> anyhow::Result<usize> {
    let sample = &paths[..paths.len().min(200)];
    let mut sum = 0;
    for path in sample {
        let answer = chain.http().get(path);
        ensure!(answer.status == 200, "`{path}` is answered with {}: {}", answer.status, answer.text());
        sum += answer.body.len();
    }
    Ok(sum / sample.len().max(1))
}

/// What the bench was started again for.
///
/// # Errors
/// If the words are unknown, or the server cannot run.
pub(crate) fn child(words: &[String]) -> anyhow::Result<()> {
    match words {
        [verb, bytes] if verb == empty::VERB => empty::serve(bytes.parse().context("a number of bytes")?),
        _ => anyhow::bail!("found `{}`, expected `{} BYTES`", words.join(" "), empty::VERB),
    }
}

/// The greatest rate of each target; gives that of the first that decides.
fn most(run: &Run, section: &mut Section, targets: &[Target<'_>]) -> anyhow::Result<f64> {
    let all = throughput::measure(run, CONNECTIONS, targets)?;
    let caption = "The most that a server answers (closed loop), and what an answer costs it.";
    throughput::beside_empty(section, "serve", caption, 0.6, targets, &all);
    let own = all.get(1).context("somebody who decides")?;
    Ok(crate::stats::Summary::of(&own.rates).median)
}

/// How long callers wait at shares of `most` answers per second.
fn waits(run: &Run, section: &mut Section, target: &Target<'_>, most: f64) -> anyhow::Result<()> {
    let mut lines: Vec<Series> = (0..PERCENTILES.len())
        .map(|at| Series { name: PERCENTILES[at].0.into(), colour: at, dashed: false, points: Vec::new() })
        .collect();
    let columns = ["of the greatest rate", "questions", "p50", "p99", "p99.9", "generator late, p99"];
    let mut table =
        Table::new("How long callers wait, from the instant at which a question is due (open loop).", &columns);
    for share in SHARES {
        let rate = share * most;
        let (values, lateness) = repeat(run, target, rate)?;
        let percent = format!("{:.0} %", share * 100.0);
        let mut row: Vec<Cell> = vec![percent.clone().into(), quantity(rate, Unit::PerSecond).into()];
        for ((name, _), (values, line)) in PERCENTILES.iter().zip(values.into_iter().zip(&mut lines)) {
            let id = format!("serve/wait/{:.0}/{name}", share * 100.0);
            let figure = Figure::new(id, format!("wait at {percent}, {name}"), Unit::Nanoseconds, values);
            let summary = figure.summary();
            line.points.push(Point { x: share, y: summary.median, min: summary.min, max: summary.max });
            row.push(Cell::Value(section.figure(figure)));
        }
        row.push(quantity(lateness, Unit::Nanoseconds).into());
        table.row(row);
    }
    section.tables.push(table);
    section.plots.push(Plot {
        file: "serve-wait.svg".into(),
        title: "How long callers wait".into(),
        subtitle: "GET /v1/check at fixed rates, from the instant at which each question is due".into(),
        chart: Chart::Lines {
            x: Axis::new("share of the greatest rate", Unit::Share, Scale::Linear),
            y: Axis::new("wait", Unit::Nanoseconds, Scale::Log),
            series: lines,
            marks: Vec::new(),
        },
    });
    section.note(
        "A wait holds the generator's own lateness: it sleeps until a question is due, and the kernel wakes it a little \
         later, the more so the busier the cores are that both share.",
    );
    Ok(())
}

/// Percentiles of waits at `rate`, for each repetition, and the worst p99 of the generator's lateness.
fn repeat(run: &Run, target: &Target<'_>, rate: f64) -> anyhow::Result<([Vec<f64>; 3], f64)> {
    let mut values: [Vec<f64>; 3] = Default::default();
    let mut lateness = 0.0_f64;
    for _ in 0..run.repetitions {
        let outcome = at_rate(run, target, rate)?;
        for (values, (_, share)) in values.iter_mut().zip(PERCENTILES) {
            values.push(outcome.waits.percentile(share));
        }
        lateness = lateness.max(outcome.lateness.percentile(0.99));
    }
    Ok((values, lateness))
}

fn at_rate(run: &Run, target: &Target<'_>, rate: f64) -> anyhow::Result<Outcome> {
    let plan = Plan {
        connections: CONNECTIONS,
        warm_up: Duration::from_millis(if run.short { 20 } else { 500 }),
        time: Duration::from_millis(if run.short { 100 } else { 4_000 }),
        rate: Some(rate),
    };
    load::run(target.address, target.script, &plan)
}

/// How long callers wait while blocks are written: whoever commits holds the lock that they read under.
fn while_importing(
    run: &Run,
    section: &mut Section,
    dataset: &Dataset,
    chain: &Chain,
    target: &Target<'_>,
    most: f64,
) -> anyhow::Result<()> {
    let share = SHARES[0];
    let count = if run.short { 200 } else { 40_000 }.min(dataset.entries());
    let mut values: [Vec<f64>; 3] = Default::default();
    for repetition in 0..run.repetitions {
        let reference = format!("again {repetition}");
        let rows = rows(dataset, 0..count, &reference);
        let outcome = std::thread::scope(|scope| {
            let importing = scope.spawn(|| chain.import(&format!("again{repetition}.csv"), rows));
            let outcome = at_rate(run, target, share * most);
            importing.join().map_err(|_| anyhow::anyhow!("the import panicked"))??;
            outcome
        })?;
        for (values, (_, share)) in values.iter_mut().zip(PERCENTILES) {
            values.push(outcome.waits.percentile(share));
        }
    }
    let mut table = Table::new(
        format!("The same at {:.0} % of the greatest rate while `writ import` runs on the same cores.", share * 100.0),
        &["p50", "p99", "p99.9"],
    );
    let mut row = Vec::new();
    for ((name, _), values) in PERCENTILES.iter().zip(values) {
        let figure = Figure::new(
            format!("serve/wait/importing/{name}"),
            format!("wait during an import, {name}"),
            Unit::Nanoseconds,
            values,
        );
        row.push(Cell::Value(section.figure(figure)));
    }
    table.row(row);
    section.tables.push(table);
    Ok(())
}
