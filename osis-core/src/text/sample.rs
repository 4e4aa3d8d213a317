//! A type and objects of it, for the tests of this module.

use crate::object::{Id, Row};
use crate::schema::{Access, Class, Field, FieldKind, Item, Type, Who};
use crate::time::Time;
use crate::value::Value;

/// Fields: text `about` 1, string `name` 4, list `tags` 2, secret string `hash` 9, and string
/// `status`, not searchable.
pub(super) fn app() -> Type {
    Type {
        id: 0,
        name: "app".into(),
        plural: "apps".into(),
        doc: None,
        class: Class::Object,
        fields: vec![
            field("about", FieldKind::Text, Some(1)),
            field("name", FieldKind::String, Some(4)),
            field("tags", FieldKind::List(Item::String), Some(2)),
            Field {
                secret: true,
                ..field("hash", FieldKind::String, Some(9))
            },
            field("status", FieldKind::String, None),
        ],
        keys: Vec::new(),
        indexes: Vec::new(),
        relations: Vec::new(),
        owner: None,
        access: Access {
            read: Who::Any,
            read_if: None,
            write: Who::Admin,
        },
        referrers: Vec::new(),
    }
}

pub(super) const ABOUT: usize = 0;
pub(super) const NAME: usize = 1;
pub(super) const TAGS: usize = 2;

fn field(name: &str, kind: FieldKind, search: Option<u32>) -> Field {
    Field {
        name: name.into(),
        doc: None,
        kind,
        required: false,
        default: None,
        unique: None,
        index: false,
        search,
        secret: false,
        immutable: false,
        min: None,
        max: None,
        pattern: None,
        format: None,
        merge: None,
        composite: false,
    }
}

pub(super) fn row(name: &str, tags: &[&str], about: &str) -> Row {
    Row {
        id: Id::trusted("sample"),
        rev: 1,
        created_at: Time::MIN,
        updated_at: Time::MIN,
        values: Box::new([
            Value::from(about),
            Value::from(name),
            Value::List(tags.iter().map(|tag| Value::from(*tag)).collect()),
            Value::from("hidden"),
            Value::from("draft"),
        ]),
    }
}
