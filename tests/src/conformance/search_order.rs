//! The order of hits: relevance, ids, sorts (§3 "Search language").

use serde_json::json;

use crate::api::{Api, id};
use crate::search::apps;

cases![each_search_order:
    the_more_relevant_comes_first,
    fields_without_words_do_not_count,
    equal_relevance_comes_in_the_order_of_ids,
    sort_takes_the_place_of_relevance,
];

async fn the_more_relevant_comes_first(api: &dyn Api) {
    apps(api).await;
    for (query, first) in [
        // A name weighs more than a description.
        ("editor", &["editor", "text"][..]),
        // More terms met, and rarer ones.
        ("chess OR photo", &["chess"]),
        ("studio OR editor", &["paid"]),
    ] {
        let found = api.ok("app_find", json!({ "query": query })).await;
        let hits = found["hits"].as_array().unwrap();
        let scores: Vec<f64> = hits
            .iter()
            .map(|hit| hit["score"].as_f64().unwrap())
            .collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{query}: {scores:?}");
        assert!(
            scores.iter().all(|score| score.is_finite()),
            "{query}: {scores:?}"
        );
        let mut ids: Vec<&str> = hits.iter().map(|hit| id(&hit["object"])).collect();
        ids.truncate(first.len());
        ids.sort_unstable();
        assert_eq!(ids, first, "{query}: {found}");
    }
}

async fn fields_without_words_do_not_count(api: &dyn Api) {
    let product = json!({
        "sku": "AB-1", "title": null, "unit": "piece", "body": "editor of pictures",
    });
    api.ok("product_new", json!({ "data": product })).await;
    let found = api.ok("product_find", json!({ "query": "editor" })).await;
    // BM25 of a term that is in the only object, once, in a field of weight 1 and average length.
    let expected = (0.5_f64 / 1.5).ln_1p() / 2.2;
    let score = found["hits"][0]["score"].as_f64().unwrap();
    assert!((score - expected).abs() < 1e-12, "{score} and {expected}");
}

async fn equal_relevance_comes_in_the_order_of_ids(api: &dyn Api) {
    for id in ["cccc", "aaaa", "bbbb"] {
        let data =
            json!({ "id": id, "sku": format!("AB-{}", id.as_bytes()[0]), "title": "same words" });
        api.new("product", data).await;
    }
    let found = api.ok("product_find", json!({ "query": "words" })).await;
    let ids: Vec<&str> = found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| id(&h["object"]))
        .collect();
    assert_eq!(ids, ["aaaa", "bbbb", "cccc"]);
}

async fn sort_takes_the_place_of_relevance(api: &dyn Api) {
    apps(api).await;
    for (sort, wanted) in [
        (json!("name"), ["paid", "editor", "viewer"]),
        (json!("-name"), ["viewer", "editor", "paid"]),
        (
            json!(["-status", "package_id"]),
            ["paid", "editor", "viewer"],
        ),
    ] {
        let found = api
            .ok("app_find", json!({ "query": "photo", "sort": sort }))
            .await;
        let ids: Vec<&str> = found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| id(&hit["object"]))
            .collect();
        assert_eq!(ids, wanted, "{sort}");
    }
}
