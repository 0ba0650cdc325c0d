//! `writ audit`: verify everything.
//!
//! Verification always begins at the genesis; `--from` only says which blocks to list. The verdict, `good` or
//! `bad`, stands alone on the first line of standard output, and a finding below it: which block, which part.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use writ_client::audit::{Agreeing, AuditError, audit_file, audit_nodes};
use writ_proto::api::to_base64;
use writ_proto::audit::{BlockReport, Finding, Part, Report};
use writ_proto::genesis::Genesis;
use writ_proto::time::LedgerTime;

use super::progress;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::{Style, beside, clean, fields, print, print_line, short};

/// What to verify.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// An export to verify; without it, what the nodes have
    #[arg(long, value_name = "EXPORT")]
    file: Option<PathBuf>,
    /// The genesis that the chain must start from, as JSON or as its canonical encoding
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// List the blocks from this height on; verified are all of them
    #[arg(long, value_name = "HEIGHT")]
    from: Option<u64>,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    let pinned = options.genesis.as_deref().map(read_genesis).transpose()?;
    let pin = pinned.as_ref().map(Genesis::chain_id);
    if let (Some(pin), Some(named)) = (&pin, context.chain())
        && pin != named
    {
        return Err(Failure::misused(format!("the genesis file is of chain {pin}, --chain says {named}")));
    }
    let chain = pin.or(context.chain().copied());
    if chain.is_none() {
        let whose = if options.file.is_some() { "the file's" } else { "the nodes'" };
        context.say(
            "note:",
            &format!("{whose} own genesis is believed; `--genesis FILE` or `--chain ID` pins the one you trust"),
        );
    }
    let mut listed = Vec::new();
    let mut list = |block: &BlockReport| {
        if options.from.is_some_and(|from| block.height >= from) {
            listed.push(block.clone());
        }
    };
    let audited = match &options.file {
        Some(path) => {
            let size = fs::metadata(path).map_or(0, |file| file.len());
            let bar = progress::bar(size, "bytes", context.json());
            let audited = audit_file(path, chain.as_ref(), |block, bytes| {
                bar.set_position(bytes);
                list(block);
            });
            bar.finish_and_clear();
            audited.map(|report| (report, Vec::new()))
        }
        None => {
            let client = context.client()?;
            let genesis = match pinned {
                Some(genesis) => genesis,
                None => context.genesis(&client)?,
            };
            let bar = progress::bar(client.status()?.height, "blocks", context.json());
            let audited = audit_nodes(&client, genesis, |block| {
                bar.set_position(block.height);
                list(block);
            });
            bar.finish_and_clear();
            audited
        }
    };
    match audited {
        Ok((report, nodes)) => {
            good(&report, &nodes, &listed, context)?;
            Ok(Exit::Done)
        }
        Err(AuditError::Client(error)) => Err(error.into()),
        Err(error @ AuditError::Io { .. }) => Err(Failure::of(&error)),
        Err(error) => {
            bad(&error, &listed, context)?;
            Err(of_error(&error))
        }
    }
}

/// A failure for a chain that is not good.
pub(super) fn of_error(error: &AuditError) -> Failure {
    match error {
        AuditError::Finding(_) => Failure::failed(format!("the chain is not good: {error}")).code("bad_chain"),
        AuditError::Served { .. } | AuditError::Checkpoint { .. } => Failure::of(error).code("bad_chain"),
        AuditError::Fork { .. } => Failure::failed(format!("FORK: {error}")).code("bad_chain"),
        AuditError::OtherChain { .. } => Failure::of(error).code("wrong_chain"),
        other => Failure::of(other),
    }
}

fn read_genesis(path: &Path) -> Result<Genesis, Failure> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| Failure::failed(format!("cannot read `{shown}`: {error}")))?;
    let genesis = if bytes.trim_ascii_start().starts_with(b"{") {
        let genesis: Genesis = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::failed(format!("`{shown}` is no genesis: {error}")))?;
        genesis.check().map(|()| genesis)
    } else {
        Genesis::decode(&bytes)
    };
    genesis.map_err(|refusal| Failure::failed(format!("`{shown}` starts no chain: {}", refusal.detail)))
}

fn good(report: &Report, nodes: &[Agreeing], listed: &[BlockReport], context: &Context) -> Result<(), Failure> {
    if context.json() {
        return print_line(&good_json(report, nodes, listed).to_string());
    }
    let style = context.out();
    print_line(&style.green("good"))?;
    for block in listed {
        print_line(&block_words(block))?;
    }
    print(&good_words(report, nodes, style, context.now()))
}

