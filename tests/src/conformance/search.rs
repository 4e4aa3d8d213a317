//! `_find` and its language (§3 "Search language"), but for corrections, facets and highlights.

use serde_json::{Value, json};

use crate::api::{Api, id, texts};
use crate::fixture::{developer, product};

cases![each_search:
    words_and_operators,
    phrases_lie_in_one_field_and_one_element,
    bare_terms_of_several_words_are_phrases,
    prefixes,
    single_fields,
    words_are_folded,
    han_and_kana_are_words_one_by_one,
    operators_stand_where_they_may,
    terms_without_letter_or_digit_are_left_out,
    prefix_last_completes_the_last_word,
    words_are_cut_after_64_characters,
    the_first_16_000_words_are_searched,
    occurrences_past_the_255th_do_not_count,
    wrong_queries_are_invalid_with_their_column,
    terms_and_levels_are_bounded,
    parameters_have_their_forms,
    the_more_relevant_comes_first,
    equal_relevance_comes_in_the_order_of_ids,
    sort_takes_the_place_of_relevance,
    a_search_sees_every_write_before_it,
    only_searchable_fields_are_searched,
    a_hit_has_object_and_score,
    names_that_mean_something_to_engines_are_searched,
];

/// Six apps whose ids are their short names.
async fn apps(api: &dyn Api) {
    let ada = developer(api, "ada").await;
    let app = |id: &str, name: &str, package: &str, description: Value, tags: Value| {
        json!({
            "id": id, "developer_id": ada["id"], "name": name, "package_id": package,
            "description": description, "tags": tags,
        })
    };
    let objects = [
        app(
            "editor",
            "Photo Editor",
            "org.example.photo",
            json!("Edit your pictures fast. Supports raw files."),
            json!(["image", "graphics tools"]),
        ),
        app(
            "viewer",
            "Photo Viewer",
            "org.example.viewer",
            json!("Shows a photo; no editor inside."),
            json!(["image"]),
        ),
        app(
            "text",
            "Text Editor",
            "com.acme.text-editor",
            json!("func(x) for programmers"),
            json!(["code", "plain text"]),
        ),
        app(
            "paid",
            "Paid Photo Studio",
            "com.acme.studio",
            json!("editor for photos"),
            json!(["pro"]),
        ),
        app(
            "cafe",
            "Café 漢字かなカナ",
            "jp.cafe.kanji",
            json!("naïve ﬁle Straße ΣΊΣΥΦΟΣ x² ２０２６ don't"),
            json!([]),
        ),
        app(
            "chess",
            "Chess",
            "org.gnome.chess",
            json!(null),
            json!(null),
        ),
    ];
    api.ok("osis_seed", json!({ "objects": { "app": objects } }))
        .await;
}

/// The ids of what a query finds, sorted; corrections are another matter.
async fn find(api: &dyn Api, query: &str) -> Vec<String> {
    let params = json!({ "query": query, "sort": "id", "typo": false });
    let found = api.ok("app_find", params).await;
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(found["total"], hits.len(), "{query:?}");
    hits.iter()
        .map(|hit| id(&hit["object"]).to_owned())
        .collect()
}

async fn check(api: &dyn Api, rows: &[(&str, &[&str])]) {
    for (query, wanted) in rows {
        assert_eq!(find(api, query).await, *wanted, "{query:?}");
    }
}

async fn words_and_operators(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("photo", &["editor", "paid", "viewer"]),
        ("editor", &["editor", "paid", "text", "viewer"]),
        ("photo editor", &["editor", "paid", "viewer"]),
        ("editor photo", &["editor", "paid", "viewer"]),
        ("photo AND editor", &["editor", "paid", "viewer"]),
        ("photo chess", &[]),
        ("nowhere", &[]),
        ("phot", &[]),
        ("photo -paid", &["editor", "viewer"]),
        ("-paid photo", &["editor", "viewer"]),
        ("photo NOT paid", &["editor", "viewer"]),
        ("photo AND NOT paid", &["editor", "viewer"]),
        ("photo -nowhere", &["editor", "paid", "viewer"]),
        ("editor -(photo paid)", &["editor", "text", "viewer"]),
        ("editor -(paid OR text)", &["editor", "viewer"]),
        ("editor -\"photo editor\"", &["paid", "text", "viewer"]),
        ("editor -pho*", &["text"]),
        ("editor -name:photo", &["text"]),
        ("chess OR text", &["chess", "text"]),
        ("chess OR nowhere", &["chess"]),
        (
            "photo editor OR chess",
            &["chess", "editor", "paid", "viewer"],
        ),
        ("chess OR photo raw", &["chess", "editor"]),
        ("photo (raw OR studio)", &["editor", "paid"]),
        ("(photo OR chess) -(viewer OR studio)", &["chess", "editor"]),
        ("((chess))", &["chess"]),
        ("photo -paid OR chess", &["chess", "editor", "viewer"]),
    ];
    check(api, rows).await;
}

