//! Operations that make of an object what a file says.

use std::collections::HashSet;

use osis_core::batch::{Op, SetMode};
use osis_core::input::{Draft, Target};
use osis_core::object::Id;
use osis_core::schema::{Type, TypeId};
use osis_core::time::Time;
use sha2::{Digest as _, Sha256};

use crate::otoml::{self, Found};

/// Makes an object; what the file does not have gets its default.
pub(super) fn new(type_id: TypeId, id: Id, found: &Found) -> Op {
    let values = found.values.iter().cloned();
    let values = values
        .map(|value| (!value.is_null()).then_some(value))
        .collect();
    let draft = Draft {
        id: Some(id),
        values,
        links: Vec::new(),
    };
    Op::New { type_id, draft }
}

/// Changes an object of a revision; what the file does not have is unset.
pub(super) fn set(type_id: TypeId, id: Id, found: &Found, rev: i64) -> Op {
    let draft = Draft {
        id: None,
        values: found.values.iter().cloned().map(Some).collect(),
        links: Vec::new(),
    };
    Op::Set {
        type_id,
        target: Target::Id(id),
        draft,
        mode: SetMode::Patch,
        if_rev: Some(rev),
        upsert: false,
    }
}

/// Deletes an object of a revision.
pub(super) fn delete(type_id: TypeId, id: Id, rev: i64) -> Op {
    Op::Delete {
        type_id,
        target: Target::Id(id),
        if_rev: Some(rev),
    }
}

/// An id for a block that has none: the same for the same block, so that an edit which is looked
/// at twice makes one event.
pub(super) fn derived_id(ty: &Type, found: &Found, taken: &HashSet<Id>) -> Id {
    let time = ty
        .log()
        .and_then(|log| found.values.get(log.time)?.as_time());
    let ms = time.map_or(0, |time| time.as_millis().max(0));
    let text = otoml::fields(ty, &found.values);
    for n in 0_u32.. {
        let hash = Sha256::digest(format!("{n}\n{text}"));
        let hex: String = hash
            .iter()
            .take(10)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let time = format!("{ms:012x}");
        let text = format!(
            "{}-{}-7{}-a{}-{}",
            &time[..8],
            &time[8..12],
            &hex[..3],
            &hex[3..6],
            &hex[6..18]
        );
        if let Some(id) = Id::parse(&text)
            && !taken.contains(&id)
        {
            return id;
        }
    }
    Id::generate(Time::now())
}
