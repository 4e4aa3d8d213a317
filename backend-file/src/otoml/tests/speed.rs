//! How fast it is: `cargo test --release -p osis-backend-file speed -- --ignored --nocapture`.

use std::time::Instant;

use super::{row, schema, ty};
use crate::otoml::{fields, object, read, update};

#[test]
#[ignore = "a measurement"]
fn of_an_object_of_a_kilobyte() {
    let schema = schema();
    let ty = ty(&schema, "thing");
    let body = "Some words of a text that a person wrote.\\n".repeat(14);
    let given = [
        ("alias", "\"org.example.notes\""),
        ("body", &*format!("\"{body}\"")),
        ("count", "42"),
        ("extra", r#"{"a": [1, 2.5], "b": {"c": "d"}}"#),
        ("name", "\"Notes and more\""),
        ("tags", r#"["one", "two", "three"]"#),
        ("when", "\"2026-11-21T00:00:00Z\""),
    ];
    let row = row(ty, 2, &given);
    let text = object(ty, &row);
    let odd = text.replace("rev = 2", "rev = 0x2 # two");
    let per = |what: &str, work: &dyn Fn() -> usize| {
        let start = Instant::now();
        let bytes: usize = (0..10_000).map(|_| work()).sum();
        let (took, bytes) = (start.elapsed().as_secs_f64(), bytes as f64);
        let (us, rate) = (took * 100.0, bytes / took / 1e6);
        println!("{what}: {us:.2} µs, {rate:.0} MB/s");
    };
    println!("{} bytes", text.len());
    per("fields", &|| fields(ty, &row.values).len());
    per("object", &|| object(ty, &row).len());
    per("read, canonical", &|| {
        usize::from(read(ty, text.as_bytes()).is_ok()) * text.len()
    });
    per("read, edited", &|| {
        usize::from(read(ty, odd.as_bytes()).is_ok()) * odd.len()
    });
    per("update, canonical", &|| {
        update(&text, ty, &row).map_or(0, |t| t.len())
    });
    per("update, edited", &|| {
        update(&odd, ty, &row).map_or(0, |t| t.len())
    });
}
