//! The engine of `sqlite:FILE`: typed tables that any SQLite tool reads, one file, any number of
//! processes on one host.
//!
//! Reading goes `snapshot` → `readers` → `lookup`, `query`, `search`, `changes`. Writing goes
//! `writer` (a queue and a thread) → `committer` (the connection and its turns) → `group` (one
//! transaction) → `view` (what the rules look at) and `effects` (what is written). `setup` opens,
//! with `place` and `history`; `ddl` and `statements` turn the schema into SQL; `search` → `evaluate`
//! → `text_cache` → `postings` read the text index that `text_index` feeds. What all SQL databases
//! share stands in [`osis_sql`]; `dialect` says what is SQLite's own. `backup` copies the files of a
//! store, `restore` puts such a copy in place.
//!
//! **Invariants.**
//! - Nothing is answered as done before the `COMMIT` that made it durable has returned.
//! - Every write transaction begins with `BEGIN IMMEDIATE`, under the lock beside the database
//!   (`setup::lock_path`); there are no savepoints.
//! - What a caller gave never becomes part of the text of a statement.
//! - The database file is opened by SQLite alone: closing any other descriptor of it would drop
//!   SQLite's locks. (<https://www.sqlite.org/howtocorrupt.html>, section 2.2)
//! - No rule of the store is stated here: those are in [`osis_core::resolve`]. Constraints in the
//!   tables are a second wall.
//!
//! Places kept for what is to come: log types in files of their own (a type's statements name its
//! table in `statements` alone), retention (a step of `committer`'s upkeep),
//! checkpoints and Litestream (pragmas in `connection`).

mod backend;
mod backup;
mod catalog;
mod changes;
mod committer;
mod config;
mod connection;
mod copying;
mod ddl;
mod dialect;
mod effects;
mod error;
mod evaluate;
mod group;
mod history;
mod inspect;
mod lookup;
mod names;
mod place;
mod postings;
mod query;
mod readers;
mod restore;
mod rollups;
mod rows;
mod search;
mod setup;
mod snapshot;
mod sql;
mod statements;
mod text_cache;
mod text_index;
mod transaction;
mod view;
mod watcher;
mod writer;

#[cfg(test)]
mod tests;

pub use backend::SqliteBackend;
pub use config::{PlacePolicy, SqliteConfig};
pub use restore::SqliteRestore;
