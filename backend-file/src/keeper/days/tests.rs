//! Days that are folded, edited, merged, and left half done.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;
use osis_core::value::Value;

use super::rewrite::Rewritten;
use super::*;
use crate::files::faulty::{Fault, Faulty};
use crate::files::{Bent, Disk};

const SCHEMA: &str = "
name = 'shop'
version = 1
[types.visit]
plural = 'visits'
class = 'log'
time = 'at'
[types.visit.fields]
at = { type = 'time', required = true }
page = { type = 'string' }
";

struct Trial {
    _directory: tempfile::TempDir,
    layout: Layout,
    schema: Schema,
    files: Arc<dyn Files>,
    tree: Tree,
}

impl Trial {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            layout: Layout::new(directory.path().to_owned()),
            _directory: directory,
            schema: load(&[Source::new("shop.toml", SCHEMA)]).unwrap(),
            files: Arc::new(Disk),
            tree: Tree::default(),
        }
    }

    fn ty(&self) -> &Type {
        &self.schema.types[0]
    }

    fn days(&self) -> Days<'_> {
        Days::new(&self.layout, &*self.files, &self.schema.types[0])
    }

    fn add(&mut self, first: u64, last: u64, rows: &[Row]) -> Vec<PathBuf> {
        self.try_add(first, last, rows).unwrap()
    }

    fn try_add(&mut self, first: u64, last: u64, rows: &[Row]) -> Result<Vec<PathBuf>> {
        let mut tree = std::mem::take(&mut self.tree);
        let added = self.days().add(&mut tree, first, last, rows, &|_| false);
        self.tree = tree;
        added
    }

    fn rewrite(&mut self, changed: &[(Id, Option<Row>)]) -> Rewritten {
        let mut tree = std::mem::take(&mut self.tree);
        let changed = changed.iter().cloned().collect();
        let left = self.days().rewrite(&mut tree, &changed).unwrap();
        self.tree = tree;
        left
    }

    fn path(&self, rel: &str) -> PathBuf {
        self.layout.root().join(rel)
    }

    fn text(&self, rel: &str) -> String {
        fs::read_to_string(self.path(rel)).unwrap()
    }

    fn write(&self, rel: &str, text: &str) {
        let path = self.path(rel);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The paths of all files.
    fn all(&self) -> Vec<String> {
        let entries = walkdir::WalkDir::new(self.layout.root()).sort_by_file_name();
        let files = entries
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_type().is_file());
        let rels = files.map(|entry| {
            let rel = entry.path().strip_prefix(self.layout.root()).unwrap();
            rel.to_str().unwrap().to_owned()
        });
        rels.collect()
    }

    /// What readers see: of each event the one of the highest revision.
    fn events(&self) -> BTreeMap<Id, Row> {
        let mut events: BTreeMap<Id, Row> = BTreeMap::new();
        for rel in self.all().iter().filter(|rel| !rel.contains("/.")) {
            for row in otoml::read_day(self.ty(), self.text(rel).as_bytes()).unwrap() {
                let row = row.into_row().unwrap();
                if events.get(&row.id).is_none_or(|there| there.rev < row.rev) {
                    events.insert(row.id.clone(), row);
                }
            }
        }
        events
    }

    /// Holds what is known against what is there.
    fn check_tree(&self) {
        for (rel, day) in &self.tree.days {
            assert_eq!(
                self.files.stamp(&self.path(rel)).unwrap(),
                Some(day.stamp),
                "{rel}"
            );
            let found = otoml::read_day(self.ty(), self.text(rel).as_bytes()).unwrap();
            let rows: Vec<Row> = found.into_iter().filter_map(Found::into_row).collect();
            let rows: Vec<&Row> = rows.iter().collect();
            assert_eq!(self.days().versions(&rows), day.objects, "{rel}");
        }
    }

    /// Takes a file for known as it is.
    fn learn(&mut self, rel: &str) {
        let Reading::Good(read) = self.days().read_file(&self.path(rel)).unwrap() else {
            panic!("{rel} cannot be read");
        };
        let rows: Vec<Row> = read.found.into_iter().filter_map(Found::into_row).collect();
        let objects = self.days().versions(&rows.iter().collect::<Vec<_>>());
        let day = DayFile::settled(read.stamp, 0, objects);
        self.tree.days.insert(rel.to_owned(), day);
    }
}

