//! What is read from: the content of a store, or of something else, as of one moment.

use async_trait::async_trait;
use osis_core::schema::{Field, FieldKind, Type, TypeId};
use osis_core::store::Reader;
use osis_core::{Id, Result, Row, Value};

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
        let limit = page_size(&self.schema().types[type_id]);
        let rows = self.walk(type_id, after, limit).await?;
        let next = rows.last().filter(|_| rows.len() == limit);
        let next = next.map(|row| row.id.clone());
        Ok(Page { rows, next })
    }

    async fn get(&mut self, type_id: TypeId, ids: &[Id]) -> Result<Vec<Option<Row>>> {
        self.find_ids(type_id, ids).await
    }
}

/// How many rows of a type are held at once: fewer where one may take megabytes.
fn page_size(ty: &Type) -> usize {
    let is_large = |field: &Field| {
        matches!(
            field.kind,
            FieldKind::Text | FieldKind::Json | FieldKind::Bytes
        )
    };
    match ty.fields.iter().any(is_large) {
        true => PAGE / 8,
        false => PAGE,
    }
}

/// About how much memory a row takes.
pub(crate) fn weight(row: &Row) -> usize {
    let of = |value: &Value| match value {
        Value::Str(text) => text.len(),
        Value::Json(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len() * 32,
        _ => 0,
    };
    row.values.iter().map(|value| of(value) + 16).sum()
}
