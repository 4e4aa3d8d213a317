//! The catalogue on disk: what a start loads instead of reading every object.
//!
//! It is derived. A file that is damaged, of another format, schema or store, or that is not there,
//! is no fault: everything is built anew from the objects' files and the log.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use osis_core::error::{Error, Result};
use osis_core::object::Row;
use osis_core::schema::Schema;
use serde::{Deserialize, Serialize};

use crate::bodies::{Bodies, Place};
use crate::error::io_error;
use crate::files::{Files, Readers};
use crate::keeper::Tree;
use crate::log::Tip;
use crate::record::{Hash, Held};
use crate::shared::Shared;
use crate::state::State;

/// The first bytes of the file: what it is, in which format.
const MAGIC: &[u8; 8] = b"osis-c02";

/// What the cache of a process belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lineage {
    /// The store's id.
    pub(crate) store: String,
    /// The hash of the schema in force.
    pub(crate) schema: String,
    /// Which building from scratch the ordinals come from.
    pub(crate) built: String,
}

#[derive(Serialize)]
struct Saving<'a> {
    lineage: &'a Lineage,
    seq: u64,
    tip: Option<&'a Tip>,
    next_ordinal: u64,
    types: Vec<Vec<SavingObject<'a>>>,
    tree: &'a Tree,
}

#[derive(Serialize)]
struct SavingObject<'a> {
    row: &'a Row,
    body: Option<Place>,
    ordinal: u64,
    hash: Hash,
}

#[derive(Deserialize)]
struct Saved {
    lineage: Lineage,
    seq: u64,
    tip: Option<Tip>,
    next_ordinal: u64,
    types: Vec<Vec<SavedObject>>,
    tree: Tree,
}

#[derive(Deserialize)]
struct SavedObject {
    row: Row,
    body: Option<Place>,
    ordinal: u64,
    hash: Hash,
}

/// Saves a state and what is known of the files with it. The two need not be of the same moment.
///
/// # Errors
/// Those of the file system; what was saved before is then still there.
pub(crate) fn save(shared: &Shared, state: &State, tree: &Tree) -> Result<()> {
    let bodies = &shared.bodies;
    if let Err(error) = bodies.compact() {
        tracing::warn!(%error, "the caches take more room than they need");
    }
    // What the catalogue refers to is there before it.
    bodies.sync()?;
    let mut named = BTreeSet::new();
    let types = state.types.iter().map(|objects| {
        let held = objects.table.iter();
        held.map(|held| SavingObject {
            row: &held.row,
            body: held.body.as_ref().map(|body| {
                let place = body.place();
                named.insert(place.file());
                place
            }),
            ordinal: held.ordinal,
            hash: held.hash,
        })
        .collect()
    });
    let saving = Saving {
        lineage: &shared.lineage,
        seq: state.seq,
        tip: state.tip.as_deref(),
        next_ordinal: state.next_ordinal,
        types: types.collect(),
        tree,
    };
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[0; 4]);
    let mut bytes = postcard::to_extend(&saving, bytes)
        .map_err(|error| Error::internal("the catalogue cannot be written", error))?;
    let checksum = crc32fast::hash(&bytes[MAGIC.len() + 4..]).to_le_bytes();
    bytes[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&checksum);
    replace(&*shared.files, &shared.slot.catalogue(), &bytes)?;
    bodies.sweep(&named);
    Ok(())
}

/// Puts a file in the place of another, whole and durable.
fn replace(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<()> {
    let draft = path.with_extension("new");
    let written = files
        .remove(&draft)
        .or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
        .and_then(|()| files.create(&draft, bytes, Readers::Owner, true))
        .and_then(|()| files.rename(&draft, path));
    written.map_err(|error| io_error(path, &error))
}

/// Loads what was saved; nothing if it cannot be used.
pub(crate) fn load(
    files: &dyn Files,
    path: &Path,
    schema: &Schema,
    bodies: &Bodies,
    store: &str,
) -> Option<(State, Tree, Lineage)> {
    let began = Instant::now();
    let bytes = files.read(path).ok()?;
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let (checksum, encoded) = rest.split_at_checked(4)?;
    if magic != MAGIC || checksum != crc32fast::hash(encoded).to_le_bytes() {
        tracing::warn!(path = %path.display(), "the saved catalogue is damaged and built anew");
        return None;
    }
    let saved: Saved = postcard::from_bytes(encoded).ok()?;
    let fits = saved.lineage.store == store
        && saved.lineage.schema == schema.hash
        && saved.types.len() == schema.types.len();
    if !fits {
        return None;
    }
    let places = saved
        .types
        .iter()
        .flatten()
        .filter_map(|object| object.body);
    let adopted = bodies.adopt(places);
    let mut state = State::empty(schema, saved.seq);
    state.tip = saved.tip.map(Arc::new);
    state.next_ordinal = saved.next_ordinal;
    for (ty, objects) in schema.types.iter().zip(saved.types) {
        let mut all = Vec::with_capacity(objects.len());
        for object in objects {
            if object.row.values.len() != ty.fields.len() {
                return None;
            }
            let body = match object.body {
                Some(place) => Some(adopted.body(place)?),
                None => None,
            };
            let held = Held {
                row: object.row,
                body,
                ordinal: object.ordinal,
                hash: object.hash,
            };
            all.push(Arc::new(held));
        }
        state.types[ty.id].fill(&all);
    }
    tracing::debug!(
        took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        "loaded the saved catalogue"
    );
    Some((state, saved.tree, saved.lineage))
}
