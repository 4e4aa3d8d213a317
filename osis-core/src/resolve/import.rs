//! Whole objects put in place, as another store exported them.

use super::overlay::{Overlay, id_conflict};
use crate::batch::{ImportObject, Outcome};
use crate::error::Result;

/// Puts objects in place; those that are there with the same content are left alone.
///
/// References are checked when all are in place, since they may point forward.
pub(super) fn import(state: &mut Overlay<'_>, objects: &[ImportObject]) -> Result<Outcome> {
    let (mut imported, mut skipped) = (0, 0);
    let mut fresh = Vec::new();
    for object in objects {
        let at = |error: crate::Error| error.beginning(&object.origin);
        match state.get(object.type_id, &object.row.id)? {
            Some(row) if row == object.row => skipped += 1,
            Some(row) => return Err(at(id_conflict(state.ty(object.type_id), &row.id))),
            None => {
                state.check_keys(object.type_id, &object.row).map_err(at)?;
                state.insert(object.type_id, &object.row);
                fresh.push(object);
                imported += 1;
            }
        }
    }
    for object in fresh {
        let checked = state.check_references(object.type_id, &object.row);
        checked.map_err(|error| error.beginning(&object.origin))?;
    }
    Ok(Outcome::Imported { imported, skipped })
}
