//! Objects into a store and out of it: seed files, export, import, digest, migration,
//! schemas of the original OSIS, history as Parquet.
//!
//! Everything here works on a [`osis_core::Store`], whatever engine is behind it, and streams:
//! memory does not grow with the store. (A seed is one transaction, so it is read whole; where
//! duplicates are looked for, the keys and references of all objects are held.)

pub mod backup;
pub mod check;
mod copy;
pub mod dedup;
pub mod digest;
pub mod export;
pub mod follow;
pub mod import;
pub mod legacy;
mod order;
pub mod oschema;
pub mod parquet;
pub mod run;
pub mod seedfile;
pub mod source;
pub mod view;

use osis_core::error::Fault;
use osis_core::{Error, ErrorKind};

/// Called with the number of objects done since the last call, for whoever shows progress.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

/// How many rows are read, or written, at a time.
pub const PAGE: usize = 1000;

/// An error of many faults, each with its place: all of them, where `Faults` would cut them off.
fn many(faults: Vec<(String, String)>) -> Error {
    let message = match faults.first() {
        Some((path, message)) => format!("{path}: {message}"),
        None => "nothing is wrong".to_owned(),
    };
    let faults = faults.into_iter().map(|(path, message)| Fault {
        path,
        message,
        column: None,
    });
    Error::new(ErrorKind::Invalid(faults.collect()), message)
}
