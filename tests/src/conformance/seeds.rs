//! `osis_seed` (§5 "Seed"): objects that shall be there, each exactly once.

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{category, customer, product};

cases![each_seeds:
    a_seed_makes_what_is_not_there,
    a_second_run_changes_nothing,
    insert_leaves_what_is_there_as_it_is,
    update_patches_with_the_named_fields,
    references_name_their_targets_by_key_in_any_order,
    references_by_key_may_hang_on_one_another,
    a_reference_by_key_to_nothing_is_invalid,
    an_object_is_matched_by_its_id_first,
    then_by_its_first_unique_field,
    then_by_its_first_composite_key,
    then_by_its_full_content,
    objects_that_stand_twice_are_one,
    a_seed_is_one_commit_or_none,
    all_faults_are_told_with_their_paths,
    a_seed_keeps_the_rules_of_new,
    log_types_are_seeded_too,
    parameters_have_their_forms,
];

async fn seed(api: &dyn Api, objects: &Value) -> Value {
    api.ok("osis_seed", json!({ "objects": objects })).await
}

async fn update(api: &dyn Api, objects: &Value) -> Value {
    api.ok("osis_seed", json!({ "objects": objects, "mode": "update" }))
        .await
}

fn report(created: u64, updated: u64, unchanged: u64) -> Value {
    json!({ "created": created, "updated": updated, "unchanged": unchanged })
}

fn catalogue() -> Value {
    json!({
        "app": [
            { "developer_id": { "email": "ADA@example.org" }, "package_id": "org.example.notes", "name": "Notes" },
            { "developer_id": { "email": "bob@example.org" }, "package_id": "org.example.maps", "name": "Maps" },
        ],
        "version": [{
            "app_id": { "package_id": "org.example.maps" }, "version_code": 1, "version_name": "1",
            "package_url": "u", "package_size": 1, "signature": "s",
        }],
        "developer": [
            { "email": "ada@example.org", "name": "Ada" },
            { "email": "bob@example.org", "name": "Bob", "verified": true },
        ],
        "memo": [{ "body": "a" }, { "body": "a", "count": 1 }],
    })
}

async fn a_seed_makes_what_is_not_there(api: &dyn Api) {
    assert_eq!(seed(api, &catalogue()).await, report(7, 0, 0));
    let bob = api
        .ok(
            "developer_get",
            json!({ "key": { "email": "bob@example.org" } }),
        )
        .await;
    assert_eq!((&bob["verified"], &bob["rev"]), (&json!(true), &json!(1)));
    let notes = api
        .ok(
            "app_get",
            json!({ "key": { "package_id": "org.example.notes" }, "expand": ["developer_id"] }),
        )
        .await;
    assert_eq!(
        (&notes["status"], &notes["expand"]["developer_id"]["name"]),
        (&json!("draft"), &json!("Ada"))
    );
    let found = api.ok("app_find", json!({ "query": "maps" })).await;
    assert_eq!(found["total"], 1);
}

async fn a_second_run_changes_nothing(api: &dyn Api) {
    seed(api, &catalogue()).await;
    let feed = api
        .ok("osis_changes", json!({ "since": 0, "limit": 1000 }))
        .await;
    assert_eq!(seed(api, &catalogue()).await, report(0, 0, 7));
    assert_eq!(update(api, &catalogue()).await, report(0, 0, 7));
    assert_eq!(
        api.ok("osis_changes", json!({ "since": 0, "limit": 1000 }))
            .await,
        feed
    );
}

async fn insert_leaves_what_is_there_as_it_is(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let objects = json!({ "customer": [
        { "email": "ADA@EXAMPLE.ORG", "name": "Other", "vip": true },
        { "email": "bob@x", "name": "Bob" },
    ] });
    assert_eq!(seed(api, &objects).await, report(1, 0, 1));
    assert_eq!(api.get("customer", id(&ada)).await, ada);
}

