//! `_list` and its order (§3 "Sort").

use serde_json::{Value, json};

use crate::api::{Api, column, id, texts};
use crate::fixture::{customer, product};

cases![each_lists:
    the_default_order_is_that_of_ids,
    fields_of_every_kind_sort_by_value,
    null_is_lowest,
    several_fields_sort_one_after_another,
    the_id_breaks_ties,
    system_fields_sort,
    what_cannot_be_sorted_by_is_invalid,
    fifty_come_if_nothing_is_said,
    a_total_comes_if_asked_for,
    names_that_mean_something_to_engines_sort,
];

async fn skus(api: &dyn Api, sort: &Value) -> Vec<String> {
    let page = api.ok("product_list", json!({ "sort": sort })).await;
    texts(&page["items"], "sku")
        .iter()
        .map(|sku| sku[3..].to_owned())
        .collect()
}

async fn the_default_order_is_that_of_ids(api: &dyn Api) {
    for id in ["zzzz", "0000", "a-a-", "a0a0", "9999", "aaaa", "aaaaa"] {
        api.new("memo", json!({ "id": id, "body": "x" })).await;
    }
    let wanted = ["0000", "9999", "a-a-", "a0a0", "aaaa", "aaaaa", "zzzz"];
    for sort in [
        json!(null),
        json!("id"),
        json!(["id"]),
        json!(["id", "body"]),
        json!([]),
    ] {
        let page = api.ok("memo_list", json!({ "sort": sort })).await;
        assert_eq!(texts(&page["items"], "id"), wanted, "{sort}");
        assert_eq!(page["next_cursor"], json!(null));
    }
    let page = api.ok("memo_list", json!({ "sort": "-id" })).await;
    let mut reversed = wanted;
    reversed.reverse();
    assert_eq!(texts(&page["items"], "id"), reversed);
}

async fn fields_of_every_kind_sort_by_value(api: &dyn Api) {
    let rows = [
        (
            "stock",
            vec![
                json!(i64::MIN),
                json!(-10),
                json!(-9),
                json!(0),
                json!(9),
                json!(10),
                json!(i64::MAX),
            ],
        ),
        (
            "price",
            vec![
                json!(0.0),
                json!(5e-324),
                json!(0.5),
                json!(2.0),
                json!(10.0),
                json!(1e300),
            ],
        ),
        (
            "title",
            vec![
                json!(""),
                json!("10"),
                json!("9"),
                json!("B"),
                json!("a"),
                json!("aa"),
                json!("é"),
            ],
        ),
        ("discontinued", vec![json!(false), json!(true)]),
        ("color", vec![json!("blue"), json!("green"), json!("red")]),
        (
            "released",
            vec![
                json!("0001-01-01T00:00:00.000Z"),
                json!("1969-12-31T23:59:59.999Z"),
                json!("1970-01-01T00:00:00.000Z"),
                json!("2026-01-01T00:00:00.000Z"),
                json!("9999-12-31T23:59:59.999Z"),
            ],
        ),
    ];
    let mut number = 0;
    for (field, values) in rows {
        for value in values.iter().rev() {
            number += 1;
            product(api, number, &json!({ "remark": field, field: value })).await;
        }
        let params = |sort: String| json!({ "filter": { "remark": field }, "sort": sort });
        let rising = api.ok("product_list", params(field.to_owned())).await;
        assert_eq!(column(&rising["items"], field), values, "{field}");
        let falling = api.ok("product_list", params(format!("-{field}"))).await;
        let reversed: Vec<Value> = values.into_iter().rev().collect();
        assert_eq!(column(&falling["items"], field), reversed, "-{field}");
    }
    let names = [("bob", "x2"), ("ada", "x1")];
    for (name, id) in names {
        let data =
            json!({ "id": format!("customer-{id}"), "name": name, "email": format!("{name}@x") });
        api.new("customer", data).await;
        let supplied = json!({ "supplier_id": format!("customer-{id}"), "remark": "ref" });
        number += 1;
        product(api, number, &supplied).await;
    }
    let params = json!({ "filter": { "remark": "ref" }, "sort": "supplier_id" });
    let page = api.ok("product_list", params).await;
    assert_eq!(
        texts(&page["items"], "supplier_id"),
        ["customer-x1", "customer-x2"]
    );
}

async fn null_is_lowest(api: &dyn Api) {
    for (number, stock) in [(1, json!(5)), (2, json!(null)), (3, json!(i64::MIN))] {
        product(api, number, &json!({ "stock": stock })).await;
    }
    assert_eq!(skus(api, &json!("stock")).await, ["2", "3", "1"]);
    assert_eq!(skus(api, &json!("-stock")).await, ["1", "3", "2"]);
}

