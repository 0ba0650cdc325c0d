//! The envelope: signed bytes, signatures beside them, and the id.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::access::Access;
use super::kinds::{AuthorityName, Body, Class, Kind, SetMember};
use crate::codec::{self, CodecError};
use crate::hash::{Digest, DigestError, Domain};
use crate::key::{KeyId, SecretKey, Signature};
use crate::limits::{RECORD_BYTES_MAX, SIGNATURES_MAX};
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;

/// The id of a record: a tagged hash of what it states, without `submit_by` and signatures. An access entry has the
/// id of its record, or, if a set made it, one of its own ([`RecordId::of_member`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordId(pub Digest);

impl RecordId {
    /// The id of the access entry that the set of this id makes with the member at `place`, from 0.
    #[must_use]
    pub fn of_member(&self, place: u8) -> Self {
        Self(Domain::Member.hash(&[&self.0.0, &u32::from(place).to_le_bytes()]))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordId({})", self.0.to_short())
    }
}

impl FromStr for RecordId {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

/// Sixteen random bytes that make two equal statements two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nonce(pub [u8; 16]);

/// What an authority states and signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The chain it is for.
    pub chain: Digest,
    /// Who states it.
    pub authority: AuthorityName,
    /// What makes it differ from an equal statement.
    pub nonce: Nonce,
    /// What is stated.
    pub body: Body,
    /// The block time after which it cannot be included: in permissive records, and only there.
    pub submit_by: Option<LedgerTime>,
}

/// Bytes of the count before the signatures.
const COUNT_BYTES: usize = 1;
/// Bytes of a signature with its key id.
const SIGNATURE_BYTES: usize = size_of::<KeyId>() + size_of::<Signature>();

impl Statement {
    /// The bytes to sign, and how many of them go into the id.
    ///
    /// # Errors
    /// If `submit_by` is there in a restrictive record, or missing in a permissive one.
    pub fn signed_bytes(&self) -> Result<(Vec<u8>, usize), Refusal> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(Domain::Record.tag());
        bytes.push(self.body.kind() as u8);
        bytes.extend(codec::encode(&Head {
            chain: self.chain,
            authority: self.authority.as_str().into(),
            nonce: self.nonce,
        }));
        bytes.extend(self.body.encode());
        let in_id = bytes.len();
        match (self.body.class(), self.submit_by) {
            (Class::Permissive, Some(submit_by)) => bytes.extend(codec::encode(&submit_by.as_millis())),
            (Class::Restrictive, None) => {}
            (Class::Permissive, None) => {
                return Err(Refusal::of(
                    Code::BadRequest,
                    "submit_by",
                    "a record that can widen access needs `submit_by`, found none",
                ));
            }
            (Class::Restrictive, Some(_)) => {
                return Err(Refusal::of(
                    Code::BadRequest,
                    "submit_by",
                    "a record that can only reduce access has no `submit_by`, found one",
                ));
            }
        }
        Ok((bytes, in_id))
    }

    /// The id that the record will have.
    pub fn id(&self) -> Result<RecordId, Refusal> {
        let (bytes, in_id) = self.signed_bytes()?;
        Ok(record_id(&bytes[..in_id]))
    }

    /// Bytes of the record once so many keys have signed.
    ///
    /// # Errors
    /// As [`Statement::signed_bytes`].
    pub fn record_bytes(&self, signatures: usize) -> Result<usize, Refusal> {
        let (bytes, _) = self.signed_bytes()?;
        Ok(bytes.len() + COUNT_BYTES + signatures * SIGNATURE_BYTES)
    }

    /// Signs with each of `keys` and gives the record.
    ///
    /// # Errors
    /// If the statement makes no sense ([`Statement::signed_bytes`]), or the record would be malformed:
    /// no keys or too many, one twice, or more than [`RECORD_BYTES_MAX`] bytes.
    pub fn sign(&self, keys: &[&SecretKey]) -> Result<Signed, Refusal> {
        let (bytes, _) = self.signed_bytes()?;
        let signatures = keys.iter().map(|key| (key.public().id(), key.sign_in(Domain::Record, &bytes))).collect();
        Signed::assemble(bytes, signatures)
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    chain: Digest,
    authority: String,
    nonce: Nonce,
}