async fn phrases_lie_in_one_field_and_one_element(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("\"photo editor\"", &["editor"]),
        ("\"editor photo\"", &[]),
        ("\"Photo, EDITOR!\"", &["editor"]),
        ("\"edit your pictures fast supports\"", &["editor"]),
        ("\"no editor inside\"", &["viewer"]),
        ("\"photo no\"", &["viewer"]),
        ("\"plain text\"", &["text"]),
        ("\"code plain\"", &[]),
        ("\"image graphics\"", &[]),
        ("\"graphics tools\"", &["editor"]),
        ("\"editor edit\"", &[]),
        ("\"studio com\"", &[]),
        ("\"photo\"", &["editor", "paid", "viewer"]),
        ("\"photo OR editor\"", &[]),
        ("\"photo editor\" raw", &["editor"]),
    ];
    check(api, rows).await;
}

async fn bare_terms_of_several_words_are_phrases(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("photo-editor", &["editor"]),
        ("editor-photo", &[]),
        ("org.example.photo", &["editor"]),
        ("org.example", &["editor", "viewer"]),
        ("org.photo", &[]),
        ("text-editor", &["text"]),
        ("photo,editor", &["editor"]),
        ("don't", &["cafe"]),
        ("don", &["cafe"]),
        ("x²", &["cafe"]),
    ];
    check(api, rows).await;
}

async fn prefixes(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("edit*", &["editor", "paid", "text", "viewer"]),
        ("ed*", &["editor", "paid", "text", "viewer"]),
        ("edits*", &[]),
        ("EDIT*", &["editor", "paid", "text", "viewer"]),
        ("pho* stu*", &["paid"]),
        ("photo-v*", &["viewer"]),
        ("photo-vi*", &["viewer"]),
        ("org.example.p*", &["editor"]),
        ("\"photo v\"*", &["viewer"]),
        ("\"no ed\"*", &["viewer"]),
        ("photo -view*", &["editor", "paid"]),
        ("name:ed*", &["editor", "text"]),
        ("che* OR stu*", &["chess", "paid"]),
    ];
    check(api, rows).await;
}

async fn single_fields(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("name:editor", &["editor", "text"]),
        ("name:photo description:editor", &["paid", "viewer"]),
        ("name:\"photo editor\"", &["editor"]),
        ("name:(viewer OR chess)", &["chess", "viewer"]),
        ("name:(photo editor)", &["editor"]),
        ("tags:image", &["editor", "viewer"]),
        ("tags:text", &["text"]),
        ("tags:\"code plain\"", &[]),
        ("package_id:org.example", &["editor", "viewer"]),
        ("package_id:editor", &["text"]),
        ("description:photos", &["paid"]),
        ("description:chess", &[]),
        ("name:photo-editor", &["editor"]),
        ("name:edit tags:image", &[]),
        ("photo -description:editor", &["editor"]),
    ];
    check(api, rows).await;
}

async fn words_are_folded(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("PHOTO", &["editor", "paid", "viewer"]),
        ("cafe", &["cafe"]),
        ("CAFÉ", &["cafe"]),
        ("cafe\u{301}", &["cafe"]),
        ("naive", &["cafe"]),
        ("file", &["cafe"]),
        ("ﬁle", &["cafe"]),
        ("strasse", &["cafe"]),
        ("STRASSE", &["cafe"]),
        ("straße", &["cafe"]),
        ("σισυφος", &["cafe"]),
        ("σίσυφοσ", &["cafe"]),
        ("2026", &["cafe"]),
        ("２０２６", &["cafe"]),
        ("x2", &["cafe"]),
        ("ｐｈｏｔｏ", &["editor", "paid", "viewer"]),
    ];
    check(api, rows).await;
}

async fn han_and_kana_are_words_one_by_one(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("漢字", &["cafe"]),
        ("漢", &["cafe"]),
        ("字", &["cafe"]),
        ("字かな", &["cafe"]),
        ("かなカナ", &["cafe"]),
        ("字漢", &[]),
        ("漢 かな", &["cafe"]),
        ("漢語", &[]),
        ("name:漢字", &["cafe"]),
        ("description:漢字", &[]),
    ];
    check(api, rows).await;
}

async fn operators_stand_where_they_may(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("func(x)", &["text"]),
        ("func(photo)", &[]),
        ("chess or text", &[]),
        ("photo not paid", &[]),
        ("photo and editor", &[]),
        ("Chess Or text", &[]),
        ("(chess)OR(text)", &["chess", "text"]),
        ("photo\"no editor\"inside", &["viewer"]),
        ("photo-paid", &[]),
        ("photo -paid", &["editor", "viewer"]),
        ("photo - paid", &["paid"]),
        ("*photo", &["editor", "paid", "viewer"]),
        ("photo*editor", &["editor"]),
        ("photo * chess", &[]),
    ];
    check(api, rows).await;
}

async fn terms_without_letter_or_digit_are_left_out(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("photo + raw", &["editor"]),
        ("photo & raw !", &["editor"]),
        ("😀 chess 😀", &["chess"]),
        ("chess \"\"", &["chess"]),
        ("chess \"...\"", &["chess"]),
        ("chess -+", &["chess"]),
        ("chess -\"!\"", &["chess"]),
    ];
    check(api, rows).await;
}

