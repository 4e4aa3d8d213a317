//! A copy of all tables of the store's schema, as one snapshot sees them: a file of each, in
//! PostgreSQL's own text form of COPY, with the columns' names in its first line.
//!
//! No table is named here: whatever is in the schema belongs to the store. Partitions go as part of the
//! table that they are of, since another server may have others. Indexes and the like are made anew
//! from the store's schema.
//!
//! Source: <https://www.postgresql.org/docs/current/sql-copy.html>.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use osis_core::error::{Error, Result};

use crate::error::Outcome;
use crate::names::quote;
use crate::sql::{self, Link};

/// How times and numbers are written, whatever the server's own settings say; how long it may take.
pub(crate) const SETTINGS: &str = "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL intervalstyle = 'postgres'; \
     SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL statement_timeout = 0";
/// What the name of a table's file ends in.
const END: &str = ".copy";

/// A table with its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: String,
    /// The names of its columns.
    pub(crate) columns: Vec<String>,
    /// The column, if any, that numbers its rows by itself.
    pub(crate) numbers: Option<String>,
}

impl Table {
    /// The file that holds it, in the directory of a copy.
    pub(crate) fn file(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}{END}", self.name))
    }

    /// The columns of a list, in quotes.
    pub(crate) fn list(columns: &[String]) -> String {
        let quoted: Vec<String> = columns.iter().map(|name| quote(name)).collect();
        quoted.join(", ")
    }
}

/// The name of the table that a file of a copy holds.
pub(crate) fn table_of(file: &str) -> Option<&str> {
    file.strip_suffix(END)
}

/// The tables of a schema of the database, partitions apart.
///
/// # Errors
/// Those of PostgreSQL.
pub(crate) async fn tables(link: Link<'_>, schema: &str) -> Outcome<Vec<Table>> {
    let sql = "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum), \
               max(a.attname::text) FILTER (WHERE a.attidentity <> '') \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
               GROUP BY 1 ORDER BY 1";
    let rows = link.all_of(sql, vec![sql::text(schema)]).await?;
    let tables = rows.iter().map(|row| {
        Ok(Table {
            name: row.try_get(0)?,
            columns: row.try_get(1)?,
            numbers: row.try_get(2)?,
        })
    });
    tables.collect()
}

/// Writes all tables of a schema of the database into a directory, durably, as the open transaction sees
/// them.
///
/// # Errors
/// Those of PostgreSQL; inside, those of the file system.
pub(crate) async fn copy_out(link: Link<'_>, schema: &str, to: &Path) -> Outcome<Result<()>> {
    link.client.batch_execute(SETTINGS).await?;
    for table in tables(link, schema).await? {
        let path = table.file(to);
        if let Err(error) = copy_table(link, &table, &path).await? {
            return Ok(Err(Error::of_file(&path, &error)));
        }
    }
    let synced = File::open(to).and_then(|directory| directory.sync_all());
    Ok(synced.map_err(|error| Error::of_file(to, &error)))
}

async fn copy_table(link: Link<'_>, table: &Table, path: &Path) -> Outcome<std::io::Result<()>> {
    let mut options = OpenOptions::new();
    // Secrets are among what is copied.
    let made = options.write(true).create_new(true).mode(0o600).open(path);
    let mut out = match made {
        Ok(file) => BufWriter::new(file),
        Err(error) => return Ok(Err(error)),
    };
    // A query: COPY of a partitioned table by its name gives nothing.
    let sql = format!(
        "COPY (SELECT {} FROM {}) TO STDOUT (FORMAT text, ENCODING 'UTF8', HEADER)",
        Table::list(&table.columns),
        quote(&table.name)
    );
    let mut rows = std::pin::pin!(link.client.copy_out(&sql).await?);
    while let Some(bytes) = rows.try_next().await? {
        if let Err(error) = out.write_all(&bytes) {
            return Ok(Err(error));
        }
    }
    let written = out
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error);
    Ok(written.and_then(|file| file.sync_all()))
}
