//! Group commit: who is answered what, what is kept, what other processes see.

use std::time::{Duration, Instant};

use osis_core::backend::{Backend, ChangeOp, Scope};
use osis_core::batch::{Batch, Outcome};
use osis_core::error::ErrorKind;
use osis_core::object::Id;
use osis_host::turn::Ticket;

use super::{Disk, PROBE, THING, apply, delete_op, ids, make, new_op, set_op};
use crate::SqliteBackend;
use crate::setup::lock_path;

fn new_thing(backend: &SqliteBackend, id: &str, more: &str) -> Batch {
    let data = format!(r#"{{"id": "{id}", "word": "w", "count": 0{more}}}"#);
    Batch::of(vec![new_op(backend.schema(), "thing", &data)])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_batch_harms_no_other() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    let batches = vec![
        new_thing(&backend, "one1", r#", "folded": "Straße""#),
        new_thing(&backend, "two2", r#", "folded": "STRASSE""#),
        Batch {
            dry_run: true,
            ..new_thing(&backend, "dry1", "")
        },
        Batch {
            deadline: Some(Instant::now()),
            ..new_thing(&backend, "late", "")
        },
        new_thing(&backend, "kid1", r#", "parent": "one1""#),
        new_thing(&backend, "kid2", r#", "parent": "nobody""#),
    ];
    let answers = backend.apply(batches).await;
    let seqs: Vec<Option<u64>> = answers
        .iter()
        .map(|answer| answer.as_ref().ok().map(|commit| commit.seq))
        .collect();
    assert_eq!(seqs, [Some(1), None, Some(1), None, Some(2), None]);
    let kind = |n: usize| answers[n].as_ref().unwrap_err().kind();
    assert!(matches!(kind(1), ErrorKind::Conflict { .. }));
    assert!(matches!(kind(3), ErrorKind::Unavailable { .. }));
    assert!(matches!(kind(5), ErrorKind::Reference { .. }));
    assert_eq!(ids(&backend).await, ["kid1", "one1"]);
    assert_eq!(*backend.commits().borrow(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_share_commits() {
    let disk = Disk::new();
    let backend = std::sync::Arc::new(disk.open(PROBE));
    let writers: Vec<_> = (0..64)
        .map(|n| {
            let backend = std::sync::Arc::clone(&backend);
            tokio::spawn(async move { make(&backend, &format!("id-{n:02}"), "word").await })
        })
        .collect();
    let mut seqs = Vec::new();
    for writer in writers {
        seqs.push(writer.await.unwrap().unwrap().seq);
    }
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=64).collect::<Vec<u64>>());
    assert_eq!(ids(&backend).await.len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_call_is_carried_out_all_the_same() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    {
        let call = make(&backend, "abcd", "word");
        tokio::pin!(call);
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        // Sent, and then nobody waits.
        let _ = call.as_mut().poll(&mut context);
    }
    make(&backend, "efgh", "word").await.unwrap();
    assert_eq!(ids(&backend).await, ["abcd", "efgh"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_is_kept_even_while_another_process_has_the_turn() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    let ticket = Ticket::open(&lock_path(&disk.config().path)).unwrap();
    let turn = ticket.take().unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    let batch = Batch {
        deadline: Some(deadline),
        ..new_thing(&backend, "late", "")
    };
    let error = backend.apply(vec![batch]).await.pop().unwrap().unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    assert!(deadline.elapsed() < Duration::from_secs(2));
    drop(turn);
    make(&backend, "abcd", "word").await.unwrap();
    assert_eq!(ids(&backend).await, ["abcd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_is_unavailable_and_then_available_again() {
    let disk = Disk::new();
    let mut config = disk.config();
    config.busy_timeout = Duration::from_millis(50);
    let backend = SqliteBackend::open(config, Some(super::schema(PROBE))).unwrap();
    let tool = disk.tool();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = make(&backend, "abcd", "word").await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    tool.execute_batch("ROLLBACK").unwrap();
    make(&backend, "abcd", "word").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_what_happened() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    let schema = backend.schema();
    make(&backend, "abcd", "word").await.unwrap();
    apply(
        &backend,
        vec![
            set_op(schema, "thing", "abcd", r#"{"count": 7}"#),
            new_op(
                schema,
                "thing",
                r#"{"id": "kid1", "word": "w", "count": 0, "parent": "abcd"}"#,
            ),
            new_op(schema, "note", r#"{"id": "note-1", "rank": "r"}"#),
        ],
    )
    .await
    .unwrap();
    let commit = apply(&backend, vec![delete_op(schema, "thing", "abcd")])
        .await
        .unwrap();
    assert_eq!(commit.outcomes, [Outcome::Deleted(vec![(THING, 2)])]);
    let mut snapshot = backend.snapshot(Scope::Single, None).await.unwrap();
    let feed = snapshot.changes(0, &[], 100).await.unwrap();
    let told: Vec<(u64, &str, i64, ChangeOp)> = feed
        .changes
        .iter()
        .map(|c| (c.seq, c.id.as_str(), c.rev, c.op))
        .collect();
    let (first, rest) = told.split_at(4);
    assert_eq!(
        first,
        [
            (1, "abcd", 1, ChangeOp::New),
            (2, "abcd", 2, ChangeOp::Set),
            (2, "kid1", 1, ChangeOp::New),
            (2, "note-1", 1, ChangeOp::New),
        ]
    );
    assert!(rest.contains(&(3, "abcd", 2, ChangeOp::Delete)));
    assert!(rest.contains(&(3, "kid1", 1, ChangeOp::Delete)));
    assert_eq!((feed.next, feed.oldest), (3, 0));
    // A commit is never split, and `next` goes on after it.
    let feed = snapshot.changes(0, &[], 2).await.unwrap();
    assert_eq!((feed.changes.len(), feed.next), (4, 2));
    let feed = snapshot.changes(0, &[1], 1).await.unwrap();
    assert_eq!((feed.changes.len(), feed.next), (1, 2));
    let feed = snapshot.changes(2, &[1], 1).await.unwrap();
    assert_eq!((feed.changes.len(), feed.next), (0, 3));
    let error = snapshot.changes(4, &[], 1).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Gone { oldest: 0 }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consistent_snapshot_stays_as_it_is() {
    let disk = Disk::new();
    let (one, two) = (disk.open(PROBE), disk.open(PROBE));
    make(&one, "abcd", "word").await.unwrap();
    let id = Id::parse("abcd").unwrap();
    let mut consistent = two.snapshot(Scope::Consistent, None).await.unwrap();
    let before = consistent
        .get(THING, std::slice::from_ref(&id))
        .await
        .unwrap();
    let set = set_op(one.schema(), "thing", "abcd", r#"{"count": 7}"#);
    apply(&one, vec![set]).await.unwrap();
    assert_eq!(
        consistent
            .get(THING, std::slice::from_ref(&id))
            .await
            .unwrap(),
        before
    );
    assert_eq!(consistent.seq().await.unwrap(), 1);
    drop(consistent);
    let mut single = two.snapshot(Scope::Single, None).await.unwrap();
    assert_eq!(
        single.get(THING, &[id]).await.unwrap()[0]
            .as_ref()
            .unwrap()
            .rev,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_others_are_announced() {
    let disk = Disk::new();
    let (one, two) = (disk.open(PROBE), disk.open(PROBE));
    let mut commits = two.commits();
    make(&one, "abcd", "word").await.unwrap();
    assert_eq!(*one.commits().borrow(), 1);
    let seen = tokio::time::timeout(Duration::from_secs(5), commits.wait_for(|seq| *seq == 1));
    seen.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_answers_that_it_is_closed() {
    let disk = Disk::new();
    let backend = disk.open(PROBE);
    make(&backend, "abcd", "word").await.unwrap();
    backend.close().await.unwrap();
    let error = make(&backend, "efgh", "word").await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable { .. }),
        "{error}"
    );
    let mut snapshot = backend.snapshot(Scope::Single, None).await.unwrap();
    assert!(snapshot.seq().await.is_err());
    // Whoever closes last folds the log into the file.
    assert!(!disk.directory.path().join("osis.db-wal").exists());
}
