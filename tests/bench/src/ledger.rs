//! The dataset as a ledger: records of eight authorities, and the state that follows from them.
//!
//! The state is built by the real state machine from real records: encoded, decoded, recalled, built into
//! blocks, committed. Only the signatures are no signatures, since [`State::recall`], by which a node
//! rebuilds its state at start, does not check them; so ten million entries take minutes instead of hours.
//! One thread makes the records, another executes them.

use std::collections::HashMap;
use std::sync::mpsc::sync_channel;

use anyhow::{Context as _, ensure};
use writ_proto::genesis::{Genesis, PROTOCOL, Parameters, RootAuthority};
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, SecretKey, Signature};
use writ_proto::record::{
    AuthorityName, Body, Class, EnrolledKey, Nonce, RecordId, Revoke, Signed, Statement, ValidatorKeys,
};
use writ_proto::scope::Scope;
use writ_proto::state::State;
use writ_proto::time::LedgerTime;

use crate::dataset::{Block, Change, Dataset, ORGANISATIONS};

const TEN_YEARS_MS: u64 = 10 * 365 * 86_400_000;

/// The state of a ledger that holds the whole dataset.
///
/// # Errors
/// If the state machine refuses a record: then the dataset is at fault.
pub(crate) fn state_of(dataset: &Dataset) -> anyhow::Result<State> {
    let author = Author::new(dataset)?;
    let mut state = State::new(author.genesis.clone())?;
    let proposer = author.proposer;
    std::thread::scope(|scope| {
        // Few blocks wait: they hold record bytes, which the state does not keep.
        let (send, receive) = sync_channel(4);
        let maker = scope.spawn(move || -> anyhow::Result<()> {
            let mut targets = HashMap::new();
            for block in dataset.blocks() {
                let records = author.records(&block, &mut targets)?;
                if send.send((block.time, records)).is_err() {
                    // The other side has stopped, and says why.
                    break;
                }
            }
            Ok(())
        });
        for (time, records) in receive {
            append(&mut state, proposer, time, records)?;
        }
        maker.join().map_err(|_| anyhow::anyhow!("the thread that makes records panicked"))?
    })?;
    let (found, expected) = (state.index().len() as u64, dataset.entries());
    ensure!(found == expected, "the state holds {found} entries, expected {expected}");
    Ok(state)
}

fn append(state: &mut State, proposer: KeyId, time: LedgerTime, records: Vec<Signed>) -> anyhow::Result<()> {
    let count = records.len();
    let verified = records.into_iter().map(|record| state.recall(record)).collect::<Result<Vec<_>, _>>()?;
    let built = state.build(time, proposer, verified)?;
    if let Some((id, refusal)) = built.refused.first() {
        anyhow::bail!("record {id} of the dataset is refused: {refusal}");
    }
    let found = built.changes.records.iter().filter(|placed| placed.is_accepted()).count();
    ensure!(found == count, "{found} records of a block were accepted, expected {count}");
    state.commit(built.changes);
    Ok(())
}

/// Who states the dataset's entries.
struct Author {
    genesis: Genesis,
    chain: Digest,
    authorities: Vec<(AuthorityName, KeyId)>,
    proposer: KeyId,
    submit_by: LedgerTime,
}

impl Author {
    fn new(dataset: &Dataset) -> anyhow::Result<Self> {
        let key = |number: u64| SecretKey::from_seed(&[u8::try_from(number).unwrap_or(u8::MAX); 32]);
        let enrolled =
            |key: &SecretKey| EnrolledKey { key: key.public(), possession: key.prove_possession(&Digest::ZERO) };
        let mut authorities = Vec::new();
        let mut roots = Vec::new();
        for organisation in 0..ORGANISATIONS {
            let name: AuthorityName = format!("org{organisation}").parse()?;
            let key = key(1 + organisation);
            authorities.push((name.clone(), key.public().id()));
            roots.push(RootAuthority { name, keys: vec![enrolled(&key)], threshold: 1, scope: Scope::everything() });
        }
        let (vote, checkpoint) = (key(101), key(102));
        let genesis = Genesis {
            protocol: PROTOCOL,
            chain: "ledger.example/bench".into(),
            time: dataset.start(),
            parameters: Parameters { submit_ahead_ms_max: TEN_YEARS_MS, ..Parameters::default() },
            authorities: roots,
            root_quorum: 1,
            validators: vec![ValidatorKeys {
                name: "validator".parse()?,
                vote: enrolled(&vote),
                checkpoint: enrolled(&checkpoint),
            }],
        };
        let submit_by = dataset.end().saturating_add_millis(1);
        Ok(Self { chain: genesis.chain_id(), genesis, authorities, proposer: vote.public().id(), submit_by })
    }

    /// The records of a block. `targets` remembers the ids of what will be revoked.
    fn records(&self, block: &Block, targets: &mut HashMap<u64, RecordId>) -> anyhow::Result<Vec<Signed>> {
        let mut records = Vec::with_capacity(block.changes.len());
        for change in &block.changes {
            let record = match change {
                Change::Entry(position, fact, exp) => {
                    let record = self.record(*position, fact.organisation, Body::Access(fact.access(*exp)))?;
                    if fact.fate == crate::dataset::Fate::Revoked {
                        targets.insert(*position, record.id());
                    }
                    record
                }
                Change::Revocation(revocation) => {
                    let target = targets.remove(&revocation.of).context("a revocation before its target")?;
                    let body = Body::Revoke(Revoke { target, effect: revocation.effect });
                    self.record(revocation.of | 1 << 63, revocation.organisation, body)?
                }
            };
            records.push(record);
        }
        Ok(records)
    }

    fn record(&self, nonce: u64, organisation: u64, body: Body) -> anyhow::Result<Signed> {
        let place = usize::try_from(organisation)?;
        let (authority, key) = self.authorities.get(place).context("an organisation without an authority")?;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&nonce.to_le_bytes());
        let submit_by = (body.class() == Class::Permissive).then_some(self.submit_by);
        let statement =
            Statement { chain: self.chain, authority: authority.clone(), nonce: Nonce(bytes), body, submit_by };
        let (bytes, _) = statement.signed_bytes()?;
        Ok(Signed::assemble(bytes, vec![(*key, Signature([0; 64]))])?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Fate;

    #[test]
    fn the_state_holds_the_dataset() {
        let dataset = Dataset::new(9_000, 3);
        let state = state_of(&dataset).unwrap();
        assert_eq!(state.tip().time, dataset.end());
        let index = state.index();
        for (at, entry) in index.entries().enumerate() {
            let fact = dataset.at(at as u64);
            assert_eq!(index.text(entry.sub), fact.sub);
            assert_eq!(index.text(entry.obj), fact.obj);
            assert_eq!(entry.effect, fact.effect);
            let is_live = entry.revoked.is_none() && entry.end.is_none_or(|end| end > dataset.end());
            assert_eq!(is_live, fact.fate.is_live(), "{fact:?}");
            assert_eq!(entry.revoked.is_some(), fact.fate == Fate::Revoked, "{fact:?}");
        }
    }
}
