//! Who may do what, in words.

use writ_proto::api::{AccessChange, Right};
use writ_proto::name::ActionPattern;

use super::{Cell, Style, Table, action, clean};

/// Rights as people say them: `every action but `delete``, or the actions.
pub(crate) fn rights(rights: &[Right]) -> String {
    let one = |right: &Right| {
        let except: Vec<String> = right.except.iter().map(|act| format!("`{}`", clean(act))).collect();
        match (right.act.as_str(), except.is_empty()) {
            (ActionPattern::ANY, false) => format!("every action but {}", except.join(", ")),
            (act, _) => action(act),
        }
    };
    if rights.is_empty() { "nothing".into() } else { rights.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// Who gains and loses what, one line each.
pub(crate) fn changes(changes: &[AccessChange], words: [&str; 2], style: Style) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let mut table = Table::headed(&["change", "sub", "obj", "action"]);
    for change in changes {
        let mut row = |word: &str, what: &[Right], paint: fn(Style, &str) -> String| {
            if !what.is_empty() {
                let [sub, obj] = [&change.sub, &change.obj].map(|name| Cell::of(clean(name)));
                table.row(vec![Cell::of(word).painted(paint), sub, obj, Cell::of(rights(what))]);
            }
        };
        row(words[0], &change.gained, Style::green);
        row(words[1], &change.lost, Style::red);
    }
    table.take(style)
}
