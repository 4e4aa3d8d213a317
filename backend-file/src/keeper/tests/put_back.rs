//! Older texts that people put back into files.

use super::edits::write;
use super::events::{TIME, count, day_files, id, make_visits, what};
use super::folds::hold_turn;
use super::*;

/// What a person puts back is an edit, also where other hosts may write the files.
fn old_texts_come_back(is_network: bool) {
    let dir = store();
    let process = start_on(dir.path(), Arc::new(Disk), is_network);
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let path = process.path(APP, "app-1");
    let first = process.text(APP, "app-1");
    write(&path, &first.replace("\"one\"", "\"uno\""));
    process.settle();
    assert_eq!(process.name("app-1").as_deref(), Some("uno"));
    write(&path, &first);
    process.settle();
    assert_eq!(process.name("app-1").as_deref(), Some("one"));
    assert_eq!(process.row(APP, "app-1").unwrap().rev, 3);
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    let last = process.text(APP, "app-1");
    std::fs::remove_file(&path).unwrap();
    process.settle();
    assert_eq!(process.name("app-1"), None);
    write(&path, &last);
    process.settle();
    assert_eq!(process.name("app-1").as_deref(), Some("one"));
    assert_eq!(process.row(APP, "app-1").unwrap().rev, 1);
    assert_eq!(names(&dir.path().join("apps")), ["app-1.otoml"]);
    assert_eq!(process.problems(), [""; 0]);
    process.close();
}

#[test]
fn old_texts_come_back_on_a_local_disk() {
    old_texts_come_back(false);
}

#[test]
fn old_texts_come_back_on_a_network_volume() {
    old_texts_come_back(true);
}

#[test]
fn old_texts_come_back_before_the_edit_has_got_its_revision() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let (path, first) = (process.path(APP, "app-1"), process.text(APP, "app-1"));
    let turn = hold_turn(dir.path());
    write(&path, &first.replace("\"one\"", "\"uno\""));
    let is = |name: &'static str| {
        move |process: &Process| process.name("app-1").as_deref() == Some(name)
    };
    assert!(process.until(is("uno")));
    write(&path, &first);
    drop(turn);
    assert!(process.until(is("one")));
    process.settle();
    assert_eq!(process.row(APP, "app-1").unwrap().rev, 3);
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    process.close();
}

fn old_blocks_come_back(is_network: bool) {
    let dir = store();
    let process = start_on(dir.path(), Arc::new(Disk), is_network);
    make_visits(&process, 2);
    process.settle();
    let file = day_files(dir.path()).remove(0);
    let first = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, first.replace("\"w0\"", "\"edited\"")).unwrap();
    process.settle();
    assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("edited"));
    std::fs::write(&file, &first).unwrap();
    process.settle();
    assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("w0"));
    assert_eq!(process.row(VISIT, &id(TIME, 0)).unwrap().rev, 3);
    std::fs::remove_file(&file).unwrap();
    process.settle();
    assert_eq!(count(&process), 0);
    std::fs::write(&file, &first).unwrap();
    process.settle();
    assert_eq!(count(&process), 2);
    assert_eq!(process.problems(), [""; 0]);
    process.close();
}

#[test]
fn old_blocks_come_back_on_a_local_disk() {
    old_blocks_come_back(false);
}

#[test]
fn old_blocks_come_back_on_a_network_volume() {
    old_blocks_come_back(true);
}
