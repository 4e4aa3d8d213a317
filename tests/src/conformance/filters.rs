//! Filters: which objects they mean, and what they refuse (§3 "Filter").

use serde_json::{Value, json};

use crate::api::{Api, id, texts};
use crate::fixture::{product, sku};

cases![each_filters:
    equality_and_membership,
    order,
    beginnings_of_strings,
    lists_as_a_whole_and_their_items,
    what_is_unset,
    and_or_and_not,
    strings_compare_by_their_utf8_bytes,
    integers_compare_exactly,
    system_fields_can_be_filtered,
    refs_compare_as_ids,
    what_is_wrong_is_invalid_with_its_path,
    all_faults_are_told,
    every_read_takes_the_same_filters,
    a_filter_may_be_large_and_deep,
];

/// The numbers of the products that a filter means.
async fn numbers(api: &dyn Api, filter: &Value) -> Vec<u32> {
    let params = json!({ "filter": filter, "sort": "sku", "count": true, "limit": 1000 });
    let page = api.ok("product_list", params).await;
    let numbers: Vec<u32> = texts(&page["items"], "sku")
        .iter()
        .map(|sku| sku[3..].parse().unwrap())
        .collect();
    assert_eq!(page["total"], numbers.len(), "{filter}");
    let count = api.ok("product_count", json!({ "filter": filter })).await;
    assert_eq!(count["count"], numbers.len(), "{filter}");
    numbers
}

/// Products whose numbers are their places, from 1.
async fn products(api: &dyn Api, fields: &[Value]) {
    for (number, fields) in (1..).zip(fields) {
        product(api, number, fields).await;
    }
}

async fn check(api: &dyn Api, rows: &[(Value, &[u32])]) {
    for (filter, wanted) in rows {
        assert_eq!(numbers(api, filter).await, *wanted, "{filter}");
    }
}

/// Five products with a value of each kind; the fifth has none.
async fn five(api: &dyn Api) {
    let day = |n: u32| format!("2026-01-0{n}T00:00:00Z");
    let fields = [
        json!({ "title": "Chair", "stock": -1, "price": 0.5, "discontinued": false,
                "released": day(1), "color": "red", "sizes": [1, 2], "tags": ["a", "b"] }),
        json!({ "title": "chair", "stock": 0, "price": 1, "discontinued": true,
                "released": day(2), "color": "green", "sizes": [2, 1], "tags": ["b", "a"] }),
        json!({ "title": "Table", "stock": 7, "price": 1.5, "discontinued": false,
                "released": day(3), "color": "blue", "sizes": [2], "tags": ["ab"] }),
        json!({ "title": "", "stock": 7, "price": 1e9, "discontinued": true,
                "released": day(3), "color": "red", "sizes": [], "tags": [] }),
        json!({ "tags": null }),
    ];
    products(api, &fields).await;
}

async fn equality_and_membership(api: &dyn Api) {
    five(api).await;
    let rows: &[(Value, &[u32])] = &[
        (json!({}), &[1, 2, 3, 4, 5]),
        (json!({ "title": "Chair" }), &[1]),
        (json!({ "title": { "eq": "Chair" } }), &[1]),
        (json!({ "title": "CHAIR" }), &[]),
        (json!({ "title": "" }), &[4]),
        (json!({ "stock": 7 }), &[3, 4]),
        (json!({ "stock": { "eq": -1 } }), &[1]),
        (json!({ "price": 1 }), &[2]),
        (json!({ "price": 1.0 }), &[2]),
        (json!({ "discontinued": false }), &[1, 3]),
        (json!({ "released": "2026-01-03T01:00:00+01:00" }), &[3, 4]),
        (json!({ "released": "2026-01-03T00:00:00.0009Z" }), &[3, 4]),
        (json!({ "color": "red" }), &[1, 4]),
        (json!({ "sku": sku(2) }), &[2]),
        (json!({ "stock": { "in": [0, -1, 99] } }), &[1, 2]),
        (json!({ "stock": { "in": [] } }), &[]),
        (json!({ "color": { "in": ["green", "blue"] } }), &[2, 3]),
        (
            json!({ "discontinued": { "in": [true, false] } }),
            &[1, 2, 3, 4],
        ),
        (json!({ "stock": { "ne": 7 } }), &[1, 2, 5]),
        (json!({ "title": { "ne": "Chair" } }), &[2, 3, 4, 5]),
    ];
    check(api, rows).await;
}

