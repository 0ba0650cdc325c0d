//! `writ check`: ask.

use clap::Args;
use serde_json::{Map, Value};
use writ_client::client::Question;
use writ_proto::api::{CheckAnswer, ConsideredEntry, Explanation, ObstacleAnswer, Verdict, question_of};
use writ_proto::name::ActionPattern;
use writ_proto::record::Effect;
use writ_proto::time::LedgerTime;

use crate::args::About;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{
    Cell, Style, Table, action, ago, beside, clean, entry_fields, fields, holds, print, print_line, sentence, short,
};

/// What to ask.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    about: About,
    /// At this instant, by today's log
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Option<String>,
    /// With the knowledge of this height
    #[arg(long, value_name = "HEIGHT")]
    height: Option<u64>,
    /// As it was: at this instant, with the knowledge of then
    #[arg(long, value_name = "TIME", conflicts_with_all = ["at", "height"], allow_hyphen_values = true)]
    as_of: Option<String>,
    /// Not before this position: the `position` of a receipt or an answer
    #[arg(long, value_name = "TOKEN")]
    at_least: Option<String>,
    /// A circumstance that conditions may look at, once for each; JSON, or else a text
    #[arg(long, value_name = "NAME=VALUE")]
    context: Vec<String>,
    /// Show all reasons: every entry that bears on it, roles, interval
    #[arg(long)]
    explain: bool,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let About { sub, obj, act } = &options.about;
    // Judged here first, so that a mistyped name is a misuse and never reads as an answer.
    question_of(sub, act.as_deref(), obj)?;
    let time = |option: &str, text: &Option<String>| text.as_deref().map(|text| context.time(option, text)).transpose();
    let question = Question {
        sub: sub.clone(),
        act: act.clone(),
        obj: obj.clone(),
        at: time("at", &options.at)?,
        height: options.height,
        as_of: time("as-of", &options.as_of)?,
        at_least: options.at_least.clone(),
        context: circumstances(&options.context)?,
        explain: options.explain || !context.json(),
    };
    let (json, answer) = context.client()?.check_json(&question)?;
    if context.json() {
        print_line(json.trim_end())?;
    } else {
        print(&words(&answer, &question, options.explain, context.out(), context.now()))?;
    }
    Ok(if answer.decision == Effect::Grant { Exit::Done } else { Exit::Denied })
}

/// `NAME=VALUE`s as one JSON object.
pub(super) fn circumstances(given: &[String]) -> Result<Option<String>, Failure> {
    let mut object = Map::new();
    for pair in given {
        let Some((name, text)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::of_option("context", format!("`{pair}` is not of the form NAME=VALUE")));
        };
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.into()));
        if object.insert(name.into(), value).is_some() {
            return Err(Failure::of_option("context", format!("`{name}` is given twice")));
        }
    }
    Ok((!object.is_empty()).then(|| Value::Object(object).to_string()))
}

/// The decision alone on its line, then the reasons.
fn words(answer: &CheckAnswer, question: &Question, explain: bool, style: Style, now: LedgerTime) -> String {
    let granted = answer.decision == Effect::Grant;
    let mut text = style.verdict(granted, answer.decision.as_str()) + "\n";
    let mut pairs = vec![("because", because(answer, question, now)), ("asked", asked(answer, question, now))];
    if let Some(valid_until) = answer.valid_until {
        pairs.push((
            "may change",
            format!("{}, by time alone; before that, by new entries only", beside(valid_until, now)),
        ));
    }
    if answer.pending {
        pairs.push(("pending", "this rests on a record that is not in the log yet".into()));
    }
    pairs.push(("position", clean(&answer.position)));
    let explanation = answer.explain.as_ref().filter(|_| explain);
    if let Some(Explanation { interval: [lo, hi], lookups, cut_authorities, .. }) = explanation {
        let interval = if lo == hi { lo.to_string() } else { format!("{lo} to {hi}: the clocks leave that much open") };
        pairs.push(("interval", interval));
        pairs.push(("lookups", lookups.to_string()));
        for authority in cut_authorities {
            pairs.push(("left out", format!("grants of {authority}: its memberships lead to too many roles")));
        }
    }
    text.push_str(&fields(style, &pairs));
    if let Some(explanation) = explanation {
        text.push_str(&at_length(explanation, style, now));
    }
    text
}

