//! A view of the store: the reading half of the engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use osis_core::backend::{Feed, Found, Problem, Related, Scan, Scope, Search, Snapshot};
use osis_core::error::{Error, Result};
use osis_core::object::{Id, Row};
use osis_core::query::Filter;
use osis_core::query::aggregate::{Aggregate, Group};
use osis_core::rollup::{Cell, CellScan};
use osis_core::schema::{KeyId, TypeId};
use osis_core::value::Value;
use osis_sql::feed::Page;
use rusqlite::Connection;

use crate::backup;
use crate::catalog::Catalog;
use crate::changes;
use crate::connection::Limit;
use crate::copying;
use crate::error::{Failure, Outcome};
use crate::inspect;
use crate::lookup;
use crate::query;
use crate::readers::{Reader, Readers, Weight};
use crate::rollups;
use crate::search;
use crate::text_index;
use crate::transaction::consistently;
use crate::writer::Writer;

/// How many point reads at most run on the caller's own thread: handing each to another halves how
/// many an empty server answers, but a long run of them would hold up the others.
const INLINE_MAX: usize = 100;
/// How often a search has the text index completed before it looks at the rest by itself. Once is
/// enough, unless another commit comes in between.
const INDEX_TRIES: usize = 5;

/// What snapshots need of the engine.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) readers: Arc<Readers>,
    pub(crate) writer: Writer,
}

/// A view of the store.
pub(crate) struct SqliteSnapshot {
    source: Arc<Source>,
    scope: Scope,
    deadline: Option<Instant>,
    /// Taken at the first call; in a consistent snapshot it is in a transaction from then on.
    reader: Option<Reader>,
}

impl SqliteSnapshot {
    /// A view that is taken at its first call.
    pub(crate) fn new(source: Arc<Source>, scope: Scope, deadline: Option<Instant>) -> Self {
        Self {
            source,
            scope,
            deadline,
            reader: None,
        }
    }

    /// What SQLite itself finds wrong with the database.
    pub(crate) async fn inspect(&mut self) -> Result<Vec<Problem>> {
        self.scan_with(|connection, catalog, _| inspect::run(connection, catalog))
            .await
    }

    /// What the store is an unfinished copy of.
    pub(crate) async fn copying(&mut self) -> Result<Option<String>> {
        self.point(|connection, _| copying::read(connection)).await
    }

    /// Runs a few point reads where the call is.
    async fn point<T>(
        &mut self,
        read: impl FnOnce(&Connection, &Catalog) -> Outcome<T>,
    ) -> Result<T> {
        let source = Arc::clone(&self.source);
        let reader = self.reader(Weight::Point).await?;
        let found = read(reader.connection(), &source.catalog);
        found.map_err(|failure| source.catalog.explain(&failure))
    }

    /// Runs anything that may take long on a thread for such things. There are never more of them
    /// than connections for scans.
    async fn scan_with<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&Connection, &Catalog, &Limit) -> Outcome<T> + Send + 'static,
    ) -> Result<T> {
        self.reader(Weight::Scan).await?;
        let source = Arc::clone(&self.source);
        let Some(reader) = self.reader.take() else {
            return Err(source
                .catalog
                .explain(&Failure::Fault("no reader was taken".to_owned())));
        };
        let abandoned = CancelOnDrop(Some(Arc::clone(reader.limit())));
        let catalog = Arc::clone(&source.catalog);
        let work = move || {
            let found = read(reader.connection(), &catalog, reader.limit());
            (found, reader)
        };
        let (found, reader) = tokio::task::spawn_blocking(work).await.map_err(|error| {
            source
                .catalog
                .explain(&Failure::Fault(format!("a read broke off: {error}")))
        })?;
        abandoned.disarm();
        self.reader = Some(reader);
        found.map_err(|failure| source.catalog.explain(&failure))
    }

    async fn reader(&mut self, weight: Weight) -> Result<&Reader> {
        let catalog = &self.source.catalog;
        catalog
            .check_fresh()
            .map_err(|failure| catalog.explain(&failure))?;
        if self.deadline.is_some_and(|until| until <= Instant::now()) {
            return Err(Error::too_late());
        }
        let weight = match self.scope {
            Scope::Single => weight,
            Scope::Consistent | Scope::Search => Weight::Scan,
        };
        // Not `get_or_insert`: a reader for points goes before one for scans is waited for.
        let kept = self.reader.take().filter(|reader| reader.serves(weight));
        let reader = match kept {
            Some(reader) => reader,
            None => {
                let reader = self.source.readers.take(weight, self.deadline).await?;
                if self.scope != Scope::Single {
                    begin(&reader).map_err(|failure| catalog.explain(&failure))?;
                }
                reader
            }
        };
        Ok(self.reader.insert(reader))
    }

    /// Sees to it that a first call which searches finds a text index that lacks nothing.
    async fn ready_to_search(&mut self, type_id: TypeId) -> Result<()> {
        if self.scope == Scope::Single {
            self.reader = None;
        }
        if self.reader.is_none() {
            self.take_complete(Some(type_id)).await?;
        }
        Ok(())
    }

    /// Takes a reader that sees a text index which lacks nothing, if one can be had: under many
    /// writes there is always something new.
    pub(crate) async fn take_complete(&mut self, type_id: Option<TypeId>) -> Result<()> {
        for _ in 0..INDEX_TRIES {
            let catalog = Arc::clone(&self.source.catalog);
            let reader = self.reader(Weight::Scan).await?;
            let is_behind = text_index::is_behind(reader.connection(), &catalog, type_id);
            if !is_behind.map_err(|failure| catalog.explain(&failure))? {
                break;
            }
            self.reader = None;
            self.source.writer.index(type_id, self.deadline).await?;
        }
        Ok(())
    }
}

