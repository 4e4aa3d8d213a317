//! States and trees built from files and the log.

use std::fs;
use std::time::Duration;

use osis_core::backend::ChangeOp;
use osis_core::schema::{Source, load};
use osis_core::time::Time;
use osis_core::value::Value;

use super::*;
use crate::files::Disk;
use crate::files::faulty::Faulty;
use crate::log::{Change, Claim, Content, Entry};
use crate::otoml;

const SCHEMA: &str = "
name = 'shop'
version = 1
[types.developer]
plural = 'developers'
[types.developer.fields]
email = { type = 'string', required = true, unique = 'fold' }
[types.app]
plural = 'apps'
[types.app.fields]
developer_id = { type = 'ref', to = 'developer', on_delete = 'cascade' }
parent_id = { type = 'ref', to = 'app', on_delete = 'set_null' }
name = { type = 'string', unique = true }
description = { type = 'text' }
[types.visit]
plural = 'visits'
class = 'log'
time = 'at'
[types.visit.fields]
at = { type = 'time', required = true }
page = { type = 'string' }
";
const DEVELOPER: TypeId = 0;
const APP: TypeId = 1;
const VISIT: TypeId = 2;

struct Trial {
    _directory: tempfile::TempDir,
    layout: Layout,
    schema: Arc<Schema>,
    files: Arc<dyn Files>,
    log: Log,
    bodies: Bodies,
    problems: Problems,
    seq: u64,
}

impl Trial {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().join("store"));
        let files: Arc<dyn Files> = Arc::new(Disk);
        fs::create_dir(layout.root()).unwrap();
        fs::write(layout.store_file(), "").unwrap();
        Self {
            log: Log::open(Arc::clone(&files), layout.clone()).unwrap(),
            bodies: Bodies::open(&directory.path().join("bodies")).unwrap(),
            schema: Arc::new(load(&[Source::new("shop.toml", SCHEMA)]).unwrap()),
            problems: Problems::default(),
            _directory: directory,
            layout,
            files,
            seq: 0,
        }
    }

    fn rebuild(&self) -> (State, Tree) {
        rebuild(&Ground {
            layout: &self.layout,
            schema: &self.schema,
            files: &*self.files,
            bodies: &self.bodies,
            log: &self.log,
            problems: &self.problems,
            patience: Duration::ZERO,
        })
        .unwrap()
    }

    fn path(&self, type_id: TypeId, id: &str) -> PathBuf {
        self.layout
            .object(&self.schema.types[type_id], &Id::trusted(id))
    }

    fn write(&self, path: &std::path::Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes an object's file as the store does.
    fn fold(&self, type_id: TypeId, row: &Row) {
        let text = otoml::object(&self.schema.types[type_id], row);
        self.write(&self.path(type_id, row.id.as_str()), &text);
    }

    /// Adds an entry to the log.
    fn commit(&mut self, changes: Vec<(TypeId, Row, ChangeOp, Option<Version>, Content)>) {
        let changes = changes.into_iter().map(|(type_id, row, op, was, content)| {
            self.seq += 1;
            Change {
                seq: self.seq,
                type_id,
                id: row.id,
                at: row.updated_at,
                op,
                rev: row.rev,
                was,
                content,
            }
        });
        let changes: Vec<Change> = changes.collect();
        let entry = Entry {
            first: changes[0].seq,
            last: self.seq,
            writer: self.log.writer().to_owned(),
            schema: self.schema.hash.clone(),
            new_schema: None,
            changes,
        };
        assert_eq!(self.log.claim(&entry, &self.schema).unwrap(), Claim::Won);
    }

    fn new_one(&mut self, type_id: TypeId, row: &Row) {
        let content = Content::Full(row.clone());
        self.commit(vec![(type_id, row.clone(), ChangeOp::New, None, content)]);
    }

    fn set(&mut self, type_id: TypeId, before: &Row, row: &Row) {
        let was = Some(version_of(&self.schema.types[type_id], before));
        let content = Content::Full(row.clone());
        self.commit(vec![(type_id, row.clone(), ChangeOp::Set, was, content)]);
    }

    fn delete(&mut self, type_id: TypeId, row: &Row) {
        let was = Some(version_of(&self.schema.types[type_id], row));
        self.commit(vec![(
            type_id,
            row.clone(),
            ChangeOp::Delete,
            was,
            Content::Gone,
        )]);
    }

    fn row(&self, state: &State, type_id: TypeId, id: &str) -> Option<Row> {
        let held = state.get(type_id, &Id::trusted(id))?;
        Some(self.bodies.join(held).unwrap())
    }

    fn is_known(&self, tree: &Tree, type_id: TypeId, row: &Row) -> bool {
        let known = tree.objects.get(&(type_id, row.id.clone()));
        known.is_some_and(|known| {
            let path = self.path(type_id, row.id.as_str());
            known.version == version_of(&self.schema.types[type_id], row)
                && Disk.stamp(&path).unwrap() == Some(known.stamp)
        })
    }

    fn problems(&self) -> Vec<(String, String)> {
        let list = self.problems.list().into_iter();
        let told = list.map(|(path, fault)| {
            let rel = path.strip_prefix(self.layout.root()).unwrap();
            (rel.to_str().unwrap().to_owned(), fault.message)
        });
        told.collect()
    }
}

