//! Who wins a number, and what is known of it after a fault.

use std::io::ErrorKind as Io;
use std::sync::Arc;
use std::time::Instant;

use osis_core::error::ErrorKind;

use super::*;
use crate::files::faulty::{Fault, Faulty};

/// The number that the last entry of the log holds, and its seq.
fn newest(log: &Log, seq: &mut u64, number: &mut u64) {
    while let Some(entry) = next(log, *seq + 1).unwrap() {
        for change in &entry.changes {
            let Content::Full(row) = &change.content else {
                panic!("{change:?}");
            };
            let Value::Str(text) = &row.values[0] else {
                panic!("{row:?}");
            };
            // Each was computed from the one before it.
            assert_eq!(text.parse::<u64>().unwrap(), *number + 1);
            *number += 1;
        }
        *seq = entry.last;
    }
}

#[test]
fn increments_of_eight_logs_are_all_there_in_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let each = 60;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let root = dir.path();
            scope.spawn(move || {
                let log = open(root);
                let (mut seq, mut number, mut won) = (0, 0, 0);
                while won < each {
                    newest(&log, &mut seq, &mut number);
                    // Some entries hold several commits, so that numbers are passed over.
                    let count = 1 + (won + thread) % 3;
                    let changes =
                        (1..=count).map(|n| note(seq + n, 1, 2, &(number + n).to_string()));
                    let schema = schema();
                    let entry = entry(&log, &schema, seq + 1, seq + count, changes.collect());
                    match log.claim(&entry, &schema).unwrap() {
                        Claim::Won => won += 1,
                        Claim::Taken => assert!(log.is_taken(seq + 1).unwrap()),
                    }
                }
            });
        }
    });
    let log = open(dir.path());
    let (mut seq, mut number) = (0, 0);
    newest(&log, &mut seq, &mut number);
    assert_eq!((number, seq), (8 * each * 2, 8 * each * 2));
    assert_eq!(head(&log), seq);
    assert_eq!(
        log.files.list(&log.layout.log_drafts()).unwrap(),
        Vec::<String>::new()
    );
}

/// Claims 1, 2 and, in the next segment, 1500, as a writer would; what it was told of each.
fn run(files: Arc<dyn Files>, root: &Path) -> Vec<(Entry, osis_core::Result<Claim>)> {
    let Ok(log) = open_with(files, root) else {
        return Vec::new();
    };
    let schema = schema();
    let mut told = Vec::new();
    for (first, last) in [(1, 1), (2, 1499), (1500, 1500)] {
        let entry = entry(
            &log,
            &schema,
            first,
            last,
            vec![note(first, first, 1, "text")],
        );
        let mut claimed = log.claim(&entry, &schema);
        // A caller to whom the cause is past tries again.
        if claimed
            .as_ref()
            .is_err_and(|error| !matches!(error.kind(), ErrorKind::Internal))
        {
            assert!(!log.is_taken(first).unwrap_or(false), "{claimed:?}");
            claimed = log.claim(&entry, &schema);
        }
        let goes_on = matches!(claimed, Ok(Claim::Won));
        told.push((entry, claimed));
        if !goes_on {
            break;
        }
    }
    told
}

#[test]
fn a_fault_at_any_call_leaves_no_doubt() {
    let dir = quick();
    let counting = Arc::new(Faulty::counting(Arc::new(Disk)));
    assert_eq!(run(Arc::clone(&counting) as _, dir.path()).len(), 3);
    let faults = [
        Fault::Fail(Io::StorageFull),
        Fault::Fail(Io::TimedOut),
        Fault::Fail(Io::Other),
        Fault::Unclear(Io::AlreadyExists),
        Fault::Unclear(Io::TimedOut),
        Fault::Unclear(Io::StorageFull),
        Fault::Half(Io::StorageFull),
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::CrashAmid,
    ];
    for at in 1..=counting.calls() {
        for fault in faults {
            let dir = quick();
            let faulty = Arc::new(Faulty::new(Arc::new(Disk), at, fault));
            let told = run(Arc::clone(&faulty) as _, dir.path());
            let case = format!("{fault:?} at {at}: {:?}", faulty.struck());
            let log = open(dir.path());
            let mut reached = 0;
            let mut is_unclear = false;
            for (entry, claimed) in &told {
                let there = next(&log, entry.first).unwrap();
                match claimed {
                    Ok(Claim::Won) => assert_eq!(there.as_ref(), Some(entry), "{case}"),
                    Ok(Claim::Taken) => panic!("{case}: nobody else is there"),
                    Err(error) if matches!(error.kind(), ErrorKind::Internal) => {
                        is_unclear = true;
                        assert!(there.is_none_or(|there| there == *entry), "{case}");
                    }
                    Err(_) => assert_eq!(there, None, "{case}"),
                }
                if next(&log, entry.first).unwrap().is_some() {
                    reached = entry.last;
                }
            }
            assert_eq!(followed(&log, 0).0, reached, "{case}");
            assert_eq!(head(&log), reached, "{case}");
            // What a process leaves that lives on is nothing, unless removing failed.
            let removes = faulty
                .struck()
                .is_some_and(|call| call.starts_with("remove "));
            let crashes = matches!(
                fault,
                Fault::CrashBefore | Fault::CrashAfter | Fault::CrashAmid
            );
            if !crashes && !removes {
                let left = log.files.list(&log.layout.log_drafts()).unwrap();
                assert_eq!(left, Vec::<String>::new(), "{case}");
                let is_done = told.last().is_some_and(|told| told.1.is_ok());
                assert!(is_done || is_unclear || told.is_empty(), "{case}: {told:?}");
            }
            // Others go on.
            let first = reached + 1;
            win(&log, first, first, vec![note(first, first, 1, "after")]);
        }
    }
}

