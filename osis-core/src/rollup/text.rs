//! The text of a cell, as it is exported and as engines keep it: JSON, flat as the rows of an
//! aggregate, `{"bucket": …, "app_id": …, "count": 3, "sum:n": 12, "values:n": 2}`.
//!
//! `values:n` says how many objects have an `n`; of a sum of doubles `exact:n` has what rounding
//! would lose. Equal cells have equal texts.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::cell::{Cell, Kept, metrics, of_type};
use super::unit;
use crate::error::{Error, Faults, Result};
use crate::json::Json;
use crate::output::Plain;
use crate::query::aggregate::{ExactSum, Figure, metric_name};
use crate::schema::{Column, FieldKind, Metric, Type};
use crate::time::Time;
use crate::value::Value;

/// Names in the text of a cell that no field of a roll-up may have.
pub(crate) const RESERVED: [&str; 2] = ["bucket", "count"];

/// Writes a cell.
#[derive(Debug)]
pub struct Shown<'a> {
    /// Its type.
    pub ty: &'a Type,
    /// The cell.
    pub cell: &'a Cell,
}

impl Shown<'_> {
    /// Its text.
    ///
    /// # Errors
    /// `Internal` if it cannot be written.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::internal("a cell cannot be written", error))
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { ty, cell } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("bucket", &Plain(&Value::Time(cell.bucket)))?;
        if let Some((_, rollup)) = of_type(ty) {
            for (field, value) in rollup.by.iter().zip(&cell.by) {
                map.serialize_entry(&ty.fields[*field].name, &Plain(value))?;
            }
            map.serialize_entry("count", &cell.count)?;
            for ((metric, column), kept) in metrics(rollup).zip(&cell.kept) {
                let name = metric_name(metric, ty);
                let named = |what: &str| format!("{what}:{}", ty.column_name(column));
                match kept {
                    Kept::Whole { values, sum } => {
                        map.serialize_entry(&name, &Figure::Whole(*sum))?;
                        map.serialize_entry(&named("values"), values)?;
                    }
                    Kept::Float { values, sum } => {
                        map.serialize_entry(&name, &finite(sum.value()))?;
                        map.serialize_entry(&named("values"), values)?;
                        map.serialize_entry(&named("exact"), &sum.text())?;
                    }
                    Kept::Least(value) | Kept::Greatest(value) => {
                        map.serialize_entry(&name, &Plain(value))?;
                    }
                }
            }
        }
        map.end()
    }
}

/// JSON has no infinity.
fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// Reads the text that an engine has kept.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(ty: &Type, text: &str) -> Result<Cell, String> {
    let json = Json::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let mut faults = Faults::default();
    let cell = read(ty, &json, "row", &mut faults);
    faults
        .finish()
        .map_err(|error| error.message().to_owned())?;
    cell.ok_or_else(|| format!("{} has no roll-up", ty.name))
}

/// Reads a cell as it was exported; what is wrong with it is noted.
pub fn read(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Cell> {
    let Some((_, rollup)) = of_type(ty) else {
        faults.add(path, format!("{} has no roll-up", ty.name));
        return None;
    };
    let Json::Object(entries) = json else {
        faults.add(path, format!("expected an object, got {}", json.kind()));
        return None;
    };
    let before = faults.len();
    let mut reader = Reader {
        entries,
        path,
        faults,
        names: Vec::new(),
    };
    let bucket = reader.bucket(rollup);
    let by = rollup.by.iter().map(|field| {
        let field = &ty.fields[*field];
        reader.value(&field.name, &field.kind)
    });
    let by: Vec<Option<Value>> = by.collect();
    let count = reader.count("count");
    let kept = metrics(rollup).map(|(metric, column)| reader.kept(ty, metric, column));
    let kept: Vec<Option<Kept>> = kept.collect();
    reader.refuse_others(ty);
    if faults.len() > before {
        return None;
    }
    Some(Cell {
        bucket: bucket?,
        by: by.into_iter().collect::<Option<_>>()?,
        count: count?,
        kept: kept.into_iter().collect::<Option<_>>()?,
    })
}

struct Reader<'a> {
    entries: &'a [(String, Json)],
    path: &'a str,
    faults: &'a mut Faults,
    /// The names that are known.
    names: Vec<String>,
}

