//! `POST /access/v1/search/subject` and `/resource`: complete answers, beside batches that ask about every name.
//!
//! Whoever has no search and wants to know who may read a file asks about every user. That is the baseline, in its best
//! form: as many questions in one request as it takes, and only the name that changes in each.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::body::{self, Found, action, entity, members};
use super::{World, batches};
use crate::figure::{Cell, Figure, Section, Table, Unit};
use crate::format::{grouped, quantity};
use crate::load::{self, Script};
use crate::random::Random;
use crate::run::Run;
use crate::throughput::{self, Target, Throughput};

/// Connections at a time: a search keeps a core busy for a while.
pub(super) const CONNECTIONS: usize = 4;
/// Questions of one request, at most.
const BATCH_MAX: usize = 10_000;
/// Searches whose results are compared with asking about every name.
const COMPARED: usize = 3;

/// One sort of search, and the batches that would tell the same.
struct Sort {
    /// `subject` or `resource`.
    part: &'static str,
    search: Script,
    asking: Script,
    /// Batches that tell what one search tells.
    batches: usize,
    /// Names that are asked about.
    names: usize,
    /// Results of a search, on the mean.
    mean: f64,
    /// Searches of more than one page, which are left out.
    longer: usize,
}

pub(super) fn measure(run: &Run, section: &mut Section, world: &World) -> anyhow::Result<()> {
    let sorts = [subjects(run, world)?, resources(run, world)?];
    let target =
        |name, script| Target { name, what: String::new(), address: world.address, process: world.process, script };
    let targets = [
        target("subject", &sorts[0].search),
        target("subject-asked", &sorts[0].asking),
        target("resource", &sorts[1].search),
        target("resource-asked", &sorts[1].asking),
    ];
    let found = throughput::measure(run, CONNECTIONS, &targets)?;
    let caption = "Complete searches (one page, action `read`), beside batches that ask about every name of that type on the ledger.";
    let columns =
        ["what", "results, mean", "names", "per second", "÷ asking about each", "processor time of the server"];
    let mut table = Table::new(caption, &columns);
    for (sort, found) in sorts.iter().zip(found.chunks_exact(2)) {
        rows(section, &mut table, sort, found);
    }
    section.tables.push(table);
    let longer: usize = sorts.iter().map(|sort| sort.longer).sum();
    section.note(format!(
        "The results of searches were those of asking about every name. {longer} searches had more than one page and were left out."
    ));
    Ok(())
}

fn rows(section: &mut Section, table: &mut Table, sort: &Sort, found: &[Throughput]) {
    let [searched, asked] = found else { return };
    let Sort { part, batches, names, mean, .. } = sort;
    let words = match *part {
        "subject" => "who may read a file",
        _ => "what a user may read",
    };
    let id = |how: &str, what: &str| format!("authzen/search/{part}{how}/{what}");
    let times = *batches as f64;
    let rates = asked.rates.iter().map(|rate| rate / times).collect();
    let costs = asked.costs.iter().map(|cost| cost * times).collect();
    let baseline = section.figure(Figure::new(
        id("-asked", "rate"),
        format!("{words}: asking about every name"),
        Unit::PerSecond,
        rates,
    ));
    let baseline_cost = section.figure(Figure::new(
        id("-asked", "processor"),
        format!("{words}: asking about every name, processor time"),
        Unit::Nanoseconds,
        costs,
    ));
    let rate = Figure::new(id("", "rate"), format!("{words}: search"), Unit::PerSecond, searched.rates.clone());
    let rate = section.figure(rate.against(baseline.clone()));
    let cost = Figure::new(
        id("", "processor"),
        format!("{words}: search, processor time"),
        Unit::Nanoseconds,
        searched.costs.clone(),
    );
    let cost = section.figure(cost.against(baseline_cost.clone()));
    let (mean, names): (Cell, Cell) = (quantity(*mean, Unit::Count).into(), grouped(*names as u64).into());
    let what = format!("{words}: search");
    table.row(vec![
        what.into(),
        mean.clone(),
        names.clone(),
        Cell::Value(rate.clone()),
        Cell::Ratio(rate),
        Cell::Value(cost),
    ]);
    let what = format!("{words}: asking about each, {batches} requests");
    table.row(vec![what.into(), mean, names, Cell::Value(baseline), "".into(), Cell::Value(baseline_cost)]);
}

