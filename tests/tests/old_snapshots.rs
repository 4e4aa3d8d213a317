//! Searches in a snapshot that was taken long ago, while others write: they see what was there, also
//! where the engine keeps words for all snapshots together.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use osis_core::Store;
use osis_core::backend::{Scope, Search, Snapshot};
use osis_core::query::Filter;
use osis_core::schema::Type;
use osis_core::text::Query;
use osis_rpc::{Limits, Service};
use osis_tests::api::Api;
use osis_tests::on_every_store;
use osis_tests::places::{Kind, Place};
use osis_tests::settings::Direct;
use serde_json::json;

on_every_store![a_snapshot_finds_what_was_there];

/// So many objects come while the snapshot stands: more than any engine looks at one by one.
const OBJECTS: u64 = 300;

fn a_snapshot_finds_what_was_there(kind: Kind) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(kind));
}

async fn run(kind: Kind) {
    let place = Place::new(kind);
    let backend = place.backend();
    let ty = backend.schema().find("product").unwrap();
    let api = Direct(Service::new(Store::new(backend.clone()), Limits::default()));
    let first = json!({ "id": "first", "sku": "AB-1", "title": "shared" });
    api.call("product_new", json!({ "data": first }))
        .await
        .unwrap();

    // Words are read first of all behind a snapshot that was taken before.
    let mut early = backend.snapshot(Scope::Consistent, None).await.unwrap();
    early.seq().await.unwrap();
    for (title, expected) in [("shards", (0, "shards")), ("shared", (1, "shared"))] {
        let data = json!({ "id": "first", "data": { "title": title } });
        api.call("product_set", data).await.unwrap();
        let mut now = backend.snapshot(Scope::Search, None).await.unwrap();
        assert_eq!(
            look(&mut *now, ty).await,
            (expected.0, owned(&[expected.1]))
        );
        assert_eq!(look(&mut *early, ty).await, (1, owned(&["shared"])));
    }

    let mut old = backend.snapshot(Scope::Search, None).await.unwrap();
    assert_eq!(look(&mut *old, ty).await, (1, vec!["shared".to_owned()]));
    for n in 0..OBJECTS {
        if n == OBJECTS / 2 {
            let data = json!({ "id": "first", "data": { "title": "shards" } });
            api.call("product_set", data).await.unwrap();
        }
        let title = format!("shared w{n}x");
        let data = json!({ "sku": format!("CD-{n}"), "title": title });
        api.call("product_new", json!({ "data": data }))
            .await
            .unwrap();
        if n % 20 == 0 {
            let mut now = backend.snapshot(Scope::Search, None).await.unwrap();
            let is_changed = n >= OBJECTS / 2;
            let words: &[&str] = if is_changed {
                &["shards", "shared"]
            } else {
                &["shared"]
            };
            let (total, similar) = look(&mut *now, ty).await;
            assert_eq!(
                (total, similar),
                (n + 1 + u64::from(!is_changed), owned(words))
            );
            assert_eq!(look(&mut *old, ty).await, (1, owned(&["shared"])));
        }
    }
    // One that comes and goes while nobody looks.
    let gone = json!({ "id": "gone", "sku": "XY-1", "title": "sharda" });
    api.call("product_new", json!({ "data": gone }))
        .await
        .unwrap();
    let mut between = backend.snapshot(Scope::Search, None).await.unwrap();
    look(&mut *between, ty).await;
    api.call("product_delete", json!({ "id": "gone" }))
        .await
        .unwrap();
    let mut now = backend.snapshot(Scope::Search, None).await.unwrap();
    assert_eq!(look(&mut *now, ty).await.1, ["shards", "shared"]);
    assert_eq!(
        look(&mut *between, ty).await.1,
        ["sharda", "shards", "shared"]
    );
    assert_eq!(look(&mut *old, ty).await, (1, owned(&["shared"])));
    drop((early, old, between, now));
    api.0.store().close().await.unwrap();
}

/// How many objects have `shared`, and which words `shardd` may stand for.
async fn look(snapshot: &mut dyn Snapshot, ty: &Type) -> (u64, Vec<String>) {
    let search = Search {
        type_id: ty.id,
        query: Query::parse(ty, "shared", false).unwrap(),
        filter: Filter::EVERY,
        sort: None,
        after: None,
        limit: 10,
        facets: Vec::new(),
    };
    let total = snapshot.search(&search).await.unwrap().total;
    let similar = snapshot
        .similar(ty.id, &["shardd".to_owned()])
        .await
        .unwrap();
    (total, similar.into_iter().next().unwrap().unwrap())
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}
