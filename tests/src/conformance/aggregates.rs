//! `_aggregate` (§3 "Aggregate").

use serde_json::{Value, json};

use crate::api::Api;
use crate::fixture::product;

cases![each_aggregates:
    without_groups_there_is_exactly_one_row,
    metrics_compute_what_their_names_say,
    null_counts_for_no_metric_but_count,
    null_is_a_group,
    several_fields_group_together,
    buckets_are_in_utc_and_named_by_their_start,
    weeks_begin_on_monday,
    rows_come_by_bucket_then_groups,
    sort_takes_result_columns,
    a_limit_cuts_the_rows,
    sums_are_exact,
    system_fields_aggregate,
    what_is_wrong_is_invalid_with_its_path,
    rollups_give_the_same_numbers,
];

async fn rows(api: &dyn Api, ty: &str, params: Value) -> Value {
    let answer = api.ok(&format!("{ty}_aggregate"), params).await;
    assert!(
        matches!(answer["source"].as_str(), Some("raw" | "rollup")),
        "{answer}"
    );
    answer["rows"].clone()
}

async fn six(api: &dyn Api) {
    let fields = [
        json!({ "title": "a", "stock": 1, "price": 0.5, "color": "red", "released": "2026-01-05T10:00:00Z" }),
        json!({ "title": "b", "stock": 2, "price": 0.25, "color": "red", "released": "2026-01-05T10:59:59.999Z" }),
        json!({ "title": "c", "stock": -7, "color": "red", "released": "2026-01-05T11:00:00Z" }),
        json!({ "title": "d", "stock": 2, "price": 1, "color": "blue", "released": "2026-01-11T23:59:59.999Z" }),
        json!({ "title": "e", "price": 3, "color": "blue", "released": "2026-02-01T00:00:00Z" }),
        json!({ "stock": 10 }),
    ];
    for (number, fields) in (1..).zip(&fields) {
        product(api, number, fields).await;
    }
}

async fn without_groups_there_is_exactly_one_row(api: &dyn Api) {
    let metrics = json!([
        "count",
        "sum:stock",
        "sum:price",
        "min:stock",
        "max:title",
        "avg:price",
        "unique:color",
    ]);
    let of_none = rows(api, "product", json!({ "metrics": metrics })).await;
    let wanted = json!([{
        "count": 0, "sum:stock": 0, "sum:price": 0.0, "min:stock": null, "max:title": null,
        "avg:price": null, "unique:color": null,
    }]);
    assert_eq!(normalised(&of_none), normalised(&wanted));
    assert_eq!(
        rows(api, "product", json!({})).await,
        json!([{ "count": 0 }])
    );
    assert_eq!(
        rows(api, "product", json!({ "group_by": ["color"] })).await,
        json!([])
    );
    six(api).await;
    assert_eq!(
        rows(api, "product", json!({})).await,
        json!([{ "count": 6 }])
    );
    let filtered = json!({ "filter": { "color": "red" }, "group_by": [] });
    assert_eq!(
        rows(api, "product", filtered).await,
        json!([{ "count": 3 }])
    );
}

/// Rows with their numbers as floats: of nothing, a sum's form is open.
fn normalised(rows: &Value) -> Value {
    let number = |value: &Value| value.as_f64().map_or_else(|| value.clone(), Value::from);
    let row = |row: &Value| -> Value {
        row.as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), number(value)))
            .collect()
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

async fn metrics_compute_what_their_names_say(api: &dyn Api) {
    six(api).await;
    let metrics = json!([
        "count",
        "sum:stock",
        "min:stock",
        "max:stock",
        "avg:stock",
        "unique:stock",
        "sum:price",
        "min:price",
        "max:price",
        "avg:price",
        "min:title",
        "max:title",
        "min:released",
        "max:released",
        "unique:color",
        "unique:title",
        "unique:discontinued",
    ]);
    let wanted = json!([{
        "count": 6, "sum:stock": 8, "min:stock": -7, "max:stock": 10, "avg:stock": 1.6,
        "unique:stock": 4, "sum:price": 4.75, "min:price": 0.25, "max:price": 3.0,
        "avg:price": 1.1875, "min:title": "a", "max:title": "e",
        "min:released": "2026-01-05T10:00:00.000Z", "max:released": "2026-02-01T00:00:00.000Z",
        "unique:color": 2, "unique:title": 5, "unique:discontinued": null,
    }]);
    assert_eq!(
        rows(api, "product", json!({ "metrics": metrics })).await,
        wanted
    );
}

