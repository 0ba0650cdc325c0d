//! `writ set`: several grants, denials and revocations at once, all or nothing.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use writ_client::append::{AppendError, Appender};
use writ_client::author::Author;
use writ_client::circle::Needs;
use writ_client::client::Client;
use writ_client::import::Ledger as _;
use writ_client::import::plan::Found;
use writ_client::import::run::Refused;
use writ_client::import::whole::check_size;
use writ_client::set::read;
use writ_proto::api::Since;
use writ_proto::record::{Access, AtomicSet, Body, Revoke, SetMember};

use super::{dry_run, find, revoke, send};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{beside, says};

/// What the set is to hold.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file of JSON lines; `-` reads them from standard input
    file: PathBuf,
    /// Only if nothing on its subjects and objects changed since this position (of an answer), or size of the log
    #[arg(long, value_name = "TOKEN|SIZE")]
    unchanged_since: Option<Since>,
    #[command(flatten)]
    dry_run: dry_run::Options,
    #[command(flatten)]
    send: send::Options,
}

pub(super) const AFTER_HELP: &str = "\
Each line is a tuple as `writ import` reads it (sub, obj, act, access, iss, exp, ref, cond), or {\"revoke\":ID}, which
ends one entry. access is `granted` (the default), `denied`, or `revoked`, which ends your own live entries on exactly
that sub, obj and act. All of it takes effect in one instant, or none of it does; 64 at most, and 8 KiB.
With --unchanged-since it is taken only if meanwhile nobody stated or ended an entry on exactly these subjects and
objects: of two sets that race for one, exactly one is taken, and the other is refused (code `conflict` with --json).";

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let bytes = read_file(&options.file)?;
    let client = context.client()?;
    let speaker = options.send.speaker(Needs::Authority, &client, context)?;
    let (genesis, authority) = (speaker.circle().genesis(), speaker.authority());
    let file = read(&bytes, authority)
        .map_err(|fault| Failure::of(&fault).code("bad_file").about(&format!("`{}`", options.file.display())))?;
    let now = context.now();
    let draft = file.draft(&genesis.chain_id(), authority, now).map_err(|fault| Failure::of(&fault))?;
    let keys = draft.keys_to_look_up();
    let found = match keys.is_empty() {
        true => Found::new(),
        false => {
            // It only looks: any key will do.
            let reader = Author::new(genesis, authority.clone(), writ_proto::key::SecretKey::from_seed(&[0; 32]));
            Appender::new(&client, &reader).live(&keys, now).map_err(|error: AppendError| Failure::from(error))?
        }
    };
    let members = draft.complete(found, |line, id| {
        end_of(id, &client, context).map_err(|failure| failure.about(&format!("line {line}")))
    })?;
    if members.is_empty() {
        let detail = format!("`{}` makes no set: nothing in it states or ends an entry", options.file.display());
        return Err(Failure::failed(detail).code("bad_file"));
    }
    for (line, member) in &members {
        if let SetMember::Access(Access { exp: Some(exp), .. }) = member
            && *exp <= now
        {
            context
                .say("warning:", &format!("line {line}: this entry ended {}: it will never hold", beside(*exp, now)));
        }
    }
    let unchanged_since = size_since(options.unchanged_since.as_ref(), &client)?;
    let set = AtomicSet { members: members.into_iter().map(|(_, member)| member).collect(), unchanged_since };
    let signatures = speaker.signatures().max(1);
    check_size(&genesis.chain_id(), authority, &set, signatures)
        .map_err(|fault| Failure::of(&fault).code("too_large").hint("split it into several sets"))?;
    let body = Body::Set(set);
    let words = says(authority, &body);
    if options.dry_run.is_wanted() {
        return dry_run::statement(&body, authority, &client, &words, context);
    }
    send::state(body, &speaker, &client, &words, &options.send, context)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = match path.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        _ => fs::read(path),
    };
    read.map_err(|error| Failure::failed(format!("cannot read `{}`: {error}", path.display())))
}

/// What ends the entry of an id.
fn end_of(id: &str, client: &Client, context: &Context) -> Result<SetMember, Failure> {
    let target = find::id_of(id, client, None, context)?;
    let effect = revoke::effect_of(client, target)?.ok_or_else(|| {
        Failure::failed(format!("no record {target} is known, and in a set none is waited for")).code("not_found")
    })?;
    Ok(SetMember::Revoke(Revoke { target, effect }))
}

/// The size that the log had then, if any instant is meant: of a position, that of the end of its block, which must be a block of this chain.
pub(super) fn size_since(since: Option<&Since>, client: &Client) -> Result<Option<u64>, Failure> {
    let token = match since {
        None => return Ok(None),
        Some(Since::Size(size)) => return Ok(Some(*size)),
        Some(Since::Position(token)) => token,
    };
    client.size_at(token).map(Some).map_err(|error| Failure::from(error).about("--unchanged-since"))
}

impl From<Vec<Refused>> for Failure {
    fn from(refused: Vec<Refused>) -> Self {
        let lines = refused.iter().map(|row| {
            let field = row.field.as_deref().map_or_else(String::new, |field| format!("{field}: "));
            format!("line {}: {field}{}", row.line, row.detail)
        });
        let lines: Vec<String> = lines.collect();
        let code = refused.first().map_or("bad_file", |row| row.code.as_str());
        Self::failed(lines.join("; ")).code(code)
    }
}
