//! Schemas of the past, under which older entries are written.
//!
//! An entry holds its objects under the names of a schema, and is read with that schema alone. So
//! before another comes into force, the old one's text is kept as `log/schemas/<hash>.toml`.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use osis_core::error::Result;
use osis_core::schema::{Schema, Source, load};

use crate::error::{corrupt, io_error};

use super::{Entry, Log, decode, is_damage, lock};

/// The schemas that were read, by their hash.
#[derive(Debug, Default)]
pub(super) struct Schemas(Mutex<HashMap<String, Arc<Schema>>>);

impl Log {
    /// Keeps the text of a schema durably, before another one takes its place.
    pub(super) fn keep_schema(&self, schema: &Schema, hash: &str) -> Result<()> {
        let path = self.layout.log_schema(hash);
        let kept = self
            .files
            .stamp(&path)
            .and_then(|stamp| match (stamp, path.parent()) {
                (None, Some(parent)) => {
                    self.files.create_directory(parent)?;
                    self.files.sync(&self.layout.log())?;
                    self.replace(&path, schema.text.as_bytes())
                }
                _ => Ok(()),
            });
        kept.map_err(|error| io_error(&path, &error))
    }

    /// The schema of a hash, `schema` being the one of `hash`; nothing if it is not known here: it
    /// came into force after all that this process has read.
    pub(super) fn schema_of(
        &self,
        wanted: &str,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<Option<Arc<Schema>>> {
        if wanted == hash {
            return Ok(Some(Arc::clone(schema)));
        }
        if let Some(known) = lock(&self.schemas.0).get(wanted) {
            return Ok(Some(Arc::clone(known)));
        }
        // The hash comes out of a file, and must not lead out of the folder.
        if wanted.is_empty() || !wanted.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let path = self.layout.log_schema(wanted);
        let text = match self.files.read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&path, &error)),
        };
        let loaded = self.learn(&text, &path)?;
        if loaded.hash != wanted {
            return Err(corrupt(&path, None, "this is not the schema of its name"));
        }
        Ok(Some(loaded))
    }

    /// Reads a schema that stood in a file of the log, and remembers it.
    pub(super) fn learn(&self, text: &str, path: &std::path::Path) -> Result<Arc<Schema>> {
        let source = Source::new(path.display().to_string(), text);
        let loaded = load(&[source]).map_err(|error| {
            corrupt(
                path,
                None,
                &format!("the schema in it cannot be read: {error}"),
            )
        })?;
        let loaded = Arc::new(loaded);
        lock(&self.schemas.0).insert(loaded.hash.clone(), Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Reads an entry under whichever schema it is written; nothing where there is none.
    ///
    /// # Errors
    /// `Corrupt`, also where its schema is not known; those of the file system.
    pub(super) fn read_wholly(
        &self,
        first: u64,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<Option<(Entry, Arc<Schema>)>> {
        let path = self.layout.entry(first);
        let Some(bytes) = self.read_optional(&path)? else {
            return Ok(None);
        };
        let entry = decode(&path, first, schema, hash, &bytes)?;
        if entry.schema == hash || entry.new_schema.is_some() {
            return Ok(Some((entry, Arc::clone(schema))));
        }
        let Some(own) = self.schema_of(&entry.schema, schema, hash)? else {
            return Err(corrupt(
                &path,
                None,
                "the schema under which it is written is unknown",
            ));
        };
        let own_hash = entry.schema;
        let entry = decode(&path, first, &own, &own_hash, &bytes)?;
        Ok(Some((entry, own)))
    }

    /// The schema in force at the end of the log; nothing for an empty log, or where it is in none
    /// of the log's files: then it has never changed. `schema` is any, with its hash; the better it
    /// fits, the less must be read.
    ///
    /// # Errors
    /// `Corrupt`; those of the file system.
    pub(crate) fn schema_in_force(
        &self,
        schema: &Arc<Schema>,
        hash: &str,
    ) -> Result<Option<Arc<Schema>>> {
        let listing = self.list()?;
        let newest = listing.packs.last().copied();
        let unpacked = |segment: &&u64| newest.is_none_or(|newest| **segment > newest);
        for &segment in listing.segments.iter().rev().take_while(unpacked) {
            for first in self.entries(segment)?.into_iter().rev() {
                let entry = match self.read_head(first, schema, hash) {
                    Ok(Some(entry)) => entry,
                    Ok(None) => continue,
                    // Those before it tell, unless it brought the schema.
                    Err(error) if is_damage(&error) => continue,
                    Err(error) => return Err(error),
                };
                if let Some(text) = entry.new_schema {
                    return self.learn(&text, &self.layout.entry(first)).map(Some);
                }
                if let Some(known) = self.schema_of(&entry.schema, schema, hash)? {
                    return Ok(Some(known));
                }
            }
        }
        let Some(newest) = newest else {
            return Ok(None);
        };
        let path = self.layout.pack(newest * crate::layout::SEGMENT);
        let Some(pack) = self.read_pack(newest)? else {
            return Ok(None);
        };
        match self.schema_of(&pack.schema, schema, hash)? {
            Some(known) => Ok(Some(known)),
            None => self.learn(&pack.schema_text, &path).map(Some),
        }
    }
}
