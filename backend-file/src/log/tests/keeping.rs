//! Packing and pruning, with a fault at every call.

use std::io::ErrorKind as Io;
use std::sync::Arc;

use osis_core::error::ErrorKind;

use super::*;
use crate::files::faulty::{Fault, Faulty};

/// Four segments of few entries, each of many commits, so that a run has few calls.
fn sparse(root: &Path, body: impl Fn(u64) -> String) -> u64 {
    let log = open(root);
    let schema = schema();
    let mut first = 1;
    while first < 3100 {
        let last = first + 299;
        std::fs::create_dir_all(log.layout.segment(first)).unwrap();
        let changes = vec![
            note(first, first, 1, &body(first)),
            visit(first, first),
            delete(last - 1, first, 1),
            note(last, last, 1, "b"),
        ];
        let text = entry(&log, &schema, first, last, changes).encode(&schema);
        std::fs::write(log.layout.entry(first), text).unwrap();
        first = last + 1;
    }
    first - 1
}

fn copy(from: &Path, to: &Path) {
    for name in files(from) {
        let target = to.join(&name);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(from.join(&name), target).unwrap();
    }
}

#[test]
fn compacting_changes_nothing_that_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    fill(&log, 1, 2345);
    let whole = followed(&log, 0);
    let feed = records(&log, 0, usize::MAX, 2345).unwrap();
    compact(&log, 1500).unwrap();
    let listing = log.list().unwrap();
    assert_eq!(listing.packs.into_iter().collect::<Vec<_>>(), [0]);
    assert_eq!(listing.segments.into_iter().collect::<Vec<_>>(), [1, 2]);
    compact(&log, 2345).unwrap();
    compact(&open(dir.path()), 2345).unwrap();
    let left = files(dir.path());
    assert_eq!(left[..2], ["log/000000000.otoml", "log/000000001.otoml"]);
    assert_eq!(left.len(), 2 + 346);
    let fresh = open(dir.path());
    assert!(followed(&fresh, 0) == whole);
    assert!(records(&fresh, 0, usize::MAX, 2345).unwrap() == feed);
    assert_eq!(head(&fresh), 2345);
    for since in [1, 500, 998, 999, 1000, 1999, 2000, 2345] {
        let (last, rest) = followed(&fresh, since);
        let known: Vec<_> = whole.1.iter().filter(|known| known.0 > since).collect();
        assert_eq!((last, rest.iter().collect()), (2345, known));
    }
    // Young entries stay, and so do the objects in them.
    fill(&log, 2346, 3500);
    let schema = schema();
    log.compact(3500, &schema, &schema.hash).unwrap();
    assert_eq!(log.list().unwrap().packs.len(), 2);
}

#[test]
fn a_history_is_told_from_another_after_slimming_and_packing() {
    let schema = schema();
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let last = sparse(dir.path(), |_| "x".repeat(70_000));
    let log = open(dir.path());
    let mut tips = Vec::new();
    while let Some(entry) = {
        let reached = tips.last().map_or(0, |(seq, _)| *seq);
        log.next(reached + 1, &schema, &schema.hash).unwrap()
    } {
        tips.push((entry.last, Tip::of(&entry, &schema)));
    }
    let others = open(other.path());
    let mut strange = Vec::new();
    for (n, (seq, _)) in tips.iter().enumerate() {
        let first = n.checked_sub(1).map_or(1, |before| tips[before].0 + 1);
        std::fs::create_dir_all(others.layout.segment(first)).unwrap();
        let changes = vec![note(*seq, 7, 1, "another")];
        let entry = entry(&others, &schema, first, *seq, changes);
        std::fs::write(others.layout.entry(first), entry.encode(&schema)).unwrap();
        strange.push((*seq, Tip::of(&entry, &schema)));
    }
    let check = || {
        for ((seq, tip), (_, strange)) in tips.iter().zip(&strange) {
            let has = |log: &Log, tip| log.has_tip(*seq, tip, &schema, &schema.hash).unwrap();
            assert!(has(&log, tip) && has(&others, strange), "{seq}");
            assert!(!has(&log, strange) && !has(&others, tip), "{seq}");
        }
        let (seq, tip) = &tips[2];
        let beyond = log.has_tip(seq + 1, tip, &schema, &schema.hash);
        assert!(!beyond.unwrap());
    };
    check();
    compact(&log, last).unwrap();
    compact(&others, last).unwrap();
    assert_eq!(others.list().unwrap().packs.len(), 3);
    check();
}

