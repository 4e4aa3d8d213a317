//! Objects, and changes of them, as callers give them.

use super::key::{Target, id, key};
use super::value::{unbounded, value};
use crate::error::Faults;
use crate::json::Json;
use crate::object::Id;
use crate::schema::{Field, FieldKind, KeyId, LogOptions, Merge, Type, TypeId};
use crate::time::Time;
use crate::value::Value;

/// The day by which a log object's UUIDv7 may differ from its time field.
pub const LOG_ID_SLACK_MS: i64 = 24 * 3600 * 1000;

/// An object, or a change of one, as a caller gave it: checked, but not yet held against what is
/// stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// An id that the caller chose.
    pub id: Option<Id>,
    /// One entry a field: `None` where the caller did not name it, null where it unset it.
    pub values: Vec<Option<Value>>,
    /// Refs that a seed names by a key of their target.
    pub links: Vec<Link>,
}

/// A ref named by a key of its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The ref field.
    pub field: usize,
    /// The type that it points to.
    pub to: TypeId,
    /// Which key of that type.
    pub key: KeyId,
    /// The key's values.
    pub values: Vec<Value>,
}

/// What a draft is for, which decides what it may and must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `_new`, ingest: may name an id; must name what is required.
    New,
    /// A seed's `insert`: as `_new`, but refs may be keys of their targets.
    Seed,
    /// A seed's `update`: only what it names is changed, so nothing must be there.
    SeedUpdate,
    /// `_set` that replaces: must name what is required, unless it cannot be changed.
    Replace,
    /// `_set` that patches, or replaces what a key names as well (`upsert`): what is missing is
    /// known only when the object is found or not.
    Change,
    /// `_set` that merges: null leaves a field with a rule alone.
    Merge,
}

impl Purpose {
    fn takes_id(self) -> bool {
        matches!(self, Self::New | Self::Seed | Self::SeedUpdate)
    }

    fn takes_links(self) -> bool {
        matches!(self, Self::Seed | Self::SeedUpdate)
    }

    fn requires(self, field: &Field) -> bool {
        match self {
            Self::New | Self::Seed => true,
            Self::Replace => !field.immutable,
            Self::Change | Self::Merge | Self::SeedUpdate => false,
        }
    }
}

/// Checks the data of an object.
///
/// `types` are those of the schema, for refs that name their targets by key.
pub fn draft(
    types: &[Type],
    ty: &Type,
    data: &Json,
    path: &str,
    purpose: Purpose,
    faults: &mut Faults,
) -> Option<Draft> {
    let Json::Object(entries) = data else {
        faults.add(
            path,
            format!(
                "expected an object with fields of {}, got {}",
                ty.name,
                data.kind()
            ),
        );
        return None;
    };
    let mut draft = Draft {
        id: None,
        values: vec![None; ty.fields.len()],
        links: Vec::new(),
    };
    let mut named = vec![false; ty.fields.len()];
    for (name, json) in entries {
        let path = format!("{path}.{name}");
        match name.as_str() {
            "id" if purpose.takes_id() => draft.id = id(json, &path, faults),
            "id" | "rev" | "created_at" | "updated_at" => {
                faults.add(path, "is a system field, which the store sets");
            }
            _ => {
                let Some(position) = ty.field(name) else {
                    faults.add(path, format!("{} has no field of this name", ty.name));
                    continue;
                };
                named[position] = true;
                let field = &ty.fields[position];
                match (&field.kind, json) {
                    (FieldKind::Ref { to, .. }, Json::Object(_)) if purpose.takes_links() => {
                        let target = key(&types[*to], json, &path, faults);
                        match target {
                            Some(Target::Id(id)) => {
                                draft.values[position] = Some(Value::from(id.as_str()));
                            }
                            Some(Target::Key { key, values }) => {
                                draft.links.push(Link {
                                    field: position,
                                    to: *to,
                                    key,
                                    values,
                                });
                            }
                            None => {}
                        }
                    }
                    _ => draft.values[position] = set_value(field, json, purpose, &path, faults),
                }
            }
        }
    }
    let missing = ty.fields.iter().zip(&named).filter(|(field, named)| {
        field.required && field.default.is_none() && !**named && purpose.requires(field)
    });
    missing.for_each(|(field, _)| faults.add(format!("{path}.{}", field.name), "is required"));
    check_log_id(ty, &draft, path, faults);
    Some(draft)
}

/// A value for a field, where null is refused if the field is required.
fn set_value(
    field: &Field,
    json: &Json,
    purpose: Purpose,
    path: &str,
    faults: &mut Faults,
) -> Option<Value> {
    let left_alone = purpose == Purpose::Merge && field.merge.is_some();
    if field.required && *json == Json::Null && !left_alone {
        faults.add(path, "is required and cannot be null");
        return None;
    }
    // What is added is no value of the field: the sum is held against its bounds.
    match (purpose, field.merge) {
        (Purpose::Merge, Some(Merge::Add | Merge::Union)) => unbounded(field, json, path, faults),
        _ => value(field, json, path, faults),
    }
}

fn check_log_id(ty: &Type, draft: &Draft, path: &str, faults: &mut Faults) {
    if let (Some(log), Some(id)) = (ty.log(), &draft.id)
        && let Some(Some(Value::Time(time))) = draft.values.get(log.time)
        && let Some(message) = log_id_fault(ty, log, id, *time)
    {
        faults.add(format!("{path}.id"), message);
    }
}

/// What is wrong with a client's id for a log object that happened at a time: it must be a UUIDv7
/// of about that time, so that an id is unique over all partitions and still cheap to check.
pub(crate) fn log_id_fault(ty: &Type, log: &LogOptions, id: &Id, time: Time) -> Option<String> {
    let near = id
        .uuid_v7_time()
        .is_some_and(|at| (at.as_millis() - time.as_millis()).abs() <= LOG_ID_SLACK_MS);
    let field = &ty.fields[log.time].name;
    (!near).then(|| format!("expected a UUIDv7 whose own time is within a day of {field}"))
}
