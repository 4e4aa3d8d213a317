//! Roll-ups: `_aggregate` answers from them, with the same numbers as from the objects (§3 "Log
//! types", "Aggregate").

use serde_json::{Value, json};

use crate::api::{Api, id};

cases![each_rollups:
    whole_days_are_answered_from_the_rollup,
    duplicates_count_once,
    a_set_moves_what_it_changes,
    a_delete_takes_away_what_it_removes,
    the_greatest_goes_and_the_next_is_found,
    a_failed_transaction_leaves_no_trace,
    a_transaction_counts_what_is_left_of_it,
    an_object_that_comes_back_counts_again,
    groups_of_the_rollup_are_unique_and_ordered,
    long_and_odd_values_are_told_apart,
];

/// An id of noon on the second of March 2026, which is within a day of all times here.
fn uuid(n: u32) -> String {
    format!("019cae6b-6600-7000-8000-{n:012x}")
}

fn visit(n: u32, page: &str, day: u32, took_ms: Option<i64>) -> Value {
    let hour = if day == 1 { 23 } else { 7 };
    let at = format!("2026-03-{day:02}T{hour:02}:00:00Z");
    json!({ "id": uuid(n), "page": page, "at": at, "took_ms": took_ms })
}

async fn ingest(api: &dyn Api, items: Vec<Value>) {
    api.ok("visit_ingest", json!({ "items": items })).await;
}

/// The rows of an aggregate from the roll-up, which are those from the objects.
async fn rolled_up(api: &dyn Api, params: Value) -> Value {
    let answer = api.ok("visit_aggregate", params.clone()).await;
    assert_eq!(answer["source"], "rollup", "{params}");
    let mut raw = params;
    // No roll-up knows of revisions.
    let all = json!({ "rev": { "gte": 1 } });
    raw["filter"] = match raw.get("filter") {
        Some(filter) => json!({ "or": [{}], "not": { "or": [{ "not": filter }, { "not": all }] } }),
        None => all,
    };
    let raw = api.ok("visit_aggregate", raw).await;
    assert_eq!(raw["source"], "raw");
    assert_eq!(answer["rows"], raw["rows"]);
    answer["rows"].clone()
}

/// Count, sum and maximum by day and page.
async fn figures(api: &dyn Api) -> Vec<(String, String, i64, i64, Option<i64>)> {
    let params = json!({
        "bucket": { "field": "at", "unit": "day" }, "group_by": ["page"],
        "metrics": ["count", "sum:took_ms", "max:took_ms", "avg:took_ms"],
    });
    let rows = rolled_up(api, params).await;
    let row = |row: &Value| {
        (
            row["bucket"].as_str().unwrap_or_default()[8..10].to_owned(),
            row["page"].as_str().unwrap_or_default().to_owned(),
            row["count"].as_i64().unwrap_or_default(),
            row["sum:took_ms"].as_i64().unwrap_or_default(),
            row["max:took_ms"].as_i64(),
        )
    };
    rows.as_array().into_iter().flatten().map(row).collect()
}

fn figure(
    day: &str,
    page: &str,
    count: i64,
    sum: i64,
    max: Option<i64>,
) -> (String, String, i64, i64, Option<i64>) {
    (day.to_owned(), page.to_owned(), count, sum, max)
}

