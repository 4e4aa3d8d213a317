//! An engine that notes what it is asked, and can be slow or fail: what lies below the service.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use osis_core::backend::{Backend, Feed, Found, Related, Scan, Scope, Search, Snapshot};
use osis_core::batch::{Batch, Commit};
use osis_core::memory::MemoryBackend;
use osis_core::object::{Id, Row};
use osis_core::query::Filter;
use osis_core::query::aggregate::{Aggregate, Group};
use osis_core::rollup::{Cell, CellScan};
use osis_core::schema::{KeyId, Schema, Source, TypeId, load};
use osis_core::value::Value;
use osis_core::{Result, Store};
use tokio::sync::watch;

use super::support::SHOP;

#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    /// What was noted since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[derive(Debug)]
pub(crate) struct Noting {
    inner: MemoryBackend,
    pub(crate) notes: Notes,
    pub(crate) write_ms: AtomicU64,
    pub(crate) panics: AtomicBool,
}

/// A store on a noting engine, and the engine.
pub(crate) fn noting() -> (Store, Arc<Noting>) {
    let schema = load(&[Source::new("shop.toml", SHOP)]).unwrap();
    let engine = Arc::new(Noting {
        inner: MemoryBackend::new(Arc::new(schema)),
        notes: Notes::default(),
        write_ms: AtomicU64::new(0),
        panics: AtomicBool::new(false),
    });
    let backend: Arc<dyn Backend> = engine.clone();
    (Store::new(backend), engine)
}

#[async_trait]
impl Backend for Noting {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn schema(&self) -> &Arc<Schema> {
        self.inner.schema()
    }

    async fn apply(&self, batches: Vec<Batch>) -> Vec<Result<Commit>> {
        self.notes.add(format!("apply {}", batches.len()));
        tokio::time::sleep(Duration::from_millis(self.write_ms.load(Ordering::SeqCst))).await;
        let answers = self.inner.apply(batches).await;
        self.notes.add("applied");
        answers
    }

    async fn snapshot(&self, scope: Scope, end: Option<Instant>) -> Result<Box<dyn Snapshot>> {
        self.notes.add(format!("{scope:?}"));
        let inner = self.inner.snapshot(scope, end).await?;
        let notes = self.notes.clone();
        Ok(Box::new(View {
            inner,
            notes,
            panics: self.panics.load(Ordering::SeqCst),
        }))
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.inner.commits()
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

struct View {
    inner: Box<dyn Snapshot>,
    notes: Notes,
    panics: bool,
}

#[async_trait]
impl Snapshot for View {
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        self.notes.add(format!("get {}", ids.len()));
        self.inner.get(type_id, ids).await
    }

    async fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Vec<Value>],
    ) -> Result<Vec<Option<Row>>> {
        self.notes.add(format!("get_by_key {}", values.len()));
        self.inner.get_by_key(type_id, key, values).await
    }

    async fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>> {
        self.notes.add("scan");
        self.inner.scan(scan).await
    }

    async fn related(&mut self, related: &Related, ids: &[Id]) -> Result<Vec<Vec<Row>>> {
        self.notes.add(format!("related {}", ids.len()));
        self.inner.related(related, ids).await
    }

    async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64> {
        assert!(!self.panics, "on purpose");
        self.notes.add("count");
        self.inner.count(type_id, filter).await
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        self.inner.aggregate(aggregate).await
    }

    async fn cells(&mut self, scan: &CellScan) -> Result<Vec<Cell>> {
        self.inner.cells(scan).await
    }

    async fn search(&mut self, search: &Search) -> Result<Found> {
        self.inner.search(search).await
    }

    async fn similar(
        &mut self,
        type_id: TypeId,
        words: &[String],
    ) -> Result<Vec<Option<Vec<String>>>> {
        self.inner.similar(type_id, words).await
    }

    async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed> {
        self.inner.changes(since, types, limit).await
    }

    async fn seq(&mut self) -> Result<u64> {
        self.inner.seq().await
    }
}
