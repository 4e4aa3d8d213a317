//! The built-in schema, held against the tables of the contract.

use crate::schema::{
    Column, Direction, Field, FieldKind, Item, Metric, OnDelete, Owner, RollupUnit, Schema, Source,
    Type, Unique, Who, load,
};
use crate::value::Value;

/// Fields of a type, each in words.
type Fields = &'static [(&'static str, &'static str)];

/// Type, plural, and its fields: kind, then R required, U unique, S searchable with its weight,
/// X secret, I indexed, C in a composite key, `=` a default, `>=` a least value.
const FIELDS: [(&str, &str, Fields); 7] = [
    (
        "developer",
        "developers",
        &[
            ("email", "string R U:fold S2 format:email"),
            ("name", "string R S4"),
            ("password_hash", "string X"),
            ("oauth_provider", "string"),
            ("oauth_id", "string"),
            ("verified", "bool =false"),
        ],
    ),
    (
        "api_key",
        "api_keys",
        &[
            ("developer_id", "ref:developer:cascade R"),
            ("name", "string R"),
            ("key_hash", "string R U X"),
            ("key_prefix", "string R"),
            ("permissions", "list:string =[]"),
            ("last_used_at", "time"),
            ("expires_at", "time"),
        ],
    ),
    (
        "app",
        "apps",
        &[
            ("developer_id", "ref:developer:cascade R I"),
            (
                "package_id",
                r"string R U S2 ~^[A-Za-z][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)+$",
            ),
            ("name", "string R S4"),
            ("description", "text S1"),
            ("category", "string S2 I"),
            ("tags", "list:string S2 I =[]"),
            ("status", "enum:draft,published,suspended I =draft"),
        ],
    ),
    (
        "version",
        "versions",
        &[
            ("app_id", "ref:app:cascade R I C"),
            ("version_code", "int R C >=0"),
            ("version_name", "string R S4"),
            ("package_url", "string R"),
            ("package_size", "int R >=0"),
            ("signature", "string R"),
            ("permissions", "list:string =[]"),
            ("min_mosis_version", "string"),
            ("release_notes", "text S1"),
            (
                "status",
                "enum:draft,review,approved,published,rejected I =draft",
            ),
            ("review_notes", "string"),
            ("published_at", "time"),
        ],
    ),
    (
        "signing_key",
        "signing_keys",
        &[
            ("developer_id", "ref:developer:cascade R"),
            ("name", "string R"),
            ("public_key", "text R"),
            ("fingerprint", "string R U"),
            ("is_active", "bool =true"),
        ],
    ),
    (
        "event",
        "events",
        &[
            ("app_id", "string R I"),
            ("kind", "string R I"),
            ("occurred_at", "time R fixed"),
            ("version_code", "int"),
            ("device_id", "string"),
            ("platform", "string"),
            ("message", "text S1"),
            ("properties", "json"),
        ],
    ),
    (
        "audit_log",
        "audit_logs",
        &[
            ("actor", "string"),
            ("action", "string"),
            ("target_type", "string"),
            ("target_id", "string I"),
            ("occurred_at", "time R fixed"),
            ("details", "json"),
        ],
    ),
];

fn schema() -> Schema {
    load(&[Source::builtin()]).unwrap()
}

/// A field in the words of [`FIELDS`].
fn in_words(schema: &Schema, field: &Field) -> String {
    let mut words = vec![match &field.kind {
        FieldKind::Enum(values) => format!("enum:{}", values.join(",")),
        FieldKind::Ref {
            to,
            on_delete: OnDelete::Cascade,
        } => {
            format!("ref:{}:cascade", schema.types[*to].name)
        }
        FieldKind::List(Item::String) => "list:string".to_owned(),
        plain => plain.name().to_owned(),
    }];
    let mut add = |set: bool, word: &str| words.extend(set.then(|| word.to_owned()));
    add(field.required, "R");
    add(field.unique == Some(Unique::Exact), "U");
    add(field.unique == Some(Unique::Fold), "U:fold");
    add(
        field.search.is_some(),
        &format!("S{}", field.search.unwrap_or_default()),
    );
    add(field.secret, "X");
    add(field.index, "I");
    add(field.composite, "C");
    add(field.immutable, "fixed");
    match &field.default {
        None => {}
        Some(Value::Str(text)) => add(true, &format!("={text}")),
        Some(Value::Bool(b)) => add(true, &format!("={b}")),
        Some(Value::List(items)) => add(items.is_empty(), "=[]"),
        Some(other) => panic!("{other:?}"),
    }
    add(field.min == Some(Value::Int(0)), ">=0");
    add(field.format.is_some(), "format:email");
    let pattern = field
        .pattern
        .as_ref()
        .map(|pattern| format!("~{}", pattern.as_str()));
    add(pattern.is_some(), &pattern.unwrap_or_default());
    assert!(field.max.is_none() && field.merge.is_none());
    words.join(" ")
}

