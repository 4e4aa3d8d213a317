//! The cells of roll-ups, kept in the transaction that writes the objects which they are made of.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use futures_util::TryStreamExt as _;
use osis_core::error::{Error, Result};
use osis_core::object::Row;
use osis_core::query::{Filter, Sort};
use osis_core::rollup::{Book, Cell, CellChange, CellScan, Cells, Deltas, Place, Spec, text};
use osis_core::schema::{Schema, Type, TypeId};
use osis_sql::query as shared;
use osis_sql::rollups::{self, Outdated};

use crate::catalog::Catalog;
use crate::committer::Hands;
use crate::dialect::Postgres;
use crate::error::{Failure, Outcome};
use crate::names::{META, ROLLED_UP, ROLLUPS};
use crate::rows::read;
use crate::sql::{self, Link, Sql};

/// How many cells are sent or asked for at once.
const AT_ONCE: usize = 5000;

static GET: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT r.key, r.bucket, r.cell FROM unnest($2, $3) w (key, bucket) \
         JOIN {ROLLUPS} r ON r.type = $1 AND r.key = w.key AND r.bucket = w.bucket"
    )
});
static PUT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO {ROLLUPS} (type, key, bucket, cell) \
         SELECT $1, w.* FROM unnest($2, $3, $4) w \
         ON CONFLICT (type, key, bucket) DO UPDATE SET cell = excluded.cell"
    )
});
static REMOVE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "DELETE FROM {ROLLUPS} r USING unnest($2, $3) w (key, bucket) \
         WHERE r.type = $1 AND r.key = w.key AND r.bucket = w.bucket"
    )
});

/// The statements that make the tables of cells.
pub(crate) fn create() -> [String; 3] {
    rollups::create("COLLATE \"C\"", ["", ""])
}

/// Keeps the cells in step with what a group has written.
///
/// # Errors
/// Those of PostgreSQL; `Damaged` where a cell cannot be read.
pub(crate) fn keep(hands: &Hands, catalog: &Catalog, deltas: Deltas) -> Outcome<()> {
    if deltas.is_empty() {
        return Ok(());
    }
    let mut inside = Inside {
        hands,
        catalog,
        failure: None,
    };
    let changes = match (deltas.settle(&mut inside), inside.failure) {
        (_, Some(failure)) => return Err(failure),
        (Err(error), None) => return Err(Failure::Fault(error.to_string())),
        (Ok(changes), None) => changes,
    };
    let link = hands.link()?;
    hands.wait(async {
        for ty in &catalog.schema.types {
            let of_type = changes.iter().filter(|change| change.type_id == ty.id);
            let cells = of_type.map(|CellChange { place, cell, .. }| (place, cell.as_ref()));
            put(link, ty, cells.collect()).await?;
        }
        Ok(())
    })
}

/// Puts cells in place; removes those that are not there any more.
async fn put(link: Link<'_>, ty: &Type, cells: Vec<(&Place, Option<&Cell>)>) -> Outcome<()> {
    for cells in cells.chunks(AT_ONCE) {
        let mut kept = Columns::default();
        let mut gone = Columns::default();
        for (place, cell) in cells {
            match cell {
                Some(cell) => {
                    let text = text::Shown { ty, cell }.text();
                    let text = text.map_err(|error| Failure::Fault(error.to_string()))?;
                    kept.push(place, text);
                }
                None => gone.push(place, String::new()),
            }
        }
        if !kept.keys.is_empty() {
            let values = vec![
                sql::text(&ty.name),
                sql::texts(kept.keys()),
                sql::texts(kept.buckets()),
                sql::texts(kept.texts()),
            ];
            link.all_of(&PUT, values).await?;
        }
        if !gone.keys.is_empty() {
            let values = vec![
                sql::text(&ty.name),
                sql::texts(gone.keys()),
                sql::texts(gone.buckets()),
            ];
            link.all_of(&REMOVE, values).await?;
        }
    }
    Ok(())
}

/// Cells, column by column.
#[derive(Default)]
struct Columns {
    keys: Vec<Box<str>>,
    buckets: Vec<String>,
    texts: Vec<String>,
}

impl Columns {
    fn push(&mut self, place: &Place, text: String) {
        self.keys.push(place.key.clone());
        self.buckets.push(place.bucket.to_string());
        self.texts.push(text);
    }

    fn keys(&self) -> Vec<&str> {
        self.keys.iter().map(|key| &**key).collect()
    }

    fn buckets(&self) -> Vec<&str> {
        self.buckets.iter().map(String::as_str).collect()
    }

    fn texts(&self) -> Vec<&str> {
        self.texts.iter().map(String::as_str).collect()
    }
}

/// A page of cells.
pub(crate) async fn page(link: Link<'_>, catalog: &Catalog, scan: &CellScan) -> Outcome<Vec<Cell>> {
    let ty = &catalog.schema.types[scan.type_id];
    let sql: Sql = rollups::page(&ty.name, scan);
    link.all(&sql, |row| parse(ty, row.try_get(0)?)).await
}

