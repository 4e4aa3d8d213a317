//! Where a migration takes objects from.

use std::sync::Arc;

use async_trait::async_trait;
use osis_core::backend::{Feed, Scope};
use osis_core::query::Filter;
use osis_core::schema::{Schema, TypeId};
use osis_core::store::{Principal, Reader};
use osis_core::{Id, Result, Row, Store};

use crate::dedup::Dropped;
use crate::view::{Page, View};

/// Something that objects are migrated from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its types, which the target has too.
    fn schema(&self) -> &Arc<Schema>;

    /// What it is, for a run that goes on with another one's work: the same for the same source.
    fn name(&self) -> &str;

    /// Whether it may hold what no store of ours serves: several objects with one key, references
    /// to nothing.
    fn may_be_faulty(&self) -> bool;

    /// What was dropped before anybody looked for duplicates.
    fn dropped(&self) -> &[Dropped] {
        &[]
    }

    /// About how many objects it holds, where that is known: for whoever shows progress.
    fn about(&self) -> Option<u64>;

    /// Its content as of now.
    ///
    /// # Errors
    /// Those of whatever holds it.
    async fn open(&self) -> Result<Opened>;
}

/// The content of a source as of one moment.
pub struct Opened {
    /// The content.
    pub view: Box<dyn View>,
    /// The source's last commit; 0 of something that has none.
    pub seq: u64,
}

/// A store to migrate from.
pub struct StoreSource {
    store: Store,
    name: String,
    about: u64,
    /// Rows that lie in the store and that it does not serve, by type, in the order of their ids.
    beside: Arc<Vec<Vec<Row>>>,
}

impl StoreSource {
    /// A store, with the rows beside what it serves.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn new(
        store: Store,
        name: impl Into<String>,
        beside: Vec<(TypeId, Row)>,
    ) -> Result<Self> {
        let mut reader = store
            .read(&Principal::Operator, Scope::Consistent, None)
            .await?;
        let mut about = beside.len() as u64;
        for ty in &store.schema().types {
            about += reader.count(ty.id, &Filter::EVERY).await?;
        }
        let mut types = vec![Vec::new(); store.schema().types.len()];
        for (type_id, row) in beside {
            types[type_id].push(row);
        }
        for rows in &mut types {
            rows.sort_by(|a: &Row, b: &Row| a.id.cmp(&b.id));
        }
        Ok(Self {
            store,
            name: name.into(),
            about,
            beside: Arc::new(types),
        })
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Opens a view that reads the change feed too, of what the store serves.
    ///
    /// # Errors
    /// Those of the engine.
    pub async fn reader(&self) -> Result<Reader> {
        let who = Principal::Operator;
        self.store.read(&who, Scope::Consistent, None).await
    }

    /// Records of the change feed after a seq, as a reader sees them.
    ///
    /// # Errors
    /// `Gone` where the feed does not hold that seq.
    pub async fn changes(&self, reader: &mut Reader, since: u64, limit: usize) -> Result<Feed> {
        reader.changes(since, &[], limit).await
    }
}

#[async_trait]
impl Source for StoreSource {
    fn schema(&self) -> &Arc<Schema> {
        self.store.schema()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn may_be_faulty(&self) -> bool {
        self.beside.iter().any(|rows| !rows.is_empty())
    }

    fn about(&self) -> Option<u64> {
        Some(self.about)
    }

    async fn open(&self) -> Result<Opened> {
        let mut reader = self.reader().await?;
        let seq = reader.seq().await?;
        if !self.may_be_faulty() {
            let view = Box::new(reader);
            return Ok(Opened { view, seq });
        }
        let beside = Arc::clone(&self.beside);
        let view = Box::new(WithBeside { reader, beside });
        Ok(Opened { view, seq })
    }
}

/// What a store serves, and what lies beside it.
struct WithBeside {
    reader: Reader,
    beside: Arc<Vec<Vec<Row>>>,
}

#[async_trait]
impl View for WithBeside {
    async fn page(&mut self, type_id: TypeId, after: Option<&Id>) -> Result<Page> {
        let mut page = self.reader.page(type_id, after).await?;
        let beside = &self.beside[type_id];
        let from = after.map_or(0, |after| beside.partition_point(|row| row.id <= *after));
        let to = match &page.next {
            Some(next) => beside.partition_point(|row| row.id <= *next),
            None => beside.len(),
        };
        page.rows.extend(beside[from..to].iter().cloned());
        page.rows.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(page)
    }

    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        let mut rows = View::get(&mut self.reader, type_id, ids).await?;
        for (row, id) in rows.iter_mut().zip(ids).filter(|(row, _)| row.is_none()) {
            let beside = &self.beside[type_id];
            let at = beside.binary_search_by(|row| row.id.cmp(id)).ok();
            *row = at.map(|at| beside[at].clone());
        }
        Ok(rows)
    }
}
