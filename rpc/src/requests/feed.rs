//! `osis_changes`.

use std::time::Duration;

use osis_core::Schema;
use osis_core::error::Faults;
use osis_core::schema::TypeId;

use super::reads::limit;
use crate::params::{Args, cut};

/// `osis_changes`
#[derive(Debug, Clone)]
pub(crate) struct Changes {
    pub(crate) since: u64,
    /// The types whose changes are wanted; all if there is none.
    pub(crate) types: Vec<TypeId>,
    pub(crate) limit: usize,
    pub(crate) wait: Duration,
    pub(crate) objects: bool,
}

pub(super) fn changes(schema: &Schema, args: &Args, faults: &mut Faults) -> Option<Changes> {
    let since = args.number("since", faults);
    let types = types(schema, args, faults);
    let limit = limit(args, faults);
    let wait = args.number("wait_ms", faults);
    let objects = args.flag("objects", faults);
    Some(Changes {
        since: since?,
        types,
        limit: limit?,
        wait: Duration::from_millis(wait?),
        objects,
    })
}

fn types(schema: &Schema, args: &Args, faults: &mut Faults) -> Vec<TypeId> {
    if args.get("types").is_none() {
        return Vec::new();
    }
    let before = faults.len();
    let names = args.names("types", faults);
    let found = names.into_iter().filter_map(|(path, name)| {
        let ty = schema.find(name);
        if ty.is_none() {
            faults.add(path, format!("there is no type {:?}", cut(name)));
        }
        ty.map(|ty| ty.id)
    });
    let found: Vec<TypeId> = found.collect();
    if found.is_empty() && faults.len() == before {
        faults.add(
            "types",
            "expected at least one type, or none of this parameter for all",
        );
    }
    found
}
