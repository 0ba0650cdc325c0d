//! From text to tokens.
//!
//! Source: langdef, *Syntax*, the lexis.

use alloc::boxed::Box;

use super::error::ConditionError;
use super::literal;
use crate::time::Excerpt;

/// A token, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) at: usize,
    /// Where it ends.
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind<'t> {
    /// The end of the condition.
    End,
    /// A name or a keyword.
    Word(&'t str),
    /// An operator, a bracket, a separator.
    Symbol(&'static str),
    /// The digits of an `int`, whose sign is not yet known.
    Int(u64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
}

/// What conditions have, the longer first.
const SYMBOLS: [&str; 15] = ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", "."];

/// What only CEL has. A `-` is a symbol: it may be the sign of a number.
const FOREIGN: [(&str, &str); 8] = [
    ("+", ARITHMETIC),
    ("*", ARITHMETIC),
    ("/", ARITHMETIC),
    ("%", ARITHMETIC),
    ("?", "choice `?:`"),
    ("{", "maps and messages"),
    ("}", "maps and messages"),
    ("`", "quoted member names"),
];

pub(super) const ARITHMETIC: &str = "arithmetic";

/// Reads tokens from left to right.
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// The text from `at` to `end`, for an error.
    pub(super) fn excerpt(&self, at: usize, end: usize) -> Excerpt {
        Excerpt::of(&self.text[at..end])
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token<'t>, ConditionError> {
        self.skip_blanks();
        let (at, rest) = (self.at, &self.text[self.at..]);
        let (kind, len) = match rest.chars().next() {
            None => (Kind::End, 0),
            Some('"' | '\'') => {
                let (text, len) = literal::string(rest, at)?;
                (Kind::String(text), len)
            }
            Some('0'..='9') => literal::number(rest, at)?,
            Some('.') if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => literal::number(rest, at)?,
            Some('a'..='z' | 'A'..='Z' | '_') => self.word(rest)?,
            Some(other) => self.symbol(rest, other)?,
        };
        self.at += len;
        Ok(Token { kind, at, end: self.at })
    }

    /// Blanks and comments, which run to the end of their line.
    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let blanks = rest.len() - rest.trim_start_matches(['\t', '\n', '\x0c', '\r', ' ']).len();
            let comment = if rest[blanks..].starts_with("//") {
                rest[blanks..].find('\n').unwrap_or(rest.len() - blanks)
            } else {
                0
            };
            if blanks + comment == 0 {
                return;
            }
            self.at += blanks + comment;
        }
    }

    fn word(&self, rest: &'t str) -> Result<(Kind<'t>, usize), ConditionError> {
        let len = rest.find(|next: char| !next.is_ascii_alphanumeric() && next != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(len);
        let is_prefix = matches!(word, "r" | "R" | "b" | "B" | "br" | "bR" | "Br" | "BR");
        if is_prefix && after.starts_with(['"', '\'']) {
            let found = Excerpt::of(&rest[..=len]);
            return Err(ConditionError::Unsupported { at: self.at, found, what: "raw texts and bytes" });
        }
        Ok((Kind::Word(word), len))
    }

    fn symbol(&self, rest: &str, first: char) -> Result<(Kind<'t>, usize), ConditionError> {
        if let Some(symbol) = SYMBOLS.into_iter().chain(["-"]).find(|symbol| rest.starts_with(symbol)) {
            return Ok((Kind::Symbol(symbol), symbol.len()));
        }
        let (at, found) = (self.at, Excerpt::of(&rest[..first.len_utf8()]));
        if let Some((_, what)) = FOREIGN.into_iter().find(|(symbol, _)| rest.starts_with(symbol)) {
            return Err(ConditionError::Unsupported { at, found, what });
        }
        let expected = match first {
            '=' => "`==`",
            '&' => "`&&`",
            '|' => "`||`",
            _ => "a name, a literal or an operator",
        };
        Err(ConditionError::Unexpected { at, found: Some(found), expected })
    }
}
