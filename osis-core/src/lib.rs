//! What an object store is: schema, objects, queries, text, the rules of a write, and the two
//! faces of it: [`Store`] for callers, [`Backend`] for engines.
//!
//! This crate knows no database, no file system and no network. It is the only place where a rule
//! of the store is stated.

pub mod backend;
pub mod batch;
pub mod error;
pub mod input;
pub mod json;
pub mod memory;
pub mod object;
pub mod output;
pub mod query;
pub mod queue;
pub mod resolve;
pub mod rollup;
pub mod schema;
pub mod store;
pub mod table;
pub mod text;
pub mod time;
pub mod typed;
pub mod value;

pub use backend::Backend;
pub use error::{Error, ErrorKind, Result};
pub use object::{Id, Row};
pub use schema::Schema;
pub use store::Store;
pub use time::Time;
pub use value::Value;
