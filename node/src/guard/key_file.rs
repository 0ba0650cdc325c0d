//! Secret keys on disk: 64 hexadecimal digits and a line end, readable by their owner alone.
//!
//! A key file that others can read is refused, not mended: whoever could read it may have done so.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use writ_proto::key::SecretKey;
use zeroize::Zeroizing;

use super::durable;

const DIGITS: usize = 64;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The operating system failed.
    #[error("cannot {doing} the key in `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// It is there already: a key is never replaced.
    #[error("there is a key in `{path}` already")]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error(
        "the key in `{path}` can be read by others (mode {mode:03o}, expected 600): if nobody did, run `chmod 600 {path}`; else make a new key"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("`{path}` holds no key: expected {DIGITS} lower-case hexadecimal digits and a line end")]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
}

/// Makes a key file, durably.
///
/// # Errors
/// If it is there already.
pub fn write(path: &Path, key: &SecretKey) -> Result<(), KeyFileError> {
    let seed = Zeroizing::new(key.to_seed());
    let mut text = Zeroizing::new([b'\n'; DIGITS + 1]);
    hex::encode_to_slice(seed.as_slice(), &mut text[..DIGITS]).expect("32 bytes are 64 digits");
    durable::create(path, |mut file| file.write_all(text.as_slice())).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.into() },
        _ => KeyFileError::Io { doing: "write", path: path.into(), source },
    })
}

/// Reads a key file.
///
/// # Errors
/// If anybody but its owner may read or write it, or it holds something else.
pub fn read(path: &Path) -> Result<SecretKey, KeyFileError> {
    let io = |source| KeyFileError::Io { doing: "read", path: path.into(), source };
    let file = File::open(path).map_err(io)?;
    // Of the open file, so that nobody swaps it in between.
    let mode = file.metadata().map_err(io)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.into(), mode });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(DIGITS + 2));
    // One byte more than a key has, to see that there is none.
    file.take(DIGITS as u64 + 2).read_to_end(&mut text).map_err(io)?;
    let malformed = || KeyFileError::Malformed { path: path.into() };
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    if digits.iter().any(u8::is_ascii_uppercase) {
        return Err(malformed());
    }
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, seed.as_mut_slice()).map_err(|_| malformed())?;
    Ok(SecretKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    fn key() -> SecretKey {
        SecretKey::from_seed(&[0xab; 32])
    }

    #[test]
    fn a_key_reads_back_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vote.key");
        write(&path, &key()).unwrap();
        assert_eq!(read(&path).unwrap().public(), key().public());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "ab".repeat(32) + "\n");
    }

    #[test]
    fn a_key_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vote.key");
        write(&path, &key()).unwrap();
        let other = SecretKey::from_seed(&[1; 32]);
        assert!(matches!(write(&path, &other), Err(KeyFileError::Exists { .. })));
        assert_eq!(read(&path).unwrap().public(), key().public());
    }

    #[test]
    fn a_key_that_others_may_read_or_write_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vote.key");
        write(&path, &key()).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Exposed { mode: found, .. } if found == mode), "{mode:o}: {error}");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(read(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vote.key");
        let digits = "ab".repeat(32);
        for (text, good) in [
            (digits.clone(), true),
            (format!("{digits}\n"), true),
            (String::new(), false),
            (format!("{digits}\n\n"), false),
            (format!("{digits}00"), false),
            (format!(" {digits}"), false),
            (digits[1..].into(), false),
            (digits[2..].into(), false),
            (digits.to_uppercase(), false),
            (digits.replacen('a', "g", 1), false),
        ] {
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            match read(&path) {
                Ok(_) => assert!(good, "{text:?}"),
                Err(error) => assert!(!good && !error.to_string().contains("abab"), "{text:?}: {error}"),
            }
        }
    }
}
