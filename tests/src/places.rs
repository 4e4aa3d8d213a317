//! Where a store lives that several processes may use at once, so that one test runs on each kind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use osis_backend_file::{FileBackend, FileConfig};
use osis_backend_postgres::{PostgresBackend, PostgresConfig};
use osis_backend_sqlite::{SqliteBackend, SqliteConfig};
use osis_core::Backend;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::{Served, command};
use crate::fixture::{self, SHOP_FILE};
use crate::postgres::{self, Cluster};

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `sqlite:FILE`
    Sqlite,
    /// `file:DIR`
    File,
    /// `postgres://…`
    Postgres,
}

impl Kind {
    /// The kinds that this machine can have; says loudly that `test` leaves one out.
    pub fn all(test: &str) -> Vec<Self> {
        let server = postgres::is_there(test).then_some(Self::Postgres);
        [Self::Sqlite, Self::File]
            .into_iter()
            .chain(server)
            .collect()
    }

    /// As URLs and `osis_info` name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::File => "file",
            Self::Postgres => "postgres",
        }
    }
}

/// Where a store lives, or will as soon as somebody makes it.
#[derive(Debug)]
pub struct Place {
    kind: Kind,
    path: PathBuf,
    cache: Option<PathBuf>,
    folder: Option<TempDir>,
    /// The URL, where it is not a path.
    url: Option<String>,
}

impl Place {
    /// A place of its own, in a folder that goes when this does.
    pub fn new(kind: Kind) -> Self {
        let folder = TempDir::new().unwrap();
        // A folder deeper, so that whoever makes the store makes the folder too.
        let path = folder.path().join(match kind {
            Kind::Sqlite => "new/osis.db",
            Kind::File => "new/store",
            Kind::Postgres => return Self::on(Cluster::shared(), folder),
        });
        Self {
            kind,
            path,
            cache: None,
            folder: Some(folder),
            url: None,
        }
    }

    /// A place in a schema of its own on a PostgreSQL server.
    pub fn on_cluster(cluster: &Cluster) -> Self {
        Self::on(cluster, TempDir::new().unwrap())
    }

    fn on(cluster: &Cluster, folder: TempDir) -> Self {
        Self {
            kind: Kind::Postgres,
            path: PathBuf::new(),
            cache: None,
            folder: Some(folder),
            url: Some(cluster.new_store()),
        }
    }

    /// A file store in a directory that others see as well, with this host's own caches.
    pub fn shared(directory: impl Into<PathBuf>, cache: impl Into<PathBuf>) -> Self {
        Self {
            kind: Kind::File,
            path: directory.into(),
            cache: Some(cache.into()),
            folder: None,
            url: None,
        }
    }

    /// The kind of store.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The file or the directory of the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is anything of a store.
    pub fn is_made(&self) -> bool {
        match &self.url {
            Some(url) => Cluster::shared().has_schema(url),
            None => self.path.exists(),
        }
    }

    /// A file beside the store, for what a test needs.
    pub fn beside(&self, name: &str) -> PathBuf {
        let folder = self.folder.as_ref();
        folder
            .unwrap_or_else(|| panic!("a shared store has nothing beside it"))
            .path()
            .join(name)
    }

    /// The store's URL.
    pub fn url(&self) -> String {
        let path = || format!("{}:{}", self.kind.name(), self.path.display());
        self.url.clone().unwrap_or_else(path)
    }

    /// Options of `osis` that name the store and its schema.
    pub fn options(&self) -> Vec<String> {
        let mut options = ["--store", &self.url(), "--schema", SHOP_FILE]
            .map(str::to_owned)
            .to_vec();
        if let Some(cache) = &self.cache {
            options.extend(["--cache".to_owned(), cache.display().to_string()]);
        }
        options
    }

    /// `osis` with some arguments, on this store.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(arguments);
        command.args(self.options());
        command
    }

    /// Serves it in a process of its own.
    pub fn serve(&self) -> Served {
        Served::start(self.options())
    }

    /// What `osis digest` says of it.
    pub fn digest(&self) -> Value {
        let output = self.command(&["digest", "--json"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The engine on it, in this process.
    pub fn backend(&self) -> Arc<dyn Backend> {
        match self.kind {
            Kind::Sqlite => {
                let backend =
                    SqliteBackend::open(SqliteConfig::new(&self.path), Some(fixture::schema()));
                Arc::new(backend.unwrap_or_else(|error| panic!("{error}")))
            }
            Kind::File => {
                let config = FileConfig {
                    cache: self.cache.clone(),
                    ..FileConfig::new(&self.path)
                };
                let backend = FileBackend::open(config, Some(fixture::schema()));
                Arc::new(backend.unwrap_or_else(|error| panic!("{error}")))
            }
            Kind::Postgres => {
                let config = PostgresConfig::parse(&self.url()).unwrap();
                let backend = PostgresBackend::open(config, Some(fixture::schema()));
                Arc::new(backend.unwrap_or_else(|error| panic!("{error}")))
            }
        }
    }
}

/// Makes a test of each function for each kind of store, in a module named like the kind.
#[macro_export]
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $test() {
                super::$test(osis_tests::places::Kind::Sqlite);
            })+
        }

        mod file {
            $(#[test]
            fn $test() {
                super::$test(osis_tests::places::Kind::File);
            })+
        }

        mod postgres {
            $(#[test]
            fn $test() {
                if osis_tests::postgres::is_there(stringify!($test)) {
                    super::$test(osis_tests::places::Kind::Postgres);
                }
            })+
        }
    };
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(url) = &self.url {
            Cluster::forget(url);
        }
    }
}
