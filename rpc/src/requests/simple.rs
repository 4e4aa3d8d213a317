//! Parameters of simple form: numbers, flags, names. Bounds and defaults come from the signature.

use osis_core::error::Faults;
use osis_core::input::{self, Target};
use osis_core::json::Json;
use osis_core::output::Expand;
use osis_core::query::Filter;
use osis_core::schema::{Column, FieldKind, Type};

use crate::params::{Args, cut};
use crate::signature::Takes;

/// Most names of one list.
const NAMES_MAX: usize = 1000;

impl Args {
    /// A number within its bounds, or its default.
    pub(super) fn number(&self, name: &'static str, faults: &mut Faults) -> Option<u64> {
        let Some(Takes::Number { min, max, default }) = self.takes(name) else {
            return None;
        };
        // Numbers end where those of the engines end.
        let max = max.unwrap_or(i64::MAX.unsigned_abs());
        let Some(json) = self.get(name) else {
            return default;
        };
        if let Json::Int(n) = json
            && let Ok(n) = u64::try_from(*n)
            && (min..=max).contains(&n)
        {
            return Some(n);
        }
        let got = match json {
            Json::Int(n) => n.to_string(),
            other => other.kind().to_owned(),
        };
        faults.add(
            name,
            format!("expected an integer from {min} to {max}, got {got}"),
        );
        None
    }

    /// Yes or no, or its default.
    pub(super) fn flag(&self, name: &'static str, faults: &mut Faults) -> bool {
        match self.get(name) {
            Some(Json::Bool(flag)) => *flag,
            Some(other) => {
                faults.add(
                    name,
                    format!("expected true or false, got {}", other.kind()),
                );
                false
            }
            None => self.takes(name) == Some(Takes::Flag(true)),
        }
    }

    /// One of some words, or the first of them.
    pub(super) fn choice(&self, name: &'static str, faults: &mut Faults) -> &'static str {
        let Some(Takes::Choice(words)) = self.takes(name) else {
            return "";
        };
        let Some(json) = self.get(name) else {
            return words[0];
        };
        let found = words.iter().find(|word| json.as_str() == Some(word));
        found.copied().unwrap_or_else(|| {
            faults.add(
                name,
                format!("expected one of {}, got {}", words.join(", "), shown(json)),
            );
            words[0]
        })
    }

    /// A text.
    pub(super) fn text(&self, name: &'static str, faults: &mut Faults) -> Option<&str> {
        let json = self.get(name)?;
        if json.as_str().is_none() {
            faults.add(name, format!("expected a string, got {}", json.kind()));
        }
        json.as_str()
    }

    /// Which object is meant: by `id` or by `key`.
    pub(super) fn target(&self, ty: &Type, faults: &mut Faults) -> Option<Target> {
        match (self.get("id"), self.get("key")) {
            (Some(id), None) => input::id(id, "id", faults).map(Target::Id),
            (None, Some(key)) => input::key(ty, key, "key", faults),
            (None, None) => {
                faults.add("id", "is required, or key in its place");
                None
            }
            (Some(_), Some(_)) => {
                faults.add("id", "is given beside key: expected one of them");
                None
            }
        }
    }

    /// Which objects are meant.
    pub(super) fn filter(&self, ty: &Type, faults: &mut Faults) -> Option<Filter> {
        match self.get("filter") {
            None => Some(Filter::EVERY),
            Some(json) => Filter::parse(ty, json, "filter", faults),
        }
    }

    /// A list of names with their paths, each name once.
    pub(super) fn names(&self, name: &'static str, faults: &mut Faults) -> Vec<(String, &str)> {
        let items = match self.get(name) {
            None => return Vec::new(),
            // Names are compared with each other, so they must not be many.
            Some(Json::Array(items)) if items.len() > NAMES_MAX => {
                let message = format!("has {} names, at most {NAMES_MAX} fit", items.len());
                faults.add(name, message);
                return Vec::new();
            }
            Some(Json::Array(items)) => items,
            Some(other) => {
                faults.add(
                    name,
                    format!("expected a list of names, got {}", other.kind()),
                );
                return Vec::new();
            }
        };
        let mut names: Vec<(String, &str)> = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let path = format!("{name}[{n}]");
            match item.as_str() {
                Some(text) if names.iter().any(|(_, known)| *known == text) => {
                    faults.add(path, format!("names {:?} twice", cut(text)));
                }
                Some(text) => names.push((path, text)),
                None => faults.add(path, format!("expected a name, got {}", item.kind())),
            }
        }
        names
    }

    /// The fields to show.
    pub(super) fn fields(&self, ty: &Type, faults: &mut Faults) -> Option<Vec<Column>> {
        self.get("fields")?;
        let names = self.names("fields", faults);
        let columns = names.into_iter().filter_map(|(path, name)| {
            match column(ty, name) {
                Ok(Column::Field(field)) if ty.fields[field].secret => {
                    faults.add(path, "is secret and never shown");
                }
                Ok(column) => return Some(column),
                Err(message) => faults.add(path, message),
            }
            None
        });
        Some(columns.collect())
    }

    /// The refs and relations to bring along.
    pub(super) fn expand(&self, ty: &Type, faults: &mut Faults) -> Vec<Expand> {
        let names = self.names("expand", faults);
        let found = names.into_iter().filter_map(|(path, name)| {
            let expand = expand(ty, name);
            if expand.is_none() {
                let message = format!("{} has no ref or relation {:?}", ty.name, cut(name));
                faults.add(path, message);
            }
            expand
        });
        found.collect()
    }
}

fn expand(ty: &Type, name: &str) -> Option<Expand> {
    if let Some(relation) = ty
        .relations
        .iter()
        .position(|relation| relation.name == name)
    {
        return Some(Expand::Relation(relation));
    }
    let field = ty.field(name)?;
    let is_ref = matches!(ty.fields[field].kind, FieldKind::Ref { .. });
    (is_ref && !ty.fields[field].secret).then_some(Expand::Ref(field))
}

/// The column of a name, or why there is none.
pub(super) fn column(ty: &Type, name: &str) -> Result<Column, String> {
    ty.column(name)
        .ok_or_else(|| format!("{} has no field {:?}", ty.name, cut(name)))
}

/// A value as an error repeats it: texts themselves, of others what they are.
pub(super) fn shown(json: &Json) -> String {
    json.as_str()
        .map_or_else(|| json.kind().to_owned(), |text| format!("{:?}", cut(text)))
}
