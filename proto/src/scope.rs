//! What an authority may speak of.
//!
//! A [`Scope`] is a list of rules; a record must fit **one** of them entirely, and a child authority's
//! rule must lie inside **one** rule of its parent. So a scope never grows by combination: two narrow
//! rules do not add up to a wide one.

use alloc::format;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::limits::{SCOPE_PATTERNS_MAX, SCOPE_RULES_MAX};
use crate::name::{ActionPattern, Pattern};
use crate::record::{Access, Effect};
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;

/// The rules of one authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// At least one and at most [`SCOPE_RULES_MAX`] rules.
    pub rules: Vec<Rule>,
    /// How many levels of authorities may stand below this one; 0: it may not enrol others.
    pub enrol_depth: u8,
}

/// One rule: every list must match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Subjects, of which one must cover the entry's subject.
    pub subjects: Vec<Pattern>,
    /// Objects, of which one must cover the entry's object.
    pub objects: Vec<Pattern>,
    /// Actions, of which one must cover the entry's action.
    pub actions: Vec<ActionPattern>,
    /// Whether it may grant.
    pub grants: bool,
    /// Whether it may deny.
    pub denials: bool,
    /// The longest time in milliseconds that an entry may hold, from the later of its `iss` and its
    /// block; `None`: any.
    pub lifetime_ms_max: Option<u64>,
    /// Whether an entry may lack `exp`.
    pub open_ended: bool,
}

impl Scope {
    /// Everything, at any depth: the scope of the authority `dev`.
    pub fn everything() -> Self {
        Self { rules: [Rule::everything()].into(), enrol_depth: u8::MAX }
    }

    /// Checks the bounds on the lists.
    pub fn check(&self) -> Result<(), Refusal> {
        let bounded = |found: usize, max: usize, what: &str| match found {
            0 => Err(Refusal::of(Code::BadRequest, "scope", format!("a scope needs {what}, found none"))),
            n if n > max => {
                Err(Refusal::of(Code::BadRequest, "scope", format!("{n} {what} in a scope, at most {max} are allowed")))
            }
            _ => Ok(()),
        };
        bounded(self.rules.len(), SCOPE_RULES_MAX, "rules")?;
        for rule in &self.rules {
            bounded(rule.subjects.len(), SCOPE_PATTERNS_MAX, "subjects in a rule")?;
            bounded(rule.objects.len(), SCOPE_PATTERNS_MAX, "objects in a rule")?;
            bounded(rule.actions.len(), SCOPE_PATTERNS_MAX, "actions in a rule")?;
        }
        Ok(())
    }

    /// Whether one rule allows `access` in a block of time `time`; if none does, the refusal blames
    /// the member at which the rule that went furthest gave up.
    pub fn permits(&self, access: &Access, time: LedgerTime) -> Result<(), Refusal> {
        let mut furthest = Aspect::Subject;
        for rule in &self.rules {
            match rule.permits(access, time) {
                Ok(()) => return Ok(()),
                Err(aspect) => furthest = furthest.max(aspect),
            }
        }
        let (field, what) = furthest.words();
        Err(Refusal::of(Code::OutOfScope, field, format!("no rule of the authority's scope allows {what}")))
    }

    /// Whether every rule of `child` lies inside one rule of this scope, and its depth is less.
    pub fn contains(&self, child: &Self) -> bool {
        self.enrol_depth > child.enrol_depth
            && child.rules.iter().all(|inner| self.rules.iter().any(|outer| outer.contains(inner)))
    }
}

/// What a rule looks at, in order: the later the better the rule fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    Subject,
    Object,
    Action,
    Effect,
    OpenEnded,
    Lifetime,
}

impl Aspect {
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Subject => ("sub", "this subject"),
            Self::Object => ("obj", "this object"),
            Self::Action => ("act", "this action"),
            Self::Effect => ("access", "this effect"),
            Self::OpenEnded => ("exp", "an entry without an end"),
            Self::Lifetime => ("exp", "an entry that holds this long"),
        }
    }
}

impl Rule {
    /// The rule that allows everything.
    pub fn everything() -> Self {
        Self {
            subjects: [Pattern::everything()].into(),
            objects: [Pattern::everything()].into(),
            actions: [ActionPattern::Any].into(),
            grants: true,
            denials: true,
            lifetime_ms_max: None,
            open_ended: true,
        }
    }

    fn permits(&self, access: &Access, time: LedgerTime) -> Result<(), Aspect> {
        let check = |holds: bool, aspect| if holds { Ok(()) } else { Err(aspect) };
        check(self.subjects.iter().any(|p| p.covers_pattern(&access.sub)), Aspect::Subject)?;
        check(self.objects.iter().any(|p| p.covers_pattern(&access.obj)), Aspect::Object)?;
        check(self.actions.iter().any(|a| a.covers_pattern(&access.act)), Aspect::Action)?;
        let allowed = match access.effect {
            Effect::Grant => self.grants,
            Effect::Deny => self.denials,
        };
        check(allowed, Aspect::Effect)?;
        match (access.exp, self.lifetime_ms_max) {
            (None, _) => check(self.open_ended, Aspect::OpenEnded),
            (Some(_), None) => Ok(()),
            (Some(exp), Some(max)) => {
                let start = access.iss.map_or(time, |iss| iss.max(time));
                check(exp.as_millis().saturating_sub(start.as_millis()) <= max, Aspect::Lifetime)
            }
        }
    }

    fn contains(&self, inner: &Self) -> bool {
        let covered =
            |outer: &[Pattern], inner: &[Pattern]| inner.iter().all(|i| outer.iter().any(|o| o.covers_pattern(i)));
        covered(&self.subjects, &inner.subjects)
            && covered(&self.objects, &inner.objects)
            && inner.actions.iter().all(|i| self.actions.iter().any(|o| o.covers_pattern(i)))
            && (self.grants || !inner.grants)
            && (self.denials || !inner.denials)
            && (self.open_ended || !inner.open_ended)
            && match (self.lifetime_ms_max, inner.lifetime_ms_max) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(outer), Some(inner)) => inner <= outer,
            }
    }
}

#[cfg(test)]
mod tests;
