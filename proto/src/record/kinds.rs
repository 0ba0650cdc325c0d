//! The bodies of every kind, and the class that follows from their bytes.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::access::{Access, AccessWire, Effect};
use super::envelope::RecordId;
use crate::codec::{self, CodecError};
use crate::genesis::Parameters;
use crate::key::{KeyId, PublicKey, Signature};
use crate::limits::{AUTHORITY_NAME_BYTES_MAX, RECORD_BYTES_MAX, SET_MEMBERS_MAX, SIGNATURES_MAX};
use crate::refusal::{Code, Refusal};
use crate::scope::Scope;

/// The kind of a record: the byte after the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// A grant or a denial.
    Access = 1,
    /// The end of one access entry.
    Revoke = 2,
    /// A change in the circle of trust.
    Authority = 3,
    /// A change of the validators.
    Validator = 4,
    /// A change of the chain's parameters.
    Parameter = 5,
    /// Access entries and revocations that take effect together or not at all.
    Set = 6,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Access, Self::Revoke, Self::Authority, Self::Validator, Self::Parameter, Self::Set];

    /// The kind of a byte, if this version knows it.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The kind's word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Revoke => "revoke",
            Self::Authority => "authority",
            Self::Validator => "validator",
            Self::Parameter => "parameter",
            Self::Set => "set",
        }
    }
}

/// Whether a record can only reduce access, or can widen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Can only reduce access: a denial, the revocation of a grant, retire, suspend, repudiate
    /// (unless it also voids denials).
    Restrictive,
    /// Everything else, every set included.
    Permissive,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A grant or a denial.
    Access(Access),
    /// The end of one access entry.
    Revoke(Revoke),
    /// A change in the circle of trust.
    Authority(AuthorityChange),
    /// A change of the validators.
    Validator(ValidatorChange),
    /// A change of the chain's parameters.
    Parameter(ParameterChange),
    /// All or nothing.
    Set(AtomicSet),
}

/// Ends the access entry `target`, whose effect is stated so that the class follows from the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoke {
    /// The entry to end.
    pub target: RecordId,
    /// What that entry is: revoking a grant takes access away, lifting a denial may give it back.
    pub effect: Effect,
}

/// A public key with the proof that its presenter holds the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolledKey {
    /// The key.
    pub key: PublicKey,
    /// Its proof of possession.
    pub possession: Signature,
}

/// A change in the circle of trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthorityChange {
    /// A new authority below the signer.
    Enrol {
        /// Its name, never used before.
        name: AuthorityName,
        /// Its keys.
        keys: Vec<EnrolledKey>,
        /// How many of them must sign.
        threshold: u8,
        /// What it may speak of.
        scope: Scope,
    },
    /// Other keys for an authority.
    Rotate {
        /// Which authority.
        name: AuthorityName,
        /// Its keys from now on.
        keys: Vec<EnrolledKey>,
        /// How many of them must sign.
        threshold: u8,
    },
    /// No new entries; old ones stand.
    Retire {
        /// Which authority.
        name: AuthorityName,
    },
    /// Its grants and its descendants' do not count, until resumed.
    Suspend {
        /// Which authority.
        name: AuthorityName,
    },
    /// Ends a suspension.
    Resume {
        /// Which authority.
        name: AuthorityName,
    },
    /// Voids what an authority, or one key, signed from a height on.
    Repudiate {
        /// Which authority.
        name: AuthorityName,
        /// Only what this key signed.
        key: Option<KeyId>,
        /// From which height on.
        from_height: u64,
        /// Also its denials and revocations of grants, which widens access.
        void_restrictions: bool,
    },
}

/// The keys of one validator. The transport's key is configuration, not protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorKeys {
    /// Its name, for people.
    pub name: AuthorityName,
    /// The key it votes with.
    pub vote: EnrolledKey,
    /// The key it cosigns checkpoints with, used for nothing else.
    pub checkpoint: EnrolledKey,
}

/// A change of the validators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValidatorChange {
    /// One more.
    Add(ValidatorKeys),
    /// One less, by the id of its voting key.
    Remove(KeyId),
    /// Other keys for one, in one step.
    Replace {
        /// The id of the voting key it has.
        old: KeyId,
        /// The keys it gets.
        new: ValidatorKeys,
    },
}

/// A change of the chain's parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParameterChange {
    /// Other parameters from the next block on.
    Set(Parameters),
    /// Another protocol version from a height on.
    Activate {
        /// The version.
        protocol: u32,
        /// The first height under it.
        height: u64,
    },
}

