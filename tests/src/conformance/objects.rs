//! Objects: made, got, deleted; their ids, system fields and keys (§1, §3 "Objects", "`_new`").

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{app, customer, developer, product, version, version_data};

cases![each_objects:
    a_new_object_has_system_fields,
    a_result_has_every_field_that_is_not_secret,
    fields_gives_the_id_and_what_is_named,
    fields_names_no_unknown_and_no_secret_field,
    a_client_may_choose_an_id,
    an_id_of_any_other_form_is_invalid,
    ids_are_unique_in_their_type_alone,
    a_repeated_new_returns_the_object_as_it_is,
    a_repeated_new_leaves_no_record,
    a_repeated_new_compares_defaults_and_secrets,
    a_new_with_the_id_of_another_object_is_a_conflict,
    a_key_names_an_object,
    a_key_compares_as_keys_do,
    a_key_names_all_fields_of_one_key,
    a_key_with_a_secret_field_cannot_be_named,
    either_id_or_key_names_an_object,
    what_is_not_there_is_not_found,
    a_delete_answers_what_is_gone,
    a_delete_takes_a_key,
    a_delete_expects_a_revision,
    updated_at_is_never_before_created_at,
    unknown_fields_are_refused,
    the_store_sets_the_system_fields,
    methods_that_a_type_lacks_are_not_found,
];

async fn a_new_object_has_system_fields(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    assert_eq!(ada["rev"], 1);
    assert_eq!(ada["created_at"], ada["updated_at"]);
    let (id, at) = (id(&ada), ada["created_at"].as_str().unwrap());
    assert_eq!((id.len(), &id[14..15]), (36, "7"), "a UUIDv7: {id}");
    assert!(
        id.bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-')),
        "{id}"
    );
    assert_eq!(
        (at.len(), &at[10..11], &at[19..20], &at[23..]),
        (24, "T", ".", "Z"),
        "{at}"
    );
}

async fn a_result_has_every_field_that_is_not_secret(api: &dyn Api) {
    let data = json!({ "email": "ada@example.org", "name": "Ada", "pin": "1234" });
    let made = api.new("customer", data).await;
    let wanted = json!({
        "id": made["id"],
        "rev": 1,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
        "email": "ada@example.org",
        "name": "Ada",
        "number": null,
        "invited_by": null,
        "homepage": null,
        "vip": false,
    });
    assert_eq!(made, wanted);
    assert_eq!(api.get("customer", id(&made)).await, wanted);
    assert_eq!(api.patch("customer", id(&made), json!({})).await, wanted);
    let listed = api.ok("customer_list", json!({})).await;
    assert_eq!(listed["items"], json!([wanted]));
    let found = api.ok("customer_find", json!({ "query": "ada" })).await;
    assert_eq!(found["hits"][0]["object"], wanted);
}

async fn fields_gives_the_id_and_what_is_named(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let wanted = json!({ "id": ada["id"], "name": "ada", "rev": 1 });
    let fields = json!(["name", "rev"]);
    let got = api
        .ok("developer_get", json!({ "id": id(&ada), "fields": fields }))
        .await;
    assert_eq!(got, wanted);
    let listed = api.ok("developer_list", json!({ "fields": fields })).await;
    assert_eq!(listed["items"], json!([wanted]));
    let found = api
        .ok(
            "developer_find",
            json!({ "query": "ada", "fields": fields }),
        )
        .await;
    assert_eq!(found["hits"][0]["object"], wanted);
    let bare = api
        .ok("developer_get", json!({ "id": id(&ada), "fields": [] }))
        .await;
    assert_eq!(bare, json!({ "id": ada["id"] }));
}

async fn fields_names_no_unknown_and_no_secret_field(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let params = json!({ "id": id(&ada), "fields": ["name", "nope", "password_hash"] });
    assert_eq!(
        api.faults("developer_get", params).await,
        ["fields[1]", "fields[2]"]
    );
    api.fault("developer_list", json!({ "fields": "name" }), "fields")
        .await;
}

async fn a_client_may_choose_an_id(api: &dyn Api) {
    let ids = [
        "abcd",
        "0-9z",
        "----",
        &"x".repeat(64),
        "01234567-89ab-cdef-0123-456789abcdef",
    ];
    for chosen in ids {
        let made = api
            .new("memo", json!({ "id": chosen, "body": chosen }))
            .await;
        assert_eq!(made["id"], chosen);
        assert_eq!(api.get("memo", chosen).await, made);
    }
}

