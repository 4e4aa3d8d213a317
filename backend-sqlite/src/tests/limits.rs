//! Full disks, damaged files, and reads that take too long.

use std::time::{Duration, Instant};

use osis_core::backend::{Backend, Scope};
use osis_core::batch::Batch;
use osis_core::error::ErrorKind;
use osis_core::object::Id;
use osis_core::query::{Filter, Test};
use osis_core::value::Value;

use super::{Disk, PROBE, THING, apply, ids, make, new_op, schema};
use crate::SqliteBackend;

/// A batch that writes about so many bytes.
fn large(backend: &SqliteBackend, id: &str, bytes: usize) -> Batch {
    let text = "x".repeat(bytes);
    let data = format!(r#"{{"id": "{id}", "word": "w", "count": 0, "text": "{text}"}}"#);
    Batch::of(vec![new_op(backend.schema(), "thing", &data)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_does_not_fit_and_keeps_what_does() {
    let disk = Disk::new();
    let mut config = disk.config();
    config.pages_max = Some(200);
    let backend = SqliteBackend::open(config, Some(schema(PROBE))).unwrap();
    let batches = vec![
        large(&backend, "one1", 10_000),
        large(&backend, "huge", 900_000),
        large(&backend, "two2", 10_000),
    ];
    let answers = backend.apply(batches).await;
    assert!(answers[0].is_ok() && answers[2].is_ok(), "{answers:?}");
    assert_eq!(
        *answers[1].as_ref().unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(ids(&backend).await, ["one1", "two2"]);
    assert_eq!(answers[2].as_ref().unwrap().seq, 2);
    make(&backend, "three", "w").await.unwrap();
    backend.close().await.unwrap();
    let report: String = disk
        .tool()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(report, "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_broke_is_named() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    make(&backend, "abcd", "word").await.unwrap();
    disk.tool()
        .execute_batch("UPDATE things SET at = 'yesterday'")
        .unwrap();
    let mut snapshot = backend.snapshot(Scope::Single, None).await.unwrap();
    let error = snapshot
        .get(THING, &[Id::parse("abcd").unwrap()])
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("column at of things"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_ends_at_its_deadline() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    let ops = (0..5000).map(|n| {
        let data =
            format!(r#"{{"id": "id-{n}", "word": "word", "count": {n}, "words": ["a", "b"]}}"#);
        new_op(backend.schema(), "thing", &data)
    });
    apply(&backend, ops.collect()).await.unwrap();
    let ty = &backend.schema().types[THING];
    let words = ty.column("words").unwrap();
    let slow = (0..400).map(|n| {
        Filter::Column(
            words,
            Test::Has(Value::from(format!("nothing {n}").as_str())),
        )
    });
    let slow = Filter::Any(slow.collect());
    let began = Instant::now();
    let deadline = began + Duration::from_millis(30);
    let mut snapshot = backend
        .snapshot(Scope::Single, Some(deadline))
        .await
        .unwrap();
    let error = snapshot.count(THING, &slow).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    // The connection is as good as before.
    drop(snapshot);
    let mut snapshot = backend.snapshot(Scope::Single, None).await.unwrap();
    assert_eq!(snapshot.count(THING, &Filter::EVERY).await.unwrap(), 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_connection_ends_at_the_deadline() {
    let disk = Disk::new();
    let mut config = disk.config();
    config.readers = 1;
    let backend = SqliteBackend::open(config, Some(schema(PROBE))).unwrap();
    let mut pinned = backend.snapshot(Scope::Consistent, None).await.unwrap();
    pinned.seq().await.unwrap();
    let deadline = Instant::now() + Duration::from_millis(30);
    let mut other = backend
        .snapshot(Scope::Consistent, Some(deadline))
        .await
        .unwrap();
    let error = other.seq().await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    // A point read has a connection of its own.
    let mut point = backend.snapshot(Scope::Single, None).await.unwrap();
    assert_eq!(point.seq().await.unwrap(), 0);
    drop(pinned);
    let mut other = backend.snapshot(Scope::Consistent, None).await.unwrap();
    assert_eq!(other.seq().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_reads_leave_nothing_behind() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    make(&backend, "abcd", "word").await.unwrap();
    for _ in 0..50 {
        let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
        let every = Filter::EVERY;
        let count = snapshot.count(THING, &every);
        // Sometimes before it is done, sometimes after.
        let _ = tokio::time::timeout(Duration::from_micros(100), count).await;
    }
    make(&backend, "efgh", "word").await.unwrap();
    // No reader is left in a transaction: the log can be folded into the file whole.
    let mut busy = 1;
    for _ in 0..100 {
        busy = disk
            .tool()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .unwrap();
        if busy == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(busy, 0);
}
