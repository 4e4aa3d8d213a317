//! Opening: a new file becomes a store, an existing one is looked at before it is trusted.
//!
//! Whatever is to be done happens under the lock that writers take ([`Ticket`]), in one
//! transaction that looks before it makes anything: any number of processes may open one new file
//! at the same moment, and one of them sets it up. Where nothing is to be done, nobody waits.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use osis_core::error::{Error, ErrorKind, Result};
use osis_core::object::Id;
use osis_core::schema::diff::{self, SchemaPolicy};
use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use osis_host::turn::Ticket;
use osis_sql::{Steps, unsigned};
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::config::SqliteConfig;
use crate::connection::{self, Missing};
use crate::ddl;
use crate::error::{Failure, Outcome};
use crate::history::{self, Stored};
use crate::names::META;
use crate::place;
use crate::rollups;
use crate::transaction::WriteTransaction;

/// Says in the file's header whose it is: `OSIS`.
pub(crate) const APPLICATION_ID: i32 = 0x4F53_4953;
/// The version of the store's own tables, in the file's header.
pub(crate) const FORMAT: i32 = 1;
/// How long the change to a write-ahead log is tried: SQLite does not wait for it by itself.
const LOG_MODE_WAIT: Duration = Duration::from_secs(5);

/// The file beside a database whose lock says which process writes next.
///
/// SQLite alone lets waiting writers sleep and try again, so under load some never get a turn. The
/// lock decides nothing about safety, which is SQLite's affair: it makes waiting fair.
pub(crate) fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-osis-lock");
    name.into()
}

/// Opens a store: its facts, and the writers' lock.
///
/// # Errors
/// `Invalid` where the file may not lie there, is not a store, is of a newer format, or holds a
/// schema that differs too much; `Corrupt` where it is damaged.
pub(crate) fn open(config: SqliteConfig, wanted: Option<Schema>) -> Result<(Catalog, Ticket)> {
    let path = prepare_place(&config)?;
    let file = path.display().to_string();
    let ticket = Ticket::open(&lock_path(&path)).map_err(|error| unusable(&file, &error))?;
    let setup = Setup {
        config: &config,
        path: &path,
        file: &file,
    };
    let (schema, hash, seq) = match setup.peek(wanted.as_ref()) {
        Some(opened) => opened,
        None => {
            let _turn = ticket.take().map_err(|error| unusable(&file, &error))?;
            setup.run(wanted)?
        }
    };
    Ok((Catalog::new(config, path, schema, hash, seq), ticket))
}

/// The absolute path of the database, whose directory is there and fit.
pub(crate) fn prepare_place(config: &SqliteConfig) -> Result<PathBuf> {
    if config.path.as_os_str().is_empty() {
        return Err(Error::invalid("store", "sqlite: names no file"));
    }
    let shown = config.path.display().to_string();
    let path = std::path::absolute(&config.path).map_err(|error| unusable(&shown, &error))?;
    let Some(directory) = path.parent() else {
        return Err(Error::invalid("store", format!("{shown} is no file")));
    };
    std::fs::create_dir_all(directory).map_err(|error| unusable(&shown, &error))?;
    place::check(directory, config.place)?;
    if path.is_dir() {
        return Err(Error::invalid(
            "store",
            format!("{shown} is a directory, not a file"),
        ));
    }
    Ok(path)
}

/// A failure of the file system at a file of the store.
pub(crate) fn unusable(file: &str, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::new(
            ErrorKind::StorageFull,
            format!("the disk that holds {file} is full"),
        );
    }
    Error::new(
        ErrorKind::Unavailable {
            retry_after_ms: None,
        },
        format!("{file} cannot be opened: {error}"),
    )
}

/// What a file is before it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing in it yet.
    New,
    /// A store of this format.
    Store,
    /// A database of another program.
    Foreign,
    /// A store of a newer format.
    Newer(i32),
}

struct Setup<'a> {
    config: &'a SqliteConfig,
    path: &'a Path,
    file: &'a str,
}

/// The schema in force, its hash in the database, and the last commit.
type Opened = (Schema, String, u64);

