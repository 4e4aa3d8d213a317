//! Seeds: objects that shall be there, exactly once.
//!
//! All objects are matched with what is there before any is written, so that references may point
//! forward, also by key. A match is by id, else by the first key whose fields are all set, else by
//! the full content.

use std::collections::HashMap;

use super::overlay::Overlay;
use super::{change, write};
use crate::batch::{Outcome, SeedMode, SeedObject, SeedReport, SetMode};
use crate::error::{Error, Faults, Result};
use crate::input::{Draft, Link};
use crate::object::{Id, Row};
use crate::schema::{KeyId, Type, TypeId};
use crate::value::Value;

/// Links may hang on one another through keys this deep.
const LINKS_MAX: usize = 64;

/// Sees to it that the objects are there.
pub(super) fn seed(
    state: &mut Overlay<'_>,
    objects: &[SeedObject],
    mode: SeedMode,
) -> Result<Outcome> {
    let mut plan = Plan::new(state, objects);
    let mut faults = Faults::default();
    for n in 0..objects.len() {
        plan.link(state, n, 0, &mut faults)?;
    }
    if !faults.is_empty() {
        return Err(faults.into_error());
    }
    let Plan {
        drafts, mut ids, ..
    } = plan;
    let mut report = SeedReport::default();
    let mut written = Vec::new();
    for (n, (object, draft)) in objects.iter().zip(&drafts).enumerate() {
        let mut settling = Settling {
            mode,
            report: &mut report,
            faults: &mut faults,
        };
        match settling.settle(state, object, draft, ids.remove(&n)) {
            Ok(row) => written.extend(row.map(|row| (object, row))),
            Err(_) if !faults.is_empty() => break,
            Err(error) => return Err(error.beginning(&object.origin)),
        }
    }
    faults.finish()?;
    for (object, row) in written {
        let checked = state.check_references(object.type_id, &row);
        checked.map_err(|error| error.beginning(&object.origin))?;
    }
    Ok(Outcome::Seeded(report))
}

/// What is known while the objects are seen to, one after another.
struct Settling<'a> {
    mode: SeedMode,
    report: &'a mut SeedReport,
    faults: &'a mut Faults,
}

impl Settling<'_> {
    /// Sees to one object; answers the row that it made or changed. Faults are noted, so that
    /// those of all objects are told at once.
    fn settle(
        &mut self,
        state: &mut Overlay<'_>,
        object: &SeedObject,
        draft: &Draft,
        promised: Option<Id>,
    ) -> Result<Option<Row>> {
        let type_id = object.type_id;
        let ty = state.ty(type_id);
        let path = &object.origin;
        let before = self.faults.len();
        let Some(row) = matching(state, type_id, draft)? else {
            let values = change::made(ty, draft, path, self.faults);
            if self.faults.len() > before {
                return Ok(None);
            }
            let row = write::fresh(state, type_id, draft.id.clone().or(promised), values);
            state.check_keys(type_id, &row)?;
            state.insert(type_id, &row);
            self.report.created += 1;
            return Ok(Some(row));
        };
        let after = match self.mode {
            SeedMode::Insert => None,
            SeedMode::Update => {
                let mode = SetMode::Patch;
                let values = change::changed(ty, &row.values, draft, mode, path, self.faults);
                if self.faults.len() > before {
                    return Ok(None);
                }
                write::revised(state, &row, values)
            }
        };
        let Some(after) = after else {
            self.report.unchanged += 1;
            return Ok(None);
        };
        state.check_keys(type_id, &after)?;
        state.update(type_id, row, &after);
        self.report.updated += 1;
        Ok(Some(after))
    }
}

/// The object that a draft means, as the batch has left it so far.
fn matching(state: &mut Overlay<'_>, type_id: TypeId, draft: &Draft) -> Result<Option<Row>> {
    if let Some(id) = &draft.id {
        return state.get(type_id, id);
    }
    let ty = state.ty(type_id);
    let values = filled(ty, draft);
    let mut keys = ty.keys.iter().enumerate();
    match keys.find_map(|(key, definition)| Some((key, definition.of(&values)?))) {
        Some((key, values)) => state.get_by_key(type_id, key, &values),
        None => state.get_by_content(type_id, &values),
    }
}

