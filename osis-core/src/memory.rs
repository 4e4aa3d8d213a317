//! The simplest correct engine: everything in memory, nothing kept.
//!
//! It is the example for whoever writes the next engine, the oracle of the tests, and the store
//! `memory:` for trying things out. A snapshot is a reference to the state as it was; a write
//! changes a copy, which shares with it what stays the same. Searches look at every object.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::backend::{Backend, Change, Feed, Found, Related, Scan, Scope, Search, Snapshot};
use crate::batch::{Batch, Commit};
use crate::error::{Error, Result};
use crate::object::{Id, Row};
use crate::query::aggregate::{Aggregate, Group};
use crate::query::{Filter, Tally};
use crate::resolve::{RowChange, Transition, View, resolve};
use crate::rollup::{Cell, CellScan};
use crate::schema::{KeyId, Schema, TypeId};
use crate::table::{Clock, Record, Table};
use crate::text::{self, Document, Ranking};
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
            oldest: 0,
            copying: None,
            tables,
            changes: imbl::Vector::new(),
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
        Clock::until(batch.deadline).check()?;
        let mut state = self.state();
        let effects = resolve(&self.schema, batch, &mut StateView(&state), Time::now())?;
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

    async fn copying(&self) -> Result<Option<String>> {
        Ok(self.state().copying.clone())
    }

    async fn begin_copy(&self, of: &str) -> Result<()> {
        Arc::make_mut(&mut self.state()).copying = Some(of.to_owned());
        Ok(())
    }

    async fn end_copy(&self, seq: u64) -> Result<u64> {
        let mut guard = self.state();
        let state = Arc::make_mut(&mut guard);
        state.seq = state.seq.max(seq) + 1;
        state.oldest = state.seq;
        state.changes.clear();
        state.copying = None;
        self.commits.send_replace(state.seq);
        Ok(state.seq)
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// All that is stored. Copying it is cheap.
#[derive(Debug, Clone)]
struct State {
    seq: u64,
    /// The lowest position from which the feed can be read.
    oldest: u64,
    /// What this is an unfinished copy of.
    copying: Option<String>,
    tables: Vec<Table<Entry>>,
    changes: imbl::Vector<Change>,
}

#[derive(Debug)]
struct Entry {
    row: Row,
    document: Document,
}

impl Record for Entry {
    fn row(&self) -> &Row {
        &self.row
    }
}

impl State {
    fn put(&mut self, schema: &Schema, change: RowChange) {
        if let Some((id, rev, op)) = change.record(schema) {
            self.changes.push_back(Change {
                seq: self.seq,
                type_id: change.type_id,
                id: id.clone(),
                rev,
                op,
                at: change.at,
            });
        }
        let table = &mut self.tables[change.type_id];
        match change.change {
            Transition::Insert(row) | Transition::Update { after: row, .. } => {
                let document = Document::of(&schema.types[change.type_id], &row);
                table.insert(Arc::new(Entry { row, document }));
            }
            Transition::Remove(row) => drop(table.remove(&row.id)),
        }
    }

    fn row(&self, type_id: TypeId, id: &Id) -> Option<Row> {
        self.tables[type_id].get(id).map(|entry| entry.row.clone())
    }

    fn by_key(&self, type_id: TypeId, key: KeyId, values: &[Value]) -> Option<Row> {
        let entry = self.tables[type_id].by_key(key, values);
        entry.map(|entry| entry.row.clone())
    }
}

/// What `resolve` sees.
struct StateView<'a>(&'a State);

impl View for StateView<'_> {
    fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        Ok(self.0.row(type_id, id))
    }

    fn get_by_key(&mut self, type_id: TypeId, key: KeyId, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.0.by_key(type_id, key, values))
    }

    fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>> {
        let holders = self.0.tables[type_id].holders(field, id.as_str());
        Ok(holders.map(|entry| entry.row.clone()).collect())
    }

    fn get_by_content(&mut self, type_id: TypeId, values: &[Value]) -> Result<Vec<Row>> {
        let same = self.0.tables[type_id].alike(values);
        let same = same.filter(|entry| *entry.row.values == *values);
        Ok(same.map(|entry| entry.row.clone()).collect())
    }
}

struct MemorySnapshot {
    state: Arc<State>,
    schema: Arc<Schema>,
    deadline: Option<Instant>,
}

impl MemorySnapshot {
    /// The objects of a type, with the time that is left to look at them.
    fn table(&self, type_id: TypeId) -> Result<(&Table<Entry>, Clock)> {
        let clock = Clock::until(self.deadline);
        clock.check()?;
        Ok((&self.state.tables[type_id], clock))
    }
}