fn at(n: i64) -> Time {
    Time::from_millis(1_700_000_000_000 + n).unwrap()
}

fn developer(id: &str, created: i64, email: &str) -> Row {
    Row {
        id: Id::trusted(id),
        rev: 1,
        created_at: at(created),
        updated_at: at(created),
        values: Box::new([Value::from(email)]),
    }
}

fn app(id: &str, developer: Option<&str>, name: &str) -> Row {
    Row {
        id: Id::trusted(id),
        rev: 1,
        created_at: at(0),
        updated_at: at(0),
        values: Box::new([
            developer.map_or(Value::Null, Value::from),
            Value::Null,
            Value::from(name),
            Value::from("a long description"),
        ]),
    }
}

fn next(row: &Row, name: &str) -> Row {
    let mut row = row.clone();
    row.rev += 1;
    let field = row.values.len() - 2;
    row.values[field] = Value::from(name);
    row
}

/// Two processes open a new store at once, and one of them commits at any moment of the other's
/// opening: the state that this one has built either has the commit, or does not say so.
#[test]
fn a_commit_meanwhile_is_there_or_still_to_come() {
    for at in 1.. {
        let mut other = Trial::new();
        let row = developer("dev-1", 1, "a@x");
        let layout = other.layout.clone();
        let schema = Arc::clone(&other.schema);
        let entry = Entry {
            first: 1,
            last: 1,
            writer: other.log.writer().to_owned(),
            schema: schema.hash.clone(),
            new_schema: None,
            changes: vec![Change {
                seq: 1,
                type_id: DEVELOPER,
                id: row.id.clone(),
                at: row.updated_at,
                op: ChangeOp::New,
                rev: 1,
                was: None,
                content: Content::Full(row),
            }],
        };
        let commit = move || {
            let log = Log::open(Arc::new(Disk), layout).unwrap();
            assert_eq!(log.claim(&entry, &schema).unwrap(), Claim::Won);
        };
        let faulty = Arc::new(Faulty::meanwhile(Arc::new(Disk), at, commit));
        other.files = Arc::clone(&faulty) as Arc<dyn Files>;
        other.log = Log::open(Arc::clone(&other.files), other.layout.clone()).unwrap();
        let (state, _) = other.rebuild();
        let has_it = state.get(DEVELOPER, &Id::trusted("dev-1")).is_some();
        assert_eq!(has_it, state.seq == 1, "at call {at}");
        if faulty.calls() < at {
            assert!(at > 5, "the opening makes only {at} calls");
            return;
        }
    }
}

#[test]
fn files_alone_are_enough() {
    let trial = Trial::new();
    let ada = developer("dev-ada", 0, "ada@example.org");
    let notes = app("app-notes", Some("dev-ada"), "Notes");
    trial.fold(DEVELOPER, &ada);
    trial.fold(APP, &notes);
    let edited = app("app-edited", None, "Edited");
    let text = otoml::object(&trial.schema.types[APP], &edited);
    trial.write(
        &trial.path(APP, "app-edited"),
        &format!("{text}# by hand\n"),
    );
    // New by a person, and nothing of ours.
    trial.write(&trial.path(APP, "app-new1"), "O:\nname = \"New\"\n");
    trial.write(&trial.path(APP, "app-bad1"), "O:\nname = 1\n");
    let other = otoml::object(&trial.schema.types[APP], &app("app-else", None, "Else"));
    trial.write(&trial.path(APP, "app-name"), &other);
    trial.write(&trial.layout.root().join("apps/zz/app-else.otoml"), &other);
    let (state, tree) = trial.rebuild();
    assert_eq!(trial.row(&state, DEVELOPER, "dev-ada"), Some(ada.clone()));
    assert_eq!(trial.row(&state, APP, "app-notes"), Some(notes.clone()));
    assert_eq!(trial.row(&state, APP, "app-edited"), Some(edited.clone()));
    assert_eq!((state.seq, state.types[APP].ordinals.len()), (0, 2));
    assert!(trial.is_known(&tree, DEVELOPER, &ada) && trial.is_known(&tree, APP, &notes));
    assert!(tree.objects[&(APP, notes.id)].is_canonical);
    assert!(!tree.objects[&(APP, edited.id)].is_canonical);
    assert_eq!(tree.objects.len(), 3);
    let paths: Vec<String> = trial.problems().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["apps/d1/app-bad1.otoml", "apps/me/app-name.otoml"]);
}

