//! What the parsers must hold on any input: they end, they do not panic, and what one has printed
//! it reads again as it was.
//!
//! Each function is a target. `cargo +nightly fuzz run search_query --features libfuzzer`, in the
//! root, has libFuzzer make up inputs for as long as one likes (`cargo install cargo-fuzz` once
//! before); the tests here give each target thousands that are made of what its language has, on
//! any compiler.

use std::sync::LazyLock;

use osis_core::batch::SeedMode;
use osis_core::error::{ErrorKind, Faults};
use osis_core::input::canonical;
use osis_core::json::Json;
use osis_core::query::{Filter, sort};
use osis_core::schema::{Schema, Source, Type, load};
use osis_core::text::Query;

/// The built-in schema.
static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| load(&[Source::builtin()]).expect("the built-in schema is right"));

/// A type with searchable strings, texts and lists.
fn app() -> &'static Type {
    SCHEMA.find("app").expect("it is built in")
}

/// A query of the search language: it is read as what it prints, or its faults have columns in it.
pub fn search_query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for prefix_last in [false, true] {
        match Query::parse(app(), text, prefix_last) {
            Ok(query) => {
                assert!(!query.wanted().is_empty(), "{text:?} asks for nothing");
                query.correctable();
                if !prefix_last {
                    let printed = query.display(app()).to_string();
                    let again = Query::parse(app(), &printed, false);
                    assert_eq!(
                        again.ok().as_ref(),
                        Some(&query),
                        "{text:?}, as {printed:?}"
                    );
                }
            }
            Err(error) => {
                let ErrorKind::Invalid(faults) = error.kind() else {
                    panic!("{text:?}: {error}");
                };
                let columns = 1..=text.chars().count().max(1);
                let within = |column: usize| columns.contains(&column);
                let all = faults.iter().all(|fault| fault.column.is_some_and(within));
                assert!(all && !faults.is_empty(), "{text:?}: {faults:?}");
            }
        }
    }
}

/// A filter, and a sort.
pub fn filter(data: &[u8]) {
    let Ok(json) = Json::parse(data) else {
        return;
    };
    for ty in &SCHEMA.types {
        let mut faults = Faults::default();
        let filter = Filter::parse(ty, &json, "filter", &mut faults);
        assert_eq!(filter.is_none(), !faults.is_empty(), "{json:?}");
        let mut faults = Faults::default();
        let sort = sort::parse(ty, &json, "sort", &mut faults);
        assert_eq!(sort.is_none(), !faults.is_empty(), "{json:?}");
    }
}

/// A schema file: its canonical text is the same schema.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(schema) = load(&[Source::new("fuzz.toml", text)]) {
        let again = load(&[Source::new("fuzz.toml", schema.text.as_str())]);
        let again = again.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(again.hash, schema.hash, "{text}");
    }
}

/// A JSON text: its canonical form is the same value.
pub fn json(data: &[u8]) {
    if let Ok(json) = Json::parse(data) {
        let printed = canonical(&json);
        let again = Json::parse(printed.as_bytes());
        let again = again.unwrap_or_else(|error| panic!("{printed}: {error:?}"));
        assert_eq!(canonical(&again), printed);
    }
}

/// A seed file, in each of its forms.
pub fn seed_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for name in ["seed.toml", "seed.json", "seed.ndjson"] {
        if let Err(error) = osis_migrate::seedfile::parse(&SCHEMA, name, text, SeedMode::Insert) {
            assert!(matches!(error.kind(), ErrorKind::Invalid(_)), "{error}");
        }
    }
}

/// The words of a text: taken for a text themselves, they are the same words.
pub fn words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let again = osis_core::text::words(&osis_core::text::words(text).join(" "));
    assert_eq!(again, osis_core::text::words(text), "{text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn search_queries(
            text in "(( |a|photo|-|NOT |OR | AND |\\(|\\)|\"|\\*|name:|tags: |漢|ﬁ|\\+|x:|~|\u{301})){0,40}",
        ) {
            search_query(text.as_bytes());
        }

        #[test]
        fn filters(
            text in "(([{}\\[\\],:]|\"name\"|\"status\"|\"or\"|\"not\"|\"has\"|\"eq\"|\"in\"|\"prefix\"|\"draft\"|null|1|-1\\.5|true)){0,24}",
        ) {
            filter(text.as_bytes());
        }

        #[test]
        fn filters_of_whole_tests(
            field in "name|status|tags|id|rev|created_at|email|none",
            operator in "eq|ne|in|exists|gt|gte|prefix|has|none",
            operand in "null|1|\"a\"|\"draft\"|\\[\\]|\\[\"a\"\\]|true|\\{\\}",
            wrap in "|\"not\":|\"or\":",
        ) {
            let test = format!("{{\"{field}\":{{\"{operator}\":{operand}}}}}");
            let text = match &*wrap {
                "" => test,
                "\"or\":" => format!("{{{wrap}[{test},{test}]}}"),
                _ => format!("{{{wrap}{test}}}"),
            };
            filter(text.as_bytes());
        }

        #[test]
        fn json_texts(text in "(([{}\\[\\],:]|\"(a|\\\\n|\\\\u00e9|\\\\ud800|é)*\"|null|-?[0-9]{1,20}|1e400|1\\.5e-3|true| )){0,24}") {
            json(text.as_bytes());
        }

        #[test]
        fn bytes(data in prop::collection::vec(any::<u8>(), 0..64)) {
            for target in [search_query, filter, schema, json, seed_file, words] {
                target(&data);
            }
        }

        #[test]
        fn texts(text in any::<String>()) {
            for target in [search_query, filter, schema, json, seed_file, words] {
                target(text.as_bytes());
            }
        }
    }

    /// Lines of a text that are left out, doubled, or cut in their middle.
    fn changed(text: &'static str) -> impl Strategy<Value = String> {
        let lines: Vec<&str> = text.lines().collect();
        let changes = prop::collection::vec(
            (0..lines.len(), 0..4_u8, any::<prop::sample::Index>()),
            1..4,
        );
        changes.prop_map(move |changes| {
            let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            for (at, how, cut) in changes {
                let line = lines[at].clone();
                let cut = line.floor_char_boundary(cut.index(line.len() + 1));
                match how {
                    0 => lines[at].clear(),
                    1 => lines[at] = format!("{line}\n{line}"),
                    2 => lines[at].truncate(cut),
                    _ => lines[at] = line[cut..].to_owned(),
                }
            }
            lines.join("\n")
        })
    }

    proptest! {
        #[test]
        fn schemas(text in changed(osis_core::schema::BUILTIN)) {
            schema(text.as_bytes());
        }

        #[test]
        fn seed_files(text in changed(include_str!("../../examples/catalog.toml"))) {
            seed_file(text.as_bytes());
        }
    }
}
