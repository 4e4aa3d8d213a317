//! Adding a type is adding TOML: every type of every schema has its methods, and they work.
//!
//! What the methods do is in the other areas. Here objects of *every* type, made from nothing but
//! the schema, go through *every* method that the contract gives their type.

use osis_core::schema::{Field, FieldKind, Format, Item, Schema, Type};
use serde_json::{Map, Value, json};

use crate::api::{Api, id};
use crate::fixture;

cases![each_schema_types:
    every_type_has_the_methods_of_the_contract,
    every_method_of_a_new_type_works,
    the_description_names_every_field,
];

/// Methods that the contract gives a type.
fn methods(ty: &Type) -> Vec<String> {
    let searchable = ty.fields.iter().any(|field| field.search.is_some());
    let verbs = [
        ("new", ty.writable()),
        ("get", true),
        ("set", ty.writable()),
        ("delete", ty.writable()),
        ("list", true),
        ("find", searchable && ty.writable()),
        ("count", true),
        ("aggregate", true),
        ("ingest", ty.log().is_some() && ty.writable()),
    ];
    let there = verbs.into_iter().filter(|(_, there)| *there);
    there
        .map(|(verb, _)| format!("{}_{verb}", ty.name))
        .collect()
}

async fn every_type_has_the_methods_of_the_contract(api: &dyn Api) {
    let document = api.ok("rpc.discover", json!({})).await;
    assert!(
        document["openrpc"]
            .as_str()
            .is_some_and(|version| version.starts_with("1.")),
        "{document}"
    );
    let described = crate::api::texts(&document["methods"], "name");
    let of_types: Vec<String> = fixture::schema().types.iter().flat_map(methods).collect();
    let of_store = [
        "osis_transaction",
        "osis_seed",
        "osis_changes",
        "osis_info",
        "rpc.discover",
    ];
    for method in of_types.iter().map(String::as_str).chain(of_store) {
        // Discovery describes the others; generators trip over its dot.
        let is_described = described.iter().any(|known| known == method);
        assert!(
            is_described || method == "rpc.discover",
            "{method} is not described"
        );
        let error = api
            .call(method, json!({ "no such parameter": 1 }))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), "invalid", "{method} does not exist");
    }
    for method in &described {
        let error = api
            .call(method, json!({ "no such parameter": 1 }))
            .await
            .unwrap_err();
        assert_ne!(
            error.code, -32601,
            "{method} is described, but does not exist"
        );
        let known =
            of_types.contains(method) || method.starts_with("osis_") || method == "rpc.discover";
        assert!(known, "{method} is no method of the contract");
    }
}

