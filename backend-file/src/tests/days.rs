//! Blocks of days' files that the store does not take in: through restarts of every kind.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use osis_core::Backend as _;
use osis_core::backend::Scope;
use osis_core::batch::{Batch, Commit, Op, SetMode};
use osis_core::error::Result;
use osis_core::input::{Draft, Target};
use osis_core::object::{Id, Row};
use osis_core::schema::{Source, TypeId, load};
use osis_core::time::Time;
use osis_core::value::Value;
use tempfile::TempDir;

use crate::{FileBackend, FileConfig};

const SCHEMA: &str = "
name = 'days'
version = 1
[types.dev]
plural = 'devs'
[types.dev.fields]
name = { type = 'string', required = true }
[types.visit]
plural = 'visits'
class = 'log'
time = 'at'
[types.visit.fields]
at = { type = 'time', required = true }
dev = { type = 'ref', to = 'dev', on_delete = 'restrict' }
page = { type = 'string' }
";
const DEV: TypeId = 0;
const VISIT: TypeId = 1;
const AT: &str = "2026-11-21T07:00:00.000Z";

/// How a process begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// With all that the one before it knew.
    Knowing,
    /// From files and log.
    WithoutCaches,
    /// From files, and what lies beside the log.
    FromFiles,
}

const STARTS: [Start; 4] = [
    Start::Knowing,
    Start::WithoutCaches,
    Start::Knowing,
    Start::FromFiles,
];

/// A store with two visits, of pages `p0` and `p1`, in one file.
struct Store {
    directory: TempDir,
    backend: Option<FileBackend>,
    ids: [Id; 2],
}

fn time(text: &str) -> Time {
    Time::parse(text).unwrap()
}

fn draft(id: Option<Id>, values: Vec<Option<Value>>) -> Draft {
    Draft {
        id,
        values,
        links: Vec::new(),
    }
}

impl Store {
    async fn new() -> Self {
        let mut store = Self {
            directory: TempDir::new().unwrap(),
            backend: None,
            ids: [0, 1].map(|_| Id::generate(time(AT))),
        };
        // As they stand in the file.
        store.ids.sort();
        store.open();
        let news = store.ids.iter().enumerate().map(|(n, id)| {
            let at = Some(Value::Time(time(AT)));
            let page = Some(Value::from(format!("p{n}").as_str()));
            let draft = draft(Some(id.clone()), vec![at, None, page]);
            Op::New {
                type_id: VISIT,
                draft,
            }
        });
        store.apply(news.collect()).await.unwrap();
        store.settle();
        store
    }

    fn open(&mut self) {
        let schema = load(&[Source::new("days.toml", SCHEMA)]).unwrap();
        let config = FileConfig::new(self.directory.path());
        self.backend = Some(FileBackend::open(config, Some(schema)).unwrap());
    }

    fn backend(&self) -> &FileBackend {
        self.backend.as_ref().unwrap()
    }

    fn settle(&self) {
        self.backend().settle();
    }

    /// Ends, and begins again.
    async fn restart(&mut self, start: Start) {
        self.backend.take().unwrap().close().await.unwrap();
        let caches = self.directory.path().join(".osis");
        if !matches!(start, Start::Knowing) {
            fs::remove_dir_all(caches).unwrap();
        }
        if matches!(start, Start::FromFiles) {
            for entry in fs::read_dir(self.directory.path().join("log")).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                if name.starts_with("0000") && path.is_dir() {
                    fs::remove_dir_all(path).unwrap();
                }
            }
        }
        self.open();
        self.settle();
    }

    async fn apply(&self, ops: Vec<Op>) -> Result<Commit> {
        let mut answers = self.backend().apply(vec![Batch::of(ops)]).await;
        answers.pop().unwrap()
    }

    async fn make_dev(&self, id: &str) {
        let draft = draft(Some(Id::trusted(id)), vec![Some("Ada".into())]);
        let type_id = DEV;
        self.apply(vec![Op::New { type_id, draft }]).await.unwrap();
    }

    async fn set_page(&self, n: usize, page: &str) {
        let op = Op::Set {
            type_id: VISIT,
            target: Target::Id(self.ids[n].clone()),
            draft: draft(None, vec![None, None, Some(page.into())]),
            mode: SetMode::Patch,
            if_rev: None,
            upsert: false,
        };
        self.apply(vec![op]).await.unwrap();
    }

    async fn delete(&self, n: usize) {
        let op = Op::Delete {
            type_id: VISIT,
            target: Target::Id(self.ids[n].clone()),
            if_rev: None,
        };
        self.apply(vec![op]).await.unwrap();
    }

    async fn row(&self, id: &Id) -> Option<Row> {
        let mut snapshot = self.backend().snapshot(Scope::Single, None).await.unwrap();
        let rows = snapshot.get(VISIT, std::slice::from_ref(id)).await;
        rows.unwrap().pop().unwrap()
    }

    /// The page and the revision of a visit.
    async fn page(&self, n: usize) -> Option<(String, i64)> {
        let row = self.row(&self.ids[n]).await?;
        Some((row.values[2].as_str().unwrap().to_owned(), row.rev))
    }

    async fn count(&self) -> u64 {
        let mut snapshot = self.backend().snapshot(Scope::Single, None).await.unwrap();
        let all = osis_core::query::Filter::All(Vec::new());
        snapshot.count(VISIT, &all).await.unwrap()
    }

    /// The names of all files of visits.
    fn names(&self) -> Vec<String> {
        let month = fs::read_dir(self.directory.path().join("visits/2026/11")).unwrap();
        let names = month.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The file that has the visits.
    fn file(&self) -> PathBuf {
        let month = self.directory.path().join("visits/2026/11");
        month.join(self.names().remove(0))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "no {from:?} in {text}");
        fs::write(self.file(), text.replace(from, to)).unwrap();
    }

    /// What is wrong: with which line, and what.
    fn problems(&self) -> Vec<(Option<usize>, String)> {
        let problems = self.backend().problems().into_iter();
        problems
            .map(|problem| (problem.line, problem.message))
            .collect()
    }

    /// The line of some text, from 1.
    fn line_of(&self, part: &str) -> Option<usize> {
        let text = self.text();
        let before = text.lines().position(|line| line.contains(part));
        before.map(|before| before + 1)
    }

    /// Waits until nothing is wrong any more; settles.
    fn until_mended(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.problems().is_empty() {
            assert!(Instant::now() < until, "{:?}", self.problems());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.settle();
    }
}

