//! From tokens to the tree, by recursive descent.
//!
//! ```text
//!   or       = and { "||" and }
//!   and      = relation { "&&" relation }
//!   relation = unary { ("==" | "!=" | "<" | "<=" | ">" | ">=" | "in") unary }
//!   unary    = { "!" } member
//!   member   = primary { "." name [ "(" [ or ] ")" ] }
//!   primary  = variable | "has" "(" or ")" | "size" "(" or ")" | "(" or ")"
//!            | "[" [ or { "," or } [ "," ] ] "]" | [ "-" ] number | string | "true" | "false" | "null"
//! ```
//!
//! Each `or` inside brackets is a level, so the recursion is as deep as [`DEPTH_MAX`]; all else is a loop.
//!
//! Source: langdef, *Syntax*, the grammar.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::DEPTH_MAX;
use super::error::ConditionError;
use super::lexer::{ARITHMETIC, Kind, Lexer, Token};
use super::literal::INT_RANGE;
use super::syntax::{Affix, Expr, Path, Relation, Variable};
use super::value::Value;
use crate::limits::CONDITION_BYTES_MAX;

pub(super) fn parse(text: &str) -> Result<Expr, ConditionError> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(ConditionError::TooLong { found: text.len() });
    }
    let mut lexer = Lexer::new(text);
    let next = lexer.next()?;
    let mut parser = Parser { lexer, next, open: 0 };
    let whole = parser.or()?;
    match parser.next.kind {
        Kind::End => Ok(whole.expr),
        _ => Err(parser.after_operand("an operator or the end of the condition")),
    }
}

/// A tree, and how many levels it has.
struct Node {
    expr: Expr,
    depth: usize,
}

impl Node {
    fn leaf(expr: Expr) -> Self {
        Self { expr, depth: 1 }
    }

    /// A level around something of `depth` levels, which begins or is joined at `at`.
    fn around(depth: usize, at: usize, expr: Expr) -> Result<Self, ConditionError> {
        if depth == DEPTH_MAX { Err(ConditionError::TooDeep { at }) } else { Ok(Self { expr, depth: depth + 1 }) }
    }
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    next: Token<'t>,
    /// Brackets that are open.
    open: usize,
}

impl<'t> Parser<'t> {
    fn or(&mut self) -> Result<Node, ConditionError> {
        self.run_of("||", Self::and, Expr::Or)
    }

    fn and(&mut self) -> Result<Node, ConditionError> {
        self.run_of("&&", Self::relation, Expr::And)
    }

