//! Objects of log types in files of days.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::keeper::inspect::STILL_NETWORK;

const ID: &str = "019f0000-0000-7000-8000-0000000000";

pub(super) fn at(text: &str) -> Value {
    Value::Time(Time::parse(text).unwrap())
}

/// An id of an event of a time.
pub(super) fn id(time: &str, n: u32) -> String {
    let ms = Time::parse(time).unwrap().as_millis();
    let ms = format!("{ms:012x}");
    format!("{}-{}{}{n:02}", &ms[..8], &ms[8..], &ID[13..])
}

pub(super) fn day_files(dir: &Path) -> Vec<PathBuf> {
    let month = dir.join("visits/2026/11");
    let names = names(&month);
    names.into_iter().map(|name| month.join(name)).collect()
}

#[test]
fn events_are_in_files_of_days() {
    let dir = store();
    let process = start(dir.path());
    let time = "2026-11-21T07:00:00.000Z";
    for n in 0..3 {
        process.make(
            VISIT,
            &id(time, n),
            &[("at", at(time)), ("what", "seen".into())],
        );
    }
    process.settle();
    let files = day_files(dir.path());
    assert_eq!(files.len(), 1, "{files:?}");
    process.set(VISIT, &id(time, 1), &[("what", "bought".into())]);
    process.delete(VISIT, &id(time, 2));
    process.settle();
    let files = day_files(dir.path());
    let text: String = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    assert_eq!(text.matches("[[visit]]").count(), 2, "{text}");
    assert!(text.contains("bought"), "{text}");
    process.close();
}

#[test]
fn edits_of_blocks_are_commits() {
    let dir = store();
    let process = start(dir.path());
    let time = "2026-11-21T07:00:00.000Z";
    for n in 0..3 {
        let what = format!("w{n}");
        process.make(
            VISIT,
            &id(time, n),
            &[("at", at(time)), ("what", what.as_str().into())],
        );
    }
    process.settle();
    let file = day_files(dir.path()).remove(0);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut blocks: Vec<&str> = text.split("[[visit]]").collect();
    blocks.remove(3);
    let text = blocks.join("[[visit]]").replace("\"w0\"", "\"edited\"");
    let text = format!("{text}\n[[visit]]\nat = 2026-11-21T09:00:00Z\nwhat = \"added\"\n");
    std::fs::write(&file, text).unwrap();
    process.settle();
    let what = process.shared.schema.types[VISIT].field("what").unwrap();
    let row = process.row(VISIT, &id(time, 0)).unwrap();
    assert_eq!((row.rev, row.values[what].as_str()), (2, Some("edited")));
    assert_eq!(process.row(VISIT, &id(time, 2)), None);
    let state = process.shared.state();
    let all: Vec<&str> = state.types[VISIT]
        .ordinals
        .values()
        .filter_map(|held| held.row.values[what].as_str())
        .collect();
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.contains(&"added"));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text.matches("\nid = ").count(), 3, "{text}");
    assert_eq!(day_files(dir.path()).len(), 1);
    assert_eq!(process.problems(), [""; 0]);
    std::fs::remove_file(&file).unwrap();
    process.settle();
    assert!(process.shared.state().types[VISIT].ordinals.is_empty());
    process.close();
}

/// What a visit says.
pub(super) fn what(process: &Process, id: &str) -> Option<String> {
    let row = process.row(VISIT, id)?;
    let field = process.shared.schema.types[VISIT].field("what").unwrap();
    row.values[field].as_str().map(str::to_owned)
}

/// How many visits there are.
pub(super) fn count(process: &Process) -> usize {
    process.shared.state().types[VISIT].ordinals.len()
}

pub(super) const TIME: &str = "2026-11-21T07:00:00.000Z";

/// A process with visits `w0`, `w1`, …, and the file that has them.
pub(super) fn visits(dir: &Path, count: u32) -> (Process, PathBuf) {
    let process = start(dir);
    make_visits(&process, count);
    process.settle();
    let file = day_files(dir).remove(0);
    (process, file)
}

