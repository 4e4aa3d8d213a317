//! From a store URL to an opened store: the only place that names engines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use osis_backend_file::{FileBackend, FileConfig, FileRestore};
use osis_backend_postgres::{PostgresBackend, PostgresConfig, PostgresRestore};
use osis_backend_sqlite::{SqliteBackend, SqliteConfig, SqliteRestore};
use osis_core::backend::Restore;
use osis_core::memory::MemoryBackend;
use osis_core::schema::diff::SchemaPolicy;
use osis_core::schema::{Schema, Source, load};
use osis_core::{Backend, Store};
use osis_migrate::backup::Backup;

use crate::args::Common;
use crate::failure::Failure;

/// What a command does with a store, which decides whether it may make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Uses a store, which must be there: a mistyped name must not make one.
    Use,
    /// Tries a write of which nothing is kept: where there is no store, none is made.
    Try,
    /// Fills a store; one that is not there is made.
    Fill,
    /// Serves: as `Fill`, and a schema change that loses nothing is applied.
    Serve,
}

impl Purpose {
    fn schema_policy(self) -> SchemaPolicy {
        match self {
            Self::Serve => SchemaPolicy::ApplyLossless,
            Self::Use | Self::Try | Self::Fill => SchemaPolicy::Stored,
        }
    }

    /// How long it waits for edits that people made in files while nothing ran. Who serves tells of
    /// them later as well; who answers once does not.
    fn patience(self) -> Duration {
        match self {
            Self::Serve => Duration::from_secs(2),
            Self::Use | Self::Try | Self::Fill => Duration::from_secs(10),
        }
    }
}

/// How long a command waits for edits in files that go on being taken in.
const PATIENCE_MAX: Duration = Duration::from_secs(600);

/// Opens the store that the options name.
///
/// # Errors
/// If the URL is none, the schema has an error, or the engine cannot open.
pub(crate) fn open(common: &Common, purpose: Purpose) -> Result<Store, Failure> {
    open_at(common, &common.store, schema(common)?, purpose)
}

/// Opens the store that a URL names, with the other options.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_at(
    common: &Common,
    url: &str,
    schema: Schema,
    purpose: Purpose,
) -> Result<Store, Failure> {
    let backend: Arc<dyn Backend> = match url.split_once(':') {
        Some(("sqlite", file)) if !file.is_empty() => {
            let file = Path::new(file);
            if file.is_dir() {
                return Err(Failure::misused(format!(
                    "{0} is a directory, and a SQLite store is a file; a store of files is file:{0}",
                    file.display()
                )));
            }
            match is_to_be_opened(purpose, file, is_database(file))? {
                true => Arc::new(sqlite(file, schema, purpose)?),
                false => Arc::new(MemoryBackend::new(Arc::new(schema))),
            }
        }
        Some(("file", directory)) if !directory.is_empty() => {
            let directory = Path::new(directory);
            if directory.is_file() {
                return Err(Failure::misused(format!(
                    "{0} is a file, and a store of files is a directory; a SQLite store is sqlite:{0}",
                    directory.display()
                )));
            }
            match is_to_be_opened(purpose, directory, is_file_store(directory))? {
                true => Arc::new(file(directory, common, schema, purpose)?),
                false => Arc::new(MemoryBackend::new(Arc::new(schema))),
            }
        }
        Some(("memory", "")) => Arc::new(MemoryBackend::new(Arc::new(schema))),
        Some(("postgres" | "postgresql", _)) => postgres(url, schema, purpose)?,
        _ if Path::new(&common.store).is_dir() => {
            return Err(Failure::misused(format!(
                "{0:?} does not say what kind of store it is; it is a directory, so use file:{0}",
                common.store
            )));
        }
        _ if Path::new(&common.store).is_file() => {
            return Err(Failure::misused(format!(
                "{0:?} does not say what kind of store it is; it is a file, so use sqlite:{0}",
                common.store
            )));
        }
        _ => {
            return Err(Failure::misused(format!(
                "{url:?} is no store; use sqlite:FILE, for example sqlite:osis-data/osis.db, file:DIR, \
                 postgres://HOST/DATABASE?schema=osis or memory:"
            )));
        }
    };
    Ok(Store::new(backend))
}

fn sqlite(file: &Path, schema: Schema, purpose: Purpose) -> Result<SqliteBackend, Failure> {
    let config = SqliteConfig {
        schema: purpose.schema_policy(),
        ..SqliteConfig::new(file)
    };
    Ok(SqliteBackend::open(config, Some(schema))?)
}

fn file(
    directory: &Path,
    common: &Common,
    schema: Schema,
    purpose: Purpose,
) -> Result<FileBackend, Failure> {
    let config = FileConfig {
        cache: common.cache.clone(),
        schema: purpose.schema_policy(),
        ..FileConfig::new(directory)
    };
    let backend = FileBackend::open(config, Some(schema))?;
    let is_complete = backend.take_in(purpose.patience());
    if is_complete || purpose == Purpose::Serve {
        return Ok(backend);
    }
    tracing::warn!(
        store = %directory.display(),
        "files that were edited while nothing ran are still being taken in"
    );
    // Half of a store must not be taken for all of it.
    match backend.take_in(PATIENCE_MAX) {
        true => Ok(backend),
        false => Err(Failure::new(format!(
            "error: the edits in {} that were made while nothing ran are not taken in yet; run \
             osis serve on it until osis_info has no problems, then try again",
            directory.display()
        ))),
    }
}

