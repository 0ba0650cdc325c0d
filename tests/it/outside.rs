//! Programs of others ask a node: an AuthZEN client from PyPI, unchanged, and schemathesis with our OpenAPI document.

use std::process::Output;

use serde_json::{Value, json};
use writ_tests::node::Node;
use writ_tests::python::{Kit, run_of};
use writ_tests::world::text;
use writ_tests::writ::writ;

/// A node for trying things out, with the key of its authority.
fn node() -> (tempfile::TempDir, Node) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let node = Node::dev(&folder.path().join("home"));
    (folder, node)
}

fn grant(folder: &tempfile::TempDir, node: &Node, more: &[&str]) {
    let key = text(&folder.path().join("home").join("dev.key"));
    let common = ["--node", node.url(), "--key", &key];
    writ([&["grant"], more, &common[..]].concat()).expect(0);
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn somebody_else_s_authzen_client_works_unchanged() {
    let (folder, node) = node();
    grant(&folder, &node, &["--sub", "alice", "--obj", "file:plan", "--act", "read"]);
    grant(&folder, &node, &["--sub", "bob", "--obj", "file:plan", "--act", "edit", "--if", "context.mfa == true"]);
    let case = |sub: &str, act: &str, context: Option<Value>, expected: bool| {
        let request = json!({
            "subject": {"type": "user", "id": sub}, "action": act, "resource": {"type": "file", "id": "plan"},
            "context": context
        });
        json!({ "request": request, "expected": expected })
    };
    let cases = [
        case("alice", "read", None, true),
        case("alice", "edit", None, false),
        case("bob", "edit", Some(json!({"mfa": true})), true),
        case("bob", "edit", Some(json!({"mfa": false})), false),
        case("bob", "edit", None, false),
        case("nobody*", "read", None, false),
    ];
    let asked = json!({ "url": node.url(), "cases": cases }).to_string();
    let program = text(&Kit::Outside.folder().join("authzen_client.py"));
    let output = run_of(Kit::Outside, &[program], &asked);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), cases.len().to_string());
}

/// Whatever the document allows is asked, and much that it does not: every answer is one that it describes, and none is a
/// failure of the node. `WRIT_SCHEMA_EXAMPLES` says how many random requests each operation gets, `WRIT_SEED` which.
#[test]
fn every_answer_is_one_that_the_document_describes() {
    let (folder, node) = node();
    grant(&folder, &node, &["--sub", "alice", "--obj", "file.dat"]);
    let examples = std::env::var("WRIT_SCHEMA_EXAMPLES").unwrap_or_else(|_| "15".into());
    let checks = [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "unsupported_method",
        "negative_data_rejection",
    ];
    let url = format!("{}/openapi.json", node.url());
    let seed = std::env::var("WRIT_SEED").unwrap_or_else(|_| "1".into());
    let settings = text(&Kit::Outside.folder().join("schemathesis.toml"));
    let run: [&[&str]; 4] = [
        &["-m", "schemathesis.cli", "--config-file", &settings, "run", &url, "--checks", &checks.join(",")],
        &["--phases", "examples,coverage,fuzzing", "--max-examples", &examples, "--generation-database", "none"],
        // A stream does not end: it has tests of its own.
        &["--exclude-path", "/v1/watch"],
        &["--no-color", "--max-failures", "20", "--seed", &seed],
    ];
    let run: Vec<String> = run.concat().into_iter().map(str::to_owned).collect();
    let output = run_of(Kit::Outside, &run, "");
    let told = said(&output);
    assert!(output.status.success(), "{}", told.chars().take(20_000).collect::<String>());
    assert!(told.contains("API Operations"), "{told}");
}