fn record_id(stated: &[u8]) -> RecordId {
    RecordId(Domain::RecordId.hash(&[stated]))
}

/// A well-formed record: canonical bytes that make sense by themselves. Its signatures are not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    bytes: Vec<u8>,
    signed_len: usize,
    id: RecordId,
    statement: Statement,
    signatures: Vec<(KeyId, Signature)>,
}

impl Signed {
    /// Puts signatures (in any order) beside the bytes that they sign.
    pub fn assemble(signed_bytes: Vec<u8>, mut signatures: Vec<(KeyId, Signature)>) -> Result<Self, Refusal> {
        signatures.sort_by_key(|(key, _)| *key);
        let mut bytes = signed_bytes;
        // A count beyond a byte is refused by the decoder below, which is the one judge of form.
        bytes.push(u8::try_from(signatures.len()).unwrap_or(u8::MAX));
        for (key, signature) in &signatures {
            bytes.extend_from_slice(&key.0);
            bytes.extend_from_slice(&signature.0);
        }
        Self::decode(bytes)
    }

    /// Reads a record: the only way from bytes to a record, for code, network and disk alike.
    pub fn decode(bytes: Vec<u8>) -> Result<Self, Refusal> {
        if bytes.len() > RECORD_BYTES_MAX {
            let detail = format!("a record of {} bytes, at most {RECORD_BYTES_MAX} are allowed", bytes.len());
            return Err(Refusal::of(Code::TooLarge, "record", detail));
        }
        let (statement, in_id, signed_len) = read_statement(&bytes)?;
        let signatures = read_signatures(&bytes[signed_len..])?;
        Ok(Self { id: record_id(&bytes[..in_id]), signed_len, statement, signatures, bytes })
    }

    /// Reads bytes that are to be signed (no signatures follow), for whoever signs with tools of their own.
    pub fn read_unsigned(bytes: &[u8]) -> Result<(Statement, RecordId), Refusal> {
        let (statement, in_id, signed_len) = read_statement(bytes)?;
        if signed_len != bytes.len() {
            let detail = format!("{} bytes follow the end of the statement", bytes.len() - signed_len);
            return Err(Refusal::of(Code::BadRequest, "record", detail));
        }
        Ok((statement, record_id(&bytes[..in_id])))
    }

    /// The id.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The whole record: what is stored, gossiped, hashed and served.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The part that the signatures sign.
    pub fn signed_bytes(&self) -> &[u8] {
        &self.bytes[..self.signed_len]
    }

    /// What it states.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The signatures, ascending by key id.
    pub fn signatures(&self) -> &[(KeyId, Signature)] {
        &self.signatures
    }

    /// What it says.
    pub fn body(&self) -> &Body {
        &self.statement.body
    }

    /// Its class.
    pub fn class(&self) -> Class {
        self.statement.body.class()
    }

    /// The access entries that it makes where it is accepted, in order: one, none, or those of a set.
    pub fn entries(&self) -> impl Iterator<Item = Made<'_>> {
        let (one, members) = match &self.statement.body {
            Body::Access(access) => (Some(Made { id: self.id, member: None, access }), &[][..]),
            Body::Set(set) => (None, &set.members[..]),
            Body::Revoke(_) | Body::Authority(_) | Body::Validator(_) | Body::Parameter(_) => (None, &[][..]),
        };
        one.into_iter().chain((0..).zip(members).filter_map(|(place, member)| match member {
            SetMember::Access(access) => Some(Made { id: self.id.of_member(place), member: Some(place), access }),
            SetMember::Revoke(_) => None,
        }))
    }
}

/// An access entry that a record makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made<'a> {
    /// Its id: the record's, or of its own in a set.
    pub id: RecordId,
    /// Its place among the members of a set, from 0.
    pub member: Option<u8>,
    /// What it says.
    pub access: &'a Access,
}