/// Why, in plain words, one reason a line.
fn because(answer: &CheckAnswer, question: &Question, now: LedgerTime) -> String {
    let what = action(question.act.as_deref().unwrap_or(ActionPattern::ANY));
    let mut lines = match answer.why.as_str() {
        "no_match" => {
            vec![format!("no entry in force grants {} {what} on {}", clean(&question.sub), clean(&question.obj))]
        }
        "indeterminate" => {
            let needs = |missing: &String| format!("it needs `{}`", clean(missing));
            let told = "a condition cannot be evaluated; in doubt it is denied".to_owned();
            std::iter::once(told).chain(answer.missing.iter().map(needs)).collect()
        }
        _ => Vec::new(),
    };
    let entries = answer.explain.as_ref().map_or(&[][..], |explanation| &explanation.entries);
    for entry in entries {
        lines.push(format!("{}, {}  [{}]", sentence(entry), holds(entry, now), short(&entry.id.0)));
    }
    if entries.is_empty() {
        lines.extend(answer.entries.iter().map(|id| format!("entry {id}")));
    }
    let why_not = answer.explain.as_ref().and_then(|explanation| explanation.why_not.as_ref());
    lines.extend(why_not.map(|why_not| clean(why_not)));
    lines.join("\n")
}

fn asked(answer: &CheckAnswer, question: &Question, now: LedgerTime) -> String {
    let when = match (question.at, question.as_of) {
        (None, None) => format!("about now, {}", answer.at),
        _ => format!("about {}", beside(answer.at, now)),
    };
    format!("{when}, with the knowledge of height {}", answer.height)
}

/// The roles that were reached.
fn at_length(explanation: &Explanation, style: Style, now: LedgerTime) -> String {
    let mut text = String::new();
    if !explanation.roles.is_empty() {
        let mut table = Table::headed(&["role", "over", "counts"]);
        for role in &explanation.roles {
            let counts = match (role.entered, role.denied) {
                (true, _) => Cell::of("its grants and its denials").painted(Style::green),
                (false, true) => Cell::of("its denials alone: a membership is denied").painted(Style::red),
                (false, false) => Cell::of("its denials alone: the membership is not sure").painted(Style::yellow),
            };
            table.row(vec![Cell::of(clean(&role.role)), Cell::of(short(&role.over.0)), counts]);
        }
        text = format!("\n{}", table.take(style));
    }
    if !explanation.considered.is_empty() {
        let mut table = Table::headed(&["entry", "says", "counts"]);
        explanation.considered.iter().for_each(|one| table.row(considered(one, now)));
        text.push_str(&format!("\n{}", table.take(style)));
        if explanation.more {
            text.push_str("There are more than are shown here; `writ log` lists them all.\n");
        }
    }
    for entry in &explanation.entries {
        text.push('\n');
        text.push_str(&fields(style, &entry_fields(style, entry, now)));
    }
    text
}

/// What became of one entry.
fn considered(one: &ConsideredEntry, now: LedgerTime) -> Vec<Cell> {
    let does = if one.access == Effect::Grant { "grants" } else { "denies" };
    let (sub, act, obj) = (clean(&one.sub), action(&one.act), clean(&one.obj));
    let obstacle = |obstacle: &ObstacleAnswer| match obstacle.at {
        Some(at) => format!("{} ({})", clean(&obstacle.detail), ago(at, now)),
        None => clean(&obstacle.detail),
    };
    let obstacles = || one.obstacles.iter().map(obstacle).collect::<Vec<_>>().join(", and ");
    let counts = match (one.verdict, one.access) {
        (Verdict::Applies, Effect::Grant) => Cell::of("yes").painted(Style::green),
        (Verdict::Applies, Effect::Deny) => Cell::of("yes").painted(Style::red),
        (Verdict::Unclear, Effect::Deny) => Cell::of(format!("yes, in doubt: {}", obstacles())).painted(Style::red),
        (Verdict::Unclear, Effect::Grant) => Cell::of(format!("no, in doubt: {}", obstacles())).painted(Style::yellow),
        (Verdict::DoesNotApply, _) => Cell::of(format!("no: {}", obstacles())),
    };
    vec![Cell::of(short(&one.id.0)), Cell::of(format!("{does} {sub} {act} on {obj}")), counts]
}

#[cfg(test)]
mod tests;