#[test]
fn a_link_that_is_made_in_spite_of_an_error_is_won() {
    let schema = schema();
    for kind in [
        Io::AlreadyExists,
        Io::TimedOut,
        Io::NotFound,
        Io::StorageFull,
    ] {
        let mut met = 0;
        for at in 1..60 {
            let dir = quick();
            let files = Arc::new(Faulty::new(Arc::new(Disk), at, Fault::Unclear(kind)));
            let Ok(log) = open_with(Arc::clone(&files) as _, dir.path()) else {
                continue;
            };
            let Ok(first) = log.head(&schema, &schema.hash).map(|head| head + 1) else {
                continue;
            };
            let entry = entry(&log, &schema, first, first, vec![]);
            let claimed = log.claim(&entry, &schema);
            if files.struck().is_some_and(|call| call.starts_with("link ")) {
                met += 1;
                assert_eq!(claimed.unwrap(), Claim::Won);
                assert!(!log.is_unclear());
                assert_eq!(next(&log, first).unwrap(), Some(entry));
            }
        }
        assert_eq!(met, 1);
    }
}

#[test]
fn a_sync_that_fails_after_the_link_ends_the_writing() {
    let schema = schema();
    let mut met = 0;
    for at in 1..60 {
        let dir = quick();
        win(&open(dir.path()), 1, 1, vec![]);
        let files = Arc::new(Faulty::new(Arc::new(Disk), at, Fault::Fail(Io::Other)));
        let Ok(log) = open_with(Arc::clone(&files) as _, dir.path()) else {
            continue;
        };
        let Ok(first) = log.head(&schema, &schema.hash).map(|head| head + 1) else {
            continue;
        };
        let entry = entry(&log, &schema, first, first, vec![]);
        let Err(error) = log.claim(&entry, &schema) else {
            continue;
        };
        if matches!(error.kind(), ErrorKind::Internal) {
            met += 1;
            assert!(log.is_unclear() && log.is_taken(first).unwrap());
            // It is there, so that others go on behind it; this one reads on and writes no more.
            assert_eq!(next(&log, first).unwrap(), Some(entry));
            let refused = log.claim(
                &super::entry(&log, &schema, first + 1, first + 1, vec![]),
                &schema,
            );
            assert!(matches!(
                refused.unwrap_err().kind(),
                ErrorKind::Unavailable { .. }
            ));
            win(&open(dir.path()), first + 1, first + 1, vec![]);
        }
    }
    assert_eq!(met, 1);
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let dir = quick();
    let log = open(dir.path());
    win(&log, 1, 1, vec![]);
    let before = files(dir.path());
    for at in 1..60 {
        let faulty = Arc::new(Faulty::new(
            Arc::new(Disk),
            at,
            Fault::Half(Io::StorageFull),
        ));
        let Ok(log) = open_with(Arc::clone(&faulty) as _, dir.path()) else {
            continue;
        };
        let schema = schema();
        let entry = entry(&log, &schema, 2, 2, vec![]);
        let claimed = log.claim(&entry, &schema);
        let struck = faulty.struck().unwrap_or_default();
        if struck.starts_with("create ") || struck.starts_with("link ") {
            let error = claimed.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::StorageFull),
                "{struck}: {error}"
            );
            assert_eq!(files(dir.path()), before);
        } else if claimed.is_ok() {
            std::fs::remove_file(log.layout.entry(2)).unwrap();
        }
        let _ = std::fs::remove_file(log.layout.entry(2));
    }
}

