//! Which aggregates cells answer, and how: with the same numbers as the objects would.

use super::cell::{Kept, metrics, of_type};
use super::{Cell, CellScan, KeyRange, unit};
use crate::object::{Id, Row};
use crate::output::plain_json;
use crate::query::aggregate::{Aggregate, Groups, Part, Unit};
use crate::query::{Filter, Test};
use crate::schema::{Column, LogOptions, Metric, Rollup, Type};
use crate::time::Time;
use crate::value::Value;

/// The most values of the first field that cells are looked up by, one by one.
const VALUES_MAX: usize = 100;

/// How the cells of a type answer an aggregate.
#[derive(Debug)]
pub struct Plan<'a> {
    aggregate: &'a Aggregate,
    log: &'a LogOptions,
    rollup: &'a Rollup,
    /// Where the value of each group's column is among those of a cell.
    groups: Vec<usize>,
    /// Where each metric is in a cell.
    sources: Vec<Source>,
    /// A row as the filter sees it: the time and the roll-up's fields of a cell, all else unset.
    seen: Row,
}

/// Where a metric is in a cell.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// The number of its objects.
    Count,
    /// What is kept, at this place.
    Kept(usize),
    /// The value that all its objects have in a field, at this place.
    By(usize),
}

impl<'a> Plan<'a> {
    /// How cells answer an aggregate; nothing if they do not hold all that it asks for.
    pub fn of(ty: &'a Type, aggregate: &'a Aggregate) -> Option<Self> {
        let (log, rollup) = of_type(ty)?;
        let place = |column: Column| {
            let Column::Field(field) = column else {
                return None;
            };
            rollup.by.iter().position(|by| *by == field)
        };
        let groups = aggregate.group_by.iter().map(|column| place(*column));
        let groups = groups.collect::<Option<Vec<usize>>>()?;
        if let Some(bucket) = aggregate.bucket {
            let is_whole = bucket.unit != Unit::Hour || unit(rollup) == Unit::Hour;
            if bucket.column != Column::Field(log.time) || !is_whole {
                return None;
            }
        }
        let kept = |metric: Metric| {
            let at = metrics(rollup).position(|(own, _)| own == metric);
            at.map(Source::Kept)
        };
        let source = |metric: &Metric| match *metric {
            Metric::Count => Some(Source::Count),
            Metric::Sum(column) | Metric::Avg(column) => kept(Metric::Sum(column)),
            Metric::Unique(column) => place(column).map(Source::By),
            Metric::Min(column) | Metric::Max(column) => {
                kept(*metric).or_else(|| place(column).map(Source::By))
            }
        };
        let sources = aggregate.metrics.iter().map(source);
        let sources = sources.collect::<Option<Vec<Source>>>()?;
        let is_told = |column: Column| place(column).is_some();
        if !has_whole_buckets(&aggregate.filter, log, rollup, &is_told) {
            return None;
        }
        Some(Self {
            aggregate,
            log,
            rollup,
            groups,
            sources,
            seen: Row {
                id: Id::trusted("cell"),
                rev: 1,
                created_at: Time::MIN,
                updated_at: Time::MIN,
                values: vec![Value::Null; ty.fields.len()].into(),
            },
        })
    }

    /// The cells that it needs, from the first page on; there may be others among them.
    pub fn scan(&self) -> CellScan {
        let mut scan = CellScan::all(self.aggregate.type_id);
        let mut parts = Vec::new();
        conjuncts(&self.aggregate.filter, &mut parts);
        let time = Column::Field(self.log.time);
        for (column, test) in &parts {
            if *column != time {
                continue;
            }
            match test {
                Test::Gte(Value::Time(from)) | Test::Gt(Value::Time(from)) => {
                    scan.from = scan.from.max(*from);
                }
                Test::Lt(Value::Time(until)) => {
                    scan.until = Some(scan.until.map_or(*until, |own| own.min(*until)));
                }
                _ => {}
            }
        }
        scan.keys = self.keys(&parts);
        scan
    }

