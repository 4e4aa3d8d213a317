//! Looks at what is served: each object against its type, its references, and the keys by which it is
//! found.

use osis_core::backend::{Problem, Scope};
use osis_core::error::Faults;
use osis_core::input::{self, Target};
use osis_core::json::Json;
use osis_core::output::Whole;
use osis_core::schema::{FieldKind, Type};
use osis_core::store::Reader;
use osis_core::{Error, ErrorKind, Id, Result, Row, Store, Value};

use super::{Checked, Finding, WHO, damage};
use crate::Progress;
use crate::view::View as _;

/// Looks at all that is served. Where the engine finds damage, the rest of a type is passed over.
pub(super) async fn served(
    store: &Store,
    checked: &mut Checked,
    progress: Progress<'_>,
) -> Result<()> {
    for ty in &store.schema().types {
        let problems = &mut checked.problems;
        let Err(error) = served_type(store, ty, problems, &mut *progress).await else {
            continue;
        };
        let Problem {
            path,
            line,
            message,
        } = damage(error)?;
        problems.push(Finding {
            path: Some(path),
            line,
            type_name: Some(ty.name.clone()),
            id: None,
            message,
        });
    }
    Ok(())
}

async fn served_type(
    store: &Store,
    ty: &Type,
    problems: &mut Vec<Finding>,
    progress: Progress<'_>,
) -> Result<()> {
    let mut reader = store.read(&WHO, Scope::Consistent, None).await?;
    let mut after: Option<Id> = None;
    loop {
        let page = reader.page(ty.id, after.as_ref()).await?;
        for row in &page.rows {
            let faults = faults(ty, row)?;
            problems.extend(faults.map(|message| of_object(ty, &row.id, message)));
        }
        references(ty, &page.rows, &mut reader, problems).await?;
        keys(ty, &page.rows, &mut reader, problems).await?;
        progress(page.rows.len() as u64);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

fn of_object(ty: &Type, id: &Id, message: String) -> Finding {
    Finding {
        type_name: Some(ty.name.clone()),
        id: Some(id.clone()),
        message,
        ..Finding::default()
    }
}

/// What of an object breaks the rules of its type.
fn faults(ty: &Type, row: &Row) -> Result<Option<String>> {
    let whole = Whole {
        ty,
        row,
        secrets: true,
    };
    let cannot = |error: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Internal,
            format!("{} {}: {error}", ty.name, row.id),
        )
    };
    let text = serde_json::to_vec(&whole).map_err(|error| cannot(&error))?;
    let json = Json::parse(&text).map_err(|error| cannot(&error))?;
    let mut faults = Faults::default();
    input::row(ty, &json, &ty.name, &mut faults);
    Ok(faults
        .finish()
        .err()
        .map(|error| error.message().to_owned()))
}

async fn references(
    ty: &Type,
    rows: &[Row],
    reader: &mut Reader,
    problems: &mut Vec<Finding>,
) -> Result<()> {
    for (at, field) in ty.fields.iter().enumerate() {
        let FieldKind::Ref { to, .. } = field.kind else {
            continue;
        };
        let held = rows
            .iter()
            .filter_map(|row| Some((row, row.values[at].as_str()?)));
        let held: Vec<(&Row, Id)> = held.map(|(row, id)| (row, Id::trusted(id))).collect();
        let ids: Vec<Id> = held.iter().map(|(_, id)| id.clone()).collect();
        let found = reader.find_ids(to, &ids).await?;
        let missing = held.iter().zip(found).filter(|(_, found)| found.is_none());
        problems.extend(missing.map(|((row, id), _)| {
            let message = format!("{} refers to {id}, which does not exist", field.name);
            of_object(ty, &row.id, message)
        }));
    }
    Ok(())
}

/// Whether each object is found by its keys.
async fn keys(
    ty: &Type,
    rows: &[Row],
    reader: &mut Reader,
    problems: &mut Vec<Finding>,
) -> Result<()> {
    for (key, definition) in ty.keys.iter().enumerate() {
        let keyed = rows
            .iter()
            .filter(|row| definition.of(&row.values).is_some());
        let keyed: Vec<&Row> = keyed.collect();
        let values = |row: &Row| -> Vec<Value> {
            definition
                .fields
                .iter()
                .map(|&at| row.values[at].clone())
                .collect()
        };
        let targets: Vec<Target> = keyed
            .iter()
            .map(|row| Target::Key {
                key,
                values: values(row),
            })
            .collect();
        let found = reader.get(ty.id, &targets, &[]).await?;
        let names = ty.key_fields(key).join(", ");
        for (row, found) in keyed.into_iter().zip(found) {
            let message = match found {
                Ok(object) if object.row.id == row.id => continue,
                Ok(object) => format!("has the same {names} as {}", object.row.id),
                Err(_) => format!("is not found by its {names}; osis reindex mends that"),
            };
            problems.push(of_object(ty, &row.id, message));
        }
    }
    Ok(())
}