async fn order(api: &dyn Api) {
    five(api).await;
    let rows: &[(Value, &[u32])] = &[
        (json!({ "stock": { "gt": 0 } }), &[3, 4]),
        (json!({ "stock": { "gte": 0 } }), &[2, 3, 4]),
        (json!({ "stock": { "lt": 0 } }), &[1]),
        (json!({ "stock": { "lte": 0 } }), &[1, 2]),
        (json!({ "stock": { "gte": -1, "lt": 7 } }), &[1, 2]),
        (json!({ "stock": { "gt": 7, "lt": 7 } }), &[]),
        (json!({ "price": { "gt": 1 } }), &[3, 4]),
        (json!({ "price": { "lte": 1.5 } }), &[1, 2, 3]),
        (
            json!({ "released": { "gt": "2026-01-01T00:00:00Z" } }),
            &[2, 3, 4],
        ),
        (
            json!({ "released": { "lt": "2026-01-02T00:00:00.001Z" } }),
            &[1, 2],
        ),
        (json!({ "title": { "gt": "Chair" } }), &[2, 3]),
        (json!({ "title": { "gte": "" } }), &[1, 2, 3, 4]),
        (json!({ "title": { "lt": "a" } }), &[1, 3, 4]),
        (json!({ "color": { "lt": "green" } }), &[3]),
        (json!({ "color": { "gte": "green" } }), &[1, 2, 4]),
    ];
    check(api, rows).await;
}

async fn beginnings_of_strings(api: &dyn Api) {
    let titles = [
        "abc",
        "ab",
        "aBc",
        "a%c",
        "a_c",
        "a*c",
        "a[b]",
        "\u{d7ff}x",
        "\u{10ffff}x",
        "é",
        "",
        "a'b",
        "\\",
        "a?c",
    ];
    let fields: Vec<Value> = titles
        .iter()
        .map(|title| json!({ "title": title }))
        .collect();
    products(api, &fields).await;
    product(api, 99, &json!({})).await;
    let every: Vec<u32> = (1..=14).collect();
    let mut of_all = numbers(api, &json!({ "title": { "prefix": "" } })).await;
    of_all.sort_unstable();
    assert_eq!(of_all, every);
    let rows: &[(Value, &[u32])] = &[
        (json!({ "title": { "prefix": "ab" } }), &[1, 2]),
        (json!({ "title": { "prefix": "AB" } }), &[]),
        (json!({ "title": { "prefix": "aB" } }), &[3]),
        (json!({ "title": { "prefix": "abcd" } }), &[]),
        (json!({ "title": { "prefix": "a%" } }), &[4]),
        (json!({ "title": { "prefix": "a_" } }), &[5]),
        (json!({ "title": { "prefix": "a*" } }), &[6]),
        (json!({ "title": { "prefix": "a?" } }), &[14]),
        (json!({ "title": { "prefix": "a[" } }), &[7]),
        (json!({ "title": { "prefix": "\u{d7ff}" } }), &[8]),
        (json!({ "title": { "prefix": "\u{10ffff}" } }), &[9]),
        (json!({ "title": { "prefix": "e" } }), &[]),
        (json!({ "title": { "prefix": "a'" } }), &[12]),
        (json!({ "title": { "prefix": "\\" } }), &[13]),
        (json!({ "title": { "prefix": "ab", "ne": "ab" } }), &[1]),
    ];
    check(api, rows).await;
}

