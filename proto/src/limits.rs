//! Every bound of the protocol, each with its reason.
//!
//! A bound here is consensus-critical: all nodes of a chain must agree on it. Bounds that a chain may
//! choose for itself stand in [`crate::genesis::Parameters`]; bounds of one node in its configuration.

/// Bytes of one record, signatures included: sixteen signatures, two long names and a condition fit.
pub const RECORD_BYTES_MAX: usize = 8 * 1024;
/// Bytes of the id part of a name, as it stands on the ledger.
pub const NAME_ID_BYTES_MAX: usize = 256;
/// Bytes of the type part of a name.
pub const NAME_TYPE_BYTES_MAX: usize = 32;
/// Segments between `/` in one id: it bounds the patterns that can cover a name, and so a decision's lookups.
pub const NAME_SEGMENTS_MAX: usize = 16;
/// Bytes of an action's name.
pub const ACTION_BYTES_MAX: usize = 64;
/// Bytes of an authority's or validator's name.
pub const AUTHORITY_NAME_BYTES_MAX: usize = 64;
/// Bytes of a condition: opaque to consensus, so only its size is bounded there.
pub const CONDITION_BYTES_MAX: usize = 1024;
/// Bytes of the reference to the request that led to an entry.
pub const REFERENCE_BYTES_MAX: usize = 256;
/// Signatures on one record, and keys of one authority.
pub const SIGNATURES_MAX: usize = 16;
/// Rules in one scope.
pub const SCOPE_RULES_MAX: usize = 16;
/// Patterns in one list of a scope rule.
pub const SCOPE_PATTERNS_MAX: usize = 16;
/// Members of one atomic set.
pub const SET_MEMBERS_MAX: usize = 64;
/// Authorities and validators that a genesis may name: enough for a federation, few enough to read.
pub const GENESIS_MEMBERS_MAX: usize = 128;
/// The longest that the parameter `submit_ahead_ms_max` may be, ten years: a signed grant that can still
/// be submitted later than that is one that everybody has forgotten.
pub const PARAMETER_SUBMIT_AHEAD_MS_MAX: u64 = 10 * 365 * 86_400_000;
/// The longest that the parameters `clock_bound_ms` and `proposal_age_ms_max` may be, a day: one lying proposer can move
/// the chain's time by no more at a block.
pub const PARAMETER_CLOCK_MS_MAX: u64 = 86_400_000;
/// The least that `clock_bound_ms` and `proposal_age_ms_max` may be together: a proposal that takes longer to arrive is
/// refused, so smaller ones could stop a chain, and then no record could make them larger again.
pub const PARAMETER_PROPOSAL_MS_MIN: u64 = 1_000;
/// From a record that activates a protocol version to its first height, in heights, at least: every node has heard of it
/// by then.
pub const ACTIVATION_LEAD_MIN: u64 = 8;
/// The same, at most: an activation that never comes would be in the way of every other.
pub const ACTIVATION_LEAD_MAX: u64 = 1_000_000;
/// Bytes of an encoded genesis.
pub const GENESIS_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one encoded block, header included.
pub const BLOCK_BYTES_MAX: usize = 1024 * 1024;
/// Records in one block.
pub const BLOCK_RECORDS_MAX: usize = 4096;
/// Restrictive records with the outcome *rejected* that one key may have in one block: room for honest
/// races, none for filling the log with refused denials.
pub const REJECTED_PER_KEY_MAX: usize = 16;
/// Live grants on one (subject, object, action) under one root authority.
pub const LIVE_GRANTS_PER_KEY_MAX: usize = 256;
/// Live membership grants of one subject under one root authority.
pub const LIVE_MEMBERSHIPS_PER_SUBJECT_MAX: usize = 64;
/// Revocations of one authority that wait for a target not yet in the log.
pub const WAITING_REVOCATIONS_MAX: usize = 1024;
/// Distinct roles that a decision follows over memberships issued under one root authority.
pub const CLOSURE_ROLES_MAX: usize = 1024;
