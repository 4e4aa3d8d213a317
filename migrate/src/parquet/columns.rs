//! Columns of a Parquet file: which there are, and the values of rows in them.
//!
//! Source: <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md>; levels as in the
//! same project's README, "Nested Encoding".

use std::fs::File;
use std::sync::Arc;

use osis_core::schema::{self, FieldKind, Item, Type};
use osis_core::{Row, Value};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type as Node, TypePtr};

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<'a> {
    name: &'a str,
    of: schema::Column,
    form: Form,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Bool,
    Int,
    Float,
    Text,
    Time,
    Json,
    Bytes,
    Texts,
    Ints,
}

/// The columns of a type: those of the system, then its fields.
pub(super) fn of(ty: &Type, without_secrets: bool) -> Vec<Column<'_>> {
    let system = ["id", "rev", "created_at", "updated_at"];
    let fields = ty.fields.iter();
    let fields = fields.filter(|field| !(without_secrets && field.secret));
    let names = system
        .into_iter()
        .chain(fields.map(|field| field.name.as_str()));
    names
        .filter_map(|name| {
            let of = ty.column(name)?;
            let form = form(ty.column_kind(of));
            Some(Column { name, of, form })
        })
        .collect()
}

fn form(kind: &FieldKind) -> Form {
    match kind {
        FieldKind::Bool => Form::Bool,
        FieldKind::Int => Form::Int,
        FieldKind::Float => Form::Float,
        FieldKind::Time => Form::Time,
        FieldKind::Json => Form::Json,
        FieldKind::Bytes => Form::Bytes,
        FieldKind::List(Item::String) => Form::Texts,
        FieldKind::List(Item::Int) => Form::Ints,
        FieldKind::String | FieldKind::Text | FieldKind::Enum(_) | FieldKind::Ref { .. } => {
            Form::Text
        }
    }
}

/// The schema of a type's files.
pub(super) fn schema(ty: &Type, columns: &[Column<'_>]) -> TypePtr {
    let nodes = columns.iter().map(|column| Arc::new(column.node()));
    let root = Node::group_type_builder(&ty.name).with_fields(nodes.collect());
    Arc::new(root.build().expect("a group of fields with distinct names"))
}

impl Column<'_> {
    fn node(&self) -> Node {
        let repetition = match self.of {
            schema::Column::Field(_) => Repetition::OPTIONAL,
            _ => Repetition::REQUIRED,
        };
        match self.form {
            Form::Texts => self.list(Form::Text),
            Form::Ints => self.list(Form::Int),
            form => primitive(self.name, form, repetition),
        }
    }

    /// A list as the format wants it: three levels, of which the middle one repeats.
    fn list(&self, item: Form) -> Node {
        let element = primitive("element", item, Repetition::REQUIRED);
        let list = Node::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![Arc::new(element)])
            .build()
            .expect("a group of one field");
        Node::group_type_builder(self.name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![Arc::new(list)])
            .build()
            .expect("a list of one repeated group")
    }

    fn value(&self, row: &Row) -> Value {
        match self.of {
            schema::Column::Id => Value::Str(row.id.as_str().into()),
            schema::Column::Rev => Value::Int(row.rev),
            schema::Column::CreatedAt => Value::Time(row.created_at),
            schema::Column::UpdatedAt => Value::Time(row.updated_at),
            schema::Column::Field(at) => row.values[at].clone(),
        }
    }
}

fn primitive(name: &str, form: Form, repetition: Repetition) -> Node {
    let (physical, logical) = match form {
        Form::Bool => (Physical::BOOLEAN, None),
        Form::Int | Form::Ints => (Physical::INT64, None),
        Form::Float => (Physical::DOUBLE, None),
        Form::Text | Form::Texts => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Form::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        Form::Bytes => (Physical::BYTE_ARRAY, None),
        Form::Time => {
            let utc = LogicalType::timestamp(true, TimeUnit::MILLIS);
            (Physical::INT64, Some(utc))
        }
    };
    Node::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build()
        .expect("each physical type stands with a logical one that it can have")
}

/// Writes rows as one row group.
pub(super) fn write(
    writer: &mut SerializedFileWriter<File>,
    columns: &[Column<'_>],
    rows: &[Row],
) -> Result<()> {
    let mut group = writer.next_row_group()?;
    for column in columns {
        let Some(mut chunk) = group.next_column()? else {
            return Err(ParquetError::General("a column is missing".to_owned()));
        };
        let values = Values::of(column, rows);
        values.write(chunk.untyped())?;
        chunk.close()?;
    }
    group.close()?;
    Ok(())
}

/// The values of a column that are there, and the levels that say where.
#[derive(Default)]
struct Values {
    present: Vec<Value>,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Values {
    fn of(column: &Column<'_>, rows: &[Row]) -> Self {
        let mut values = Self::default();
        for row in rows {
            let value = column.value(row);
            match column.form {
                Form::Texts | Form::Ints => values.list(&value),
                _ => values.single(value),
            }
        }
        values
    }

    fn single(&mut self, value: Value) {
        self.definition.push(i16::from(!value.is_null()));
        if !value.is_null() {
            self.present.push(value);
        }
    }

    /// Unset is 0, empty 1, an item 2; each item but the first repeats.
    fn list(&mut self, value: &Value) {
        if value.items().is_empty() {
            self.definition.push(i16::from(!value.is_null()));
            self.repetition.push(0);
            return;
        }
        for (at, item) in value.items().iter().enumerate() {
            self.definition.push(2);
            self.repetition.push(i16::from(at > 0));
            self.present.push(item.clone());
        }
    }

    fn write(&self, column: &mut ColumnWriter<'_>) -> Result<()> {
        // A column of the system has no levels: it is required.
        let levels = Some(self.definition.as_slice());
        let repetition = Some(self.repetition.as_slice()).filter(|levels| !levels.is_empty());
        let done = match column {
            ColumnWriter::BoolColumnWriter(to) => {
                let values = self.map(|value| match value {
                    Value::Bool(value) => Some(*value),
                    _ => None,
                })?;
                to.write_batch(&values, levels, repetition)
            }
            ColumnWriter::Int64ColumnWriter(to) => {
                let values = self.map(|value| match value {
                    Value::Time(time) => Some(time.as_millis()),
                    other => other.as_int(),
                })?;
                to.write_batch(&values, levels, repetition)
            }
            ColumnWriter::DoubleColumnWriter(to) => {
                let values = self.map(|value| match value {
                    Value::Float(value) => Some(*value),
                    _ => None,
                })?;
                to.write_batch(&values, levels, repetition)
            }
            ColumnWriter::ByteArrayColumnWriter(to) => {
                let values = self.map(|value| match value {
                    Value::Str(text) | Value::Json(text) => Some(ByteArray::from(&**text)),
                    Value::Bytes(bytes) => Some(ByteArray::from(bytes.to_vec())),
                    _ => None,
                })?;
                to.write_batch(&values, levels, repetition)
            }
            _ => return Err(of_another_type()),
        };
        done.map(|_| ())
    }

    fn map<T>(&self, to: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
        let values = self.present.iter().map(to).collect::<Option<Vec<T>>>();
        values.ok_or_else(of_another_type)
    }
}

fn of_another_type() -> ParquetError {
    ParquetError::General("a value is of another type than its column".to_owned())
}