async fn an_id_of_any_other_form_is_invalid(api: &dyn Api) {
    let wrong = [
        json!("abc"),
        json!("x".repeat(65)),
        json!("Abcd"),
        json!("ab_cd"),
        json!("ab cd"),
        json!("äbcd"),
        json!(""),
        json!("abcd\n"),
        json!(12345),
        json!(true),
        json!(["abcd"]),
    ];
    for id in wrong {
        let data = json!({ "id": id, "body": "x" });
        api.fault("memo_new", json!({ "data": data }), "data.id")
            .await;
        api.fault(
            "osis_seed",
            json!({ "objects": { "memo": [data] } }),
            "objects.memo[0].id",
        )
        .await;
        api.fault("memo_get", json!({ "id": id }), "id").await;
        api.fault("memo_set", json!({ "id": id, "data": {} }), "id")
            .await;
        api.fault("memo_delete", json!({ "id": id }), "id").await;
        api.fault("memo_get", json!({ "key": { "id": id } }), "key.id")
            .await;
        api.fault(
            "shelf_new",
            json!({ "data": { "warehouse_id": id } }),
            "data.warehouse_id",
        )
        .await;
    }
    assert_eq!(api.count("memo").await, 0);
}

async fn ids_are_unique_in_their_type_alone(api: &dyn Api) {
    let memo = api.new("memo", json!({ "id": "same", "body": "a" })).await;
    let house = api
        .new("warehouse", json!({ "id": "same", "name": "b" }))
        .await;
    assert_eq!(
        (memo["id"].as_str(), house["id"].as_str()),
        (Some("same"), Some("same"))
    );
    api.ok("memo_delete", json!({ "id": "same" })).await;
    assert_eq!(api.get("warehouse", "same").await, house);
}

async fn a_repeated_new_returns_the_object_as_it_is(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let params = json!({ "data": {
        "id": "app-1", "developer_id": id(&ada), "package_id": "org.example.a", "name": "A",
    } });
    let made = api.ok("app_new", params.clone()).await;
    assert_eq!(api.ok("app_new", params.clone()).await, made);
    let op = json!({ "method": "app_new", "params": params });
    let again = api.ok("osis_transaction", json!({ "ops": [op, op] })).await;
    assert_eq!(again["results"], json!([made, made]));
    assert_eq!(api.count("app").await, 1);
}

async fn a_repeated_new_leaves_no_record(api: &dyn Api) {
    let params = json!({ "data": { "id": "memo-1", "body": "a" } });
    api.ok("memo_new", params.clone()).await;
    let before = api.ok("osis_changes", json!({ "since": 0 })).await;
    api.ok("memo_new", params).await;
    assert_eq!(api.ok("osis_changes", json!({ "since": 0 })).await, before);
}

async fn a_repeated_new_compares_defaults_and_secrets(api: &dyn Api) {
    let full = json!({
        "id": "ada-1", "email": "ada@example.org", "name": "Ada", "pin": "1", "vip": false,
    });
    let with = |field: &str, value: Value| {
        let mut data = full.clone();
        data[field] = value;
        json!({ "data": data })
    };
    let mut bare = full.clone();
    bare.as_object_mut().unwrap().remove("vip");
    let made = api.new("customer", full.clone()).await;
    assert_eq!(
        api.new("customer", bare).await,
        made,
        "a default that is named is the same"
    );
    for (field, value) in [
        ("vip", json!(null)),
        ("pin", json!("2")),
        ("pin", json!(null)),
    ] {
        let error = api
            .fails("customer_new", with(field, value), "conflict")
            .await;
        assert_eq!(error.data["key"], json!(["id"]), "{field}");
    }
}

async fn a_new_with_the_id_of_another_object_is_a_conflict(api: &dyn Api) {
    api.new("memo", json!({ "id": "memo-1", "body": "a" }))
        .await;
    let params = json!({ "data": { "id": "memo-1", "body": "b" } });
    let error = api.fails("memo_new", params, "conflict").await;
    let wanted = json!({
        "kind": "conflict", "type": "memo", "key": ["id"], "existing_id": "memo-1",
    });
    assert_eq!(error.data, wanted);
    api.patch("memo", "memo-1", json!({ "count": 1 })).await;
    let params = json!({ "data": { "id": "memo-1", "body": "a" } });
    api.fails("memo_new", params, "conflict").await;
}

async fn a_key_names_an_object(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    version(api, &notes, 2).await;
    let third = version(api, &notes, 3).await;
    let rows = [
        ("developer", json!({ "email": "ada@example.org" }), &ada),
        ("developer", json!({ "id": ada["id"] }), &ada),
        ("app", json!({ "package_id": "org.example.notes" }), &notes),
        (
            "version",
            json!({ "app_id": notes["id"], "version_code": 3 }),
            &third,
        ),
        (
            "version",
            json!({ "version_code": 3, "app_id": notes["id"] }),
            &third,
        ),
    ];
    for (ty, key, object) in rows {
        let got = api.ok(&format!("{ty}_get"), json!({ "key": key })).await;
        assert_eq!(got, *object, "{ty} {key}");
    }
}

