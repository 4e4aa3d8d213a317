//! Bodies that move, and files that go.

use osis_core::object::Id;
use osis_core::schema::{Schema, Source, load};
use osis_core::time::Time;

use super::*;
use crate::record::Hash;

const SCHEMA: &str = "
name = 'bodies'
version = 1
[types.note.fields]
text = { type = 'text' }
";

fn schema() -> Schema {
    load(&[Source::new("bodies.toml", SCHEMA)]).unwrap()
}

/// A note with a text of so many characters.
fn note(bodies: &Bodies, schema: &Schema, n: usize, length: usize) -> Held {
    let text = format!("{n:06}").repeat(length / 6 + 1);
    let row = Row {
        id: Id::trusted(&format!("note-{n}")),
        rev: 1,
        created_at: Time::now(),
        updated_at: Time::now(),
        values: [Value::Str(text.into())].into(),
    };
    let ty = &schema.types[0];
    let hash = Hash::of(ty, &row.values);
    let (row, body) = bodies.split(ty, row).unwrap();
    let ordinal = n as u64;
    Held {
        row,
        body,
        ordinal,
        hash,
    }
}

fn assert_is(bodies: &Bodies, held: &Held) {
    let row = bodies.join(held).unwrap();
    assert_eq!(Hash::of(&schema().types[0], &row.values), held.hash);
}

/// What a save does, without the catalogue in between: the places that it would name.
fn compact(bodies: &Bodies, held: &[Held]) -> BTreeSet<u32> {
    bodies.compact().unwrap();
    bodies.sync().unwrap();
    let all = held.iter().filter_map(|held| held.body.as_ref());
    all.map(|body| body.place().file()).collect()
}

fn left(directory: &Path) -> Vec<u32> {
    let mut left = numbers(directory).unwrap();
    left.sort_unstable();
    left
}

#[test]
fn what_is_left_of_a_file_is_moved_before_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let bodies = Bodies::open(dir.path()).unwrap();
    assert!(
        left(dir.path()).is_empty(),
        "who writes nothing leaves nothing"
    );
    let schema = schema();
    let mut held: Vec<Held> = (0..40).map(|n| note(&bodies, &schema, n, 1000)).collect();
    assert_eq!(left(dir.path()), [0, 1, 2]);
    // Nothing to gain: two files are full, and the last one is written to.
    assert_eq!(compact(&bodies, &held), BTreeSet::from([0, 1, 2]));
    // A third of each stays.
    let mut n = 0;
    held.retain(|_| {
        n += 1;
        n % 3 == 0
    });
    let snapshot = held.remove(0);
    let named = compact(&bodies, &held);
    assert_eq!(named, BTreeSet::from([2]));
    assert_eq!(
        left(dir.path()),
        [0, 1, 2],
        "the catalogue on disk names them"
    );
    bodies.sweep(&named);
    assert_eq!(left(dir.path()), [2], "what a snapshot holds is moved too");
    held.iter()
        .chain([&snapshot])
        .for_each(|held| assert_is(&bodies, held));
}

#[test]
fn many_small_files_become_one() {
    let dir = tempfile::tempdir().unwrap();
    let schema = schema();
    let mut places: Vec<(Place, Hash)> = Vec::new();
    for n in 0..60 {
        let bodies = Bodies::open(dir.path()).unwrap();
        let adopted = bodies.adopt(places.iter().map(|(place, _)| *place));
        let known = places.iter().map(|(place, hash)| {
            let mut held = note(&bodies, &schema, 0, 0);
            held.body = adopted.body(*place);
            held.hash = *hash;
            assert!(held.body.is_some());
            held
        });
        let mut held: Vec<Held> = known.collect();
        held.push(note(&bodies, &schema, n, 100));
        bodies.sweep(&compact(&bodies, &held));
        held.iter().for_each(|held| assert_is(&bodies, held));
        let all = held.iter();
        places = all
            .map(|held| (held.body.as_ref().unwrap().place(), held.hash))
            .collect();
        assert!(left(dir.path()).len() <= SMALL_MAX + 2, "{n}");
    }
}

#[test]
fn a_file_that_is_gone_or_cut_off_is_not_taken_for_whole() {
    let dir = tempfile::tempdir().unwrap();
    let held = note(&Bodies::open(dir.path()).unwrap(), &schema(), 1, 1000);
    let place = held.body.as_ref().unwrap().place();
    let adopts = || {
        let bodies = Bodies::open(dir.path()).unwrap();
        bodies.adopt([place].into_iter()).body(place).is_some()
    };
    assert!(adopts());
    let path = path_of(dir.path(), place.file());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(500).unwrap();
    assert!(!adopts());
    std::fs::remove_file(path).unwrap();
    assert!(!adopts());
}
