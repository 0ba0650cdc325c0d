//! From rows, journal and what was found to the records to send: pure.
//!
//! In two steps, because what a withdrawal finds must be looked up between them. A [`Draft`] knows the rows'
//! ids and times, and which keys to look up; a [`Plan`] also which entries each withdrawal ends:
//!
//! - those of earlier rows of the file on its key, as far as no row between them withdrew them already, and
//! - those that stood in the ledger before the row was first seen ([`Found`], kept in the journal from then
//!   on), as far as they are not this file's own.
//!
//! The first are computed anew each time, so a file may grow at its end or in between, and rows that were
//! refused may be corrected: what the rows say is what counts. The second must not be, since they were there
//! before the import and are not afterwards.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use writ_proto::hash::{Digest, Domain};
use writ_proto::record::{Access, AuthorityName, Body, Effect, Nonce, RecordId, Revoke, Statement};
use writ_proto::time::LedgerTime;

use super::rows::{Key, Row, RowFault, Wish};

/// An entry that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Its id.
    pub id: RecordId,
    /// What it is.
    pub effect: Effect,
}

/// What a row was resolved to when it was first seen: what does not follow from its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// What `iss` meant.
    pub iss: Option<LedgerTime>,
    /// What `exp` meant.
    pub exp: Option<LedgerTime>,
    /// The entries that a withdrawal found in the ledger.
    pub found: Vec<Target>,
}

/// A row that was resolved, as the journal keeps it: its nonce names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The row.
    pub nonce: Nonce,
    /// The line on which it stood then.
    pub line: u64,
    /// What it was resolved to.
    pub resolved: Resolved,
}

/// The live entries of the importing authority, by key.
pub type Found = BTreeMap<Key, Vec<Target>>;

/// Rows with their ids and times.
#[derive(Clone, Debug)]
pub struct Draft {
    rows: Vec<DraftRow>,
}

#[derive(Clone, Debug)]
struct DraftRow {
    line: u64,
    nonce: Nonce,
    resolved: Resolved,
    /// Whether the journal knew it.
    is_kept: bool,
    deed: Result<DraftDeed, RowFault>,
}

#[derive(Clone, Debug)]
enum DraftDeed {
    State { id: RecordId, effect: Effect, key: Key, body: Box<Body> },
    Withdraw { key: Key },
}

/// What to send, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// One for each row.
    pub rows: Vec<PlannedRow>,
    /// The rows that the journal does not know yet, with their places among those that it will know.
    pub fresh: Vec<(usize, Kept)>,
}

/// What to do for one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRow {
    /// Its line in the file.
    pub line: u64,
    /// The nonce of its records.
    pub nonce: Nonce,
    /// What to do.
    pub deed: Result<Deed, RowFault>,
}

/// What a row does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// States an entry.
    State {
        /// The id that it will have.
        id: RecordId,
        /// The entry.
        body: Box<Body>,
    },
    /// Ends entries; perhaps there are none.
    Withdraw {
        /// Which ones, in the order in which they were made.
        targets: Vec<Target>,
    },
}

/// Why a file is not the one that its journal is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// A row that was sent is gone or changed.
    #[error("the row that was imported from line {line} is no longer in the file as it was")]
    Missing {
        /// Where it stood.
        line: u64,
    },
    /// Rows that were sent stand in another order.
    #[error("the row on line {line} was imported before a row that now stands above it")]
    Reordered {
        /// Where it stands.
        line: u64,
    },
}

impl Target {
    /// What ends it.
    pub fn revoke(&self) -> Revoke {
        Revoke { target: self.id, effect: self.effect }
    }
}

impl PlannedRow {
    /// Whether it states an entry that has ended by `now`: it never holds, if it comes into the log then.
    pub fn has_ended(&self, now: LedgerTime) -> bool {
        let Ok(Deed::State { body, .. }) = &self.deed else { return false };
        matches!(&**body, Body::Access(Access { exp: Some(exp), .. }) if *exp <= now)
    }
}

impl Plan {
    /// The record that ends `target`.
    pub fn revocation(target: Target) -> Body {
        Body::Revoke(target.revoke())
    }
}

/// The nonce of a row. Each part has its length before it or a fixed one, so no two rows share the bytes.
pub fn nonce_of(chain: &Digest, authority: &AuthorityName, text: &[u8], ordinal: u64) -> Nonce {
    let authority = authority.as_str().as_bytes();
    let digest = Domain::ImportNonce.hash(&[
        &chain.0,
        &(authority.len() as u64).to_le_bytes(),
        authority,
        &(text.len() as u64).to_le_bytes(),
        text,
        &ordinal.to_le_bytes(),
    ]);
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&digest.0[..16]);
    Nonce(nonce)
}

impl Draft {
    /// Gives each row its nonce, its times (those kept in the journal, else as of `now`) and its id.
    ///
    /// # Errors
    /// If the file is not the one that `kept` is of: each row that was sent must still be there, and
    /// in the same order.
    pub fn new(
        rows: &[Row],
        kept: &[Kept],
        chain: &Digest,
        authority: &AuthorityName,
        now: LedgerTime,
    ) -> Result<Self, Mismatch> {
        let nonces: Vec<Nonce> = rows.iter().map(|row| nonce_of(chain, authority, &row.text, row.ordinal)).collect();
        let places: HashMap<[u8; 16], usize> = nonces.iter().enumerate().map(|(at, nonce)| (nonce.0, at)).collect();
        check_order(kept, &places, rows)?;
        let kept: HashMap<[u8; 16], &Resolved> = kept.iter().map(|kept| (kept.nonce.0, &kept.resolved)).collect();
        let speaker = Speaker { chain, authority };
        let rows = rows.iter().zip(nonces).map(|(row, nonce)| {
            let known = kept.get(&nonce.0).copied();
            let mut resolved = known.cloned().unwrap_or_default();
            let deed = row.wish.clone().and_then(|wish| resolve(wish, known.is_none(), &mut resolved, now));
            let deed = deed.and_then(|deed| speaker.name(nonce, deed));
            DraftRow { line: row.line, nonce, resolved, is_kept: known.is_some(), deed }
        });
        Ok(Self { rows: rows.collect() })
    }

