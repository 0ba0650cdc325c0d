//! The log over any tables: what a batch holds, and what is checked on the way in and out.
//!
//! On the way in, block, certificate and changes must belong together and follow the tip. On the way out,
//! what is missing below the tip is damage, a leaf must have its hash, and a block its own header's root: what
//! is handed out is what was stored, or an error.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use writ_proto::block::{Block, CommitLeaf, records_root};
use writ_proto::certificate::Certificate;
use writ_proto::codec::Blob;
use writ_proto::hash::{Digest, Domain};
use writ_proto::merkle::{self, NodeId};
use writ_proto::record::RecordId;
use writ_proto::refusal::Refusal;
use writ_proto::state::Changes;

use super::batch::Batch;
use super::schema::blocks::Span;
use super::schema::{self, Table, damaged};
use super::tables::Tables;
use super::{
    LogStore, REFUSED_MAX, STORAGE_FORMAT, StoreError, StoredBlock, StoredEvidence, StoredLeaf, StoredPlace,
    StoredRefusal, StoredTip, Undecided, VisitId, VisitLeaf, Writes,
};

/// The log of one chain over `T`.
pub(crate) struct Log<T> {
    tables: T,
    chain: Digest,
    /// The tip as it is stored, changed only after the batch that changed it there.
    tip: RwLock<Option<StoredTip>>,
    writer: Mutex<Writer>,
    failed: AtomicBool,
    batches: AtomicU64,
    syncs: AtomicU64,
}

/// What writes need to know, and only one at a time.
struct Writer {
    has_genesis: bool,
    /// The keys of `pooled`, so that a block deletes only what is there.
    pooled: HashSet<RecordId>,
    /// How many entries `refused` has, and the sequence of the next.
    refused: usize,
    next_refusal: u64,
}

impl<T: Tables> Log<T> {
    /// The log of chain `chain` in `tables`: a new one if they are empty.
    pub(crate) fn open(tables: T, chain: &Digest) -> Result<Self, StoreError> {
        let tip =
            tables.get(Table::Meta, schema::meta::TIP)?.map(|bytes| schema::meta::read_tip(&bytes)).transpose()?;
        let genesis = tables.get(Table::Meta, schema::meta::GENESIS)?;
        let log = Self {
            chain: *chain,
            tip: RwLock::new(tip),
            writer: Mutex::new(Writer {
                has_genesis: genesis.is_some(),
                pooled: HashSet::new(),
                refused: 0,
                next_refusal: 0,
            }),
            failed: AtomicBool::new(false),
            batches: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            tables,
        };
        log.check_format(tip.is_none() && genesis.is_none())?;
        if let Some(genesis) = genesis {
            log.check_chain(&genesis)?;
        }
        log.check_tip()?;
        log.count_waiting()?;
        Ok(log)
    }

    /// What it lies on.
    pub(crate) fn tables(&self) -> &T {
        &self.tables
    }

    fn check_format(&self, is_new: bool) -> Result<(), StoreError> {
        match self.tables.get(Table::Meta, schema::meta::FORMAT)? {
            Some(bytes) => match schema::meta::read_format(&bytes)? {
                STORAGE_FORMAT => Ok(()),
                found => Err(StoreError::Format { found }),
            },
            None if is_new => {
                let mut batch = Batch::default();
                batch.put(Table::Meta, schema::meta::FORMAT, schema::meta::format_value(STORAGE_FORMAT));
                self.write(batch, true)
            }
            None => Err(damaged(Table::Meta, "format", "it is missing")),
        }
    }

    fn check_chain(&self, genesis: &[u8]) -> Result<(), StoreError> {
        let found = Domain::Genesis.hash(&[genesis]);
        if found != self.chain {
            return Err(StoreError::OtherChain { found, expected: self.chain });
        }
        Ok(())
    }

