//! From JSON lines to the members of an atomic set.
//!
//! A line is a row as an import reads it ([`crate::import::rows`]), or `{"revoke":ID}`, which ends one entry by its id.
//! Rows with access `revoked` end what is live on their key when the set is made.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use writ_proto::hash::Digest;
use writ_proto::record::{AuthorityName, SetMember};
use writ_proto::time::LedgerTime;

use crate::import::plan::{Draft, Found, Mismatch};
use crate::import::rows::{FileFault, Format, Key, Row, read as read_rows};
use crate::import::run::Refused;
use crate::import::whole::{Lined, members_of};

/// What a file says.
#[derive(Clone, Debug)]
pub struct SetFile {
    rows: Vec<Row>,
    /// Ids, or what was typed for them, each with its line.
    ends: Vec<(u64, String)>,
}

/// A file of which the rows are resolved, as of some instant.
#[derive(Clone, Debug)]
pub struct SetDraft {
    draft: Draft,
    ends: Vec<(u64, String)>,
}

/// Reads a file of JSON lines.
///
/// # Errors
/// If it holds no rows at all. Rows that are at fault are told by [`SetDraft::complete`].
pub fn read(bytes: &[u8], authority: &AuthorityName) -> Result<SetFile, FileFault> {
    let (mut rest, mut ends) = (Vec::with_capacity(bytes.len()), Vec::new());
    for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        match id_to_end(text) {
            Some(id) => ends.push((line, id)),
            None => rest.extend_from_slice(text),
        }
        // A line that is taken out stays as an empty one, which is no row: so the others keep their numbers.
        rest.push(b'\n');
    }
    let is_empty = rest.iter().all(u8::is_ascii_whitespace);
    let rows = if is_empty { Vec::new() } else { read_rows(&rest, Format::JsonLines, authority)? };
    Ok(SetFile { rows, ends })
}

/// The id of `{"revoke":ID}`. What has more members is no such line, also if one stands twice: as a row it is refused.
fn id_to_end(line: &[u8]) -> Option<String> {
    let Ok(Members(members)) = serde_json::from_slice(line) else { return None };
    match <[(String, Value); 1]>::try_from(members) {
        Ok([(name, Value::String(id))]) if name == "revoke" => Some(id),
        _ => None,
    }
}

/// The members of an object, each as often as it stands there.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = members.next_entry()? {
                    all.push(member);
                }
                Ok(Members(all))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

impl SetFile {
    /// Gives the rows their times as of `now`.
    ///
    /// # Errors
    /// None, as nothing was sent before.
    pub fn draft(self, chain: &Digest, authority: &AuthorityName, now: LedgerTime) -> Result<SetDraft, Mismatch> {
        Ok(SetDraft { draft: Draft::new(&self.rows, &[], chain, authority, now)?, ends: self.ends })
    }
}

impl SetDraft {
    /// The keys on which rows end what is live.
    pub fn keys_to_look_up(&self) -> BTreeSet<Key> {
        self.draft.keys_to_look_up()
    }

    /// The members, in file order: `found` being what is live, and `end` what ends the entry of an id that stands in a line.
    ///
    /// # Errors
    /// The rows that are at fault, or what `end` says.
    pub fn complete<E: From<Vec<Refused>>>(
        self,
        found: Found,
        end: impl Fn(u64, &str) -> Result<SetMember, E>,
    ) -> Result<Vec<Lined>, E> {
        let mut members = members_of(&self.draft.complete(found).rows)?;
        for (line, id) in &self.ends {
            members.push((*line, end(*line, id)?));
        }
        // Members of one line keep their order.
        members.sort_by_key(|(line, _)| *line);
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

    use super::*;
    use writ_proto::record::{Effect, RecordId, Revoke};

    #[derive(Debug)]
    struct Fault(Vec<Refused>);

    impl From<Vec<Refused>> for Fault {
        fn from(refused: Vec<Refused>) -> Self {
            Self(refused)
        }
    }

    fn members(text: &str) -> Result<Vec<Lined>, Fault> {
        let (chain, authority) = (Digest([7; 32]), "org1".parse().unwrap());
        let file = read(text.as_bytes(), &authority).unwrap();
        let draft = file.draft(&chain, &authority, LedgerTime::from_millis(1_800_000_000_000).unwrap()).unwrap();
        draft.complete(Found::new(), |_, id| {
            Ok(SetMember::Revoke(Revoke { target: RecordId(Digest::of(&[id.as_bytes()])), effect: Effect::Grant }))
        })
    }

    #[test]
    fn members_stand_in_the_order_of_their_lines() {
        let text = "{\"sub\":\"ada\",\"obj\":\"file:a\"}\n\n{\"revoke\":\"aabbccdd\"}\n{\"sub\":\"bob\",\"obj\":\"file:a\",\"access\":\"denied\"}\n";
        let found = members(text).unwrap();
        let kinds: Vec<_> =
            found.iter().map(|(line, member)| (*line, matches!(member, SetMember::Revoke(_)))).collect();
        assert_eq!(kinds, [(1, false), (3, true), (4, false)]);
        assert_eq!(members("{\"revoke\":\"aabbccdd\"}").unwrap().len(), 1);
    }

    #[test]
    fn a_line_at_fault_is_named() {
        for (text, line, field) in [
            ("{\"sub\":\"ada\",\"obj\":\"file:a\"}\n{\"sub\":\"ada\"}", 2, Some("obj")),
            ("{\"revoke\":\"aabbccdd\"}\n{\"revoke\":\"aabbccdd\",\"sub\":\"ada\",\"obj\":\"x\"}", 2, Some("revoke")),
            ("{\"revoke\":\"aabbccdd\",\"revoke\":\"aabbccdd\"}", 1, Some("revoke")),
            ("{\"sub\":\"a\",\"obj\":\"b\"}\n{\"sub\":\"a\",\"obj\":\"b\",\"access\":\"revoked\"}", 2, Some("access")),
        ] {
            let Fault(refused) = members(text).unwrap_err();
            assert_eq!((refused[0].line, refused[0].field.as_deref()), (line, field), "{text}");
        }
    }
}
