//! What a word is, in any script, and how many of them are searched (§3 "Search language").

use serde_json::json;

use crate::api::Api;
use crate::fixture::product;
use crate::search::{apps, check};

cases![each_search_words:
    words_are_folded,
    han_and_kana_are_words_one_by_one,
    a_word_of_any_script_is_found,
    words_are_cut_after_64_characters,
    the_first_16_000_words_are_searched,
    occurrences_past_the_255th_do_not_count,
];

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