async fn update_patches_with_the_named_fields(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    api.patch(
        "customer",
        id(&ada),
        json!({ "vip": true, "homepage": "https://a" }),
    )
    .await;
    let bob = customer(api, "bob").await;
    let objects = json!({ "customer": [
        { "email": "ada@example.org", "name": "Ada", "homepage": null },
        { "email": "bob@example.org", "name": "bob" },
        { "email": "eve@example.org", "name": "Eve" },
    ] });
    assert_eq!(update(api, &objects).await, report(1, 1, 1));
    let now = api.get("customer", id(&ada)).await;
    assert_eq!(
        (&now["name"], &now["vip"], &now["homepage"]),
        (&json!("Ada"), &json!(true), &json!(null))
    );
    assert_eq!(now["rev"], 3);
    assert_eq!(api.get("customer", id(&bob)).await, bob);
    // What is there needs no more than its key.
    let objects = json!({ "customer": [{ "email": "bob@example.org", "vip": true }] });
    assert_eq!(update(api, &objects).await, report(0, 1, 0));
    // What is not there needs all that is required.
    let objects = json!({ "customer": [{ "email": "new@example.org", "vip": true }] });
    let params = json!({ "objects": objects, "mode": "update" });
    assert_eq!(
        api.faults("osis_seed", params).await,
        ["objects.customer[0].name"]
    );
}

async fn references_name_their_targets_by_key_in_any_order(api: &dyn Api) {
    let kept = customer(api, "kept").await;
    let objects = json!({
        "line": [
            { "order_id": "order-1", "position": 1, "product_id": { "sku": "AB-1" } },
            { "order_id": { "id": "order-1" }, "position": 2, "product_id": { "sku": "AB-2" } },
        ],
        "order": [
            { "id": "order-1", "customer_id": { "email": "new@x" }, "placed_at": "2026-01-01T00:00:00Z" },
            { "id": "order-2", "customer_id": { "email": "KEPT@example.org" }, "placed_at": "2026-01-01T00:00:00Z" },
        ],
        "product": [{ "sku": "AB-2" }, { "sku": "AB-1", "supplier_id": { "email": "New@X" } }],
        "customer": [{ "email": "new@x", "name": "New", "invited_by": { "email": "kept@example.org" } }],
    });
    assert_eq!(seed(api, &objects).await, report(7, 0, 0));
    let new = api
        .ok("customer_get", json!({ "key": { "email": "new@x" } }))
        .await;
    assert_eq!(new["invited_by"], kept["id"]);
    assert_eq!(api.get("order", "order-1").await["customer_id"], new["id"]);
    assert_eq!(api.get("order", "order-2").await["customer_id"], kept["id"]);
    let chair = api
        .ok("product_get", json!({ "key": { "sku": "AB-1" } }))
        .await;
    assert_eq!(chair["supplier_id"], new["id"]);
    let line = api
        .ok(
            "line_get",
            json!({ "key": { "order_id": "order-1", "position": 1 } }),
        )
        .await;
    assert_eq!(line["product_id"], chair["id"]);
    assert_eq!(seed(api, &objects).await, report(0, 0, 7));
}

async fn references_by_key_may_hang_on_one_another(api: &dyn Api) {
    // A version is matched by its app, which is named by a key, and may itself be new.
    let version = |code: u32| {
        json!({
            "app_id": { "package_id": "org.example.notes" }, "version_code": code, "version_name": "1",
            "package_url": "u", "package_size": 1, "signature": "s",
        })
    };
    let objects = json!({
        "version": [version(1), version(2)],
        "app": [{ "developer_id": { "email": "ada@x" }, "package_id": "org.example.notes", "name": "N" }],
        "developer": [{ "email": "ada@x", "name": "Ada" }],
    });
    assert_eq!(seed(api, &objects).await, report(4, 0, 0));
    assert_eq!(seed(api, &objects).await, report(0, 0, 4));
    let only = json!({ "version": [version(2), version(3)] });
    assert_eq!(seed(api, &only).await, report(1, 0, 1));
    // Two that invite each other.
    let objects = json!({ "customer": [
        { "email": "a@x", "name": "A", "invited_by": { "email": "b@x" } },
        { "email": "b@x", "name": "B", "invited_by": { "email": "a@x" } },
    ] });
    assert_eq!(seed(api, &objects).await, report(2, 0, 0));
    assert_eq!(seed(api, &objects).await, report(0, 0, 2));
}

