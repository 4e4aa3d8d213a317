//! What callers read from: a state that does not change any more.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use osis_core::backend::{Feed, Found, Related, Scan, Search, Snapshot};
use osis_core::error::{Error, Result};
use osis_core::object::{Id, Row};
use osis_core::query::Filter;
use osis_core::query::aggregate::{Aggregate, Group};
use osis_core::rollup::{Cell, CellScan};
use osis_core::schema::{KeyId, TypeId};
use osis_core::table::Clock;
use osis_core::value::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::backup;
use crate::layout::Layout;
use crate::record::Held;
use crate::shared::Shared;
use crate::state::State;
use crate::text::TextIndex;

/// Up to how many objects are looked at where the request is; more is handed to a thread that may
/// block.
const INLINE_MAX: usize = 512;

/// How late a network volume shows what another host has committed, at most.
const LAG_MAX: Duration = Duration::from_secs(1);
/// How often it is looked meanwhile.
const LAG_LOOK: Duration = Duration::from_millis(20);

/// What snapshots read through.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) shared: Arc<Shared>,
    pub(crate) text: TextIndex,
    /// Bounds how many scans, searches and aggregates run at once.
    pub(crate) scans: Arc<Semaphore>,
}

impl Source {
    /// Opens a view.
    ///
    /// # Errors
    /// `Unavailable` if none can be had before the deadline.
    pub(crate) async fn snapshot(
        self: &Arc<Self>,
        deadline: Option<Instant>,
    ) -> Result<FileSnapshot> {
        // A volume that does not answer must hold up nobody but who waits for it.
        let may_block = match self.shared.is_network {
            true => self.shared.is_look_due(),
            false => self.shared.is_behind()?,
        };
        if may_block {
            let shared = Arc::clone(&self.shared);
            let catching_up = move || match shared.is_behind()? {
                true => shared.catch_up().map(drop),
                false => Ok(()),
            };
            within(deadline, tokio::task::spawn_blocking(catching_up)).await??;
        }
        Ok(FileSnapshot {
            state: self.shared.state(),
            source: Arc::clone(self),
            deadline,
        })
    }
}

/// Waits for a task, up to a deadline.
async fn within<T>(deadline: Option<Instant>, task: tokio::task::JoinHandle<T>) -> Result<T> {
    let done = match deadline {
        Some(deadline) => timeout_at(deadline.into(), task)
            .await
            .map_err(|_| Error::too_late())?,
        None => task.await,
    };
    done.map_err(|error| Error::internal("a read broke off", error))
}

/// A view of the store at one seq.
#[derive(Debug)]
pub(crate) struct FileSnapshot {
    source: Arc<Source>,
    state: Arc<State>,
    deadline: Option<Instant>,
}

impl FileSnapshot {
    fn clock(&self) -> Result<Clock> {
        let clock = Clock::until(self.deadline);
        clock.check()?;
        Ok(clock)
    }

    /// Moves on towards a seq that a client has from another replica, which on a network volume may
    /// be ahead.
    async fn reach(&mut self, seq: u64) -> Result<()> {
        let until = Instant::now() + LAG_MAX;
        while self.state.seq < seq && self.source.shared.is_network && Instant::now() < until {
            let shared = Arc::clone(&self.source.shared);
            let following = tokio::task::spawn_blocking(move || shared.follow_log());
            within(self.deadline, following).await??;
            self.state = self.source.shared.state();
            tokio::time::sleep(LAG_LOOK).await;
        }
        Ok(())
    }

    fn whole(&self, held: &Held) -> Result<Row> {
        self.source.shared.bodies.join(held)
    }

    /// Runs a read over the objects of a type: here if they are few, else on a thread that may
    /// block.
    async fn over<T: Send + 'static>(
        &self,
        type_id: TypeId,
        read: impl FnOnce(&Source, &State, Clock) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let clock = self.clock()?;
        if self.state.types[type_id].table.len() <= INLINE_MAX {
            return read(&self.source, &self.state, clock);
        }
        let (source, state) = (Arc::clone(&self.source), Arc::clone(&self.state));
        let permit = Arc::clone(&source.scans).acquire_owned();
        let permit = match self.deadline {
            Some(deadline) => timeout_at(deadline.into(), permit)
                .await
                .map_err(|_| Error::too_late())?,
            None => permit.await,
        };
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&source, &state, clock)
        });
        within(self.deadline, reading).await?
    }
}