    /// Whether the tip's own block and the growing edge of the tree are all there.
    fn check_tip(&self) -> Result<(), StoreError> {
        let fault = |detail| damaged(Table::Meta, "tip", detail);
        let Some(tip) = self.tip()? else {
            let block = self.tables.get(Table::Blocks, &schema::blocks::key(1))?;
            return if block.is_some() { Err(fault("it is missing, and block 1 is there")) } else { Ok(()) };
        };
        if self.genesis()?.is_none() {
            return Err(damaged(Table::Meta, "genesis", "it is missing"));
        }
        let span = self.span(tip.height)?.ok_or_else(|| fault("its block is missing"))?;
        let leaf = self.commit_leaf(tip.height)?.ok_or_else(|| fault("its commit leaf is missing"))?;
        let header = &leaf.header;
        if (leaf.hash(), header.hash(), header.time) != (tip.commit_leaf, tip.block, tip.time) {
            return Err(fault("its commit leaf is another one"));
        }
        if header.chain != self.chain {
            return Err(StoreError::OtherChain { found: header.chain, expected: self.chain });
        }
        if span.commit_leaf + 1 != tip.log_size {
            return Err(fault("the log has another size"));
        }
        if self.certificate(tip.height)?.is_none() {
            return Err(fault("its certificate is missing"));
        }
        NodeId::frontier(tip.log_size).try_for_each(|node| match self.node(node)? {
            Some(_) => Ok(()),
            None => Err(schema::nodes::missing(node)),
        })
    }