fn begin(reader: &Reader) -> Outcome<()> {
    reader.connection().prepare_cached("BEGIN")?.execute([])?;
    Ok(())
}

/// Stops a read for which nobody waits any more.
struct CancelOnDrop(Option<Arc<Limit>>);

impl CancelOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(limit) = &self.0 {
            limit.cancel();
        }
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        if let [id] = ids {
            let row = self
                .point(|c, catalog| lookup::get(c, catalog, type_id, id))
                .await?;
            return Ok(vec![row]);
        }
        let get_all = move |connection: &Connection, catalog: &Catalog, ids: &[Id]| {
            consistently(connection, || {
                ids.iter()
                    .map(|id| lookup::get(connection, catalog, type_id, id))
                    .collect()
            })
        };
        if ids.len() <= INLINE_MAX {
            return self
                .point(|connection, catalog| get_all(connection, catalog, ids))
                .await;
        }
        let ids = ids.to_vec();
        self.scan_with(move |connection, catalog, _| get_all(connection, catalog, &ids))
            .await
    }

    async fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Vec<Value>],
    ) -> Result<Vec<Option<Row>>> {
        let get_all = move |connection: &Connection, catalog: &Catalog, keys: &[Vec<Value>]| {
            consistently(connection, || {
                let keys = keys.iter();
                keys.map(|v| lookup::get_by_key(connection, catalog, type_id, key, v))
                    .collect()
            })
        };
        if values.len() <= INLINE_MAX {
            return self
                .point(|connection, catalog| get_all(connection, catalog, values))
                .await;
        }
        let values = values.to_vec();
        self.scan_with(move |connection, catalog, _| get_all(connection, catalog, &values))
            .await
    }

    async fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>> {
        let scan = scan.clone();
        self.scan_with(move |connection, catalog, _| query::scan(connection, catalog, &scan))
            .await
    }

    async fn related(&mut self, related: &Related, ids: &[Id]) -> Result<Vec<Vec<Row>>> {
        let (related, ids) = (related.clone(), ids.to_vec());
        self.scan_with(move |connection, catalog, _| {
            consistently(connection, || {
                query::related(connection, catalog, &related, &ids)
            })
        })
        .await
    }

    async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64> {
        let filter = filter.clone();
        self.scan_with(move |connection, catalog, _| {
            query::count(connection, catalog, type_id, &filter)
        })
        .await
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let aggregate = aggregate.clone();
        self.scan_with(move |connection, catalog, _| {
            query::aggregate(connection, catalog, &aggregate)
        })
        .await
    }

    async fn cells(&mut self, scan: &CellScan) -> Result<Vec<Cell>> {
        let scan = scan.clone();
        self.scan_with(move |connection, catalog, _| rollups::page(connection, catalog, &scan))
            .await
    }

    /// A search sees what was committed before it: if the text index lacks something, the writer
    /// completes it first. Within a transaction that has begun nothing can be completed, so there
    /// the rest is looked at row by row.
    async fn search(&mut self, search: &Search) -> Result<Found> {
        self.ready_to_search(search.type_id).await?;
        let search = search.clone();
        self.scan_with(move |connection, catalog, limit| {
            consistently(connection, || {
                search::search(connection, catalog, &search, limit)
            })
        })
        .await
    }

    async fn similar(
        &mut self,
        type_id: TypeId,
        words: &[String],
    ) -> Result<Vec<Option<Vec<String>>>> {
        self.ready_to_search(type_id).await?;
        let words = words.to_vec();
        self.scan_with(move |connection, catalog, limit| {
            consistently(connection, || {
                search::similar(connection, catalog, type_id, &words, limit)
            })
        })
        .await
    }

    async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed> {
        let types = types.to_vec();
        let read = move |connection: &Connection, catalog: &Catalog, _: &Limit| {
            let page = Page {
                schema: &catalog.schema,
                since,
                types: &types,
                limit,
            };
            consistently(connection, || changes::read(connection, catalog, &page))
        };
        self.scan_with(read).await?
    }

    async fn seq(&mut self) -> Result<u64> {
        self.point(|connection, _| changes::last_seq(connection))
            .await
    }

    async fn copy_into(&mut self, directory: &Path) -> Result<()> {
        let directory = directory.to_owned();
        let copied = self.scan_with(move |connection, _, limit| {
            consistently(connection, || {
                // The transaction sees the store as of its first read.
                changes::last_seq(connection)?;
                Ok(backup::copy(connection, &directory, limit))
            })
        });
        copied.await?
    }
}