#[test]
fn large_entries_lose_their_objects_once() {
    let dir = tempfile::tempdir().unwrap();
    let last = sparse(dir.path(), |_| "x".repeat(70_000));
    let log = open(dir.path());
    let whole = followed(&log, 0);
    let size = || -> u64 {
        let names = files(dir.path());
        names
            .iter()
            .map(|name| dir.path().join(name).metadata().unwrap().len())
            .sum()
    };
    let before = size();
    // What is not folded keeps its objects.
    compact(&log, 600).unwrap();
    assert!(size() < before - 2 * 70_000 && size() > before - 3 * 70_000);
    assert!(log.list().unwrap().packs.is_empty());
    compact(&log, last).unwrap();
    assert!(size() < 20_000);
    assert!(followed(&open(dir.path()), 0) == whole);
    let faulty = Arc::new(Faulty::counting(Arc::new(Disk)));
    let log = open_with(Arc::clone(&faulty) as _, dir.path()).unwrap();
    compact(&log, last).unwrap();
    let before = faulty.calls();
    compact(&log, last).unwrap();
    assert!(faulty.calls() - before < 10);
}

#[test]
fn a_fault_at_any_call_of_compacting_and_pruning_is_mended_by_the_next() {
    let origin = quick();
    // One is to be slimmed.
    let last = sparse(origin.path(), |first| match first {
        3001 => "x".repeat(70_000),
        _ => "x".to_owned(),
    });
    let whole = followed(&open(origin.path()), 0);
    let run = |files: Arc<dyn Files>, root: &Path| -> osis_core::Result<()> {
        let log = open_with(files, root)?;
        compact(&log, last)?;
        // Two of the three packs are past their time, one of them stays for its records.
        log.prune(Duration::ZERO, 10, time(1_000_000)).map(drop)
    };
    let all = |root: &Path| {
        let log = open(root);
        let oldest = log.oldest();
        let (reached, rest) = followed_from(&log, oldest);
        assert_eq!(reached, last);
        let feed = records(&log, oldest, usize::MAX, last).unwrap();
        (oldest, rest, feed.changes.len())
    };
    let done = quick();
    copy(origin.path(), done.path());
    let counting = Arc::new(Faulty::counting(Arc::new(Disk)));
    run(Arc::clone(&counting) as _, done.path()).unwrap();
    let wanted = all(done.path());
    assert_eq!(wanted.0, 1200);
    for at in 1..=counting.calls() {
        for fault in [
            Fault::Fail(Io::Other),
            Fault::Unclear(Io::TimedOut),
            Fault::CrashBefore,
            Fault::CrashAfter,
            Fault::CrashAmid,
        ] {
            let dir = quick();
            copy(origin.path(), dir.path());
            let faulty = Arc::new(Faulty::new(Arc::new(Disk), at, fault));
            let ended = run(Arc::clone(&faulty) as _, dir.path());
            let case = format!("{fault:?} at {at}: {:?}, {ended:?}", faulty.struck());
            // As it was left.
            let (oldest, rest, _) = all(dir.path());
            assert!(oldest == 0 || oldest == wanted.0, "{case}");
            let known = whole.1.iter().filter(|known| known.0 > oldest);
            // Of those past their time, log types may be gone.
            let is_record = |known: &&Known| known.1 == NOTE;
            let rest: Vec<_> = rest.iter().filter(is_record).collect();
            assert_eq!(rest, known.filter(is_record).collect::<Vec<_>>(), "{case}");
            // And when another has gone on.
            run(Arc::new(Disk), dir.path()).unwrap();
            assert_eq!(all(dir.path()), wanted, "{case}");
            let left = files(dir.path());
            let left: Vec<_> = left
                .iter()
                .filter(|name| !name.starts_with("log/new/"))
                .collect();
            assert_eq!(
                left,
                files(done.path()).iter().collect::<Vec<_>>(),
                "{case}"
            );
        }
    }
}

/// As `followed`, passing over packs that lost their changes of log types by the feed.
fn followed_from(log: &Log, oldest: u64) -> (u64, Vec<Known>) {
    let schema = schema();
    let (mut at, mut all) = (oldest, Vec::new());
    loop {
        match next(log, at + 1) {
            Ok(Some(entry)) => {
                all.extend(entry.changes.iter().map(|change| {
                    let id = change.id.as_str().to_owned();
                    (
                        change.seq,
                        change.type_id,
                        id,
                        change.rev,
                        change.op,
                        change.at,
                    )
                }));
                at = entry.last;
            }
            Ok(None) => {
                in_order(&mut all);
                return (at, all);
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Gone { .. }), "{error}");
                let pack = log.pack_at(at + 1).unwrap().unwrap();
                assert!(pack.thin && !log.reaches(at, &schema, &schema.hash).unwrap());
                let feed = records(log, at, usize::MAX, pack.last).unwrap();
                all.extend(feed.changes.iter().map(|record| {
                    let id = record.id.as_str().to_owned();
                    (
                        record.seq,
                        record.type_id,
                        id,
                        record.rev,
                        record.op,
                        record.at,
                    )
                }));
                at = pack.last;
            }
        }
    }
}

