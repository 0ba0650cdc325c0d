//! One function for each decoder. It takes any bytes and checks the laws that hold for all of them:
//! no panic; what decodes encodes to the same bytes; what is text reads back from its own spelling; two
//! ways to one answer agree. It says whether the bytes were good, so that a driver sees how deep it got.
//!
//! The functions know nothing of who drives them: a test with a random generator
//! (`proto/tests/format/fuzz.rs`), or libFuzzer (`proto/fuzz/fuzz_targets`).

use serde::Serialize;
use serde::de::DeserializeOwned;
use writ_proto::audit::audit_export;
use writ_proto::block::{Block, CommitLeaf, Header};
use writ_proto::certificate::{Certificate, Proposal, Vote};
use writ_proto::checkpoint::{Checkpoint, Cosignature, Cosigners};
use writ_proto::codec;
use writ_proto::condition::{Condition, Request, Truth};
use writ_proto::export::{ExportError, Frame, Item, Reader, Trailer, Writer};
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;
use writ_proto::limits::{
    BLOCK_BYTES_MAX, CONDITION_BYTES_MAX, GENESIS_BYTES_MAX, NAME_SEGMENTS_MAX, RECORD_BYTES_MAX,
};
use writ_proto::name::{Action, ActionPattern, Name, Pattern, Side, candidates, escape};
use writ_proto::record::{AuthorityName, Class, RecordId, Signed, Statement};
use writ_proto::time::LedgerTime;

/// Checks the laws on some bytes, and says whether the bytes were good.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name.
pub const ALL: &[(&str, Target)] = &[
    ("record", fuzz_record),
    ("statement", fuzz_statement),
    ("block", fuzz_block),
    ("commit_leaf", fuzz_commit_leaf),
    ("certificate", fuzz_certificate),
    ("checkpoint", fuzz_checkpoint),
    ("genesis", fuzz_genesis),
    ("genesis_json", fuzz_genesis_json),
    ("export", fuzz_export),
    ("name", fuzz_name),
    ("time", fuzz_time),
    ("condition", fuzz_condition),
    #[cfg(feature = "api")]
    ("position", fuzz_position),
    #[cfg(feature = "api")]
    ("tuple", fuzz_tuple),
];

/// A whole record, as it comes from the network.
pub fn fuzz_record(data: &[u8]) -> bool {
    let Ok(record) = Signed::decode(data.to_vec()) else { return false };
    assert!(data.len() <= RECORD_BYTES_MAX);
    assert_eq!(record.bytes(), data, "a record keeps its bytes");
    check_statement(record.statement(), record.signed_bytes(), record.id());
    let ascending = record.signatures().windows(2).all(|pair| pair[0].0 < pair[1].0);
    assert!(ascending && (1..=16).contains(&record.signatures().len()));
    let mut backwards = record.signatures().to_vec();
    backwards.reverse();
    let again = Signed::assemble(record.signed_bytes().to_vec(), backwards);
    assert_eq!(again.as_ref(), Ok(&record), "signatures may be given in any order");
    // A record is never a commit leaf: a leaf's first byte tells.
    assert!(CommitLeaf::from_bytes(data).is_err());
    true
}

/// The bytes that an authority is asked to sign.
pub fn fuzz_statement(data: &[u8]) -> bool {
    let Ok((statement, id)) = Signed::read_unsigned(data) else { return false };
    check_statement(&statement, data, id);
    true
}

fn check_statement(statement: &Statement, signed_bytes: &[u8], id: RecordId) {
    let (bytes, in_id) = statement.signed_bytes().expect("what decodes makes sense");
    assert_eq!(bytes, signed_bytes, "a statement has one encoding");
    let rest = if statement.body.class() == Class::Permissive { 8 } else { 0 };
    assert_eq!(in_id + rest, bytes.len(), "`submit_by` is all that the id leaves out");
    assert_eq!(statement.id().as_ref(), Ok(&id));
    assert_eq!(Signed::read_unsigned(signed_bytes).as_ref(), Ok(&(statement.clone(), id)));
    let later = statement.submit_by.map(|time| time.saturating_add_millis(1));
    let resubmitted = Statement { submit_by: later, ..statement.clone() };
    assert_eq!(resubmitted.id().as_ref(), Ok(&id), "the same statement is the same record");
}

/// A block, and what stands in it.
pub fn fuzz_block(data: &[u8]) -> bool {
    let Ok(block) = Block::decode(data) else { return false };
    assert_eq!(block.encode(), data, "a block has one encoding");
    let records: usize = block.records.iter().map(|record| Block::bytes_of_record(record.0.len())).sum();
    assert_eq!(Block::EMPTY_BYTES + records, data.len(), "a block's size follows from its records");
    assert!(data.len() <= BLOCK_BYTES_MAX);
    for record in &block.records {
        fuzz_record(&record.0);
    }
    assert_eq!(canonical::<Header>(&codec::encode(&block.header)), Some(block.header));
    true
}

