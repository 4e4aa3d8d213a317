//! Seed files: TOML, JSON and NDJSON to the objects of one seed.

mod json_lines;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use osis_core::batch::{SeedMode, SeedObject};
use osis_core::error::{Error, ErrorKind, Faults, Result};
use osis_core::input::{self, Purpose};
use osis_core::json::Json;
use osis_core::schema::Schema;
use toml::de::{DeTable, DeValue};

/// One object of a seed file, not yet held against a schema.
struct Entry {
    type_name: String,
    data: Json,
    /// The file that it stands in.
    file: Box<str>,
    /// The line on which it begins.
    line: usize,
    /// The lines of its fields.
    fields: HashMap<String, usize>,
}

/// Reads seed files; the ending of each tells its form: `.toml`, `.json`, or `.ndjson` and `.jsonl`.
///
/// # Errors
/// `Invalid` with all faults of all files, each with file, line and field.
pub fn read_all(schema: &Schema, files: &[PathBuf], mode: SeedMode) -> Result<Vec<SeedObject>> {
    let mut faults = Faults::default();
    let mut objects = Vec::new();
    for file in files {
        match read(schema, file, mode) {
            Ok(read) => objects.extend(read),
            Err(error) => faults.absorb(error)?,
        }
    }
    faults.finish()?;
    Ok(objects)
}

/// Reads one seed file.
///
/// # Errors
/// As [`read_all`].
pub fn read(schema: &Schema, path: &Path, mode: SeedMode) -> Result<Vec<SeedObject>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(&*name, format!("cannot be read: {error}")))?;
    parse(schema, &name, &text, mode)
}

/// Reads the text of a seed file of that name.
///
/// # Errors
/// As [`read_all`].
pub fn parse(schema: &Schema, name: &str, text: &str, mode: SeedMode) -> Result<Vec<SeedObject>> {
    let mut faults = Faults::default();
    let entries = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("toml") => toml_entries(name, text, &mut faults),
        Some("json") => json_entries(name, text, &mut faults),
        Some("ndjson" | "jsonl") => ndjson_entries(name, text, &mut faults),
        _ => {
            let wanted = "is no seed file by its ending: expected .toml, .json, .ndjson or .jsonl";
            return Err(Error::invalid(name, wanted));
        }
    };
    let objects = check(schema, entries, mode, &mut faults);
    faults.finish()?;
    Ok(objects)
}

/// Holds entries against the schema.
fn check(
    schema: &Schema,
    entries: Vec<Entry>,
    mode: SeedMode,
    faults: &mut Faults,
) -> Vec<SeedObject> {
    let purpose = match mode {
        SeedMode::Insert => Purpose::Seed,
        SeedMode::Update => Purpose::SeedUpdate,
    };
    let mut objects = Vec::with_capacity(entries.len());
    for entry in entries {
        let name = &entry.type_name;
        let Some(ty) = schema.find(name).filter(|ty| ty.writable()) else {
            let message = format!("the schema has no type {name:?} that can be seeded");
            faults.add(entry.place(entry.line), message);
            continue;
        };
        let mut own = Faults::default();
        let draft = input::draft(&schema.types, ty, &entry.data, name, purpose, &mut own);
        if let Err(error) = own.finish() {
            entry.note(&error, faults);
            continue;
        }
        let origin = format!("{}: {name}", entry.place(entry.line));
        objects.extend(draft.map(|draft| SeedObject {
            type_id: ty.id,
            draft,
            origin: origin.into(),
        }));
    }
    objects
}

impl Entry {
    fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.file)
    }

    /// Notes faults of its data, each with the line of its field.
    fn note(&self, error: &Error, faults: &mut Faults) {
        let ErrorKind::Invalid(found) = error.kind() else {
            return;
        };
        for fault in found {
            let field = fault.path.strip_prefix(&self.type_name);
            let field = field.and_then(|path| path.strip_prefix('.'));
            let field = field.and_then(|path| path.split(['.', '[']).next());
            let line = field.and_then(|field| self.fields.get(field).copied());
            let place = self.place(line.unwrap_or(self.line));
            faults.add(format!("{place}: {}", fault.path), fault.message.clone());
        }
    }
}

