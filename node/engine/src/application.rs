//! What the engine asks of the ledger, as one trait.
//!
//! The engine agrees on *values*: opaque bytes, named by a digest that the ledger computes. The ledger
//! builds them, judges them, keeps them and applies them. All calls come from one thread, one at a time,
//! in the order that consensus needs, and that thread does nothing else: a call may take as long as an
//! fsync does.
//!
//! The life of a value: [`propose`](Application::propose) here or [`judge`](Application::judge) elsewhere,
//! perhaps again over [`undecided`](Application::undecided) after a crash, and for one value of each height
//! [`commit`](Application::commit); from then on peers that lag get it from
//! [`decided`](Application::decided).

use bytes::Bytes;
use writ_proto::certificate::Certificate;
use writ_proto::hash::Digest;
use writ_proto::key::{KeyId, PublicKey, Signature};

/// One validator: what it is called, and the key it votes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// Its name, for logs.
    pub name: String,
    /// Its voting key.
    pub key: PublicKey,
}

/// A value that this node proposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Its digest.
    pub value: Digest,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Where a candidate came from: it decides which tests of time apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Proposed for the first time: [`Candidate::proposer`] built it, just now.
    Fresh,
    /// Proposed again, after a quorum had found it good in an earlier round: any validator may have built it.
    Reproposed,
    /// Decided already, and fetched from a peer together with a certificate that the engine has checked:
    /// any validator may have built it, at any time.
    Synced,
}

/// A value that somebody else proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The height it is meant for: always the one after the tip.
    pub height: u64,
    /// The round in which it is proposed.
    pub round: u32,
    /// The round in which a quorum already prevoted for it.
    pub valid_round: Option<u32>,
    /// Whose turn it is in that round.
    pub proposer: KeyId,
    /// The digest that [`Application::value_of`] gave for the bytes.
    pub value: Digest,
    /// Its bytes.
    pub bytes: Bytes,
    /// Where it came from.
    pub source: Source,
}

/// What the ledger thinks of a candidate. The engine keeps the first answer for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be decided.
    Valid,
    /// It must not be, and why.
    Invalid(String),
    /// This cannot be said yet. The engine is told nothing, so this validator does not vote for it in this
    /// round; if the ledger keeps it, it comes up again through [`Application::undecided`] when the next
    /// round starts.
    Later,
}

/// A value of an undecided height that this node holds, judged again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The round in which it was proposed, last if in several.
    pub round: u32,
    /// The round in which a quorum had already prevoted for it.
    pub valid_round: Option<u32>,
    /// Whose turn it was in that round.
    pub proposer: KeyId,
    /// Its digest.
    pub value: Digest,
    /// Whether it may be decided.
    pub valid: bool,
}

/// Something signed: the exact bytes, and the signature over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What was signed.
    pub bytes: Vec<u8>,
    /// The signature.
    pub signature: Signature,
}

/// Proof that a validator signed two statements of which an honest one signs at most one: two proposals,
/// or two votes of one kind, for one round of one height.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The id of the voting key that signed both.
    pub offender: KeyId,
    /// The height that both are about.
    pub height: u64,
    /// The round that both are about.
    pub round: u32,
    /// One statement.
    pub first: Statement,
    /// The other.
    pub second: Statement,
}

/// The ledger cannot go on: a write failed, or what it reads back makes no sense. The engine stops, nothing
/// is tried again, and the reason comes out of [`Engine::stopped`](crate::Engine::stopped).
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot go on")]
pub struct Fatal(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Fatal {
    /// Because of `cause`: an error, or a text.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

/// What the engine asks of the ledger.
pub trait Application: Send + 'static {
    /// The height of the last block that was committed; 0 before the first.
    fn tip(&self) -> u64;

    /// The validators of height `tip + 1`, in the order in which they propose: in round r the one at place r, modulo
    /// their number. Set and order are a pure function of the log, so that all nodes agree whose turn it is.
    fn validators(&self) -> Vec<Validator>;

    /// Whether the next height should start now, without waiting for anybody. Asked of a validator, after each
    /// wake-up while nothing runs, so it must be cheap.
    fn has_work(&self) -> bool;

    /// The digest of the value that these bytes are, without judging it; `None` if they are none.
    fn value_of(&self, bytes: &[u8]) -> Option<Digest>;

    /// The value to propose in `round` of `height`, which is the height after the tip. It is durable when
    /// this returns, and asked again (after a crash) for the same round this gives the same value: a second
    /// one would be an equivocation. Without work it is an empty block: the engine asks only when a block
    /// is needed.
    fn propose(&mut self, height: u64, round: u32) -> Result<Proposed, Fatal>;

    /// Judges a candidate. Its bytes are durable when this returns [`Verdict::Valid`]: this validator will
    /// vote for it, and when it is decided [`commit`](Application::commit) brings nothing but its digest.
    fn judge(&mut self, candidate: Candidate) -> Result<Verdict, Fatal>;

    /// Every value of `height`, the one after the tip, that was proposed or judged here and is durable, each
    /// with the verdict of now; those that cannot be judged yet are left out. Asked when a round starts, so a
    /// ledger may want to remember verdicts.
    fn undecided(&mut self, height: u64) -> Result<Vec<Held>, Fatal>;

    /// The bytes of an undecided value of `height`, to be sent again.
    fn undecided_bytes(&self, height: u64, value: &Digest) -> Result<Option<Bytes>, Fatal>;

    /// Commits the value decided for the height after the tip. It is durable, and [`tip`](Application::tip)
    /// has advanced, when this returns; undecided values of that height can go.
    fn commit(&mut self, value: Digest, certificate: Certificate) -> Result<(), Fatal>;

    /// The value decided at `height` and its certificate, for peers that lag behind.
    fn decided(&self, height: u64) -> Result<Option<(Bytes, Certificate)>, Fatal>;

    /// A validator was caught. Called before the next height starts; the engine forgets it afterwards.
    fn evidence(&mut self, evidence: Evidence) -> Result<(), Fatal>;
}
