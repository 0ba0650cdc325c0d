//! The tuple of the original idea, to the letter: imported today it is denied now, granted tomorrow, denied the
//! day after, and reads back in its own spelling.

use serde_json::{Value, json};
use writ_proto::time::{DAY_MILLIS, LedgerTime};
use writ_tests::issuer::now;
use writ_tests::node::Node;
use writ_tests::process::command;
use writ_tests::programs;
use writ_tests::world::text;
use writ_tests::writ::writ;

const TUPLE: &str = r#"{"sub":"1234-org2","obj":"file.dat","access":"granted","iss":"tomorrow","exp":"tomorrow+1","issuingAuth":"org1","added":"now"}"#;

#[test]
fn the_seed_tuple_is_denied_now_granted_tomorrow_and_denied_the_day_after() {
    // `tomorrow` means another day after midnight, so a run over midnight is done again.
    for _ in 0..3 {
        let day = now().start_of_day();
        let ran = run(day);
        if now().start_of_day() == day {
            return ran.unwrap_or_else(|error| panic!("{error}"));
        }
    }
    panic!("three midnights in a row");
}

fn run(today: LedgerTime) -> Result<(), String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| text(&folder.path().join(name));
    let (key, file) = (path("org1.key"), path("seed.jsonl"));
    writ(["key", "new", "--out", &key]).expect(0);
    let authority = format!("org1={key}.pub");
    let arguments = ["init", "--home", &path("chain"), "--chain", "ledger.example/seed", "--authority", &authority];
    assert!(command(&programs::writ_node(), arguments).output().expect("it starts").status.success());
    let node = Node::run(&folder.path().join("chain").join("node0"));

    std::fs::write(&file, format!("{TUPLE}\n")).expect("a temporary folder can be written to");
    let before = now();
    let signing = ["--node", node.url(), "--key", &key, "--authority", "org1"];
    writ([&["import", &file], &signing[..]].concat()).expect(0);
    let after = now();

    let tomorrow = today.saturating_add_millis(DAY_MILLIS);
    let day_after = tomorrow.saturating_add_millis(DAY_MILLIS);
    let (first, last) = (tomorrow.to_string(), day_after.saturating_sub_millis(1).to_string());
    let (eve, end) = (tomorrow.saturating_sub_millis(1).to_string(), day_after.to_string());
    for (at, granted) in [
        (None, false),
        (Some("now"), false),
        (Some("tomorrow"), true),
        (Some("tomorrow+1"), false),
        (Some(&*eve), false),
        (Some(&*first), true),
        (Some(&*last), true),
        (Some(&*end), false),
    ] {
        let mut arguments = vec!["check", "--sub", "1234-org2", "--obj", "file.dat", "--node", node.url()];
        arguments.extend(at.iter().flat_map(|at| ["--at", at]));
        let said = writ(arguments);
        let expected = if granted { (Some(0), "granted") } else { (Some(3), "denied") };
        if (said.code, said.first_line()) != expected {
            return Err(format!("at {at:?}: {said:?}, expected {expected:?}"));
        }
    }

    // Its own spelling: names without types, times as written out, and the real `added`.
    let page: Value = node.http().read("/v1/entries");
    let [entry] = page["entries"].as_array().expect("entries").as_slice() else { return Err(format!("{page}")) };
    let added: LedgerTime = entry["added"].as_str().expect("a text").parse().expect("a time");
    if !(before.saturating_sub_millis(1)..=after.saturating_add_millis(1)).contains(&added) {
        return Err(format!("added at {added}, imported between {before} and {after}"));
    }
    let id = entry["id"].as_str().expect("a text").to_owned();
    let written = json!({
        "sub": "1234-org2", "obj": "file.dat", "act": "*", "access": "granted",
        "iss": format!("{}T00:00:00Z", date(tomorrow)), "exp": format!("{}T00:00:00Z", date(day_after)),
        "issuingAuth": "org1", "added": added.to_string(), "ref": null, "cond": null, "revoked": null,
    });
    let shown = writ(["entry", &id, "--json", "--node", node.url()]).expect(0).json();
    let shown = shown.get("entry").unwrap_or(&shown);
    for found in [entry, shown] {
        for (member, value) in written.as_object().expect("an object") {
            if found.get(member) != Some(value) {
                return Err(format!("`{member}` is {:?}, expected {value}", found.get(member)));
            }
        }
    }

    writ([&["import", &file], &signing[..]].concat()).expect(0);
    if node.http().entries("").len() != 1 {
        return Err("imported twice, there are two".to_owned());
    }
    Ok(())
}

fn date(time: LedgerTime) -> String {
    time.to_string().chars().take(10).collect()
}
