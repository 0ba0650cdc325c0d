//! Whose turn it is to propose, so that a validator that is away does not cost a timeout at every height.
//!
//! The validators that are thought to be there take turns at the first round, ascending by the id of their voting
//! key, one step with each height. One that misses its turn goes to the end of the order, where it still proposes
//! when all others failed, and is tried again later:
//!
//! ```text
//!   height h:  order  A B C D       B built the block: A has missed its turn, for the s-th time in a row
//!              order  .. .. .. A    for the next n * 2^s heights
//!              order  A among the others, until it builds a block (s = 0) or misses its turn again (s + 1)
//! ```
//!
//! So one that is dead for long costs one timeout in about n * 2^[`STREAK_MAX`] heights. All of this follows from
//! the log alone: a turn is missed if the block of that height names somebody else as the one who built it. Whoever
//! misses its turn on purpose costs a timeout and loses turns. Everybody stays in the order, so with any validator
//! that works there is a round in which it proposes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::key::KeyId;

/// How many turns missed in a row make the wait longer.
const STREAK_MAX: u32 = 6;

/// Who missed a turn and has built no block since.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(BTreeMap<KeyId, Absence>);

#[derive(Clone, Copy, Debug)]
struct Absence {
    /// Turns missed in a row.
    streak: u32,
    /// The last height at which it stands at the end.
    until: u64,
}

impl Turns {
    /// Who proposes at `height`: in round r the one at place r, modulo their number. `voters` are the validators of
    /// that height, ascending.
    pub(super) fn order(&self, voters: &[KeyId], height: u64) -> Vec<KeyId> {
        let is_away = |voter: &&KeyId| self.0.get(*voter).is_some_and(|absence| height <= absence.until);
        let (mut away, mut order): (Vec<KeyId>, Vec<KeyId>) = voters.iter().partition(is_away);
        turn(&mut order, height);
        turn(&mut away, height);
        order.append(&mut away);
        order
    }

    /// Takes in who built the block of `height`.
    pub(super) fn note(&mut self, voters: &[KeyId], height: u64, builder: &KeyId) {
        let first = self.order(voters, height).first().copied();
        self.0.remove(builder);
        let Some(missed) = first.filter(|first| first != builder) else { return };
        let streak = self.0.get(&missed).map_or(1, |absence| (absence.streak + 1).min(STREAK_MAX));
        let wait = (voters.len() as u64) << streak;
        self.0.insert(missed, Absence { streak, until: height.saturating_add(wait) });
    }

    /// Forgets who is no validator any more.
    pub(super) fn keep(&mut self, voters: &[KeyId]) {
        self.0.retain(|voter, _| voters.binary_search(voter).is_ok());
    }
}

/// One step with each height.
fn turn(order: &mut [KeyId], height: u64) {
    let n = order.len() as u64;
    if n > 0 {
        order.rotate_left((height % n) as usize);
    }
}

#[cfg(test)]
mod tests;
