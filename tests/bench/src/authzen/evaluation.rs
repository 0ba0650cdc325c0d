//! `POST /access/v1/evaluation` beside a handler that only reads the same bodies, and `/evaluations` with a hundred
//! questions beside one at a time.

use anyhow::ensure;

use super::body::{self, action, entity, members};
use super::{CONNECTIONS, World, agree, batches};
use crate::empty;
use crate::figure::{Cell, Figure, Goal, Section, Table, Unit};
use crate::format::grouped;
use crate::load::Script;
use crate::random::Random;
use crate::run::Run;
use crate::throughput::{self, Target, Throughput};
use crate::traffic::{Asked, question};

/// Questions of a batch.
const BATCH: usize = 100;
/// Single questions whose answers are compared with those of `GET /v1/check` and of batches.
const COMPARED: usize = 2_000;
/// Bytes of an answer: `{"decision":true}`.
const ANSWER_BYTES: usize = 17;

pub(super) fn measure(run: &Run, section: &mut Section, world: &World) -> anyhow::Result<()> {
    let (uniform, zipf) = (world.evaluations(&world.uniform), world.evaluations(&world.zipf));
    let listings = listings(run, world);
    let shared = listings.iter().map(|questions| listing(questions));
    let post = |bodies: Vec<String>| Script::post(&world.host, "/access/v1/evaluations", bodies);
    let (shared, own) =
        (post(shared.collect()), post(world.uniform.chunks_exact(BATCH).map(body::evaluations).collect()));
    compare(world, &uniform, &own)?;
    compare_listings(world, &listings, &shared)?;

    let empty = empty::start(&world.chain, ANSWER_BYTES)?;
    let node = |name, what: &str, script| Target {
        name,
        what: what.into(),
        address: world.address,
        process: world.process,
        script,
    };
    let nothing = Target {
        name: "empty",
        what: "a handler that reads the same bodies and does nothing".into(),
        address: empty.address,
        process: empty.process,
        script: &uniform,
    };
    let targets = [
        nothing,
        node("uniform", "questions about all users alike", &uniform),
        node("zipf", "questions about some users far more often", &zipf),
        node("shared", "100 resources for one subject and one action", &shared),
        node("own", "100 questions with all parts of their own", &own),
    ];
    let found = throughput::measure(run, CONNECTIONS, &targets)?;
    singles(section, &targets[..3], &found[..3]);
    hundreds(section, &targets[3..], &found[3..]);
    section.note(format!(
        "The empty handler of AuthZEN reads the whole body and answers with {ANSWER_BYTES} bytes, as many as a decision has. \
         {} questions got the same answers one at a time and in batches, and {BATCH} of them from `GET /v1/check`.",
        grouped(COMPARED.min(world.uniform.len()) as u64)
    ));
    Ok(())
}

/// Batches of questions that differ in their resource alone, as whoever shows a list asks them: which of these files may
/// this user read?
fn listings(run: &Run, world: &World) -> Vec<Vec<Asked>> {
    let mut random = Random::new(run.seed).fork(BATCH as u64);
    let count = if run.short { 5 } else { 1_000 };
    let listing = |random: &mut Random| {
        let user = random.below(world.dataset.users());
        let one = |_| Asked { act: "read", ..question(&world.dataset, user, random) };
        (0..BATCH).map(one).collect()
    };
    (0..count).map(|_| listing(&mut random)).collect()
}

fn listing(questions: &[Asked]) -> String {
    let Some(first) = questions.first() else { return String::new() };
    let shared = members([("subject", entity(&first.sub)), ("action", action(first.act))]);
    body::evaluations_of(shared, "resource", questions.iter().map(|question| question.obj.as_str()))
}

/// Asks the same one at a time, in batches and by `GET`.
fn compare(world: &World, single: &Script, own: &Script) -> anyhow::Result<()> {
    let questions = &world.uniform[..COMPARED.min(world.uniform.len())];
    let singles = world.decisions(single, questions.len())?;
    let batched = batches(world.address, own, questions.len() / BATCH)?.concat();
    agree("a batch", &singles[..batched.len()], &batched, questions)?;
    let by_get = |question: &Asked| world.chain.http().get(&question.to_path()).text().contains("\"granted\"");
    let checked: Vec<bool> = questions.iter().take(BATCH).map(by_get).collect();
    agree("`GET /v1/check`", &singles[..checked.len()], &checked, questions)?;
    ensure!(singles.contains(&true) && singles.contains(&false), "all answers are alike");
    Ok(())
}

fn compare_listings(world: &World, listings: &[Vec<Asked>], shared: &Script) -> anyhow::Result<()> {
    let questions = &listings[0];
    let one_by_one = world.decisions(&world.evaluations(questions), BATCH)?;
    agree("a batch of one subject", &one_by_one, &batches(world.address, shared, 1)?.concat(), questions)
}

fn singles(section: &mut Section, targets: &[Target<'_>], found: &[Throughput]) {
    let caption = "The most single questions that a server answers (`POST /access/v1/evaluation`, closed loop), and what an answer \
                   costs it.";
    throughput::beside_empty(section, "authzen/evaluation", caption, 0.5, targets, found);
}

fn hundreds(section: &mut Section, targets: &[Target<'_>], found: &[Throughput]) {
    let caption = "A hundred questions in one request (`POST /access/v1/evaluations`), counted one by one, beside single questions \
                   about all users alike.";
    let columns = ["batch", "answers", "beside single questions", "goal", "processor time of the server per answer"];
    let mut table = Table::new(caption, &columns);
    for (target, Throughput { rates, costs }) in targets.iter().zip(found) {
        let id = |what: &str| format!("authzen/batch/{}/{what}", target.name);
        let each = BATCH as f64;
        let rates = rates.iter().map(|rate| rate * each).collect();
        let costs = costs.iter().map(|cost| cost / each).collect();
        let rate = Figure::new(id("rate"), target.what.clone(), Unit::PerSecond, rates);
        let rate = rate.against("authzen/evaluation/uniform/rate").goal(Goal::RatioAtLeast(5.0));
        let cost = format!("{}: processor time", target.what);
        let cost = Figure::new(id("processor"), cost, Unit::Nanoseconds, costs);
        let cost = cost.against("authzen/evaluation/uniform/processor");
        let (rate, cost) = (section.figure(rate), section.figure(cost));
        let (ratio, goal) = (Cell::Ratio(rate.clone()), Cell::Goal(rate.clone()));
        table.row(vec![target.what.clone().into(), Cell::Value(rate), ratio, goal, Cell::Value(cost)]);
    }
    section.tables.push(table);
}