async fn null_counts_for_no_metric_but_count(api: &dyn Api) {
    product(api, 1, &json!({})).await;
    product(api, 2, &json!({ "stock": 4 })).await;
    let metrics = json!([
        "count",
        "sum:stock",
        "avg:stock",
        "min:stock",
        "unique:stock",
        "avg:price"
    ]);
    let wanted = json!([{
        "count": 2, "sum:stock": 4, "avg:stock": 4.0, "min:stock": 4, "unique:stock": 1,
        "avg:price": null,
    }]);
    assert_eq!(
        rows(api, "product", json!({ "metrics": metrics })).await,
        wanted
    );
}

async fn null_is_a_group(api: &dyn Api) {
    six(api).await;
    let params = json!({ "group_by": ["color"], "metrics": ["count", "sum:stock"] });
    let wanted = json!([
        { "color": null, "count": 1, "sum:stock": 10 },
        { "color": "blue", "count": 2, "sum:stock": 2 },
        { "color": "red", "count": 3, "sum:stock": -4 },
    ]);
    assert_eq!(rows(api, "product", params).await, wanted);
    let only_metric = json!({ "group_by": ["color"], "metrics": ["max:stock"] });
    assert_eq!(
        rows(api, "product", only_metric).await,
        json!([
            { "color": null, "max:stock": 10 },
            { "color": "blue", "max:stock": 2 },
            { "color": "red", "max:stock": 2 },
        ])
    );
}

async fn several_fields_group_together(api: &dyn Api) {
    six(api).await;
    let params =
        json!({ "group_by": ["color", "stock"], "filter": { "color": { "exists": true } } });
    let wanted = json!([
        { "color": "blue", "stock": null, "count": 1 },
        { "color": "blue", "stock": 2, "count": 1 },
        { "color": "red", "stock": -7, "count": 1 },
        { "color": "red", "stock": 1, "count": 1 },
        { "color": "red", "stock": 2, "count": 1 },
    ]);
    assert_eq!(rows(api, "product", params).await, wanted);
    let by_flag = json!({ "group_by": ["discontinued", "price"], "filter": { "stock": 2 } });
    let wanted = json!([
        { "discontinued": null, "price": 0.25, "count": 1 },
        { "discontinued": null, "price": 1.0, "count": 1 },
    ]);
    assert_eq!(rows(api, "product", by_flag).await, wanted);
}

async fn buckets(api: &dyn Api, unit: &str) -> Vec<(Value, Value)> {
    let params = json!({ "bucket": { "field": "released", "unit": unit } });
    let rows = rows(api, "product", params).await;
    let rows = rows.as_array().unwrap().clone();
    rows.into_iter()
        .map(|row| (row["bucket"].clone(), row["count"].clone()))
        .collect()
}

fn starts(rows: &[(&str, i64)]) -> Vec<(Value, Value)> {
    let unset = [(json!(null), json!(1))];
    let set = rows
        .iter()
        .map(|(start, count)| (json!(format!("{start}:00.000Z")), json!(count)));
    unset.into_iter().chain(set).collect()
}

async fn buckets_are_in_utc_and_named_by_their_start(api: &dyn Api) {
    six(api).await;
    let hours = starts(&[
        ("2026-01-05T10:00", 2),
        ("2026-01-05T11:00", 1),
        ("2026-01-11T23:00", 1),
        ("2026-02-01T00:00", 1),
    ]);
    assert_eq!(buckets(api, "hour").await, hours);
    let days = starts(&[
        ("2026-01-05T00:00", 3),
        ("2026-01-11T00:00", 1),
        ("2026-02-01T00:00", 1),
    ]);
    assert_eq!(buckets(api, "day").await, days);
    let months = starts(&[("2026-01-01T00:00", 4), ("2026-02-01T00:00", 1)]);
    assert_eq!(buckets(api, "month").await, months);
}

