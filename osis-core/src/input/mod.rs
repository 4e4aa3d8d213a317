//! What callers give, checked against the schema: values, drafts of objects, keys, whole rows.
//!
//! Every check notes its fault and goes on, so that a caller learns all of them at once.

mod bounds;
mod draft;
mod json;
mod key;
mod row;
mod value;

pub use bounds::{
    INDEXED_STRING_MAX, ITEMS_MAX, JSON_DEPTH_MAX, STRING_MAX, TEXT_MAX, bounds_fault,
};
pub use draft::{Draft, LOG_ID_SLACK_MS, Link, Purpose, draft};
pub use json::canonical;
pub use key::{Target, id, key};
pub use row::row;
pub use value::value;

pub(crate) use draft::log_id_fault;
pub(crate) use value::double;
