//! Values for fields and data for objects, made from the schema over small domains.

use osis_core::error::Faults;
use osis_core::input;
use osis_core::json::Json;
use osis_core::schema::{Field, FieldKind, Format, Item, Schema, Type};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// How many ids there are of each type.
pub(crate) const IDS: usize = 5;
/// Moments on several days, also before 1970.
const TIMES: [&str; 5] = [
    "1969-12-31T23:59:59.999Z",
    "2026-03-01T00:00:00.000Z",
    "2026-03-01T13:30:00.000Z",
    "2026-03-02T00:00:00.000Z",
    "2026-04-01T12:00:00.000Z",
];
/// Texts, many of which share words.
const TEXTS: [&str; 12] = [
    "",
    "a",
    "A",
    "red house",
    "Red House",
    "red, green house",
    "green tree",
    "house",
    "tree-house",
    "é",
    "\u{ff5e}",
    "😀 ÉTÉ 漢字",
];

/// The id with a number, of objects of a type.
pub(crate) fn id_of(ty: &Type, n: usize) -> String {
    match ty.log() {
        None => format!("{}-{n}", ty.name.replace('_', "-")),
        // A UUIDv7 of the moment with that number.
        Some(_) => {
            let time = osis_core::Time::parse(TIMES[n]).map_or(0, osis_core::Time::as_millis);
            let millis = u64::try_from(time).unwrap_or(0);
            format!(
                "{:08x}-{:04x}-7000-8000-{n:012x}",
                millis >> 16,
                millis & 0xffff
            )
        }
    }
}

/// An id of a type.
pub(crate) fn id(ty: &Type) -> BoxedStrategy<Value> {
    let ids: Vec<Value> = (0..IDS).map(|n| json!(id_of(ty, n))).collect();
    select(ids).boxed()
}

/// A value of a field: mostly one of its domain, now and then null or something else.
pub(crate) fn value(schema: &Schema, field: &Field) -> BoxedStrategy<Value> {
    let other = [
        json!(7),
        json!("x y"),
        json!([]),
        json!(1.5),
        json!("nobody"),
    ];
    prop_oneof![
        60 => select(domain(schema, field)),
        if field.required { 1 } else { 8 } => Just(json!(null)),
        1 => select(other.to_vec()),
    ]
    .boxed()
}

/// The values of a field's domain, all of which fit; the first three of a key are different.
pub(crate) fn domain(schema: &Schema, field: &Field) -> Vec<Value> {
    let texts = |texts: &[&str]| texts.iter().map(|text| json!(text)).collect();
    let values: Vec<Value> = match &field.kind {
        FieldKind::String | FieldKind::Text => match (field.format, &field.pattern) {
            (Some(Format::Email), _) => {
                texts(&["ada@x", "bob@x", "straße@x", "ADA@X", "STRASSE@x"])
            }
            (Some(Format::Url), _) => texts(&["http://a", "https://b/c"]),
            (None, Some(_)) => texts(&[
                "AB-1",
                "AB-2",
                "AB-3",
                "lot 123",
                "456",
                "org.red",
                "org.green",
                "org.tree.house",
            ]),
            (None, None) if field.max.is_some() => texts(&["ab", "éé", "abcd"]),
            (None, None) if field.unique.is_some() => texts(&["one", "One", "two"]),
            (None, None) => texts(&TEXTS),
        },
        FieldKind::Int => [1, 2, 3, 0, 3, -1, i64::MAX, i64::MIN]
            .map(|n| json!(n))
            .into(),
        FieldKind::Float => {
            vec![
                json!(0),
                json!(-0.0),
                json!(0.1),
                json!(0.5),
                json!(2),
                json!(1e300),
                json!(-1.5),
            ]
        }
        FieldKind::Bool => vec![json!(true), json!(false)],
        FieldKind::Time => texts(&TIMES),
        FieldKind::Enum(values) => values.iter().map(|value| json!(value)).collect(),
        FieldKind::Ref { to, .. } => (0..IDS)
            .map(|n| json!(id_of(&schema.types[*to], n)))
            .collect(),
        FieldKind::List(Item::String) => vec![
            json!([]),
            json!(["red"]),
            json!(["red house", "tree"]),
            json!(["green", "red"]),
            json!(["red", "red", ""]),
        ],
        FieldKind::List(Item::Int) => vec![json!([]), json!([1]), json!([2, 1]), json!([1, 1, 3])],
        FieldKind::Json => vec![
            json!({}),
            json!({ "b": [1, 2.5], "a": null }),
            json!("x"),
            json!(3),
        ],
        FieldKind::Bytes => vec![json!(""), json!("AAE="), json!("/+8=")],
    };
    let fits = |value: &Value| {
        let json = Json::parse(value.to_string().as_bytes()).unwrap();
        input::value(field, &json, "", &mut Faults::default()).is_some()
    };
    values.into_iter().filter(fits).collect()
}

