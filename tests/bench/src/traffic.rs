//! The dataset as the programs take it: rows to import, and questions as paths.

use std::ops::Range;

use writ_proto::record::Effect;
use writ_tests::http::escape;

use crate::dataset::{ACTIONS, Dataset, Fact, Fate, file, place_of_file};
use crate::random::{Keys, Random};

/// The row of a CSV file for an entry (columns `sub,act,obj,access,exp,ref`). What has ended or was revoked in
/// the dataset stands here without an end: the programs' clock is the machine's.
fn row(fact: &Fact, reference: &str) -> String {
    let Fact { sub, act, obj, effect, fate, .. } = fact;
    let access = if *effect == Effect::Grant { "granted" } else { "denied" };
    let exp = if *fate == Fate::EndsLater { "2100-01-01T00:00:00Z" } else { "" };
    format!("{sub},{act},{obj},{access},{exp},{reference}")
}

/// The rows of the entries at these positions. Another `reference` makes the same entries other records.
pub(crate) fn rows(dataset: &Dataset, positions: Range<u64>, reference: &str) -> impl Iterator<Item = String> {
    positions.map(move |position| row(&dataset.at(position), reference))
}

/// `count` questions, each user asked about as often as `keys` says: half of them about something that an own
/// entry of the user names, half about any file.
pub(crate) fn questions(dataset: &Dataset, keys: Keys, random: &mut Random, count: usize) -> Vec<String> {
    (0..count).map(|_| question(dataset, keys, random)).collect()
}

fn question(dataset: &Dataset, keys: Keys, random: &mut Random) -> String {
    let user = keys.pick(random, dataset.users());
    let own: Vec<Fact> = dataset.of_user(user).filter(|fact| fact.act != "member").collect();
    let sub = dataset.of_user(user).next().map(|fact| fact.sub).unwrap_or_default();
    let action = ACTIONS[random.below(ACTIONS.len() as u64) as usize];
    let (act, obj) = match own.get(random.below(2 * own.len().max(1) as u64) as usize) {
        // Any file of a folder has the same entries above it.
        Some(fact) => (if fact.act == "*" { action } else { fact.act }, fact.obj.replace('*', "f0")),
        None => {
            let (department, folder, at) = place_of_file(random.below(dataset.files()));
            (action, file(department, folder, at))
        }
    };
    format!("/v1/check?sub={}&act={act}&obj={}", escape(&sub), escape(&obj))
}
