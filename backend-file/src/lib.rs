//! The engine of `file:DIR`: objects as files that people read and edit, a log that many hosts can
//! write, and private indexes beside it.

mod bodies;
mod config;
mod error;
mod files;
mod layout;
mod log;
mod otoml;
mod record;
mod save;
mod slot;
mod backend;
mod open;
mod snapshot;
mod writer;
mod text;
mod state;
mod shared;
mod problems;
mod keeper;

pub use backend::FileBackend;
pub use config::FileConfig;
pub use osis_core::schema::diff::SchemaPolicy;
pub use files::{Disk, Files, Stamp};