/// A commit leaf.
pub fn fuzz_commit_leaf(data: &[u8]) -> bool {
    // Random bytes never guess a hash, so the leaf behind the tag is also tried with its `result` put right.
    let start = data.len().min(15);
    if let Some(mut leaf) = canonical::<CommitLeaf>(&data[start..]) {
        leaf.header.result = leaf.executed.hash();
        let read = CommitLeaf::from_bytes(&leaf.to_bytes());
        assert_eq!(read.is_ok(), leaf.version == 1, "only the version can be wrong now");
        if let Ok(read) = read {
            assert_eq!(read, leaf);
        }
    }
    let Ok(leaf) = CommitLeaf::from_bytes(data) else { return false };
    assert_eq!(leaf.to_bytes(), data, "a commit leaf has one encoding");
    assert_eq!(leaf.header.result, leaf.executed.hash());
    assert!(Signed::decode(data.to_vec()).is_err(), "a commit leaf is no record");
    true
}

/// A cosignature between nodes; a note; a policy.
pub fn fuzz_checkpoint(data: &[u8]) -> bool {
    let wire = Cosignature::decode(data).ok();
    if let Some(wire) = &wire {
        assert_eq!(wire.encode(), data, "a cosignature has one encoding");
        assert!(wire.verify("o", &SecretKey::from_seed(&[9; 32]).public()).is_err());
    }
    let text = std::str::from_utf8(data).ok();
    let claimed = text.and_then(|text| Checkpoint::claimed_by(text).ok());
    if let (Some(text), Some(claimed)) = (text, &claimed) {
        assert!(text.starts_with(&claimed.body()), "a note begins with its checkpoint");
        assert_eq!(Checkpoint::from_body(&claimed.body()).as_ref(), Ok(claimed));
        assert!(Cosigners::of(&claimed.origin, &[]).verify(text).is_err(), "nobody is no quorum");
    }
    let policy = text.and_then(|text| Cosigners::from_policy(text).ok());
    if let Some(policy) = &policy {
        assert!((1..=policy.members().len()).contains(&policy.quorum()));
        assert_eq!(Cosigners::from_policy(&policy.to_policy()).as_ref(), Ok(policy));
    }
    wire.is_some() || claimed.is_some() || policy.is_some()
}

/// Certificates, votes and proposals.
pub fn fuzz_certificate(data: &[u8]) -> bool {
    let vote = canonical::<Vote>(data);
    let proposal = canonical::<Proposal>(data);
    let Some(certificate) = canonical::<Certificate>(data) else { return vote.is_some() || proposal.is_some() };
    let judged = certificate.verify(&Digest::ZERO, certificate.height, &certificate.block, &[]);
    assert!(judged.is_err(), "without validators nothing is final");
    true
}

/// The canonical encoding of a genesis.
pub fn fuzz_genesis(data: &[u8]) -> bool {
    let read = canonical::<Genesis>(data);
    if let Some(genesis) = &read {
        // The check takes any genesis that can be written, and decides what `decode` says.
        assert_eq!(genesis.check().is_ok(), Genesis::decode(data).is_ok());
    }
    let Ok(genesis) = Genesis::decode(data) else { return false };
    assert_eq!(genesis.encode(), data, "a genesis has one encoding");
    let text = serde_json::to_string(&genesis).expect("a genesis in JSON");
    let again: Genesis = serde_json::from_str(&text).expect("its own JSON reads back");
    assert_eq!(again, genesis, "JSON loses nothing");
    true
}

/// A genesis as people write it.
pub fn fuzz_genesis_json(data: &[u8]) -> bool {
    let Ok(genesis) = serde_json::from_slice::<Genesis>(data) else { return false };
    let text = serde_json::to_string(&genesis).expect("a genesis in JSON");
    assert_eq!(serde_json::from_str::<Genesis>(&text).ok().as_ref(), Some(&genesis), "its own JSON reads back");
    let decoded = Genesis::decode(&genesis.encode());
    assert_eq!(decoded.is_ok(), genesis.check().is_ok(), "what may start a chain has bytes, and only that");
    true
}