fn toml_entries(name: &str, text: &str, faults: &mut Faults) -> Vec<Entry> {
    let starts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let line = |at: usize| starts.partition_point(|start| *start <= at) + 1;
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let at = error
                .span()
                .map_or_else(String::new, |span| format!(":{}", line(span.start)));
            faults.add(format!("{name}{at}"), error.message().to_owned());
        }
        return Vec::new();
    }
    let mut entries = Vec::new();
    for (key, value) in table.into_inner() {
        let type_name = key.into_inner().into_owned();
        let place = format!("{name}:{}", line(value.span().start));
        let DeValue::Array(objects) = value.into_inner() else {
            let wanted = format!("expected objects of {type_name} as [[{type_name}]] tables");
            faults.add(place, wanted);
            continue;
        };
        for object in objects {
            let begins = line(object.span().start);
            let fields = match object.get_ref() {
                DeValue::Table(table) => table
                    .keys()
                    .map(|key| (key.get_ref().to_string(), line(key.span().start)))
                    .collect(),
                _ => HashMap::new(),
            };
            entries.push(Entry {
                type_name: type_name.clone(),
                data: toml_json(object.into_inner()),
                file: name.into(),
                line: begins,
                fields,
            });
        }
    }
    entries
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

fn json_entries(name: &str, text: &str, faults: &mut Faults) -> Vec<Entry> {
    let json = match Json::parse(text.as_bytes()) {
        Ok(json) => json,
        Err(error) => {
            faults.add(format!("{name}:{}", error.line), error.to_string());
            return Vec::new();
        }
    };
    let Json::Object(types) = json else {
        faults.add(name, "expected an object: {type: [data, …], …}");
        return Vec::new();
    };
    let mut lines = json_lines::of(text).into_iter();
    let mut entries = Vec::new();
    for (type_name, objects) in types {
        let begins = lines.next();
        let Json::Array(objects) = objects else {
            let place = begins.map_or_else(String::new, |begins| format!(":{}", begins.line));
            let wanted = format!("expected a list of {type_name}, got {}", objects.kind());
            faults.add(format!("{name}{place}"), wanted);
            continue;
        };
        let begins = begins.map(|begins| begins.items).unwrap_or_default();
        for (data, begins) in objects.into_iter().zip(begins) {
            entries.push(Entry {
                type_name: type_name.clone(),
                data,
                file: name.into(),
                line: begins.line,
                fields: begins.fields.into_iter().collect(),
            });
        }
    }
    entries
}

fn ndjson_entries(name: &str, text: &str, faults: &mut Faults) -> Vec<Entry> {
    let mut entries = Vec::new();
    let lines = text.lines().enumerate();
    for (n, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        match line_object(line, &format!("{name}:{}", n + 1)) {
            Ok((type_name, data)) => entries.push(Entry {
                type_name,
                data,
                file: name.into(),
                line: n + 1,
                fields: HashMap::new(),
            }),
            Err(error) => drop(faults.absorb(error)),
        }
    }
    entries
}

/// A line of an export.
pub(crate) struct ExportLine {
    /// Whether it is a row of a roll-up.
    pub(crate) is_rollup: bool,
    /// The name of the type.
    pub(crate) type_name: String,
    /// The object, or the row.
    pub(crate) content: Json,
}

/// Reads a line `{"type": …, "object": …}`.
///
/// # Errors
/// `Invalid` at `place` if it has another form.
pub(crate) fn line_object(line: &str, place: &str) -> Result<(String, Json)> {
    let line = export_line(line, place)?;
    match line.is_rollup {
        false => Ok((line.type_name, line.content)),
        true => Err(Error::invalid(place, OBJECT_FORM)),
    }
}

/// What a line with an object must look like.
const OBJECT_FORM: &str = "expected {\"type\": \"…\", \"object\": {…}}";

/// Reads a line `{"type": …, "object": …}` or `{"rollup": …, "row": …}`.
///
/// # Errors
/// `Invalid` at `place` if it has another form.
pub(crate) fn export_line(line: &str, place: &str) -> Result<ExportLine> {
    let json = Json::parse(line.as_bytes()).map_err(|error| {
        Error::invalid(
            place,
            format!("{} at column {}", error.message, error.column),
        )
    })?;
    let Json::Object(entries) = json else {
        return Err(Error::invalid(place, OBJECT_FORM));
    };
    let (mut names, mut contents) = ([None, None], [None, None]);
    for (name, value) in entries {
        match (name.as_str(), value) {
            ("type", Json::Str(name)) => names[0] = Some(name),
            ("rollup", Json::Str(name)) => names[1] = Some(name),
            ("object", value) => contents[0] = Some(value),
            ("row", value) => contents[1] = Some(value),
            (other, _) => {
                return Err(Error::invalid(
                    place,
                    format!("{OBJECT_FORM}, got {other:?} of another form"),
                ));
            }
        }
    }
    match (names, contents) {
        ([Some(type_name), None], [Some(content), None]) => Ok(ExportLine {
            is_rollup: false,
            type_name,
            content,
        }),
        ([None, Some(type_name)], [None, Some(content)]) => Ok(ExportLine {
            is_rollup: true,
            type_name,
            content,
        }),
        _ => Err(Error::invalid(place, OBJECT_FORM)),
    }
}