    /// The keys on which withdrawals that are new look for entries.
    pub fn keys_to_look_up(&self) -> BTreeSet<Key> {
        let new = self.rows.iter().filter(|row| !row.is_kept);
        new.filter_map(|row| match &row.deed {
            Ok(DraftDeed::Withdraw { key }) => Some(key.clone()),
            _ => None,
        })
        .collect()
    }

    /// Decides what each withdrawal ends, `found` being what was looked up.
    pub fn complete(self, mut found: Found) -> Plan {
        let own: HashSet<RecordId> = self
            .rows
            .iter()
            .filter_map(|row| match &row.deed {
                Ok(DraftDeed::State { id, .. }) => Some(*id),
                _ => None,
            })
            .collect();
        let mut made: HashMap<Key, Vec<Target>> = HashMap::new();
        let mut withdrawn: HashSet<RecordId> = HashSet::new();
        let mut plan = Plan { rows: Vec::with_capacity(self.rows.len()), fresh: Vec::new() };
        let mut known = 0;
        for DraftRow { line, nonce, mut resolved, is_kept, deed } in self.rows {
            let deed = deed.map(|deed| match deed {
                DraftDeed::State { id, effect, key, body } => {
                    made.entry(key).or_default().push(Target { id, effect });
                    Deed::State { id, body }
                }
                DraftDeed::Withdraw { key } => {
                    if !is_kept {
                        // The first new withdrawal on a key takes all that is found there. What this file makes
                        // itself is for the file's order to decide, even if it is in the ledger already.
                        let all = found.remove(&key).unwrap_or_default();
                        resolved.found = all.into_iter().filter(|target| !own.contains(&target.id)).collect();
                    }
                    let mut targets = resolved.found.clone();
                    targets.extend(made.remove(&key).unwrap_or_default());
                    targets.retain(|target| withdrawn.insert(target.id));
                    Deed::Withdraw { targets }
                }
            });
            // Faulty rows are not kept, so that they can be corrected.
            if deed.is_ok() {
                if !is_kept {
                    plan.fresh.push((known, Kept { nonce, line, resolved }));
                }
                known += 1;
            } else if is_kept {
                known += 1;
            }
            plan.rows.push(PlannedRow { line, nonce, deed });
        }
        plan
    }
}

fn check_order(kept: &[Kept], places: &HashMap<[u8; 16], usize>, rows: &[Row]) -> Result<(), Mismatch> {
    let mut least = 0;
    for Kept { nonce, line, .. } in kept {
        let at = *places.get(&nonce.0).ok_or(Mismatch::Missing { line: *line })?;
        if at < least {
            return Err(Mismatch::Reordered { line: rows[at].line });
        }
        least = at + 1;
    }
    Ok(())
}

/// Puts times into a wish; `resolved` keeps those of a new row.
fn resolve(wish: Wish, is_new: bool, resolved: &mut Resolved, now: LedgerTime) -> Result<Wish, RowFault> {
    let at = |when: Option<crate::when::When>, field| match when.map(|when| when.resolve(now)) {
        Some(None) => Err(RowFault::of(field, "the time lies out of the years 1970 to 9999")),
        Some(time) => Ok(time),
        None => Ok(None),
    };
    match wish {
        Wish::State { mut access, iss, exp } => {
            if is_new {
                *resolved = Resolved { iss: at(iss, "iss")?, exp: at(exp, "exp")?, found: Vec::new() };
            }
            (access.iss, access.exp) = (resolved.iss, resolved.exp);
            access.check()?;
            Ok(Wish::State { access, iss, exp })
        }
        Wish::Withdraw { key, iss } => {
            if is_new && at(iss, "iss")?.is_some_and(|iss| iss > now) {
                let detail = "a withdrawal takes effect when the ledger takes it in, it cannot be scheduled";
                return Err(RowFault::of("iss", detail));
            }
            Ok(Wish::Withdraw { key, iss })
        }
    }
}

/// Who speaks, as ids need it.
struct Speaker<'a> {
    chain: &'a Digest,
    authority: &'a AuthorityName,
}

impl Speaker<'_> {
    fn name(&self, nonce: Nonce, wish: Wish) -> Result<DraftDeed, RowFault> {
        match wish {
            Wish::Withdraw { key, .. } => Ok(DraftDeed::Withdraw { key }),
            Wish::State { access, .. } => {
                let (key, effect) = (Key::from(&access), access.effect);
                let body = Body::Access(access);
                Ok(DraftDeed::State { id: self.id(nonce, &body)?, effect, key, body: Box::new(body) })
            }
        }
    }

    /// The id does not depend on `submit_by`, so any will do.
    fn id(&self, nonce: Nonce, body: &Body) -> Result<RecordId, RowFault> {
        let (chain, authority) = (*self.chain, self.authority.clone());
        let statement: Statement =
            writ_proto::api::statement_of(chain, authority, nonce, body.clone(), LedgerTime::EPOCH);
        Ok(statement.id()?)
    }
}

#[cfg(test)]
mod tests;