/// Who may read the files that questions are about.
fn subjects(run: &Run, world: &World) -> anyhow::Result<Sort> {
    let names: BTreeSet<String> =
        (0..world.dataset.users()).filter_map(|user| Some(world.dataset.of_user(user).next()?.sub)).collect();
    let objects = drawn(run, world.uniform.iter().map(|question| question.obj.as_str()));
    sort(world, "subject", &objects, &names, |object| [("action", action("read")), ("resource", entity(object))])
}

/// What the users that questions are about may read.
fn resources(run: &Run, world: &World) -> anyhow::Result<Sort> {
    let facts = (0..world.dataset.entries()).map(|position| world.dataset.at(position));
    let objects = facts.map(|fact| fact.obj).filter(|obj| obj.starts_with("file:") && !obj.ends_with('*'));
    let names: BTreeSet<String> = objects.collect();
    let subjects = drawn(run, world.uniform.iter().map(|question| question.sub.as_str()));
    sort(world, "resource", &subjects, &names, |subject| [("subject", entity(subject)), ("action", action("read"))])
}

/// Some of these, each once.
fn drawn<'a>(run: &Run, all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut random = Random::new(run.seed).fork(0x5ea7c4);
    let count = if run.short { 10 } else { 200 };
    let mut some: Vec<String> = all.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect();
    while some.len() > count {
        some.swap_remove(random.below(some.len() as u64) as usize);
    }
    some
}

/// A sort of search by the other two parts of each, which `given` tells.
fn sort(
    world: &World,
    part: &'static str,
    about: &[String],
    names: &BTreeSet<String>,
    given: impl Fn(&str) -> [(&'static str, Value); 2],
) -> anyhow::Result<Sort> {
    let type_ = names.first().and_then(|name| name.split_once(':')).context("there are no names")?.0;
    let path = format!("/access/v1/search/{part}");
    let search = |about: &[String]| {
        let body = |name: &String| {
            let mut body = members(given(name));
            body.insert(part.into(), json!({ "type": type_ }));
            Value::Object(body).to_string()
        };
        Script::post(&world.host, &path, about.iter().map(body))
    };
    let all: Vec<Found> = load::answers(world.address, &search(about), about.len())?
        .iter()
        .map(|answer| serde_json::from_slice(answer))
        .collect::<Result<_, _>>()?;
    let (complete, found): (Vec<String>, Vec<Found>) =
        about.iter().cloned().zip(all).filter(|(_, found)| found.page.is_none()).unzip();
    ensure!(!complete.is_empty(), "every search for a {part} has more than one page");
    let results: usize = found.iter().map(|found| found.results.len()).sum();

    let names_of: Vec<&str> = names.iter().map(String::as_str).collect();
    let parts: Vec<&[&str]> = names_of.chunks(BATCH_MAX).collect();
    let asked = complete.iter().flat_map(|about| {
        let shared = members(given(about));
        parts.iter().map(move |names| body::evaluations_of(shared.clone(), part, names.iter().copied()))
    });
    // A few dozen batches are enough: each asks about every name.
    let asking = Script::post(&world.host, "/access/v1/evaluations", asked.take(40.max(parts.len())));
    compare(world, &asking, parts.len(), &names_of, &found)?;
    Ok(Sort {
        part,
        search: search(&complete),
        asking,
        batches: parts.len(),
        names: names.len(),
        mean: results as f64 / complete.len() as f64,
        longer: about.len() - complete.len(),
    })
}

fn compare(world: &World, asking: &Script, times: usize, names: &[&str], found: &[Found]) -> anyhow::Result<()> {
    let answers = batches(world.address, asking, COMPARED.min(found.len()) * times)?;
    for (decisions, found) in answers.chunks_exact(times).zip(found) {
        let decisions = decisions.concat();
        ensure!(decisions.len() == names.len(), "{} answers about {} names", decisions.len(), names.len());
        let asked: BTreeSet<String> =
            names.iter().zip(decisions).filter(|(_, yes)| *yes).map(|(name, _)| (*name).to_owned()).collect();
        let searched: BTreeSet<String> =
            found.results.iter().map(|found| format!("{}:{}", found.type_, found.id)).collect();
        let difference: Vec<&String> = asked.symmetric_difference(&searched).take(3).collect();
        ensure!(difference.is_empty(), "a search and asking about every name differ on {difference:?}");
    }
    Ok(())
}
