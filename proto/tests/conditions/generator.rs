//! Random conditions and requests, which mostly fit each other.

use serde_json::{Map as JsonMap, Value as Json, json};

use crate::random::Random;

const WORDS: &[&str] = &["", "a", "ab", "b", "staff", "é", "e\u{301}", "🐱", "\u{ffff}", "\n"];
/// The members of `context` by what they mostly hold.
const NUMBERS: &[&str] = &["n1", "n2", "n3"];
const TEXTS: &[&str] = &["s1", "s2", "s3"];
const TRUTHS: &[&str] = &["b1", "b2", "b3"];
const LISTS: &[&str] = &["l1", "l2"];
const MAPS: &[&str] = &["m1", "m2"];

/// A context. Members are missing now and then, or of another type.
pub(crate) fn context(random: &mut Random) -> Json {
    let mut context = JsonMap::new();
    for (names, of) in [
        (NUMBERS, number as fn(&mut Random) -> Json),
        (TEXTS, text),
        (TRUTHS, |random| random.pick(&[json!(true), json!(false)])),
        (LISTS, |random| list(random, 2)),
        (MAPS, |random| map(random, 2)),
    ] {
        for name in names {
            match random.below(8) {
                0 => {}
                1 => drop(context.insert((*name).into(), any(random, 2))),
                _ => drop(context.insert((*name).into(), of(random))),
            }
        }
    }
    Json::Object(context)
}

/// Whole numbers stay within 2^53: beyond it the oracle rounds, see the deviations.
fn number(random: &mut Random) -> Json {
    match random.below(8) {
        0 => random.pick(&[json!(0.5), json!(1.0), json!(-1.5), json!(2.0), json!(1e300), json!(-0.0)]),
        1 => random.pick(&[json!(9_007_199_254_740_991_i64), json!(-9_007_199_254_740_991_i64)]),
        _ => json!(random.below(5) as i64 - 2),
    }
}

fn text(random: &mut Random) -> Json {
    json!(random.pick(WORDS))
}

fn list(random: &mut Random, depth: usize) -> Json {
    (0..random.below(4)).map(|_| any(random, depth - 1)).collect()
}

fn map(random: &mut Random, depth: usize) -> Json {
    let mut members = JsonMap::new();
    for _ in 0..random.below(3) {
        let name = random.pick(&["a", "ab", "staff", "s1", "m1"]);
        members.insert(name.into(), any(random, depth - 1));
    }
    Json::Object(members)
}

fn any(random: &mut Random, depth: usize) -> Json {
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 | 1 => number(random),
        2 => text(random),
        3 => random.pick(&[json!(true), json!(false)]),
        4 => Json::Null,
        5 => list(random, depth),
        _ => map(random, depth),
    }
}

/// A condition with at most `depth` levels of what nests.
pub(crate) fn condition(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return match random.below(8) {
            0 => random.pick(&["true", "false"]).into(),
            1 => format!("has({})", path(random)),
            _ => format!("context.{}", random.pick(TRUTHS)),
        };
    }
    let deeper = depth - 1;
    match random.below(16) {
        0..=2 => run(random, "&&", deeper),
        3..=5 => run(random, "||", deeper),
        6 => format!("!{}", member(random, |random| condition(random, deeper))),
        7 | 8 => {
            let operator = random.pick(&["==", "!=", "<", "<=", ">", ">="]);
            relation(random, operator, |random| a_number(random, deeper))
        }
        9 => {
            let operator = random.pick(&["==", "!=", "<", "<=", ">", ">="]);
            relation(random, operator, a_text)
        }
        10 => {
            let operator = random.pick(&["==", "!=", "<"]);
            relation(random, operator, |random| anything(random, deeper))
        }
        11 => {
            let value = anything(random, deeper);
            format!("{value}{}in{}{}", blank(random, true), blank(random, true), a_container(random, deeper))
        }
        12 => {
            let affix = random.pick(&["startsWith", "endsWith"]);
            format!("{}.{affix}({})", a_text(random), a_text(random))
        }
        13 => format!("({})", condition(random, deeper)),
        // Relations in a row go from left to right.
        14 => format!("{} == {}", relation(random, "==", a_text), random.pick(&["true", "false", "context.b1"])),
        _ => condition(random, deeper),
    }
}

