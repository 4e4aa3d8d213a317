//! Row ↔ what PostgreSQL holds, in its binary form.
//!
//! Columns have the order of [`osis_sql::select_list`], so a row is read and bound by position,
//! without a name being looked up.

use std::error::Error as StdError;
use std::fmt;

use bytes::BytesMut;
use osis_core::object::{Id, Row};
use osis_core::schema::{Column, FieldKind, Item, Type as ObjectType};
use osis_core::time::Time;
use osis_core::value::Value;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::error::{Failure, Outcome};

type Fault = Box<dyn StdError + Sync + Send>;

/// 2000-01-01T00:00:00Z, from which PostgreSQL counts, in milliseconds since 1970.
const EPOCH_MS: i64 = 946_684_800_000;

/// Reads a row whose columns begin at `from`.
///
/// # Errors
/// [`Failure::Damaged`] where a column holds what its field cannot hold: somebody wrote it with
/// another program.
pub(crate) fn read(ty: &ObjectType, row: &tokio_postgres::Row, from: usize) -> Outcome<Row> {
    let id = match held(row, from)? {
        Some(Value::Str(id)) => Id::parse(&id),
        _ => None,
    };
    let id = id.ok_or_else(|| damaged(ty, Column::Id, None))?;
    let fault = |column| damaged(ty, column, Some(&id));
    let Some(Value::Int(rev)) = held(row, from + 1)? else {
        return Err(fault(Column::Rev));
    };
    let time = |at: usize, column| match held(row, from + at)? {
        Some(Value::Time(time)) => Ok(time),
        _ => Err(fault(column)),
    };
    let created_at = time(2, Column::CreatedAt)?;
    let updated_at = time(3, Column::UpdatedAt)?;
    let mut values = Vec::with_capacity(ty.fields.len());
    for (n, field) in ty.fields.iter().enumerate() {
        let stored = held(row, from + 4 + n)?;
        let value = stored.filter(|value| is_of(&field.kind, value));
        values.push(value.ok_or_else(|| fault(Column::Field(n)))?);
    }
    Ok(Row {
        id,
        rev,
        created_at,
        updated_at,
        values: values.into(),
    })
}

/// Reads one column of a type.
pub(crate) fn read_column(
    ty: &ObjectType,
    column: Column,
    row: &tokio_postgres::Row,
    at: usize,
) -> Outcome<Value> {
    held(row, at)?
        .filter(|value| is_of(ty.column_kind(column), value))
        .ok_or_else(|| damaged(ty, column, None))
}

/// Reads a time of no type's table; nothing if it is none.
pub(crate) fn read_time(row: &tokio_postgres::Row, at: usize) -> Outcome<Option<Time>> {
    Ok(held(row, at)?.and_then(|value| value.as_time()))
}

/// What a column holds; nothing if it is of no form that values have.
fn held(row: &tokio_postgres::Row, at: usize) -> Outcome<Option<Value>> {
    let held: Option<Held> = row.try_get(at)?;
    Ok(held.map_or(Some(Value::Null), |held| held.0))
}

fn damaged(ty: &ObjectType, column: Column, id: Option<&Id>) -> Failure {
    let what = id.map_or_else(|| ty.name.clone(), |id| format!("{} {id}", ty.name));
    let name = ty.column_name(column);
    Failure::Damaged(format!("{name} of {what} holds what it cannot hold"))
}

fn is_of(kind: &FieldKind, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Null)
        | (FieldKind::Bool, Value::Bool(_))
        | (FieldKind::Int, Value::Int(_))
        | (FieldKind::Time, Value::Time(_))
        | (FieldKind::Json, Value::Json(_))
        | (FieldKind::Bytes, Value::Bytes(_))
        | (
            FieldKind::String | FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. },
            Value::Str(_),
        ) => true,
        (FieldKind::Float, Value::Float(x)) => x.is_finite(),
        (FieldKind::List(Item::String), Value::List(items)) => {
            items.iter().all(|item| matches!(item, Value::Str(_)))
        }
        (FieldKind::List(Item::Int), Value::List(items)) => {
            items.iter().all(|item| matches!(item, Value::Int(_)))
        }
        _ => false,
    }
}

