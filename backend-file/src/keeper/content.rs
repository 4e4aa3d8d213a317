//! What is in the file of an object.

use std::hash::{DefaultHasher, Hasher as _};

use osis_core::object::{Id, Row};
use osis_core::schema::Type;

use crate::otoml::{self, Found};
use crate::record::{Hash, Version};

/// What a file of an object holds.
pub(super) struct Content {
    /// What it says.
    pub(super) found: Found,
    /// The version that it claims to be; revision 0 where it names none.
    pub(super) version: Version,
}

/// What is wrong with a file: where, and what.
pub(super) type Fault = (Option<usize>, String);

/// Reads a file of an object, and holds it against its type and name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn content(ty: &Type, id: &Id, bytes: &[u8]) -> Result<Content, Fault> {
    let found = otoml::read(ty, bytes).map_err(|faults| otoml::Fault::joined(&faults))?;
    if let Some(other) = &found.id
        && other != id
    {
        let message = format!("id is {other}, but the file is named {id}: both must be the same");
        return Err((Some(found.line), message));
    }
    let version = Version {
        rev: found.rev.unwrap_or(0),
        hash: Hash::of(ty, &found.values),
    };
    Ok(Content { found, version })
}

/// Whether a file holds an object with all its system fields.
pub(super) fn is_up_to_date(found: &Found, row: &Row, version: Version) -> bool {
    found.rev == Some(version.rev)
        && found.id.as_ref() == Some(&row.id)
        && found.created_at == Some(row.created_at)
        && found.updated_at == Some(row.updated_at)
        && *found.values == *row.values
}

/// Whether a text is what the store would write for what is in it.
pub(super) fn is_canonical(ty: &Type, id: &Id, content: &Content, bytes: &[u8]) -> bool {
    let found = &content.found;
    let (Some(rev), Some(created_at), Some(updated_at)) =
        (found.rev, found.created_at, found.updated_at)
    else {
        return false;
    };
    let row = Row {
        id: id.clone(),
        rev,
        created_at,
        updated_at,
        values: found.values.clone(),
    };
    otoml::object(ty, &row).as_bytes() == bytes
}

/// Tells texts apart.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
