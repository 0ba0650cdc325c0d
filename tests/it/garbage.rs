//! Malformed input on every endpoint: the documented status, code and field, nothing changed, and the node goes on.

use std::time::Duration;

use writ_proto::api::{BatchAnswer, BatchResult, to_base64};
use writ_proto::codec;
use writ_proto::hash::{Digest, Domain};
use writ_proto::key::SecretKey;
use writ_proto::limits::{BLOCK_RECORDS_MAX, RECORD_BYTES_MAX};
use writ_proto::name::Pattern;
use writ_proto::record::{Body, Effect, Kind, RecordId, Signed, Statement};
use writ_proto::scope::{Rule, Scope};
use writ_tests::http::{Answer, escape};
use writ_tests::issuer::{Issuer, access, now};
use writ_tests::node::{Node, assert_sound};
use writ_tests::random::Random;
use writ_tests::raw;
use writ_tests::receipts::Seen;
use writ_tests::world::World;

/// What an answer must be: status, code, and the field at fault; `-` for none, `?` where any will do.
type Want = (u16, &'static str, &'static str);

/// A node with two records in its log, which must stay all that it has.
struct Target {
    world: World,
    node: Node,
    grant: RecordId,
    denial: RecordId,
    seen: Seen,
}

impl Target {
    fn new() -> Self {
        // `narrow` may grant reading below `file:n`, for at most an hour; nothing else.
        let text = |text: &str| Pattern::parse_full(text).expect("a pattern");
        let rule = Rule {
            objects: vec![text("file:n/*")],
            denials: false,
            lifetime_ms_max: Some(3_600_000),
            open_ended: false,
            ..Rule::everything()
        };
        let narrow = Scope { rules: vec![rule], enrol_depth: 0 };
        let world = World::with_scopes(&[("org1", None), ("org2", None), ("narrow", Some(narrow))]);
        let node = world.run();
        let (grant, denial) =
            (world.issuer("org1").grant("alice", "read", "file:x"), world.issuer("org1").deny("bob", "*", "file:x"));
        node.http().submit(&grant);
        node.http().submit(&denial);
        let seen = Seen::of(&node.http().status());
        Self { node, grant: grant.id(), denial: denial.id(), seen, world }
    }

    #[track_caller]
    fn assert_unchanged(&self, after: &str) {
        let status = self.node.http().status();
        assert_eq!((Seen::of(&status), status.pending), (self.seen, 0), "after {after}");
    }

    #[track_caller]
    fn assert_problem(&self, what: &str, answer: &Answer, (status, code, field): Want) {
        let shown: String = what.chars().take(200).collect();
        let problem = answer.problem().unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!((answer.status, problem.code.as_str()), (status, code), "{shown}: {problem:?}");
        let found = problem.field.as_deref().unwrap_or("-");
        assert!(field == "?" || found == field, "{shown}: field `{found}`, expected `{field}`: {problem:?}");
        assert!(!problem.detail.is_empty() && problem.detail.len() < 2_000, "{shown}: {problem:?}");
        assert!(!answer.text().contains("granted\""), "{shown}: an error that says granted");
    }

    #[track_caller]
    fn assert_get(&self, path: &str, want: Want) {
        self.assert_problem(path, &self.node.http().get(path), want);
    }

    #[track_caller]
    fn assert_post(&self, path: &str, content_type: &str, body: &[u8], want: Want) {
        let what = format!("POST {path} ({content_type}) {}", String::from_utf8_lossy(body));
        self.assert_problem(&what, &self.node.http().post(path, content_type, body), want);
    }

    /// The end of a test: nothing changed, and all of it is sound.
    fn finish(mut self) {
        self.assert_unchanged("all of it");
        assert_eq!(self.node.http().check("sub=alice&obj=file:x&act=read").decision, Effect::Grant);
        assert!(self.node.is_running());
        assert!(self.node.stop().success());
        assert_sound(&self.world.home());
    }
}

/// How long a connection may last at most that asks nothing more.
const PATIENCE: Duration = Duration::from_secs(30);
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

