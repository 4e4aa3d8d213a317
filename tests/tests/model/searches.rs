//! Random texts of many scripts, and random searches, lists and aggregates over them: what every
//! engine must answer alike, relevance included.

use osis_core::Store;
use osis_core::memory::MemoryBackend;
use osis_core::schema::{Schema, Type};
use osis_rpc::{Limits, Service};
use osis_tests::api::{Api, CallError};
use osis_tests::fixture;
use osis_tests::places::{Kind, Place};
use osis_tests::settings::Direct;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};
use std::sync::Arc;

use super::queries;

/// The type that is searched: it has a string, a list and a text that are.
const TYPE: &str = "product";
/// How many objects there are at most.
const OBJECTS: usize = 24;
/// Words and what people put between them.
const WORDS: &[&str] = &[
    "photo",
    "Photos",
    "phot",
    "photographer",
    "photographers",
    "editor",
    "Editor's",
    "the",
    "the",
    "the",
    "a",
    "Café",
    "cafe\u{301}",
    "naïve",
    "Straße",
    "STRASSE",
    "ﬁle",
    "Ὀδυσσεύς",
    "ΟΔΥΣΣΕΥΣ",
    "Ёлка",
    "елка",
    "Київ",
    "İstanbul",
    "ıstanbul",
    "Łódź",
    "漢字",
    "漢字かな交じり文",
    "カナ",
    "ｶﾞ",
    "한국어",
    "한국",
    "ภาษาไทย",
    "العَرَبِيَّة",
    "العربية",
    "हिन्दी",
    "ﷺ",
    "x²",
    "½",
    "٣",
    "2026",
    "C++",
    "o'neil",
    "a_b",
    "v1.2.3",
    "org.example.notes",
    "<b>",
    "&amp;",
    "\"quoted\"",
    "👩‍💻",
    "soft\u{ad}hyphen",
    "zero\u{200b}width",
    "𝔘𝔫𝔦",
    "\u{f8ff}",
];
const BETWEEN: &[&str] = &[" ", " ", " ", ", ", "-", "\n", "", " 😀 ", ". ", "\u{301} "];

/// A store that many things are asked of.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    objects: Vec<Value>,
    /// What becomes of objects in the middle: new values, or they are deleted.
    changes: Vec<(usize, Option<Value>)>,
    /// What is asked before and after: a method with its parameters.
    asked: Vec<(String, Value)>,
}

/// A random case.
pub(crate) fn case(schema: &Schema) -> BoxedStrategy<Case> {
    let ty = schema.find(TYPE).unwrap();
    let objects: Vec<_> = (0..OBJECTS).map(|_| object()).collect();
    let change = (0..OBJECTS, prop::option::weighted(0.7, object()));
    let asked = prop_oneof![
        8 => find(schema, ty),
        2 => list(schema, ty),
        1 => queries::aggregate(schema, ty).prop_map(|params| (format!("{TYPE}_aggregate"), params)),
    ];
    let parts = (
        (objects, 1..=OBJECTS),
        prop::collection::vec(change, 0..6),
        prop::collection::vec(asked, 1..24),
    );
    parts
        .prop_map(|((mut objects, count), changes, asked)| {
            objects.truncate(count);
            for (n, object) in objects.iter_mut().enumerate() {
                object["id"] = json!(format!("id-{n:02}"));
                object["sku"] = json!(fixture::sku(u32::try_from(n).unwrap()));
            }
            Case {
                objects,
                changes,
                asked,
            }
        })
        .boxed()
}

fn text(words: std::ops::Range<usize>) -> BoxedStrategy<String> {
    let part = (select(WORDS), select(BETWEEN));
    let text = prop::collection::vec(part, words).prop_map(|parts| {
        let parts = parts.into_iter();
        parts
            .flat_map(|(word, between)| [word, between])
            .collect::<String>()
    });
    text.boxed()
}

fn long_text() -> BoxedStrategy<String> {
    // Round the number of occurrences of a word that count.
    let repeated = (254..258_usize, select(WORDS))
        .prop_map(|(times, word)| format!("{}{word}", "the ".repeat(times)));
    prop_oneof![30 => text(0..20), 1 => repeated].boxed()
}

fn object() -> BoxedStrategy<Value> {
    let values = (
        prop::option::weighted(0.9, text(0..5)),
        prop::option::weighted(0.9, prop::collection::vec(text(0..3), 0..4)),
        prop::option::weighted(0.8, long_text()),
        prop::option::of(0..3_i64),
        select(vec![json!(null), json!("red"), json!("green")]),
        select(vec![json!(null), json!([]), json!([1, 2, 1]), json!([2])]),
        select(vec![
            json!(null),
            json!("1969-12-31T23:59:59.999Z"),
            json!("2026-03-01T00:00:00Z"),
        ]),
        select(vec![json!(null), json!(0.1), json!(0.5)]),
    );
    let data = values.prop_map(
        |(title, tags, body, stock, color, sizes, released, price)| {
            json!({
                "title": title, "tags": tags, "body": body, "stock": stock, "color": color,
                "sizes": sizes, "released": released, "price": price,
            })
        },
    );
    data.boxed()
}

