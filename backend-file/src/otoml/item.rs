//! What stands in a file, as a value of a field.

use std::ops::Range;

use osis_core::error::{ErrorKind, Faults};
use osis_core::input;
use osis_core::json::Json;
use osis_core::schema::{Field, FieldKind};
use osis_core::time::Time;
use osis_core::value::Value;
use toml_edit::{Item, Key, Table, Value as Toml};

/// Something that does not fit, and where in the body.
pub(super) type Misfit = (usize, String);

/// Holds what stands under a name against its field; core has the rules.
///
/// # Errors
/// All that does not fit.
pub(super) fn value(
    field: &Field,
    key: &Key,
    item: &Item,
    body: &str,
) -> Result<Value, Vec<Misfit>> {
    let name = &field.name;
    let start = start(key, item);
    let json = given(&field.kind, item, body)
        .map_err(|(at, message)| vec![(at.unwrap_or(start), format!("{name}: {message}"))])?;
    let mut faults = Faults::default();
    if let Some(value) = input::value(field, &json, name, &mut faults) {
        return Ok(value);
    }
    let error = faults.into_error();
    let ErrorKind::Invalid(faults) = error.kind() else {
        return Err(vec![(start, error.to_string())]);
    };
    let place = |path: &str| place(&path[name.len().min(path.len())..], item).unwrap_or(start);
    Err(faults
        .iter()
        .map(|fault| {
            (
                place(&fault.path),
                format!("{}: {}", fault.path, fault.message),
            )
        })
        .collect())
}

/// Where a value begins; for a table, where its name does.
pub(super) fn start(key: &Key, item: &Item) -> usize {
    let own = item.as_value().and_then(Toml::span);
    own.or_else(|| key.span()).map_or(0, |span| span.start)
}

/// Where in a list the item of a path `[3]…` begins.
fn place(path: &str, item: &Item) -> Option<usize> {
    let (index, _) = path.strip_prefix('[')?.split_once(']')?;
    let item = item.as_array()?.get(index.parse().ok()?)?;
    item.span().map(|span| span.start)
}

/// The time that stands in a file: a TOML date-time with an offset, or an RFC 3339 string.
pub(super) fn time(item: &Item, body: &str) -> Option<Time> {
    match item.as_value()? {
        Toml::Datetime(at) => Time::parse(&date_time(at.span(), body)),
        Toml::String(text) => Time::parse(text.value()),
        _ => None,
    }
}

/// What a caller would have given in JSON for the same value.
///
/// # Errors
/// What no caller could give, and where, if not where the value begins.
fn given(kind: &FieldKind, item: &Item, body: &str) -> Result<Json, (Option<usize>, String)> {
    let is_table = matches!(
        item,
        Item::Table(_) | Item::ArrayOfTables(_) | Item::Value(Toml::InlineTable(_))
    );
    match (kind, item) {
        (FieldKind::Json, Item::Value(Toml::String(text))) => {
            let parsed = Json::parse(text.value().as_bytes());
            parsed.map_err(|error| (None, format!("is not JSON: {error}")))
        }
        (FieldKind::Json, _) => Ok(item_json(item, body)),
        _ if is_table => {
            let wanted = kind.name();
            Err((None, format!("is a {wanted}, got a table")))
        }
        (FieldKind::Time, Item::Value(Toml::Datetime(at))) => {
            let text = date_time(at.span(), body);
            match Time::parse(&text) {
                Some(_) => Ok(Json::Str(text)),
                None => Err((None, format!("expected {}, got {text}", Time::FORM))),
            }
        }
        (FieldKind::List(_), Item::Value(Toml::Array(items))) => {
            match items.iter().find(|item| item.is_datetime()) {
                Some(at) => Err((at.span().map(|span| span.start), a_time())),
                None => Ok(item_json(item, body)),
            }
        }
        (_, Item::Value(Toml::Datetime(_))) => Err((None, a_time())),
        _ => Ok(item_json(item, body)),
    }
}

fn a_time() -> String {
    "did not expect a date or time here; a text goes between quotes".to_owned()
}

/// A date or time as it was written, with the `T` that TOML lets people leave out.
fn date_time(span: Option<Range<usize>>, body: &str) -> String {
    let text = span.and_then(|span| body.get(span)).unwrap_or_default();
    text.replacen(' ', "T", 1)
}

fn item_json(item: &Item, body: &str) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => value_json(value, body),
        Item::Table(table) => table_json(table, body),
        Item::ArrayOfTables(tables) => {
            Json::Array(tables.iter().map(|table| table_json(table, body)).collect())
        }
    }
}

fn table_json(table: &Table, body: &str) -> Json {
    let entries = table.iter();
    Json::Object(
        entries
            .map(|(name, item)| (name.to_owned(), item_json(item, body)))
            .collect(),
    )
}

fn value_json(value: &Toml, body: &str) -> Json {
    match value {
        Toml::String(text) => Json::Str(text.value().clone()),
        Toml::Integer(n) => Json::Int((*n.value()).into()),
        Toml::Float(x) if x.value().is_finite() => Json::Float(*x.value()),
        // JSON has no infinity, and core refuses it as it does `1e400`.
        Toml::Float(x) => Json::Huge(x.value().to_string().into()),
        Toml::Boolean(b) => Json::Bool(*b.value()),
        Toml::Datetime(at) => Json::Str(date_time(at.span(), body)),
        Toml::Array(items) => {
            Json::Array(items.iter().map(|item| value_json(item, body)).collect())
        }
        Toml::InlineTable(table) => Json::Object(
            table
                .iter()
                .map(|(name, value)| (name.to_owned(), value_json(value, body)))
                .collect(),
        ),
    }
}
