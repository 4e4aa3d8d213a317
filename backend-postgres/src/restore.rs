//! A copy of a store back into a schema of a database.
//!
//! It is laid ready in a schema of its own beside the one that it is for, made as for a new store, and
//! filled in one transaction. In another one it takes the name of the old schema, which goes with it.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::SinkExt as _;
use osis_core::backend::{Backend, Restore};
use osis_core::error::{Error, ErrorKind, Result};
use osis_core::schema::Schema;

use crate::PostgresBackend;
use crate::backup::{self, SETTINGS, Table};
use crate::committer::Hands;
use crate::config::PostgresConfig;
use crate::connection::Connector;
use crate::error::{Failure, Outcome};
use crate::names::{self, quote};
use crate::setup::{self, Things};
use crate::sql::Link;

/// How much of a file goes to the server at a time.
const CHUNK: usize = 256 << 10;

/// A PostgreSQL store that is being restored.
#[derive(Debug)]
pub struct PostgresRestore {
    config: PostgresConfig,
    /// Where it is laid ready.
    staged: PostgresConfig,
    is_in_place: bool,
}

impl PostgresRestore {
    /// Lays what [`osis_core::backend::Snapshot::copy_into`] made ready beside the schema of the database
    /// that the configuration names. Blocks; must not be called by a task.
    ///
    /// # Errors
    /// `Corrupt` where the copy holds what such a store has not; those of opening a new store and of the
    /// file system.
    pub fn begin(config: PostgresConfig, from: &Path, schema: Schema) -> Result<Self> {
        let staged = PostgresConfig {
            schema_name: names::fit(format!("{}_osis_restoring", config.schema_name)),
            ..config.clone()
        };
        let restore = Self {
            config,
            staged,
            is_in_place: false,
        };
        restore.remove_staged()?;
        drop(PostgresBackend::open(restore.staged.clone(), Some(schema))?);
        let files = files(from)?;
        let name = &restore.staged.schema_name;
        on(&restore.staged, |hands| {
            let link = hands.link()?;
            hands.wait(fill(link, name, hands.begin_writing(), &files))
        })??;
        Ok(restore)
    }

    fn remove_staged(&self) -> Result<()> {
        let drop = format!(
            "DROP SCHEMA IF EXISTS {} CASCADE",
            quote(&self.staged.schema_name)
        );
        on(&self.staged, |hands| {
            Ok(hands.wait(hands.link()?.client.batch_execute(&drop))?)
        })
    }
}

impl Restore for PostgresRestore {
    fn open(&self) -> Result<Arc<dyn Backend>> {
        match PostgresBackend::open_existing(self.staged.clone())? {
            Some(backend) => Ok(Arc::new(backend)),
            None => Err(Error::new(
                ErrorKind::Internal,
                "what was restored is gone before it was put in place",
            )),
        }
    }

    fn put_in_place(mut self: Box<Self>) -> Result<()> {
        let (name, staged) = (&self.config.schema_name, &self.staged.schema_name);
        let place = self.config.place();
        on(&self.config, |hands| {
            let link = hands.link()?;
            hands.wait(async {
                setup::begin(link, name, hands.begin_writing()).await?;
                if setup::things(link, name).await? == Things::Foreign {
                    return Ok(Err(setup::foreign(name, &place)));
                }
                let swap = format!(
                    "DROP SCHEMA IF EXISTS {0} CASCADE; ALTER SCHEMA {1} RENAME TO {0}; COMMIT",
                    quote(name),
                    quote(staged)
                );
                link.client.batch_execute(&swap).await?;
                Ok(Ok(()))
            })
        })??;
        self.is_in_place = true;
        Ok(())
    }
}

impl Drop for PostgresRestore {
    fn drop(&mut self) {
        if self.is_in_place {
            return;
        }
        // Whoever lets go of it may be a task, which must not block by itself.
        let removed = std::thread::scope(|scope| scope.spawn(|| self.remove_staged()).join());
        if !matches!(removed, Ok(Ok(()))) {
            let left = self.staged.place();
            tracing::warn!(left, "what was laid ready could not be removed");
        }
    }
}

