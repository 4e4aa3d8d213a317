//! Walks over trees that people have been at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use osis_core::schema::{Source, load};

use super::*;
use crate::keeper::tree::{DayFile, Known};
use crate::record::{Hash, Version};

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
const APP: TypeId = 0;
const VISIT: TypeId = 1;

/// A directory with files, and what is known of them.
struct Trial {
    _directory: tempfile::TempDir,
    layout: Layout,
    schema: Schema,
    tree: Tree,
}

impl Trial {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::new(directory.path().to_owned());
        fs::write(layout.store_file(), "").unwrap();
        Self {
            _directory: directory,
            layout,
            schema: load(&[Source::new("shop.toml", SCHEMA)]).unwrap(),
            tree: Tree::default(),
        }
    }

    fn at(&self, rel: &str) -> PathBuf {
        self.layout.root().join(rel)
    }

    fn write(&self, rel: &str, text: &str) {
        let path = self.at(rel);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn all(&self) -> Differences {
        all(&self.layout, &self.schema, &self.tree).unwrap()
    }

    fn look(&self, rels: &[&str]) -> Differences {
        let paths: Vec<PathBuf> = rels.iter().map(|rel| self.at(rel)).collect();
        look(&self.layout, &self.schema, &self.tree, &paths).unwrap()
    }

    /// Takes all as it is for known.
    fn learn(&mut self, differences: Differences) {
        let version = Version {
            rev: 1,
            hash: Hash([0; 16]),
        };
        for key in differences.gone {
            self.tree.objects.remove(&key).unwrap();
        }
        for rel in differences.gone_days {
            self.tree.days.remove(&rel).unwrap();
        }
        for place in differences.changed_or_new {
            let stamp = place.stamp;
            match place.kind {
                Kind::Object(id) => {
                    let known = Known {
                        stamp,
                        version,
                        is_canonical: true,
                    };
                    self.tree.objects.insert((place.type_id, id), known);
                }
                Kind::Day => {
                    let rel = place.path.strip_prefix(self.layout.root()).unwrap();
                    let day = DayFile::settled(place.stamp, place.type_id, Vec::new());
                    self.tree.days.insert(rel.to_str().unwrap().to_owned(), day);
                }
                Kind::Misplaced(_) | Kind::Misnamed | Kind::Conflict | Kind::Odd => {}
            }
        }
    }

    fn shown(&self, differences: &Differences) -> BTreeMap<String, (TypeId, Kind)> {
        let places = differences.changed_or_new.iter().map(|place| {
            let rel = place.path.strip_prefix(self.layout.root()).unwrap();
            assert_eq!(Disk.stamp(&place.path).unwrap(), Some(place.stamp));
            (
                rel.to_str().unwrap().to_owned(),
                (place.type_id, place.kind.clone()),
            )
        });
        places.collect()
    }
}

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

