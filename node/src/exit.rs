//! What the exit code of `writ-node` says: what happened, and whether starting it again can help.
//!
//! A supervisor reads nothing else, so every end has its code, found by looking through an error's causes for
//! the one that decides: a failed disk under a stopped engine is a failed disk.

use std::io::ErrorKind;
use std::process::ExitCode;

use writ_engine::{EngineError, Refusing};
use writ_proto::refusal::{Code, Refusal};
use writ_proto::state::UnsupportedProtocol;

use crate::clock::{ClockError, ClockFault};
use crate::config::ConfigError;
use crate::guard::key_file::KeyFileError;
use crate::guard::{GuardFileError, MustNotAnswer, SignGuardError, SignRefused, TipGuardError};
use crate::storage::StoreError;
use crate::tokens::TokensError;
use crate::watchdog::Fault;

/// The codes, as `writ-node --help` shows them.
pub const HELP: &str = "\
Exit codes:
  0  done, or stopped in order
  1  failed; starting again may help
  2  misused: the command line makes no sense
  4  a guard forbids answering or signing: an operator must act
  5  storage failed: a write, an fsync, or what was read back
  6  consensus ended or hung; starting again is safe
  7  the chain or the database needs another version of this program
  8  the configuration, a key or the token file cannot be used
(3 is not used: from `writ check` it means denied.)";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or stopped in order.
    Done,
    /// Something failed that has no code of its own.
    Failed,
    /// The command line makes no sense. (The parser of the command line ends so by itself.)
    Misused,
    /// A guard forbids answering or signing.
    Guarded,
    /// A write or an fsync failed, or what was read back makes no sense.
    Storage,
    /// The consensus engine ended by itself, or hangs.
    Engine,
    /// The chain or the database needs another version of the program.
    Version,
    /// The configuration, a key or the token file cannot be used.
    Config,
}

impl Exit {
    /// Every end.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Misused,
        Self::Guarded,
        Self::Storage,
        Self::Engine,
        Self::Version,
        Self::Config,
    ];

    /// Its number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::Guarded => 4,
            Self::Storage => 5,
            Self::Engine => 6,
            Self::Version => 7,
            Self::Config => 8,
        }
    }

    /// Whether a supervisor may start the program again without anybody having looked.
    pub const fn may_start_again(self) -> bool {
        matches!(self, Self::Failed | Self::Storage | Self::Engine)
    }

    /// How a program ends that ends with `error`.
    pub fn of(error: &anyhow::Error) -> Self {
        // The causes from the outermost on: the first that says what it is decides. An engine that ended says so
        // only if nothing below it says more.
        let known = error.chain().find_map(of_cause);
        let engine = || error.chain().any(|cause| cause.is::<EngineError>() || cause.is::<Fault>());
        known.unwrap_or_else(|| if engine() { Self::Engine } else { Self::Failed })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What one cause says by itself. Errors that pass another one on as their own (`#[error(transparent)]`) hide it
/// from the list of causes, so they are opened here.
fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(error) = cause.downcast_ref::<GuardFileError>() {
        return of_guard_file(error);
    }
    if let Some(error) = cause.downcast_ref::<StoreError>() {
        return of_store(error);
    }
    if let Some(error) = cause.downcast_ref::<TipGuardError>() {
        return match error {
            TipGuardError::File(error) => of_guard_file(error),
            TipGuardError::Store(error) => of_store(error),
            _ => Some(Exit::Guarded),
        };
    }
    if let Some(error) = cause.downcast_ref::<SignGuardError>() {
        return match error {
            SignGuardError::File(error) => of_guard_file(error),
            _ => Some(Exit::Guarded),
        };
    }
    if let Some(error) = cause.downcast_ref::<ClockError>() {
        return match error {
            ClockError::File(error) => of_guard_file(error),
            _ => Some(Exit::Guarded),
        };
    }
    if let Some(error) = cause.downcast_ref::<EngineError>() {
        return match error {
            EngineError::SignRefused(refused) => Some(of_refusing(refused.because)),
            EngineError::Log { .. } => Some(Exit::Storage),
            EngineError::Address { .. } => Some(Exit::Config),
            _ => None,
        };
    }
    if let Some(refused) = cause.downcast_ref::<writ_engine::SignRefused>() {
        return Some(of_refusing(refused.because));
    }
    if let Some(error) = cause.downcast_ref::<ConfigError>() {
        return Some(match error {
            // It is there, and no text.
            ConfigError::Read { source, .. } if source.kind() == ErrorKind::InvalidData => Exit::Config,
            // What cannot be read may lie on a disk that is not there yet.
            ConfigError::Read { .. } => Exit::Failed,
            _ => Exit::Config,
        });
    }
    if let Some(refusal) = cause.downcast_ref::<Refusal>() {
        return (refusal.code == Code::Unsupported && refusal.field == Some("protocol")).then_some(Exit::Version);
    }
    let kinds: [(bool, Exit); 6] = [
        (cause.is::<MustNotAnswer>(), Exit::Guarded),
        (cause.is::<SignRefused>(), Exit::Guarded),
        (cause.is::<ClockFault>(), Exit::Storage),
        (cause.is::<UnsupportedProtocol>(), Exit::Version),
        (cause.is::<KeyFileError>(), Exit::Config),
        (cause.is::<TokensError>(), Exit::Config),
    ];
    kinds.into_iter().find(|(is, _)| *is).map(|(_, exit)| exit)
}