async fn lists_as_a_whole_and_their_items(api: &dyn Api) {
    five(api).await;
    let rows: &[(Value, &[u32])] = &[
        (json!({ "sizes": [1, 2] }), &[1]),
        (json!({ "sizes": { "eq": [2, 1] } }), &[2]),
        (json!({ "sizes": [] }), &[4]),
        (json!({ "sizes": { "ne": [1, 2] } }), &[2, 3, 4, 5]),
        (json!({ "sizes": { "in": [[2], []] } }), &[3, 4]),
        (json!({ "sizes": { "exists": true } }), &[1, 2, 3, 4]),
        (json!({ "sizes": { "has": 2 } }), &[1, 2, 3]),
        (json!({ "sizes": { "has": 3 } }), &[]),
        (json!({ "tags": { "has": "a" } }), &[1, 2]),
        (json!({ "tags": { "has": "ab" } }), &[3]),
        (json!({ "tags": { "has": "" } }), &[]),
        (json!({ "tags": ["b", "a"] }), &[2]),
        (json!({ "tags": [] }), &[4]),
        (json!({ "tags": null }), &[5]),
        (json!({ "not": { "tags": { "has": "a" } } }), &[3, 4, 5]),
    ];
    check(api, rows).await;
    for (number, tag) in (6..).zip(["\"", "\\\"", "a\",\"b", "[\"a\"]", "%", "é", "\u{1}"]) {
        product(api, number, &json!({ "tags": [tag] })).await;
        assert_eq!(
            numbers(api, &json!({ "tags": { "has": tag } })).await,
            [number],
            "{tag:?}"
        );
        assert_eq!(
            numbers(api, &json!({ "tags": [tag] })).await,
            [number],
            "{tag:?}"
        );
    }
}

async fn what_is_unset(api: &dyn Api) {
    five(api).await;
    let mut rows: Vec<(Value, &[u32])> = Vec::new();
    for field in [
        "title",
        "stock",
        "price",
        "discontinued",
        "released",
        "color",
        "sizes",
        "tags",
    ] {
        rows.push((json!({ field: null }), &[5]));
        rows.push((json!({ field: { "eq": null } }), &[5]));
        rows.push((json!({ field: { "ne": null } }), &[1, 2, 3, 4]));
        rows.push((json!({ field: { "exists": false } }), &[5]));
        rows.push((json!({ field: { "exists": true } }), &[1, 2, 3, 4]));
        rows.push((json!({ field: { "in": [null] } }), &[5]));
        rows.push((json!({ "not": { field: null } }), &[1, 2, 3, 4]));
    }
    rows.extend([
        (json!({ "stock": { "in": [null, 0] } }), &[2, 5][..]),
        (json!({ "not": { "stock": { "in": [7] } } }), &[1, 2, 5]),
        (json!({ "not": { "stock": { "in": [7, null] } } }), &[1, 2]),
        (json!({ "not": { "stock": { "gt": 0 } } }), &[1, 2, 5]),
        (json!({ "not": { "stock": { "lte": 0 } } }), &[3, 4, 5]),
        (json!({ "not": { "title": { "prefix": "" } } }), &[5]),
        (json!({ "discontinued": { "ne": true } }), &[1, 3, 5]),
        (
            json!({ "not": { "not": { "stock": { "gt": 0 } } } }),
            &[3, 4],
        ),
        (
            json!({ "not": { "or": [{ "stock": 7 }, { "color": "red" }] } }),
            &[2, 5],
        ),
    ]);
    check(api, &rows).await;
}

async fn and_or_and_not(api: &dyn Api) {
    five(api).await;
    let rows: &[(Value, &[u32])] = &[
        (json!({ "stock": 7, "color": "red" }), &[4]),
        (json!({ "or": [] }), &[]),
        (json!({ "or": [{}] }), &[1, 2, 3, 4, 5]),
        (
            json!({ "or": [{ "stock": 0 }, { "color": "blue" }] }),
            &[2, 3],
        ),
        (
            json!({ "or": [{ "stock": 7, "color": "red" }, { "stock": -1 }] }),
            &[1, 4],
        ),
        (
            json!({ "stock": 7, "or": [{ "color": "red" }, { "color": "green" }] }),
            &[4],
        ),
        (
            json!({ "or": [{ "or": [{ "stock": 0 }] }, { "or": [] }] }),
            &[2],
        ),
        (json!({ "not": {} }), &[]),
        (json!({ "not": { "or": [] } }), &[1, 2, 3, 4, 5]),
        (
            json!({ "not": { "stock": 7, "color": "red" } }),
            &[1, 2, 3, 5],
        ),
        (
            json!({ "not": { "stock": 7 }, "stock": { "exists": true } }),
            &[1, 2],
        ),
        (json!({ "stock": {} }), &[1, 2, 3, 4, 5]),
    ];
    check(api, rows).await;
}

