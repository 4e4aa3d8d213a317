//! Every rule of a write, in one place.
//!
//! An engine calls [`resolve`] at its point of serialisation, with a small look into its open
//! transaction; what comes back is what to write. So rules are stated once, no engine can disagree
//! about them, and a lost race is just another call.
//!
//! - `change` makes rows from what callers gave: defaults, patches, merges;
//! - `overlay` holds them against what is there: keys and references;
//! - `write`, `delete`, `ingest`, `seed`, `import` and `mirror` are the operations.

mod change;
mod delete;
mod import;
mod ingest;
mod mirror;
mod overlay;
mod seed;
mod write;

use crate::backend::ChangeOp;
use crate::batch::{Batch, Op, Outcome};
use crate::error::Result;
use crate::object::{Id, Row};
use crate::schema::{FieldKind, KeyId, Schema, TypeId};
use crate::time::Time;
use crate::value::Value;

use overlay::Overlay;

/// An engine's small look into its open transaction.
///
/// It sees what was committed before and the effects of batches written earlier in the same
/// transaction. Calls block: an engine across a network runs `resolve` on a thread of its own.
pub trait View {
    /// Tells what will be asked for, so that an engine far away fetches it in few queries.
    ///
    /// # Errors
    /// Those of the engine.
    fn prefetch(&mut self, lookups: &[Lookup]) -> Result<()> {
        let _ = lookups;
        Ok(())
    }

    /// The object with an id.
    ///
    /// # Errors
    /// Those of the engine.
    fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>>;

    /// The object with these values of a key, in the form in which keys are compared.
    ///
    /// # Errors
    /// Those of the engine.
    fn get_by_key(&mut self, type_id: TypeId, key: KeyId, values: &[Value]) -> Result<Option<Row>>;

    /// The objects whose ref field holds an id, in the order of their ids.
    ///
    /// # Errors
    /// Those of the engine.
    fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>>;

    /// The objects whose values all equal these, in the order of their ids.
    ///
    /// # Errors
    /// Those of the engine.
    fn get_by_content(&mut self, type_id: TypeId, values: &[Value]) -> Result<Vec<Row>>;
}

/// Something that a batch will ask a [`View`] for.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// An object by id.
    Id(TypeId, Id),
    /// An object by the values of a key.
    Key(TypeId, KeyId, Vec<Value>),
}

/// What a batch comes to: what to write, and what to answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effects {
    /// Rows to put and to remove, in an order in which no key clashes on the way; refs may point
    /// to rows that come later.
    pub rows: Vec<RowChange>,
    /// One outcome an operation.
    pub outcomes: Vec<Outcome>,
}

/// One row that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct RowChange {
    /// Its type.
    pub type_id: TypeId,
    /// When.
    pub at: Time,
    /// What happens to it.
    pub change: Transition,
}

/// What happens to a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Transition {
    /// It is new.
    Insert(Row),
    /// It takes the place of another with the same id.
    Update {
        /// As it was.
        before: Row,
        /// As it is to be.
        after: Row,
    },
    /// It goes.
    Remove(Row),
}

impl RowChange {
    /// What the change feed says of it: the object, its revision, the operation; nothing for log
    /// types, which make no records.
    pub fn record(&self, schema: &Schema) -> Option<(&Id, i64, ChangeOp)> {
        if schema.types[self.type_id].log().is_some() {
            return None;
        }
        Some(match &self.change {
            Transition::Insert(row) => (&row.id, row.rev, ChangeOp::New),
            Transition::Update { after, .. } => (&after.id, after.rev, ChangeOp::Set),
            Transition::Remove(row) => (&row.id, row.rev, ChangeOp::Delete),
        })
    }
}

/// Resolves a batch against a view: all of it, or the first error, which names its operation.
///
/// # Errors
/// `Invalid`, `NotFound`, `Conflict`, `RevMismatch`, `Reference` as the rules say, in the order in
/// which the contract has them; whatever the view fails with.
pub fn resolve(schema: &Schema, batch: &Batch, view: &mut dyn View, now: Time) -> Result<Effects> {
    view.prefetch(&lookups(schema, batch))?;
    let mut state = Overlay::new(schema, view, now);
    let mut outcomes = Vec::with_capacity(batch.ops.len());
    for (n, op) in batch.ops.iter().enumerate() {
        outcomes.push(one(&mut state, op).map_err(|error| error.at_op(n))?);
    }
    Ok(Effects {
        rows: state.into_changes(),
        outcomes,
    })
}

