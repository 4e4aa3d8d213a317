//! What is left of a process that was killed, and what people did before the next began.

use super::edits::write;
use super::events::{TIME, at, count, day_files, id, read, visits, what};
use super::*;

/// A process was killed before it could save what it knew, and a person removed a file before the
/// next began: a delete if the file was there, and nothing if the store had yet to write it.
#[test]
fn a_file_that_was_removed_after_a_kill_is_a_delete() {
    for is_filed in [true, false] {
        let dir = store();
        let first = open(dir.path(), Arc::new(Disk), false);
        first.make(APP, "app-1", &[("name", "one".into())]);
        first.make(APP, "app-2", &[("name", "two".into())]);
        first.work(Tree::default(), |worker| {
            worker.fold_once();
        });
        if is_filed {
            first
                .shared
                .log
                .set_filed(first.shared.state().seq)
                .unwrap();
        }
        std::fs::remove_file(first.path(APP, "app-1")).unwrap();
        let text = first.text(APP, "app-2").replace("\"two\"", "\"due\"");
        // Without a revision it is an edit only of what was there.
        let text = text.replace("rev = 1\n", "");
        write(&first.path(APP, "app-2"), &text);
        drop(first);
        let process = start(dir.path());
        process.settle();
        assert_eq!(process.name("app-1").is_none(), is_filed);
        assert_eq!(process.path(APP, "app-1").exists(), !is_filed);
        assert_eq!(process.name("app-2").as_deref(), Some("due"));
        assert_eq!(process.problems(), [""; 0]);
        process.close();
    }
}

/// What a process took out of the place of a file, and did not look at before it ended.
#[test]
fn an_edit_that_was_swapped_out_is_not_lost() {
    let dir = store();
    let (process, file) = visits(dir.path(), 2);
    let text = read(&file);
    process.close();
    let left = |n: u32| {
        let name = file.file_name().unwrap().to_str().unwrap();
        file.with_file_name(format!(".{name}.{n}.tmp"))
    };
    let process = open(dir.path(), Arc::new(Disk), false);
    // The store's own, one that a person edited, and one that a person has not finished.
    std::fs::write(left(1), &text).unwrap();
    let edited = text.replace("\"w0\"", "\"by hand\"");
    let edited = format!("{edited}\n[[visit]]\nat = {TIME}\nwhat = \"added\"\n");
    std::fs::write(left(2), &edited).unwrap();
    std::fs::write(left(3), format!("{text}\n[[visit]\n")).unwrap();
    process.work(Tree::default(), |worker| {
        worker.walk();
        worker.find_left_days();
        worker.look_at_left_days(Instant::now() + Duration::from_secs(3600));
        worker.catch_up().unwrap();
        while !worker.day_suspects.is_empty() {
            worker.inspect_days();
        }
    });
    let files = day_files(dir.path());
    let (kept, rest): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|path| path.to_str().unwrap().contains("21-conflict-"));
    assert_eq!((kept.len(), rest), (2, vec![&file]), "{files:?}");
    let texts: Vec<String> = kept.iter().map(|path| read(path)).collect();
    assert!(
        texts.iter().any(|text| text.contains("\"by hand\"")),
        "{texts:?}"
    );
    let told = process.problems();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(count(&process), 3);
    assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("w0"));
}

/// A process was killed before it could save that it had written events.
#[test]
fn events_are_not_written_twice_after_a_kill() {
    let dir = store();
    let (process, file) = visits(dir.path(), 3);
    let values = [("at", at(TIME)), ("what", "later".into())];
    process.make(VISIT, &id(TIME, 7), &values);
    process.settle();
    let files = day_files(dir.path());
    assert_eq!(files.len(), 2, "{files:?}");
    process.close();
    let process = start(dir.path());
    process.settle();
    assert_eq!(day_files(dir.path()), files);
    // So a block that is removed is one.
    let before = read(&file);
    let at = before.rfind("\n[[visit]]").unwrap();
    std::fs::write(&file, &before[..at]).unwrap();
    process.settle();
    assert_eq!(count(&process), 3);
    assert_eq!(process.problems(), [""; 0]);
    process.close();
}
