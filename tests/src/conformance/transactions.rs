//! `osis_transaction` (§3 "For the store").

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{customer, developer, order, product};

cases![each_transactions:
    all_operations_take_effect_together,
    an_operation_sees_those_before_it,
    one_that_fails_undoes_all,
    an_error_has_the_code_and_the_index_of_its_operation,
    faults_stand_below_their_operation,
    a_dry_run_checks_and_answers_but_keeps_nothing,
    a_key_can_be_handed_on,
    an_object_can_come_and_go,
    a_transaction_is_one_commit,
    a_transaction_that_changes_nothing_is_no_commit,
    parameters_may_stand_by_position,
    only_new_set_and_delete_are_operations,
    operations_are_1_to_10_000,
];

fn op(method: &str, params: &Value) -> Value {
    json!({ "method": method, "params": params })
}

fn new_memo(id: &str) -> Value {
    op("memo_new", &json!({ "data": { "id": id, "body": id } }))
}

async fn run(api: &dyn Api, ops: &[Value]) -> Value {
    api.ok("osis_transaction", json!({ "ops": ops })).await
}

async fn all_operations_take_effect_together(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let bob = customer(api, "bob").await;
    let done = run(
        api,
        &[
            op(
                "customer_new",
                &json!({ "data": { "name": "eve", "email": "eve@x" } }),
            ),
            op(
                "customer_set",
                &json!({ "id": ada["id"], "data": { "name": "Ada" } }),
            ),
            op(
                "customer_delete",
                &json!({ "key": { "email": "bob@example.org" } }),
            ),
        ],
    )
    .await;
    let results = done["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(api.get("customer", id(&results[0])).await, results[0]);
    assert_eq!(api.get("customer", id(&ada)).await, results[1]);
    assert_eq!(
        (&results[1]["name"], &results[1]["rev"]),
        (&json!("Ada"), &json!(2))
    );
    assert_eq!(results[2], json!({ "deleted": { "customer": 1 } }));
    assert!(!api.has("customer", id(&bob)).await);
    assert_eq!(done["seq"], api.seq().await);
}

async fn an_operation_sees_those_before_it(api: &dyn Api) {
    let done = run(
        api,
        &[
            op(
                "customer_new",
                &json!({ "data": { "id": "eve-1", "name": "eve", "email": "eve@x" } }),
            ),
            op(
                "order_new",
                &json!({ "data": {
            "id": "order-1", "customer_id": "eve-1", "placed_at": "2026-01-01T00:00:00Z",
        } }),
            ),
            op(
                "customer_set",
                &json!({ "key": { "email": "EVE@X" }, "data": { "vip": true }, "if_rev": 1 }),
            ),
            op(
                "customer_set",
                &json!({ "id": "eve-1", "data": { "name": "Eve" }, "if_rev": 2 }),
            ),
            op("order_delete", &json!({ "id": "order-1" })),
            op(
                "customer_set",
                &json!({ "id": "eve-1", "data": { "name": "Eva" } }),
            ),
        ],
    )
    .await;
    assert_eq!(done["results"][5]["rev"], 4);
    let eve = api.get("customer", "eve-1").await;
    assert_eq!(
        (&eve["name"], &eve["vip"], &eve["rev"]),
        (&json!("Eva"), &json!(true), &json!(4))
    );
    assert_eq!(api.count("order").await, 0);
}

async fn one_that_fails_undoes_all(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    order(api, &ada, 1).await;
    let seq = api.seq().await;
    for (last, kind) in [
        (op("memo_get_it", &json!({})), "invalid"),
        (op("memo_new", &json!({ "data": {} })), "invalid"),
        (op("memo_delete", &json!({ "id": "nope" })), "not_found"),
        (
            op(
                "customer_new",
                &json!({ "data": { "name": "A", "email": "ADA@example.org" } }),
            ),
            "conflict",
        ),
        (
            op(
                "customer_set",
                &json!({ "id": ada["id"], "if_rev": 7, "data": {} }),
            ),
            "rev_mismatch",
        ),
        (
            op("customer_delete", &json!({ "id": ada["id"] })),
            "reference",
        ),
    ] {
        let set = op(
            "customer_set",
            &json!({ "id": ada["id"], "data": { "vip": true } }),
        );
        let ops = [new_memo("memo-1"), set, last.clone()];
        api.fails("osis_transaction", json!({ "ops": ops }), kind)
            .await;
        assert_eq!(api.count("memo").await, 0, "{last}");
        assert_eq!(api.get("customer", id(&ada)).await, ada, "{last}");
    }
    assert_eq!(api.seq().await, seq);
    let found = api.ok("customer_find", json!({ "query": "ada" })).await;
    assert_eq!(found["hits"][0]["object"], ada);
}

async fn an_error_has_the_code_and_the_index_of_its_operation(api: &dyn Api) {
    let ops = [
        new_memo("memo-1"),
        new_memo("memo-2"),
        op("memo_delete", &json!({ "id": "nope" })),
    ];
    let error = api
        .fails("osis_transaction", json!({ "ops": ops }), "not_found")
        .await;
    assert_eq!(
        error.data,
        json!({ "kind": "not_found", "op": 2, "type": "memo", "id": "nope" })
    );
    let ops = [
        op("shelf_new", &json!({ "data": { "warehouse_id": "nope" } })),
        new_memo("memo-1"),
    ];
    let error = api
        .fails("osis_transaction", json!({ "ops": ops }), "reference")
        .await;
    let wanted = json!({
        "kind": "reference", "op": 0, "type": "shelf", "field": "warehouse_id", "id": "nope",
    });
    assert_eq!(error.data, wanted);
    let clash = op(
        "memo_new",
        &json!({ "data": { "id": "memo-1", "body": "other" } }),
    );
    let error = api
        .fails(
            "osis_transaction",
            json!({ "ops": [new_memo("memo-1"), clash] }),
            "conflict",
        )
        .await;
    assert_eq!(
        (&error.data["op"], &error.data["key"]),
        (&json!(1), &json!(["id"]))
    );
}

async fn faults_stand_below_their_operation(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let ops = [
        new_memo("memo-1"),
        op("memo_new", &json!({ "data": { "nope": 1 } })),
        op(
            "memo_set",
            &json!({ "id": "X", "data": { "body": 7 }, "mode": "x" }),
        ),
        op(
            "developer_set",
            &json!({ "key": { "email": "ada@example.org" }, "data": { "name": null } }),
        ),
        op(
            "memo_delete",
            &json!({ "id": "memo-1", "if_rev": "1", "force": true }),
        ),
    ];
    let error = api
        .fails(
            "osis_transaction",
            json!({ "ops": ops, "dry_run": 1 }),
            "invalid",
        )
        .await;
    assert_eq!(error.data["op"], 1, "the first that is wrong: {ada}");
    let mut paths = error.paths();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "dry_run",
            "ops[1].params.data.body",
            "ops[1].params.data.nope",
            "ops[2].params.data.body",
            "ops[2].params.id",
            "ops[2].params.mode",
            "ops[3].params.data.name",
            "ops[4].params.force",
            "ops[4].params.if_rev",
        ]
    );
    // What can only be seen against what is stored, too.
    let chair = product(api, 1, &json!({})).await;
    let ops = [
        new_memo("memo-1"),
        op(
            "product_set",
            &json!({ "id": chair["id"], "data": { "sku": "AB-2" } }),
        ),
    ];
    let error = api
        .fails("osis_transaction", json!({ "ops": ops }), "invalid")
        .await;
    assert_eq!(
        (error.paths(), &error.data["op"]),
        (vec!["ops[1].params.data.sku"], &json!(1))
    );
}