async fn a_key_compares_as_keys_do(api: &dyn Api) {
    let ada = api
        .new(
            "developer",
            json!({ "name": "A", "email": "Straße@Example.org" }),
        )
        .await;
    assert_eq!(ada["email"], "Straße@Example.org", "kept as it was given");
    for email in [
        "straße@example.org",
        "STRASSE@EXAMPLE.ORG",
        "ＳＴＲＡＳＳＥ@example.org",
    ] {
        let got = api
            .ok("developer_get", json!({ "key": { "email": email } }))
            .await;
        assert_eq!(got["id"], ada["id"], "{email}");
    }
    let notes = app(api, &ada, "notes").await;
    let key = json!({ "package_id": "Org.Example.Notes" });
    let error = api
        .fails("app_get", json!({ "key": key }), "not_found")
        .await;
    assert_eq!(error.data["key"], key);
    assert_eq!(api.count("app").await, 1, "{notes}");
}

async fn a_key_names_all_fields_of_one_key(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    version(api, &notes, 3).await;
    let rows = [
        ("version", json!({ "app_id": notes["id"] }), "key"),
        ("version", json!({ "version_code": 3 }), "key"),
        (
            "version",
            json!({ "app_id": notes["id"], "version_code": 3, "status": "draft" }),
            "key",
        ),
        (
            "version",
            json!({ "app_id": notes["id"], "version_code": null }),
            "key.version_code",
        ),
        (
            "version",
            json!({ "app_id": notes["id"], "version_code": "3" }),
            "key.version_code",
        ),
        ("version", json!({}), "key"),
        ("version", json!([notes["id"], 3]), "key"),
        ("app", json!({ "name": "notes" }), "key"),
        ("app", json!({ "nope": 1 }), "key"),
        ("app", json!({ "package_id": 7 }), "key.package_id"),
        (
            "app",
            json!({ "id": notes["id"], "package_id": "org.example.notes" }),
            "key",
        ),
    ];
    for (ty, key, path) in rows {
        api.fault(&format!("{ty}_get"), json!({ "key": key }), path)
            .await;
        api.fault(&format!("{ty}_delete"), json!({ "key": key }), path)
            .await;
        api.fault(
            &format!("{ty}_set"),
            json!({ "key": key, "data": {} }),
            path,
        )
        .await;
    }
}

async fn a_key_with_a_secret_field_cannot_be_named(api: &dyn Api) {
    let data = json!({ "email": "ada@example.org", "name": "Ada", "card_hash": "c0ffee" });
    api.new("customer", data).await;
    for card in ["c0ffee", "unknown"] {
        let key = json!({ "card_hash": card });
        api.fault("customer_get", json!({ "key": key }), "key")
            .await;
        api.fault("customer_delete", json!({ "key": key }), "key")
            .await;
        api.fault(
            "customer_set",
            json!({ "key": key, "data": {}, "upsert": true }),
            "key",
        )
        .await;
    }
}

async fn either_id_or_key_names_an_object(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let both = json!({ "id": ada["id"], "key": { "email": "ada@example.org" } });
    for params in [both, json!({}), json!({ "id": null, "key": null })] {
        api.faults("developer_get", params.clone()).await;
        api.faults("developer_delete", params.clone()).await;
        let mut params = params;
        params["data"] = json!({ "name": "Eve" });
        api.faults("developer_set", params).await;
    }
    assert_eq!(api.get("developer", id(&ada)).await, ada);
}

async fn what_is_not_there_is_not_found(api: &dyn Api) {
    let by_id = json!({ "kind": "not_found", "type": "version", "id": "none" });
    let key = json!({ "app_id": "none", "version_code": 3 });
    let by_key = json!({ "kind": "not_found", "type": "version", "key": key });
    for (target, data) in [
        (json!({ "id": "none" }), by_id),
        (json!({ "key": key }), by_key),
    ] {
        let mut set = target.clone();
        set["data"] = json!({});
        for (method, params) in [
            ("version_get", target.clone()),
            ("version_delete", target),
            ("version_set", set),
        ] {
            let error = api.fails(method, params, "not_found").await;
            assert_eq!(error.data, data, "{method}");
        }
    }
}

async fn a_delete_answers_what_is_gone(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    for code in 1..=3 {
        version(api, &notes, code).await;
    }
    let gone = api.ok("app_delete", json!({ "id": id(&notes) })).await;
    assert_eq!(gone, json!({ "deleted": { "app": 1, "version": 3 } }));
    assert_eq!((api.count("app").await, api.count("version").await), (0, 0));
    api.fails("app_delete", json!({ "id": id(&notes) }), "not_found")
        .await;
    api.fails("app_get", json!({ "id": id(&notes) }), "not_found")
        .await;
    let gone = api.ok("developer_delete", json!({ "id": id(&ada) })).await;
    assert_eq!(gone, json!({ "deleted": { "developer": 1 } }));
}

