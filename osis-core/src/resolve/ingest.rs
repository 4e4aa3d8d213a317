//! Many log objects at once.

use super::overlay::Overlay;
use super::{change, write};
use crate::batch::Outcome;
use crate::error::{Faults, Result};
use crate::input::Draft;
use crate::schema::TypeId;

/// `_ingest`: appends all objects whose id is not there yet.
pub(super) fn ingest(
    state: &mut Overlay<'_>,
    type_id: TypeId,
    drafts: &[Draft],
) -> Result<Outcome> {
    let ty = state.ty(type_id);
    let mut faults = Faults::default();
    let made: Vec<_> = drafts
        .iter()
        .enumerate()
        .map(|(n, draft)| change::made(ty, draft, &format!("items[{n}]"), &mut faults))
        .collect();
    faults.finish()?;
    let mut accepted = 0;
    for (draft, values) in drafts.iter().zip(made) {
        if let Some(id) = &draft.id
            && state.get(type_id, id)?.is_some()
        {
            continue;
        }
        write::create(state, type_id, draft.id.clone(), values)?;
        accepted += 1;
    }
    Ok(Outcome::Ingested {
        accepted,
        duplicates: drafts.len() as u64 - accepted,
    })
}
