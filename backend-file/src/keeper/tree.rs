//! What this process knows of the objects' files.

use std::collections::HashMap;

use osis_core::object::Id;
use osis_core::schema::TypeId;

use crate::files::Stamp;
use crate::record::Version;

/// What this process knows of the objects' files. Saved with the catalogue, so that a start finds
/// what people changed meanwhile by looking at stamps alone.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Tree {
    /// The files of objects.
    pub(crate) objects: HashMap<(TypeId, Id), Known>,
    /// The files of days, by their path below the store.
    pub(crate) days: HashMap<String, DayFile>,
}

/// What is known of the file of an object.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Known {
    /// The file as it was last looked at.
    pub(crate) stamp: Stamp,
    /// The version in it.
    pub(crate) version: Version,
    /// Whether it is as the store writes it, so that it can be written anew without reading.
    pub(crate) is_canonical: bool,
}

/// What is known of the file of a day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct DayFile {
    /// The file as it was last looked at.
    pub(crate) stamp: Stamp,
    /// The log type whose objects it holds.
    pub(crate) type_id: TypeId,
    /// They, with their versions.
    pub(crate) objects: Vec<(Id, Version)>,
}
