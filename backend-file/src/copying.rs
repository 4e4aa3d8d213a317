//! The end of making a store a copy of another: its log goes on above the other's last commit.

use std::sync::Arc;

use osis_core::error::Result;

use crate::log::{Claim, Entry};
use crate::shared::Shared;

/// Claims an empty entry that spans all seqs up to one above `seq`, and begins the feed there.
/// Blocks.
///
/// # Errors
/// Those of the log.
pub(crate) fn end(shared: &Shared, seq: u64) -> Result<u64> {
    let begins = skip(shared, seq)?;
    shared.log.end_copy(begins)?;
    Ok(begins)
}

/// Raises the seq above another; answers what it is then.
fn skip(shared: &Shared, seq: u64) -> Result<u64> {
    let followers = shared.moving();
    loop {
        let state = shared.catch_up_under(&followers)?;
        let entry = Entry {
            first: state.seq + 1,
            last: state.seq.max(seq) + 1,
            writer: shared.log.writer().to_owned(),
            schema: shared.schema_hash.clone(),
            new_schema: None,
            changes: Vec::new(),
        };
        let _claiming = shared.claiming(entry.first);
        if shared.log.claim(&entry, &shared.schema)? == Claim::Won {
            let mut next = (*Arc::clone(&state)).clone();
            next.seq = entry.last;
            shared.publish(&followers, next, Vec::new(), true);
            return Ok(entry.last);
        }
        shared.log.look_anew(state.seq + 1);
    }
}
