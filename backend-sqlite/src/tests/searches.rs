//! Searches find what core's matcher finds, whatever of it the text index has already.

use std::collections::BTreeSet;

use osis_core::backend::{Backend, Found, Scope, Search};
use osis_core::object::Row;
use osis_core::query::{Filter, Sort, Tally, Test};
use osis_core::resolve::Transition;
use osis_core::schema::{Direction, Type};
use osis_core::text::{Document, Query, Ranking, Term, similar};
use osis_core::value::Value;
use proptest::prelude::*;

use super::{Disk, Inside, PROBE, THING, apply, delete_op, make, schema, set_op, thing};
use crate::connection::Limit;
use crate::error::Failure;
use crate::search;
use crate::text_index;

fn words() -> BoxedStrategy<String> {
    prop::collection::vec(
        prop::sample::select(&["ab", "abc", "abcde", "b", "漢", "éa", "x1", "longword"][..]),
        0..6,
    )
    .prop_map(|words| words.join(" "))
    .boxed()
}

fn row(n: usize) -> impl Strategy<Value = Row> {
    (words(), words(), prop::collection::vec(words(), 0..3)).prop_map(move |(word, text, list)| {
        let items = list.iter().map(|text| Value::from(text.as_str())).collect();
        thing(
            &schema(PROBE),
            n,
            &[
                ("word", Value::from(word.as_str())),
                ("text", Value::from(text.as_str())),
                ("words", Value::List(items)),
                ("flag", Value::Bool(n.is_multiple_of(2))),
            ],
        )
    })
}

fn term(ty: &Type) -> impl Strategy<Value = Query> + use<> {
    let fields: Vec<Option<usize>> = [
        ty.field("word"),
        ty.field("text"),
        ty.field("words"),
        None,
        None,
        None,
    ]
    .to_vec();
    let word = prop::sample::select(&["ab", "abc", "b", "a", "漢", "ea", "x1"][..]);
    (
        prop::collection::vec(word, 1..4),
        any::<bool>(),
        prop::sample::select(fields),
    )
        .prop_map(|(words, prefix, field)| {
            let words = words.into_iter().map(str::to_owned).collect();
            Query::Term(Term {
                words,
                prefix,
                field,
                bare: false,
            })
        })
}

fn query() -> impl Strategy<Value = Query> {
    let schema = schema(PROBE);
    term(&schema.types[THING]).prop_recursive(5, 16, 3, |inner| {
        let some = |from| prop::collection::vec(inner.clone(), from..4);
        prop_oneof![
            (some(1), some(0)).prop_map(|(must, not)| Query::and(must, not)),
            some(1).prop_map(Query::or),
        ]
    })
}

fn search(query: Query) -> Search {
    Search {
        type_id: THING,
        query,
        filter: Filter::EVERY,
        sort: None,
        after: None,
        limit: 100,
        facets: Vec::new(),
    }
}

fn run(inside: &Inside, wanted: &Search) -> Found {
    search::search(
        &inside.connection,
        &inside.catalog,
        wanted,
        &Limit::default(),
    )
    .unwrap()
}

fn ids(found: &Found) -> BTreeSet<String> {
    found
        .hits
        .iter()
        .map(|(_, row)| row.id.to_string())
        .collect()
}

fn expected(rows: &[Row], wanted: &Search, ty: &Type) -> BTreeSet<String> {
    let matching = rows
        .iter()
        .filter(|row| wanted.filter.matches(row) && wanted.query.matches(&Document::of(ty, row)));
    matching.map(|row| row.id.to_string()).collect()
}