async fn a_reference_by_key_to_nothing_is_invalid(api: &dyn Api) {
    let objects = json!({ "customer": [
        { "email": "a@x", "name": "A" },
        { "email": "b@x", "name": "B", "invited_by": { "email": "c@x" } },
    ] });
    let error = api
        .call("osis_seed", json!({ "objects": objects }))
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), "invalid" | "reference"), "{error:?}");
    assert_eq!(api.count("customer").await, 0);
    for (key, path) in [
        (json!({ "name": "A" }), "objects.customer[0].invited_by"),
        (json!({}), "objects.customer[0].invited_by"),
        (
            json!({ "card_hash": "x" }),
            "objects.customer[0].invited_by",
        ),
        (
            json!({ "email": 7 }),
            "objects.customer[0].invited_by.email",
        ),
    ] {
        let objects = json!({ "customer": [{ "email": "a@x", "name": "A", "invited_by": key }] });
        api.fault("osis_seed", json!({ "objects": objects }), path)
            .await;
    }
}

async fn an_object_is_matched_by_its_id_first(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let objects = json!({ "customer": [{ "id": ada["id"], "email": "other@x", "name": "Other" }] });
    assert_eq!(seed(api, &objects).await, report(0, 0, 1));
    assert_eq!(update(api, &objects).await, report(0, 1, 0));
    assert_eq!(api.get("customer", id(&ada)).await["email"], "other@x");
    // With an id of its own it is another object, whose key is then taken.
    let objects = json!({ "customer": [{ "id": "other-1", "email": "other@x", "name": "Other" }] });
    api.fails("osis_seed", json!({ "objects": objects }), "conflict")
        .await;
    let objects = json!({ "memo": [{ "id": "memo-1", "body": "a" }] });
    assert_eq!(seed(api, &objects).await, report(1, 0, 0));
    assert_eq!(api.get("memo", "memo-1").await["body"], "a");
}

async fn then_by_its_first_unique_field(api: &dyn Api) {
    // The first unique field decides, even where another would match something else.
    let ada = api
        .new(
            "customer",
            json!({ "email": "a@x", "name": "A", "number": 1 }),
        )
        .await;
    let bob = api
        .new(
            "customer",
            json!({ "email": "b@x", "name": "B", "number": 2 }),
        )
        .await;
    let objects = json!({ "customer": [{ "email": "A@x", "name": "C", "number": 2 }] });
    assert_eq!(seed(api, &objects).await, report(0, 0, 1));
    api.fails(
        "osis_seed",
        json!({ "objects": objects, "mode": "update" }),
        "conflict",
    )
    .await;
    // One that is unset is passed over.
    let data = json!({ "order": 1, "group": "a" });
    let table = api.new("select", data.clone()).await;
    let objects = json!({ "select": [{ "order": 1, "group": "a", "limit": 5 }] });
    assert_eq!(update(api, &objects).await, report(0, 1, 0));
    assert_eq!(api.get("select", id(&table)).await["limit"], 5);
    assert_eq!(
        (
            api.get("customer", id(&ada)).await,
            api.get("customer", id(&bob)).await
        ),
        (ada, bob)
    );
}

async fn then_by_its_first_composite_key(api: &dyn Api) {
    let root = category(api, "root", None).await;
    let leaf = category(api, "leaf", Some(&root)).await;
    let objects = json!({ "category": [
        { "name": "leaf", "parent_id": root["id"] },
        { "name": "root", "parent_id": root["id"] },
    ] });
    assert_eq!(seed(api, &objects).await, report(1, 0, 1));
    assert_eq!(api.get("category", id(&leaf)).await, leaf);
}

async fn then_by_its_full_content(api: &dyn Api) {
    api.new("memo", json!({ "body": "a", "count": 1 })).await;
    for (memo, made) in [
        (json!({ "body": "a", "count": 1 }), 0),
        (json!({ "body": "a" }), 1),
        (json!({ "body": "a", "count": null }), 0),
        (json!({ "body": "b", "count": 1 }), 1),
    ] {
        assert_eq!(
            seed(api, &json!({ "memo": [memo] })).await,
            report(made, 0, 1 - made),
            "{memo}"
        );
    }
    // Also where every key has an unset field: the root of a tree.
    let objects = json!({ "category": [{ "name": "root" }] });
    assert_eq!(seed(api, &objects).await, report(1, 0, 0));
    assert_eq!(seed(api, &objects).await, report(0, 0, 1));
    let shelf = json!({ "warehouse": [{ "name": "n" }], "shelf": [{ "warehouse_id": { "name": "n" }, "label": "A" }] });
    assert_eq!(seed(api, &shelf).await, report(2, 0, 0));
    assert_eq!(seed(api, &shelf).await, report(0, 0, 2));
}

