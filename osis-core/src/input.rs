//! What callers give, checked against the schema: values, drafts of objects, keys.
//!
//! Every check notes its fault and goes on, so that a caller learns all of them at once.

use base64::Engine as _;

use crate::error::Faults;
use crate::json::Json;
use crate::object::{Id, Row};
use crate::schema::{Column, Field, FieldKind, Format, Item, KeyId, LogOptions, Type, TypeId};
use crate::time::Time;
use crate::value::Value;

/// Longest string in bytes, where no key or index holds it.
pub const STRING_MAX: usize = 4096;
/// Longest string in bytes in a key or an index.
pub const INDEXED_STRING_MAX: usize = 1024;
/// Longest text, and most bytes, in bytes.
pub const TEXT_MAX: usize = 1 << 20;
/// Most items of a list whose field has no `max`.
pub const ITEMS_MAX: usize = 1000;
/// Deepest nesting of a `json` value.
pub const JSON_DEPTH_MAX: usize = 64;

/// The day by which a log object's UUIDv7 may differ from its time field.
const LOG_ID_SLACK_MS: i64 = 24 * 3600 * 1000;

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

/// Which object is meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// The one with this id.
    Id(Id),
    /// The one with these values of a key, as the caller gave them (not folded).
    Key {
        /// Which key.
        key: KeyId,
        /// Its values in the order of its fields, none of them null.
        values: Vec<Value>,
    },
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
    /// `_set` that patches or merges.
    Change,
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
            Self::Change | Self::SeedUpdate => false,
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
                    _ => draft.values[position] = set_value(field, json, &path, faults),
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
fn set_value(field: &Field, json: &Json, path: &str, faults: &mut Faults) -> Option<Value> {
    if field.required && *json == Json::Null {
        faults.add(path, "is required and cannot be null");
        return None;
    }
    value(field, json, path, faults)
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

/// Checks an id.
pub fn id(json: &Json, path: &str, faults: &mut Faults) -> Option<Id> {
    let found = json.as_str().and_then(Id::parse);
    if found.is_none() {
        faults.add(path, format!("expected {}", Id::FORM));
    }
    found
}

/// Checks a key: an object that names all fields of one key, or the id.
pub fn key(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Target> {
    let Json::Object(entries) = json else {
        faults.add(
            path,
            format!(
                "expected an object that names a key of {}, got {}",
                ty.name,
                json.kind()
            ),
        );
        return None;
    };
    if let [(name, value)] = entries.as_slice()
        && name == "id"
    {
        return id(value, &format!("{path}.id"), faults).map(Target::Id);
    }
    let found = ty.keys.iter().position(|key| {
        key.fields.len() == entries.len()
            && key
                .fields
                .iter()
                .all(|&f| json.get(&ty.fields[f].name).is_some())
    });
    let Some(key) = found.filter(|&key| !ty.key_is_secret(key)) else {
        faults.add(
            path,
            format!(
                "expected all fields of one key of {}: {}",
                ty.name,
                key_names(ty)
            ),
        );
        return None;
    };
    let mut values = Vec::new();
    for &position in &ty.keys[key].fields {
        let field = &ty.fields[position];
        let path = format!("{path}.{}", field.name);
        match json.get(&field.name) {
            Some(Json::Null) | None => faults.add(path, "is part of a key and cannot be null"),
            Some(json) => values.extend(value(field, json, &path, faults)),
        }
    }
    (values.len() == entries.len()).then_some(Target::Key { key, values })
}

fn key_names(ty: &Type) -> String {
    let visible = (0..ty.keys.len()).filter(|&key| !ty.key_is_secret(key));
    let keys = visible.map(|key| format!("{{{}}}", ty.key_fields(key).join(", ")));
    std::iter::once("{id}".to_owned())
        .chain(keys)
        .collect::<Vec<_>>()
        .join(" or ")
}

/// Checks one value against its field; null is [`Value::Null`].
pub fn value(field: &Field, json: &Json, path: &str, faults: &mut Faults) -> Option<Value> {
    let checked = match json {
        Json::Null => return Some(Value::Null),
        _ => typed(field, json, path, faults)?,
    };
    match bounds_fault(field, &checked) {
        None => Some(checked),
        Some(message) => {
            faults.add(path, message);
            None
        }
    }
}

fn typed(field: &Field, json: &Json, path: &str, faults: &mut Faults) -> Option<Value> {
    let wrong = |faults: &mut Faults, wanted: &str| {
        faults.add(path, format!("expected {wanted}, got {}", json.kind()));
        None
    };
    match (&field.kind, json) {
        (FieldKind::String, Json::Str(text)) => {
            string(text, string_max(field), path, faults)?;
            form_fault(field, text).map_or_else(
                || Some(Value::from(text.as_str())),
                |message| {
                    faults.add(path, message);
                    None
                },
            )
        }
        (FieldKind::Text, Json::Str(text)) => {
            string(text, TEXT_MAX, path, faults)?;
            match form_fault(field, text) {
                None => Some(Value::from(text.as_str())),
                Some(message) => {
                    faults.add(path, message);
                    None
                }
            }
        }
        (FieldKind::String | FieldKind::Text, _) => wrong(faults, "a string"),
        (FieldKind::Int, _) => int(json, path, faults).map(Value::Int),
        (FieldKind::Float, _) => match double(json) {
            Some(x) => Some(Value::Float(x)),
            None => wrong(faults, "a finite number"),
        },
        (FieldKind::Bool, Json::Bool(b)) => Some(Value::Bool(*b)),
        (FieldKind::Bool, _) => wrong(faults, "true or false"),
        (FieldKind::Time, _) => match json.as_str().and_then(Time::parse) {
            Some(time) => Some(Value::Time(time)),
            None => wrong(faults, Time::FORM),
        },
        (FieldKind::Enum(values), _) => {
            match json.as_str().filter(|t| values.iter().any(|v| v == t)) {
                Some(text) => Some(Value::from(text)),
                None => {
                    faults.add(path, format!("expected one of {}", values.join(", ")));
                    None
                }
            }
        }
        (FieldKind::Ref { .. }, _) => id(json, path, faults).map(|id| Value::from(id.as_str())),
        (FieldKind::List(item), Json::Array(items)) => {
            list(field, *item, items, path, faults).map(|items| Value::List(items.into()))
        }
        (FieldKind::List(_), _) => wrong(faults, "a list"),
        (FieldKind::Json, _) => {
            let before = faults.len();
            check_json(json, 0, path, faults);
            (faults.len() == before).then(|| Value::Json(canonical(json).into()))
        }
        (FieldKind::Bytes, Json::Str(text)) => bytes(text, path, faults),
        (FieldKind::Bytes, _) => wrong(faults, "bytes as base64"),
    }
}

fn string_max(field: &Field) -> usize {
    if field.is_indexed() {
        INDEXED_STRING_MAX
    } else {
        STRING_MAX
    }
}

fn string(text: &str, bytes_max: usize, path: &str, faults: &mut Faults) -> Option<()> {
    if text.contains('\0') {
        faults.add(path, "holds U+0000 or an unpaired surrogate");
    } else if text.len() > bytes_max {
        faults.add(
            path,
            format!("has {} bytes of UTF-8, at most {bytes_max} fit", text.len()),
        );
    } else {
        return Some(());
    }
    None
}

/// What pattern or format a string breaks.
fn form_fault(field: &Field, text: &str) -> Option<String> {
    if let Some(pattern) = &field.pattern
        && !pattern.is_match(text)
    {
        return Some(format!("does not match the pattern {}", pattern.as_str()));
    }
    match field.format? {
        Format::Email if !is_email(text) => {
            Some("expected an email address: one @ with something on both sides, no spaces, at most 254 bytes".to_owned())
        }
        Format::Url if !is_http_url(text) => Some("expected an absolute http or https URL".to_owned()),
        _ => None,
    }
}

fn is_email(text: &str) -> bool {
    let sides = text.split_once('@');
    sides.is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && text.len() <= 254
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

fn is_http_url(text: &str) -> bool {
    !text.chars().any(|c| c.is_whitespace() || c.is_control())
        && url::Url::parse(text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        && text.contains("://")
}

fn int(json: &Json, path: &str, faults: &mut Faults) -> Option<i64> {
    if let Json::Int(n) = json
        && let Ok(n) = i64::try_from(*n)
    {
        return Some(n);
    }
    let got = if matches!(json, Json::Int(_)) {
        "a number out of range"
    } else {
        json.kind()
    };
    faults.add(path, format!("expected a 64-bit signed integer, got {got}"));
    None
}

/// The finite double of a JSON number; -0.0 becomes 0.0.
pub(crate) fn double(json: &Json) -> Option<f64> {
    let x = match json {
        // Not rounded away silently: a double holds what a double holds, as with 0.1.
        #[expect(clippy::cast_precision_loss)]
        Json::Int(n) => *n as f64,
        Json::Float(x) => *x,
        Json::Huge(text) => text.parse().ok()?,
        _ => return None,
    };
    x.is_finite().then_some(x + 0.0)
}

fn list(
    field: &Field,
    item: Item,
    items: &[Json],
    path: &str,
    faults: &mut Faults,
) -> Option<Vec<Value>> {
    if field.max.is_none() && items.len() > ITEMS_MAX {
        faults.add(
            path,
            format!("has {} items, at most {ITEMS_MAX} fit", items.len()),
        );
        return None;
    }
    let checked = items.iter().enumerate().filter_map(|(n, json)| {
        let path = format!("{path}[{n}]");
        match (item, json) {
            (Item::Int, _) => int(json, &path, faults).map(Value::Int),
            (Item::String, Json::Str(text)) => {
                string(text, string_max(field), &path, faults).map(|()| Value::from(text.as_str()))
            }
            (Item::String, _) => {
                faults.add(path, format!("expected a string, got {}", json.kind()));
                None
            }
        }
    });
    let checked: Vec<Value> = checked.collect();
    (checked.len() == items.len()).then_some(checked)
}

fn check_json(json: &Json, depth: usize, path: &str, faults: &mut Faults) {
    let depth = depth + usize::from(matches!(json, Json::Array(_) | Json::Object(_)));
    if depth > JSON_DEPTH_MAX {
        return faults.add(path, format!("is nested deeper than {JSON_DEPTH_MAX}"));
    }
    match json {
        Json::Huge(_) => {
            faults.add(
                path,
                "expected a 64-bit integer or a finite number, got a number out of range",
            );
        }
        Json::Str(text) => {
            string(text, usize::MAX, path, faults);
        }
        Json::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(n, item)| check_json(item, depth, &format!("{path}[{n}]"), faults)),
        Json::Object(entries) => entries.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            if string(name, usize::MAX, &path, faults).is_some() {
                check_json(value, depth, &path, faults);
            }
        }),
        Json::Null | Json::Bool(_) | Json::Int(_) | Json::Float(_) => {}
    }
}

/// The canonical text of a JSON value: names sorted by their bytes, no blanks.
pub fn canonical(json: &Json) -> String {
    fn sorted(json: &Json) -> Json {
        match json {
            Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
            Json::Object(entries) => {
                let mut entries: Vec<_> = entries
                    .iter()
                    .map(|(name, value)| (name.clone(), sorted(value)))
                    .collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Json::Object(entries)
            }
            _ => json.clone(),
        }
    }
    serde_json::to_string(&sorted(json)).unwrap_or_default()
}

fn bytes(text: &str, path: &str, faults: &mut Faults) -> Option<Value> {
    match base64::engine::general_purpose::STANDARD.decode(text) {
        Ok(bytes) if bytes.len() <= TEXT_MAX => Some(Value::Bytes(bytes.into())),
        Ok(bytes) => {
            faults.add(
                path,
                format!("has {} bytes, at most {TEXT_MAX} fit", bytes.len()),
            );
            None
        }
        Err(_) => {
            faults.add(path, "expected standard base64 with padding");
            None
        }
    }
}

/// What bound of its field a value breaks, in words.
///
/// Also asked of values that a merge has made.
pub fn bounds_fault(field: &Field, value: &Value) -> Option<String> {
    let (measured, what) = match value {
        Value::Str(text) => (
            Value::Int(i64::try_from(text.chars().count()).ok()?),
            " characters",
        ),
        Value::List(items) => (Value::Int(i64::try_from(items.len()).ok()?), " items"),
        Value::Int(_) | Value::Float(_) => (value.clone(), ""),
        _ => return None,
    };
    let words = |bound: &Value| match bound {
        Value::Float(x) => x.to_string(),
        Value::Int(n) => n.to_string(),
        _ => String::new(),
    };
    if let Some(min) = &field.min
        && measured.order(min).is_lt()
    {
        return Some(format!(
            "is {}{what}, at least {} expected",
            words(&measured),
            words(min)
        ));
    }
    if let Some(max) = &field.max
        && measured.order(max).is_gt()
    {
        return Some(format!(
            "is {}{what}, at most {} expected",
            words(&measured),
            words(max)
        ));
    }
    if field.max.is_none() && value.items().len() > ITEMS_MAX {
        return Some(format!(
            "has {} items, at most {ITEMS_MAX} fit",
            value.items().len()
        ));
    }
    None
}

/// Checks a whole object as another store exported it: system fields and secrets included.
pub fn row(ty: &Type, json: &Json, path: &str, faults: &mut Faults) -> Option<Row> {
    let Json::Object(entries) = json else {
        faults.add(
            path,
            format!(
                "expected an object with fields of {}, got {}",
                ty.name,
                json.kind()
            ),
        );
        return None;
    };
    let before = faults.len();
    let mut values = vec![Value::Null; ty.fields.len()];
    for (name, json) in entries {
        let path = format!("{path}.{name}");
        match ty.column(name) {
            Some(Column::Field(position)) => {
                let checked = value(&ty.fields[position], json, &path, faults);
                checked
                    .into_iter()
                    .for_each(|value| values[position] = value);
            }
            Some(_) => {}
            None => faults.add(path, format!("{} has no field of this name", ty.name)),
        }
    }
    for (field, value) in ty.fields.iter().zip(&values) {
        if field.required && value.is_null() && faults.len() == before {
            faults.add(format!("{path}.{}", field.name), "is required");
        }
    }
    let id = id(
        json.get("id").unwrap_or(&Json::Null),
        &format!("{path}.id"),
        faults,
    );
    let rev = match json.get("rev") {
        Some(Json::Int(rev)) if *rev > 0 => i64::try_from(*rev).ok(),
        _ => None,
    };
    if rev.is_none() {
        faults.add(
            format!("{path}.rev"),
            "expected a revision: an integer from 1",
        );
    }
    let created_at = system_time(json, "created_at", path, faults);
    let updated_at = system_time(json, "updated_at", path, faults);
    if updated_at < created_at {
        faults.add(format!("{path}.updated_at"), "is before created_at");
    }
    if faults.len() > before {
        return None;
    }
    let values = values.into();
    Some(Row {
        id: id?,
        rev: rev?,
        created_at: created_at?,
        updated_at: updated_at?,
        values,
    })
}

fn system_time(json: &Json, name: &str, path: &str, faults: &mut Faults) -> Option<Time> {
    let time = json.get(name).and_then(Json::as_str).and_then(Time::parse);
    if time.is_none() {
        faults.add(format!("{path}.{name}"), format!("expected {}", Time::FORM));
    }
    time
}