/// A word as somebody types it: whole, with a typo, or its beginning.
fn typed() -> BoxedStrategy<String> {
    let change = (select(WORDS), 0..12_usize, 0..4_usize);
    let mistyped = change.prop_map(|(word, at, how)| {
        let mut chars: Vec<char> = word.chars().collect();
        let at = at % chars.len();
        match how {
            0 => drop(chars.remove(at)),
            1 => chars.insert(at, 'o'),
            2 => chars[at] = 'e',
            _ => chars.swap(at, (at + 1) % word.chars().count()),
        }
        chars.into_iter().collect()
    });
    let beginning = (select(WORDS), 1..4_usize).prop_map(|(word, chars)| {
        let beginning: String = word.chars().take(chars).collect();
        format!("{beginning}*")
    });
    prop_oneof![
        5 => select(WORDS).prop_map(str::to_owned),
        3 => mistyped,
        2 => beginning,
    ]
    .boxed()
}

fn query() -> BoxedStrategy<String> {
    let term = prop_oneof![
        6 => typed(),
        2 => text(1..4).prop_map(|text| format!("\"{}\"", text.replace('"', ""))),
        1 => text(1..3).prop_map(|text| format!("\"{}\"*", text.replace('"', ""))),
        1 => (typed(), typed()).prop_map(|(a, b)| format!("{a}-{b}")),
        2 => (select(vec!["title", "tags", "body", "stock"]), typed())
            .prop_map(|(field, word)| format!("{field}:{word}")),
    ];
    let tree = term.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            3 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
            2 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} OR {b}")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} -({b})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} NOT {b}")),
            1 => inner.prop_map(|a| format!("title:({a})")),
        ]
    });
    // Now and then what somebody typed by accident.
    prop_oneof![12 => tree, 1 => text(0..4), 1 => "\\PC{0,12}"].boxed()
}

fn find(schema: &Schema, ty: &Type) -> BoxedStrategy<(String, Value)> {
    let fields = [
        "stock", "color", "tags", "sizes", "released", "price", "title", "rev", "id",
    ];
    let parts = (
        query(),
        prop::option::weighted(0.3, queries::filter(schema, ty)),
        prop::option::weighted(0.2, queries::sort(ty)),
        select(vec![1, 3, 100]),
        subsequence(fields.to_vec(), 0..3),
        any::<[bool; 3]>(),
    );
    parts
        .prop_map(
            |(query, filter, sort, limit, facets, [highlight, no_typo, prefix])| {
                let params = json!({
                    "query": query, "filter": filter, "sort": sort, "limit": limit,
                    "facets": facets, "highlight": highlight, "typo": !no_typo,
                    "prefix_last": prefix,
                });
                (format!("{TYPE}_find"), params)
            },
        )
        .boxed()
}

fn list(schema: &Schema, ty: &Type) -> BoxedStrategy<(String, Value)> {
    let parts = (
        queries::filter(schema, ty),
        queries::sort(ty),
        select(vec![1, 3, 100]),
    );
    parts
        .prop_map(|(filter, sort, limit)| {
            let params = json!({ "filter": filter, "sort": sort, "limit": limit, "count": true });
            (format!("{TYPE}_list"), params)
        })
        .boxed()
}

/// Asks everything of each kind of store, and of the one in memory that says what is right.
pub(crate) async fn compare(kinds: &[Kind], case: &Case) {
    let schema = Arc::new(fixture::schema());
    let memory = direct(Arc::new(MemoryBackend::new(schema)));
    let mut engines = Vec::new();
    for kind in kinds {
        let place = Place::new(*kind);
        engines.push((kind, direct(place.backend()), place));
    }
    let stores = || engines.iter().map(|(_, store, _)| store).chain([&memory]);
    for store in stores() {
        let objects = json!({ "objects": { TYPE: case.objects } });
        store.call("osis_seed", objects).await.unwrap();
    }
    for round in 0..2 {
        for (method, params) in &case.asked {
            let expected = pages(&memory, method, params).await;
            for (kind, store, _) in &engines {
                let found = pages(store, method, params).await;
                assert_eq!(
                    found,
                    expected,
                    "{} and memory disagree on {method} {params}",
                    kind.name()
                );
            }
        }
        if round == 0 {
            for store in stores() {
                change(store, case).await;
            }
        }
    }
    for store in stores() {
        store.0.store().close().await.unwrap();
        assert_eq!(store.0.panics(), 0, "calls have panicked");
    }
}

fn direct(backend: Arc<dyn osis_core::Backend>) -> Direct {
    Direct(Service::new(Store::new(backend), Limits::default()))
}

/// Changes or deletes some objects; those that are gone already are left alone.
async fn change(store: &Direct, case: &Case) {
    for (n, data) in &case.changes {
        let id = format!("id-{n:02}");
        let (method, params) = match data {
            Some(data) => ("set", json!({ "id": id, "data": data })),
            None => ("delete", json!({ "id": id })),
        };
        // An error is the same on all: what there is was compared already.
        let _ = store.call(&format!("{TYPE}_{method}"), params).await;
    }
}

/// The pages of a walk without what may differ: the store's times and cursors. Scores may not.
async fn pages(store: &Direct, method: &str, params: &Value) -> Vec<Result<Value, CallError>> {
    let mut params = params.clone();
    let mut pages = Vec::new();
    loop {
        let mut page = store.call(method, params.clone()).await;
        let next = match &mut page {
            Ok(page) => {
                without_times(page);
                page.get_mut("next_cursor").map(Value::take)
            }
            Err(_) => None,
        };
        pages.push(page);
        match next {
            Some(next) if !next.is_null() => params["cursor"] = next,
            _ => return pages,
        }
        assert!(pages.len() <= OBJECTS + 1, "{method} {params} does not end");
    }
}

fn without_times(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_times),
        Value::Object(members) => {
            members.remove("created_at");
            members.remove("updated_at");
            members.values_mut().for_each(without_times);
        }
        _ => {}
    }
}