async fn strings_compare_by_their_utf8_bytes(api: &dyn Api) {
    // In the order of their bytes; UTF-16 would have 😀 before ～, and a locale é beside e.
    let titles = [
        "", "\u{1}", " ", "A", "Z", "a", "ab", "z", "é", "ß", "\u{ff5e}", "😀",
    ];
    let fields: Vec<Value> = titles
        .iter()
        .map(|title| json!({ "title": title }))
        .collect();
    products(api, &fields).await;
    // "é" is C3 A9 and "ß" is C3 9F.
    let mut sorted = titles;
    sorted.sort_unstable();
    for bound in titles {
        let below: Vec<&str> = sorted
            .iter()
            .copied()
            .filter(|title| *title < bound)
            .collect();
        let params = json!({ "filter": { "title": { "lt": bound } }, "sort": "title" });
        let page = api.ok("product_list", params).await;
        assert_eq!(texts(&page["items"], "title"), below, "below {bound:?}");
    }
    let page = api.ok("product_list", json!({ "sort": "title" })).await;
    assert_eq!(texts(&page["items"], "title"), sorted);
}

async fn integers_compare_exactly(api: &dyn Api) {
    let stocks = [
        i64::MIN,
        -9_007_199_254_740_993,
        9_007_199_254_740_992,
        9_007_199_254_740_993,
        i64::MAX,
    ];
    let fields: Vec<Value> = stocks
        .iter()
        .map(|stock| json!({ "stock": stock }))
        .collect();
    products(api, &fields).await;
    let rows: &[(Value, &[u32])] = &[
        (json!({ "stock": 9_007_199_254_740_992_i64 }), &[3]),
        (
            json!({ "stock": { "gt": 9_007_199_254_740_992_i64 } }),
            &[4, 5],
        ),
        (json!({ "stock": { "lt": i64::MAX } }), &[1, 2, 3, 4]),
        (json!({ "stock": { "gte": i64::MAX } }), &[5]),
        (json!({ "stock": { "lte": i64::MIN } }), &[1]),
    ];
    check(api, rows).await;
}

async fn system_fields_can_be_filtered(api: &dyn Api) {
    five(api).await;
    let first = api
        .ok("product_get", json!({ "key": { "sku": sku(1) } }))
        .await;
    api.patch("product", id(&first), json!({ "stock": 1 }))
        .await;
    let at = first["created_at"].clone();
    let rows: &[(Value, &[u32])] = &[
        (json!({ "id": first["id"] }), &[1]),
        (json!({ "id": { "in": [first["id"], "none"] } }), &[1]),
        (json!({ "id": { "ne": first["id"] } }), &[2, 3, 4, 5]),
        (json!({ "id": "No id at all!" }), &[]),
        (json!({ "id": { "lte": "zzzz" } }), &[1, 2, 3, 4, 5]),
        (json!({ "id": { "gt": "!" } }), &[1, 2, 3, 4, 5]),
        (json!({ "rev": 2 }), &[1]),
        (json!({ "rev": { "lt": 2 } }), &[2, 3, 4, 5]),
        (json!({ "created_at": { "gte": at } }), &[1, 2, 3, 4, 5]),
        (json!({ "created_at": { "lt": at } }), &[]),
        (
            json!({ "updated_at": { "exists": true } }),
            &[1, 2, 3, 4, 5],
        ),
        (json!({ "created_at": null }), &[]),
    ];
    check(api, rows).await;
}

