//! `writ export`: the whole chain in one file.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use writ_client::audit::AuditError;
use writ_client::export::{ExportFailure, export};
use writ_proto::api::to_base64;
use writ_proto::audit::Report;

use super::{audit, progress};
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to make, whole or not at all; without it, standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(options: &Options, context: &Context) -> Result<Exit, Failure> {
    if options.out.is_none() && io::stdout().is_terminal() {
        return Err(Failure::misused("an export is not for a terminal").hint("`--out FILE` writes it to a file"));
    }
    let report = match &options.out {
        None => write(&mut io::stdout().lock(), context)?,
        Some(path) => to_file(path, context)?,
    };
    let end = &report.end;
    let to = options.out.as_ref().map_or("standard output".into(), |path| format!("`{}`", path.display()));
    let words = format!(
        "{} blocks with {} records, {} leaves, verified, to {to}",
        report.totals.blocks, report.totals.records, end.log_size
    );
    if context.json() && options.out.is_some() {
        let said = json!({
            "chain": report.chain, "height": end.height, "log_size": end.log_size, "log_root": to_base64(&end.log_root.0),
            "commit_leaf": end.commit_leaf, "records": report.totals.records,
        });
        crate::output::print_line(&said.to_string())?;
    } else {
        context.say("done:", &words);
    }
    Ok(Exit::Done)
}

fn to_file(path: &Path, context: &Context) -> Result<Report, Failure> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.part", std::process::id()));
    let draft = PathBuf::from(draft);
    let report = write_draft(&draft, context).and_then(|report| {
        fs::rename(&draft, path).map_err(|error| cannot_write(path, &error))?;
        Ok(report)
    });
    if report.is_err() {
        // A draft is of no use to anybody.
        let _ = fs::remove_file(&draft);
    }
    report
}

fn write_draft(draft: &Path, context: &Context) -> Result<Report, Failure> {
    let file =
        OpenOptions::new().write(true).create_new(true).open(draft).map_err(|error| cannot_write(draft, &error))?;
    let mut out = BufWriter::new(file);
    let report = write(&mut out, context)?;
    let durable = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
    durable.map_err(|error| cannot_write(draft, &error))?;
    Ok(report)
}

fn write(out: &mut impl io::Write, context: &Context) -> Result<Report, Failure> {
    let client = context.client()?;
    let genesis = context.genesis(&client)?;
    let bar = progress::bar(client.status()?.height, "blocks", context.json());
    let report = export(&client, genesis, out, |block| bar.set_position(block.height));
    bar.finish_and_clear();
    let report = report.map_err(of_failure)?;
    out.flush().map_err(|error| Failure::failed(format!("cannot write the export: {error}")))?;
    Ok(report)
}

fn of_failure(failure: ExportFailure) -> Failure {
    match failure {
        ExportFailure::Audit(AuditError::Client(error)) => error.into(),
        ExportFailure::Audit(error) => audit::of_error(&error),
        other => Failure::of(&other),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot write `{}`: {error}", path.display()))
}
