//! Pages and cursors (§3 "Paging").

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::{Api, id, texts};
use crate::fixture::product;

cases![each_paging:
    pages_put_together_are_the_whole_list,
    nothing_follows_the_last_page,
    limits_are_1_to_1000,
    a_cursor_goes_with_its_call,
    what_is_no_cursor_is_invalid,
    a_walk_sees_once_what_is_there_throughout,
    a_walk_goes_on_where_its_last_object_is_gone,
    pages_of_a_search_put_together_are_all_hits,
    a_search_never_repeats_while_objects_change,
];

/// Walks a list to its end; the items of all pages.
async fn walk(api: &dyn Api, method: &str, params: &Value, items: &str) -> Vec<Value> {
    let mut params = params.clone();
    let mut walked = Vec::new();
    loop {
        let mut page = api.ok(method, params.clone()).await;
        let Value::Array(part) = page[items].take() else {
            panic!("{page}")
        };
        assert!(part.len() <= usize::try_from(params["limit"].as_u64().unwrap()).unwrap());
        assert!(
            !part.is_empty() || page["next_cursor"].is_null(),
            "an empty page in the middle"
        );
        walked.extend(part);
        if page["next_cursor"].is_null() {
            return walked;
        }
        params["cursor"] = page["next_cursor"].take();
        assert!(walked.len() <= 1000, "{method} {params} does not end");
    }
}

/// Products of which many share their values, and many have none.
async fn many(api: &dyn Api) {
    let objects: Vec<Value> = (0..23)
        .map(|n| {
            let stock = [json!(null), json!(1), json!(-2), json!(i64::MAX)][n % 4].clone();
            let price = [json!(0.1), json!(null), json!(1e300)][n % 3].clone();
            let released = [json!("1969-01-01T00:00:00.001Z"), json!("2026-01-01T00:00:00Z")][n % 2].clone();
            let title = ["", "é", "😀", "a", "a "][n % 5];
            json!({
                "sku": format!("AB-{n}"), "stock": stock, "price": price, "released": released,
                "title": title, "discontinued": n % 7 == 0, "color": if n % 2 == 0 { "red" } else { "blue" },
                "tags": ["word"],
            })
        })
        .collect();
    api.ok("osis_seed", json!({ "objects": { "product": objects } }))
        .await;
}

async fn pages_put_together_are_the_whole_list(api: &dyn Api) {
    many(api).await;
    let sorts = [
        json!(null),
        json!("-id"),
        json!("stock"),
        json!("-stock"),
        json!("price"),
        json!("-price"),
        json!(["title", "-price"]),
        json!(["-title", "stock"]),
        json!(["discontinued", "-released"]),
        json!(["-color", "price", "-stock"]),
        json!("-created_at"),
        json!(["rev", "-title"]),
        json!(["stock", "-id"]),
    ];
    for sort in sorts {
        for filter in [json!({}), json!({ "not": { "stock": 1 } })] {
            let params = |limit: u32| json!({ "sort": sort, "filter": filter, "limit": limit });
            let whole = walk(api, "product_list", &params(1000), "items").await;
            for limit in [1, 2, 5, 22, 23] {
                let pages = walk(api, "product_list", &params(limit), "items").await;
                assert_eq!(pages, whole, "by {limit}, sorted by {sort}, {filter}");
            }
        }
    }
}

async fn nothing_follows_the_last_page(api: &dyn Api) {
    for number in 0..4 {
        product(api, number, &json!({})).await;
    }
    let page = api.ok("product_list", json!({ "limit": 4 })).await;
    assert_eq!(page["next_cursor"], json!(null));
    let page = api.ok("product_list", json!({ "limit": 3 })).await;
    assert!(page["next_cursor"].is_string());
    let none = api
        .ok("product_list", json!({ "filter": { "stock": 1 } }))
        .await;
    assert_eq!(none, json!({ "items": [], "next_cursor": null }));
}