pub(super) fn make_visits(process: &Process, count: u32) {
    for n in 0..count {
        let what = format!("w{n}");
        let values = [("at", at(TIME)), ("what", what.as_str().into())];
        process.make(VISIT, &id(TIME, n), &values);
    }
}

pub(super) fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

/// The blocks of a file, each with its head.
fn blocks(file: &Path) -> Vec<String> {
    let text = read(file);
    let mut blocks = text.split("[[visit]]").map(str::to_owned);
    blocks.next();
    blocks.map(|block| format!("[[visit]]{block}")).collect()
}

#[test]
fn comments_stay_in_a_block_that_the_store_changes() {
    let dir = store();
    let (process, file) = visits(dir.path(), 2);
    let text = read(&file);
    let text = text
        .replacen(
            "[[visit]]\n",
            "# First of the day.\n[[visit]] # here\n# when\n",
            1,
        )
        .replace("what = \"w0\"", "# said\nwhat   =   'w0' # so")
        .replace("\n[[visit]]\nat", "# between\n\n# Second.\n[[visit]]\n  at")
        + "# the end\n";
    std::fs::write(&file, &text).unwrap();
    process.settle();
    // Nothing has changed but the layout.
    assert_eq!((read(&file), process.problems()), (text.clone(), vec![]));
    process.set(VISIT, &id(TIME, 0), &[("what", "changed".into())]);
    process.settle();
    let changed = read(&file);
    let own = changed
        .lines()
        .zip(text.lines())
        .filter(|(new, old)| new != old);
    let own: Vec<&str> = own
        .map(|(new, _)| new.split(" =").next().unwrap())
        .collect();
    assert_eq!(own, ["rev", "updated_at", "what  "], "{changed}");
    assert!(
        changed.contains("# said\nwhat   =   \"changed\" # so\n"),
        "{changed}"
    );
    assert_eq!(changed.lines().count(), text.lines().count());
    // A person's own edit is brought up to date as gently.
    std::fs::write(&file, changed.replace("\"changed\"", "'mine'")).unwrap();
    process.settle();
    let mine = read(&file);
    assert!(mine.contains("# said\nwhat   =   'mine' # so\n"), "{mine}");
    assert!(mine.contains("rev = 3\n"), "{mine}");
    process.set(VISIT, &id(TIME, 0), &[("what", Value::Null)]);
    process.delete(VISIT, &id(TIME, 1));
    process.settle();
    let left = read(&file);
    for kept in [
        "# First of the day.\n[[visit]] # here\n# when\n",
        "# said\n# between\n\n# Second.\n",
        "# the end\n",
    ] {
        assert!(left.contains(kept), "no {kept:?} in {left}");
    }
    assert_eq!(left.matches("[[visit]]").count(), 1, "{left}");
    process.close();
}

#[test]
fn comments_keep_a_file_from_being_merged() {
    let dir = store();
    let (process, file) = visits(dir.path(), 1);
    let text = format!("{}# mine\n", read(&file));
    std::fs::write(&file, &text).unwrap();
    process.settle();
    for n in 1..24 {
        process.make(VISIT, &id(TIME, n), &[("at", at(TIME))]);
        process.settle();
    }
    assert_eq!(read(&file), text);
    assert!(day_files(dir.path()).len() < 20, "others are merged");
    process.close();
}

/// A process whose store takes nothing as often as it is told to.
fn faltering(dir: &Path, error: fn() -> osis_core::error::Error) -> (Process, Arc<AtomicUsize>) {
    let mut process = open(dir, Arc::new(Disk), false);
    let submit = Arc::clone(&process.submit);
    let left = Arc::new(AtomicUsize::new(0));
    let falters = Arc::clone(&left);
    process.submit = Arc::new(move |batches| {
        let less = |left: usize| left.checked_sub(1);
        match falters.fetch_update(SeqCst, SeqCst, less) {
            Ok(_) => batches.iter().map(|_| Err(error())).collect(),
            Err(_) => submit(batches),
        }
    });
    process.keep(Tree::default());
    (process, left)
}

