//! A fault at every single call to the file system, from the opening of a store to its closing:
//! what was acknowledged is there afterwards, what was not is there whole or not at all, and the
//! objects' files, the index and a cache built anew agree.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use osis_core::Backend;
use osis_core::backend::{Scope, Search};
use osis_core::batch::{Batch, Op, SetMode};
use osis_core::input::{Draft, Target};
use osis_core::object::{Id, Row};
use osis_core::query::Filter;
use osis_core::schema::{Schema, Source, load};
use osis_core::text::Query;
use osis_core::value::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::files::Bent;
use crate::files::faulty::{Fault, Faulty};
use crate::{FileBackend, FileConfig, Files};

const SCHEMA: &str = r#"
name = "faults"
version = 1

[types.note]
plural = "notes"
[types.note.fields]
name = { type = "string", required = true, unique = true, search = 2 }
body = { type = "text", search = 1 }
folder_id = { type = "ref", to = "folder", on_delete = "cascade" }

[types.folder]
plural = "folders"
[types.folder.fields]
name = { type = "string", required = true }
"#;

fn schema() -> Schema {
    load(&[Source::new("faults.toml", SCHEMA)]).unwrap()
}

fn open(directory: &Path, files: Arc<dyn Files>) -> osis_core::Result<FileBackend> {
    let config = FileConfig {
        files,
        ..FileConfig::new(directory)
    };
    FileBackend::open(config, Some(schema()))
}

fn id(name: &str) -> Id {
    Id::parse(name).unwrap()
}

/// One change, by the name and text that a note has afterwards; `None`: it is gone.
type Step = (&'static str, Option<&'static str>);

/// The history that each run tries to get through.
const STEPS: &[Step] = &[
    ("note-one", Some("first")),
    ("note-two", Some("second")),
    ("note-one", Some("changed")),
    ("note-three", Some("third")),
    ("note-two", None),
    ("note-three", Some("again")),
];

fn op(schema: &Schema, (name, text): Step, is_there: bool) -> Op {
    let type_id = schema.find("note").unwrap().id;
    let Some(text) = text else {
        return Op::Delete {
            type_id,
            target: Target::Id(id(name)),
            if_rev: None,
        };
    };
    let values = vec![Some(Value::from(name)), Some(Value::from(text)), None];
    let draft = |id: Option<Id>| Draft {
        id,
        values: values.clone(),
        links: Vec::new(),
    };
    match is_there {
        false => Op::New {
            type_id,
            draft: draft(Some(id(name))),
        },
        true => Op::Set {
            type_id,
            target: Target::Id(id(name)),
            draft: draft(None),
            mode: SetMode::Patch,
            if_rev: None,
            upsert: false,
        },
    }
}

/// What is known of the notes: of each the texts that it may have now, `None` for none at all.
#[derive(Debug, Default)]
struct Known(BTreeMap<&'static str, Vec<Option<&'static str>>>);

impl Known {
    fn is_there(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|texts| !texts.contains(&None))
    }
}

/// Gets through the history as far as the files let it, in two openings of the store.
fn live(runtime: &Runtime, directory: &Path, files: &Arc<dyn Files>) -> Known {
    let mut known = Known::default();
    for steps in STEPS.chunks(STEPS.len() / 2) {
        let Ok(backend) = open(directory, Arc::clone(files)) else {
            continue;
        };
        for &step in steps {
            let (name, text) = step;
            let op = op(backend.schema(), step, known.is_there(name));
            let batch = Batch::of(vec![op]);
            let answers = runtime.block_on(backend.apply(vec![batch]));
            let texts = known.0.entry(name).or_insert_with(|| vec![None]);
            match answers.first().unwrap() {
                Ok(_) => *texts = vec![text],
                // Of a change that was refused nothing may be seen; of one whose outcome is
                // unclear, all or nothing.
                Err(_) => texts.push(text),
            }
        }
        // Whether it closes cleanly is not the question.
        let _ = runtime.block_on(backend.close());
    }
    known
}

fn notes(runtime: &Runtime, backend: &FileBackend) -> Vec<Row> {
    let type_id = backend.schema().find("note").unwrap().id;
    let scan = osis_core::backend::Scan {
        type_id,
        filter: Filter::EVERY,
        sort: osis_core::query::Sort::default(),
        after: None,
        limit: 100,
    };
    runtime.block_on(async {
        let mut snapshot = backend.snapshot(Scope::Consistent, None).await.unwrap();
        snapshot.scan(&scan).await.unwrap()
    })
}

