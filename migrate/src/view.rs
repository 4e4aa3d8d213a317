//! What is read from: the content of a store, or of something else, as of one moment.

use async_trait::async_trait;
use osis_core::schema::TypeId;
use osis_core::store::Reader;
use osis_core::{Id, Result, Row};

use crate::PAGE;

/// The content of something as of one moment.
#[async_trait]
pub trait View: Send {
    /// The next rows of a type in the order of their ids, from behind one on.
    ///
    /// # Errors
    /// Those of whatever holds them.
    async fn page(&mut self, type_id: TypeId, after: Option<&Id>) -> Result<Page>;

    /// The rows with these ids, in their order; `None` where there is none.
    ///
    /// # Errors
    /// Those of whatever holds them.
    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>>;
}

/// Some rows of a type.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// The rows, in the order of their ids.
    pub rows: Vec<Row>,
    /// From behind which id to go on; nothing at the end.
    pub next: Option<Id>,
}

#[async_trait]
impl View for Reader {
    async fn page(&mut self, type_id: TypeId, after: Option<&Id>) -> Result<Page> {
        let rows = self.walk(type_id, after, PAGE).await?;
        let next = rows.last().filter(|_| rows.len() == PAGE);
        let next = next.map(|row| row.id.clone());
        Ok(Page { rows, next })
    }

    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        self.find_ids(type_id, ids).await
    }
}
