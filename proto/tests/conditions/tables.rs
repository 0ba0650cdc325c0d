//! What each part of the language means, case by case.

use std::collections::BTreeSet;

use writ_proto::condition::{Condition, Map, Request, Truth, Value, evaluate};
use writ_proto::name::{Action, Name};

use crate::oracle;
use crate::requests::{fixed, fixed_context, with_context};

const T: Truth = Truth::True;
const F: Truth = Truth::False;
/// Cannot be evaluated.
const X: Truth = Truth::Indeterminate;

fn check(cases: &[(&str, Truth)]) {
    let request = fixed();
    let mut seen = BTreeSet::new();
    for (text, want) in cases {
        assert!(seen.insert(text), "`{text}` stands there twice");
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
        assert_eq!(condition.evaluate(&request).truth, *want, "`{text}`, read as `{condition}`");
        if !oracle::DEVIATIONS.iter().any(|(deviating, ..)| deviating == text) {
            assert_eq!(oracle::answer(text, &fixed_context()), Ok(*want), "the oracle on `{text}`");
        }
    }
}

#[test]
fn literals_mean_what_they_mean_in_cel() {
    check(&[
        ("true", T),
        ("false", F),
        ("null == null", T),
        ("1 == 0x1", T),
        ("0xfF == 255", T),
        ("-0x10 == -16", T),
        ("0xFFu == 255u", T),
        ("1U == 1u", T),
        ("007 == 7", T),
        ("-9223372036854775808 < -9223372036854775807", T),
        ("18446744073709551615u > 9223372036854775807", T),
        (".5 == 0.5", T),
        ("5e-1 == .5", T),
        ("1E3 == 1000", T),
        ("1.5e+1 == 15", T),
        ("-0.0 == 0.0", T),
        ("1e-999 == 0.0", T),
        (r#"'a' == "a""#, T),
        (r#"'"' == "\"""#, T),
        (r#"'\'' == "'""#, T),
        (r#""\a\b\f\n\r\t\v\\\?\`" == "\x07\x08\x0C\x0a\x0D\x09\x0b\x5c\x3f\x60""#, T),
        (r#""\u00e9\U0001F431" == "é🐱""#, T),
        (r#""\303\277" == "Ã¿""#, T),
        (r#""\377" == "ÿ""#, T),
        (r#""\X41" == "A""#, T),
        (r#"size("\000") == 1"#, T),
        ("[] == []", T),
        ("[1, 2,] == [1, 2]", T),
        // Tokens need no blanks between them, and comments are blanks.
        ("1in[1]", T),
        ("true//\n&&//false\nfalse", F),
        ("\t\n\x0c\r true", T),
        ("true // at the end", T),
    ]);
}

#[test]
fn operators_bind_as_in_cel() {
    check(&[
        // && before ||.
        ("true || true && false", T),
        ("false && true || true", T),
        ("(true || true) && false", F),
        // Relations before &&, all alike, from left to right.
        ("1 == 1 && 2 == 2", T),
        ("1 < 2 == true", T),
        ("true == 1 < 2", X),
        ("true == (1 < 2)", T),
        ("3 == 3 == true", T),
        ("1 in [1] == true", T),
        ("true == 1 in [true]", F),
        ("true == (1 in [true])", F),
        ("1 in [2] in [false]", T),
        // ! before relations, and a sign is part of its number.
        ("!false == true", T),
        ("!(false == true)", T),
        ("!!true", T),
        ("!!!true", F),
        ("!context.jailbroken", T),
        ("-1 < 0", T),
        ("1 < -1", F),
        ("!has(context.nobody)", T),
    ]);
}

#[test]
fn and_and_or_do_without_what_cannot_be_evaluated() {
    check(&[
        ("true && true", T),
        ("true && false", F),
        ("false || false", F),
        ("false || true", T),
        // Settled, whichever side is unknown, and whyever.
        ("context.nobody && false", F),
        ("false && context.nobody", F),
        ("context.nobody || true", T),
        ("true || context.nobody", T),
        ("1 && false", F),
        ("false && 1", F),
        ("'a' || true", T),
        ("true || 'a'", T),
        ("context.nobody && context.zone && false", F),
        ("1 < 'a' || true", T),
        // Not settled.
        ("context.nobody && true", X),
        ("true && context.nobody", X),
        ("context.nobody || false", X),
        ("false || context.nobody", X),
        ("1 && true", X),
        ("true && 1", X),
        ("false || null", X),
        ("context.nobody && context.nobody", X),
        // What is unknown inside stays inside.
        ("!(context.nobody && false)", T),
        ("!context.nobody || true", T),
        ("(context.nobody || false) && false", F),
        ("(context.nobody && false) == false", T),
        ("(context.nobody && true) == false", X),
        ("[context.nobody && false] == [false]", T),
    ]);
}

#[test]
fn a_result_that_is_no_truth_is_indeterminate() {
    check(&[
        ("null", X),
        ("1", X),
        ("1u", X),
        ("0.0", X),
        ("'true'", X),
        ("[true]", X),
        ("context", X),
        ("context.zone", X),
        ("context.nothing", X),
        ("size(context)", X),
        ("context.mfa", T),
        ("!1", X),
        ("!null", X),
        ("!'a'", X),
    ]);
}

#[test]
fn members_are_found_or_missing() {
    check(&[
        ("subject.type == 'user'", T),
        ("subject.id == 'alice'", T),
        ("subject.properties.department == 'finance'", T),
        ("resource.type == 'file' && resource.id == 'reports/q3'", T),
        ("resource.properties.owner == subject.id", T),
        ("action.name == 'read' && action.id == action.name", T),
        ("action.properties.reason == 'audit'", T),
        ("context.device.os == 'linux'", T),
        ("( context . device ) . os == 'linux'", T),
        ("context.device.os.version", X),
        ("context.groups.first", X),
        ("context.level.x", X),
        ("context.nothing.x", X),
        ("context.nobody", X),
        ("context.MFA", X),
        ("subject.properties.nobody == null", X),
        // Reserved words name members, and so do the names of functions.
        ("context.package == 1", X),
        ("context.size == 1", X),
        ("has(context.while)", F),
    ]);
}

#[test]
fn has_asks_for_the_last_member_only() {
    check(&[
        ("has(context.mfa)", T),
        ("has(context.jailbroken)", T),
        ("has(context.nothing)", T),
        ("has(context.nobody)", F),
        ("has(context.device.os)", T),
        ("has(context.device.nobody)", F),
        ("has((context.device).os)", T),
        ("has(subject.type)", T),
        ("has(subject.properties)", T),
        ("has(subject.properties.nobody)", F),
        ("has(context.nobody.os)", X),
        ("has(context.zone.os)", X),
        ("has(context.groups.os)", X),
        ("has(context.nothing.os)", X),
        ("has(context.nobody) && context.nobody", F),
        ("!has(context.nobody) || context.nobody", T),
    ]);
}

#[test]
fn equality_is_for_all_and_false_across_types() {
    check(&[
        ("context.nothing == null", T),
        ("context.zone == null", F),
        ("context.zone != null", T),
        ("1 == '1'", F),
        ("1 != '1'", T),
        ("true == 1", F),
        ("'a' == 'A'", F),
        ("'é' == 'e\u{301}'", F),
        ("context.groups == ['staff', 'finance', 7]", T),
        ("context.groups == ['finance', 'staff', 7]", F),
        ("context.groups == ['staff', 'finance']", F),
        ("context.groups == context.again", T),
        ("context.groups != context.again", F),
        ("context.deep == context.same", T),
        ("context.deep == context.device", F),
        ("context.deep.a == context.deep", F),
        ("context.device != context.zone", T),
        ("[context.level, 'x'] == [3.0, 'x']", T),
        ("[3.0, 'x'] == [context.level, 'x']", T),
        ("[context.level, 'x'] == [context.whole, 'x']", T),
        ("[context.level] == [context.zone]", F),
        ("[[context.level]] == [[3u]]", T),
        ("[1] == [1, 1]", F),
        ("subject == subject", T),
        ("subject == resource", F),
        ("context.nobody == context.nobody", X),
        ("context.nobody != 1", X),
        ("[context.nobody] == []", X),
    ]);
}

#[test]
fn numbers_compare_on_one_line_whatever_their_types() {
    check(&[
        ("context.level >= 3", T),
        ("context.level > 3", F),
        ("context.level == 3u && context.level == 3.0", T),
        ("context.whole == 3", T),
        ("context.score > 2 && context.score < 3u", T),
        ("context.score == 2", F),
        ("1 == 1u && 1u == 1.0 && 1.0 == 1", T),
        ("-1 < 0u && 0u > -1", T),
        ("-1 == 18446744073709551615u", F),
        ("-1.5 < -1 && -1 > -1.5", T),
        ("-1.5 > -2 && -2 < -1.5", T),
        ("1 < 1.5 && 1.5 > 1", T),
        ("0 <= -0.5", F),
        // Beyond 2^53 a double skips whole numbers; the others do not become doubles to be compared.
        ("context.huge == 9007199254740993", T),
        ("context.huge == 9007199254740992.0", F),
        ("context.huge > 9007199254740992.0", T),
        ("9007199254740992.0 < context.huge", T),
        ("context.most == 18446744073709551615u", T),
        ("context.most < 18446744073709551616.0", T),
        ("context.most == 18446744073709551616.0", F),
        ("9223372036854775807 < 9223372036854775808.0", T),
        ("-9223372036854775808 == -9223372036854775808.0", T),
        ("-9223372036854775808 > -9223372036854777856.0", T),
        ("1e300 > 18446744073709551615u", T),
        ("-1e300 < -9223372036854775808", T),
        ("1 <= 1.0 && 1 >= 1.0", T),
    ]);
}

#[test]
fn only_numbers_texts_and_truths_have_an_order() {
    check(&[
        ("'a' < 'b' && 'b' > 'a'", T),
        ("'Z' < 'a'", T),
        ("'a' < 'aa'", T),
        ("'' < 'a'", T),
        ("'a' <= 'a' && 'a' >= 'a'", T),
        // By code points, which UTF-16 would put the other way round.
        ("'\u{ffff}' < '\u{10000}'", T),
        ("false < true", T),
        ("true <= true", T),
        ("1 < 'a'", X),
        ("'1' < 2", X),
        ("true < 1", X),
        ("null < null", X),
        ("null <= null", X),
        ("[1] < [2]", X),
        ("context < context", X),
        ("context.level < context.nobody", X),
    ]);
}

#[test]
fn in_finds_elements_of_lists_and_names_of_maps() {
    check(&[
        ("'staff' in context.groups", T),
        ("'boss' in context.groups", F),
        ("7 in context.groups", T),
        ("7.0 in context.groups", T),
        ("7u in context.groups", T),
        ("'7' in context.groups", F),
        ("null in context.groups", F),
        ("context.zone in ['intern', 'vpn']", T),
        ("context.zone in ['vpn']", F),
        ("context.zone in []", F),
        ("context.level in [context.nothing, context.whole]", T),
        ("[1] in [[1], [2]]", T),
        ("[1] in [1, 2]", F),
        ("'os' in context.device", T),
        ("'linux' in context.device", F),
        ("'type' in subject", T),
        ("'confidential' in resource.properties.tags", T),
        ("1 in context.device", F),
        ("1u in context.device", F),
        ("1.5 in context.device", F),
        ("true in context.device", F),
        ("null in context.device", X),
        ("['os'] in context.device", X),
        ("context in context.device", X),
        ("'a' in 'abc'", X),
        ("1 in 1", X),
        ("null in null", X),
        ("context.nobody in context.groups", X),
        ("'staff' in context.nobody", X),
        // A list is only as known as all its elements.
        ("1 in [1, context.nobody]", X),
    ]);
}

#[test]
fn functions_take_what_they_take() {
    check(&[
        ("size('') == 0", T),
        ("size('abc') == 3 && 'abc'.size() == 3", T),
        // Code points: neither bytes nor what looks like one character.
        ("size(context.name) == 5", T),
        ("'e\u{301}'.size() == 2", T),
        ("size([]) == 0", T),
        ("size(context.groups) == 3", T),
        ("context.groups.size() == 3u", T),
        ("size([context.level, 1]) == 2", T),
        ("size(context.device) == 2 && context.device.size() == 2", T),
        ("size(subject) == 3", T),
        ("size(1) == 1", X),
        ("size(null) == 0", X),
        ("size(true) == 1", X),
        ("size(context.nobody) == 0", X),
        ("size([context.nobody]) == 1", X),
        ("1.size() == 1", X),
        ("context.zone.startsWith('in')", T),
        ("context.zone.startsWith('')", T),
        ("context.zone.startsWith('intern.')", F),
        ("context.zone.startsWith('n')", F),
        ("context.zone.endsWith('tern')", T),
        ("context.zone.endsWith('')", T),
        ("context.zone.endsWith('in')", F),
        ("resource.id.startsWith(resource.type)", F),
        ("'é'.endsWith('\u{301}')", F),
        ("'abc'.startsWith(1)", X),
        ("1.startsWith('1')", X),
        ("context.groups.startsWith('staff')", X),
        ("context.zone.startsWith(context.nobody)", X),
        ("context.nobody.endsWith('a')", X),
    ]);
}

/// What is missing is told where it mattered, and nowhere else.
#[test]
fn the_answer_names_the_missing_context() {
    let request = with_context(&serde_json::json!({"zone": "intern", "device": {}, "level": 1}));
    let none: [&str; 0] = [];
    for (text, truth, missing) in [
        ("context.mfa", X, &["context.mfa"][..]),
        ("context.mfa == true && context.ip == 'x'", X, &["context.ip", "context.mfa"]),
        ("context.z && context.a && context.z", X, &["context.a", "context.z"]),
        ("context.a == context.b", X, &["context.a", "context.b"]),
        ("context.a in [context.b, context.c]", X, &["context.a", "context.b", "context.c"]),
        ("context.a.startsWith(context.b)", X, &["context.a", "context.b"]),
        ("size(context.a) == 1", X, &["context.a"]),
        ("!context.a", X, &["context.a"]),
        // The first member that is not there, not the last.
        ("context.user.name == 'x'", X, &["context.user"]),
        ("context.user.name == context.user.id", X, &["context.user"]),
        ("context.device.os == 'linux'", X, &["context.device.os"]),
        ("has(context.user.name)", X, &["context.user"]),
        (
            "subject.properties.badge == resource.properties.badge",
            X,
            &["resource.properties.badge", "subject.properties.badge"],
        ),
        // Unknown, but nothing is missing.
        ("context.zone", X, &none),
        ("context.level < 'a'", X, &none),
        ("context.zone.name", X, &none),
        ("has(context.zone.name)", X, &none),
        // Settled without it.
        ("has(context.mfa)", F, &none),
        ("context.mfa && false", F, &none),
        ("context.mfa || true", T, &none),
        ("context.mfa == true || context.zone == 'intern'", T, &none),
        // Settled inside, unknown outside.
        ("(context.a && false) || context.b", X, &["context.b"]),
        ("context.b || (context.a && false)", X, &["context.b"]),
        ("(context.a || true) && context.b", X, &["context.b"]),
        ("context.b && (context.a || true)", X, &["context.b"]),
        ("((context.a && context.b) || true) && (context.c || 1)", X, &["context.c"]),
    ] {
        let evaluation = Condition::parse(text).unwrap_or_else(|error| panic!("`{text}`: {error}")).evaluate(&request);
        assert_eq!(evaluation.truth, truth, "{text}");
        assert_eq!(evaluation.missing, missing, "{text}");
    }
}

#[test]
fn a_text_that_does_not_parse_is_indeterminate() {
    for text in ["", "true &&", "true + 1", &"!".repeat(2000)] {
        let evaluation = evaluate(text, &fixed());
        assert_eq!((evaluation.truth, evaluation.missing), (X, vec![]), "{text}");
    }
    assert_eq!(evaluate("context.mfa", &fixed()).truth, T);
}

#[test]
fn a_request_tells_names_as_people_write_them() {
    let name = |text| Name::parse_full(text).expect("a name");
    let act = Action::parse("read").expect("an action");
    let request = Request::of(&name("user:Zo%C3%AB"), Some(&act), &name("file:%FF"));
    for (text, want, missing) in [
        ("subject.id == 'Zoë'", T, None),
        // No text: it stays in the ledger's form.
        ("resource.id == '%FF'", T, None),
        ("size(subject.properties) == 0 && size(action.properties) == 0 && size(resource.properties) == 0", T, None),
        ("size(context) == 0", T, None),
        ("context.mfa", X, Some("context.mfa")),
    ] {
        let evaluation = evaluate(text, &request);
        assert_eq!((evaluation.truth, evaluation.missing.first().map(String::as_str)), (want, missing), "{text}");
    }
    // A question for every action has none to tell.
    let every = Request::of(&name("user:a"), None, &name("file:x"));
    assert_eq!(evaluate("action.name == 'read'", &every).missing, ["action.name"]);
    for text in ["has(action.name)", "'name' in action", "size(action) == 3", "action == subject"] {
        let evaluation = evaluate(text, &every);
        assert_eq!((evaluation.truth, evaluation.missing), (X, vec!["action.name".into()]), "{text}");
    }
    assert_eq!(evaluate("has(action.properties) && !has(action.properties.reason)", &every).truth, T);
    // The request that knows nothing.
    let nothing = evaluate("subject.id == resource.id && action.id == 'x'", &Request::default());
    assert_eq!((nothing.truth, nothing.missing.len()), (X, 3));
}

/// No text of a condition and no JSON makes a NaN, but a value can hold one.
#[test]
fn nan_equals_nothing_and_has_no_order() {
    let context = Map::from([("nan".into(), Value::Double(f64::NAN)), ("most".into(), Value::Double(f64::INFINITY))]);
    let request = fixed().with_context(context);
    for (text, want) in [
        ("context.nan == context.nan", F),
        ("context.nan != context.nan", T),
        ("context.nan == 0", F),
        ("context.nan in [context.nan]", F),
        ("context.nan < 0", X),
        ("0u >= context.nan", X),
        ("context.nan <= context.nan", X),
        ("context.most > 18446744073709551615u", T),
        ("context.most == context.most", T),
    ] {
        assert_eq!(evaluate(text, &request).truth, want, "{text}");
    }
}

#[test]
fn a_condition_has_one_spelling() {
    for (text, spelling) in [
        ("1==(2==3)", "1 == (2 == 3)"),
        ("(1==2)==3", "1 == 2 == 3"),
        ("1 in([2]in[3])", "1 in ([2] in [3])"),
        ("(true&&false)||true", "true && false || true"),
        ("true&&(false||true)", "true && (false || true)"),
        ("(true&&false)&&true", "(true && false) && true"),
        ("true||(false||true)", "true || (false || true)"),
        ("!(!true)", "!!true"),
        ("(!true)==false", "!true == false"),
        ("!(true==false)", "!(true == false)"),
        ("(1 == 1).startsWith((context).zone)", "(1 == 1).startsWith(context.zone)"),
        ("(!true).size()", "size(!true)"),
        ("has( ( context . a ) . b )", "has(context.a.b)"),
        ("[1,(context.a),]", "[1, context.a]"),
        ("[0x1F, -0x1f, 0xAu, 007, .5, 1e3, -0.0, 1e300]", "[31, -31, 10u, 7, 0.5, 1000.0, -0.0, 1e300]"),
        (r#"'it\'s' == "say \"no\"\\""#, r#""it's" == "say \"no\"\\""#),
        ("'\\x00\\n\\r\\t\\x85\\U0001F431é' // and so on", "\"\\u0000\\n\\r\\t\\u0085🐱é\""),
    ] {
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("`{text}`: {error}"));
        assert_eq!(condition.to_string(), spelling, "`{text}`");
        assert_eq!(Condition::parse(spelling), Ok(condition), "`{text}`");
    }
}
