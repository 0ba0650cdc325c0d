//! Which moment a question is about: an instant, and what is known.
//!
//! `at` moves the instant alone, `height` the knowledge alone, `as_of` both; without them it is now, with all
//! that is known. `at_least` waits for a height first, and refuses tokens of another chain. A node that has
//! not caught up has no moment to answer for.

use std::time::{Duration, Instant};

use writ_proto::api::{Since, position_token, read_position_token};
use writ_proto::decision::Moment;
use writ_proto::state::State;
use writ_proto::time::{Excerpt, Interval, LedgerTime};

use super::App;
use super::error::ApiError;
use super::query::Query;
use super::receipt::commit_leaf;
use super::records::WAIT_MS_MAX;
use crate::ledger::Ledger;

/// How long a question waits for its `at_least` if it does not say.
const WAIT_MS: u64 = 2_000;

/// The moment that a question asks for. Its parameters are `at`, `height`, `as_of`, `at_least`, `wait_ms`.
pub(super) struct When {
    at: Option<LedgerTime>,
    height: Option<u64>,
    as_of: Option<LedgerTime>,
    at_least: Option<Token>,
    wait: Duration,
}

/// A position token that was read.
struct Token {
    height: u64,
    mark: String,
}

impl When {
    pub(super) fn read(query: &mut Query) -> Result<Self, ApiError> {
        let (at, as_of) = (query.time("at")?, query.time("as_of")?);
        let height = query.number("height", 0, u64::MAX)?;
        if as_of.is_some() && (at.is_some() || height.is_some()) {
            let other = if at.is_some() { "at" } else { "height" };
            return Err(ApiError::bad(
                "as_of",
                format!("`as_of` says both instant and height, found `{other}` beside it"),
            ));
        }
        let wait = Duration::from_millis(query.number("wait_ms", 0, WAIT_MS_MAX)?.unwrap_or(WAIT_MS));
        let at_least = query.take("at_least").map(|text| Token::read(&text, "at_least")).transpose()?;
        Ok(Self { at, height, as_of, at_least, wait })
    }

    /// Waits until the chain has reached what is asked for at least. To be called before [`When::moment`].
    pub(super) async fn reach(&self, app: &App) -> Result<(), ApiError> {
        match &self.at_least {
            Some(token) => token.reach(app, self.wait).await,
            None => Ok(()),
        }
    }

    /// What is asked for in words that differ where the moment may: for the mark of a cursor.
    pub(super) fn words(&self) -> [String; 3] {
        let time = |time: Option<LedgerTime>| time.map_or_else(String::new, |time| time.to_string());
        [time(self.at), self.height.map_or_else(String::new, |height| height.to_string()), time(self.as_of)]
    }

    /// The moment, on `state` as it is: the caller answers under the same hold of its lock, or carries the
    /// moment on.
    pub(super) fn moment(&self, ledger: &Ledger, state: &State) -> Result<Moment, ApiError> {
        let tip = state.tip();
        let (interval, height) = match self.as_of {
            Some(instant) => {
                let height = state.height_at(instant).ok_or_else(|| {
                    ApiError::bad("as_of", format!("{instant} is before the chain began, at {}", state.genesis().time))
                })?;
                (Interval::at(instant), height)
            }
            None => {
                let height = self.height.unwrap_or(tip.height);
                if height > tip.height {
                    return Err(not_yet("height", height, tip.height));
                }
                let interval = match self.at {
                    Some(instant) => Interval::at(instant),
                    None => ledger.clock().interval(tip.time)?,
                };
                (interval, height)
            }
        };
        self.fixed(Moment { interval, height })
    }

    /// The moment that an earlier page has fixed, if it is late enough.
    pub(super) fn fixed(&self, moment: Moment) -> Result<Moment, ApiError> {
        match &self.at_least {
            Some(token) if token.height > moment.height => {
                let Moment { height, .. } = moment;
                let detail =
                    format!("knowledge of height {} at least is asked for, and of {height} at most", token.height);
                Err(ApiError::bad("at_least", detail))
            }
            _ => Ok(moment),
        }
    }
}

impl Token {
    fn read(text: &str, field: &'static str) -> Result<Self, ApiError> {
        let (height, mark) = read_position_token(text).ok_or_else(|| {
            let detail = format!("`{}` is no position token, expected the `position` of an answer", Excerpt::of(text));
            ApiError::bad(field, detail)
        })?;
        Ok(Self { height, mark: mark.to_owned() })
    }

    /// Waits until the chain has reached the token's height, and checks that it is a token of this chain.
    async fn reach(&self, app: &App, wait: Duration) -> Result<(), ApiError> {
        let ledger = app.ledger();
        if ledger.read().tip().height < self.height {
            // Where too many wait already, a further question does not.
            let reached = match app.0.waiting_questions.try_acquire() {
                Ok(_waiting) => ledger.reached(self.height, Instant::now() + wait).await,
                Err(_) => false,
            };
            if !reached {
                return Err(not_yet("at_least", self.height, ledger.read().tip().height));
            }
        }
        self.check(ledger, "at_least")
    }

    /// Checks that it is a token of this chain, which has reached its height.
    fn check(&self, ledger: &Ledger, field: &'static str) -> Result<(), ApiError> {
        let leaf = {
            let state = ledger.read();
            let tip = state.tip();
            match self.height {
                0 => Some(*state.chain()),
                height => (height == tip.height).then_some(tip.commit_leaf),
            }
        };
        let own = position_token(
            self.height,
            &leaf.map_or_else(|| Ok(commit_leaf(ledger, self.height)?.hash()), Ok::<_, ApiError>)?,
        );
        if own.split_once('.').is_none_or(|(_, mark)| mark != self.mark) {
            let detail = format!("the token names another block at height {} than this chain has", self.height);
            return Err(ApiError::of("wrong_chain", field, detail));
        }
        Ok(())
    }
}

/// The size that the log had then.
pub(super) fn size_since(ledger: &Ledger, since: &Since) -> Result<u64, ApiError> {
    const FIELD: &str = "unchanged_since";
    let token = match since {
        Since::Size(size) => return Ok(*size),
        Since::Position(text) => Token::read(text, FIELD)?,
    };
    let tip = ledger.read().tip().height;
    if token.height > tip {
        return Err(not_yet(FIELD, token.height, tip));
    }
    token.check(ledger, FIELD)?;
    if token.height == 0 { Ok(0) } else { Ok(commit_leaf(ledger, token.height)?.executed.log_size + 1) }
}

/// Refuses to answer on a node that has not caught up with what it knows to exist.
pub(super) fn caught_up(ledger: &Ledger) -> Result<(), ApiError> {
    if ledger.may_answer() {
        Ok(())
    } else {
        Err(ApiError::whole("stale", "the node has not caught up with what it knows to exist"))
    }
}

/// A height that is not reached.
pub(super) fn not_yet(field: &'static str, asked: u64, tip: u64) -> ApiError {
    ApiError::of("not_yet", field, format!("height {asked} is asked for, this node has reached {tip}"))
}
