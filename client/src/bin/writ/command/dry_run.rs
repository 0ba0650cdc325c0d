//! `--dry-run`: who would gain or lose what. Nothing is signed or sent.
//!
//! Data is what would change, and what would be refused; the rest is talk. A dry run that was answered is done, so it
//! ends with 0 also where the real thing would be refused.

use clap::Args;
use writ_client::client::Client;
use writ_proto::api::{AccessChange, Idle, PreviewAsked, Proposal, RefusedStatement, Since, Tuple};
use writ_proto::record::{Access, AuthorityName, Body, Effect, RecordId, SetMember};
use writ_proto::time::LedgerTime;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, Style, Table, beside, changes, clean, print, print_line, short};

/// Changes that are asked for: the most that a node tells.
const CHANGES_MAX: usize = 10_000;

/// Whether to try only.
#[derive(Debug, Args)]
// Flattened into `Options` of commands, whose group has that name already.
#[group(skip)]
pub(crate) struct Options {
    /// Only tell who would gain or lose what, or why it would be refused: nothing is signed or sent
    #[arg(long, conflicts_with_all = ["no_wait", "out", "submit_within"])]
    dry_run: bool,
}

impl Options {
    /// Whether that is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.dry_run
    }
}

/// Tells what `body` would change if `authority` said it; `words` says for people what it states.
pub(super) fn statement(
    body: &Body,
    authority: &AuthorityName,
    client: &Client,
    words: &str,
    context: &Context,
) -> Result<Exit, Failure> {
    let proposal = |access: &Access| Proposal::State { tuple: Tuple::from(access), id: None };
    let (mut atomic, mut unchanged_since) = (false, None);
    let statements = match body {
        Body::Access(access) => vec![proposal(access)],
        Body::Revoke(revoke) => vec![Proposal::Revoke { revoke: revoke.target }],
        Body::Set(set) => {
            (atomic, unchanged_since) = (true, set.unchanged_since.map(Since::Size));
            let of = |member: &SetMember| match member {
                SetMember::Access(access) => proposal(access),
                SetMember::Revoke(revoke) => Proposal::Revoke { revoke: revoke.target },
            };
            set.members.iter().map(of).collect()
        }
        other => return Err(Failure::failed(format!("a record of kind `{}` has no dry run", other.kind().as_str()))),
    };
    let (issuing_auth, limit) = (authority.clone(), Some(CHANGES_MAX));
    let told = client.preview(&PreviewAsked { issuing_auth, statements, atomic, unchanged_since, limit })?;
    if context.json() {
        print_line(&serde_json::to_string(&told).expect("a preview is JSON"))?;
        return Ok(Exit::Done);
    }
    context.say("dry run:", &format!("{words}; nothing is signed or sent"));
    if told.refused.iter().any(|refusal| refusal.code == "not_found") && waits(body) {
        context.say("note:", "no node knows its target yet: it would wait for it, and end it as it comes");
        return Ok(Exit::Done);
    }
    if let [RefusedStatement { statement, code, field, detail }] = told.refused.as_slice() {
        let member = statement.filter(|_| atomic).map(|at| format!("members[{at}]"));
        let field = match (member, field.as_deref()) {
            (None, field) => field.unwrap_or("-").to_owned(),
            (Some(member), None) => member,
            (Some(member), Some(field)) => format!("{member}.{field}"),
        };
        let mut table = Table::headed(&["refused", "field", "why"]);
        table.row(vec![Cell::of(clean(code)).painted(Style::red), Cell::of(clean(&field)), Cell::of(clean(detail))]);
        print(&table.take(context.out()))?;
        return Ok(Exit::Done);
    }
    for note in &told.notes {
        let which = if atomic { format!("member {}: ", note.statement) } else { String::new() };
        context.say("note:", &format!("{which}{}", idle(note.note, &note.entries)));
    }
    effect(&told.changes, told.at, told.more, context)
}

/// Whether a body may come before what it speaks of.
fn waits(body: &Body) -> bool {
    matches!(body, Body::Revoke(revoke) if revoke.effect == Effect::Grant)
}

/// What would change, and of when that is told.
pub(super) fn effect(all: &[AccessChange], at: LedgerTime, more: bool, context: &Context) -> Result<Exit, Failure> {
    if all.is_empty() && !more {
        context.say("note:", &format!("nobody would gain or lose anything, as of {}", beside(at, context.now())));
    } else {
        context.say("effect:", &format!("as of {}, when all of it has begun", beside(at, context.now())));
    }
    print(&changes(all, ["gains", "loses"], context.out()))?;
    if more {
        context.say("note:", &format!("there are more changes than the {} that are told", all.len()));
    }
    Ok(Exit::Done)
}

/// Why a statement changes nothing by itself.
pub(super) fn idle(note: Idle, entries: &[RecordId]) -> String {
    match note {
        Idle::Known => "it is in the log already".into(),
        Idle::Covered => "it changes nothing: what it says holds without it".into(),
        Idle::Denied if entries.is_empty() => "it changes nothing: a denial beside it stands against it".into(),
        Idle::Denied => {
            let ids: Vec<String> = entries.iter().map(|id| short(&id.0)).collect();
            format!("it changes nothing while a denial stands: {}", ids.join(", "))
        }
        Idle::Over => "it changes nothing: it has ended by then, or what it is to end has ended already".into(),
    }
}
