//! Bearer tokens: who may call from beyond this machine.
//!
//! A token is 256 random bits, shown once when it is made. The file keeps a name and the SHA-256 of each, so
//! whoever reads the file cannot call:
//!
//! ```text
//!   # comments and empty lines say nothing
//!   NAME SHA256HEX            hash of the token's text; `printf %s TOKEN | sha256sum` gives it too
//! ```
//!
//! A running node looks at the file again at most once a second, so a token is revoked without a restart. A file
//! that cannot be read or understood as a whole admits **nobody**: a lost line must not be a lost revocation, and
//! a list that is half known is not known. A file that is not there lists nobody.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use writ_proto::hash::Digest;

use crate::guard::durable;

/// How long a running node relies on what it read.
const FRESH: Duration = Duration::from_secs(1);
/// Bytes that the file may have: a thousand tokens and more.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// What a token starts with, so that people and scanners know one when they see it.
const PREFIX: &str = "writ_";
/// Bytes of a token that is looked at.
const TOKEN_BYTES_MAX: usize = 256;

/// A token that the file lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is called.
    pub name: String,
    /// SHA-256 of its text.
    pub hash: Digest,
}

/// Why the token file cannot be used, or not be changed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokensError {
    /// The operating system failed.
    #[error("cannot {doing} the token file `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// Others may read or write it.
    #[error("the token file `{path}` is open to others (mode {mode:03o}, expected 600): run `chmod 600 {path}`")]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A line of it says nothing that we know.
    #[error("line {line} of the token file `{path}` is not understood: {detail}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A token cannot be called that.
    #[error("`{name}` cannot name a token: expected 1 to 64 letters, digits, `.`, `_` or `-`")]
    BadName {
        /// The name.
        name: String,
    },
    /// There is a token of that name.
    #[error("there is a token `{name}` already; `token remove` revokes it")]
    Taken {
        /// The name.
        name: String,
    },
    /// There is no token of that name.
    #[error("there is no token `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The system has no randomness.
    #[error("no randomness for a token: {reason}")]
    NoRandomness {
        /// What it said.
        reason: String,
    },
}

/// The token file as a running node sees it.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    /// `None`: the file could not be read, so nobody is admitted.
    listed: Option<Vec<Token>>,
}

/// What became of a token that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is the one of this name.
    Of(String),
    /// It is none of those listed.
    Unknown,
    /// Which ones are listed cannot be told now.
    Closed,
}