#[test]
fn questions_that_are_none_name_their_fault() {
    let target = Target::new();
    let check = |query: String, want: Want| target.assert_get(&format!("/v1/check?{query}"), want);
    let bad = |field| (400, "bad_request", field);
    let good = "sub=alice&obj=file:x";
    let long = "x".repeat(257);

    check(String::new(), bad("sub"));
    check("sub=alice".into(), bad("obj"));
    check("obj=file:x".into(), bad("sub"));
    for sub in [
        "",
        "*",
        "user:*",
        "user:org/*",
        "a*b",
        ":x",
        "1type:x",
        "user:",
        &long,
        "ty pe:x",
        &format!("user:{}", "/".repeat(16)),
    ] {
        check(format!("sub={}&obj=file:x", escape(sub)), bad("sub"));
        check(format!("sub=alice&obj={}", escape(sub)), bad("obj"));
    }
    for act in ["", "*", "re*d", "-read", "a b", "réad", &"a".repeat(65)] {
        check(format!("{good}&act={}", escape(act)), bad("act"));
    }
    for time in [
        "",
        "now",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+01:00",
        "2026-01-01T00:00:60Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00.1234Z",
        "1969-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
        "0",
    ] {
        check(format!("{good}&at={}", escape(time)), bad("at"));
        check(format!("{good}&as_of={}", escape(time)), bad("as_of"));
    }
    for height in ["", "x", "-1", "1.0", "0x1", "18446744073709551616"] {
        check(format!("{good}&height={height}"), bad("height"));
    }
    check(format!("{good}&height=1000000"), (409, "not_yet", "height"));
    check(format!("{good}&height=18446744073709551615"), (409, "not_yet", "height"));
    let now = now();
    check(format!("{good}&at={now}&as_of={now}"), bad("?"));
    check(format!("{good}&height=1&as_of={now}"), bad("?"));
    check(format!("{good}&as_of=1971-01-01T00:00:00Z"), bad("as_of"));
    for token in [
        "",
        "1",
        "1.",
        "x.0123456789abcdef",
        "1.0123456789ABCDEF",
        "1.0123456789abcde",
        "01.0123456789abcdef",
        "-1.0123456789abcdef",
    ] {
        check(format!("{good}&at_least={token}"), bad("at_least"));
    }
    check(format!("{good}&at_least=1000000.0123456789abcdef&wait_ms=50"), (409, "not_yet", "at_least"));
    check(format!("{good}&at_least=1.0123456789abcdef"), (400, "wrong_chain", "at_least"));
    for more in ["explain=maybe", "explain=1", "explain="] {
        check(format!("{good}&{more}"), bad("explain"));
    }
    for (name, query) in [("sub", "sub=bob"), ("sub", "s%75b=bob"), ("obj", "obj=file:y"), ("at", "at=x&at=y")] {
        check(format!("{good}&{query}"), bad(name));
    }
    for (name, query) in [("subject", "subject=a"), ("Sub", "Sub=a"), ("", "=a"), ("acction", "acction")] {
        check(format!("{good}&{query}"), bad(if name.is_empty() { "?" } else { name }));
    }
    for query in [
        "sub=%ff&obj=file:x",
        "sub=%&obj=file:x",
        "sub=%zz&obj=file:x",
        "sub=%C3%28&obj=file:x",
        "sub=%ED%A0%80&obj=file:x",
    ] {
        check(query.into(), bad("sub"));
    }
    // Odd, but a name: it is percent-encoded on the ledger.
    for sub in ["%00", "%20x", "%C3%A5", "a%2Fb", "%25", "%0A"] {
        let answer = target.node.http().check(&format!("sub={sub}&obj=file:x"));
        assert_eq!(answer.decision, Effect::Deny, "{sub}");
    }
    check(format!("{good}&context=a%3Db"), (400, "bad_request", "context"));
    check(format!("{good}&proof=true"), (400, "unsupported", "proof"));
    check(format!("{good}&allow_stale=true"), (400, "unsupported", "allow_stale"));
    target.finish();
}

