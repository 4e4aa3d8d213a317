//! Searches on the Debian archive, on every kind of store: equal answers, what people look for
//! among the first, translated names, and what somebody sends by accident or malice.
//!
//! Of the archive a sample is taken, which takes seconds; with `OSIS_ARCHIVE=whole` all of it:
//! `OSIS_ARCHIVE=whole cargo test --release -p osis-tests --test archive -- --nocapture`.
//! `benches/search_figures` measures the same over JSON-RPC.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeSet;
use std::time::Duration;

use osis_core::Store;
use osis_rpc::{Limits, Service};
use osis_tests::api::Api;
use osis_tests::archive::{self, Catalog, Judged, Translations};
use osis_tests::parts;
use osis_tests::places::{Kind, Place};
use osis_tests::plain::{Fts5, Plain, PlainTantivy};
use osis_tests::settings::Direct;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How many queries are made of the archive.
const QUERIES: usize = 500;
/// How many names of packages are mistyped.
const MISTYPED: usize = 50;
/// How many hits are compared and judged.
const TOP: usize = 10;
/// With so many apps it is not a sample.
const WHOLE_MIN: usize = 10_000;
/// The least share of what people expect that a sample's first ten must have.
const SHARE_MIN: f64 = 0.6;

/// A store with the catalogue.
struct Engine {
    kind: Kind,
    api: Direct,
    _place: Place,
}

impl Engine {
    async fn seeded(kind: Kind, catalog: &Catalog) -> Self {
        let place = Place::new(kind);
        let api = Direct(Service::new(Store::new(place.backend()), Limits::default()));
        for params in catalog.seeds() {
            api.call("osis_seed", params).await.unwrap();
        }
        Self {
            kind,
            api,
            _place: place,
        }
    }

    async fn find(&self, params: &Value) -> Value {
        let found = self.api.call("app_find", params.clone()).await;
        found.unwrap_or_else(|error| panic!("{}: {params}: {error:?}", self.kind.name()))
    }

    /// The names of the first apps that a query finds.
    async fn top(&self, query: &str) -> Vec<String> {
        let params = json!({ "query": query, "limit": TOP, "fields": ["name"] });
        names(&self.find(&params).await)
    }
}

