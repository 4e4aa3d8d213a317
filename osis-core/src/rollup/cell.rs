//! One cell: what it holds, and how objects and other cells are added to it and taken away.

use sha2::{Digest as _, Sha256};

use super::{length_ms, unit};
use crate::object::Row;
use crate::output::Plain;
use crate::query::aggregate::{ExactSum, Unit};
use crate::query::{Filter, Test};
use crate::schema::{Column, FieldKind, LogOptions, Metric, Rollup, Type};
use crate::time::Time;
use crate::value::Value;

/// The longest key that is the text of its values: engines bound what an index holds.
const KEY_MAX: usize = 1024;

/// Where a cell stands: what tells it from all others of its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The values of the roll-up's fields as a JSON array; where that is longer than a kilobyte, `#`
    /// and its SHA-256.
    pub key: Box<str>,
    /// When its bucket begins.
    pub bucket: Time,
}

/// What is kept of the objects of one bucket of time with the same values in the roll-up's fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// When its bucket begins.
    pub bucket: Time,
    /// The values of the roll-up's fields, in their order.
    pub by: Box<[Value]>,
    /// How many objects there are.
    pub count: u64,
    /// What is kept for each metric of the roll-up but `count`, in their order.
    pub(crate) kept: Box<[Kept]>,
}

/// What is kept for one metric.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    /// How many objects have a value, and the sum of those.
    Whole { values: u64, sum: i128 },
    /// The same of doubles.
    Float { values: u64, sum: ExactSum },
    /// The least value, null if none has one.
    Least(Value),
    /// The greatest value.
    Greatest(Value),
}

/// How objects of a type become cells.
#[derive(Debug, Clone)]
pub struct Spec {
    time: usize,
    unit: Unit,
    length_ms: i64,
    by: Box<[usize]>,
    /// For each metric that is kept its column, and what is kept of no object.
    kept: Box<[(Column, Kept)]>,
}

impl Spec {
    /// That of a type; nothing if it has no roll-up.
    pub fn of(ty: &Type) -> Option<Self> {
        let (log, rollup) = of_type(ty)?;
        let nothing = |(metric, column)| (column, Kept::nothing(metric, ty.column_kind(column)));
        Some(Self {
            time: log.time,
            unit: unit(rollup),
            length_ms: length_ms(rollup),
            by: rollup.by.clone().into(),
            kept: metrics(rollup).map(nothing).collect(),
        })
    }
}

/// The roll-up of a log type, and its time field.
pub(super) fn of_type(ty: &Type) -> Option<(&LogOptions, &Rollup)> {
    let log = ty.log()?;
    Some((log, log.rollup.as_ref()?))
}

/// The metrics of which a cell keeps more than it does anyway, with their columns.
pub(super) fn metrics(rollup: &Rollup) -> impl Iterator<Item = (Metric, Column)> {
    rollup.metrics.iter().filter_map(|metric| match metric {
        Metric::Sum(column) | Metric::Min(column) | Metric::Max(column) => Some((*metric, *column)),
        // What is counted is kept anyway; of the others no roll-up is made.
        Metric::Count | Metric::Avg(_) | Metric::Unique(_) => None,
    })
}

impl Kept {
    /// What is kept of no object.
    pub(super) fn nothing(metric: Metric, kind: &FieldKind) -> Self {
        match (metric, kind) {
            (Metric::Min(_), _) => Self::Least(Value::Null),
            (Metric::Max(_), _) => Self::Greatest(Value::Null),
            (_, FieldKind::Float) => Self::Float {
                values: 0,
                sum: ExactSum::default(),
            },
            _ => Self::Whole { values: 0, sum: 0 },
        }
    }

    fn add_value(&mut self, value: &Value) {
        match (self, value) {
            (_, Value::Null) => {}
            (Self::Whole { values, sum }, Value::Int(n)) => {
                *values += 1;
                *sum += i128::from(*n);
            }
            (Self::Float { values, sum }, Value::Float(x)) => {
                *values += 1;
                sum.add(*x);
            }
            // A metric's column has one form, which the schema's reader has checked.
            (Self::Whole { .. } | Self::Float { .. }, _) => {}
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
        }
    }

