//! The log under contention, faults and sleep.

mod claims;
mod feed;
mod keeping;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use osis_core::backend::{ChangeOp, Feed};
use osis_core::object::{Id, Row};
use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use osis_core::value::Value;

use super::{Change, Claim, Content, Entry, Log, Tip};
use crate::files::{Disk, Files};
use crate::layout::Layout;

/// What `object` writes into the field of a note.
const NOTE: usize = 0;
/// The log type.
const VISIT: usize = 1;

fn schema_text(more: &str) -> String {
    format!(
        r#"
name = "tiny"
version = 1

[types.note.fields]
body = {{ type = "text" }}
{more}
[types.visit]
class = "log"
time = "at"

[types.visit.fields]
at = {{ type = "time", required = true }}
"#
    )
}

fn parsed(text: String) -> Arc<Schema> {
    Arc::new(load(&[Source::new("tiny.toml", text)]).unwrap())
}

fn schema() -> Arc<Schema> {
    static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
    Arc::clone(SCHEMA.get_or_init(|| parsed(schema_text(""))))
}

fn open_with(files: Arc<dyn Files>, root: &Path) -> osis_core::Result<Log> {
    Log::open(files, Layout::new(root.to_owned()))
}

fn open(root: &Path) -> Log {
    open_with(Arc::new(Disk), root).unwrap()
}

fn time(ms: u64) -> Time {
    Time::from_millis(1_800_000_000_000 + i64::try_from(ms).unwrap()).unwrap()
}

/// A change that makes or changes the note of that number.
fn note(seq: u64, number: u64, rev: i64, body: &str) -> Change {
    let id = Id::parse(&format!("note-{number}")).unwrap();
    let at = time(seq);
    Change {
        seq,
        type_id: NOTE,
        id: id.clone(),
        at,
        op: if rev == 1 {
            ChangeOp::New
        } else {
            ChangeOp::Set
        },
        rev,
        was: None,
        content: Content::Full(Row {
            id,
            rev,
            created_at: at,
            updated_at: at,
            values: [Value::Str(body.into())].into(),
        }),
    }
}

fn delete(seq: u64, number: u64, rev: i64) -> Change {
    Change {
        op: ChangeOp::Delete,
        content: Content::Gone,
        ..note(seq, number, rev, "")
    }
}

fn visit(seq: u64, number: u64) -> Change {
    let id = Id::parse(&format!("visit-{number}")).unwrap();
    let at = time(seq);
    Change {
        type_id: VISIT,
        id: id.clone(),
        content: Content::Full(Row {
            id,
            rev: 1,
            created_at: at,
            updated_at: at,
            values: [Value::Time(at)].into(),
        }),
        ..note(seq, number, 1, "")
    }
}

fn entry(log: &Log, schema: &Schema, first: u64, last: u64, changes: Vec<Change>) -> Entry {
    Entry {
        first,
        last,
        writer: log.writer().to_owned(),
        schema: schema.hash.clone(),
        new_schema: None,
        changes,
    }
}

fn win(log: &Log, first: u64, last: u64, changes: Vec<Change>) {
    let schema = schema();
    let entry = entry(log, &schema, first, last, changes);
    assert_eq!(log.claim(&entry, &schema).unwrap(), Claim::Won);
}

fn next(log: &Log, first: u64) -> osis_core::Result<Option<Entry>> {
    let schema = schema();
    log.next(first, &schema, &schema.hash)
}

fn head(log: &Log) -> u64 {
    let schema = schema();
    log.head(&schema, &schema.hash).unwrap()
}

fn compact(log: &Log, folded: u64) -> osis_core::Result<()> {
    let schema = schema();
    log.compact_older(Duration::ZERO, folded, &schema, &schema.hash)
}

fn records(log: &Log, since: u64, limit: usize, last: u64) -> osis_core::Result<Feed> {
    let schema = schema();
    log.records(since, &[], limit, last, &schema, &schema.hash)
}

/// What there is to know of a change once its object is folded.
type Known = (u64, usize, String, i64, ChangeOp, Time);

/// All changes behind a seq, as one who follows reads them.
fn followed(log: &Log, since: u64) -> (u64, Vec<Known>) {
    let (mut at, mut all) = (since, Vec::new());
    while let Some(entry) = next(log, at + 1).unwrap() {
        assert!(entry.first <= entry.last && entry.first == at + 1);
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
    in_order(&mut all);
    assert!(!log.is_taken(at + 1).unwrap());
    (at, all)
}

/// A pack tells the changes of a commit that are of log types behind the others.
fn in_order(all: &mut [Known]) {
    all.sort_by_key(|known| (known.0, known.1));
}

/// A directory in memory where there is such a thing: for tests of many runs, which syncs would
/// make slow and which lose no power.
fn quick() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// The names of all files below a directory, sorted.
fn files(root: &Path) -> Vec<String> {
    let walk = walkdir::WalkDir::new(root).sort_by_file_name();
    let found = walk.into_iter().map(Result::unwrap);
    found
        .filter(|found| found.file_type().is_file())
        .map(|found| {
            let path = found.path().strip_prefix(root).unwrap();
            path.display().to_string()
        })
        .collect()
}

/// Writes the entries `first..=last` of one commit each, without syncs: for tests of what comes
/// after.
fn fill(log: &Log, first: u64, last: u64) {
    let (schema, layout) = (schema(), &log.layout);
    for seq in first..=last {
        let changes = match seq % 5 {
            0 => vec![delete(seq, seq - 1, 2)],
            1 => vec![
                visit(seq, seq),
                note(seq, seq, 1, "one"),
                visit(seq, seq + 7),
            ],
            2 => vec![],
            _ => vec![note(seq, seq, 1, "é\n"), note(seq, seq, 2, "b")],
        };
        std::fs::create_dir_all(layout.segment(seq)).unwrap();
        let text = entry(log, &schema, seq, seq, changes).encode(&schema);
        std::fs::write(layout.entry(seq), text).unwrap();
    }
}
