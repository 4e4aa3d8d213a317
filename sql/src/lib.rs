//! What the engines on SQL databases share: how things are called, what tables and indexes a schema
//! becomes and how they change, and how filters, sorts and pages read as SQL.
//!
//! Everything here is text and values; nothing here opens, runs or reads anything. Where databases
//! differ, a [`Dialect`] says how; a type that stands for a database implements it. Each engine has
//! its own storage forms, its own text index and its own way to write.
//!
//! **Invariant.** What a caller gave never becomes part of the text of a statement: values are kept
//! beside it ([`Sql`]).

mod dialect;
mod filter;
mod layout;
pub mod names;
mod plan;
pub mod query;
mod rows;
mod statement;

pub use dialect::Dialect;
pub use filter::Conditions;
pub use layout::{Layout, Parts, indexes};
pub use plan::{Plan, Steps, plan};
pub use rows::{all_columns, fold_fields, folded, select_list, written_columns};
pub use statement::{Param, Sql};
