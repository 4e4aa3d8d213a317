//! What the engines on SQL databases share: how things are called, what tables and indexes a schema
//! becomes and how they change, how filters, sorts, pages and the change feed read as SQL, and what a
//! process learns of the others.
//!
//! Everything here is text and values; nothing here opens, runs or reads anything. Where databases
//! differ, a [`Dialect`] says how; a type that stands for a database implements it. Each engine has
//! its own storage forms, its own text index and its own way to write.
//!
//! **Invariant.** What a caller gave never becomes part of the text of a statement: values are kept
//! beside it ([`Sql`]).

mod dialect;
pub mod feed;
mod filter;
mod layout;
pub mod names;
mod peers;
mod plan;
pub mod query;
pub mod rollups;
mod rows;
mod statement;
pub mod statements;

pub use dialect::Dialect;
pub use filter::Conditions;
pub use layout::{Layout, Parts, columns, indexes, is_indexed_list};
pub use peers::Peers;
pub use plan::{Plan, Steps, plan};
pub use rows::{all_columns, fold_fields, folded, select_list, signed, unsigned, written_columns};
pub use statement::{Param, Sql};
