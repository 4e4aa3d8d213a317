//! Deletes, with what goes along and what forbids them.

use std::collections::HashSet;

use super::overlay::Overlay;
use super::write;
use crate::batch::Outcome;
use crate::error::{Error, ErrorKind, Result};
use crate::input::Target;
use crate::object::{Id, Row};
use crate::schema::{OnDelete, TypeId};
use crate::value::Value;

/// `_delete`: removes an object and, following the references to it, what goes along.
pub(super) fn delete(
    state: &mut Overlay<'_>,
    type_id: TypeId,
    target: &Target,
    if_rev: Option<i64>,
) -> Result<Outcome> {
    let row = state.require(type_id, target)?;
    write::check_rev(if_rev, row.rev, &state.ty(type_id).name, &row.id)?;
    let doomed = cascade(state, type_id, row)?;
    let gone: HashSet<(TypeId, Id)> = doomed
        .iter()
        .map(|(type_id, row)| (*type_id, row.id.clone()))
        .collect();
    release(state, &doomed, &gone)?;
    let mut counts = vec![0u64; state.schema.types.len()];
    // What refers goes before what it refers to.
    for (type_id, row) in doomed.into_iter().rev() {
        counts[type_id] += 1;
        remove_current(state, type_id, row)?;
    }
    let counts = counts
        .into_iter()
        .enumerate()
        .filter(|(_, count)| *count > 0);
    Ok(Outcome::Deleted(counts.collect()))
}

/// The object and all that goes along with it, referents before their referrers.
fn cascade(state: &mut Overlay<'_>, type_id: TypeId, row: Row) -> Result<Vec<(TypeId, Row)>> {
    let mut seen = HashSet::from([(type_id, row.id.clone())]);
    let mut doomed = vec![(type_id, row)];
    let mut next = 0;
    while let Some((type_id, row)) = doomed.get(next) {
        let (type_id, id) = (*type_id, row.id.clone());
        next += 1;
        for referrer in &state.ty(type_id).referrers {
            if referrer.on_delete != OnDelete::Cascade {
                continue;
            }
            for row in state.referrers(referrer.type_id, referrer.field, &id)? {
                if seen.insert((referrer.type_id, row.id.clone())) {
                    doomed.push((referrer.type_id, row));
                }
            }
        }
    }
    Ok(doomed)
}

/// Unsets the references of those that stay, or refuses where one of them restricts the delete.
fn release(
    state: &mut Overlay<'_>,
    doomed: &[(TypeId, Row)],
    gone: &HashSet<(TypeId, Id)>,
) -> Result<()> {
    for (type_id, row) in doomed {
        for referrer in &state.ty(*type_id).referrers {
            if referrer.on_delete == OnDelete::Cascade {
                continue;
            }
            for other in state.referrers(referrer.type_id, referrer.field, &row.id)? {
                if gone.contains(&(referrer.type_id, other.id.clone())) {
                    continue;
                }
                if referrer.on_delete == OnDelete::Restrict {
                    return Err(restricted(
                        state,
                        *type_id,
                        row,
                        referrer.type_id,
                        referrer.field,
                        &other.id,
                    ));
                }
                let mut values = other.values.to_vec();
                values[referrer.field] = Value::Null;
                write::put(state, referrer.type_id, other, values)?;
            }
        }
    }
    Ok(())
}

fn restricted(
    state: &Overlay<'_>,
    type_id: TypeId,
    row: &Row,
    by_type: TypeId,
    field: usize,
    by: &Id,
) -> Error {
    let (ty, by_type) = (state.ty(type_id), state.ty(by_type));
    let name = &by_type.fields[field].name;
    Error::new(
        ErrorKind::Reference {
            type_name: by_type.name.clone(),
            field: name.clone(),
            id: by.clone(),
        },
        format!(
            "{} {} is referred to by {name} of {} {by}",
            ty.name, row.id, by_type.name
        ),
    )
}

/// Removes an object as it is by now: its own references may have been unset on the way.
fn remove_current(state: &mut Overlay<'_>, type_id: TypeId, row: Row) -> Result<()> {
    let current = state.get(type_id, &row.id)?.unwrap_or(row);
    state.remove(type_id, current);
    Ok(())
}
