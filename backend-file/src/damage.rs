//! What of a store is damaged below its objects, as operators are told of it, and its mending.

use osis_core::backend::Problem;
use osis_core::error::Result;

use crate::log::Damage;
use crate::shared::Shared;
use crate::text::TextIndex;

/// What is damaged or missing. Blocks: reads all of the log and of this process's text index.
///
/// # Errors
/// Those of the file system.
pub(crate) fn find(shared: &Shared, text: &TextIndex) -> Result<Vec<Problem>> {
    let found = shared.log.damage(&shared.schema, &shared.schema_hash)?;
    let mut problems = told(shared, found);
    problems.extend(text.damaged_files()?.into_iter().map(|path| {
        let message = "its checksum is wrong; the next start makes the text index anew";
        shared.problem(&path, None, message.to_owned())
    }));
    Ok(problems)
}

/// Goes on without what is damaged or missing; what was done. Blocks.
///
/// # Errors
/// Those of the file system.
pub(crate) fn mend(shared: &Shared) -> Result<Vec<Problem>> {
    let head = shared.catch_up()?.seq;
    let mended = shared.log.mend(head, &shared.schema, &shared.schema_hash)?;
    for damage in &mended {
        shared.problems.clear(&damage.path);
    }
    Ok(told(shared, mended))
}

fn told(shared: &Shared, damage: Vec<Damage>) -> Vec<Problem> {
    damage
        .into_iter()
        .map(|damage| shared.problem(&damage.path, damage.line, damage.message))
        .collect()
}
