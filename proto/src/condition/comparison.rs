//! Equality and order of values, across the types of numbers.
//!
//! Source: langdef, *Equality* and *Ordering*.

use core::cmp::Ordering;

use super::evaluation::Operand;
use super::value::Map;

/// Compares, and counts the elements and bytes that it looks at.
#[derive(Default)]
pub(super) struct Comparer {
    pub(super) steps: u64,
}

impl Comparer {
    /// Whether two values are equal. Values of different types are not, numbers apart; NaN equals nothing.
    pub(super) fn equal(&mut self, a: &Operand<'_>, b: &Operand<'_>) -> bool {
        self.steps += 1;
        match (a, b) {
            (Operand::Null, Operand::Null) => true,
            (Operand::Bool(a), Operand::Bool(b)) => a == b,
            (Operand::String(a), Operand::String(b)) => {
                self.count(a.len().min(b.len()));
                a == b
            }
            (Operand::List(a), Operand::List(b)) => {
                a.len() == b.len() && a.iter().zip(*b).all(|(a, b)| self.equal(&a.into(), &b.into()))
            }
            (Operand::Built(built), Operand::List(list)) | (Operand::List(list), Operand::Built(built)) => {
                built.len() == list.len() && built.iter().zip(*list).all(|(a, b)| self.equal(a, &b.into()))
            }
            (Operand::Built(a), Operand::Built(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.equal(a, b))
            }
            (Operand::Map(a), Operand::Map(b)) => self.equal_maps(a, b),
            _ => numbers(a, b) == Some(Ordering::Equal),
        }
    }

    /// Members are in the order of their names on both sides, so equal maps run side by side.
    fn equal_maps(&mut self, a: &Map, b: &Map) -> bool {
        a.len() == b.len()
            && a.iter().zip(b).all(|((a_name, a), (b_name, b))| {
                self.count(a_name.len().min(b_name.len()));
                a_name == b_name && self.equal(&a.into(), &b.into())
            })
    }

    /// The order of two numbers, texts or truths. None: of other or different types, or a NaN.
    pub(super) fn order(&mut self, a: &Operand<'_>, b: &Operand<'_>) -> Option<Ordering> {
        self.steps += 1;
        match (a, b) {
            (Operand::Bool(a), Operand::Bool(b)) => Some(a.cmp(b)),
            (Operand::String(a), Operand::String(b)) => {
                self.count(a.len().min(b.len()));
                // Bytes of UTF-8 are in the order of their code points.
                Some(a.cmp(b))
            }
            _ => numbers(a, b),
        }
    }

    pub(super) fn count(&mut self, steps: usize) {
        self.steps += steps as u64;
    }
}

/// The order of two numbers as on one line, whatever their types: no number is rounded to compare it.
fn numbers(a: &Operand<'_>, b: &Operand<'_>) -> Option<Ordering> {
    match (a, b) {
        (Operand::Double(a), Operand::Double(b)) => a.partial_cmp(b),
        (Operand::Double(a), b) => whole_to_double(whole(b)?, *a).map(Ordering::reverse),
        (a, Operand::Double(b)) => whole_to_double(whole(a)?, *b),
        (a, b) => Some(whole(a)?.cmp(&whole(b)?)),
    }
}

fn whole(of: &Operand<'_>) -> Option<i128> {
    match of {
        Operand::Int(value) => Some((*value).into()),
        Operand::Uint(value) => Some((*value).into()),
        _ => None,
    }
}

/// `value` fits an `int` or a `uint`.
fn whole_to_double(value: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Towards zero, and to the nearest i128 if it is beyond: beyond every int and uint, too.
    let towards_zero = double as i128;
    let by_fraction = || (towards_zero as f64).partial_cmp(&double).unwrap_or(Ordering::Equal);
    Some(value.cmp(&towards_zero).then_with(by_fraction))
}