fn event(at: &str, page: &str) -> Row {
    let at = Time::parse(at).unwrap();
    Row {
        id: Id::generate(at),
        rev: 1,
        created_at: at,
        updated_at: at,
        values: Box::new([Value::Time(at), Value::from(page)]),
    }
}

fn changed(row: &Row, page: &str) -> Row {
    let mut row = row.clone();
    row.rev += 1;
    row.values[1] = Value::from(page);
    row
}

#[test]
fn a_fold_writes_one_file_a_day() {
    let mut trial = Trial::new();
    let a = event("2026-11-21T23:59:59.999Z", "a");
    let b = event("2026-11-22T00:00:00.000Z", "b");
    let c = event("2026-11-21T00:00:00.000Z", "c");
    let rows = [a.clone(), b.clone(), c.clone()];
    assert_eq!(trial.add(7, 9, &rows), Vec::<PathBuf>::new());
    let names = [
        "visits/2026/11/21-000000000007-000000000009.otoml",
        "visits/2026/11/22-000000000007-000000000009.otoml",
    ];
    assert_eq!(trial.all(), names);
    assert_eq!(trial.text(names[0]), otoml::day(trial.ty(), &[&c, &a]));
    trial.check_tree();
    // Again, by this process, and by one that knows nothing: nothing changes.
    let stamps = |trial: &Trial| names.map(|rel| Disk.stamp(&trial.path(rel)).unwrap());
    let before = stamps(&trial);
    assert_eq!(
        trial.add(7, 9, &[c.clone(), b.clone(), a.clone()]),
        Vec::<PathBuf>::new()
    );
    trial.tree = Tree::default();
    assert_eq!(trial.add(7, 9, &rows), Vec::<PathBuf>::new());
    assert_eq!(stamps(&trial), before);
    trial.check_tree();
    for row in &rows {
        assert_eq!(trial.days().find(&row.id).unwrap().as_ref(), Some(row));
    }
    assert_eq!(
        trial
            .days()
            .find(&event("2026-11-21T12:00:00Z", "").id)
            .unwrap(),
        None
    );
    assert_eq!(trial.days().find(&Id::trusted("abcd")).unwrap(), None);
}

#[test]
fn changed_and_deleted_events_are_rewritten() {
    let mut trial = Trial::new();
    let rows: Vec<Row> = ["a", "b", "c"]
        .map(|page| event("2026-11-21T07:00:00Z", page))
        .into();
    trial.add(1, 2, &rows[..2]);
    trial.add(3, 3, &rows[2..]);
    let b = changed(&rows[1], "bb");
    let changes = [
        (rows[0].id.clone(), None),
        (b.id.clone(), Some(b.clone())),
        (rows[2].id.clone(), None),
    ];
    for _ in 0..2 {
        assert_eq!(trial.rewrite(&changes), Rewritten::default());
        assert_eq!(
            trial.all(),
            ["visits/2026/11/21-000000000001-000000000002.otoml"]
        );
        assert_eq!(trial.events(), BTreeMap::from([(b.id.clone(), b.clone())]));
        trial.check_tree();
    }
    // One that is nowhere must be added; one that is deleted need not be.
    let d = event("2026-11-21T07:00:00Z", "d");
    let left = trial.rewrite(&[(d.id.clone(), Some(d.clone())), (rows[0].id.clone(), None)]);
    assert_eq!(left.missing, [d]);
    assert!(left.inspect.is_empty());
}