fn postgres(url: &str, schema: Schema, purpose: Purpose) -> Result<Arc<dyn Backend>, Failure> {
    let mut config = PostgresConfig::parse(url)
        .map_err(|error| Failure::misused(format!("{error} (in the URL of --store)")))?;
    config.schema = purpose.schema_policy();
    if matches!(purpose, Purpose::Fill | Purpose::Serve) {
        return Ok(Arc::new(PostgresBackend::open(config, Some(schema))?));
    }
    let place = config.place();
    match (PostgresBackend::open_existing(config)?, purpose) {
        (Some(backend), _) => Ok(Arc::new(backend)),
        (None, Purpose::Try) => Ok(Arc::new(MemoryBackend::new(Arc::new(schema)))),
        (None, _) => Err(no_store(&place)),
    }
}

/// What kind of store a URL names, of those that are backed up.
///
/// # Errors
/// If it is none, or one that lives in its process alone.
pub(crate) fn kind(url: &str) -> Result<&'static str, Failure> {
    match url.split_once(':') {
        Some(("sqlite", file)) if !file.is_empty() => Ok("sqlite"),
        Some(("file", directory)) if !directory.is_empty() => Ok("file"),
        Some(("postgres" | "postgresql", _)) => Ok("postgres"),
        Some(("memory", _)) => Err(Failure::misused(
            "a memory: store lives in its process alone, so nothing can be restored into it; name \
             another with --store",
        )),
        _ => Err(Failure::misused(format!(
            "{url:?} is no store; use sqlite:FILE, file:DIR or postgres://HOST/DATABASE?schema=osis"
        ))),
    }
}

/// Lays a backup ready beside the place that the options name.
///
/// # Errors
/// Those of the engine.
pub(crate) async fn lay(
    common: &Common,
    backup: &Backup,
    force: bool,
) -> Result<Box<dyn Restore>, Failure> {
    let (from, schema) = (backup.store(), backup.schema().text.clone());
    let (url, cache) = (common.store.clone(), common.cache.clone());
    let work = move || -> Result<Box<dyn Restore>, Failure> {
        let (scheme, place) = url.split_once(':').unwrap_or_default();
        Ok(match scheme {
            "sqlite" => Box::new(SqliteRestore::begin(SqliteConfig::new(place), &from)?),
            "file" => {
                let config = FileConfig {
                    cache,
                    ..FileConfig::new(place)
                };
                Box::new(FileRestore::begin(config, &from, force)?)
            }
            _ => {
                let config = PostgresConfig::parse(&url).map_err(|error| {
                    Failure::misused(format!("{error} (in the URL of --store)"))
                })?;
                let schema = load(&[Source::new("the backup's schema", schema)])?;
                Box::new(PostgresRestore::begin(config, &from, schema)?)
            }
        })
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::new(format!("error: the restore broke off: {error}")))?
}

/// A URL for messages, without a password.
pub(crate) fn shown(url: &str) -> String {
    match PostgresConfig::parse(url) {
        Ok(config) if url.starts_with("postgres") => config.place(),
        _ => url.to_owned(),
    }
}

/// Whether there is something of a SQLite store in a file. One without a byte is none yet.
fn is_database(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|found| found.len() > 0)
}

/// Whether there is something of a file store in a directory. It may have anything else in it.
fn is_file_store(directory: &Path) -> bool {
    let signs = ["store.toml", "schema.toml", "log"];
    signs.iter().any(|name| directory.join(name).exists())
}

/// Whether a store is opened, or made: `false` where a write is only tried and there is none.
///
/// # Errors
/// If there is none, and the command must not make one.
fn is_to_be_opened(purpose: Purpose, place: &Path, is_there: bool) -> Result<bool, Failure> {
    match purpose {
        Purpose::Fill | Purpose::Serve => Ok(true),
        Purpose::Try => Ok(is_there),
        Purpose::Use if is_there => Ok(true),
        Purpose::Use => Err(no_store(&place.display().to_string())),
    }
}

fn no_store(place: &str) -> Failure {
    Failure::new(format!(
        "error: there is no store at {place}; name another with --store, or make one there with \
         osis serve, osis seed or osis import"
    ))
}

/// The schema that the options name: the built-in one and files beside it.
pub(crate) fn schema(common: &Common) -> Result<Schema, Failure> {
    let mut sources = Vec::new();
    if !common.no_builtin_schema {
        sources.push(Source::builtin());
    }
    for file in &common.schemas {
        sources.push(Source {
            file: file.display().to_string(),
            text: read(file)?,
        });
    }
    Ok(load(&sources)?)
}

pub(crate) fn read(file: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("error: cannot read {}: {error}", file.display())))
}
