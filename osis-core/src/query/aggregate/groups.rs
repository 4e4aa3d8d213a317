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
