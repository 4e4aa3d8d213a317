//! The schema as the database has it: which is in force, which were, and the steps between them.

use std::sync::LazyLock;

use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use osis_sql::{Steps, unsigned};
use rusqlite::{Connection, OptionalExtension};

use crate::catalog::Catalog;
use crate::error::{Failure, Outcome};
use crate::names::{HISTORY, META};

/// What a database says of its schema and its commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The schema in force, as canonical TOML.
    pub(crate) text: String,
    /// The hash under which it is in force.
    pub(crate) hash: String,
    /// The last commit.
    pub(crate) seq: i64,
}

impl Stored {
    /// Reads it.
    pub(crate) fn read(connection: &Connection) -> Outcome<Self> {
        let sql = format!(
            "SELECT h.text, m.schema_hash, m.seq FROM {META} m \
             JOIN {HISTORY} h ON h.n = (SELECT max(n) FROM {HISTORY})"
        );
        let stored = connection.query_row(&sql, [], |row| {
            Ok(Self {
                text: row.get(0)?,
                hash: row.get(1)?,
                seq: row.get(2)?,
            })
        });
        stored
            .optional()?
            .ok_or_else(|| Failure::Damaged(format!("{META} or {HISTORY} is empty")))
    }

    /// The schema itself.
    ///
    /// # Errors
    /// If it cannot be read: it was written by a newer version of the program, or by hand.
    pub(crate) fn schema(&self, file: &str) -> osis_core::error::Result<Schema> {
        load(&[Source::new(
            format!("schema stored in {file}"),
            self.text.as_str(),
        )])
    }
}

/// The last seq, if the schema that this process knows is in force.
///
/// # Errors
/// [`Failure::SchemaChanged`] if another process has put another schema in force.
pub(crate) fn check_in_force(connection: &Connection, catalog: &Catalog) -> Outcome<u64> {
    static SQL: LazyLock<String> = LazyLock::new(|| format!("SELECT seq, schema_hash FROM {META}"));
    let mut statement = connection.prepare_cached(&SQL)?;
    let mut rows = statement.query([])?;
    let row = rows
        .next()?
        .ok_or_else(|| Failure::Damaged(format!("{META} is empty")))?;
    let hash = row.get_ref(1)?;
    catalog.check_schema(hash.as_str().unwrap_or_default())?;
    Ok(unsigned(row.get(0)?))
}

/// Notes a schema that comes into force.
pub(crate) fn record(connection: &Connection, schema: &Schema, steps: &Steps) -> Outcome<()> {
    let sql = format!(
        "INSERT INTO {HISTORY} (name, version, hash, text, applied_at, up, down) \
         VALUES (?, ?, ?, ?, ?, ?, ?)"
    );
    let (up, down) = (Steps::json(&steps.up), Steps::json(&steps.down));
    let at = Time::now().to_string();
    connection.execute(
        &sql,
        (
            &schema.name,
            schema.version,
            &schema.hash,
            &schema.text,
            at,
            up,
            down,
        ),
    )?;
    connection.execute(
        &format!("UPDATE {META} SET schema_hash = ?"),
        [&schema.hash],
    )?;
    Ok(())
}