/// Access entries and revocations that take effect together or not at all.
///
/// A *key* of it is a subject and an object as they stand on an access member, or on the target of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtomicSet {
    /// What the set holds, in order: 1 to [`SET_MEMBERS_MAX`].
    pub members: Vec<SetMember>,
    /// Only if nothing on its keys changed since the log had this size.
    pub unchanged_since: Option<u64>,
}

/// One member of an atomic set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetMember {
    /// A grant or a denial.
    Access(Access),
    /// A revocation or a lift.
    Revoke(Revoke),
}

/// The name of an authority or a validator: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`. Never reused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AuthorityName(String);

/// Why a text is not the name of an authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an authority's name is 1 to {AUTHORITY_NAME_BYTES_MAX} letters, digits, `.`, `_`, `-`, starting with a letter or digit; found {found} bytes"
)]
pub struct AuthorityNameError {
    /// How many bytes there were.
    pub found: usize,
}

impl AuthorityName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for AuthorityName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::fmt::Debug for AuthorityName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.0, f)
    }
}

impl core::str::FromStr for AuthorityName {
    type Err = AuthorityNameError;

    fn from_str(text: &str) -> Result<Self, AuthorityNameError> {
        let fits = (1..=AUTHORITY_NAME_BYTES_MAX).contains(&text.len())
            && text.as_bytes()[0].is_ascii_alphanumeric()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits { Ok(Self(text.into())) } else { Err(AuthorityNameError { found: text.len() }) }
    }
}

impl TryFrom<String> for AuthorityName {
    type Error = AuthorityNameError;

    fn try_from(text: String) -> Result<Self, AuthorityNameError> {
        text.parse()
    }
}

impl From<AuthorityName> for String {
    fn from(name: AuthorityName) -> Self {
        name.0
    }
}

impl Body {
    /// The kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Access(_) => Kind::Access,
            Self::Revoke(_) => Kind::Revoke,
            Self::Authority(_) => Kind::Authority,
            Self::Validator(_) => Kind::Validator,
            Self::Parameter(_) => Kind::Parameter,
            Self::Set(_) => Kind::Set,
        }
    }

    /// [`Access::check_condition`] of every entry that it holds. No part of the record's form: what decodes
    /// may fail this.
    pub fn check_conditions(&self) -> Result<(), Refusal> {
        match self {
            Self::Access(access) => access.check_condition(),
            Self::Set(set) => (0..).zip(&set.members).try_for_each(|(place, member)| match member {
                SetMember::Access(access) => access.check_condition().map_err(|refusal| refusal.in_member(place)),
                SetMember::Revoke(_) => Ok(()),
            }),
            Self::Revoke(_) | Self::Authority(_) | Self::Validator(_) | Self::Parameter(_) => Ok(()),
        }
    }

    /// The class, a function of the bytes alone.
    pub fn class(&self) -> Class {
        let restrictive = match self {
            Self::Access(access) => access.effect == Effect::Deny,
            Self::Revoke(revoke) => revoke.effect == Effect::Grant,
            Self::Authority(change) => match change {
                AuthorityChange::Retire { .. } | AuthorityChange::Suspend { .. } => true,
                AuthorityChange::Repudiate { void_restrictions, .. } => !void_restrictions,
                AuthorityChange::Enrol { .. } | AuthorityChange::Rotate { .. } | AuthorityChange::Resume { .. } => {
                    false
                }
            },
            Self::Validator(_) | Self::Parameter(_) | Self::Set(_) => false,
        };
        if restrictive { Class::Restrictive } else { Class::Permissive }
    }

    /// The body's canonical encoding.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Access(access) => codec::encode(&AccessWire::from(access)),
            Self::Revoke(revoke) => codec::encode(revoke),
            Self::Authority(change) => codec::encode(change),
            Self::Validator(change) => codec::encode(change),
            Self::Parameter(change) => codec::encode(change),
            Self::Set(set) => codec::encode(&SetWire::from(set)),
        }
    }

    /// Reads a body of kind `kind` from the start of `bytes` and says how many bytes it took.
    pub(super) fn decode_prefix(kind: Kind, bytes: &[u8]) -> Result<(Self, usize), Refusal> {
        let malformed = |error: CodecError| {
            Refusal::of(Code::BadRequest, "record", alloc::format!("the body of kind `{}` is {error}", kind.as_str()))
        };
        match kind {
            Kind::Access => {
                let (wire, used) = codec::decode_prefix::<AccessWire, RECORD_BYTES_MAX>(bytes).map_err(malformed)?;
                Ok((Self::Access(wire.try_into()?), used))
            }
            Kind::Revoke => {
                let (revoke, used) = codec::decode_prefix::<Revoke, RECORD_BYTES_MAX>(bytes).map_err(malformed)?;
                Ok((Self::Revoke(revoke), used))
            }
            Kind::Authority => {
                let (change, used) =
                    codec::decode_prefix::<AuthorityChange, RECORD_BYTES_MAX>(bytes).map_err(malformed)?;
                check_authority_change(&change)?;
                Ok((Self::Authority(change), used))
            }
            Kind::Validator => {
                let (change, used) =
                    codec::decode_prefix::<ValidatorChange, RECORD_BYTES_MAX>(bytes).map_err(malformed)?;
                Ok((Self::Validator(change), used))
            }
            Kind::Parameter => {
                let (change, used) =
                    codec::decode_prefix::<ParameterChange, RECORD_BYTES_MAX>(bytes).map_err(malformed)?;
                Ok((Self::Parameter(change), used))
            }
            Kind::Set => {
                let (wire, used) = codec::decode_prefix::<SetWire, RECORD_BYTES_MAX>(bytes).map_err(malformed)?;
                Ok((Self::Set(wire.try_into()?), used))
            }
        }
    }
}

