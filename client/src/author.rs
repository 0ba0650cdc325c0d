//! Who speaks: a key, the authority that it belongs to, and the chain that it speaks on.

use std::thread;

use writ_proto::genesis::{Genesis, Parameters};
use writ_proto::hash::Digest;
use writ_proto::key::{PublicKey, SecretKey};
use writ_proto::record::{AuthorityName, Body, Class, Nonce, Signed, Statement};
use writ_proto::refusal::Refusal;
use writ_proto::time::LedgerTime;

use crate::circle::{Circle, Needs};
use crate::client::Client;
use crate::error::ClientError;

/// How long a signed record may take into the log, unless the chain allows less.
pub const SUBMIT_WITHIN_MS: u64 = 10 * 60 * 1000;

/// Records below which more threads cost more than they bring.
const RECORDS_FOR_THREADS: usize = 64;

/// A key that speaks for an authority on one chain.
#[derive(Clone, Debug)]
pub struct Author {
    chain: Digest,
    authority: AuthorityName,
    key: SecretKey,
    submit_within_ms: u64,
}

/// Why a key cannot speak.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// No authority has this key.
    #[error("the key {key} belongs to no authority of this chain")]
    NoAuthority {
        /// The key.
        key: PublicKey,
    },
    /// Several have it.
    #[error("the key {key} belongs to several authorities: {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))]
    SeveralAuthorities {
        /// The key.
        key: PublicKey,
        /// Which ones.
        names: Vec<AuthorityName>,
    },
    /// The authority that was named is not there.
    #[error("there is no authority `{name}` on this chain")]
    UnknownAuthority {
        /// Its name.
        name: AuthorityName,
    },
    /// The authority that was named does not have this key.
    #[error("the key {key} does not belong to authority `{name}`")]
    OtherKey {
        /// The key.
        key: PublicKey,
        /// The authority.
        name: AuthorityName,
    },
    /// The signatures are not enough.
    #[error("authority `{name}` needs {threshold} signatures, {found} of its keys sign")]
    Threshold {
        /// The authority.
        name: AuthorityName,
        /// How many it needs.
        threshold: u8,
        /// How many there are.
        found: usize,
    },
    /// Enough signatures of too few root authorities.
    #[error("{needed} root authorities must sign this, each with as many keys as it needs; {found} do")]
    RootQuorum {
        /// How many must.
        needed: usize,
        /// How many do.
        found: usize,
    },
    /// No authority was named, and no key says which.
    #[error("no authority is named")]
    Unnamed,
    /// Only a root authority may say this.
    #[error("`{name}` is no root authority, and only root authorities may say this")]
    NoRoot {
        /// The authority that was named.
        name: AuthorityName,
    },
    /// Only root authorities may sign this.
    #[error("the key {key} belongs to no root authority, and only they may sign this")]
    NoRootKey {
        /// The key.
        key: PublicKey,
    },
    /// The nodes are of another chain than the one that was named.
    #[error("the nodes are of chain {found}, expected {expected}")]
    OtherChain {
        /// The chain they are of.
        found: Digest,
        /// The chain that was named.
        expected: Digest,
    },
    /// The nodes' genesis starts no chain.
    #[error("the genesis that the nodes tell starts no chain")]
    Genesis(#[source] Refusal),
    /// The nodes did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Author {
    /// Asks the nodes for their chain and for the authority of `key`: the one named, or else the only one
    /// that has the key. With `chain`, only on that chain.
    ///
    /// # Errors
    /// If the key cannot speak alone for exactly one authority.
    pub fn find(
        client: &Client,
        key: SecretKey,
        authority: Option<&AuthorityName>,
        chain: Option<&Digest>,
    ) -> Result<Self, AuthorError> {
        let circle = Circle::ask(client, chain)?;
        let own = [key.public()];
        let authority = circle.speaker(Needs::Authority, &own, authority)?;
        circle.tally(Needs::Authority, &authority, &own)?.check()?;
        let submit_within_ms = submit_within_ms_max(circle.parameters()).min(SUBMIT_WITHIN_MS);
        Ok(Self { submit_within_ms, ..Self::new(circle.genesis(), authority, key) })
    }

    /// `key` as a key of `authority` on the chain of `genesis`, without asking anybody.
    pub fn new(genesis: &Genesis, authority: AuthorityName, key: SecretKey) -> Self {
        let submit_within_ms = submit_within_ms_max(&genesis.parameters).min(SUBMIT_WITHIN_MS);
        Self { chain: genesis.chain_id(), authority, key, submit_within_ms }
    }

    /// The chain.
    pub fn chain(&self) -> &Digest {
        &self.chain
    }

    /// The authority.
    pub fn authority(&self) -> &AuthorityName {
        &self.authority
    }

    /// What is said, without the time by which it must be in the log: enough for its id.
    ///
    /// # Errors
    /// If the body makes no sense.
    pub fn statement(&self, nonce: Nonce, body: Body, now: LedgerTime) -> Statement {
        let submit_by = (body.class() == Class::Permissive).then(|| now.saturating_add_millis(self.submit_within_ms));
        Statement { chain: self.chain, authority: self.authority.clone(), nonce, body, submit_by }
    }

    /// Signs what is said, to be in the log soon after `now`.
    ///
    /// # Errors
    /// If the body makes no sense, or is too large.
    pub fn sign(&self, nonce: Nonce, body: Body, now: LedgerTime) -> Result<Signed, Refusal> {
        self.statement(nonce, body, now).sign(&[&self.key])
    }

    /// The same for many, in order, on all cores.
    pub fn sign_all(&self, said: Vec<(Nonce, Body)>, now: LedgerTime) -> Result<Vec<Signed>, Refusal> {
        let sign = |share: &[(Nonce, Body)]| -> Result<Vec<Signed>, Refusal> {
            share.iter().map(|(nonce, body)| self.sign(*nonce, body.clone(), now)).collect()
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        if cores == 1 || said.len() < RECORDS_FOR_THREADS {
            return sign(&said);
        }
        thread::scope(|scope| {
            let shares = said.chunks(said.len().div_ceil(cores));
            let signing: Vec<_> = shares.map(|share| scope.spawn(move || sign(share))).collect();
            let shares = signing.into_iter().map(|share| share.join().expect("signing does not panic"));
            Ok(shares.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
        })
    }
}

/// How far ahead a `submit_by` may lie: the node's clock may be behind ours by the bound that the chain allows.
pub fn submit_within_ms_max(parameters: &Parameters) -> u64 {
    parameters.submit_ahead_ms_max.saturating_sub(parameters.clock_bound_ms).max(1)
}

/// Whether a genesis starts a chain, and the one expected.
pub fn check_genesis(genesis: &Genesis, chain: Option<&Digest>) -> Result<(), AuthorError> {
    genesis.check().map_err(AuthorError::Genesis)?;
    let found = genesis.chain_id();
    match chain {
        Some(expected) if *expected != found => Err(AuthorError::OtherChain { found, expected: *expected }),
        _ => Ok(()),
    }
}

/// The machine gave no randomness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine gives no randomness: {reason}")]
pub struct NoRandomness {
    /// What it said.
    pub reason: String,
}

/// A nonce that nobody had before.
///
/// # Errors
/// If the machine gives no randomness.
pub fn random_nonce() -> Result<Nonce, NoRandomness> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| NoRandomness { reason: error.to_string() })?;
    Ok(Nonce(nonce))
}
