//! Who may call: this machine, and whoever shows a token.
//!
//! ```text
//!   GET /healthz                     everybody
//!   from loopback                    everybody, unless the node is told to ask them too
//!   from elsewhere                   `Authorization: Bearer TOKEN`, with a token of the token file
//! ```
//!
//! Where a call comes from is the other end of the connection, as the socket tells it, never what a header says.
//! So a proxy on the same machine makes all its callers local ones: with one, `http.require_token` belongs on.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::tokens::{Shown, Tokens};

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer(pub(super) IpAddr);

/// Who may call. See the module's doc.
#[derive(Clone, Debug)]
pub struct Access {
    tokens: Option<Arc<Tokens>>,
    /// Whether this machine's own callers need a token too.
    everybody: bool,
}

/// Why a caller was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// No token.
    Missing,
    /// Something that is no token, or more than one.
    Malformed,
    /// A token that is not listed.
    Unknown,
    /// Nobody can tell: the token file cannot be read.
    Closed,
}

impl Stranger {
    /// The word in metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Closed => "closed",
        }
    }

    /// The `WWW-Authenticate` of the answer (RFC 6750, section 3).
    pub(super) const fn challenge(self) -> &'static str {
        match self {
            Self::Missing | Self::Malformed => "Bearer realm=\"writ\"",
            Self::Unknown | Self::Closed => "Bearer realm=\"writ\", error=\"invalid_token\"",
        }
    }

    /// What the caller is told.
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::Missing => "this caller needs a token: `Authorization: Bearer TOKEN`",
            Self::Malformed => "expected one header `Authorization: Bearer TOKEN`",
            Self::Unknown | Self::Closed => "the token is not one that this node admits",
        }
    }
}

impl Access {
    /// This machine alone.
    pub const fn loopback_only() -> Self {
        Self { tokens: None, everybody: false }
    }

    /// Holders of `tokens`; and this machine, unless `everybody` needs one.
    pub fn with_tokens(tokens: Arc<Tokens>, everybody: bool) -> Self {
        Self { tokens: Some(tokens), everybody }
    }