/// What core makes of the rows that there are, scores to the bit.
fn exactly(rows: &[Row], wanted: &Search, ty: &Type) -> Found {
    let documents: Vec<Document> = rows.iter().map(|row| Document::of(ty, row)).collect();
    let ranking = Ranking::of(ty, &wanted.query, &documents);
    let all = rows.iter().zip(&documents);
    let matching = all
        .filter(|(row, words)| wanted.filter.matches(row) && wanted.query.matches(words))
        .map(|(row, words)| (ranking.score(words), row.clone()));
    let mut hits: Vec<(f64, Row)> = matching.collect();
    let mut tally = Tally::new(ty, &wanted.facets);
    hits.iter().for_each(|(_, row)| tally.add(row));
    hits.sort_by(|a, b| match &wanted.sort {
        Some(sort) => sort.compare(&a.1, &b.1),
        None => b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)),
    });
    Found {
        total: hits.len() as u64,
        hits,
        facets: tally.finish(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn finds_what_core_finds(
        rows in (0..10_usize).map(row).collect::<Vec<_>>(),
        changed in prop::collection::vec((0..10_usize, row(0)), 0..6),
        taken_in in 0..20_usize,
        queries in prop::collection::vec(query(), 24),
    ) {
        let mut inside = Inside::new(PROBE);
        let mut now = rows.clone();
        rows.into_iter().for_each(|row| inside.write(Transition::Insert(row)));
        text_index::take_in(&inside.connection, &inside.catalog, THING, taken_in).unwrap();
        let schema = std::sync::Arc::clone(&inside.catalog.schema);
        let ty = &schema.types[THING];
        let mistyped = ["ab", "abcd", "longwrod", "ongword", "longword", "unlike"].map(str::to_owned);
        let check = |inside: &Inside, now: &[Row]| {
            for query in &queries {
                let mut wanted = search(query.clone());
                for filter in [Filter::EVERY, Filter::Column(ty.column("flag").unwrap(), Test::Eq(Value::Bool(true)))] {
                    wanted.filter = filter;
                    for sort in [None, Some(Sort::new(vec![(ty.column("word").unwrap(), Direction::Descending)]))] {
                        wanted.sort = sort;
                        wanted.facets = vec![ty.column("flag").unwrap(), ty.column("words").unwrap()];
                        let found = run(inside, &wanted);
                        assert_eq!(found, exactly(now, &wanted, ty), "{:?}", wanted.query);
                    }
                }
            }
            let limit = Limit::default();
            let found = search::similar(&inside.connection, &inside.catalog, THING, &mistyped, &limit);
            let documents: Vec<Document> = now.iter().map(|row| Document::of(ty, row)).collect();
            let fields = documents.iter().flat_map(Document::fields);
            let vocabulary = fields.flat_map(|field| field.words().map(|(_, word)| word));
            assert_eq!(found.unwrap(), similar(&mistyped, vocabulary));
        };
        // What is read now is kept while rows change, are noted and are taken in.
        check(&inside, &now);
        for (n, mut after) in changed {
            let before = now[n].clone();
            after.id = before.id.clone();
            now[n] = after.clone();
            inside.write(Transition::Update { before, after });
        }
        let gone = now.remove(3);
        inside.write(Transition::Remove(gone));
        check(&inside, &now);
        text_index::take_in(&inside.connection, &inside.catalog, THING, taken_in / 4).unwrap();
        check(&inside, &now);
        text_index::take_in(&inside.connection, &inside.catalog, THING, 1000).unwrap();
        check(&inside, &now);
    }

    #[test]
    fn pages_follow_one_another(
        rows in (0..10_usize).map(row).collect::<Vec<_>>(),
        query in query(),
        sorted in any::<bool>(),
        limit in 1..4_usize,
        taken_in in prop::sample::select(&[0_usize, 5, 1000][..]),
    ) {
        let mut inside = Inside::new(PROBE);
        rows.iter().for_each(|row| inside.write(Transition::Insert(row.clone())));
        text_index::take_in(&inside.connection, &inside.catalog, THING, taken_in).unwrap();
        let ty = &inside.catalog.schema.types[THING];
        let mut wanted = search(query);
        wanted.sort = sorted.then(|| {
            Sort::new(vec![(ty.column("word").unwrap(), Direction::Descending)])
        });
        let all = run(&inside, &wanted);
        wanted.limit = limit;
        let mut found = Vec::new();
        loop {
            let page = run(&inside, &wanted);
            prop_assert_eq!(page.total, all.total);
            prop_assert!(page.hits.len() <= limit);
            let Some((score, row)) = page.hits.last() else { break };
            wanted.after = Some(match &wanted.sort {
                Some(sort) => sort.position(row),
                None => vec![Value::Float(*score), Value::from(row.id.as_str())],
            });
            found.extend(page.hits);
        }
        prop_assert_eq!(found, all.hits);
    }
}

/// Rows that went in are told as long as they are noted; a point that is not known says so.
#[test]
fn what_went_in_is_told() {
    let mut inside = Inside::new(PROBE);
    let schema = std::sync::Arc::clone(&inside.catalog.schema);
    let ty = &schema.types[THING];
    let since = |inside: &Inside, point: i64, max: usize| {
        text_index::taken_in_since(&inside.connection, ty, point, max).unwrap()
    };
    let last = |inside: &Inside| text_index::last_taken_in(&inside.connection, ty).unwrap();
    assert_eq!((last(&inside), since(&inside, 0, 10)), (0, Some(vec![])));
    (0..10).for_each(|n| inside.write(Transition::Insert(thing(&schema, n, &[]))));
    text_index::take_in(&inside.connection, &inside.catalog, THING, 7).unwrap();
    text_index::take_in(&inside.connection, &inside.catalog, THING, 7).unwrap();
    assert_eq!(last(&inside), 10);
    assert_eq!(since(&inside, 7, 10), Some(vec![8, 9, 10]));
    assert_eq!(since(&inside, 10, 10), Some(vec![]));
    assert_eq!(since(&inside, 0, 9), None, "too many");
    assert_eq!(since(&inside, 11, 10), None, "yet to come");
    (10..1100).for_each(|n| inside.write(Transition::Insert(thing(&schema, n, &[]))));
    text_index::take_in(&inside.connection, &inside.catalog, THING, 2000).unwrap();
    assert_eq!(last(&inside), 1100);
    assert_eq!(since(&inside, 75, 5000), None, "no longer noted");
    let noted = since(&inside, 76, 5000).map(|rows| (rows.len(), rows[0]));
    assert_eq!(noted, Some((1024, 77)));
}

/// FTS5's parser has a stack of 100; a query at core's limits must fit in.
#[test]
fn queries_at_their_limits_run() {
    let schema = schema(PROBE);
    let ty = &schema.types[THING];
    let mut inside = Inside::new(PROBE);
    let row = thing(&schema, 0, &[("text", Value::from("a b c d"))]);
    inside.write(Transition::Insert(row.clone()));
    text_index::take_in(&inside.connection, &inside.catalog, THING, 10).unwrap();
    let nest = |open: &str, close: &str, times: usize| {
        format!("{}a b{}", open.repeat(times), close.repeat(times))
    };
    let many: Vec<String> = (0..256).map(|n| format!("w{n}")).collect();
    let mut tried = 0;
    for text in [
        nest("(", ")", 32),
        nest("a (b OR ", ")", 32),
        nest("(", " OR b) a", 32),
        nest("a -(x ", ")", 32),
        nest("a -(x OR (c ", "))", 16),
        nest("(a OR b) -(x OR c ", ")", 32),
        nest("a b c (x OR y OR ", ")", 32),
        nest("\"a b\" -text:(x y OR word:", ")", 32),
        many.join(" "),
        many.join(" OR "),
        format!("a -{}", many[..255].join(" -")),
        many.chunks(2)
            .map(|pair| pair.join(" "))
            .collect::<Vec<_>>()
            .join(" OR "),
    ] {
        let Ok(query) = Query::parse(ty, &text, false) else {
            continue;
        };
        tried += 1;
        let wanted = search(query);
        let limit = Limit::default();
        let found = search::search(&inside.connection, &inside.catalog, &wanted, &limit);
        let found = found.unwrap_or_else(|e| panic!("{text}: {e:?}"));
        assert_eq!(
            ids(&found),
            expected(std::slice::from_ref(&row), &wanted, ty),
            "{text}"
        );
    }
    assert!(tried > 8, "{tried}");
}

#[test]
fn a_search_past_its_time_ends() {
    let mut inside = Inside::new(PROBE);
    let row = thing(&schema(PROBE), 0, &[("text", Value::from("longword"))]);
    inside.write(Transition::Insert(row));
    let wanted = |inside: &Inside| {
        let ty = &inside.catalog.schema.types[THING];
        search(Query::parse(ty, "longword", false).unwrap())
    };
    let over = Limit::default();
    over.set(Some(std::time::Instant::now()));
    std::thread::sleep(std::time::Duration::from_millis(1));
    let mistyped = ["longwrod".to_owned()];
    // First with the row beside the index, then with the row in it.
    for _ in 0..2 {
        let wanted = wanted(&inside);
        let found = search::search(&inside.connection, &inside.catalog, &wanted, &over);
        assert!(matches!(found, Err(Failure::TooLate)), "{found:?}");
        let similar = search::similar(&inside.connection, &inside.catalog, THING, &mistyped, &over);
        assert!(matches!(similar, Err(Failure::TooLate)), "{similar:?}");
        text_index::take_in(&inside.connection, &inside.catalog, THING, 10).unwrap();
    }
}

async fn find(backend: &crate::SqliteBackend, scope: Scope, text: &str) -> BTreeSet<String> {
    let query = Query::parse(&backend.schema().types[THING], text, false).unwrap();
    let mut snapshot = backend.snapshot(scope, None).await.unwrap();
    ids(&snapshot.search(&search(query)).await.unwrap())
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// What is kept of an index was read by transactions of different ages: each sees its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_began_long_ago_finds_what_was_there() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    make(&backend, "id-a", "shared").await.unwrap();
    let query = |text: &str| Query::parse(&backend.schema().types[THING], text, false).unwrap();
    let mistyped = ["shardd".to_owned()];
    let mut old = backend.snapshot(Scope::Search, None).await.unwrap();
    assert_eq!(
        ids(&old.search(&search(query("shared"))).await.unwrap()),
        set(&["id-a"])
    );
    for n in 0..300_u64 {
        make(&backend, &format!("id-{n}"), "shared").await.unwrap();
        let gone = set_op(backend.schema(), "thing", "id-a", r#"{"word": "shards"}"#);
        if n == 150 {
            apply(&backend, vec![gone]).await.unwrap();
        }
        let mut now = backend.snapshot(Scope::Search, None).await.unwrap();
        let found = now.search(&search(query("shared"))).await.unwrap();
        assert_eq!(found.total, n + 1 + u64::from(n < 150));
        let similar = now.similar(THING, &mistyped).await.unwrap();
        let expected: &[&str] = if n < 150 {
            &["shared"]
        } else {
            &["shards", "shared"]
        };
        assert_eq!(similar[0].as_deref().unwrap(), expected);
        assert_eq!(
            ids(&old.search(&search(query("shared"))).await.unwrap()),
            set(&["id-a"])
        );
        let similar = old.similar(THING, &mistyped).await.unwrap();
        assert_eq!(similar[0].as_deref().unwrap(), ["shared"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_sees_every_write_before_it() {
    let disk = Disk::new();
    let (one, two) = (disk.open(PROBE), disk.open(PROBE));
    for n in 0..20 {
        let id = format!("id-{n}-a");
        make(&one, &id, &format!("fresh{n}")).await.unwrap();
        let reader = if n % 2 == 0 { &one } else { &two };
        assert_eq!(
            find(reader, Scope::Single, &format!("fresh{n}")).await,
            set(&[&id])
        );
        apply(
            &two,
            vec![set_op(two.schema(), "thing", &id, r#"{"word": "stale"}"#)],
        )
        .await
        .unwrap();
        assert_eq!(
            find(reader, Scope::Consistent, &format!("fresh{n}")).await,
            set(&[])
        );
        assert_eq!(find(reader, Scope::Single, "stale").await, set(&[&id]));
        apply(&one, vec![delete_op(one.schema(), "thing", &id)])
            .await
            .unwrap();
        assert_eq!(find(reader, Scope::Single, "stale").await, set(&[]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_snapshot_searches_what_it_sees() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    // Notes that nobody has taken in: as many as a commit makes just before.
    make(&backend, "first", "word").await.unwrap();
    let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
    let seq = snapshot.seq().await.unwrap();
    for n in 0..300 {
        make(&backend, &format!("later-{n}"), "word").await.unwrap();
    }
    let query = Query::parse(&backend.schema().types[THING], "word", false).unwrap();
    let found = snapshot.search(&search(query)).await.unwrap();
    assert_eq!(ids(&found), set(&["first"]));
    assert_eq!(snapshot.seq().await.unwrap(), seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_writer_takes_everything_in_and_merges_when_idle() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    let ops: Vec<_> = (0..1500)
        .map(|n| {
            let data = format!(r#"{{"id": "id-{n}", "word": "word{n}", "count": 0}}"#);
            super::new_op(backend.schema(), "thing", &data)
        })
        .collect();
    apply(&backend, ops).await.unwrap();
    let tool = disk.tool();
    let left = || -> i64 {
        tool.query_row("SELECT count(*) FROM _osis_text_pending", [], |row| {
            row.get(0)
        })
        .unwrap()
    };
    for _ in 0..200 {
        if left() == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(left(), 0);
    assert_eq!(
        find(&backend, Scope::Single, "word77").await,
        set(&["id-77"])
    );
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let segments: i64 = tool
        .query_row(
            "SELECT count(DISTINCT segid) FROM \"_osis_things$$text_idx\"",
            [],
            |r| r.get(0),
        )
        .unwrap();
    assert_eq!(segments, 1);
    assert_eq!(
        find(&backend, Scope::Single, "word77 OR word78").await,
        set(&["id-77", "id-78"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_noted_is_taken_in() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    make(&backend, "abcd", "Hello").await.unwrap();
    backend.close().await.unwrap();
    disk.tool()
        .execute_batch(
            "DELETE FROM \"_osis_things$$text\" WHERE rowid = 1;
             INSERT OR IGNORE INTO _osis_text_pending VALUES ('thing', 1), ('thing', 99);",
        )
        .unwrap();
    let backend = disk.open(PROBE);
    assert_eq!(find(&backend, Scope::Single, "hello").await, set(&["abcd"]));
}