/// An export: the reader, frame by frame, and the audit of the whole.
pub fn fuzz_export(data: &[u8]) -> bool {
    let whole = read_export(data, data.len().max(1));
    let step = 1 + data.first().copied().map_or(0, usize::from);
    assert_eq!(whole, read_export(data, step), "the size of the pieces does not matter");

    let mut writer = Writer::new();
    let mut written = Vec::new();
    for item in &whole.0 {
        match item {
            Item::Genesis(genesis) => written.extend(writer.header(genesis)),
            Item::Block { offset, frame, .. } => {
                assert_eq!(*offset, written.len() as u64, "a frame is where the reader says");
                written.extend(writer.frame(frame));
            }
            Item::Trailer(trailer) => written.extend(std::mem::take(&mut writer).trailer(trailer.end)),
        }
    }
    match &whole.1 {
        None => assert_eq!(written, data, "what reads whole is written the same"),
        Some(error) => {
            assert!(data.starts_with(&written), "what was read is what is there");
            assert!(error.offset <= data.len() as u64);
        }
    }
    if let Some(Ok(frames)) = data.get(15..).map(Frame::decode_all) {
        assert_eq!(frames.iter().flat_map(Frame::encode_framed).collect::<Vec<_>>(), data[15..]);
    }
    if let Ok(trailer) = Trailer::decode(data) {
        assert_eq!(trailer.encode(), data);
    }
    let audited = audit_export(data.chunks(step), None);
    assert!(whole.1.is_none() || audited.is_err(), "what cannot be read cannot be good");
    audited.is_ok()
}

fn read_export(data: &[u8], step: usize) -> (Vec<Item>, Option<ExportError>) {
    let mut reader = Reader::new();
    let mut items = Vec::new();
    for chunk in data.chunks(step) {
        reader.push(chunk);
        loop {
            match reader.take() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error)),
            }
        }
    }
    (items, reader.finish().err())
}

/// Names, patterns, actions and escapes; a line break separates two names that meet.
pub fn fuzz_name(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    let mut good = false;
    for side in [Side::Subject, Side::Object] {
        good |= check_name(first, side);
        good |= check_pattern(first, side);
        if let (Ok(pattern), Ok(name)) = (Pattern::parse(first, side), Name::parse(second, side)) {
            let listed = candidates(&name).any(|candidate| candidate == pattern.as_str());
            assert_eq!(pattern.covers(&name), listed, "{pattern} covers {name}");
            assert_eq!(pattern.covers_pattern(&name.into()), listed);
        }
        if let (Ok(outer), Ok(inner)) = (Pattern::parse(first, side), Pattern::parse(second, side))
            && outer.covers_pattern(&inner)
            && inner.covers_pattern(&outer)
        {
            assert_eq!(outer, inner, "patterns that cover each other are one");
        }
    }
    let escaped = escape::escape(text);
    assert_eq!(escaped.len(), escape::escaped_len(text));
    assert!(escape::is_canonical(&escaped));
    assert_eq!(escape::unescape(&escaped).as_deref(), Some(text), "an escaped text reads back");
    if let Some(plain) = escape::unescape(text) {
        assert_eq!(escape::escape(&plain), text, "a text has one escaped form");
    }
    if let Ok(action) = Action::parse(text) {
        assert_eq!(action.as_str(), text);
    }
    if let Ok(action) = ActionPattern::parse(text) {
        assert_eq!(action.as_str(), text);
        good = true;
    }
    if let Ok(name) = text.parse::<AuthorityName>() {
        assert_eq!(name.as_str(), text);
        good = true;
    }
    good
}

fn check_name(text: &str, side: Side) -> bool {
    if let Ok(name) = Name::from_display(text, side) {
        check_spellings(&name, side);
    }
    let Ok(name) = Name::parse(text, side) else { return false };
    check_spellings(&name, side);
    let all: Vec<_> = candidates(&name).collect();
    assert!(all.len() <= NAME_SEGMENTS_MAX + 2 && all[0] == name.as_str());
    for (at, candidate) in all.iter().enumerate() {
        let pattern = Pattern::parse_full(candidate).expect("a candidate is a pattern");
        assert!(pattern.covers(&name) && !all[..at].contains(candidate));
    }
    true
}

fn check_spellings(name: &Name, side: Side) {
    assert_eq!(Name::parse_full(name.as_str()).as_ref(), Ok(name));
    assert_eq!(Name::parse(&name.to_text(side), side).as_ref(), Ok(name));
    assert_eq!(Name::from_display(&name.to_display(side), side).as_ref(), Ok(name));
    assert_eq!(Name::from_display(&name.to_display_if(side, |_| false), side).as_ref(), Ok(name));
}

fn check_pattern(text: &str, side: Side) -> bool {
    let displayed = Pattern::from_display(text, side).ok();
    let parsed = Pattern::parse(text, side).ok();
    for pattern in displayed.iter().chain(&parsed) {
        assert_eq!(Pattern::parse_full(pattern.as_str()).as_ref(), Ok(pattern));
        assert_eq!(Pattern::parse(&pattern.to_text(side), side).as_ref(), Ok(pattern));
        assert_eq!(Pattern::from_display(&pattern.to_display(side), side).as_ref(), Ok(pattern));
        assert!(pattern.covers_pattern(pattern) && Pattern::everything().covers_pattern(pattern));
    }
    parsed.is_some()
}

