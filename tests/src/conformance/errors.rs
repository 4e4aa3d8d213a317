//! Errors: all faults with their paths, the order of the checks, parameters (§3, §3 "Errors").

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{customer, developer, order, product};

cases![each_errors:
    all_faults_are_told_at_most_100,
    unknown_parameters_are_named,
    parameters_may_stand_by_position,
    null_skips_an_optional_position,
    too_many_positions_are_refused,
    parameters_are_checked_before_existence,
    existence_is_checked_before_the_revision,
    the_revision_is_checked_before_what_the_change_would_break,
    references_are_checked_before_conflicts,
    an_error_changes_nothing,
    info_tells_of_the_store,
];

async fn all_faults_are_told_at_most_100(api: &dyn Api) {
    let data = json!({
        "sku": "x", "title": 1, "price": -1, "stock": 1.5, "released": "x", "color": "x",
        "tags": [1, 2], "nope": 1,
    });
    let params = json!({ "data": data, "extra": 1 });
    let mut paths = api.faults("product_new", params).await;
    paths.sort();
    assert_eq!(
        paths,
        [
            "data.color",
            "data.nope",
            "data.price",
            "data.released",
            "data.sku",
            "data.stock",
            "data.tags[0]",
            "data.tags[1]",
            "data.title",
            "extra",
        ]
    );
    let data = json!({ "sku": "AB-1", "tags": vec![7; 150] });
    assert_eq!(
        api.faults("product_new", json!({ "data": data }))
            .await
            .len(),
        100
    );
    let items = vec![json!({}); 500];
    assert_eq!(
        api.faults("visit_ingest", json!({ "items": items }))
            .await
            .len(),
        100
    );
    let ops = vec![json!({ "method": "memo_new", "params": { "data": {} } }); 500];
    assert_eq!(
        api.faults("osis_transaction", json!({ "ops": ops }))
            .await
            .len(),
        100
    );
    let unknown: serde_json::Map<String, Value> =
        (0..300).map(|n| (format!("p{n}"), json!(n))).collect();
    assert_eq!(
        api.faults("osis_info", Value::Object(unknown)).await.len(),
        100
    );
}

async fn unknown_parameters_are_named(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    for (method, params) in [
        ("developer_get", json!({ "id": ada["id"] })),
        ("developer_set", json!({ "id": ada["id"], "data": {} })),
        (
            "developer_new",
            json!({ "data": { "name": "B", "email": "b@x" } }),
        ),
        ("developer_delete", json!({ "id": ada["id"] })),
        ("developer_list", json!({})),
        ("developer_find", json!({ "query": "x" })),
        ("developer_count", json!({})),
        ("developer_aggregate", json!({})),
        ("event_ingest", json!({ "items": [] })),
        (
            "osis_transaction",
            json!({ "ops": [{ "method": "memo_new", "params": { "data": { "body": "a" } } }] }),
        ),
        ("osis_seed", json!({ "objects": {} })),
        ("osis_changes", json!({ "since": 0 })),
        ("osis_info", json!({})),
        ("rpc.discover", json!({})),
    ] {
        let mut params = params;
        params["iD"] = json!(1);
        api.fault(method, params, "iD").await;
    }
    assert_eq!(
        api.ok("developer_list", json!({})).await["items"],
        json!([ada])
    );
    assert_eq!(api.count("memo").await, 0);
}

