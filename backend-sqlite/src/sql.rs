//! Statements on their way into SQLite, which keeps them prepared by their text.

use std::rc::Rc;

use osis_sql::Param;
use rusqlite::types::ToSqlOutput;
use rusqlite::vtab::array::Array;
use rusqlite::{Connection, ToSql};

use crate::dialect::Sqlite;
use crate::error::Outcome;
use crate::rows;

/// A statement with its values.
pub(crate) type Sql = osis_sql::Sql<Sqlite>;

/// What stands for one `?`.
enum Bound<'a> {
    One(rows::Bind<'a>),
    Many(Array),
}

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::One(value) => value.to_sql(),
            Self::Many(values) => values.to_sql(),
        }
    }
}

fn bound(sql: &Sql) -> impl Iterator<Item = Bound<'_>> {
    sql.params().iter().map(|param| match param {
        Param::One(value, _) => Bound::One(rows::Bind(value)),
        Param::Many(values, _) => Bound::Many(Rc::new(values.iter().map(rows::owned).collect())),
    })
}

/// What runs a statement.
pub(crate) trait Run {
    /// Runs it and shows each row to `visit`.
    fn each(
        &self,
        connection: &Connection,
        visit: impl FnMut(&rusqlite::Row<'_>) -> Outcome<()>,
    ) -> Outcome<()>;

    /// Runs it and takes what `read` makes of each row.
    fn all<T>(
        &self,
        connection: &Connection,
        mut read: impl FnMut(&rusqlite::Row<'_>) -> Outcome<T>,
    ) -> Outcome<Vec<T>> {
        let mut found = Vec::new();
        self.each(connection, |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Runs it and takes the number in its first row.
    fn count(&self, connection: &Connection) -> Outcome<u64>;
}

impl Run for Sql {
    fn each(
        &self,
        connection: &Connection,
        mut visit: impl FnMut(&rusqlite::Row<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        let mut statement = connection.prepare_cached(self.text_so_far())?;
        let mut rows = statement.query(rusqlite::params_from_iter(bound(self)))?;
        while let Some(row) = rows.next()? {
            visit(row)?;
        }
        Ok(())
    }

    fn count(&self, connection: &Connection) -> Outcome<u64> {
        let mut statement = connection.prepare_cached(self.text_so_far())?;
        let values = rusqlite::params_from_iter(bound(self));
        let count: i64 = statement.query_row(values, |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
