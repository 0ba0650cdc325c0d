//! What can go wrong between us and the nodes.

use std::fmt;

use writ_proto::api::Problem;

use crate::verify::ProofFault;

/// Why a node, or all of them, gave no answer that can be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No node was named.
    #[error("no node is named")]
    NoNode,
    /// What was named is not the address of a node.
    #[error("`{url}` is not the address of a node: {reason}")]
    BadUrl {
        /// What was named.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No node answered.
    #[error("no node answers: {}", Listed(.attempts))]
    Unreachable {
        /// What was tried, in order.
        attempts: Vec<Attempt>,
    },
    /// A node answered that it cannot do what it was asked.
    #[error("{}", .problem.detail)]
    Problem {
        /// Which node.
        node: String,
        /// What it says.
        problem: Box<Problem>,
        /// After how many seconds to ask again, where it says so.
        retry_after_s: Option<u64>,
    },
    /// A node answered something that makes no sense.
    #[error("{node} answers no {what}: {reason}")]
    Answer {
        /// Which node.
        node: String,
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A node's proof proves nothing.
    #[error("{node} cannot prove what it answers")]
    Proof {
        /// Which node.
        node: String,
        /// What is wrong with the proof.
        source: ProofFault,
    },
}

/// One node that gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which node.
    pub node: String,
    /// What happened.
    pub reason: String,
}

impl ClientError {
    /// The code of the node's problem, if that is what it is.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem { problem, .. } => Some(&problem.code),
            _ => None,
        }
    }

    /// Whether the same may succeed later, or on another node.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem { problem, .. } => is_passing(problem),
            _ => false,
        }
    }
}

/// Whether a problem is one of the moment: too much to do, too far behind, a failure inside.
pub(crate) fn is_passing(problem: &Problem) -> bool {
    problem.status >= 500 || matches!(problem.code.as_str(), "overloaded" | "timeout")
}

/// Attempts on one line.
struct Listed<'a>(&'a [Attempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Attempt { node, reason }) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{node} ({reason})")?;
        }
        Ok(())
    }
}
