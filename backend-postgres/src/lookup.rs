//! Rows by what names them: the same for readers and for the rules within a write. Many go in one
//! query.

use std::collections::HashMap;

use osis_core::object::{Id, Row};
use osis_core::schema::{KeyId, TypeId};
use osis_core::value::Value;

use crate::catalog::Catalog;
use crate::error::Outcome;
use crate::rows::{self, BindMany};
use crate::sql::{self, Bound, Link};
use crate::statements::key_types;

/// The rows with these ids, by their ids.
pub(crate) async fn get(
    link: Link<'_>,
    catalog: &Catalog,
    type_id: TypeId,
    ids: &[Id],
) -> Outcome<HashMap<Id, Row>> {
    let (ty, statements) = catalog.of(type_id);
    let wanted = ids.iter().map(Id::as_str).collect();
    let found = link
        .all_of(&statements.get, vec![sql::texts(wanted)])
        .await?;
    let mut by_id = HashMap::with_capacity(found.len());
    for row in &found {
        let row = rows::read(ty, row, 0)?;
        by_id.insert(row.id.clone(), row);
    }
    Ok(by_id)
}

/// The rows with these values of a key, in the form in which keys are compared, by those values.
pub(crate) async fn get_by_key(
    link: Link<'_>,
    catalog: &Catalog,
    type_id: TypeId,
    key: KeyId,
    wanted: &[Vec<Value>],
) -> Outcome<HashMap<Vec<Value>, Row>> {
    let (ty, statements) = catalog.of(type_id);
    let types = key_types(ty, key);
    let columns: Vec<Vec<Value>> = (0..types.len())
        .map(|n| wanted.iter().map(|values| values[n].clone()).collect())
        .collect();
    let arrays = columns.iter().zip(types).map(|(column, ty)| {
        let bound: Bound<'_> = (Box::new(BindMany(column)), ty);
        bound
    });
    let found = link
        .all_of(&statements.get_by_key[key], arrays.collect())
        .await?;
    let mut by_key = HashMap::with_capacity(found.len());
    for row in &found {
        let row = rows::read(ty, row, 0)?;
        if let Some(values) = ty.keys[key].of(&row.values) {
            by_key.insert(values, row);
        }
    }
    Ok(by_key)
}

/// The rows whose values all equal these, in the order of their ids.
pub(crate) async fn get_by_content(
    link: Link<'_>,
    catalog: &Catalog,
    type_id: TypeId,
    values: &[Value],
) -> Outcome<Vec<Row>> {
    let (ty, statements) = catalog.of(type_id);
    let values = values.iter().zip(&ty.fields);
    let values = values.map(|(value, field)| sql::one(value, &field.kind));
    let found = link
        .all_of(&statements.get_by_content, values.collect())
        .await?;
    found.iter().map(|row| rows::read(ty, row, 0)).collect()
}

/// The rows whose ref field holds an id, in the order of their ids.
pub(crate) async fn referrers(
    link: Link<'_>,
    catalog: &Catalog,
    type_id: TypeId,
    field: usize,
    id: &Id,
) -> Outcome<Vec<Row>> {
    let (ty, statements) = catalog.of(type_id);
    let found = link
        .all_of(&statements.referrers[field], vec![sql::text(id.as_str())])
        .await?;
    found.iter().map(|row| rows::read(ty, row, 0)).collect()
}
