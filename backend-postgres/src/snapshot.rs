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
use tokio::time::timeout_at;

use crate::backup;
use crate::catalog::Catalog;
use crate::changes;
use crate::config::Pooler;
use crate::copying;
use crate::error::{Failure, Outcome};
use crate::inspect;
use crate::lookup;
use crate::query;
use crate::readers::{Reader, Readers, Weight};
use crate::rollups;
use crate::search;
use crate::sql::Link;
use crate::vocabulary;

/// How many rows are still a point read.
const POINT_MAX: usize = 100;

/// What snapshots need of the engine.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) readers: Readers,
}

/// A view of the store.
pub(crate) struct PostgresSnapshot {
    source: Arc<Source>,
    scope: Scope,
    deadline: Option<Instant>,
    /// Taken at the first call; in a consistent snapshot it is in a transaction from then on.
    reader: Option<Reader>,
}

/// How many statements a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statements {
    /// One, which sees one state of the store by itself.
    One,
    /// Several, which must see the same state.
    Many,
}

/// A call under way.
#[derive(Clone, Copy)]
struct Call<'a> {
    link: Link<'a>,
    catalog: &'a Catalog,
    reader: &'a Reader,
    deadline: Option<Instant>,
}

impl Call<'_> {
    /// Does it within its time limit.
    async fn run<T>(self, read: impl Future<Output = Outcome<T>>) -> Result<T> {
        self.reader.set_busy(true);
        let found = match self.deadline {
            Some(deadline) => timeout_at(deadline.into(), read)
                .await
                .map_err(|_| Error::too_late())?,
            None => read.await,
        };
        self.reader.set_busy(false);
        found.map_err(|failure| self.catalog.explain(&failure))
    }
}

impl PostgresSnapshot {
    /// A view that is taken at its first call.
    pub(crate) fn new(source: Arc<Source>, scope: Scope, deadline: Option<Instant>) -> Self {
        Self {
            source,
            scope,
            deadline,
            reader: None,
        }
    }

    /// What is wrong with the database below the objects.
    pub(crate) async fn inspect(&mut self) -> Result<Vec<Problem>> {
        let call = self.call(Weight::Scan, Statements::Many).await?;
        call.run(inspect::run(call.link, call.catalog)).await
    }

    /// What the store is an unfinished copy of.
    pub(crate) async fn copying(&mut self) -> Result<Option<String>> {
        let call = self.call(Weight::Point, Statements::One).await?;
        call.run(copying::read(call.link)).await
    }

    async fn call(&mut self, weight: Weight, statements: Statements) -> Result<Call<'_>> {
        let catalog = &self.source.catalog;
        let explain = |failure: Failure| catalog.explain(&failure);
        catalog.check_fresh().map_err(explain)?;
        if self.deadline.is_some_and(|until| until <= Instant::now()) {
            return Err(Error::too_late());
        }
        let is_single = self.scope == Scope::Single;
        let weight = if is_single { weight } else { Weight::Scan };
        // Single calls see what was committed before each. What a call has given up is not used
        // again. Not `get_or_insert`: a reader for points goes before one for scans is waited for.
        let kept = self.reader.take().filter(|reader| {
            reader.serves(weight) && !reader.is_busy() && !(is_single && reader.in_transaction())
        });
        let mut reader = match kept {
            Some(reader) => reader,
            None => self.source.readers.take(weight, self.deadline).await?,
        };
        // Behind a pooler, a connection is set up for one transaction at a time.
        let wants_transaction = !is_single
            || statements == Statements::Many
            || catalog.config.pooler == Pooler::Transaction;
        if wants_transaction && !reader.in_transaction() {
            reader.begin().map_err(explain)?;
        }
        let reader: &Reader = self.reader.insert(reader);
        Ok(Call {
            link: reader.link().map_err(explain)?,
            catalog,
            reader,
            deadline: self.deadline,
        })
    }
}

fn weight(rows: usize) -> Weight {
    match rows {
        ..=POINT_MAX => Weight::Point,
        _ => Weight::Scan,
    }
}

#[async_trait]
impl Snapshot for PostgresSnapshot {
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        let call = self.call(weight(ids.len()), Statements::One).await?;
        let found = call.run(lookup::get(call.link, call.catalog, type_id, ids));
        let found = found.await?;
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Vec<Value>],
    ) -> Result<Vec<Option<Row>>> {
        let call = self.call(weight(values.len()), Statements::One).await?;
        let found = lookup::get_by_key(call.link, call.catalog, type_id, key, values);
        let found = call.run(found).await?;
        Ok(values.iter().map(|v| found.get(v).cloned()).collect())
    }

    async fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>> {
        let call = self.call(Weight::Scan, Statements::One).await?;
        call.run(query::scan(call.link, call.catalog, scan)).await
    }

    async fn related(&mut self, related: &Related, ids: &[Id]) -> Result<Vec<Vec<Row>>> {
        let call = self.call(Weight::Scan, Statements::One).await?;
        let found = query::related(call.link, call.catalog, related, ids);
        call.run(found).await
    }

    async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64> {
        let call = self.call(Weight::Scan, Statements::One).await?;
        let found = query::count(call.link, call.catalog, type_id, filter);
        call.run(found).await
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let call = self.call(Weight::Scan, Statements::One).await?;
        let found = query::aggregate(call.link, call.catalog, aggregate);
        call.run(found).await
    }

    async fn cells(&mut self, scan: &CellScan) -> Result<Vec<Cell>> {
        let call = self.call(Weight::Scan, Statements::One).await?;
        let found = rollups::page(call.link, call.catalog, scan);
        call.run(found).await
    }

    async fn search(&mut self, search: &Search) -> Result<Found> {
        let call = self.call(Weight::Scan, Statements::Many).await?;
        let found = search::search(call.link, call.catalog, search);
        call.run(found).await
    }

    async fn similar(
        &mut self,
        type_id: TypeId,
        words: &[String],
    ) -> Result<Vec<Option<Vec<String>>>> {
        let call = self.call(Weight::Scan, Statements::One).await?;
        let found = vocabulary::similar(call.link, call.catalog, type_id, words);
        call.run(found).await
    }

    async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed> {
        let call = self.call(Weight::Scan, Statements::Many).await?;
        let page = Page {
            schema: &call.catalog.schema,
            since,
            types,
            limit,
        };
        let found = changes::read(call.link, call.catalog, &page);
        call.run(found).await?
    }

    async fn seq(&mut self) -> Result<u64> {
        let call = self.call(Weight::Point, Statements::One).await?;
        call.run(changes::last_seq(call.link)).await
    }

    async fn copy_into(&mut self, directory: &Path) -> Result<()> {
        let call = self.call(Weight::Scan, Statements::Many).await?;
        let schema = &call.catalog.config.schema_name;
        call.run(backup::copy_out(call.link, schema, directory))
            .await?
    }
}
