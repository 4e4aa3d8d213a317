//! Whatever is written in whatever order, the index finds and scores what core does.

use osis_core::query::{Sort, Tally, Test};
use osis_core::schema::{Direction, Type};
use osis_core::text::{Term, similar};
use proptest::prelude::*;

use super::*;

/// What happens to a store.
#[derive(Debug, Clone)]
enum Event {
    /// Objects come or, without texts, go, in one commit: type, number and texts.
    Commit(Vec<(bool, usize, Option<[String; 3]>)>),
    /// A search waits for the index.
    Complete,
    /// The process ends and another begins.
    Reopen,
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "ab", "abc", "b", "a", "漢字", "éa", "x1", "c++", "o'neil", "ß", "a_b", "abbb",
            "bbbbbbbb",
        ][..],
    )
}

fn some_text() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(word(), 0..7).prop_map(|words| words.join(" ")),
        // Round the number of occurrences that count.
        1 => (250..260_usize).prop_map(|n| format!("{}b x1", "ab ".repeat(n))),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let texts = prop::option::weighted(0.8, [some_text(), some_text(), some_text()]);
    let change = (any::<bool>(), 0..12_usize, texts);
    prop_oneof![
        10 => prop::collection::vec(change, 1..5).prop_map(Event::Commit),
        3 => Just(Event::Complete),
        1 => Just(Event::Reopen),
    ]
}

fn query(fields: Vec<usize>) -> impl Strategy<Value = Query> {
    let mut fields: Vec<Option<usize>> = fields.into_iter().map(Some).collect();
    fields.extend([None, None, None]);
    let word = prop::sample::select(
        &[
            "ab", "abc", "b", "a", "漢", "字", "ea", "x1", "c", "neil", "o", "ss", "zz",
        ][..],
    );
    let term = (
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
        });
    term.prop_recursive(5, 16, 3, |inner| {
        let some = |from| prop::collection::vec(inner.clone(), from..4);
        prop_oneof![
            (some(1), some(0)).prop_map(|(must, not)| Query::and(must, not)),
            some(1).prop_map(Query::or),
        ]
    })
}

/// Searches as callers send them: in both orders, filtered and not, page by page.
fn searches(ty: &Type, type_id: TypeId, query: &Query) -> Vec<Search> {
    let all = search(type_id, query.clone());
    let mut searches = vec![
        Search {
            limit: 3,
            ..all.clone()
        },
        all.clone(),
    ];
    if let Some(flag) = ty.column("flag") {
        let filter = Filter::Column(flag, Test::Eq(Value::Bool(true)));
        let sort = Sort::new(vec![(ty.column("word").unwrap(), Direction::Descending)]);
        searches.push(Search {
            sort: Some(sort.clone()),
            limit: 2,
            ..all.clone()
        });
        searches.push(Search {
            sort: Some(sort),
            filter: filter.clone(),
            ..all.clone()
        });
        searches.push(Search {
            filter,
            limit: 4,
            ..all
        });
    }
    searches
}

impl Store {
    fn happen(&mut self, event: &Event) {
        match event {
            Event::Commit(changes) => {
                let changes = changes.iter().map(|(is_thing, n, texts)| {
                    let type_id = self.type_id(if *is_thing { "thing" } else { "note" });
                    let id = format!("id-{n:04}");
                    let row = texts.as_ref().map(|[a, b, c]| {
                        let items = b.split("ab").map(Value::from).collect();
                        let values = [
                            ("word", text(a)),
                            ("text", text(c)),
                            ("words", Value::List(items)),
                            ("flag", Value::Bool(n % 2 == 0)),
                        ];
                        match is_thing {
                            true => self.row(type_id, &id, &values),
                            false => self.row(type_id, &id, &[("body", text(c))]),
                        }
                    });
                    (type_id, Id::trusted(&id), row)
                });
                let changes = changes.collect();
                self.commit(changes, true);
            }
            Event::Complete => _ = self.complete(),
            Event::Reopen => self.reopen(|_| {}),
        }
    }

    /// Compares searches of a state by a pair with what core finds, and walks through the pages.
    fn check(&self, pair: &Searchable, state: &State, type_id: TypeId, query: &Query) {
        let ty = &self.schema.types[type_id];
        self.check_facets_and_words(pair, state, type_id, query);
        for mut search in searches(ty, type_id, query) {
            loop {
                let found = self.search(pair, state, &search);
                assert_eq!(found, self.expected(state, &search), "{search:?}");
                let Some((score, id)) = found.0.last() else {
                    break;
                };
                search.after = Some(match &search.sort {
                    Some(sort) => sort.position(&state.get(type_id, &Id::trusted(id)).unwrap().row),
                    None => vec![
                        Value::Float(f64::from_bits(*score)),
                        Value::from(id.as_str()),
                    ],
                });
            }
        }
    }
}

