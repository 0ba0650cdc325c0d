//! Why a text is no name, pattern or action.

use crate::limits::{ACTION_BYTES_MAX, NAME_ID_BYTES_MAX, NAME_SEGMENTS_MAX, NAME_TYPE_BYTES_MAX};
use crate::time::Excerpt;

/// Why a text is no name, pattern or action. Positions count the bytes of the id in ledger form, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name without a type where the full text is required.
    #[error("`{found}` has no type: expected the full form `type:id`")]
    TypeMissing {
        /// The whole text.
        found: Excerpt,
    },
    /// What stands before the first colon is no type.
    #[error(
        "`{found}` before the first colon is no type: expected a letter, then letters, digits, `_`, `.` or `-`, \
         at most {NAME_TYPE_BYTES_MAX} in all (an id that holds a colon needs its type before it, as in `user:a:b`)"
    )]
    BadType {
        /// The text before the first colon.
        found: Excerpt,
    },
    /// There is no id.
    #[error("the id is empty: expected at least one character")]
    IdEmpty,
    /// The id is too long.
    #[error("the id takes {found} bytes on the ledger, expected at most {NAME_ID_BYTES_MAX}")]
    IdTooLong {
        /// Bytes of the id in ledger form.
        found: usize,
    },
    /// The id has too many segments.
    #[error("the id has {found} segments between `/`, expected at most {NAME_SEGMENTS_MAX}")]
    TooManySegments {
        /// How many there are; a `*` at the end is one of them.
        found: usize,
    },
    /// The id holds something that is not printable ASCII, or a space at its beginning or end.
    #[error("`{found}` at byte {at} of the id: expected printable ASCII, without a space at either end")]
    BadCharacter {
        /// Where it stands.
        at: usize,
        /// The character.
        found: Excerpt,
    },
    /// A `%` that does not begin a canonical escape.
    #[error(
        "`{found}` at byte {at} of the id is no escape: expected `%` and two upper-case hexadecimal digits \
         of a byte that cannot stand for itself"
    )]
    BadEscape {
        /// Where it stands.
        at: usize,
        /// The `%` and up to two characters after it.
        found: Excerpt,
    },
    /// A `*` where one exact name or action was expected: in a question, for example.
    #[error("`{found}` holds a `*`: expected one exact name, not a pattern")]
    NotExact {
        /// The whole text.
        found: Excerpt,
    },
    /// A `*` where none may stand in a pattern.
    #[error("`{found}` is no pattern: a `*` may stand only alone, as `type:*`, or at the very end after a `/`")]
    MisplacedStar {
        /// The whole text.
        found: Excerpt,
    },
    /// The text is no action.
    #[error(
        "`{found}` is no action: expected a letter or digit, then letters, digits, `_`, `.`, `:`, `/` or `-`, \
         at most {ACTION_BYTES_MAX} in all, or, where a pattern may stand, `*` alone for every action"
    )]
    BadAction {
        /// The whole text.
        found: Excerpt,
    },
}
