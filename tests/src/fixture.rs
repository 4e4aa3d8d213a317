//! The schema that the tests use, and objects that many of them begin with.

use osis_core::schema::{Schema, Source, load};
use serde_json::{Value, json};

use crate::api::{Api, id};

/// The file of the test's own schema.
pub const SHOP_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/shop.toml");
/// Its text.
pub const SHOP: &str = include_str!("../fixtures/shop.toml");

/// The built-in schema, and the shop beside it.
pub fn schema() -> Schema {
    let sources = [Source::builtin(), Source::new("shop.toml", SHOP)];
    load(&sources).unwrap_or_else(|error| panic!("{error}"))
}

/// A developer of that name.
pub async fn developer(api: &dyn Api, name: &str) -> Value {
    api.new(
        "developer",
        json!({ "name": name, "email": format!("{name}@example.org") }),
    )
    .await
}

/// An app of a developer; its package is `org.example.NAME`.
pub async fn app(api: &dyn Api, developer: &Value, name: &str) -> Value {
    let data = json!({
        "developer_id": id(developer),
        "package_id": format!("org.example.{name}"),
        "name": name,
    });
    api.new("app", data).await
}

/// A version of an app.
pub async fn version(api: &dyn Api, app: &Value, code: i64) -> Value {
    api.new("version", version_data(id(app), code)).await
}

/// What a version is made of.
pub fn version_data(app_id: &str, code: i64) -> Value {
    json!({
        "app_id": app_id,
        "version_code": code,
        "version_name": format!("1.{code}"),
        "package_url": format!("https://example.org/{code}.pkg"),
        "package_size": 1000 + code,
        "signature": "sig",
    })
}

/// A customer of that name.
pub async fn customer(api: &dyn Api, name: &str) -> Value {
    api.new(
        "customer",
        json!({ "name": name, "email": format!("{name}@example.org") }),
    )
    .await
}

/// A product with a number; `fields` are put beside its SKU.
pub async fn product(api: &dyn Api, number: u32, fields: &Value) -> Value {
    api.new("product", product_data(number, fields)).await
}

/// What a product is made of.
pub fn product_data(number: u32, fields: &Value) -> Value {
    let mut data = fields.clone();
    data["sku"] = json!(sku(number));
    data
}

/// The SKU with a number.
pub fn sku(number: u32) -> String {
    format!("AB-{number}")
}

/// An order of a customer on a day of January 2026.
pub async fn order(api: &dyn Api, customer: &Value, day: u32) -> Value {
    let placed_at = format!("2026-01-{day:02}T12:00:00Z");
    api.new(
        "order",
        json!({ "customer_id": id(customer), "placed_at": placed_at }),
    )
    .await
}

/// A line of an order.
pub async fn line(api: &dyn Api, order: &Value, position: i64, product: &Value) -> Value {
    let data = json!({ "order_id": id(order), "position": position, "product_id": id(product) });
    api.new("line", data).await
}

/// A category under another, or at the root.
pub async fn category(api: &dyn Api, name: &str, parent: Option<&Value>) -> Value {
    api.new(
        "category",
        json!({ "name": name, "parent_id": parent.map(id) }),
    )
    .await
}

/// How many objects the catalogue has.
pub const OBJECTS: u64 = 2 + 40 + 40 + 10 + 10;

/// A seed for stores that several processes fill: objects that are matched by a folded key, a key,
/// a composite key of a new target, and by their content.
pub fn catalogue() -> Value {
    let of = |n: u32, object: fn(u32) -> Value| (0..n).map(object).collect::<Value>();
    json!({
        "developer": [
            { "email": "ada@example.org", "name": "Ada" },
            { "email": "bob@example.org", "name": "Bob" },
        ],
        "app": of(40, |n| json!({
            "developer_id": { "email": if n % 2 == 0 { "ADA@example.org" } else { "bob@example.org" } },
            "package_id": format!("org.example.app{n}"),
            "name": format!("App {n}"),
            "description": "one of many apps",
        })),
        "version": of(40, |n| json!({
            "app_id": { "package_id": format!("org.example.app{n}") },
            "version_code": n, "version_name": "1", "package_url": "u", "package_size": 1, "signature": "s",
        })),
        "memo": of(10, |n| json!({ "body": format!("memo {n}") })),
        "category": of(10, |n| json!({ "name": format!("category {n}") })),
    })
}
