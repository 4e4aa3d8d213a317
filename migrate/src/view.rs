//! What is read from: the content of a store, or of something else, as of one moment.

use async_trait::async_trait;
use osis_core::rollup::{Cell, CellScan, Place};
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

    /// The next cells of a type's roll-up, [`CellScan::PAGE`] of them or all that are left, from behind
    /// one on; nothing where roll-ups are made of the rows alone.
    ///
    /// # Errors
    /// Those of whatever holds them.
    async fn cells(
        &mut self,
        _type_id: TypeId,
        _after: Option<&Place>,
    ) -> Result<Option<Vec<Cell>>> {
        Ok(None)
    }
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

    async fn cells(&mut self, type_id: TypeId, after: Option<&Place>) -> Result<Option<Vec<Cell>>> {
        let scan = CellScan {
            after: after.cloned(),
            ..CellScan::all(type_id)
        };
        Reader::cells(self, &scan).await.map(Some)
    }
}

/// Shows all cells of a type's roll-up; whether the view has them.
///
/// # Errors
/// Those of the view, and of whoever they are shown to.
pub(crate) async fn each_cell(
    view: &mut dyn View,
    ty: &Type,
    show: &mut (dyn FnMut(&Cell) -> Result<()> + Send),
) -> Result<bool> {
    let mut after: Option<Place> = None;
    loop {
        let Some(page) = view.cells(ty.id, after.as_ref()).await? else {
            return Ok(false);
        };
        page.iter().try_for_each(&mut *show)?;
        match page.last().filter(|_| page.len() == CellScan::PAGE) {
            Some(last) => after = Some(last.place()),
            None => return Ok(true),
        }
    }
}

/// Whether a type is rolled up.
pub(crate) fn is_rolled_up(ty: &Type) -> bool {
    ty.log().is_some_and(|log| log.rollup.is_some())
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
