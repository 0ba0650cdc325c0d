//! From what was typed to the id of a record: whole, or its first digits.

use writ_client::client::{Client, Filter};
use writ_proto::record::{AuthorityName, RecordId};

use crate::context::Context;
use crate::exit::Failure;
use crate::output::SHORT_DIGITS;

/// Digits that must be typed at least.
const DIGITS_MIN: usize = 8;

/// The record that `typed` names. Some first digits name the one entry that starts with them; entries of
/// `authority` alone are looked through, if there is one.
pub(super) fn id_of(
    typed: &str,
    client: &Client,
    authority: Option<&AuthorityName>,
    context: &Context,
) -> Result<RecordId, Failure> {
    if let Ok(id) = typed.parse() {
        return Ok(id);
    }
    let digits = typed.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !digits || !(DIGITS_MIN..64).contains(&typed.len()) {
        let detail = format!(
            "`{typed}` is no id of a record: expected 64 lower-case hexadecimal digits, or at least the first {DIGITS_MIN}"
        );
        return Err(Failure::misused(detail).hint("`writ log` lists entries with their ids"));
    }
    context.say("looking:", &format!("for the entry whose id starts with {typed}"));
    let filter = Filter {
        authority: authority.map(ToString::to_string),
        rejected_too: true,
        page: Some(1000),
        ..Filter::default()
    };
    let mut found: Option<RecordId> = None;
    for entry in client.entries(filter) {
        let id = entry?.id;
        if !id.to_string().starts_with(typed) {
            continue;
        }
        if let Some(other) = found {
            let detail = format!("several ids start with {typed}: {other} and {id}");
            return Err(Failure::failed(detail)
                .code("ambiguous")
                .hint(format!("type more than {SHORT_DIGITS} digits")));
        }
        found = Some(id);
    }
    let of = authority.map_or(String::new(), |name| format!(" of `{name}`"));
    found.ok_or_else(|| Failure::failed(format!("no entry{of} has an id that starts with {typed}")).code("not_found"))
}
