//! That a store is an unfinished copy of another, and where its change feed begins afterwards.

use osis_sql::signed;

use crate::changes::{self, no_meta};
use crate::error::Outcome;
use crate::names::{CHANGES, META};
use crate::sql::{self, Link};

/// A step of a copy.
#[derive(Debug)]
pub(crate) enum Step {
    /// It begins, of this store.
    Begin(String),
    /// It ends, and the feed begins above this seq.
    End(u64),
}

/// What the store is an unfinished copy of.
pub(crate) async fn read(link: Link<'_>) -> Outcome<Option<String>> {
    let sql = format!("SELECT copying FROM {META}");
    let rows = link.all_of(&sql, Vec::new()).await?;
    Ok(rows.first().ok_or_else(no_meta)?.try_get(0)?)
}

/// Takes a step, in the transaction that is open in a turn to write; answers the last seq behind it.
/// Taken again, it comes to the same.
pub(crate) async fn take(link: Link<'_>, step: &Step) -> Outcome<u64> {
    let last = changes::last_seq(link).await?;
    match step {
        Step::Begin(of) => {
            let sql = format!("UPDATE {META} SET copying = $1");
            link.all_of(&sql, vec![sql::text(of)]).await?;
            Ok(last)
        }
        Step::End(above) => {
            let begins = last.max(*above) + 1;
            let sql = format!("UPDATE {META} SET copying = NULL, seq = $1, oldest = $1");
            link.all_of(&sql, vec![sql::int(signed(begins))]).await?;
            link.all_of(&format!("DELETE FROM {CHANGES}"), Vec::new())
                .await?;
            Ok(begins)
        }
    }
}
