//! Values of `json` fields: what they may hold, and their canonical text.

use super::bounds::{JSON_DEPTH_MAX, string};
use crate::error::Faults;
use crate::json::Json;

pub(super) fn check_json(json: &Json, depth: usize, path: &str, faults: &mut Faults) {
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