/// What a new object made of a draft would hold, complete or not.
fn filled(ty: &Type, draft: &Draft) -> Vec<Value> {
    change::made(ty, draft, "", &mut Faults::default())
}

/// The drafts with their links resolved, and the ids of those that others point to.
struct Plan<'a> {
    objects: &'a [SeedObject],
    drafts: Vec<Draft>,
    /// Which object of the seed has a key.
    by_key: HashMap<(TypeId, KeyId, Vec<Value>), usize>,
    /// Ids of objects that links point to: of the object that is there, or promised to the one
    /// that will be made.
    ids: HashMap<usize, Id>,
}

impl<'a> Plan<'a> {
    fn new(state: &Overlay<'_>, objects: &'a [SeedObject]) -> Self {
        let mut by_key = HashMap::new();
        for (n, object) in objects.iter().enumerate() {
            let ty = state.ty(object.type_id);
            let values = filled(ty, &object.draft);
            for (key, definition) in ty.keys.iter().enumerate() {
                if let Some(values) = definition.of(&values) {
                    by_key.entry((object.type_id, key, values)).or_insert(n);
                }
            }
        }
        let drafts = objects.iter().map(|object| object.draft.clone()).collect();
        Self {
            objects,
            drafts,
            by_key,
            ids: HashMap::new(),
        }
    }

    /// Resolves the links of one object to ids.
    fn link(
        &mut self,
        state: &mut Overlay<'_>,
        n: usize,
        depth: usize,
        faults: &mut Faults,
    ) -> Result<()> {
        let object = &self.objects[n];
        for Link {
            field,
            to,
            key,
            values,
        } in std::mem::take(&mut self.drafts[n].links)
        {
            let values = state.ty(to).keys[key].normalise(&values);
            let id = match self.by_key.get(&(to, key, values.clone())).copied() {
                Some(target) => Some(self.id_of(state, target, depth, faults)?),
                None => state.get_by_key(to, key, &values)?.map(|row| row.id),
            };
            match id {
                Some(id) => self.drafts[n].values[field] = Some(Value::from(id.as_str())),
                None => {
                    let name = &state.ty(object.type_id).fields[field].name;
                    let wanted = state.ty(to).key_fields(key).join(", ");
                    let message = format!(
                        "refers to {} by {wanted}, but neither the store nor the seed has it",
                        state.ty(to).name
                    );
                    faults.add(format!("{}.{name}", object.origin), message);
                }
            }
        }
        Ok(())
    }

    /// The id that an object of the seed has or will have.
    fn id_of(
        &mut self,
        state: &mut Overlay<'_>,
        n: usize,
        depth: usize,
        faults: &mut Faults,
    ) -> Result<Id> {
        if let Some(id) = self.drafts[n].id.as_ref().or(self.ids.get(&n)) {
            return Ok(id.clone());
        }
        // What it matches may hang on its own links, where they are part of a key.
        let type_id = self.objects[n].type_id;
        let keys = &state.ty(type_id).keys;
        let keyed = |link: &Link| keys.iter().any(|key| key.fields.contains(&link.field));
        if self.drafts[n].links.iter().any(keyed) {
            if depth == LINKS_MAX {
                return Err(Error::invalid(
                    &*self.objects[n].origin,
                    "hangs on too many links by key",
                ));
            }
            self.link(state, n, depth + 1, faults)?;
        }
        let id = match matching(state, type_id, &self.drafts[n])? {
            Some(row) => row.id,
            None => {
                write::fresh(
                    state,
                    type_id,
                    None,
                    filled(state.ty(type_id), &self.drafts[n]),
                )
                .id
            }
        };
        self.ids.insert(n, id.clone());
        Ok(id)
    }
}