async fn parameters_may_stand_by_position(api: &dyn Api) {
    let ada = api
        .ok(
            "developer_new",
            json!([{ "name": "Ada", "email": "ada@x" }]),
        )
        .await;
    let by_id = json!([ada["id"]]);
    let by_key = json!([{ "email": "ADA@X" }]);
    for params in [by_id, by_key] {
        assert_eq!(api.ok("developer_get", params).await, ada);
    }
    let got = api
        .ok("developer_get", json!([ada["id"], ["apps"], ["name"]]))
        .await;
    assert_eq!(
        got,
        json!({ "id": ada["id"], "name": "Ada", "expand": { "apps": [] } })
    );
    let set = api
        .ok(
            "developer_set",
            json!([{ "email": "ada@x" }, { "name": "A" }, 1, "patch", false]),
        )
        .await;
    assert_eq!((&set["name"], &set["rev"]), (&json!("A"), &json!(2)));
    let listed = api
        .ok(
            "developer_list",
            json!([{ "name": "A" }, "-name", 5, null, [], ["name"], true]),
        )
        .await;
    let wanted =
        json!({ "items": [{ "id": ada["id"], "name": "A" }], "next_cursor": null, "total": 1 });
    assert_eq!(listed, wanted);
    let found = api
        .ok("developer_find", json!(["ada", { "name": "A" }, "name", 5]))
        .await;
    assert_eq!(found["total"], 1);
    assert_eq!(
        api.ok("developer_count", json!([{ "name": "B" }])).await["count"],
        0
    );
    let figures = api
        .ok(
            "developer_aggregate",
            json!([{}, ["verified"], null, ["count"], "-count", 3]),
        )
        .await;
    assert_eq!(figures["rows"], json!([{ "verified": false, "count": 1 }]));
    let ingested = api
        .ok(
            "visit_ingest",
            json!([[{ "page": "a", "at": "2026-01-01T00:00:00Z" }]]),
        )
        .await;
    assert_eq!(ingested["accepted"], 1);
    let op = json!({ "method": "memo_new", "params": [{ "body": "a" }] });
    api.ok("osis_transaction", json!([[op], true])).await;
    api.ok("osis_info", json!([])).await;
    let gone = api.ok("developer_delete", json!([ada["id"], 2])).await;
    assert_eq!(gone["deleted"]["developer"], 1);
}

async fn null_skips_an_optional_position(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let listed = api
        .ok(
            "developer_list",
            json!([null, null, null, null, null, ["name"], null]),
        )
        .await;
    assert_eq!(listed["items"], json!([{ "id": ada["id"], "name": "ada" }]));
    let named =
        json!({ "filter": null, "sort": null, "limit": null, "cursor": null, "count": null });
    assert_eq!(api.ok("developer_list", named).await["items"], json!([ada]));
    api.fault("developer_find", json!([null]), "query").await;
    api.fault("developer_new", json!([null]), "data").await;
}

async fn too_many_positions_are_refused(api: &dyn Api) {
    for (method, params) in [
        ("developer_get", json!(["abcd", null, null, 1])),
        ("developer_count", json!([{}, null])),
        ("developer_new", json!([{ "name": "A", "email": "a@x" }, 1])),
        ("osis_info", json!([1])),
        ("rpc.discover", json!([{}])),
    ] {
        assert_eq!(api.faults(method, params).await.len(), 1, "{method}");
    }
    assert_eq!(api.count("developer").await, 0);
}

async fn parameters_are_checked_before_existence(api: &dyn Api) {
    let params = json!({ "id": "none", "if_rev": 1, "data": { "name": 7 } });
    api.fault("customer_set", params, "data.name").await;
    api.fault(
        "customer_get",
        json!({ "id": "none", "expand": ["nope"] }),
        "expand[0]",
    )
    .await;
    let data = json!({ "name": 7, "email": "a@x", "invited_by": "none" });
    api.fault("customer_new", json!({ "data": data }), "data.name")
        .await;
}

async fn existence_is_checked_before_the_revision(api: &dyn Api) {
    let params = json!({ "id": "none", "if_rev": 1, "data": { "invited_by": "none" } });
    api.fails("customer_set", params, "not_found").await;
    api.fails(
        "customer_delete",
        json!({ "id": "none", "if_rev": 1 }),
        "not_found",
    )
    .await;
}

