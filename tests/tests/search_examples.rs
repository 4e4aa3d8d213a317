//! The examples of `docs/search.md` on every kind of store.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use osis_core::memory::MemoryBackend;
use osis_core::{Backend, Store};
use osis_rpc::{Limits, Service};
use osis_tests::api::Api;
use osis_tests::places::{Kind, Place};
use osis_tests::settings::Direct;
use osis_tests::{fixture, on_every_store};
use serde_json::{Value, json};

const TEXT: &str = include_str!("../../docs/search.md");

on_every_store![the_examples_find_what_they_say];

#[test]
fn the_examples_find_what_they_say_in_memory() {
    check(Arc::new(MemoryBackend::new(Arc::new(fixture::schema()))));
}

fn the_examples_find_what_they_say(kind: Kind) {
    let place = Place::new(kind);
    check(place.backend());
}

fn check(backend: Arc<dyn Backend>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::new(backend);
        let api = Direct(Service::new(store.clone(), Limits::default()));
        let objects = seed();
        api.call("osis_seed", json!({ "objects": objects }))
            .await
            .unwrap();
        let examples = examples();
        assert!(examples.len() > 20, "{examples:?}");
        for (query, expected) in examples {
            let params = json!({ "query": query });
            let found = api.call("app_find", params).await.unwrap();
            let hits = found["hits"].as_array().unwrap().iter();
            let ids: BTreeSet<&str> = hits
                .map(|hit| hit["object"]["id"].as_str().unwrap())
                .collect();
            assert_eq!(ids, expected, "{query}");
        }
        store.close().await.unwrap();
    });
}

/// The objects of the document.
fn seed() -> Value {
    let (_, rest) = TEXT.split_once("```toml\n").unwrap();
    let (seed, _) = rest.split_once("```").unwrap();
    let seed: toml::Table = seed.parse().unwrap();
    serde_json::to_value(seed).unwrap()
}

/// The queries of the table, with the ids of what they find.
fn examples() -> Vec<(&'static str, BTreeSet<&'static str>)> {
    // The tables behind are of measures.
    let (language, _) = TEXT.split_once("\n## Measures\n").unwrap();
    let rows = language.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [query, _, found] = cells[..] else {
            return None;
        };
        let ids = found.split('`').skip(1).step_by(2);
        Some((query.trim().trim_matches('`'), ids.collect()))
    });
    rows.collect()
}