    /// Whether a caller at `peer` with these headers may go on.
    pub(super) fn check(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<(), Stranger> {
        // Who is not known to be near is far.
        let is_near = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
        if is_near && !self.everybody {
            return Ok(());
        }
        let token = token(headers)?;
        match self.tokens.as_ref().map_or(Shown::Unknown, |tokens| tokens.show(token)) {
            Shown::Of(name) => {
                tracing::trace!(name, ?peer, "a caller showed a token");
                Ok(())
            }
            Shown::Unknown => Err(Stranger::Unknown),
            Shown::Closed => Err(Stranger::Closed),
        }
    }
}

/// The one token that is shown (RFC 6750 section 2.1; the scheme's case does not matter, RFC 9110 section 11.1).
fn token(headers: &HeaderMap) -> Result<&[u8], Stranger> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let value = shown.next().ok_or(Stranger::Missing)?.as_bytes();
    if shown.next().is_some() {
        return Err(Stranger::Malformed);
    }
    let at = value.iter().position(|byte| *byte == b' ').ok_or(Stranger::Malformed)?;
    let (scheme, token) = (&value[..at], value[at..].trim_ascii());
    if !scheme.eq_ignore_ascii_case(b"bearer") || token.is_empty() || token.contains(&b' ') {
        return Err(Stranger::Malformed);
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::tokens;

    #[test]
    fn who_may_call() {
        let dir = tempfile::tempdir().unwrap();
        let (path, lock) = (dir.path().join("tokens"), dir.path().join("writ.toml"));
        std::fs::write(&lock, "").unwrap();
        let good = tokens::add(&path, &lock, "gate").unwrap();
        let gone = tokens::add(&path, &lock, "gone").unwrap();
        tokens::remove(&path, &lock, "gone").unwrap();
        let listed = Arc::new(Tokens::open(&path).unwrap());

        let bearer = |token: &str| vec![format!("Bearer {token}")];
        // Headers, and what becomes of a caller who needs a token.
        let headers: Vec<(&str, Vec<String>, Result<(), Stranger>)> = vec![
            ("none", vec![], Err(Stranger::Missing)),
            ("the token", bearer(&good), Ok(())),
            ("scheme in lower case", vec![format!("bearer {good}")], Ok(())),
            ("scheme in any case", vec![format!("BeArEr {good}")], Ok(())),
            ("two spaces", vec![format!("Bearer  {good}")], Ok(())),
            ("a revoked one", bearer(&gone), Err(Stranger::Unknown)),
            ("another one", bearer(&good.replace('0', "1").replace('a', "b")), Err(Stranger::Unknown)),
            ("upper case", bearer(&good.to_uppercase()), Err(Stranger::Unknown)),
            ("cut short", bearer(&good[..good.len() - 1]), Err(Stranger::Unknown)),
            ("its hash", bearer(&listed_hash(&path)), Err(Stranger::Unknown)),
            ("empty", vec![String::new()], Err(Stranger::Malformed)),
            ("scheme alone", vec!["Bearer".into()], Err(Stranger::Malformed)),
            ("scheme and space", vec!["Bearer ".into()], Err(Stranger::Malformed)),
            ("token alone", vec![good.clone()], Err(Stranger::Malformed)),
            ("another scheme", vec![format!("Basic {good}")], Err(Stranger::Malformed)),
            ("a word too many", vec![format!("Bearer {good} x")], Err(Stranger::Malformed)),
            ("two headers", [bearer(&good), bearer(&good)].concat(), Err(Stranger::Malformed)),
            ("good and bad header", [bearer(&good), bearer("x")].concat(), Err(Stranger::Malformed)),
        ];
        // The other end, and whether it counts as near.
        let peers: [(Option<&str>, bool); 9] = [
            (Some("127.0.0.1"), true),
            (Some("127.9.9.9"), true),
            (Some("::1"), true),
            (Some("::ffff:127.0.0.1"), true),
            (Some("192.0.2.7"), false),
            (Some("0.0.0.0"), false),
            (Some("::ffff:192.0.2.7"), false),
            (Some("2001:db8::1"), false),
            (None, false),
        ];
        for (peer, is_near) in peers {
            let peer = peer.map(|peer| peer.parse().unwrap());
            for (case, values, want) in &headers {
                let mut map = HeaderMap::new();
                // What a caller says about where it comes from is nothing.
                map.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
                map.insert("forwarded", HeaderValue::from_static("for=127.0.0.1"));
                for value in values {
                    map.append(AUTHORIZATION, value.parse().unwrap());
                }
                let check = |access: Access| access.check(peer, &map);
                let open = check(Access::with_tokens(listed.clone(), false));
                assert_eq!(open, if is_near { Ok(()) } else { *want }, "{peer:?} with {case}");
                let asked = check(Access::with_tokens(listed.clone(), true));
                assert_eq!(asked, *want, "{peer:?} with {case}, all are asked");
                let alone = check(Access::loopback_only());
                assert_eq!(alone.is_ok(), is_near, "{peer:?} with {case}, no tokens");
            }
        }
    }

    fn listed_hash(path: &std::path::Path) -> String {
        tokens::list(path).unwrap()[0].hash.to_string()
    }

    #[test]
    fn without_a_readable_list_nobody_from_afar_is_admitted() {
        let dir = tempfile::tempdir().unwrap();
        let (path, lock) = (dir.path().join("tokens"), dir.path().join("writ.toml"));
        std::fs::write(&lock, "").unwrap();
        let token = tokens::add(&path, &lock, "gate").unwrap();
        let access = Access::with_tokens(Arc::new(Tokens::open(&path).unwrap()), false);
        let mut map = HeaderMap::new();
        map.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        let far = Some("192.0.2.7".parse().unwrap());
        assert_eq!(access.check(far, &map), Ok(()));
        std::fs::write(&path, "what is this?").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        assert_eq!(access.check(far, &map), Err(Stranger::Closed));
        assert_eq!(access.check(Some("::1".parse().unwrap()), &HeaderMap::new()), Ok(()), "this machine still may");
    }
}
