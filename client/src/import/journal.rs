//! What a file's rows were resolved to: `FILE.writ-journal`.
//!
//! A journal is a list of lines that only grows. Each is the first eight hexadecimal digits of the SHA-256
//! of its JSON, a space, and the JSON:
//!
//! ```text
//!   1f0c63aa {"head":{"version":1,"chain":"..","authority":"org1"}}
//!   77e1d203 {"row":{"at":0,"line":1,"nonce":"..","iss":"..","exp":".."}}
//!   09ab2c11 {"row":{"at":1,"line":2,"nonce":"..","found":[["<id>","granted"]]}}
//!   5bd10c7e {"gone":{"nonce":".."}}               a node refused it: it may be corrected
//!   e0d6f1b2 {"set":{"nonce":".."}}                the rows are one set, of this nonce
//!   7ac44d90 {"unset":{}}                          a node refused it: all rows are gone
//!   c0ffee00 {"run":{"at":"..","rows":2}}          a run came to its end
//! ```
//!
//! `row` puts a row at place `at` of the list of rows in file order. Rows are on the disk (fsync) before the
//! first of them is sent. So a line that the machine did not get to write whole was never acted on, and a
//! torn tail is dropped without a word; a damaged line with good ones after it is another matter, and refused.
//!
//! Two runs on one journal at a time would each resolve what the other has sent: the file is locked.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use writ_proto::hash::Digest;
use writ_proto::record::{AuthorityName, Effect, Nonce, RecordId};
use writ_proto::time::LedgerTime;

use super::plan::{Kept, Resolved, Target};

/// The version of the format.
pub const VERSION: u32 = 1;

/// Bytes of the longest first line: a version, a chain and an authority.
const HEAD_BYTES_MAX: usize = 256;

/// An open journal, locked.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    rows: Vec<Kept>,
    set: Option<KeptSet>,
}