    fn add(&mut self, other: &Self) {
        match (self, other) {
            (
                Self::Whole { values, sum },
                Self::Whole {
                    values: more,
                    sum: by,
                },
            ) => {
                *values += more;
                *sum += by;
            }
            (
                Self::Float { values, sum },
                Self::Float {
                    values: more,
                    sum: by,
                },
            ) => {
                *values += more;
                sum.add_sum(by);
            }
            (own, Self::Least(value) | Self::Greatest(value)) => own.add_value(value),
            _ => debug_assert!(false, "the sum of another metric"),
        }
    }

    /// Takes away what was added; whether what is left is certain.
    fn take(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Whole { values, sum },
                Self::Whole {
                    values: fewer,
                    sum: by,
                },
            ) => {
                *sum -= by;
                take_count(values, *fewer)
            }
            (
                Self::Float { values, sum },
                Self::Float {
                    values: fewer,
                    sum: by,
                },
            ) => {
                sum.take_sum(by);
                take_count(values, *fewer)
            }
            // Another object may have the same value, or the next one.
            (Self::Least(least), Self::Least(gone)) => {
                gone.is_null() || (!least.is_null() && gone.order(least).is_gt())
            }
            (Self::Greatest(greatest), Self::Greatest(gone)) => {
                gone.is_null() || gone.order(greatest).is_lt()
            }
            _ => false,
        }
    }
}

fn take_count(count: &mut u64, fewer: u64) -> bool {
    let left = count.checked_sub(fewer);
    *count = left.unwrap_or(0);
    left.is_some()
}

impl Cell {
    /// The cell that one object makes.
    pub fn of(spec: &Spec, row: &Row) -> Self {
        // The time of a log is always set.
        let time = row.values[spec.time].as_time().unwrap_or(row.created_at);
        let kept = spec.kept.iter().map(|(column, nothing)| {
            let mut kept = nothing.clone();
            kept.add_value(&row.seen(*column));
            kept
        });
        Self {
            bucket: spec.unit.start(time),
            by: spec
                .by
                .iter()
                .map(|field| row.values[*field].clone())
                .collect(),
            count: 1,
            kept: kept.collect(),
        }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        let plain: Vec<Plain<'_>> = self.by.iter().map(Plain).collect();
        // Plain values always can be written.
        let text = serde_json::to_string(&plain).unwrap_or_default();
        let key = match text.len() {
            0..=KEY_MAX => text.into(),
            _ => {
                let hash = Sha256::digest(&text);
                let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("#{hex}").into()
            }
        };
        Place {
            key,
            bucket: self.bucket,
        }
    }

    /// Adds the objects of another cell with the same place.
    pub fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (own, other) in self.kept.iter_mut().zip(&other.kept) {
            own.add(other);
        }
    }

    /// Takes away objects that were added; whether what is left is certain. Where it is not, the cell
    /// has to be counted again from the objects that are left.
    #[must_use]
    pub fn take(&mut self, other: &Self) -> bool {
        let mut is_certain = take_count(&mut self.count, other.count);
        for (own, other) in self.kept.iter_mut().zip(&other.kept) {
            is_certain &= own.take(other);
        }
        is_certain
    }

    /// The objects that it is made of.
    pub fn objects(&self, spec: &Spec) -> Filter {
        let time = Column::Field(spec.time);
        let last = self.bucket.as_millis() + spec.length_ms - 1;
        let last = Time::from_millis(last).unwrap_or(Time::MAX);
        let mut parts = vec![
            Filter::Column(time, Test::Gte(Value::Time(self.bucket))),
            Filter::Column(time, Test::Lte(Value::Time(last))),
        ];
        let by = spec.by.iter().zip(&self.by);
        parts.extend(
            by.map(|(field, value)| Filter::Column(Column::Field(*field), Test::Eq(value.clone()))),
        );
        Filter::All(parts)
    }
}
