//! `_find`: what an answer has, and what it is that answers (§3 "Search language").

use serde_json::json;

use crate::api::{Api, id};
use crate::search::{apps, find};

cases![each_search:
    a_hit_has_object_and_score,
    parameters_have_their_forms,
    a_search_sees_every_write_before_it,
    only_searchable_fields_are_searched,
    names_that_mean_something_to_engines_are_searched,
    wrong_queries_are_invalid_with_their_column,
    terms_and_levels_are_bounded,
    accidents_and_malice_end_with_an_answer,
];

async fn a_hit_has_object_and_score(api: &dyn Api) {
    apps(api).await;
    let chess = api.get("app", "chess").await;
    let found = api.ok("app_find", json!({ "query": "chess" })).await;
    let score = found["hits"][0]["score"].clone();
    assert!(score.is_number(), "{found}");
    assert_eq!(found["hits"], json!([{ "object": chess, "score": score }]));
    assert_eq!(
        (&found["total"], &found["next_cursor"]),
        (&json!(1), &json!(null))
    );
    let page = api
        .ok("app_find", json!({ "query": "photo", "limit": 2 }))
        .await;
    assert_eq!(
        (page["hits"].as_array().map(Vec::len), &page["total"]),
        (Some(2), &json!(3))
    );
    let nothing = api
        .ok("app_find", json!({ "query": "nowhere", "typo": false }))
        .await;
    assert_eq!(
        nothing,
        json!({ "hits": [], "total": 0, "next_cursor": null })
    );
}

async fn parameters_have_their_forms(api: &dyn Api) {
    for query in [json!(7), json!(null), json!(["x"]), json!({ "x": 1 })] {
        api.fault("app_find", json!({ "query": query }), "query")
            .await;
    }
    api.fault("app_find", json!({}), "query").await;
    for (name, value) in [
        ("typo", json!(1)),
        ("prefix_last", json!("yes")),
        ("highlight", json!(0)),
        ("facets", json!("category")),
        ("fields", json!({})),
        ("cursor", json!(7)),
        ("nope", json!(1)),
    ] {
        api.fault("app_find", json!({ "query": "x", name: value }), name)
            .await;
    }
}

async fn a_search_sees_every_write_before_it(api: &dyn Api) {
    apps(api).await;
    let ada = api.ok("developer_list", json!({})).await["items"][0]["id"].clone();
    for round in 0..5 {
        let word = format!("fresh{round}");
        let data = json!({
            "id": word, "developer_id": ada, "name": word, "package_id": format!("org.{word}"),
        });
        let made = api.new("app", data).await;
        assert_eq!(find(api, &word).await, [id(&made)]);
        api.patch(
            "app",
            &word,
            json!({ "name": "renamed", "description": "once changed" }),
        )
        .await;
        assert_eq!(
            find(api, &format!("name:{word}")).await,
            Vec::<String>::new()
        );
        assert_eq!(find(api, "\"once changed\"").await, [id(&made)]);
        let op =
            json!({ "method": "app_set", "params": { "id": word, "data": { "tags": ["both"] } } });
        api.ok("osis_transaction", json!({ "ops": [op] })).await;
        assert_eq!(find(api, "tags:both").await, [id(&made)]);
        api.ok("app_delete", json!({ "id": word })).await;
        assert_eq!(find(api, "renamed").await, Vec::<String>::new());
    }
    api.ok("developer_delete", json!({ "id": ada })).await;
    assert_eq!(
        find(api, "photo OR chess").await,
        Vec::<String>::new(),
        "cascades too"
    );
}

async fn only_searchable_fields_are_searched(api: &dyn Api) {
    let data = json!({
        "name": "Ada", "email": "ada@example.org", "password_hash": "hashword",
        "oauth_provider": "providerword",
    });
    api.new("developer", data).await;
    for (query, wanted) in [
        ("ada", 1),
        ("ada@example.org", 1),
        ("hashword", 0),
        ("providerword", 0),
    ] {
        let params = json!({ "query": query, "typo": false });
        assert_eq!(
            api.ok("developer_find", params).await["total"],
            wanted,
            "{query}"
        );
    }
    for field in ["password_hash", "oauth_provider", "verified"] {
        let error = api
            .fails(
                "developer_find",
                json!({ "query": format!("{field}:x") }),
                "invalid",
            )
            .await;
        assert_eq!(error.paths(), ["query"], "{field}");
    }
}

async fn names_that_mean_something_to_engines_are_searched(api: &dyn Api) {
    let data = json!({
        "order": 1, "group": "a", "rank": "first rank", "rowid": "row", "having": ["some", "more"],
    });
    api.new("select", data).await;
    for query in [
        "rank:first",
        "rowid:row",
        "having:more",
        "first row",
        "\"first rank\"",
    ] {
        assert_eq!(
            api.ok("select_find", json!({ "query": query })).await["total"],
            1,
            "{query}"
        );
    }
}

