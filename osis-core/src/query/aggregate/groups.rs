//! Groups in the making: the one definition of what an aggregate computes.

use std::collections::{HashMap, HashSet};

use super::exact::ExactSum;
use super::{Aggregate, Figure, Group, metric_column};
use crate::schema::{FieldKind, Metric, Type};
use crate::value::Value;

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

    /// Takes many objects of one group at once: the start of their bucket and their groups' values,
    /// and for each metric what it is of them.
    pub(crate) fn add_many(&mut self, key: Vec<Value>, parts: &[Part<'_>]) {
        let (metrics, floats) = (&self.aggregate.metrics, &self.float_sums);
        let running = self
            .groups
            .entry(key)
            .or_insert_with(|| Running::all(metrics, floats));
        for (running, part) in running.iter_mut().zip(parts) {
            running.add_many(part);
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

/// What a metric is of many objects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part<'a> {
    /// How many there are.
    Count(u64),
    /// How many of them have a value, and the sum of those.
    Whole(u64, i128),
    /// The same of doubles.
    Float(u64, &'a ExactSum),
    /// The one value that matters: the least, the greatest, or the one that all have.
    One(&'a Value),
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

    fn add_many(&mut self, part: &Part<'_>) {
        match (self, part) {
            (Self::Count(n), Part::Count(more)) => {
                *n = n.saturating_add(i64::try_from(*more).unwrap_or(i64::MAX));
            }
            (Self::WholeSum(sum), Part::Whole(_, more)) => *sum += more,
            (Self::WholeMean(sum, count), Part::Whole(values, more)) => {
                *sum += more;
                *count += values;
            }
            (Self::FloatSum(sum), Part::Float(_, more)) => sum.add_sum(more),
            (Self::FloatMean(sum, count), Part::Float(values, more)) => {
                sum.add_sum(more);
                *count += values;
            }
            (running, Part::One(value)) => running.add(value),
            // Each metric is given the part that it is made of.
            _ => debug_assert!(false, "a part of another metric"),
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
            Self::Unique(seen) if seen.is_empty() => Figure::Value(Value::Null),
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