    fn count_waiting(&self) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        self.tables.scan(Table::Pooled, &[], &mut |key, _| {
            writer.pooled.insert(schema::pooled::read_key(key)?);
            Ok(ControlFlow::Continue(()))
        })?;
        for (_, sequence) in self.refusals()? {
            writer.refused += 1;
            writer.next_refusal = writer.next_refusal.max(sequence + 1);
        }
        Ok(())
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        // Poisoned: a write was cut off by a panic, and what it did is not known.
        self.writer.lock().map_err(|_| StoreError::Failed)
    }

    /// The one place that writes; after the first failure it writes no more.
    fn write(&self, batch: Batch, durable: bool) -> Result<(), StoreError> {
        if self.failed.load(Ordering::SeqCst) {
            return Err(StoreError::Failed);
        }
        if let Err(error) = self.tables.write(batch, durable) {
            self.failed.store(true, Ordering::SeqCst);
            return Err(error);
        }
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.syncs.fetch_add(u64::from(durable), Ordering::Relaxed);
        Ok(())
    }

    fn span(&self, height: u64) -> Result<Option<Span>, StoreError> {
        let Some(bytes) = self.tables.get(Table::Blocks, &schema::blocks::key(height))? else {
            let is_stored = self.tip()?.is_some_and(|tip| (1..=tip.height).contains(&height));
            return if is_stored { Err(damaged(Table::Blocks, height, "it is missing")) } else { Ok(None) };
        };
        let span = schema::blocks::read(height, &bytes)?;
        if span.first > span.commit_leaf {
            return Err(damaged(Table::Blocks, height, "it ends before it begins"));
        }
        Ok(Some(span))
    }

    /// The leaves of a block.
    fn leaves(&self, span: Span) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut leaves = Vec::new();
        let mut next = span.first;
        self.tables.scan(Table::Leaves, &schema::leaves::key(span.first), &mut |key, bytes| {
            if schema::leaves::read_key(key)? != next {
                return Ok(ControlFlow::Break(()));
            }
            leaves.push(bytes.to_vec());
            next += 1;
            Ok(if next > span.commit_leaf { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if next <= span.commit_leaf {
            return Err(damaged(Table::Leaves, next, "it is missing"));
        }
        Ok(leaves)
    }

    /// Every refused record with its sequence.
    fn refusals(&self) -> Result<Vec<(RecordId, u64)>, StoreError> {
        let mut refusals = Vec::new();
        self.tables.scan(Table::Refused, &[], &mut |key, value| {
            let id = schema::refused::read_key(key)?;
            refusals.push((id, schema::refused::read(&id, value)?.0));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(refusals)
    }

    /// Makes room for `more` refusals by forgetting the oldest, an eighth of them at once.
    fn forget_refusals(&self, writer: &mut Writer, more: usize, batch: &mut Batch) -> Result<(), StoreError> {
        if writer.refused + more <= REFUSED_MAX {
            return Ok(());
        }
        let mut refusals = self.refusals()?;
        refusals.sort_unstable_by_key(|(_, sequence)| *sequence);
        let keep = (REFUSED_MAX - REFUSED_MAX / 8).saturating_sub(more);
        let forget = refusals.len().saturating_sub(keep);
        for (id, _) in &refusals[..forget] {
            batch.delete(Table::Refused, schema::refused::key(id));
        }
        writer.refused = refusals.len() - forget;
        Ok(())
    }

    /// What a block writes, and the tip it makes. Only reads.
    fn plan(&self, writer: &Writer, block: &StoredBlock, changes: &Changes) -> Result<(Batch, StoredTip), StoreError> {
        let tip = self.tip()?;
        if !writer.has_genesis {
            return Err(StoreError::NoGenesis);
        }
        check_follows(&self.chain, tip.as_ref(), changes)?;
        check_belongs(block, changes)?;

        let header = &changes.leaf.header;
        let height = header.height;
        let mut batch = Batch::default();
        for placed in &changes.records {
            let (id, index) = (placed.record.id(), placed.index);
            let place = StoredPlace::of(placed, height);
            batch.put(Table::Leaves, schema::leaves::key(index), placed.record.signed().bytes());
            batch.put(Table::Places, schema::places::key(index), schema::places::value(&place));
            batch.put(Table::Ids, schema::ids::key(&id), schema::ids::value(index));
            if writer.pooled.contains(&id) {
                batch.delete(Table::Pooled, schema::pooled::key(&id));
            }
        }
        batch.put(Table::Leaves, schema::leaves::key(changes.leaf_index), changes.leaf.to_bytes());
        for (node, hash) in &changes.nodes {
            batch.put(Table::Nodes, schema::nodes::key(*node), schema::nodes::value(hash));
        }
        let span = Span { first: tip.map_or(0, |tip| tip.log_size), commit_leaf: changes.leaf_index };
        batch.put(Table::Blocks, schema::blocks::key(height), schema::blocks::value(span));
        batch.put(
            Table::Certificates,
            schema::certificates::key(height),
            schema::certificates::value(&block.certificate),
        );
        // Proposals are taken only for heights after the tip, so none of a lower height is left.
        for (value, _) in self.undecided(height)? {
            batch.delete(Table::Undecided, schema::undecided::key(height, &value));
        }
        let tip = StoredTip {
            height,
            block: header.hash(),
            commit_leaf: changes.leaf.hash(),
            log_size: changes.leaf_index + 1,
            time: header.time,
        };
        batch.put(Table::Meta, schema::meta::TIP, schema::meta::tip_value(&tip));
        Ok((batch, tip))
    }
}

/// Whether changes are those of the block after the tip, in this very history.
fn check_follows(chain: &Digest, tip: Option<&StoredTip>, changes: &Changes) -> Result<(), StoreError> {
    let header = &changes.leaf.header;
    let expected = tip.map_or(0, |tip| tip.height) + 1;
    if header.height != expected {
        return Err(StoreError::NotNext { found: header.height, expected });
    }
    let expected = tip.map_or(*chain, |tip| tip.commit_leaf);
    if header.previous != expected {
        return Err(StoreError::BrokenLink { height: header.height, found: header.previous, expected });
    }
    let first = tip.map_or(0, |tip| tip.log_size);
    let follow = changes.records.iter().zip(first..).all(|(placed, index)| placed.index == index);
    let last = first + changes.records.len() as u64;
    if !follow || changes.leaf_index != last || changes.log().size() != last + 1 {
        return Err(StoreError::Mismatch { height: header.height, detail: "its leaves do not follow the log" });
    }
    if header.chain != *chain {
        return Err(StoreError::Mismatch { height: header.height, detail: "its header names another chain" });
    }
    Ok(())
}

/// Whether block, certificate and changes are about the same.
fn check_belongs(block: &StoredBlock, changes: &Changes) -> Result<(), StoreError> {
    let header = &changes.leaf.header;
    let fault = |detail| Err(StoreError::Mismatch { height: header.height, detail });
    if block.certificate.height != header.height || block.certificate.block != header.hash() {
        return fault("the certificate is for another block");
    }
    let records = changes.records.iter().map(|placed| Blob(placed.record.signed().bytes().to_vec())).collect();
    // What is read back is put together from the changes: it must be what was decided, byte for byte.
    if (Block { header: header.clone(), records }).encode() != block.block {
        return fault("the changes are those of another block");
    }
    Ok(())
}

impl<T: Tables> LogStore for Log<T> {
    fn tip(&self) -> Result<Option<StoredTip>, StoreError> {
        // A plain copy: no panic can leave it half changed.
        Ok(*self.tip.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn genesis(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.tables.get(Table::Meta, schema::meta::GENESIS)
    }

    fn put_genesis(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        self.check_chain(bytes)?;
        if writer.has_genesis {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.put(Table::Meta, schema::meta::GENESIS, bytes);
        self.write(batch, true)?;
        writer.has_genesis = true;
        Ok(())
    }

    fn commit(&self, block: &StoredBlock, changes: &Changes) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let (batch, tip) = self.plan(&writer, block, changes)?;
        self.write(batch, true)?;
        for placed in &changes.records {
            writer.pooled.remove(&placed.record.id());
        }
        *self.tip.write().unwrap_or_else(PoisonError::into_inner) = Some(tip);
        Ok(())
    }

    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError> {
        let Some(span) = self.span(height)? else { return Ok(None) };
        let mut leaves = self.leaves(span)?;
        let last = leaves.pop().ok_or_else(|| damaged(Table::Leaves, span.first, "it is missing"))?;
        let header = read_commit_leaf(span.commit_leaf, height, &last)?.header;
        if records_root(leaves.iter().map(Vec::as_slice)) != header.records {
            let key = format!("{}..{}", span.first, span.commit_leaf);
            return Err(damaged(Table::Leaves, key, format!("they are not the records of block {height}")));
        }
        let certificate =
            self.certificate(height)?.ok_or_else(|| damaged(Table::Certificates, height, "it is missing"))?;
        if certificate.block != header.hash() {
            return Err(damaged(Table::Certificates, height, "it is for another block"));
        }
        let block = Block { header, records: leaves.into_iter().map(Blob).collect() };
        Ok(Some(StoredBlock { block: block.encode(), certificate }))
    }

    fn certificate(&self, height: u64) -> Result<Option<Certificate>, StoreError> {
        let bytes = self.tables.get(Table::Certificates, &schema::certificates::key(height))?;
        bytes.map(|bytes| schema::certificates::read(height, &bytes)).transpose()
    }

    fn commit_leaf(&self, height: u64) -> Result<Option<CommitLeaf>, StoreError> {
        let Some(span) = self.span(height)? else { return Ok(None) };
        let bytes =
            self.leaf(span.commit_leaf)?.ok_or_else(|| damaged(Table::Leaves, span.commit_leaf, "it is missing"))?;
        read_commit_leaf(span.commit_leaf, height, &bytes).map(Some)
    }

    fn leaf(&self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(bytes) = self.tables.get(Table::Leaves, &schema::leaves::key(index))? else {
            let is_stored = self.tip()?.is_some_and(|tip| index < tip.log_size);
            return if is_stored { Err(damaged(Table::Leaves, index, "it is missing")) } else { Ok(None) };
        };
        let node = NodeId { level: 0, index };
        let hash = self.node(node)?.ok_or_else(|| schema::nodes::missing(node))?;
        if merkle::leaf_hash(&bytes) != hash {
            return Err(damaged(Table::Leaves, index, format!("it has not the hash {hash} that the tree has for it")));
        }
        Ok(Some(bytes))
    }

    fn place(&self, id: &RecordId) -> Result<Option<StoredPlace>, StoreError> {
        let Some(bytes) = self.tables.get(Table::Ids, &schema::ids::key(id))? else { return Ok(None) };
        let index = schema::ids::read(id, &bytes)?;
        match self.place_at(index)? {
            Some(place) => Ok(Some(place)),
            None => Err(schema::ids::dangling(id, index)),
        }
    }

    fn place_at(&self, index: u64) -> Result<Option<StoredPlace>, StoreError> {
        let bytes = self.tables.get(Table::Places, &schema::places::key(index))?;
        bytes.map(|bytes| schema::places::read(index, &bytes)).transpose()
    }

    fn node(&self, node: NodeId) -> Result<Option<Digest>, StoreError> {
        let bytes = self.tables.get(Table::Nodes, &schema::nodes::key(node))?;
        bytes.map(|bytes| schema::nodes::read(node, &bytes)).transpose()
    }

    fn put_undecided(&self, height: u64, value: &Digest, undecided: &Undecided) -> Result<(), StoreError> {
        let _writer = self.writer()?;
        let tip = self.tip()?.map_or(0, |tip| tip.height);
        if height <= tip {
            return Err(StoreError::Late { height, tip });
        }
        let mut batch = Batch::default();
        batch.put(Table::Undecided, schema::undecided::key(height, value), schema::undecided::value(undecided));
        self.write(batch, true)
    }

    fn undecided(&self, height: u64) -> Result<Vec<(Digest, Undecided)>, StoreError> {
        let mut found = Vec::new();
        let from = schema::undecided::key(height, &Digest::ZERO);
        self.tables.scan(Table::Undecided, &from, &mut |key, bytes| {
            let (at, value) = schema::undecided::read_key(key)?;
            if at != height {
                return Ok(ControlFlow::Break(()));
            }
            found.push((value, schema::undecided::read(&value, bytes)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    fn put_pooled(&self, records: &[(RecordId, Vec<u8>)]) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let mut batch = Batch::default();
        let (mut kept, mut forgiven) = (Vec::new(), 0);
        for (id, bytes) in records {
            // It may have been settled since the caller looked, and nothing would ever take it out again.
            if writer.pooled.contains(id) || self.tables.get(Table::Ids, &schema::ids::key(id))?.is_some() {
                continue;
            }
            if self.tables.get(Table::Refused, &schema::refused::key(id))?.is_some() {
                batch.delete(Table::Refused, schema::refused::key(id));
                forgiven += 1;
            }
            batch.put(Table::Pooled, schema::pooled::key(id), bytes.as_slice());
            kept.push(*id);
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.write(batch, true)?;
        writer.pooled.extend(kept);
        writer.refused -= forgiven;
        Ok(())
    }

    fn pooled(&self) -> Result<Vec<(RecordId, Vec<u8>)>, StoreError> {
        let mut found = Vec::new();
        self.tables.scan(Table::Pooled, &[], &mut |key, bytes| {
            found.push((schema::pooled::read_key(key)?, bytes.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    fn put_refused(&self, refused: &[(RecordId, Refusal)]) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        let mut kept: Vec<_> = refused.iter().filter(|(id, _)| writer.pooled.contains(id)).collect();
        kept.sort_by_key(|(id, _)| *id);
        kept.dedup_by_key(|(id, _)| *id);
        if kept.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let remembered = &kept[..kept.len().min(REFUSED_MAX / 2)];
        self.forget_refusals(&mut writer, remembered.len(), &mut batch)?;
        for (id, refusal) in remembered {
            let value = schema::refused::value(writer.next_refusal, refusal);
            batch.put(Table::Refused, schema::refused::key(id), value);
            writer.next_refusal += 1;
        }
        for (id, _) in &kept {
            batch.delete(Table::Pooled, schema::pooled::key(id));
        }
        self.write(batch, false)?;
        writer.refused += remembered.len();
        for (id, _) in kept {
            writer.pooled.remove(id);
        }
        Ok(())
    }

    fn refusal(&self, id: &RecordId) -> Result<Option<StoredRefusal>, StoreError> {
        let Some(bytes) = self.tables.get(Table::Refused, &schema::refused::key(id))? else { return Ok(None) };
        Ok(Some(schema::refused::read(id, &bytes)?.1))
    }

    fn put_evidence(&self, evidence: &StoredEvidence) -> Result<(), StoreError> {
        let _writer = self.writer()?;
        let mut batch = Batch::default();
        batch.put(Table::Evidence, schema::evidence::key(evidence), schema::evidence::value(evidence));
        self.write(batch, true)
    }

    fn evidence(&self, max: usize) -> Result<Vec<StoredEvidence>, StoreError> {
        let mut found = Vec::new();
        self.tables.scan(Table::Evidence, &[], &mut |key, value| {
            if found.len() == max {
                return Ok(ControlFlow::Break(()));
            }
            found.push(schema::evidence::read(key, value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    fn scan_leaves(&self, from: u64, visit: VisitLeaf<'_>) -> Result<(), StoreError> {
        let end = self.tip()?.map_or(0, |tip| tip.log_size);
        let mut next = from;
        if from >= end {
            return Ok(());
        }
        self.tables.scan(Table::Leaves, &schema::leaves::key(from), &mut |key, bytes| {
            if schema::leaves::read_key(key)? != next {
                return Err(damaged(Table::Leaves, next, "it is missing"));
            }
            visit(StoredLeaf { index: next, bytes })?;
            next += 1;
            Ok(if next == end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if next < end { Err(damaged(Table::Leaves, next, "it is missing")) } else { Ok(()) }
    }

    fn scan_ids(&self, visit: VisitId<'_>) -> Result<(), StoreError> {
        self.tables.scan(Table::Ids, &[], &mut |key, value| {
            let id = schema::ids::read_key(key)?;
            visit((id, schema::ids::read(&id, value)?))?;
            Ok(ControlFlow::Continue(()))
        })
    }

    fn writes(&self) -> Writes {
        Writes { batches: self.batches.load(Ordering::Relaxed), syncs: self.syncs.load(Ordering::Relaxed) }
    }
}

fn read_commit_leaf(index: u64, height: u64, bytes: &[u8]) -> Result<CommitLeaf, StoreError> {
    let leaf = CommitLeaf::from_bytes(bytes).map_err(|refusal| damaged(Table::Leaves, index, refusal))?;
    if leaf.header.height != height {
        let detail = format!("it is the commit leaf of block {}, expected {height}", leaf.header.height);
        return Err(damaged(Table::Leaves, index, detail));
    }
    Ok(leaf)
}
