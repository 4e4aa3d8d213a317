//! The search language: operators, phrases, prefixes, single fields (§3 "Search language").

use serde_json::{Value, json};

use crate::api::{Api, texts};
use crate::search::{apps, check};

cases![each_search_language:
    words_and_operators,
    phrases_lie_in_one_field_and_one_element,
    bare_terms_of_several_words_are_phrases,
    prefixes,
    single_fields,
    operators_stand_where_they_may,
    terms_without_letter_or_digit_are_left_out,
    prefix_last_completes_the_last_word,
];

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
