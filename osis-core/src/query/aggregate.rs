//! Counts, sums and the like over many objects.
//!
//! [`Groups`] is the one definition of what they are: exact integers, floats summed so that the
//! order of the rows does not matter, buckets in UTC. An engine streams values into it, or answers
//! with the same numbers by its own means.

use std::collections::{HashMap, HashSet};

use jiff::ToSpan;
use jiff::civil::DateTime;

use crate::error::{Error, Faults, Result};
use crate::json::Json;
use crate::query::Filter;
use crate::schema::{Column, Direction, FieldKind, Metric, Type, TypeId};
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

fn metric_column(metric: Metric) -> Option<Column> {
    match metric {
        Metric::Count => None,
        Metric::Sum(c) | Metric::Min(c) | Metric::Max(c) | Metric::Avg(c) | Metric::Unique(c) => {
            Some(c)
        }
    }
}

/// Reads a metric: `count`, `sum:f`, `min:f`, `max:f`, `avg:f`, `unique:f`.
pub fn parse_metric(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Metric> {
    let wanted = "expected count, or sum, min, max, avg or unique with : and a field";
    let Some(text) = json.as_str() else {
        faults.add(path, format!("{wanted}, got {}", json.kind()));
        return None;
    };
    if text == "count" {
        return Some(Metric::Count);
    }
    let Some((name, field)) = text.split_once(':') else {
        faults.add(path, format!("{wanted}, got {text:?}"));
        return None;
    };
    let Some(column) = ty.column(field) else {
        faults.add(path, format!("{} has no field {field:?}", ty.name));
        return None;
    };
    let kind = ty.column_kind(column);
    let number = matches!(kind, FieldKind::Int | FieldKind::Float);
    let metric = match name {
        "sum" if number => Metric::Sum(column),
        "avg" if number => Metric::Avg(column),
        "min" | "max" if number || matches!(kind, FieldKind::Time | FieldKind::String) => {
            if name == "min" {
                Metric::Min(column)
            } else {
                Metric::Max(column)
            }
        }
        "unique" => Metric::Unique(column),
        "sum" | "avg" | "min" | "max" => {
            faults.add(
                path,
                format!("{name} does not take {field}: its type is wrong"),
            );
            return None;
        }
        _ => {
            faults.add(path, format!("{wanted}, got {text:?}"));
            return None;
        }
    };
    if let Column::Field(position) = column
        && !ty.fields[position].sortable()
    {
        faults.add(
            path,
            format!("{field} cannot be computed with: it is a list, text, json, bytes or secret"),
        );
        return None;
    }
    Some(metric)
}

/// Groups in the making.
#[derive(Debug)]
pub struct Groups<'a> {
    aggregate: &'a Aggregate,
    float_sums: Vec<bool>,
    groups: HashMap<Vec<Value>, Vec<Running>>,
}

impl<'a> Groups<'a> {
    /// No groups yet.
    pub fn new(aggregate: &'a Aggregate, ty: &Type) -> Self {
        let is_float = |metric: &Metric| {
            metric_column(*metric).is_some_and(|c| *ty.column_kind(c) == FieldKind::Float)
        };
        let float_sums = aggregate.metrics.iter().map(is_float).collect();
        Self {
            aggregate,
            float_sums,
            groups: HashMap::new(),
        }
    }

    /// Takes one object: its values in the columns of [`Aggregate::columns`].
    pub fn add(&mut self, values: &[Value]) {
        let heads = usize::from(self.aggregate.bucket.is_some()) + self.aggregate.group_by.len();
        let mut key = values[..heads].to_vec();
        if let (Some(bucket), Some(Value::Time(time))) = (self.aggregate.bucket, key.first()) {
            key[0] = Value::Time(bucket.unit.start(*time));
        }
        let (metrics, floats) = (&self.aggregate.metrics, &self.float_sums);
        let running = self
            .groups
            .entry(key)
            .or_insert_with(|| Running::all(metrics, floats));
        let mut rest = values[heads..].iter();
        for (metric, running) in metrics.iter().zip(running) {
            match metric_column(*metric) {
                None => running.add(&Value::Bool(true)),
                Some(_) => rest.by_ref().take(1).for_each(|value| running.add(value)),
            }
        }
    }

    /// The finished groups, in no order. Without groups and bucket it is exactly one.
    pub fn finish(mut self) -> Vec<Group> {
        if self.groups.is_empty()
            && self.aggregate.group_by.is_empty()
            && self.aggregate.bucket.is_none()
        {
            let empty = Running::all(&self.aggregate.metrics, &self.float_sums);
            self.groups.insert(Vec::new(), empty);
        }
        let bucketed = self.aggregate.bucket.is_some();
        let finished = self.groups.into_iter().map(|(mut key, running)| Group {
            bucket: bucketed.then(|| key.remove(0)),
            by: key,
            figures: running.into_iter().map(Running::finish).collect(),
        });
        finished.collect()
    }
}

