//! The words of an entry as a caller asks for them: of a listing, or of a watch. What they mean there, each says.

use writ_proto::api::to_nfc;
use writ_proto::name::{ActionPattern, NameError, Pattern, Side};
use writ_proto::record::{AuthorityName, Effect};
use writ_proto::time::Excerpt;

use super::error::ApiError;
use super::query::Query;

/// The parameters `sub`, `obj`, `act`, `access` and `authority`.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    pub(super) sub: Option<Pattern>,
    pub(super) obj: Option<Pattern>,
    pub(super) act: Option<ActionPattern>,
    pub(super) access: Option<Effect>,
    pub(super) authority: Option<AuthorityName>,
}

impl Words {
    pub(super) fn read(query: &mut Query) -> Result<Self, ApiError> {
        let name = |field: &'static str| move |error: NameError| ApiError::bad(field, error.to_string());
        let pattern = |text: Option<String>, side, field| {
            text.map(|text| Pattern::from_display(&to_nfc(&text), side).map_err(name(field))).transpose()
        };
        Ok(Self {
            sub: pattern(query.take("sub"), Side::Subject, "sub")?,
            obj: pattern(query.take("obj"), Side::Object, "obj")?,
            act: query.take("act").map(|text| ActionPattern::parse(&text).map_err(name("act"))).transpose()?,
            access: query.take("access").map(|text| effect(&text)).transpose()?,
            authority: query.parsed("authority")?,
        })
    }
}

fn effect(text: &str) -> Result<Effect, ApiError> {
    match text {
        "granted" => Ok(Effect::Grant),
        "denied" => Ok(Effect::Deny),
        other => {
            let detail = format!("`{}`, expected `granted` or `denied`", Excerpt::of(other));
            Err(ApiError::bad("access", detail))
        }
    }
}
