//! Which changes lose nothing: no stored value is lost, no stored object breaks a rule, and nobody
//! may read or write more than before.

use crate::input::ITEMS_MAX;
use crate::schema::model::{Access, Field, FieldKind, OnDelete, Type, Who};
use crate::schema::print;
use crate::value::Value;

/// Whether an attribute of a field changes without loss.
pub(super) fn keeps_field(attribute: &str, old: &Field, new: &Field) -> bool {
    match attribute {
        "doc" | "default" | "merge" | "immutable" => true,
        "required" => !new.required,
        "min" => match (&old.min, &new.min) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(old), Some(new)) => new.order(old).is_le(),
        },
        "max" => match (greatest(old), greatest(new)) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(old), Some(new)) => new.order(&old).is_ge(),
        },
        "pattern" => new.pattern.is_none(),
        "format" => new.format.is_none(),
        // Restricting deletes nothing that stays today.
        "on_delete" => matches!(
            new.kind,
            FieldKind::Ref {
                on_delete: OnDelete::Restrict,
                ..
            }
        ),
        "values" => match (&old.kind, &new.kind) {
            (FieldKind::Enum(old), FieldKind::Enum(new)) => old.iter().all(|v| new.contains(v)),
            _ => false,
        },
        // The type, what a ref points to, what a list holds. A secret that becomes none is shown;
        // what becomes a secret is lost to those who read it.
        _ => false,
    }
}

/// A field's `max`. A list without one still has at most so many items.
fn greatest(field: &Field) -> Option<Value> {
    let is_list = matches!(field.kind, FieldKind::List(_));
    let items_max = || {
        i64::try_from(ITEMS_MAX)
            .ok()
            .filter(|_| is_list)
            .map(Value::Int)
    };
    field.max.clone().or_else(items_max)
}

/// Whether an attribute of a type changes without loss.
pub(super) fn keeps_type(attribute: &str, old: &Type, new: &Type) -> bool {
    match attribute {
        "doc" => true,
        "retention_days" => {
            let days = |ty: &Type| {
                ty.log()
                    .and_then(|log| log.retention_days)
                    .unwrap_or(u32::MAX)
            };
            days(new) >= days(old)
        }
        "owner" => old.owner.is_none(),
        "rollup" => old.log().is_some_and(|log| log.rollup.is_none()),
        // Tables and folders are named by the plural; a class and the time of a log decide where
        // every object lies.
        _ => false,
    }
}

/// Whether nobody may read or write what they could not before.
pub(super) fn is_no_wider(old: &Type, new: &Type) -> bool {
    let rank = |who: Who| match who {
        Who::None => 0,
        Who::Admin => 1,
        Who::Owner => 2,
        Who::Any => 3,
    };
    let no_more = |who: fn(&Access) -> Who| rank(who(&new.access)) <= rank(who(&old.access));
    let readers_kept = new.access.read_if.is_none()
        || old.access.read == Who::Any
        || print::read_if(old) == print::read_if(new);
    no_more(|access| access.read) && no_more(|access| access.write) && readers_kept
}
