//! What is refused, where, and in which words.

use writ_proto::condition::{Condition, ConditionError, DEPTH_MAX};
use writ_proto::limits::CONDITION_BYTES_MAX;
use writ_proto::refusal::{Code, Refusal};

fn refused(text: &str) -> ConditionError {
    match Condition::parse(text) {
        Ok(condition) => panic!("`{text}` was read as `{condition}`"),
        Err(error) => error,
    }
}

#[test]
fn a_slip_is_told_with_its_place() {
    for (text, message) in [
        ("", "the end of the condition at byte 0, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("  ", "the end of the condition at byte 2, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("true &&", "the end of the condition at byte 7, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("true && )", "`)` at byte 8, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("true true", "`true` at byte 5, expected an operator or the end of the condition"),
        ("true)", "`)` at byte 4, expected an operator or the end of the condition"),
        ("(true", "the end of the condition at byte 5, expected an operator or `)`"),
        ("[1 2]", "`2` at byte 3, expected an operator, `,` or `]`"),
        ("[,]", "`,` at byte 1, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("[1,,]", "`,` at byte 3, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("context.mfa = true", "`=` at byte 12, expected `==`"),
        ("context.a & context.b", "`&` at byte 10, expected `&&`"),
        ("context.a | context.b", "`|` at byte 10, expected `||`"),
        ("context.a; true", "`;` at byte 9, expected a name, a literal or an operator"),
        ("context.é", "`é` at byte 8, expected a name, a literal or an operator"),
        ("é", "`é` at byte 0, expected a name, a literal or an operator"),
        ("true \u{a0}&& true", "`\\u{a0}` at byte 5, expected a name, a literal or an operator"),
        ("context.", "the end of the condition at byte 8, expected the name of a member"),
        ("context.1", "`.1` at byte 7, expected an operator or the end of the condition"),
        ("context.in", "`in` at byte 8, expected the name of a member"),
        ("context.true", "`true` at byte 8, expected the name of a member"),
        (".context", "`.` at byte 0, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("in [1]", "`in` at byte 0, expected a variable or a literal before `in`"),
        ("1 not in [1]", "`not` at byte 2, expected an operator or the end of the condition"),
        ("12abc", "`abc` at byte 2, expected an operator or the end of the condition"),
        ("5.", "the end of the condition at byte 2, expected the name of a member"),
        // Names.
        ("mfa", "`mfa` at byte 0 is no variable, expected `context`, `subject`, `action` or `resource`"),
        ("Context.mfa", "`Context` at byte 0 is no variable, expected `context`, `subject`, `action` or `resource`"),
        ("true && if", "`if` at byte 8 is no variable, expected `context`, `subject`, `action` or `resource`"),
        ("size", "`size` at byte 0 is no variable, expected `context`, `subject`, `action` or `resource`"),
        ("subject.name == 'a'", "`name` at byte 8 is no member of `subject`, expected `type`, `id` or `properties`"),
        ("has(resource.owner)", "`owner` at byte 13 is no member of `resource`, expected `type`, `id` or `properties`"),
        ("action.type == 'a'", "`type` at byte 7 is no member of `action`, expected `name`, `id` or `properties`"),
        ("'a'.b == 'c'", "`b` at byte 4, expected `size`, `startsWith` or `endsWith`: only variables have members"),
        ("(1 == 1).a", "`a` at byte 9, expected `size`, `startsWith` or `endsWith`: only variables have members"),
        // Functions.
        (
            "contains('a')",
            "`contains` at byte 0 is no function, expected `has(x.y)`, `size(x)`, `x.size()`, `x.startsWith(y)` or `x.endsWith(y)`",
        ),
        (
            "startsWith('a', 'b')",
            "`startsWith` at byte 0 is no function, expected `has(x.y)`, `size(x)`, `x.size()`, `x.startsWith(y)` or `x.endsWith(y)`",
        ),
        (
            "context.a.matches('b')",
            "`matches` at byte 10 is no function, expected `has(x.y)`, `size(x)`, `x.size()`, `x.startsWith(y)` or `x.endsWith(y)`",
        ),
        (
            "[1].all(x, x > 0)",
            "`all` at byte 4 is no function, expected `has(x.y)`, `size(x)`, `x.size()`, `x.startsWith(y)` or `x.endsWith(y)`",
        ),
        (
            "context('a')",
            "`context` at byte 0 is no function, expected `has(x.y)`, `size(x)`, `x.size()`, `x.startsWith(y)` or `x.endsWith(y)`",
        ),
        ("has(context)", "`context` at byte 4, expected a member, as in `has(context.mfa)`"),
        ("has(1 == 1)", "`1 == 1` at byte 4, expected a member, as in `has(context.mfa)`"),
        ("has(context.a, context.b)", "`,` at byte 13, expected an operator or `)`"),
        ("has()", "`)` at byte 4, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("size()", "`)` at byte 5, expected a variable, a literal, a function, `!`, `(` or `[`"),
        ("size(1, 2)", "`,` at byte 6, expected an operator or `)`"),
        ("context.size(1)", "`1` at byte 13, expected `)`: `size` as a method has no argument"),
        ("'a'.startsWith()", "`)` at byte 15, expected a variable, a literal, a function, `!`, `(` or `[`"),
        // What only CEL has.
        ("1 + 1 == 2", "`+` at byte 2: conditions have no arithmetic"),
        ("2 - 1 == 1", "`-` at byte 2: conditions have no arithmetic"),
        ("2 -1 == 1", "`-` at byte 2: conditions have no arithmetic"),
        ("-context.a == 1", "`-` at byte 0: conditions have no arithmetic"),
        ("-(1) == 1", "`-` at byte 0: conditions have no arithmetic"),
        ("--1 == 1", "`-` at byte 0: conditions have no arithmetic"),
        ("2 * 1 == 1", "`*` at byte 2: conditions have no arithmetic"),
        ("2 / 1 == 1", "`/` at byte 2: conditions have no arithmetic"),
        ("2 % 1 == 1", "`%` at byte 2: conditions have no arithmetic"),
        ("true ? true : false", "`?` at byte 5: conditions have no choice `?:`"),
        ("{'a': 1} == {}", "`{` at byte 0: conditions have no maps and messages"),
        ("context['a']", "`[` at byte 7: conditions have no indexing"),
        ("context.`a-b`", "``` at byte 8: conditions have no quoted member names"),
        ("r'a' == 'a'", "`r'` at byte 0: conditions have no raw texts and bytes"),
        ("'a' == b\"a\"", "`b\"` at byte 7: conditions have no raw texts and bytes"),
        ("'''a''' == 'a'", "`'''` at byte 0: conditions have no texts in three quotes"),
        // Texts.
        ("'a", "the end of the condition at byte 2, expected the closing quote"),
        ("'a\"", "the end of the condition at byte 3, expected the closing quote"),
        ("'a\nb'", "`\\u{a}` at byte 2, expected the closing quote"),
        (
            "'a\\",
            "`\\` at byte 2 is no escape: expected one of `\\ ? \" ' a b f n r t v x u U`, a backtick, or an octal number",
        ),
        (
            "'\\s'",
            "`\\s` at byte 1 is no escape: expected one of `\\ ? \" ' a b f n r t v x u U`, a backtick, or an octal number",
        ),
        (
            "'\\é'",
            "`\\é` at byte 1 is no escape: expected one of `\\ ? \" ' a b f n r t v x u U`, a backtick, or an octal number",
        ),
        ("'\\x1'", "`\\x1'` at byte 1 is no escape: expected two hexadecimal digits"),
        ("'\\x+1'", "`\\x+1` at byte 1 is no escape: expected two hexadecimal digits"),
        ("'\\u12é'", "`\\u12é` at byte 1 is no escape: expected four hexadecimal digits"),
        ("'\\U0001F43'", "`\\U0001F43'` at byte 1 is no escape: expected eight hexadecimal digits"),
        ("'\\18'", "`\\18'` at byte 1 is no escape: expected three octal digits, at most 377"),
        (
            "'\\400'",
            "`\\4` at byte 1 is no escape: expected one of `\\ ? \" ' a b f n r t v x u U`, a backtick, or an octal number",
        ),
        ("'\\uD83D\\uDE03'", "`\\uD83D` at byte 1 is no escape: expected a Unicode code point that is no surrogate"),
        ("'\\U00110000'", "`\\U00110000` at byte 1 is no escape: expected a Unicode code point that is no surrogate"),
        // Numbers.
        (
            "9223372036854775808 > 0",
            "`9223372036854775808` at byte 0 does not fit: expected -9223372036854775808 to 9223372036854775807",
        ),
        (
            "-9223372036854775809 < 0",
            "`-9223372036854775809` at byte 0 does not fit: expected -9223372036854775808 to 9223372036854775807",
        ),
        (
            "0x10000000000000000 > 0",
            "`0x10000000000000000` at byte 0 does not fit: expected -9223372036854775808 to 9223372036854775807",
        ),
        (
            "18446744073709551616u > 0",
            "`18446744073709551616u` at byte 0 does not fit: expected at most 18446744073709551615u",
        ),
        ("-1u < 0", "`-1u` at byte 0 does not fit: expected a `uint`, which has no sign"),
        ("1e999 > 0", "`1e999` at byte 0 does not fit: expected at most 1.7976931348623157e308"),
        ("1e+ > 0", "`e` at byte 1, expected an operator or the end of the condition"),
        ("0x > 0", "`x` at byte 1, expected an operator or the end of the condition"),
    ] {
        assert_eq!(refused(text).to_string(), message, "for `{text}`");
    }
}

/// A place is that of a character, and a refusal names the member of the entry.
#[test]
fn a_slip_becomes_a_refusal_of_the_submission() {
    let error = refused("'é' == é");
    assert_eq!(error.at(), Some(8));
    let refusal = Refusal::from(error.clone());
    assert_eq!((refusal.code, refusal.field, refusal.detail), (Code::BadCondition, Some("cond"), error.to_string()));
}

#[test]
fn a_text_may_be_as_long_as_the_bound() {
    let fits = format!("true//{}", "é".repeat((CONDITION_BYTES_MAX - 6) / 2));
    assert_eq!(fits.len(), CONDITION_BYTES_MAX);
    assert!(Condition::parse(&fits).is_ok());
    let error = refused(&format!("{fits} "));
    assert_eq!(error, ConditionError::TooLong { found: CONDITION_BYTES_MAX + 1 });
    assert_eq!(error.at(), None);
    assert_eq!(error.to_string(), "a condition of 1025 bytes, expected at most 1024");
}

/// Everything that nests has the same bound, and what stands in a row has none.
#[test]
fn a_condition_has_at_most_sixteen_levels() {
    let levels = DEPTH_MAX - 1;
    let nested =
        |open: &str, inner: &str, close: &str, n: usize| [open.repeat(n), inner.into(), close.repeat(n)].concat();
    for (what, of) in [
        ("parentheses", (&|n| nested("(", "true", ")", n)) as &dyn Fn(usize) -> String),
        ("lists", &|n| nested("[", "1", "]", n)),
        ("negations", &|n| nested("!", "true", "", n)),
        ("calls", &|n| nested("size(", "context", ")", n)),
        ("methods", &|n| nested("", "context", ".size()", n)),
        ("arguments", &|n| nested("'a'.startsWith(", "'a'", ")", n)),
        ("relations", &|n| nested("", "1", " == 1", n)),
        ("alternations", &|n| {
            // Each turn is parentheses or operators: a level.
            let turn = |inner: String, at| match at % 4 {
                0 => format!("{inner} && true"),
                2 => format!("{inner} || true"),
                _ => format!("({inner})"),
            };
            (0..n).fold("true".into(), turn)
        }),
        ("everything", &|n| {
            let turn = |inner: String, at| match at % 3 {
                0 => format!("!{inner}"),
                1 => format!("({inner})"),
                _ => format!("[{inner}]"),
            };
            (0..n).fold("context.a".into(), turn)
        }),
    ] {
        assert!(Condition::parse(&of(levels)).is_ok(), "{what}: {}", of(levels));
        for n in [levels + 1, levels + 2, CONDITION_BYTES_MAX / 20] {
            let error = refused(&of(n));
            assert!(matches!(error, ConditionError::TooDeep { .. }), "{n} {what}: {error}");
        }
    }
    for in_a_row in
        ["true && ".repeat(127) + "true", "true || ".repeat(127) + "true", format!("[{}] == []", "1,".repeat(500))]
    {
        assert!(Condition::parse(&in_a_row).is_ok(), "{in_a_row}");
    }
    // A path is no nesting: it goes step by step.
    assert!(Condition::parse(&format!("context{}", ".a".repeat(500))).is_ok());
    // However deep it goes on, the first level too many ends it.
    for open in ["(", "[", "!", "size(", "has(", "!("] {
        let error = refused(&open.repeat(CONDITION_BYTES_MAX / open.len()));
        let is_early = error.at().is_some_and(|at| at <= 16 * open.len() || open == "!");
        assert!(is_early, "{open}: {error}");
    }
}
