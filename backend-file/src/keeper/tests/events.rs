//! Objects of log types in files of days.

use super::*;

const ID: &str = "019f0000-0000-7000-8000-0000000000";

fn at(text: &str) -> Value {
    Value::Time(Time::parse(text).unwrap())
}

/// An id of an event of a time.
fn id(time: &str, n: u32) -> String {
    let ms = Time::parse(time).unwrap().as_millis();
    let ms = format!("{ms:012x}");
    format!("{}-{}{}{n:02}", &ms[..8], &ms[8..], &ID[13..])
}

fn day_files(dir: &Path) -> Vec<PathBuf> {
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
