//! The nodes of one chain, asked as if they were one.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use writ_proto::api::{
    AuthorityAnswer, Batch, BatchAnswer, BatchResult, BriefAnswer, BriefResult, CheckAnswer, ConsistencyAnswer,
    EntriesPage, Entry, HeaderAnswer, HeadersPage, InclusionAnswer, ParametersAnswer, Receipt, RecordStatus, Status,
    ValidatorAnswer, position_token, read_position_token, to_base64,
};
use writ_proto::block::{BLOCK_VERSION, CommitLeaf};
use writ_proto::checkpoint::Cosigners;
use writ_proto::export::Frame;
use writ_proto::genesis::Genesis;
use writ_proto::record::{Effect, RecordId, Signed};
use writ_proto::time::LedgerTime;

use crate::error::ClientError;
use crate::token::Tokens;
use crate::transport::{ANSWER, Call, Transport, with_query};
use crate::verify::{self, ProofFault, View};

/// Records that one batch holds at most.
pub const BATCH_RECORDS_MAX: usize = 4096;

/// Bytes that the records of one batch have at most.
pub const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How long a node is asked to wait for a block.
const WAIT: Duration = Duration::from_secs(10);

/// The nodes of one chain. One that does not answer is passed over; see the errors of each call for what
/// the others said.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    trusted: Option<Cosigners>,
}

/// How nodes are asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which node gets which bearer token.
    pub tokens: Tokens,
    /// How long an answer may take before the next node is asked; waiting that the question asks for not counted.
    pub answer_within: Duration,
}

impl Default for Options {
    /// Without tokens, and twenty seconds.
    fn default() -> Self {
        Self { tokens: Tokens::default(), answer_within: ANSWER }
    }
}

/// How long an answer to a submission waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until the record is in a block, or ten seconds.
    Committed,
    /// Until the node has taken it in.
    Seen,
    /// Not at all.
    None,
}

/// A question.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Who.
    pub sub: String,
    /// Which action; `None`: every action.
    pub act: Option<String>,
    /// What.
    pub obj: String,
    /// At which instant, on today's log.
    pub at: Option<LedgerTime>,
    /// With the knowledge of which height.
    pub height: Option<u64>,
    /// As of which instant: both knowledge and instant.
    pub as_of: Option<LedgerTime>,
    /// Not before this position.
    pub at_least: Option<String>,
    /// The circumstances, as a JSON object.
    pub context: Option<String>,
    /// Whether to answer with all reasons.
    pub explain: bool,
}

/// Which entries to list. Names are compared with what was written: a pattern matches itself.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this subject.
    pub sub: Option<String>,
    /// On this object.
    pub obj: Option<String>,
    /// Of this action.
    pub act: Option<String>,
    /// Of this effect.
    pub access: Option<Effect>,
    /// Of this authority.
    pub authority: Option<String>,
    /// From this leaf on.
    pub from_index: Option<u64>,
    /// Of the block of this height.
    pub height: Option<u64>,
    /// Also those that were rejected.
    pub rejected_too: bool,
    /// How many in one page; `None`: as the node likes.
    pub page: Option<usize>,
}

/// The entries of a listing, asked for page by page.
#[derive(Debug)]
pub struct Entries<'a> {
    client: &'a Client,
    filter: Filter,
    page: std::vec::IntoIter<Entry>,
    next: Next,
}

/// Who votes on the next block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidatorsAnswer {
    /// The next height.
    pub height: u64,
    /// Its validators.
    pub validators: Vec<ValidatorAnswer>,
}

#[derive(Debug)]
enum Next {
    First,
    Cursor(String),
    End,
}

/// What all nodes together know of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// One of them has taken it: it is in the log, or waits for it.
    Taken(Box<Receipt>),
    /// None of them has.
    Nowhere,
    /// None of those that answer has, and not all of them answer.
    Untold,
}