fn of_guard_file(error: &GuardFileError) -> Option<Exit> {
    match error {
        // Whoever uses it may be gone in a moment.
        GuardFileError::InUse { .. } => Some(Exit::Failed),
        GuardFileError::Io { .. } | GuardFileError::Failed { .. } => Some(Exit::Storage),
        _ => Some(Exit::Guarded),
    }
}

fn of_store(error: &StoreError) -> Option<Exit> {
    match error {
        StoreError::Database { .. } | StoreError::Failed | StoreError::Damaged { .. } => Some(Exit::Storage),
        StoreError::Format { .. } | StoreError::UnknownTable { .. } => Some(Exit::Version),
        _ => Some(Exit::Failed),
    }
}

fn of_refusing(because: Refusing) -> Exit {
    match because {
        Refusing::Guard => Exit::Guarded,
        Refusing::Disk => Exit::Storage,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::Context as _;
    use writ_engine::Fatal;
    use writ_proto::hash::Digest;

    use super::*;
    use crate::guard::Standing;

    fn path() -> PathBuf {
        "guard/tip".into()
    }

    fn database() -> StoreError {
        StoreError::Database { doing: "be written", source: "no space left on device".into() }
    }

    fn io() -> GuardFileError {
        GuardFileError::Io { doing: "write", path: path(), source: std::io::Error::other("EIO") }
    }

    fn engine_of(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EngineError {
        EngineError::Application { doing: "commit a value", source: Fatal::new(cause) }
    }

    fn refused(because: Refusing) -> EngineError {
        let refused = writ_engine::SignRefused { what: "a vote".into(), reason: "no".into(), because };
        EngineError::SignRefused(refused)
    }

    #[test]
    fn the_cause_that_decides_is_found_wherever_it_stands() {
        let unspoken = UnsupportedProtocol { height: 70, needs: 2, speaks: 1 };
        let protocol = Refusal::of(Code::Unsupported, "protocol", "protocol version 2");
        let table: Vec<(&str, anyhow::Error, Exit)> = vec![
            ("anything else", anyhow::anyhow!("it rained"), Exit::Failed),
            ("tip guard behind", MustNotAnswer(Standing::Behind { guard: 8, db: 6 }).into(), Exit::Guarded),
            ("sign guard missing", SignGuardError::GuardMissing { path: path() }.into(), Exit::Guarded),
            ("sign guard copied", SignGuardError::Copied { path: path() }.into(), Exit::Guarded),
            ("guard damaged", GuardFileError::Damaged { path: path(), detail: "cut off".into() }.into(), Exit::Guarded),
            ("guard in use", TipGuardError::from(GuardFileError::InUse { path: path() }).into(), Exit::Failed),
            ("guard not written", TipGuardError::from(io()).into(), Exit::Storage),
            ("sign guard not read", SignGuardError::from(io()).into(), Exit::Storage),
            ("clock's mark missing", ClockError::MarkMissing { path: path() }.into(), Exit::Guarded),
            ("clock's mark not kept", anyhow::Error::from(ClockFault::NotKept).context("stopping"), Exit::Storage),
            ("disk", anyhow::Error::from(database()), Exit::Storage),
            ("disk under the engine", anyhow::Error::from(engine_of(database())).context("ended"), Exit::Storage),
            ("guard under the engine", engine_of(TipGuardError::from(io())).into(), Exit::Storage),
            ("another block", engine_of(conflict()).into(), Exit::Guarded),
            ("database in use", StoreError::InUse { path: "db".into() }.into(), Exit::Failed),
            ("newer database", StoreError::Format { found: 9 }.into(), Exit::Version),
            ("newer chain", anyhow::Error::from(protocol).context("the genesis makes no chain"), Exit::Version),
            ("newer chain later", engine_of(unspoken).into(), Exit::Version),
            ("signer refused", refused(Refusing::Guard).into(), Exit::Guarded),
            ("signer's disk", refused(Refusing::Disk).into(), Exit::Storage),
            ("engine halted", anyhow::Error::from(EngineError::Halted).context("consensus has ended"), Exit::Engine),
            ("engine's bug", engine_of("a broken invariant").into(), Exit::Engine),
            ("engine hangs", Fault::Halted.into(), Exit::Engine),
            ("engine's log", log().into(), Exit::Storage),
            ("no configuration", unread().into(), Exit::Failed),
            ("configuration", anyhow::Error::from(zero()).context("cannot start"), Exit::Config),
        ];
        for (case, error, want) in table {
            assert_eq!(Exit::of(&error), want, "{case}: {error:#}");
        }
        let nested: anyhow::Result<()> = Err(database()).context("one").context("two");
        assert_eq!(Exit::of(&nested.unwrap_err()), Exit::Storage);
    }

    fn conflict() -> TipGuardError {
        TipGuardError::Conflict { height: 7, found: Digest::ZERO, expected: Digest([1; 32]) }
    }

    fn log() -> EngineError {
        EngineError::Log { path: path(), source: std::io::Error::other("EIO") }
    }

    fn unread() -> ConfigError {
        ConfigError::Read { path: "writ.toml".into(), source: std::io::Error::other("not mounted") }
    }

    fn zero() -> ConfigError {
        ConfigError::Bound { path: "writ.toml".into(), field: "pool.bytes_max", found: 0, most: 9 }
    }

    #[test]
    fn help_and_the_unit_file_say_what_the_codes_are() {
        let unit = include_str!("../../docs/writ-node.service");
        let prevented = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus=")).unwrap();
        let prevented: Vec<u8> = prevented.split(' ').map(|code| code.parse().unwrap()).collect();
        for exit in Exit::ALL {
            let line = format!("  {}  ", exit.code());
            assert!(HELP.lines().any(|own| own.starts_with(&line)), "{exit:?} is not in the help");
            let stays = prevented.contains(&exit.code());
            assert_eq!(stays, !exit.may_start_again() && exit != Exit::Done, "{exit:?} and the unit file");
            assert_ne!(exit.code(), 3, "that is the word of `writ check` for denied");
        }
        let page = include_str!("../../docs/operation.md");
        for exit in Exit::ALL {
            assert!(page.contains(&format!("| {} |", exit.code())), "{exit:?} is not in docs/operation.md");
        }
    }
}
