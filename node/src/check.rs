//! fsck: derives everything again from the stored blocks, with every signature, and compares it with
//! whatever else is stored.
//!
//! The blocks are audited as a stranger would audit them. What then follows from them is what leaves, places,
//! ids, tree nodes and commit leaves must say, and where the tip guard must stand.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context as _;
use writ_proto::audit::{Auditor, verify_records};
use writ_proto::codec::Blob;
use writ_proto::export::Frame;
use writ_proto::record::RecordId;
use writ_proto::state::{Changes, State};

use crate::guard::TipGuard;
use crate::home::Home;
use crate::node::{open_store, read_genesis};
use crate::storage::LogStore;

/// How many findings are told at most: one fault of a disk tends to show in many places.
const FINDINGS_MAX: usize = 20;

/// What was checked, and what is wrong.
#[derive(Debug, Default)]
pub struct Report {
    blocks: u64,
    records: u64,
    signatures: u64,
    findings: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// What is wrong, at most the first twenty things.
    pub fn findings(&self) -> &[String] {
        &self.findings
    }

    fn find(&mut self, finding: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding.into());
        }
    }

    fn compare<T: PartialEq>(&mut self, what: impl fmt::Display, stored: &Option<T>, derived: &T) {
        match stored {
            Some(stored) if stored == derived => {}
            Some(_) => self.find(format!("{what} is not what follows from the blocks")),
            None => self.find(format!("{what} is missing")),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            writeln!(f, "fault: {finding}")?;
        }
        let verdict = if self.is_clean() { "clean" } else { "NOT SOUND" };
        let Self { blocks, records, signatures, .. } = self;
        write!(f, "{verdict}: {blocks} blocks, {records} records, {signatures} signatures")
    }
}

/// Checks the ledger in `home`, in which no node may run meanwhile.
///
/// # Errors
/// If it cannot be opened at all. What is wrong inside it is in the report.
pub fn check(home: &Home) -> anyhow::Result<Report> {
    let state = State::new(read_genesis(home)?).context("the genesis makes no chain")?;
    let store = open_store(home, &state)?;
    let mut report = Report::default();
    let (_, standing) = TipGuard::open(&home.guard(), state.chain(), &*store)?;
    if !standing.may_answer() {
        report.find(standing.to_string());
    }
    check_store(&*store, Auditor::resume(state), &mut report);
    Ok(report)
}

fn check_store(store: &dyn LogStore, mut auditor: Auditor, report: &mut Report) {
    let tip = match store.tip() {
        Ok(tip) => tip.map_or(0, |tip| tip.height),
        Err(error) => return report.find(error.to_string()),
    };
    let mut ids = BTreeSet::new();
    for height in 1..=tip {
        let frame = match store.block(height) {
            Ok(Some(stored)) => Frame { block: Blob(stored.block), certificate: stored.certificate },
            Ok(None) => return report.find(format!("block {height} is missing")),
            Err(error) => return report.find(format!("block {height}: {error}")),
        };
        let changes = match audit(&auditor, &frame) {
            Ok(changes) => changes,
            // What follows from later blocks cannot be told without this one.
            Err(finding) => return report.find(finding),
        };
        if let Err(error) = compare_block(store, &changes, report) {
            report.find(format!("block {height}: {error}"));
        }
        ids.extend(changes.records.iter().map(|placed| placed.record.id()));
        auditor.take(changes, &frame.certificate);
    }
    let totals = auditor.totals();
    (report.blocks, report.records, report.signatures) =
        (totals.blocks, totals.records, totals.signatures + totals.votes);
    compare_end(store, auditor.state(), &ids, report);
}

fn audit(auditor: &Auditor, frame: &Frame) -> Result<Changes, String> {
    let block = auditor.open(frame).map_err(|finding| finding.to_string())?;
    let height = block.header.height;
    let verified = verify_records(auditor.state(), &block)
        .map_err(|(at, refusal)| format!("record {at} of block {height}: {refusal}"))?;
    auditor.judge(&block, verified, &frame.certificate).map_err(|finding| finding.to_string())
}

fn compare_block(
    store: &dyn LogStore,
    changes: &Changes,
    report: &mut Report,
) -> Result<(), crate::storage::StoreError> {
    let height = changes.leaf.header.height;
    for placed in &changes.records {
        let (index, record) = (placed.index, &placed.record);
        report.compare(format_args!("leaf {index}"), &store.leaf(index)?.as_deref(), &record.signed().bytes());
        let by_id = store.place(&record.id())?;
        let derived = crate::storage::StoredPlace {
            index,
            height,
            outcome: placed.outcome,
            authority: record.authority(),
            keys: record.keys().to_vec(),
        };
        report.compare(format_args!("the place of record {}", record.id()), &by_id, &derived);
        report.compare(format_args!("what stands at {index}"), &store.place_at(index)?, &derived);
    }
    let leaf = changes.leaf.to_bytes();
    report.compare(format_args!("leaf {}", changes.leaf_index), &store.leaf(changes.leaf_index)?, &leaf);
    report.compare(format_args!("commit leaf {height}"), &store.commit_leaf(height)?, &changes.leaf);
    for (node, hash) in &changes.nodes {
        report.compare(format_args!("tree node {node}"), &store.node(*node)?, hash);
    }
    Ok(())
}

fn compare_end(store: &dyn LogStore, state: &State, ids: &BTreeSet<RecordId>, report: &mut Report) {
    let tip = state.tip();
    if let Ok(Some(stored)) = store.tip() {
        let derived = (tip.height, tip.block, tip.commit_leaf, state.log().size(), tip.time);
        let stored = (stored.height, stored.block, stored.commit_leaf, stored.log_size, stored.time);
        report.compare("the tip", &Some(stored), &derived);
    }
    let mut stored_ids = 0;
    let scanned = store.scan_ids(&mut |(id, _)| {
        stored_ids += 1;
        if !ids.contains(&id) {
            report.find(format!("id {id} stands for no record of the log"));
        }
        Ok(())
    });
    let mut leaves = 0;
    let scanned = scanned.and_then(|()| {
        store.scan_leaves(0, &mut |_| {
            leaves += 1;
            Ok(())
        })
    });
    if let Err(error) = scanned {
        report.find(error.to_string());
    }
    if stored_ids != ids.len() {
        report.find(format!("{stored_ids} ids are stored, {} records are in the log", ids.len()));
    }
    if leaves != state.log().size() {
        report.find(format!("{leaves} leaves are stored, the log's size is {}", state.log().size()));
    }
}