async fn several_fields_sort_one_after_another(api: &dyn Api) {
    let rows = [
        (1, "b", 1),
        (2, "a", 1),
        (3, "b", 2),
        (4, "a", 2),
        (5, "a", 2),
    ];
    for (number, title, stock) in rows {
        product(api, number, &json!({ "title": title, "stock": stock })).await;
    }
    for (sort, wanted) in [
        (json!(["title", "-stock", "sku"]), ["4", "5", "2", "3", "1"]),
        (
            json!(["title", "-stock", "-sku"]),
            ["5", "4", "2", "3", "1"],
        ),
        (json!(["-title", "stock", "sku"]), ["1", "3", "2", "4", "5"]),
        (
            json!(["-stock", "-title", "-sku"]),
            ["3", "5", "4", "1", "2"],
        ),
        (json!(["stock", "sku"]), ["1", "2", "3", "4", "5"]),
    ] {
        assert_eq!(skus(api, &sort).await, wanted, "{sort}");
    }
}

async fn the_id_breaks_ties(api: &dyn Api) {
    for id in ["cccc", "aaaa", "bbbb"] {
        api.new("memo", json!({ "id": id, "body": "same" })).await;
    }
    for sort in ["body", "-body", "count", "-count", "rev"] {
        let page = api.ok("memo_list", json!({ "sort": sort })).await;
        assert_eq!(
            texts(&page["items"], "id"),
            ["aaaa", "bbbb", "cccc"],
            "{sort}"
        );
    }
    let page = api
        .ok("memo_list", json!({ "sort": ["body", "-id"] }))
        .await;
    assert_eq!(texts(&page["items"], "id"), ["cccc", "bbbb", "aaaa"]);
}

async fn system_fields_sort(api: &dyn Api) {
    let ada = customer(api, "ada").await;
    let bob = customer(api, "bob").await;
    api.patch("customer", id(&ada), json!({ "vip": true }))
        .await;
    let names = |page: Value| texts(&page["items"], "name");
    for (sort, first) in [("rev", "bob"), ("-rev", "ada")] {
        let page = api.ok("customer_list", json!({ "sort": sort })).await;
        assert_eq!(names(page)[0], first, "{sort}");
    }
    for sort in ["created_at", "updated_at"] {
        let rising = api
            .ok("customer_list", json!({ "sort": [sort, "name"] }))
            .await;
        let mut times = texts(&rising["items"], sort);
        times.sort();
        assert_eq!(times, texts(&rising["items"], sort), "{sort}");
    }
    assert!(bob["created_at"].as_str() >= ada["created_at"].as_str());
}

async fn what_cannot_be_sorted_by_is_invalid(api: &dyn Api) {
    for sort in [
        json!("nope"),
        json!("tags"),
        json!("-sizes"),
        json!("body"),
        json!("specs"),
        json!("photo"),
        json!(["title", "nope"]),
        json!(7),
        json!([7]),
        json!({}),
        json!("--title"),
        json!(""),
        json!("+title"),
        json!("title,stock"),
        json!("title "),
        json!("supplier_id.name"),
    ] {
        api.fault("product_list", json!({ "sort": sort }), "sort")
            .await;
        api.fault(
            "product_find",
            json!({ "query": "x", "sort": sort }),
            "sort",
        )
        .await;
    }
    api.fault("customer_list", json!({ "sort": "pin" }), "sort")
        .await;
}

async fn fifty_come_if_nothing_is_said(api: &dyn Api) {
    let objects: Vec<Value> = (0..51)
        .map(|n| json!({ "body": format!("{n:02}") }))
        .collect();
    api.ok("osis_seed", json!({ "objects": { "memo": objects } }))
        .await;
    let page = api.ok("memo_list", json!({ "sort": "body" })).await;
    let wanted: Vec<String> = (0..50).map(|n| format!("{n:02}")).collect();
    assert_eq!(texts(&page["items"], "body"), wanted);
    assert!(page["next_cursor"].is_string(), "{page}");
    let page = api.ok("memo_list", json!({ "limit": 51 })).await;
    assert_eq!(
        (page["items"].as_array().map(Vec::len), &page["next_cursor"]),
        (Some(51), &json!(null))
    );
}

async fn a_total_comes_if_asked_for(api: &dyn Api) {
    for number in 0..5 {
        product(api, number, &json!({ "stock": number % 2 })).await;
    }
    let params = json!({ "filter": { "stock": 0 }, "limit": 2, "count": true });
    let page = api.ok("product_list", params).await;
    assert_eq!(
        (&page["total"], page["items"].as_array().map(Vec::len)),
        (&json!(3), Some(2))
    );
    let page = api.ok("product_list", json!({ "limit": 2 })).await;
    assert!(page.get("total").is_none(), "{page}");
    api.fault("product_list", json!({ "count": 1 }), "count")
        .await;
}

async fn names_that_mean_something_to_engines_sort(api: &dyn Api) {
    for (order, group, limit) in [(2, "a", 1), (1, "b", 1), (1, "a", 2)] {
        api.new(
            "select",
            json!({ "order": order, "group": group, "limit": limit, "rank": "r" }),
        )
        .await;
    }
    let page = api
        .ok(
            "select_list",
            json!({ "sort": ["-limit", "order", "group"] }),
        )
        .await;
    assert_eq!(column(&page["items"], "order"), [1, 1, 2]);
    assert_eq!(texts(&page["items"], "group"), ["a", "b", "a"]);
}