#[test]
fn names_are_told_apart() {
    let trial = Trial::new();
    for rel in [
        "apps/2c/a12c.otoml",
        "apps/2d/b12c.otoml",
        "apps/c12c.otoml",
        "apps/2c/.a12c.otoml.swp",
        "apps/2c/.a12c.p1-2.tmp",
        "apps/2c/a12c.otoml~",
        "apps/2c/4913",
        "apps/2c/a12c.conflict-20261121T070000Z.otoml",
        "apps/2c/a2c.otoml",
        "apps/2c/A12c.otoml",
        "apps/2c/näher2c.otoml",
        "apps/2c/i12c.OTOML",
        "apps/2c/deep/d12c.otoml",
        "apps/old/e12c.otoml",
        "apps/.git/f12c.otoml",
        "visits/2026/11/21.otoml",
        "visits/2026/11/21-import.otoml",
        "visits/2026/11/21-000000000001-000000000007.otoml",
        "visits/2026/11/32.otoml",
        "visits/2026/21.otoml",
        "visits/2026/11/.21.otoml",
        "visits/2026/11/21.old.otoml",
        "others/2c/a12c.otoml",
        "log/000000000/000000000001.otoml",
    ] {
        trial.write(rel, rel);
    }
    fs::create_dir(trial.at("apps/2c/g12c.otoml")).unwrap();
    fs::create_dir(trial.at("apps/2c/G.otoml")).unwrap();
    std::os::unix::fs::symlink("a12c.otoml", trial.at("apps/2c/h12c.otoml")).unwrap();
    std::os::unix::fs::symlink("2c", trial.at("apps/2e")).unwrap();
    let expected: BTreeMap<String, (TypeId, Kind)> = [
        ("apps/2c/a12c.otoml", APP, Kind::Object(id("a12c"))),
        ("apps/2c/g12c.otoml", APP, Kind::Odd),
        ("apps/2c/h12c.otoml", APP, Kind::Odd),
        ("apps/2c/a2c.otoml", APP, Kind::Misnamed),
        ("apps/2c/A12c.otoml", APP, Kind::Misnamed),
        ("apps/2c/näher2c.otoml", APP, Kind::Misnamed),
        ("apps/2c/i12c.OTOML", APP, Kind::Misnamed),
        ("apps/2d/b12c.otoml", APP, Kind::Misplaced(id("b12c"))),
        ("apps/2c/deep/d12c.otoml", APP, Kind::Misplaced(id("d12c"))),
        ("apps/old/e12c.otoml", APP, Kind::Misplaced(id("e12c"))),
        (
            "apps/2c/a12c.conflict-20261121T070000Z.otoml",
            APP,
            Kind::Conflict,
        ),
        ("apps/c12c.otoml", APP, Kind::Misplaced(id("c12c"))),
        ("visits/2026/11/21.otoml", VISIT, Kind::Day),
        ("visits/2026/11/21-import.otoml", VISIT, Kind::Day),
        (
            "visits/2026/11/21-000000000001-000000000007.otoml",
            VISIT,
            Kind::Day,
        ),
        ("visits/2026/11/32.otoml", VISIT, Kind::Misnamed),
        ("visits/2026/11/21.old.otoml", VISIT, Kind::Misnamed),
        ("visits/2026/21.otoml", VISIT, Kind::Misnamed),
    ]
    .into_iter()
    .map(|(rel, type_id, kind)| (rel.to_owned(), (type_id, kind)))
    .collect();
    let found = trial.all();
    assert_eq!(trial.shown(&found), expected);
    assert_eq!((&found.gone, &found.unreadable), (&Vec::new(), &Vec::new()));
    // Each path by itself says the same.
    for (rel, kind) in &expected {
        let found = trial.look(&[rel]);
        assert_eq!(
            trial.shown(&found),
            BTreeMap::from([(rel.clone(), kind.clone())])
        );
    }
    for rel in [
        "others",
        "log",
        "apps/2c/4913",
        "apps/2c/G.otoml",
        "store.toml",
        "",
    ] {
        assert!(trial.look(&[rel]).is_empty(), "{rel}");
    }
}

#[test]
fn known_files_are_passed_over_until_they_change() {
    let mut trial = Trial::new();
    trial.write("apps/2c/a12c.otoml", "1");
    trial.write("visits/2026/11/21.otoml", "1");
    trial.learn(trial.all());
    let found = trial.all();
    assert!(found.is_empty());
    assert_eq!(found.files, 2);
    trial.write("apps/2c/a12c.otoml", "22");
    trial.write("visits/2026/11/21.otoml", "22");
    assert_eq!(trial.all().changed_or_new.len(), 2);
    assert_eq!(
        trial.look(&["visits/2026", "apps/2c"]).changed_or_new.len(),
        2
    );
    trial.learn(trial.all());
    fs::rename(trial.at("apps/2c/a12c.otoml"), trial.at("apps/a12c.otoml")).unwrap();
    fs::remove_dir_all(trial.at("visits/2026")).unwrap();
    for found in [trial.all(), trial.look(&["apps", "visits/2026"])] {
        assert_eq!(found.gone, [(APP, id("a12c"))]);
        assert_eq!(found.gone_days, ["visits/2026/11/21.otoml"]);
        assert_eq!(found.changed_or_new[0].kind, Kind::Misplaced(id("a12c")));
    }
    // A file that became something else is not gone.
    trial.learn(trial.all());
    trial.write("apps/2c/a12c.otoml", "1");
    trial.learn(trial.all());
    fs::remove_file(trial.at("apps/2c/a12c.otoml")).unwrap();
    std::os::unix::fs::symlink("nowhere", trial.at("apps/2c/a12c.otoml")).unwrap();
    for found in [
        trial.all(),
        trial.look(&["apps/2c"]),
        trial.look(&["apps/2c/a12c.otoml"]),
    ] {
        assert_eq!(found.changed_or_new[0].kind, Kind::Odd);
        assert!(found.gone.is_empty());
    }
}

#[test]
fn a_volume_that_is_not_mounted_is_no_delete() {
    let mut trial = Trial::new();
    trial.write("apps/2c/a12c.otoml", "1");
    trial.write("visits/2026/11/21.otoml", "1");
    trial.learn(trial.all());
    let hidden = trial.layout.root().with_extension("hidden");
    fs::rename(trial.layout.root(), &hidden).unwrap();
    for there in [false, true] {
        if there {
            fs::create_dir(trial.layout.root()).unwrap();
        }
        let walked = all(&trial.layout, &trial.schema, &trial.tree);
        assert!(walked.is_err());
        let paths = [trial.at("apps")];
        assert!(look(&trial.layout, &trial.schema, &trial.tree, &paths).is_err());
    }
    fs::remove_dir(trial.layout.root()).unwrap();
    fs::rename(hidden, trial.layout.root()).unwrap();
    assert!(trial.all().is_empty());
}