    /// Takes a cell into groups; one that is not meant adds nothing.
    pub fn add(&mut self, groups: &mut Groups<'_>, cell: &Cell) {
        self.seen.values[self.log.time] = Value::Time(cell.bucket);
        for (field, value) in self.rollup.by.iter().zip(&cell.by) {
            self.seen.values[*field].clone_from(value);
        }
        if !self.aggregate.filter.matches(&self.seen) {
            return;
        }
        let bucket = self.aggregate.bucket.map(|bucket| {
            let start = bucket.unit.start(cell.bucket);
            Value::Time(start)
        });
        let by = self.groups.iter().map(|at| cell.by[*at].clone());
        let key = bucket.into_iter().chain(by).collect();
        let parts: Vec<Part<'_>> = self
            .sources
            .iter()
            .map(|source| match source {
                Source::Count => Part::Count(cell.count),
                Source::By(at) => Part::One(&cell.by[*at]),
                Source::Kept(at) => match &cell.kept[*at] {
                    Kept::Whole { values, sum } => Part::Whole(*values, *sum),
                    Kept::Float { values, sum } => Part::Float(*values, sum),
                    Kept::Least(value) | Kept::Greatest(value) => Part::One(value),
                },
            })
            .collect();
        groups.add_many(key, &parts);
    }

    /// The groups of no cells yet.
    pub fn groups(&self, ty: &Type) -> Groups<'a> {
        Groups::new(self.aggregate, ty)
    }

    /// The keys of the cells that a filter may mean: all that begin with the values that it names of
    /// the roll-up's first fields.
    fn keys(&self, parts: &[(Column, &Test)]) -> Vec<KeyRange> {
        let mut starts: Vec<String> = vec!["[".to_owned()];
        let fields = self.rollup.by.len();
        for (n, field) in self.rollup.by.iter().enumerate() {
            let named = parts.iter().find_map(|(column, test)| match test {
                Test::Eq(value) if *column == Column::Field(*field) => Some(vec![value]),
                Test::In(values) if *column == Column::Field(*field) && n == 0 => {
                    Some(values.iter().collect())
                }
                _ => None,
            });
            let Some(values) = named.filter(|values| values.len() <= VALUES_MAX) else {
                break;
            };
            let behind = if n + 1 == fields { ']' } else { ',' };
            let longer = |start: &String| {
                let text = |value: &&Value| format!("{start}{}{behind}", plain_json(value));
                values.iter().map(text).collect::<Vec<_>>()
            };
            starts = starts.iter().flat_map(longer).collect();
        }
        if starts.iter().any(|start| start == "[") {
            return Vec::new();
        }
        starts.sort_unstable();
        starts.dedup();
        // Those of which the key is a hash may have any values.
        let hashed = KeyRange {
            from: "#".into(),
            until: "$".into(),
        };
        let ranges = starts.into_iter().map(|start| KeyRange {
            until: next(&start).into(),
            from: start.into(),
        });
        std::iter::once(hashed).chain(ranges).collect()
    }
}

/// The first text behind all that begin with one that ends in `,` or `]`.
fn next(start: &str) -> String {
    let mut text = start.to_owned();
    match text.pop() {
        Some(',') => text.push('-'),
        _ => text.push('^'),
    }
    text
}

/// The tests that all must hold.
fn conjuncts<'f>(filter: &'f Filter, found: &mut Vec<(Column, &'f Test)>) {
    match filter {
        Filter::All(parts) => parts.iter().for_each(|part| conjuncts(part, found)),
        Filter::Column(column, test) => found.push((*column, test)),
        Filter::Any(_) | Filter::Not(_) => {}
    }
}

/// Whether a filter means all objects of a cell or none: it is about the fields that tell cells apart,
/// and about times where buckets begin.
fn has_whole_buckets(
    filter: &Filter,
    log: &LogOptions,
    rollup: &Rollup,
    is_told: &dyn Fn(Column) -> bool,
) -> bool {
    let begins = |time: Option<Time>| time.is_none_or(|time| unit(rollup).start(time) == time);
    let after = |time: Time| Time::from_millis(time.as_millis() + 1);
    match filter {
        Filter::All(parts) | Filter::Any(parts) => parts
            .iter()
            .all(|part| has_whole_buckets(part, log, rollup, is_told)),
        Filter::Not(part) => has_whole_buckets(part, log, rollup, is_told),
        Filter::Column(column, test) if *column == Column::Field(log.time) => match test {
            Test::Gte(Value::Time(time)) | Test::Lt(Value::Time(time)) => begins(Some(*time)),
            Test::Gt(Value::Time(time)) | Test::Lte(Value::Time(time)) => begins(after(*time)),
            // The time is always set.
            Test::Exists(_) | Test::Eq(Value::Null) => true,
            _ => false,
        },
        Filter::Column(column, _) => is_told(*column),
    }
}