async fn refs_compare_as_ids(api: &dyn Api) {
    let customer = |id: &str| {
        let data = json!({ "id": id, "name": id, "email": format!("{id}@x") });
        async move { api.new("customer", data).await }
    };
    let (ada, bob) = (customer("ada-1").await, customer("bob-1").await);
    products(
        api,
        &[
            json!({ "supplier_id": ada["id"] }),
            json!({ "supplier_id": bob["id"] }),
            json!({}),
        ],
    )
    .await;
    let rows: &[(Value, &[u32])] = &[
        (json!({ "supplier_id": ada["id"] }), &[1]),
        (
            json!({ "supplier_id": { "in": [ada["id"], bob["id"]] } }),
            &[1, 2],
        ),
        (json!({ "supplier_id": { "gt": ada["id"] } }), &[2]),
        (json!({ "supplier_id": null }), &[3]),
        (json!({ "supplier_id": "NOBODY" }), &[]),
    ];
    check(api, rows).await;
}

async fn what_is_wrong_is_invalid_with_its_path(api: &dyn Api) {
    let rows = [
        // Unknown fields and operators.
        (json!({ "nope": 1 }), "filter.nope"),
        (json!({ "or": [{}, { "nope": 1 }] }), "filter.or[1].nope"),
        (
            json!({ "not": { "or": [{ "not": { "nope": 1 } }] } }),
            "filter.not.or[0].not.nope",
        ),
        (json!({ "stock": { "equals": 1 } }), "filter.stock.equals"),
        (json!({ "stock": { "Eq": 1 } }), "filter.stock.Eq"),
        // Operators that the type of the field lacks.
        (json!({ "stock": { "prefix": "1" } }), "filter.stock.prefix"),
        (json!({ "stock": { "has": 1 } }), "filter.stock.has"),
        (json!({ "title": { "has": "x" } }), "filter.title.has"),
        (
            json!({ "discontinued": { "gt": false } }),
            "filter.discontinued.gt",
        ),
        (json!({ "color": { "prefix": "r" } }), "filter.color.prefix"),
        (json!({ "tags": { "gt": ["x"] } }), "filter.tags.gt"),
        (json!({ "tags": { "prefix": "x" } }), "filter.tags.prefix"),
        (
            json!({ "released": { "prefix": "2026" } }),
            "filter.released.prefix",
        ),
        // Fields that cannot be filtered at all.
        (json!({ "body": "x" }), "filter.body"),
        (json!({ "body": { "exists": true } }), "filter.body"),
        (json!({ "specs": {} }), "filter.specs"),
        (json!({ "specs": { "eq": 1 } }), "filter.specs"),
        (json!({ "photo": "AA==" }), "filter.photo"),
        // Operands of a wrong type.
        (json!({ "stock": "7" }), "filter.stock"),
        (json!({ "stock": 7.0 }), "filter.stock"),
        (json!({ "stock": 1e19 }), "filter.stock"),
        (json!({ "stock": u64::MAX }), "filter.stock"),
        (json!({ "stock": { "gt": null } }), "filter.stock.gt"),
        (json!({ "stock": { "in": 7 } }), "filter.stock.in"),
        (json!({ "stock": { "in": [7, "8"] } }), "filter.stock.in[1]"),
        (json!({ "stock": { "exists": 1 } }), "filter.stock.exists"),
        (
            json!({ "stock": { "exists": null } }),
            "filter.stock.exists",
        ),
        (json!({ "price": "1" }), "filter.price"),
        (json!({ "title": 7 }), "filter.title"),
        (json!({ "title": { "prefix": 7 } }), "filter.title.prefix"),
        (
            json!({ "title": { "prefix": null } }),
            "filter.title.prefix",
        ),
        (json!({ "discontinued": 0 }), "filter.discontinued"),
        (json!({ "released": "yesterday" }), "filter.released"),
        (json!({ "color": "yellow" }), "filter.color"),
        (
            json!({ "color": { "in": ["red", "yellow"] } }),
            "filter.color.in[1]",
        ),
        (json!({ "tags": "x" }), "filter.tags"),
        (json!({ "tags": ["x", 7] }), "filter.tags[1]"),
        (json!({ "tags": { "has": ["x"] } }), "filter.tags.has"),
        (json!({ "tags": { "has": null } }), "filter.tags.has"),
        (json!({ "supplier_id": 7 }), "filter.supplier_id"),
        (json!({ "id": 7 }), "filter.id"),
        (json!({ "rev": "1" }), "filter.rev"),
        // Filters of a wrong form.
        (json!([]), "filter"),
        (json!("stock"), "filter"),
        (json!({ "or": {} }), "filter.or"),
        (json!({ "or": [1] }), "filter.or[0]"),
        (json!({ "or": null }), "filter.or"),
        (json!({ "not": [] }), "filter.not"),
        (json!({ "not": null }), "filter.not"),
        (json!({ "and": [] }), "filter.and"),
    ];
    for (filter, path) in rows {
        for method in ["product_list", "product_count", "product_aggregate"] {
            api.fault(method, json!({ "filter": filter }), path).await;
        }
        api.fault(
            "product_find",
            json!({ "query": "x", "filter": filter }),
            path,
        )
        .await;
    }
    for field in ["pin", "card_hash"] {
        let filter = json!({ "filter": { field: { "exists": true } } });
        api.fault("customer_count", filter, &format!("filter.{field}"))
            .await;
    }
}

