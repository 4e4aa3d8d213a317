//! Filters: which objects are meant.
//!
//! The logic has two values: `ne` and `not` find what is unset, order and `prefix` and `has` never
//! match it, and null equals null. Engines must answer as [`Filter::matches`] does.

mod parse;

use std::cmp::Ordering;

use crate::object::Row;
use crate::schema::{Column, Direction, Type};
use crate::value::Value;

/// Which objects of a type are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Those that meet all; without any: every object.
    All(Vec<Filter>),
    /// Those that meet one; without any: none.
    Any(Vec<Filter>),
    /// Those that do not meet it.
    Not(Box<Filter>),
    /// Those whose column meets the test.
    Column(Column, Test),
}

/// What a column must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal; null equals null.
    Eq(Value),
    /// One of these, null allowed among them.
    In(Vec<Value>),
    /// Set or unset.
    Exists(bool),
    /// Greater.
    Gt(Value),
    /// Greater or equal.
    Gte(Value),
    /// Less.
    Lt(Value),
    /// Less or equal.
    Lte(Value),
    /// A string that begins so.
    Prefix(Box<str>),
    /// A list that holds this item.
    Has(Value),
}

impl Filter {
    /// Every object.
    pub const EVERY: Self = Self::All(Vec::new());
}

impl Filter {
    /// Both filters together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::All(none), filter) | (filter, Self::All(none)) if none.is_empty() => filter,
            (Self::All(mut parts), filter) => {
                parts.push(filter);
                Self::All(parts)
            }
            (filter, other) => Self::All(vec![filter, other]),
        }
    }

    /// Whether an object is meant.
    pub fn matches(&self, row: &Row) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(row)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(row)),
            Self::Not(part) => !part.matches(row),
            Self::Column(column, test) => test.holds(&row.seen(*column)),
        }
    }

    /// The objects that come after one with these values, in a sort whose columns are given with
    /// them: what a page goes on with.
    ///
    /// Where the first column is never null, a bare range is added that an index can serve.
    pub fn after(sort: &[(Column, Direction)], values: &[Value], ty: &Type) -> Self {
        let pairs: Vec<_> = sort.iter().zip(values).collect();
        let mut branches = Vec::new();
        for (n, ((column, direction), value)) in pairs.iter().enumerate() {
            let Some(beyond) = beyond(*column, *direction, value) else {
                continue;
            };
            let mut parts: Vec<Self> = pairs[..n]
                .iter()
                .map(|((column, _), value)| Self::Column(*column, Test::Eq((*value).clone())))
                .collect();
            parts.push(beyond);
            branches.push(Self::All(parts));
        }
        let mut parts = Vec::new();
        if let [((column, direction), value), _, ..] = pairs.as_slice()
            && ty.never_null(*column)
        {
            let value = (*value).clone();
            parts.push(Self::Column(
                *column,
                match direction {
                    Direction::Ascending => Test::Gte(value),
                    Direction::Descending => Test::Lte(value),
                },
            ));
        }
        parts.push(Self::Any(branches));
        Self::All(parts)
    }
}

/// What lies strictly beyond a value in one column; nothing beyond null in falling order.
fn beyond(column: Column, direction: Direction, value: &Value) -> Option<Filter> {
    match (direction, value) {
        (Direction::Ascending, Value::Null) => Some(Filter::Column(column, Test::Exists(true))),
        (Direction::Ascending, value) => Some(Filter::Column(column, Test::Gt(value.clone()))),
        (Direction::Descending, Value::Null) => None,
        (Direction::Descending, value) => Some(Filter::Any(vec![
            Filter::Column(column, Test::Lt(value.clone())),
            Filter::Column(column, Test::Exists(false)),
        ])),
    }
}

impl Test {
    /// Whether a value of the column meets it.
    pub fn holds(&self, value: &Value) -> bool {
        let ordered = |bound: &Value, wanted: fn(Ordering) -> bool| {
            !value.is_null() && !bound.is_null() && wanted(value.order(bound))
        };
        match self {
            Self::Eq(wanted) => value == wanted,
            Self::In(wanted) => wanted.contains(value),
            Self::Exists(set) => value.is_null() != *set,
            Self::Gt(bound) => ordered(bound, Ordering::is_gt),
            Self::Gte(bound) => ordered(bound, Ordering::is_ge),
            Self::Lt(bound) => ordered(bound, Ordering::is_lt),
            Self::Lte(bound) => ordered(bound, Ordering::is_le),
            Self::Prefix(start) => value
                .as_str()
                .is_some_and(|text| text.starts_with(&**start)),
            Self::Has(item) => value.items().contains(item),
        }
    }
}
