//! The feed from disk, and what was written under other schemas.

use osis_core::error::ErrorKind;

use super::*;

#[test]
fn pages_hold_whole_commits_of_the_types_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let schema = schema();
    win(
        &log,
        1,
        1,
        vec![note(1, 1, 1, ""), note(1, 2, 1, ""), visit(1, 1)],
    );
    win(
        &log,
        2,
        5,
        vec![
            visit(2, 2),
            note(3, 3, 1, ""),
            note(3, 4, 1, ""),
            delete(5, 3, 1),
        ],
    );
    win(&log, 6, 6, vec![visit(6, 3)]);
    let page = |since: u64, limit: usize, last: u64| {
        let feed = records(&log, since, limit, last).unwrap();
        assert_eq!(feed.oldest, 0);
        let seqs: Vec<u64> = feed.changes.iter().map(|record| record.seq).collect();
        (seqs, feed.next)
    };
    assert_eq!(page(0, 100, 6), (vec![1, 1, 3, 3, 5], 6));
    assert_eq!(page(0, 1, 6), (vec![1, 1], 1));
    assert_eq!(page(1, 1, 6), (vec![3, 3], 3));
    assert_eq!(page(2, 2, 6), (vec![3, 3], 3));
    assert_eq!(page(3, 2, 6), (vec![5], 6));
    assert_eq!(page(4, 2, 5), (vec![5], 5));
    assert_eq!(page(0, 100, 4), (vec![1, 1, 3, 3], 4));
    assert_eq!(page(5, 2, 6), (vec![], 6));
    assert_eq!(page(6, 2, 6), (vec![], 6));
    let none = log
        .records(0, &[VISIT], 1, 6, &schema, &schema.hash)
        .unwrap();
    assert_eq!((none.changes.len(), none.next), (0, 6));
    let above = records(&log, 7, 1, 6).unwrap_err();
    assert_eq!(*above.kind(), ErrorKind::Gone { oldest: 0 });
}

#[test]
fn an_entry_is_read_once_for_all_pages() {
    use crate::files::faulty::Faulty;
    let dir = tempfile::tempdir().unwrap();
    let changes = (1..=5000).map(|seq| note(seq, seq, 1, "x")).collect();
    win(&open(dir.path()), 1, 5000, changes);
    let faulty = Arc::new(Faulty::counting(Arc::new(Disk)));
    let log = open_with(Arc::clone(&faulty) as _, dir.path()).unwrap();
    let (mut since, mut count) = (0, 0);
    records(&log, 2345, 1, 5000).unwrap();
    let before = faulty.calls();
    while since < 5000 {
        let feed = records(&log, since, 10, 5000).unwrap();
        (since, count) = (feed.next, count + feed.changes.len());
    }
    assert_eq!(count, 5000);
    // For each page a look at `oldest` and one at where the feed begins, and nothing else.
    assert_eq!(faulty.calls() - before, 1000);
}

#[test]
fn records_of_older_schemas_are_read_on() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (
        schema(),
        parsed(schema_text(
            "title = { type = \"string\" }\n[types.aaa.fields]\nx = { type = \"int\" }\n",
        )),
    );
    let log = open(dir.path());
    fill(&log, 1, 8);
    let change = Entry {
        new_schema: Some(new.text.clone()),
        ..entry(&log, &old, 9, 9, vec![])
    };
    assert_eq!(log.claim(&change, &old).unwrap(), Claim::Won);
    let in_new = |seq: u64| {
        let mut change = note(seq, seq, 1, "x");
        change.type_id = new.find("note").unwrap().id;
        if let Content::Full(row) = &mut change.content {
            row.values = [Value::Str("x".into()), Value::Null].into();
        }
        entry(&log, &new, seq, seq, vec![change])
    };
    assert_eq!(log.claim(&in_new(10), &new).unwrap(), Claim::Won);
    for seq in 11..=1100 {
        std::fs::create_dir_all(log.layout.segment(seq)).unwrap();
        std::fs::write(log.layout.entry(seq), in_new(seq).encode(&new)).unwrap();
    }
    let read = |log: &Log| {
        let feed = log
            .records(0, &[], usize::MAX, 1100, &new, &new.hash)
            .unwrap();
        let note = new.find("note").unwrap().id;
        assert!(feed.changes.iter().all(|record| record.type_id == note));
        feed
    };
    let feed = read(&open(dir.path()));
    assert!(feed.changes.len() > 1095 && feed.changes[0].seq == 1);
    // One that does not know the new schema is told that there is one.
    let told = log.next(10, &old, &old.hash).unwrap().unwrap();
    assert!(told.schema == new.hash && told.changes.is_empty());
    for known in [&old, &new] {
        let log = open(dir.path());
        let found = log.schema_in_force(known, &known.hash).unwrap().unwrap();
        assert_eq!(found.hash, new.hash);
    }
    let fresh = open(dir.path());
    fresh
        .compact_older(Duration::ZERO, 1100, &new, &new.hash)
        .unwrap();
    assert_eq!(fresh.list().unwrap().packs.len(), 1);
    let fresh = open(dir.path());
    assert_eq!(read(&fresh), feed);
    let rest = fresh.next(5, &new, &new.hash).unwrap().unwrap();
    assert_eq!(
        (rest.last, rest.new_schema.as_ref()),
        (999, Some(&new.text))
    );
    let rest = fresh.next(10, &new, &new.hash).unwrap().unwrap();
    assert_eq!(
        (rest.last, rest.new_schema, rest.schema),
        (999, None, new.hash.clone())
    );
    let found = open(dir.path())
        .schema_in_force(&old, &old.hash)
        .unwrap()
        .unwrap();
    assert_eq!(found.hash, new.hash);
}
