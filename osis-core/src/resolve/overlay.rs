//! The state of a batch in the making: what the engine's view shows, with the batch's own changes
//! on top.

use std::collections::{BTreeSet, HashMap};

use super::{RowChange, Transition, View};
use crate::error::{Error, ErrorKind, Result};
use crate::input::Target;
use crate::object::{Id, Row};
use crate::schema::{FieldKind, Key, KeyId, Schema, Type, TypeId};
use crate::store::not_found;
use crate::time::Time;
use crate::value::Value;

/// A view with the changes of one batch on top, and the rules that every change must keep.
pub(super) struct Overlay<'a> {
    pub(super) schema: &'a Schema,
    view: &'a mut dyn View,
    now: Time,
    /// Objects that the batch has touched: as they are now, or that they are gone.
    rows: HashMap<(TypeId, Id), Option<Row>>,
    /// Who has a key that the batch has set: the last object that took it.
    keys: HashMap<(TypeId, KeyId, Vec<Value>), Id>,
    /// Objects that the batch has made or changed, by their whole content, where a type has no key
    /// by which a seed could match them.
    contents: HashMap<(TypeId, Box<[Value]>), BTreeSet<Id>>,
    /// Objects that the batch has made or changed, by what their refs hold.
    refs: HashMap<(TypeId, usize, Box<str>), Vec<Id>>,
    changes: Vec<RowChange>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(schema: &'a Schema, view: &'a mut dyn View, now: Time) -> Self {
        Self {
            schema,
            view,
            now,
            rows: HashMap::new(),
            keys: HashMap::new(),
            contents: HashMap::new(),
            refs: HashMap::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn into_changes(self) -> Vec<RowChange> {
        self.changes
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    pub(super) fn ty(&self, type_id: TypeId) -> &'a Type {
        &self.schema.types[type_id]
    }

    /// The object with an id, as the batch has left it so far.
    pub(super) fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        match self.rows.get(&(type_id, id.clone())) {
            Some(row) => Ok(row.clone()),
            None => self.view.get(type_id, id),
        }
    }

    /// The object with these values of a key (in the form in which keys are compared).
    pub(super) fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Value],
    ) -> Result<Option<Row>> {
        let definition = &self.ty(type_id).keys[key];
        let own = self.keys.get(&(type_id, key, values.to_vec())).cloned();
        if let Some(id) = own
            && let Some(row) = self.get(type_id, &id)?
            && holds(definition, &row, values)
        {
            return Ok(Some(row));
        }
        let Some(stored) = self.view.get_by_key(type_id, key, values)? else {
            return Ok(None);
        };
        let current = self.get(type_id, &stored.id)?;
        Ok(current.filter(|row| holds(definition, row, values)))
    }

    /// The object that a target names.
    pub(super) fn find(&mut self, type_id: TypeId, target: &Target) -> Result<Option<Row>> {
        match target {
            Target::Id(id) => self.get(type_id, id),
            Target::Key { key, values } => {
                let values = self.ty(type_id).keys[*key].normalise(values);
                self.get_by_key(type_id, *key, &values)
            }
        }
    }

    /// The object that a target names, or `NotFound`.
    pub(super) fn require(&mut self, type_id: TypeId, target: &Target) -> Result<Row> {
        let found = self.find(type_id, target)?;
        found.ok_or_else(|| not_found(self.ty(type_id), target))
    }

    /// The object with the least id whose values all equal these.
    pub(super) fn get_by_content(
        &mut self,
        type_id: TypeId,
        values: &[Value],
    ) -> Result<Option<Row>> {
        let ids = self
            .contents
            .get(&(type_id, values.into()))
            .cloned()
            .unwrap_or_default();
        for id in ids {
            if let Some(Some(row)) = self.rows.get(&(type_id, id))
                && *row.values == *values
            {
                return Ok(Some(row.clone()));
            }
        }
        let stored = self.view.get_by_content(type_id, values)?;
        let touched = |row: &Row| self.rows.contains_key(&(type_id, row.id.clone()));
        Ok(stored.into_iter().find(|row| !touched(row)))
    }

    /// The objects whose ref field holds an id, in the order of their ids.
    pub(super) fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>> {
        let mut found = self.view.referrers(type_id, field, id)?;
        found.retain(|row| !self.rows.contains_key(&(type_id, row.id.clone())));
        let own = self.refs.get(&(type_id, field, id.as_str().into()));
        for own in own.into_iter().flatten() {
            if let Some(Some(row)) = self.rows.get(&(type_id, own.clone()))
                && row.values[field].as_str() == Some(id.as_str())
                && !found.iter().any(|known| known.id == row.id)
            {
                found.push(row.clone());
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(found)
    }

    /// Holds a row's references against what is there.
    pub(super) fn check_references(&mut self, type_id: TypeId, row: &Row) -> Result<()> {
        for (position, field) in self.ty(type_id).fields.iter().enumerate() {
            if let (FieldKind::Ref { to, .. }, Value::Str(held)) =
                (&field.kind, &row.values[position])
            {
                let id = Id::trusted(held);
                let to_itself = *to == type_id && id == row.id;
                if !to_itself && self.get(*to, &id)?.is_none() {
                    return Err(dangling(self.schema, type_id, position, &id));
                }
            }
        }
        Ok(())
    }

    /// Holds a row's keys against those of all other objects, in the order of the contract.
    pub(super) fn check_keys(&mut self, type_id: TypeId, row: &Row) -> Result<()> {
        for (key, definition) in self.ty(type_id).keys.iter().enumerate() {
            let Some(values) = definition.of(&row.values) else {
                continue;
            };
            if let Some(other) = self.get_by_key(type_id, key, &values)?
                && other.id != row.id
            {
                return Err(key_conflict(self.ty(type_id), key, &other.id));
            }
        }
        Ok(())
    }

    /// Notes a new object.
    pub(super) fn insert(&mut self, type_id: TypeId, row: &Row) {
        self.note(type_id, row);
        self.push(type_id, Transition::Insert(row.clone()));
    }

    /// Notes a changed object.
    pub(super) fn update(&mut self, type_id: TypeId, before: Row, after: &Row) {
        self.note(type_id, after);
        self.push(
            type_id,
            Transition::Update {
                before,
                after: after.clone(),
            },
        );
    }

    /// Notes that an object is gone.
    pub(super) fn remove(&mut self, type_id: TypeId, row: Row) {
        self.rows.insert((type_id, row.id.clone()), None);
        self.push(type_id, Transition::Remove(row));
    }

    fn push(&mut self, type_id: TypeId, change: Transition) {
        self.changes.push(RowChange {
            type_id,
            at: self.now,
            change,
        });
    }

    fn note(&mut self, type_id: TypeId, row: &Row) {
        let ty = self.ty(type_id);
        let mut keyed = false;
        for (key, definition) in ty.keys.iter().enumerate() {
            if let Some(values) = definition.of(&row.values) {
                self.keys.insert((type_id, key, values), row.id.clone());
                keyed = true;
            }
        }
        if !keyed {
            let same = self
                .contents
                .entry((type_id, row.values.clone()))
                .or_default();
            same.insert(row.id.clone());
        }
        for (position, field) in ty.fields.iter().enumerate() {
            if let (FieldKind::Ref { .. }, Value::Str(held)) = (&field.kind, &row.values[position])
            {
                let holders = self
                    .refs
                    .entry((type_id, position, held.clone()))
                    .or_default();
                holders.push(row.id.clone());
            }
        }
        self.rows
            .insert((type_id, row.id.clone()), Some(row.clone()));
    }
}

fn holds(key: &Key, row: &Row, values: &[Value]) -> bool {
    key.of(&row.values).as_deref() == Some(values)
}

/// What a caller is told whose object refers to nothing.
pub(super) fn dangling(schema: &Schema, type_id: TypeId, field: usize, id: &Id) -> Error {
    let ty = &schema.types[type_id];
    let name = &ty.fields[field].name;
    let target = match ty.fields[field].kind {
        FieldKind::Ref { to, .. } => schema.types[to].name.as_str(),
        _ => "object",
    };
    Error::new(
        ErrorKind::Reference {
            type_name: ty.name.clone(),
            field: name.clone(),
            id: id.clone(),
        },
        format!(
            "{}.{name} refers to {target} {id}, which does not exist",
            ty.name
        ),
    )
}

/// What a caller is told whose key is taken; of a key with a secret field not by whom.
fn key_conflict(ty: &Type, key: KeyId, other: &Id) -> Error {
    let names: Vec<String> = ty.key_fields(key).into_iter().map(str::to_owned).collect();
    let secret = ty.key_is_secret(key);
    let message = match secret {
        true => format!("another {} has the same {}", ty.name, names.join(", ")),
        false => format!("{} {other} has the same {}", ty.name, names.join(", ")),
    };
    let existing_id = (!secret).then(|| other.clone());
    Error::new(
        ErrorKind::Conflict {
            type_name: ty.name.clone(),
            key: names,
            existing_id,
        },
        message,
    )
}

/// What a caller is told whose id is taken by an object with other content.
pub(super) fn id_conflict(ty: &Type, id: &Id) -> Error {
    Error::new(
        ErrorKind::Conflict {
            type_name: ty.name.clone(),
            key: vec!["id".to_owned()],
            existing_id: Some(id.clone()),
        },
        format!("{} {id} exists already with other content", ty.name),
    )
}
