//! The tree of a condition, and its canonical spelling.
//!
//! Only the four variables have members, so a path is one node; runs of `&&` and of `||` are one node each.
//! What a condition nests is thereby what its author nested.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use super::value::Value;

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// `"a"`, `3`, `[1, 2]`: constant lists are literals, too. Never a map.
    Literal(Value),
    /// `context.mfa`.
    Path(Path),
    /// `has(context.mfa)`. The path has members.
    Has(Path),
    /// `!x`.
    Not(Box<Expr>),
    /// `x && y && ...`, two or more.
    And(Vec<Expr>),
    /// `x || y || ...`, two or more.
    Or(Vec<Expr>),
    /// `x == y`.
    Relation(Relation, Box<[Expr; 2]>),
    /// `[x, y]`, where not all are literals.
    List(Vec<Expr>),
    /// `size(x)`.
    Size(Box<Expr>),
    /// `x.startsWith(y)`.
    Affix(Affix, Box<[Expr; 2]>),
}

/// A variable, and the members that lead from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) variable: Variable,
    pub(super) members: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    Context,
    Subject,
    Action,
    Resource,
}

/// The relations, which all bind alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

/// Which end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affix {
    Start,
    End,
}

impl Variable {
    const ALL: [Self; 4] = [Self::Context, Self::Subject, Self::Action, Self::Resource];

    pub(super) fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| variable.as_str() == name)
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Subject => "subject",
            Self::Action => "action",
            Self::Resource => "resource",
        }
    }

    /// The members that it can have, and the same in words; none: any.
    pub(super) const fn members(self) -> Option<([&'static str; 3], &'static str)> {
        match self {
            Self::Context => None,
            Self::Subject | Self::Resource => Some((["type", "id", "properties"], "`type`, `id` or `properties`")),
            Self::Action => Some((["name", "id", "properties"], "`name`, `id` or `properties`")),
        }
    }
}

impl Relation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }
}

impl Affix {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "startsWith",
            Self::End => "endsWith",
        }
    }
}

impl Path {
    /// The text of the path that ends with the member at `last`.
    pub(super) fn to_member(&self, last: usize) -> String {
        let variable = self.variable.as_str().into();
        self.members[..=last].iter().fold(variable, |path: String, member| path + "." + member)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.variable.as_str())?;
        self.members.iter().try_for_each(|member| write!(f, ".{member}"))
    }
}

/// How strongly an operator binds: what stands beside one that binds more needs parentheses.
///
/// Source: langdef, *Syntax*, the table of precedence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Or,
    And,
    Relation,
    Unary,
    Member,
}

impl Expr {
    fn binding(&self) -> Binding {
        match self {
            Self::Or(_) => Binding::Or,
            Self::And(_) => Binding::And,
            Self::Relation(..) => Binding::Relation,
            Self::Not(_) => Binding::Unary,
            _ => Binding::Member,
        }
    }

    /// As it stands where only what binds at least like `least` may.
    fn within(&self, least: Binding) -> Within<'_> {
        Within { expr: self, least }
    }
}

struct Within<'e> {
    expr: &'e Expr,
    least: Binding,
}

impl fmt::Display for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.expr.binding() < self.least { write!(f, "({})", self.expr) } else { self.expr.fmt(f) }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => Literal(value).fmt(f),
            Self::Path(path) => path.fmt(f),
            Self::Has(path) => write!(f, "has({path})"),
            Self::Not(of) => write!(f, "!{}", of.within(Binding::Unary)),
            Self::Or(operands) => separated(f, " || ", operands.iter().map(|of| of.within(Binding::And))),
            Self::And(operands) => separated(f, " && ", operands.iter().map(|of| of.within(Binding::Relation))),
            Self::Relation(relation, sides) => {
                let [left, right] = &**sides;
                // Relations go from left to right.
                let (left, right) = (left.within(Binding::Relation), right.within(Binding::Unary));
                write!(f, "{left} {} {right}", relation.as_str())
            }
            Self::List(elements) => {
                f.write_char('[')?;
                separated(f, ", ", elements)?;
                f.write_char(']')
            }
            Self::Size(of) => write!(f, "size({of})"),
            Self::Affix(affix, operands) => {
                let [of, with] = &**operands;
                write!(f, "{}.{}({with})", of.within(Binding::Member), affix.as_str())
            }
        }
    }
}

fn separated<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    separator: &str,
    items: impl IntoIterator<Item = T>,
) -> fmt::Result {
    for (at, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if at == 0 { "" } else { separator })?;
    }
    Ok(())
}

struct Literal<'e>(&'e Value);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Uint(value) => write!(f, "{value}u"),
            // With a point or an exponent, and the fewest digits that read back as the same number.
            Value::Double(value) => write!(f, "{value:?}"),
            Value::String(text) => write_text(f, text),
            Value::List(values) => {
                f.write_char('[')?;
                separated(f, ", ", values.iter().map(Literal))?;
                f.write_char(']')
            }
            // No text of a condition makes one: see `Expr::Literal`.
            Value::Map(_) => Err(fmt::Error),
        }
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            control if control.is_control() => write!(f, "\\u{:04x}", u32::from(control))?,
            character => f.write_char(character)?,
        }
    }
    f.write_char('"')
}
