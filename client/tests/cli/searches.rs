//! `writ who-can`, `writ what-can`, `writ expiring`, and the library's calls behind them.

use serde_json::{Value, json};
use writ_client::client::Client;
use writ_client::search::{Expiring, Moment, Until, WhatCan, WhoCan};
use writ_client::{ClientError, clock};

use crate::node::Faults;
use crate::program::World;

/// A node gives two results at a time: all that follows takes several pages.
fn world() -> World {
    let world = World::new(&["org1", "org2"]);
    let sign = |arguments: &[&str]| {
        world.sign("org1", arguments).expect(0);
    };
    for sub in ["zoe", "bob", "Ämil", "alice", "role:staff", "user:org1/*", "role:*", "device:7"] {
        sign(&["grant", "--sub", sub, "--obj", "file:x", "--act", "read"]);
    }
    sign(&["grant", "--sub", "carol", "--obj", "role:staff", "--act", "member"]);
    sign(&["grant", "--sub", "alice", "--obj", "*"]);
    sign(&["grant", "--sub", "alice", "--obj", "file:b", "--act", "write"]);
    sign(&["deny", "--sub", "alice", "--obj", "file:x", "--act", "write"]);
    sign(&["deny", "--sub", "bob", "--obj", "file:x"]);
    world
}

fn json_of(world: &World, arguments: &[&str]) -> [Value; 2] {
    let said = world.ask(&[arguments, &["--json"]].concat()).expect(0);
    assert!(said.err.is_empty() && said.out.lines().count() == 1, "{said:?}");
    let mut json = said.json();
    ["results", "patterns"].map(|list| json[list].take())
}

#[test]
fn who_can_is_everybody_in_bytewise_order_with_patterns_apart() {
    let world = world();
    let everybody = ["alice", "carol", "device:7", "role:staff", "zoe", "Ämil"];
    let patterns = ["role:*", "user:org1/*"];
    assert_eq!(json_of(&world, &["who-can", "--obj", "file:x", "--act", "read"]), [json!(everybody), json!(patterns)]);
    let said = world.ask(&["who-can", "--obj", "file:x", "--act", "read"]).expect(0);
    let (names, marked): (Vec<&str>, Vec<&str>) = said.out.lines().partition(|line| !line.contains("(pattern: "));
    assert_eq!(names, everybody);
    assert_eq!(marked, patterns.map(|pattern| format!("{pattern}  (pattern: whoever else it covers)")));
    assert!(said.out.ends_with("covers)\n"), "patterns come last: {}", said.out);
    assert!(
        said.err.starts_with("asked: about now, 20") && said.err.ends_with("knowledge of height 13\n"),
        "{}",
        said.err
    );

    // Without an action it is every action.
    assert_eq!(json_of(&world, &["who-can", "--obj", "file:y"]), [json!(["alice"]), json!([])]);
    let said = world.ask(&["who-can", "--obj", "role:staff", "--act", "unheard-of", "--height", "3"]).expect(0);
    assert_eq!(said.out, "");
    assert!(said.err.contains("\nnote: nobody can\n"), "{}", said.err);
    assert_eq!(json_of(&world, &["who-can", "--obj", "file:y", "--height", "0"]), [json!([]), json!([])]);
}

#[test]
fn a_search_is_about_the_moment_that_is_named() {
    let world = world();
    let read = ["who-can", "--obj", "file:x", "--act", "read"];
    let who = |more: &[&str]| json_of(&world, &[&read[..], more].concat())[0].clone();
    assert_eq!(who(&["--height", "3"]), json!(["bob", "zoe", "Ämil"]));
    assert_eq!(who(&["--as-of", "-30s"]), json!([]));
    assert_eq!(who(&["--at", "-30s"]), json!([]), "nothing had begun yet");
    assert_eq!(who(&["--at", "+1h"]), who(&[]));
    let said = world.ask(&[&read[..], &["--at", "+2d"]].concat()).expect(0);
    assert!(said.err.contains("(in 2 days), with the knowledge of"), "{}", said.err);
    let answer = world.ask(&[&read[..], &["--height", "3", "--json"]].concat()).expect(0).json();
    assert_eq!(answer["height"], 3);
    assert!(answer["position"].as_str().unwrap().starts_with("3.") && answer["at"].is_string(), "{answer}");
}

#[test]
fn what_can_is_everything_by_object_and_action() {
    let world = world();
    let row = |obj: &str, act: &str, except: &[&str]| json!({ "obj": obj, "act": act, "except": except });
    let results = [row("file:b", "*", &[]), row("file:x", "*", &["write"]), row("role:staff", "*", &["member"])];
    let pattern = row("*", "*", &["member"]);
    assert_eq!(json_of(&world, &["what-can", "--sub", "alice"]), [json!(results), json!([pattern])]);
    assert_eq!(
        json_of(&world, &["what-can", "--sub", "carol"]),
        [json!([row("file:x", "read", &[]), row("role:staff", "member", &[])]), json!([])]
    );
    let typed = json_of(&world, &["what-can", "--sub", "alice", "--type", "file"]);
    assert_eq!(typed, [json!(results[..2]), json!([pattern])]);
    assert_eq!(json_of(&world, &["what-can", "--sub", "alice", "--height", "10"])[0][0]["obj"], "file:x");

    let said = world.ask(&["what-can", "--sub", "alice"]).expect(0);
    let lines: Vec<String> =
        said.out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        lines,
        [
            "file:b *",
            "file:x * but not write",
            "role:staff * but not member",
            "* * but not member (pattern: whatever else it covers)"
        ]
    );
    let said = world.ask(&["what-can", "--sub", "nobody"]).expect(0);
    assert!(said.out.is_empty() && said.err.contains("\nnote: nothing is granted\n"), "{said:?}");
}