#[test]
fn the_log_has_the_word_over_files() {
    let mut trial = Trial::new();
    let [stays, behind, edited, deleted, again, unfolded] =
        ["stays", "behind", "edited", "deleted", "again", "unfolded"]
            .map(|name| app(&format!("app-{name}"), None, name));
    let [stays2, behind2, edited2] = [&stays, &behind, &edited].map(|row| next(row, "2"));
    let mut stays2 = stays2;
    stays2.values[2] = Value::from("stays two");
    let mut behind2 = behind2;
    behind2.values[2] = Value::from("behind two");
    let mut edited2 = edited2;
    edited2.values[2] = Value::from("edited two");
    trial.fold(APP, &stays2);
    trial.fold(APP, &behind);
    let by_person = next(&edited, "mine");
    let mut by_person = by_person;
    by_person.values[2] = Value::from("by a person");
    trial.fold(APP, &by_person);
    trial.fold(APP, &deleted);
    let written_again = next(&again, "after it was deleted");
    let mut written_again = written_again;
    written_again.values[2] = Value::from("after it was deleted");
    trial.fold(APP, &written_again);
    for (before, after) in [(&stays, &stays2), (&behind, &behind2), (&edited, &edited2)] {
        trial.new_one(APP, before);
        trial.set(APP, before, after);
    }
    for row in [&deleted, &again] {
        trial.new_one(APP, row);
        trial.delete(APP, row);
    }
    trial.new_one(APP, &unfolded);
    let (state, tree) = trial.rebuild();
    for row in [&stays2, &behind2, &edited2, &unfolded] {
        assert_eq!(trial.row(&state, APP, row.id.as_str()).as_ref(), Some(row));
    }
    assert_eq!(state.types[APP].ordinals.len(), 4);
    // Known as they are: what is up to date, what waits for a fold, what waits for its delete.
    for row in [&stays2, &behind, &deleted] {
        assert!(trial.is_known(&tree, APP, row), "{}", row.id);
    }
    assert_eq!(tree.objects.len(), 3);
    assert_eq!(trial.problems(), []);
    // The feed is whole.
    assert_eq!(state.seq, 11);
    let feed = state.feed(0, &[], 100, 0).unwrap();
    assert_eq!(feed.changes.len(), 11);
    assert_eq!(
        (feed.changes[10].seq, &feed.changes[10].id),
        (11, &unfolded.id)
    );
}

#[test]
fn what_the_log_let_go_of_is_in_its_file() {
    let mut trial = Trial::new();
    let (current, older) = (
        next(&app("app-one1", None, "one"), "1"),
        app("app-two2", None, "two"),
    );
    let missing = app("app-three3", None, "three");
    trial.fold(APP, &current);
    trial.fold(APP, &older);
    let mut newer = older.clone();
    newer.rev = 5;
    for row in [&current, &newer, &missing] {
        trial.commit(vec![(
            APP,
            row.clone(),
            ChangeOp::Set,
            None,
            Content::Folded,
        )]);
    }
    let (state, tree) = trial.rebuild();
    assert_eq!(trial.row(&state, APP, "app-one1"), Some(current.clone()));
    assert!(trial.is_known(&tree, APP, &current));
    // Somebody put an older copy back: an edit of what nobody has any more.
    assert_eq!(trial.row(&state, APP, "app-two2"), Some(newer));
    assert!(!tree.objects.contains_key(&(APP, older.id)));
    assert_eq!(trial.row(&state, APP, "app-three3"), None);
}

