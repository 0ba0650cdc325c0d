//! Where a chain starts; its hash is the chain id.
//!
//! The genesis names the root authorities with their scopes, the first validators, and the parameters.
//! People read and write it as JSON; the chain id hashes its canonical encoding, so white space and the
//! order of members in the JSON do not matter.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::hash::{Digest, Domain};
use crate::key::PublicKey;
use crate::limits::{
    GENESIS_BYTES_MAX, GENESIS_MEMBERS_MAX, PARAMETER_CLOCK_MS_MAX, PARAMETER_PROPOSAL_MS_MIN,
    PARAMETER_SUBMIT_AHEAD_MS_MAX,
};
use crate::record::{AuthorityName, EnrolledKey, ValidatorKeys, check_keys};
use crate::refusal::{Code, Refusal};
use crate::scope::Scope;
use crate::time::LedgerTime;

/// The protocol version that new chains start with, and the highest that this code speaks: it speaks all below, too.
pub const PROTOCOL: u32 = 2;

/// The first protocol version that carries out atomic sets.
pub const PROTOCOL_OF_SETS: u32 = 2;

/// Where a chain starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The protocol version at height 1.
    pub protocol: u32,
    /// The chain's name: also the origin of its checkpoints, a schema-less URL such as
    /// `ledger.example/main`.
    pub chain: String,
    /// The time of height 0.
    pub time: LedgerTime,
    /// The chain's own bounds.
    pub parameters: Parameters,
    /// The root authorities.
    pub authorities: Vec<RootAuthority>,
    /// How many root authorities must sign a change of validators or parameters.
    pub root_quorum: u8,
    /// The validators of height 1.
    pub validators: Vec<ValidatorKeys>,
}

/// Bounds that a chain chooses for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How far in milliseconds a `submit_by` may lie ahead of the including block's time.
    pub submit_ahead_ms_max: u64,
    /// How far in milliseconds a block's time may lie ahead of a voter's clock, and clocks may disagree.
    pub clock_bound_ms: u64,
    /// How far in milliseconds a fresh proposal's time may lie behind a voter's clock.
    pub proposal_age_ms_max: u64,
}

impl Default for Parameters {
    /// An hour to get a signed record in; half a second between clocks; a proposal two seconds under way.
    fn default() -> Self {
        Self { submit_ahead_ms_max: 3_600_000, clock_bound_ms: 500, proposal_age_ms_max: 2_000 }
    }
}

impl Parameters {
    /// Whether a chain can live with them, in its genesis and from a record alike.
    pub fn check(&self) -> Result<(), Refusal> {
        for (name, found, least, most) in [
            ("submit_ahead_ms_max", self.submit_ahead_ms_max, 1, PARAMETER_SUBMIT_AHEAD_MS_MAX),
            ("clock_bound_ms", self.clock_bound_ms, 1, PARAMETER_CLOCK_MS_MAX),
            ("proposal_age_ms_max", self.proposal_age_ms_max, 0, PARAMETER_CLOCK_MS_MAX),
        ] {
            if found < least || found > most {
                let detail = format!("`{name}` is {found} milliseconds, expected {least} to {most}");
                return Err(Refusal::of(Code::BadRequest, "parameters", detail));
            }
        }
        // Neither overflows: both were found to be a day at most.
        let together = self.clock_bound_ms + self.proposal_age_ms_max;
        if together < PARAMETER_PROPOSAL_MS_MIN {
            let detail = format!(
                "`clock_bound_ms` and `proposal_age_ms_max` are {together} milliseconds together, expected at least {PARAMETER_PROPOSAL_MS_MIN}: no proposal would arrive in time"
            );
            return Err(Refusal::of(Code::BadRequest, "parameters", detail));
        }
        Ok(())
    }
}

/// An authority that answers to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootAuthority {
    /// Its name.
    pub name: AuthorityName,
    /// Its keys.
    pub keys: Vec<EnrolledKey>,
    /// How many of them must sign.
    pub threshold: u8,
    /// What it may speak of.
    pub scope: Scope,
}

