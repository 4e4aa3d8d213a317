//! The look into the open transaction that the rules of a write get.
//!
//! A group knows the rows that it has looked at and what its batches have made of them, so the
//! server is asked once for each, and for many at once. What was resolved and not yet written is in
//! there too; only a question that is not about one row (who refers to it?) has it written first.

use std::collections::HashMap;

use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::resolve::{Lookup, RowChange, Transition, View};
use osis_core::schema::{KeyId, TypeId};
use osis_core::value::Value;

use crate::catalog::Catalog;
use crate::committer::Hands;
use crate::effects::{self, Pending};
use crate::error::{Failure, Outcome};
use crate::lookup;

/// How many rows are asked for at once.
const ASKED_MAX: usize = 5000;

/// What a group knows of the store: as it was, and as the group's batches have left it.
#[derive(Debug, Default)]
pub(crate) struct Known {
    rows: HashMap<(TypeId, Id), Option<Row>>,
    keys: HashMap<(TypeId, KeyId, Vec<Value>), Option<Id>>,
}

impl Known {
    /// Takes in what a batch comes to.
    pub(crate) fn take_in(&mut self, catalog: &Catalog, rows: &[RowChange]) {
        for RowChange {
            type_id, change, ..
        } in rows
        {
            let (before, after) = match change {
                Transition::Insert(row) => (None, Some(row)),
                Transition::Update { before, after } => (Some(before), Some(after)),
                Transition::Remove(row) => (Some(row), None),
            };
            for (key, definition) in catalog.schema.types[*type_id].keys.iter().enumerate() {
                let freed = before.and_then(|row| definition.of(&row.values));
                if let Some(values) = freed {
                    self.keys.insert((*type_id, key, values), None);
                }
                if let Some(row) = after
                    && let Some(values) = definition.of(&row.values)
                {
                    self.keys
                        .insert((*type_id, key, values), Some(row.id.clone()));
                }
            }
            let id = before.or(after).map(|row| row.id.clone());
            if let Some(id) = id {
                self.rows.insert((*type_id, id), after.cloned());
            }
        }
    }

    /// Notes a row that the store has; one that the group has changed stays as it is known.
    fn note(&mut self, type_id: TypeId, row: &Row) {
        let place = (type_id, row.id.clone());
        self.rows.entry(place).or_insert_with(|| Some(row.clone()));
    }
}

/// The look into the open transaction; it keeps the engine's own failure, for the writer must tell
/// it from what the rules refuse.
#[derive(Debug)]
pub(crate) struct WriteView<'a> {
    hands: &'a Hands,
    catalog: &'a Catalog,
    known: &'a mut Known,
    pending: &'a mut Pending,
    failure: Option<Failure>,
}

impl<'a> WriteView<'a> {
    /// Looks into the transaction that is open on a connection.
    pub(crate) fn new(
        hands: &'a Hands,
        catalog: &'a Catalog,
        known: &'a mut Known,
        pending: &'a mut Pending,
    ) -> Self {
        Self {
            hands,
            catalog,
            known,
            pending,
            failure: None,
        }
    }

    /// What the engine failed with, if it did.
    pub(crate) fn into_failure(self) -> Option<Failure> {
        self.failure
    }

