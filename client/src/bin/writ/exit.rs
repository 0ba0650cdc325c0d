//! How it ends: the exit code, and what is said on standard error.
//!
//! A failure is `error:` and, where something can be done about it, `hint:`; with `--json` a problem as nodes
//! write them (RFC 9457), with the member `hint` beside the others.

use std::error::Error;
use std::ffi::OsStr;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use writ_client::append::AppendError;
use writ_client::author::AuthorError;
use writ_client::draft::DraftError;
use writ_client::error::ClientError;
use writ_client::keys::KeyFileError;
use writ_client::token::TokenError;
use writ_client::when::WhenError;
use writ_proto::refusal::Refusal;

use crate::context::Context;
use crate::output::{Style, clean};

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Granted, or done.
    Done,
    /// Done, but not as it should be: the output says what.
    Failed,
    /// Denied.
    Denied,
}

const FAILED: u8 = 1;
const MISUSED: u8 = 2;
const DENIED: u8 = 3;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(FAILED),
            Exit::Denied => Self::from(DENIED),
        }
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure(Box<Told>);

#[derive(Debug)]
struct Told {
    exit: u8,
    code: String,
    field: Option<String>,
    detail: String,
    hint: Option<String>,
    status: Option<u16>,
    node: Option<String>,
}

impl Failure {
    /// Something went wrong.
    pub(crate) fn failed(detail: impl Into<String>) -> Self {
        Self(Box::new(Told {
            exit: FAILED,
            code: "failed".into(),
            field: None,
            detail: detail.into(),
            hint: None,
            status: None,
            node: None,
        }))
    }

    /// Nobody listens any more.
    pub(crate) fn silent() -> Self {
        Self::failed("")
    }

    /// Whether it is only that nobody listens any more.
    pub(crate) fn is_silent(&self) -> bool {
        self.0.detail.is_empty()
    }

    /// An error went wrong, with all its causes.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::failed(with_causes(error))
    }

    /// What was typed makes no sense.
    pub(crate) fn misused(detail: impl Into<String>) -> Self {
        Self::failed(detail).misusing().code("misused")
    }

    /// What was typed for an option makes no sense.
    pub(crate) fn of_option(option: &str, detail: impl std::fmt::Display) -> Self {
        Self::misused(format!("--{option}: {detail}")).field(Some(option.into()))
    }

    /// The same with a way out.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same with another code.
    pub(crate) fn code(mut self, code: &str) -> Self {
        self.0.code = code.into();
        self
    }

    /// The same said of something.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.0.detail = format!("{what}: {}", self.0.detail);
        self
    }

    /// Whether a node found what was asked too large.
    pub(crate) fn is_too_large(&self) -> bool {
        self.is_of("too_large")
    }

    /// Whether this is its code.
    pub(crate) fn is_of(&self, code: &str) -> bool {
        self.0.code == code
    }

    fn field(mut self, field: Option<String>) -> Self {
        self.0.field = field;
        self
    }

    fn node(mut self, node: String) -> Self {
        self.0.node = Some(node);
        self
    }

    fn misusing(mut self) -> Self {
        self.0.exit = MISUSED;
        self
    }

    /// Says it, and gives the exit code.
    pub(crate) fn report(&self, context: &Context) -> ExitCode {
        let Told { exit, detail, hint, .. } = &*self.0;
        if detail.is_empty() {
            return ExitCode::from(*exit);
        }
        if context.json() {
            eprintln!("{}", self.to_json());
        } else {
            let style = context.err();
            say(style, "error:", detail);
            if let Some(hint) = hint {
                say(style, "hint:", hint);
            }
        }
        ExitCode::from(*exit)
    }

    fn to_json(&self) -> Value {
        let Told { exit, code, field, detail, hint, status, node } = &*self.0;
        let title = if *exit == MISUSED { "Misused" } else { "Failed" };
        let mut problem = Map::new();
        for (name, value) in [
            ("type", json!("about:blank")),
            ("title", json!(title)),
            ("status", json!(status)),
            ("code", json!(code)),
            ("field", json!(field)),
            ("detail", json!(detail)),
            ("hint", json!(hint)),
            ("node", json!(node)),
        ] {
            let optional = matches!(name, "status" | "hint" | "node");
            if !(optional && value.is_null()) {
                problem.insert(name.into(), value);
            }
        }
        Value::Object(problem)
    }
}

/// One line of talk.
pub(crate) fn say(style: Style, word: &str, text: &str) {
    let word = match word {
        "error:" => style.red(word),
        "warning:" => style.yellow(word),
        _ => style.bold(word),
    };
    eprintln!("{word} {}", clean(text));
}