fn paged(page: &str, rev: i64) -> Option<(String, i64)> {
    Some((page.to_owned(), rev))
}

#[tokio::test]
async fn a_refused_block_stays_and_is_told_after_every_start() {
    let mut store = Store::new().await;
    store.edit("page = \"p1\"", "dev = \"dev-9\" # who?\npage = \"mine\"");
    let text = store.text();
    store.settle();
    let names = store.names();
    for start in STARTS {
        let problems = store.problems();
        assert_eq!(problems.len(), 1, "{start:?}: {problems:?}");
        assert_eq!(problems[0].0, store.line_of("dev-9"), "{problems:?}");
        assert!(problems[0].1.contains("dev dev-9"), "{problems:?}");
        assert_eq!(
            (store.page(0).await, store.page(1).await),
            (paged("p0", 1), paged("p1", 1))
        );
        assert_eq!((store.text(), store.names()), (text.clone(), names.clone()));
        store.restart(start).await;
    }
    // What others commit makes it good.
    store.make_dev("dev-9").await;
    store.until_mended();
    assert_eq!(store.page(1).await, paged("mine", 2));
    assert!(
        store.text().contains("dev = \"dev-9\" # who?\n"),
        "{}",
        store.text()
    );
    assert!(store.text().contains("rev = 2\n"), "{}", store.text());
    assert_eq!((store.count().await, store.names()), (2, names));
    let kept = store.directory.path().join("log/kept/visits");
    store.restart(Start::Knowing).await;
    store.restart(Start::Knowing).await;
    assert_eq!(fs::read_dir(kept).unwrap().count(), 0);
    store.restart(Start::FromFiles).await;
    assert_eq!(store.page(1).await, paged("mine", 2));
}

#[tokio::test]
async fn a_refused_block_is_taken_in_when_it_is_mended() {
    let mut store = Store::new().await;
    store.edit("page = \"p1\"", "dev = \"dev-9\"\npage = \"mine\"");
    store.edit("page = \"p0\"", "page = \"yours\"");
    store.settle();
    // The others of the file are taken in meanwhile.
    assert_eq!(
        (store.page(0).await, store.page(1).await),
        (paged("yours", 2), paged("p1", 1))
    );
    store.restart(Start::Knowing).await;
    store.edit("dev = \"dev-9\"\n", "");
    store.settle();
    assert_eq!(store.problems(), []);
    assert_eq!(
        (store.page(0).await, store.page(1).await),
        (paged("yours", 2), paged("mine", 2))
    );
}

