//! Repair: a lone validator goes on although something was lost, because an operator says so.
//!
//! A database that is behind its guard, or whose guard is gone, may be an older truth, so its node answers nothing. Where
//! there are other nodes, they have what is missing. Where there are none, somebody has to decide:
//!
//! | found | without `--sign-again` | with it |
//! |---|---|---|
//! | nothing wrong | refused | refused |
//! | other validators, or this is none | refused: they have what is missing | refused |
//! | the database is of another history | refused: restore | refused |
//! | tip guard missing, damaged or ahead; the key signed nothing above the next block | the guards begin anew at the database's tip | the same |
//! | the key signed blocks that are gone, or what it signed is not known | refused: find a copy, and restore | the sign guard begins anew too |
//!
//! The last line is the one way to a **second signature for one step**, hence a word of its own: the chain goes on with
//! other blocks at heights that were decided before. Whoever holds a receipt, a checkpoint or a copy from the lost blocks
//! can show that. It is right only if nobody does.
//!
//! All of it is written to [`crate::journal`] before it is done.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use writ_proto::state::State;

use crate::chain::rebuild;
use crate::clock::{Clock, ClockError};
use crate::guard::{GuardFileError, SignGuard, Standing, TipGuard, TipGuardError, TipMark};
use crate::home::Home;
use crate::journal;
use crate::node::{open_store, read_genesis};
use crate::restore::{is_alone, is_lost, lost_checkpoint_guard, renew_checkpoint_guard, set_aside, vote_key};
use crate::storage::LogStore;

/// What was found, and done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// Where the database ends, and the guards begin.
    pub height: u64,
    /// What the tip guard held before, if that could be read.
    pub before: Option<TipMark>,
    /// What may have been lost, in words.
    pub lost: Vec<String>,
}

/// What is known of what the voting key signed.
enum Signed {
    /// Nothing that stands in the way of the next block.
    Nothing,
    /// Something above it, up to this height.
    UpTo(u64),
    /// Nobody knows; why.
    Unknown(String),
}