impl Tokens {
    /// The file at `path`, read once now.
    ///
    /// # Errors
    /// If it is there and cannot be used: a node should not start with it.
    pub fn open(path: &Path) -> Result<Self, TokensError> {
        let listed = list(path)?;
        Ok(Self { path: path.into(), seen: Mutex::new(Seen { at: Instant::now(), listed: Some(listed) }) })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many tokens were listed when the file was last read.
    pub fn len(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).listed.as_ref().map_or(0, Vec::len)
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whose token this is, by the file as it was at most a second ago.
    pub fn show(&self, token: &[u8]) -> Shown {
        self.show_at(token, Instant::now())
    }

    fn show_at(&self, token: &[u8], now: Instant) -> Shown {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(seen.at) >= FRESH {
            let listed = list(&self.path);
            if let Err(error) = &listed
                && seen.listed.is_some()
            {
                let error: &dyn std::error::Error = error;
                tracing::error!(error, "the token file cannot be used, so nobody is admitted from beyond loopback");
            }
            *seen = Seen { at: now, listed: listed.ok() };
        }
        let Some(listed) = &seen.listed else { return Shown::Closed };
        if token.len() > TOKEN_BYTES_MAX {
            return Shown::Unknown;
        }
        let hash = Digest::of(&[token]);
        // Every hash is compared to its end: the time it takes tells nothing of where it differs.
        let mut found = None;
        for listed in listed {
            if is_same(&listed.hash, &hash) {
                found = Some(&listed.name);
            }
        }
        found.map_or(Shown::Unknown, |name| Shown::Of(name.clone()))
    }
}

fn is_same(a: &Digest, b: &Digest) -> bool {
    a.0.iter().zip(&b.0).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// The tokens that the file at `path` lists; none if it is not there.
pub fn list(path: &Path) -> Result<Vec<Token>, TokensError> {
    let io = |source| TokensError::Io { doing: "read", path: path.into(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let metadata = file.metadata().map_err(io)?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokensError::Exposed { path: path.into(), mode });
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(io)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io(io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes"))));
    }
    parse(&text).map_err(|(line, detail)| TokensError::Malformed { path: path.into(), line, detail })
}

fn parse(text: &str) -> Result<Vec<Token>, (usize, &'static str)> {
    let mut tokens: Vec<Token> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, hash) = line.split_once(' ').ok_or((number, "expected a name, a space, and a hash"))?;
        if !is_name(name) {
            return Err((number, "its name is not one of a token"));
        }
        let mut digest = Digest::ZERO;
        let lower = !hash.bytes().any(|byte| byte.is_ascii_uppercase());
        if !lower || hex::decode_to_slice(hash, &mut digest.0).is_err() {
            return Err((number, "its hash is not 64 lower-case hexadecimal digits"));
        }
        if tokens.iter().any(|token| token.name == name) {
            return Err((number, "its name stands twice"));
        }
        tokens.push(Token { name: name.into(), hash: digest });
    }
    Ok(tokens)
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Makes a token called `name` and lists it, durably. Gives the token, which nobody can learn again. Of two
/// programs that change the file one waits for the other: `lock` is a file that always stays in its place.
///
/// # Errors
/// If the name is taken or none, or the file cannot be used.
pub fn add(path: &Path, lock: &Path, name: &str) -> Result<String, TokensError> {
    if !is_name(name) {
        return Err(TokensError::BadName { name: name.into() });
    }
    let _alone = alone(lock)?;
    if list(path)?.iter().any(|token| token.name == name) {
        return Err(TokensError::Taken { name: name.into() });
    }
    let mut secret = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut_slice()).map_err(|error| TokensError::NoRandomness { reason: error.to_string() })?;
    let token = format!("{PREFIX}{}", hex::encode(secret.as_slice()));
    let hash = Digest::of(&[token.as_bytes()]);
    change(path, |text| text + &format!("{name} {hash}\n"))?;
    Ok(token)
}

/// Takes the token called `name` off the list, durably: a running node refuses it within a second.
///
/// # Errors
/// If there is none of that name, or the file cannot be used.
pub fn remove(path: &Path, lock: &Path, name: &str) -> Result<(), TokensError> {
    let _alone = alone(lock)?;
    if !list(path)?.iter().any(|token| token.name == name) {
        return Err(TokensError::Unknown { name: name.into() });
    }
    let is_other = |line: &&str| line.split_once(' ').is_none_or(|(own, _)| own != name);
    change(path, |text| text.lines().filter(is_other).map(|line| format!("{line}\n")).collect())
}

/// Waits until nobody else changes the file.
fn alone(lock: &Path) -> Result<File, TokensError> {
    let io = |source| TokensError::Io { doing: "lock, for a change of the token file,", path: lock.into(), source };
    let file = File::open(lock).map_err(io)?;
    file.lock().map_err(io)?;
    Ok(file)
}

/// Puts a changed text in the place of the file's, whole or not at all.
fn change(path: &Path, change: impl FnOnce(String) -> String) -> Result<(), TokensError> {
    let io = |doing| move |source| TokensError::Io { doing, path: path.into(), source };
    let mut text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io("read")(error)),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let text = change(text);
    durable::replace(path, |mut file| file.write_all(text.as_bytes())).map_err(io("write"))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A folder with the file that is locked while the list changes.
    fn folder() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (path, lock) = (dir.path().join("tokens"), dir.path().join("writ.toml"));
        fs::write(&lock, "").unwrap();
        (dir, path, lock)
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn a_token_is_shown_once_and_only_its_hash_is_kept() {
        let (_dir, path, lock) = folder();
        let (a, b) = (add(&path, &lock, "gate").unwrap(), add(&path, &lock, "audit-1").unwrap());
        assert!(a.starts_with(PREFIX) && a.len() == PREFIX.len() + 64 && a != b);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&a[PREFIX.len()..]) && !text.contains(PREFIX), "{text}");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let names: Vec<_> = list(&path).unwrap().into_iter().map(|token| token.name).collect();
        assert_eq!(names, ["gate", "audit-1"]);

        let tokens = Tokens::open(&path).unwrap();
        assert_eq!(tokens.show(a.as_bytes()), Shown::Of("gate".into()));
        assert_eq!(tokens.show(b.as_bytes()), Shown::Of("audit-1".into()));
        let hash = list(&path).unwrap()[0].hash.to_string();
        for wrong in [&a[..a.len() - 1], &a[1..], &a.to_uppercase(), "", &hash, &format!("{a} "), &"x".repeat(10_000)] {
            assert_eq!(tokens.show(wrong.as_bytes()), Shown::Unknown, "{wrong}");
        }
    }

    #[test]
    fn names_are_taken_once_and_removed_by_name() {
        let (_dir, path, lock) = folder();
        let token = add(&path, &lock, "gate").unwrap();
        add(&path, &lock, "gate2").unwrap();
        assert!(matches!(add(&path, &lock, "gate"), Err(TokensError::Taken { .. })));
        for bad in ["", "a b", "a\nb", "ä", &"x".repeat(65), "#x"] {
            assert!(matches!(add(&path, &lock, bad), Err(TokensError::BadName { .. })), "{bad}");
        }
        assert!(matches!(remove(&path, &lock, "gat"), Err(TokensError::Unknown { .. })));
        remove(&path, &lock, "gate").unwrap();
        assert_eq!(Tokens::open(&path).unwrap().show(token.as_bytes()), Shown::Unknown);
        assert_eq!(list(&path).unwrap()[0].name, "gate2");
    }

    #[test]
    fn a_running_node_sees_changes_within_a_second_and_not_every_time() {
        let (_dir, path, lock) = folder();
        let token = add(&path, &lock, "gate").unwrap();
        let tokens = Tokens::open(&path).unwrap();
        let began = tokens.seen.lock().unwrap().at;
        remove(&path, &lock, "gate").unwrap();
        let almost = began + FRESH - Duration::from_millis(1);
        assert_eq!(tokens.show_at(token.as_bytes(), almost), Shown::Of("gate".into()), "it is not read every time");
        assert_eq!(tokens.show_at(token.as_bytes(), began + FRESH), Shown::Unknown);
        let again = add(&path, &lock, "gate").unwrap();
        assert_eq!(tokens.show_at(again.as_bytes(), began + 2 * FRESH), Shown::Of("gate".into()));
    }

    #[test]
    fn a_file_that_is_not_understood_admits_nobody_until_it_is() {
        let (_dir, path, lock) = folder();
        let token = add(&path, &lock, "gate").unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let tokens = Tokens::open(&path).unwrap();
        let mut now = tokens.seen.lock().unwrap().at;
        let mut show = || {
            now += FRESH;
            tokens.show_at(token.as_bytes(), now)
        };
        for (case, text) in [
            ("half a line", format!("{good}audit\n")),
            ("half a hash", format!("{good}audit {}\n", "ab".repeat(31))),
            ("upper case", format!("{good}audit {}\n", "AB".repeat(32))),
            ("a name twice", format!("{good}{good}")),
            ("a word too many", format!("{good}audit {} x\n", "ab".repeat(32))),
            ("a name that is none", format!("{good}aud/it {}\n", "ab".repeat(32))),
            ("too large", format!("{good}# {}\n", "x".repeat(300_000))),
        ] {
            write(&path, &text);
            assert_eq!(show(), Shown::Closed, "{case}");
            assert!(Tokens::open(&path).is_err(), "{case}");
            write(&path, &format!("# a comment\n\n{good}"));
            assert_eq!(show(), Shown::Of("gate".into()), "after {case}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(show(), Shown::Closed);
        assert!(Tokens::open(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::remove_file(&path).unwrap();
        assert_eq!(show(), Shown::Unknown, "a file that is not there lists nobody");
        fs::create_dir(&path).unwrap();
        assert_eq!(show(), Shown::Closed);
    }
}
