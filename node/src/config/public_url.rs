//! Where callers reach a node that stands behind a proxy.

use axum::http::Uri;
use serde::Deserialize;

/// `https://HOST`, `https://HOST:PORT`, or the same with `http`: no path, no query, no user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was given instead.
#[derive(Debug, thiserror::Error)]
#[error("`{found}` is no address of a node, expected `https://HOST` or `https://HOST:PORT`")]
pub struct PublicUrlError {
    found: String,
}

impl TryFrom<String> for PublicUrl {
    type Error = PublicUrlError;

    fn try_from(text: String) -> Result<Self, PublicUrlError> {
        let address = || {
            let uri: Uri = text.parse().ok()?;
            let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
            let authority = uri.authority().filter(|authority| is_address(authority))?;
            (uri.path() == "/" && uri.query().is_none() && !text.contains('#'))
                .then(|| format!("{scheme}://{authority}"))
        };
        let address = address();
        address.map(Self).ok_or(PublicUrlError { found: text })
    }
}

/// Whether an authority names a host, and a port that there can be, and no user.
pub(crate) fn is_address(authority: &axum::http::uri::Authority) -> bool {
    let after = authority.as_str().strip_prefix(authority.host());
    after.is_some_and(|after| after.is_empty() || authority.port_u16().is_some_and(|port| after == format!(":{port}")))
        && !authority.host().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_perhaps_a_port() {
        for (given, kept) in [
            ("https://pdp.example", Some("https://pdp.example")),
            ("https://pdp.example/", Some("https://pdp.example")),
            ("http://localhost:8443", Some("http://localhost:8443")),
            ("https://[::1]:1", Some("https://[::1]:1")),
            ("pdp.example", None),
            ("ftp://pdp.example", None),
            ("https://", None),
            ("https://:443", None),
            ("https://user@pdp.example", None),
            ("https://pdp.example:99999", None),
            ("https://pdp.example:", None),
            ("https://pdp.example:x", None),
            ("https://pdp.example/ledger", None),
            ("https://pdp.example?x=1", None),
            ("https://pdp.example/#x", None),
            ("", None),
        ] {
            let found = PublicUrl::try_from(given.to_owned());
            assert_eq!(found.as_ref().ok().map(PublicUrl::as_str), kept, "{given}");
            if let Err(error) = found {
                assert!(error.to_string().starts_with(&format!("`{given}` is no address")), "{error}");
            }
        }
    }
}
