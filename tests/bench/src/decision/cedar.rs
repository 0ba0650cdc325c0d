//! Cedar on its part of the question: lists on the resource, and six policies.
//!
//! A policy per grant would be the other way; its cost grows with their number. So the grants are data:
//! each object has sets of who may do what, users and roles stand in Cedar's hierarchy, and a policy per
//! action and effect looks at the object, its folder and its department.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::str::FromStr as _;

use anyhow::{Context as _, ensure};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use writ_proto::decision::{Question, Why};
use writ_proto::record::Effect;

use super::measure::Evaluator;
use super::relations::Relations;
use crate::dataset::ACTIONS;

/// Cedar with all entities and requests.
pub(super) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
}

impl Cedar {
    /// Ready to answer.
    ///
    /// # Errors
    /// What Cedar reports.
    pub(super) fn new(relations: &Relations, questions: &[Question]) -> anyhow::Result<Self> {
        let mut entities = Vec::new();
        for (name, above) in &relations.above {
            let above = above.iter().map(|name| uid("Party", name)).collect::<anyhow::Result<HashSet<_>>>()?;
            entities.push(Entity::new_no_attrs(uid("Party", name)?, above));
        }
        // What is asked about is known to whoever asks, also if nothing stands on it.
        let asked = questions.iter().map(|question| question.obj.as_str());
        let mut objects: BTreeSet<&str> = relations.lists.keys().map(String::as_str).chain(asked).collect();
        let above: Vec<String> = objects.iter().flat_map(|object| above(object)).flatten().collect();
        objects.extend(above.iter().map(String::as_str));
        for object in objects {
            entities.push(entity_of(relations, object)?);
        }
        let entities = Entities::from_entities(entities, None)?;
        let requests = questions.iter().map(request).collect::<anyhow::Result<_>>()?;
        Ok(Self { authorizer: Authorizer::new(), policies: policies()?, entities, requests })
    }
}

impl Evaluator for Cedar {
    fn answer(&mut self, at: usize) -> anyhow::Result<Why> {
        let response = self.authorizer.is_authorized(&self.requests[at], &self.policies, &self.entities);
        let mut faults = response.diagnostics().errors();
        if let Some(fault) = faults.next() {
            anyhow::bail!("Cedar: {fault}");
        }
        Ok(match response.decision() {
            Decision::Allow => Why::Grant,
            Decision::Deny if response.diagnostics().reason().next().is_some() => Why::Deny,
            Decision::Deny => Why::NoMatch,
        })
    }
}

fn uid(kind: &str, id: &str) -> anyhow::Result<EntityUid> {
    Ok(EntityUid::from_type_name_and_id(EntityTypeName::from_str(kind)?, EntityId::new(id)))
}

fn request(question: &Question) -> anyhow::Result<Request> {
    let act = question.act.as_ref().context("the questions of the bench name an action")?;
    let (sub, obj) = (uid("Party", question.sub.as_str())?, uid("File", question.obj.as_str())?);
    Ok(Request::new(sub, uid("Action", act.as_str())?, obj, Context::empty(), None)?)
}

/// Folder and department of a file, department of a folder.
fn above(object: &str) -> [Option<String>; 2] {
    let parts: Vec<&str> = object.split('/').collect();
    match parts[..] {
        [_, _, _, "*"] => [None, Some(format!("{}/{}/*", parts[0], parts[1]))],
        [_, _, _, _] => {
            [Some(format!("{}/{}/{}/*", parts[0], parts[1], parts[2])), Some(format!("{}/{}/*", parts[0], parts[1]))]
        }
        _ => [None, None],
    }
}

fn entity_of(relations: &Relations, object: &str) -> anyhow::Result<Entity> {
    let mut attributes = HashMap::new();
    for (name, above) in ["folder", "department"].into_iter().zip(above(object)) {
        if let Some(above) = above {
            attributes.insert(name.to_owned(), RestrictedExpression::new_entity_uid(uid("File", &above)?));
        }
    }
    for ((effect, list), parties) in relations.lists.get(object).into_iter().flatten() {
        let parties = parties.iter().map(|party| Ok(RestrictedExpression::new_entity_uid(uid("Party", party)?)));
        let parties = parties.collect::<anyhow::Result<Vec<_>>>()?;
        attributes.insert(attribute(*effect, list), RestrictedExpression::new_set(parties));
    }
    Ok(Entity::new(uid("File", object)?, attributes, HashSet::new())?)
}

fn attribute(effect: Effect, list: &str) -> String {
    match effect {
        Effect::Grant => format!("may_{list}"),
        Effect::Deny => format!("not_{list}"),
    }
}

/// For each action a policy that permits and one that forbids.
fn policies() -> anyhow::Result<PolicySet> {
    let mut text = String::new();
    for act in ACTIONS {
        for (word, effect) in [("permit", Effect::Grant), ("forbid", Effect::Deny)] {
            let lists = [attribute(effect, act), attribute(effect, "all")];
            let on = |place: &str| {
                let listed =
                    lists.each_ref().map(|list| format!("({place} has {list} && principal in {place}.{list})"));
                listed.join(" || ")
            };
            let (own, folder, department) = (on("resource"), on("resource.folder"), on("resource.department"));
            text.push_str(&format!(
                "{word} (principal, action == Action::\"{act}\", resource) when {{ {own}\n  \
                 || (resource has folder && ({folder}))\n  || (resource has department && ({department})) }};\n"
            ));
        }
    }
    let policies = PolicySet::from_str(&text)?;
    ensure!(policies.policies().count() == 2 * ACTIONS.len(), "a policy per action and effect");
    Ok(policies)
}
