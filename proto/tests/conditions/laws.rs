//! Laws that hold for every text, every condition and every request.

use proptest::prelude::*;
use writ_proto::condition::{Condition, Truth, evaluate};

use crate::generator::{condition, context};
use crate::random::Random;
use crate::requests::{fixed, with_context};

/// Pieces of which texts are made that are almost conditions.
const PIECES: &[&str] = &[
    "context",
    "subject",
    "action",
    "resource",
    ".",
    ".id",
    ".a",
    "properties",
    "has",
    "size",
    "startsWith",
    "endsWith",
    "(",
    ")",
    "[",
    "]",
    ",",
    "!",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "&&",
    "||",
    "-",
    "1",
    "0x1",
    "1u",
    ".5",
    "1e5",
    "'a'",
    "\"b\"",
    "'\\",
    "\\u00",
    "'",
    "true",
    "false",
    "null",
    " ",
    "\n",
    "//",
    "é",
    "?",
    "{",
    "+",
    "`",
    "r'",
];

fn not(truth: Truth) -> Truth {
    match truth {
        Truth::True => Truth::False,
        Truth::False => Truth::True,
        Truth::Indeterminate => Truth::Indeterminate,
    }
}

/// Reading never panics; what is refused is refused at a character of the text; what is read keeps its laws.
fn check(text: &str) -> Result<(), TestCaseError> {
    match Condition::parse(text) {
        Err(error) => {
            prop_assert!(error.at().is_none_or(|at| text.is_char_boundary(at)), "{text}: {error}");
            prop_assert!(error.to_string().len() < 400);
        }
        Ok(condition) => {
            let spelled = condition.to_string();
            if spelled.len() <= 1024 {
                let again = Condition::parse(&spelled);
                prop_assert_eq!(again.as_ref(), Ok(&condition), "`{}` was read from `{}`", spelled, text);
            }
            let evaluation = condition.evaluate(&fixed());
            prop_assert!(evaluation.truth == Truth::Indeterminate || evaluation.missing.is_empty());
            prop_assert!(evaluation.missing.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        check(&text)?;
    }

    #[test]
    fn any_bytes_that_are_text_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..1100)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn any_row_of_pieces_is_read_or_refused(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)) {
        check(&pieces.concat())?;
        check(&pieces.join(" "))?;
    }

    /// Also with one character changed, left out or put in.
    #[test]
    fn a_condition_reads_back_from_its_own_spelling(seed: u64, at: proptest::sample::Index, piece in proptest::sample::select(PIECES)) {
        let text = condition(&mut Random::new(seed), 4);
        prop_assume!(text.len() <= 1024);
        prop_assert!(Condition::parse(&text).is_ok(), "{text}");
        check(&text)?;
        let boundaries: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
        let at = boundaries[at.index(boundaries.len())];
        check(&[&text[..at], piece, &text[at..]].concat())?;
        let after = text[at..].chars().next().map_or(at, |character| at + character.len_utf8());
        check(&[&text[..at], &text[after..]].concat())?;
        check(&text[..at])?;
    }

    /// `&&` and `||` commute, also over what cannot be evaluated, and what is missing is the same.
    #[test]
    fn operands_may_change_places(seed: u64) {
        let random = &mut Random::new(seed);
        let request = with_context(&context(random));
        let (a, b) = (condition(random, 2), condition(random, 2));
        prop_assume!(a.len() + b.len() < 900);
        for operator in ["&&", "||"] {
            let one = evaluate(&format!("({a}) {operator} ({b})"), &request);
            let other = evaluate(&format!("({b}) {operator} ({a})"), &request);
            prop_assert_eq!((one.truth, one.missing), (other.truth, other.missing), "{} {} {}", a, operator, b);
        }
        // De Morgan, in three values.
        let both = evaluate(&format!("!(({a}) && ({b}))"), &request);
        let either = evaluate(&format!("!({a}) || !({b})"), &request);
        prop_assert_eq!((both.truth, both.missing), (either.truth, either.missing));
        let alone = evaluate(&a, &request);
        prop_assert_eq!(evaluate(&format!("!({a})"), &request).truth, not(alone.truth));
    }

    /// Telling what is said to be missing is never in vain: then that is missing no more. And what is settled stays
    /// settled when more is told.
    #[test]
    fn more_context_settles_and_never_unsettles(seed: u64) {
        let random = &mut Random::new(seed);
        let (less, more) = (context(random), context(random));
        let text = condition(random, 3);
        prop_assume!(text.len() <= 1024);
        let before = evaluate(&text, &with_context(&less));
        let mut joined = less.as_object().expect("an object").clone();
        for (name, value) in more.as_object().expect("an object") {
            joined.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let after = evaluate(&text, &with_context(&joined.clone().into()));
        // `has`, `size` and `in` ask for absence, so only conditions without them keep their truth.
        let asks_for_absence = ["has(", "size", " in", "\nin", "in ", "in\n", "==", "!="].iter().any(|part| text.contains(part));
        if before.truth != Truth::Indeterminate && !asks_for_absence {
            prop_assert_eq!(after.truth, before.truth, "{}", text);
        }
        for path in &before.missing {
            if joined.contains_key(path.trim_start_matches("context.")) {
                prop_assert!(!after.missing.contains(path), "{text}: {path}");
            }
        }
    }
}
