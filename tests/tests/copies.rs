//! What every engine owes to a migration: rows put as they are in another store, the note that a
//! store is an unfinished copy, and a change feed that begins above the other store's.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::sync::Arc;

use osis_core::backend::{Backend, Scope};
use osis_core::batch::{Batch, Commit, MirrorObject, Op, Outcome};
use osis_core::error::Faults;
use osis_core::json::Json;
use osis_core::memory::MemoryBackend;
use osis_core::store::Principal;
use osis_core::{ErrorKind, Id, Result, Row, Store, input};
use osis_tests::fixture;
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

const WHO: Principal = Principal::Operator;

/// A store on each engine, with where it lies if it can be opened again.
fn stores() -> Vec<(Store, Option<Place>)> {
    let memory: Arc<dyn Backend> = Arc::new(MemoryBackend::new(Arc::new(fixture::schema())));
    let on_disk = Kind::all("copies on PostgreSQL").into_iter().map(|kind| {
        let place = Place::new(kind);
        (Store::new(place.backend()), Some(place))
    });
    std::iter::once((Store::new(memory), None))
        .chain(on_disk)
        .collect()
}

fn object(store: &Store, name: &str, id: &str, row: Option<Value>) -> MirrorObject {
    let ty = store.schema().find(name).unwrap();
    let row = row.map(|mut row| {
        row["id"] = json!(id);
        row["created_at"] = json!("2020-01-01T00:00:00Z");
        row["updated_at"] = json!("2021-01-01T00:00:00Z");
        let json = Json::parse(row.to_string().as_bytes()).unwrap();
        let mut faults = Faults::default();
        let row = input::row(ty, &json, "row", &mut faults);
        faults.finish().unwrap();
        row.unwrap()
    });
    MirrorObject {
        type_id: ty.id,
        id: Id::parse(id).unwrap(),
        row,
    }
}

fn customer(store: &Store, id: &str, email: &str, rev: i64) -> MirrorObject {
    let row =
        json!({ "rev": rev, "email": email, "name": "N", "card_hash": format!("{id} {rev}") });
    object(store, "customer", id, Some(row))
}

fn order(store: &Store, id: &str, customer: &str) -> MirrorObject {
    let row = json!({ "rev": 3, "customer_id": customer, "placed_at": "2020-01-01T00:00:00Z" });
    object(store, "order", id, Some(row))
}

async fn mirror(store: &Store, objects: &[MirrorObject]) -> Result<Commit> {
    let objects = objects.to_vec();
    let batch = Batch::of(vec![Op::Mirror { objects }]);
    store.write_one(&WHO, batch).await
}

async fn mirrored(store: &Store, objects: &[MirrorObject]) -> (u64, u64) {
    match mirror(store, objects).await.unwrap().outcomes[..] {
        [Outcome::Mirrored { changed, same }] => (changed, same),
        ref other => panic!("{other:?}"),
    }
}

/// What is there now is what should be, and nothing else of these types.
async fn assert_holds(store: &Store, objects: &[MirrorObject]) {
    let mut reader = store.read(&WHO, Scope::Consistent, None).await.unwrap();
    for name in ["customer", "order"] {
        let ty = store.schema().find(name).unwrap();
        let mut wanted: Vec<Row> = objects
            .iter()
            .filter(|object| object.type_id == ty.id)
            .filter_map(|object| object.row.clone())
            .collect();
        wanted.sort_by(|a, b| a.id.cmp(&b.id));
        let there = reader.walk(ty.id, None, 100).await.unwrap();
        assert_eq!(there, wanted, "{} {name}", store.kind());
    }
}

