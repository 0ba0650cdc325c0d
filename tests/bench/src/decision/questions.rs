//! What is asked: half of it about something granted, a tenth about something denied.
//!
//! The subject is drawn first, uniformly or by Zipf's law, then what is asked about it:
//!
//! | share | the object |
//! |---|---|
//! | 50 % | what a live grant of the user, of a team, or of a department above it stands on |
//! | 10 % | what a live denial of the user stands on (of the next user, if this one has none) |
//! | 10 % | what an expired or revoked grant of the user stood on |
//! | 30 % | a file drawn in the same way as the subject |
//!
//! Where a grant or denial stands on a folder, some file below it is asked about. What the answer will be is
//! not known here: a denial may meet a grant. The report says how many were granted.

use writ_proto::decision::Question;
use writ_proto::name::{Action, Name};
use writ_proto::record::Effect;

use crate::dataset::{ACTIONS, Dataset, Fact, file, place_of_file, user};
use crate::random::{Keys, Random};

/// `count` questions about the dataset, always the same for a seed.
///
/// # Panics
/// If a name of the dataset is no name.
pub(super) fn questions(dataset: &Dataset, keys: Keys, count: usize, seed: u64) -> Vec<Question> {
    let mut random = Random::new(seed).fork(keys as u64);
    (0..count).map(|_| question(dataset, keys, &mut random)).collect()
}

fn question(dataset: &Dataset, keys: Keys, random: &mut Random) -> Question {
    let who = keys.pick(random, dataset.users());
    let found = match random.below(100) {
        0..50 => granted(dataset, random, who),
        50..60 => denied(dataset, random, who),
        60..70 => pick(random, own(dataset, who, Effect::Grant, false)).map(|fact| (who, fact)),
        _ => None,
    };
    let (who, act, obj) = match found {
        Some((who, fact)) => (who, action(random, fact.act), exact(random, &fact.obj)),
        None => {
            let (department, folder, at) = place_of_file(keys.pick(random, dataset.files()));
            (who, action(random, "*"), file(department, folder, at))
        }
    };
    let home = dataset.department_of(dataset.team_of(who, 0));
    Question {
        sub: Name::parse_full(&user(home, who)).expect("a user's name is a name"),
        act: Some(Action::parse(act).expect("an action's name is an action")),
        obj: Name::parse_full(&obj).expect("a file's name is a name"),
    }
}

/// Something that the user may do: by a grant of its own, of its team or of its department.
fn granted(dataset: &Dataset, random: &mut Random, who: u64) -> Option<(u64, Fact)> {
    let team = dataset.team_of(who, random.below(2));
    let facts = match random.below(10) {
        0..5 => own(dataset, who, Effect::Grant, true),
        5..8 => rights(dataset.of_team(team), Effect::Grant, true),
        _ => rights(dataset.of_department(dataset.department_of(team)), Effect::Grant, true),
    };
    // Some have nothing but memberships: then what the team has.
    let facts =
        if facts.is_empty() { rights(dataset.of_team(dataset.team_of(who, 0)), Effect::Grant, true) } else { facts };
    pick(random, facts).map(|fact| (who, fact))
}

/// Something that is denied to this user, or to the first one after it to whom something is.
fn denied(dataset: &Dataset, random: &mut Random, who: u64) -> Option<(u64, Fact)> {
    (who..dataset.users()).take(100).find_map(|who| {
        let facts = own(dataset, who, Effect::Deny, true);
        pick(random, facts).map(|fact| (who, fact))
    })
}

fn own(dataset: &Dataset, who: u64, effect: Effect, live: bool) -> Vec<Fact> {
    rights(dataset.of_user(who), effect, live)
}

/// Those of `facts` that are about files.
fn rights(facts: impl Iterator<Item = Fact>, effect: Effect, live: bool) -> Vec<Fact> {
    facts.filter(|fact| fact.effect == effect && fact.act != "member" && fact.fate.is_live() == live).collect()
}

fn pick(random: &mut Random, mut facts: Vec<Fact>) -> Option<Fact> {
    let count = facts.len() as u64;
    (count > 0).then(|| facts.swap_remove(random.below(count) as usize))
}

/// The action itself, or any where it is every action.
fn action(random: &mut Random, act: &'static str) -> &'static str {
    if act == "*" { ACTIONS[random.below(ACTIONS.len() as u64) as usize] } else { act }
}

/// The object itself, or some file below it.
fn exact(random: &mut Random, obj: &str) -> String {
    let Some(prefix) = obj.strip_suffix('*') else { return obj.into() };
    match prefix.matches('/').count() {
        // Below a department there are folders first.
        2 => format!("{prefix}p{}/f{}", random.below(20), random.below(20)),
        _ => format!("{prefix}f{}", random.below(20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;

    #[test]
    fn the_same_seed_asks_the_same_and_another_asks_otherwise() {
        let dataset = Dataset::new(5_000, 3);
        let ask = |seed| questions(&dataset, Keys::Zipf, 50, seed);
        assert_eq!(ask(1), ask(1));
        assert_ne!(ask(1), ask(2));
    }

    #[test]
    fn zipf_asks_about_few_subjects_most_of_the_time() {
        let dataset = Dataset::new(100_000, 3);
        let distinct = |keys| {
            let all = questions(&dataset, keys, 2_000, 1);
            all.iter().map(|question| question.sub.as_str().to_owned()).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert!(distinct(Keys::Uniform) > 1_700, "{}", distinct(Keys::Uniform));
        assert!(distinct(Keys::Zipf) < 1_000, "{}", distinct(Keys::Zipf));
    }
}