async fn a_dry_run_checks_and_answers_but_keeps_nothing(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let before = api.ok("osis_changes", json!({ "since": 0 })).await;
    let ops = [
        op(
            "memo_new",
            &json!({ "data": { "id": "memo-1", "body": "a" } }),
        ),
        op(
            "memo_set",
            &json!({ "id": "memo-1", "data": { "count": 1 } }),
        ),
        op("customer_delete", &json!({ "id": ada["id"] })),
    ];
    let done = api
        .ok("osis_transaction", json!({ "ops": ops, "dry_run": true }))
        .await;
    assert_eq!(done["results"][1]["rev"], 2);
    assert_eq!(done["results"][2], json!({ "deleted": { "customer": 1 } }));
    assert_eq!(
        (api.count("memo").await, api.count("customer").await),
        (0, 1)
    );
    assert_eq!(api.ok("osis_changes", json!({ "since": 0 })).await, before);
    let ops = [
        ops[0].clone(),
        ops[0].clone(),
        op("memo_delete", &json!({ "id": "nope" })),
    ];
    let error = api
        .fails(
            "osis_transaction",
            json!({ "ops": ops, "dry_run": true }),
            "not_found",
        )
        .await;
    assert_eq!(error.data["op"], 2);
}

async fn a_key_can_be_handed_on(api: &dyn Api) {
    let (ada, bob) = (customer(api, "ada").await, customer(api, "bob").await);
    let email = |of: &Value, email: &str| {
        op(
            "customer_set",
            &json!({ "id": of["id"], "data": { "email": email } }),
        )
    };
    run(
        api,
        &[
            email(&ada, "tmp@x"),
            email(&bob, "ada@example.org"),
            email(&ada, "bob@example.org"),
        ],
    )
    .await;
    let got = api
        .ok(
            "customer_get",
            json!({ "key": { "email": "ada@example.org" } }),
        )
        .await;
    assert_eq!(got["id"], bob["id"]);
    // Deleted and made again.
    run(
        api,
        &[
            op("customer_delete", &json!({ "id": bob["id"] })),
            op(
                "customer_new",
                &json!({ "data": { "id": "new-1", "name": "N", "email": "ADA@example.org" } }),
            ),
        ],
    )
    .await;
    let got = api
        .ok(
            "customer_get",
            json!({ "key": { "email": "ada@example.org" } }),
        )
        .await;
    assert_eq!(got["id"], "new-1");
    // But not before it is free.
    let ops = [
        op(
            "customer_new",
            &json!({ "data": { "name": "M", "email": "ada@example.org" } }),
        ),
        op("customer_delete", &json!({ "id": "new-1" })),
    ];
    api.fails("osis_transaction", json!({ "ops": ops }), "conflict")
        .await;
}

