//! Measurements, for `cargo test --release -- --ignored --nocapture measure`.

use super::*;

/// So many objects of some forty words.
const OBJECTS: usize = 100_000;

#[test]
#[ignore = "a measurement"]
fn measure() {
    let mut store = Store::new();
    let type_id = store.type_id("thing");
    let mut random = 1_u64;
    let mut next = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let rows: Vec<_> = (0..OBJECTS)
        .map(|n| {
            let mut words = format!("rare{} ", n / 10);
            if next(2) == 0 {
                words.push_str("half ");
            }
            for _ in 0..38 {
                let below = next(20_000) + 1;
                words.push_str(&format!("w{} ", next(below)));
            }
            let row = store.row(
                type_id,
                &format!("id-{n:06}"),
                &[
                    ("word", text(&format!("name{n}"))),
                    ("text", text(&words)),
                    ("flag", Value::Bool(n % 3 == 0)),
                ],
            );
            (type_id, row.id.clone(), Some(row))
        })
        .collect();
    for chunk in rows.chunks(1000) {
        store.commit(chunk.to_vec(), false);
    }
    let begun = Instant::now();
    store.reopen(|_| {});
    let pair = store.complete();
    println!("rebuilding {OBJECTS} objects: {:?}", begun.elapsed());
    let begun = Instant::now();
    store.reopen(|_| {});
    let opened = store.complete();
    println!("closing and opening: {:?}", begun.elapsed());
    drop(opened);

    let ty = &store.schema.types[type_id];
    for words in [
        "rare77",
        "half",
        "half w1",
        "half OR w1",
        "\"w1 w2\"",
        "w1*",
        "half w12*",
        "rare*",
        "half -w1",
        "name77 OR half OR w1 OR w2 OR w3",
    ] {
        for (label, filter) in [
            ("", Filter::EVERY),
            (
                " filtered",
                Filter::Column(
                    ty.column("flag").unwrap(),
                    osis_core::query::Test::Eq(Value::Bool(true)),
                ),
            ),
        ] {
            let query = Query::parse(ty, words, false).unwrap();
            let search = Search {
                limit: 20,
                filter,
                ..search(type_id, query)
            };
            let begun = Instant::now();
            let mut total = 0;
            for _ in 0..20 {
                total = store.search(&pair, &store.state, &search).1;
            }
            println!(
                "{words:?}{label}: {total} found, {:?}",
                begun.elapsed() / 20
            );
        }
    }

    let rare = Query::parse(ty, "rare77", false).unwrap();
    let rare = search(type_id, rare);
    for near in [false, true] {
        let mut spent = Duration::ZERO;
        for n in 0..50 {
            store.put(
                "thing",
                &format!("id-{n:06}"),
                &[("text", text("rare77 again"))],
            );
            let begun = Instant::now();
            let pair = if near {
                store.near(type_id)
            } else {
                store.complete()
            };
            let (found, _) = store.search(&pair, &store.state, &rare);
            spent += begun.elapsed();
            assert!(found.len() > n);
        }
        println!("a search after a write, near: {near}: {:?}", spent / 50);
    }
    for n in 0..60 {
        store.delete("thing", &format!("id-{n:06}"));
    }
    let pair = store.complete();
    assert_eq!(
        store.search(&pair, &store.state, &rare),
        store.expected(&store.state, &rare)
    );
    let begun = Instant::now();
    store.text.close();
    println!("closing: {:?}", begun.elapsed());
}
