//! Counts, sums and the like over many objects.
//!
//! [`Groups`] is the one definition of what they are: exact integers, floats summed so that the
//! order of the rows does not matter, buckets in UTC. An engine streams values into it, or answers
//! with the same numbers by its own means.

mod exact;
mod groups;
mod metric;
mod sort;

pub(crate) use exact::ExactSum;
pub use groups::Groups;
pub(crate) use groups::Part;
pub use metric::{metric_name, parse_metric};
pub use sort::sort_groups;

use jiff::ToSpan as _;
use jiff::civil::DateTime;

use crate::query::Filter;
use crate::schema::{Column, Metric, TypeId};
use crate::time::Time;
use crate::value::Value;

/// What `_aggregate` asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Of which type.
    pub type_id: TypeId,
    /// Which objects.
    pub filter: Filter,
    /// By what they are told apart.
    pub group_by: Vec<Column>,
    /// By which stretch of time.
    pub bucket: Option<Bucket>,
    /// What is computed of each group.
    pub metrics: Vec<Metric>,
}

/// A stretch of time by which objects are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// The time column.
    pub column: Column,
    /// How long.
    pub unit: Unit,
}

/// How long a bucket is, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
}

impl Unit {
    /// Reads `hour`, `day`, `week` or `month`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// The start of the bucket that holds a time; 0001-01-01 was a Monday, so none begins before
    /// the first time there is.
    pub fn start(self, time: Time) -> Time {
        let at = time.to_civil();
        let day = at.date();
        let start: DateTime = match self {
            Self::Hour => day.at(at.hour(), 0, 0, 0),
            Self::Day => day.at(0, 0, 0, 0),
            Self::Week => {
                let back = i64::from(at.weekday().to_monday_zero_offset());
                day.checked_sub(back.days()).unwrap_or(day).at(0, 0, 0, 0)
            }
            Self::Month => day.first_of_month().at(0, 0, 0, 0),
        };
        Time::from_civil(start).unwrap_or(Time::MIN)
    }
}

/// What an aggregate was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Computed {
    /// The objects.
    Raw,
    /// The cells of a roll-up.
    RolledUp,
}

impl Computed {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RolledUp => "rollup",
        }
    }
}

/// One group with what was computed of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The start of its bucket, if buckets were asked for (null where the time is unset).
    pub bucket: Option<Value>,
    /// The values that tell it apart.
    pub by: Vec<Value>,
    /// One figure a metric.
    pub figures: Vec<Figure>,
}

/// One computed figure.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// A value of the column, or null.
    Value(Value),
    /// A sum of integers, which may be beyond 64 bits.
    Whole(i128),
}

impl Aggregate {
    /// The columns that [`Groups::add`] takes, in this order: the bucket's, the groups', and each
    /// metric's that has one.
    pub fn columns(&self) -> Vec<Column> {
        let bucket = self.bucket.iter().map(|bucket| bucket.column);
        let metrics = self
            .metrics
            .iter()
            .filter_map(|metric| metric_column(*metric));
        bucket
            .chain(self.group_by.iter().copied())
            .chain(metrics)
            .collect()
    }
}

/// The column that a metric computes with.
fn metric_column(metric: Metric) -> Option<Column> {
    match metric {
        Metric::Count => None,
        Metric::Sum(c) | Metric::Min(c) | Metric::Max(c) | Metric::Avg(c) | Metric::Unique(c) => {
            Some(c)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;
    use crate::time::Time;

    #[test]
    fn buckets_begin_where_people_expect() {
        let start = |unit: Unit, text: &str| unit.start(Time::parse(text).unwrap()).to_string();
        let at = "2026-11-22T23:59:59.999Z";
        assert_eq!(start(Unit::Hour, at), "2026-11-22T23:00:00.000Z");
        assert_eq!(start(Unit::Day, at), "2026-11-22T00:00:00.000Z");
        assert_eq!(start(Unit::Week, at), "2026-11-16T00:00:00.000Z");
        assert_eq!(
            start(Unit::Week, "2026-11-23T00:00:00Z"),
            "2026-11-23T00:00:00.000Z"
        );
        assert_eq!(start(Unit::Month, at), "2026-11-01T00:00:00.000Z");
        assert_eq!(
            start(Unit::Week, "0001-01-03T00:00:00Z"),
            "0001-01-01T00:00:00.000Z"
        );
    }
}
