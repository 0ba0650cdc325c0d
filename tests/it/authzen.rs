//! The AuthZEN paths of a network, with the "Todo" scenario of the working group's interoperability events.
//!
//! Its policy is imported with `writ import`, conditions and all, and every node is asked. The cases that are published
//! (40 evaluations, 3 batches) are asked where `../shared/data/authzen-todo.json` is there; the same policy has cases
//! of its own here.

use std::fmt::Write as _;

use serde_json::{Value, json};
use writ_tests::cluster::Cluster;
use writ_tests::programs;
use writ_tests::world::text;
use writ_tests::writ::writ;

/// The people of the scenario: what identifies them, what they own todos under, and their role.
const PEOPLE: [(&str, &str, &str); 5] = [
    ("CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "rick@the-citadel.com", "admin"),
    ("CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "morty@the-citadel.com", "editor"),
    ("CiRmZDI2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "summer@the-smiths.com", "editor"),
    ("CiRmZDM2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "beth@the-smiths.com", "viewer"),
    ("CiRmZDQ2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", "jerry@the-smiths.com", "viewer"),
];

/// Viewers read, editors create and change their own, admins change everybody's; each role has the lesser one's rights.
fn policy() -> String {
    let mut rows = String::from("sub,obj,act,cond\n");
    for (sub, obj, act) in [
        ("role:editor", "role:viewer", "member"),
        ("role:admin", "role:editor", "member"),
        ("role:viewer", "user:*", "can_read_user"),
        ("role:viewer", "todo:*", "can_read_todos"),
        ("role:editor", "todo:*", "can_create_todo"),
        ("role:admin", "todo:*", "can_update_todo"),
        ("role:admin", "todo:*", "can_delete_todo"),
    ] {
        let _ = writeln!(rows, "{sub},{obj},{act},");
    }
    for (id, email, role) in PEOPLE {
        let _ = writeln!(rows, "user:{id},role:{role},member,");
        if role == "editor" {
            for act in ["can_update_todo", "can_delete_todo"] {
                let _ = writeln!(rows, "user:{id},todo:*,{act},resource.properties.ownerID == '{email}'");
            }
        }
    }
    rows
}

/// What the policy says, in other words.
fn may(who: usize, act: &str, owner: Option<&str>) -> bool {
    let (_, email, role) = PEOPLE[who];
    match act {
        "can_read_user" | "can_read_todos" => true,
        "can_create_todo" => role != "viewer",
        "can_update_todo" | "can_delete_todo" => role == "admin" || (role == "editor" && owner == Some(email)),
        _ => false,
    }
}

fn cluster() -> Cluster {
    let cluster = Cluster::new(4, 1);
    let path = |name: &str| cluster.folder().join(name);
    std::fs::write(path("policy.csv"), policy()).expect("a folder can be written to");
    let seed = hex::encode(cluster.issuer().key().to_seed());
    std::fs::write(path("org1.seed"), seed).expect("a folder can be written to");
    let node = cluster.http(1).base().to_owned();
    let (file, key) = (text(&path("policy.csv")), text(&path("org1.seed")));
    writ(["import", &file, "--node", &node, "--key", &key, "--authority", "org1"]).expect(0);
    let height = cluster.status(1).expect("it answers").height;
    writ_tests::wait::until("all nodes to have it", || {
        let reached = |n| cluster.status(n).is_some_and(|status| status.height >= height);
        (0..cluster.len()).all(reached).then_some(())
    });
    cluster
}

fn ask(cluster: &Cluster, n: usize, path: &str, body: &Value) -> Value {
    let answer = cluster.http(n).post(path, "application/json", body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "node {n}: {body}: {}", answer.text());
    serde_json::from_str(&answer.text()).expect("an answer is JSON")
}

#[test]
fn every_node_decides_the_todo_scenario() {
    let cluster = cluster();
    for n in 0..cluster.len() {
        let mut items = Vec::new();
        let mut expected = Vec::new();
        for (who, (id, ..)) in PEOPLE.iter().enumerate() {
            for act in ["can_read_todos", "can_create_todo", "can_update_todo", "can_delete_todo", "can_do_else"] {
                for owner in [None, Some(PEOPLE[who].1), Some("else@example.com")] {
                    let properties = owner.map_or(json!({}), |owner| json!({ "ownerID": owner }));
                    items.push(json!({
                        "subject": {"type": "user", "id": id}, "action": {"name": act},
                        "resource": {"type": "todo", "id": "7240d0db", "properties": properties}
                    }));
                    expected.push(json!({ "decision": may(who, act, owner) }));
                }
            }
        }
        for (item, want) in items.iter().zip(&expected) {
            assert_eq!(ask(&cluster, n, "/access/v1/evaluation", item), *want, "node {n}: {item}");
        }
        let all = ask(&cluster, n, "/access/v1/evaluations", &json!({ "evaluations": items }));
        assert_eq!(all, json!({ "evaluations": expected }), "node {n}");
        published(&cluster, n);
    }
    cluster.verify();
}

/// One answer of one moment, though each page comes from another node and the log grows between them.
#[test]
fn pages_of_a_search_come_from_any_node() {
    let cluster = cluster();
    let key = text(&cluster.folder().join("org1.seed"));
    let node = cluster.http(2).base().to_owned();
    // Each file has a name of its own: an import goes on where its file's journal ends.
    let mut files = 0;
    let mut import = |rows: &str| {
        files += 1;
        let file = text(&cluster.folder().join(format!("more{files}.csv")));
        std::fs::write(&file, rows).expect("a folder can be written to");
        writ(["import", &file, "--node", &node, "--key", &key, "--authority", "org1"]).expect(0);
        let height = cluster.status(2).expect("it answers").height;
        writ_tests::wait::until("all nodes to have it", || {
            let reached = |n| cluster.status(n).is_some_and(|status| status.height >= height);
            (0..cluster.len()).all(reached).then_some(())
        });
    };
    let rows = |prefix: &str, access: &str, count: usize| {
        let row = |n| format!("user:{prefix}{n},file:plan,read,{access},context.mfa == true\n");
        std::iter::once("sub,obj,act,access,cond\n".to_owned()).chain((0..count).map(row)).collect::<String>()
    };
    import(&rows("u", "granted", 40));
    let search = |n: usize, page: Value| {
        let body = json!({
            "subject": {"type": "user"}, "action": {"name": "read"}, "resource": {"type": "file", "id": "plan"},
            "context": {"mfa": true}, "page": page
        });
        ask(&cluster, n, "/access/v1/search/subject", &body)
    };
    let (mut found, mut page) = (Vec::new(), json!({ "limit": 7 }));
    for turn in 0.. {
        let answer = search(turn % cluster.len(), page);
        found.extend(answer["results"].as_array().expect("results").iter().cloned());
        let token = answer["page"]["next_token"].as_str().expect("a token").to_owned();
        if token.is_empty() {
            break;
        }
        page = json!({ "token": token });
        // More is said, and some of it withdrawn.
        import(&rows(&format!("later{turn}-"), "granted", 3));
        import(&rows("u", "denied", 3 + turn));
    }
    let want: Vec<Value> = (0..40).map(|n| json!({"type": "user", "id": format!("u{n}")})).collect();
    assert_eq!(found, want);
    let now = search(1, json!({ "limit": 1 }));
    assert_eq!(now["results"], json!([{"type": "user", "id": "u7"}]), "u0 to u6 are denied by now");
    cluster.verify();
}

/// The cases of the working group, if they are here.
fn published(cluster: &Cluster, n: usize) {
    let shared = std::env::var_os("WRIT_SHARED").map(std::path::PathBuf::from);
    let shared = shared.unwrap_or_else(|| programs::workspace().join("..").join("shared"));
    let Ok(file) = std::fs::read_to_string(shared.join("data").join("authzen-todo.json")) else {
        return println!("skipped: the published cases are not on this machine");
    };
    let cases: Value = serde_json::from_str(&file).expect("the cases are JSON");
    let list = |name: &str| cases[name].as_array().expect("a list of cases").clone();
    let (singles, batches) = (list("evaluation"), list("evaluations"));
    assert_eq!((singles.len(), batches.len()), (40, 3));
    for case in singles {
        let answer = ask(cluster, n, "/access/v1/evaluation", &case["request"]);
        assert_eq!(answer, json!({ "decision": case["expected"] }), "node {n}: {case}");
    }
    for case in batches {
        let answer = ask(cluster, n, "/access/v1/evaluations", &case["request"]);
        assert_eq!(answer, json!({ "evaluations": case["expected"] }), "node {n}: {case}");
    }
}
