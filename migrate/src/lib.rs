//! Objects into a store and out of it: seed files, export, import, digest.
//!
//! Everything here works on a [`osis_core::Store`], whatever engine is behind it, and streams:
//! memory does not grow with the store. (A seed is one transaction, so it is read whole.)

pub mod digest;
pub mod export;
pub mod import;
pub mod seedfile;

/// Called with the number of objects done since the last call, for whoever shows progress.
pub type Progress<'a> = &'a mut (dyn FnMut(u64) + Send);

/// How many rows are read, or written, at a time.
pub const PAGE: usize = 1000;
