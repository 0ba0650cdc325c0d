//! Under which circumstances an entry counts: a small, closed subset of CEL.
//!
//! A condition is one expression that is true or false for a [`Request`], or cannot be evaluated:
//!
//! ```text
//!   context.mfa == true && resource.properties.owner == subject.id
//!   \_ path __/    \lit/    \_______ path _________/    \_ path _/
//!      relation             relation
//!   \____________________ conjunction ___________________________/
//! ```
//!
//! What is kept of CEL means what it means there: literals, lists, comparison, `in`, `&&`, `||`, `!`, member
//! access on the four variables, `has`, `size`, `startsWith`, `endsWith`. What could make a condition slow,
//! or two nodes disagree, is left out: arithmetic, regular expressions, macros that loop, the clock,
//! conversions. There is nothing in it to halt on, and nothing that depends on a machine.
//!
//! ```
//! use writ_proto::condition::{Condition, Request, Truth, Value};
//! use writ_proto::name::{Name, Side};
//!
//! let condition = Condition::parse("context.mfa == true && resource.properties.owner == subject.id")?;
//! let (alice, plan) = (Name::parse("alice", Side::Subject)?, Name::parse("file:plan", Side::Object)?);
//!
//! let request = Request::of(&alice, None, &plan)
//!     .with_resource_properties([("owner".into(), Value::from("alice"))].into())
//!     .with_context([("mfa".into(), Value::from(true))].into());
//! assert_eq!(condition.evaluate(&request).truth, Truth::True);
//!
//! let nothing_known = condition.evaluate(&Request::of(&alice, None, &plan));
//! assert_eq!(nothing_known.truth, Truth::Indeterminate);
//! assert_eq!(nothing_known.missing, ["context.mfa", "resource.properties.owner"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Consensus never looks inside a condition: [`Condition::parse`] is for those who submit and for those who
//! decide. `docs/conditions.md` is the language for those who write in it, ADR 0021 says why it is this one.
//!
//! Source: the CEL language definition, `doc/langdef.md` of `cel-spec`; sections are named where code follows
//! them.

mod comparison;
mod error;
mod evaluation;
#[cfg(feature = "api")]
mod json;
mod lexer;
mod literal;
mod parser;
mod request;
mod syntax;
mod value;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use error::ConditionError;
#[cfg(feature = "api")]
pub use json::VALUE_DEPTH_MAX;
pub use request::{Request, Told};
pub use value::{Map, Value};

use evaluation::Evaluator;
use syntax::Expr;

/// Levels of a condition: each pair of parentheses, each list, call and `!`, each comparison and each run
/// of `&&` or of `||` is one more than what it holds.
pub const DEPTH_MAX: usize = 16;

/// What all conditions of one question may go through, in [`Evaluation::steps`]: what is beyond cannot be evaluated. Some
/// milliseconds' worth, and a hundred times what any request of a usual size comes to.
pub const STEPS_MAX: u64 = 1_000_000;

/// What became of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It could not be evaluated.
    Indeterminate,
}

/// A condition that parses.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    root: Expr,
}

/// What a condition came to for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Whether it holds.
    pub truth: Truth,
    /// What the request would have had to tell, as `context.mfa`, each once, in the order of their bytes.
    /// Empty unless the truth is indeterminate; and if then, something is there but of the wrong type.
    pub missing: Vec<String>,
    /// How many nodes of the condition, elements of lists and maps, and bytes of text were looked at, at most.
    pub steps: u64,
}

impl From<Truth> for Evaluation {
    /// Of something that was settled without looking at a request.
    fn from(truth: Truth) -> Self {
        Self { truth, missing: Vec::new(), steps: 0 }
    }
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// If `text` is longer than [`CONDITION_BYTES_MAX`](crate::limits::CONDITION_BYTES_MAX), deeper than
    /// [`DEPTH_MAX`], or not in the subset. The error says where, in bytes from 0, and what was expected.
    ///
    /// Costs one pass over the text.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        parser::parse(text).map(|root| Self { root })
    }

    /// Whether it holds for `request`. A result that is neither true nor false is indeterminate, and so is
    /// one for which something is missing or of the wrong type, unless `&&` or `||` do without it.
    ///
    /// After [`STEPS_MAX`] steps nothing further is evaluated. Each node is evaluated at most once, so the cost is at most the condition's length times the size of
    /// what it touches: no list, map or text is gone through more than once by one operator. Only lists that
    /// are not constant, and what is missing, take memory.
    pub fn evaluate(&self, request: &Request) -> Evaluation {
        Evaluator::new(request).run(&self.root)
    }
}

/// The condition in its canonical spelling, which parses to the same condition.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

/// What the condition `text` comes to for `request`. One that does not parse is indeterminate, and nothing
/// that is missing would change that; so is one that goes on after [`STEPS_MAX`] steps, but for the operator that it is at.
pub fn evaluate(text: &str, request: &Request) -> Evaluation {
    match Condition::parse(text) {
        Ok(condition) => condition.evaluate(request),
        Err(_) => Truth::Indeterminate.into(),
    }
}