#[test]
fn expiring_lists_what_ends_soonest_first() {
    let world = World::new(&["org1", "org2"]);
    let sign = |by: &str, arguments: &[&str]| world.id(by, &[arguments, &["--obj", "file:x"]].concat());
    let ids = [
        sign("org1", &["grant", "--sub", "a", "--for", "3d"]),
        sign("org1", &["grant", "--sub", "b", "--for", "2w"]),
        sign("org2", &["deny", "--sub", "c", "--for", "90m"]),
        sign("org1", &["grant", "--sub", "d"]),
        sign("org1", &["grant", "--sub", "e", "--for", "15d"]),
        sign("org1", &["grant", "--sub", "f", "--for", "1h"]),
        sign("org1", &["grant", "--sub", "g", "--from", "+1d", "--for", "1d"]),
    ];
    world.sign("org1", &["revoke", &ids[5]]).expect(0);
    let found = |more: &[&str]| -> Vec<String> {
        let said = world.ask(&[&["expiring", "--json"], more].concat()).expect(0);
        said.out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["sub"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(found(&["--within", "2w1h"]), ["c", "g", "a", "b"]);
    assert_eq!(found(&["--within", "14d1h"]), ["c", "g", "a", "b"]);
    assert_eq!(found(&["--within", "91m"]), ["c"]);
    assert_eq!(found(&["--until", "+4d"]), ["c", "g", "a"]);
    assert_eq!(found(&["--within", "52w"]), ["c", "g", "a", "b", "e"]);
    let said = world.ask(&["expiring", "--within", "4d"]).expect(0);
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("ends") && lines.len() == 4 && said.err.is_empty(), "{said:?}");
    assert!(lines[1].contains("denied") && lines[1].contains("(in 90 min)"), "{}", said.out);
    let said = world.ask(&["expiring", "--within", "1m"]).expect(0);
    assert!(said.out.is_empty() && said.err.starts_with("note: nothing ends by itself until 20"), "{said:?}");
}

#[test]
fn a_search_that_cannot_be_answered_is_no_empty_answer() {
    let world = world();
    let searches = [
        &["who-can", "--obj", "file:x", "--act", "read"][..],
        &["what-can", "--sub", "alice"],
        &["expiring", "--within", "1d"],
    ];
    let said = world.ask(&["who-can", "--obj", "file:x", "--height", "99", "--json"]).expect(1);
    assert_eq!((said.problem()["code"].as_str(), said.out.as_str()), (Some("not_yet"), ""));
    world.node.faults(Faults { drifts: true, ..Faults::default() });
    for search in &searches[..2] {
        let said = world.ask(search).expect(1);
        assert!(said.out.is_empty() && said.err.contains("of another moment"), "{said:?}");
    }
    world.node.faults(Faults { is_stale: true, ..Faults::default() });
    for search in searches {
        let said = world.ask(&[search, &["--json"]].concat()).expect(1);
        assert_eq!((said.problem()["code"].as_str(), said.out.as_str()), (Some("stale"), ""), "{search:?}");
    }
}

#[test]
fn the_library_gives_whole_answers_and_pages() {
    let world = world();
    world.sign("org1", &["grant", "--sub", "a", "--obj", "b", "--for", "1h"]).expect(0);
    world.sign("org1", &["grant", "--sub", "a", "--obj", "c", "--for", "2h"]).expect(0);
    world.sign("org1", &["grant", "--sub", "a", "--obj", "d", "--for", "3h"]).expect(0);
    let client = Client::new([world.node.url()]).unwrap();
    let who = WhoCan { obj: "file:x".into(), act: Some("read".into()), ..WhoCan::default() };
    let whole = client.who_can(&who).unwrap();
    assert!(whole.results.is_sorted() && whole.patterns.is_sorted());
    for page in [None, Some(1), Some(0), Some(5_000)] {
        let pages: Vec<_> = client.who_can_pages(&WhoCan { page, ..who.clone() }).map(Result::unwrap).collect();
        assert!(pages.len() >= 4, "{page:?}");
        let mut names: Vec<String> = pages.iter().flat_map(|page| page.results.clone()).collect();
        assert_eq!(names[0], "zoe", "the log named her first");
        names.sort();
        assert_eq!(names, whole.results);
    }
    let moment = Moment { height: Some(3), ..Moment::default() };
    assert_eq!(client.who_can(&WhoCan { moment: moment.clone(), ..who }).unwrap().results, ["bob", "zoe", "Ämil"]);
    let what = WhatCan { sub: "zoe".into(), moment, ..WhatCan::default() };
    assert_eq!(client.what_can(&what).unwrap().results.len(), 1);
    assert_eq!(client.what_can_pages(&what).last().unwrap().unwrap().height, 3);
    let within = Expiring { until: Until::WithinMs(24 * 3_600_000), page: None };
    let ends: Vec<String> = client.expiring(&within).unwrap().into_iter().map(|entry| entry.obj).collect();
    assert_eq!(ends, ["b", "c", "d"]);
    assert_eq!(client.expiring_pages(&within).count(), 2);
    let until = Until::At(clock::now().saturating_add_millis(5_400_000));
    assert_eq!(client.expiring(&Expiring { until, page: Some(1) }).unwrap().len(), 1);
    world.node.faults(Faults { is_stale: true, ..Faults::default() });
    assert!(matches!(client.what_can(&what), Err(ClientError::Problem { .. })));
}