/// What a column holds that is not null.
struct Held(Option<Value>);

impl<'a> FromSql<'a> for Held {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        let value = match *ty {
            Type::BOOL => Value::Bool(bool::from_sql(ty, raw)?),
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::FLOAT8 => Value::Float(f64::from_sql(ty, raw)? + 0.0),
            Type::TEXT => Value::Str(<&str>::from_sql(ty, raw)?.into()),
            Type::JSON => Value::Json(std::str::from_utf8(raw)?.into()),
            Type::BYTEA => Value::Bytes(raw.into()),
            Type::TIMESTAMPTZ => return Ok(Self(time(i64::from_sql(&Type::INT8, raw)?))),
            Type::TEXT_ARRAY => {
                let items = Vec::<&str>::from_sql(ty, raw)?;
                Value::List(items.into_iter().map(Value::from).collect())
            }
            Type::INT8_ARRAY => {
                let items = Vec::<i64>::from_sql(ty, raw)?;
                Value::List(items.into_iter().map(Value::Int).collect())
            }
            _ => return Ok(Self(None)),
        };
        Ok(Self(Some(value)))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Microseconds since 2000 as a time; nothing outside the years that times have.
fn time(micros: i64) -> Option<Value> {
    let ms = micros.div_euclid(1000).checked_add(EPOCH_MS)?;
    Time::from_millis(ms).map(Value::Time)
}

/// A value on its way into PostgreSQL.
#[derive(Clone, Copy)]
pub(crate) struct Bind<'a>(pub(crate) &'a Value);

/// The client logs what it binds where somebody asks for its debugging: nothing of it is shown, for
/// it may be secret.
impl fmt::Debug for Bind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for Bind<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Bool(b) => b.to_sql(ty, out),
            Value::Int(n) => n.to_sql(ty, out),
            Value::Float(x) => x.to_sql(ty, out),
            Value::Str(text) | Value::Json(text) => (&**text).to_sql(&Type::TEXT, out),
            Value::Time(time) => micros(*time).to_sql(&Type::INT8, out),
            Value::Bytes(bytes) => (&**bytes).to_sql(ty, out),
            Value::List(items) => bind_items(items, ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn bind_items(items: &[Value], ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
    let binds: Vec<Bind<'_>> = items.iter().map(Bind).collect();
    binds.to_sql(ty, out)
}

fn micros(time: Time) -> i64 {
    (time.as_millis() - EPOCH_MS) * 1000
}

/// Any number of values on their way into PostgreSQL, as one array.
#[derive(Clone, Copy)]
pub(crate) struct BindMany<'a>(pub(crate) &'a [Value]);

impl fmt::Debug for BindMany<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("_")
    }
}

impl ToSql for BindMany<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        bind_items(self.0, ty, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// How PostgreSQL holds what a field of a kind has.
pub(crate) fn type_of(kind: &FieldKind) -> Type {
    match kind {
        FieldKind::Int => Type::INT8,
        FieldKind::Float => Type::FLOAT8,
        FieldKind::Bool => Type::BOOL,
        FieldKind::Time => Type::TIMESTAMPTZ,
        FieldKind::Bytes => Type::BYTEA,
        FieldKind::Json => Type::JSON,
        FieldKind::List(Item::String) => Type::TEXT_ARRAY,
        FieldKind::List(Item::Int) => Type::INT8_ARRAY,
        FieldKind::String | FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. } => {
            Type::TEXT
        }
    }
}

/// An array of what a field of a kind has. There are none of lists.
pub(crate) fn array_of(kind: &FieldKind) -> Type {
    match type_of(kind) {
        Type::INT8 => Type::INT8_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::BOOL => Type::BOOL_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// A list as JSON text.
pub(crate) fn json_list(items: &[Value]) -> String {
    let items = items.iter().map(|item| match item {
        Value::Int(n) => n.to_string(),
        other => json_string(other.as_str().unwrap_or_default()),
    });
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

/// A text as JSON: quotes, backslashes and control characters escaped.
fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
