//! The authorities of a chain and every key that it ever admitted to them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::genesis::Genesis;
use crate::key::{KeyId, PublicKey};
use crate::record::AuthorityName;
use crate::scope::Scope;

/// A key with its ordinal among all keys that the chain ever admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// The ordinal.
    pub ordinal: u32,
    /// The key.
    pub key: PublicKey,
}

/// One authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its name.
    pub name: AuthorityName,
    /// The ordinal of the authority that enrolled it; `None` for a root.
    pub parent: Option<u32>,
    /// Every key that it ever had.
    pub keys: Vec<(KeyId, KnownKey)>,
    /// How many of its keys must sign.
    pub threshold: u8,
    /// What it may speak of.
    pub scope: Scope,
}

impl Authority {
    /// The key of an id, if the authority ever had it.
    pub fn key(&self, id: &KeyId) -> Option<&KnownKey> {
        self.keys.iter().find(|(own, _)| own == id).map(|(_, key)| key)
    }
}

/// All authorities, by ordinal (the order in which they came) and by name.
#[derive(Clone, Debug)]
pub struct Authorities {
    all: Vec<Authority>,
    ordinals: BTreeMap<AuthorityName, u32>,
    /// Distinct sets of keys that signed anything, and their ordinals.
    signers: BTreeMap<Box<[u32]>, u32>,
}

impl Authorities {
    pub(super) fn of(genesis: &Genesis) -> Self {
        let mut next_key = 0;
        let mut authority = |root: &crate::genesis::RootAuthority| {
            let known = |key: &crate::record::EnrolledKey| {
                let ordinal = next_key;
                next_key += 1;
                (key.key.id(), KnownKey { ordinal, key: key.key })
            };
            Authority {
                name: root.name.clone(),
                parent: None,
                keys: root.keys.iter().map(known).collect(),
                threshold: root.threshold,
                scope: root.scope.clone(),
            }
        };
        let all: Vec<Authority> = genesis.authorities.iter().map(&mut authority).collect();
        let ordinals = all.iter().zip(0..).map(|(authority, ordinal)| (authority.name.clone(), ordinal)).collect();
        Self { all, ordinals, signers: BTreeMap::new() }
    }

    /// All of them, by ordinal.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.all.iter()
    }

    /// The roots, by ordinal.
    pub fn roots(&self) -> impl Iterator<Item = &Authority> {
        self.all.iter().filter(|authority| authority.parent.is_none())
    }

    /// One by its ordinal.
    pub fn get(&self, ordinal: u32) -> Option<&Authority> {
        self.all.get(ordinal as usize)
    }

    /// One by its name, with its ordinal.
    pub fn by_name(&self, name: &AuthorityName) -> Option<(u32, &Authority)> {
        let ordinal = *self.ordinals.get(name)?;
        Some((ordinal, self.get(ordinal)?))
    }

    /// The root above an authority: itself, if it is one.
    pub fn root_of(&self, ordinal: u32) -> u32 {
        self.line_of(ordinal).last().unwrap_or(ordinal)
    }

    /// Whether `above` is `below` or an ancestor of it.
    pub fn is_self_or_ancestor(&self, above: u32, below: u32) -> bool {
        self.line_of(below).any(|ordinal| ordinal == above)
    }

    /// An authority, its parent, and so on up to the root.
    fn line_of(&self, ordinal: u32) -> impl Iterator<Item = u32> {
        core::iter::successors(Some(ordinal), |at| self.get(*at)?.parent)
    }

    /// The ordinal of a set of keys (ascending ordinals) among all that signed anything.
    pub(super) fn intern_signers(&mut self, keys: &[u32]) -> u32 {
        if let Some(ordinal) = self.signers.get(keys) {
            return *ordinal;
        }
        let ordinal = u32::try_from(self.signers.len()).expect("fewer than 2^32 sets of keys sign");
        self.signers.insert(keys.into(), ordinal);
        ordinal
    }
}
