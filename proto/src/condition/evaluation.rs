//! What a tree comes to for a request.
//!
//! Each node gives a value, or nothing if something it needs is missing or of the wrong type. `&&` and `||`
//! do without an operand where the others settle the result, in whatever order they stand; everything else
//! needs all it has. What was missing on the way to a settled result does not matter and is forgotten.
//!
//! Source: langdef, *Evaluation*.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::comparison::Comparer;
use super::request::Request;
use super::syntax::{Affix, Expr, Path, Relation};
use super::value::{Map, Value};
use super::{Evaluation, STEPS_MAX, Truth};

/// A value on the way: it borrows from the condition and the request.
pub(super) enum Operand<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(&'a str),
    List(&'a [Value]),
    /// A list whose elements were evaluated one by one.
    Built(Vec<Operand<'a>>),
    Map(&'a Map),
}

impl<'a> From<&'a Value> for Operand<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Uint(value) => Self::Uint(*value),
            Value::Double(value) => Self::Double(*value),
            Value::String(value) => Self::String(value),
            Value::List(values) => Self::List(values),
            Value::Map(map) => Self::Map(map),
        }
    }
}

pub(super) struct Evaluator<'a> {
    request: &'a Request,
    comparer: Comparer,
    missing: Vec<String>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        Self { request, comparer: Comparer::default(), missing: Vec::new() }
    }

    pub(super) fn run(mut self, root: &'a Expr) -> Evaluation {
        let truth = match self.value(root) {
            Some(Operand::Bool(true)) => Truth::True,
            Some(Operand::Bool(false)) => Truth::False,
            _ => Truth::Indeterminate,
        };
        self.missing.sort_unstable();
        self.missing.dedup();
        Evaluation { truth, missing: self.missing, steps: self.comparer.steps }
    }

    /// What `expr` comes to; nothing if it cannot be evaluated. Recursion is as deep as the tree.
    fn value(&mut self, expr: &'a Expr) -> Option<Operand<'a>> {
        self.comparer.count(1);
        if self.comparer.steps > STEPS_MAX {
            return None;
        }
        match expr {
            Expr::Literal(value) => Some(value.into()),
            Expr::Path(path) => self.member(path, path.members.len()),
            Expr::Has(path) => self.has(path),
            Expr::Not(of) => match self.value(of)? {
                Operand::Bool(value) => Some(Operand::Bool(!value)),
                _ => None,
            },
            Expr::And(operands) => self.settle(operands, false),
            Expr::Or(operands) => self.settle(operands, true),
            Expr::Relation(relation, sides) => {
                let (left, right) = self.both(sides)?;
                self.relate(*relation, &left, &right).map(Operand::Bool)
            }
            Expr::List(elements) => {
                // Each element is evaluated even if one before cannot be: all that is missing is to be told.
                let values: Vec<_> = elements.iter().map(|element| self.value(element)).collect();
                values.into_iter().collect::<Option<_>>().map(Operand::Built)
            }
            Expr::Size(of) => {
                let of = self.value(of)?;
                self.size(&of).map(Operand::Int)
            }
            Expr::Affix(affix, operands) => match self.both(operands)? {
                (Operand::String(of), Operand::String(with)) => {
                    self.comparer.count(of.len().min(with.len()));
                    Some(Operand::Bool(match affix {
                        Affix::Start => of.starts_with(with),
                        Affix::End => of.ends_with(with),
                    }))
                }
                _ => None,
            },
        }
    }

    /// Both values, where both are needed. The second is evaluated even if the first cannot be, as above.
    fn both(&mut self, [first, second]: &'a [Expr; 2]) -> Option<(Operand<'a>, Operand<'a>)> {
        let (first, second) = (self.value(first), self.value(second));
        first.zip(second)
    }

    /// `&&` is settled by one false operand, `||` by one true one, whatever became of the others.
    ///
    /// Source: langdef, *Logical Operators*.
    fn settle(&mut self, operands: &'a [Expr], by: bool) -> Option<Operand<'a>> {
        let known = self.missing.len();
        let mut all_known = true;
        for operand in operands {
            match self.value(operand) {
                Some(Operand::Bool(value)) if value == by => {
                    self.missing.truncate(known);
                    return Some(Operand::Bool(by));
                }
                Some(Operand::Bool(_)) => {}
                _ => all_known = false,
            }
        }
        all_known.then_some(Operand::Bool(!by))
    }

    /// The value at the first `len` members of `path`.
    ///
    /// Source: langdef, *Field Selection*.
    fn member(&mut self, path: &'a Path, len: usize) -> Option<Operand<'a>> {
        let variable = self.request.variable(path.variable);
        if len == 0
            && let Some((own, _)) = path.variable.members()
        {
            // Types, ids and names are always there: one that is not is not known, and neither is the whole.
            self.comparer.count(own.len());
            if let Some(unknown) = own.iter().find(|member| !variable.contains_key(**member)) {
                self.missing.push([path.variable.as_str(), ".", *unknown].concat());
                return None;
            }
        }
        let mut value = Operand::Map(variable);
        for (at, member) in path.members[..len].iter().enumerate() {
            self.comparer.count(1 + member.len());
            let Operand::Map(map) = value else { return None };
            let Some(found) = map.get(member) else {
                self.missing.push(path.to_member(at));
                return None;
            };
            value = found.into();
        }
        Some(value)
    }

    /// Whether the last member is there; that all before it are is needed. A type, an id or a name that the request
    /// does not tell is not known, so it cannot be said not to be there.
    fn has(&mut self, path: &'a Path) -> Option<Operand<'a>> {
        let (last, before) = path.members.split_last()?;
        if before.is_empty() && path.variable.members().is_some() {
            return self.member(path, 1).map(|_| Operand::Bool(true));
        }
        match self.member(path, before.len())? {
            Operand::Map(map) => {
                self.comparer.count(1 + last.len());
                Some(Operand::Bool(map.contains_key(last)))
            }
            _ => None,
        }
    }

    fn relate(&mut self, relation: Relation, left: &Operand<'a>, right: &Operand<'a>) -> Option<bool> {
        match relation {
            Relation::Equal => Some(self.comparer.equal(left, right)),
            Relation::Unequal => Some(!self.comparer.equal(left, right)),
            Relation::Less => self.comparer.order(left, right).map(Ordering::is_lt),
            Relation::LessOrEqual => self.comparer.order(left, right).map(Ordering::is_le),
            Relation::Greater => self.comparer.order(left, right).map(Ordering::is_gt),
            Relation::GreaterOrEqual => self.comparer.order(left, right).map(Ordering::is_ge),
            Relation::In => self.is_in(left, right),
        }
    }

    /// Whether a list has an equal element, or a map a member of that name.
    ///
    /// Source: langdef, *List Operators* and *Map Operators*.
    fn is_in(&mut self, value: &Operand<'a>, container: &Operand<'a>) -> Option<bool> {
        match (container, value) {
            (Operand::List(values), _) => Some(values.iter().any(|one| self.comparer.equal(&one.into(), value))),
            (Operand::Built(values), _) => Some(values.iter().any(|one| self.comparer.equal(one, value))),
            (Operand::Map(map), Operand::String(name)) => {
                self.comparer.count(1 + name.len());
                Some(map.contains_key(*name))
            }
            // Could name a member of some map of CEL, but of none of JSON.
            (Operand::Map(_), Operand::Bool(_) | Operand::Int(_) | Operand::Uint(_) | Operand::Double(_)) => {
                Some(false)
            }
            _ => None,
        }
    }

    /// Code points of a text, elements of a list, members of a map.
    fn size(&mut self, of: &Operand<'a>) -> Option<i64> {
        let size = match of {
            Operand::String(text) => {
                self.comparer.count(text.len());
                text.chars().count()
            }
            Operand::List(values) => values.len(),
            Operand::Built(values) => values.len(),
            Operand::Map(map) => map.len(),
            _ => return None,
        };
        i64::try_from(size).ok()
    }
}
