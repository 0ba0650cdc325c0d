//! Bearer tokens: how a caller shows a node who it is, beyond loopback.
//!
//! A token file holds one token, for every node that is named:
//!
//! ```text
//! 4v3m...Zk
//! ```
//!
//! or lines of a node and its token, for nodes that belong to several organisations: a token goes to its own node
//! and to no other, and nodes without a line get none.
//!
//! ```text
//! # a comment
//! http://10.0.0.1:7001 4v3m...Zk
//! http://10.7.0.1:7001 Qp1x...0A
//! ```
//!
//! A token is a secret: nothing here prints one, errors do not quote the file, and it is erased when dropped. Its
//! letters are those of RFC 6750, section 2.1.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::ClientError;
use crate::transport::base_url;

/// Bytes of the longest token.
const TOKEN_BYTES_MAX: usize = 4096;

/// Bytes of the largest file that is read for tokens.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// One token.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// Which node gets which token.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    all: Option<Token>,
    own: Vec<(String, Token)>,
}

/// Why there is no token. None of the words is from the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The disk said no.
    #[error("cannot read `{path}`", path = .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// No file of tokens.
    #[error("`{path}` is no token file: {reason}", path = .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Token {
    /// The token of this text; none if it holds anything but the letters of a token.
    pub fn new(text: &str) -> Option<Self> {
        let body = text.trim_end_matches('=');
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
        let good = !body.is_empty() && text.len() <= TOKEN_BYTES_MAX && body.bytes().all(fits);
        good.then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The value of the header that carries it.
    pub(crate) fn header(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", *self.0))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Tokens {
    /// One token for every node.
    pub fn for_all(token: Token) -> Self {
        Self { all: Some(token), own: Vec::new() }
    }

    /// The same, and this token for the node at `url`.
    ///
    /// # Errors
    /// If that is not the address of a node.
    pub fn with(mut self, url: &str, token: Token) -> Result<Self, ClientError> {
        self.own.push((base_url(url)?, token));
        Ok(self)
    }

    /// Reads a token file.
    ///
    /// # Errors
    /// If it cannot be read, or holds anything but one token, or nodes with their tokens.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let io_error = |source| TokenError::Io { path: path.into(), source };
        let malformed = |reason: String| TokenError::Malformed { path: path.into(), reason };
        let size = fs::metadata(path).map_err(io_error)?.len();
        if size > FILE_BYTES_MAX {
            return Err(malformed(format!("it has {size} bytes, at most {FILE_BYTES_MAX} are expected")));
        }
        let bytes = Zeroizing::new(fs::read(path).map_err(io_error)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed("it is not UTF-8".into()))?;
        Self::parse(text).map_err(malformed)
    }

    /// Whether others than the owner have rights on a token file.
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn is_exposed(path: &Path) -> Result<bool, TokenError> {
        let metadata = fs::metadata(path).map_err(|source| TokenError::Io { path: path.into(), source })?;
        Ok(metadata.permissions().mode() & 0o077 != 0)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Self::default();
        for (line, at) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let no_token = || format!("line {at} holds no token: expected letters, digits and `-._~+/`");
            match line.split_once(char::is_whitespace) {
                None if tokens.all.is_some() => return Err(format!("line {at} is a second token for every node")),
                None => tokens.all = Some(Token::new(line).ok_or_else(no_token)?),
                Some((url, token)) => {
                    let token = Token::new(token.trim_start()).ok_or_else(no_token)?;
                    let url = base_url(url).map_err(|_| format!("line {at} does not begin with a node's address"))?;
                    if tokens.own.iter().any(|(other, _)| *other == url) {
                        return Err(format!("line {at} is a second token for one node"));
                    }
                    tokens.own.push((url, token));
                }
            }
        }
        match (&tokens.all, tokens.own.is_empty()) {
            (None, true) => Err("it holds no token".into()),
            // A token for all beside tokens for some would go to nodes that were forgotten.
            (Some(_), false) => Err("it holds a token without a node beside tokens with one".into()),
            _ => Ok(tokens),
        }
    }

    /// The token of the node at `url`.
    pub(crate) fn of(&self, url: &str) -> Option<&Token> {
        self.own.iter().find(|(own, _)| own == url).map(|(_, token)| token).or(self.all.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_token_or_one_for_each_node() {
        let header = |tokens: &Tokens, url: &str| tokens.of(url).map(|token| token.header().to_string());
        let one = Tokens::parse("\n# ours\nabc-._~+/09==\r\n").unwrap();
        assert_eq!(header(&one, "http://any"), Some("Bearer abc-._~+/09==".into()));
        let two = Tokens::parse("http://a:1/ first\nb:2   second\n").unwrap();
        assert_eq!(header(&two, "http://a:1"), Some("Bearer first".into()));
        assert_eq!(header(&two, "http://b:2"), Some("Bearer second".into()));
        assert_eq!(header(&two, "http://c:3"), None, "a token goes to its own node");
    }

    #[test]
    fn what_is_no_token_file_is_refused_without_a_word_of_it() {
        for (text, want) in [
            ("", "no token"),
            ("# nothing\n", "no token"),
            ("sécret", "line 1 holds no token"),
            ("===", "line 1 holds no token"),
            ("secret\nsecret", "second token for every node"),
            ("secret\nhttp://a secret", "beside tokens with one"),
            ("http://a secret\nhttp://a/ secret", "second token for one node"),
            ("https://a secret", "line 1 does not begin with a node's address"),
            ("http://a secret secret", "line 1 holds no token"),
            (&"s".repeat(5000), "line 1 holds no token"),
        ] {
            let reason = Tokens::parse(text).unwrap_err();
            assert!(reason.contains(want) && !reason.contains("cret"), "{text}: {reason}");
        }
        let shown = format!("{:?}", Tokens::for_all(Token::new("secret").unwrap()).with("a", Token::new("x").unwrap()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