async fn whole_days_are_answered_from_the_rollup(api: &dyn Api) {
    assert_eq!(
        rolled_up(api, json!({ "metrics": ["count", "sum:took_ms", "max:took_ms", "avg:took_ms", "unique:page"] })).await,
        json!([{ "count": 0, "sum:took_ms": 0, "max:took_ms": null, "avg:took_ms": null, "unique:page": null }])
    );
    let items = (0..60).map(|n| {
        let took = (n % 5 != 0).then_some(i64::from(n));
        visit(n, ["a", "b", "c"][n as usize % 3], 1 + n / 3 % 3, took)
    });
    ingest(api, items.collect()).await;
    for params in [
        json!({}),
        json!({ "group_by": ["page"] }),
        json!({ "bucket": { "field": "at", "unit": "week" }, "metrics": ["max:took_ms", "avg:took_ms"] }),
        json!({ "bucket": { "field": "at", "unit": "month" }, "metrics": ["unique:page", "min:page"] }),
        json!({ "filter": { "page": "a" }, "bucket": { "field": "at", "unit": "day" } }),
        json!({ "filter": { "page": { "in": ["a", "c", "d"] } }, "group_by": ["page"] }),
        json!({ "filter": { "page": { "prefix": "b" } }, "metrics": ["sum:took_ms"] }),
        json!({ "filter": { "at": { "gte": "2026-03-02T00:00:00Z", "lt": "2026-03-04T00:00:00Z" } } }),
        json!({ "filter": { "at": { "gt": "2026-03-01T23:59:59.999Z" }, "page": { "ne": "a" } } }),
        json!({ "filter": { "or": [{ "page": "a" }, { "at": { "lte": "2026-03-01T23:59:59.999Z" } }] } }),
    ] {
        rolled_up(api, params).await;
    }
    for params in [
        json!({ "filter": { "at": { "gte": "2026-03-02T07:00:00Z" } } }),
        json!({ "bucket": { "field": "at", "unit": "hour" } }),
        json!({ "group_by": ["agent"] }),
        json!({ "metrics": ["min:took_ms"] }),
        json!({ "filter": { "took_ms": { "gt": 5 } } }),
    ] {
        let answer = api.ok("visit_aggregate", params.clone()).await;
        assert_eq!(answer["source"], "raw", "{params}");
    }
}

async fn duplicates_count_once(api: &dyn Api) {
    let items = vec![
        visit(1, "a", 1, Some(5)),
        visit(2, "a", 1, None),
        visit(1, "a", 1, Some(5)),
    ];
    ingest(api, items.clone()).await;
    ingest(api, items).await;
    api.new("visit", visit(1, "a", 1, Some(5))).await;
    assert_eq!(figures(api).await, [figure("01", "a", 2, 5, Some(5))]);
}

async fn a_set_moves_what_it_changes(api: &dyn Api) {
    ingest(
        api,
        vec![visit(1, "a", 1, Some(5)), visit(2, "a", 1, Some(7))],
    )
    .await;
    api.patch("visit", &uuid(2), json!({ "page": "b", "took_ms": 1 }))
        .await;
    assert_eq!(
        figures(api).await,
        [
            figure("01", "a", 1, 5, Some(5)),
            figure("01", "b", 1, 1, Some(1))
        ]
    );
    // What no roll-up holds leaves it as it is.
    api.patch("visit", &uuid(1), json!({ "agent": "curl" }))
        .await;
    api.patch("visit", &uuid(1), json!({ "took_ms": null }))
        .await;
    assert_eq!(
        figures(api).await,
        [
            figure("01", "a", 1, 0, None),
            figure("01", "b", 1, 1, Some(1))
        ]
    );
}

async fn a_delete_takes_away_what_it_removes(api: &dyn Api) {
    ingest(
        api,
        vec![
            visit(1, "a", 1, Some(5)),
            visit(2, "a", 1, Some(3)),
            visit(3, "b", 2, None),
        ],
    )
    .await;
    for n in [2, 3] {
        api.ok("visit_delete", json!({ "id": uuid(n) })).await;
    }
    assert_eq!(figures(api).await, [figure("01", "a", 1, 5, Some(5))]);
    api.ok("visit_delete", json!({ "id": uuid(1) })).await;
    assert!(figures(api).await.is_empty());
}

async fn the_greatest_goes_and_the_next_is_found(api: &dyn Api) {
    let items = (1..=5)
        .map(|n| visit(n, "a", 1, Some(i64::from(n))))
        .collect();
    ingest(api, items).await;
    ingest(
        api,
        vec![visit(9, "a", 2, Some(100)), visit(8, "b", 1, Some(100))],
    )
    .await;
    api.ok("visit_delete", json!({ "id": uuid(5) })).await;
    assert_eq!(figures(api).await[0], figure("01", "a", 4, 10, Some(4)));
    api.patch("visit", &uuid(4), json!({ "took_ms": -1 })).await;
    assert_eq!(figures(api).await[0], figure("01", "a", 4, 5, Some(3)));
    let ops: Vec<Value> = [3, 2]
        .map(|n| json!({ "method": "visit_delete", "params": { "id": uuid(n) } }))
        .into();
    api.ok("osis_transaction", json!({ "ops": ops })).await;
    assert_eq!(figures(api).await[0], figure("01", "a", 2, 0, Some(1)));
}