async fn objects_that_stand_twice_are_one(api: &dyn Api) {
    let objects = json!({
        "customer": [{ "email": "a@x", "name": "A" }, { "email": "A@X", "name": "B" }],
        "memo": [{ "body": "a" }, { "body": "a" }],
    });
    assert_eq!(seed(api, &objects).await, report(2, 0, 2));
    let ada = api
        .ok("customer_get", json!({ "key": { "email": "a@x" } }))
        .await;
    assert_eq!(ada["name"], "A");
    assert_eq!(api.count("memo").await, 1);
}

async fn a_seed_is_one_commit_or_none(api: &dyn Api) {
    seed(api, &catalogue()).await;
    let feed = api
        .ok("osis_changes", json!({ "since": 0, "limit": 1000 }))
        .await;
    let mut seqs = crate::api::column(&feed["changes"], "seq");
    assert_eq!(seqs.len(), 7);
    seqs.dedup();
    assert_eq!(seqs.len(), 1, "{feed}");
    let objects = json!({
        "memo": [{ "body": "new" }],
        "shelf": [{ "warehouse_id": "nowhere" }],
    });
    api.fails("osis_seed", json!({ "objects": objects }), "reference")
        .await;
    assert_eq!(api.count("memo").await, 2);
}

async fn all_faults_are_told_with_their_paths(api: &dyn Api) {
    let objects = json!({
        "customer": [{ "email": "no email", "name": 7 }, { "email": "a@x", "name": "A", "nope": 1 }],
        "nope": [{}],
        "audit_log": [{ "occurred_at": "2026-01-01T00:00:00Z" }],
        "memo": { "body": "a" },
        "product": [{ "sku": "AB-1", "tags": ["a", 1] }, 7],
    });
    let mut paths = api.faults("osis_seed", json!({ "objects": objects })).await;
    paths.sort();
    assert_eq!(
        paths,
        [
            "objects.audit_log",
            "objects.customer[0].email",
            "objects.customer[0].name",
            "objects.customer[1].nope",
            "objects.memo",
            "objects.nope",
            "objects.product[0].tags[1]",
            "objects.product[1]",
        ]
    );
}

async fn a_seed_keeps_the_rules_of_new(api: &dyn Api) {
    product(api, 1, &json!({ "title": "there" })).await;
    let missing = json!({ "objects": { "customer": [{ "email": "a@x" }] } });
    api.fault("osis_seed", missing, "objects.customer[0].name")
        .await;
    let immutable = json!({ "product": [{ "id": "none", "sku": "AB-1" }] });
    api.fails("osis_seed", json!({ "objects": immutable }), "conflict")
        .await;
    let data = json!({ "email": "c@x", "name": "C", "card_hash": "1" });
    seed(api, &json!({ "customer": [data] })).await;
    let clash = json!({ "customer": [{ "email": "d@x", "name": "D", "card_hash": "1" }] });
    let error = api
        .fails("osis_seed", json!({ "objects": clash }), "conflict")
        .await;
    assert_eq!(
        (&error.data["key"], error.data.get("existing_id")),
        (&json!(["card_hash"]), None)
    );
}

async fn log_types_are_seeded_too(api: &dyn Api) {
    let objects = json!({ "visit": [{ "page": "a", "at": "2026-01-01T00:00:00Z" }] });
    assert_eq!(seed(api, &objects).await, report(1, 0, 0));
    assert_eq!(seed(api, &objects).await, report(0, 0, 1));
    assert_eq!(api.count("visit").await, 1);
}

async fn parameters_have_their_forms(api: &dyn Api) {
    for objects in [json!([]), json!("x"), json!(null), json!(7)] {
        api.fault("osis_seed", json!({ "objects": objects }), "objects")
            .await;
    }
    api.fault("osis_seed", json!({}), "objects").await;
    for mode in [json!("replace"), json!("Insert"), json!(1), json!("")] {
        api.fault("osis_seed", json!({ "objects": {}, "mode": mode }), "mode")
            .await;
    }
    api.fault(
        "osis_seed",
        json!({ "objects": {}, "dry_run": true }),
        "dry_run",
    )
    .await;
    assert_eq!(seed(api, &json!({})).await, report(0, 0, 0));
    assert_eq!(seed(api, &json!({ "memo": [] })).await, report(0, 0, 0));
    let by_position = json!([{ "memo": [{ "body": "a" }] }, "update"]);
    assert_eq!(api.ok("osis_seed", by_position).await, report(1, 0, 0));
}