async fn every_method_of_a_new_type_works(api: &dyn Api) {
    let schema = fixture::schema();
    for ty in schema.types.iter().filter(|ty| ty.writable()) {
        let first = made(api, &schema, ty, 1).await;
        let second = made(api, &schema, ty, 2).await;
        let call = |verb: &str, params: Value| {
            let method = format!("{}_{verb}", ty.name);
            async move { api.ok(&method, params).await }
        };
        for field in ty.fields.iter().filter(|field| !field.secret) {
            assert!(
                first.get(&field.name).is_some(),
                "{}.{}",
                ty.name,
                field.name
            );
        }
        assert_eq!(call("get", json!({ "id": first["id"] })).await, first);
        for key in (0..ty.keys.len()).filter(|key| !ty.key_is_secret(*key)) {
            let names = ty.key_fields(key).into_iter();
            let key: Map<String, Value> = names
                .map(|name| (name.to_owned(), second[name].clone()))
                .collect();
            if key.values().any(Value::is_null) {
                continue;
            }
            assert_eq!(
                call("get", json!({ "key": key })).await,
                second,
                "{}",
                ty.name
            );
        }
        let both =
            json!({ "filter": { "id": { "in": [first["id"], second["id"]] } }, "count": true });
        let listed = call("list", both).await;
        assert_eq!(listed["total"], 2, "{}", ty.name);
        let figures = call("aggregate", json!({ "metrics": ["count", "unique:id"] })).await;
        assert_eq!(
            figures["rows"][0]["count"],
            call("count", json!({})).await["count"]
        );
        if let Some(field) = ty.fields.iter().find(|field| field.search.is_some()) {
            let found = call("find", json!({ "query": format!("{}:w1x", field.name) })).await;
            assert_eq!(found["total"], 1, "{}.{}: {found}", ty.name, field.name);
            assert_eq!(found["hits"][0]["object"], first);
        }
        for field in &ty.fields {
            filtered_and_sorted(api, ty, field, &first).await;
        }
        let set = call(
            "set",
            json!({ "id": first["id"], "data": change(&schema, ty) }),
        )
        .await;
        assert_eq!(
            set["rev"],
            if change(&schema, ty) == json!({}) {
                1
            } else {
                2
            },
            "{}",
            ty.name
        );
        if ty.log().is_some() {
            let mut item = data(&schema, ty, 3);
            connect(api, &schema, ty, &mut item, 3).await;
            assert_eq!(
                call("ingest", json!({ "items": [item] })).await["accepted"],
                1
            );
        }
        let gone = call("delete", json!({ "id": second["id"] })).await;
        assert_eq!(gone["deleted"][&ty.name], 1, "{}", ty.name);
        assert!(!api.has(&ty.name, id(&second)).await);
    }
}

/// Filters and sorts that name a field find the object.
async fn filtered_and_sorted(api: &dyn Api, ty: &Type, field: &Field, object: &Value) {
    let (list, name, value) = (
        format!("{}_list", ty.name),
        &field.name,
        &object[&field.name],
    );
    if field.filterable() {
        let filter = json!({ "id": object["id"], name: value });
        let listed = api.ok(&list, json!({ "filter": filter })).await;
        assert_eq!(
            listed["items"].as_array().map(Vec::len),
            Some(1),
            "{}.{name} is {value}",
            ty.name
        );
    }
    if field.sortable() {
        let listed = api
            .ok(
                &list,
                json!({ "sort": format!("-{name}"), "fields": [name] }),
            )
            .await;
        assert!(
            listed["items"]
                .as_array()
                .is_some_and(|items| items.len() >= 2),
            "{}.{name}",
            ty.name
        );
        let groups = json!({
            "group_by": [name], "metrics": ["unique:id"], "filter": { "id": object["id"] },
        });
        let rows = api.ok(&format!("{}_aggregate", ty.name), groups).await;
        assert_eq!(
            rows["rows"],
            json!([{ name: value, "unique:id": 1 }]),
            "{}.{name}",
            ty.name
        );
    }
}

/// An object of a type with all its fields set; refs point to objects made for it.
async fn made(api: &dyn Api, schema: &Schema, ty: &Type, n: usize) -> Value {
    let mut data = data(schema, ty, n);
    connect(api, schema, ty, &mut data, n).await;
    api.new(&ty.name, data).await
}

/// Makes the targets of refs, which themselves refer to nothing that they need not.
async fn connect(api: &dyn Api, schema: &Schema, ty: &Type, data: &mut Value, n: usize) {
    for field in &ty.fields {
        let FieldKind::Ref { to, .. } = field.kind else {
            continue;
        };
        if !field.required && to == ty.id {
            continue;
        }
        let target = &schema.types[to];
        let mut own = self::data(
            schema,
            target,
            1000 * (ty.id + 1) + 10 * field.name.len() + n,
        );
        Box::pin(connect_required(
            api,
            schema,
            target,
            &mut own,
            1000 * (ty.id + 1) + n,
        ))
        .await;
        data[&field.name] = api.new(&target.name, own).await["id"].clone();
    }
}

