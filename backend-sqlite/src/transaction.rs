//! Transactions: writes are begun at once and for good, reads are always ended.

use rusqlite::Connection;

use crate::error::Outcome;

/// An open write transaction; rolled back unless it is committed.
#[derive(Debug)]
pub(crate) struct WriteTransaction<'a> {
    connection: &'a Connection,
}

impl<'a> WriteTransaction<'a> {
    /// Begins. Immediately: a transaction that reads first and wants to write later fails at once
    /// where another process has written meanwhile, and waiting never helps it.
    ///
    /// # Errors
    /// If another program holds the database for too long.
    pub(crate) fn begin(connection: &'a Connection) -> Outcome<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Self { connection })
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// Then nothing of it is kept.
    pub(crate) fn commit(self) -> Outcome<()> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for WriteTransaction<'_> {
    fn drop(&mut self) {
        roll_back(self.connection);
    }
}

/// Ends what is open, if anything is: after some errors (a full disk) SQLite has done so itself.
/// Tells whether the connection is good for more.
pub(crate) fn roll_back(connection: &Connection) -> bool {
    if connection.is_autocommit() {
        return true;
    }
    match connection.execute_batch("ROLLBACK") {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "a transaction cannot be rolled back");
            false
        }
    }
}

/// Runs reads that must see the same commits, in the transaction that is open or in one of their
/// own.
pub(crate) fn consistently<T>(
    connection: &Connection,
    read: impl FnOnce() -> Outcome<T>,
) -> Outcome<T> {
    if !connection.is_autocommit() {
        return read();
    }
    connection.prepare_cached("BEGIN")?.execute([])?;
    let answer = read();
    roll_back(connection);
    answer
}