/// Times and dates.
pub fn fuzz_time(data: &[u8]) -> bool {
    if let Some(millis) = data.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) {
        assert_eq!(LedgerTime::from_millis(millis).is_ok(), millis <= LedgerTime::MAX.as_millis());
        let time = LedgerTime::from_millis(millis % (LedgerTime::MAX.as_millis() + 1)).expect("not too late");
        assert_eq!(time.to_string().parse(), Ok(time), "a time reads back");
        let day = time.start_of_day();
        assert_eq!(LedgerTime::parse_date(&time.to_string()[..10]), Ok(day));
        assert!(day <= time && time.millis_since(day) < 86_400_000);
    }
    let Ok(text) = std::str::from_utf8(data) else { return false };
    if let Ok(day) = LedgerTime::parse_date(text) {
        assert_eq!((day.start_of_day(), &day.to_string()[..10]), (day, text), "a date has one spelling");
    }
    let Ok(time) = text.parse::<LedgerTime>() else { return false };
    assert_eq!(time.to_string().parse(), Ok(time));
    assert_eq!(time.to_string()[..19], text[..19], "nothing is rounded");
    true
}

/// A condition, also where it cannot be evaluated.
pub fn fuzz_condition(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let condition = match Condition::parse(text) {
        Ok(condition) => condition,
        Err(error) => {
            assert!(error.at().is_none_or(|at| text.is_char_boundary(at)), "{error}");
            return false;
        }
    };
    let spelled = condition.to_string();
    // Escapes may make the canonical spelling longer.
    if spelled.len() <= CONDITION_BYTES_MAX {
        assert_eq!(Condition::parse(&spelled), Ok(condition.clone()), "a condition reads back");
    }
    let evaluation = condition.evaluate(&Request::default());
    assert!(evaluation.steps <= 2 * text.len() as u64 + 1);
    assert!(evaluation.truth == Truth::Indeterminate || evaluation.missing.is_empty());
    true
}

/// Position tokens.
#[cfg(feature = "api")]
pub fn fuzz_position(data: &[u8]) -> bool {
    use writ_proto::api::{position_token, read_position_token};

    if let Some((digest, rest)) = data.split_first_chunk() {
        let height = rest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let token = position_token(height, &Digest(*digest));
        let mark = Digest(*digest).to_string()[..16].to_owned();
        assert_eq!(read_position_token(&token), Some((height, mark.as_str())), "a token reads back");
    }
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Some((height, mark)) = read_position_token(text) else { return false };
    assert_eq!(format!("{height}.{mark}"), text, "a position has one token");
    true
}

/// The access tuple in JSON, and its way into a statement and back.
#[cfg(feature = "api")]
pub fn fuzz_tuple(data: &[u8]) -> bool {
    use writ_proto::api::{Tuple, entry_of, statement_of};
    use writ_proto::record::{Body, Nonce};

    let Ok(tuple) = serde_json::from_slice::<Tuple>(data) else { return false };
    let text = serde_json::to_string(&tuple).expect("a tuple in JSON");
    assert_eq!(serde_json::from_str::<Tuple>(&text).ok().as_ref(), Some(&tuple), "its own JSON reads back");
    let Ok(access) = tuple.to_access() else { return false };
    assert_eq!(access.check(), Ok(()));

    let authority: AuthorityName = "org1".parse().expect("a name");
    let body = Body::Access(access.clone());
    let statement = statement_of(Digest::ZERO, authority.clone(), Nonce([1; 16]), body, LedgerTime::MAX);
    let (bytes, _) = statement.signed_bytes().expect("`submit_by` stands where it must");
    let (read, id) = Signed::read_unsigned(&bytes).expect("what a tuple states can be signed");
    assert_eq!(read, statement, "a tuple's statement reads back");

    // The entry in its own spelling is a tuple that states the same.
    let entry = entry_of(&access, &authority, id, 0, 1, LedgerTime::EPOCH, None);
    let spelled = Tuple {
        sub: entry.sub,
        obj: entry.obj,
        act: Some(entry.act),
        access: Some(entry.access.as_str().into()),
        iss: entry.iss.map(|time| time.to_string()),
        exp: entry.exp.map(|time| time.to_string()),
        cond: entry.cond,
        reference: entry.reference,
        ..Tuple::default()
    };
    assert_eq!(spelled.to_access().as_ref(), Ok(&access), "an entry reads back in its own spelling");
    true
}

/// The value of these bytes, which must then encode to them.
fn canonical<T: Serialize + DeserializeOwned>(data: &[u8]) -> Option<T> {
    let value = codec::decode::<T, GENESIS_BYTES_MAX>(data).ok()?;
    assert_eq!(codec::encode(&value), data, "a value has one encoding");
    Some(value)
}