#[async_trait]
impl Snapshot for FileSnapshot {
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        self.clock()?;
        let table = &self.state.types[type_id].table;
        let rows = ids
            .iter()
            .map(|id| table.get(id).map(|held| self.whole(held)).transpose());
        rows.collect()
    }

    async fn get_by_key(
        &mut self,
        type_id: TypeId,
        key: KeyId,
        values: &[Vec<Value>],
    ) -> Result<Vec<Option<Row>>> {
        self.clock()?;
        let table = &self.state.types[type_id].table;
        let rows = values.iter().map(|values| {
            let held = table.by_key(key, values);
            held.map(|held| self.whole(held)).transpose()
        });
        rows.collect()
    }

    async fn scan(&mut self, scan: &Scan) -> Result<Vec<Row>> {
        let scan = scan.clone();
        self.over(scan.type_id, move |source, state, clock| {
            let table = &state.types[scan.type_id].table;
            let after = scan.after.as_deref();
            let page = table.page(&scan.filter, &scan.sort, after, scan.limit, clock)?;
            page.iter()
                .map(|held| source.shared.bodies.join(held))
                .collect()
        })
        .await
    }

    async fn related(&mut self, related: &Related, ids: &[Id]) -> Result<Vec<Vec<Row>>> {
        let clock = self.clock()?;
        let table = &self.state.types[related.type_id].table;
        let lists = table.related(related, ids, clock)?;
        let rows = lists
            .iter()
            .map(|list| list.iter().map(|held| self.whole(held)).collect());
        rows.collect()
    }

    async fn count(&mut self, type_id: TypeId, filter: &Filter) -> Result<u64> {
        let filter = filter.clone();
        self.over(type_id, move |_, state, clock| {
            state.types[type_id].table.count(&filter, clock)
        })
        .await
    }

    async fn aggregate(&mut self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let aggregate = aggregate.clone();
        self.over(aggregate.type_id, move |source, state, clock| {
            let ty = &source.shared.schema.types[aggregate.type_id];
            let table = &state.types[aggregate.type_id].table;
            table.groups(ty, &aggregate, clock)
        })
        .await
    }

    async fn cells(&mut self, scan: &CellScan) -> Result<Vec<Cell>> {
        let scan = scan.clone();
        self.over(scan.type_id, move |_, state, _| {
            Ok(state.types[scan.type_id].table.cells(&scan))
        })
        .await
    }

    async fn search(&mut self, search: &Search) -> Result<Found> {
        let text = &self.source.text;
        let index = text
            .near(&self.state, search.type_id, self.deadline)
            .await?;
        let search = search.clone();
        self.over(search.type_id, move |source, state, clock| {
            let shared = &source.shared;
            let found = index.search_in(state, &shared.schema, &search, &shared.bodies, clock);
            let found = found?;
            let hits = found.page.into_iter();
            let hits = hits.map(|(score, held)| Ok((score, shared.bodies.join(&held)?)));
            Ok(Found {
                hits: hits.collect::<Result<_>>()?,
                total: found.total,
                facets: found.facets,
            })
        })
        .await
    }

    async fn similar(
        &mut self,
        type_id: TypeId,
        words: &[String],
    ) -> Result<Vec<Option<Vec<String>>>> {
        let text = &self.source.text;
        let index = text.near(&self.state, type_id, self.deadline).await?;
        let words = words.to_vec();
        self.over(type_id, move |source, state, clock| {
            let shared = &source.shared;
            index.similar_in(
                state,
                &shared.schema,
                (type_id, &words),
                &shared.bodies,
                clock,
            )
        })
        .await
    }

    async fn changes(&mut self, since: u64, types: &[TypeId], limit: usize) -> Result<Feed> {
        self.clock()?;
        if since > self.state.seq {
            self.reach(since).await?;
        }
        let log = &self.source.shared.log;
        let oldest = log.oldest().max(log.feed_begins()?);
        if since < oldest || since > self.state.seq {
            return Err(Error::gone(since, oldest, self.state.seq));
        }
        if let Some(feed) = self.state.feed(since, types, limit, oldest) {
            return Ok(feed);
        }
        let (source, state) = (Arc::clone(&self.source), Arc::clone(&self.state));
        let types = types.to_vec();
        let reading = tokio::task::spawn_blocking(move || {
            let shared = &source.shared;
            shared.log.records(
                since,
                &types,
                limit,
                state.seq,
                &shared.schema,
                &shared.schema_hash,
            )
        });
        within(self.deadline, reading).await?
    }

    async fn seq(&mut self) -> Result<u64> {
        Ok(self.state.seq)
    }

    async fn copy_into(&mut self, directory: &Path) -> Result<()> {
        let to = Layout::new(directory.to_owned());
        let (source, state) = (Arc::clone(&self.source), Arc::clone(&self.state));
        let copying = {
            let to = to.clone();
            tokio::task::spawn_blocking(move || backup::copy_files(&source.shared, &state, &to))
        };
        within(self.deadline, copying).await??;
        let source = Arc::clone(&self.source);
        backup::copy_log(self, &source.shared, &to).await?;
        let finishing = tokio::task::spawn_blocking(move || backup::finish(&source.shared, &to));
        within(self.deadline, finishing).await?
    }
}
