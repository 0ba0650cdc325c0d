//! What a caller of Cerbos looks up beforehand: whom a subject stands for, and who is on the lists of an object.
//!
//! Cerbos keeps no relations. So the caller walks the memberships (twice: for denials all that may hold, for grants only
//! what no denial of membership bars, decision 0004) and reads the lists, which is what Writ's decision consists of.
//! All entries hold, as in the node: see [`crate::traffic::rows`].

use std::collections::{BTreeSet, HashMap, HashSet};

use anyhow::Context as _;
use writ_proto::name::{Name, candidates};
use writ_proto::record::Effect;

use crate::dataset::Dataset;
use crate::traffic::Asked;

/// The relations of the dataset.
pub(super) struct Rights {
    /// Roles directly above a name or pattern.
    roles: HashMap<String, Vec<String>>,
    /// Roles and patterns over roles whose membership is denied to a name or pattern.
    barred: HashMap<String, Vec<String>>,
    /// Who is granted or denied what on a name or pattern: effect, action, who.
    lists: HashMap<String, Vec<(Effect, &'static str, String)>>,
    /// Names and patterns that some entry is about.
    subjects: HashSet<String>,
}

/// What one question needs.
pub(super) struct Needed {
    /// All names and patterns that the subject may stand for.
    pub(super) wide: BTreeSet<String>,
    /// Those without what comes by barred roles.
    pub(super) narrow: BTreeSet<String>,
    /// To whom the action on the object is granted.
    pub(super) granted: BTreeSet<String>,
    /// To whom it is denied.
    pub(super) denied: BTreeSet<String>,
}

impl Rights {
    pub(super) fn of(dataset: &Dataset) -> Self {
        let (mut roles, mut barred) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        let (mut lists, mut subjects) = (HashMap::<_, Vec<_>>::new(), HashSet::new());
        for position in 0..dataset.entries() {
            let fact = dataset.at(position);
            subjects.insert(fact.sub.clone());
            match (fact.act, fact.effect) {
                ("member", Effect::Grant) => roles.entry(fact.sub).or_default().push(fact.obj),
                ("member", Effect::Deny) => barred.entry(fact.sub).or_default().push(fact.obj),
                (act, effect) => lists.entry(fact.obj).or_default().push((effect, act, fact.sub)),
            }
        }
        Self { roles, barred, lists, subjects }
    }

    /// # Errors
    /// If a name of the dataset is no name.
    pub(super) fn needed(&self, asked: &Asked) -> anyhow::Result<Needed> {
        let wide = self.closure(&asked.sub, &BTreeSet::new())?;
        let barred = wide.iter().filter_map(|bearer| self.barred.get(bearer)).flatten().cloned().collect();
        let narrow = self.closure(&asked.sub, &barred)?;
        let list = |wanted: Effect| -> anyhow::Result<BTreeSet<String>> {
            let covering = covering(&asked.obj)?;
            let entries = covering.iter().filter_map(|text| self.lists.get(text)).flatten();
            let fitting = entries.filter(|(effect, act, _)| *effect == wanted && (*act == "*" || *act == asked.act));
            Ok(fitting.map(|(_, _, sub)| sub.clone()).collect())
        };
        Ok(Needed { wide, narrow, granted: list(Effect::Grant)?, denied: list(Effect::Deny)? })
    }

    /// The names and patterns that `name` stands for, without roles that one of `barred` covers.
    fn closure(&self, name: &str, barred: &BTreeSet<String>) -> anyhow::Result<BTreeSet<String>> {
        let (mut found, mut next) = (BTreeSet::new(), vec![name.to_owned()]);
        while let Some(name) = next.pop() {
            for text in covering(&name)? {
                // Nothing hangs on a pattern that no entry has.
                if !self.subjects.contains(&text) || !found.insert(text.clone()) {
                    continue;
                }
                for role in self.roles.get(&text).into_iter().flatten() {
                    if !covering(role)?.iter().any(|text| barred.contains(text)) {
                        next.push(role.clone());
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The name and the patterns that cover it.
fn covering(name: &str) -> anyhow::Result<Vec<String>> {
    let parsed = Name::parse_full(name).with_context(|| format!("`{name}`"))?;
    Ok(candidates(&parsed).map(|text| text.to_string()).collect())
}