async fn an_object_can_come_and_go(api: &dyn Api) {
    let ops = [
        new_memo("memo-1"),
        op("memo_delete", &json!({ "id": "memo-1" })),
        new_memo("memo-1"),
        op(
            "memo_set",
            &json!({ "id": "memo-1", "data": { "count": 3 } }),
        ),
        new_memo("memo-2"),
        op("memo_delete", &json!({ "id": "memo-2" })),
    ];
    run(api, &ops).await;
    let listed = api.ok("memo_list", json!({})).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let memo = &listed["items"][0];
    assert_eq!(
        (&memo["id"], &memo["rev"], &memo["count"]),
        (&json!("memo-1"), &json!(2), &json!(3))
    );
    // The same id once more, after a delete, begins anew.
    run(
        api,
        &[
            op("memo_delete", &json!({ "id": "memo-1" })),
            new_memo("memo-1"),
        ],
    )
    .await;
    assert_eq!(api.get("memo", "memo-1").await["rev"], 1);
}

async fn a_transaction_is_one_commit(api: &dyn Api) {
    let since = api.seq().await;
    let done = run(
        api,
        &[new_memo("memo-1"), new_memo("memo-2"), new_memo("memo-3")],
    )
    .await;
    let feed = api.ok("osis_changes", json!({ "since": since })).await;
    let seqs = crate::api::column(&feed["changes"], "seq");
    assert_eq!(seqs, vec![done["seq"].clone(); 3]);
    let after = run(api, &[new_memo("memo-4")]).await;
    assert!(
        after["seq"].as_u64() > done["seq"].as_u64(),
        "{after} after {done}"
    );
}