async fn wrong_queries_are_invalid_with_their_column(api: &dyn Api) {
    let rows: &[(&str, usize)] = &[
        ("", 1),
        ("   ", 1),
        ("+", 1),
        ("\"\"", 1),
        ("😀", 1),
        ("-paid", 1),
        ("NOT paid", 1),
        ("photo OR -paid", 10),
        ("-a OR photo", 1),
        ("a (-b)", 4),
        ("\"photo", 1),
        ("é \"photo", 3),
        ("(photo", 1),
        ("photo)", 6),
        ("漢 (字", 3),
        ("()", 1),
        ("photo ()", 7),
        ("OR", 1),
        ("photo OR", 7),
        ("OR photo", 1),
        ("a OR OR b", 3),
        ("nope:a", 1),
        ("photo nope:a", 7),
        ("status:draft", 1),
        ("developer_id:x", 1),
        ("id:x", 1),
        ("http://example.org", 1),
        ("photo~", 6),
        ("photo~2", 6),
        ("a*", 1),
        ("photo e*", 7),
    ];
    for (query, column) in rows {
        let error = api
            .fails("app_find", json!({ "query": query }), "invalid")
            .await;
        assert_eq!(error.paths(), ["query"], "{query:?}");
        assert_eq!(
            error.data["errors"][0]["column"], *column,
            "{query:?}: {}",
            error.message
        );
    }
    let error = api
        .fails("app_find", json!({ "query": "nope:a x~ (b" }), "invalid")
        .await;
    assert_eq!(error.paths(), ["query", "query", "query"], "all of them");
}

async fn terms_and_levels_are_bounded(api: &dyn Api) {
    apps(api).await;
    let terms = |n: usize| vec!["chess"; n].join(" ");
    assert_eq!(find(api, &terms(256)).await, ["chess"]);
    assert_eq!(
        api.faults("app_find", json!({ "query": terms(257) })).await,
        ["query"]
    );
    let either: Vec<String> = (0..255).map(|n| format!("w{n}")).collect();
    assert_eq!(
        find(api, &(either.join(" OR ") + " OR chess")).await,
        ["chess"]
    );
    let levels = |n: usize| "(".repeat(n) + "chess" + &")".repeat(n);
    assert_eq!(find(api, &levels(32)).await, ["chess"]);
    assert_eq!(
        api.faults("app_find", json!({ "query": levels(33) })).await,
        ["query"]
    );
    let deep = (0..15).fold("chess".to_owned(), |inner, n| {
        format!("(w{n} OR ({inner} -x{n}))")
    });
    assert_eq!(find(api, &deep).await, ["chess"]);
    let long = "chess ".repeat(200_000);
    assert_eq!(
        api.faults("app_find", json!({ "query": long })).await,
        ["query"]
    );
}

async fn accidents_and_malice_end_with_an_answer(api: &dyn Api) {
    apps(api).await;
    let many = |n: usize| (0..n).map(|n| format!("w{n}")).collect::<Vec<_>>();
    let fields = vec!["name:photo"; 200].join(" ");
    // Each word is like others, so that each is replaced by several.
    let mistyped: Vec<String> = (0..200).map(|n| format!("phot{}", n % 10)).collect();
    let rows: Vec<(String, bool)> = vec![
        ("\"".to_owned(), false),
        ("\"\"\"".to_owned(), false),
        (many(10_000).join(" "), false),
        (many(10_000).join(" OR "), false),
        (format!("\"{}\"", many(10_000).join(" ")), false),
        (format!("\"{}\"", many(1000).join(" ")), true),
        (many(2000).join("-"), false),
        ("a*".to_owned(), false),
        ("ed*".to_owned(), true),
        ("a".repeat(1 << 20), true),
        ("é ".repeat(1 << 19), false),
        ("漢".repeat(1 << 18), false),
        ("\u{301}".repeat(1 << 19), false),
        ("(".repeat(1 << 20), false),
        ("(".repeat(10_000) + "photo" + &")".repeat(10_000), false),
        ("-(".repeat(33) + "photo" + &")".repeat(33), false),
        ("photo -(a OR ".repeat(16) + "b" + &")".repeat(16), true),
        (fields, true),
        (vec!["nope:photo"; 200].join(" "), false),
        (mistyped.join(" "), true),
        (mistyped.join(" OR "), true),
        ("photo ".repeat(256), true),
        ("NOT ".repeat(5001) + "photo", false),
        ("OR ".repeat(5000), false),
        ("\u{0}photo".to_owned(), false),
        ("photo'; DROP TABLE apps; --".to_owned(), true),
        ("photo\") OR rowid:* (\"".to_owned(), true),
        ("{name} : photo".to_owned(), true),
        ("NEAR(photo editor, 5)".to_owned(), true),
        ("^photo + editor".to_owned(), true),
        ("photo^2 AND /.*/".to_owned(), true),
        ("[a TO z]".to_owned(), true),
    ];
    for (query, is_answered) in rows {
        let shown: String = query.chars().take(40).collect();
        let facets = ["category", "tags", "status"];
        let params = json!({ "query": query, "highlight": true, "facets": facets });
        match (api.call("app_find", params).await, is_answered) {
            (Ok(found), true) => assert!(found["total"].is_u64(), "{shown:?}"),
            (Err(error), false) => {
                assert_eq!(error.kind(), "invalid", "{shown:?}: {}", error.message);
                assert!(error.message.len() < 2000, "{shown:?}");
                assert!(
                    error.paths().iter().all(|path| *path == "query"),
                    "{shown:?}"
                );
            }
            (answer, _) => panic!("{shown:?} was answered {answer:?}"),
        }
    }
}
