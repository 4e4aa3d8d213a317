//! What SQLite itself finds wrong with the pages, tables and indexes of a database.

use osis_core::backend::Problem;
use rusqlite::Connection;

use crate::catalog::Catalog;
use crate::error::Outcome;

/// How many faults are told at most.
const FAULTS_MAX: i64 = 1000;

/// Has SQLite look at the whole database.
///
/// # Errors
/// Those of SQLite, where it cannot so much as look.
pub(crate) fn run(connection: &Connection, catalog: &Catalog) -> Outcome<Vec<Problem>> {
    // (<https://www.sqlite.org/pragma.html#pragma_integrity_check>)
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({FAULTS_MAX})"))?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut problems = Vec::new();
    for line in lines {
        let message = match line {
            Ok(message) => message,
            // It cannot go on behind some damage; what it found before is told.
            Err(_) if !problems.is_empty() => break,
            Err(error) => return Err(error.into()),
        };
        if message != "ok" {
            problems.push(Problem {
                path: catalog.file.clone(),
                line: None,
                message,
            });
        }
    }
    Ok(problems)
}
