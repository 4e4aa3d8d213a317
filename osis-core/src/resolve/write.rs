//! One object made or changed.

use super::change;
use super::overlay::{Overlay, id_conflict};
use crate::batch::{Outcome, SetMode};
use crate::error::{Error, ErrorKind, Faults, Result};
use crate::input::{Draft, Target, bounds_fault};
use crate::object::{Id, Row};
use crate::schema::{Type, TypeId};
use crate::store::not_found;
use crate::time::Time;
use crate::value::Value;

/// Where faults of an object's data lie.
pub(super) const DATA: &str = "data";

/// `_new`: makes an object, or answers the one that a retry finds made.
pub(super) fn new(state: &mut Overlay<'_>, type_id: TypeId, draft: &Draft) -> Result<Outcome> {
    let ty = state.ty(type_id);
    let mut faults = Faults::default();
    let values = change::made(ty, draft, DATA, &mut faults);
    faults.finish()?;
    if let Some(id) = &draft.id
        && let Some(row) = state.get(type_id, id)?
    {
        if *row.values == *values {
            return Ok(Outcome::Object { type_id, row });
        }
        let wanted = Row {
            values: values.into(),
            ..row
        };
        state.check_references(type_id, &wanted)?;
        return Err(id_conflict(ty, id));
    }
    create(state, type_id, draft.id.clone(), values)
}

/// Makes an object of these values that is known not to be there.
pub(super) fn create(
    state: &mut Overlay<'_>,
    type_id: TypeId,
    id: Option<Id>,
    values: Vec<Value>,
) -> Result<Outcome> {
    let row = fresh(state, type_id, id, values);
    state.check_references(type_id, &row)?;
    state.check_keys(type_id, &row)?;
    state.insert(type_id, &row);
    Ok(Outcome::Object { type_id, row })
}

/// A row of revision 1. The id of a log object carries its own time, so that the partition which
/// holds it follows from the id.
pub(super) fn fresh(
    state: &Overlay<'_>,
    type_id: TypeId,
    id: Option<Id>,
    values: Vec<Value>,
) -> Row {
    let now = state.now();
    let happened = |time: usize| values[time].as_time();
    let at: Time = state
        .ty(type_id)
        .log()
        .and_then(|log| happened(log.time))
        .unwrap_or(now);
    let id = id.unwrap_or_else(|| Id::generate(at));
    Row {
        id,
        rev: 1,
        created_at: now,
        updated_at: now,
        values: values.into(),
    }
}

/// A `_set`.
pub(super) struct Set<'a> {
    pub(super) target: &'a Target,
    pub(super) draft: &'a Draft,
    pub(super) mode: SetMode,
    pub(super) if_rev: Option<i64>,
    pub(super) upsert: bool,
}

/// `_set`: changes an object, or makes it where `upsert` says so.
pub(super) fn set(state: &mut Overlay<'_>, type_id: TypeId, set: &Set<'_>) -> Result<Outcome> {
    if set.upsert {
        agree(state, type_id, set)?;
    }
    let Some(row) = state.find(type_id, set.target)? else {
        return absent(state, type_id, set);
    };
    check_rev(set.if_rev, row.rev, &state.ty(type_id).name, &row.id)?;
    let mut faults = Faults::default();
    let ty = state.ty(type_id);
    let mut draft = set.draft.clone();
    if let (true, SetMode::Replace, Target::Key { key, .. }) = (set.upsert, set.mode, set.target) {
        // What the key names is part of what a replacement says; it stays as it is written here.
        for &field in &ty.keys[*key].fields {
            draft.values[field].get_or_insert_with(|| row.values[field].clone());
        }
    }
    let values = change::changed(ty, &row.values, &draft, set.mode, DATA, &mut faults);
    faults.finish()?;
    put(state, type_id, row, values)
}

/// Gives an object new values; equal ones leave no trace.
pub(super) fn put(
    state: &mut Overlay<'_>,
    type_id: TypeId,
    row: Row,
    values: Vec<Value>,
) -> Result<Outcome> {
    let Some(after) = revised(state, &row, values) else {
        return Ok(Outcome::Object { type_id, row });
    };
    state.check_references(type_id, &after)?;
    state.check_keys(type_id, &after)?;
    state.update(type_id, row, &after);
    Ok(Outcome::Object {
        type_id,
        row: after,
    })
}

