//! Lists by what no index serves: they are answered, and end with the time limit of a call.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::time::Duration;

use osis_core::Store;
use osis_rpc::{Limits, Service};
use osis_tests::api::Api;
use osis_tests::places::{Kind, Place};
use osis_tests::settings::Direct;
use osis_tests::{fixture, on_every_store};
use serde_json::{Value, json};

on_every_store![lists_without_an_index_are_bounded];

fn lists_without_an_index_are_bounded(kind: Kind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(kind));
}

async fn run(kind: Kind) {
    let place = Place::new(kind);
    let store = Store::new(place.backend());
    let with = |timeout| {
        let limits = Limits {
            timeout,
            ..Limits::default()
        };
        Direct(Service::new(store.clone(), limits))
    };
    let patient = with(Limits::default().timeout);
    let objects = (0..3000_u32).map(|n| {
        json!({
            "sku": fixture::sku(n), "title": format!("title {n}"), "unit": format!("unit{}", n % 100),
            "sizes": [n % 7, n % 11, n % 13],
        })
    });
    let objects: Vec<Value> = objects.collect();
    let seed = json!({ "objects": { "product": objects } });
    patient.call("osis_seed", seed).await.unwrap();

    let by_unit = json!({ "filter": { "unit": "unit7" }, "sort": "-title", "count": true });
    let found = patient.call("product_list", by_unit.clone()).await.unwrap();
    assert_eq!(found["total"], 30);

    // Every object is held against every one of these, and none passes.
    let none: Vec<Value> = (20..200)
        .map(|n| json!({ "sizes": { "has": n } }))
        .collect();
    let slow = json!({ "filter": { "or": none } });
    let hurried = with(Duration::from_millis(1));
    for (method, params) in [
        ("product_list", slow.clone()),
        ("product_count", slow.clone()),
        ("product_aggregate", slow),
    ] {
        let error = hurried.call(method, params).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable", "{method}: {}", error.message);
    }
    // What was broken off holds nothing up.
    let again = patient.call("product_list", by_unit).await.unwrap();
    assert_eq!(again["total"], 30);
    store.close().await.unwrap();
}