#[test]
fn has_every_type_and_field_of_the_contract() {
    let schema = schema();
    assert_eq!((schema.name.as_str(), schema.version), ("appstore", 1));
    assert_eq!(schema.types.len(), FIELDS.len());
    for (ty, (name, plural, fields)) in schema.types.iter().zip(FIELDS) {
        assert_eq!((ty.name.as_str(), ty.plural.as_str()), (name, plural));
        let found: Vec<_> = ty
            .fields
            .iter()
            .map(|field| (field.name.as_str(), in_words(&schema, field)))
            .collect();
        let expected: Vec<_> = fields
            .iter()
            .map(|(name, w)| (*name, (*w).to_owned()))
            .collect();
        assert_eq!(found, expected, "{name}");
        assert!(
            ty.doc.is_some() && ty.fields.iter().all(|field| field.doc.is_some()),
            "{name}"
        );
        assert!(ty.indexes.is_empty());
    }
}

#[test]
fn keys_come_in_the_order_of_checks() {
    let schema = schema();
    let keys = |ty: &Type| {
        (0..ty.keys.len())
            .map(|key| ty.key_fields(key).join(" "))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let found: Vec<_> = schema.types.iter().map(keys).collect();
    let expected = [
        "email",
        "key_hash",
        "package_id",
        "app_id version_code",
        "fingerprint",
        "",
        "",
    ];
    assert_eq!(found, expected);
    assert!(schema.types[0].keys[0].fold, "an email in any case");
    assert!(schema.types[1].key_is_secret(0));
}

#[test]
fn owners_and_access() {
    let schema = schema();
    let found: Vec<_> = schema
        .types
        .iter()
        .map(|ty| {
            (
                ty.owner,
                ty.access.read,
                ty.access.read_if.is_some(),
                ty.access.write,
            )
        })
        .collect();
    let expected = [
        (Some(Owner::Id), Who::Owner, false, Who::Owner),
        (Some(Owner::Field(0)), Who::Owner, false, Who::Admin),
        (Some(Owner::Field(0)), Who::Owner, true, Who::Owner),
        (Some(Owner::Through(0)), Who::Owner, true, Who::Owner),
        (Some(Owner::Field(0)), Who::Any, false, Who::Owner),
        (None, Who::Admin, false, Who::Any),
        (None, Who::Admin, false, Who::None),
    ];
    assert_eq!(found, expected);
    for name in ["app", "version"] {
        let ty = schema.find(name).unwrap();
        let json = crate::json::Json::parse(br#"{"status": "published"}"#).unwrap();
        let filter = crate::query::Filter::parse(ty, &json, "", &mut Default::default());
        assert_eq!(ty.access.read_if, filter);
    }
}

#[test]
fn relations_bring_apps_and_versions() {
    let schema = schema();
    let mut found = Vec::new();
    for ty in &schema.types {
        for relation in &ty.relations {
            let from = &schema.types[relation.from];
            let via = &from.fields[relation.via].name;
            let [(column, direction)] = relation.sort.as_slice() else {
                panic!()
            };
            let down = *direction == Direction::Descending;
            let sort = format!(
                "{}{}",
                if down { "-" } else { "" },
                from.column_name(*column)
            );
            let (ty, name) = (&ty.name, &relation.name);
            found.push(format!(
                "{ty}.{name} {} {via} {sort} {}",
                from.name, relation.limit
            ));
        }
    }
    let expected = [
        "developer.apps app developer_id name 50",
        "app.latest_version version app_id -version_code 1",
        "app.versions version app_id -version_code 50",
    ];
    assert_eq!(found, expected);
}

#[test]
fn logs_and_their_rollup() {
    let schema = schema();
    let logs: Vec<_> = schema.types.iter().map(|ty| ty.log().is_some()).collect();
    assert_eq!(logs, [false, false, false, false, false, true, true]);
    let event = schema.find("event").unwrap();
    let log = event.log().unwrap();
    assert_eq!(event.column_name(Column::Field(log.time)), "occurred_at");
    assert_eq!(log.retention_days, Some(90));
    let rollup = log.rollup.as_ref().unwrap();
    let by: Vec<_> = rollup
        .by
        .iter()
        .map(|&field| event.fields[field].name.as_str())
        .collect();
    assert_eq!((rollup.unit, by), (RollupUnit::Day, vec!["app_id", "kind"]));
    assert_eq!(rollup.metrics, [Metric::Count]);
    let audit = schema.find("audit_log").unwrap();
    let log = audit.log().unwrap();
    assert_eq!(audit.column_name(Column::Field(log.time)), "occurred_at");
    assert_eq!(
        (log.retention_days, log.rollup.is_none()),
        (Some(365), true)
    );
    assert!(!audit.writable());
}
