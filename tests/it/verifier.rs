//! The Python verifier, written from `docs/format.md` alone, says the same as the project's programs: of real exports,
//! of changed and forged ones, and of what the entries in them mean.

mod forged;
mod real;

use std::path::{Path, PathBuf};

use serde_json::Value;
use writ_proto::audit::{Finding, Part};
use writ_proto::decision::Why;
use writ_proto::hash::Digest;
use writ_proto::key::{PublicKey, Signature};
use writ_tests::python;
use writ_tests::world::text;

use crate::naive::{Answer, Place};

#[test]
fn the_verifier_reproduces_the_golden_files() {
    let output = python::run("golden.py", &[], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

#[test]
fn crafted_keys_and_signatures_are_judged_alike() {
    let output = python::run("crafted.py", &[], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cases = json_lines(&output.stdout);
    assert!(cases.len() >= 24, "only {} cases", cases.len());
    for case in &cases {
        let bytes = |member: &str| hex::decode(case[member].as_str().expect("a text")).expect("hexadecimal digits");
        let key = PublicKey(bytes("key").try_into().expect("32 bytes"));
        let signature = Signature(bytes("signature").try_into().expect("64 bytes"));
        let ours = key.admit().is_ok() && key.verify(&bytes("message"), &signature).is_ok();
        assert_eq!((case["said"].as_bool(), Some(ours)), (case["must"].as_bool(), case["must"].as_bool()), "{case}");
    }
}

/// What the verifier says of each of these files: nothing, or height and part of its finding and the details.
fn judge(files: &[PathBuf], chain: Option<&Digest>) -> Vec<Option<(Option<u64>, String, String)>> {
    let mut arguments: Vec<String> = files.iter().map(|file| text(file)).collect();
    arguments.push("--json".to_owned());
    arguments.extend(chain.into_iter().flat_map(|chain| ["--chain".to_owned(), chain.to_string()]));
    let output = python::run("verify.py", &arguments, "");
    let said = String::from_utf8_lossy(&output.stderr);
    let verdicts = json_lines(&output.stdout);
    assert_eq!(verdicts.len(), files.len(), "a verdict for each file: {said}");
    let all_good = verdicts.iter().all(|verdict| verdict["good"] == true);
    assert_eq!(output.status.code(), Some(if all_good { 0 } else { 1 }), "{said}");
    let read = |verdict: &Value| {
        let found = &verdict["finding"];
        let word = |member: &str| found[member].as_str().expect("a text").to_owned();
        (verdict["good"] != true).then(|| (found["height"].as_u64(), word("part"), word("detail")))
    };
    verdicts.iter().map(read).collect()
}

/// Writes an export of the test into a folder.
fn keep(folder: &Path, number: usize, bytes: &[u8]) -> PathBuf {
    let file = folder.join(format!("{number}.writ"));
    std::fs::write(&file, bytes).expect("a temporary folder can be written to");
    file
}

/// The name of a part, as the page and the verifier write it.
fn name_of(finding: &Finding) -> String {
    match finding.part {
        Part::Header(member) => format!("header {member}"),
        Part::Record(at) => format!("record {at}"),
        part => part.as_str().to_owned(),
    }
}

/// That the verifier and the audit agree about one file: the verdict, and block and part of what was found.
fn assert_alike(what: &str, theirs: &Option<(Option<u64>, String, String)>, ours: Option<&Finding>) {
    let place = theirs.as_ref().map(|(height, part, _)| (*height, part.clone()));
    let expected = ours.map(|finding| (finding.height, name_of(finding)));
    assert_eq!(place, expected, "{what}: the verifier says {theirs:?}, the audit {ours:?}");
}

/// That two decisions are the same. Several shortest paths may lead to a grant, and each may name another: then the
/// naive evaluator is asked whether both are right.
fn assert_same_decision(
    question: &Value,
    theirs: &Value,
    why: &str,
    entries: &[Place],
    naive: impl FnOnce() -> Answer,
) {
    let found: Vec<Place> = theirs["entries"].as_array().into_iter().flatten().filter_map(place_of).collect();
    let decision = if why == Why::Grant.as_str() { "granted" } else { "denied" };
    assert_eq!((theirs["decision"].as_str(), theirs["why"].as_str()), (Some(decision), Some(why)), "{question}");
    if found != entries {
        let naive = naive();
        for entries in [&found, entries] {
            let agrees = naive.agrees_with(naive.why, entries, naive.valid_until);
            agrees.unwrap_or_else(|error| panic!("{question}: {error}; the verifier says {theirs}"));
        }
        assert_eq!((naive.why.as_str(), why), (why, Why::Grant.as_str()), "{question}: only grants have paths");
    }
}

/// A place as the verifier writes it: `57`, or of an entry of a set `"57.3"`.
fn place_of(value: &Value) -> Option<Place> {
    match value {
        Value::String(text) => {
            let (index, member) = text.split_once('.')?;
            Some((index.parse().ok()?, Some(member.parse().ok()?)))
        }
        value => Some((value.as_u64()?, None)),
    }
}

/// The verifier's answers to questions about a good export.
fn answers(export: &Path, chain: &Digest, questions: &[Value]) -> Vec<Value> {
    let arguments = [text(export), "--chain".to_owned(), chain.to_string(), "--questions".to_owned()];
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let output = python::run("verify.py", &arguments, &lines);
    let said = String::from_utf8_lossy(&output.stderr);
    let answers = json_lines(&output.stdout);
    assert_eq!((output.status.code(), answers.len()), (Some(0), questions.len()), "{said}{answers:?}");
    answers
}

fn json_lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("the output is text");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in `{line}`"))).collect()
}