/// Does something on a connection of its own.
fn on<T>(config: &PostgresConfig, work: impl FnOnce(&Hands) -> Outcome<T>) -> Result<T> {
    let explain = |failure: Failure| failure.explain(&config.place());
    let mut hands = Hands::new(Connector::new(config)?)?;
    hands.connect().map_err(explain)?;
    work(&hands).map_err(explain)
}

/// The files of a copy, by the names of their tables.
fn files(from: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |error: io::Error| Error::of_file(from, &error);
    let mut files = Vec::new();
    for found in fs::read_dir(from).map_err(failed)? {
        let found = found.map_err(failed)?;
        let name = found.file_name().to_string_lossy().into_owned();
        let table = backup::table_of(&name)
            .ok_or_else(|| strange(&found.path(), "is no file of a PostgreSQL store's backup"))?;
        files.push((table.to_owned(), found.path()));
    }
    files.sort();
    Ok(files)
}

/// Fills all tables of a schema from files, and nothing else, in one transaction.
async fn fill(
    link: Link<'_>,
    schema: &str,
    begin: &str,
    files: &[(String, PathBuf)],
) -> Outcome<Result<()>> {
    link.client.batch_execute(begin).await?;
    link.client.batch_execute(SETTINGS).await?;
    let tables = backup::tables(link, schema).await?;
    let all: Vec<String> = tables.iter().map(|table| quote(&table.name)).collect();
    let truncate = format!("TRUNCATE {}", all.join(", "));
    link.client.batch_execute(&truncate).await?;
    for (name, path) in files {
        let Some(table) = tables.iter().find(|table| table.name == *name) else {
            return Ok(Err(strange(
                path,
                "is of a table that such a store has not",
            )));
        };
        if let Err(error) = copy_table(link, table, path).await? {
            return Ok(Err(Error::of_file(path, &error)));
        }
        if let Some(column) = &table.numbers {
            let table = quote(name);
            let set = format!(
                "SELECT setval(pg_get_serial_sequence({}, {}), max({})) FROM {table}",
                names::literal(&table),
                names::literal(column),
                quote(column)
            );
            link.client.batch_execute(&set).await?;
        }
    }
    link.client.batch_execute("COMMIT").await?;
    // The planner would know nothing of the new rows for a while.
    let analyze = format!("ANALYZE {}", all.join(", "));
    link.client.batch_execute(&analyze).await?;
    Ok(Ok(()))
}

async fn copy_table(link: Link<'_>, table: &Table, path: &Path) -> Outcome<io::Result<()>> {
    let (mut file, head) = match head(path) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error)),
    };
    let sql = format!(
        "COPY {} ({}) FROM STDIN (FORMAT text, ENCODING 'UTF8')",
        quote(&table.name),
        Table::list(&head)
    );
    let mut rows = std::pin::pin!(link.client.copy_in::<_, Bytes>(&sql).await?);
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        match file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk) {
            Ok(0) => break,
            Ok(_) => rows.send(chunk.into()).await?,
            // Not finished, so the server drops what it got.
            Err(error) => return Ok(Err(error)),
        }
    }
    rows.finish().await?;
    Ok(Ok(()))
}

/// Opens a table's file behind its first line, which names the columns.
fn head(path: &Path) -> io::Result<(BufReader<File>, Vec<String>)> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = String::new();
    file.read_line(&mut line)?;
    let names = line.trim_end_matches('\n').split('\t');
    Ok((file, names.map(str::to_owned).collect()))
}

fn strange(path: &Path, what: &str) -> Error {
    let path = path.display().to_string();
    let message = format!("{path} {what}; it was made by another version of osis, or is damaged");
    Error::new(ErrorKind::Corrupt { path, line: None }, message)
}
