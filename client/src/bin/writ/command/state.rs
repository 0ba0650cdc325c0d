//! `writ grant` and `writ deny`: state an entry.

use clap::Args;
use writ_client::circle::Needs;
use writ_client::when::Span;
use writ_proto::api::Tuple;
use writ_proto::name::ActionPattern;
use writ_proto::record::{Body, Effect};
use writ_proto::refusal::Refusal;
use writ_proto::time::LedgerTime;

use super::{dry_run, send};
use crate::args::About;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Said, beside, sentence};

/// What to state.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    about: About,
    /// From when it holds; without it, from when the ledger takes it in
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Until when it holds; without it, until revoked
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// For how long it holds, as in 8h or 2w
    #[arg(long = "for", value_name = "DURATION", conflicts_with = "until")]
    for_: Option<String>,
    /// Under which condition, in CEL
    #[arg(long = "if", value_name = "CEL")]
    if_: Option<String>,
    /// The request that led to it: a ticket, say
    #[arg(long = "ref", value_name = "REF")]
    ref_: Option<String>,
    #[command(flatten)]
    dry_run: dry_run::Options,
    #[command(flatten)]
    send: send::Options,
}

pub(super) fn run(options: Options, effect: Effect, context: &Context) -> Result<Exit, Failure> {
    let Options { about, from, until, for_, if_, ref_, dry_run, send } = options;
    let now = context.now();
    let from = from.map(|text| context.time("from", &text)).transpose()?;
    let mut until = until.map(|text| context.time("until", &text)).transpose()?;
    if let Some(text) = for_ {
        let span: Span =
            text.strip_prefix('+').unwrap_or(&text).parse().map_err(|error| Failure::of_option("for", error))?;
        let end = from.unwrap_or(now).checked_add_millis(span.0);
        until = Some(end.ok_or_else(|| Failure::of_option("for", "that leads beyond the year 9999"))?);
    }
    let tuple = Tuple {
        sub: about.sub,
        obj: about.obj,
        act: about.act,
        access: Some(effect.as_str().into()),
        iss: from.map(|time| time.to_string()),
        exp: until.map(|time| time.to_string()),
        cond: if_,
        reference: ref_,
        ..Tuple::default()
    };
    let access = tuple.to_access().map_err(by_option)?;
    if let Some(exp) = access.exp.filter(|exp| *exp <= now) {
        context.say("warning:", &format!("this entry ended {}: it will never hold", beside(exp, now)));
    }
    let client = context.client()?;
    let speaker = send.speaker(Needs::Authority, &client, context)?;
    let said = Said {
        authority: speaker.authority(),
        access: effect,
        sub: &tuple.sub,
        act: tuple.act.as_deref().unwrap_or(ActionPattern::ANY),
        obj: &tuple.obj,
    };
    let bound = |word: &str, time: Option<LedgerTime>| {
        time.map_or(String::new(), |time| format!(", {word} {}", beside(time, now)))
    };
    let words = sentence(said) + &bound("from", access.iss) + &bound("until", access.exp);
    let body = Body::Access(access);
    if dry_run.is_wanted() {
        return dry_run::statement(&body, speaker.authority(), &client, &words, context);
    }
    send::state(body, &speaker, &client, &words, &send, context)
}

/// Blames the option rather than the member.
fn by_option(refusal: Refusal) -> Failure {
    let option = match refusal.field {
        Some("iss") => "from",
        Some("exp") => "until",
        Some("cond") => "if",
        Some(field) => field,
        None => return refusal.into(),
    };
    Failure::of_option(option, refusal.detail)
}
