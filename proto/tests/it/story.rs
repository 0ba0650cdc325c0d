//! Short texts for ledgers and questions, so that a case reads as what it claims.
//!
//! ```text
//! 10 org1 + user:a read file:x 15..30 if ?   #g     at 10 ms org1 grants, from 15 to before 30, if `?` holds
//! 10 org1 - role:r * file:acl/* ..20                denies every action until before 20, from its block on
//! 20 org1 ends g                                    revokes the grant g (which may come later)
//! 20 org2 lifts d              !forbidden           revokes the denial d, which is refused with that code
//! 30                                                a block without records
//! ? user:a read file:x @15     -> grant g until 20  asked at 15, knowing everything
//! ? user:a - file:x @15..=20   -> deny d e          every action, over an interval; `until` is optional
//! ? user:a read file:x @15 h1  -> no_match          knowing the blocks up to height 1
//! ? user:a read file:x as-of 15 -> no_match         knowing the blocks up to 15, at 15
//! ```
//!
//! Lines of one time make one block. Every record must be accepted, unless its line says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use writ_proto::decision::{Moment, Question};
use writ_proto::name::Action;
use writ_proto::record::{Access, Body, Effect, RecordId, Signed};
use writ_proto::time::{Interval, LedgerTime};

use crate::chain::{Chain, access, revoke, time, try_sign};
use crate::ledgers::name;

/// Plays each story: its log, then its questions, each asked of both evaluators.
pub(crate) fn tell(stories: &[(&str, &str)]) {
    for (claim, text) in stories {
        if let Err(fault) = story(text) {
            panic!("{claim}\n{fault}");
        }
    }
}

fn story(text: &str) -> Result<(), String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let (questions, records): (Vec<&str>, Vec<&str>) = lines.into_iter().partition(|line| line.starts_with('?'));
    let records: Vec<Line> = records.iter().enumerate().map(|(at, line)| Line::read(at, line)).collect();
    let chain = play(&records)?;
    assert!(!questions.is_empty(), "a story asks something");
    let tags: BTreeMap<&str, RecordId> = records.iter().filter_map(Line::tagged).collect();
    let index = |tag: &str| -> u64 {
        let id = tags.get(tag).unwrap_or_else(|| panic!("no entry is called {tag}"));
        chain.log.iter().find(|record| record.id == *id).unwrap_or_else(|| panic!("{tag} is not in the log")).index
    };
    for line in questions {
        let (asked, expected) = line[1..].split_once("->").expect("a question has an answer");
        let (question, moment) = read_question(asked, &chain);
        let decision = chain.both(&question, &moment).map_err(|difference| format!("{line}\n{}", difference.0))?;
        let (why, until) = match expected.split_once("until") {
            Some((why, until)) => (why, Some(until.trim())),
            None => (expected, None),
        };
        let mut words = why.split_whitespace();
        let why = words.next().expect("an answer");
        let entries: BTreeSet<u64> = words.map(index).collect();
        let found: BTreeSet<u64> = decision.entries.iter().copied().collect();
        let until = until.map(|until| (until != "never").then(|| time(until.parse().expect("a time"))));
        if decision.why.as_str() != why || found != entries || until.is_some_and(|until| until != decision.valid_until)
        {
            return Err(format!("{}\n{line}\nexpected entries {entries:?}, both say {decision:?}", chain.words()));
        }
        assert_eq!(decision.is_granted(), why == "grant");
    }
    Ok(())
}

/// One line of the log.
struct Line {
    ms: u64,
    what: What,
    tag: Option<String>,
    refused: Option<String>,
}

enum What {
    Nothing,
    Entry(Box<Result<Signed, String>>),
    Revoke { by: String, nonce: u64, target: String, effect: Effect },
}

impl Line {
    fn read(at: usize, line: &str) -> Self {
        let nonce = at as u64;
        let (mut tag, mut refused, mut words) = (None, None, Vec::new());
        for word in line.split_whitespace() {
            match (word.strip_prefix('#'), word.strip_prefix('!')) {
                (Some(name), _) => tag = Some(name.to_owned()),
                (_, Some(code)) => refused = Some(code.to_owned()),
                _ => words.push(word),
            }
        }
        let ms = words[0].parse().unwrap_or_else(|_| panic!("`{line}` does not start with a time"));
        let what = match words[1..] {
            [] => What::Nothing,
            [by, "ends", target] => What::Revoke { by: by.into(), nonce, target: target.into(), effect: Effect::Grant },
            [by, "lifts", target] => What::Revoke { by: by.into(), nonce, target: target.into(), effect: Effect::Deny },
            [by, sign, sub, act, obj, ref rest @ ..] => {
                let effect = if sign == "+" { Effect::Grant } else { Effect::Deny };
                let entry = read_rest(access(effect, sub, act, obj), rest);
                let signed = try_sign(by, nonce, Body::Access(entry));
                What::Entry(Box::new(signed.map_err(|refusal| refusal.code.as_str().to_owned())))
            }
            _ => panic!("`{line}` cannot be read"),
        };
        Self { ms, what, tag, refused }
    }