impl Setup<'_> {
    /// A store that is as it should be, so that opening it waits for no writer; nothing if there
    /// is anything to do or to say.
    fn peek(&self, wanted: Option<&Schema>) -> Option<Opened> {
        let connection = connection::open(self.config, self.path, Missing::Refuse).ok()?;
        let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
        let is_ready = mode.is_ok_and(|mode: String| mode == "wal")
            && kind(&connection).is_ok_and(|kind| kind == Kind::Store);
        let stored = is_ready.then(|| Stored::read(&connection).ok()).flatten()?;
        let schema = stored.schema(self.file).ok()?;
        let fits = wanted.is_none_or(|wanted| {
            wanted.hash == schema.hash || self.config.schema == SchemaPolicy::Stored
        });
        let is_ready = fits && rollups::outdated(&connection, &schema).ok()?.is_none();
        is_ready.then(|| (schema, stored.hash, unsigned(stored.seq)))
    }

    /// Looks, and does what there is to do, under the writers' lock.
    fn run(&self, wanted: Option<Schema>) -> Result<Opened> {
        let explain = |failure: Failure| failure.explain(self.file);
        let connection =
            connection::open(self.config, self.path, Missing::Create).map_err(explain)?;
        self.refuse_others(kind(&connection).map_err(explain)?)?;
        use_log(&connection).map_err(explain)?;
        let transaction = WriteTransaction::begin(&connection).map_err(explain)?;
        // Looked at again: now nobody can change it under us.
        let kind = kind(&connection).map_err(explain)?;
        self.refuse_others(kind)?;
        let opened = match kind {
            Kind::New => self.create(&connection, wanted)?,
            _ => self.take_over(&connection, wanted)?,
        };
        rollups::bring_up_to_date(&connection, &opened.0).map_err(explain)?;
        transaction.commit().map_err(explain)?;
        Ok(opened)
    }

    fn refuse_others(&self, kind: Kind) -> Result<()> {
        let file = self.file;
        match kind {
            Kind::New | Kind::Store => Ok(()),
            Kind::Foreign => Err(Error::invalid(
                "store",
                format!("{file} is a SQLite database of another program; name another file"),
            )),
            Kind::Newer(format) => Err(Error::invalid(
                "store",
                format!(
                    "{file} has format {format}, and this version of osis knows formats up to \
                     {FORMAT}; use a newer one"
                ),
            )),
        }
    }

    fn create(&self, connection: &Connection, wanted: Option<Schema>) -> Result<Opened> {
        let schema = match wanted {
            Some(schema) => schema,
            None => load(&[Source::builtin()])?,
        };
        refuse_reserved(&schema)?;
        self.make(connection, &schema)
            .map_err(|failure| failure.explain(self.file))?;
        let hash = schema.hash.clone();
        Ok((schema, hash, 0))
    }

    fn make(&self, connection: &Connection, schema: &Schema) -> Outcome<()> {
        for statement in ddl::create_system()
            .iter()
            .chain(&ddl::create_types(schema))
        {
            connection.execute_batch(statement)?;
        }
        let id = Id::generate(Time::now());
        connection.execute(
            &format!(
                "INSERT INTO {META} (one, store_id, seq, oldest, schema_hash) VALUES (1, ?, 0, 0, ?)"
            ),
            (id.as_str(), &schema.hash),
        )?;
        history::record(connection, schema, &Steps::default())?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        tracing::info!(file = self.file, schema = schema.name, "made a new store");
        Ok(())
    }

    fn take_over(&self, connection: &Connection, wanted: Option<Schema>) -> Result<Opened> {
        let explain = |failure: Failure| failure.explain(self.file);
        let stored = Stored::read(connection).map_err(explain)?;
        let (schema, seq) = (stored.schema(self.file)?, unsigned(stored.seq));
        let Some(wanted) = wanted else {
            return Ok((schema, stored.hash, seq));
        };
        if wanted.hash == schema.hash || self.config.schema == SchemaPolicy::Stored {
            return Ok((schema, stored.hash, seq));
        }
        let steps = self.plan(&schema, &wanted)?;
        self.apply(connection, &wanted, &steps).map_err(explain)?;
        let hash = wanted.hash.clone();
        Ok((wanted, hash, seq))
    }

    fn plan(&self, stored: &Schema, wanted: &Schema) -> Result<Steps> {
        let losses = diff::losses(stored, wanted);
        if !losses.is_empty() {
            return Err(diff::refused(self.file, &losses));
        }
        refuse_reserved(wanted)?;
        osis_sql::plan(stored, wanted, ddl::layout)
            .map_err(|reasons| diff::refused(self.file, &reasons))
    }

    fn apply(&self, connection: &Connection, schema: &Schema, steps: &Steps) -> Outcome<()> {
        for statement in &steps.up {
            connection.execute_batch(statement)?;
        }
        history::record(connection, schema, steps)?;
        tracing::info!(
            file = self.file,
            schema = schema.name,
            version = schema.version,
            statements = steps.up.len(),
            "applied a new schema"
        );
        Ok(())
    }
}

/// SQLite keeps names to itself that begin with `sqlite_`.
fn refuse_reserved(schema: &Schema) -> Result<()> {
    match schema
        .types
        .iter()
        .find(|ty| ty.plural.starts_with("sqlite_"))
    {
        Some(ty) => Err(Error::invalid(
            "schema",
            format!(
                "type {} cannot have the plural {}: SQLite reserves it",
                ty.name, ty.plural
            ),
        )),
        None => Ok(()),
    }
}

/// What a file is.
pub(crate) fn kind(connection: &Connection) -> Outcome<Kind> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get(0));
    let (application, format): (i32, i32) = (number("application_id")?, number("user_version")?);
    let things: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match application {
        APPLICATION_ID if format > FORMAT => Kind::Newer(format),
        APPLICATION_ID => Kind::Store,
        0 if things == 0 && format == 0 => Kind::New,
        _ => Kind::Foreign,
    })
}

/// Puts the database into write-ahead mode, which stays with the file.
fn use_log(connection: &Connection) -> Outcome<()> {
    let until = Instant::now() + LOG_MODE_WAIT;
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode.map_err(Failure::from) {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(Failure::Fault(format!("the journal stays in mode {mode}")));
            }
            Err(failure) if failure.is_busy() && Instant::now() < until => {
                thread::sleep(Duration::from_millis(5));
            }
            Err(failure) => return Err(failure),
        }
    }
}