impl Genesis {
    /// The canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads the canonical encoding and checks what it says.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let genesis: Self = codec::decode::<_, GENESIS_BYTES_MAX>(bytes)
            .map_err(|error| Refusal::of(Code::BadRequest, "genesis", error.to_string()))?;
        genesis.check()?;
        Ok(genesis)
    }

    /// The chain id: tagged hash of the canonical encoding.
    pub fn chain_id(&self) -> Digest {
        Domain::Genesis.hash(&[&self.encode()])
    }

    /// Whether it can start a chain: a version that we know, a usable chain name, distinct names and keys, every
    /// key admitted with its proof of possession.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |code, field, detail: String| Err(Refusal::of(code, field, detail));
        if !(1..=PROTOCOL).contains(&self.protocol) {
            return refuse(
                Code::Unsupported,
                "protocol",
                format!("protocol version {}, this program speaks 1 to {PROTOCOL}", self.protocol),
            );
        }
        let plain = |b: u8| b.is_ascii_graphic() && b != b'+';
        if self.chain.is_empty() || self.chain.len() > 255 || !self.chain.bytes().all(plain) {
            return refuse(
                Code::BadRequest,
                "chain",
                "a chain's name is 1 to 255 printable ASCII characters without space and `+`".into(),
            );
        }
        if self.authorities.is_empty() || self.authorities.len() > GENESIS_MEMBERS_MAX {
            return refuse(
                Code::BadRequest,
                "authorities",
                format!("{} authorities, expected 1 to {GENESIS_MEMBERS_MAX}", self.authorities.len()),
            );
        }
        if self.validators.is_empty() || self.validators.len() > GENESIS_MEMBERS_MAX {
            return refuse(
                Code::BadRequest,
                "validators",
                format!("{} validators, expected 1 to {GENESIS_MEMBERS_MAX}", self.validators.len()),
            );
        }
        if self.root_quorum == 0 || usize::from(self.root_quorum) > self.authorities.len() {
            return refuse(
                Code::BadRequest,
                "root_quorum",
                format!("{}, expected 1 to {}, the number of authorities", self.root_quorum, self.authorities.len()),
            );
        }
        self.parameters.check()?;
        self.check_members()
    }

    fn check_members(&self) -> Result<(), Refusal> {
        let mut names: Vec<&AuthorityName> = Vec::new();
        for authority in &self.authorities {
            if names.contains(&&authority.name) {
                return Err(Refusal::of(
                    Code::BadRequest,
                    "authorities",
                    format!("authority `{}` stands twice", authority.name),
                ));
            }
            names.push(&authority.name);
            check_keys(&authority.keys, authority.threshold)?;
            authority.scope.check()?;
            for key in &authority.keys {
                admit(key, authority.name.as_str())?;
            }
        }
        let mut validators: Vec<&AuthorityName> = Vec::new();
        let authorities = self.authorities.iter().flat_map(|authority| &authority.keys);
        let mut keys: Vec<PublicKey> = authorities.map(|key| key.key).collect();
        for validator in &self.validators {
            if validators.contains(&&validator.name) {
                return Err(Refusal::of(
                    Code::BadRequest,
                    "validators",
                    format!("validator `{}` stands twice", validator.name),
                ));
            }
            validators.push(&validator.name);
            for key in [&validator.vote, &validator.checkpoint] {
                admit(key, validator.name.as_str())?;
                // One key, one use: not to vote and to cosign or to issue, nor for two validators.
                if keys.contains(&key.key) {
                    return Err(Refusal::of(Code::BadRequest, "validators", format!("key {} stands twice", key.key)));
                }
                keys.push(key.key);
            }
        }
        Ok(())
    }
}

fn admit(key: &EnrolledKey, whose: &str) -> Result<(), Refusal> {
    key.key
        .admit_possessed(&Digest::ZERO, &key.possession)
        .map_err(|error| Refusal::of(Code::BadRequest, "keys", format!("a key of `{whose}`: {error}")))
}
