//! Values: what each type of field takes, keeps and refuses (§1 times, §2 types and attributes).

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::{product, product_data, sku};

cases![each_values:
    what_is_given_is_kept,
    what_does_not_fit_is_invalid,
    times_are_kept_in_utc_cut_to_milliseconds,
    what_is_no_time_is_invalid,
    strings_hold_as_many_bytes_as_the_schema_language_says,
    texts_and_bytes_hold_a_mebibyte,
    lists_hold_as_many_items_as_they_may,
    a_list_has_the_length_that_its_field_says,
    a_pattern_is_searched_for,
    json_nests_at_most_64_deep,
    lengths_are_counted_in_characters,
    emails_and_urls_have_their_forms,
    no_string_holds_a_null_character,
    items_and_members_have_their_own_paths,
    a_default_fills_in_only_what_is_absent,
    what_is_required_must_be_set,
    what_is_immutable_stays,
    every_read_shows_a_value_alike,
    secrets_never_show,
];

/// A product with one field; what the field then is.
async fn kept(api: &dyn Api, number: u32, field: &str, given: &Value) -> Value {
    let made = product(api, number, &json!({ field: given })).await;
    let got = api.get("product", id(&made)).await;
    assert_eq!(got, made, "{field} {given}");
    made[field].clone()
}

async fn what_is_given_is_kept(api: &dyn Api) {
    let same = [
        ("title", json!("")),
        ("title", json!("  blank  \n\t")),
        ("title", json!("ÄÖÜ ß 漢字 😀 é")),
        ("title", json!("'; DROP TABLE products; --")),
        ("title", json!("\u{feff}\u{fffd}\u{10ffff}\u{7f}\u{1}")),
        ("body", json!("line\r\nline")),
        ("body", json!("")),
        ("stock", json!(0)),
        ("stock", json!(-1)),
        ("stock", json!(i64::MAX)),
        ("stock", json!(i64::MIN)),
        ("stock", json!(9_007_199_254_740_993_i64)),
        ("price", json!(0.1)),
        ("price", json!(1.5e300)),
        ("price", json!(5e-324)),
        ("price", json!(f64::MAX)),
        ("discontinued", json!(true)),
        ("discontinued", json!(false)),
        ("color", json!("blue")),
        ("tags", json!([])),
        ("tags", json!(["b", "a", "b", ""])),
        ("tags", json!(null)),
        ("sizes", json!([])),
        ("sizes", json!([3, -1, 3, i64::MAX, i64::MIN])),
        ("specs", json!({})),
        ("specs", json!([])),
        ("specs", json!("text")),
        ("specs", json!(7)),
        ("specs", json!(false)),
        (
            "specs",
            json!([null, 1.5, "x", { "a": { "b": [i64::MIN, i64::MAX] } }]),
        ),
        ("specs", json!({ "": 1, "é": "\u{1f600}" })),
        ("photo", json!("")),
        ("photo", json!("AA==")),
        ("photo", json!("AAE=")),
        ("photo", json!("+/+/")),
        ("title", json!(null)),
        ("stock", json!(null)),
        ("specs", json!(null)),
        ("photo", json!(null)),
    ];
    for (number, (field, given)) in (1..).zip(same) {
        assert_eq!(
            kept(api, number, field, &given).await,
            given,
            "{field} {given}"
        );
    }
    let altered = [
        ("price", json!(1), json!(1.0)),
        (
            "price",
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_992.0),
        ),
    ];
    for (number, (field, given, wanted)) in (1000..).zip(altered) {
        assert_eq!(
            kept(api, number, field, &given).await,
            wanted,
            "{field} {given}"
        );
    }
    let zero = kept(api, 2000, "price", &json!(-0.0)).await;
    assert!(
        zero.as_f64().unwrap().is_sign_positive(),
        "-0.0 becomes 0.0, not {zero}"
    );
}

