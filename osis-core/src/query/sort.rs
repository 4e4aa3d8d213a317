//! In which order objects come.

use std::cmp::Ordering;

use crate::error::Faults;
use crate::json::Json;
use crate::object::Row;
use crate::schema::{Column, Direction, Type};
use crate::value::Value;

/// Most columns of one sort.
const COLUMNS_MAX: usize = 8;

/// A total order of the objects of a type: columns with their directions, the id last, so that
/// no two objects are equal in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort(Vec<(Column, Direction)>);

impl Sort {
    /// Completes columns to a total order.
    pub fn new(mut columns: Vec<(Column, Direction)>) -> Self {
        match columns.iter().position(|(column, _)| *column == Column::Id) {
            Some(id) => columns.truncate(id + 1),
            None => columns.push((Column::Id, Direction::Ascending)),
        }
        Self(columns)
    }

    /// The columns; the last one is the id.
    pub fn columns(&self) -> &[(Column, Direction)] {
        &self.0
    }

    /// How two objects come after one another.
    pub fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let orders = self.0.iter().map(|(column, direction)| {
            let order = a.order(*column, b);
            directed(order, *direction)
        });
        first_difference(orders)
    }

    /// How an object comes relative to a position of this order: where [`Self::position`] says
    /// that another one stands or stood.
    pub fn compare_to(&self, row: &Row, position: &[Value]) -> Ordering {
        let pairs = self.0.iter().zip(position);
        let orders = pairs.map(|((column, direction), value)| {
            let order = row.order_against(*column, value);
            directed(order, *direction)
        });
        first_difference(orders)
    }

    /// Where an object stands in it.
    pub fn position(&self, row: &Row) -> Vec<Value> {
        self.0
            .iter()
            .map(|(column, _)| row.value(*column))
            .collect()
    }
}

fn directed(order: Ordering, direction: Direction) -> Ordering {
    match direction {
        Direction::Ascending => order,
        Direction::Descending => order.reverse(),
    }
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

impl Default for Sort {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// Reads `"-created_at"` or `["category", "-name"]`; every fault is noted.
pub fn parse(
    ty: &Type,
    json: &Json,
    path: &str,
    faults: &mut Faults,
) -> Option<Vec<(Column, Direction)>> {
    let names: Vec<&Json> = match json {
        Json::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    if names.len() > COLUMNS_MAX {
        faults.add(
            path,
            format!("has {} fields, at most {COLUMNS_MAX} fit", names.len()),
        );
        return None;
    }
    let before = faults.len();
    let mut columns: Vec<(Column, Direction)> = Vec::new();
    for name in names {
        match column(ty, name) {
            Ok((column, _)) if columns.iter().any(|(known, _)| *known == column) => {
                faults.add(path, format!("names {} twice", ty.column_name(column)));
            }
            Ok(column) => columns.push(column),
            Err(message) => faults.add(path, message),
        }
    }
    (faults.len() == before).then_some(columns)
}

fn column(ty: &Type, json: &Json) -> Result<(Column, Direction), String> {
    let text = json.as_str().ok_or_else(|| {
        format!(
            "expected the name of a field, with - before it for falling order, got {}",
            json.kind()
        )
    })?;
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Descending),
        None => (text, Direction::Ascending),
    };
    let column = ty
        .column(name)
        .ok_or_else(|| format!("{} has no field {name:?}", ty.name))?;
    match column {
        Column::Field(field) if !ty.fields[field].sortable() => Err(format!(
            "{name} cannot be sorted by: it is a list, text, json, bytes or secret"
        )),
        _ => Ok((column, direction)),
    }
}