async fn weeks_begin_on_monday(api: &dyn Api) {
    six(api).await;
    // The 5th and the 11th of January 2026 are a Monday and the Sunday after it.
    let weeks = starts(&[("2026-01-05T00:00", 4), ("2026-01-26T00:00", 1)]);
    assert_eq!(buckets(api, "week").await, weeks);
    for (number, time) in (100..).zip([
        "2026-01-04T23:59:59.999Z",
        "1969-12-29T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
    ]) {
        product(api, number, &json!({ "released": time, "unit": "odd" })).await;
    }
    let params = json!({
        "filter": { "unit": "odd" }, "bucket": { "field": "released", "unit": "week" },
    });
    let wanted = json!([
        { "bucket": "0001-01-01T00:00:00.000Z", "count": 1 },
        { "bucket": "1969-12-29T00:00:00.000Z", "count": 2 },
        { "bucket": "2025-12-29T00:00:00.000Z", "count": 1 },
        { "bucket": "9999-12-27T00:00:00.000Z", "count": 1 },
    ]);
    assert_eq!(rows(api, "product", params).await, wanted);
}

async fn rows_come_by_bucket_then_groups(api: &dyn Api) {
    six(api).await;
    let params = json!({
        "bucket": { "field": "released", "unit": "month" }, "group_by": ["color"],
        "metrics": ["count", "sum:price"], "filter": { "released": { "exists": true } },
    });
    let wanted = json!([
        { "bucket": "2026-01-01T00:00:00.000Z", "color": "blue", "count": 1, "sum:price": 1.0 },
        { "bucket": "2026-01-01T00:00:00.000Z", "color": "red", "count": 3, "sum:price": 0.75 },
        { "bucket": "2026-02-01T00:00:00.000Z", "color": "blue", "count": 1, "sum:price": 3.0 },
    ]);
    assert_eq!(rows(api, "product", params).await, wanted);
}

async fn sort_takes_result_columns(api: &dyn Api) {
    six(api).await;
    for (sort, wanted) in [
        (json!("-count"), [json!("red"), json!("blue"), json!(null)]),
        (
            json!("sum:stock"),
            [json!("red"), json!("blue"), json!(null)],
        ),
        (
            json!("-sum:stock"),
            [json!(null), json!("blue"), json!("red")],
        ),
        (json!("-color"), [json!("red"), json!("blue"), json!(null)]),
        (
            json!(["max:price", "-color"]),
            [json!(null), json!("red"), json!("blue")],
        ),
        (
            json!(["color", "count"]),
            [json!(null), json!("blue"), json!("red")],
        ),
    ] {
        let params = json!({
            "group_by": ["color"], "metrics": ["count", "sum:stock", "max:price"], "sort": sort,
        });
        let rows = rows(api, "product", params).await;
        assert_eq!(crate::api::column(&rows, "color"), wanted, "{sort}");
    }
    let params = json!({
        "bucket": { "field": "released", "unit": "month" }, "sort": "-bucket",
        "filter": { "released": { "exists": true } },
    });
    let rows = rows(api, "product", params).await;
    assert_eq!(
        crate::api::texts(&rows, "bucket"),
        ["2026-02-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"]
    );
}

async fn a_limit_cuts_the_rows(api: &dyn Api) {
    six(api).await;
    let params = json!({ "group_by": ["title"], "sort": "-title", "limit": 2 });
    let wanted = json!([{ "title": "e", "count": 1 }, { "title": "d", "count": 1 }]);
    assert_eq!(rows(api, "product", params).await, wanted);
}

async fn sums_are_exact(api: &dyn Api) {
    for number in 0..10 {
        product(
            api,
            number,
            &json!({ "price": 0.1, "stock": 9_007_199_254_740_993_i64 }),
        )
        .await;
    }
    let metrics = json!(["sum:price", "sum:stock", "avg:price"]);
    let wanted = json!([{
        "sum:price": 1.0, "sum:stock": 90_071_992_547_409_930_i64, "avg:price": 0.1,
    }]);
    assert_eq!(
        rows(api, "product", json!({ "metrics": metrics })).await,
        wanted
    );
    product(api, 10, &json!({ "stock": i64::MAX })).await;
    product(api, 11, &json!({ "stock": i64::MIN })).await;
    let of_all = rows(api, "product", json!({ "metrics": ["sum:stock"] })).await;
    assert_eq!(of_all, json!([{ "sum:stock": 90_071_992_547_409_929_i64 }]));
}

async fn system_fields_aggregate(api: &dyn Api) {
    six(api).await;
    let params = json!({ "group_by": ["rev"], "metrics": ["count", "unique:id", "min:rev"] });
    let wanted = json!([{ "rev": 1, "count": 6, "unique:id": 6, "min:rev": 1 }]);
    assert_eq!(rows(api, "product", params).await, wanted);
    let params = json!({ "bucket": { "field": "created_at", "unit": "month" } });
    let months = rows(api, "product", params).await;
    let count: i64 = crate::api::column(&months, "count")
        .iter()
        .filter_map(Value::as_i64)
        .sum();
    assert_eq!(count, 6);
}

