//! Objects as JSON, straight from rows.

use base64::Engine as _;
use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::object::Row;
use crate::query::aggregate::Figure;
use crate::schema::{Column, Schema, Type, TypeId};
use crate::value::Value;

/// Which parts of an object are shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shape {
    /// What is brought along.
    pub expand: Vec<Expand>,
    /// The columns shown beside the id; all that are not secret if absent.
    pub fields: Option<Vec<Column>>,
}

/// Something that `expand` brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expand {
    /// The object that a ref field points to.
    Ref(usize),
    /// The objects of a relation, by its position in [`Type::relations`].
    Relation(usize),
}

impl Expand {
    /// Its name in requests and results.
    pub fn name(self, ty: &Type) -> &str {
        match self {
            Self::Ref(field) => &ty.fields[field].name,
            Self::Relation(relation) => &ty.relations[relation].name,
        }
    }
}

/// An object with what was brought along, in the order of [`Shape::expand`].
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its type.
    pub type_id: TypeId,
    /// The whole of it.
    pub row: Row,
    /// What was brought along.
    pub expanded: Vec<Expanded>,
}

/// What was brought along for one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Expanded {
    /// The target of a ref, or the only object of a relation with limit 1.
    One(TypeId, Option<Row>),
    /// The objects of a relation.
    Many(TypeId, Vec<Row>),
}

/// Shows an object to a caller: without secrets, unset fields as null.
#[derive(Debug)]
pub struct Shown<'a> {
    schema: &'a Schema,
    object: &'a Object,
    shape: &'a Shape,
}

impl<'a> Shown<'a> {
    /// Shows an object in a shape.
    pub fn new(schema: &'a Schema, object: &'a Object, shape: &'a Shape) -> Self {
        Self {
            schema,
            object,
            shape,
        }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ty = &self.schema.types[self.object.type_id];
        let row = &self.object.row;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &row.id)?;
        match &self.shape.fields {
            None => {
                entries(&mut map, ty, row, |field| !ty.fields[field].secret)?;
            }
            Some(columns) => {
                for column in columns.iter().filter(|column| **column != Column::Id) {
                    let value = row.value(*column);
                    map.serialize_entry(ty.column_name(*column), &Plain(&value))?;
                }
            }
        }
        if !self.shape.expand.is_empty() {
            map.serialize_entry("expand", &ShownExpanded(self))?;
        }
        map.end()
    }
}

fn entries<M: SerializeMap>(
    map: &mut M,
    ty: &Type,
    row: &Row,
    wanted: impl Fn(usize) -> bool,
) -> Result<(), M::Error> {
    map.serialize_entry("rev", &row.rev)?;
    map.serialize_entry("created_at", &Plain(&Value::Time(row.created_at)))?;
    map.serialize_entry("updated_at", &Plain(&Value::Time(row.updated_at)))?;
    let fields = ty.fields.iter().zip(&row.values).enumerate();
    fields
        .filter(|(position, _)| wanted(*position))
        .try_for_each(|(_, (field, value))| map.serialize_entry(&field.name, &Plain(value)))
}

struct ShownExpanded<'a>(&'a Shown<'a>);

impl Serialize for ShownExpanded<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Shown {
            schema,
            object,
            shape,
        } = self.0;
        let ty = &schema.types[object.type_id];
        let mut map = serializer.serialize_map(Some(shape.expand.len()))?;
        for (expand, expanded) in shape.expand.iter().zip(&object.expanded) {
            let name = expand.name(ty);
            match expanded {
                Expanded::One(type_id, row) => {
                    let row = row.as_ref().map(|row| Visible {
                        ty: &schema.types[*type_id],
                        row,
                    });
                    map.serialize_entry(name, &row)?;
                }
                Expanded::Many(type_id, rows) => {
                    let ty = &schema.types[*type_id];
                    let rows: Vec<_> = rows.iter().map(|row| Visible { ty, row }).collect();
                    map.serialize_entry(name, &rows)?;
                }
            }
        }
        map.end()
    }
}

/// Shows a whole row to a caller, without secrets.
#[derive(Debug)]
pub struct Visible<'a> {
    /// Its type.
    pub ty: &'a Type,
    /// The row.
    pub row: &'a Row,
}

impl Serialize for Visible<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.row.id)?;
        entries(&mut map, self.ty, self.row, |field| {
            !self.ty.fields[field].secret
        })?;
        map.end()
    }
}

/// The whole of a row, unset fields absent: what is exported and digested.
///
/// The form is canonical: equal rows give equal texts.
#[derive(Debug)]
pub struct Whole<'a> {
    /// Its type.
    pub ty: &'a Type,
    /// The row.
    pub row: &'a Row,
    /// Whether secrets are part of it.
    pub secrets: bool,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.row.id)?;
        entries(&mut map, self.ty, self.row, |field| {
            !self.row.values[field].is_null() && (self.secrets || !self.ty.fields[field].secret)
        })?;
        map.end()
    }
}

/// A value as the API shows it.
#[derive(Debug)]
pub struct Plain<'a>(pub &'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(n) => serializer.serialize_i64(*n),
            Value::Float(x) => serializer.serialize_f64(*x),
            Value::Str(text) => serializer.serialize_str(text),
            Value::Time(time) => serializer.collect_str(time),
            Value::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| seq.serialize_element(&Plain(item)))?;
                seq.end()
            }
            Value::Json(text) => serde_json::from_str::<&RawValue>(text)
                .map_err(S::Error::custom)?
                .serialize(serializer),
            Value::Bytes(bytes) => {
                serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
            }
        }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => Plain(value).serialize(serializer),
            Self::Whole(sum) => match i64::try_from(*sum) {
                Ok(sum) => serializer.serialize_i64(sum),
                Err(_) => serializer.serialize_i128(*sum),
            },
        }
    }
}

/// A value as JSON data.
pub fn plain_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(Plain(value)).unwrap_or_default()
}
