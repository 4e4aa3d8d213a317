//! Roll-ups: what is kept of a log type for ever, summed up by time and by some of its fields.
//!
//! A [`Cell`] is the sum of all objects of one bucket of time that have the same values in the
//! roll-up's fields. This module is the one place that says what an object adds to it ([`Cell::of`]),
//! what takes it away again, how cells are added up and written ([`text`]), and which aggregates they
//! answer ([`Plan`]). An engine keeps cells in the same commit as the objects: one in memory by
//! [`Book`], one on a database by [`Deltas`], which tells what a commit adds to which cell.
//!
//! All of it is exact: counts and sums can be taken away again without a trace, and where the least
//! or the greatest value goes, its cell is counted again from the objects that are left.

mod book;
mod cell;
mod deltas;
mod plan;
#[cfg(test)]
mod tests;
pub mod text;

pub use book::Book;
pub use cell::{Cell, Place, Spec};
pub use deltas::{CellChange, Cells, Deltas};
pub use plan::Plan;

use crate::query::aggregate::Unit;
use crate::schema::{Rollup, RollupUnit, TypeId};
use crate::time::Time;

/// Cells of a type, a page of them.
#[derive(Debug, Clone, PartialEq)]
pub struct CellScan {
    /// Of which type.
    pub type_id: TypeId,
    /// Only those whose [`Place::key`] is in one of these ranges, which do not overlap and rise; of
    /// any key, if there are none.
    pub keys: Vec<KeyRange>,
    /// Only those whose bucket does not begin before.
    pub from: Time,
    /// Only those whose bucket begins before; all, if there is none.
    pub until: Option<Time>,
    /// Only those behind this place, in the order in which the engine gives them.
    pub after: Option<Place>,
    /// How many at most.
    pub limit: usize,
}

impl CellScan {
    /// How many cells are held at once.
    pub const PAGE: usize = 10_000;

    /// All cells of a type, from the first page on.
    pub fn all(type_id: TypeId) -> Self {
        Self {
            type_id,
            keys: Vec::new(),
            from: Time::MIN,
            until: None,
            after: None,
            limit: Self::PAGE,
        }
    }

    /// Whether a place is meant, wherever the page begins.
    pub fn means(&self, place: &Place) -> bool {
        place.bucket >= self.from
            && self.until.is_none_or(|until| place.bucket < until)
            && (self.keys.is_empty() || self.keys.iter().any(|range| range.holds(&place.key)))
    }
}

/// Keys from one on, up to another, which is not among them; by their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The first that may be.
    pub from: Box<str>,
    /// The first that may not be.
    pub until: Box<str>,
}

impl KeyRange {
    /// One key alone. (No key holds the least character, which stands behind it here.)
    pub fn of(key: &str) -> Self {
        Self {
            from: key.into(),
            until: format!("{key}\u{1}").into(),
        }
    }

    fn holds(&self, key: &str) -> bool {
        *self.from <= *key && *key < *self.until
    }
}

/// The stretch of time of a roll-up's cells.
pub(crate) fn unit(rollup: &Rollup) -> Unit {
    match rollup.unit {
        RollupUnit::Hour => Unit::Hour,
        RollupUnit::Day => Unit::Day,
    }
}

/// How long that is.
fn length_ms(rollup: &Rollup) -> i64 {
    match rollup.unit {
        RollupUnit::Hour => 3_600_000,
        RollupUnit::Day => 86_400_000,
    }
}

/// What says how the cells of a type are made: if it is another, those that are there are of no use.
pub fn definition(schema: &crate::schema::Schema, type_id: TypeId) -> Option<String> {
    let ty = &schema.types[type_id];
    let rollup = ty.log()?.rollup.as_ref()?;
    let by: Vec<&str> = rollup
        .by
        .iter()
        .map(|field| ty.fields[*field].name.as_str())
        .collect();
    let metrics: Vec<String> = rollup
        .metrics
        .iter()
        .map(|metric| crate::query::aggregate::metric_name(*metric, ty))
        .collect();
    let time = &ty.fields[ty.log()?.time].name;
    Some(format!(
        "{:?} of {time} by {}: {}",
        rollup.unit,
        by.join(", "),
        metrics.join(", ")
    ))
}