async fn all_faults_are_told(api: &dyn Api) {
    let filter = json!({ "nope": 1, "or": [{ "stock": "x" }, { "title": { "has": 1 } }] });
    let mut paths = api
        .faults("product_list", json!({ "filter": filter, "limit": 0 }))
        .await;
    paths.sort();
    assert_eq!(
        paths,
        [
            "filter.nope",
            "filter.or[0].stock",
            "filter.or[1].title.has",
            "limit"
        ]
    );
}

async fn every_read_takes_the_same_filters(api: &dyn Api) {
    products(
        api,
        &[
            json!({ "title": "wood", "stock": 1 }),
            json!({ "title": "wood", "stock": 2 }),
            json!({ "title": "iron", "stock": 2 }),
            json!({ "title": "wood" }),
        ],
    )
    .await;
    let filter = json!({ "stock": { "gte": 2 } });
    assert_eq!(numbers(api, &filter).await, [2, 3]);
    let found = api
        .ok("product_find", json!({ "query": "wood", "filter": filter }))
        .await;
    assert_eq!(
        (&found["total"], &found["hits"][0]["object"]["sku"]),
        (&json!(1), &json!(sku(2)))
    );
    let figures = api
        .ok("product_aggregate", json!({ "filter": filter }))
        .await;
    assert_eq!(figures["rows"], json!([{ "count": 2 }]));
}

async fn a_filter_may_be_large_and_deep(api: &dyn Api) {
    five(api).await;
    let skus: Vec<String> = (1..=1000).step_by(2).map(sku).collect();
    assert_eq!(
        numbers(api, &json!({ "sku": { "in": skus } })).await,
        [1, 3, 5]
    );
    let or: Vec<Value> = (1..=100).map(|n| json!({ "sku": sku(n * 2) })).collect();
    assert_eq!(numbers(api, &json!({ "or": or })).await, [2, 4]);
    let deep = (0..14).fold(
        json!({ "stock": 7 }),
        |inner, _| json!({ "not": { "or": [inner] } }),
    );
    assert_eq!(numbers(api, &deep).await, [3, 4]);
    // Beyond what any engine takes it is refused, never answered wrongly.
    let deeper = (0..60).fold(json!({ "stock": 7 }), |inner, _| json!({ "not": inner }));
    match api.call("product_count", json!({ "filter": deeper })).await {
        Ok(answer) => assert_eq!(answer["count"], 2),
        Err(error) => assert_eq!(error.kind(), "invalid"),
    }
}
