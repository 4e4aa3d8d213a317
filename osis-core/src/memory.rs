//! The simplest correct engine: everything in memory, nothing kept.
//!
//! It is the example for whoever writes the next engine, the oracle of the tests, and the store
//! `memory:` for trying things out. A snapshot is a reference to the state as it was; a write
//! copies the state if a snapshot still holds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::backend::{Backend, Change, Feed, Found, Related, Scan, Scope, Search, Snapshot};
use crate::batch::{Batch, Commit};
use crate::error::{Error, ErrorKind, Result};
use crate::object::{Id, Row};
use crate::query::aggregate::{Aggregate, Group, Groups};
use crate::query::{Filter, Sort};
use crate::resolve::{RowChange, Transition, View, resolve};
use crate::schema::{FieldKind, KeyId, Schema, Type, TypeId};
use crate::text::{Document, Ranking};
use crate::time::Time;
use crate::value::Value;

/// The engine behind `memory:`.
#[derive(Debug)]
pub struct MemoryBackend {
    schema: Arc<Schema>,
    state: Mutex<Arc<State>>,
    commits: watch::Sender<u64>,
}

impl MemoryBackend {
    /// An empty store of a schema.
    pub fn new(schema: Arc<Schema>) -> Self {
        let tables = schema.types.iter().map(Table::new).collect();
        let state = State {
            seq: 0,
            tables,
            changes: Vec::new(),
        };
        Self {
            schema,
            state: Mutex::new(Arc::new(state)),
            commits: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, Arc<State>> {
        // A panic in a write leaves the state as it was before: effects are applied at the end.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn apply_one(&self, batch: &Batch) -> Result<Commit> {
        if batch
            .deadline
            .is_some_and(|deadline| deadline < Instant::now())
        {
            return Err(late("the write"));
        }
        let mut state = self.state();
        let mut view = StateView {
            state: &state,
            schema: &self.schema,
        };
        let effects = resolve(&self.schema, batch, &mut view, Time::now())?;
        if !batch.dry_run && !effects.rows.is_empty() {
            let state = Arc::make_mut(&mut state);
            state.seq += 1;
            effects
                .rows
                .into_iter()
                .for_each(|change| state.put(&self.schema, change));
            self.commits.send_replace(state.seq);
        }
        Ok(Commit {
            seq: state.seq,
            outcomes: effects.outcomes,
        })
    }
}

/// What a caller is told whose time is over.
fn late(what: &str) -> Error {
    let kind = ErrorKind::Unavailable {
        retry_after_ms: None,
    };
    Error::new(kind, format!("{what} did not end within its time limit"))
}

#[async_trait]
impl Backend for MemoryBackend {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        batches.iter().map(|batch| self.apply_one(batch)).collect()
    }

    async fn snapshot(&self, _: Scope, deadline: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        let (state, schema) = (Arc::clone(&self.state()), Arc::clone(&self.schema));
        Ok(Box::new(MemorySnapshot {
            state,
            schema,
            deadline,
        }))
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// All that is stored.
#[derive(Debug, Clone)]
struct State {
    seq: u64,
    tables: Vec<Table>,
    changes: Vec<Change>,
}

/// The objects of one type.
#[derive(Debug, Clone)]
struct Table {
    entries: BTreeMap<Id, Arc<Entry>>,
    keys: Vec<HashMap<Vec<Value>, Id>>,
    /// For each ref field, the objects that hold an id.
    holders: HashMap<usize, HashMap<Box<str>, BTreeSet<Id>>>,
}

#[derive(Debug)]
struct Entry {
    row: Row,
    document: Document,
}

impl State {
    fn put(&mut self, schema: &Schema, change: RowChange) {
        if let Some((id, rev, op)) = change.record(schema) {
            let (seq, type_id, id, at) = (self.seq, change.type_id, id.clone(), change.at);
            self.changes.push(Change {
                seq,
                type_id,
                id,
                rev,
                op,
                at,
            });
        }
        let ty = &schema.types[change.type_id];
        let table = &mut self.tables[change.type_id];
        match change.change {
            Transition::Insert(row) => table.insert(ty, row),
            Transition::Update { before, after } => {
                table.remove(ty, &before);
                table.insert(ty, after);
            }
            Transition::Remove(row) => table.remove(ty, &row),
        }
    }
}

impl Table {
    fn new(ty: &Type) -> Self {
        let keys = vec![HashMap::new(); ty.keys.len()];
        Self {
            entries: BTreeMap::new(),
            keys,
            holders: HashMap::new(),
        }
    }

    fn insert(&mut self, ty: &Type, row: Row) {
        for (key, own) in ty.keys.iter().zip(&mut self.keys) {
            if let Some(values) = key.of(&row.values) {
                own.insert(values, row.id.clone());
            }
        }
        for (field, held) in references(ty, &row) {
            let holders = self
                .holders
                .entry(field)
                .or_default()
                .entry(held.into())
                .or_default();
            holders.insert(row.id.clone());
        }
        let document = Document::of(ty, &row);
        self.entries
            .insert(row.id.clone(), Arc::new(Entry { row, document }));
    }

    fn remove(&mut self, ty: &Type, row: &Row) {
        for (key, own) in ty.keys.iter().zip(&mut self.keys) {
            if let Some(values) = key.of(&row.values) {
                own.remove(&values);
            }
        }
        for (field, held) in references(ty, row) {
            if let Some(holders) = self
                .holders
                .get_mut(&field)
                .and_then(|all| all.get_mut(held))
            {
                holders.remove(&row.id);
            }
        }
        self.entries.remove(&row.id);
    }

    fn row(&self, id: &Id) -> Option<Row> {
        self.entries.get(id).map(|entry| entry.row.clone())
    }

    fn by_key(&self, key: KeyId, values: &[Value]) -> Option<Row> {
        self.keys[key].get(values).and_then(|id| self.row(id))
    }

    fn holders(&self, field: usize, id: &Id) -> Vec<Row> {
        let ids = self
            .holders
            .get(&field)
            .and_then(|all| all.get(id.as_str()));
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.row(id))
            .collect()
    }

    /// The objects behind a position that a filter means, in an order; found by looking at all.
    fn page(&self, ty: &Type, filter: &Filter, sort: &Sort, after: Option<&[Value]>) -> Vec<&Row> {
        let beyond = after.map(|after| Filter::after(sort.columns(), after, ty));
        let wanted =
            |row: &&Row| filter.matches(row) && beyond.as_ref().is_none_or(|b| b.matches(row));
        let mut rows: Vec<&Row> = self
            .entries
            .values()
            .map(|entry| &entry.row)
            .filter(wanted)
            .collect();
        rows.sort_by(|a, b| sort.compare(a, b));
        rows
    }
}

fn references<'a>(ty: &'a Type, row: &'a Row) -> impl Iterator<Item = (usize, &'a str)> {
    let fields = ty.fields.iter().zip(&row.values).enumerate();
    fields.filter_map(|(position, (field, value))| match (&field.kind, value) {
        (FieldKind::Ref { .. }, Value::Str(held)) => Some((position, &**held)),
        _ => None,
    })
}

/// What `resolve` sees.
struct StateView<'a> {
    state: &'a State,
    schema: &'a Schema,
}

