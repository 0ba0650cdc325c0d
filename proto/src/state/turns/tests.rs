//! Cases and laws for the order of proposers.

use std::vec;

use proptest::prelude::*;

use super::*;

fn voter(n: u8) -> KeyId {
    KeyId([n; 32])
}

fn voters(n: u8) -> Vec<KeyId> {
    (0..n).map(voter).collect()
}

/// A chain of so many heights whose blocks are built by the first in the order who is there: the order of each height.
fn run(turns: &mut Turns, voters: &[KeyId], heights: core::ops::Range<u64>, away: &[KeyId]) -> Vec<Vec<KeyId>> {
    let mut orders = Vec::new();
    for height in heights {
        let order = turns.order(voters, height);
        let builder = *order.iter().find(|voter| !away.contains(voter)).expect("somebody is there");
        turns.note(voters, height, &builder);
        orders.push(order);
    }
    orders
}

/// The heights, from `first`, at which `voter` comes first.
fn turns_of(orders: &[Vec<KeyId>], first: u64, voter: KeyId) -> Vec<u64> {
    orders.iter().zip(first..).filter(|(order, _)| order[0] == voter).map(|(_, height)| height).collect()
}

#[test]
fn while_all_are_there_each_height_and_each_round_is_a_step() {
    let all = voters(3);
    let orders = run(&mut Turns::default(), &all, 1..7, &[]);
    let of = |places: [usize; 3]| places.map(|at| all[at]).to_vec();
    let expected = [of([1, 2, 0]), of([2, 0, 1]), of([0, 1, 2])];
    assert_eq!(orders, [expected.clone(), expected].concat());
}

#[test]
fn one_who_is_away_is_tried_at_ever_longer_intervals() {
    let (all, dead) = (voters(4), voter(1));
    let orders = run(&mut Turns::default(), &all, 1..1000, &[dead]);
    // It waits for 4 * 2^s heights, then for its turn among the four. From the sixth time on the wait is the same.
    assert_eq!(turns_of(&orders, 1, dead), [1, 13, 33, 69, 137, 269, 529, 789]);
    for (order, height) in orders.iter().zip(1..) {
        let waits = ![1, 10, 11, 12, 13, 30, 31, 32, 33].contains(&height);
        assert!(height > 33 || !waits || order[3] == dead, "height {height}: {order:?}");
    }
    // The others share its turns evenly while it waits.
    let counts: Vec<usize> = [0, 2, 3].map(|n| turns_of(&orders[269..526], 270, voter(n)).len()).to_vec();
    assert!(counts.iter().all(|count| (85..=87).contains(count)), "{counts:?}");
}

#[test]
fn who_comes_back_has_its_turns_again_after_the_first_block_it_builds() {
    let (all, late) = (voters(4), voter(1));
    let mut turns = Turns::default();
    run(&mut turns, &all, 1..70, &[late]);
    // Away until height 133; there again from 70 on. Its turn comes at 137 and is not missed, and then every fourth.
    let orders = run(&mut turns, &all, 70..160, &[]);
    assert_eq!(turns_of(&orders, 70, late), [137, 141, 145, 149, 153, 157]);
    assert!(turns.0.is_empty());
    // A block built in a late round counts as well: the others were away.
    let mut turns = Turns::default();
    run(&mut turns, &all, 1..3, &[late]);
    run(&mut turns, &all, 3..4, &[voter(0), voter(2), voter(3)]);
    assert!(!turns.0.contains_key(&late), "{turns:?}");
}

#[test]
fn a_block_of_ones_own_that_others_propose_again_is_no_missed_turn() {
    let all = voters(4);
    let mut turns = Turns::default();
    // The header names who built it, whatever round it was decided in.
    turns.note(&all, 1, &voter(1));
    assert!(turns.0.is_empty());
    turns.note(&all, 2, &voter(1));
    assert_eq!(turns.order(&all, 6), [voter(0), voter(1), voter(3), voter(2)], "voter 2 has missed height 2");
}

#[test]
fn a_validator_alone_has_every_turn_and_nobody_has_none() {
    let alone = voters(1);
    let mut turns = Turns::default();
    assert_eq!(run(&mut turns, &alone, 1..5, &[]), vec![alone.clone(); 4]);
    assert_eq!(turns.order(&[], 7), []);
    assert_eq!(turns.order(&alone, u64::MAX), alone);
    turns.note(&voters(2), u64::MAX, &voter(0));
    turns.note(&[], 3, &voter(0));
}

#[test]
fn who_leaves_is_forgotten_and_who_comes_is_thought_to_be_there() {
    let all = voters(4);
    let mut turns = Turns::default();
    run(&mut turns, &all, 1..20, &[voter(1)]);
    let next = [voter(0), voter(2), voter(3), voter(9)];
    turns.keep(&next);
    assert!(turns.0.is_empty());
    let order = turns.order(&next, 23);
    assert_eq!(order, [voter(9), voter(0), voter(2), voter(3)]);
}

proptest! {
    /// Whatever stands in the log, everybody is in the order once, and proposes in one of any n rounds.
    #[test]
    fn everybody_stays_in_the_order(n in 1_u8..10, builders in prop::collection::vec(0_u8..12, 0..200)) {
        let all = voters(n);
        let mut turns = Turns::default();
        for (builder, height) in builders.into_iter().zip(1..) {
            let mut order = turns.order(&all, height);
            turns.note(&all, height, &voter(builder));
            order.sort_unstable();
            prop_assert_eq!(&order, &all);
        }
    }

    /// Those who are dead come first at O(log heights) heights, until the wait no longer grows.
    #[test]
    fn the_dead_come_first_at_few_heights(n in 4_u8..14, dead in prop::collection::btree_set(0_u8..14, 0..5), start in 1_u64..100) {
        const HEIGHTS: u64 = 2000;
        let all = voters(n);
        let dead: Vec<KeyId> = dead.into_iter().filter(|voter| *voter < n).take((n as usize - 1) / 3).map(voter).collect();
        let orders = run(&mut Turns::default(), &all, start..start + HEIGHTS, &dead);
        let most = u64::from(STREAK_MAX) + 1 + HEIGHTS / (u64::from(n) << STREAK_MAX);
        for dead in dead {
            let turns = turns_of(&orders, start, dead).len() as u64;
            prop_assert!(turns <= most, "{} turns in {} heights", turns, HEIGHTS);
            prop_assert!(turns >= 3, "it is tried again: {} turns", turns);
        }
    }

    /// One who misses its turns at will costs a timeout for at most one in 2n heights, and takes no turn from the others.
    #[test]
    fn who_misses_turns_at_will_costs_few(n in 4_u8..10, whims in prop::collection::vec(any::<bool>(), 400)) {
        let all = voters(n);
        let (mut turns, mut missed) = (Turns::default(), 0);
        let mut had = BTreeMap::<KeyId, u64>::new();
        for (whim, height) in whims.into_iter().zip(1..) {
            let order = turns.order(&all, height);
            let builder = if order[0] == voter(0) && whim { order[1] } else { order[0] };
            missed += u64::from(builder != order[0]);
            *had.entry(order[0]).or_default() += 1;
            turns.note(&all, height, &builder);
        }
        prop_assert!(missed <= 400 / (2 * u64::from(n)) + 1, "{} missed", missed);
        let fair = 400 / u64::from(n);
        for honest in &all[1..] {
            let own = had.get(honest).copied().unwrap_or(0);
            prop_assert!(own + 40 >= fair, "{} turns of about {}", own, fair);
        }
    }
}