/// Lets the lone validator in `home` go on from where its database ends.
///
/// # Errors
/// With what to do instead. See the module's doc.
pub fn repair(home: &Home, sign_again: bool) -> anyhow::Result<Repaired> {
    let state = State::new(read_genesis(home)?).context("the genesis makes no chain")?;
    let store = open_store(home, &state)?;
    let state =
        rebuild(state, &*store).context("the database cannot be repaired; restore a backup into an empty home")?;
    let (chain, tip) = (*state.chain(), state.tip().height);
    let key = vote_key(home)?.context(OTHERS_HAVE_IT)?;
    let public = key.public();
    ensure!(is_alone(&state, &public), OTHERS_HAVE_IT);

    let standing = match TipGuard::open(&home.guard(), &chain, &*store) {
        Ok((_, standing)) => Ok(standing),
        Err(TipGuardError::File(error @ GuardFileError::Damaged { .. })) => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    if let Ok(conflict @ Standing::Conflict { .. }) = standing {
        bail!("{conflict}; nothing can be repaired in it: put the right database back, or restore a backup");
    }
    let clock_bound_ms = state.genesis().parameters.clock_bound_ms;
    let last = store.tip()?.map(|tip| tip.time);
    let clock = match Clock::open(&home.guard(), &chain, clock_bound_ms, last) {
        Ok(_) => None,
        Err(error @ (ClockError::MarkMissing { .. } | ClockError::File(GuardFileError::Damaged { .. }))) => {
            Some(error.to_string())
        }
        Err(error) => return Err(error.into()),
    };
    let signed = match SignGuard::open(&home.keys(), &chain, key) {
        Ok(guard) => signed(&guard, tip, &*store)?,
        Err(error) if is_lost(&error) => Signed::Unknown(error.to_string()),
        Err(error) => return Err(error.into()),
    };

    let tip_is_fine = standing.as_ref().is_ok_and(Standing::may_answer);
    let cosigned = lost_checkpoint_guard(home, &chain)?;
    if tip_is_fine && clock.is_none() && matches!(signed, Signed::Nothing) && cosigned.is_none() {
        bail!("there is nothing to repair: guards and database agree at block {tip}");
    }
    let mut lost = Vec::new();
    match &standing {
        Ok(standing) if standing.may_answer() => {}
        Ok(Standing::Behind { guard, db }) => lost.push(format!(
            "blocks {} to {guard}, which were answered from: what they denied or revoked may hold again, and what they granted does not",
            db + 1
        )),
        Ok(standing) => lost.push(format!("{standing}: whatever came after block {tip}")),
        Err(damage) => lost.push(format!("{damage}: whatever came after block {tip}")),
    }
    if let Some(clock) = &clock {
        lost.push(format!("{clock}: what had ended by a clock that was ahead may hold again until the clock is there"));
    }
    if let Some(cosigned) = &cosigned {
        lost.push(format!("{cosigned}: checkpoints that it signed of a log that is gone contradict those to come"));
    }
    let unsigned = match &signed {
        Signed::Nothing => None,
        Signed::UpTo(height) => Some(format!(
            "this key signed for height {height}, and the database ends at block {tip}: another block {} would be a second signature for one step",
            tip + 1
        )),
        Signed::Unknown(why) => Some(format!("{why}: what it signs next may be a second signature for one step")),
    };
    if let Some(unsigned) = &unsigned {
        ensure!(sign_again, "{unsigned}. {SIGN_AGAIN}");
        lost.push(unsigned.clone());
    }

    note(home, &state, &*store, &standing, &lost, unsigned.is_some())?;
    let before = if tip_is_fine { None } else { TipGuard::restore(&home.guard(), &chain, &*store)? };
    if clock.is_some() {
        Clock::restore(&home.guard(), &chain, last)?;
    }
    if unsigned.is_some() {
        set_aside(&SignGuard::path(&home.keys()))?;
        SignGuard::create_above(&home.keys(), &chain, &public, tip)?;
    }
    renew_checkpoint_guard(home, &chain, state.log().size())?;
    Ok(Repaired { height: tip, before, lost })
}

const OTHERS_HAVE_IT: &str = "only the one validator of a chain is repaired: this chain has others, or this home is none. \
    They have what is missing: start the node, and it catches up; or remove `db` and `wal` (never `keys`) and start it, or restore a backup";

const SIGN_AGAIN: &str = "If anybody has a copy of the lost blocks (a full node, an export, a backup), restore from it. \
    If nobody has, so that nobody can ever show them, `--sign-again` lets this key sign there again";

/// What the key signed, held against the next block.
fn signed(guard: &SignGuard, tip: u64, store: &dyn LogStore) -> anyhow::Result<Signed> {
    if guard.floor() > tip {
        return Ok(Signed::UpTo(guard.floor()));
    }
    let next = tip + 1;
    match guard.last()? {
        // The block that was voted for is here, and will be voted for again.
        Some((height, step)) if height == next => {
            let held = store.undecided(next)?;
            let is_held = step.value.is_none_or(|value| held.iter().any(|(own, _)| *own == value));
            Ok(if is_held { Signed::Nothing } else { Signed::UpTo(height) })
        }
        Some((height, _)) if height > next => Ok(Signed::UpTo(height)),
        _ => Ok(Signed::Nothing),
    }
}

fn note(
    home: &Home,
    state: &State,
    store: &dyn LogStore,
    standing: &Result<Standing, String>,
    lost: &[String],
    sign_again: bool,
) -> anyhow::Result<()> {
    let guard = match TipGuard::open(&home.guard(), state.chain(), store) {
        Ok((guard, _)) => guard.mark()?,
        Err(_) => None,
    };
    let mark = |mark: &TipMark| json!({ "height": mark.height, "block": mark.block, "commit_leaf": mark.commit_leaf });
    let tip = state.tip();
    let told = json!({
        "chain": state.chain(),
        "guard": guard.as_ref().map_or(Value::Null, mark),
        "database": { "height": tip.height, "block": tip.block, "commit_leaf": tip.commit_leaf },
        "standing": standing.as_ref().map_or_else(Clone::clone, ToString::to_string),
        "lost": lost,
        "sign_again": sign_again,
    });
    journal::note(home, "repair", told)
        .with_context(|| format!("cannot note the repair in `{}`", journal::path(home).display()))
}

#[cfg(test)]
mod tests;
