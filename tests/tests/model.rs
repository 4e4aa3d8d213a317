//! The model test: random histories on an engine and on the one in memory, equal after each step.
//!
//! The engine in memory is small enough to be right by reading it, and the suite holds it against
//! the contract; here it is the oracle. Data, filters and queries are made from the schema alone,
//! over small domains, so that keys clash, references dangle and deletes cascade. Where an answer
//! may differ between two stores (times, numbers of commits, scores) it is made equal first; ids
//! are given by the test. A failing history is shrunk, and its seed kept in
//! `proptest-regressions/`. `PROPTEST_CASES` runs more.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

mod model {
    pub(crate) mod history;
    pub(crate) mod pair;
    pub(crate) mod queries;
    pub(crate) mod searches;
    pub(crate) mod values;
}

use osis_core::schema::{Schema, Type};
use osis_tests::fixture;
use osis_tests::places::Kind;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence};

use model::history::{Step, history};
use model::pair::Pair;
use model::searches::{Case, case, compare};

/// The types of the histories, those that refer to each other together: a history is about one
/// such family, so that much happens to few objects. The types that the store writes itself and
/// those whose objects age are left out.
fn families(schema: &Schema) -> Vec<Vec<usize>> {
    let takes_part =
        |ty: &&Type| ty.writable() && ty.log().is_none_or(|log| log.retention_days.is_none());
    let mut families: Vec<Vec<usize>> = Vec::new();
    for ty in schema.types.iter().filter(takes_part) {
        let relatives = |family: &Vec<usize>| {
            let related = |a: usize, b: usize| {
                schema.types[a]
                    .referrers
                    .iter()
                    .any(|referrer| referrer.type_id == b)
            };
            family
                .iter()
                .any(|&other| related(other, ty.id) || related(ty.id, other))
        };
        let (own, mut others): (Vec<_>, Vec<_>) = families.into_iter().partition(relatives);
        others.push(own.into_iter().flatten().chain([ty.id]).collect());
        families = others;
    }
    families
}

/// Runs a history on an engine and in memory, step by step.
fn run(kind: Kind, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut pair = Pair::open(kind);
        for step in steps {
            pair.step(step).await;
        }
        pair.compare_everything().await;
        pair.close().await;
    });
}

/// Asks what a case asks of every kind of store.
fn run_searches(case: &Case) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(compare(&Kind::all("random searches on PostgreSQL"), case));
}

fn config(cases_usual: u32) -> Config {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let kept = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/proptest-regressions/model.txt"
    );
    Config {
        cases: cases.unwrap_or(cases_usual),
        max_shrink_iters: 3000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(kept))),
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn engines_agree_on_random_histories(
        steps in history(&fixture::schema())
    ) {
        run(Kind::Sqlite, &steps);
    }

    #[test]
    fn the_file_engine_agrees_on_random_histories(
        steps in history(&fixture::schema())
    ) {
        run(Kind::File, &steps);
    }

    #[test]
    fn the_postgres_engine_agrees_on_random_histories(
        steps in history(&fixture::schema())
    ) {
        if osis_tests::postgres::is_there("random histories on PostgreSQL") {
            run(Kind::Postgres, &steps);
        }
    }
}

proptest! {
    // Each case asks dozens of questions of every kind of store.
    #![proptest_config(config(32))]

    #[test]
    fn engines_answer_random_searches_alike(
        case in case(&fixture::schema())
    ) {
        run_searches(&case);
    }
}
