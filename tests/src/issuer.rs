//! An authority that signs with keys of its own, without the program `writ`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use writ_proto::hash::Digest;
use writ_proto::key::SecretKey;
use writ_proto::name::{ActionPattern, Pattern, Side};
use writ_proto::record::{
    Access, AuthorityName, Body, Class, Effect, EnrolledKey, Nonce, RecordId, Revoke, Signed, Statement,
};
use writ_proto::time::LedgerTime;

/// How far ahead `submit_by` lies: half of what a chain allows if nothing else was asked for.
const SUBMIT_AHEAD_MS: u64 = 30 * 60 * 1000;

/// An authority with one key.
#[derive(Debug)]
pub struct Issuer {
    name: AuthorityName,
    key: SecretKey,
    chain: Digest,
    nonce: AtomicU64,
}

impl Issuer {
    /// The authority `name`, its key made from `seed`.
    pub fn new(name: &str, seed: u8) -> Self {
        let name = name.parse().expect("a name of an authority");
        let key = SecretKey::from_seed(&[seed; 32]);
        Self { name, key, chain: Digest::ZERO, nonce: AtomicU64::new(0) }
    }

    /// The same for another chain.
    pub fn on_chain(&self, chain: Digest) -> Self {
        let key = SecretKey::from_seed(&self.key.to_seed());
        Self { name: self.name.clone(), key, chain, nonce: AtomicU64::new(0) }
    }

    /// Its name.
    pub fn name(&self) -> &AuthorityName {
        &self.name
    }

    /// Its key.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Writes its public key into `folder`, as `writ-node init` reads it.
    pub fn write_public(&self, folder: &Path) -> PathBuf {
        let enrolled = EnrolledKey { key: self.key.public(), possession: self.key.prove_possession(&Digest::ZERO) };
        let file = folder.join(format!("{}.pub", self.name));
        let text = serde_json::to_string(&enrolled).expect("a key can be written");
        std::fs::write(&file, text).expect("a temporary folder can be written to");
        file
    }

    /// What it states with `body`, not yet signed.
    pub fn statement(&self, body: Body) -> Statement {
        let submit_by = (body.class() == Class::Permissive).then(|| now().saturating_add_millis(SUBMIT_AHEAD_MS));
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        Statement { chain: self.chain, authority: self.name.clone(), nonce: Nonce(nonce), body, submit_by }
    }

    /// Signs `body`; every call makes another record.
    pub fn sign(&self, body: Body) -> Signed {
        self.sign_statement(&self.statement(body))
    }

    /// Signs a statement.
    pub fn sign_statement(&self, statement: &Statement) -> Signed {
        statement.sign(&[&self.key]).unwrap_or_else(|refusal| panic!("{refusal} in {statement:?}"))
    }

    /// Signs a grant.
    pub fn grant(&self, sub: &str, act: &str, obj: &str) -> Signed {
        self.sign(Body::Access(access(Effect::Grant, sub, act, obj)))
    }

    /// Signs a denial.
    pub fn deny(&self, sub: &str, act: &str, obj: &str) -> Signed {
        self.sign(Body::Access(access(Effect::Deny, sub, act, obj)))
    }

    /// Signs the end of an entry.
    pub fn revoke(&self, target: RecordId, effect: Effect) -> Signed {
        self.sign(Body::Revoke(Revoke { target, effect }))
    }
}

/// An entry without bounds in time.
pub fn access(effect: Effect, sub: &str, act: &str, obj: &str) -> Access {
    Access {
        sub: Pattern::from_display(sub, Side::Subject).unwrap_or_else(|error| panic!("`{sub}`: {error}")),
        obj: Pattern::from_display(obj, Side::Object).unwrap_or_else(|error| panic!("`{obj}`: {error}")),
        act: ActionPattern::parse(act).unwrap_or_else(|error| panic!("`{act}`: {error}")),
        effect,
        iss: None,
        exp: None,
        cond: None,
        reference: None,
    }
}

/// This machine's clock.
pub fn now() -> LedgerTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    LedgerTime::from_millis(since.as_millis() as u64).expect("a clock before the year 10000")
}
