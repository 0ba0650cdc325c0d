//! `GET /.well-known/authzen-configuration`: where the paths are (section 9).
//!
//! The identifier must be the address that the caller used, so it is taken from the request. A node speaks plain HTTP,
//! and whoever calls it from beyond its machine does so through something that adds TLS: so a name of this machine is
//! `http`, any other `https`.

use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use serde_json::json;

use crate::http::error::ApiError;
use crate::http::json::answer;
use crate::http::{Answer, App, Call};

/// `GET /.well-known/authzen-configuration`.
pub(in crate::http) async fn metadata(_: App, call: Call) -> Answer {
    let hosts = call.parts.headers.get_all(HOST);
    let host = hosts.iter().next().and_then(|host| host.to_str().ok()).and_then(|host| host.parse::<Authority>().ok());
    let host = host.filter(|host| !host.as_str().contains('@'));
    let host = host.ok_or_else(|| ApiError::bad("host", "no address in it, expected where this node was called"))?;
    let at = |path: &str| format!("{}://{host}{path}", scheme(host.host()));
    let shown = json!({
        "policy_decision_point": at(""),
        "access_evaluation_endpoint": at("/access/v1/evaluation"),
        "access_evaluations_endpoint": at("/access/v1/evaluations"),
        "search_subject_endpoint": at("/access/v1/search/subject"),
        "search_resource_endpoint": at("/access/v1/search/resource"),
        "search_action_endpoint": at("/access/v1/search/action"),
    });
    answer(StatusCode::OK, &shown)
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
