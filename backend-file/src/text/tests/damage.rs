//! A damaged index is made anew, and never makes anybody panic.

use std::fs;

use super::*;

fn filled() -> Store {
    let mut store = Store::new();
    for n in 0..40 {
        let values = [("word", text(&format!("ab x{n}"))), ("text", text("ab b"))];
        store.put("thing", &format!("thing-{n:02}"), &values);
        if n % 10 == 9 {
            store.complete();
        }
    }
    store
}

/// The files of the newest index, small ones of Tantivy's own apart.
fn files(store: &Store, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(store.path())
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{ending}");
    files
}

#[test]
fn a_torn_description_is_made_anew() {
    for len in [0, 1, 100] {
        let mut store = filled();
        store.reopen(|store| {
            let path = &files(store, "meta.json")[0];
            fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(len)
                .unwrap();
        });
        assert_eq!(store.find("thing", "ab").len(), 40);
        assert_eq!(store.find("thing", "x7"), ["thing-07"]);
    }
}

#[test]
fn missing_and_cut_files_are_made_anew() {
    for ending in [
        ".idx",
        ".pos",
        ".term",
        ".fast",
        ".store",
        "meta.json",
        ".managed.json",
    ] {
        for cut in [false, true] {
            let mut store = filled();
            store.reopen(|store| {
                let path = &files(store, ending)[0];
                if cut {
                    let len = fs::metadata(path).unwrap().len();
                    let file = fs::File::options().write(true).open(path).unwrap();
                    file.set_len(len / 2).unwrap();
                } else {
                    fs::remove_file(path).unwrap();
                }
            });
            assert_eq!(store.find("thing", "ab").len(), 40, "{ending}");
            store.put("thing", "thing-99", &[("word", text("ab"))]);
            assert_eq!(store.find("thing", "ab").len(), 41, "{ending}");
        }
    }
}

#[test]
fn flipped_bytes_are_named_and_mended_by_the_next_start() {
    for ending in [".idx", ".pos", ".term", ".fast"] {
        for place in 0..4 {
            let mut store = filled();
            let queries = ["ab", "x7", "ab-b", "x1*", "\"ab x\"*"];
            let expected = queries.map(|words| store.find("thing", words));
            store.reopen(|store| {
                for path in files(store, ending) {
                    let mut bytes = fs::read(&path).unwrap();
                    // Behind the body comes a footer of some hundred bytes.
                    let at = bytes.len().saturating_sub(300) * place / 4;
                    bytes[at] ^= 0xff;
                    fs::write(&path, bytes).unwrap();
                }
                assert!(
                    !store.text.damaged_files().unwrap().is_empty(),
                    "{ending} {place}"
                );
            });
            let found = queries.map(|words| store.find("thing", words));
            assert_eq!(found, expected, "{ending} {place}");
            assert_eq!(
                store.text.damaged_files().unwrap(),
                [""; 0].map(PathBuf::from)
            );
            store.put("thing", "thing-99", &[("word", text("ab"))]);
            store.complete();
        }
    }
}

#[test]
fn damage_that_a_search_meets_is_repaired_behind_it() {
    let mut store = filled();
    let before = store.complete();
    store.text.link.report(super::super::worker::FIRST);
    let begun = Instant::now();
    while Arc::ptr_eq(&store.complete(), &before) {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    assert!(store.path().join("index-1").exists());
    assert_eq!(store.find("thing", "x7"), ["thing-07"]);
    store.put("thing", "thing-07", &[("word", text("ab"))]);
    assert!(store.find("thing", "x7").is_empty());
}

#[test]
fn a_search_that_meets_damage_is_answered_all_the_same() {
    let mut store = filled();
    let before = store.complete();
    store.delete("thing", "thing-07");
    let state = Arc::clone(&store.state);
    store.complete();
    // A pair that does not fit: its index has an object that its state has not.
    let unfit = Searchable::new(
        Arc::clone(&state),
        Arc::clone(before.committed()),
        Arc::clone(&store.text.link),
    );
    let type_id = store.type_id("thing");
    for words in ["x7", "ab", "x7 OR b"] {
        let query = Query::parse(&store.schema.types[type_id], words, false).unwrap();
        let search = search(type_id, query);
        let found = store.search(&unfit, &state, &search);
        assert_eq!(found, store.expected(&state, &search), "{words}");
    }
    let begun = Instant::now();
    while !store.path().join("index-1").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(store.find("thing", "ab").len(), 39);
}

#[test]
fn an_object_that_cannot_be_read_is_told_of() {
    let mut store = filled();
    store.reopen(|store| {
        fs::remove_dir_all(store.path()).unwrap();
        for path in walkdir::WalkDir::new(store.directory.path().join("bodies")) {
            let path = path.unwrap().into_path();
            if path.is_file() {
                fs::write(path, "").unwrap();
            }
        }
    });
    let waiting = store.text.complete(store.state.seq, None);
    store.runtime.block_on(waiting).unwrap_err();
}