    /// One operand, or a run of them.
    fn run_of(
        &mut self,
        operator: &str,
        operand: fn(&mut Self) -> Result<Node, ConditionError>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Node, ConditionError> {
        let first = operand(self)?;
        let at = self.next.at;
        if !self.is_symbol(operator) {
            return Ok(first);
        }
        let (mut operands, mut depth) = (vec![first.expr], first.depth);
        while self.take_symbol(operator)? {
            let node = operand(self)?;
            operands.push(node.expr);
            depth = depth.max(node.depth);
        }
        Node::around(depth, at, join(operands))
    }

    fn relation(&mut self) -> Result<Node, ConditionError> {
        let mut left = self.unary()?;
        while let Some(relation) = relation_of(&self.next.kind) {
            let at = self.next.at;
            self.advance()?;
            let right = self.unary()?;
            let sides = Box::new([left.expr, right.expr]);
            left = Node::around(left.depth.max(right.depth), at, Expr::Relation(relation, sides))?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, ConditionError> {
        let at = self.next.at;
        let mut negations = 0;
        while self.take_symbol("!")? {
            negations += 1;
        }
        let member = self.member()?;
        (0..negations).try_fold(member, |node, _| Node::around(node.depth, at, Expr::Not(Box::new(node.expr))))
    }

    fn member(&mut self) -> Result<Node, ConditionError> {
        let mut node = self.primary()?;
        while self.take_symbol(".")? {
            let name = self.advance()?;
            let word = match name.kind {
                Kind::Word(word) if !matches!(word, "true" | "false" | "null" | "in") => word,
                _ => return Err(self.unexpected(&name, "the name of a member")),
            };
            node = if self.is_symbol("(") { self.method(node, word, &name)? } else { self.select(node, word, &name)? };
        }
        Ok(node)
    }

    fn select(&self, node: Node, word: &str, name: &Token<'t>) -> Result<Node, ConditionError> {
        let Expr::Path(mut path) = node.expr else {
            return Err(self.unexpected(name, "`size`, `startsWith` or `endsWith`: only variables have members"));
        };
        if let (true, Some((known, expected))) = (path.members.is_empty(), path.variable.members())
            && !known.contains(&word)
        {
            let (at, variable) = (name.at, path.variable.as_str());
            let found = self.lexer.excerpt(name.at, name.end);
            return Err(ConditionError::UnknownMember { at, found, variable, expected });
        }
        path.members.push(word.into());
        Ok(Node { expr: Expr::Path(path), depth: node.depth })
    }

    fn method(&mut self, of: Node, word: &str, name: &Token<'t>) -> Result<Node, ConditionError> {
        let affix = match word {
            "size" => None,
            "startsWith" => Some(Affix::Start),
            "endsWith" => Some(Affix::End),
            _ => return Err(self.unknown_function(name)),
        };
        self.open_bracket("(")?;
        let Some(affix) = affix else {
            self.close_bracket(")", "`)`: `size` as a method has no argument")?;
            return Node::around(of.depth, name.at, Expr::Size(Box::new(of.expr)));
        };
        let with = self.or()?;
        self.close_bracket(")", "an operator or `)`")?;
        Node::around(of.depth.max(with.depth), name.at, Expr::Affix(affix, Box::new([of.expr, with.expr])))
    }

    fn primary(&mut self) -> Result<Node, ConditionError> {
        let at = self.next.at;
        match self.next.kind {
            Kind::Symbol("(") => {
                self.open_bracket("(")?;
                let inner = self.or()?;
                self.close_bracket(")", "an operator or `)`")?;
                Node::around(inner.depth, at, inner.expr)
            }
            Kind::Symbol("[") => self.list(at),
            Kind::Word(word) => self.word(word),
            Kind::Symbol("-") => self.negative(),
            _ => {
                let token = self.advance()?;
                let value = match token.kind {
                    Kind::Int(digits) => match i64::try_from(digits) {
                        Ok(value) => Value::Int(value),
                        Err(_) => return Err(self.bad_number(token.at, token.end, INT_RANGE)),
                    },
                    Kind::Uint(value) => Value::Uint(value),
                    Kind::Double(value) => Value::Double(value),
                    Kind::String(text) => Value::String(text),
                    _ => return Err(self.unexpected(&token, "a variable, a literal, a function, `!`, `(` or `[`")),
                };
                Ok(Node::leaf(Expr::Literal(value)))
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<Node, ConditionError> {
        let token = self.advance()?;
        let literal = match word {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            "in" => return Err(self.unexpected(&token, "a variable or a literal before `in`")),
            _ => None,
        };
        if let Some(value) = literal {
            return Ok(Node::leaf(Expr::Literal(value)));
        }
        if self.is_symbol("(") {
            return self.function(word, &token);
        }
        match Variable::of(word) {
            Some(variable) => Ok(Node::leaf(Expr::Path(Path { variable, members: Vec::new() }))),
            None => {
                let found = self.lexer.excerpt(token.at, token.end);
                Err(ConditionError::UnknownVariable { at: token.at, found })
            }
        }
    }

    fn function(&mut self, word: &str, name: &Token<'t>) -> Result<Node, ConditionError> {
        if !matches!(word, "has" | "size") {
            return Err(self.unknown_function(name));
        }
        self.open_bracket("(")?;
        let at = self.next.at;
        let argument = self.or()?;
        let end = self.next.at;
        self.close_bracket(")", "an operator or `)`")?;
        let expr = match argument.expr {
            expr if word == "size" => Expr::Size(Box::new(expr)),
            Expr::Path(path) if !path.members.is_empty() => Expr::Has(path),
            _ => {
                let (found, expected) = (Some(self.lexer.excerpt(at, end)), "a member, as in `has(context.mfa)`");
                return Err(ConditionError::Unexpected { at, found, expected });
            }
        };
        Node::around(argument.depth, name.at, expr)
    }

    fn list(&mut self, at: usize) -> Result<Node, ConditionError> {
        self.open_bracket("[")?;
        let (mut elements, mut depth) = (Vec::new(), 1);
        while !self.is_symbol("]") {
            let element = self.or()?;
            elements.push(element.expr);
            depth = depth.max(element.depth);
            if !self.take_symbol(",")? {
                break;
            }
        }
        self.close_bracket("]", "an operator, `,` or `]`")?;
        Node::around(depth, at, constant(elements).map_or_else(Expr::List, Expr::Literal))
    }

    /// A number after its sign. Any other minus would be arithmetic.
    fn negative(&mut self) -> Result<Node, ConditionError> {
        let sign = self.advance()?;
        let value = match self.next.kind {
            Kind::Int(digits) => match 0_i64.checked_sub_unsigned(digits) {
                Some(value) => Value::Int(value),
                None => return Err(self.bad_number(sign.at, self.next.end, INT_RANGE)),
            },
            Kind::Double(value) => Value::Double(-value),
            Kind::Uint(_) => return Err(self.bad_number(sign.at, self.next.end, "a `uint`, which has no sign")),
            _ => return Err(self.unsupported(&sign, ARITHMETIC)),
        };
        self.advance()?;
        Ok(Node::leaf(Expr::Literal(value)))
    }

    fn advance(&mut self) -> Result<Token<'t>, ConditionError> {
        let next = self.lexer.next()?;
        Ok(core::mem::replace(&mut self.next, next))
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.next.kind, Kind::Symbol(next) if next == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> Result<bool, ConditionError> {
        let is_next = self.is_symbol(symbol);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    /// Takes a bracket that is next.
    fn open_bracket(&mut self, bracket: &str) -> Result<(), ConditionError> {
        debug_assert!(self.is_symbol(bracket));
        self.open += 1;
        if self.open == DEPTH_MAX {
            return Err(ConditionError::TooDeep { at: self.next.at });
        }
        self.advance().map(drop)
    }

    fn close_bracket(&mut self, bracket: &str, expected: &'static str) -> Result<(), ConditionError> {
        self.open -= 1;
        if self.take_symbol(bracket)? { Ok(()) } else { Err(self.after_operand(expected)) }
    }

    /// The fault of what stands after an operand.
    fn after_operand(&self, expected: &'static str) -> ConditionError {
        match self.next.kind {
            Kind::Symbol("-") => self.unsupported(&self.next, ARITHMETIC),
            Kind::Symbol("[") => self.unsupported(&self.next, "indexing"),
            _ => self.unexpected(&self.next, expected),
        }
    }

    fn unexpected(&self, token: &Token<'t>, expected: &'static str) -> ConditionError {
        let found = (token.kind != Kind::End).then(|| self.lexer.excerpt(token.at, token.end));
        ConditionError::Unexpected { at: token.at, found, expected }
    }

    fn unsupported(&self, token: &Token<'t>, what: &'static str) -> ConditionError {
        ConditionError::Unsupported { at: token.at, found: self.lexer.excerpt(token.at, token.end), what }
    }

    fn unknown_function(&self, name: &Token<'t>) -> ConditionError {
        ConditionError::UnknownFunction { at: name.at, found: self.lexer.excerpt(name.at, name.end) }
    }

    fn bad_number(&self, at: usize, end: usize, expected: &'static str) -> ConditionError {
        ConditionError::BadNumber { at, found: self.lexer.excerpt(at, end), expected }
    }
}

fn relation_of(kind: &Kind<'_>) -> Option<Relation> {
    match kind {
        Kind::Symbol("==") => Some(Relation::Equal),
        Kind::Symbol("!=") => Some(Relation::Unequal),
        Kind::Symbol("<") => Some(Relation::Less),
        Kind::Symbol("<=") => Some(Relation::LessOrEqual),
        Kind::Symbol(">") => Some(Relation::Greater),
        Kind::Symbol(">=") => Some(Relation::GreaterOrEqual),
        Kind::Word("in") => Some(Relation::In),
        _ => None,
    }
}

/// The list of these elements as a literal, or the elements again if they are not all literals.
fn constant(elements: Vec<Expr>) -> Result<Value, Vec<Expr>> {
    if !elements.iter().all(|element| matches!(element, Expr::Literal(_))) {
        return Err(elements);
    }
    let value = |element| match element {
        Expr::Literal(value) => Some(value),
        _ => None,
    };
    Ok(Value::List(elements.into_iter().filter_map(value).collect()))
}
