//! Walks from page to page while others insert and delete: what is there throughout is seen once.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use osis_core::memory::MemoryBackend;
use osis_core::{Backend, Store};
use osis_rpc::{Limits, Service};
use osis_tests::api::Api;
use osis_tests::dice::Dice;
use osis_tests::places::{Kind, Place};
use osis_tests::settings::Direct;
use osis_tests::{fixture, on_every_store};
use serde_json::{Value, json};

/// Objects that are there throughout.
const STAY: u32 = 200;
/// How many insert and delete.
const WRITERS: u32 = 3;
/// So many writes at least come between the pages of each order.
const WRITES_MIN: u32 = 50;

on_every_store![walks_see_once_what_is_there_throughout];

#[test]
fn walks_in_memory_see_once_what_is_there_throughout() {
    run(Arc::new(MemoryBackend::new(Arc::new(fixture::schema()))));
}

fn walks_see_once_what_is_there_throughout(kind: Kind) {
    let place = Place::new(kind);
    run(place.backend());
}

fn run(backend: Arc<dyn Backend>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(walk_while_others_write(backend));
}

async fn walk_while_others_write(backend: Arc<dyn Backend>) {
    let store = Store::new(backend);
    let api = || Direct(Service::new(store.clone(), Limits::default()));
    let mut dice = Dice::new(11);
    let staying: Vec<Value> = (0..STAY).map(|n| object(n, &mut dice)).collect();
    let objects = json!({ "objects": { "product": staying } });
    api().call("osis_seed", objects).await.unwrap();

    let (stop, writes) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (api, dice) = (api(), dice.child());
            let (stop, writes) = (Arc::clone(&stop), Arc::clone(&writes));
            tokio::spawn(async move { come_and_go(&api, writer, dice, &stop, &writes).await })
        })
        .collect();

    let api = api();
    for sort in [
        json!("id"),
        json!("-stock"),
        json!(["color", "-price"]),
        json!(["-title", "stock"]),
        json!("-created_at"),
    ] {
        let filter = json!({ "not": { "remark": "none" } });
        let params = json!({ "sort": sort, "filter": filter, "limit": 7 });
        let before = writes.load(Ordering::Relaxed);
        // Again, as long as few have written meanwhile.
        while writes.load(Ordering::Relaxed) < before + WRITES_MIN {
            let seen = walk(&api, "product_list", params.clone()).await;
            see_once(&seen, &format!("sorted by {sort}"));
        }
    }
    let before = writes.load(Ordering::Relaxed);
    while writes.load(Ordering::Relaxed) < before + WRITES_MIN {
        // Relevance may move any object to any side of a page: but none comes twice.
        let params = json!({ "query": "word", "limit": 7 });
        let seen = walk(&api, "product_find", params).await;
        assert!(seen.values().all(|times| *times == 1), "repeated: {seen:?}");
        let params = json!({ "query": "word", "sort": "-stock", "limit": 7 });
        let seen = walk(&api, "product_find", params).await;
        assert!(seen.values().all(|times| *times == 1), "repeated: {seen:?}");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    store.close().await.unwrap();
}

/// Values of which many share theirs.
fn object(n: u32, dice: &mut Dice) -> Value {
    json!({
        "id": format!("stay-{n:04}"), "sku": fixture::sku(n),
        "stock": dice.roll(5), "price": dice.one_of(&[json!(null), json!(0.5), json!(2)]),
        "color": dice.one_of(&["red", "green", "blue"]), "title": dice.one_of(&["word", "a word"]),
    })
}

/// Inserts objects among the others, and deletes them again.
async fn come_and_go(
    api: &Direct,
    writer: u32,
    mut dice: Dice,
    stop: &AtomicBool,
    writes: &AtomicU32,
) {
    let mut there: Vec<String> = Vec::new();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let answer = if there.len() > 20 {
            let gone = there.swap_remove(dice.roll(there.len()));
            api.call("product_delete", json!({ "id": gone })).await
        } else {
            let number = STAY + n * WRITERS + writer;
            let mut data = object(number, &mut dice);
            // Before, between and behind those that stay.
            let id = format!("{}-{number:06}", dice.one_of(&["go", "stay-01", "zero"]));
            data["id"] = json!(id);
            there.push(id);
            api.call("product_new", json!({ "data": data })).await
        };
        answer.unwrap();
        writes.fetch_add(1, Ordering::Relaxed);
    }
}

/// How often each object is on the pages.
async fn walk(api: &Direct, method: &str, mut params: Value) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    loop {
        let mut page = api.call(method, params.clone()).await.unwrap();
        let items = page["items"].as_array().or(page["hits"].as_array());
        for item in items.unwrap() {
            let object = item.get("object").unwrap_or(item);
            let id = object["id"].as_str().unwrap().to_owned();
            *seen.entry(id).or_default() += 1;
        }
        if page["next_cursor"].is_null() {
            return seen;
        }
        params["cursor"] = page["next_cursor"].take();
    }
}

fn see_once(seen: &BTreeMap<String, u32>, how: &str) {
    let twice: Vec<&String> = seen
        .iter()
        .filter(|(_, times)| **times > 1)
        .map(|(id, _)| id)
        .collect();
    assert!(twice.is_empty(), "{how}: repeated {twice:?}");
    let stay: BTreeSet<String> = (0..STAY).map(|n| format!("stay-{n:04}")).collect();
    let missed: Vec<&String> = stay.iter().filter(|id| !seen.contains_key(*id)).collect();
    assert!(missed.is_empty(), "{how}: skipped {missed:?}");
}
