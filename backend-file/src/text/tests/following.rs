//! The index follows the commits: searches see what was applied before, and restarts find what was
//! left.

use super::*;

#[test]
fn a_search_that_waits_sees_what_was_applied() {
    let mut store = Store::new();
    for n in 0..20 {
        let id = format!("thing-{n:02}");
        store.put("thing", &id, &[("word", text(&format!("fresh{n}")))]);
        assert_eq!(store.find("thing", &format!("fresh{n}")), [id.as_str()]);
        store.put("thing", &id, &[("word", text("stale"))]);
        assert!(store.find("thing", &format!("fresh{n}")).is_empty());
        assert_eq!(store.find("thing", "stale"), [id.as_str()]);
        store.delete("thing", &id);
        assert!(store.find("thing", "stale").is_empty());
    }
}

#[test]
fn who_waits_for_what_is_not_yet_sent_gets_it() {
    let mut store = Store::new();
    let type_id = store.type_id("thing");
    let row = store.row(type_id, "thing-1", &[("word", text("late"))]);
    let before = Arc::clone(&store.state);
    store.commit(vec![(type_id, row.id.clone(), Some(row))], false);
    let held = store.state.get(type_id, &Id::trusted("thing-1")).unwrap();
    let applied = Applied {
        state: Arc::clone(&store.state),
        steps: vec![crate::state::Step {
            type_id,
            before: None,
            after: Some(Arc::clone(held)),
        }],
        is_own: false,
    };
    let follower = store.follower.clone();
    let sending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        follower.send(Arc::new(applied)).unwrap();
    });
    assert_eq!(store.find("thing", "late"), ["thing-1"]);
    sending.join().unwrap();
    assert_eq!(before.seq, 0);
}

#[test]
fn who_waits_too_long_is_told_so() {
    let store = Store::new();
    let deadline = Instant::now() + Duration::from_millis(20);
    let waiting = store.text.complete(99, Some(deadline));
    let error = store.runtime.block_on(waiting).unwrap_err();
    assert!(matches!(
        error.kind(),
        osis_core::ErrorKind::Unavailable { .. }
    ));
}

#[test]
fn a_pair_comes_by_itself_after_a_while() {
    let mut store = Store::new();
    store.complete();
    store.put("plain", "plain-1", &[("name", text("ab"))]);
    store.put("thing", "thing-1", &[("word", text("ab"))]);
    let reached = || {
        store
            .text
            .link
            .told
            .borrow()
            .pair
            .as_ref()
            .map(|p| p.state().seq)
    };
    let begun = Instant::now();
    while reached() != Some(2) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_second_process_is_refused() {
    let mut store = Store::new();
    store.put("thing", "thing-1", &[("word", text("ab"))]);
    store.complete();
    let second = TextIndex::open(
        &store.path(),
        &store.schema,
        Arc::clone(&store.bodies),
        "one",
        Arc::clone(&store.state),
    );
    let error = second.map(drop).unwrap_err();
    assert!(error.message().contains("another process"), "{error}");
    assert_eq!(store.find("thing", "ab"), ["thing-1"]);
}

#[test]
fn a_closed_index_says_so() {
    let store = Store::new();
    store.complete();
    store.text.close();
    store.text.close();
    let waiting = store.text.complete(7, None);
    let error = store.runtime.block_on(waiting).unwrap_err();
    assert!(matches!(
        error.kind(),
        osis_core::ErrorKind::Unavailable { .. }
    ));
}

#[test]
fn what_was_sent_before_closing_is_kept() {
    let mut store = Store::new();
    store.complete();
    for n in 0..100 {
        store.put("note", &format!("note-{n:03}"), &[("body", text("ab"))]);
    }
    store.text.close();
    assert!(store.text.damaged_files().unwrap().is_empty());
    let index = tantivy::Index::open_in_dir(store.path().join("index-0")).unwrap();
    assert_eq!(index.reader().unwrap().searcher().num_docs(), 100);
    store.reopen(|_| {});
    assert_eq!(store.find("note", "ab").len(), 100);
}

#[test]
fn commits_that_an_index_missed_are_taken_in_at_the_next_start() {
    let mut store = Store::new();
    for n in 0..10 {
        store.put("thing", &format!("thing-{n:02}"), &[("word", text("old"))]);
    }
    store.complete();
    let type_id = store.type_id("thing");
    store.reopen(|store| {
        for n in 5..15 {
            let row = store.row(type_id, &format!("thing-{n:02}"), &[("word", text("new"))]);
            store.commit(vec![(type_id, row.id.clone(), Some(row))], false);
        }
        store.commit(vec![(type_id, Id::trusted("thing-00"), None)], false);
    });
    assert_eq!(store.find("thing", "old").len(), 4);
    assert_eq!(store.find("thing", "new").len(), 10);
}

#[test]
fn ordinals_that_were_given_anew_are_noticed() {
    let mut store = Store::new();
    store.put("thing", "thing-1", &[("word", text("ab"))]);
    let before = Arc::clone(&store.state);
    store.put("thing", "thing-2", &[("word", text("lost"))]);
    store.put("note", "note-1", &[("body", text("lost"))]);
    store.complete();
    // As if the process had died with its last commits not in the saved catalogue.
    store.reopen(|store| {
        store.state = before;
        let type_id = store.type_id("thing");
        for (n, word) in [(2, "kept"), (3, "kept"), (4, "kept")] {
            let row = store.row(type_id, &format!("thing-{n}"), &[("word", text(word))]);
            store.commit(vec![(type_id, row.id.clone(), Some(row))], false);
        }
    });
    assert!(store.find("thing", "lost").is_empty());
    assert!(store.find("note", "lost").is_empty());
    assert_eq!(store.find("thing", "kept").len(), 3);
    store.put("thing", "thing-3", &[("word", text("later"))]);
    store.delete("thing", "thing-2");
    assert_eq!(store.find("thing", "kept"), ["thing-4"]);
    store.reopen(|_| {});
    assert_eq!(store.find("thing", "later"), ["thing-3"]);
}

#[test]
fn an_older_copy_of_the_index_is_brought_up_to_date() {
    let mut store = Store::new();
    for n in 0..50 {
        store.put("thing", &format!("thing-{n:02}"), &[("word", text("old"))]);
    }
    store.complete();
    let copy = TempDir::new().unwrap();
    // While the process runs, as a crash would leave it.
    copy_all(&store.path(), copy.path());
    for n in 20..70 {
        store.put("thing", &format!("thing-{n:02}"), &[("word", text("new"))]);
        if n % 10 == 0 {
            store.complete();
        }
    }
    store.reopen(|store| {
        std::fs::remove_dir_all(store.path()).unwrap();
        copy_all(copy.path(), &store.path());
    });
    assert_eq!(store.find("thing", "old").len(), 20);
    assert_eq!(store.find("thing", "new").len(), 50);
}

#[test]
fn an_index_of_another_cache_is_made_anew() {
    let mut store = Store::new();
    store.put("thing", "thing-1", &[("word", text("ab"))]);
    store.complete();
    store.text.close();
    (store.text, store.follower) = open(
        &store.path(),
        &store.schema,
        &store.bodies,
        "two",
        &store.state,
    );
    assert_eq!(store.find("thing", "ab"), ["thing-1"]);
    assert!(store.path().join("index-1").exists() && !store.path().join("index-0").exists());
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