fn names(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap().iter();
    hits.map(|hit| hit["object"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn searches_on_the_archive() {
    let catalog = match Catalog::of_machine() {
        Ok(catalog) => catalog,
        Err(why) => return parts::skip("searches on the Debian archive", &why),
    };
    let is_whole = std::env::var("OSIS_ARCHIVE").is_ok_and(|value| value == "whole");
    let catalog = if is_whole { catalog } else { catalog.sample() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut engines = Vec::new();
        for kind in Kind::all("searches on the Debian archive with PostgreSQL") {
            engines.push(Engine::seeded(kind, &catalog).await);
        }
        answers_are_equal(&engines, &catalog).await;
        what_people_look_for_comes_first(&engines, &catalog).await;
        accidents_and_malice_end_in_time(&engines).await;
        translations_are_found(&engines, &catalog).await;
        for engine in engines {
            engine.api.0.store().close().await.unwrap();
            assert_eq!(engine.api.0.panics(), 0, "calls have panicked");
        }
    });
}

/// Hits with their scores, totals, facets, highlights and corrections are the same on each engine.
async fn answers_are_equal(engines: &[Engine], catalog: &Catalog) {
    let asked = archive::of_archive(&catalog.apps, QUERIES, 5);
    let mistyped = archive::mistyped(&catalog.apps, MISTYPED);
    let queries = asked.iter().map(archive::Asked::query);
    let queries = queries.chain(archive::judged().into_iter().map(|judged| judged.query));
    let queries: Vec<String> = queries
        .chain(mistyped.into_iter().map(|(_, wrong)| wrong))
        .collect();
    let (mut found_some, mut corrected) = (0, 0);
    for query in &queries {
        let params = json!({
            "query": query, "limit": TOP, "highlight": true, "facets": ["category", "tags"],
        });
        let mut answers = Vec::new();
        for engine in engines {
            let mut answer = engine.find(&params).await;
            for hit in answer["hits"].as_array_mut().unwrap() {
                let object = hit["object"].as_object_mut().unwrap();
                object.remove("created_at");
                object.remove("updated_at");
            }
            // A cursor holds the seq of a commit, which differs.
            answer["next_cursor"] = json!(!answer["next_cursor"].is_null());
            answers.push(answer);
        }
        for (engine, answer) in engines.iter().zip(&answers) {
            let names = [engines[0].kind.name(), engine.kind.name()];
            assert_eq!(answer, &answers[0], "{names:?} answer {query:?}");
        }
        found_some += usize::from(answers[0]["total"] != 0);
        corrected += usize::from(!answers[0]["corrected"].is_null());
    }
    // What finds nothing proves nothing.
    assert!(
        found_some * 10 > queries.len() * 8,
        "{found_some} of {}",
        queries.len()
    );
    assert!(
        corrected > MISTYPED / 2,
        "{corrected} queries were corrected"
    );
    eprintln!(
        "{} apps, {} queries, {} engines: equal answers; {found_some} found something",
        catalog.apps.len(),
        queries.len(),
        engines.len()
    );
}

/// Of what people expect, each engine has no less among its first ten than FTS5 and Tantivy have
/// with their defaults, in each part of the judged queries. Tantivy or-s words, which puts little in
/// the way of what is expected where there is little at all: so it counts with the whole archive.
async fn what_people_look_for_comes_first(engines: &[Engine], catalog: &Catalog) {
    let folder = TempDir::new().unwrap();
    let fts5 = Fts5::new(&folder.path().join("plain.db"), &catalog.apps);
    let plain: [&dyn Plain; 2] = [&fts5, &PlainTantivy::new(&catalog.apps)];
    let judged = archive::judged();
    let names: BTreeSet<&String> = catalog.apps.iter().map(|app| &app.name).collect();
    let expected = judged.iter().flat_map(|judged| &judged.expected);
    let absent: Vec<&String> = expected.filter(|name| !names.contains(name)).collect();
    // Packages come and go with the archive's releases.
    assert!(absent.len() < 20, "not in the archive: {absent:?}");
    for held_out in [false, true] {
        let part: Vec<&Judged> = judged.iter().filter(|j| j.held_out == held_out).collect();
        let share = |found: &[Vec<String>]| {
            let shares = part
                .iter()
                .zip(found)
                .map(|(judged, found)| judged.share(found));
            shares.sum::<f64>() / part.len() as f64
        };
        let mut limits = Vec::new();
        for plain in plain {
            let found = part.iter().map(|j| plain.top_by_default(&j.query, TOP));
            limits.push((plain.name(), share(&found.collect::<Vec<_>>())));
        }
        for engine in engines {
            let mut found = Vec::new();
            for judged in &part {
                found.push(engine.top(&judged.query).await);
            }
            let (ours, name) = (share(&found), engine.kind.name());
            eprintln!("held out: {held_out}: {name} {ours:.3}, beside {limits:.3?}");
            let is_sample = catalog.apps.len() < WHOLE_MIN;
            for (plain, share) in &limits[..if is_sample { 1 } else { 2 }] {
                assert!(ours >= *share, "{name} finds {ours}, {plain} {share}");
            }
            assert!(
                !is_sample || ours >= SHARE_MIN,
                "{name} finds {ours} of a sample"
            );
        }
    }
}

/// Each ends within the time limit of a call, with an answer or with words that say what is wrong.
async fn accidents_and_malice_end_in_time(engines: &[Engine]) {
    let limit = Limits::default().timeout + Duration::from_secs(5);
    for (query, is_answered) in archive::accidents() {
        let shown: String = query.chars().take(40).collect();
        for engine in engines {
            let name = engine.kind.name();
            let params =
                json!({ "query": query, "highlight": true, "facets": ["category", "tags"] });
            let answer = tokio::time::timeout(limit, engine.api.call("app_find", params)).await;
            let answer = answer.unwrap_or_else(|_| panic!("{name} does not end with {shown:?}"));
            match answer {
                Ok(found) => {
                    assert!(is_answered && found["total"].is_u64(), "{name}: {shown:?}");
                }
                Err(error) => {
                    let kind = if is_answered {
                        "unavailable"
                    } else {
                        "invalid"
                    };
                    assert_eq!(error.kind(), kind, "{name}: {shown:?}: {}", error.message);
                }
            }
        }
    }
}

/// Apps are found by a word of their name in each language that they were translated to.
async fn translations_are_found(engines: &[Engine], catalog: &Catalog) {
    let folder = TempDir::new().unwrap();
    let translations = match Translations::of_machine(catalog, folder.path()) {
        Ok(translations) => translations,
        Err(why) => return parts::skip("translated names of AppStream", &why),
    };
    let words = &translations.words;
    let languages: BTreeSet<&str> = words.iter().map(|(language, ..)| &**language).collect();
    for language in ["ar", "de", "el", "ja", "ko", "ru", "zh_CN"] {
        assert!(languages.contains(language), "no word of {language}");
    }
    for engine in engines {
        for some in translations.objects.chunks(500) {
            let params = json!({ "objects": { "app": some }, "mode": "update" });
            engine.api.call("osis_seed", params).await.unwrap();
        }
        for (language, app, word) in words {
            let params = json!({
                "query": word, "filter": { "package_id": app }, "typo": false, "fields": ["name"],
            });
            let total = engine.find(&params).await["total"].clone();
            assert_eq!(
                total,
                1,
                "{}: {language}: {word} of {app}",
                engine.kind.name()
            );
        }
    }
    eprintln!(
        "{} words of {} languages are found",
        words.len(),
        languages.len()
    );
}