async fn what_is_wrong_is_invalid_with_its_path(api: &dyn Api) {
    let bucket = |field: &str, unit: &str| json!({ "field": field, "unit": unit });
    for (name, value, path) in [
        ("group_by", json!(["nope"]), "group_by[0]"),
        ("group_by", json!(["title", "tags"]), "group_by[1]"),
        ("group_by", json!(["body"]), "group_by[0]"),
        ("group_by", json!(["specs"]), "group_by[0]"),
        ("group_by", json!("title"), "group_by"),
        ("group_by", json!([7]), "group_by[0]"),
        ("metrics", json!(["sum"]), "metrics[0]"),
        ("metrics", json!(["count", "sum:title"]), "metrics[1]"),
        ("metrics", json!(["avg:released"]), "metrics[0]"),
        ("metrics", json!(["min:discontinued"]), "metrics[0]"),
        ("metrics", json!(["max:tags"]), "metrics[0]"),
        ("metrics", json!(["unique:specs"]), "metrics[0]"),
        ("metrics", json!(["median:stock"]), "metrics[0]"),
        ("metrics", json!(["sum:nope"]), "metrics[0]"),
        ("metrics", json!("count"), "metrics"),
        ("metrics", json!([1]), "metrics[0]"),
        ("bucket", bucket("title", "day"), "bucket.field"),
        ("bucket", bucket("nope", "day"), "bucket.field"),
        ("bucket", bucket("released", "year"), "bucket.unit"),
        ("bucket", json!({ "field": "released" }), "bucket.unit"),
        ("bucket", json!({ "unit": "day" }), "bucket.field"),
        (
            "bucket",
            json!({ "field": "released", "unit": "day", "zone": "CET" }),
            "bucket.zone",
        ),
        ("bucket", json!("day"), "bucket"),
        ("sort", json!("title"), "sort"),
        ("sort", json!("sum:stock"), "sort"),
        ("sort", json!("bucket"), "sort"),
        ("cursor", json!("x"), "cursor"),
    ] {
        api.fault("product_aggregate", json!({ name: value }), path)
            .await;
    }
    api.fault(
        "customer_aggregate",
        json!({ "group_by": ["pin"] }),
        "group_by[0]",
    )
    .await;
    api.fault(
        "customer_aggregate",
        json!({ "metrics": ["unique:card_hash"] }),
        "metrics[0]",
    )
    .await;
}

async fn rollups_give_the_same_numbers(api: &dyn Api) {
    let items: Vec<Value> = (0..60)
        .map(|n| {
            let at = format!("2026-03-{:02}T{:02}:30:00Z", 1 + n % 3, n % 24);
            json!({ "page": format!("p{}", n % 2), "at": at, "took_ms": if n % 5 == 0 { json!(null) } else { json!(n) } })
        })
        .collect();
    api.ok("visit_ingest", json!({ "items": items })).await;
    let by_day = json!({
        "bucket": { "field": "at", "unit": "day" }, "group_by": ["page"],
        "metrics": ["count", "sum:took_ms", "max:took_ms"],
    });
    let by_day = rows(api, "visit", by_day).await;
    let mut wanted = Vec::new();
    for day in 0..3 {
        for page in 0..2 {
            let of_group = (0..60).filter(|n| n % 3 == day && n % 2 == page);
            let timed: Vec<i64> = of_group.clone().filter(|n| n % 5 != 0).collect();
            wanted.push(json!({
                "bucket": format!("2026-03-{:02}T00:00:00.000Z", 1 + day), "page": format!("p{page}"),
                "count": of_group.count(), "sum:took_ms": timed.iter().sum::<i64>(),
                "max:took_ms": timed.iter().max(),
            }));
        }
    }
    assert_eq!(by_day, json!(wanted));
    // Part of a day is not in any roll-up of days.
    let half = json!({ "filter": { "at": { "lt": "2026-03-01T12:00:00Z" } } });
    let count = (0..60).filter(|n| n % 3 == 0 && n % 24 < 12).count();
    assert_eq!(rows(api, "visit", half).await, json!([{ "count": count }]));
}
