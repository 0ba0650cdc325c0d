//! Rego, by regorus, on its part of the question: relations as data, and a small policy.

use std::collections::BTreeMap;

use anyhow::Context as _;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::{Engine, Value};
use serde_json::{Map, json};
use writ_proto::decision::{Question, Why};
use writ_proto::name::candidates;
use writ_proto::record::Effect;

use super::measure::Evaluator;
use super::relations::Relations;

/// `graph.reachable` is native code, an object's lists are found by their keys, and lists are shorter than
/// the names that a subject bears, so those are walked.
const POLICY: &str = r#"
package writ
import rego.v1

bearers := graph.reachable(data.above, {input.sub})

denied if {
    some obj in input.objs
    some act in [input.act, "all"]
    some party in data.deny[obj][act]
    party in bearers
}

granted if {
    some obj in input.objs
    some act in [input.act, "all"]
    some party in data.allow[obj][act]
    party in bearers
}

default why := "no_match"
why := "deny" if denied
else := "grant" if granted
"#;

/// Regorus with all data, and the questions as inputs: its virtual machine, with the policy as byte code.
pub(super) struct Rego {
    machine: RegoVM,
    inputs: Vec<Value>,
}

impl Rego {
    /// Ready to answer.
    ///
    /// # Errors
    /// What regorus reports.
    pub(super) fn new(relations: &Relations, questions: &[Question]) -> anyhow::Result<Self> {
        let mut engine = Engine::new();
        engine.add_policy("writ.rego".into(), POLICY.into())?;
        let policy = engine.compile_with_entrypoint(&ENTRY.into())?;
        let program = Compiler::compile_from_policy(&policy, &[ENTRY])?;
        let mut machine = RegoVM::new_with_policy(policy);
        machine.load_program(program);
        machine.set_data(data(relations)?)?;
        let inputs = questions.iter().map(input).collect::<anyhow::Result<_>>()?;
        Ok(Self { machine, inputs })
    }
}

const ENTRY: &str = "data.writ.why";

impl Evaluator for Rego {
    fn answer(&mut self, at: usize) -> anyhow::Result<Why> {
        self.machine.set_input(self.inputs[at].clone());
        let answer = self.machine.execute()?;
        Ok(match &**answer.as_string()? {
            "grant" => Why::Grant,
            "deny" => Why::Deny,
            _ => Why::NoMatch,
        })
    }
}

fn input(question: &Question) -> anyhow::Result<Value> {
    let act = question.act.as_ref().context("the questions of the bench name an action")?;
    let objs: Vec<String> = candidates(&question.obj).map(|text| text.to_string()).collect();
    let input = json!({ "sub": question.sub.as_str(), "act": act.as_str(), "objs": objs });
    Value::from_json_str(&input.to_string())
}

fn data(relations: &Relations) -> anyhow::Result<Value> {
    let mut lists: BTreeMap<&str, Map<String, serde_json::Value>> = BTreeMap::new();
    for (object, own) in &relations.lists {
        for ((effect, act), parties) in own {
            let side = match effect {
                Effect::Grant => "allow",
                Effect::Deny => "deny",
            };
            let object = lists.entry(side).or_default().entry(object.clone()).or_insert_with(|| json!({}));
            object[*act] = parties.clone().into();
        }
    }
    let data = json!({ "above": relations.above, "allow": lists.remove("allow"), "deny": lists.remove("deny") });
    Value::from_json_str(&data.to_string())
}