async fn a_transaction_that_changes_nothing_is_no_commit(api: &dyn Api) {
    api.new("memo", json!({ "id": "memo-1", "body": "memo-1" }))
        .await;
    let seq = api.seq().await;
    let ops = [
        new_memo("memo-1"),
        op("memo_set", &json!({ "id": "memo-1", "data": {} })),
    ];
    let done = run(api, &ops).await;
    assert_eq!((done["seq"].as_u64(), api.seq().await), (Some(seq), seq));
}

async fn parameters_may_stand_by_position(api: &dyn Api) {
    let done = run(
        api,
        &[
            op("memo_new", &json!([{ "id": "memo-1", "body": "a" }])),
            op("memo_set", &json!(["memo-1", { "count": 1 }, 1])),
            op(
                "memo_set",
                &json!([{ "id": "memo-1" }, { "body": "b" }, null, "replace"]),
            ),
            op("memo_delete", &json!(["memo-1", 3])),
        ],
    )
    .await;
    assert_eq!(done["results"][2]["count"], json!(null));
    assert_eq!(done["results"][3], json!({ "deleted": { "memo": 1 } }));
}

async fn only_new_set_and_delete_are_operations(api: &dyn Api) {
    for method in [
        "memo_get",
        "memo_list",
        "memo_count",
        "memo_aggregate",
        "visit_ingest",
        "osis_seed",
        "osis_transaction",
        "osis_info",
        "rpc.discover",
        "audit_log_new",
        "nope_new",
        "",
    ] {
        let ops = [op(method, &json!({}))];
        let error = api
            .fails("osis_transaction", json!({ "ops": ops }), "invalid")
            .await;
        assert_eq!(error.paths(), ["ops[0].method"], "{method}");
    }
    for (op, path) in [
        (json!("memo_new"), "ops[0]"),
        (json!(null), "ops[0]"),
        (json!({ "params": {} }), "ops[0].method"),
        (json!({ "method": 7 }), "ops[0].method"),
        (
            json!({ "method": "memo_new", "params": 7 }),
            "ops[0].params",
        ),
        (
            json!({ "method": "memo_new", "params": { "data": { "body": "a" } }, "id": 1 }),
            "ops[0].id",
        ),
        (json!({ "method": "memo_new" }), "ops[0].params.data"),
    ] {
        let error = api
            .fails("osis_transaction", json!({ "ops": [op] }), "invalid")
            .await;
        assert_eq!(error.paths(), [path], "{op}");
    }
    run(
        api,
        &[op(
            "visit_new",
            &json!({ "data": { "page": "a", "at": "2026-01-01T00:00:00Z" } }),
        )],
    )
    .await;
    assert_eq!(api.count("visit").await, 1);
}

async fn operations_are_1_to_10_000(api: &dyn Api) {
    for ops in [json!([]), json!({}), json!(null), json!("x")] {
        api.fault("osis_transaction", json!({ "ops": ops }), "ops")
            .await;
    }
    api.fault("osis_transaction", json!({}), "ops").await;
    let memos = |n: u32| -> Vec<Value> {
        (0..n)
            .map(|n| op("memo_new", &json!({ "data": { "body": n.to_string() } })))
            .collect()
    };
    api.fault("osis_transaction", json!({ "ops": memos(10_001) }), "ops")
        .await;
    let done = run(api, &memos(10_000)).await;
    assert_eq!(done["results"].as_array().map(Vec::len), Some(10_000));
    assert_eq!(api.count("memo").await, 10_000);
}