#[test]
fn readers_of_the_log_are_told_what_is_wrong_with_their_question() {
    let target = Target::new();
    let bad = |field| (400, "bad_request", field);
    let (unknown, size) = ("0".repeat(64), target.seen.size);
    let grant = target.grant;
    for (path, want) in [
        ("/v1/records/x".to_owned(), bad("id")),
        (format!("/v1/records/{}", &unknown[1..]), bad("id")),
        (format!("/v1/records/{}", "g".repeat(64)), bad("id")),
        ("/v1/records/%00".to_owned(), bad("id")),
        ("/v1/records/%ff%fe".to_owned(), bad("id")),
        (format!("/v1/records/{unknown}"), (404, "not_found", "id")),
        (format!("/v1/records/{unknown}?x=1"), bad("x")),
        ("/v1/entries?limit=0".to_owned(), bad("limit")),
        ("/v1/entries?limit=x".to_owned(), bad("limit")),
        ("/v1/entries?limit=1000000000000".to_owned(), bad("limit")),
        ("/v1/entries?cursor=x".to_owned(), bad("cursor")),
        ("/v1/entries?cursor=".to_owned(), bad("cursor")),
        ("/v1/entries?cursor=1-abcdef".to_owned(), bad("cursor")),
        ("/v1/entries?from_index=x".to_owned(), bad("from_index")),
        ("/v1/entries?from_index=-1".to_owned(), bad("from_index")),
        ("/v1/entries?to_index=1e3".to_owned(), bad("to_index")),
        ("/v1/entries?from_index=5&to_index=3".to_owned(), bad("to_index")),
        ("/v1/entries?height=x".to_owned(), bad("height")),
        ("/v1/entries?access=maybe".to_owned(), bad("access")),
        ("/v1/entries?access=revoked".to_owned(), bad("access")),
        ("/v1/entries?outcome=none".to_owned(), bad("outcome")),
        ("/v1/entries?authority=a%20b".to_owned(), bad("authority")),
        ("/v1/entries?sub=a*b".to_owned(), bad("sub")),
        ("/v1/entries?obj=".to_owned(), bad("obj")),
        ("/v1/entries?act=a%20b".to_owned(), bad("act")),
        ("/v1/entries?subject=a".to_owned(), bad("subject")),
        ("/v1/entries?limit=1&limit=1".to_owned(), bad("limit")),
        ("/v1/headers?from=x".to_owned(), bad("from")),
        ("/v1/headers?from=0".to_owned(), bad("from")),
        ("/v1/headers?limit=0".to_owned(), bad("limit")),
        ("/v1/headers?limit=99999999".to_owned(), bad("limit")),
        ("/v1/headers?from=1000000".to_owned(), (409, "not_yet", "from")),
        ("/v1/headers?form=1".to_owned(), bad("form")),
        ("/v1/blocks?from=x".to_owned(), bad("from")),
        ("/v1/blocks?limit=-1".to_owned(), bad("limit")),
        ("/v1/blocks?from=18446744073709551615".to_owned(), (409, "not_yet", "from")),
        ("/v1/blocks/x".to_owned(), bad("height")),
        ("/v1/blocks/-1".to_owned(), bad("height")),
        ("/v1/blocks/18446744073709551616".to_owned(), bad("height")),
        ("/v1/blocks/0".to_owned(), (404, "not_found", "height")),
        ("/v1/blocks/1000000".to_owned(), (404, "not_found", "height")),
        ("/v1/proofs/inclusion".to_owned(), bad("id")),
        ("/v1/proofs/inclusion?id=x".to_owned(), bad("id")),
        (format!("/v1/proofs/inclusion?id={unknown}"), (404, "not_found", "id")),
        (format!("/v1/proofs/inclusion?id={grant}&size=x"), bad("size")),
        (format!("/v1/proofs/inclusion?id={grant}&size=0"), bad("size")),
        (format!("/v1/proofs/inclusion?id={grant}&size={}", size + 1), (409, "not_yet", "size")),
        (format!("/v1/proofs/inclusion?id={}&size=1", target.denial), bad("size")),
        ("/v1/proofs/consistency".to_owned(), bad("from")),
        ("/v1/proofs/consistency?from=0".to_owned(), bad("from")),
        ("/v1/proofs/consistency?from=x&to=1".to_owned(), bad("from")),
        ("/v1/proofs/consistency?from=1&to=x".to_owned(), bad("to")),
        ("/v1/proofs/consistency?from=2&to=1".to_owned(), bad("from")),
        (format!("/v1/proofs/consistency?from=1&to={}", size + 1), (409, "not_yet", "to")),
        (format!("/v1/proofs/consistency?from={}", size + 1), (409, "not_yet", "from")),
        ("/v1/status?x=1".to_owned(), bad("x")),
        ("/v1/genesis?x=1".to_owned(), bad("x")),
        ("/v1/authorities?x=1".to_owned(), bad("x")),
        ("/v1/validators?x=1".to_owned(), bad("x")),
        ("/".to_owned(), (404, "not_found", "-")),
        ("/v1".to_owned(), (404, "not_found", "-")),
        ("/v1/".to_owned(), (404, "not_found", "-")),
        ("/v1/chec".to_owned(), (404, "not_found", "-")),
        ("/v1/check/".to_owned(), (404, "not_found", "-")),
        ("/V1/check".to_owned(), (404, "not_found", "-")),
        ("/v1//check".to_owned(), (404, "not_found", "-")),
        ("/v1/blocks/1/2".to_owned(), (404, "not_found", "-")),
        ("/v1/../etc/passwd".to_owned(), (404, "not_found", "-")),
        ("/%2e%2e/%2e%2e/etc/passwd".to_owned(), (404, "not_found", "-")),
        ("/v1/records/../check".to_owned(), (404, "not_found", "-")),
    ] {
        target.assert_get(&path, want);
    }
    // Wrong methods, on every path.
    for path in PATHS {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            let right = if POSTED.contains(path) { "POST" } else { "GET" };
            if method == right || (path.starts_with("/v1/records/") && method == "GET") {
                continue;
            }
            let request =
                format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let said = raw::speak(target.node.http().address(), request.as_bytes(), PATIENCE);
            assert_eq!(raw::status(&said), Some(405), "{method} {path}: {said}");
            assert!(said.to_lowercase().contains("\nallow:"), "{method} {path} says what is allowed: {said}");
        }
    }
    target.finish();
}

