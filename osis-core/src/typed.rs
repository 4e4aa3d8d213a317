//! Rust structs for the built-in types: a thin convenience over [`Store`], which alone knows how
//! objects are kept. Nothing else in the program is written for one type.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Op, Outcome};
use crate::error::{Error, ErrorKind, Faults, Result};
use crate::input::{self, Purpose, Target};
use crate::json::Json;
use crate::object::{Id, Row};
use crate::output::Visible;
use crate::schema::Type;
use crate::store::{Principal, Store};
use crate::time::Time;

/// A struct with the fields of a type; what it leaves out when serialised is filled in by the
/// schema's defaults.
pub trait Typed: Serialize + DeserializeOwned {
    /// The type's name.
    const TYPE: &'static str;
}

/// An object with its system fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The id.
    pub id: Id,
    /// The revision.
    pub rev: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Its fields; secrets are unset.
    pub data: T,
}

impl Store {
    /// Makes an object.
    ///
    /// # Errors
    /// As `_new`.
    pub async fn make<T: Typed>(&self, who: &Principal, data: &T) -> Result<Stored<T>> {
        let ty = self.typed::<T>()?;
        let text = serde_json::to_vec(data).map_err(|e| Error::internal("cannot be written", e))?;
        let json = Json::parse(&text).map_err(|e| Error::internal("cannot be written", e))?;
        let mut faults = Faults::default();
        let types = &self.schema().types;
        let draft = input::draft(types, ty, &json, "data", Purpose::New, &mut faults);
        faults.finish()?;
        let draft = draft.ok_or_else(|| Error::invalid("data", "is no object"))?;
        let batch = Batch::of(vec![Op::New {
            type_id: ty.id,
            draft,
        }]);
        let commit = self.write_one(who, batch).await?;
        match commit.outcomes.as_slice() {
            [Outcome::Object { row, .. }] => stored(ty, row),
            _ => Err(Error::new(
                ErrorKind::Internal,
                "a new object was not answered",
            )),
        }
    }

    /// Fetches an object.
    ///
    /// # Errors
    /// As `_get`.
    pub async fn fetch<T: Typed>(&self, who: &Principal, target: &Target) -> Result<Stored<T>> {
        let ty = self.typed::<T>()?;
        let mut reader = self.read(who, crate::backend::Scope::Single, None).await?;
        let mut found = reader.get(ty.id, std::slice::from_ref(target), &[]).await?;
        let object = found
            .pop()
            .unwrap_or_else(|| Err(crate::store::not_found(ty, target)))?;
        stored(ty, &object.row)
    }

    fn typed<T: Typed>(&self) -> Result<&Type> {
        let found = self.schema().find(T::TYPE);
        found.ok_or_else(|| Error::invalid("type", format!("the schema has no type {}", T::TYPE)))
    }
}

fn stored<T: Typed>(ty: &Type, row: &Row) -> Result<Stored<T>> {
    let unfit = |e| Error::internal(format!("{} {} does not fit its struct", ty.name, row.id), e);
    let value = serde_json::to_value(Visible { ty, row }).map_err(unfit)?;
    Ok(Stored {
        id: row.id.clone(),
        rev: row.rev,
        created_at: row.created_at,
        updated_at: row.updated_at,
        data: serde_json::from_value(value).map_err(unfit)?,
    })
}

/// Declares structs with the fields of types. `must` fields are required by the schema; others
/// are left to its defaults where `None`.
macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $type:literal {
        must { $($must:ident: $must_type:ty),* $(,)? }
        may { $($may:ident: $may_type:ty),* $(,)? }
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the schema documents its fields")]
        pub struct $name {
            $(pub $must: $must_type,)*
            $(#[serde(default, skip_serializing_if = "Option::is_none")] pub $may: Option<$may_type>,)*
        }

        impl Typed for $name {
            const TYPE: &'static str = $type;
        }
    )*};
}

