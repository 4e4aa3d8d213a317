//! The engine of `file:DIR`: objects as files that people read and edit, a log that many hosts can
//! write, and private indexes beside it.
//!
//! Writing goes `writer` (a queue and a thread) → `log` (an entry is claimed) → `shared` (the state
//! moves on, and those who follow are told) → `keeper` (the objects' files) and `text` (the index).
//! Reading goes `snapshot` → `state` (filters, sorts, keys), `bodies` (large fields), `text`. What a
//! person edits goes `keeper` → `writer`. `open` makes and opens, with `slot` and `save` for the
//! cache, and `home` to tell the directory from another; `backup` copies a store, `restore` puts
//! a copy in place; `otoml` is the text of objects and entries; `files` the seam to the file system.
//!
//! **Invariants.**
//! - Nothing is answered as done before its entry is claimed and durable.
//! - The state moves along the log only, under one lock; a published state never changes.
//! - A published state follows from the log alone, so all processes agree on it.
//! - An entry leaves the log only when each object in it was read back from its file, or a newer
//!   version of it was.
//! - What a person wrote is never overwritten unseen: it becomes a commit, or stays beside.
//! - What is derived is private to a process, and can be deleted while none runs.
//! - All that is not derived is read and written through `Files`.
//! - No rule of the store is stated here: those are in [`osis_core::resolve`].

mod backend;
mod backup;
mod bodies;
mod config;
mod copying;
mod damage;
mod error;
mod files;
mod home;
mod keeper;
mod layout;
mod log;
mod open;
mod otoml;
mod problems;
mod record;
mod restore;
mod save;
mod shared;
mod slot;
mod snapshot;
mod state;
mod text;
mod writer;

#[cfg(test)]
mod tests;

pub use backend::FileBackend;
pub use config::FileConfig;
pub use files::{Disk, Files, Readers, Stamp, faulty};
pub use restore::FileRestore;