    fn tagged(&self) -> Option<(&str, RecordId)> {
        match &self.what {
            What::Entry(signed) => Some((self.tag.as_deref()?, signed.as_ref().as_ref().ok()?.id())),
            What::Nothing | What::Revoke { .. } => None,
        }
    }

    fn signed(&self, tags: &BTreeMap<&str, RecordId>) -> Option<Result<Signed, String>> {
        match &self.what {
            What::Nothing => None,
            What::Entry(signed) => Some((**signed).clone()),
            What::Revoke { by, nonce, target, effect } => {
                // What no entry is called is an entry that never comes.
                let target = tags.get(&**target).copied().unwrap_or(RecordId(writ_proto::hash::Digest::ZERO));
                let signed = try_sign(by, *nonce, revoke(target, *effect));
                Some(signed.map_err(|refusal| refusal.code.as_str().to_owned()))
            }
        }
    }
}

/// What follows the object: a window, a condition.
fn read_rest(mut entry: Access, mut rest: &[&str]) -> Access {
    let instant = |text: &str| (!text.is_empty()).then(|| time(text.parse().expect("a time")));
    if let [window, more @ ..] = rest
        && let Some((start, end)) = window.split_once("..")
    {
        (entry.iss, entry.exp) = (instant(start), instant(end));
        rest = more;
    }
    match rest {
        [] => {}
        ["if", cond] => entry.cond = Some((*cond).to_owned()),
        _ => panic!("{rest:?} is neither a window nor a condition"),
    }
    entry
}

fn play(lines: &[Line]) -> Result<Chain, String> {
    let tags: BTreeMap<&str, RecordId> = lines.iter().filter_map(Line::tagged).collect();
    let mut chain = Chain::new();
    for block in lines.chunk_by(|one, next| one.ms == next.ms) {
        let mut records = Vec::new();
        for line in block {
            match line.signed(&tags) {
                None => {}
                Some(Ok(signed)) => records.push((line, signed)),
                Some(Err(code)) => expect_refusal(line, Some(&code))?,
            }
        }
        let signed: Vec<Signed> = records.iter().map(|(_, signed)| signed.clone()).collect();
        let refused: BTreeMap<usize, &str> =
            chain.append(block[0].ms, &signed).into_iter().map(|(at, refusal)| (at, refusal.code.as_str())).collect();
        for (at, (line, _)) in records.iter().enumerate() {
            expect_refusal(line, refused.get(&at).copied())?;
        }
    }
    Ok(chain)
}

fn expect_refusal(line: &Line, found: Option<&str>) -> Result<(), String> {
    if line.refused.as_deref() == found {
        return Ok(());
    }
    Err(format!("a record at {} is refused with {found:?}, expected {:?}", line.ms, line.refused))
}

fn read_question(text: &str, chain: &Chain) -> (Question, Moment) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (sub, act, obj) = (words[0], words[1], words[2]);
    let act = (act != "-").then(|| Action::parse(act).expect("an action"));
    let instant = |text: &str| -> LedgerTime { time(text.parse().expect("a time")) };
    let moment = match words[3..] {
        ["as-of", at] => {
            let at = instant(at);
            let height = chain.state.height_at(at).expect("not before the genesis");
            assert_eq!(Some(height), chain.height_as_of(at));
            Moment { interval: Interval::at(at), height }
        }
        [when, ref rest @ ..] => {
            let when = when.strip_prefix('@').expect("an instant or an interval");
            let (lo, hi) = when.split_once("..=").unwrap_or((when, when));
            let interval = Interval::new(instant(lo), instant(hi)).expect("an interval");
            let height = match rest {
                [] => chain.height(),
                [height] => height.strip_prefix('h').and_then(|height| height.parse().ok()).expect("a height"),
                _ => panic!("`{text}` cannot be read"),
            };
            Moment { interval, height }
        }
        [] => panic!("`{text}` does not say when"),
    };
    (Question { sub: name(sub), act, obj: name(obj) }, moment)
}
