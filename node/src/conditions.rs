//! Conditions that were read before, by their text: to read one takes several times what it takes to evaluate it.
//!
//! What a text reads as follows from the text alone, so nothing here can be out of date; results are not kept. All of a
//! process share it. Once the texts take too much, all are forgotten: entries with conditions that are really asked about
//! come again at once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use writ_proto::condition::{Condition, Evaluation, Request, Truth};

/// Bytes of all texts. What they read as takes at most some forty times as much.
const BYTES_MAX: usize = 1024 * 1024;

static KEPT: LazyLock<RwLock<Kept>> = LazyLock::new(RwLock::default);

#[derive(Default)]
struct Kept {
    /// `None`: it does not parse.
    by_text: HashMap<Box<str>, Option<Arc<Condition>>>,
    bytes: usize,
}

/// What the condition `text` comes to for `request`, as [`writ_proto::condition::evaluate`] says.
pub fn evaluate(text: &str, request: &Request) -> Evaluation {
    match condition(text) {
        Some(condition) => condition.evaluate(request),
        None => Truth::Indeterminate.into(),
    }
}

/// The condition, if the text is one.
fn condition(text: &str) -> Option<Arc<Condition>> {
    if let Some(known) = KEPT.read().unwrap_or_else(PoisonError::into_inner).by_text.get(text) {
        return known.clone();
    }
    let read = Condition::parse(text).ok().map(Arc::new);
    KEPT.write().unwrap_or_else(PoisonError::into_inner).keep(text, read.clone());
    read
}

impl Kept {
    fn keep(&mut self, text: &str, condition: Option<Arc<Condition>>) {
        if self.bytes + text.len() > BYTES_MAX {
            *self = Self::default();
        }
        if self.by_text.insert(text.into(), condition).is_none() {
            self.bytes += text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_to_the_same_however_often_it_is_read() {
        let request = |mfa: bool| Request::default().with_context([("mfa".into(), mfa.into())].into());
        for text in ["context.mfa", "!context.mfa", "context.mfa == true", "size(1)", "no condition (", ""] {
            for mfa in [true, false, true] {
                let request = request(mfa);
                assert_eq!(evaluate(text, &request), writ_proto::condition::evaluate(text, &request), "{text} {mfa}");
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        for number in 0..5_000 {
            let text = format!("context.x == '{}{number}'", "y".repeat(900));
            kept.keep(&text, Condition::parse(&text).ok().map(Arc::new));
            kept.keep(&text, None);
            assert!(kept.bytes <= BYTES_MAX && kept.by_text.contains_key(text.as_str()));
        }
        assert!(kept.by_text.len() < 1_200 && kept.bytes == kept.by_text.keys().map(|text| text.len()).sum::<usize>());
    }
}