#[test]
fn a_claim_that_slept_through_packing_and_pruning_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let schema = schema();
    // Both have read up to 500, and have entered the segment.
    let (slow, slower) = (open(dir.path()), open(dir.path()));
    fill(&slow, 1, 499);
    win(&slow, 500, 500, vec![]);
    fill(&slow, 501, 1000);
    let busy = open(dir.path());
    compact(&busy, 1000).unwrap();
    assert_eq!(
        busy.list()
            .unwrap()
            .segments
            .into_iter()
            .collect::<Vec<_>>(),
        [1]
    );
    let stale = entry(&slow, &schema, 501, 501, vec![note(501, 1, 9, "stale")]);
    assert_eq!(slow.claim(&stale, &schema).unwrap(), Claim::Taken);
    assert_eq!(next(&slow, 501).unwrap().unwrap().last, 999);
    // Another has made the folder anew and is there at the same time.
    std::fs::create_dir_all(slow.layout.segment(501)).unwrap();
    slow.entered.store(1, std::sync::atomic::Ordering::Release);
    assert_eq!(slow.claim(&stale, &schema).unwrap(), Claim::Taken);
    // Nothing of it is left, and if it were, the pack has the word.
    assert!(!slow.layout.segment(501).exists());
    fill(&slow, 501, 501);
    assert_eq!(next(&slower, 501).unwrap().unwrap().last, 999);
    assert_eq!(head(&slower), 1000);
    compact(&busy, 1000).unwrap();
    assert!(!slow.layout.segment(501).exists());
    // So it is when the pack is gone as well.
    fill(&busy, 1001, 2500);
    compact(&busy, 2500).unwrap();
    assert_eq!(busy.prune(Duration::ZERO, 0, time(1_000_000)).unwrap(), 999);
    assert!(slower.is_taken(501).unwrap());
    for entered in [0, 1] {
        if entered == 1 {
            std::fs::create_dir_all(slow.layout.segment(501)).unwrap();
        }
        slow.entered
            .store(entered, std::sync::atomic::Ordering::Release);
        assert_eq!(slow.claim(&stale, &schema).unwrap(), Claim::Taken);
        let gone = next(&slow, 501).unwrap_err();
        assert_eq!(*gone.kind(), ErrorKind::Gone { oldest: 999 });
    }
    fill(&slow, 501, 501);
    assert!(next(&slower, 501).is_err());
    assert_eq!(head(&slower), 2500);
}

#[test]
fn a_hole_is_an_error_and_is_not_filled() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    fill(&log, 1, 20);
    std::fs::remove_file(log.layout.entry(11)).unwrap();
    let schema = schema();
    let entry = entry(&log, &schema, 11, 11, vec![]);
    let error = log.claim(&entry, &schema).unwrap_err();
    let path = log.layout.entry(11).display().to_string();
    assert_eq!(*error.kind(), ErrorKind::Corrupt { path, line: None });
    assert!(!log.is_taken(11).unwrap());
    // A damaged one is not passed over.
    std::fs::write(log.layout.entry(11), "O:\nfirst = 11\n").unwrap();
    assert!(matches!(
        next(&log, 11).unwrap_err().kind(),
        ErrorKind::Corrupt { .. }
    ));
}

#[test]
#[ignore = "measures"]
fn measure() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let start = Instant::now();
    for seq in 1..=2000 {
        win(&log, seq, seq, vec![note(seq, seq, 1, &"x".repeat(1000))]);
    }
    let took = start.elapsed();
    println!("one process: {:.0} claims/s", 2000.0 / took.as_secs_f64());
    let start = Instant::now();
    for _ in 0..100_000 {
        assert!(!log.is_taken(2001).unwrap());
    }
    println!("a look: {:?}", start.elapsed() / 100_000);
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let log = open(dir.path());
                let (mut seq, mut won) = (0, 0);
                while won < 200 {
                    while let Some(entry) = next(&log, seq + 1).unwrap() {
                        seq = entry.last;
                    }
                    let schema = schema();
                    let change = note(seq + 1, seq, 1, &"x".repeat(1000));
                    let entry = entry(&log, &schema, seq + 1, seq + 1, vec![change]);
                    won += usize::from(log.claim(&entry, &schema).unwrap() == Claim::Won);
                }
            });
        }
    });
    println!(
        "eight: {:.0} claims/s",
        1600.0 / start.elapsed().as_secs_f64()
    );
}
