//! Entries in words.

use writ_proto::api::Entry;
use writ_proto::name::{Action, ActionPattern};
use writ_proto::record::{AuthorityName, Effect};
use writ_proto::time::LedgerTime;

use super::{Style, ago, beside, clean};

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

/// What an entry says: who says what of whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) authority: &'a AuthorityName,
    pub(crate) access: Effect,
    pub(crate) sub: &'a str,
    pub(crate) act: &'a str,
    pub(crate) obj: &'a str,
}

impl<'a> From<&'a Entry> for Said<'a> {
    fn from(entry: &'a Entry) -> Self {
        let Entry { issuing_auth: authority, access, sub, act, obj, .. } = entry;
        Self { authority, access: *access, sub, act, obj }
    }
}

/// It as a sentence: `org1 grants 1234-org2 every action on file.dat`.
pub(crate) fn sentence<'a>(said: impl Into<Said<'a>>) -> String {
    let Said { authority, access, sub, act, obj } = said.into();
    let [sub, obj] = [sub, obj].map(clean);
    match (access, act) {
        (Effect::Grant, Action::MEMBER) => format!("{authority} makes {sub} a member of {obj}"),
        (Effect::Deny, Action::MEMBER) => format!("{authority} denies {sub} the membership of {obj}"),
        (Effect::Grant, _) => format!("{authority} grants {sub} {} on {obj}", action(act)),
        (Effect::Deny, _) => format!("{authority} denies {sub} {} on {obj}", action(act)),
    }
}

/// An action in a sentence.
pub(crate) fn action(act: &str) -> String {
    if act == ActionPattern::ANY { "every action".into() } else { format!("`{}`", clean(act)) }
}

/// Everything that there is to say of an entry, for [`super::fields`].
pub(crate) fn entry_fields(style: Style, entry: &Entry, now: LedgerTime) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("sub", clean(&entry.sub)),
        ("obj", clean(&entry.obj)),
        ("act", clean(&entry.act)),
        ("access", style.verdict(entry.access == Effect::Grant, entry.access.as_str())),
        ("holds", holds(entry, now)),
    ];
    let time = |time: Option<LedgerTime>, none: &str| time.map_or_else(|| none.to_owned(), |time| beside(time, now));
    pairs.push(("iss", time(entry.iss, "none: from when it was added")));
    pairs.push(("exp", time(entry.exp, "none: until revoked")));
    pairs.push(("issuingAuth", entry.issuing_auth.to_string()));
    pairs.push(("added", beside(entry.added, now)));
    for (name, text) in [("ref", &entry.reference), ("cond", &entry.cond)] {
        pairs.extend(text.as_ref().map(|text| (name, clean(text))));
    }
    if let Some(revoked) = entry.revoked {
        pairs.push(("revoked", format!("{} by {}, height {}", beside(revoked.at, now), revoked.by, revoked.height)));
    }
    pairs.push(("id", entry.id.to_string()));
    pairs.extend(entry.set.map(|set| ("set", set.to_string())));
    pairs.push(("place", format!("index {}, height {}", entry.index, entry.height)));
    pairs
}