/// The set that the rows of a journal make, where they make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptSet {
    /// Its nonce, which follows from the file's text.
    pub nonce: Nonce,
    /// The size of the log since which nothing may have changed.
    pub unchanged_since: Option<u64>,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk said no.
    #[error("cannot {doing} the journal `{path}`", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which journal.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Another run uses it.
    #[error("another import uses the journal `{path}`", path = .path.display())]
    Busy {
        /// Which journal.
        path: PathBuf,
    },
    /// Not a journal, or of a version that we do not know.
    #[error("`{path}` is no journal of an import that this program knows", path = .path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// A line is damaged, and others follow it.
    #[error("line {line} of the journal `{path}` is damaged", path = .path.display())]
    Damaged {
        /// Which journal.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// Of another chain.
    #[error("the journal `{path}` is of chain {found}, this is chain {expected}", path = .path.display())]
    OtherChain {
        /// Which journal.
        path: PathBuf,
        /// The chain that it is of.
        found: Digest,
        /// The chain of this import.
        expected: Digest,
    },
    /// Of another authority.
    #[error("the journal `{path}` is of authority `{found}`, this import is of `{expected}`", path = .path.display())]
    OtherAuthority {
        /// Which journal.
        path: PathBuf,
        /// The authority that it is of.
        found: AuthorityName,
        /// The authority of this import.
        expected: AuthorityName,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Head {
        version: u32,
        chain: Digest,
        authority: AuthorityName,
    },
    Row {
        at: usize,
        line: u64,
        nonce: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        iss: Option<LedgerTime>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exp: Option<LedgerTime>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        found: Vec<(RecordId, Effect)>,
    },
    Gone {
        nonce: String,
    },
    Set {
        nonce: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unchanged_since: Option<u64>,
    },
    Unset {},
    Run {
        at: LedgerTime,
        rows: usize,
    },
}

impl Journal {
    /// Opens the journal at `path`, or makes it, for an import of `authority` on `chain`.
    ///
    /// # Errors
    /// If it is of another chain or authority, damaged, in use, or not to be had from the disk.
    pub fn open(path: &Path, chain: &Digest, authority: &AuthorityName) -> Result<Self, JournalError> {
        let io_error = |doing| move |source| JournalError::Io { doing, path: path.into(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io_error("open"))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => JournalError::Busy { path: path.into() },
            error => io_error("lock")(error.into()),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error("read"))?;
        let content = read(&bytes, path)?;
        content.check_head(path, chain, authority)?;
        let Content { head, rows, set, good } = content;
        let mut journal = Self { path: path.into(), file, rows, set };
        journal.file.set_len(good as u64).map_err(io_error("cut"))?;
        journal.file.seek(SeekFrom::End(0)).map_err(io_error("read"))?;
        if head.is_none() {
            journal.append(&[Line::Head { version: VERSION, chain: *chain, authority: authority.clone() }])?;
            let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error("sync the folder of"))?;
        }
        Ok(journal)
    }

    /// The rows of the journal at `path`, without making or mending it; none if there is no journal.
    ///
    /// # Errors
    /// As for [`Journal::open`].
    pub fn peek(
        path: &Path,
        chain: &Digest,
        authority: &AuthorityName,
    ) -> Result<(Vec<Kept>, Option<KeptSet>), JournalError> {
        let io_error = |doing| move |source| JournalError::Io { doing, path: path.into(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), None)),
            Err(error) => return Err(io_error("open")(error)),
        };
        flock(&file, FlockOperation::NonBlockingLockShared).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => JournalError::Busy { path: path.into() },
            error => io_error("lock")(error.into()),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io_error("read"))?;
        let content = read(&bytes, path)?;
        content.check_head(path, chain, authority)?;
        Ok((content.rows, content.set))
    }

    /// The rows that were resolved before, in file order.
    pub fn rows(&self) -> &[Kept] {
        &self.rows
    }

    /// The set that they make, if they do.
    pub fn set(&self) -> Option<KeptSet> {
        self.set
    }

    /// Adds rows at their places. They are on the disk when this returns, and may be sent then.
    pub fn keep(&mut self, fresh: Vec<(usize, Kept)>) -> Result<(), JournalError> {
        self.keep_behind(Vec::new(), fresh)
    }

    /// Adds the rows of a set, and that they are one.
    pub fn keep_set(&mut self, set: KeptSet, fresh: Vec<(usize, Kept)>) -> Result<(), JournalError> {
        // The set first: rows behind a torn end are resolved again, but never taken for rows of another kind of import.
        let nonce = hex::encode(set.nonce.0);
        let line = Line::Set { nonce, unchanged_since: set.unchanged_since };
        let first = if self.set == Some(set) { Vec::new() } else { vec![line] };
        self.keep_behind(first, fresh)?;
        self.set = Some(set);
        Ok(())
    }

    /// Forgets the set and its rows, which a node refused.
    pub fn forget_set(&mut self) -> Result<(), JournalError> {
        self.append(&[Line::Unset {}])?;
        self.rows.clear();
        self.set = None;
        Ok(())
    }

    fn keep_behind(&mut self, mut lines: Vec<Line>, fresh: Vec<(usize, Kept)>) -> Result<(), JournalError> {
        let line = |(at, kept): &(usize, Kept)| Line::Row {
            at: *at,
            line: kept.line,
            nonce: hex::encode(kept.nonce.0),
            iss: kept.resolved.iss,
            exp: kept.resolved.exp,
            found: kept.resolved.found.iter().map(|target| (target.id, target.effect)).collect(),
        };
        lines.extend(fresh.iter().map(line));
        self.append(&lines)?;
        for (at, kept) in fresh {
            self.rows.insert(at, kept);
        }
        Ok(())
    }

    /// Ends a run of `rows` rows, and forgets those that a node refused, so that they may be corrected.
    pub fn finish(&mut self, refused: &[Nonce], rows: usize, now: LedgerTime) -> Result<(), JournalError> {
        let mut lines: Vec<Line> = refused.iter().map(|nonce| Line::Gone { nonce: hex::encode(nonce.0) }).collect();
        lines.push(Line::Run { at: now, rows });
        self.append(&lines)?;
        self.rows.retain(|kept| !refused.contains(&kept.nonce));
        Ok(())
    }

    fn append(&mut self, lines: &[Line]) -> Result<(), JournalError> {
        if lines.is_empty() {
            return Ok(());
        }
        let text: String = lines.iter().map(line_text).collect();
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| JournalError::Io { doing: "write", path: self.path.clone(), source })
    }
}

