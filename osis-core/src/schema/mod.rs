//! The schema: the only source of a type's shape.
//!
//! Methods, tables, indexes, documents, validation, access rules: all come from here, and nothing
//! anywhere is written for one type. [`parse`] reads the schema language, [`model`] is what the
//! rest of the program sees, [`diff`] says what a newer schema would change.
//!
//! Inside, a file goes through `document` (TOML with the place of everything in it), `declare`
//! (which types, fields and relations there are), `field` and `types` (what they mean), and
//! `print` writes the result back as canonical TOML.

mod declare;
pub mod diff;
mod document;
mod field;
pub mod model;
pub mod parse;
mod print;
#[cfg(test)]
mod tests;
mod types;
mod words;

pub use model::{
    Access, Class, Column, Direction, Field, FieldKind, Format, Item, Key, KeyId, LogOptions,
    Merge, Metric, OnDelete, Owner, Referrer, Relation, Rollup, RollupUnit, Schema, Type, TypeId,
    Unique, Who,
};
pub use parse::{BUILTIN, Source, load};
