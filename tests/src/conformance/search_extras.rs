//! What comes with hits: corrections, facets, highlights (§3 "Search language").

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::product;
use crate::search::apps;

cases![each_search_extras:
    words_that_occur_nowhere_are_corrected,
    what_is_corrected_is_what_is_there_now,
    facets_count_all_matches,
    facets_have_their_forms,
    highlights_are_safe_html,
];

async fn words_that_occur_nowhere_are_corrected(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str], Value)] = &[
        (
            "phto",
            &["editor", "paid", "viewer"],
            json!({ "phto": ["photo"] }),
        ),
        // A swap of neighbours is one typo.
        (
            "hpoto",
            &["editor", "paid", "viewer"],
            json!({ "hpoto": ["photo"] }),
        ),
        // All words within the distance, those of every field.
        (
            "photoz",
            &["editor", "paid", "viewer"],
            json!({ "photoz": ["photo", "photos"] }),
        ),
        ("Chesss", &["chess"], json!({ "chesss": ["chess"] })),
        // Two typos from eight characters on.
        ("graphcsi", &["editor"], json!({ "graphcsi": ["graphics"] })),
        (
            "programers",
            &["text"],
            json!({ "programers": ["programmers"] }),
        ),
        ("grphcsi", &[], json!(null)),
        // Words of three characters have none.
        ("rav", &[], json!(null)),
        (
            "edti viewr",
            &[],
            json!({ "edti": ["edit"], "viewr": ["viewer"] }),
        ),
        (
            "name:phto -paid",
            &["editor", "viewer"],
            json!({ "phto": ["photo"] }),
        ),
        // What is there is left as it is, in whatever field it is.
        ("name:pictures", &[], json!(null)),
        ("photos", &["paid"], json!(null)),
        // No prefix, phrase or excluded word is corrected.
        ("phtoo*", &[], json!(null)),
        ("\"phto\"", &[], json!(null)),
        ("phto-editor", &[], json!(null)),
        ("chess -chesz", &["chess"], json!(null)),
        ("σισυφοζ", &["cafe"], json!({ "σισυφοζ": ["σισυφοσ"] })),
    ];
    for (query, wanted, corrected) in rows {
        let found = api
            .ok("app_find", json!({ "query": query, "sort": "id" }))
            .await;
        let ids: Vec<&str> = found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| id(&hit["object"]))
            .collect();
        assert_eq!(ids, *wanted, "{query:?}");
        assert_eq!(found["total"], wanted.len(), "{query:?}");
        assert_eq!(found["corrected"], *corrected, "{query:?}");
        let as_it_is = json!({ "query": query, "typo": false });
        let found = api.ok("app_find", as_it_is).await;
        assert_eq!(found["corrected"], json!(null), "{query:?}");
    }
    // The last word of a search box is the beginning of one.
    let box_params = json!({ "query": "phto vieq", "prefix_last": true });
    let found = api.ok("app_find", box_params).await;
    assert_eq!(
        (&found["total"], &found["corrected"]),
        (&json!(0), &json!({ "phto": ["photo"] }))
    );
}

async fn what_is_corrected_is_what_is_there_now(api: &dyn Api) {
    apps(api).await;
    let corrected = async |query: &str| {
        let found = api.ok("app_find", json!({ "query": query })).await;
        found["corrected"].clone()
    };
    assert_eq!(corrected("chesz").await, json!({ "chesz": ["chess"] }));
    api.patch(
        "app",
        "chess",
        json!({ "name": "Cheese", "package_id": "org.cheese" }),
    )
    .await;
    assert_eq!(corrected("chesz").await, json!(null));
    assert_eq!(corrected("chese").await, json!({ "chese": ["cheese"] }));
    api.patch("app", "text", json!({ "description": "chesz" }))
        .await;
    assert_eq!(corrected("chesz").await, json!(null));
    api.ok("app_delete", json!({ "id": "text" })).await;
    api.ok("app_delete", json!({ "id": "chess" })).await;
    assert_eq!(corrected("chese").await, json!(null));
}

