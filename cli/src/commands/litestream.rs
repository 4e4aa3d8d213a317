//! `osis backup --litestream-config`: a configuration for [Litestream](https://litestream.io), which
//! copies a SQLite store to another place as it changes.
//!
//! Events of a log type lie in a file a month beside the main one. Litestream 0.5 is told to look for
//! such files; 0.3 knows only what it is told by name, and waits for a file that is not there yet, so
//! the months to come are named ahead.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use osis_core::Time;

use super::print;
use crate::args::{Common, Litestream};
use crate::failure::Failure;
use crate::stores;

/// How many months Litestream 0.3 is told of ahead.
const MONTHS_AHEAD: i32 = 24;

pub(super) fn run(common: &Common, dest: Option<&str>, version: Litestream) -> Result<(), Failure> {
    if stores::kind(&common.store)? != "sqlite" {
        return Err(Failure::misused(
            "Litestream copies SQLite stores; for a store of another kind make backups with osis \
             backup DEST",
        ));
    }
    let file = Path::new(common.store.trim_start_matches("sqlite:"));
    let database = std::path::absolute(file)
        .map_err(|error| Failure::new(format!("error: {}: {error}", file.display())))?;
    let replica = Replica::of(dest, &database)?;
    let config = Config {
        database: &database,
        replica: &replica,
    };
    let text = match version {
        Litestream::Now => config.now(),
        Litestream::Before => config.before(Time::now()),
    };
    print(text.trim_end());
    Ok(())
}

/// Where copies are to be.
enum Replica {
    Directory(PathBuf),
    Url(String),
}

impl Replica {
    /// What was asked for, or a directory beside the database.
    fn of(dest: Option<&str>, database: &Path) -> Result<Self, Failure> {
        let beside;
        let dest = match dest {
            Some(url) if url.contains("://") => {
                return Ok(Self::Url(url.trim_end_matches('/').to_owned()));
            }
            Some(directory) => Path::new(directory),
            None => {
                beside = database.with_extension("replica");
                &beside
            }
        };
        let absolute = std::path::absolute(dest)
            .map_err(|error| Failure::new(format!("error: {}: {error}", dest.display())))?;
        Ok(Self::Directory(absolute))
    }

    /// As a line of the configuration: the place of one file, or of all below one name.
    fn line(&self, name: &str) -> String {
        match self {
            Self::Directory(path) => format!("path: {}", quoted(&path.join(name))),
            Self::Url(url) => format!("url: {}", quoted(Path::new(&format!("{url}/{name}")))),
        }
    }
}

struct Config<'a> {
    database: &'a Path,
    replica: &'a Replica,
}

impl Config<'_> {
    /// For Litestream 0.5 and later.
    fn now(&self) -> String {
        let mut out = self.head("0.5 and later");
        let directory = self.database.parent().unwrap_or(Path::new("/"));
        let _ = write!(
            out,
            "snapshot:\n  interval: 24h\n  retention: 720h\n\
             dbs:\n  - path: {}\n    replica:\n      {}\n      sync-interval: 1s\n  \
             - dir: {}\n    pattern: {}\n    watch: true\n    replica:\n      {}\n      \
             sync-interval: 1s\n",
            quoted(self.database),
            self.replica.line(&self.name()),
            quoted(directory),
            quoted(Path::new(&format!("{}-events-*.db", self.stem()))),
            self.replica.line("events"),
        );
        out
    }

    /// For Litestream 0.3.
    fn before(&self, now: Time) -> String {
        let mut out = self.head("0.3");
        out.push_str(
            "# It copies the files that are named here: print this anew, and start Litestream anew, \
             before the last month is over.\ndbs:\n",
        );
        let directory = self.database.parent().unwrap_or(Path::new("/"));
        let stem = self.stem();
        let ahead = ahead(now).map(|month| format!("{stem}-events-{month}.db"));
        let months: BTreeSet<String> = self.months(directory).chain(ahead).collect();
        for name in std::iter::once(self.name()).chain(months) {
            let _ = write!(
                out,
                "  - path: {}\n    replicas:\n      - {}\n        sync-interval: 1s\n        \
                 snapshot-interval: 24h\n        retention: 720h\n",
                quoted(&directory.join(&name)),
                self.replica.line(&name),
            );
        }
        out
    }

    fn head(&self, version: &str) -> String {
        let mut head = format!(
            "# Litestream {version} for the store {}, written by osis backup --litestream-config.\n\
             # Run one Litestream only: litestream replicate -config THIS-FILE\n",
            self.database.display()
        );
        if head.contains('$') {
            head.push_str("# There is a $ in a path, so run it with -no-expand-env.\n");
        }
        head
    }

    fn name(&self) -> String {
        let name = self.database.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn stem(&self) -> String {
        let stem = self.database.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// The files of months that are there.
    fn months(&self, directory: &Path) -> impl Iterator<Item = String> {
        let begin = format!("{}-events-", self.stem());
        let found = std::fs::read_dir(directory).into_iter().flatten();
        let names = found.filter_map(|found| found.ok()?.file_name().into_string().ok());
        names.filter(move |name| name.starts_with(&begin) && name.ends_with(".db"))
    }
}

/// The months from now on, as `2026-11`.
fn ahead(now: Time) -> impl Iterator<Item = String> {
    let now = now.to_civil();
    let first = i32::from(now.year()) * 12 + i32::from(now.month()) - 1;
    (first..=first + MONTHS_AHEAD).map(|n| format!("{:04}-{:02}", n.div_euclid(12), n % 12 + 1))
}

/// A path as YAML reads it: its strings in double quotes are those of JSON.
fn quoted(path: &Path) -> String {
    serde_json::Value::from(path.to_string_lossy()).to_string()
}