async fn what_does_not_fit_is_invalid(api: &dyn Api) {
    let rows = [
        ("title", vec![json!(1), json!(true), json!([]), json!({})]),
        ("body", vec![json!(1), json!(["x"])]),
        (
            "stock",
            vec![
                json!(1.0),
                json!(1.5),
                json!("1"),
                json!(true),
                json!([1]),
                json!(1e3),
                json!(9_223_372_036_854_775_808_u64),
                json!(u64::MAX),
                json!(-9.3e18),
            ],
        ),
        (
            "price",
            vec![json!("1"), json!(true), json!(-0.5), json!([])],
        ),
        ("discontinued", vec![json!(0), json!(1), json!("true")]),
        (
            "released",
            vec![json!(1_764_547_200), json!(true), json!({})],
        ),
        (
            "color",
            vec![json!("Red"), json!(""), json!("yellow"), json!(0)],
        ),
        (
            "supplier_id",
            vec![json!(7), json!("X"), json!({ "email": "ada@example.org" })],
        ),
        ("tags", vec![json!("x"), json!({}), json!(7)]),
        (
            "sizes",
            vec![json!(1), json!("1"), json!([1, 2, 3, 4, 5, 6])],
        ),
        (
            "photo",
            vec![
                json!("AA"),
                json!("AA="),
                json!("A-_="),
                json!("AA==\n"),
                json!(" AA=="),
                json!("AB=="),
                json!("===="),
                json!(7),
                json!([0]),
            ],
        ),
        ("grams", vec![json!(-11), json!(1001)]),
        (
            "sku",
            vec![
                json!("ab-1"),
                json!("AB-"),
                json!("AB-1 "),
                json!("xAB-1"),
                json!(""),
            ],
        ),
    ];
    for (field, wrong) in rows {
        for given in wrong {
            let mut data = product_data(1, &json!({}));
            data[field] = given;
            api.fault(
                "product_new",
                json!({ "data": data }),
                &format!("data.{field}"),
            )
            .await;
        }
    }
    assert_eq!(api.count("product").await, 0);
}

