//! Where a listing goes on: numbers, and a mark of the chain and the question.
//!
//! A cursor of another question or of another chain is refused by its mark. It is no secret and no proof: who makes
//! one up asks another question, nothing more.

use writ_proto::hash::Digest;
use writ_proto::time::Excerpt;

use super::error::ApiError;

/// The mark of a question: `parts` are the chain and everything that makes it another question. A zero byte
/// stands in none of them, so equal marks mean equal questions.
pub(super) fn mark(parts: &[&str]) -> String {
    hex::encode(&Digest::of(&[parts.join("\0").as_bytes()]).0[..6])
}

/// The cursor that goes on at `numbers`.
pub(super) fn write(numbers: &[u64], mark: &str) -> String {
    let numbers = numbers.iter().map(|number| format!("{number}-"));
    numbers.chain([mark.to_owned()]).collect()
}

/// The numbers of a cursor with this mark.
pub(super) fn read<const N: usize>(cursor: &str, mark: &str) -> Result<[u64; N], ApiError> {
    let (numbers, own) = cursor.rsplit_once('-').ok_or_else(|| malformed(cursor))?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = |text: &str| plain(text).then(|| text.parse().ok()).flatten();
    let numbers: Option<Vec<u64>> = numbers.split('-').map(number).collect();
    let numbers = numbers.ok_or_else(|| malformed(cursor))?;
    if own != mark {
        return Err(ApiError::bad("cursor", "the cursor is of another question or of another chain"));
    }
    numbers.try_into().map_err(|_| malformed(cursor))
}

/// What is no cursor of this kind.
pub(super) fn malformed(cursor: &str) -> ApiError {
    let detail = format!("`{}` is no cursor, expected the `next` of a page", Excerpt::of(cursor));
    ApiError::bad("cursor", detail)
}
