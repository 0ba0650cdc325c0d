//! From a body to its record: signed and sent, or written to a file for others to sign.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use writ_client::author::{SUBMIT_WITHIN_MS, random_nonce, submit_within_ms_max};
use writ_client::circle::{Circle, Needs, Tally};
use writ_client::client::{Client, Known, Wait, may_be_for_lag};
use writ_client::draft::Draft;
use writ_client::when::Span;
use writ_proto::api::{Receipt, RecordStatus, statement_of};
use writ_proto::key::{PublicKey, SecretKey};
use writ_proto::record::{AuthorityName, Body, Signed};

use crate::context::{Context, no_key};
use crate::exit::{Exit, Failure};
use crate::output::{beside, print_line, short, tally_words};

/// How a record is appended.
#[derive(Debug, Args)]
// Flattened into `Options` of commands, whose group has that name already.
#[group(skip)]
pub(crate) struct Options {
    /// Do not wait until the record is in the log; `writ entry ID` tells what became of it
    #[arg(long)]
    no_wait: bool,
    /// How long it may take into the log, as in 30m [default: 10m; with --out, as long as the chain allows]
    #[arg(long, value_name = "DURATION")]
    submit_within: Option<String>,
    /// Do not send it but write it to FILE, for others to sign: see `writ sign`
    #[arg(long, value_name = "FILE", conflicts_with = "no_wait")]
    out: Option<PathBuf>,
}

/// Who states something, and with which keys.
pub(super) struct Speaker {
    circle: Circle,
    needs: Needs,
    authority: AuthorityName,
    keys: Vec<SecretKey>,
    within_ms: u64,
}

impl Speaker {
    /// In whose name.
    pub(super) fn authority(&self) -> &AuthorityName {
        &self.authority
    }

    /// How many keys sign here.
    pub(super) fn signatures(&self) -> usize {
        self.keys.len()
    }

    /// The chain that it is stated on.
    pub(super) fn circle(&self) -> &Circle {
        &self.circle
    }
}

impl Options {
    /// Who speaks, on the chain of `client`'s nodes. Nobody has to sign yet what goes to a file.
    pub(super) fn speaker(&self, needs: Needs, client: &Client, context: &Context) -> Result<Speaker, Failure> {
        let asked = self.submit_within.as_deref().map(|text| {
            text.strip_prefix('+').unwrap_or(text).parse().map_err(|error| Failure::of_option("submit-within", error))
        });
        let asked: Option<Span> = asked.transpose()?;
        let keys = context.keys()?;
        if keys.is_empty() && self.out.is_none() {
            return Err(no_key());
        }
        let circle = Circle::ask(client, context.chain())?;
        let publics: Vec<PublicKey> = keys.iter().map(SecretKey::public).collect();
        let authority = circle.speaker(needs, &publics, context.authority())?;
        let most = submit_within_ms_max(circle.parameters());
        let within_ms = match asked {
            Some(Span(0)) => return Err(Failure::of_option("submit-within", "no time is too short")),
            Some(Span(asked)) if asked > most => {
                let detail = format!("this chain allows at most {} s", most / 1000);
                return Err(Failure::of_option("submit-within", detail));
            }
            Some(Span(asked)) => asked,
            None if self.out.is_some() => most,
            None => most.min(SUBMIT_WITHIN_MS),
        };
        Ok(Speaker { circle, needs, authority, keys, within_ms })
    }
}

