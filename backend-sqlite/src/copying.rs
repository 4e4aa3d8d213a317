//! That a store is an unfinished copy of another, and where its change feed begins afterwards.
//!
//! The note is a table of one row, which is there only as long as the copy is unfinished.

use osis_sql::signed;
use rusqlite::{Connection, OptionalExtension as _};

use crate::changes::last_seq;
use crate::error::Outcome;
use crate::names::{CHANGES, COPYING, META};

/// A step of a copy.
#[derive(Debug)]
pub(crate) enum Step {
    /// It begins, of this store.
    Begin(String),
    /// It ends, and the feed begins above this seq.
    End(u64),
}

/// What the store is an unfinished copy of.
pub(crate) fn read(connection: &Connection) -> Outcome<Option<String>> {
    if !is_noted(connection)? {
        return Ok(None);
    }
    let sql = format!("SELECT of FROM {COPYING}");
    let noted = connection.query_row(&sql, [], |row| row.get(0));
    Ok(noted.optional()?)
}

/// Takes a step, in the transaction that is open; answers the last seq behind it.
pub(crate) fn take(connection: &Connection, step: &Step) -> Outcome<u64> {
    connection.execute_batch(&format!("DROP TABLE IF EXISTS {COPYING}"))?;
    let last = last_seq(connection)?;
    match step {
        Step::Begin(of) => {
            connection
                .execute_batch(&format!("CREATE TABLE {COPYING} (of TEXT NOT NULL) STRICT"))?;
            connection.execute(&format!("INSERT INTO {COPYING} (of) VALUES (?)"), [of])?;
            Ok(last)
        }
        Step::End(above) => {
            let begins = last.max(*above) + 1;
            connection.execute(
                &format!("UPDATE {META} SET seq = ?1, oldest = ?1"),
                [signed(begins)],
            )?;
            connection.execute(&format!("DELETE FROM {CHANGES}"), [])?;
            Ok(begins)
        }
    }
}

fn is_noted(connection: &Connection) -> Outcome<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?";
    let found = connection.query_row(sql, [COPYING], |_| Ok(()));
    Ok(found.optional()?.is_some())
}