/// An error with its causes, on one line.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors tell their cause themselves.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Answers a command line that cannot be read, or one that asks for help.
pub(crate) fn misuse(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|arg| arg == OsStr::new("--json"));
    if error.use_stderr() && wants_json {
        let text = error.to_string();
        let detail = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        eprintln!("{}", Failure::misused(detail).hint("`writ --help` tells what there is").to_json());
    } else {
        // What cannot be printed has no reader.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(MISUSED))
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::of(&error);
        match error {
            ClientError::NoNode | ClientError::BadUrl { .. } => failure.misusing().code("misused"),
            ClientError::Unreachable { .. } => {
                failure.code("unreachable").hint("is the node running? `--node URL` or WRIT_NODE names another")
            }
            ClientError::Problem { node, problem, .. } => {
                let hint = hint_for(&problem.code);
                let field = problem.field.clone();
                let detail = match &field {
                    Some(field) => format!("`{field}`: {}", problem.detail),
                    None => problem.detail.clone(),
                };
                let mut failure = Self::failed(detail).code(&problem.code).field(field).node(node);
                failure.0.status = Some(problem.status);
                match hint {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            ClientError::Proof { node, .. } => {
                failure.node(node).code("bad_proof").hint("do not trust this node; ask another, and run `writ audit`")
            }
            ClientError::Answer { node, .. } => {
                failure.node(node).code("bad_answer").hint("is that a node of this version?")
            }
            _ => failure,
        }
    }
}

/// What can be done about a node's problem, where that is not said already.
fn hint_for(code: &str) -> Option<&'static str> {
    Some(match code {
        "not_yet" => "the node has not got there yet; ask again, or another node",
        "overloaded" => "the node has much to do; ask again",
        "wrong_chain" => "the node is of another chain than the record or position was made for",
        "out_of_scope" => "`GET /v1/authorities` tells what each authority may speak of",
        "unauthenticated" => "`--token-file FILE` or WRIT_TOKEN_FILE names the file with the node's bearer token",
        "clock" => "a question with `--at` or `--as-of` needs no clock",
        _ => return None,
    })
}

impl From<AuthorError> for Failure {
    fn from(error: AuthorError) -> Self {
        let hint = match &error {
            AuthorError::Client(_) => None,
            AuthorError::NoAuthority { .. } => {
                Some("`--key FILE` names another key; `writ key show FILE` tells which one it is")
            }
            AuthorError::SeveralAuthorities { .. } => Some("name one with `--authority NAME`"),
            AuthorError::UnknownAuthority { .. } | AuthorError::OtherKey { .. } => {
                Some("without `--authority`, the one that has the key is taken")
            }
            AuthorError::Threshold { .. } | AuthorError::RootQuorum { .. } => {
                Some("name more keys with `--key`, or let others sign: `--out FILE`, then `writ sign FILE`")
            }
            AuthorError::Unnamed => Some("`--authority NAME` names the one that states it"),
            AuthorError::NoRoot { .. } | AuthorError::NoRootKey { .. } => {
                Some("`GET /v1/authorities` lists them: a root authority has no `parent`")
            }
            _ => Some("`--node URL` names other nodes, `--chain ID` another chain"),
        };
        let code = match &error {
            AuthorError::NoAuthority { .. } | AuthorError::OtherKey { .. } | AuthorError::NoRootKey { .. } => {
                "unknown_key"
            }
            AuthorError::UnknownAuthority { .. } => "unknown_authority",
            AuthorError::Threshold { .. } | AuthorError::RootQuorum { .. } => "threshold_not_met",
            AuthorError::NoRoot { .. } => "forbidden",
            AuthorError::OtherChain { .. } => "wrong_chain",
            AuthorError::SeveralAuthorities { .. } | AuthorError::Unnamed => "misused",
            _ => "failed",
        };
        let failure = match error {
            AuthorError::Client(error) => return error.into(),
            AuthorError::SeveralAuthorities { .. } | AuthorError::Unnamed => Self::of(&error).misusing(),
            _ => Self::of(&error),
        };
        let failure = failure.code(code);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        let failure = Self::of(&error).code("key_file");
        match error {
            KeyFileError::NeedsPassphrase { .. } => {
                failure.hint("`--passphrase-file FILE` or WRIT_PASSPHRASE_FILE names the file with it")
            }
            KeyFileError::Exists { .. } => failure.hint("name another file, or move that one away"),
            _ => failure,
        }
    }
}

impl From<DraftError> for Failure {
    fn from(error: DraftError) -> Self {
        let failure = Self::of(&error);
        match error {
            DraftError::Exists { .. } => failure.code("file").hint("name another file, or move that one away"),
            DraftError::Io { .. } => failure.code("file"),
            DraftError::Refused(refusal) => failure.code(refusal.code.as_str()).field(refusal.path()),
            DraftError::Signature { .. } => failure.code("bad_signature"),
            DraftError::OtherBytes { .. } => {
                failure.code("conflict").hint("`writ sign --bytes FILE` shows in words what each of them says")
            }
            DraftError::Unsigned => failure.code("threshold_not_met").hint("`writ sign FILE` signs it"),
            _ => failure.code("bad_file"),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::of(&error).code("token_file")
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Client(error) => error.into(),
            AppendError::Refused(refusal) => refusal.into(),
            _ => Self::of(&error).code("stalled"),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (path, code) = (refusal.path(), refusal.code);
        let detail = match &path {
            Some(field) => format!("`{field}`: {}", refusal.detail),
            None => refusal.detail,
        };
        Self::misused(detail).field(path).code(code.as_str())
    }
}

impl From<WhenError> for Failure {
    fn from(error: WhenError) -> Self {
        Self::misused(error.to_string()).hint("`writ --help` tells how times are written")
    }
}
