//! What went wrong, as callers see it: RFC 9457 problems with a stable code and the member at fault.
//!
//! The one place where codes become HTTP statuses. 4xx is the caller's fault and says which member; 5xx is
//! ours, tells nothing of the inside, and is logged. None of them is ever a decision.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use writ_proto::api::Problem;
use writ_proto::record::RecordId;
use writ_proto::refusal::Refusal;

use super::access::Stranger;
use crate::clock::ClockFault;
use crate::ledger::SubmitError;
use crate::storage::StoreError;

/// The media type of a problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Every code with its status.
pub(super) const CODES: [(&str, StatusCode); 27] = [
    ("bad_request", StatusCode::BAD_REQUEST),
    ("bad_condition", StatusCode::BAD_REQUEST),
    ("unsupported", StatusCode::BAD_REQUEST),
    ("wrong_chain", StatusCode::BAD_REQUEST),
    ("bad_signature", StatusCode::BAD_REQUEST),
    ("unknown_key", StatusCode::BAD_REQUEST),
    ("unknown_authority", StatusCode::BAD_REQUEST),
    ("threshold_not_met", StatusCode::BAD_REQUEST),
    ("expired_submission", StatusCode::BAD_REQUEST),
    ("unauthenticated", StatusCode::UNAUTHORIZED),
    ("out_of_scope", StatusCode::FORBIDDEN),
    ("retired_authority", StatusCode::FORBIDDEN),
    ("forbidden", StatusCode::FORBIDDEN),
    ("not_found", StatusCode::NOT_FOUND),
    ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
    ("timeout", StatusCode::REQUEST_TIMEOUT),
    ("not_yet", StatusCode::CONFLICT),
    ("conflict", StatusCode::CONFLICT),
    ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
    ("overloaded", StatusCode::TOO_MANY_REQUESTS),
    ("limit_exceeded", StatusCode::TOO_MANY_REQUESTS),
    ("internal", StatusCode::INTERNAL_SERVER_ERROR),
    ("stale", StatusCode::SERVICE_UNAVAILABLE),
    ("clock", StatusCode::SERVICE_UNAVAILABLE),
    ("read_only", StatusCode::SERVICE_UNAVAILABLE),
    ("not_ready", StatusCode::SERVICE_UNAVAILABLE),
    ("not_everywhere", StatusCode::ACCEPTED),
];

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) code: &'static str,
    pub(super) field: Option<Cow<'static, str>>,
    pub(super) detail: String,
    /// The record that the problem is about, where it has an id.
    pub(super) id: Option<RecordId>,
    retry_after_s: Option<u64>,
    /// Why the caller was not let in, if it was not.
    stranger: Option<Stranger>,
}

impl ApiError {
    /// A problem of the whole request.
    pub(super) fn whole(code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, field: None, detail: detail.into(), id: None, retry_after_s: None, stranger: None }
    }

    /// A problem that blames `field`.
    pub(super) fn of(code: &'static str, field: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::whole(code, detail) }
    }

    /// The caller's fault in `field`.
    pub(super) fn bad(field: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::of("bad_request", field, detail)
    }

    /// The caller is not let in.
    pub(super) fn unauthenticated(stranger: Stranger) -> Self {
        Self { stranger: Some(stranger), ..Self::whole("unauthenticated", stranger.detail()) }
    }

    /// Nothing is at the place that was asked for.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::whole("not_found", detail)
    }

    /// The node has too much to do.
    pub(super) fn overloaded(detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::whole("overloaded", detail) }
    }

    /// The path is right, the method is not. Which ones are stands in `Allow`.
    pub(super) fn method_not_allowed() -> Self {
        Self::whole("method_not_allowed", "this path does not answer that method, `allow` says which it does")
    }

    /// A failure of ours: the log gets the cause, the caller nothing of it.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::whole("internal", "the node failed to answer; its log says why")
    }

    /// The same, which blames another field.
    pub(super) fn blaming(self, field: Option<Cow<'static, str>>) -> Self {
        Self { field, ..self }
    }

    /// Names the record that the problem is about.
    pub(super) fn about(self, id: RecordId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        let known = CODES.iter().find(|(code, _)| *code == self.code);
        known.map_or(StatusCode::INTERNAL_SERVER_ERROR, |(_, status)| *status)
    }

    /// The problem as it stands in a list of results.
    pub(super) fn to_problem(&self) -> Problem {
        let status = self.status();
        Problem {
            type_: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code: self.code.into(),
            field: self.field.as_deref().map(Into::into),
            detail: self.detail.clone(),
        }
    }

    /// The whole answer.
    pub(super) fn into_response(self) -> Response<Body> {
        #[derive(Serialize)]
        struct WithId {
            #[serde(flatten)]
            problem: Problem,
            #[serde(skip_serializing_if = "Option::is_none")]
            id: Option<RecordId>,
        }
        let body = WithId { problem: self.to_problem(), id: self.id };
        let mut response = Response::new(Body::from(serde_json::to_vec(&body).unwrap_or_default()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(stranger) = self.stranger {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(stranger.challenge()));
        }
        if matches!(self.code, "timeout" | "too_large") {
            // What is left of the body is not worth waiting for.
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let field = refusal.path().map(Cow::Owned);
        Self { field, ..Self::whole(refusal.code.as_str(), refusal.detail) }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::Overloaded { retry_after_s } => Self::overloaded(error.to_string(), retry_after_s),
            SubmitError::ReadOnly => Self::whole("read_only", error.to_string()),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(chain_of(&error))
    }
}

impl From<ClockFault> for ApiError {
    fn from(fault: ClockFault) -> Self {
        tracing::warn!(%fault, "no answer about now");
        Self::whole("clock", "the node's clock cannot be trusted now; a question with `at` or `as_of` needs none")
    }
}

/// An error with all its causes, on one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use writ_proto::refusal::Code;

    use super::*;

    #[test]
    fn every_code_of_the_protocol_is_the_callers_fault() {
        for (code, _) in Code::ALL {
            let error = ApiError::from(Refusal::whole(code, "detail"));
            assert_eq!(error.code, code.as_str());
            assert!(CODES.iter().any(|(known, _)| *known == error.code), "{code} has no status");
            assert!(error.status().is_client_error(), "{code}: {}", error.status());
        }
    }

    #[test]
    fn a_failure_of_ours_tells_nothing_of_the_inside() {
        let error = ApiError::internal("cannot read /var/lib/writ/db/000042.sst");
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.detail.contains("sst") && !error.detail.contains('/'), "{}", error.detail);
    }
}
