//! What a backup says of itself: `manifest.toml`, the last file of it to be written, for people and for
//! whoever restores it.

use std::collections::BTreeMap;
use std::path::Path;

use osis_core::schema::Schema;
use osis_core::{Error, ErrorKind, Result, Time};
use serde::{Deserialize, Serialize};

use crate::digest::{Digests, TypeDigest};

/// The name of the file.
pub(super) const NAME: &str = "manifest.toml";
/// The version of what lies in a backup.
const FORMAT: u32 = 1;
/// What a person is told who opens the file.
const HEAD: &str = "\
# A backup of an OSIS store, whole since this file is here. `osis restore` puts it back, and
# `sha256sum --check SHA256SUMS` in this folder looks whether its files are as they were written.

";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of what lies in it.
    pub format: u32,
    /// Of what kind of store it is: `file`, `sqlite`, `postgres`.
    pub kind: String,
    /// The commit as of which it is.
    pub seq: u64,
    /// When it was begun.
    pub made_at: String,
    /// The version of the program.
    pub made_by: String,
    /// The schema in force.
    pub schema: SchemaName,
    /// The files beside this one.
    pub files: Files,
    /// Count and digest of the objects of each type, as `osis digest` has them.
    pub types: BTreeMap<String, TypeDigest>,
    /// The same of the roll-up of each type that has one.
    pub rollups: BTreeMap<String, TypeDigest>,
}

/// Which schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SchemaName {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The hash of its text.
    pub hash: String,
}

/// The files of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// How many `SHA256SUMS` lists.
    pub count: u64,
    /// How long they are altogether.
    pub bytes: u64,
    /// The SHA-256 of `SHA256SUMS` itself.
    pub sha256: String,
}

impl Manifest {
    /// Of a backup that is made now.
    pub(super) fn of(
        kind: &str,
        seq: u64,
        schema: &Schema,
        files: Files,
        digests: Digests,
        made_at: Time,
    ) -> Self {
        Self {
            format: FORMAT,
            kind: kind.to_owned(),
            seq,
            made_at: made_at.to_string(),
            made_by: format!("osis {}", env!("CARGO_PKG_VERSION")),
            schema: SchemaName {
                name: schema.name.clone(),
                version: schema.version,
                hash: schema.hash.clone(),
            },
            files,
            types: digests.types,
            rollups: digests.rollups,
        }
    }

    /// Its text.
    pub(super) fn text(&self) -> Result<String> {
        let toml = toml::to_string(self)
            .map_err(|error| Error::internal("the manifest cannot be written", error))?;
        Ok(format!("{HEAD}{toml}"))
    }

    /// Reads it from a directory.
    ///
    /// # Errors
    /// `Invalid` where the directory holds no finished backup, or one of a newer version; `Corrupt`.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        let shown = directory.display();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = match directory.is_dir() {
                    true => "holds no finished backup: one that was cut off has no manifest.toml",
                    false => "is not there",
                };
                let message = format!("{shown} {what}; name the directory of a whole backup");
                return Err(Error::invalid("backup", message));
            }
            Err(error) => return Err(Error::of_file(&path, &error)),
        };
        let damaged = |what: String| {
            let path = path.display().to_string();
            let message = format!("{path} is damaged ({what}); use another backup");
            Error::new(ErrorKind::Corrupt { path, line: None }, message)
        };
        // The rest of a newer one may look otherwise.
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| damaged(error.message().to_owned()))?;
        let format = table.get("format").and_then(toml::Value::as_integer);
        match format {
            Some(format) if format == i64::from(FORMAT) => {}
            Some(format) if format > i64::from(FORMAT) => {
                let message = format!(
                    "{shown} has format {format}, and this version of osis knows formats up to \
                     {FORMAT}; use a newer one"
                );
                return Err(Error::invalid("backup", message));
            }
            _ => return Err(damaged("its format is missing".to_owned())),
        }
        Manifest::deserialize(table)
            .map_err(|error: toml::de::Error| damaged(error.message().to_owned()))
    }
}
