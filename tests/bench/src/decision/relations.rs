//! The part of the dataset that policy engines can express: who stands below whom now, and who is on which
//! list of an object.
//!
//! They have no windows of time on a relation, so only what holds at the moment of the questions is here;
//! and no way to deny a membership without denying what it gives, so those denials are left out, and the
//! questions that they bear on are not asked. Everything else is the same question.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use writ_proto::decision::Question;
use writ_proto::name::{Name, candidates};
use writ_proto::record::Effect;

use crate::dataset::Dataset;

/// Who is on which list of an object: by action (`all` for every one), grants and denials apart.
pub(super) type Lists = BTreeMap<(Effect, &'static str), Vec<String>>;

/// The relations that hold at the end of the log.
pub(super) struct Relations {
    /// For every user and role, the roles and patterns directly above.
    pub(super) above: HashMap<String, BTreeSet<String>>,
    /// For every object and pattern over objects, its lists.
    pub(super) lists: HashMap<String, Lists>,
}

impl Relations {
    /// The relations among the holders of the dataset and the subjects of `questions`.
    ///
    /// # Errors
    /// If a name of the dataset is no name.
    pub(super) fn of(dataset: &Dataset, questions: &[Question]) -> anyhow::Result<Self> {
        let mut relations = Self { above: HashMap::new(), lists: HashMap::new() };
        let mut patterns = BTreeSet::new();
        for position in 0..dataset.entries() {
            let fact = dataset.at(position);
            if !fact.fate.is_live() {
                continue;
            }
            if fact.sub.ends_with('*') {
                patterns.insert(fact.sub.clone());
            }
            match (fact.act, fact.effect) {
                ("member", Effect::Grant) => {
                    relations.above.entry(fact.obj.clone()).or_default();
                    relations.above.entry(fact.sub).or_default().insert(fact.obj);
                }
                ("member", Effect::Deny) => {}
                (act, effect) => {
                    let list = if act == "*" { "all" } else { act };
                    let lists = relations.lists.entry(fact.obj).or_default();
                    lists.entry((effect, list)).or_default().push(fact.sub);
                }
            }
        }
        for question in questions {
            relations.above.entry(question.sub.as_str().into()).or_default();
        }
        for (name, above) in &mut relations.above {
            let name = Name::parse_full(name)?;
            above.extend(candidates(&name).skip(1).filter_map(|text| patterns.get(&*text).cloned()));
        }
        for pattern in patterns {
            relations.above.entry(pattern).or_default();
        }
        Ok(relations)
    }
}