#[test]
fn of_two_files_with_one_key_the_first_is_served() {
    let trial = Trial::new();
    let first = developer("dev-zzz", 1, "Ada@example.org");
    let second = developer("dev-aaa", 2, "ada@Example.org");
    let same_time = developer("dev-zzzz", 1, "ADA@example.org");
    for row in [&first, &second, &same_time] {
        trial.fold(DEVELOPER, row);
    }
    // Goes with the one that it refers to.
    let orphan = app("app-orphan", Some("dev-aaa"), "Orphan");
    trial.fold(APP, &orphan);
    let (state, tree) = trial.rebuild();
    assert_eq!(state.types[DEVELOPER].ordinals.len(), 1);
    assert!(trial.row(&state, DEVELOPER, "dev-zzz").is_some());
    assert!(trial.row(&state, APP, "app-orphan").is_none());
    assert_eq!(tree.objects.len(), 1);
    let problems = trial.problems();
    assert_eq!(problems.len(), 3);
    assert!(problems[0].1.contains("dev-aaa"), "{problems:?}");
    assert_eq!(
        problems[1],
        (
            "developers/aa/dev-aaa.otoml".to_owned(),
            "has the same email as developers/zz/dev-zzz.otoml, which was made first; so this is \
             not served"
                .to_owned()
        )
    );
}

#[test]
fn what_is_in_the_log_comes_before_what_is_only_in_a_file() {
    let mut trial = Trial::new();
    let older = developer("dev-old", 1, "ada@example.org");
    let logged = developer("dev-log", 2, "ada@example.org");
    trial.fold(DEVELOPER, &older);
    trial.new_one(DEVELOPER, &logged);
    let (state, tree) = trial.rebuild();
    assert!(trial.row(&state, DEVELOPER, "dev-log").is_some());
    assert!(trial.row(&state, DEVELOPER, "dev-old").is_none());
    assert!(tree.objects.is_empty());
    assert_eq!(trial.problems().len(), 1);
}

#[test]
fn refs_to_nothing_are_followed_to_the_end() {
    let trial = Trial::new();
    let mut last = None;
    // A chain of thousands, whose first refers to nothing, and a ring, which is whole.
    for n in 0..3000 {
        let mut row = app(&format!("app-{n:05}"), None, &format!("chain {n}"));
        row.values[1] = Value::from(last.as_deref().unwrap_or("app-none"));
        trial.fold(APP, &row);
        last = Some(row.id.as_str().to_owned());
    }
    for (id, parent) in [
        ("ring-a", "ring-b"),
        ("ring-b", "ring-a"),
        ("ring-c", "ring-c"),
    ] {
        let mut row = app(id, None, id);
        row.values[1] = Value::from(parent);
        trial.fold(APP, &row);
    }
    let (state, tree) = trial.rebuild();
    assert_eq!(
        (state.types[APP].ordinals.len(), tree.objects.len()),
        (3, 3)
    );
    assert_eq!(trial.problems().len(), 3000);
}