impl<'a> Reader<'a> {
    fn entry(&mut self, name: &str) -> Option<&'a Json> {
        let found = self.entries.iter().find(|(own, _)| own == name);
        self.names.push(name.to_owned());
        found.map(|(_, json)| json)
    }

    fn wrong<T>(&mut self, name: &str, expected: &str) -> Option<T> {
        let path = format!("{}.{name}", self.path);
        self.faults.add(path, format!("expected {expected}"));
        None
    }

    fn bucket(&mut self, rollup: &crate::schema::Rollup) -> Option<Time> {
        let json = self.entry("bucket");
        let time = json.and_then(Json::as_str).and_then(Time::parse);
        let begins = time.filter(|time| unit(rollup).start(*time) == *time);
        begins.or_else(|| self.wrong("bucket", "the time at which a bucket begins"))
    }

    fn value(&mut self, name: &str, kind: &FieldKind) -> Option<Value> {
        let json = self.entry(name);
        let value = json.and_then(|json| value(kind, json));
        value.or_else(|| self.wrong(name, "a value of its field, or null"))
    }

    fn count(&mut self, name: &str) -> Option<u64> {
        let count = match self.entry(name) {
            Some(Json::Int(count)) => u64::try_from(*count).ok(),
            _ => None,
        };
        let count = count.filter(|count| i64::try_from(*count).is_ok());
        count.or_else(|| self.wrong(name, "a number of objects"))
    }

    fn kept(&mut self, ty: &Type, metric: Metric, column: Column) -> Option<Kept> {
        let (name, kind) = (metric_name(metric, ty), ty.column_kind(column));
        let field = ty.column_name(column);
        match Kept::nothing(metric, kind) {
            Kept::Whole { .. } => {
                let sum = match self.entry(&name) {
                    Some(Json::Int(sum)) => Some(*sum),
                    Some(Json::Huge(text)) => text.parse().ok(),
                    _ => None,
                };
                let sum = sum.or_else(|| self.wrong(&name, "a sum"));
                let values = self.count(&format!("values:{field}"));
                Some(Kept::Whole {
                    values: values?,
                    sum: sum?,
                })
            }
            Kept::Float { .. } => {
                // What it is rounded to follows from the exact sum.
                let _ = self.entry(&name);
                let values = self.count(&format!("values:{field}"));
                let exact = format!("exact:{field}");
                let text = self.entry(&exact).and_then(Json::as_str);
                let sum = text.and_then(ExactSum::parse);
                let sum = sum.or_else(|| self.wrong(&exact, "an exact sum, as an export has it"));
                Some(Kept::Float {
                    values: values?,
                    sum: sum?,
                })
            }
            Kept::Least(_) => self.value(&name, kind).map(Kept::Least),
            Kept::Greatest(_) => self.value(&name, kind).map(Kept::Greatest),
        }
    }

    fn refuse_others(&mut self, ty: &Type) {
        for (name, _) in self.entries {
            if !self.names.contains(name) {
                let path = format!("{}.{name}", self.path);
                let message = format!("the roll-up of {} has no column of this name", ty.name);
                self.faults.add(path, message);
            }
        }
    }
}

/// A value of a field that can be summed up or told apart; whatever the field's rules are by now.
fn value(kind: &FieldKind, json: &Json) -> Option<Value> {
    Some(match (kind, json) {
        (_, Json::Null) => Value::Null,
        (FieldKind::String | FieldKind::Enum(_) | FieldKind::Ref { .. }, Json::Str(text)) => {
            Value::from(text.as_str())
        }
        (FieldKind::Int, Json::Int(n)) => Value::Int(i64::try_from(*n).ok()?),
        (FieldKind::Float, _) => Value::Float(crate::input::double(json)?),
        (FieldKind::Bool, Json::Bool(b)) => Value::Bool(*b),
        (FieldKind::Time, Json::Str(text)) => Value::Time(Time::parse(text)?),
        _ => return None,
    })
}