#[tokio::test]
async fn refused_new_blocks_stay_in_the_file() {
    let mut store = Store::new().await;
    let own = Id::generate(time(AT));
    let late = Id::generate(time("2026-11-28T07:00:00.000Z"));
    let added = format!(
        "\n# Mine.\n[[visit]]\nat = {AT}\ndev = \"dev-7\"\nid = \"{own}\" # chosen\n\
         \n[[visit]]\nat = {AT}\ndev = \"dev-8\"\npage = \"no id\"\n\
         \n[[visit]]\nat = {AT}\nid = \"{late}\"\npage = \"late\"\n\
         \n[[visit]]\nid = \"my-visit\"\nat = {AT}\n"
    );
    fs::write(store.file(), format!("{}{added}", store.text())).unwrap();
    let text = store.text();
    store.settle();
    let lines = [&format!("id = \"{late}\""), "dev-8", "id = \"my-visit\""].map(|part| {
        let line = store.line_of(part).unwrap();
        format!("line {line}: ")
    });
    for start in STARTS {
        let problems = store.problems();
        assert_eq!(problems.len(), 1, "{start:?}: {problems:?}");
        assert_eq!(problems[0].0, store.line_of("dev-7"), "{problems:?}");
        for line in &lines {
            assert!(problems[0].1.contains(line), "no {line} in {problems:?}");
        }
        let rule = "id: expected a UUIDv7 whose own time is within a day of at";
        assert_eq!(problems[0].1.matches(rule).count(), 2, "{problems:?}");
        assert_eq!((store.text(), store.count().await), (text.clone(), 2));
        store.restart(start).await;
    }
    store.make_dev("dev-8").await;
    store.make_dev("dev-7").await;
    let text = store.text();
    let text = text.replace(&format!("id = \"{late}\"\n"), "");
    fs::write(store.file(), text.replace("id = \"my-visit\"\n", "")).unwrap();
    store.until_mended();
    assert_eq!(store.count().await, 6);
    assert!(
        store.text().contains("# Mine.\n[[visit]]\n"),
        "{}",
        store.text()
    );
    assert!(store.text().contains(&format!("id = \"{own}\" # chosen\n")));
    assert_eq!(store.text().matches("\nid = ").count(), 6);
    assert_eq!(store.names().len(), 1);
    store.restart(Start::FromFiles).await;
    assert_eq!((store.count().await, store.problems()), (6, vec![]));
}

#[tokio::test]
async fn what_clients_write_meanwhile_is_kept_and_nothing_taken_from_the_person() {
    let mut store = Store::new().await;
    store.edit("page = \"p1\"", "dev = \"dev-9\"\npage = \"mine\"");
    let text = store.text();
    store.settle();
    store.set_page(1, "theirs").await;
    store.settle();
    for start in STARTS {
        assert_eq!(
            (store.page(1).await, store.text()),
            (paged("theirs", 2), text.clone())
        );
        assert_eq!(store.problems().len(), 1);
        store.restart(start).await;
    }
    // What comes later is no reason to take the client's write back.
    store.edit("dev = \"dev-9\"\n", "");
    store.settle();
    assert_eq!(store.page(1).await, paged("theirs", 2));
    let problems = store.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].1.contains("with rev = 2 what stands here"),
        "{problems:?}"
    );
    let text = store.text();
    let (other, own) = text.split_at(text.find("page = \"mine\"").unwrap());
    fs::write(
        store.file(),
        format!("{other}{}", own.replace("rev = 1", "rev = 2")),
    )
    .unwrap();
    store.settle();
    assert_eq!(
        (store.page(1).await, store.problems()),
        (paged("mine", 3), vec![])
    );
}

#[tokio::test]
async fn what_clients_delete_meanwhile_stays_deleted() {
    let mut store = Store::new().await;
    store.edit("page = \"p1\"", "dev = \"dev-9\"\npage = \"mine\"");
    let text = store.text();
    store.settle();
    store.delete(1).await;
    store.settle();
    store.make_dev("dev-9").await;
    for start in [Start::Knowing, Start::WithoutCaches, Start::Knowing] {
        assert_eq!(store.count().await, 1, "{start:?}");
        assert_eq!(store.text(), text);
        store.restart(start).await;
        assert_eq!(store.problems().len(), 1, "{start:?}");
    }
    let begin = text.rfind("\n[[visit]]").unwrap();
    fs::write(store.file(), &text[..begin]).unwrap();
    store.settle();
    assert_eq!((store.count().await, store.problems()), (1, vec![]));
}

#[tokio::test]
async fn a_broken_file_holds_nothing_up() {
    let mut store = Store::new().await;
    store.edit("page = \"p1\"", "page = \"p1");
    let text = store.text();
    store.settle();
    store.set_page(0, "changed").await;
    store.delete(1).await;
    // It ends, though the file cannot have it.
    store.settle();
    assert_eq!(
        (store.page(0).await, store.page(1).await),
        (paged("changed", 2), None)
    );
    assert_eq!(store.text(), text);
    store.restart(Start::Knowing).await;
    assert_eq!(
        (store.page(0).await, store.page(1).await),
        (paged("changed", 2), None)
    );
    assert_eq!((store.text(), store.problems().len()), (text, 1));
    store.edit("page = \"p1", "page = \"p1\"");
    store.settle();
    assert_eq!(store.problems(), []);
    assert_eq!(
        (store.page(0).await, store.page(1).await),
        (paged("changed", 2), None)
    );
    let text = store.text();
    assert!(
        text.contains("page = \"changed\"") && !text.contains("p1"),
        "{text}"
    );
    assert_eq!(store.names().len(), 1);
}

#[tokio::test]
async fn all_faults_of_a_file_are_named_up_to_ten() {
    let store = Store::new().await;
    let broken = "\n[[visit]]\nat = 7\npages = \"x\"\n".repeat(6);
    fs::write(store.file(), format!("{}{broken}", store.text())).unwrap();
    store.settle();
    let problems = store.problems();
    assert_eq!(
        (problems.len(), problems[0].0),
        (1, store.line_of("at = 7"))
    );
    let named = problems[0].1.matches("; line ").count();
    assert_eq!(named, 9, "{problems:?}");
    assert!(problems[0].1.ends_with("; and 2 more"), "{problems:?}");
}
