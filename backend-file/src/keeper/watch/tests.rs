//! What is seen of what people do.

use std::fs;
use std::sync::mpsc::{Receiver, channel};

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind};
use osis_core::schema::{Source, load};

use super::desk::PATHS_MAX;
use super::*;

const SCHEMA: &str = "
name = 'shop'
version = 1
[types.app]
plural = 'apps'
[types.app.fields]
name = { type = 'string' }
[types.visit]
plural = 'visits'
class = 'log'
time = 'at'
[types.visit.fields]
at = { type = 'time', required = true }
";

struct Trial {
    root: PathBuf,
    _directory: tempfile::TempDir,
    watcher: Watcher,
    seen: Receiver<Seen>,
}

impl Trial {
    fn new(is_network: bool, before: impl Fn(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        before(&root);
        let schema = load(&[Source::new("shop.toml", SCHEMA)]).unwrap();
        let (sender, seen) = channel();
        let layout = Layout::new(root.clone());
        let watcher = Watcher::start(&layout, &schema, is_network, sender).unwrap();
        Self {
            root,
            _directory: directory,
            watcher,
            seen,
        }
    }

    fn at(&self, rel: &str) -> PathBuf {
        self.root.join(rel)
    }

    fn write(&self, rel: &str) {
        write(&self.root, rel);
    }

    /// Waits until a path was seen, by itself or with a directory that it is in.
    fn expect(&self, rel: &str) {
        let wanted = self.at(rel);
        let end = Instant::now() + Duration::from_secs(20);
        let mut others = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match self.seen.recv_timeout(left) {
                Ok(Seen::Path(path)) if wanted.starts_with(&path) => return,
                Ok(Seen::Begun(_)) => {}
                Ok(Seen::Rescan) => return,
                Ok(seen) => others.push(seen),
                Err(_) => break,
            }
        }
        panic!("{rel} was not seen, but {others:?}");
    }

    /// What comes until nothing has come for a while.
    fn drain(&self) -> Vec<Seen> {
        let next = || self.seen.recv_timeout(Duration::from_millis(300)).ok();
        std::iter::from_fn(next).collect()
    }
}

fn write(root: &Path, rel: &str) {
    let path = root.join(rel);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, rel).unwrap();
}

#[test]
fn the_system_tells_what_people_do() {
    let trial = Trial::new(false, |root| write(root, "apps/2c/a12c.otoml"));
    trial.write("apps/2c/a12c.otoml");
    trial.expect("apps/2c/a12c.otoml");
    trial.drain();
    // As editors save.
    trial.write("apps/2c/.a12c.otoml.new");
    fs::rename(
        trial.at("apps/2c/.a12c.otoml.new"),
        trial.at("apps/2c/a12c.otoml"),
    )
    .unwrap();
    trial.expect("apps/2c/a12c.otoml");
    trial.drain();
    fs::rename(
        trial.at("apps/2c/a12c.otoml"),
        trial.at("apps/2c/a12c.otoml~"),
    )
    .unwrap();
    trial.write("apps/2c/a12c.otoml");
    fs::remove_file(trial.at("apps/2c/a12c.otoml~")).unwrap();
    trial.expect("apps/2c/a12c.otoml");
    trial.drain();
    trial.write("apps/2c/b12c.otoml");
    trial.expect("apps/2c/b12c.otoml");
    trial.drain();
    fs::remove_file(trial.at("apps/2c/b12c.otoml")).unwrap();
    trial.expect("apps/2c/b12c.otoml");
    trial.drain();
    // Folders that were not there.
    trial.write("apps/2d/c12d.otoml");
    trial.expect("apps/2d/c12d.otoml");
    trial.drain();
    trial.write("apps/2d/c12d.otoml");
    trial.expect("apps/2d/c12d.otoml");
    trial.drain();
    trial.write("visits/2026/11/21.otoml");
    trial.expect("visits/2026/11/21.otoml");
    trial.drain();
    trial.write("visits/2026/11/21.otoml");
    trial.expect("visits/2026/11/21.otoml");
    trial.drain();
    fs::rename(trial.at("apps/2d"), trial.at("apps/2e")).unwrap();
    trial.expect("apps/2d/c12d.otoml");
    trial.drain();
    trial.write("apps/2e/d12e.otoml");
    trial.expect("apps/2e/d12e.otoml");
    trial.drain();
    fs::remove_dir_all(trial.at("apps")).unwrap();
    trial.expect("apps");
    trial.drain();
    trial.write("apps/2c/a12c.otoml");
    trial.expect("apps/2c/a12c.otoml");
    trial.watcher.close();
}

