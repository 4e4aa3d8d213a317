//! What types and fields of an old directory are called now.
//!
//! ```toml
//! [types.user]
//! to = "developer"         # false drops the type
//! [types.user.fields]
//! mail = "email"           # another name
//! notes = false            # dropped
//! ```

use std::collections::BTreeMap;

use osis_core::schema::{Schema, Type};
use osis_core::{Error, Result};
use toml::{Table, Value};

/// What is called otherwise now.
#[derive(Debug, Default)]
pub struct NameMap {
    types: BTreeMap<String, TypeNames>,
}

#[derive(Debug, Default)]
struct TypeNames {
    to: Option<Name>,
    fields: BTreeMap<String, Name>,
}

/// What becomes of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    Now(String),
    Dropped,
}

impl NameMap {
    /// Reads a map; `name` is that of its file.
    ///
    /// # Errors
    /// `Invalid` with the place in it.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            Error::invalid(format!("{name}:{line}"), error.message().to_owned())
        })?;
        let mut map = Self::default();
        for (key, value) in &table {
            let (true, Value::Table(types)) = (key == "types", value) else {
                return Err(Error::invalid(
                    format!("{name}: {key}"),
                    "expected [types.NAME] tables alone",
                ));
            };
            for (old, value) in types {
                let place = format!("{name}: types.{old}");
                map.types
                    .insert(old.clone(), TypeNames::read(&place, value)?);
            }
        }
        Ok(map)
    }

    /// The type whose objects lie in a folder of that name; `None` where they are dropped.
    ///
    /// # Errors
    /// `Invalid` where there is none.
    pub(super) fn find<'a>(&self, schema: &'a Schema, folder: &str) -> Result<Option<&'a Type>> {
        let told = self.types.get(folder).and_then(|names| names.to.as_ref());
        let name = match told {
            Some(Name::Dropped) => return Ok(None),
            Some(Name::Now(name)) => name,
            None => folder,
        };
        let by_plural = || schema.types.iter().find(|ty| ty.plural == name);
        let found = schema.find(name).or_else(by_plural);
        found.map(Some).ok_or_else(|| {
            let known: Vec<&str> = schema.types.iter().map(|ty| ty.name.as_str()).collect();
            Error::invalid(
                folder,
                format!(
                    "the schema has no type {name:?}; it has {}. Say in --map what it is called: \
                     [types.{folder}] with to = \"NAME\", or to = false to drop it",
                    known.join(", ")
                ),
            )
        })
    }

    /// What a field of a folder's objects is called now; `None` where it is dropped.
    pub(super) fn field<'a>(&'a self, folder: &str, field: &'a str) -> Option<&'a str> {
        let names = self.types.get(folder);
        match names.and_then(|names| names.fields.get(field)) {
            Some(Name::Dropped) => None,
            Some(Name::Now(name)) => Some(name),
            None => Some(field),
        }
    }
}

impl TypeNames {
    fn read(place: &str, value: &Value) -> Result<Self> {
        let mut names = Self::default();
        let wanted =
            || Error::invalid(place, "expected to = \"NAME\" or false, and a table fields");
        for (key, value) in value.as_table().ok_or_else(wanted)? {
            match (key.as_str(), value) {
                ("to", value) => names.to = Some(name(place, value)?),
                ("fields", Value::Table(fields)) => {
                    for (field, value) in fields {
                        let place = format!("{place}.fields.{field}");
                        names.fields.insert(field.clone(), name(&place, value)?);
                    }
                }
                _ => return Err(wanted()),
            }
        }
        Ok(names)
    }
}

fn name(place: &str, value: &Value) -> Result<Name> {
    match value {
        Value::String(name) => Ok(Name::Now(name.clone())),
        Value::Boolean(false) => Ok(Name::Dropped),
        _ => Err(Error::invalid(
            place,
            "expected a name, or false to drop it",
        )),
    }
}