async fn prefix_last_completes_the_last_word(api: &dyn Api) {
    apps(api).await;
    let rows: &[(&str, &[&str])] = &[
        ("photo ed", &["editor", "paid", "viewer"]),
        ("photo v", &["viewer"]),
        ("photo v ", &["viewer"]),
        ("p", &["editor", "paid", "text", "viewer"]),
        ("photo-v", &["viewer"]),
        ("name:v", &["viewer"]),
        ("chess OR stud", &["chess", "paid"]),
        ("\"photo v\"", &[]),
        ("ed photo", &[]),
        ("edi*", &["editor", "paid", "text", "viewer"]),
    ];
    for (query, wanted) in rows {
        let params = json!({ "query": query, "sort": "id", "prefix_last": true, "typo": false });
        let found = api.ok("app_find", params).await;
        let objects = found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["object"].clone());
        let objects: Value = objects.collect();
        assert_eq!(texts(&objects, "id"), *wanted, "{query:?}");
    }
}

async fn words_are_cut_after_64_characters(api: &dyn Api) {
    product(api, 1, &json!({ "title": "é".repeat(70) })).await;
    let total =
        |count: usize, tail: &str| json!({ "query": "e".repeat(count) + tail, "typo": false });
    for (params, wanted) in [
        (total(64, ""), 1),
        (total(70, ""), 1),
        (total(64, "xyz"), 1),
        (total(63, "x"), 0),
        (total(63, ""), 0),
        (total(63, "*"), 1),
        (total(80, "*"), 1),
    ] {
        assert_eq!(
            api.ok("product_find", params.clone()).await["total"],
            wanted,
            "{params}"
        );
    }
}

async fn the_first_16_000_words_are_searched(api: &dyn Api) {
    let word = |n: usize| format!("word{n}");
    let body: Vec<String> = (1..=16_100).map(word).collect();
    let fields = json!({ "title": "two words", "tags": ["a tag"], "body": body.join(" ") });
    product(api, 1, &fields).await;
    // Two words of the title and two of the tags come before the text, whatever its place.
    for (query, wanted) in [
        (word(1), 1),
        (word(15_900), 1),
        (word(16_050), 0),
        (word(16_100), 0),
        ("tag".to_owned(), 1),
        ("title:two".to_owned(), 1),
    ] {
        let params = json!({ "query": query, "typo": false });
        assert_eq!(
            api.ok("product_find", params).await["total"],
            wanted,
            "{query}"
        );
    }
}

async fn occurrences_past_the_255th_do_not_count(api: &dyn Api) {
    let body = |times: usize| json!({ "body": "many ".repeat(times) + "end" });
    product(api, 1, &body(255)).await;
    product(api, 2, &body(256)).await;
    for (query, wanted) in [
        ("many", 2),
        ("end", 2),
        ("\"many end\"", 1),
        ("\"many many\"", 2),
    ] {
        let found = api.ok("product_find", json!({ "query": query })).await;
        assert_eq!(found["total"], wanted, "{query}");
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

async fn the_more_relevant_comes_first(api: &dyn Api) {
    apps(api).await;
    for (query, first) in [
        // A name weighs more than a description.
        ("editor", &["editor", "text"][..]),
        // More terms met, and rarer ones.
        ("chess OR photo", &["chess"]),
        ("studio OR editor", &["paid"]),
    ] {
        let found = api.ok("app_find", json!({ "query": query })).await;
        let hits = found["hits"].as_array().unwrap();
        let scores: Vec<f64> = hits
            .iter()
            .map(|hit| hit["score"].as_f64().unwrap())
            .collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{query}: {scores:?}");
        assert!(
            scores.iter().all(|score| score.is_finite()),
            "{query}: {scores:?}"
        );
        let mut ids: Vec<&str> = hits.iter().map(|hit| id(&hit["object"])).collect();
        ids.truncate(first.len());
        ids.sort_unstable();
        assert_eq!(ids, first, "{query}: {found}");
    }
}

async fn equal_relevance_comes_in_the_order_of_ids(api: &dyn Api) {
    for id in ["cccc", "aaaa", "bbbb"] {
        let data =
            json!({ "id": id, "sku": format!("AB-{}", id.as_bytes()[0]), "title": "same words" });
        api.new("product", data).await;
    }
    let found = api.ok("product_find", json!({ "query": "words" })).await;
    let ids: Vec<&str> = found["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| id(&h["object"]))
        .collect();
    assert_eq!(ids, ["aaaa", "bbbb", "cccc"]);
}

async fn sort_takes_the_place_of_relevance(api: &dyn Api) {
    apps(api).await;
    for (sort, wanted) in [
        (json!("name"), ["paid", "editor", "viewer"]),
        (json!("-name"), ["viewer", "editor", "paid"]),
        (
            json!(["-status", "package_id"]),
            ["paid", "editor", "viewer"],
        ),
    ] {
        let found = api
            .ok("app_find", json!({ "query": "photo", "sort": sort }))
            .await;
        let ids: Vec<&str> = found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| id(&hit["object"]))
            .collect();
        assert_eq!(ids, wanted, "{sort}");
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
