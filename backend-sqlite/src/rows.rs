//! Row ↔ what SQLite holds.
//!
//! Columns have the order of [`osis_sql::select_list`], so a row is read and bound by position,
//! without a name being looked up.

use osis_core::object::{Id, Row};
use osis_core::schema::{Column, FieldKind, Item, Type};
use osis_core::time::Time;
use osis_core::value::Value;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::error::{Failure, Outcome};

/// Reads a row whose columns begin at `from`.
///
/// # Errors
/// [`Failure::Damaged`] where a column holds what its field cannot hold: somebody wrote it with
/// another program.
pub(crate) fn read(ty: &Type, row: &rusqlite::Row<'_>, from: usize) -> Outcome<Row> {
    let id = row.get_ref(from)?;
    let id = id
        .as_str()
        .ok()
        .and_then(Id::parse)
        .ok_or_else(|| damaged(ty, Column::Id, None))?;
    let fault = |column| damaged(ty, column, Some(&id));
    let rev = row
        .get_ref(from + 1)?
        .as_i64()
        .map_err(|_| fault(Column::Rev))?;
    let time = |at: usize, column| match value(&FieldKind::Time, row.get_ref(from + at)?) {
        Some(Value::Time(time)) => Ok(time),
        _ => Err(fault(column)),
    };
    let created_at = time(2, Column::CreatedAt)?;
    let updated_at = time(3, Column::UpdatedAt)?;
    let mut values = Vec::with_capacity(ty.fields.len());
    for (n, field) in ty.fields.iter().enumerate() {
        let stored = row.get_ref(from + 4 + n)?;
        values.push(value(&field.kind, stored).ok_or_else(|| fault(Column::Field(n)))?);
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
pub(crate) fn read_column(ty: &Type, column: Column, stored: ValueRef<'_>) -> Outcome<Value> {
    value(ty.column_kind(column), stored).ok_or_else(|| damaged(ty, column, None))
}

fn damaged(ty: &Type, column: Column, id: Option<&Id>) -> Failure {
    let (table, column) = (&ty.plural, ty.column_name(column));
    Failure::Damaged(match id {
        Some(id) => format!("column {column} of {table} holds no valid value for id {id}"),
        None => format!("column {column} of {table} holds a value that is not valid"),
    })
}

/// A stored value as the kind of its field prescribes; nothing if it is not of that form.
fn value(kind: &FieldKind, stored: ValueRef<'_>) -> Option<Value> {
    let value = match (kind, stored) {
        (_, ValueRef::Null) => Value::Null,
        (FieldKind::Bool, ValueRef::Integer(n @ (0 | 1))) => Value::Bool(n == 1),
        (FieldKind::Int, ValueRef::Integer(n)) => Value::Int(n),
        (FieldKind::Float, ValueRef::Real(x)) if x.is_finite() => Value::Float(x + 0.0),
        (FieldKind::Bytes, ValueRef::Blob(bytes)) => Value::Bytes(bytes.into()),
        (kind, ValueRef::Text(bytes)) => {
            let text = std::str::from_utf8(bytes).ok()?;
            match kind {
                FieldKind::String
                | FieldKind::Text
                | FieldKind::Enum(_)
                | FieldKind::Ref { .. } => Value::Str(text.into()),
                FieldKind::Time => Value::Time(Time::parse(text)?),
                FieldKind::Json => Value::Json(text.into()),
                FieldKind::List(item) => Value::List(items(*item, text)?),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(value)
}

fn items(item: Item, text: &str) -> Option<Box<[Value]>> {
    match item {
        Item::String => {
            let items: Vec<Box<str>> = serde_json::from_str(text).ok()?;
            Some(items.into_iter().map(Value::Str).collect())
        }
        Item::Int => {
            let items: Vec<i64> = serde_json::from_str(text).ok()?;
            Some(items.into_iter().map(Value::Int).collect())
        }
    }
}

/// A value on its way into SQLite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bind<'a>(pub(crate) &'a Value);

impl ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(b) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*b))),
            Value::Int(n) => ToSqlOutput::Borrowed(ValueRef::Integer(*n)),
            Value::Float(x) => ToSqlOutput::Borrowed(ValueRef::Real(*x)),
            Value::Str(text) | Value::Json(text) => {
                ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
            }
            Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Time(_) | Value::List(_) => ToSqlOutput::Owned(owned(self.0)),
        })
    }
}

/// A value as SQLite holds it.
pub(crate) fn owned(value: &Value) -> rusqlite::types::Value {
    use rusqlite::types::Value as Sql;
    match value {
        Value::Null => Sql::Null,
        Value::Bool(b) => Sql::Integer(i64::from(*b)),
        Value::Int(n) => Sql::Integer(*n),
        Value::Float(x) => Sql::Real(*x),
        Value::Str(text) | Value::Json(text) => Sql::Text(text.to_string()),
        Value::Time(time) => Sql::Text(time.to_string()),
        Value::List(items) => Sql::Text(list_text(items)),
        Value::Bytes(bytes) => Sql::Blob(bytes.to_vec()),
    }
}

/// A list as JSON text. Always the same text for the same list, so lists are equal exactly if
/// their texts are.
fn list_text(items: &[Value]) -> String {
    let items = items.iter().map(|item| match item {
        Value::Int(n) => serde_json::Value::from(*n),
        other => serde_json::Value::from(other.as_str().unwrap_or_default()),
    });
    serde_json::Value::Array(items.collect()).to_string()
}