/// What a node told; `None` if it has nothing there.
fn if_any<T>(told: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(error) if error.code() == Some("not_found") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a node that lags may refuse for this what is good at another one.
pub fn may_be_for_lag(code: &str) -> bool {
    ["not_found", "conflict", "limit_exceeded"].contains(&code)
}

impl Client {
    /// A client of the nodes at these addresses.
    ///
    /// # Errors
    /// If there is none, or one is no address.
    pub fn new(nodes: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ClientError> {
        Self::with(nodes, &Options::default())
    }

    /// The same, asked as `options` say.
    ///
    /// # Errors
    /// If there is no node, or one is no address.
    pub fn with(nodes: impl IntoIterator<Item = impl AsRef<str>>, options: &Options) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::new(nodes, &options.tokens, options.answer_within)?, trusted: None })
    }

    /// The same, which also verifies every checkpoint that it is given in a receipt: a quorum of these must have
    /// signed it. They come from a genesis ([`Cosigners::of`]) or a policy ([`Cosigners::from_policy`]) that is trusted.
    #[must_use]
    pub fn trusting(self, cosigners: Cosigners) -> Self {
        Self { trusted: Some(cosigners), ..self }
    }

    /// The addresses of the nodes.
    pub fn nodes(&self) -> &[String] {
        self.transport.nodes()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// A client of each node alone, to compare them.
    pub fn apart(&self) -> impl Iterator<Item = Self> {
        self.transport.apart().map(|transport| Self { transport, trusted: self.trusted.clone() })
    }

    /// What all nodes together know of a record that one of them refused, each asked by itself. A node that failed before
    /// it answered may have taken what the next one refuses, for one that lags knows less.
    pub fn known_anywhere(&self, id: RecordId) -> Known {
        let mut all_say = true;
        for node in self.apart() {
            match node.record(id) {
                Ok(receipt) if receipt.status != RecordStatus::Refused => return Known::Taken(Box::new(receipt)),
                Ok(_) => {}
                Err(error) => all_say &= error.code() == Some("not_found"),
            }
        }
        if all_say { Known::Nowhere } else { Known::Untold }
    }

    /// How a node stands.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status".into(), "status")
    }

    /// The same as the node wrote it.
    pub fn status_json(&self) -> Result<String, ClientError> {
        self.get_text("/v1/status".into(), "status")
    }

    /// The genesis, as a node tells it: compare its chain id with one that came another way.
    pub fn genesis(&self) -> Result<Genesis, ClientError> {
        self.get("/v1/genesis".into(), "genesis")
    }

    /// The final checkpoint as the node has it, a signed note; `None` before there is one. Verify it with
    /// [`Cosigners::verify`]; how it fits what is known, with [`Client::check_growth`].
    pub fn checkpoint(&self) -> Result<Option<String>, ClientError> {
        if_any(self.text("/checkpoint", "checkpoint"))
    }

    /// Whom the node says to believe about checkpoints: as good as the node.
    pub fn policy(&self) -> Result<String, ClientError> {
        self.text("/policy", "policy")
    }

    fn text(&self, path: &str, what: &'static str) -> Result<String, ClientError> {
        let answer = self.transport.call(&Call { accept: "text/plain", ..Call::get(path) })?;
        text_of(&answer.node, answer.body, what)
    }

    /// Who may speak of what.
    pub fn authorities(&self) -> Result<Vec<AuthorityAnswer>, ClientError> {
        #[derive(Deserialize)]
        struct Listed {
            authorities: Vec<AuthorityAnswer>,
        }
        Ok(self.get::<Listed>("/v1/authorities".into(), "list of authorities")?.authorities)
    }

    /// The validators of the next height.
    pub fn validators(&self) -> Result<ValidatorsAnswer, ClientError> {
        self.get("/v1/validators".into(), "list of validators")
    }

    /// The chain's parameters as they are now; `None` if the node cannot tell.
    pub fn parameters(&self) -> Result<Option<ParametersAnswer>, ClientError> {
        if_any(self.get("/v1/parameters".into(), "parameters"))
    }

    /// Answers a question.
    pub fn check(&self, question: &Question) -> Result<CheckAnswer, ClientError> {
        self.get(question.path(), "decision")
    }

    /// The same as the node wrote it, and read.
    pub fn check_json(&self, question: &Question) -> Result<(String, CheckAnswer), ClientError> {
        let answer = self.transport.call(&Call::get(question.path()))?;
        let read = read_json(&answer.node, &answer.body, "decision")?;
        Ok((text_of(&answer.node, answer.body, "decision")?, read))
    }

    /// The entries that fit a filter, ascending by index.
    pub fn entries(&self, filter: Filter) -> Entries<'_> {
        Entries { client: self, filter, page: Vec::new().into_iter(), next: Next::First }
    }

    /// What became of a record, with the record and the proof where it is in the log. The proof is checked.
    pub fn record(&self, id: RecordId) -> Result<Receipt, ClientError> {
        let (receipt, _) = self.record_json(id)?;
        Ok(receipt)
    }

    /// The same; `None` if no node that was asked knows it.
    pub fn record_if_any(&self, id: RecordId) -> Result<Option<Receipt>, ClientError> {
        if_any(self.record(id))
    }

    /// The same, and as the node wrote it.
    pub fn record_json(&self, id: RecordId) -> Result<(Receipt, String), ClientError> {
        let answer = self.transport.call(&Call::get(format!("/v1/records/{id}")))?;
        let receipt: Receipt = read_json(&answer.node, &answer.body, "record")?;
        let found = verify::check_record(id, &receipt).map_err(|fault| proof(&answer.node, fault))?;
        if let Some((record, _)) = found {
            // What an entry's receipt proves is its set.
            self.check_trusted(&answer.node, &record, &Receipt { id: record.id(), ..receipt.clone() })?;
        }
        Ok((receipt, text_of(&answer.node, answer.body, "record")?))
    }

    /// Appends one record. The proof in the receipt is checked.
    ///
    /// A node that has not got it into a block in time may be cut off from the others: then the next node gets the
    /// same bytes, which the log takes once.
    pub fn submit(&self, record: &Signed, wait: Wait) -> Result<Receipt, ClientError> {
        let path = with_query("/v1/records", wait.query());
        let call = Call { wait: wait.patience(), ..Call::post(path, record.bytes(), "application/octet-stream") };
        let answer = self.transport.call_until(&call, |answer| {
            let receipt: Receipt = read_json(&answer.node, &answer.body, "receipt")?;
            Ok(wait != Wait::Committed || receipt.status != RecordStatus::Pending)
        })?;
        let receipt: Receipt = read_json(&answer.node, &answer.body, "receipt")?;
        match verify::check_receipt(record, &receipt) {
            Ok(_) => {
                self.check_trusted(&answer.node, record, &receipt)?;
                Ok(receipt)
            }
            // A duplicate was perhaps signed another time, with another `submit_by`.
            Err(ProofFault::Proof(_)) if receipt.duplicate => {
                let stored = self.record(record.id())?;
                Ok(Receipt { duplicate: true, ..stored })
            }
            Err(fault) => Err(proof(&answer.node, fault)),
        }
    }

    /// Appends records: one result for each, in order. The proofs of those that were not in the log before
    /// are checked.
    pub fn submit_batch(&self, records: &[Signed], wait: Wait) -> Result<Vec<BatchResult>, ClientError> {
        let batch = Batch { records: records.iter().map(|record| to_base64(record.bytes())).collect() };
        let body = serde_json::to_vec(&batch).expect("texts are JSON");
        let path = with_query("/v1/records/batch", wait.query());
        let call = Call { wait: wait.patience(), ..Call::post(path, &body, "application/json") };
        let answer = self.transport.call(&call)?;
        let results = read_json::<BatchAnswer>(&answer.node, &answer.body, "list of receipts")?.results;
        if results.len() != records.len() {
            let reason = format!("{} results for {} records", results.len(), records.len());
            return Err(ClientError::Answer { node: answer.node, what: "list of receipts", reason });
        }
        for (record, result) in records.iter().zip(&results) {
            let BatchResult::Receipt(receipt) = result else { continue };
            match verify::check_receipt(record, receipt) {
                Err(ProofFault::Proof(_)) if receipt.duplicate => {}
                checked => drop(checked.map_err(|fault| proof(&answer.node, fault))?),
            }
        }
        Ok(results)
    }

    /// Appends records: what became of each, in order, with one proof for each block instead of one for each
    /// record. The proofs are checked: all records that are committed and no duplicates stand where the node
    /// says.
    pub fn submit_many(&self, records: &[Signed], wait: Wait) -> Result<Vec<BriefResult>, ClientError> {
        let mut body = Vec::with_capacity(records.iter().map(|record| 4 + record.bytes().len()).sum());
        for record in records {
            body.extend_from_slice(&(record.bytes().len() as u32).to_le_bytes());
            body.extend_from_slice(record.bytes());
        }
        let brief = [("receipts", Some("brief".into()))];
        let path = with_query("/v1/records/batch", wait.query().into_iter().chain(brief));
        let call = Call { wait: wait.patience(), ..Call::post(path, &body, "application/octet-stream") };
        let answer = self.transport.call(&call)?;
        let brief: BriefAnswer = read_json(&answer.node, &answer.body, "list of results")?;
        if brief.results.len() != records.len() {
            let reason = format!("{} results for {} records", brief.results.len(), records.len());
            return Err(ClientError::Answer { node: answer.node, what: "list of results", reason });
        }
        verify::check_batch(records, &brief).map_err(|fault| proof(&answer.node, fault))?;
        Ok(brief.results)
    }

    /// Blocks with their certificates, ascending from a height; none if the chain ends before it.
    pub fn blocks(&self, from: u64, limit: u64) -> Result<Vec<Frame>, ClientError> {
        let pairs = [("from", Some(from.to_string())), ("limit", Some(limit.to_string()))];
        let call = Call { accept: "application/octet-stream", ..Call::get(with_query("/v1/blocks", pairs)) };
        let answer = self.transport.call(&call)?;
        Frame::decode_all(&answer.body).map_err(|(good, fault)| {
            let reason = format!("block {}: {fault}", from.saturating_add(good as u64));
            ClientError::Answer { node: answer.node, what: "list of blocks", reason }
        })
    }

    /// The header of one block.
    pub fn header(&self, height: u64) -> Result<HeaderAnswer, ClientError> {
        let pairs = [("from", Some(height.to_string())), ("limit", Some("1".into()))];
        let answer = self.transport.call(&Call::get(with_query("/v1/headers", pairs)))?;
        let page: HeadersPage = read_json(&answer.node, &answer.body, "page of headers")?;
        let header = page.headers.into_iter().next().filter(|header| header.header.height == height);
        header.ok_or_else(|| ClientError::Answer {
            node: answer.node,
            what: "header",
            reason: format!("the header of block {height} is missing"),
        })
    }

    /// The size that the log had at a position, which must be one of the nodes' chain.
    pub fn size_at(&self, position: &str) -> Result<u64, ClientError> {
        let wrong = |reason: String| ClientError::Answer { node: self.nodes()[0].clone(), what: "position", reason };
        let (height, mark) =
            read_position_token(position).ok_or_else(|| wrong(format!("`{position}` is no position token")))?;
        if height == 0 {
            return Ok(0);
        }
        let answer = self.header(height)?;
        // The hash that the token has the start of is ours.
        let leaf = CommitLeaf { version: BLOCK_VERSION, header: answer.header, executed: answer.executed };
        if position_token(height, &leaf.hash()).split_once('.').is_none_or(|(_, own)| own != mark) {
            return Err(wrong(format!("it names another block at height {height} than this chain has")));
        }
        Ok(leaf.executed.log_size + 1)
    }

    /// The proof that a record is in the log at a size; check it with [`verify::check_inclusion`].
    pub fn inclusion(&self, id: RecordId, size: Option<u64>) -> Result<InclusionAnswer, ClientError> {
        let pairs = [("id", Some(id.to_string())), ("size", size.map(|size| size.to_string()))];
        self.get(with_query("/v1/proofs/inclusion", pairs), "inclusion proof")
    }

    /// Proves that the log only grew from one view to another.
    pub fn check_growth(&self, earlier: View, later: View) -> Result<(), ClientError> {
        let pairs = [("from", Some(earlier.size.to_string())), ("to", Some(later.size.to_string()))];
        let answer = self.transport.call(&Call::get(with_query("/v1/proofs/consistency", pairs)))?;
        let read: ConsistencyAnswer = read_json(&answer.node, &answer.body, "consistency proof")?;
        verify::check_consistency(earlier, later, &read).map_err(|fault| proof(&answer.node, fault))
    }

    fn check_trusted(&self, node: &str, record: &Signed, receipt: &Receipt) -> Result<(), ClientError> {
        let Some(cosigners) = &self.trusted else { return Ok(()) };
        let checked = verify::check_receipt_checkpoint(record, receipt, cosigners);
        checked.map(drop).map_err(|fault| proof(node, fault))
    }

    fn get<T: DeserializeOwned>(&self, path: String, what: &'static str) -> Result<T, ClientError> {
        Ok(self.get_from(path, what)?.1)
    }

    /// An answer, and the node that gave it.
    pub(crate) fn get_from<T: DeserializeOwned>(
        &self,
        path: String,
        what: &'static str,
    ) -> Result<(String, T), ClientError> {
        let answer = self.transport.call(&Call::get(path))?;
        let read = read_json(&answer.node, &answer.body, what)?;
        Ok((answer.node, read))
    }

    /// What a node answers to a body of JSON.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        what: &'static str,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("texts and numbers are JSON");
        let answer = self.transport.call(&Call::post(path, &body, "application/json"))?;
        read_json(&answer.node, &answer.body, what)
    }

    fn get_text(&self, path: String, what: &'static str) -> Result<String, ClientError> {
        let answer = self.transport.call(&Call::get(path))?;
        text_of(&answer.node, answer.body, what)
    }
}

