//! Somebody who reads every block of a node and derives everything again.

use std::collections::BTreeMap;

use writ_proto::audit::Auditor;
use writ_proto::block::{Block, Outcome};
use writ_proto::export::{End, Frame};
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::key::KeyId;
use writ_proto::record::{RecordId, Signed};
use writ_proto::time::LedgerTime;

use crate::http::Http;
use crate::receipts::Seen;

/// A record as it stands in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its leaf.
    pub index: u64,
    /// Its block.
    pub height: u64,
    /// The time of that block.
    pub added: LedgerTime,
    /// What became of it.
    pub outcome: Outcome,
    /// The record.
    pub signed: Signed,
}

/// A block as everybody must have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub block: Digest,
    /// The leaf hash of its commit leaf.
    pub commit_leaf: Digest,
    /// The log's size and root after it.
    pub log: Seen,
}

/// How a block came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its height.
    pub height: u64,
    /// Whose turn it was in the first round.
    pub first: KeyId,
    /// The round in which it was decided.
    pub round: u32,
    /// Who built it.
    pub builder: KeyId,
    /// Whose votes are in its certificate.
    pub voters: Vec<KeyId>,
}

/// Follows one chain. It never goes back: a block that was read stays, and what comes next must follow from it.
#[derive(Debug)]
pub struct Follower {
    auditor: Auditor,
    records: Vec<Logged>,
    by_id: BTreeMap<RecordId, usize>,
    times: Vec<LedgerTime>,
    marks: Vec<Mark>,
    turns: Vec<Turn>,
}

impl Follower {
    /// Starts before block 1.
    pub fn new(genesis: Genesis) -> Self {
        let times = vec![genesis.time];
        let auditor = Auditor::new(genesis).unwrap_or_else(|finding| panic!("{finding}"));
        Self { auditor, records: Vec::new(), by_id: BTreeMap::new(), times, marks: Vec::new(), turns: Vec::new() }
    }

    /// Reads on, up to where the node is now. Panics if anything does not follow, or if a record stands in the
    /// log twice.
    pub fn follow(&mut self, http: &Http) {
        let tip = http.status().height;
        while self.height() < tip {
            let answer = http.get(&format!("/v1/blocks?from={}&limit=100", self.height() + 1));
            assert_eq!(answer.status, 200, "{}", answer.text());
            let frames = Frame::decode_all(&answer.body);
            let frames = frames.unwrap_or_else(|(good, fault)| panic!("frame {good} of the answer: {fault}"));
            assert!(!frames.is_empty(), "no blocks from height {} of {tip}", self.height() + 1);
            for frame in &frames {
                self.take(frame);
            }
        }
        let status = http.status();
        if status.height == self.height() {
            assert_eq!(Seen::of(&status), self.seen(), "the node's log is what its blocks make");
        }
    }

    /// Takes the next block.
    pub fn take(&mut self, frame: &Frame) {
        let first = self.auditor.state().proposing_order()[0];
        let report = self.auditor.block(frame).unwrap_or_else(|finding| panic!("{finding}"));
        let block = Block::decode(&frame.block.0).expect("an audited block decodes");
        for (recorded, bytes) in report.records.iter().zip(&block.records) {
            let signed = Signed::decode(bytes.0.clone()).expect("an audited record decodes");
            let (index, height, outcome) = (recorded.index, report.height, recorded.outcome);
            let twice = self.by_id.insert(recorded.id, self.records.len());
            assert_eq!(twice, None, "record {} stands in the log twice", recorded.id);
            self.records.push(Logged { index, height, added: report.time, outcome, signed });
        }
        self.times.push(report.time);
        let tip = self.auditor.state().tip();
        let (builder, round) = (block.header.proposer, frame.certificate.round);
        let (height, block, commit_leaf) = (tip.height, tip.block, tip.commit_leaf);
        self.marks.push(Mark { height, block, commit_leaf, log: self.seen() });
        let voters = frame.certificate.signatures.iter().map(|(voter, _)| *voter).collect();
        self.turns.push(Turn { height, first, round, builder, voters });
    }

    /// The last height that was read.
    pub fn height(&self) -> u64 {
        self.auditor.state().tip().height
    }

    /// The log's size and root at that height.
    pub fn seen(&self) -> Seen {
        let end = End::of(self.auditor.state());
        Seen { size: end.log_size, root: end.log_root }
    }

    /// The time of each block; at 0 the genesis time.
    pub fn times(&self) -> &[LedgerTime] {
        &self.times
    }

    /// Each block, from height 1.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// How each block came about, from height 1.
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    /// The records in the order of the log.
    pub fn records(&self) -> &[Logged] {
        &self.records
    }

    /// Where a record stands, if it does.
    pub fn find(&self, id: &RecordId) -> Option<&Logged> {
        self.by_id.get(id).map(|at| &self.records[*at])
    }
}