#[test]
fn a_new_file_is_seen_as_such_until_it_is_closed() {
    let trial = Trial::new(false, |root| write(root, "apps/2c/a12c.otoml"));
    trial.drain();
    let path = trial.at("apps/2c/b12c.otoml");
    let mut file = fs::File::create(&path).unwrap();
    assert_eq!(trial.drain(), [Seen::Begun(path.clone())]);
    std::io::Write::write_all(&mut file, b"name = 'b'\n").unwrap();
    assert_eq!(trial.drain(), []);
    drop(file);
    assert_eq!(trial.drain(), [Seen::Path(path)]);
    trial.watcher.close();
}

#[test]
fn reading_and_strange_names_say_nothing() {
    let trial = Trial::new(false, |root| write(root, "apps/2c/a12c.otoml"));
    trial.drain();
    fs::read(trial.at("apps/2c/a12c.otoml")).unwrap();
    fs::read_dir(trial.at("apps/2c")).unwrap().count();
    for rel in [
        "apps/2c/.a12c.otoml.swp",
        "apps/2c/4913",
        "apps/2c/a12c.otoml~",
        "log/000000000/000000000001.otoml",
        ".osis/cache-0/catalogue",
        "store.toml",
        "notes.otoml",
    ] {
        trial.write(rel);
    }
    assert_eq!(trial.drain(), []);
}

#[test]
fn many_events_of_a_file_are_one() {
    let desk = Desk::default();
    let root = Path::new("/store");
    let kind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    let event = |n: usize| {
        let path = root.join(format!("apps/2c/a{n}2c.otoml"));
        Ok(Event::new(kind).add_path(path))
    };
    for _ in 0..1000 {
        desk.take(root, &event(1));
    }
    assert_eq!(desk.pile().told.paths.len(), 1);
    // Nothing grows without end.
    for n in 0..2 * PATHS_MAX {
        desk.take(root, &event(n));
    }
    let told = desk.pile().take();
    assert!(told.rescan && told.paths.len() <= PATHS_MAX);
    assert!(desk.pile().is_empty());
}

#[test]
fn a_network_volume_is_looked_at() {
    let trial = Trial::new(true, |root| write(root, "apps/2c/a12c.otoml"));
    trial.write("apps/2c/b12c.otoml");
    trial.expect("apps/2c/b12c.otoml");
    trial.write("apps/2d/c12d.otoml");
    trial.expect("apps/2d/c12d.otoml");
    fs::remove_dir_all(trial.at("apps/2d")).unwrap();
    trial.expect("apps/2d");
    // An edit in place changes no directory.
    trial.watcher.scanned(Duration::from_millis(1));
    trial.write("apps/2c/a12c.otoml");
    trial.expect("apps/2c/a12c.otoml");
    trial.watcher.close();
}

#[test]
fn without_watches_it_is_looked_for() {
    let trial = Trial::new(false, |root| write(root, "apps/2c/a12c.otoml"));
    let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
    trial.watcher.desk.take(&trial.root, &Err(error));
    trial.expect("apps");
    for _ in 0..2 {
        trial.watcher.scanned(Duration::from_millis(1));
        trial.write("apps/2c/a12c.otoml");
        trial.expect("apps/2c/a12c.otoml");
    }
}

#[test]
fn what_the_system_lost_is_looked_for() {
    let trial = Trial::new(false, |root| write(root, "apps/2c/a12c.otoml"));
    trial.drain();
    let lost = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
    trial.watcher.desk.take(&trial.root, &Ok(lost));
    assert_eq!(trial.drain(), [Seen::Rescan]);
}
