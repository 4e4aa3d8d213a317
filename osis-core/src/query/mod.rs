//! What is read: filters, sorts, pages, aggregates. Values with their parsers; no engine here.

pub mod aggregate;
pub mod cursor;
pub mod facets;
pub mod filter;
pub mod sort;

pub use aggregate::{Aggregate, Bucket, Unit};
pub use cursor::Cursor;
pub use facets::{Facet, Tally};
pub use filter::{Filter, Test};
pub use sort::Sort;