/// Sorts groups by columns of the result, then by bucket and groups.
///
/// `sort` names `bucket`, a field of `group_by`, or a metric as it was asked for.
///
/// # Errors
/// `invalid` at `sort` for any other name.
pub fn sort_groups(
    groups: &mut [Group],
    aggregate: &Aggregate,
    ty: &Type,
    sort: Option<&Json>,
) -> Result<()> {
    let mut columns = Vec::new();
    if let Some(sort) = sort {
        let names: Vec<&Json> = match sort {
            Json::Array(items) => items.iter().collect(),
            one => vec![one],
        };
        for name in names {
            columns.push(result_column(name, aggregate, ty)?);
        }
    }
    let natural = |a: &Group, b: &Group| {
        let key = |g: &Group| g.bucket.iter().chain(&g.by).cloned().collect::<Vec<_>>();
        let (a, b) = (key(a), key(b));
        let mut orders = a.iter().zip(&b).map(|(a, b)| a.order(b));
        orders
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    };
    groups.sort_by(|a, b| {
        let mut orders = columns.iter().map(|(column, direction)| {
            let order = column.compare(a, b);
            if *direction == Direction::Descending {
                order.reverse()
            } else {
                order
            }
        });
        orders
            .find(|order| order.is_ne())
            .unwrap_or_else(|| natural(a, b))
    });
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum ResultColumn {
    Bucket,
    By(usize),
    Figure(usize),
}

impl ResultColumn {
    fn compare(self, a: &Group, b: &Group) -> std::cmp::Ordering {
        match self {
            Self::Bucket => match (&a.bucket, &b.bucket) {
                (Some(a), Some(b)) => a.order(b),
                _ => std::cmp::Ordering::Equal,
            },
            Self::By(n) => a.by[n].order(&b.by[n]),
            Self::Figure(n) => match (&a.figures[n], &b.figures[n]) {
                (Figure::Value(a), Figure::Value(b)) => a.order(b),
                (Figure::Whole(a), Figure::Whole(b)) => a.cmp(b),
                (Figure::Value(_), Figure::Whole(_)) => std::cmp::Ordering::Less,
                (Figure::Whole(_), Figure::Value(_)) => std::cmp::Ordering::Greater,
            },
        }
    }
}

fn result_column(
    json: &Json,
    aggregate: &Aggregate,
    ty: &Type,
) -> Result<(ResultColumn, Direction)> {
    let text = json.as_str().unwrap_or_default();
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    let by = aggregate
        .group_by
        .iter()
        .position(|c| ty.column_name(*c) == name);
    let figure = aggregate
        .metrics
        .iter()
        .position(|m| metric_name(*m, ty) == name);
    let found = match (by, figure) {
        _ if name == "bucket" && aggregate.bucket.is_some() => Some(ResultColumn::Bucket),
        (Some(n), _) => Some(ResultColumn::By(n)),
        (None, Some(n)) => Some(ResultColumn::Figure(n)),
        (None, None) => None,
    };
    let found = found.ok_or_else(|| {
        Error::invalid(
            "sort",
            format!("expected columns of the result, got {}", name_or_kind(json)),
        )
    })?;
    Ok((found, direction))
}

fn name_or_kind(json: &Json) -> String {
    json.as_str()
        .map_or_else(|| json.kind().to_owned(), |text| format!("{text:?}"))
}

/// How a metric is named in a result: as it was asked for.
pub fn metric_name(metric: Metric, ty: &Type) -> String {
    let named = |name: &str, column: Column| format!("{name}:{}", ty.column_name(column));
    match metric {
        Metric::Count => "count".to_owned(),
        Metric::Sum(c) => named("sum", c),
        Metric::Min(c) => named("min", c),
        Metric::Max(c) => named("max", c),
        Metric::Avg(c) => named("avg", c),
        Metric::Unique(c) => named("unique", c),
    }
}

/// One metric of one group in the making. Null counts for none but `count`.
#[derive(Debug)]
enum Running {
    Count(i64),
    WholeSum(i128),
    FloatSum(ExactSum),
    Least(Value),
    Greatest(Value),
    WholeMean(i128, u64),
    FloatMean(ExactSum, u64),
    Unique(HashSet<Value>),
}

impl Running {
    fn all(metrics: &[Metric], floats: &[bool]) -> Vec<Self> {
        let pairs = metrics.iter().zip(floats);
        let made = pairs.map(|(metric, float)| match (metric, float) {
            (Metric::Count, _) => Self::Count(0),
            (Metric::Sum(_), false) => Self::WholeSum(0),
            (Metric::Sum(_), true) => Self::FloatSum(ExactSum::default()),
            (Metric::Min(_), _) => Self::Least(Value::Null),
            (Metric::Max(_), _) => Self::Greatest(Value::Null),
            (Metric::Avg(_), false) => Self::WholeMean(0, 0),
            (Metric::Avg(_), true) => Self::FloatMean(ExactSum::default(), 0),
            (Metric::Unique(_), _) => Self::Unique(HashSet::new()),
        });
        made.collect()
    }

    fn add(&mut self, value: &Value) {
        match (self, value) {
            (_, Value::Null) => {}
            (Self::Count(n), _) => *n += 1,
            (Self::WholeSum(sum), Value::Int(n)) => *sum += i128::from(*n),
            (Self::FloatSum(sum), Value::Float(x)) => sum.add(*x),
            (Self::WholeMean(sum, count), Value::Int(n)) => {
                *sum += i128::from(*n);
                *count += 1;
            }
            (Self::FloatMean(sum, count), Value::Float(x)) => {
                sum.add(*x);
                *count += 1;
            }
            (Self::Least(least), value) => {
                if least.is_null() || value.order(least).is_lt() {
                    *least = value.clone();
                }
            }
            (Self::Greatest(greatest), value) => {
                if value.order(greatest).is_gt() {
                    *greatest = value.clone();
                }
            }
            (Self::Unique(seen), value) => {
                if !seen.contains(value) {
                    seen.insert(value.clone());
                }
            }
            // A metric's column has one form, which the parser has checked.
            (Self::WholeSum(_) | Self::FloatSum(_), _) => {}
            (Self::WholeMean(..) | Self::FloatMean(..), _) => {}
        }
    }

    // A mean is a double, as documented; the sums behind it are exact.
    #[expect(clippy::cast_precision_loss)]
    fn finish(self) -> Figure {
        match self {
            Self::Count(n) => Figure::Value(Value::Int(n)),
            Self::WholeSum(sum) => Figure::Whole(sum),
            Self::FloatSum(sum) => Figure::Value(float(sum.value())),
            Self::Least(value) | Self::Greatest(value) => Figure::Value(value),
            Self::WholeMean(_, 0) | Self::FloatMean(_, 0) => Figure::Value(Value::Null),
            Self::WholeMean(sum, count) => Figure::Value(float(sum as f64 / count as f64)),
            Self::FloatMean(sum, count) => Figure::Value(float(sum.value() / count as f64)),
            Self::Unique(seen) => {
                Figure::Value(Value::Int(i64::try_from(seen.len()).unwrap_or(i64::MAX)))
            }
        }
    }
}

/// A figure that overflowed is null: JSON has no infinity.
fn float(x: f64) -> Value {
    if x.is_finite() {
        Value::Float(x + 0.0)
    } else {
        Value::Null
    }
}

/// A sum of doubles that does not depend on their order: partial sums that do not overlap, added
/// up at the end. Source: J. R. Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997.
#[derive(Debug, Default)]
struct ExactSum {
    partials: Vec<f64>,
}

impl ExactSum {
    fn add(&mut self, mut x: f64) {
        let mut kept = 0;
        for n in 0..self.partials.len() {
            let mut y = self.partials[n];
            if x.abs() < y.abs() {
                std::mem::swap(&mut x, &mut y);
            }
            let high = x + y;
            let low = y - (high - x);
            if low != 0.0 {
                self.partials[kept] = low;
                kept += 1;
            }
            x = high;
        }
        self.partials.truncate(kept);
        self.partials.push(x);
    }

    /// The sum, correctly rounded: from the greatest partial down, with a look at the next one
    /// where the rest lies exactly half way.
    fn value(&self) -> f64 {
        let mut rest = self.partials.iter().rev().copied();
        let Some(mut high) = rest.next() else {
            return 0.0;
        };
        while let Some(x) = rest.next() {
            let sum = high + x;
            let low = x - (sum - high);
            high = sum;
            if low != 0.0 {
                let same_side = rest
                    .next()
                    .is_some_and(|next| (next < 0.0) == (low < 0.0) && next != 0.0);
                let doubled = low * 2.0;
                let up = high + doubled;
                if same_side && doubled == up - high {
                    high = up;
                }
                break;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ExactSum, Unit};
    use crate::time::Time;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        values.iter().for_each(|x| sum.add(*x));
        sum.value()
    }

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

    #[test]
    fn sums_are_exact() {
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[]), 0.0);
    }

    proptest! {
        #[test]
        fn sums_do_not_depend_on_the_order(mut values in prop::collection::vec(-1e12..1e12, 0..50)) {
            let forward = sum(&values);
            values.reverse();
            prop_assert_eq!(forward.to_bits(), sum(&values).to_bits());
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(forward.to_bits(), sum(&values).to_bits());
        }
    }
}