const PATHS: &[&str] = &[
    "/v1/records",
    "/v1/records/batch",
    "/v1/records/prepare",
    "/v1/entries",
    "/v1/check",
    "/v1/who-can",
    "/v1/what-can",
    "/v1/expiring",
    "/v1/genesis",
    "/v1/status",
    "/v1/headers",
    "/v1/blocks",
    "/v1/blocks/1",
    "/v1/authorities",
    "/v1/validators",
    "/v1/proofs/inclusion",
    "/v1/proofs/consistency",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
];
const POSTED: &[&str] = &["/v1/records", "/v1/records/batch", "/v1/records/prepare"];

#[test]
fn bodies_that_carry_no_record_change_nothing() {
    let target = Target::new();
    let bad = |field| (400, "bad_request", field);
    let fresh = target.world.issuer("org2").grant("carol", "read", "file:x");
    let record = to_base64(fresh.bytes());
    let deep = "[".repeat(60_000);
    let nested = format!("{{\"record\":{}1{}}}", "[".repeat(200), "]".repeat(200));

    let post = |body: &[u8], want| target.assert_post("/v1/records", JSON, body, want);
    for body in [
        "",
        " ",
        "{",
        "null",
        "[]",
        "3",
        "\"x\"",
        "{\"record\":\"\"",
        "{'record':1}",
        "{\"record\":\"x\"} x",
        "\u{feff}{}",
        "{,}",
        "NaN",
        &deep,
    ] {
        post(body.as_bytes(), bad("?"));
    }
    post(b"{}", bad("record"));
    post(b"{\"record\":5}", bad("record"));
    post(b"{\"record\":null}", bad("record"));
    post(b"{\"record\":\"!!!!\"}", bad("record"));
    post(b"{\"record\":\"YQ\"}", bad("record"));
    post(b"{\"record\":\"\"}", bad("record"));
    post(b"{\"record\":\"\\ud800\"}", bad("?"));
    post(b"{\"record\":\"\xff\"}", bad("?"));
    post(b"\x00\x00", bad("?"));
    post(nested.as_bytes(), bad("?"));
    post(format!("{{\"record\":\"{record}\",\"wait\":\"none\"}}").as_bytes(), bad("wait"));
    post(format!("{{\"record\":\"{record}\",\"record\":\"{record}\"}}").as_bytes(), bad("record"));
    post(format!("{{\"record\":\"{record}\\u0000\"}}").as_bytes(), bad("record"));

    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jso", "*/*", "x"]
    {
        let answer = target.node.http().post("/v1/records", content_type, fresh.bytes());
        target.assert_problem(content_type, &answer, bad("content-type"));
    }
    for (query, want) in [
        ("wait=sometimes", bad("wait")),
        ("wait=", bad("wait")),
        ("wait=everywhere", (400, "unsupported", "wait")),
        ("wait_ms=x", bad("wait_ms")),
        ("wait_ms=-1", bad("wait_ms")),
        ("wait_ms=99999999999999999999", bad("wait_ms")),
        ("wait=none&wait=none", bad("wait")),
        ("waits=none", bad("waits")),
    ] {
        target.assert_post(&format!("/v1/records?{query}"), BYTES, fresh.bytes(), want);
        target.assert_post(&format!("/v1/records/batch?{query}"), JSON, b"{\"records\":[]}", want);
    }
    target.assert_post("/v1/records", BYTES, &vec![0; 1_000_000], (413, "too_large", "?"));
    target.assert_post("/v1/records", BYTES, &vec![0; RECORD_BYTES_MAX + 1], (413, "too_large", "?"));
    target.assert_post("/v1/records", JSON, &vec![b' '; 1_000_000], (413, "too_large", "?"));

    let batch = |body: &str, want| target.assert_post("/v1/records/batch", JSON, body.as_bytes(), want);
    for body in ["", "{", "[]", "null", &deep] {
        batch(body, bad("?"));
    }
    batch("{}", bad("records"));
    batch("{\"records\":5}", bad("records"));
    batch("{\"records\":[]}", bad("records"));
    batch("{\"records\":[5]}", bad("records"));
    batch("{\"records\":[null]}", bad("records"));
    batch("{\"records\":[[\"x\"]]}", bad("records"));
    batch("{\"records\":[\"!\"]}", bad("?"));
    batch("{\"records\":[],\"more\":1}", bad("?"));
    let many = format!("{{\"records\":[{}\"\"]}}", "\"\",".repeat(BLOCK_RECORDS_MAX));
    batch(&many, (413, "too_large", "?"));
    target.assert_post("/v1/records/batch", JSON, &vec![b' '; 7_000_000], (413, "too_large", "?"));
    target.assert_post("/v1/records/batch", "text/plain", b"{}", bad("content-type"));
    target.finish();
}

#[test]
fn records_that_may_not_be_are_refused_with_their_code() {
    let target = Target::new();
    let (org1, org2, narrow) =
        (target.world.issuer("org1"), target.world.issuer("org2"), target.world.issuer("narrow"));
    let now = now();
    let grant = || Body::Access(access(Effect::Grant, "carol", "read", "file:x"));
    let of = |change: fn(&mut writ_proto::record::Access)| {
        let mut entry = access(Effect::Grant, "carol", "read", "file:n/x");
        entry.exp = Some(now.saturating_add_millis(60_000));
        change(&mut entry);
        narrow.sign(Body::Access(entry))
    };
    let until = |millis_ahead: i64| {
        let by = now.as_millis().saturating_add_signed(millis_ahead);
        let submit_by = Some(writ_proto::time::LedgerTime::from_millis(by).expect("a time"));
        org1.sign_statement(&Statement { submit_by, ..org1.statement(grant()) })
    };
    let conditional = {
        let mut entry = access(Effect::Grant, "carol", "read", "file:x");
        entry.cond = Some("context.x = 1".to_owned());
        org1.sign(Body::Access(entry))
    };
    let stranger = Issuer::new("org1", 99).on_chain(target.world.chain());
    let nobody = Issuer::new("org9", 1).on_chain(target.world.chain());
    let elsewhere = org1.on_chain(Digest([7; 32]));
    let missing = RecordId(Digest([9; 32]));
    let revocation = org1.revoke(target.grant, Effect::Grant);
    for (claim, record, want) in [
        ("of another chain", elsewhere.sign(grant()), (400, "wrong_chain", "?")),
        ("of an authority that nobody knows", nobody.sign(grant()), (400, "unknown_authority", "issuingAuth")),
        ("by a key that its authority never had", stranger.sign(grant()), (400, "unknown_key", "signatures")),
        ("too late", until(-60_000), (400, "expired_submission", "submit_by")),
        ("too far ahead", until(2 * 3_600_000), (400, "expired_submission", "submit_by")),
        ("with a condition that is none", conditional, (400, "bad_condition", "cond")),
        (
            "on another object than its scope",
            of(|entry| entry.obj = Pattern::parse_full("file:m").expect("a name")),
            (403, "out_of_scope", "obj"),
        ),
        (
            "on a wider object than its scope",
            of(|entry| entry.obj = Pattern::parse_full("file:*").expect("a pattern")),
            (403, "out_of_scope", "obj"),
        ),
        (
            "for longer than its scope",
            of(|entry| entry.exp = entry.exp.map(|exp| exp.saturating_add_millis(7_200_000))),
            (403, "out_of_scope", "exp"),
        ),
        ("without end, which its scope forbids", of(|entry| entry.exp = None), (403, "out_of_scope", "exp")),
        ("the lift of a denial that is not there", org1.revoke(missing, Effect::Deny), (404, "not_found", "target")),
        ("the lift of another's denial", org2.revoke(target.denial, Effect::Deny), (403, "forbidden", "target")),
        ("the lift of a grant", org1.revoke(target.grant, Effect::Deny), (409, "conflict", "effect")),
    ] {
        let answer = target.node.http().try_submit(&record, "wait=committed").expect("an answer");
        target.assert_problem(claim, &answer, want);
        let json = format!("{{\"record\":\"{}\"}}", to_base64(record.bytes()));
        target.assert_post("/v1/records", JSON, json.as_bytes(), want);
        let batch: BatchAnswer = target.node.http().submit_batch(&[record]);
        match &batch.results[..] {
            [BatchResult::Problem(problem)] => {
                assert_eq!((problem.status, problem.code.as_str()), (want.0, want.1), "{claim}")
            }
            other => panic!("{claim}: {other:?}"),
        }
    }
    target.assert_unchanged("refused records");

    // Bodies that no honest tool signs, so they are put together here.
    let entry = grant();
    for (claim, change, want) in [
        ("a kind that nobody knows", Change::Kind(99), (400, "unsupported", "?")),
        ("an authority's kind around an entry", Change::Kind(Kind::Authority as u8), (400, "bad_request", "?")),
        ("no signature", Change::NoSignature, (400, "bad_request", "signatures")),
        ("one signature twice", Change::Twice, (400, "bad_request", "signatures")),
        ("bytes behind the signatures", Change::Longer, (400, "bad_request", "signatures")),
        ("another tag", Change::Tag, (400, "bad_request", "record")),
    ] {
        let bytes = change.apply(org1, &entry);
        target.assert_problem(claim, &target.node.http().post("/v1/records", BYTES, &bytes), want);
    }
    for (claim, sub, obj, act, exp, field) in [
        ("a star within", "user:a*", "file:x", "read", None, "sub"),
        ("no type", "alice", "file:x", "read", None, "sub"),
        ("a bare escape", "user:%41", "file:x", "read", None, "sub"),
        ("a lower-case escape", "user:%c3%a5", "file:x", "read", None, "sub"),
        ("not ASCII", "user:å", "file:x", "read", None, "sub"),
        ("a space in front", "user: a", "file:x", "read", None, "sub"),
        ("a line end", "user:a\n", "file:x", "read", None, "sub"),
        ("no object", "user:a", "", "read", None, "obj"),
        ("too many segments", "user:a", "file:a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "read", None, "obj"),
        ("an action that is none", "user:a", "file:x", "re ad", None, "act"),
        ("member of what is no role", "user:a", "file:x", "member", None, "obj"),
        ("member of a pattern", "user:a", "role:*", "member", None, "obj"),
        ("an end before its start", "user:a", "file:x", "read", Some((5, 5)), "exp"),
        ("a time after the last", "user:a", "file:x", "read", Some((5, u64::MAX)), "exp"),
    ] {
        let bytes = hand_made(org1, sub, obj, act, exp);
        target.assert_problem(
            claim,
            &target.node.http().post("/v1/records", BYTES, &bytes),
            (400, "bad_request", field),
        );
    }

    // Every byte matters: of a record for a fresh entry, and of a revocation, which would take access away.
    let mut random = Random::from_environment("garbage");
    for record in [org2.grant("carol", "read", "file:x"), revocation] {
        for at in (0..record.bytes().len()).filter(|at| at % 3 == 0) {
            let mut bytes = record.bytes().to_vec();
            bytes[at] ^= 1 + random.below(255) as u8;
            let answer = target.node.http().post("/v1/records?wait=none", BYTES, &bytes);
            let problem = answer.problem().unwrap_or_else(|error| panic!("byte {at}: {error}"));
            assert_eq!(answer.status, 400, "byte {at}: {problem:?}");
        }
        for _ in 0..20 {
            let cut = random.place(record.bytes().len());
            let answer = target.node.http().post("/v1/records?wait=none", BYTES, &record.bytes()[..cut]);
            target.assert_problem("a cut record", &answer, (400, "bad_request", "?"));
        }
    }
    for _ in 0..100 {
        let length = random.place(400);
        let answer = target.node.http().post("/v1/records?wait=none", BYTES, &random.bytes(length));
        target.assert_problem("random bytes", &answer, (400, "bad_request", "?"));
    }
    target.finish();
}

/// A way to spoil a record.
#[derive(Clone, Copy)]
enum Change {
    Kind(u8),
    NoSignature,
    Twice,
    Longer,
    Tag,
}

impl Change {
    fn apply(self, issuer: &Issuer, body: &Body) -> Vec<u8> {
        let signed = issuer.sign(body.clone());
        let length = signed.signed_bytes().len();
        let (statement, signatures) = signed.bytes().split_at(length);
        let tag = Domain::Record.tag().len();
        match self {
            Self::Kind(kind) => [&statement[..tag], &[kind], &statement[tag + 1..], signatures].concat(),
            Self::NoSignature => [statement, &[0]].concat(),
            Self::Twice => [statement, &[2], &signatures[1..], &signatures[1..]].concat(),
            Self::Longer => [signed.bytes(), &[0]].concat(),
            Self::Tag => [&[statement[0] ^ 1], &statement[1..], signatures].concat(),
        }
    }
}

/// A grant in the encoding of records, whatever its members say, well signed.
fn hand_made(issuer: &Issuer, sub: &str, obj: &str, act: &str, window: Option<(u64, u64)>) -> Vec<u8> {
    let honest = issuer.statement(Body::Access(access(Effect::Grant, "a", "read", "file:x")));
    let mut bytes = Domain::Record.tag().to_vec();
    bytes.push(Kind::Access as u8);
    bytes.extend(codec::encode(&(honest.chain, honest.authority.as_str(), honest.nonce)));
    let (iss, exp) = window.map_or((None, None), |(iss, exp)| (Some(iss), Some(exp)));
    let nothing: Option<String> = None;
    bytes.extend(codec::encode(&(sub, obj, act, Effect::Grant, iss, exp, nothing.clone(), nothing)));
    bytes.extend(codec::encode(&honest.submit_by.map_or(0, |time| time.as_millis())));
    sign_anything(issuer.key(), bytes)
}

fn sign_anything(key: &SecretKey, mut bytes: Vec<u8>) -> Vec<u8> {
    let signature = key.sign_in(Domain::Record, &bytes);
    bytes.push(1);
    bytes.extend(key.public().id().0);
    bytes.extend(signature.0);
    bytes
}

#[test]
fn a_hand_made_record_is_refused_for_its_members_and_not_for_its_making() {
    let target = Target::new();
    let bytes = hand_made(target.world.issuer("org2"), "user:dora", "file:x", "read", None);
    let record = Signed::decode(bytes).expect("a record");
    assert!(target.node.http().submit(&record).place.is_some());
}

#[test]
fn what_cannot_be_prepared_names_its_member() {
    let target = Target::new();
    let bad = |field| (400, "bad_request", field);
    let prepare = |body: &str, want| target.assert_post("/v1/records/prepare", JSON, body.as_bytes(), want);
    for body in ["", "{", "[]", "null"] {
        prepare(body, bad("?"));
    }
    prepare("{}", bad("authority"));
    prepare(r#"{"authority":"org1"}"#, bad("?"));
    prepare(r#"{"authority":5}"#, bad("authority"));
    prepare(r#"{"authority":"a b","entry":{"sub":"a","obj":"b"}}"#, bad("authority"));
    prepare(r#"{"authority":"org9","entry":{"sub":"a","obj":"b"}}"#, (400, "unknown_authority", "authority"));
    prepare(r#"{"authority":"org1","entry":5}"#, bad("entry"));
    prepare(r#"{"authority":"org1","entry":{"sub":"a","obj":"b"},"more":1}"#, bad("more"));
    prepare(r#"{"authority":"org1","entry":{"sub":"a","obj":"b"},"nonce":"xyz"}"#, bad("nonce"));
    prepare(r#"{"authority":"org1","entry":{"sub":"a","obj":"b"},"submit_by":"soon"}"#, bad("submit_by"));
    prepare(r#"{"authority":"org1","revoke":"xyz"}"#, bad("revoke"));
    prepare(&format!(r#"{{"authority":"org1","revoke":"{}"}}"#, "0".repeat(64)), (404, "not_found", "revoke"));
    prepare(
        &format!(r#"{{"authority":"org1","entry":{{"sub":"a","obj":"b"}},"revoke":"{}"}}"#, target.grant),
        bad("?"),
    );
    prepare(r#"{"authority":"narrow","entry":{"sub":"a","obj":"file:m"}}"#, (403, "out_of_scope", "?"));
    let long = "x".repeat(257);
    for (field, entry) in [
        ("sub", r#"{"obj":"b"}"#.to_owned()),
        ("obj", r#"{"sub":"a"}"#.to_owned()),
        ("sub", r#"{"sub":5,"obj":"b"}"#.to_owned()),
        ("sub", r#"{"sub":"","obj":"b"}"#.to_owned()),
        ("sub", r#"{"sub":"a*b","obj":"b"}"#.to_owned()),
        ("sub", format!(r#"{{"sub":"{long}","obj":"b"}}"#)),
        ("obj", r#"{"sub":"a","obj":"file:*/x"}"#.to_owned()),
        ("act", r#"{"sub":"a","obj":"b","act":"re ad"}"#.to_owned()),
        ("access", r#"{"sub":"a","obj":"b","access":"maybe"}"#.to_owned()),
        ("access", r#"{"sub":"a","obj":"b","access":"revoked"}"#.to_owned()),
        ("iss", r#"{"sub":"a","obj":"b","iss":"tomorrow"}"#.to_owned()),
        ("exp", r#"{"sub":"a","obj":"b","exp":5}"#.to_owned()),
        ("exp", r#"{"sub":"a","obj":"b","iss":"2026-01-02T00:00:00Z","exp":"2026-01-02T00:00:00Z"}"#.to_owned()),
        ("issuingAuth", r#"{"sub":"a","obj":"b","issuingAuth":"org2"}"#.to_owned()),
        ("ref", format!(r#"{{"sub":"a","obj":"b","ref":"{long}"}}"#)),
        ("ref", r#"{"sub":"a","obj":"b","ref":""}"#.to_owned()),
        ("obj", r#"{"sub":"a","obj":"b","act":"member"}"#.to_owned()),
        ("subject", r#"{"sub":"a","obj":"b","subject":"c"}"#.to_owned()),
    ] {
        prepare(&format!(r#"{{"authority":"org1","entry":{entry}}}"#), bad(field));
    }
    prepare(r#"{"authority":"org1","entry":{"sub":"a","obj":"b","cond":"true &&"}}"#, (400, "bad_condition", "cond"));
    target.finish();
}

#[test]
fn a_socket_that_speaks_nonsense_is_answered_or_closed() {
    let target = Target::new();
    let address = target.node.http().address().to_owned();
    let good = "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(raw::status(&raw::speak(&address, good.as_bytes(), PATIENCE)), Some(200), "a raw request can be good");

    let post = |head: &str, body: &[u8]| {
        [
            format!("POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n{head}\r\n")
                .as_bytes(),
            body,
        ]
        .concat()
    };
    let grant = target.world.issuer("org2").grant("carol", "read", "file:x");
    let smuggled = b"0\r\n\r\nGET /v1/status HTTP/1.1\r\nHost: y\r\n\r\n";
    let mut random = Random::from_environment("sockets");
    let length = grant.bytes().len();
    let get = |rest: &str| format!("GET /v1/status HTTP/1.1\r\n{rest}\r\n").into_bytes();
    // Whole, if that can be said of them: each has an answer.
    for (claim, bytes) in [
        ("zeros", vec![0; 1000]),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("an unknown version", b"GET /v1/status HTTP/9.9\r\nHost: x\r\n\r\n".to_vec()),
        ("no version", b"GET /v1/status\r\n\r\n".to_vec()),
        ("no path", b"GET  HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a zero byte in a header", get("Host: x\r\nX: a\0b\r\n")),
        ("a header without a colon", get("Host\r\n")),
        ("a space before the colon", get("Host : x\r\n")),
        ("a huge header", get(&format!("X: {}\r\n", "a".repeat(1_000_000)))),
        ("many headers", get(&"X: a\r\n".repeat(10_000))),
        (
            "a long target",
            format!("GET /v1/check?sub={} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1_000_000)).into_bytes(),
        ),
        (
            "bytes beyond ASCII in the path",
            b"GET /v1/records/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        ),
        ("a negative length", post("Content-Length: -1\r\n", grant.bytes())),
        ("a length that is none", post("Content-Length: many\r\n", grant.bytes())),
        ("a length beyond numbers", post("Content-Length: 99999999999999999999999\r\n", grant.bytes())),
        ("two lengths", post(&format!("Content-Length: {length}\r\nContent-Length: 1\r\n"), grant.bytes())),
        ("an unknown coding", post("Transfer-Encoding: gzip\r\n", grant.bytes())),
        ("chunks that are none", post("Transfer-Encoding: chunked\r\n", b"zz\r\nhello\r\n0\r\n\r\n")),
        ("a chunk beyond numbers", post("Transfer-Encoding: chunked\r\n", b"fffffffffffffffff\r\nx")),
        ("a chunk longer than it says", post("Transfer-Encoding: chunked\r\n", b"2\r\nhello\r\n0\r\n\r\n")),
        (
            "a compressed body",
            post(
                &format!("Content-Encoding: gzip\r\nContent-Length: {length}\r\nConnection: close\r\n"),
                grant.bytes(),
            ),
        ),
    ] {
        let said = raw::speak(&address, &bytes, PATIENCE);
        let status = raw::status(&said);
        assert!(status.is_some_and(|status| (400..500).contains(&status) || status == 505), "{claim}: `{said}`");
        target.assert_unchanged(claim);
    }
    // Cut short, or no request at all: nobody may be left to answer.
    for (claim, bytes) in [
        ("nothing", Vec::new()),
        ("random bytes", random.bytes(5_000)),
        ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("half a request line", b"GET /v1/sta".to_vec()),
        ("half a head", b"GET /v1/status HTTP/1.1\r\nHost: x\r\n".to_vec()),
        ("less than announced", post(&format!("Content-Length: {}\r\n", length + 5), grant.bytes())),
        ("half of a record", post(&format!("Content-Length: {length}\r\n"), &grant.bytes()[..length / 2])),
        ("length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", smuggled)),
        ("a chunk that ends early", post("Transfer-Encoding: chunked\r\n", b"ff\r\nshort")),
        ("chunks without an end", post("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n")),
    ] {
        let said = raw::speak_and_end(&address, &bytes, PATIENCE);
        let status = raw::status(&said);
        assert!(said.is_empty() || status.is_some_and(|status| (400..500).contains(&status)), "{claim}: `{said}`");
        target.assert_unchanged(claim);
    }
    for _ in 0..50 {
        // A good request with one byte changed is answered somehow, or not at all.
        let mut bytes = post(&format!("Content-Length: {length}\r\nConnection: close\r\n"), grant.bytes());
        let head = bytes.len() - length;
        bytes[random.place(head)] ^= 1 << random.below(8);
        // The record itself is good, so it must not arrive: its last byte is changed too.
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let said = raw::speak_and_end(&address, &bytes, PATIENCE);
        let status = raw::status(&said);
        assert!(status.is_none_or(|status| (300..500).contains(&status)), "{said}");
        target.assert_unchanged("a changed byte");
    }
    target.finish();
}

#[test]
fn a_connection_that_falls_silent_is_closed() {
    let target = Target::new();
    let address = target.node.http().address().to_owned();
    let body = "POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    std::thread::scope(|scope| {
        for bytes in ["", "GET /v1/status HT", "GET /v1/status HTTP/1.1\r\nHost: x\r\n", body] {
            let address = &address;
            scope.spawn(move || {
                let said = raw::speak(address, bytes.as_bytes(), PATIENCE);
                let status = raw::status(&said);
                assert!(
                    said.is_empty() || status.is_some_and(|status| (400..500).contains(&status)),
                    "{bytes:?}: {said}"
                );
            });
        }
    });
    target.finish();
}
