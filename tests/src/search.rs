//! Six apps to search for, and how to.

use serde_json::{Value, json};

use crate::api::{Api, id};
use crate::fixture::developer;

/// Six apps whose ids are their short names.
pub(crate) async fn apps(api: &dyn Api) {
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
pub(crate) async fn find(api: &dyn Api, query: &str) -> Vec<String> {
    let params = json!({ "query": query, "sort": "id", "typo": false });
    let found = api.ok("app_find", params).await;
    let hits = found["hits"].as_array().unwrap();
    assert_eq!(found["total"], hits.len(), "{query:?}");
    hits.iter()
        .map(|hit| id(&hit["object"]).to_owned())
        .collect()
}

pub(crate) async fn check(api: &dyn Api, rows: &[(&str, &[&str])]) {
    for (query, wanted) in rows {
        assert_eq!(find(api, query).await, *wanted, "{query:?}");
    }
}
