//! Entries in words.

use writ_proto::api::Entry;
use writ_proto::name::ActionPattern;
use writ_proto::record::Effect;
use writ_proto::time::LedgerTime;

use super::{Style, ago, beside, clean, fields};

/// Since when and until when an entry holds, as it looks now.
pub(crate) fn holds(entry: &Entry, now: LedgerTime) -> String {
    let start = entry.iss.map_or(entry.added, |iss| iss.max(entry.added));
    if let Some(outcome) = entry.outcome.as_deref().filter(|outcome| *outcome != "accepted") {
        return format!("never: rejected ({})", clean(outcome));
    }
    if let Some(revoked) = entry.revoked {
        return if revoked.at <= start {
            format!("never: revoked {}", ago(revoked.at, now))
        } else {
            format!("revoked {}", beside(revoked.at, now))
        };
    }
    match entry.exp {
        Some(exp) if exp <= start => format!("never: it ended {} before it was added", exp),
        Some(exp) if exp <= now => format!("ended {}", beside(exp, now)),
        Some(exp) if start > now => format!("from {} until {exp}", beside(start, now)),
        Some(exp) => format!("until {}", beside(exp, now)),
        None if start > now => format!("from {}", beside(start, now)),
        None => format!("since {}", beside(start, now)),
    }
}

/// An entry as a sentence: `org1 grants every action on file.dat to 1234-org2`.
pub(crate) fn sentence(entry: &Entry) -> String {
    let [sub, obj] = [&entry.sub, &entry.obj].map(|name| clean(name));
    let who = &entry.issuing_auth;
    let verb = if entry.access == Effect::Grant { "grants" } else { "denies" };
    if entry.act == "member" {
        let verb = if entry.access == Effect::Grant { "makes" } else { "denies" };
        return match entry.access {
            Effect::Grant => format!("{who} {verb} {sub} a member of {obj}"),
            Effect::Deny => format!("{who} {verb} {sub} membership of {obj}"),
        };
    }
    let what = if entry.act == ActionPattern::ANY { "every action".into() } else { format!("`{}`", clean(&entry.act)) };
    format!("{who} {verb} {sub} {what} on {obj}")
}

/// Everything that there is to say of an entry.
pub(crate) fn entry_lines(style: Style, entry: &Entry, now: LedgerTime) -> String {
    let mut pairs = vec![
        ("sub", clean(&entry.sub)),
        ("obj", clean(&entry.obj)),
        ("act", clean(&entry.act)),
        ("access", style.verdict(entry.access == Effect::Grant, entry.access.as_str())),
        ("holds", holds(entry, now)),
    ];
    let time = |time: Option<LedgerTime>, none: &str| time.map_or_else(|| none.to_owned(), |time| beside(time, now));
    pairs.push(("iss", time(entry.iss, "- (from when it was added)")));
    pairs.push(("exp", time(entry.exp, "- (until revoked)")));
    pairs.push(("issuingAuth", entry.issuing_auth.to_string()));
    pairs.push(("added", beside(entry.added, now)));
    for (name, text) in [("ref", &entry.reference), ("cond", &entry.cond)] {
        pairs.extend(text.as_ref().map(|text| (name, clean(text))));
    }
    if let Some(revoked) = entry.revoked {
        pairs.push(("revoked", format!("{} by {}, height {}", beside(revoked.at, now), revoked.by, revoked.height)));
    }
    pairs.push(("id", entry.id.to_string()));
    pairs.push(("place", format!("index {}, height {}", entry.index, entry.height)));
    fields(style, &pairs)
}