fn good_words(report: &Report, nodes: &[Agreeing], style: Style, now: LedgerTime) -> String {
    let (end, totals) = (&report.end, &report.totals);
    let rejected = if totals.rejected == 0 { String::new() } else { format!(", {} of them rejected", totals.rejected) };
    let mut pairs = vec![
        ("chain", format!("{} ({})", report.chain, clean(&report.name))),
        ("blocks", format!("1 to {}, the last of {}", end.height, beside(report.time, now))),
        ("records", format!("{}{rejected}", totals.records)),
        ("signatures", format!("{} on records, {} of validators, all good", totals.signatures, totals.votes)),
        ("log", format!("{} leaves, root {}", end.log_size, to_base64(&end.log_root.0))),
        ("commit leaf", end.commit_leaf.to_string()),
    ];
    if end.height == 0 {
        pairs[1].1 = "none yet".into();
    }
    for Agreeing { node, height, checkpoint } in nodes {
        let mut said = height.map_or("did not answer".into(), |height| format!("agrees, at height {height}"));
        if let Some(size) = checkpoint {
            said.push_str(&format!(", and shows a checkpoint of {size} leaves that a quorum signed"));
        }
        pairs.push(("node", format!("{} {said}", clean(node))));
    }
    fields(style, &pairs)
}

fn good_json(report: &Report, nodes: &[Agreeing], listed: &[BlockReport]) -> Value {
    let (end, totals) = (&report.end, &report.totals);
    let nodes: Vec<Value> = nodes
        .iter()
        .map(
            |Agreeing { node, height, checkpoint }| json!({ "node": node, "height": height, "checkpoint": checkpoint }),
        )
        .collect();
    let mut said = json!({
        "verdict": "good", "chain": report.chain, "name": report.name, "height": end.height, "time": report.time,
        "log_size": end.log_size, "log_root": to_base64(&end.log_root.0), "commit_leaf": end.commit_leaf,
        "blocks": totals.blocks, "records": totals.records, "rejected": totals.rejected,
        "signatures": totals.signatures, "votes": totals.votes, "nodes": nodes,
    });
    if !listed.is_empty() {
        said["listed"] = listed.iter().map(block_json).collect();
    }
    said
}

fn bad(error: &AuditError, listed: &[BlockReport], context: &Context) -> Result<(), Failure> {
    if context.json() {
        return print_line(&bad_json(error).to_string());
    }
    let style = context.out();
    print_line(&style.red("bad"))?;
    for block in listed {
        print_line(&block_words(block))?;
    }
    print(&fields(style, &bad_words(error)))
}

fn bad_words(error: &AuditError) -> Vec<(&'static str, String)> {
    match error {
        AuditError::Served { node, finding } => {
            let mut pairs = finding_words(finding);
            pairs.push(("node", clean(node)));
            pairs
        }
        AuditError::Finding(finding) => finding_words(finding),
        AuditError::Checkpoint { node, fault } => {
            vec![("part", "checkpoint".into()), ("node", clean(node)), ("found", clean(&fault.to_string()))]
        }
        AuditError::Fork { node, height, found, expected } => vec![
            ("block", height.to_string()),
            ("node", clean(node)),
            ("found", format!("commit leaf {found}")),
            ("expected", format!("commit leaf {expected}")),
        ],
        AuditError::OtherChain { node, found, expected } => {
            vec![("node", clean(node)), ("found", format!("chain {found}")), ("expected", format!("chain {expected}"))]
        }
        other => vec![("found", clean(&other.to_string()))],
    }
}

fn finding_words(finding: &Finding) -> Vec<(&'static str, String)> {
    let Finding { height, part, code, offset, detail } = finding;
    let mut pairs = Vec::new();
    pairs.extend(height.map(|height| ("block", height.to_string())));
    pairs.push(("part", part.to_string()));
    pairs.extend(offset.map(|offset| ("at byte", offset.to_string())));
    pairs.extend(code.map(|code| ("code", code.to_string())));
    pairs.push(("found", clean(detail)));
    pairs
}

fn bad_json(error: &AuditError) -> Value {
    match error {
        AuditError::Finding(finding) => finding_json(finding),
        AuditError::Served { node, finding } => {
            let mut said = finding_json(finding);
            said["node"] = json!(node);
            said
        }
        AuditError::Fork { node, height, found, expected } => {
            json!({ "verdict": "bad", "height": height, "part": "fork", "node": node, "found": found, "expected": expected })
        }
        AuditError::Checkpoint { node, fault } => {
            json!({ "verdict": "bad", "part": "checkpoint", "node": node, "detail": fault.to_string() })
        }
        AuditError::OtherChain { node, found, expected } => {
            json!({ "verdict": "bad", "part": "genesis", "node": node, "found": found, "expected": expected })
        }
        other => json!({ "verdict": "bad", "detail": other.to_string() }),
    }
}

fn finding_json(finding: &Finding) -> Value {
    let Finding { height, part, code, offset, detail } = finding;
    let (record, member) = match part {
        Part::Record(at) => (Some(*at), None),
        Part::Header(member) => (None, Some(*member)),
        _ => (None, None),
    };
    json!({
        "verdict": "bad", "height": height, "part": part.as_str(), "record": record, "member": member,
        "code": code, "offset": offset, "detail": detail,
    })
}

fn block_words(block: &BlockReport) -> String {
    let records = block.records.len();
    let word = if records == 1 { "record" } else { "records" };
    format!("block {:>6}  {}  {}  {records} {word}", block.height, block.time, short(&block.hash))
}

fn block_json(block: &BlockReport) -> Value {
    json!({
        "height": block.height, "time": block.time, "hash": block.hash, "commit_leaf": block.commit_leaf,
        "leaf_index": block.leaf_index, "records": block.records.len(),
    })
}