/// The next revision of an object with new values; nothing if they are the same.
pub(super) fn revised(state: &Overlay<'_>, row: &Row, values: Vec<Value>) -> Option<Row> {
    (*row.values != *values).then(|| Row {
        id: row.id.clone(),
        rev: row.rev + 1,
        created_at: row.created_at,
        // The clock may have jumped back.
        updated_at: state.now().max(row.updated_at),
        values: values.into(),
    })
}

/// What a set does about an object that is not there.
fn absent(state: &mut Overlay<'_>, type_id: TypeId, set: &Set<'_>) -> Result<Outcome> {
    let ty = state.ty(type_id);
    if !set.upsert {
        return Err(not_found(ty, set.target));
    }
    if let Some(expected) = set.if_rev.filter(|rev| *rev != 0) {
        return Err(Error::new(
            ErrorKind::RevMismatch {
                expected,
                actual: 0,
            },
            format!(
                "the {} does not exist, revision {expected} was expected",
                ty.name
            ),
        ));
    }
    let mut draft = set.draft.clone();
    let mut faults = Faults::default();
    if set.mode == SetMode::Merge {
        start(ty, &mut draft, &mut faults);
    }
    let id = match set.target {
        Target::Id(id) => Some(id.clone()),
        Target::Key { key, values } => {
            for (position, value) in ty.keys[*key].fields.iter().zip(values) {
                draft.values[*position].get_or_insert_with(|| value.clone());
            }
            None
        }
    };
    let values = change::made(ty, &draft, DATA, &mut faults);
    check_time(state, type_id, id.as_ref(), &values, &mut faults);
    faults.finish()?;
    create(state, type_id, id, values)
}

/// What a merge gives to a new object: null leaves a field with a rule at its default, and what is
/// added to nothing must be within the field's bounds.
fn start(ty: &Type, draft: &mut Draft, faults: &mut Faults) {
    let ruled = ty
        .fields
        .iter()
        .zip(&mut draft.values)
        .filter(|(field, _)| field.merge.is_some());
    for (field, given) in ruled {
        match given {
            Some(Value::Null) => *given = None,
            Some(value) => {
                if let Some(fault) = bounds_fault(field, value) {
                    faults.add(format!("{DATA}.{}", field.name), fault);
                }
            }
            None => {}
        }
    }
}

/// Holds the id of a log object that an upsert makes against its time.
fn check_time(
    state: &Overlay<'_>,
    type_id: TypeId,
    id: Option<&Id>,
    values: &[Value],
    faults: &mut Faults,
) {
    let ty = state.ty(type_id);
    if let (Some(log), Some(id)) = (ty.log(), id)
        && let Some(time) = values[log.time].as_time()
        && let Some(message) = crate::input::log_id_fault(ty, log, id, time)
    {
        faults.add("id", message);
    }
}

/// Key and data of an upsert must not disagree.
fn agree(state: &Overlay<'_>, type_id: TypeId, set: &Set<'_>) -> Result<()> {
    let Target::Key { key, values } = set.target else {
        return Ok(());
    };
    let ty = state.ty(type_id);
    let definition = &ty.keys[*key];
    let mut faults = Faults::default();
    for (position, value) in definition.fields.iter().zip(values) {
        let Some(given) = &set.draft.values[*position] else {
            continue;
        };
        let same = definition.normalise(std::slice::from_ref(given))
            == definition.normalise(std::slice::from_ref(value));
        if !same {
            faults.add(
                format!("{DATA}.{}", ty.fields[*position].name),
                "disagrees with the key",
            );
        }
    }
    faults.finish()
}

/// Holds an expected revision against the real one.
pub(super) fn check_rev(expected: Option<i64>, actual: i64, ty: &str, id: &Id) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => Err(Error::new(
            ErrorKind::RevMismatch { expected, actual },
            format!("{ty} {id} has revision {actual}, {expected} was expected"),
        )),
        _ => Ok(()),
    }
}
