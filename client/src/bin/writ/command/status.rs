//! `writ status`: how a node stands; of several, whether they tell of one log.

use serde_json::{Value, json};
use writ_client::client::Client;
use writ_client::standing::{Contradiction, Standing, ask, compare};
use writ_proto::api::Status;
use writ_proto::checkpoint::{Checkpoint, Cosigners};
use writ_proto::time::LedgerTime;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Cell, SHORT_DIGITS, Style, Table, beside, clean, fields, print, print_line, short};

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let client = context.client()?;
    if client.nodes().len() > 1 {
        return several(&client, context);
    }
    let text = client.status_json()?;
    if context.json() {
        print_line(text.trim_end())?;
        return Ok(Exit::Done);
    }
    let status: Status =
        serde_json::from_str(&text).map_err(|error| Failure::failed(format!("the node answers no status: {error}")))?;
    print(&words(&status, &checkpoint(&client, &status)?, context.out(), context.now()))?;
    Ok(Exit::Done)
}

/// The final checkpoint in words. Its validators are those whom the node names: `writ audit` looks closer.
fn checkpoint(client: &Client, status: &Status) -> Result<String, Failure> {
    let Some(note) = client.checkpoint()? else { return Ok("none yet".into()) };
    let policy = Cosigners::from_policy(&client.policy()?).map_err(|error| Failure::failed(error.to_string()))?;
    Ok(match policy.verify(&note) {
        Ok(cosigned) if policy.origin() == status.name => {
            let Checkpoint { size, .. } = cosigned.checkpoint();
            let (signers, all) = (cosigned.signers().len(), policy.members().len());
            format!("{size} leaves, signed by {signers} of {all} validators")
        }
        Ok(_) => format!("not of this chain, but of `{}`", clean(policy.origin())),
        Err(error) => format!("not to be trusted: {}", clean(&error.to_string())),
    })
}

/// Each node on a line, and what two of them cannot both be right about.
fn several(client: &Client, context: &Context) -> Result<Exit, Failure> {
    let standings = ask(client);
    let contradictions = compare(client, &standings)?;
    if context.json() {
        let nodes: Vec<Value> = standings.iter().map(standing_json).collect();
        let contradictions: Vec<Value> = contradictions.iter().map(contradiction_json).collect();
        print_line(&json!({ "nodes": nodes, "contradictions": contradictions }).to_string())?;
    } else {
        print(&table(&standings, context.out()))?;
        for error in standings.iter().filter_map(|standing| standing.status.as_ref().err()) {
            context.say("no answer:", &error.to_string());
        }
    }
    if let Some(first) = contradictions.first() {
        return Err(loud(first));
    }
    let answered = standings.iter().filter(|standing| standing.status.is_ok()).count();
    match standings.into_iter().next().map(|standing| standing.status) {
        Some(Err(error)) if answered == 0 => Err(error.into()),
        _ => {
            context.say("compared:", &format!("{answered} nodes, and what they tell fits together"));
            Ok(Exit::Done)
        }
    }
}

fn table(standings: &[Standing], style: Style) -> String {
    let mut table = Table::headed(&["node", "role", "height", "leaves", "root", "commit leaf", "caught up", "peers"]);
    for Standing { node, status } in standings {
        let node = Cell::of(clean(node));
        table.row(match status {
            Ok(status) => vec![
                node,
                Cell::of(clean(&status.role)),
                Cell::number(status.height),
                Cell::number(status.log_size),
                Cell::of(clean(&status.log_root.chars().take(SHORT_DIGITS).collect::<String>())),
                Cell::of(short(&status.commit_leaf)),
                if status.caught_up { Cell::of("yes") } else { Cell::of("no").painted(Style::red) },
                Cell::number(status.peers as u64),
            ],
            Err(_) => vec![node, Cell::of("no answer").painted(Style::red)],
        });
    }
    table.take(style)
}

fn standing_json(standing: &Standing) -> Value {
    let Standing { node, status } = standing;
    match status {
        Ok(status) => json!({ "node": node, "status": status }),
        Err(error) => json!({ "node": node, "error": error.to_string() }),
    }
}

fn contradiction_json(contradiction: &Contradiction) -> Value {
    match contradiction {
        Contradiction::Chains { nodes, found } => json!({ "kind": "chains", "nodes": nodes, "found": found }),
        Contradiction::Fork { nodes, height, found } => {
            json!({ "kind": "fork", "nodes": nodes, "height": height, "found": found })
        }
        Contradiction::Logs { nodes, height, found } => {
            let found: Vec<Value> =
                found.iter().map(|(size, root)| json!({ "log_size": size, "log_root": root })).collect();
            json!({ "kind": "logs", "nodes": nodes, "height": height, "found": found })
        }
    }
}

/// What nobody may overlook.
fn loud(contradiction: &Contradiction) -> Failure {
    match contradiction {
        Contradiction::Chains { nodes: [one, other], found } => {
            Failure::failed(format!("DIFFERENT CHAINS: {one} is of chain {}, {other} of {}", found[0], found[1]))
                .code("wrong_chain")
                .hint("`--node` names nodes of one chain")
        }
        Contradiction::Fork { nodes: [one, other], height, found } => Failure::failed(format!(
            "FORK: at height {height} {one} has commit leaf {} and {other} has {}",
            found[0], found[1]
        ))
        .code("fork")
        .hint("rely on neither, and stop what writes to them; `writ audit` against each, then `writ export` keeps the evidence"),
        Contradiction::Logs { nodes: [one, other], height, found } => {
            let [(size, root), (other_size, other_root)] = found;
            Failure::failed(format!(
                "CONTRADICTION: at height {height} {one} has a log of {size} leaves with root {root}, and {other} one of \
                 {other_size} with root {other_root}"
            ))
            .code("fork")
            .hint("their blocks are the same, so one of them is damaged or lies: run `writ audit` against each")
        }
    }
}

fn words(status: &Status, checkpoint: &str, style: Style, now: LedgerTime) -> String {
    let caught_up =
        if status.caught_up { style.green("caught up") } else { style.red("catching up, and does not answer yet") };
    let dev =
        if status.dev_authority { style.yellow("trusted: for trying things out only") } else { "not trusted".into() };
    let pairs = [
        ("chain", format!("{} ({})", status.chain, clean(&status.name))),
        ("node", format!("{}, {caught_up}, version {}", clean(&status.role), clean(&status.version))),
        ("height", format!("{}, of {}", status.height, beside(status.time, now))),
        ("log", format!("{} leaves, root {}", status.log_size, clean(&status.log_root))),
        ("checkpoint", checkpoint.into()),
        ("position", clean(&status.position)),
        ("pending", status.pending.to_string()),
        ("peers", status.peers.to_string()),
        ("authority dev", dev),
    ];
    fields(style, &pairs)
}
