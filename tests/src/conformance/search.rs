//! `_find` and its language (§3 "Search language").

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
    fields_without_words_do_not_count,
    equal_relevance_comes_in_the_order_of_ids,
    sort_takes_the_place_of_relevance,
    a_search_sees_every_write_before_it,
    only_searchable_fields_are_searched,
    a_hit_has_object_and_score,
    names_that_mean_something_to_engines_are_searched,
    words_that_occur_nowhere_are_corrected,
    what_is_corrected_is_what_is_there_now,
    facets_count_all_matches,
    facets_have_their_forms,
    highlights_are_safe_html,
    a_word_of_any_script_is_found,
    accidents_and_malice_end_with_an_answer,
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

async fn fields_without_words_do_not_count(api: &dyn Api) {
    let product = json!({
        "sku": "AB-1", "title": null, "unit": "piece", "body": "editor of pictures",
    });
    api.ok("product_new", json!({ "data": product })).await;
    let found = api.ok("product_find", json!({ "query": "editor" })).await;
    // BM25 of a term that is in the only object, once, in a field of weight 1 and average length.
    let expected = (0.5_f64 / 1.5).ln_1p() / 2.2;
    let score = found["hits"][0]["score"].as_f64().unwrap();
    assert!((score - expected).abs() < 1e-12, "{score} and {expected}");
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

async fn a_word_of_any_script_is_found(api: &dyn Api) {
    let names = [
        ("de", "Bildbetrachter für Gemälde", "gemalde"),
        ("tr", "Işık düzenleyici", "DÜZENLEYİCİ"),
        ("el", "Επεξεργαστής εικόνων", "ΕΙΚΟΝΩΝ"),
        ("ru", "Просмотр изображений", "изображений"),
        ("he", "מציג תמונות", "תמונות"),
        ("ar", "عارض الصُّوَر", "الصور"),
        ("hi", "चित्र दर्शक", "दर्शक"),
        ("th", "โปรแกรมดูภาพ", "โปรแกรมดูภาพ"),
        ("zh", "图像查看器", "查看"),
        ("ja", "画像ビューアー", "ビューアー"),
        ("ko", "그림 보기", "보기"),
        ("ka", "სურათების ნახვა", "ნახვა"),
        ("vi", "Trình xem ảnh", "anh"),
    ];
    for (n, (_, name, _)) in (0..).zip(&names) {
        product(api, n, &json!({ "title": name })).await;
    }
    for (language, name, word) in names {
        let params = json!({ "query": word, "typo": false, "highlight": true });
        let found = api.ok("product_find", params).await;
        assert_eq!(found["total"], 1, "{language}");
        assert_eq!(found["hits"][0]["object"]["title"], name, "{language}");
        let html = found["hits"][0]["highlight"]["title"].as_str().unwrap();
        assert!(html.contains("<mark>"), "{language}: {html}");
    }
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