async fn a_delete_takes_a_key(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    let second = version(api, &notes, 2).await;
    version(api, &notes, 3).await;
    let key = json!({ "app_id": notes["id"], "version_code": 3 });
    let gone = api.ok("version_delete", json!({ "key": key })).await;
    assert_eq!(gone, json!({ "deleted": { "version": 1 } }));
    let left = api.ok("version_list", json!({})).await;
    assert_eq!(left["items"], json!([second]));
    api.ok(
        "developer_delete",
        json!({ "key": { "email": "ADA@EXAMPLE.ORG" } }),
    )
    .await;
    assert_eq!(api.count("developer").await, 0);
}

async fn a_delete_expects_a_revision(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let params = |rev: u32| json!({ "id": ada["id"], "if_rev": rev });
    api.patch("developer", id(&ada), json!({ "name": "Ada" }))
        .await;
    let error = api
        .fails("developer_delete", params(1), "rev_mismatch")
        .await;
    assert_eq!(
        error.data,
        json!({ "kind": "rev_mismatch", "expected": 1, "actual": 2 })
    );
    api.ok("developer_delete", params(2)).await;
    assert_eq!(api.count("developer").await, 0);
}

async fn updated_at_is_never_before_created_at(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let mut last = ada.clone();
    for rev in 2..6 {
        let set = api
            .patch(
                "customer",
                id(&ada),
                json!({ "name": format!("ada {rev}") }),
            )
            .await;
        assert_eq!(set["rev"], rev);
        assert_eq!(set["created_at"], ada["created_at"]);
        assert!(
            set["updated_at"].as_str() >= last["updated_at"].as_str(),
            "{set} after {last}"
        );
        last = set;
    }
}

async fn unknown_fields_are_refused(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let data = json!({ "name": "B", "email": "b@example.org", "nope": 1 });
    api.fault("developer_new", json!({ "data": data }), "data.nope")
        .await;
    let set = json!({ "id": ada["id"], "data": { "nope": 1 } });
    api.fault("developer_set", set, "data.nope").await;
    api.fault(
        "osis_seed",
        json!({ "objects": { "developer": [data] } }),
        "objects.developer[0].nope",
    )
    .await;
    assert_eq!(api.count("developer").await, 1);
}

async fn the_store_sets_the_system_fields(api: &dyn Api) {
    let memo = api.new("memo", json!({ "body": "a" })).await;
    let at = "2026-01-01T00:00:00Z";
    for (field, value) in [
        ("rev", json!(7)),
        ("created_at", json!(at)),
        ("updated_at", json!(at)),
    ] {
        let path = format!("data.{field}");
        api.fault(
            "memo_new",
            json!({ "data": { "body": "b", field: value } }),
            &path,
        )
        .await;
        let set = json!({ "id": memo["id"], "data": { field: value } });
        api.fault("memo_set", set, &path).await;
    }
    let set = json!({ "id": memo["id"], "data": { "id": "other" } });
    api.fault("memo_set", set, "data.id").await;
    let set = json!({ "id": "fresh", "data": { "id": "fresh", "body": "b" }, "upsert": true });
    api.fault("memo_set", set, "data.id").await;
}

async fn methods_that_a_type_lacks_are_not_found(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let notes = app(api, &ada, "notes").await;
    let product = product(api, 1, &json!({})).await;
    for (method, params) in [
        ("nope_get", json!({ "id": notes["id"] })),
        ("app_nope", json!({})),
        ("app", json!({})),
        ("apps_get", json!({ "id": notes["id"] })),
        ("App_get", json!({ "id": notes["id"] })),
        ("app_ingest", json!({ "items": [] })),
        ("memo_find", json!({ "query": "x" })),
        ("product_ingest", json!({ "items": [product] })),
        ("audit_log_new", json!({ "data": {} })),
        ("audit_log_set", json!({ "id": "abcd", "data": {} })),
        ("audit_log_delete", json!({ "id": "abcd" })),
        ("audit_log_ingest", json!({ "items": [] })),
        ("audit_log_find", json!({ "query": "x" })),
        ("osis_nope", json!({})),
        ("", json!({})),
    ] {
        let error = api.call(method, params).await.expect_err(method);
        assert_eq!(error.code, -32601, "{method}: {error:?}");
    }
    for method in ["audit_log_list", "audit_log_count", "audit_log_aggregate"] {
        api.ok(method, json!({})).await;
    }
    api.fails("audit_log_get", json!({ "id": "abcd" }), "not_found")
        .await;
    api.new("version", version_data(id(&notes), 1)).await;
}
