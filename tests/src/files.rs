//! The files of a file store as another program reads them (§6): with a TOML parser that is not
//! the engine's, and nothing of the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use osis_core::schema::{FieldKind, Schema, Type};
use serde_json::{Value, json};
use toml::Table;

/// The file of an object.
pub fn object_file(directory: &Path, plural: &str, id: &str) -> PathBuf {
    let shard = &id[id.len() - 2..];
    directory
        .join(plural)
        .join(shard)
        .join(format!("{id}.otoml"))
}

/// The objects of a type, by id, each as its file has it. Every file must be whole, canonical and
/// lie where its name says.
pub fn objects(directory: &Path, ty: &Type) -> BTreeMap<String, Table> {
    let mut objects = BTreeMap::new();
    for shard in entries(&directory.join(&ty.plural)) {
        for path in entries(&shard) {
            let Some(id) = name(&path).strip_suffix(".otoml").map(str::to_owned) else {
                // What is being written has another name until it is whole.
                continue;
            };
            assert_eq!(path, object_file(directory, &ty.plural, &id));
            let table = canonical(&path);
            assert_eq!(
                table["id"].as_str(),
                Some(id.as_str()),
                "{}",
                path.display()
            );
            objects.insert(id, table);
        }
    }
    objects
}

/// Holds all object files of a store against what the API serves of it: `served` lists the objects
/// of a type.
pub fn assert_files_are_what_is_served(
    directory: &Path,
    schema: &Schema,
    mut served: impl FnMut(&Type) -> Vec<Value>,
) {
    for ty in schema.types.iter().filter(|ty| ty.log().is_none()) {
        let mut files = objects(directory, ty);
        assert_no_key_twice(ty, &files);
        for object in served(ty) {
            let id = object["id"].as_str().unwrap();
            let file = files.remove(id);
            let file = file.unwrap_or_else(|| panic!("{} {id} has no file", ty.name));
            assert_eq!(as_served(ty, &file), object, "{} {id}", ty.name);
        }
        let left: Vec<&String> = files.keys().collect();
        assert!(
            left.is_empty(),
            "{}: files that are not served: {left:?}",
            ty.name
        );
    }
}

/// No two files of a type may have the same value of a unique field or of a composite key.
fn assert_no_key_twice(ty: &Type, files: &BTreeMap<String, Table>) {
    for key in &ty.keys {
        let mut seen = BTreeSet::new();
        for (id, file) in files {
            let values: Option<Vec<String>> = key
                .fields
                .iter()
                .map(|&field| {
                    let value = file.get(&ty.fields[field].name)?.to_string();
                    Some(if key.fold {
                        value.to_lowercase()
                    } else {
                        value
                    })
                })
                .collect();
            // A key with an unset field clashes with nothing.
            if let Some(values) = values {
                assert!(
                    seen.insert(values.clone()),
                    "{} {id}: {values:?} twice",
                    ty.name
                );
            }
        }
    }
}

/// A file's object as the API shows it: unset fields null, secrets left out.
pub fn as_served(ty: &Type, file: &Table) -> Value {
    let mut object = json!({});
    for name in ["id", "rev", "created_at", "updated_at"] {
        object[name] = value_of(&file[name]);
    }
    for field in ty.fields.iter().filter(|field| !field.secret) {
        object[&field.name] = match (file.get(&field.name), &field.kind) {
            (None, _) => Value::Null,
            (Some(toml::Value::String(text)), FieldKind::Json) => {
                serde_json::from_str(text).unwrap()
            }
            (Some(held), _) => value_of(held),
        };
    }
    let known =
        |key: &String| object.get(key).is_some() || ty.fields.iter().any(|f| f.name == *key);
    let strange: Vec<&String> = file.keys().filter(|key| !known(key)).collect();
    assert!(strange.is_empty(), "{}: unknown keys {strange:?}", ty.name);
    object
}

fn value_of(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(n) => json!(n),
        toml::Value::Float(n) => json!(n),
        toml::Value::Boolean(b) => json!(b),
        toml::Value::Datetime(time) => json!(three_decimals(&time.to_string())),
        toml::Value::Array(items) => items.iter().map(value_of).collect(),
        toml::Value::Table(_) => panic!("a nested table: {value}"),
    }
}

/// A time as the API writes it: TOML's parser drops zeros at the end.
fn three_decimals(time: &str) -> String {
    let whole = time
        .strip_suffix('Z')
        .unwrap_or_else(|| panic!("not in UTC: {time}"));
    let (seconds, decimals) = whole.split_once('.').unwrap_or((whole, ""));
    format!("{seconds}.{decimals:0<3}Z")
}

/// Reads a file that the store wrote: the first line, the order of its keys, its end.
fn canonical(path: &Path) -> Table {
    let shown = path.display();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let body = text
        .strip_prefix("O:\n")
        .unwrap_or_else(|| panic!("{shown} begins otherwise"));
    assert!(!text.contains('\r'), "{shown} has a CR");
    assert!(
        text.ends_with('\n') && !text.ends_with("\n\n"),
        "{shown} ends otherwise"
    );
    let table: Table = body
        .parse()
        .unwrap_or_else(|error| panic!("{shown}: {error}\n{text}"));
    assert!(
        table.keys().is_sorted(),
        "{shown}: keys out of order\n{text}"
    );
    table
}

/// What is in a folder, which may not be there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
