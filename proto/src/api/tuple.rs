//! The access tuple as JSON, and its way into a statement and back.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};

use serde::{Deserialize, Serialize};

use super::{Entry, RevokedBy, is_readable, to_nfc};
use crate::decision::Question;
use crate::hash::Digest;
use crate::name::{Action, ActionPattern, Name, NameError, Pattern, Side};
use crate::record::{Access, AuthorityName, Body, Class, Effect, Nonce, RecordId, Statement};
use crate::refusal::{Code, Refusal};
use crate::time::LedgerTime;

/// An access entry as an access request manager writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuple {
    /// Who.
    pub sub: String,
    /// What.
    pub obj: String,
    /// Which action; left out: every action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<String>,
    /// `granted` or `denied`; left out: granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// From when; RFC 3339 with `Z`.
    #[serde(default)]
    pub iss: Option<String>,
    /// Until when; RFC 3339 with `Z`.
    #[serde(default)]
    pub exp: Option<String>,
    /// The authority; where given it must be the one that signs.
    #[serde(rename = "issuingAuth", default, skip_serializing_if = "Option::is_none")]
    pub issuing_auth: Option<String>,
    /// Assigned by the ledger; accepted and ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<String>,
    /// The condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cond: Option<String>,
    /// The request that led to it.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

fn name_fault(field: &'static str) -> impl Fn(NameError) -> Refusal {
    move |error| Refusal::of(Code::BadRequest, field, error.to_string())
}

impl Tuple {
    /// The entry that the tuple states. The first member at fault is named.
    pub fn to_access(&self) -> Result<Access, Refusal> {
        let time = |text: &Option<String>, field| {
            text.as_deref()
                .map(str::parse::<LedgerTime>)
                .transpose()
                .map_err(|error| Refusal::of(Code::BadRequest, field, error.to_string()))
        };
        let access = Access {
            sub: Pattern::from_display(&to_nfc(&self.sub), Side::Subject).map_err(name_fault("sub"))?,
            obj: Pattern::from_display(&to_nfc(&self.obj), Side::Object).map_err(name_fault("obj"))?,
            act: self.act.as_deref().map_or(Ok(ActionPattern::Any), ActionPattern::parse).map_err(name_fault("act"))?,
            effect: match self.access.as_deref() {
                None | Some("granted") => Effect::Grant,
                Some("denied") => Effect::Deny,
                Some(other) => {
                    let detail =
                        format!("`{}`, expected `granted` or `denied`", other.chars().take(40).collect::<String>());
                    return Err(Refusal::of(Code::BadRequest, "access", detail));
                }
            },
            iss: time(&self.iss, "iss")?,
            exp: time(&self.exp, "exp")?,
            cond: self.cond.clone(),
            reference: self.reference.clone(),
        };
        access.check()?;
        Ok(access)
    }
}

impl From<&Access> for Tuple {
    fn from(access: &Access) -> Self {
        Self {
            sub: access.sub.to_display_if(Side::Subject, is_readable),
            obj: access.obj.to_display_if(Side::Object, is_readable),
            act: Some(access.act.as_str().to_owned()),
            access: Some(access.effect.as_str().to_owned()),
            iss: access.iss.map(|iss| iss.to_string()),
            exp: access.exp.map(|exp| exp.to_string()),
            cond: access.cond.clone(),
            reference: access.reference.clone(),
            ..Self::default()
        }
    }
}

/// The statement of a body, ready to be signed; `submit_by` is left out where the class has none.
pub fn statement_of(
    chain: Digest,
    authority: AuthorityName,
    nonce: Nonce,
    body: Body,
    submit_by: LedgerTime,
) -> Statement {
    let submit_by = (body.class() == Class::Permissive).then_some(submit_by);
    Statement { chain, authority, nonce, body, submit_by }
}

/// A question as people write it. Patterns are refused, and the member at fault is named.
pub fn question_of(sub: &str, act: Option<&str>, obj: &str) -> Result<Question, Refusal> {
    Ok(Question {
        sub: Name::from_display(&to_nfc(sub), Side::Subject).map_err(name_fault("sub"))?,
        act: act.map(Action::parse).transpose().map_err(name_fault("act"))?,
        obj: Name::from_display(&to_nfc(obj), Side::Object).map_err(name_fault("obj"))?,
    })
}

/// An entry as JSON, in its own spelling.
pub fn entry_of(
    access: &Access,
    authority: &AuthorityName,
    id: RecordId,
    index: u64,
    height: u64,
    added: LedgerTime,
    revoked: Option<RevokedBy>,
) -> Entry {
    Entry {
        sub: access.sub.to_display_if(Side::Subject, is_readable),
        obj: access.obj.to_display_if(Side::Object, is_readable),
        act: access.act.as_str().to_owned(),
        access: access.effect,
        iss: access.iss,
        exp: access.exp,
        issuing_auth: authority.clone(),
        added,
        reference: access.reference.clone(),
        cond: access.cond.clone(),
        id,
        set: None,
        index,
        height,
        revoked,
        outcome: None,
    }
}