async fn a_failed_transaction_leaves_no_trace(api: &dyn Api) {
    ingest(api, vec![visit(1, "a", 1, Some(5))]).await;
    let ops = |last: Value| {
        json!([
            { "method": "visit_new", "params": { "data": visit(2, "a", 1, Some(9)) } },
            { "method": "visit_delete", "params": { "id": uuid(1) } },
            last,
        ])
    };
    let missing = json!({ "method": "visit_delete", "params": { "id": uuid(77) } });
    api.fails(
        "osis_transaction",
        json!({ "ops": ops(missing) }),
        "not_found",
    )
    .await;
    let fine = json!({ "method": "visit_new", "params": { "data": visit(3, "b", 1, None) } });
    api.ok(
        "osis_transaction",
        json!({ "ops": ops(fine), "dry_run": true }),
    )
    .await;
    assert_eq!(figures(api).await, [figure("01", "a", 1, 5, Some(5))]);
}

async fn a_transaction_counts_what_is_left_of_it(api: &dyn Api) {
    ingest(api, vec![visit(1, "a", 1, Some(5))]).await;
    let ops = json!([
        { "method": "visit_new", "params": { "data": visit(2, "a", 1, Some(9)) } },
        { "method": "visit_set", "params": { "id": uuid(2), "data": { "took_ms": 6 } } },
        { "method": "visit_new", "params": { "data": visit(3, "b", 1, Some(9)) } },
        { "method": "visit_delete", "params": { "id": uuid(3) } },
        { "method": "visit_set", "params": { "id": uuid(1), "data": { "page": "c" } } },
        { "method": "visit_set", "params": { "id": uuid(1), "data": { "page": "a" } } },
    ]);
    api.ok("osis_transaction", json!({ "ops": ops })).await;
    assert_eq!(figures(api).await, [figure("01", "a", 2, 11, Some(6))]);
}

async fn an_object_that_comes_back_counts_again(api: &dyn Api) {
    let made = api.new("visit", visit(1, "a", 1, Some(5))).await;
    api.ok("visit_delete", json!({ "id": id(&made) })).await;
    ingest(api, vec![visit(1, "b", 1, Some(4))]).await;
    assert_eq!(figures(api).await, [figure("01", "b", 1, 4, Some(4))]);
    let ops = json!([
        { "method": "visit_delete", "params": { "id": uuid(1) } },
        { "method": "visit_new", "params": { "data": visit(1, "b", 1, Some(2)) } },
    ]);
    api.ok("osis_transaction", json!({ "ops": ops })).await;
    assert_eq!(figures(api).await, [figure("01", "b", 1, 2, Some(2))]);
}

async fn groups_of_the_rollup_are_unique_and_ordered(api: &dyn Api) {
    let items = (0..40).map(|n| visit(n, &format!("p{:02}", n % 20), 1 + n % 2, Some(1)));
    ingest(api, items.collect()).await;
    let params = json!({ "group_by": ["page"], "sort": "-page", "limit": 3, "metrics": ["count"] });
    assert_eq!(
        rolled_up(api, params).await,
        json!([{ "page": "p19", "count": 2 }, { "page": "p18", "count": 2 }, { "page": "p17", "count": 2 }])
    );
}

async fn long_and_odd_values_are_told_apart(api: &dyn Api) {
    let long = "é".repeat(510);
    let pages = [
        long.clone(),
        format!("{long}x"),
        format!("{long}y"),
        "a\",\"b".to_owned(),
        "a".to_owned(),
        String::new(),
        "#".to_owned(),
        "[".to_owned(),
        "\u{1f600}".to_owned(),
    ];
    let items = (0..18).map(|n| visit(n, &pages[n as usize % 9], 1, Some(1)));
    ingest(api, items.collect()).await;
    for page in &pages {
        let params = json!({ "filter": { "page": page }, "group_by": ["page"] });
        assert_eq!(
            rolled_up(api, params).await,
            json!([{ "page": page, "count": 2 }])
        );
    }
    let all = rolled_up(api, json!({ "group_by": ["page"] })).await;
    assert_eq!(all.as_array().map(Vec::len), Some(9));
}