async fn limits_are_1_to_1000(api: &dyn Api) {
    product(api, 1, &json!({ "title": "x" })).await;
    for limit in [
        json!(0),
        json!(-1),
        json!(1001),
        json!(1.0),
        json!("10"),
        json!(true),
        json!(u64::MAX),
        json!([]),
    ] {
        api.fault("product_list", json!({ "limit": limit }), "limit")
            .await;
        api.fault(
            "product_find",
            json!({ "query": "x", "limit": limit }),
            "limit",
        )
        .await;
        api.fault("product_aggregate", json!({ "limit": limit }), "limit")
            .await;
        api.fault(
            "osis_changes",
            json!({ "since": 0, "limit": limit }),
            "limit",
        )
        .await;
    }
    for limit in [1, 1000] {
        api.ok("product_list", json!({ "limit": limit })).await;
        api.ok("product_find", json!({ "query": "x", "limit": limit }))
            .await;
        api.ok("product_aggregate", json!({ "limit": limit })).await;
        api.ok("osis_changes", json!({ "since": 0, "limit": limit }))
            .await;
    }
}

async fn a_cursor_goes_with_its_call(api: &dyn Api) {
    many(api).await;
    let list = json!({ "sort": "stock", "filter": { "color": "red" }, "limit": 2 });
    let page = api.ok("product_list", list.clone()).await;
    let with = |name: &str, value: Value| {
        let mut params = list.clone();
        params["cursor"] = page["next_cursor"].clone();
        params[name] = value;
        params
    };
    for (name, value) in [
        ("sort", json!("-stock")),
        ("sort", json!("title")),
        ("sort", json!(null)),
        ("sort", json!(["stock", "-id"])),
        ("filter", json!({ "color": "blue" })),
        ("filter", json!(null)),
        ("filter", json!({ "color": { "ne": "red" } })),
    ] {
        api.fault("product_list", with(name, value), "cursor").await;
    }
    for (name, value) in [
        ("limit", json!(1)),
        ("fields", json!(["sku"])),
        ("expand", json!(["supplier_id"])),
        ("count", json!(true)),
    ] {
        api.ok("product_list", with(name, value)).await;
    }
    let find = json!({ "query": "word", "limit": 2 });
    let found = api.ok("product_find", find).await["next_cursor"].clone();
    api.fault(
        "product_list",
        json!({ "cursor": found, "limit": 2 }),
        "cursor",
    )
    .await;
    api.fault(
        "product_find",
        json!({ "query": "words", "cursor": found }),
        "cursor",
    )
    .await;
    api.fault(
        "product_find",
        json!({ "query": "word", "sort": "sku", "cursor": found }),
        "cursor",
    )
    .await;
    let filtered = json!({ "query": "word", "filter": { "stock": 1 }, "cursor": found });
    api.fault("product_find", filtered, "cursor").await;
    let plain = api.ok("product_list", json!({ "limit": 2 })).await["next_cursor"].clone();
    api.fault("customer_list", json!({ "cursor": plain }), "cursor")
        .await;
}

async fn what_is_no_cursor_is_invalid(api: &dyn Api) {
    many(api).await;
    let page = api.ok("product_list", json!({ "limit": 2 })).await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let cut = &cursor[..cursor.len() / 2];
    for wrong in [
        json!(""),
        json!("x"),
        json!("AAAA"),
        json!("é"),
        json!(cut),
        json!(format!("{cursor}x")),
        json!(7),
        json!({}),
        json!([cursor]),
        json!("W10"),
        json!("WzBd"),
    ] {
        api.fault(
            "product_list",
            json!({ "limit": 2, "cursor": wrong }),
            "cursor",
        )
        .await;
        api.fault(
            "product_find",
            json!({ "query": "word", "cursor": wrong }),
            "cursor",
        )
        .await;
    }
}

