//! A whole chain in one file.
//!
//! Each block is verified on its way, so what was exported is known to be good, and the trailer says where
//! the verified chain stands.

use std::io::{self, Write};

use writ_proto::audit::{BlockReport, Report};
use writ_proto::export::{End, Writer};
use writ_proto::genesis::Genesis;

use crate::audit::{AuditError, begin, walk};
use crate::client::Client;

/// Why an export was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportFailure {
    /// The chain is not good, or not to be had.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What was verified cannot be written.
    #[error("cannot write the export")]
    Write(#[source] io::Error),
}

/// Writes the chain of `genesis` to `out`, up to where the first node that answers stands, and calls
/// `on_block` for each block.
pub fn export(
    client: &Client,
    genesis: Genesis,
    out: &mut impl Write,
    mut on_block: impl FnMut(&BlockReport),
) -> Result<Report, ExportFailure> {
    let mut writer = Writer::new();
    let header = writer.header(&genesis);
    let mut auditor = begin(genesis, None).map_err(AuditError::from)?;
    out.write_all(&header).map_err(ExportFailure::Write)?;
    walk(client, &mut auditor, |_, frame, block| {
        on_block(block);
        out.write_all(&writer.frame(frame)).map_err(ExportFailure::Write)
    })?;
    out.write_all(&writer.trailer(End::of(auditor.state()))).map_err(ExportFailure::Write)?;
    Ok(auditor.report())
}