#[tokio::test]
async fn rows_are_put_as_they_are_with_keys_swapped_and_refs_forward() {
    for (store, place) in stores() {
        let first = [
            order(&store, "order-1", "ada-1"),
            customer(&store, "ada-1", "ada@x", 7),
            customer(&store, "bob-1", "bob@x", 1),
        ];
        assert_eq!(mirrored(&store, &first).await, (3, 0));
        assert_eq!(mirrored(&store, &first).await, (0, 3));
        assert_holds(&store, &first).await;
        // The two have swapped their addresses, and the order is another's; a third is new.
        let second = [
            customer(&store, "ada-1", "bob@x", 8),
            customer(&store, "bob-1", "ada@x", 2),
            order(&store, "order-1", "bob-1"),
            order(&store, "order-2", "bob-1"),
        ];
        assert_eq!(mirrored(&store, &second).await, (4, 0));
        assert_holds(&store, &second).await;
        let third = [
            object(&store, "customer", "ada-1", None),
            object(&store, "customer", "none-1", None),
            customer(&store, "eve-1", "bob@x", 1),
        ];
        assert_eq!(mirrored(&store, &third).await, (2, 1));
        let now = [&second[1..], &third[2..]].concat();
        assert_holds(&store, &now).await;
        let Some(place) = place else { continue };
        store.close().await.unwrap();
        drop(store);
        let again = Store::new(place.backend());
        assert_holds(&again, &now).await;
        again.close().await.unwrap();
    }
}

#[tokio::test]
async fn rules_of_keys_and_refs_hold_for_mirrored_rows() {
    for (store, _place) in stores() {
        let there = [
            customer(&store, "ada-1", "ada@x", 1),
            order(&store, "order-1", "ada-1"),
        ];
        mirrored(&store, &there).await;
        let taken = [customer(&store, "bob-1", "ADA@X", 1)];
        let error = mirror(&store, &taken).await.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Conflict { .. }),
            "{error}"
        );
        for refused in [
            order(&store, "order-2", "nobody"),
            object(&store, "customer", "ada-1", None),
        ] {
            let error = mirror(&store, &[refused]).await.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::Reference { .. }),
                "{error}"
            );
        }
        assert_holds(&store, &there).await;
        let gone = [
            object(&store, "customer", "ada-1", None),
            object(&store, "order", "order-1", None),
        ];
        assert_eq!(mirrored(&store, &gone).await, (2, 0));
        assert_holds(&store, &[]).await;
    }
}

#[tokio::test]
async fn a_finished_copy_has_its_feed_above_the_other_stores() {
    for (store, place) in stores() {
        assert_eq!(store.copying(&WHO).await.unwrap(), None);
        store.begin_copy(&WHO, "sqlite:/old.db").await.unwrap();
        mirrored(&store, &[customer(&store, "ada-1", "ada@x", 1)]).await;
        let noted = store.copying(&WHO).await.unwrap();
        assert_eq!(noted.as_deref(), Some("sqlite:/old.db"));
        let begins = store.end_copy(&WHO, 5_000).await.unwrap();
        assert!(begins > 5_000, "{begins}");
        assert_eq!(store.copying(&WHO).await.unwrap(), None);
        assert_feed(&store, begins, 0).await;
        mirrored(&store, &[customer(&store, "bob-1", "bob@x", 1)]).await;
        assert_feed(&store, begins, 1).await;
        let Some(place) = place else { continue };
        // Another process, and one that comes later.
        let other = Store::new(place.backend());
        assert_feed(&other, begins, 1).await;
        other.close().await.unwrap();
        store.close().await.unwrap();
        drop((other, store));
        let again = Store::new(place.backend());
        assert_feed(&again, begins, 1).await;
        mirrored(&again, &[customer(&again, "eve-1", "eve@x", 1)]).await;
        assert_feed(&again, begins, 2).await;
        again.close().await.unwrap();
    }
}

/// What is before the beginning of the feed is gone, and from there on so many changes are told.
async fn assert_feed(store: &Store, begins: u64, changes: usize) {
    let mut reader = store.read(&WHO, Scope::Consistent, None).await.unwrap();
    for since in [0, 1, 4_000, begins - 1] {
        let error = reader.changes(since, &[], 10).await.unwrap_err();
        let oldest = match error.kind() {
            ErrorKind::Gone { oldest } => *oldest,
            other => panic!("{} since {since}: {other:?}", store.kind()),
        };
        assert_eq!(oldest, begins, "{}", store.kind());
    }
    let feed = reader.changes(begins, &[], 10).await.unwrap();
    assert_eq!((feed.changes.len(), feed.oldest), (changes, begins));
    assert!(feed.changes.iter().all(|change| change.seq > begins));
    assert_eq!(reader.seq().await.unwrap(), feed.next);
}
