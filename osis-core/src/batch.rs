//! A write is a value: operations with what they expect, to be carried out all or none.

use std::time::Instant;

use crate::input::{Draft, Target};
use crate::object::{Id, Row};
use crate::schema::TypeId;

/// Operations that take effect together or not at all, in their order.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What to do.
    pub ops: Vec<Op>,
    /// Check and answer, but keep nothing.
    pub dry_run: bool,
    /// Not begun after this moment; what has begun is finished.
    pub deadline: Option<Instant>,
}

impl Batch {
    /// A batch of these operations, to be kept, without time limit.
    pub fn of(ops: Vec<Op>) -> Self {
        Self {
            ops,
            dry_run: false,
            deadline: None,
        }
    }
}

/// One operation.
#[derive(Debug, Clone)]
pub enum Op {
    /// Makes an object.
    New {
        /// Of this type.
        type_id: TypeId,
        /// From this.
        draft: Draft,
    },
    /// Changes an object.
    Set {
        /// Of this type.
        type_id: TypeId,
        /// Which one.
        target: Target,
        /// To this.
        draft: Draft,
        /// How.
        mode: SetMode,
        /// The revision that it must have; with `upsert`, 0: it must not exist.
        if_rev: Option<i64>,
        /// Whether to make it where it is not there.
        upsert: bool,
    },
    /// Deletes an object and what goes with it.
    Delete {
        /// Of this type.
        type_id: TypeId,
        /// Which one.
        target: Target,
        /// The revision that it must have.
        if_rev: Option<i64>,
    },
    /// Sees to it that objects are there.
    Seed {
        /// The objects; refs among them may point forward.
        objects: Vec<SeedObject>,
        /// What becomes of those that are there.
        mode: SeedMode,
    },
    /// Appends objects of a log type; those that are there already are left alone.
    Ingest {
        /// Of this type.
        type_id: TypeId,
        /// From these.
        drafts: Vec<Draft>,
    },
    /// Puts whole objects in place, system fields and secrets included; those that are there with
    /// the same content are left alone. Refs among them may point forward.
    Import {
        /// The objects.
        objects: Vec<ImportObject>,
    },
    /// Makes objects exactly what they are in another store: whole rows in the place of whatever is
    /// there, others gone. Keys and refs are looked at when all is in place, so that keys may be
    /// swapped, and refs may point forward.
    Mirror {
        /// The objects, none of them twice.
        objects: Vec<MirrorObject>,
    },
}

/// An object of a seed.
#[derive(Debug, Clone)]
pub struct SeedObject {
    /// Its type.
    pub type_id: TypeId,
    /// What is known of it.
    pub draft: Draft,
    /// Where it stands, for errors: `objects.app[3]`, `catalog.toml:12 app`.
    pub origin: Box<str>,
}

/// An object of an import.
#[derive(Debug, Clone)]
pub struct ImportObject {
    /// Its type.
    pub type_id: TypeId,
    /// The whole of it.
    pub row: Row,
    /// Where it stands, for errors: `line 12`.
    pub origin: Box<str>,
}

/// An object as it is in another store.
#[derive(Debug, Clone)]
pub struct MirrorObject {
    /// Its type.
    pub type_id: TypeId,
    /// Its id.
    pub id: Id,
    /// The whole of it; nothing where it is not there.
    pub row: Option<Row>,
}

/// How a set changes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetMode {
    /// Changes the named fields; null unsets.
    Patch,
    /// Makes of it what `New` would, immutable fields staying.
    Replace,
    /// Applies each field's merge rule; a field without one is patched.
    Merge,
}

/// What a seed does with objects that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeedMode {
    /// Leaves them as they are.
    Insert,
    /// Patches them with the named fields.
    Update,
}

/// What one operation came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The object as it is now.
    Object {
        /// Its type.
        type_id: TypeId,
        /// The whole of it, secrets included: callers see it through [`crate::output`].
        row: Row,
    },
    /// How many objects of each type are gone, in the order of the schema's types.
    Deleted(Vec<(TypeId, u64)>),
    /// What a seed did.
    Seeded(SeedReport),
    /// What an ingest did.
    Ingested {
        /// Objects that are new.
        accepted: u64,
        /// Objects that were there, or stood twice in the call.
        duplicates: u64,
    },
    /// What an import did.
    Imported {
        /// Objects that are new.
        imported: u64,
        /// Objects that were there with the same content.
        skipped: u64,
    },
    /// What a mirroring did.
    Mirrored {
        /// Objects that it made, changed or removed.
        changed: u64,
        /// Objects that were as they should be.
        same: u64,
    },
}

/// What a seed did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct SeedReport {
    /// Objects that it made.
    pub created: u64,
    /// Objects that it changed.
    pub updated: u64,
    /// Objects that were there and stay as they were.
    pub unchanged: u64,
}

/// A batch that was carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// Its number, or that of the last commit before it if it changed nothing.
    pub seq: u64,
    /// One outcome an operation.
    pub outcomes: Vec<Outcome>,
}