async fn facets_count_all_matches(api: &dyn Api) {
    let colors = ["red", "green", "red", "blue", "red", "green"];
    for (n, color) in (0_u32..).zip(colors) {
        let fields = json!({
            "title": "word", "color": color, "stock": n % 2, "tags": ["b", "a", "b"],
            "sizes": if n == 0 { json!(null) } else { json!([n % 3]) },
            "discontinued": if n < 4 { json!(null) } else { json!(n == 4) },
        });
        product(api, n, &fields).await;
    }
    product(api, 90, &json!({ "title": "other", "color": "red" })).await;
    let facets = ["color", "stock", "tags", "sizes", "discontinued", "rev"];
    let ask = |more: Value| {
        let mut params = json!({ "query": "word", "limit": 1, "facets": facets });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        params
    };
    let counted = |pairs: &[(Value, u64)]| -> Value {
        let pairs = pairs.iter();
        pairs
            .map(|(value, count)| json!({ "value": value, "count": count }))
            .collect()
    };
    let found = api.ok("product_find", ask(json!({}))).await;
    assert_eq!(found["total"], 6);
    let expected = json!({
        // The most frequent first, then in the order of the values; unset is a value.
        "color": counted(&[(json!("red"), 3), (json!("green"), 2), (json!("blue"), 1)]),
        "stock": counted(&[(json!(0), 3), (json!(1), 3)]),
        // An item counts once for an object, an unset list for nothing.
        "tags": counted(&[(json!("a"), 6), (json!("b"), 6)]),
        "sizes": counted(&[(json!(1), 2), (json!(2), 2), (json!(0), 1)]),
        "discontinued": counted(&[(json!(null), 4), (json!(false), 1), (json!(true), 1)]),
        "rev": counted(&[(json!(1), 6)]),
    });
    assert_eq!(found["facets"], expected);
    let next = ask(json!({ "cursor": found["next_cursor"], "sort": null }));
    assert_eq!(api.ok("product_find", next).await["facets"], expected);

    let red = ask(json!({ "filter": { "color": "red" }, "sort": "sku" }));
    let found = api.ok("product_find", red).await;
    assert_eq!(found["total"], 3);
    assert_eq!(found["facets"]["color"], counted(&[(json!("red"), 3)]));
    assert_eq!(found["facets"]["stock"], counted(&[(json!(0), 3)]));

    let nothing = json!({ "query": "nowhere", "typo": false, "facets": ["color"] });
    let found = api.ok("product_find", nothing).await;
    assert_eq!(found["facets"], json!({ "color": [] }));

    let many: Vec<Value> = (0..130)
        .map(|n| json!({ "sku": format!("CD-{n}"), "title": "many", "stock": n }))
        .collect();
    api.ok("osis_seed", json!({ "objects": { "product": many } }))
        .await;
    let found = api
        .ok(
            "product_find",
            json!({ "query": "many", "facets": ["stock"] }),
        )
        .await;
    let stock = found["facets"]["stock"].as_array().unwrap();
    assert_eq!((stock.len(), &stock[99]["value"]), (100, &json!(99)));
}

async fn facets_have_their_forms(api: &dyn Api) {
    for (facets, path) in [
        (json!("color"), "facets"),
        (json!([7]), "facets[0]"),
        (json!(["color", "nope"]), "facets[1]"),
        (json!(["color", "color"]), "facets[1]"),
        (json!(["body"]), "facets[0]"),
        (json!(["specs"]), "facets[0]"),
        (json!(["photo"]), "facets[0]"),
    ] {
        let params = json!({ "query": "x", "facets": facets });
        api.fault("product_find", params, path).await;
    }
    let secret = json!({ "query": "x", "facets": ["pin"] });
    api.fault("customer_find", secret, "facets[0]").await;
    let found = api
        .ok("product_find", json!({ "query": "x", "facets": [] }))
        .await;
    assert_eq!(found["facets"], json!(null));
}

async fn highlights_are_safe_html(api: &dyn Api) {
    let fields = json!({
        "title": "Fish & <b>Chips</b>",
        "tags": ["a \"chip\"", "chips 'n' fish", "chips"],
        "body": format!("{}CHIPS, café{}", "long way ".repeat(80), " and on".repeat(80)),
    });
    product(api, 1, &fields).await;
    let highlight = async |query: &str| {
        let params = json!({ "query": query, "highlight": true });
        let found = api.ok("product_find", params).await;
        found["hits"][0]["highlight"].clone()
    };
    let found = highlight("chips").await;
    assert_eq!(
        found,
        json!({
            "title": "Fish &amp; &lt;b&gt;<mark>Chips</mark>&lt;/b&gt;",
            "tags": "<mark>chips</mark> &#39;n&#39; fish",
            "body": found["body"],
        })
    );
    let body = found["body"].as_str().unwrap();
    assert!(body.contains("way <mark>CHIPS</mark>, café and"), "{body}");
    let plain = body.replace("<mark>", "").replace("</mark>", "");
    assert_eq!(plain.chars().count(), 300, "{body}");
    assert_eq!(
        highlight("\"chips n fish\"").await,
        json!({ "tags": "<mark>chips</mark> &#39;<mark>n</mark>&#39; <mark>fish</mark>" })
    );
    assert_eq!(
        highlight("tags:chi* -nothing").await["tags"],
        json!("a &quot;<mark>chip</mark>&quot;")
    );
    // A corrected word is marked as what it was met by.
    assert_eq!(
        highlight("fishh").await["title"],
        json!("<mark>Fish</mark> &amp; &lt;b&gt;Chips&lt;/b&gt;")
    );
    let found = api.ok("product_find", json!({ "query": "fish" })).await;
    assert_eq!(found["hits"][0]["highlight"], json!(null), "nobody asked");
}