fn rows(entries: &[Arc<Entry>]) -> Vec<Row> {
    entries.iter().map(|entry| entry.row.clone()).collect()
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        self.table(type_id)?;
        Ok(ids.iter().map(|id| self.state.row(type_id, id)).collect())
    }

    async fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Vec<Value>],
    ) -> Result<Vec<Option<Row>>> {
        self.table(type_id)?;
        let values = values.iter();
        Ok(values
            .map(|values| self.state.by_key(type_id, key, values))
            .collect())
    }

    async fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>> {
        let (table, clock) = self.table(scan.type_id)?;
        let after = scan.after.as_deref();
        let page = table.page(&scan.filter, &scan.sort, after, scan.limit, clock)?;
        Ok(rows(&page))
    }

    async fn related(&mut self, related: &Related, ids: &[Id]) -> Result<Vec<Vec<Row>>> {
        let (table, clock) = self.table(related.type_id)?;
        let lists = table.related(related, ids, clock)?;
        Ok(lists.iter().map(|list| rows(list)).collect())
    }

    async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64> {
        let (table, clock) = self.table(type_id)?;
        table.count(filter, clock)
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let (table, clock) = self.table(aggregate.type_id)?;
        table.groups(&self.schema.types[aggregate.type_id], aggregate, clock)
    }

    async fn cells(&mut self, scan: &CellScan) -> Result<Vec<Cell>> {
        let (table, _) = self.table(scan.type_id)?;
        Ok(table.cells(scan))
    }

    async fn search(&mut self, search: &Search) -> Result<Found> {
        let (table, mut clock) = self.table(search.type_id)?;
        let ty = &self.schema.types[search.type_id];
        let documents = table.iter().map(|entry| &entry.document);
        let ranking = Ranking::of(ty, &search.query, documents);
        let mut hits: Vec<(f64, &Arc<Entry>)> = Vec::new();
        for entry in table.matching(&search.filter) {
            clock.tick()?;
            if search.query.matches(&entry.document) {
                hits.push((ranking.score(&entry.document), entry));
            }
        }
        let total = hits.len() as u64;
        let mut tally = Tally::new(ty, &search.facets);
        hits.iter().for_each(|(_, entry)| tally.add(&entry.row));
        let after = search.after.as_deref();
        match &search.sort {
            Some(sort) => {
                let beyond = |row: &Row| after.is_none_or(|a| sort.compare_to(row, a).is_gt());
                hits.retain(|(_, entry)| beyond(&entry.row));
                hits.sort_by(|a, b| sort.compare(&a.1.row, &b.1.row));
            }
            None => {
                if let Some([Value::Float(score), Value::Str(id)]) = after {
                    hits.retain(|(own, entry)| {
                        own < score || (own == score && entry.row.id.as_str() > &**id)
                    });
                }
                hits.sort_by(|a, b| {
                    b.0.total_cmp(&a.0)
                        .then_with(|| a.1.row.id.cmp(&b.1.row.id))
                });
            }
        }
        hits.truncate(search.limit);
        let hits = hits
            .into_iter()
            .map(|(score, entry)| (score, entry.row.clone()))
            .collect();
        Ok(Found {
            hits,
            total,
            facets: tally.finish(),
        })
    }

    async fn similar(
        &mut self,
        type_id: TypeId,
        words: &[String],
    ) -> Result<Vec<Option<Vec<String>>>> {
        let (table, mut clock) = self.table(type_id)?;
        let mut vocabulary = BTreeSet::new();
        for entry in table.iter() {
            clock.tick()?;
            let fields = entry.document.fields().iter();
            vocabulary.extend(fields.flat_map(|field| field.words().map(|(_, word)| word)));
        }
        Ok(text::similar(words, vocabulary))
    }

    async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed> {
        let State {
            seq,
            oldest,
            changes,
            ..
        } = &*self.state;
        if since > *seq || since < *oldest {
            return Err(Error::gone(since, *oldest, *seq));
        }
        let by_seq = |change: &Change| match change.seq <= since {
            true => Ordering::Less,
            false => Ordering::Greater,
        };
        let from = changes.binary_search_by(by_seq).unwrap_or_else(|at| at);
        Ok(Feed::first(changes.skip(from), types, limit, *seq, *oldest))
    }

    async fn seq(&mut self) -> Result<u64> {
        Ok(self.state.seq)
    }
}