async fn a_walk_sees_once_what_is_there_throughout(api: &dyn Api) {
    many(api).await;
    let there = api.ok("product_list", json!({ "limit": 1000 })).await;
    let mut throughout: BTreeSet<String> = texts(&there["items"], "id").into_iter().collect();
    let mut params = json!({ "sort": ["-stock", "title"], "limit": 3 });
    let mut seen = Vec::new();
    for round in 0.. {
        let mut page = api.ok("product_list", params.clone()).await;
        seen.extend(texts(&page["items"], "id"));
        // Others come and go; those that stay change, but not in what they are sorted by.
        product(
            api,
            1000 + round,
            &json!({ "stock": round, "title": "new" }),
        )
        .await;
        if let Some(gone) = throughout.iter().nth(3).cloned() {
            api.ok("product_delete", json!({ "id": gone })).await;
            throughout.remove(&gone);
        }
        let changed = throughout.iter().nth(1).cloned().unwrap();
        api.patch(
            "product",
            &changed,
            json!({ "remark": format!("round {round}") }),
        )
        .await;
        if page["next_cursor"].is_null() {
            break;
        }
        params["cursor"] = page["next_cursor"].take();
    }
    let once: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(once.len(), seen.len(), "repeated: {seen:?}");
    assert!(
        throughout.is_subset(&once),
        "skipped: {:?}",
        throughout.difference(&once)
    );
}

async fn a_walk_goes_on_where_its_last_object_is_gone(api: &dyn Api) {
    many(api).await;
    let list = json!({ "sort": "-price", "limit": 5 });
    let whole = walk(
        api,
        "product_list",
        &json!({ "sort": "-price", "limit": 1000 }),
        "items",
    )
    .await;
    let first = api.ok("product_list", list.clone()).await;
    for object in first["items"].as_array().unwrap() {
        api.ok("product_delete", json!({ "id": id(object) })).await;
    }
    let mut params = list;
    params["cursor"] = first["next_cursor"].clone();
    assert_eq!(
        walk(api, "product_list", &params, "items").await,
        whole[5..]
    );
}

async fn pages_of_a_search_put_together_are_all_hits(api: &dyn Api) {
    many(api).await;
    product(
        api,
        500,
        &json!({ "title": "word word", "tags": ["word", "other"] }),
    )
    .await;
    product(api, 501, &json!({ "title": "another" })).await;
    for sort in [json!(null), json!("sku"), json!(["-stock", "price"])] {
        for filter in [json!({}), json!({ "color": "red" })] {
            let params = |limit: u32| json!({ "query": "word", "sort": sort, "filter": filter, "limit": limit });
            let whole = walk(api, "product_find", &params(1000), "hits").await;
            assert_eq!(
                whole.len(),
                if filter == json!({}) { 24 } else { 12 },
                "{filter}"
            );
            let total = api.ok("product_find", params(1)).await["total"].clone();
            assert_eq!(total, whole.len());
            for limit in [1, 7, 23] {
                let pages = walk(api, "product_find", &params(limit), "hits").await;
                assert_eq!(pages, whole, "by {limit}, sorted by {sort}, {filter}");
            }
        }
    }
}

async fn a_search_never_repeats_while_objects_change(api: &dyn Api) {
    many(api).await;
    let mut params = json!({ "query": "word", "limit": 3 });
    let mut seen = Vec::new();
    for round in 0..100 {
        let mut page = api.ok("product_find", params.clone()).await;
        seen.extend(
            page["hits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hit| id(&hit["object"]).to_owned()),
        );
        product(
            api,
            2000 + round,
            &json!({ "title": "word", "body": "word ".repeat(round as usize) }),
        )
        .await;
        api.patch(
            "product",
            &seen[0],
            json!({ "title": format!("word {round}") }),
        )
        .await;
        if page["next_cursor"].is_null() {
            break;
        }
        params["cursor"] = page["next_cursor"].take();
    }
    let once: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "repeated: {seen:?}");
}