/// Signs what `speaker` states, and appends it or writes it to a file; prints the id. `words` says for people what
/// it states.
pub(super) fn state(
    body: Body,
    speaker: &Speaker,
    client: &Client,
    words: &str,
    options: &Options,
    context: &Context,
) -> Result<Exit, Failure> {
    let nonce = random_nonce().map_err(|error| Failure::of(&error))?;
    let submit_by = writ_client::clock::now().saturating_add_millis(speaker.within_ms);
    let chain = speaker.circle.genesis().chain_id();
    let mut draft = Draft::new(&statement_of(chain, speaker.authority.clone(), nonce, body, submit_by))?;
    for key in &speaker.keys {
        draft.sign(key)?;
    }
    let tally = speaker.circle.tally(speaker.needs, &speaker.authority, &draft.keys())?;
    match &options.out {
        None => {
            tally.check()?;
            send(&draft.record()?, client, words, options.no_wait, context)
        }
        Some(path) => {
            draft.create(path)?;
            context.say("written:", &format!("{words}; to `{}`, not to the nodes", path.display()));
            if !context.json() {
                print_line(&draft.id().to_string())?;
            }
            told(&draft, Some(&tally), path, context)
        }
    }
}

/// Says how far the draft in a file is, and what comes next.
pub(super) fn told(draft: &Draft, tally: Option<&Tally>, path: &Path, context: &Context) -> Result<Exit, Failure> {
    let path = path.display();
    let submit_by = draft.statement().submit_by;
    if context.json() {
        let said = json!({
            "id": draft.id(), "file": path.to_string(), "keys": draft.keys(), "submit_by": submit_by,
            "complete": tally.map(Tally::is_met),
        });
        print_line(&said.to_string())?;
        return Ok(Exit::Done);
    }
    let signed = match tally {
        Some(tally) => tally_words(tally),
        None => format!("by {} keys", draft.keys().len()),
    };
    context.say("signed:", &signed);
    let next = match tally {
        Some(tally) if tally.is_met() => format!("`writ submit {path}` appends it"),
        _ => format!("`writ sign {path}` shows and signs it, `writ submit {path}` appends it once enough have signed"),
    };
    let until = submit_by.map_or_else(String::new, |time| format!(", until {}", beside(time, context.now())));
    context.say("next:", &format!("{next}{until}"));
    Ok(Exit::Done)
}

/// Appends a record and prints its id.
pub(super) fn send(
    record: &Signed,
    client: &Client,
    words: &str,
    no_wait: bool,
    context: &Context,
) -> Result<Exit, Failure> {
    let receipt = match client.submit(record, if no_wait { Wait::Seen } else { Wait::Committed }) {
        Err(error) if error.code().is_some_and(may_be_for_lag) && client.apart().count() > 1 => {
            match client.known_anywhere(record.id()) {
                Known::Taken(receipt) => *receipt,
                Known::Nowhere => return Err(error.into()),
                Known::Untold => {
                    let hint = format!(
                        "a node that does not answer may have taken it before another refused it: `writ entry {}` tells",
                        record.id()
                    );
                    return Err(Failure::from(error).hint(hint));
                }
            }
        }
        told => told?,
    };
    if context.json() {
        print_line(&serde_json::to_string(&receipt).expect("a receipt is JSON"))?;
    } else {
        print_line(&receipt.id.to_string())?;
    }
    conclude(&receipt, words, no_wait, context)
}

fn conclude(receipt: &Receipt, words: &str, no_wait: bool, context: &Context) -> Result<Exit, Failure> {
    let id = short(&receipt.id.0);
    match (receipt.status, &receipt.place) {
        (RecordStatus::Committed, Some(place)) => {
            let proof = format!("the proof leads to the root of {} leaves", place.log_size);
            context.say("done:", &format!("{words}; index {}, height {}, {proof}", place.index, place.height));
            Ok(Exit::Done)
        }
        (RecordStatus::Pending, _) if no_wait => {
            context.say("sent:", &format!("{words}; `writ entry {id}` tells what becomes of it"));
            Ok(Exit::Done)
        }
        (RecordStatus::Pending, _) => {
            Err(Failure::failed(format!("record {id} is not in the log yet")).code("pending").hint(format!(
                "nothing is lost: the node keeps it, and `writ entry {}` tells what becomes of it",
                receipt.id
            )))
        }
        _ => {
            let code = receipt.code.as_deref().unwrap_or("rejected");
            let detail = receipt.detail.as_deref().unwrap_or("no reason is given");
            Err(Failure::failed(format!("record {id} does not count: {detail}")).code(code))
        }
    }
}