async fn connect_required(api: &dyn Api, schema: &Schema, ty: &Type, data: &mut Value, n: usize) {
    for field in ty.fields.iter().filter(|field| field.required) {
        let FieldKind::Ref { to, .. } = field.kind else {
            continue;
        };
        let target = &schema.types[to];
        let mut own = self::data(schema, target, 100_000 + 1000 * (ty.id + 1) + n);
        Box::pin(connect_required(api, schema, target, &mut own, 100_000 + n)).await;
        data[&field.name] = api.new(&target.name, own).await["id"].clone();
    }
}

/// Values for all fields of a type but its refs; different for each `n`.
fn data(schema: &Schema, ty: &Type, n: usize) -> Value {
    let fields = ty
        .fields
        .iter()
        .filter(|field| !matches!(field.kind, FieldKind::Ref { .. }));
    let values = fields.map(|field| (field.name.clone(), value(schema, field, n)));
    Value::Object(values.collect())
}

fn value(_: &Schema, field: &Field, n: usize) -> Value {
    match &field.kind {
        FieldKind::String | FieldKind::Text => json!(text(field, n)),
        FieldKind::Int => json!(int(field, n)),
        FieldKind::Float => json!(n as f64 + 0.5),
        FieldKind::Bool => json!(n.is_multiple_of(2)),
        FieldKind::Time => json!(format!(
            "2026-{:02}-{:02}T00:00:00.000Z",
            n % 12 + 1,
            n % 28 + 1
        )),
        FieldKind::Enum(values) => json!(values[n % values.len()]),
        FieldKind::Ref { .. } => json!(null),
        FieldKind::List(Item::String) => json!([format!("w{n}x"), "b"]),
        FieldKind::List(Item::Int) => json!([n, 2]),
        FieldKind::Json => json!({ "n": n, "list": [1, null, 2.5] }),
        FieldKind::Bytes => json!("AAEC"),
    }
}

/// A number within the field's bounds; different for each `n` where there are none.
fn int(field: &Field, n: usize) -> i64 {
    let n = i64::try_from(n).unwrap();
    let bound =
        |bound: &Option<osis_core::Value>| bound.as_ref().and_then(osis_core::Value::as_int);
    match (bound(&field.min).unwrap_or(0), bound(&field.max)) {
        (min, Some(max)) => min + n % (max - min + 1),
        (min, None) => min + n,
    }
}

/// A text that fits the field's form; the patterns are those of the two schemas.
fn text(field: &Field, n: usize) -> String {
    let of_pattern = [format!("org.w{n}x"), format!("AB-{n}"), format!("{n:03}")];
    match (field.format, &field.pattern) {
        (Some(Format::Email), _) => format!("w{n}x@example.org"),
        (Some(Format::Url), _) => format!("https://example.org/{n}"),
        (None, None) if field.max.is_some() => format!("{:02}", n % 100),
        (None, None) => format!("w{n}x"),
        (None, Some(pattern)) => of_pattern
            .into_iter()
            .find(|text| pattern.is_match(text))
            .unwrap_or_else(|| panic!("no text for {}", pattern.as_str())),
    }
}

/// A change of the first field that may change.
fn change(schema: &Schema, ty: &Type) -> Value {
    let fits = |field: &&Field| {
        !field.immutable && !matches!(field.kind, FieldKind::Ref { .. } | FieldKind::Bytes)
    };
    match ty.fields.iter().find(fits) {
        Some(field) => json!({ &field.name: value(schema, field, 77) }),
        None => json!({}),
    }
}

async fn the_description_names_every_field(api: &dyn Api) {
    let document = api.ok("rpc.discover", json!({})).await;
    let schemas = document["components"]["schemas"].to_string();
    for ty in &fixture::schema().types {
        for field in &ty.fields {
            let named = schemas.contains(&format!("\"{}\"", field.name));
            // Secrets are accepted, so they are described; only where nobody writes they need not be.
            assert!(named, "{}.{} is not described", ty.name, field.name);
        }
    }
}
