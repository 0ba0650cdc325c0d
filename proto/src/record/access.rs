//! The access entry's body: who, what, which action, granted or denied, and when.

use alloc::format;
use alloc::string::{String, ToString as _};

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::limits::{CONDITION_BYTES_MAX, REFERENCE_BYTES_MAX};
use crate::name::{ActionPattern, NameError, Pattern, ROLE_TYPE, Side};
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;

/// Whether an entry gives access or takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Effect {
    /// Gives access.
    #[serde(rename = "granted")]
    Grant,
    /// Takes it away, whatever else gives it.
    #[serde(rename = "denied")]
    Deny,
}

impl Effect {
    /// `granted` or `denied`, as the tuple spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "granted",
            Self::Deny => "denied",
        }
    }
}

/// An access entry as its authority states it; [`Access::check`] tells whether it makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub sub: Pattern,
    /// What.
    pub obj: Pattern,
    /// Which action.
    pub act: ActionPattern,
    /// Granted or denied.
    pub effect: Effect,
    /// From when it holds; `None`: from when the ledger took it in.
    pub iss: Option<LedgerTime>,
    /// When it stops holding; `None`: until revoked.
    pub exp: Option<LedgerTime>,
    /// Under which condition; opaque here.
    pub cond: Option<String>,
    /// The request that led to it, or a hash of its documents; opaque.
    pub reference: Option<String>,
}

impl Access {
    /// Whether it confers membership of a role: a grant of exactly `member` on an exact role.
    pub fn is_membership(&self) -> bool {
        self.effect == Effect::Grant && self.act.is_member()
    }

    /// The rules that its members must keep together.
    pub fn check(&self) -> Result<(), Refusal> {
        if let (Some(iss), Some(exp)) = (self.iss, self.exp)
            && iss >= exp
        {
            return Err(Refusal::of(
                Code::BadRequest,
                "exp",
                format!("the entry ends at {exp}, not later than it starts, at {iss}"),
            ));
        }
        let bounded = |text: &Option<String>, max, field| match text {
            Some(text) if text.is_empty() => {
                Err(Refusal::of(Code::BadRequest, field, "empty text, leave it out instead"))
            }
            Some(text) if text.len() > max => {
                Err(Refusal::of(Code::BadRequest, field, format!("{} bytes, at most {max} are allowed", text.len())))
            }
            _ => Ok(()),
        };
        bounded(&self.cond, CONDITION_BYTES_MAX, "cond")?;
        bounded(&self.reference, REFERENCE_BYTES_MAX, "ref")?;
        if self.act.is_member() {
            self.check_membership()?;
        }
        Ok(())
    }

    /// Whether its condition can be evaluated at all. For whoever submits or takes in a record, so that a slip
    /// is told early: to blocks a condition is opaque, and one that does not parse is indeterminate.
    ///
    /// # Errors
    /// [`Code::BadCondition`] on `cond`, with what was found where.
    pub fn check_condition(&self) -> Result<(), Refusal> {
        self.cond.as_deref().map_or(Ok(()), |cond| Ok(Condition::parse(cond).map(drop)?))
    }

    fn check_membership(&self) -> Result<(), Refusal> {
        let refuse = |expected: &str| {
            let obj = self.obj.to_text(Side::Object);
            Err(Refusal::of(Code::BadRequest, "obj", format!("`member` stands on `{obj}`, expected {expected}")))
        };
        match (self.effect, self.obj.as_exact()) {
            (_, Some(name)) if name.is_role() => Ok(()),
            (Effect::Grant, _) => refuse("one exact role, as in `role:staff`"),
            (Effect::Deny, Some(_)) => refuse("a role, or a pattern that covers roles"),
            (Effect::Deny, None) if may_cover_role(self.obj.as_str()) => Ok(()),
            (Effect::Deny, None) => refuse("a role, or a pattern that covers roles"),
        }
    }
}

/// Whether a pattern can cover a role: `*`, or of type `role`.
pub(crate) fn may_cover_role(pattern: &str) -> bool {
    pattern == "*" || pattern.split_once(':').is_some_and(|(type_, _)| type_ == ROLE_TYPE)
}

/// The body's encoding: texts as they are, checked one by one so that a fault names its member.
#[derive(Serialize, Deserialize)]
pub(super) struct AccessWire {
    sub: String,
    obj: String,
    act: String,
    effect: Effect,
    iss: Option<u64>,
    exp: Option<u64>,
    cond: Option<String>,
    reference: Option<String>,
}

impl From<&Access> for AccessWire {
    fn from(access: &Access) -> Self {
        Self {
            sub: access.sub.as_str().into(),
            obj: access.obj.as_str().into(),
            act: access.act.as_str().into(),
            effect: access.effect,
            iss: access.iss.map(LedgerTime::as_millis),
            exp: access.exp.map(LedgerTime::as_millis),
            cond: access.cond.clone(),
            reference: access.reference.clone(),
        }
    }
}

impl TryFrom<AccessWire> for Access {
    type Error = Refusal;

    fn try_from(wire: AccessWire) -> Result<Self, Refusal> {
        let name = |field| move |error: NameError| Refusal::of(Code::BadRequest, field, error.to_string());
        let time = |ms: Option<u64>, field| {
            ms.map(LedgerTime::from_millis)
                .transpose()
                .map_err(|error| Refusal::of(Code::BadRequest, field, error.to_string()))
        };
        let access = Self {
            sub: Pattern::parse_full(&wire.sub).map_err(name("sub"))?,
            obj: Pattern::parse_full(&wire.obj).map_err(name("obj"))?,
            act: ActionPattern::parse(&wire.act).map_err(name("act"))?,
            effect: wire.effect,
            iss: time(wire.iss, "iss")?,
            exp: time(wire.exp, "exp")?,
            cond: wire.cond,
            reference: wire.reference,
        };
        access.check()?;
        Ok(access)
    }
}