#[test]
fn edits_wait_where_the_store_takes_none_for_now() {
    use osis_core::error::{Error, ErrorKind};
    let errors: [fn() -> Error; 4] = [
        || crate::error::unavailable(None, "is busy".to_owned()),
        || Error::new(ErrorKind::StorageFull, "full"),
        || Error::new(ErrorKind::RateLimited { retry_after_ms: 5 }, "slow"),
        || Error::internal("broke", "off"),
    ];
    for error in errors {
        let dir = store();
        let (process, falters) = faltering(dir.path(), error);
        make_visits(&process, 3);
        process.settle();
        let file = day_files(dir.path()).remove(0);
        let mut blocks = blocks(&file);
        blocks.remove(2);
        blocks[0] = blocks[0].replace("w0", "edited");
        blocks.push(format!("[[visit]]\nat = {TIME}\nwhat = \"added\"\n"));
        falters.store(2, SeqCst);
        std::fs::write(&file, format!("O:\n{}", blocks.concat())).unwrap();
        // It waits until they are taken.
        process.settle();
        assert_eq!(falters.load(SeqCst), 0);
        assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("edited"));
        assert_eq!(what(&process, &id(TIME, 2)), None);
        assert_eq!((count(&process), process.problems()), (3, vec![]));
        let text = read(&file);
        assert_eq!(text.matches("\nid = ").count(), 3, "{text}");
        assert_eq!(day_files(dir.path()).len(), 1);
        // The same where the file goes as a whole.
        falters.store(1, SeqCst);
        std::fs::remove_file(&file).unwrap();
        process.settle();
        assert_eq!((falters.load(SeqCst), count(&process)), (0, 0));
        process.close();
    }
}

#[test]
fn an_event_that_stands_in_a_file_twice_is_told() {
    let dir = store();
    let (process, file) = visits(dir.path(), 2);
    let blocks = blocks(&file);
    // The same twice; and with something else in it, above or below.
    let other = blocks[0].replace("w0", "other");
    for (first, second) in [
        (&blocks[0], &blocks[0]),
        (&blocks[0], &other),
        (&other, &blocks[0]),
    ] {
        let text = format!("O:\n{first}\n{}\n{second}", blocks[1]);
        std::fs::write(&file, &text).unwrap();
        process.settle();
        assert_eq!(read(&file), text);
        assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("w0"));
        let problems = process.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("stands in this file twice, on line "),
            "{problems:?}"
        );
    }
    // The store changes its own block, not the person's.
    process.set(VISIT, &id(TIME, 0), &[("what", "changed".into())]);
    process.settle();
    let text = read(&file);
    assert!(
        text.contains("\"other\"") && text.contains("\"changed\""),
        "{text}"
    );
    assert!(!text.contains("\"w0\""), "{text}");
    assert_eq!((process.problems().len(), count(&process)), (1, 2));
    // Without its id, it is another event.
    let text = text.replacen(&format!("id = \"{}\"\n", id(TIME, 0)), "", 1);
    std::fs::write(&file, &text).unwrap();
    process.settle();
    assert_eq!((process.problems(), count(&process)), (vec![], 3));
    assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("changed"));
    process.close();
}

