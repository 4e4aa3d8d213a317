//! A statement in the making: its text, and the values for its `?` in their order.
//!
//! Values never become part of the text, so one shape of query is one cached statement.

use std::rc::Rc;

use osis_core::value::Value;
use rusqlite::types::ToSqlOutput;
use rusqlite::vtab::array::Array;
use rusqlite::{Connection, ToSql};

use crate::error::Outcome;
use crate::rows;

/// A statement with its values.
#[derive(Debug, Default)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Bound>,
}

/// What stands for one `?`.
#[derive(Debug)]
enum Bound {
    One(rusqlite::types::Value),
    Many(Array),
}

impl ToSql for Bound {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::One(value) => value.to_sql(),
            Self::Many(values) => values.to_sql(),
        }
    }
}

impl Sql {
    /// A statement that begins so.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            values: Vec::new(),
        }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a `?` for a value.
    pub(crate) fn value(&mut self, value: &Value) -> &mut Self {
        self.bind(rows::owned(value))
    }

    /// Adds a `?` for a text.
    pub(crate) fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.bind(rusqlite::types::Value::Text(text.into()))
    }

    /// Adds a `?` for a whole number.
    pub(crate) fn int(&mut self, number: i64) -> &mut Self {
        self.bind(rusqlite::types::Value::Integer(number))
    }

    /// Adds a `?` for a number of rows.
    pub(crate) fn limit(&mut self, limit: usize) -> &mut Self {
        self.int(i64::try_from(limit).unwrap_or(i64::MAX))
    }

    /// Adds a subquery for any number of values: the text, and so the cached statement, is the
    /// same for all numbers.
    pub(crate) fn array<'a>(&mut self, values: impl Iterator<Item = &'a Value>) -> &mut Self {
        let values: Array = Rc::new(values.map(rows::owned).collect());
        self.values.push(Bound::Many(values));
        self.push("(SELECT value FROM rarray(?))")
    }

    fn bind(&mut self, value: rusqlite::types::Value) -> &mut Self {
        self.values.push(Bound::One(value));
        self.push("?")
    }

    /// Runs it and shows each row to `visit`.
    pub(crate) fn each(
        &self,
        connection: &Connection,
        mut visit: impl FnMut(&rusqlite::Row<'_>) -> Outcome<()>,
    ) -> Outcome<()> {
        let mut statement = connection.prepare_cached(&self.text)?;
        let mut rows = statement.query(rusqlite::params_from_iter(&self.values))?;
        while let Some(row) = rows.next()? {
            visit(row)?;
        }
        Ok(())
    }

    /// Runs it and takes what `read` makes of each row.
    pub(crate) fn all<T>(
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
    pub(crate) fn count(&self, connection: &Connection) -> Outcome<u64> {
        let mut statement = connection.prepare_cached(&self.text)?;
        let values = rusqlite::params_from_iter(&self.values);
        let count: i64 = statement.query_row(values, |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}
