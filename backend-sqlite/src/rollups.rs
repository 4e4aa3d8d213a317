//! The cells of roll-ups, kept in the transaction that writes the objects which they are made of.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use osis_core::error::{Error, Result};
use osis_core::object::Row;
use osis_core::query::{Filter, Sort};
use osis_core::rollup::{Book, Cell, CellChange, CellScan, Cells, Deltas, Place, Spec, text};
use osis_core::schema::{Schema, Type, TypeId};
use osis_sql::query as shared;
use osis_sql::rollups::{self, Outdated};
use rusqlite::{Connection, OptionalExtension};

use crate::catalog::Catalog;
use crate::dialect::Sqlite;
use crate::error::{Failure, Outcome};
use crate::names::{ROLLED_UP, ROLLUPS};
use crate::rows::read;
use crate::sql::{Run, Sql};

static GET: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT cell FROM {ROLLUPS} WHERE type = ? AND key = ? AND bucket = ?")
});
static PUT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO {ROLLUPS} (type, key, bucket, cell) VALUES (?, ?, ?, ?) \
         ON CONFLICT (type, key, bucket) DO UPDATE SET cell = excluded.cell"
    )
});
static REMOVE: LazyLock<String> =
    LazyLock::new(|| format!("DELETE FROM {ROLLUPS} WHERE type = ? AND key = ? AND bucket = ?"));

/// The statements that make the tables of cells.
pub(crate) fn create() -> [String; 3] {
    rollups::create("", [" STRICT, WITHOUT ROWID", " STRICT"])
}

/// Keeps the cells in step with what a group has written.
///
/// # Errors
/// Those of SQLite; `Damaged` where a cell cannot be read.
pub(crate) fn keep(connection: &Connection, catalog: &Catalog, deltas: Deltas) -> Outcome<()> {
    if deltas.is_empty() {
        return Ok(());
    }
    let mut inside = Inside {
        connection,
        catalog,
        failure: None,
    };
    let changes = match (deltas.settle(&mut inside), inside.failure) {
        (_, Some(failure)) => return Err(failure),
        (Err(error), None) => return Err(Failure::Fault(error.to_string())),
        (Ok(changes), None) => changes,
    };
    for change in &changes {
        let CellChange {
            type_id,
            place,
            cell,
        } = change;
        put(
            connection,
            &catalog.schema.types[*type_id],
            place,
            cell.as_ref(),
        )?;
    }
    Ok(())
}

fn put(connection: &Connection, ty: &Type, place: &Place, cell: Option<&Cell>) -> Outcome<()> {
    let (key, bucket) = (&*place.key, place.bucket.to_string());
    match cell {
        Some(cell) => {
            let text = text::Shown { ty, cell }.text();
            let text = text.map_err(|error| Failure::Fault(error.to_string()))?;
            let mut statement = connection.prepare_cached(&PUT)?;
            statement.execute((&ty.name, key, bucket, text))?;
        }
        None => {
            let mut statement = connection.prepare_cached(&REMOVE)?;
            statement.execute((&ty.name, key, bucket))?;
        }
    }
    Ok(())
}

/// A page of cells.
pub(crate) fn page(
    connection: &Connection,
    catalog: &Catalog,
    scan: &CellScan,
) -> Outcome<Vec<Cell>> {
    let ty = &catalog.schema.types[scan.type_id];
    let sql: Sql = rollups::page(&ty.name, scan);
    sql.all(connection, |row| {
        parse(ty, row.get_ref(0)?.as_str().unwrap_or_default())
    })
}

fn parse(ty: &Type, written: &str) -> Outcome<Cell> {
    text::parse(ty, written).map_err(|why| {
        Failure::Damaged(format!(
            "a cell of {} in {ROLLUPS} is wrong: {why}",
            ty.name
        ))
    })
}

/// What has to be done so that the cells are those that a schema wants; nothing if they are.
///
/// # Errors
/// Those of SQLite, also where the tables are missing.
pub(crate) fn outdated(connection: &Connection, schema: &Schema) -> Outcome<Option<Outdated>> {
    let mut statement = connection.prepare(&format!("SELECT type, definition FROM {ROLLED_UP}"))?;
    let stored = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let stored = stored.collect::<rusqlite::Result<BTreeMap<String, String>>>()?;
    Ok(rollups::outdated(schema, &stored))
}

/// Has the cells be those that a schema wants, in the open transaction.
///
/// # Errors
/// Those of SQLite.
pub(crate) fn bring_up_to_date(connection: &Connection, schema: &Schema) -> Outcome<()> {
    for statement in create() {
        connection.execute_batch(&statement)?;
    }
    let Some(Outdated { count, forget }) = outdated(connection, schema)? else {
        return Ok(());
    };
    for name in &forget {
        for table in [ROLLUPS, ROLLED_UP] {
            connection.execute(&format!("DELETE FROM {table} WHERE type = ?"), [name])?;
        }
    }
    for (type_id, definition) in &count {
        let ty = &schema.types[*type_id];
        recount(connection, ty)?;
        let sql = format!("INSERT INTO {ROLLED_UP} (type, definition) VALUES (?, ?)");
        connection.execute(&sql, (&ty.name, definition))?;
    }
    Ok(())
}

/// Counts the cells of a type from its objects.
fn recount(connection: &Connection, ty: &Type) -> Outcome<()> {
    let Some(spec) = Spec::of(ty) else {
        return Ok(());
    };
    let mut book = Book::default();
    objects(connection, ty, &Filter::EVERY, &mut |row| {
        book.add(Cell::of(&spec, row));
    })?;
    book.cells()
        .try_for_each(|(place, cell)| put(connection, ty, place, Some(cell)))
}

fn objects(
    connection: &Connection,
    ty: &Type,
    filter: &Filter,
    each: &mut dyn FnMut(&Row),
) -> Outcome<()> {
    let sql: Sql = shared::page(ty, filter, &Sort::default(), usize::MAX, Sqlite::default());
    sql.each(connection, |row| {
        each(&read(ty, row, 0)?);
        Ok(())
    })
}

/// The open transaction, as the rules of roll-ups see it.
struct Inside<'a> {
    connection: &'a Connection,
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

    fn cell(&self, ty: &Type, place: &Place) -> Outcome<Option<Cell>> {
        let mut statement = self.connection.prepare_cached(&GET)?;
        let values = (&ty.name, &*place.key, place.bucket.to_string());
        let found = statement.query_row(values, |row| row.get(0));
        let found: Option<String> = found.optional()?;
        found.map(|written| parse(ty, &written)).transpose()
    }
}

impl Cells for Inside<'_> {
    fn cells(&mut self, type_id: TypeId, places: &[Place]) -> Result<Vec<Option<Cell>>> {
        let ty = &self.catalog.schema.types[type_id];
        let cells = places.iter().map(|place| self.cell(ty, place)).collect();
        self.note(cells)
    }

    fn objects(
        &mut self,
        type_id: TypeId,
        filter: &Filter,
        each: &mut dyn FnMut(&Row),
    ) -> Result<()> {
        let ty = &self.catalog.schema.types[type_id];
        let shown = objects(self.connection, ty, filter, each);
        self.note(shown)
    }
}