#[test]
fn an_event_that_stands_in_two_files_is_told() {
    let dir = store();
    let (process, file) = visits(dir.path(), 2);
    let all = blocks(&file);
    let mine = file.with_file_name("21-mine.otoml");
    for other in ["w0", "other"] {
        std::fs::write(&mine, all[0].replace("w0", other)).unwrap();
        process.settle();
        assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("w0"));
        let problems = process.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let name = file.file_name().unwrap().to_str().unwrap();
        let told = format!("stands in visits/2026/11/{name} too");
        assert!(
            problems[0].starts_with("visits/2026/11/21-mine.otoml: "),
            "{problems:?}"
        );
        assert!(problems[0].contains(&told), "{problems:?}");
        assert_eq!(read(&mine), all[0].replace("w0", other));
        if other == "w0" {
            std::fs::remove_file(&mine).unwrap();
            process.settle();
            assert_eq!((process.problems(), count(&process)), (vec![], 2));
        }
    }
    // The one that stays is the one.
    std::fs::write(&file, format!("O:\n{}", all[1])).unwrap();
    process.settle();
    process.settle();
    assert_eq!((process.problems(), count(&process)), (vec![], 2));
    assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("other"));
    assert_eq!(process.row(VISIT, &id(TIME, 0)).unwrap().rev, 2);
    process.close();
}

#[test]
fn blocks_that_are_moved_are_not_lost() {
    let dir = store();
    let (process, file) = visits(dir.path(), 2);
    let text = read(&file);
    let all = blocks(&file);
    let mine = file.with_file_name("22-mine.otoml");
    // Cut from the one and put into the other.
    std::fs::write(&file, format!("O:\n{}", all[1])).unwrap();
    std::fs::write(&mine, &all[0]).unwrap();
    process.settle();
    assert_eq!((count(&process), process.problems()), (2, vec![]));
    assert_eq!(read(&mine), all[0]);
    // Put back, the file being removed as a whole.
    std::fs::remove_file(&mine).unwrap();
    std::fs::write(&file, &text).unwrap();
    process.settle();
    assert_eq!((count(&process), process.problems()), (2, vec![]));
    // Renamed.
    let renamed = file.with_file_name("21-renamed.otoml");
    std::fs::rename(&file, &renamed).unwrap();
    process.settle();
    assert_eq!((count(&process), process.problems()), (2, vec![]));
    assert_eq!(
        (read(&renamed), day_files(dir.path())),
        (text.clone(), vec![renamed.clone()])
    );
    for n in 0..2 {
        assert_eq!(process.row(VISIT, &id(TIME, n)).unwrap().rev, 1);
    }
    // Removed, and put back again.
    std::fs::write(&renamed, &all[1]).unwrap();
    process.settle();
    assert_eq!(count(&process), 1);
    std::fs::write(&renamed, &text).unwrap();
    process.settle();
    assert_eq!((count(&process), process.problems()), (2, vec![]));
    assert_eq!(what(&process, &id(TIME, 0)).as_deref(), Some("w0"));
    assert_eq!(blocks(&renamed).len(), 2);
    process.close();
}

#[test]
fn ids_of_new_blocks_are_of_their_time() {
    let dir = store();
    let (process, file) = visits(dir.path(), 1);
    let before = read(&file);
    let late = id("2026-11-23T07:00:00.001Z", 7);
    let text = format!("{before}\n[[visit]]\nat = {TIME}\nid = \"{late}\"\n");
    std::fs::write(&file, &text).unwrap();
    process.settle();
    assert_eq!((read(&file), count(&process)), (text.clone(), 1));
    let list = process.shared.problems.list();
    let line = text.lines().position(|line| line.contains(&late)).unwrap() + 1;
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].1.line, Some(line));
    let why = "id: expected a UUIDv7 whose own time is within a day of at";
    assert_eq!(list[0].1.message, why);
    let near = id("2026-11-22T06:59:00.000Z", 7);
    std::fs::write(&file, text.replace(&late, &near)).unwrap();
    process.settle();
    assert_eq!((process.problems(), count(&process)), (vec![], 2));
    let days = super::super::days::Days::of(&process.shared, VISIT);
    assert!(days.find(&Id::trusted(&near)).unwrap().is_some());
    // What no UUIDv7 is of the time of.
    let old = "0969-07-20T20:17:00.000Z";
    let path = dir.path().join("visits/0969/07/20.otoml");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("[[visit]]\nat = {old}\n")).unwrap();
    process.settle();
    assert_eq!((process.problems(), count(&process)), (vec![], 3));
    let text = read(&path);
    let own = text
        .lines()
        .find_map(|line| line.strip_prefix("id = \""))
        .unwrap();
    let own = Id::trusted(own.strip_suffix('"').unwrap());
    assert!(days.find(&own).unwrap().is_some());
    process.close();
}

