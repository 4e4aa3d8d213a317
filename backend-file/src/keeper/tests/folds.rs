//! Objects become files.

use super::*;

#[test]
fn objects_are_in_their_files() {
    let dir = store();
    let process = start(dir.path());
    process.make(
        APP,
        "app-1",
        &[("name", "one".into()), ("notes", "a\nlong text".into())],
    );
    assert!(process.until(|process| process.path(APP, "app-1").exists()));
    process.set(APP, "app-1", &[("hits", Value::Int(7))]);
    process.make(APP, "app-2", &[("name", "two".into())]);
    process.delete(APP, "app-2");
    process.settle();
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    assert_eq!(names(&dir.path().join("apps")), ["app-1.otoml"]);
    process.delete(APP, "app-1");
    process.settle();
    assert_eq!(names(&dir.path().join("apps")), [""; 0]);
    assert_eq!(process.problems(), [""; 0]);
    process.close();
}

#[test]
fn what_a_person_added_to_a_file_survives() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let text = process
        .text(APP, "app-1")
        .replace("hits = 0", "# how often\nhits = 0 # so far");
    std::fs::write(process.path(APP, "app-1"), text).unwrap();
    process.settle();
    process.set(APP, "app-1", &[("hits", Value::Int(2))]);
    process.settle();
    let text = process.text(APP, "app-1");
    assert!(text.contains("# how often\nhits = 2 # so far\n"), "{text}");
    assert!(text.contains("rev = 2\n"), "{text}");
    assert_eq!(process.row(APP, "app-1").unwrap().rev, 2);
    process.close();
}

#[test]
fn two_processes_fold_in_turn() {
    let dir = store();
    let (one, other) = (start(dir.path()), start(dir.path()));
    for n in 0..40 {
        let process = if n % 2 == 0 { &one } else { &other };
        process.make(
            APP,
            &format!("app-{n}"),
            &[("name", format!("n{n}").as_str().into())],
        );
        process.set(APP, "app-0", &[("hits", Value::Int(n))]);
    }
    other.shared.catch_up().unwrap();
    one.shared.catch_up().unwrap();
    one.settle();
    other.settle();
    for n in 0..40 {
        let id = format!("app-{n}");
        assert_eq!(one.text(APP, &id), one.expected(APP, &id));
    }
    assert_eq!(names(&dir.path().join("apps")).len(), 40);
    assert_eq!((one.problems(), other.problems()), (vec![], vec![]));
    one.close();
    other.close();
}

#[test]
fn a_start_folds_what_the_log_has() {
    let dir = store();
    let process = open(dir.path(), Arc::new(Disk), false);
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.set(APP, "app-1", &[("hits", Value::Int(5))]);
    drop(process);
    let process = start(dir.path());
    process.settle();
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    process.close();
}

#[test]
fn many_writes_are_folded_without_falling_behind_for_ever() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-0", &[("name", "hot".into())]);
    for n in 1..400 {
        process.set(APP, "app-0", &[("hits", Value::Int(n))]);
    }
    let is_done = |process: &Process| process.text(APP, "app-0").contains("hits = 399\n");
    assert!(process.until(is_done));
    process.settle();
    assert_eq!(names(&dir.path().join("apps")), ["app-0.otoml"]);
    process.close();
}

#[test]
fn a_file_that_is_still_to_be_removed_is_not_told_as_one_that_is_not_served() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    process.close();
    // It has no keeper, so nothing is folded.
    let other = open(dir.path(), Arc::new(Disk), false);
    other.delete(APP, "app-1");
    assert!(other.path(APP, "app-1").exists());
    assert_eq!(crate::keeper::unserved(&other.shared).unwrap(), []);
}

/// As another process has it.
pub(super) fn hold_turn(dir: &Path) -> std::fs::File {
    let path = dir.join(".osis/fold.lock");
    let file = std::fs::File::create(path).unwrap();
    file.lock().unwrap();
    file
}

#[test]
fn who_ends_leaves_the_commits_of_others_to_them() {
    let dir = store();
    let other = open(dir.path(), Arc::new(Disk), false);
    other.make(APP, "app-1", &[("name", "one".into())]);
    let turn = hold_turn(dir.path());
    let process = start(dir.path());
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        process.close();
        sender.send(()).unwrap();
    });
    // It would not end before the other lets go of the turn.
    ended
        .recv_timeout(std::time::Duration::from_secs(30))
        .unwrap();
    assert!(!other.path(APP, "app-1").exists());
    drop(turn);
    drop(other);
    let process = start(dir.path());
    process.close();
    assert_eq!(names(&dir.path().join("apps")), ["app-1.otoml"]);
}

#[test]
fn a_turn_that_does_not_come_is_told() {
    let dir = store();
    let process = open(dir.path(), Arc::new(Disk), false);
    process.make(APP, "app-1", &[("name", "one".into())]);
    let turn = hold_turn(dir.path());
    process.work(Tree::default(), |worker| {
        worker.turn.wait_long();
        worker.fold_once();
        let told = process.problems();
        assert!(told[0].contains("fold.lock: another process"), "{told:?}");
        drop(turn);
        worker.fold_once();
        assert_eq!(process.problems(), [""; 0]);
    });
    assert!(process.path(APP, "app-1").exists());
}

/// How fast files are written: run by hand, with optimisation.
#[test]
#[ignore = "a measurement"]
fn folds_a_second() {
    let dir = store();
    let process = open(dir.path(), Arc::new(Disk), false);
    let schema = Arc::clone(&process.shared.schema);
    for round in 0..20 {
        let ops = (0..1000).map(|n| {
            let id = format!("app-{round:02}{n:03}");
            new(&schema, APP, &id, &[("name", id.as_str().into())])
        });
        (process.submit)(vec![Batch::of(ops.collect())])
            .pop()
            .unwrap()
            .unwrap();
    }
    let began = Instant::now();
    process.work(Tree::default(), |worker| {
        while !worker.is_folded() {
            worker.fold_once();
        }
    });
    let took = began.elapsed();
    println!("20,000 objects, synced and read back, in {took:?}");
}