fn found(runtime: &Runtime, backend: &FileBackend, word: &str) -> Vec<Id> {
    let ty = backend.schema().find("note").unwrap();
    let search = Search {
        type_id: ty.id,
        query: Query::parse(ty, word, false).unwrap(),
        filter: Filter::EVERY,
        sort: None,
        after: None,
        limit: 100,
        facets: Vec::new(),
    };
    let found = runtime.block_on(async {
        let mut snapshot = backend.snapshot(Scope::Search, None).await.unwrap();
        snapshot.search(&search).await.unwrap()
    });
    found.hits.into_iter().map(|(_, row)| row.id).collect()
}

/// Holds a store against what is known of it.
fn verify(runtime: &Runtime, directory: &Path, known: &Known) {
    let backend = open(directory, Arc::new(Bent::quick())).unwrap();
    let rows = notes(runtime, &backend);
    for (name, texts) in &known.0 {
        let row = rows.iter().find(|row| row.id.as_str() == *name);
        let text = row.map(|row| row.values[1].as_str().unwrap());
        assert!(
            texts.contains(&text),
            "{name}: {text:?} is none of {texts:?}"
        );
    }
    for row in &rows {
        assert!(
            known.0.contains_key(row.id.as_str()),
            "{row:?} comes from nowhere"
        );
        let text = row.values[1].as_str().unwrap();
        assert!(
            found(runtime, &backend, text).contains(&row.id),
            "{text} is not found"
        );
    }
    backend.settle();
    assert_eq!(backend.problems(), [], "nobody has edited anything");
    let ty = backend.schema().find("note").unwrap();
    for row in &rows {
        let id = row.id.as_str();
        let path = directory
            .join("notes")
            .join(&id[id.len() - 2..])
            .join(format!("{id}.otoml"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, crate::otoml::object(ty, row), "{}", path.display());
    }
    runtime.block_on(backend.close()).unwrap();
    drop(backend);
    // What is derived can be built anew.
    std::fs::remove_dir_all(directory.join(".osis")).unwrap();
    let backend = open(directory, Arc::new(Bent::quick())).unwrap();
    assert_eq!(notes(runtime, &backend), rows);
    runtime.block_on(backend.close()).unwrap();
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// In memory where that is to be had: the cache syncs by itself, and each run has caches of its own.
fn directory() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap()
}

/// The kinds of faults. By default each call has one of them, in turn; with `OSIS_FAULTS=all` each
/// has all, which takes minutes.
const FAULTS: [Fault; 6] = [
    Fault::Fail(ErrorKind::StorageFull),
    Fault::Unclear(ErrorKind::TimedOut),
    Fault::Half(ErrorKind::StorageFull),
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::CrashAmid,
];

fn every_call(kind: usize) {
    let fault = FAULTS[kind];
    let is_all = std::env::var("OSIS_FAULTS").is_ok_and(|wanted| wanted == "all");
    let runtime = runtime();
    let quiet = directory();
    let counting = Arc::new(Faulty::counting(Arc::new(Bent::quick())));
    let files: Arc<dyn Files> = Arc::clone(&counting) as _;
    let known = live(&runtime, quiet.path(), &files);
    assert!(known.0.values().all(|texts| texts.len() == 1), "{known:?}");
    verify(&runtime, quiet.path(), &known);
    let calls = counting.calls();
    assert!(calls > 50, "{calls}");
    let in_turn = |at: &u64| is_all || at % FAULTS.len() as u64 == kind as u64;
    for at in (1..=calls).filter(in_turn) {
        let directory = directory();
        let faulty = Arc::new(Faulty::new(Arc::new(Bent::quick()), at, fault));
        let files: Arc<dyn Files> = Arc::clone(&faulty) as _;
        let known = live(&runtime, directory.path(), &files);
        eprintln!("{at} of {calls}: {fault:?} at {:?}", faulty.struck());
        verify(&runtime, directory.path(), &known);
    }
}

#[test]
fn a_call_that_fails() {
    every_call(0);
}

#[test]
fn a_call_that_takes_effect_and_reports_an_error() {
    every_call(1);
}

#[test]
fn a_file_that_is_written_in_half() {
    every_call(2);
}

#[test]
fn an_end_before_a_call() {
    every_call(3);
}

#[test]
fn an_end_after_a_call() {
    every_call(4);
}

#[test]
fn an_end_amid_a_call() {
    every_call(5);
}