impl View for StateView<'_> {
    fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        Ok(self.state.tables[type_id].row(id))
    }

    fn get_by_key(&mut self, type_id: TypeId, key: KeyId, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.state.tables[type_id].by_key(key, values))
    }

    fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>> {
        debug_assert!(matches!(
            self.schema.types[type_id].fields[field].kind,
            FieldKind::Ref { .. }
        ));
        Ok(self.state.tables[type_id].holders(field, id))
    }

    fn get_by_content(&mut self, type_id: TypeId, values: &[Value]) -> Result<Vec<Row>> {
        let rows = self.state.tables[type_id]
            .entries
            .values()
            .map(|entry| &entry.row);
        Ok(rows.filter(|row| *row.values == *values).cloned().collect())
    }
}

struct MemorySnapshot {
    state: Arc<State>,
    schema: Arc<Schema>,
    deadline: Option<Instant>,
}

impl MemorySnapshot {
    fn table(&self, type_id: TypeId) -> Result<(&Table, &Type)> {
        if self
            .deadline
            .is_some_and(|deadline| deadline < Instant::now())
        {
            return Err(late("the read"));
        }
        Ok((&self.state.tables[type_id], &self.schema.types[type_id]))
    }
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        let (table, _) = self.table(type_id)?;
        Ok(ids.iter().map(|id| table.row(id)).collect())
    }

    async fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Vec<Value>],
    ) -> Result<Vec<Option<Row>>> {
        let (table, _) = self.table(type_id)?;
        Ok(values
            .iter()
            .map(|values| table.by_key(key, values))
            .collect())
    }

    async fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>> {
        let (table, ty) = self.table(scan.type_id)?;
        let rows = table.page(ty, &scan.filter, &scan.sort, scan.after.as_deref());
        Ok(rows.into_iter().take(scan.limit).cloned().collect())
    }

    async fn related(&mut self, related: &Related, ids: &[Id]) -> Result<Vec<Vec<Row>>> {
        let (table, _) = self.table(related.type_id)?;
        let lists = ids.iter().map(|id| {
            let mut rows = table.holders(related.via, id);
            rows.retain(|row| related.filter.matches(row));
            rows.sort_by(|a, b| related.sort.compare(a, b));
            rows.truncate(related.limit);
            rows
        });
        Ok(lists.collect())
    }

    async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64> {
        let (table, _) = self.table(type_id)?;
        Ok(table
            .entries
            .values()
            .filter(|entry| filter.matches(&entry.row))
            .count() as u64)
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let (table, ty) = self.table(aggregate.type_id)?;
        let columns = aggregate.columns();
        let mut groups = Groups::new(aggregate, ty);
        for entry in table
            .entries
            .values()
            .filter(|e| aggregate.filter.matches(&e.row))
        {
            let values: Vec<Value> = columns.iter().map(|c| entry.row.value(*c)).collect();
            groups.add(&values);
        }
        Ok(groups.finish())
    }

    async fn search(&mut self, search: &Search) -> Result<Found> {
        let (table, ty) = self.table(search.type_id)?;
        let documents = table.entries.values().map(|entry| &entry.document);
        let ranking = Ranking::of(ty, &search.query, documents);
        let mut hits: Vec<(f64, &Row)> = table
            .entries
            .values()
            .filter(|e| search.query.matches(&e.document) && search.filter.matches(&e.row))
            .map(|e| (ranking.score(&e.document), &e.row))
            .collect();
        let total = hits.len() as u64;
        match &search.sort {
            Some(sort) => {
                if let Some(after) = &search.after {
                    let beyond = Filter::after(sort.columns(), after, ty);
                    hits.retain(|(_, row)| beyond.matches(row));
                }
                hits.sort_by(|a, b| sort.compare(a.1, b.1));
            }
            None => {
                if let Some([Value::Float(score), Value::Str(id)]) = search.after.as_deref() {
                    hits.retain(|(own, row)| {
                        own < score || (own == score && row.id.as_str() > &**id)
                    });
                }
                hits.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
            }
        }
        let page = hits
            .into_iter()
            .take(search.limit)
            .map(|(score, row)| (score, row.clone()));
        Ok(Found {
            hits: page.collect(),
            total,
        })
    }

    async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed> {
        if since > self.state.seq {
            return Err(Error::new(
                ErrorKind::Gone { oldest: 0 },
                format!(
                    "the store's last commit is {}, before {since}",
                    self.state.seq
                ),
            ));
        }
        let from = self
            .state
            .changes
            .partition_point(|change| change.seq <= since);
        let mut changes: Vec<Change> = Vec::new();
        for change in &self.state.changes[from..] {
            let full = changes.len() >= limit;
            if full && changes.last().is_some_and(|last| last.seq != change.seq) {
                let next = changes.last().map_or(since, |last| last.seq);
                return Ok(Feed {
                    changes,
                    next,
                    oldest: 0,
                });
            }
            if types.is_empty() || types.contains(&change.type_id) {
                changes.push(change.clone());
            }
        }
        Ok(Feed {
            changes,
            next: self.state.seq,
            oldest: 0,
        })
    }

    async fn seq(&mut self) -> Result<u64> {
        Ok(self.state.seq)
    }
}