async fn times_are_kept_in_utc_cut_to_milliseconds(api: &dyn Api) {
    let rows = [
        ("2026-11-21T07:00:00Z", "2026-11-21T07:00:00.000Z"),
        ("2026-11-21T07:00:00.5Z", "2026-11-21T07:00:00.500Z"),
        (
            "2026-11-21T09:30:00.123999999+02:30",
            "2026-11-21T07:00:00.123Z",
        ),
        ("2024-02-29T23:59:59.9-00:01", "2024-03-01T00:00:59.900Z"),
        ("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ];
    for (number, (given, wanted)) in (1..).zip(rows) {
        assert_eq!(
            kept(api, number, "released", &json!(given)).await,
            wanted,
            "{given}"
        );
    }
}

async fn what_is_no_time_is_invalid(api: &dyn Api) {
    let wrong = [
        "2026-11-21T07:00:00",
        "2026-11-21",
        "07:00:00Z",
        "2026-11-21T07:00Z",
        "2026-11-21T07:00:60Z",
        "2016-12-31T23:59:60Z",
        "2026-11-21T24:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "0000-06-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-11-21T07:00:00.0123456789Z",
        "2026-11-21T07:00:00.Z",
        "2026-11-21T07:00:00+2:00",
        "2026-11-21T07:00:00+24:00",
        "2026-11-21T07:00:00 Z",
        "",
        "now",
        "2026-11-21T07:00:00Zx",
    ];
    for given in wrong {
        let params = json!({ "data": product_data(1, &json!({ "released": given })) });
        api.fault("product_new", params, "data.released").await;
        let filter = json!({ "filter": { "released": { "gte": given } } });
        api.fault("product_count", filter, "filter.released.gte")
            .await;
    }
}

async fn strings_hold_as_many_bytes_as_the_schema_language_says(api: &dyn Api) {
    let rows = [
        // A plain string, and strings in a key, an index, an indexed list, a composite key.
        ("product", json!({ "sku": "AB-1" }), "remark", 4096),
        (
            "customer",
            json!({ "email": "a@example.org" }),
            "name",
            4096,
        ),
        (
            "visit",
            json!({ "at": "2026-01-01T00:00:00Z" }),
            "page",
            1024,
        ),
        ("select", json!({ "order": 1, "group": "a" }), "rowid", 1024),
        ("category", json!({}), "name", 1024),
        ("warehouse", json!({}), "name", 1024),
    ];
    for (ty, fields, field, most) in rows {
        for (unit, bytes) in [("x", 1), ("é", 2), ("😀", 4)] {
            let mut data = fields.clone();
            data[field] = json!(unit.repeat(most / bytes));
            let made = api.new(ty, data.clone()).await;
            assert_eq!(made[field], data[field], "{ty}.{field} of {most} bytes");
            api.ok(&format!("{ty}_delete"), json!({ "id": made["id"] }))
                .await;
            data[field] = json!(unit.repeat(most / bytes) + "x");
            api.fault(
                &format!("{ty}_new"),
                json!({ "data": data }),
                &format!("data.{field}"),
            )
            .await;
        }
    }
    let tags = |bytes: usize| product_data(2, &json!({ "tags": ["x".repeat(bytes)] }));
    api.fault("product_new", json!({ "data": tags(1025) }), "data.tags[0]")
        .await;
    api.new("product", tags(1024)).await;
}

async fn texts_and_bytes_hold_a_mebibyte(api: &dyn Api) {
    let most = 1 << 20;
    let text = json!("é".repeat(most / 2));
    assert_eq!(kept(api, 1, "body", &text).await, text);
    let more = json!({ "data": product_data(2, &json!({ "body": "é".repeat(most / 2) + "x" })) });
    api.fault("product_new", more, "data.body").await;
    // Three bytes are four characters; one more byte takes padding.
    let photo = |bytes: usize| json!("AAAA".repeat(bytes / 3) + ["", "AA==", "AAA="][bytes % 3]);
    assert_eq!(kept(api, 3, "photo", &photo(most)).await, photo(most));
    let more = json!({ "data": product_data(4, &json!({ "photo": photo(most + 1) })) });
    api.fault("product_new", more, "data.photo").await;
}

async fn lists_hold_as_many_items_as_they_may(api: &dyn Api) {
    let tags = |n: usize| json!(vec!["x"; n]);
    assert_eq!(kept(api, 1, "tags", &tags(1000)).await, tags(1000));
    let more = json!({ "data": product_data(2, &json!({ "tags": tags(1001) })) });
    api.fault("product_new", more, "data.tags").await;
    assert_eq!(
        kept(api, 3, "sizes", &json!([1, 2, 3, 4, 5])).await,
        json!([1, 2, 3, 4, 5])
    );
}

async fn a_list_has_the_length_that_its_field_says(api: &dyn Api) {
    let serials = |n: i64| json!((0..n).collect::<Vec<_>>());
    for (number, fits) in (1..).zip([2, 1001, 1500]) {
        assert_eq!(
            kept(api, number, "serials", &serials(fits)).await,
            serials(fits)
        );
    }
    for wrong in [0, 1, 1501] {
        let data = product_data(9, &json!({ "serials": serials(wrong) }));
        api.fault("product_new", json!({ "data": data }), "data.serials")
            .await;
    }
}

async fn a_pattern_is_searched_for(api: &dyn Api) {
    for (number, fits) in (1..).zip(["123", "lot 123 x", "a\n1234"]) {
        assert_eq!(kept(api, number, "batch", &json!(fits)).await, fits);
    }
    for wrong in ["", "12", "1 2 3", "١٢٣"] {
        let data = product_data(9, &json!({ "batch": wrong }));
        api.fault("product_new", json!({ "data": data }), "data.batch")
            .await;
    }
}

async fn json_nests_at_most_64_deep(api: &dyn Api) {
    let lists = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    let objects = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    for (number, nested) in (1..).zip([lists(64), objects(64)]) {
        assert_eq!(kept(api, number, "specs", &nested).await, nested);
    }
    for nested in [lists(65), objects(65), lists(100)] {
        let params = json!({ "data": product_data(9, &json!({ "specs": nested })) });
        let paths = api.faults("product_new", params).await;
        assert!(paths[0].starts_with("data.specs"), "{paths:?}");
    }
}

async fn lengths_are_counted_in_characters(api: &dyn Api) {
    for (number, fits) in (1..).zip(["ab", "abcd", "éé", "😀😀😀😀", "e\u{301}"]) {
        assert_eq!(kept(api, number, "code", &json!(fits)).await, fits);
    }
    for wrong in ["", "a", "é", "😀", "abcde", "ééééé"] {
        let params = json!({ "data": product_data(9, &json!({ "code": wrong })) });
        api.fault("product_new", params, "data.code").await;
    }
    for (number, fits) in (20..).zip([-10, 0, 1000]) {
        assert_eq!(kept(api, number, "grams", &json!(fits)).await, fits);
    }
}

async fn emails_and_urls_have_their_forms(api: &dyn Api) {
    let longest = format!("a@{}", "x".repeat(252));
    let good = ["a@b", "a+b@example.org", "ä@ö", "\"x\"@y", longest.as_str()];
    let longer = format!("a@{}", "x".repeat(253));
    let bad = [
        "",
        "a",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "a b@c",
        "a@b c",
        "a@b\n",
        "a\t@b",
        "a\u{a0}b@c",
        "a\u{7f}@b",
        longer.as_str(),
    ];
    for email in good {
        let made = api
            .new("customer", json!({ "name": "x", "email": email }))
            .await;
        assert_eq!(made["email"], email);
    }
    for email in bad {
        let params = json!({ "data": { "name": "x", "email": email } });
        api.fault("customer_new", params, "data.email").await;
    }
    let urls = [
        "http://a",
        "https://example.org:8080/x?y=z#w",
        "HTTPS://EXAMPLE.ORG",
        "http://[::1]/",
    ];
    for (number, url) in (1..).zip(urls) {
        assert_eq!(
            kept(api, number, "url", &json!(url)).await,
            url,
            "kept as it was given"
        );
    }
    let bad = [
        "",
        "example.org",
        "/x",
        "//example.org",
        "ftp://example.org",
        "mailto:a@b",
        "http://",
        "http:",
        "javascript:alert(1)",
        "file:///x",
        "http://exa mple.org",
    ];
    for url in bad {
        let params = json!({ "data": product_data(99, &json!({ "url": url })) });
        api.fault("product_new", params, "data.url").await;
    }
}

async fn no_string_holds_a_null_character(api: &dyn Api) {
    let rows = [
        (json!({ "title": "a\0b" }), "data.title"),
        (json!({ "body": "\0" }), "data.body"),
        (json!({ "color": "red\0" }), "data.color"),
        (json!({ "tags": ["a", "\0"] }), "data.tags[1]"),
        (json!({ "specs": { "a": ["x\0"] } }), "data.specs.a[0]"),
        (json!({ "code": "a\0" }), "data.code"),
    ];
    for (fields, path) in rows {
        let data = product_data(1, &fields);
        api.fault("product_new", json!({ "data": data }), path)
            .await;
    }
    let named = json!({ "data": product_data(1, &json!({ "specs": { "a\0": 1 } })) });
    assert_eq!(api.faults("product_new", named).await.len(), 1);
    for filter in [
        json!({ "title": "\0" }),
        json!({ "title": { "prefix": "a\0" } }),
        json!({ "tags": { "has": "\0" } }),
        json!({ "title": { "in": ["a", "\0"] } }),
    ] {
        assert_eq!(
            api.faults("product_count", json!({ "filter": filter }))
                .await
                .len(),
            1
        );
    }
    let key = json!({ "key": { "email": "a\0@example.org" } });
    assert_eq!(api.faults("customer_get", key).await, ["key.email"]);
}

async fn items_and_members_have_their_own_paths(api: &dyn Api) {
    let data = product_data(
        1,
        &json!({ "tags": ["a", 7, "b", null], "sizes": [1.5, 2, "3"] }),
    );
    let mut paths = api.faults("product_new", json!({ "data": data })).await;
    paths.sort();
    assert_eq!(
        paths,
        [
            "data.sizes[0]",
            "data.sizes[2]",
            "data.tags[1]",
            "data.tags[3]"
        ]
    );
}

async fn a_default_fills_in_only_what_is_absent(api: &dyn Api) {
    let absent = product(api, 1, &json!({})).await;
    assert_eq!(
        (&absent["unit"], &absent["tags"]),
        (&json!("piece"), &json!([]))
    );
    let null = product(api, 2, &json!({ "unit": null, "tags": null })).await;
    assert_eq!((&null["unit"], &null["tags"]), (&json!(null), &json!(null)));
    let given = product(api, 3, &json!({ "unit": "" })).await;
    assert_eq!(given["unit"], "");
    let patched = api
        .patch("product", id(&null), json!({ "title": "x" }))
        .await;
    assert_eq!(patched["unit"], json!(null), "a change fills nothing in");
    let unset = api
        .patch("product", id(&absent), json!({ "unit": null }))
        .await;
    assert_eq!(unset["unit"], json!(null));
}

async fn what_is_required_must_be_set(api: &dyn Api) {
    api.fault("product_new", json!({ "data": {} }), "data.sku")
        .await;
    api.fault(
        "product_new",
        json!({ "data": { "sku": null } }),
        "data.sku",
    )
    .await;
    let ada = json!({ "email": "ada@example.org", "name": "Ada" });
    let made = api.new("customer", ada).await;
    let unset = json!({ "id": made["id"], "data": { "name": null } });
    api.fault("customer_set", unset, "data.name").await;
    let paths = api
        .faults("customer_new", json!({ "data": { "vip": true } }))
        .await;
    assert_eq!(paths, ["data.email", "data.name"]);
}

async fn what_is_immutable_stays(api: &dyn Api) {
    let made = product(api, 1, &json!({})).await;
    let set = |mode: &str, value: &str| json!({ "id": made["id"], "data": { "sku": value }, "mode": mode });
    for mode in ["patch", "replace", "merge"] {
        api.fault("product_set", set(mode, &sku(2)), "data.sku")
            .await;
        let same = api.ok("product_set", set(mode, &sku(1))).await;
        assert_eq!(same, made, "the same value is no change");
    }
}

async fn every_read_shows_a_value_alike(api: &dyn Api) {
    let fields = json!({
        "title": "A", "body": "b", "price": 2, "stock": i64::MIN, "discontinued": false,
        "released": "2026-11-21T08:00:00+01:00", "color": "green", "tags": ["x", "y"],
        "sizes": [2, 1], "specs": { "z": 1, "a": [1.5, null] }, "photo": "AAEC",
        "url": "https://example.org", "code": "ab", "grams": 7,
    });
    let made = product(api, 1, &fields).await;
    for (field, given) in fields.as_object().unwrap() {
        let wanted = match field.as_str() {
            "released" => json!("2026-11-21T07:00:00.000Z"),
            "price" => json!(2.0),
            _ => given.clone(),
        };
        assert_eq!(made[field], wanted, "{field}");
    }
    let key = json!({ "key": { "sku": sku(1) } });
    assert_eq!(api.ok("product_get", key).await, made);
    assert_eq!(
        api.ok("product_list", json!({})).await["items"],
        json!([made])
    );
    let found = api.ok("product_find", json!({ "query": "x y" })).await;
    assert_eq!(found["hits"][0]["object"], made);
    let feed = api
        .ok("osis_changes", json!({ "since": 0, "objects": true }))
        .await;
    assert_eq!(feed["changes"][0]["object"], made);
    let set = json!({ "id": made["id"], "data": {} });
    assert_eq!(api.ok("product_set", set).await, made);
}

async fn secrets_never_show(api: &dyn Api) {
    let data = json!({
        "email": "ada@example.org", "name": "Ada", "pin": "geheimnis", "card_hash": "kartenhash",
    });
    let made = api.new("customer", data.clone()).await;
    let of = json!({ "id": id(&made) });
    let mut answers = vec![made.clone(), api.get("customer", id(&made)).await];
    answers.push(
        api.patch("customer", id(&made), json!({ "pin": "geheimnis2" }))
            .await,
    );
    answers.push(api.ok("customer_list", json!({})).await);
    answers.push(
        api.ok("osis_changes", json!({ "since": 0, "objects": true }))
            .await,
    );
    let op = json!({ "method": "customer_set", "params": { "id": of["id"], "data": data } });
    answers.push(api.ok("osis_transaction", json!({ "ops": [op] })).await);
    let of_another =
        json!({ "email": "bob@example.org", "name": "Bob", "card_hash": "kartenhash" });
    let refused = api
        .fails("customer_new", json!({ "data": of_another }), "conflict")
        .await;
    answers.extend([json!(refused.message), refused.data]);
    for answer in answers {
        let text = answer.to_string();
        assert!(
            !text.contains("geheimnis") && !text.contains("kartenhash"),
            "{text}"
        );
    }
    for params in [
        json!({ "filter": { "pin": "geheimnis" } }),
        json!({ "sort": "pin" }),
        json!({ "fields": ["pin"] }),
        json!({ "expand": ["pin"] }),
    ] {
        assert_eq!(api.faults("customer_list", params).await.len(), 1);
    }
    let by_secret = json!({ "group_by": ["pin"], "metrics": ["min:card_hash"] });
    assert_eq!(api.faults("customer_aggregate", by_secret).await.len(), 2);
    for query in ["geheimnis", "kartenhash"] {
        let params = json!({ "query": query, "typo": false });
        assert_eq!(api.ok("customer_find", params).await["total"], 0, "{query}");
    }
    api.fault(
        "customer_get",
        json!({ "key": { "card_hash": "kartenhash" } }),
        "key",
    )
    .await;
}