#[test]
fn what_a_person_edited_is_left_alone() {
    let mut trial = Trial::new();
    let rows: Vec<Row> = ["a", "b"]
        .map(|page| event("2026-11-21T07:00:00Z", page))
        .into();
    trial.add(1, 2, &rows);
    let rel = "visits/2026/11/21-000000000001-000000000002.otoml";
    let edited = trial.text(rel).replace("\"a\"", "\"edited\"");
    trial.write(rel, &edited);
    let path = trial.path(rel);
    let change = [(rows[1].id.clone(), None)];
    let inspect = |trial: &mut Trial| {
        let left = trial.rewrite(&change).inspect;
        left.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(inspect(&mut trial), std::slice::from_ref(&path));
    let more = event("2026-11-21T07:00:00Z", "c");
    assert_eq!(trial.add(1, 2, &[rows[0].clone(), more.clone()]), [path]);
    assert_eq!(trial.text(rel), edited);
    // Files that are not known and may have the event are named.
    trial.learn(rel);
    let import = "visits/2026/11/22-import.otoml";
    trial.write(import, &format!("broken, but {} is in it", rows[1].id));
    assert_eq!(inspect(&mut trial), [trial.path(import)]);
    trial.write(import, "broken, but it says nothing of the event");
    assert_eq!(inspect(&mut trial), Vec::<PathBuf>::new());
    fs::remove_file(trial.path(import)).unwrap();
    assert_eq!(trial.events().len(), 1);
}

#[test]
fn comments_and_layout_survive() {
    let mut trial = Trial::new();
    let rows: Vec<Row> = ["a", "b", "c"]
        .map(|page| event("2026-11-21T07:00:00Z", page))
        .into();
    let block = |row: &Row| {
        let text = otoml::day(trial.ty(), &[row]);
        text.strip_prefix(otoml::HEAD).unwrap().to_owned()
    };
    let [a, b, c] = [0, 1, 2].map(|n| block(&rows[n]));
    let rel = "visits/2026/11/21.otoml";
    let text = format!("O:\n# first\n{a}\n# second\n{b}# third\n\n{c}# the end\n");
    trial.write(rel, &text);
    trial.learn(rel);
    let new = changed(&rows[1], "bb");
    let changes = [
        (rows[0].id.clone(), None),
        (new.id.clone(), Some(new.clone())),
    ];
    assert_eq!(trial.rewrite(&changes), Rewritten::default());
    let expected = format!("O:\n# first\n\n# second\n{}# third\n\n{c}# the end\n", {
        let text = otoml::day(trial.ty(), &[&new]);
        text.strip_prefix(otoml::HEAD).unwrap().to_owned()
    });
    assert_eq!(trial.text(rel), expected);
    trial.check_tree();
    let changes = [(new.id.clone(), None), (rows[2].id.clone(), None)];
    assert_eq!(trial.rewrite(&changes), Rewritten::default());
    assert_eq!(
        trial.text(rel),
        "O:\n# first\n\n# second\n# third\n\n# the end\n"
    );
    trial.check_tree();
}

#[test]
fn blocks_that_a_person_has_not_finished_are_kept() {
    let trial = Trial::new();
    let row = event("2026-11-21T07:00:00Z", "a");
    let rel = "visits/2026/11/21.otoml";
    let text = otoml::day(trial.ty(), &[&row]);
    let own = "\n[[visit]]\nat = 2026-11-21T08:00:00Z\npage = \"mine\"\n";
    trial.write(rel, &format!("{text}{own}"));
    let path = trial.path(rel);
    let Reading::Good(read) = trial.days().read_file(&path).unwrap() else {
        panic!();
    };
    let done = |edited: Result<Edited>| matches!(edited.unwrap(), Edited::Done(_));
    let edits = [Edit::Put(changed(&row, "b")), Edit::Keep];
    assert!(done(trial.days().edit(&path, &read, &edits)));
    assert!(trial.text(rel).ends_with(own));
    // The file is no longer the one that was read.
    let edits = [Edit::Put(changed(&row, "c")), Edit::Keep];
    assert!(!done(trial.days().edit(&path, &read, &edits)));
    // Committed, it gets what it lacked.
    let Reading::Good(read) = trial.days().read_file(&path).unwrap() else {
        panic!();
    };
    let own = event("2026-11-21T08:00:00Z", "mine");
    let edits = [Edit::Keep, Edit::Put(own.clone())];
    let Edited::Done(now) = trial.days().edit(&path, &read, &edits).unwrap() else {
        panic!();
    };
    assert_eq!(now.text, trial.text(rel).into_bytes());
    assert_eq!(now.found.len(), 2);
    assert_eq!(trial.events()[&own.id], own);
}

#[test]
fn small_files_are_merged() {
    let mut trial = Trial::new();
    let mut rows = Vec::new();
    for n in 1..=8_u64 {
        let row = event("2026-11-21T07:00:00Z", &n.to_string());
        trial.add(n, n, std::slice::from_ref(&row));
        rows.push(row);
    }
    let own = event("2026-11-21T07:00:00Z", "own");
    trial.write("visits/2026/11/21.otoml", &otoml::day(trial.ty(), &[&own]));
    let swept = trial.path("visits/2026/11/.21-000000000001-000000000002.otoml.x.draft");
    fs::write(&swept, "half").unwrap();
    assert_eq!(trial.all().len(), 10);
    let before = trial.events();
    let row = event("2026-11-21T09:00:00Z", "9");
    assert_eq!(
        trial.add(9, 9, std::slice::from_ref(&row)),
        Vec::<PathBuf>::new()
    );
    let name = "visits/2026/11/21-000000000001-000000000009.otoml";
    assert!(swept.exists());
    fs::File::options()
        .write(true)
        .open(&swept)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(trial.tree.days.len(), 1);
    trial.check_tree();
    // What the fold has done is not done again, and old leftovers go.
    assert_eq!(
        trial.add(10, 10, std::slice::from_ref(&row)),
        Vec::<PathBuf>::new()
    );
    let last = "visits/2026/11/21-000000000010-000000000010.otoml";
    assert_eq!(trial.all(), [name, last, "visits/2026/11/21.otoml"]);
    let mut after = trial.events();
    assert_eq!(after.remove(&row.id), Some(row));
    assert_eq!(after, before);
}

#[test]
fn a_merge_takes_the_higher_revision_and_removes_duplicates() {
    let mut trial = Trial::new();
    let row = event("2026-11-21T07:00:00Z", "old");
    let new = changed(&row, "new");
    let days = |row: &Row| otoml::day(&trial.schema.types[0], &[row]);
    let names: Vec<String> = (1..=8_u64)
        .map(|n| format!("visits/2026/11/21-{n:012}-{:012}.otoml", n + 1))
        .collect();
    for (n, rel) in names.iter().enumerate() {
        trial.write(rel, &days(if n == 3 { &new } else { &row }));
    }
    // Files of another process are looked into before they are merged.
    let more = event("2026-11-21T08:00:00Z", "more");
    assert_eq!(
        trial.add(20, 20, std::slice::from_ref(&more)),
        Vec::<PathBuf>::new()
    );
    assert_eq!(trial.all().len(), 9);
    for rel in &names {
        trial.learn(rel);
    }
    assert_eq!(
        trial.add(20, 20, std::slice::from_ref(&more)),
        Vec::<PathBuf>::new()
    );
    assert_eq!(
        trial.all(),
        ["visits/2026/11/21-000000000001-000000000020.otoml"]
    );
    assert_eq!(trial.events()[&row.id], new);
    assert_eq!(trial.days().find(&row.id).unwrap(), Some(new));
    trial.check_tree();
}

#[test]
fn broken_files_are_named_where_they_matter() {
    let trial = Trial::new();
    let row = event("2026-11-21T07:00:00Z", "a");
    let rel = "visits/2026/11/21-000000000001-000000000001.otoml";
    let text = otoml::day(trial.ty(), &[&row]);
    trial.write(rel, &format!("{text}oops"));
    assert!(matches!(
        trial.days().read_file(&trial.path(rel)).unwrap(),
        Reading::Faulty(..)
    ));
    let error = trial.days().find(&row.id).unwrap_err();
    assert!(matches!(
        error.kind(),
        osis_core::error::ErrorKind::Corrupt { .. }
    ));
    // Another file has it.
    trial.write("visits/2026/11/21.otoml", &text);
    assert_eq!(trial.days().find(&row.id).unwrap().as_ref(), Some(&row));
    assert!(matches!(
        trial
            .days()
            .read_file(&trial.path("visits/none.otoml"))
            .unwrap(),
        Reading::Gone
    ));
}

/// A person saves a file at any moment while the store writes it: what was saved stays.
fn saves_meanwhile(inner: &Arc<dyn Files>) {
    for at in 1.. {
        let mut trial = Trial::new();
        let rows = ["a", "b"].map(|page| event("2026-11-21T07:00:00Z", page));
        trial.add(1, 1, &rows);
        let rel = "visits/2026/11/21-000000000001-000000000001.otoml";
        let path = trial.path(rel);
        let saved = trial.text(rel).replace("\"a\"", "\"by hand\"");
        let save = move || {
            let draft = path.with_file_name("save~");
            fs::write(&draft, saved).unwrap();
            fs::rename(&draft, &path).unwrap();
        };
        let faulty = Arc::new(Faulty::meanwhile(Arc::clone(inner), at, save));
        trial.files = Arc::<Faulty>::clone(&faulty);
        let new = changed(&rows[1], "new");
        trial.rewrite(&[(new.id.clone(), Some(new.clone()))]);
        if faulty.calls() < at {
            assert!(at > 8, "a rewrite makes only {at} calls");
            return;
        }
        trial.files = Arc::new(Disk);
        let texts: Vec<String> = trial.all().iter().map(|rel| trial.text(rel)).collect();
        assert!(
            texts.iter().any(|text| text.contains("by hand")),
            "at {at}: {texts:?}"
        );
        assert_eq!(texts.len(), 1, "at {at}: {texts:?}");
    }
}

#[test]
fn what_is_saved_meanwhile_stays() {
    saves_meanwhile(&(Arc::new(Disk) as Arc<dyn Files>));
}

#[test]
fn what_is_saved_meanwhile_stays_without_swaps() {
    saves_meanwhile(&(Arc::new(Bent::plain()) as Arc<dyn Files>));
}

#[test]
fn faults_lose_nothing() {
    lose_nothing(&(Arc::new(Disk) as Arc<dyn Files>));
}

#[test]
fn faults_lose_nothing_without_swaps() {
    lose_nothing(&(Arc::new(Bent::plain()) as Arc<dyn Files>));
}

/// Whatever call fails, and however: no event is lost or comes back, and doing it again mends all.
fn lose_nothing(inner: &Arc<dyn Files>) {
    let faults = [
        Fault::Fail(io::ErrorKind::StorageFull),
        Fault::Unclear(io::ErrorKind::TimedOut),
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::CrashAmid,
    ];
    for fault in faults {
        for at in 1.. {
            let mut trial = Trial::new();
            let mut rows = Vec::new();
            for n in 1..=8_u64 {
                let row = event("2026-11-21T07:00:00Z", &n.to_string());
                trial.add(n, n, std::slice::from_ref(&row));
                rows.push(row);
            }
            let gone = rows.remove(0);
            let row = event("2026-11-21T09:00:00Z", "9");
            let new = changed(&rows[0], "new");
            let faulty = Arc::new(Faulty::new(Arc::clone(inner), at, fault));
            trial.files = Arc::<Faulty>::clone(&faulty);
            let changes = [(gone.id.clone(), None), (new.id.clone(), Some(new.clone()))];
            let mut tree = std::mem::take(&mut trial.tree);
            let changed_map = changes.iter().cloned().collect();
            let failed = trial.days().rewrite(&mut tree, &changed_map).is_err();
            trial.tree = tree;
            let failed = trial.try_add(9, 9, std::slice::from_ref(&row)).is_err() || failed;
            let is_over = faulty.struck().is_none();
            let told = format!("{fault:?} at {at}: {:?}", faulty.struck());
            // A new process, or the same one later.
            trial.files = Arc::new(Disk);
            if failed {
                trial.tree = Tree::default();
                trial.days().put_back(None).unwrap();
                for rel in trial.all().iter().filter(|rel| !rel.contains("/.")) {
                    trial.learn(rel);
                }
            }
            let there = trial.events();
            for row in &rows {
                assert!(there.contains_key(&row.id), "{told}");
            }
            for _ in 0..2 {
                let left = trial.rewrite(&changes);
                assert!(left.missing.is_empty(), "{told}");
                trial.add(9, 9, std::slice::from_ref(&row));
            }
            let mut expected: BTreeMap<Id, Row> = rows
                .iter()
                .map(|row| (row.id.clone(), row.clone()))
                .collect();
            expected.insert(new.id.clone(), new);
            expected.insert(row.id.clone(), row);
            assert_eq!(trial.events(), expected, "{told}");
            if is_over {
                assert!(at > 20);
                break;
            }
        }
    }
}
