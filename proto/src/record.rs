//! What an authority signs: the envelope, and the bodies of every kind.
//!
//! ```text
//!   tag "writ/record/v1\0" | kind | chain | authority | nonce | body | submit_by
//!   \______________________ hashed into the id ____________________/ (permissive only)
//!   \_____________________________ signed _________________________________________/ count (key id, signature)*
//!   \__________________________________ the record: stored, gossiped, served, a leaf of the log ______________/
//! ```
//!
//! What was signed is what is stored and hashed; nothing is encoded again to check a signature. The
//! type tells what was checked: [`Signed`] has a good form, [`Verified`] also good signatures of keys
//! that the chain admitted. Only [`crate::state::State::verify`] makes the second.
//!
//! A record is *restrictive* or *permissive* by its bytes alone ([`Body::class`]): restrictive is what
//! can only reduce access. Permissive records end with `submit_by`, the block time after which they
//! cannot be included; it is no part of the id, so a statement signed anew with a later one is the
//! same record.

mod access;
mod envelope;
mod kinds;

pub(crate) use access::may_cover_role;
pub use access::{Access, Effect};
pub use envelope::{Made, Nonce, RecordId, Signed, Statement, Verified};
pub(crate) use kinds::check_keys;
pub use kinds::{
    AtomicSet, AuthorityChange, AuthorityName, AuthorityNameError, Body, Class, EnrolledKey, Kind, ParameterChange,
    Revoke, SetMember, ValidatorChange, ValidatorKeys,
};

#[cfg(test)]
mod tests;
