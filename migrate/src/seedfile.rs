//! Seed files: TOML, JSON and NDJSON to the objects of one seed.

use std::path::Path;

use osis_core::batch::SeedObject;
use osis_core::error::{Error, Faults, Result};
use osis_core::input::{self, Purpose};
use osis_core::json::Json;
use osis_core::schema::Schema;
use toml::de::{DeTable, DeValue};

use osis_core::batch::SeedMode;

/// One object of a seed file, not yet held against a schema.
struct Entry {
    type_name: String,
    data: Json,
    /// Where it stands: `catalog.toml:12`.
    place: String,
}

/// Reads a seed file; its ending tells the form: `.toml`, `.json`, or `.ndjson` and `.jsonl`.
///
/// # Errors
/// `Invalid` with all faults, each with file, line (where the form has lines) and field.
pub fn read(schema: &Schema, path: &Path, mode: SeedMode) -> Result<Vec<SeedObject>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(&*name, format!("cannot be read: {error}")))?;
    parse(schema, &name, &text, mode)
}

/// Reads the text of a seed file of that name.
///
/// # Errors
/// As [`read`].
pub fn parse(schema: &Schema, name: &str, text: &str, mode: SeedMode) -> Result<Vec<SeedObject>> {
    let entries = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("toml") => toml_entries(name, text)?,
        Some("json") => json_entries(name, text)?,
        Some("ndjson" | "jsonl") => ndjson_entries(name, text)?,
        _ => {
            let wanted = "is no seed file by its ending: expected .toml, .json, .ndjson or .jsonl";
            return Err(Error::invalid(name, wanted));
        }
    };
    check(schema, entries, mode)
}

/// Holds entries against the schema.
fn check(schema: &Schema, entries: Vec<Entry>, mode: SeedMode) -> Result<Vec<SeedObject>> {
    let purpose = match mode {
        SeedMode::Insert => Purpose::Seed,
        SeedMode::Update => Purpose::SeedUpdate,
    };
    let mut faults = Faults::default();
    let mut objects = Vec::with_capacity(entries.len());
    for Entry {
        type_name,
        data,
        place,
    } in entries
    {
        let Some(ty) = schema.find(&type_name).filter(|ty| ty.writable()) else {
            faults.add(
                place,
                format!("the schema has no type {type_name:?} that can be seeded"),
            );
            continue;
        };
        let origin = format!("{place}: {type_name}");
        let draft = input::draft(&schema.types, ty, &data, &origin, purpose, &mut faults);
        objects.extend(draft.map(|draft| SeedObject {
            type_id: ty.id,
            draft,
            origin: origin.into(),
        }));
    }
    faults.finish()?;
    Ok(objects)
}

fn toml_entries(name: &str, text: &str) -> Result<Vec<Entry>> {
    let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let line = |at: usize| starts.partition_point(|start| *start <= at) + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let place = error
            .span()
            .map_or_else(String::new, |span| format!(":{}", line(span.start)));
        Error::invalid(format!("{name}{place}"), error.message().to_owned())
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.into_inner() {
        let type_name = key.into_inner().into_owned();
        let place = format!("{name}:{}", line(value.span().start));
        let DeValue::Array(objects) = value.into_inner() else {
            let wanted = format!("expected objects of {type_name} as [[{type_name}]] tables");
            return Err(Error::invalid(place, wanted));
        };
        for object in objects {
            let place = format!("{name}:{}", line(object.span().start));
            let data = toml_json(object.into_inner());
            entries.push(Entry {
                type_name: type_name.clone(),
                data,
                place,
            });
        }
    }
    Ok(entries)
}

/// A TOML value as JSON; date-times become their texts.
pub(crate) fn toml_json(value: DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::Str(text.into_owned()),
        DeValue::Integer(n) => {
            let digits = n.as_str().replace('_', "");
            match i128::from_str_radix(&digits, n.radix()) {
                Ok(n) => Json::Int(n),
                Err(_) => Json::Huge(digits.into()),
            }
        }
        DeValue::Float(x) => {
            let digits = x.as_str().replace('_', "");
            match digits.parse::<f64>() {
                Ok(x) if x.is_finite() => Json::Float(x),
                _ => Json::Huge(digits.into()),
            }
        }
        DeValue::Boolean(b) => Json::Bool(b),
        DeValue::Datetime(time) => Json::Str(time.to_string()),
        DeValue::Array(items) => Json::Array(
            items
                .into_iter()
                .map(|item| toml_json(item.into_inner()))
                .collect(),
        ),
        DeValue::Table(table) => {
            let entries = table.into_iter();
            let entries = entries
                .map(|(key, value)| (key.into_inner().into_owned(), toml_json(value.into_inner())));
            Json::Object(entries.collect())
        }
    }
}

fn json_entries(name: &str, text: &str) -> Result<Vec<Entry>> {
    let json = Json::parse(text.as_bytes())
        .map_err(|error| Error::invalid(format!("{name}:{}", error.line), error.to_string()))?;
    let Json::Object(types) = json else {
        return Err(Error::invalid(
            name,
            "expected an object: {type: [data, …], …}",
        ));
    };
    let mut entries = Vec::new();
    for (type_name, objects) in types {
        let Json::Array(objects) = objects else {
            let wanted = format!("expected a list of {type_name}, got {}", objects.kind());
            return Err(Error::invalid(name, wanted));
        };
        for (n, data) in objects.into_iter().enumerate() {
            let place = format!("{name}: {type_name}[{n}]");
            entries.push(Entry {
                type_name: type_name.clone(),
                data,
                place,
            });
        }
    }
    Ok(entries)
}

fn ndjson_entries(name: &str, text: &str) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (n, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let place = format!("{name}:{}", n + 1);
        let (type_name, data) = line_object(line, &place)?;
        entries.push(Entry {
            type_name,
            data,
            place,
        });
    }
    Ok(entries)
}

/// Reads a line `{"type": …, "object": …}`.
///
/// # Errors
/// `Invalid` at `place` if it has another form.
pub(crate) fn line_object(line: &str, place: &str) -> Result<(String, Json)> {
    let json = Json::parse(line.as_bytes()).map_err(|error| {
        Error::invalid(
            place,
            format!("{} at column {}", error.message, error.column),
        )
    })?;
    let wanted = "expected {\"type\": \"…\", \"object\": {…}}";
    let Json::Object(entries) = json else {
        return Err(Error::invalid(place, wanted));
    };
    let (mut type_name, mut object) = (None, None);
    for (name, value) in entries {
        match (name.as_str(), value) {
            ("type", Json::Str(name)) => type_name = Some(name),
            ("object", value) => object = Some(value),
            (other, _) => {
                return Err(Error::invalid(
                    place,
                    format!("{wanted}, got {other:?} of another form"),
                ));
            }
        }
    }
    match (type_name, object) {
        (Some(type_name), Some(object)) => Ok((type_name, object)),
        _ => Err(Error::invalid(place, wanted)),
    }
}