#[test]
fn events_come_from_day_files_and_the_log() {
    let mut trial = Trial::new();
    let ty = |trial: &Trial| Arc::clone(&trial.schema);
    let event = |page: &str| {
        let at = at(0);
        let values = Box::new([Value::Time(at), Value::from(page)]);
        Row {
            id: Id::generate(at),
            rev: 1,
            created_at: at,
            updated_at: at,
            values,
        }
    };
    let [a, b, c, d, e] = ["a", "b", "c", "d", "e"].map(event);
    let b2 = {
        let mut row = b.clone();
        row.rev = 2;
        row.values[1] = Value::from("b2");
        row
    };
    let schema = ty(&trial);
    let visit = &schema.types[VISIT];
    let day = |name: &str| {
        trial
            .layout
            .root()
            .join(format!("visits/2023/11/14{name}.otoml"))
    };
    let names = [
        "",
        "-000000000001-000000000002",
        "-x",
        "-000000000003-000000000003",
    ];
    let [first, second, third, fourth] = names.map(day);
    trial.write(&first, &otoml::day(visit, &[&a, &b]));
    // A merge that ended halfway.
    trial.write(&second, &otoml::day(visit, &[&b2]));
    let own = "\n[[visit]]\nat = 2023-11-14T08:00:00Z\n";
    trial.write(&third, &format!("{}{own}", otoml::day(visit, &[&c])));
    let edited = {
        let mut row = d.clone();
        row.values[1] = Value::from("edited");
        row
    };
    trial.write(&fourth, &otoml::day(visit, &[&edited]));
    trial.new_one(VISIT, &d);
    trial.new_one(VISIT, &e);
    trial.delete(VISIT, &a);
    let (state, tree) = trial.rebuild();
    assert_eq!(state.types[VISIT].ordinals.len(), 4);
    for row in [&b2, &c, &d, &e] {
        assert_eq!(
            trial.row(&state, VISIT, row.id.as_str()).as_ref(),
            Some(row)
        );
    }
    // Those with something of a person's in them are looked at again.
    let mut days: Vec<(&str, bool)> = tree
        .days
        .iter()
        .map(|(rel, day)| (rel.strip_prefix("visits/2023/11/14").unwrap(), day.is_told))
        .collect();
    days.sort_unstable();
    let names = names.map(|name| format!("{name}.otoml"));
    assert_eq!(
        days,
        [
            (names[1].as_str(), false),
            (names[3].as_str(), true),
            (names[2].as_str(), true),
            (names[0].as_str(), false),
        ]
    );
    let edited = &tree.days["visits/2023/11/14-000000000003-000000000003.otoml"];
    assert_eq!(
        (&edited.objects[..], &edited.open[..]),
        (&[][..], &[d.id][..])
    );
    // The feed has nothing of them.
    assert_eq!(state.feed(0, &[], 100, 0).unwrap().changes.len(), 0);
    assert_eq!(state.seq, 3);
}

#[test]
fn entries_of_an_older_schema_are_read() {
    let mut trial = Trial::new();
    let notes = app("app-notes", None, "Notes");
    trial.new_one(APP, &notes);
    let more = SCHEMA.replace(
        "[types.developer]",
        "[types.agency]\nplural = 'agencies'\n[types.agency.fields]\nname = { type = 'string' }\n\
         [types.developer]",
    );
    let more = more.replace(
        "description =",
        "colour = { type = 'string' }\ndescription =",
    );
    let new = Arc::new(load(&[Source::new("shop.toml", more)]).unwrap());
    trial.seq += 1;
    let entry = Entry {
        first: 2,
        last: 2,
        writer: trial.log.writer().to_owned(),
        schema: trial.schema.hash.clone(),
        new_schema: Some(new.text.clone()),
        changes: Vec::new(),
    };
    assert_eq!(trial.log.claim(&entry, &trial.schema).unwrap(), Claim::Won);
    // Who still has the old one ends before the new one, and finds it as the next thing.
    let (state, _) = trial.rebuild();
    assert_eq!(state.seq, 1);
    assert_eq!(trial.row(&state, APP, "app-notes"), Some(notes.clone()));
    trial.schema = new;
    let (state, _) = trial.rebuild();
    assert_eq!(state.seq, 2);
    let found = trial.row(&state, APP + 1, "app-notes").unwrap();
    assert_eq!(
        *found.values,
        [
            Value::Null,
            Value::Null,
            Value::from("Notes"),
            Value::Null,
            Value::from("a long description"),
        ]
    );
    assert_eq!(
        state.feed(0, &[], 100, 0).unwrap().changes[0].type_id,
        APP + 1
    );
}

/// Run by hand: what building costs beside reading the same 100,000 files.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_rebuild() {
    let trial = Trial::new();
    trial.fold(DEVELOPER, &developer("dev-ada", 0, "ada@example.org"));
    for n in 0..100_000_u32 {
        let id = format!("0192f000-{n:08x}-{:02x}", n % 256);
        trial.fold(APP, &app(&id, Some("dev-ada"), &format!("name {n}")));
    }
    for _ in 0..2 {
        let began = Instant::now();
        let walk = walkdir::WalkDir::new(trial.layout.root().join("apps")).into_iter();
        let files = walk.flatten().filter(|entry| entry.file_type().is_file());
        let bytes: usize = files
            .map(|entry| fs::read(entry.path()).unwrap().len())
            .sum();
        let bare = began.elapsed();
        let began = Instant::now();
        let (state, tree) = trial.rebuild();
        println!(
            "walkdir and read {bytes} bytes {bare:?}, rebuild {:?}",
            began.elapsed()
        );
        assert_eq!(
            (state.types[APP].ordinals.len(), tree.objects.len()),
            (100_000, 100_001)
        );
    }
}
