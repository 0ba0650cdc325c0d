//! Who speaks: a key, the authority that it belongs to, and the chain that it speaks on.

use std::thread;

use writ_proto::api::AuthorityAnswer;
use writ_proto::genesis::Genesis;
use writ_proto::hash::Digest;
use writ_proto::key::{PublicKey, SecretKey};
use writ_proto::record::{AuthorityName, Body, Class, Nonce, Signed, Statement};
use writ_proto::refusal::Refusal;
use writ_proto::time::LedgerTime;

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
    /// One signature is not enough.
    #[error("authority `{name}` needs {threshold} signatures, one key makes one")]
    Threshold {
        /// The authority.
        name: AuthorityName,
        /// How many it needs.
        threshold: u8,
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
        let genesis = client.genesis()?;
        check_genesis(&genesis, chain)?;
        let authority = choose(&client.authorities()?, &key.public(), authority)?;
        Ok(Self::new(&genesis, authority, key))
    }

    /// `key` as a key of `authority` on the chain of `genesis`, without asking anybody.
    pub fn new(genesis: &Genesis, authority: AuthorityName, key: SecretKey) -> Self {
        let parameters = &genesis.parameters;
        // The node's clock may be behind ours by the bound that the chain allows.
        let allowed = parameters.submit_ahead_ms_max.saturating_sub(parameters.clock_bound_ms).max(1);
        Self { chain: genesis.chain_id(), authority, key, submit_within_ms: allowed.min(SUBMIT_WITHIN_MS) }
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

/// Whether a genesis starts a chain, and the one expected.
pub fn check_genesis(genesis: &Genesis, chain: Option<&Digest>) -> Result<(), AuthorError> {
    genesis.check().map_err(AuthorError::Genesis)?;
    let found = genesis.chain_id();
    match chain {
        Some(expected) if *expected != found => Err(AuthorError::OtherChain { found, expected: *expected }),
        _ => Ok(()),
    }
}

fn choose(
    known: &[AuthorityAnswer],
    key: &PublicKey,
    named: Option<&AuthorityName>,
) -> Result<AuthorityName, AuthorError> {
    let authority = match named {
        Some(name) => {
            let found = known.iter().find(|authority| authority.name == *name);
            let found = found.ok_or_else(|| AuthorError::UnknownAuthority { name: name.clone() })?;
            if !found.keys.contains(key) {
                return Err(AuthorError::OtherKey { key: *key, name: name.clone() });
            }
            found
        }
        None => {
            let mut holders = known.iter().filter(|authority| authority.keys.contains(key));
            match (holders.next(), holders.next()) {
                (None, _) => return Err(AuthorError::NoAuthority { key: *key }),
                (Some(only), None) => only,
                (Some(first), Some(second)) => {
                    let rest = holders.map(|authority| authority.name.clone());
                    let names = [first.name.clone(), second.name.clone()].into_iter().chain(rest).collect();
                    return Err(AuthorError::SeveralAuthorities { key: *key, names });
                }
            }
        }
    };
    if authority.threshold > 1 {
        return Err(AuthorError::Threshold { name: authority.name.clone(), threshold: authority.threshold });
    }
    Ok(authority.name.clone())
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

#[cfg(test)]
mod tests {
    use writ_proto::scope::Scope;

    use super::*;

    fn key(n: u8) -> PublicKey {
        SecretKey::from_seed(&[n; 32]).public()
    }

    fn authority(name: &str, keys: &[u8], threshold: u8) -> AuthorityAnswer {
        AuthorityAnswer {
            name: name.parse().unwrap(),
            parent: None,
            keys: keys.iter().copied().map(key).collect(),
            threshold,
            scope: Scope::everything(),
        }
    }

    #[test]
    fn a_key_speaks_for_the_one_authority_that_has_it() {
        let known =
            [authority("a", &[1], 1), authority("b", &[2, 3], 1), authority("c", &[3], 1), authority("d", &[4, 5], 2)];
        let choose = |n: u8, named: Option<&str>| {
            choose(&known, &key(n), named.map(|name| name.parse().unwrap()).as_ref())
                .map(|name| name.to_string())
                .map_err(|error| error.to_string())
        };
        for (n, named, want) in [
            (1, None, Ok("a")),
            (2, None, Ok("b")),
            (3, None, Err("several authorities: `b`, `c`")),
            (3, Some("c"), Ok("c")),
            (1, Some("a"), Ok("a")),
            (1, Some("b"), Err("does not belong to authority `b`")),
            (1, Some("z"), Err("no authority `z`")),
            (4, None, Err("needs 2 signatures")),
            (9, None, Err("belongs to no authority")),
        ] {
            match (choose(n, named), want) {
                (Ok(found), Ok(want)) => assert_eq!(found, want),
                (Err(found), Err(want)) => assert!(found.contains(want), "{found}"),
                (found, want) => panic!("{n} {named:?}: {found:?}, expected {want:?}"),
            }
        }
    }
}