/// What a walk should find, the plain way.
fn naive(trial: &Trial) -> (BTreeSet<PathBuf>, BTreeSet<(TypeId, Id)>) {
    let (mut changed, mut there) = (BTreeSet::new(), BTreeSet::new());
    for entry in walkdir::WalkDir::new(trial.at("apps"))
        .into_iter()
        .flatten()
    {
        let name = entry.file_name().to_str().unwrap();
        let Some(id) = name.strip_suffix(".otoml").and_then(Id::parse) else {
            continue;
        };
        let path = entry.into_path();
        let is_at_home = trial.layout.object(&trial.schema.types[APP], &id) == path;
        let stamp = Disk.stamp(&path).unwrap().unwrap();
        let known = trial
            .tree
            .objects
            .get(&(APP, id.clone()))
            .map(|known| known.stamp);
        if is_at_home {
            there.insert((APP, id));
        }
        if !is_at_home || known != Some(stamp) {
            changed.insert(path);
        }
    }
    let gone = trial
        .tree
        .objects
        .keys()
        .filter(|key| !there.contains(*key));
    (changed, gone.cloned().collect())
}

#[test]
fn random_trees_are_walked_as_by_a_naive_walk() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let mut trial = Trial::new();
    for round in 0..60 {
        let mut touched = BTreeSet::new();
        for _ in 0..random(40) {
            let shard = format!("{:02x}", random(20));
            let rel = match random(10) {
                0 => format!("apps/{shard}/x{}zz.otoml", random(50)),
                1 => format!("apps/y{}{shard}.otoml", random(50)),
                2 => format!("apps/{shard}/.x{}.tmp", random(50)),
                _ => format!("apps/{shard}/id-{}{shard}.otoml", random(30)),
            };
            match random(4) {
                0 => drop(fs::remove_file(trial.at(&rel))),
                1 if random(12) == 0 => {
                    let directory = format!("apps/{shard}");
                    let _ = fs::remove_dir_all(trial.at(&directory));
                    touched.insert(directory);
                }
                _ => trial.write(&rel, &"x".repeat(random(100))),
            }
            touched.insert(rel);
        }
        let (changed, gone) = naive(&trial);
        let found = trial.all();
        let paths: BTreeSet<PathBuf> = found
            .changed_or_new
            .iter()
            .map(|place| place.path.clone())
            .collect();
        assert_eq!(paths, changed, "round {round}");
        assert_eq!(
            found.gone.iter().cloned().collect::<BTreeSet<_>>(),
            gone,
            "round {round}"
        );
        // What was touched is all that a look must find, save misplaced files of before.
        let touched: Vec<&str> = touched.iter().map(String::as_str).collect();
        let looked = trial.look(&touched);
        assert_eq!(looked.gone, found.gone, "round {round}");
        let of_objects = |found: &Differences| -> Vec<Place> {
            let is_object = |place: &&Place| matches!(place.kind, Kind::Object(_));
            found
                .changed_or_new
                .iter()
                .filter(is_object)
                .cloned()
                .collect()
        };
        assert_eq!(of_objects(&looked), of_objects(&found), "round {round}");
        if random(3) > 0 {
            trial.learn(found);
        } else {
            trial.learn(looked);
        }
    }
}

/// Run by hand: what a walk costs beside a bare one over the same 100,000 files.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_walk() {
    let mut trial = Trial::new();
    for n in 0..100_000_u32 {
        trial.write(
            &format!(
                "apps/{:02x}/0192f000-{n:08x}-{:02x}.otoml",
                n % 256,
                n % 256
            ),
            "O:\n",
        );
    }
    trial.learn(trial.all());
    assert_eq!(trial.tree.objects.len(), 100_000);
    for _ in 0..3 {
        let began = Instant::now();
        let walk = walkdir::WalkDir::new(trial.at("apps")).into_iter();
        let bytes: u64 = walk
            .flatten()
            .map(|entry| entry.metadata().unwrap().len())
            .sum();
        let bare = began.elapsed();
        let found = trial.all();
        assert!(found.is_empty() && found.files == 100_000 && bytes > 0);
        println!("walkdir with stat {bare:?}, walk {:?}", found.took);
    }
    println!("one directory of 256: {:?}", trial.look(&["apps/2c"]).took);
}
