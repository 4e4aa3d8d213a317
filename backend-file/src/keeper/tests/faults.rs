//! Every call of a fold fails once, in each way; nothing is lost by it.

use std::io::ErrorKind;

use super::*;
use crate::files::Bent;
use crate::files::faulty::{Fault, Faulty};

/// Folds a new object, a changed one, one that a person has commented, one whose file a person has
/// broken, and a deleted one, through files of which one call goes wrong; then once more through
/// good ones.
fn fold_with(fault: Option<(u64, Fault)>, network: bool) -> u64 {
    let disk: Arc<dyn Files> = if network {
        Arc::new(Bent::plain())
    } else {
        Arc::new(Disk)
    };
    let dir = store();
    let first = open(dir.path(), Arc::new(Disk), network);
    for n in [1, 2, 3, 50] {
        let name = format!("n{n}");
        first.make(APP, &format!("app-{n}"), &[("name", name.as_str().into())]);
    }
    first.work(Tree::default(), |worker| {
        worker.fold_once();
    });
    let text = first.text(APP, "app-2").replace("hits", "# mine\nhits");
    std::fs::write(first.path(APP, "app-2"), text).unwrap();
    std::fs::write(first.path(APP, "app-50"), "O:\nhits = \n").unwrap();
    drop(first);
    let between = open(dir.path(), Arc::new(Disk), network);
    between.set(APP, "app-1", &[("hits", Value::Int(1))]);
    between.set(APP, "app-2", &[("hits", Value::Int(2))]);
    between.set(APP, "app-50", &[("hits", Value::Int(5))]);
    between.delete(APP, "app-3");
    between.make(APP, "app-40", &[("name", "n4".into())]);
    drop(between);
    let faulty = match fault {
        Some((at, fault)) => Arc::new(Faulty::new(disk, at, fault)),
        None => Arc::new(Faulty::counting(disk)),
    };
    let struck = open(dir.path(), Arc::clone(&faulty) as Arc<dyn Files>, network);
    struck.work(Tree::default(), |worker| {
        worker.fold_once();
    });
    let what = faulty.struck();
    drop(struck);
    // The next start finds what was left, and lets no time pass before it looks.
    let process = open(dir.path(), Arc::new(Disk), network);
    asides::put_all_back(&Disk, &process.shared.layout, &process.shared.schema);
    process.work(Tree::default(), |worker| {
        worker.fold_once();
        worker.find_leftovers();
        worker.look_at_leftovers(Instant::now() + Duration::from_secs(3600));
    });
    for id in ["app-1", "app-40"] {
        assert_eq!(
            process.text(APP, id),
            process.expected(APP, id),
            "{fault:?} {what:?}"
        );
    }
    let text = process.text(APP, "app-2");
    assert!(
        text.contains("# mine\nhits = 2\n"),
        "{fault:?} {what:?} {text}"
    );
    let left = names(&dir.path().join("apps"));
    let expected = ["app-1.otoml", "app-2.otoml", "app-40.otoml", "app-50.otoml"];
    assert_eq!(left, expected, "{fault:?} {what:?}");
    let broken = process.text(APP, "app-50");
    assert_eq!(broken, "O:\nhits = \n", "{fault:?} {what:?}");
    let kept = dir.path().join("log/kept/apps/app-50.otoml");
    let kept = std::fs::read_to_string(kept).unwrap();
    assert_eq!(kept, process.expected(APP, "app-50"), "{fault:?} {what:?}");
    let problems = process.problems();
    assert!(
        problems.len() == 1 && problems[0].contains("app-50"),
        "{fault:?} {what:?} {problems:?}"
    );
    faulty.calls()
}

fn every_call(network: bool) {
    let calls = fold_with(None, network);
    assert!(calls > 20, "{calls}");
    for fault in [
        Fault::Fail(ErrorKind::StorageFull),
        Fault::Unclear(ErrorKind::TimedOut),
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::Half(ErrorKind::StorageFull),
    ] {
        for at in 1..=calls {
            fold_with(Some((at, fault)), network);
        }
    }
}

#[test]
fn on_a_local_disk() {
    every_call(false);
}

#[test]
fn on_a_network_volume() {
    every_call(true);
}