    fn tell<T>(&mut self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|failure| {
            let told = self.catalog.explain(&failure);
            self.failure.get_or_insert(failure);
            told
        })
    }

    /// Fetches rows that are not known yet.
    fn fetch(&mut self, type_id: TypeId, ids: &[Id]) -> Outcome<()> {
        let (hands, catalog) = (self.hands, self.catalog);
        for ids in ids.chunks(ASKED_MAX) {
            let mut found = hands.wait(lookup::get(hands.link()?, catalog, type_id, ids))?;
            for id in ids {
                let row = found.remove(id);
                self.known.rows.insert((type_id, id.clone()), row);
            }
        }
        Ok(())
    }

    /// Fetches rows by a key whose holder is not known yet.
    fn fetch_keys(&mut self, type_id: TypeId, key: KeyId, wanted: &[Vec<Value>]) -> Outcome<()> {
        let (hands, catalog) = (self.hands, self.catalog);
        for wanted in wanted.chunks(ASKED_MAX) {
            let asked = lookup::get_by_key(hands.link()?, catalog, type_id, key, wanted);
            let mut found = hands.wait(asked)?;
            for values in wanted {
                let row = found.remove(values);
                let id = row.as_ref().map(|row| row.id.clone());
                if let Some(row) = &row {
                    self.known.note(type_id, row);
                }
                self.known.keys.insert((type_id, key, values.clone()), id);
            }
        }
        Ok(())
    }

    fn fetch_all(&mut self, lookups: &[Lookup]) -> Outcome<()> {
        let mut ids: HashMap<TypeId, Vec<Id>> = HashMap::new();
        let mut keys: HashMap<(TypeId, KeyId), Vec<Vec<Value>>> = HashMap::new();
        let mut seen = std::collections::HashSet::new();
        for lookup in lookups {
            match lookup {
                Lookup::Id(type_id, id) => {
                    let place = (*type_id, id.clone());
                    if !self.known.rows.contains_key(&place) && seen.insert((*type_id, id)) {
                        ids.entry(*type_id).or_default().push(id.clone());
                    }
                }
                Lookup::Key(type_id, key, values) => {
                    let place = (*type_id, *key, values.clone());
                    let wanted = keys.entry((*type_id, *key)).or_default();
                    if !self.known.keys.contains_key(&place) {
                        wanted.push(values.clone());
                    }
                }
            }
        }
        for (type_id, ids) in ids {
            self.fetch(type_id, &ids)?;
        }
        for ((type_id, key), mut wanted) in keys {
            let mut seen = std::collections::HashSet::new();
            wanted.retain(|values| seen.insert(values.clone()));
            self.fetch_keys(type_id, key, &wanted)?;
        }
        Ok(())
    }

    /// Has the server know what the group has made of a type's rows.
    fn flush(&mut self, type_id: TypeId) -> Outcome<()> {
        if !self.pending.touches(type_id) {
            return Ok(());
        }
        let pending = std::mem::take(self.pending);
        let written = effects::write(self.hands.link()?, self.catalog, pending);
        self.hands.wait(written)
    }

    fn one(&mut self, type_id: TypeId, id: &Id) -> Outcome<Option<Row>> {
        let place = (type_id, id.clone());
        if !self.known.rows.contains_key(&place) {
            self.fetch(type_id, std::slice::from_ref(id))?;
        }
        Ok(self.known.rows.get(&place).cloned().flatten())
    }

    fn one_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Value],
    ) -> Outcome<Option<Row>> {
        let place = (type_id, key, values.to_vec());
        if !self.known.keys.contains_key(&place) {
            self.fetch_keys(type_id, key, &[values.to_vec()])?;
        }
        match self.known.keys.get(&place).cloned().flatten() {
            Some(id) => self.one(type_id, &id),
            None => Ok(None),
        }
    }

    fn all_referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Outcome<Vec<Row>> {
        self.flush(type_id)?;
        let hands = self.hands;
        let asked = lookup::referrers(hands.link()?, self.catalog, type_id, field, id);
        let found = hands.wait(asked)?;
        found.iter().for_each(|row| self.known.note(type_id, row));
        Ok(found)
    }

    fn all_by_content(&mut self, type_id: TypeId, values: &[Value]) -> Outcome<Vec<Row>> {
        self.flush(type_id)?;
        let hands = self.hands;
        let asked = lookup::get_by_content(hands.link()?, self.catalog, type_id, values);
        hands.wait(asked)
    }
}

impl View for WriteView<'_> {
    fn prefetch(&mut self, lookups: &[Lookup]) -> Result<()> {
        let fetched = self.fetch_all(lookups);
        self.tell(fetched)
    }

    fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        let found = self.one(type_id, id);
        self.tell(found)
    }

    fn get_by_key(&mut self, type_id: TypeId, key: KeyId, values: &[Value]) -> Result<Option<Row>> {
        let found = self.one_by_key(type_id, key, values);
        self.tell(found)
    }

    fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>> {
        let found = self.all_referrers(type_id, field, id);
        self.tell(found)
    }

    fn get_by_content(&mut self, type_id: TypeId, values: &[Value]) -> Result<Vec<Row>> {
        let found = self.all_by_content(type_id, values);
        self.tell(found)
    }
}