impl Store {
    /// Compares what is counted over all matches, and which words are like mistyped ones.
    fn check_facets_and_words(
        &self,
        pair: &Searchable,
        state: &State,
        type_id: TypeId,
        query: &Query,
    ) {
        let ty = &self.schema.types[type_id];
        let rows: Vec<Row> = state.types[type_id]
            .ordinals
            .values()
            .map(|held| self.bodies.join(held).unwrap())
            .collect();
        let documents: Vec<Document> = rows.iter().map(|row| Document::of(ty, row)).collect();

        let mut counted = search(type_id, query.clone());
        counted.facets = ["flag", "words", "word"]
            .iter()
            .filter_map(|name| ty.column(name))
            .collect();
        counted.limit = 1;
        let mut tally = Tally::new(ty, &counted.facets);
        let all = rows.iter().zip(&documents);
        all.filter(|(_, words)| query.matches(words))
            .for_each(|(row, _)| tally.add(row));
        let found = pair
            .search_in(state, &self.schema, &counted, &self.bodies, Clock::none())
            .unwrap();
        assert_eq!(found.facets, tally.finish(), "{query:?}");

        let mistyped = ["ab", "abab", "abbb", "word1x", "bbbbbbba", "bbabbbbbb"];
        let mistyped = mistyped.map(str::to_owned);
        let fields = documents.iter().flat_map(Document::fields);
        let vocabulary = fields.flat_map(|field| field.words().map(|(_, word)| word));
        let expected = similar(&mistyped, vocabulary);
        let words = (type_id, &mistyped[..]);
        let found = pair.similar_in(state, &self.schema, words, &self.bodies, Clock::none());
        assert_eq!(found.unwrap(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn finds_and_scores_what_core_does(
        events in prop::collection::vec(event(), 1..24),
        of_things in prop::collection::vec(query(vec![0, 1, 3]), 8),
        of_notes in prop::collection::vec(query(vec![0]), 4),
    ) {
        let mut store = Store::new();
        let (thing, note) = (store.type_id("thing"), store.type_id("note"));
        let mut old = (Arc::clone(&store.state), store.complete());
        for (n, event) in events.iter().enumerate() {
            store.happen(event);
            let (near, query) = (store.near(thing), &of_things[n % of_things.len()]);
            store.check(&near, &store.state, thing, query);
            store.check(&near, &old.0, thing, query);
            store.check(&old.1, &store.state, thing, query);
            if matches!(event, Event::Complete) {
                old = (Arc::clone(&store.state), store.complete());
            }
        }
        for reopen in [false, true] {
            if reopen {
                store.reopen(|_| {});
            }
            let pair = store.complete();
            assert!(Arc::ptr_eq(pair.state(), &store.state) || pair.state().seq == store.state.seq);
            for query in &of_things {
                store.check(&pair, &store.state, thing, query);
            }
            for query in &of_notes {
                store.check(&pair, &store.state, note, query);
            }
        }
    }
}

/// Enough objects that segments have several parts, postings several blocks, and prefixes
/// thousands of words.
#[test]
fn agrees_over_thousands_of_objects() {
    let mut store = Store::new();
    let type_id = store.type_id("thing");
    let row = |store: &Store, n: usize, last: usize| {
        let words = format!("word{n} word{} other{n} last{last}", n + 7);
        let row = store.row(type_id, &format!("id-{n:04}"), &[("text", text(&words))]);
        (type_id, row.id.clone(), Some(row))
    };
    let rows = (0..3000).map(|n| row(&store, n, n % 3)).collect();
    store.commit(rows, true);
    let old = (Arc::clone(&store.state), store.complete());
    let check = |store: &Store, pair: &Searchable, state: &State| {
        for (words, finds) in [
            ("wo*", true),
            ("word11*", true),
            ("last1", true),
            ("\"word11 wo\"*", true),
            ("\"word11 word18\"", true),
            ("\"oth la\"*", false),
            ("other2-la*", true),
            ("word11 OR oth*", true),
            ("last1 -word2*", true),
            ("last1 last2", false),
            ("last0 OR last1 OR last2 OR last0", true),
        ] {
            let query = Query::parse(&store.schema.types[type_id], words, false).unwrap();
            let mut search = search(type_id, query);
            search.limit = 700;
            let found = store.search(pair, state, &search);
            assert!(found == store.expected(state, &search), "{words}");
            assert_eq!(found.1 > 0, finds, "{words}");
        }
    };
    check(&store, &old.1, &store.state);

    let gone = |n: usize| (type_id, Id::trusted(&format!("id-{n:04}")), None);
    let mut changes: Vec<_> = (0..3000).step_by(7).map(gone).collect();
    changes.extend((1..3000).step_by(5).map(|n| row(&store, n, n % 2)));
    store.commit(changes, true);
    check(&store, &old.1, &store.state);
    let new = store.complete();
    check(&store, &new, &store.state);
    check(&store, &new, &old.0);
    store.reopen(|_| {});
    check(&store, &store.complete(), &store.state);
}

#[test]
fn types_without_searchable_fields_have_nothing_to_find() {
    let mut store = Store::new();
    store.put("plain", "plain-1", &[("name", text("ab"))]);
    let query = Query::Term(Term {
        words: vec!["ab".to_owned()],
        prefix: false,
        field: None,
        bare: true,
    });
    let search = search(store.type_id("plain"), query);
    let pair = store.complete();
    assert_eq!(store.search(&pair, &store.state, &search), (Vec::new(), 0));
}

#[test]
fn a_search_past_its_time_ends() {
    let mut store = Store::new();
    store.put("thing", "thing-1", &[("word", text("ab"))]);
    let type_id = store.type_id("thing");
    let query = Query::parse(&store.schema.types[type_id], "ab", false).unwrap();
    let pair = store.complete();
    let over = Clock::until(Some(Instant::now() - Duration::from_secs(1)));
    let found = pair.search_in(
        &store.state,
        &store.schema,
        &search(type_id, query),
        &store.bodies,
        over,
    );
    assert!(matches!(
        found.unwrap_err().kind(),
        osis_core::ErrorKind::Unavailable { .. }
    ));
}