/// The rule for an authority's keys, in genesis and in records alike: one to sixteen distinct keys, of
/// which at least one and at most all must sign.
pub(crate) fn check_keys(keys: &[EnrolledKey], threshold: u8) -> Result<(), Refusal> {
    let refuse = |field, detail| Err(Refusal::of(Code::BadRequest, field, detail));
    if keys.is_empty() || keys.len() > SIGNATURES_MAX {
        return refuse("keys", alloc::format!("{} keys, expected 1 to {SIGNATURES_MAX}", keys.len()));
    }
    if keys.iter().enumerate().any(|(at, key)| keys[..at].iter().any(|other| other.key == key.key)) {
        return refuse("keys", "a key stands twice".into());
    }
    if threshold == 0 || usize::from(threshold) > keys.len() {
        return refuse(
            "threshold",
            alloc::format!("a threshold of {threshold}, expected 1 to {}, the number of keys", keys.len()),
        );
    }
    Ok(())
}

fn check_authority_change(change: &AuthorityChange) -> Result<(), Refusal> {
    match change {
        AuthorityChange::Enrol { keys, threshold, scope, .. } => {
            check_keys(keys, *threshold)?;
            scope.check()
        }
        AuthorityChange::Rotate { keys, threshold, .. } => check_keys(keys, *threshold),
        AuthorityChange::Retire { .. }
        | AuthorityChange::Suspend { .. }
        | AuthorityChange::Resume { .. }
        | AuthorityChange::Repudiate { .. } => Ok(()),
    }
}

#[derive(Serialize, Deserialize)]
enum MemberWire {
    Access(AccessWire),
    Revoke(Revoke),
}

#[derive(Serialize, Deserialize)]
struct SetWire {
    members: Vec<MemberWire>,
    unchanged_since: Option<u64>,
}

impl From<&AtomicSet> for SetWire {
    fn from(set: &AtomicSet) -> Self {
        let wire = |member: &SetMember| match member {
            SetMember::Access(access) => MemberWire::Access(access.into()),
            SetMember::Revoke(revoke) => MemberWire::Revoke(*revoke),
        };
        Self { members: set.members.iter().map(wire).collect(), unchanged_since: set.unchanged_since }
    }
}

impl TryFrom<SetWire> for AtomicSet {
    type Error = Refusal;

    fn try_from(wire: SetWire) -> Result<Self, Refusal> {
        if wire.members.is_empty() || wire.members.len() > SET_MEMBERS_MAX {
            let detail = alloc::format!("a set of {} members, expected 1 to {SET_MEMBERS_MAX}", wire.members.len());
            return Err(Refusal::of(Code::BadRequest, "members", detail));
        }
        let member = |(place, wire)| match wire {
            MemberWire::Access(access) => {
                Access::try_from(access).map(SetMember::Access).map_err(|refusal| refusal.in_member(place))
            }
            MemberWire::Revoke(revoke) => Ok(SetMember::Revoke(revoke)),
        };
        let members = (0..).zip(wire.members).map(member).collect::<Result<_, _>>()?;
        Ok(Self { members, unchanged_since: wire.unchanged_since })
    }
}
