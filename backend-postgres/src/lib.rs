//! The engine of `postgres://…`: typed tables in a schema of their own, for replicas on several
//! hosts.
//!
//! Reading goes `snapshot` → `readers` (a pool) → `lookup`, `query`, `search`, `changes`. Writing
//! goes `writer` (a queue and a thread) → `committer` (the connection, and what is done when it is
//! lost) → `group` (one transaction) → `view` (what the rules look at) and `effects` (what is
//! written). `setup` opens, with `history` and `partitions`; `ddl` and `statements` turn the schema
//! into SQL, `fts` a search. What all SQL databases share stands in [`osis_sql`]; `dialect` says
//! what is PostgreSQL's own.
//!
//! **Invariants.**
//! - Nothing is answered as done before the `COMMIT` that made it durable is known to have happened.
//! - Every transaction that writes locks the row of `_osis_meta` first and raises its `seq` last:
//!   the order of the numbers is that of the commits, without gaps.
//! - What a caller gave never becomes part of the text of a statement.
//! - Nothing rests on a session: no session locks, no settings that outlive a transaction where a
//!   pooler stands between.
//! - No rule of the store is stated here: those are in [`osis_core::resolve`]. Constraints in the
//!   tables are a second wall.

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
mod fts;
mod group;
mod history;
mod inspect;
mod lookup;
mod names;
mod partitions;
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
mod tls;
mod view;
mod vocabulary;
mod watcher;
mod words;
mod writer;

#[cfg(test)]
mod tests;

pub use backend::PostgresBackend;
pub use config::{Pooler, PostgresConfig};
pub use restore::PostgresRestore;
