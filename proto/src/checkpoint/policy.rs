//! Whom to believe about a log, in the words of C2SP tlog-policy.
//!
//! ```text
//!   log <vkey, type 0x01>                                       one for each validator
//!   witness <origin>/<validator> <vkey, type 0x04>              one for each validator
//!   group validators <quorum> <origin>/<validator> ...
//!   quorum validators
//! ```
//!
//! Each key stands once among the logs and once among the witnesses. The specification forbids a key to stand
//! twice among either, not once in both; see `docs/decisions/0016-cosigned-checkpoints.md`.
//!
//! Names of witnesses have a `/` in them and so are never `none` or the group's name.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::cosigners::{Cosigner, Cosigners};
use super::note::{KeyType, NoteKey};
use crate::limits::GENESIS_MEMBERS_MAX;

/// Bytes of a policy: three lines for each of as many validators as there can be.
pub const POLICY_BYTES_MAX: usize = 256 * 1024;

/// Why a text is no policy that this program can follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// More bytes than the bound.
    #[error("a policy of {found} bytes, at most {max} are allowed")]
    TooLong {
        /// How many there are.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// A line that says something else.
    #[error("line {line} of the policy: {detail}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What was found and expected.
        detail: &'static str,
    },
    /// The lines do not make one log with its validators.
    #[error("the policy is not that of one log and its validators: {detail}")]
    Whole {
        /// What is missing or too much.
        detail: &'static str,
    },
}

const GROUP: &str = "validators";

impl Cosigners {
    /// The policy: a checkpoint is valid if one of these logs signed it and a quorum of these witnesses.
    pub fn to_policy(&self) -> String {
        let mut text = String::new();
        for member in self.members() {
            text.push_str(&format!("log {}\n", member.log_key().to_vkey()));
        }
        for member in self.members() {
            let key = member.cosigner_key();
            text.push_str(&format!("witness {} {}\n", key.name(), key.to_vkey()));
        }
        text.push_str(&format!("group {GROUP} {}", self.quorum()));
        for member in self.members() {
            text.push(' ');
            text.push_str(member.cosigner_key().name());
        }
        text.push_str(&format!("\nquorum {GROUP}\n"));
        text
    }

    /// Reads a policy of the shape that [`Cosigners::to_policy`] gives it, with whatever names and white space.
    /// A policy with more than that in it (several groups, witnesses beside validators) is refused rather
    /// than half followed.
    pub fn from_policy(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong { found: text.len(), max: POLICY_BYTES_MAX });
        }
        let mut read = Reader::default();
        for (line, number) in text.split('\n').zip(1..) {
            if line.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
                return Err(PolicyError::Line { line: number, detail: "there are control characters in it" });
            }
            let words: Vec<&str> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            read.line(&words).map_err(|detail| PolicyError::Line { line: number, detail })?;
        }
        read.end().map_err(|detail| PolicyError::Whole { detail })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader<'a> {
    logs: Vec<NoteKey>,
    witnesses: Vec<(&'a str, NoteKey)>,
    group: Option<(&'a str, usize)>,
    quorum: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self, words: &[&'a str]) -> Result<(), &'static str> {
        match words {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", vkey] | ["log", vkey, _] => {
                let key = key_of(vkey, KeyType::Log).ok_or("expected a key of type 0x01")?;
                if self.logs.len() == GENESIS_MEMBERS_MAX {
                    return Err("too many logs");
                }
                if self.logs.iter().any(|log| log.key() == key.key()) {
                    return Err("a log whose key stands before");
                }
                self.logs.push(key);
                Ok(())
            }
            ["witness", name, vkey] | ["witness", name, vkey, _] => {
                let key = key_of(vkey, KeyType::Cosigner).ok_or("expected a key of type 0x04")?;
                if self.witnesses.len() == GENESIS_MEMBERS_MAX {
                    return Err("too many witnesses");
                }
                if *name == "none" || self.witnesses.iter().any(|(known, one)| known == name || one.key() == key.key())
                {
                    return Err("a witness whose name or key stands before");
                }
                self.witnesses.push((name, key));
                Ok(())
            }
            ["group", name, needed, members @ ..] => {
                if self.group.is_some() || *name == "none" || self.witnesses.iter().any(|(known, _)| known == name) {
                    return Err("a second group, or one that is named like something else");
                }
                let all =
                    self.witnesses.iter().all(|(known, _)| members.iter().filter(|name| *name == known).count() == 1);
                if !all || members.len() != self.witnesses.len() {
                    return Err("the group is not of all witnesses above it, each once");
                }
                let needed = match *needed {
                    "all" => Some(members.len()),
                    "any" => Some(1),
                    text => super::number(text).and_then(|needed| usize::try_from(needed).ok()),
                };
                let needed = needed.filter(|needed| (1..=members.len()).contains(needed));
                self.group = Some((name, needed.ok_or("the group needs another number than it can have")?));
                Ok(())
            }
            ["quorum", name] => {
                if self.quorum || self.group.is_none_or(|(group, _)| group != *name) {
                    return Err("a second quorum, or not of the group above it");
                }
                self.quorum = true;
                Ok(())
            }
            _ => Err("expected log, witness, group or quorum"),
        }
    }

    fn end(self) -> Result<Cosigners, &'static str> {
        let Some((_, needed)) = self.group.filter(|_| self.quorum) else {
            return Err("the quorum of a group of witnesses is missing");
        };
        let origin = self.logs.first().ok_or("no log")?.name().to_string();
        if self.logs.iter().any(|log| log.name() != origin) {
            return Err("logs of several names");
        }
        let same = self.witnesses.iter().all(|(_, one)| self.logs.iter().any(|log| log.key() == one.key()));
        if !same || self.logs.len() != self.witnesses.len() {
            return Err("the keys of the logs are not those of the witnesses");
        }
        let names: Vec<_> = self.witnesses.iter().filter_map(|(_, key)| key.name().strip_prefix(&origin)).collect();
        let is_own = |at: usize| names[at].len() > 1 && names[at].starts_with('/') && !names[..at].contains(&names[at]);
        if names.len() != self.witnesses.len() || !(0..names.len()).all(is_own) {
            return Err("the witnesses are not named `<log>/<validator>`, each differently");
        }
        let member = |(_, key): &(&str, NoteKey)| Cosigner::new(&origin, key.name().to_string(), *key.key());
        let members = self.witnesses.iter().map(member).collect();
        Ok(Cosigners::new(&origin, members, needed))
    }
}

fn key_of(vkey: &str, key_type: KeyType) -> Option<NoteKey> {
    NoteKey::from_vkey(vkey).filter(|key| key.key_type() == key_type && key.key().admit().is_ok())
}
