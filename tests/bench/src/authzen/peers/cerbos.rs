//! Cerbos over AuthZEN, in the best form that we found: one policy of two rules, which intersect lists that the caller
//! brings along.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use tempfile::TempDir;
use writ_tests::process::{Process, command};

use super::rights::Rights;
use super::{Server, free_port, ready};
use crate::authzen::body::{action, entity_with};
use crate::dataset::Dataset;
use crate::load::Script;
use crate::traffic::Asked;

/// A denial outweighs every grant, in Cerbos as here.
const POLICY: &str = r#"
apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: file
  version: default
  rules:
    - actions: ["*"]
      effect: EFFECT_DENY
      roles: ["user"]
      condition: { match: { expr: "hasIntersection(P.attr.wide, R.attr.denied)" } }
    - actions: ["*"]
      effect: EFFECT_ALLOW
      roles: ["user"]
      condition: { match: { expr: "hasIntersection(P.attr.narrow, R.attr.granted)" } }
"#;

/// Where AuthZEN has one question.
const PATH: &str = "/access/v1/evaluation";

/// Starts it with the policy.
pub(super) fn start(program: &Path) -> anyhow::Result<Server> {
    let folder = TempDir::new().context("cannot make a folder for Cerbos")?;
    let (port, other) = (free_port()?, free_port()?);
    let policies = folder.path().join("policies");
    fs::create_dir(&policies)?;
    fs::write(policies.join("file.yaml"), POLICY)?;
    let settings = json!({
        "server": {
            "httpListenAddr": format!("127.0.0.1:{port}"), "grpcListenAddr": format!("127.0.0.1:{other}"),
        },
        "storage": {"driver": "disk", "disk": {"directory": policies, "watchForChanges": false}},
        "telemetry": {"disabled": true},
        "audit": {"enabled": false},
    });
    // JSON is YAML.
    let file = folder.path().join("settings.yaml");
    fs::write(&file, settings.to_string())?;
    let mut command = command(program, ["server", "--log-level=error"]);
    command.arg("--config").arg(&file).stdout(fs::File::create(folder.path().join("stdout"))?);
    let process = Process::start(command, &folder.path().join("stderr"));
    let nothing = json!({
        "subject": entity_with("user:nobody", json!({"wide": [], "narrow": []})), "action": action("read"),
        "resource": entity_with("file:nothing", json!({"denied": [], "granted": []})),
    });
    ready(process, folder, port, &Script::post("localhost", PATH, [nothing.to_string()]))
}

/// The questions, with all that the rules look at; and the bytes of a body, on the mean.
pub(super) fn script(address: SocketAddr, dataset: &Dataset, questions: &[Asked]) -> anyhow::Result<(Script, usize)> {
    let rights = Rights::of(dataset);
    let mut bodies = Vec::with_capacity(questions.len());
    for question in questions {
        let needed = rights.needed(question)?;
        let body = json!({
            "subject": entity_with(&question.sub, json!({"wide": needed.wide, "narrow": needed.narrow})),
            "action": action(question.act),
            "resource": entity_with(&question.obj, json!({"denied": needed.denied, "granted": needed.granted})),
        });
        bodies.push(body.to_string());
    }
    let bytes = bodies.iter().map(String::len).sum::<usize>() / bodies.len().max(1);
    Ok((Script::post(&address.to_string(), PATH, bodies), bytes))
}