/// What the object with a number is made of at the beginning of a history: every second field
/// that need not be there is.
pub(crate) fn first(schema: &Schema, ty: &Type, n: usize) -> Value {
    let mut data = json!({ "id": id_of(ty, n) });
    for (position, field) in ty.fields.iter().enumerate() {
        if field.required || (position + n).is_multiple_of(2) {
            let domain = domain(schema, field);
            data[&field.name] = domain[n % domain.len()].clone();
        }
    }
    data
}

/// Some fields with values; those that are required are there, mostly.
pub(crate) fn data(schema: &Schema, ty: &Type, complete: bool) -> BoxedStrategy<Value> {
    let members = ty.fields.iter().map(|field| {
        let often = if field.required && complete {
            0.97
        } else {
            0.35
        };
        prop::option::weighted(often, value(schema, field)).boxed()
    });
    let members: Vec<BoxedStrategy<Option<Value>>> = members.collect();
    let names: Vec<String> = ty.fields.iter().map(|field| field.name.clone()).collect();
    let data = members.prop_map(move |values| {
        let pairs = names.iter().cloned().zip(values);
        Value::Object(
            pairs
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        )
    });
    data.boxed()
}

/// Data for a new object, with an id; of a log, the id and the time go together.
pub(crate) fn new(schema: &Schema, ty: &Type) -> BoxedStrategy<Value> {
    let time = ty.log().map(|log| ty.fields[log.time].name.clone());
    let ids: Vec<String> = (0..IDS).map(|n| id_of(ty, n)).collect();
    let data = (data(schema, ty, true), 0..IDS).prop_map(move |(mut data, n)| {
        data["id"] = json!(ids[n]);
        if let Some(time) = &time {
            data[time] = json!(if n == 0 { TIMES[1] } else { TIMES[n] });
        }
        // The id of the moment before 1970 would be that of 1970, which is not within a day of it.
        if time.is_some() && n == 0 {
            data["id"] = json!(ids[1]);
        }
        data
    });
    data.boxed()
}

/// Values for a key of a type.
pub(crate) fn key(schema: &Schema, ty: &Type, key: usize) -> BoxedStrategy<Value> {
    let fields = ty.keys[key].fields.iter().map(|field| &ty.fields[*field]);
    let members = fields.map(|field| {
        let name = field.name.clone();
        select(domain(schema, field))
            .prop_map(move |value| (name.clone(), value))
            .boxed()
    });
    let members: Vec<BoxedStrategy<(String, Value)>> = members.collect();
    members
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
        .boxed()
}

/// The keys of a type that may be named.
pub(crate) fn keys(ty: &Type) -> Vec<usize> {
    (0..ty.keys.len())
        .filter(|key| !ty.key_is_secret(*key))
        .collect()
}

/// An id or a key: the parameters that name an object.
pub(crate) fn target(schema: &Schema, ty: &Type) -> BoxedStrategy<Value> {
    let by_id = id(ty).prop_map(|id| json!({ "id": id })).boxed();
    let by_key = keys(ty).into_iter().map(|n| {
        key(schema, ty, n)
            .prop_map(|key| json!({ "key": key }))
            .boxed()
    });
    let all: Vec<BoxedStrategy<Value>> = std::iter::once(by_id).chain(by_key).collect();
    prop::strategy::Union::new(all).boxed()
}