fn run(random: &mut Random, operator: &str, depth: usize) -> String {
    let operands: Vec<_> = (0..2 + random.below(2)).map(|_| condition(random, depth)).collect();
    let blank = blank(random, false);
    operands.join(&format!("{blank}{operator}{blank}"))
}

/// In parentheses, unless it is a member anyway.
fn member(random: &mut Random, of: impl FnOnce(&mut Random) -> String) -> String {
    let text = of(random);
    if text.contains([' ', '=', '<', '>', '&', '|', '\n']) { format!("({text})") } else { text }
}

fn relation(random: &mut Random, operator: &str, side: impl Fn(&mut Random) -> String) -> String {
    let (left, right) = (side(random), side(random));
    let blank = blank(random, false);
    format!("{left}{blank}{operator}{blank}{right}")
}

fn a_number(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 8 } else { 10 }) {
        0..=4 => format!("context.{}", random.pick(NUMBERS)),
        5 => random.pick(&["0.5", "1.0", "-1.5", "2e0", ".5", "1E+0", "0u", "1u", "2U", "0x2", "-0x1"]).into(),
        6 | 7 => format!("{}", random.below(5) as i64 - 2),
        8 => format!("size({})", a_container(random, depth - 1)),
        _ => format!("{}.size()", a_text(random)),
    }
}

fn a_text(random: &mut Random) -> String {
    match random.below(8) {
        0 => random
            .pick(&["subject.id", "subject.type", "resource.id", "resource.properties.owner", "action.name"])
            .into(),
        1 | 2 => {
            let word = random.pick(WORDS);
            if random.below(2) == 0 {
                format!("'{}'", word.replace('\n', "\\n"))
            } else {
                let escaped: Vec<_> =
                    word.chars().map(|character| format!("\\U{:08x}", u32::from(character))).collect();
                format!("\"{}\"", escaped.concat())
            }
        }
        3 => path(random),
        _ => format!("context.{}", random.pick(TEXTS)),
    }
}

fn a_container(random: &mut Random, depth: usize) -> String {
    match random.below(6) {
        0 => format!("context.{}", random.pick(MAPS)),
        1 => random.pick(&["context", "subject", "resource.properties.tags", "subject.properties"]).into(),
        2 | 3 => format!("context.{}", random.pick(LISTS)),
        _ => {
            let elements: Vec<_> = (0..random.below(4)).map(|_| anything(random, depth.saturating_sub(1))).collect();
            let comma = if !elements.is_empty() && random.below(4) == 0 { "," } else { "" };
            format!("[{}{comma}]", elements.join(", "))
        }
    }
}

fn anything(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 8 } else { 10 }) {
        0 | 1 => a_number(random, 0),
        2 | 3 => a_text(random),
        4 => random.pick(&["null", "true", "false"]).into(),
        5 | 6 => path(random),
        7 => format!("context.{}", random.pick(TRUTHS)),
        8 => a_container(random, depth - 1),
        _ => format!("({})", condition(random, depth - 1)),
    }
}

/// A path that may lead somewhere.
fn path(random: &mut Random) -> String {
    let all = [NUMBERS, TEXTS, TRUTHS, LISTS, MAPS, MAPS, MAPS].concat();
    let mut path = format!("context.{}", random.pick(&all));
    while random.below(3) == 0 {
        path += random.pick(&[".a", ".ab", ".staff", ".m1"]);
    }
    path
}

fn blank(random: &mut Random, needed: bool) -> &'static str {
    random.pick(if needed { &[" ", "  ", "\n", "// why\n"] } else { &[" ", "", " ", "\t"] })
}