#[test]
fn a_deleted_event_stays_deleted_whatever_a_file_of_before_says() {
    let dir = store();
    let (mut first, file) = visits(dir.path(), 2);
    // It ends before it has taken the event out of the file.
    first.keeper.take().unwrap().close();
    first.delete(VISIT, &id(TIME, 1));
    drop(first);
    assert_eq!(blocks(&file).len(), 2);
    let next = start(dir.path());
    next.settle();
    assert_eq!((count(&next), next.row(VISIT, &id(TIME, 1))), (1, None));
    assert_eq!(blocks(&file).len(), 1);
    next.close();
}

#[test]
fn only_a_change_that_says_so_removes_an_event() {
    let dir = store();
    let (process, file) = visits(dir.path(), 2);
    let gone = Id::trusted(&id(TIME, 0));
    // A person has just removed the block, and nobody has looked; of another process's change the
    // log has no content any more.
    let text = blocks(&file).remove(1);
    std::fs::write(&file, text).unwrap();
    let mut state = (*process.shared.state()).clone();
    let held = Arc::clone(state.get(VISIT, &gone).unwrap());
    let mut change = Change {
        seq: state.seq + 1,
        type_id: VISIT,
        id: gone.clone(),
        at: Time::now(),
        op: ChangeOp::Set,
        rev: 2,
        was: Some(held.version()),
        content: Content::Folded,
    };
    let load = |change: &Change| super::super::load(&process.shared, change);
    let (schema, bodies) = (&process.shared.schema, &process.shared.bodies);
    let step = state.take_in(schema, bodies, &change, &load).unwrap();
    assert!(step.before.is_none() && step.after.is_none());
    assert_eq!(state.get(VISIT, &gone).unwrap().version(), held.version());
    assert_eq!(state.seq, change.seq);
    change.op = ChangeOp::Delete;
    change.seq += 1;
    let step = state.take_in(schema, bodies, &change, &load).unwrap();
    assert_eq!(step.before.unwrap().version(), held.version());
    assert!(state.get(VISIT, &gone).is_none());
    process.close();
}

#[test]
fn thousands_of_faults_are_told_in_a_moment() {
    let dir = store();
    let (process, file) = visits(dir.path(), 1);
    let block = format!("[[visit]]\nat = {TIME}\nid = \"no-uuid\"\n");
    let blocks: Vec<String> = (0..20_000)
        .map(|n| block.replace("no-uuid", &format!("visit-{n}")))
        .collect();
    let text = format!("{}\n{}", read(&file), blocks.concat());
    std::fs::write(&file, &text).unwrap();
    process.settle();
    let problems = process.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].ends_with("; and 19990 more"), "{problems:?}");
    assert!(read(&file) == text);
    process.close();
}

#[test]
fn days_on_a_network_volume_stand_still_as_long_as_objects() {
    let dir = store();
    let process = open(dir.path(), Arc::new(Disk), true);
    make_visits(&process, 2);
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.work(Tree::default(), |worker| {
        worker.fold_once();
        std::fs::remove_file(day_files(dir.path()).remove(0)).unwrap();
        std::fs::remove_file(process.path(APP, "app-1")).unwrap();
        let other = dir.path().join("visits/2026/11/22.otoml");
        std::fs::write(other, "O:\n[[visit]]\nat = 2026-11-22T00:00:00Z\n").unwrap();
        worker.walk();
        let days = worker.day_suspects.values();
        let days: Vec<Duration> = days.map(|day| day.due - day.since).collect();
        assert_eq!(days, [STILL_NETWORK; 2]);
        let objects = worker.suspects.values();
        let objects: Vec<Duration> = objects.map(|file| file.due - file.since).collect();
        assert_eq!(objects, [STILL_NETWORK]);
    });
}
