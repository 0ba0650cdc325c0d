//! `GET /.well-known/authzen-configuration`: where the paths are (section 9).
//!
//! The identifier must be the address that the caller used. That is `http.public_url` of the configuration, or taken from
//! the request: a node speaks plain HTTP, and whoever calls it from beyond its machine does so through something that adds
//! TLS, so a name of this machine is `http` then, any other `https`.

use axum::http::header::{CACHE_CONTROL, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::config::is_address;
use crate::http::error::ApiError;
use crate::http::json::answer;
use crate::http::{Answer, App, Call};

/// `GET /.well-known/authzen-configuration`.
pub(in crate::http) async fn metadata(app: App, call: Call) -> Answer {
    let base = match &app.0.public_url {
        Some(url) => url.as_str().to_owned(),
        None => {
            let host = called(&call.parts).filter(is_address);
            let host =
                host.ok_or_else(|| ApiError::bad("host", "no address in it, expected where this node was called"))?;
            format!("{}://{host}", scheme(host.host()))
        }
    };
    let at = |path: &str| format!("{base}{path}");
    let shown = json!({
        "policy_decision_point": at(""),
        "access_evaluation_endpoint": at("/access/v1/evaluation"),
        "access_evaluations_endpoint": at("/access/v1/evaluations"),
        "search_subject_endpoint": at("/access/v1/search/subject"),
        "search_resource_endpoint": at("/access/v1/search/resource"),
        "search_action_endpoint": at("/access/v1/search/action"),
    });
    let mut response = answer(StatusCode::OK, &shown)?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=3600"));
    Ok(response)
}

/// Where the request says that it goes: its target, if that names a host (RFC 9112, section 3.2.2), or its `Host`.
fn called(parts: &Parts) -> Option<Authority> {
    let by_header = || parts.headers.get(HOST)?.to_str().ok()?.parse().ok();
    parts.uri.authority().cloned().or_else(by_header)
}

fn scheme(host: &str) -> &'static str {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_here = host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
    if is_here { "http" } else { "https" }
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_this_machine_is_called_without_tls() {
        for (host, scheme) in [
            ("localhost", "http"),
            ("127.0.0.1", "http"),
            ("[::1]", "http"),
            ("ledger.example", "https"),
            ("192.0.2.7", "https"),
            ("localhost.example", "https"),
        ] {
            assert_eq!(super::scheme(host), scheme, "{host}");
        }
    }
}
