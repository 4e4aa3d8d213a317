//! From a store URL to an opened store: the only place that names engines.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use osis_backend_file::{FileBackend, FileConfig};
use osis_backend_sqlite::{SqliteBackend, SqliteConfig};
use osis_core::memory::MemoryBackend;
use osis_core::schema::diff::SchemaPolicy;
use osis_core::schema::{Schema, Source, load};
use osis_core::{Backend, Store};

use crate::args::Common;
use crate::failure::Failure;

/// What a command does with a store, which decides whether it may make one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reads only: the store must be there.
    Read,
    /// Writes: a store that is not there is made.
    Write,
    /// Serves: as `Write`, and a schema change that loses nothing is applied.
    Serve,
}

impl Purpose {
    fn schema_policy(self) -> SchemaPolicy {
        match self {
            Self::Serve => SchemaPolicy::ApplyLossless,
            Self::Read | Self::Write => SchemaPolicy::Stored,
        }
    }
}

/// Opens the store that the options name.
///
/// # Errors
/// If the URL is none, the schema has an error, or the engine cannot open.
pub(crate) fn open(common: &Common, purpose: Purpose) -> Result<Store, Failure> {
    let schema = schema(common)?;
    let backend: Arc<dyn Backend> = match common.store.split_once(':') {
        Some(("sqlite", file)) if !file.is_empty() => {
            Arc::new(sqlite(Path::new(file), schema, purpose)?)
        }
        Some(("file", directory)) if !directory.is_empty() => {
            Arc::new(file(Path::new(directory), common, schema, purpose)?)
        }
        Some(("memory", "")) => Arc::new(MemoryBackend::new(Arc::new(schema))),
        Some((scheme @ ("postgres" | "postgresql"), _)) => {
            return Err(Failure::misused(format!(
                "this version has no {scheme}: stores yet; use sqlite:FILE, file:DIR or memory:"
            )));
        }
        _ => {
            return Err(Failure::misused(format!(
                "{:?} is no store; use sqlite:FILE, for example sqlite:osis-data/osis.db, file:DIR \
                 or memory:",
                common.store
            )));
        }
    };
    Ok(Store::new(backend))
}

fn sqlite(file: &Path, schema: Schema, purpose: Purpose) -> Result<SqliteBackend, Failure> {
    may_make(purpose, file, file)?;
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
    // A directory may be there, with anything in it, and be no store.
    may_make(purpose, directory, &directory.join("store.toml"))?;
    let config = FileConfig {
        cache: common.cache.clone(),
        schema: purpose.schema_policy(),
        ..FileConfig::new(directory)
    };
    Ok(FileBackend::open(config, Some(schema))?)
}

/// Refuses to make a store for who only wants to read one; `sign` is there where a store is.
fn may_make(purpose: Purpose, place: &Path, sign: &Path) -> Result<(), Failure> {
    if purpose == Purpose::Read && !sign.exists() {
        return Err(Failure::new(format!(
            "error: there is no store at {}; name one with --store, or make it with osis serve or osis seed",
            place.display()
        )));
    }
    Ok(())
}

/// The schema that the options name: the built-in one and files beside it.
fn schema(common: &Common) -> Result<Schema, Failure> {
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

fn read(file: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("error: cannot read {}: {error}", file.display())))
}