impl Wait {
    fn query(self) -> [(&'static str, Option<String>); 2] {
        let (word, patience) = match self {
            Self::Committed => ("committed", Some(WAIT)),
            Self::Seen => ("seen", None),
            Self::None => ("none", None),
        };
        [("wait", Some(word.into())), ("wait_ms", patience.map(|wait| wait.as_millis().to_string()))]
    }

    fn patience(self) -> Duration {
        if self == Self::Committed { WAIT } else { Duration::ZERO }
    }
}

impl Question {
    fn path(&self) -> String {
        with_query(
            "/v1/check",
            [
                ("sub", Some(self.sub.clone())),
                ("act", self.act.clone()),
                ("obj", Some(self.obj.clone())),
                ("at", self.at.map(|at| at.to_string())),
                ("height", self.height.map(|height| height.to_string())),
                ("as_of", self.as_of.map(|as_of| as_of.to_string())),
                ("at_least", self.at_least.clone()),
                ("context", self.context.clone()),
                ("explain", self.explain.then(|| "true".into())),
            ],
        )
    }
}

impl Filter {
    fn path(&self, cursor: Option<&str>) -> String {
        with_query(
            "/v1/entries",
            [
                ("sub", self.sub.clone()),
                ("obj", self.obj.clone()),
                ("act", self.act.clone()),
                ("access", self.access.map(|access| access.as_str().into())),
                ("authority", self.authority.clone()),
                ("from_index", self.from_index.map(|index| index.to_string())),
                ("height", self.height.map(|height| height.to_string())),
                ("outcome", self.rejected_too.then(|| "all".into())),
                ("limit", self.page.map(|limit| limit.to_string())),
                ("cursor", cursor.map(Into::into)),
            ],
        )
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::End) {
                Next::First => None,
                Next::Cursor(cursor) => Some(cursor),
                Next::End => return None,
            };
            let page: EntriesPage = match self.client.get(self.filter.path(cursor.as_deref()), "page of entries") {
                Ok(page) => page,
                Err(error) => return Some(Err(error)),
            };
            // A page may be empty though there are more: entries that the filter passes over fill it too.
            self.next = page.next.map_or(Next::End, Next::Cursor);
            self.page = page.entries.into_iter();
        }
    }
}

fn read_json<T: DeserializeOwned>(node: &str, body: &[u8], what: &'static str) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Answer {
        node: node.into(),
        what,
        reason: error.to_string(),
    })
}

fn text_of(node: &str, body: Vec<u8>, what: &'static str) -> Result<String, ClientError> {
    String::from_utf8(body).map_err(|_| ClientError::Answer {
        node: node.into(),
        what,
        reason: "it is not UTF-8".into(),
    })
}

fn proof(node: &str, source: ProofFault) -> ClientError {
    ClientError::Proof { node: node.into(), source }
}
