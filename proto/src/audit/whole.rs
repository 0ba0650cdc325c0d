//! The audit of a whole export, in pieces of any size.

use super::{Auditor, BlockReport, Finding, Report};
use crate::export::{Item, Reader};
use crate::hash::Digest;
use crate::state::State;

/// A good export: the report, and the state to ask.
#[derive(Clone, Debug)]
pub struct Audited {
    /// What the chain is.
    pub report: Report,
    /// What follows from its blocks.
    pub state: State,
}

/// Audits an export whose bytes come in pieces. `chain` is the chain id that its genesis must have; without
/// one the file's own genesis is believed, and [`Report::chain`] is for the reader to compare.
pub fn audit_export<C: AsRef<[u8]>>(
    chunks: impl IntoIterator<Item = C>,
    chain: Option<&Digest>,
) -> Result<Audited, Finding> {
    let mut auditor = ExportAuditor::new(chain.copied());
    for chunk in chunks {
        auditor.push(chunk.as_ref(), |_| ())?;
    }
    auditor.finish()
}

/// Audits an export while it is read. A shell that checks signatures on all cores drives a [`Reader`] and an
/// [`Auditor`] itself instead.
///
/// After a finding the same one comes again.
#[derive(Clone, Debug)]
pub struct ExportAuditor {
    reader: Reader,
    chain: Option<Digest>,
    auditor: Option<Auditor>,
    report: Option<Report>,
    failed: Option<Finding>,
}

impl ExportAuditor {
    /// An audit before the first byte; `chain` as in [`audit_export`].
    pub fn new(chain: Option<Digest>) -> Self {
        Self { reader: Reader::new(), chain, auditor: None, report: None, failed: None }
    }

    /// Checks all that the next bytes of the file complete, and gives a report of each block.
    pub fn push(&mut self, bytes: &[u8], on_block: impl FnMut(&BlockReport)) -> Result<(), Finding> {
        if let Some(finding) = &self.failed {
            return Err(finding.clone());
        }
        self.reader.push(bytes);
        self.advance(on_block).inspect_err(|finding| self.failed = Some(finding.clone()))
    }

    fn advance(&mut self, mut on_block: impl FnMut(&BlockReport)) -> Result<(), Finding> {
        while let Some(item) = self.reader.take()? {
            match (item, &mut self.auditor) {
                (Item::Genesis(genesis), auditor) => {
                    *auditor = Some(match &self.chain {
                        Some(chain) => Auditor::pinned(*genesis, chain)?,
                        None => Auditor::new(*genesis)?,
                    });
                }
                (Item::Block { offset, frame, .. }, Some(auditor)) => {
                    on_block(&auditor.block(&frame).map_err(|finding| finding.at(offset))?);
                }
                (Item::Trailer(trailer), Some(auditor)) => self.report = Some(auditor.finish(&trailer)?),
                (_, None) => unreachable!("a reader gives the genesis first"),
            }
        }
        Ok(())
    }

    /// The audit so far, once the genesis is read.
    pub fn auditor(&self) -> Option<&Auditor> {
        self.auditor.as_ref()
    }

    /// The end of the file.
    pub fn finish(self) -> Result<Audited, Finding> {
        if let Some(finding) = self.failed {
            return Err(finding);
        }
        self.reader.finish()?;
        let (auditor, report) = self.auditor.zip(self.report).expect("a whole export has a genesis and a trailer");
        Ok(Audited { report, state: auditor.into_state() })
    }
}
