//! Objects made exactly what they are in another store.
//!
//! What goes, and what gets another key, makes way before anything is put in place: so no key
//! clashes on the way, whatever the order in which the objects come.

use super::overlay::{Overlay, dangling};
use crate::batch::{MirrorObject, Outcome};
use crate::error::Result;
use crate::object::{Id, Row};
use crate::schema::{Type, TypeId};

/// An object that is not yet as it should be.
struct Difference<'a> {
    object: &'a MirrorObject,
    before: Option<Row>,
}

/// Makes the objects what they should be.
pub(super) fn mirror(state: &mut Overlay<'_>, objects: &[MirrorObject]) -> Result<Outcome> {
    let mut differences = Vec::new();
    for object in objects {
        let before = state.get(object.type_id, &object.id)?;
        if before != object.row {
            differences.push(Difference { object, before });
        }
    }
    for difference in &mut differences {
        make_way(state, difference);
    }
    for difference in &differences {
        put(state, difference)?;
    }
    for Difference { object, .. } in &differences {
        let origin = origin(state.ty(object.type_id), &object.id);
        let checked = match &object.row {
            Some(row) => state.check_references(object.type_id, row),
            None => check_unreferenced(state, object.type_id, &object.id),
        };
        checked.map_err(|error| error.beginning(&origin))?;
    }
    let changed = differences.len() as u64;
    Ok(Outcome::Mirrored {
        changed,
        same: objects.len() as u64 - changed,
    })
}

/// Removes what goes, and what will have another key.
fn make_way(state: &mut Overlay<'_>, difference: &mut Difference<'_>) {
    let type_id = difference.object.type_id;
    let ty = state.ty(type_id);
    let stays = |before: &Row| {
        let after = difference.object.row.as_ref();
        after.is_some_and(|after| {
            ty.keys
                .iter()
                .all(|k| k.of(&before.values) == k.of(&after.values))
        })
    };
    if let Some(before) = difference.before.take_if(|before| !stays(before)) {
        state.remove(type_id, before);
    }
}

fn put(state: &mut Overlay<'_>, difference: &Difference<'_>) -> Result<()> {
    let type_id = difference.object.type_id;
    let Some(row) = &difference.object.row else {
        return Ok(());
    };
    let checked = state.check_keys(type_id, row);
    checked.map_err(|error| error.beginning(&origin(state.ty(type_id), &row.id)))?;
    match &difference.before {
        Some(before) => state.update(type_id, before.clone(), row),
        None => state.insert(type_id, row),
    }
    Ok(())
}

/// Holds what is gone against those that still refer to it.
fn check_unreferenced(state: &mut Overlay<'_>, type_id: TypeId, id: &Id) -> Result<()> {
    for referrer in &state.ty(type_id).referrers {
        let (type_id, field) = (referrer.type_id, referrer.field);
        if !state.referrers(type_id, field, id)?.is_empty() {
            return Err(dangling(state.schema, type_id, field, id));
        }
    }
    Ok(())
}

fn origin(ty: &Type, id: &Id) -> String {
    format!("{} {id}", ty.name)
}
