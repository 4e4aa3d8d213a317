//! The schema language, rule by rule; the built-in schema; round trips; differences.

mod builtin;
mod differences;
mod faults;
mod round_trip;
mod rules;

use super::{Schema, Source, load};
use crate::error::{Error, ErrorKind};

/// A schema from one file.
fn parse(text: &str) -> Result<Schema, Error> {
    load(&[Source::new("shop.toml", text)])
}

/// A schema whose types are given, without its head.
fn types(text: &str) -> Schema {
    parse(&format!("name = \"shop\"\nversion = 1\n{text}")).unwrap()
}

/// Path and message of every fault.
fn faults_of(error: &Error) -> Vec<(&str, &str)> {
    match error.kind() {
        ErrorKind::Invalid(list) => list
            .iter()
            .map(|fault| (fault.path.as_str(), fault.message.as_str()))
            .collect(),
        other => panic!("{other:?}"),
    }
}
