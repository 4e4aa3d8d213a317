//! The keeper over real files, with commits made as the writer makes them.

mod edits;
mod events;
mod faults;
mod folds;
mod kills;
mod plain;
mod put_back;
mod races;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use osis_core::backend::ChangeOp;
use osis_core::batch::{Batch, Commit, Op, SetMode};
use osis_core::error::Result;
use osis_core::input::{Draft, Target};
use osis_core::object::{Id, Row};
use osis_core::resolve::{Effects, Transition, View, resolve};
use osis_core::schema::{KeyId, Schema, Source, TypeId};
use osis_core::time::Time;
use osis_core::value::Value;

use super::asides;
use super::worker::Worker;
use super::{Keeper, Submit, Tree};
use crate::bodies::Bodies;
use crate::files::{Disk, Files};
use crate::layout::Layout;
use crate::log::{Change, Claim, Content, Entry, Log};
use crate::otoml;
use crate::problems::Problems;
use crate::save::Lineage;
use crate::shared::{Parts, Shared};
use crate::slot::Slot;
use crate::state::{Applied, State};

const SCHEMA: &str = r#"
name = "s"
version = 1
[types.app]
plural = "apps"
[types.app.fields]
dev = { type = "ref", to = "dev", on_delete = "restrict" }
name = { type = "string", required = true, unique = true }
notes = { type = "text" }
hits = { type = "int", default = 0 }
kind = { type = "string", immutable = true }
[types.dev]
plural = "devs"
[types.dev.fields]
name = { type = "string", required = true }
[types.visit]
plural = "visits"
class = "log"
time = "at"
[types.visit.fields]
at = { type = "time", required = true }
what = { type = "string" }
"#;
const APP: TypeId = 0;
const DEV: TypeId = 1;
const VISIT: TypeId = 2;

/// One process of a store.
struct Process {
    shared: Arc<Shared>,
    submit: Submit,
    keeper: Option<Keeper>,
    received: Mutex<Option<Receiver<Arc<Applied>>>>,
}

fn schema() -> Arc<Schema> {
    let source = Source::new("test".to_owned(), SCHEMA.to_owned());
    Arc::new(osis_core::schema::load(&[source]).unwrap())
}

/// A directory that looks like a store.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("store.toml"), "format = 1\n").unwrap();
    std::fs::create_dir_all(dir.path().join("log/new")).unwrap();
    dir
}

/// Opens a process without a keeper, caught up.
fn open(root: &Path, files: Arc<dyn Files>, is_network: bool) -> Process {
    let layout = Layout::new(root.to_owned());
    let schema = schema();
    let log = Log::open(Arc::new(Disk), layout.clone()).unwrap();
    let slot = Slot::claim(&layout.derived()).unwrap();
    let bodies = Arc::new(Bodies::open(&slot.bodies()).unwrap());
    let shared = Shared::new(Parts {
        layout,
        schema_hash: schema.hash.clone(),
        files,
        is_network,
        log,
        bodies,
        slot,
        lineage: Lineage {
            store: "s".to_owned(),
            schema: schema.hash.clone(),
            built: "b".to_owned(),
        },
        problems: Problems::default(),
        state: State::empty(&schema, 0),
        schema,
    });
    let shared = Arc::new(shared);
    let (sender, received) = channel();
    shared.follow(sender);
    shared.catch_up().unwrap();
    let of = Arc::clone(&shared);
    Process {
        submit: Arc::new(move |batches| batches.iter().map(|batch| apply(&of, batch)).collect()),
        shared,
        keeper: None,
        received: Mutex::new(Some(received)),
    }
}

/// Opens a process with its keeper.
fn start(root: &Path) -> Process {
    start_on(root, Arc::new(Disk), false)
}

fn start_on(root: &Path, files: Arc<dyn Files>, is_network: bool) -> Process {
    let mut process = open(root, files, is_network);
    process.keep(Tree::default());
    process
}

impl Process {
    fn keep(&mut self, tree: Tree) {
        let received = self.received.lock().unwrap().take().unwrap();
        let (shared, submit) = (Arc::clone(&self.shared), Arc::clone(&self.submit));
        self.keeper = Some(Keeper::start(shared, (tree, None), received, submit).unwrap());
    }