fn line_text(line: &Line) -> String {
    let json = serde_json::to_string(line).expect("texts and numbers are JSON");
    format!("{} {json}\n", Digest::of(&[json.as_bytes()]).to_short())
}

/// What a journal says.
struct Content {
    head: Option<(Digest, AuthorityName)>,
    rows: Vec<Kept>,
    set: Option<KeptSet>,
    /// Bytes up to the end of the last good line.
    good: usize,
}

fn read(bytes: &[u8], path: &Path) -> Result<Content, JournalError> {
    let mut content = Content { head: None, rows: Vec::new(), set: None, good: 0 };
    let mut bad = None;
    for (at, raw) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let end = content.good + raw.len();
        match (parse(raw), bad) {
            (Some(_), Some(line)) => return Err(JournalError::Damaged { path: path.into(), line }),
            (None, None) => bad = Some(at + 1),
            (None, Some(_)) => {}
            (Some(line), None) => {
                // A line with a good checksum that makes no sense was not written by us.
                content.apply(line).ok_or_else(|| JournalError::Foreign { path: path.into() })?;
                content.good = end;
            }
        }
    }
    // Without a first line there is nothing but the start of one that we were writing, or somebody's file.
    let torn_head = || bytes.len() < HEAD_BYTES_MAX && !bytes.contains(&b'\n') && bytes[0].is_ascii_hexdigit();
    if content.head.is_none() && !bytes.is_empty() && !torn_head() {
        return Err(JournalError::Foreign { path: path.into() });
    }
    Ok(content)
}

/// The line, if it is whole and its checksum is good.
fn parse(raw: &[u8]) -> Option<Line> {
    let text = std::str::from_utf8(raw.strip_suffix(b"\n")?).ok()?;
    let (checksum, json) = text.split_once(' ')?;
    if Digest::of(&[json.as_bytes()]).to_short() != checksum {
        return None;
    }
    serde_json::from_str(json).ok()
}

impl Content {
    fn check_head(&self, path: &Path, chain: &Digest, authority: &AuthorityName) -> Result<(), JournalError> {
        match &self.head {
            Some((found, _)) if found != chain => {
                Err(JournalError::OtherChain { path: path.into(), found: *found, expected: *chain })
            }
            Some((_, found)) if found != authority => {
                let (found, expected) = (found.clone(), authority.clone());
                Err(JournalError::OtherAuthority { path: path.into(), found, expected })
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, line: Line) -> Option<()> {
        match line {
            Line::Head { version, chain, authority } => {
                (version == VERSION && self.head.is_none() && self.rows.is_empty()).then_some(())?;
                self.head = Some((chain, authority));
            }
            Line::Row { at, line, nonce, iss, exp, found } => {
                (self.head.is_some() && at <= self.rows.len()).then_some(())?;
                let found = found.into_iter().map(|(id, effect)| Target { id, effect }).collect();
                let kept = Kept { nonce: nonce_of(&nonce)?, line, resolved: Resolved { iss, exp, found } };
                self.rows.insert(at, kept);
            }
            Line::Gone { nonce } => {
                let nonce = nonce_of(&nonce)?;
                self.rows.retain(|kept| kept.nonce != nonce);
            }
            Line::Set { nonce, unchanged_since } => {
                (self.head.is_some() && self.rows.is_empty()).then_some(())?;
                self.set = Some(KeptSet { nonce: nonce_of(&nonce)?, unchanged_since });
            }
            Line::Unset {} => {
                self.rows.clear();
                self.set = None;
            }
            Line::Run { .. } => {}
        }
        Some(())
    }
}

fn nonce_of(text: &str) -> Option<Nonce> {
    let mut nonce = [0; 16];
    hex::decode_to_slice(text, &mut nonce).ok()?;
    Some(Nonce(nonce))
}

/// Where the journal of a file lies, unless told otherwise: `FILE.writ-journal`.
pub fn path_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".writ-journal");
    name.into()
}

#[cfg(test)]
mod tests;