/// The statement, and the lengths of what goes into the id and of what is signed.
fn read_statement(bytes: &[u8]) -> Result<(Statement, usize, usize), Refusal> {
    let refuse = |detail: String| Refusal::of(Code::BadRequest, "record", detail);
    let malformed = |what: &'static str| {
        move |error: CodecError| Refusal::of(Code::BadRequest, "record", format!("the {what} is {error}"))
    };

    let tag = Domain::Record.tag();
    let rest =
        bytes.strip_prefix(tag).ok_or_else(|| refuse("the bytes do not start with the tag of a record".into()))?;
    let (&kind_byte, rest) = rest.split_first().ok_or_else(|| refuse("the bytes end before the kind".into()))?;
    let kind = Kind::from_byte(kind_byte).ok_or_else(|| {
        Refusal::of(Code::Unsupported, "record", format!("kind {kind_byte} is not known to this version"))
    })?;

    let (head, head_len) = codec::decode_prefix::<Head, RECORD_BYTES_MAX>(rest).map_err(malformed("head"))?;
    let authority = head.authority.parse().map_err(|error: super::kinds::AuthorityNameError| {
        Refusal::of(Code::BadRequest, "issuingAuth", error.to_string())
    })?;
    let rest = &rest[head_len..];
    let (body, body_len) = Body::decode_prefix(kind, rest)?;
    let rest = &rest[body_len..];
    let in_id = tag.len() + 1 + head_len + body_len;

    let (submit_by, signed_len) = match body.class() {
        Class::Restrictive => (None, in_id),
        Class::Permissive => {
            let (ms, used) = codec::decode_prefix::<u64, RECORD_BYTES_MAX>(rest).map_err(malformed("`submit_by`"))?;
            let time = LedgerTime::from_millis(ms)
                .map_err(|error| Refusal::of(Code::BadRequest, "submit_by", error.to_string()))?;
            (Some(time), in_id + used)
        }
    };
    Ok((Statement { chain: head.chain, authority, nonce: head.nonce, body, submit_by }, in_id, signed_len))
}

fn read_signatures(bytes: &[u8]) -> Result<Vec<(KeyId, Signature)>, Refusal> {
    const PAIR: usize = 32 + 64;
    let refuse = |detail: String| Err(Refusal::of(Code::BadRequest, "signatures", detail));
    let Some((&count, pairs)) = bytes.split_first() else {
        return refuse("the record ends before its signatures".into());
    };
    let count = usize::from(count);
    if count == 0 || count > SIGNATURES_MAX {
        return refuse(format!("{count} signatures, expected 1 to {SIGNATURES_MAX}"));
    }
    if pairs.len() != count * PAIR {
        return refuse(format!("{} bytes of signatures, expected {} for {count}", pairs.len(), count * PAIR));
    }
    let mut signatures: Vec<(KeyId, Signature)> = Vec::with_capacity(count);
    for pair in pairs.chunks_exact(PAIR) {
        let (mut key, mut signature) = ([0; 32], [0; 64]);
        key.copy_from_slice(&pair[..32]);
        signature.copy_from_slice(&pair[32..]);
        if signatures.last().is_some_and(|(last, _)| *last >= KeyId(key)) {
            return refuse("the key ids of the signatures are not strictly ascending".into());
        }
        signatures.push((KeyId(key), Signature(signature)));
    }
    Ok(signatures)
}

/// A record whose signatures are good, by keys that the chain admitted to its authority, at least as
/// many as the authority's threshold.
///
/// INVARIANT: only `State::verify` makes one, or `State::recall` from what was verified before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub(crate) signed: Signed,
    /// The authority's ordinal.
    pub(crate) authority: u32,
    /// The ordinals of the signing keys, ascending.
    pub(crate) keys: Vec<u32>,
}

impl Verified {
    /// The record.
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// The id.
    pub fn id(&self) -> RecordId {
        self.signed.id
    }

    /// The class.
    pub fn class(&self) -> Class {
        self.signed.class()
    }

    /// The ordinal of its authority among all of the chain.
    pub fn authority(&self) -> u32 {
        self.authority
    }

    /// The ordinals of the signing keys among all that the chain admitted, ascending.
    pub fn keys(&self) -> &[u32] {
        &self.keys
    }
}