    /// Runs the keeper's work here, on this thread, until it ends.
    fn work(&self, tree: Tree, work: impl FnOnce(&mut Worker<'_>)) {
        let received = self.received.lock().unwrap().take().unwrap();
        let (_orders, receiver) = channel();
        let submit = Arc::clone(&self.submit);
        let mut worker = Worker::new(&self.shared, (tree, None), received, receiver, submit);
        work(&mut worker);
    }

    fn apply(&self, op: Op) -> Result<Commit> {
        (self.submit)(vec![Batch::of(vec![op])]).pop().unwrap()
    }

    fn make(&self, type_id: TypeId, id: &str, values: &[(&str, Value)]) {
        self.apply(new(&self.shared.schema, type_id, id, values))
            .unwrap();
    }

    fn set(&self, type_id: TypeId, id: &str, values: &[(&str, Value)]) {
        let op = Op::Set {
            type_id,
            target: Target::Id(Id::trusted(id)),
            draft: draft(&self.shared.schema, type_id, values),
            mode: SetMode::Patch,
            if_rev: None,
            upsert: false,
        };
        self.apply(op).unwrap();
    }

    fn delete(&self, type_id: TypeId, id: &str) {
        let op = Op::Delete {
            type_id,
            target: Target::Id(Id::trusted(id)),
            if_rev: None,
        };
        self.apply(op).unwrap();
    }

    fn settle(&self) {
        self.keeper.as_ref().unwrap().settle();
    }

    fn close(mut self) {
        self.keeper.take().unwrap().close();
    }

    fn row(&self, type_id: TypeId, id: &str) -> Option<Row> {
        let state = self.shared.catch_up().unwrap();
        self.shared.row(&state, type_id, &Id::trusted(id)).unwrap()
    }

    fn name(&self, id: &str) -> Option<String> {
        let row = self.row(APP, id)?;
        let field = self.shared.schema.types[APP].field("name").unwrap();
        row.values[field].as_str().map(str::to_owned)
    }

    fn path(&self, type_id: TypeId, id: &str) -> PathBuf {
        let ty = &self.shared.schema.types[type_id];
        self.shared.layout.object(ty, &Id::trusted(id))
    }

    fn text(&self, type_id: TypeId, id: &str) -> String {
        std::fs::read_to_string(self.path(type_id, id)).unwrap()
    }

    /// What the file of an object must be.
    fn expected(&self, type_id: TypeId, id: &str) -> String {
        let row = self.row(type_id, id).unwrap();
        otoml::object(&self.shared.schema.types[type_id], &row)
    }

    fn problems(&self) -> Vec<String> {
        let list = self.shared.problems.list();
        let shown = |path: &Path| {
            path.strip_prefix(self.shared.root())
                .unwrap()
                .display()
                .to_string()
        };
        list.iter()
            .map(|(path, fault)| format!("{}: {}", shown(path), fault.message))
            .collect()
    }

    /// Waits until something is so, and says whether it came to that.
    fn until(&self, is_so: impl Fn(&Self) -> bool) -> bool {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            if is_so(self) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.close();
        }
    }
}

fn draft(schema: &Schema, type_id: TypeId, values: &[(&str, Value)]) -> Draft {
    let ty = &schema.types[type_id];
    let mut draft = Draft {
        id: None,
        values: vec![None; ty.fields.len()],
        links: Vec::new(),
    };
    for (name, value) in values {
        draft.values[ty.field(name).unwrap()] = Some(value.clone());
    }
    draft
}

fn new(schema: &Schema, type_id: TypeId, id: &str, values: &[(&str, Value)]) -> Op {
    let mut draft = draft(schema, type_id, values);
    draft.id = Some(Id::trusted(id));
    Op::New { type_id, draft }
}

/// All files in a directory and below, by name, dot files too.
fn names(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            names.extend(self::names(&entry.path()));
        } else {
            names.push(entry.file_name().into_string().unwrap());
        }
    }
    names.sort();
    names
}

/// Carries a batch out as the writer does.
fn apply(shared: &Shared, batch: &Batch) -> Result<Commit> {
    let followers = shared.moving();
    loop {
        let state = shared.catch_up_under(&followers)?;
        let mut view = StateView(shared, &state);
        let Effects { rows, outcomes } = resolve(&shared.schema, batch, &mut view, Time::now())?;
        if rows.is_empty() {
            let seq = state.seq;
            return Ok(Commit { seq, outcomes });
        }
        let seq = state.seq + 1;
        let mut next = (*state).clone();
        let (mut changes, mut steps) = (Vec::new(), Vec::new());
        for row in rows {
            let (op, last, content) = match row.change {
                Transition::Insert(row) => (ChangeOp::New, row.clone(), Content::Full(row)),
                Transition::Update { after, .. } => {
                    (ChangeOp::Set, after.clone(), Content::Full(after))
                }
                Transition::Remove(row) => (ChangeOp::Delete, row, Content::Gone),
            };
            let change = Change {
                seq,
                type_id: row.type_id,
                at: row.at,
                op,
                rev: last.rev,
                was: next.get(row.type_id, &last.id).map(|held| held.version()),
                id: last.id,
                content,
            };
            let taken = next.take_in(&shared.schema, &shared.bodies, &change, &|_| Ok(None));
            steps.push(taken.unwrap());
            changes.push(change);
        }
        let entry = Entry {
            first: seq,
            last: seq,
            writer: shared.log.writer().to_owned(),
            schema: shared.schema_hash.clone(),
            new_schema: None,
            changes,
        };
        if shared.log.claim(&entry, &shared.schema)? == Claim::Won {
            shared.publish(&followers, next, steps, true);
            return Ok(Commit { seq, outcomes });
        }
    }
}

struct StateView<'a>(&'a Shared, &'a State);

impl View for StateView<'_> {
    fn get(&mut self, type_id: TypeId, id: &Id) -> Result<Option<Row>> {
        self.0.row(self.1, type_id, id)
    }

    fn get_by_key(&mut self, type_id: TypeId, key: KeyId, values: &[Value]) -> Result<Option<Row>> {
        let held = self.1.types[type_id].table.by_key(key, values);
        held.map(|held| self.0.bodies.join(held)).transpose()
    }

    fn referrers(&mut self, type_id: TypeId, field: usize, id: &Id) -> Result<Vec<Row>> {
        let holders = self.1.types[type_id].table.holders(field, id.as_str());
        holders.map(|held| self.0.bodies.join(held)).collect()
    }

    fn get_by_content(&mut self, _: TypeId, _: &[Value]) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }
}
