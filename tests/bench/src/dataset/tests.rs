use std::collections::{BTreeMap, BTreeSet};

use writ_proto::name::Name;

use super::*;

#[test]
fn every_slot_comes_once_in_the_log() {
    let dataset = Dataset::new(2_000, 3);
    let slots: BTreeSet<u64> = (0..dataset.entries()).map(|at| at * dataset.step % dataset.entries()).collect();
    assert_eq!(slots.len() as u64, dataset.entries());
}

#[test]
fn the_shares_are_those_of_the_documentation() {
    let dataset = Dataset::new(200_000, 3);
    let all = dataset.entries() as f64;
    assert!((all / 200_000.0 - 1.0).abs() < 0.02, "{all} entries");
    let mut shares: BTreeMap<&str, f64> = BTreeMap::new();
    for at in 0..dataset.entries() {
        let fact = dataset.at(at);
        let what = match (fact.effect, fact.act, fact.sub.starts_with("role:")) {
            (Effect::Deny, _, _) => "denials",
            (Effect::Grant, "member", true) => "nesting",
            (Effect::Grant, "member", false) => "memberships",
            (Effect::Grant, _, _) => "grants",
        };
        *shares.entry(what).or_default() += 100.0 / all;
        if fact.effect == Effect::Grant && fact.act != "member" && fact.obj.ends_with('*') {
            *shares.entry("pattern grants").or_default() += 100.0 / all;
        }
        let fate = match fact.fate {
            Fate::Open => "open",
            Fate::EndsLater => "ends later",
            Fate::Expired => "expired",
            Fate::Revoked => "revoked",
        };
        *shares.entry(fate).or_default() += 100.0 / all;
    }
    for (what, share) in [
        ("memberships", 29.0),
        ("nesting", 1.0),
        ("grants", 65.0),
        ("pattern grants", 11.5),
        ("denials", 5.0),
        ("expired", 10.0),
        ("revoked", 10.0),
        ("ends later", 10.0),
    ] {
        assert!((shares[what] - share).abs() < 1.0, "{what}: {shares:?}");
    }
}

#[test]
fn what_a_holder_has_is_what_the_log_says() {
    let dataset = Dataset::new(3_000, 3);
    let mut by_subject: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for at in 0..dataset.entries() {
        let fact = dataset.at(at);
        by_subject.entry(fact.sub.clone()).or_default().insert(format!("{fact:?}"));
    }
    let same = |facts: Vec<Fact>| {
        assert!(facts.iter().all(|fact| fact.sub == facts[0].sub && Name::parse_full(&fact.sub).is_ok()));
        let own: BTreeSet<String> = facts.iter().map(|fact| format!("{fact:?}")).collect();
        assert_eq!(own, by_subject[&facts[0].sub]);
    };
    for user in [0, 7, dataset.users() - 1] {
        let facts: Vec<Fact> = dataset.of_user(user).collect();
        let roles: Vec<String> = facts
            .iter()
            .filter(|fact| fact.act == "member" && fact.effect == Effect::Grant)
            .map(|fact| fact.obj.clone())
            .collect();
        assert!((1..=8).contains(&roles.len()));
        for (at, role) in roles.iter().enumerate() {
            let team = dataset.team_of(user, at as u64);
            assert_eq!(*role, team_role(dataset.department_of(team), team));
        }
        same(facts);
    }
    same(dataset.of_team(5).collect());
    same(dataset.of_department(5).collect());
}

#[test]
fn blocks_hold_every_entry_and_revoke_after_the_fact() {
    let dataset = Dataset::new(20_000, 3);
    let (mut entries, mut revoked, mut last) = (0, 0, dataset.start());
    for block in dataset.blocks() {
        assert!(block.time > last && block.time <= dataset.end());
        last = block.time;
        for change in block.changes {
            match change {
                Change::Entry(position, fact, exp) => {
                    assert_eq!(position, entries);
                    entries += 1;
                    match fact.fate {
                        Fate::Open | Fate::Revoked => assert_eq!(exp, None),
                        Fate::EndsLater => assert!(exp.is_some_and(|exp| exp > dataset.end())),
                        // In the last block some are dead on arrival.
                        Fate::Expired => {
                            assert!(exp.is_some_and(|exp| exp <= dataset.end()));
                            assert!(exp > Some(block.time) || block.time == dataset.end());
                        }
                    }
                }
                Change::Revocation(Revocation { of, effect, organisation }) => {
                    let target = dataset.at(of);
                    assert!(of < entries && target.fate == Fate::Revoked);
                    assert_eq!((target.effect, target.organisation), (effect, organisation));
                    revoked += 1;
                }
            }
        }
    }
    assert_eq!((entries, last), (dataset.entries(), dataset.end()));
    assert!(revoked > entries / 12 && revoked < entries / 8, "{revoked}");
}
