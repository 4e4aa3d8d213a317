//! Files of objects that the store does not serve: another has their key, what they refer to is not
//! there, or they cannot be read.

use osis_core::backend::{Problem, Unserved};
use osis_core::error::Result;
use osis_core::object::{Id, Row};
use osis_core::time::Time;

use super::tree::Tree;
use super::walk::{self, Kind, Place};
use super::{content, content::Content};
use crate::error::io_error;
use crate::shared::Shared;
use crate::state::State;

/// Finds them, by a look at all files. Blocks.
///
/// # Errors
/// Those of the file system.
pub(crate) fn unserved(shared: &Shared) -> Result<Vec<Unserved>> {
    let before = shared.catch_up()?;
    // Against nothing known, every file is a difference.
    let files = walk::all(&shared.layout, &shared.schema, &Tree::default())?;
    // Of objects that come and go meanwhile, the file is there before or after they are known.
    let after = shared.catch_up()?;
    // Of one that was deleted, the file may be still to be removed, by whichever process folds.
    let deleted = after.deleted_lately();
    let mut found = Vec::new();
    for place in files.changed_or_new {
        let (Kind::Object(id) | Kind::Misplaced(id)) = &place.kind else {
            continue;
        };
        let is_served = |state: &State| state.get(place.type_id, id).is_some();
        let is_going = || {
            deleted.contains(&(place.type_id, id))
                || matches!(shared.files.stamp(&place.path), Ok(None))
        };
        if !is_served(&before) && !is_served(&after) && !is_going() {
            let row = read(shared, &place, id);
            found.push(Unserved {
                path: shown(shared, &place),
                type_id: place.type_id,
                row,
            });
        }
    }
    Ok(found)
}

fn shown(shared: &Shared, place: &Place) -> String {
    let path = place.path.strip_prefix(shared.root());
    path.unwrap_or(&place.path).display().to_string()
}

fn read(shared: &Shared, place: &Place, id: &Id) -> std::result::Result<Row, Problem> {
    let wrong = |(line, message)| Problem {
        path: shown(shared, place),
        line,
        message,
    };
    let bytes = shared.files.read(&place.path);
    let bytes = bytes.map_err(|error| wrong((None, format!("cannot be read: {error}"))))?;
    let ty = &shared.schema.types[place.type_id];
    let content = content::content(ty, id, &bytes).map_err(wrong)?;
    Ok(row(id, content, place))
}

/// What a new file lacks is what it gets when it is taken in: its first revision, its file's time.
fn row(id: &Id, Content { found, .. }: Content, place: &Place) -> Row {
    let written = Time::from_millis(place.stamp.modified / 1_000_000).unwrap_or(Time::MIN);
    let created_at = found.created_at.unwrap_or(written);
    Row {
        id: id.clone(),
        rev: found.rev.unwrap_or(1),
        created_at,
        updated_at: found.updated_at.unwrap_or(written).max(created_at),
        values: found.values,
    }
}

/// Puts the file of an object that is not served under a name that is none of the store's, beside
/// where it was; answers that name. Blocks.
///
/// # Errors
/// Those of the file system.
pub(crate) fn set_aside(shared: &Shared, path: &str) -> Result<String> {
    let from = shared.root().join(path);
    let failed = |error| io_error(&from, &error);
    let mut name = format!("{path}.set-aside");
    let mut number = 1;
    while shared
        .files
        .stamp(&shared.root().join(&name))
        .map_err(failed)?
        .is_some()
    {
        number += 1;
        name = format!("{path}.set-aside-{number}");
    }
    let moved = shared.files.rename_new(&from, &shared.root().join(&name));
    moved.map_err(failed)?;
    Ok(name)
}