types! {
    /// Who publishes apps.
    Developer = "developer" {
        must { email: String, name: String }
        may { password_hash: String, oauth_provider: String, oauth_id: String, verified: bool }
    }
    /// A developer's key to the API.
    ApiKey = "api_key" {
        must { developer_id: String, name: String, key_prefix: String }
        may {
            key_hash: String, permissions: Vec<String>, last_used_at: String, expires_at: String,
        }
    }
    /// An application in the store.
    App = "app" {
        must { developer_id: String, package_id: String, name: String }
        may { description: String, category: String, tags: Vec<String>, status: String }
    }
    /// One version of an app.
    Version = "version" {
        must {
            app_id: String, version_code: i64, version_name: String, package_url: String,
            package_size: i64, signature: String,
        }
        may {
            permissions: Vec<String>, min_mosis_version: String, release_notes: String,
            status: String, review_notes: String, published_at: String,
        }
    }
    /// A key with which a developer signs packages.
    SigningKey = "signing_key" {
        must { developer_id: String, name: String, public_key: String, fingerprint: String }
        may { is_active: bool }
    }
    /// Something that happened to an app on a device.
    Event = "event" {
        must { app_id: String, kind: String, occurred_at: String }
        may {
            version_code: i64, device_id: String, platform: String, message: String,
            properties: serde_json::Value,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::MemoryBackend;
    use crate::schema::{Source, load};

    fn store() -> Store {
        let schema = load(&[Source::builtin()]).unwrap();
        Store::new(Arc::new(MemoryBackend::new(Arc::new(schema))))
    }

    #[tokio::test]
    async fn structs_go_in_and_come_out() {
        let (store, who) = (store(), Principal::Operator);
        let ada = Developer {
            email: "ada@example.org".into(),
            name: "Ada".into(),
            password_hash: Some("hash".into()),
            ..Developer::default()
        };
        let made = store.make(&who, &ada).await.unwrap();
        let seen = Developer {
            password_hash: None,
            verified: Some(false),
            ..ada
        };
        assert_eq!((made.rev, &made.data), (1, &seen));
        let fetched = store
            .fetch::<Developer>(&who, &Target::Id(made.id.clone()))
            .await
            .unwrap();
        assert_eq!(fetched, made);
    }

    /// Every field of a built-in type is in its struct, and none is there that the type lacks.
    #[test]
    fn structs_have_the_schemas_fields() {
        fn check<T: Typed>(full: &serde_json::Value, schema: &crate::Schema) {
            let ty = schema.find(T::TYPE).unwrap();
            let typed: T = serde_json::from_value(full.clone()).unwrap();
            let mut own: Vec<String> = match serde_json::to_value(&typed).unwrap() {
                serde_json::Value::Object(map) => map.keys().cloned().collect(),
                _ => Vec::new(),
            };
            own.sort();
            let mut fields: Vec<String> = ty.fields.iter().map(|f| f.name.clone()).collect();
            fields.sort();
            assert_eq!(own, fields, "{}", T::TYPE);
        }
        fn full(ty: &Type) -> serde_json::Value {
            use crate::schema::FieldKind;
            let value = |kind: &FieldKind| match kind {
                FieldKind::Bool => serde_json::json!(true),
                FieldKind::Int => serde_json::json!(1),
                FieldKind::List(_) => serde_json::json!([]),
                FieldKind::Json => serde_json::json!({}),
                _ => serde_json::json!("text"),
            };
            ty.fields
                .iter()
                .map(|f| (f.name.clone(), value(&f.kind)))
                .collect()
        }
        let schema = load(&[Source::builtin()]).unwrap();
        let of = |name: &str| full(schema.find(name).unwrap());
        check::<Developer>(&of("developer"), &schema);
        check::<ApiKey>(&of("api_key"), &schema);
        check::<App>(&of("app"), &schema);
        check::<Version>(&of("version"), &schema);
        check::<SigningKey>(&of("signing_key"), &schema);
        check::<Event>(&of("event"), &schema);
    }
}