#[test]
fn several_pack_and_follow_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    fill(&log, 1, 4200);
    let whole = followed(&log, 0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (root, whole) = (dir.path(), &whole);
            scope.spawn(move || {
                let log = open(root);
                for folded in [1100, 2200, 4200] {
                    compact(&log, folded).unwrap();
                    assert!(followed(&log, 0) == *whole);
                    let since = 900 * thread;
                    let feed = records(&log, since, 100, 4200).unwrap();
                    assert!(feed.changes.len() >= 100);
                }
            });
        }
    });
    assert_eq!(log.list().unwrap().packs.len(), 4);
    assert_eq!(log.list().unwrap().segments.len(), 1);
}

#[test]
fn what_is_promised_is_kept_and_the_rest_goes() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    fill(&log, 1, 5500);
    compact(&log, 5500).unwrap();
    // Each pack holds about 1200 records, of one second.
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(log.prune(day, 0, time(6000)).unwrap(), 0);
    assert_eq!(log.prune(Duration::ZERO, 100_000, time(6000)).unwrap(), 0);
    let thin = next(&log, 1).unwrap_err();
    assert_eq!(*thin.kind(), ErrorKind::Gone { oldest: 0 });
    assert_eq!(records(&log, 0, 1, 5500).unwrap().next, 1);
    assert_eq!(log.prune(Duration::ZERO, 2000, time(6000)).unwrap(), 2999);
    assert_eq!(log.oldest(), 2999);
    let other = open(dir.path());
    assert_eq!(other.oldest(), 2999);
    for (since, is_good) in [
        (0, false),
        (2998, false),
        (2999, true),
        (5500, true),
        (5501, false),
    ] {
        let feed = records(&other, since, 10, 5500);
        match feed {
            Ok(feed) => assert!(is_good && feed.oldest == 2999),
            Err(error) => {
                assert!(!is_good);
                assert_eq!(*error.kind(), ErrorKind::Gone { oldest: 2999 });
            }
        }
    }
    // The newest pack stays, whatever is asked for.
    assert_eq!(log.prune(Duration::ZERO, 0, time(1_000_000)).unwrap(), 3999);
    let left = files(dir.path());
    assert_eq!(left[0], "log/000000004.otoml");
    // What a process forgot that was overtaken, the next one mends.
    std::fs::write(log.layout.log_oldest(), "O:\noldest = 2999\n").unwrap();
    assert_eq!(log.prune(day, 0, time(6000)).unwrap(), 3999);
    // A segment that comes up again, as after a loss of power, goes again.
    fill(&log, 3000, 3010);
    compact(&log, 5500).unwrap();
    assert_eq!(
        log.list().unwrap().segments.into_iter().collect::<Vec<_>>(),
        [5]
    );
}

#[test]
fn a_damaged_or_missing_entry_is_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    fill(&log, 1, 2100);
    std::fs::remove_file(log.layout.entry(17)).unwrap();
    let before = files(dir.path());
    let error = compact(&log, 2100).unwrap_err();
    let path = log.layout.entry(17).display().to_string();
    assert_eq!(*error.kind(), ErrorKind::Corrupt { path, line: None });
    std::fs::write(log.layout.entry(17), "O:\n").unwrap();
    assert!(matches!(
        compact(&log, 2100).unwrap_err().kind(),
        ErrorKind::Corrupt { .. }
    ));
    assert_eq!(files(dir.path()).len(), before.len() + 1);
    fill(&log, 17, 17);
    compact(&log, 2100).unwrap();
    // Nor does a segment go for a damaged pack.
    fill(&log, 1, 999);
    let mut bytes = std::fs::read(log.layout.pack(0)).unwrap();
    bytes[100] ^= 1;
    std::fs::write(log.layout.pack(0), bytes).unwrap();
    assert!(compact(&log, 2100).is_err());
    assert!(log.layout.entry(1).exists());
}

#[test]
fn drafts_of_the_dead_are_swept_and_those_of_the_living_stay() {
    let dir = tempfile::tempdir().unwrap();
    let drafts = dir.path().join("log/new");
    std::fs::create_dir_all(drafts.join("aside")).unwrap();
    std::fs::write(drafts.join("aside/000000000001.otoml"), "x").unwrap();
    for (name, age) in [("old-1.otoml", 3700), ("young-1.otoml", 3500)] {
        std::fs::write(drafts.join(name), "x").unwrap();
        let file = std::fs::File::options()
            .write(true)
            .open(drafts.join(name))
            .unwrap();
        let written = std::time::SystemTime::now() - Duration::from_secs(age);
        file.set_modified(written).unwrap();
    }
    let log = open(dir.path());
    assert_eq!(log.files.list(&drafts).unwrap(), ["young-1.otoml"]);
}