async fn the_revision_is_checked_before_what_the_change_would_break(api: &dyn Api) {
    let (ada, bob) = (customer(api, "ada").await, customer(api, "bob").await);
    order(api, &ada, 1).await;
    let data = json!({ "invited_by": "none", "email": "bob@example.org" });
    let params = json!({ "id": ada["id"], "if_rev": 9, "data": data });
    api.fails("customer_set", params, "rev_mismatch").await;
    api.fails(
        "customer_delete",
        json!({ "id": ada["id"], "if_rev": 9 }),
        "rev_mismatch",
    )
    .await;
    api.fails(
        "customer_delete",
        json!({ "id": ada["id"], "if_rev": 1 }),
        "reference",
    )
    .await;
    assert_eq!(api.get("customer", id(&bob)).await, bob);
}

async fn references_are_checked_before_conflicts(api: &dyn Api) {
    let (ada, bob) = (customer(api, "ada").await, customer(api, "bob").await);
    let both = json!({ "name": "C", "email": "bob@example.org", "invited_by": "none" });
    api.fails("customer_new", json!({ "data": both }), "reference")
        .await;
    let params = json!({ "id": ada["id"], "data": both });
    api.fails("customer_set", params, "reference").await;
    // The id is a key like any other, the first of them.
    let mut with_id = both.clone();
    with_id["id"] = bob["id"].clone();
    api.fails("customer_new", json!({ "data": with_id }), "reference")
        .await;
    let params = json!({ "key": { "email": "new@x" }, "upsert": true, "data": {
        "name": "C", "invited_by": "none", "number": 1,
    } });
    api.new(
        "customer",
        json!({ "name": "D", "email": "d@x", "number": 1 }),
    )
    .await;
    api.fails("customer_set", params, "reference").await;
}

async fn an_error_changes_nothing(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let chair = product(api, 1, &json!({ "supplier_id": ada["id"] })).await;
    let bill = order(api, &ada, 1).await;
    let before = api
        .ok("osis_changes", json!({ "since": 0, "objects": true }))
        .await;
    // The delete is refused only after other references would have been unset.
    api.fails("customer_delete", json!({ "id": ada["id"] }), "reference")
        .await;
    api.fails(
        "order_set",
        json!({ "id": bill["id"], "data": { "customer_id": "none" } }),
        "reference",
    )
    .await;
    api.fault(
        "product_set",
        json!({ "id": chair["id"], "data": { "stock": 1, "sku": "AB-9" } }),
        "data.sku",
    )
    .await;
    assert_eq!(
        api.ok("osis_changes", json!({ "since": 0, "objects": true }))
            .await,
        before
    );
}

async fn info_tells_of_the_store(api: &dyn Api) {
    let before = api.ok("osis_info", json!({})).await;
    developer(api, "ada").await;
    customer(api, "bob").await;
    let info = api.ok("osis_info", json!({})).await;
    let mut members: Vec<&String> = info.as_object().unwrap().keys().collect();
    members.sort();
    let wanted = [
        "counts", "problems", "replica", "schema", "seq", "store", "uptime_s", "version",
    ];
    assert_eq!(members, wanted);
    assert!(
        matches!(
            info["store"].as_str(),
            Some("memory" | "sqlite" | "file" | "postgres")
        ),
        "{info}"
    );
    let counts = info["counts"].as_object().unwrap();
    assert_eq!(
        (&counts["developer"], &counts["customer"], &counts["visit"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let schema = crate::fixture::schema();
    assert_eq!(counts.len(), schema.types.len());
    let wanted = json!({ "name": schema.name, "version": schema.version, "hash": schema.hash });
    assert_eq!(info["schema"], wanted);
    assert_eq!(
        info["seq"].as_u64(),
        before["seq"].as_u64().map(|seq| seq + 2)
    );
    assert_eq!(
        (&info["problems"], &info["replica"]),
        (&json!([]), &before["replica"])
    );
    assert!(
        info["uptime_s"].is_u64() && info["version"].is_string(),
        "{info}"
    );
}