fn parse(ty: &Type, written: &str) -> Outcome<Cell> {
    text::parse(ty, written).map_err(|why| {
        Failure::Damaged(format!(
            "a cell of {} in {ROLLUPS} is wrong: {why}",
            ty.name
        ))
    })
}

/// Has the cells be those that a schema wants, in the open transaction.
///
/// # Errors
/// Those of PostgreSQL.
pub(crate) async fn bring_up_to_date(link: Link<'_>, schema: &Schema) -> Outcome<()> {
    let Some(Outdated { count, forget }) = rollups::outdated(schema, &stored(link).await?) else {
        return Ok(());
    };
    // In turn with all writers: what they wrote before is counted, and they see the cells.
    let lock = format!("SELECT seq FROM {META} FOR UPDATE");
    link.all_of(&lock, Vec::new()).await?;
    for statement in create() {
        link.client.batch_execute(&statement).await?;
    }
    for name in &forget {
        for table in [ROLLUPS, ROLLED_UP] {
            let sql = format!("DELETE FROM {table} WHERE type = $1");
            link.all_of(&sql, vec![sql::text(name)]).await?;
        }
    }
    for (type_id, definition) in &count {
        let ty = &schema.types[*type_id];
        recount(link, ty).await?;
        let sql = format!("INSERT INTO {ROLLED_UP} (type, definition) VALUES ($1, $2)");
        let values = vec![sql::text(&ty.name), sql::text(definition)];
        link.all_of(&sql, values).await?;
    }
    Ok(())
}

/// How the cells that are there were made.
async fn stored(link: Link<'_>) -> Outcome<BTreeMap<String, String>> {
    let there = format!("SELECT to_regclass('{ROLLED_UP}') IS NOT NULL");
    let rows = link.all_of(&there, Vec::new()).await?;
    let is_there = rows.first().map(|row| row.try_get(0)).transpose()?;
    if !is_there.unwrap_or(false) {
        return Ok(BTreeMap::new());
    }
    let sql = format!("SELECT type, definition FROM {ROLLED_UP}");
    let rows = link.all_of(&sql, Vec::new()).await?;
    let stored = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    stored.collect()
}

/// Counts the cells of a type from its objects.
async fn recount(link: Link<'_>, ty: &Type) -> Outcome<()> {
    let Some(spec) = Spec::of(ty) else {
        return Ok(());
    };
    let mut book = Book::default();
    objects(link, ty, &Filter::EVERY, &mut |row| {
        book.add(Cell::of(&spec, row));
    })
    .await?;
    let cells = book.cells().map(|(place, cell)| (place, Some(cell)));
    put(link, ty, cells.collect()).await
}

async fn objects(
    link: Link<'_>,
    ty: &Type,
    filter: &Filter,
    each: &mut (dyn FnMut(&Row) + '_),
) -> Outcome<()> {
    let sql: Sql = shared::page(ty, filter, &Sort::default(), usize::MAX, Postgres);
    let mut rows = std::pin::pin!(link.stream(&sql).await?);
    while let Some(row) = rows.try_next().await? {
        each(&read(ty, &row, 0)?);
    }
    Ok(())
}

/// The open transaction, as the rules of roll-ups see it.
struct Inside<'a> {
    hands: &'a Hands,
    catalog: &'a Catalog,
    failure: Option<Failure>,
}

impl Inside<'_> {
    fn note<T>(&mut self, outcome: Outcome<T>) -> Result<T> {
        outcome.map_err(|failure| {
            let told: Error = self.catalog.explain(&failure);
            self.failure.get_or_insert(failure);
            told
        })
    }

    fn find(&self, ty: &Type, places: &[Place]) -> Outcome<Vec<Option<Cell>>> {
        let link = self.hands.link()?;
        let mut cells = Vec::with_capacity(places.len());
        for places in places.chunks(AT_ONCE) {
            let mut asked = Columns::default();
            for place in places {
                asked.push(place, String::new());
            }
            let values = vec![
                sql::text(&ty.name),
                sql::texts(asked.keys()),
                sql::texts(asked.buckets()),
            ];
            let found = self.hands.wait(link.all_of(&GET, values))?;
            let mut by_place: HashMap<(&str, &str), Cell> = HashMap::new();
            for row in &found {
                let cell = parse(ty, row.try_get(2)?)?;
                by_place.insert((row.try_get(0)?, row.try_get(1)?), cell);
            }
            let keys = asked.keys().into_iter().zip(asked.buckets());
            cells.extend(keys.map(|place| by_place.remove(&place)));
        }
        Ok(cells)
    }
}

impl Cells for Inside<'_> {
    fn cells(&mut self, type_id: TypeId, places: &[Place]) -> Result<Vec<Option<Cell>>> {
        let found = self.find(&self.catalog.schema.types[type_id], places);
        self.note(found)
    }

    fn objects(
        &mut self,
        type_id: TypeId,
        filter: &Filter,
        each: &mut dyn FnMut(&Row),
    ) -> Result<()> {
        let ty = &self.catalog.schema.types[type_id];
        let hands = self.hands;
        let shown = hands
            .link()
            .and_then(|link| hands.wait(objects(link, ty, filter, each)));
        self.note(shown)
    }
}