fn one(state: &mut Overlay<'_>, op: &Op) -> Result<Outcome> {
    match op {
        Op::New { type_id, draft } => write::new(state, *type_id, draft),
        Op::Set {
            type_id,
            target,
            draft,
            mode,
            if_rev,
            upsert,
        } => {
            let set = write::Set {
                target,
                draft,
                mode: *mode,
                if_rev: *if_rev,
                upsert: *upsert,
            };
            write::set(state, *type_id, &set)
        }
        Op::Delete {
            type_id,
            target,
            if_rev,
        } => delete::delete(state, *type_id, target, *if_rev),
        Op::Seed { objects, mode } => seed::seed(state, objects, *mode),
        Op::Ingest { type_id, drafts } => ingest::ingest(state, *type_id, drafts),
        Op::Import { objects } => import::import(state, objects),
        Op::Mirror { objects } => mirror::mirror(state, objects),
    }
}

/// What a batch is sure to ask a [`View`] for; it may ask for more.
///
/// [`resolve`] tells its view by itself. An engine that resolves many batches in one transaction may
/// fetch what all of them ask for at once.
pub fn lookups(schema: &Schema, batch: &Batch) -> Vec<Lookup> {
    let mut lookups = Vec::new();
    for op in &batch.ops {
        match op {
            Op::New { type_id, draft } => draft_lookups(schema, *type_id, draft, &mut lookups),
            Op::Set {
                type_id, target, ..
            }
            | Op::Delete {
                type_id, target, ..
            } => {
                lookups.push(target_lookup(schema, *type_id, target));
            }
            Op::Seed { objects, .. } => {
                for object in objects {
                    draft_lookups(schema, object.type_id, &object.draft, &mut lookups);
                }
            }
            Op::Ingest { type_id, drafts } => {
                let ids = drafts.iter().filter_map(|draft| draft.id.clone());
                lookups.extend(ids.map(|id| Lookup::Id(*type_id, id)));
            }
            Op::Import { objects } => {
                for object in objects {
                    row_lookups(schema, object.type_id, &object.row, &mut lookups);
                }
            }
            Op::Mirror { objects } => {
                for object in objects {
                    lookups.push(Lookup::Id(object.type_id, object.id.clone()));
                    if let Some(row) = &object.row {
                        row_lookups(schema, object.type_id, row, &mut lookups);
                    }
                }
            }
        }
    }
    lookups
}

/// What is looked at for a row that is put in place: who has its id and its keys, what it refers to.
fn row_lookups(schema: &Schema, type_id: TypeId, row: &Row, lookups: &mut Vec<Lookup>) {
    lookups.push(Lookup::Id(type_id, row.id.clone()));
    for (key, definition) in schema.types[type_id].keys.iter().enumerate() {
        let values = definition.of(&row.values);
        lookups.extend(values.map(|values| Lookup::Key(type_id, key, values)));
    }
    reference_lookups(schema, type_id, &row.values, lookups);
}

fn draft_lookups(
    schema: &Schema,
    type_id: TypeId,
    draft: &crate::input::Draft,
    lookups: &mut Vec<Lookup>,
) {
    lookups.extend(draft.id.clone().map(|id| Lookup::Id(type_id, id)));
    let set: Vec<Value> = draft
        .values
        .iter()
        .map(|value| value.clone().unwrap_or(Value::Null))
        .collect();
    for (key, definition) in schema.types[type_id].keys.iter().enumerate() {
        let values = definition.of(&set);
        lookups.extend(values.map(|values| Lookup::Key(type_id, key, values)));
    }
    reference_lookups(schema, type_id, &set, lookups);
}

/// What an object's values refer to.
fn reference_lookups(
    schema: &Schema,
    type_id: TypeId,
    values: &[Value],
    lookups: &mut Vec<Lookup>,
) {
    for (field, value) in schema.types[type_id].fields.iter().zip(values) {
        if let (FieldKind::Ref { to, .. }, Value::Str(id)) = (&field.kind, value)
            && let Some(id) = Id::parse(id)
        {
            lookups.push(Lookup::Id(*to, id));
        }
    }
}

fn target_lookup(schema: &Schema, type_id: TypeId, target: &crate::input::Target) -> Lookup {
    match target {
        crate::input::Target::Id(id) => Lookup::Id(type_id, id.clone()),
        crate::input::Target::Key { key, values } => {
            let values = schema.types[type_id].keys[*key].normalise(values);
            Lookup::Key(type_id, *key, values)
        }
    }
}
