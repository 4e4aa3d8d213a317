//! `osis backup` and `osis restore`: a copy as of one commit while others write, and the same store
//! again afterwards; nothing half, whatever is killed when; nothing damaged that is not found.
//!
//! All of it is done by the `osis` binary, in processes of its own. `OSIS_BACKUP_KILLS` kills more
//! runs, `OSIS_CRASH_SEED` the same ones again.

#![expect(clippy::unwrap_used, reason = "what is not as expected ends the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osis_tests::binary::{Served, command};
use osis_tests::dice::{Dice, number};
use osis_tests::places::{Kind, Place};
use serde_json::{Value, json};

osis_tests::on_every_store!(
    a_backup_beside_writers_is_as_of_one_commit,
    what_was_restored_goes_on,
    nothing_is_replaced_unasked,
    damage_is_found_and_nothing_restored,
    a_killed_backup_is_whole_or_refused,
    a_killed_restore_leaves_one_store_or_none,
);

/// How many writers there are, half of them on each of two servers.
const WRITERS: usize = 4;

/// Fills a store with objects of every kind: secrets, references, log types, odd texts.
fn fill(place: &Place, many: usize) {
    let numbers = 0..many;
    let customers = numbers.clone().map(|n| {
        json!({
            "email": format!("c{n}@x"), "name": format!("Customer {n}"), "number": n,
            "card_hash": format!("hash {n}"), "pin": "1234",
        })
    });
    let products = numbers.clone().map(
        |n| json!({ "sku": format!("AB-{n}"), "title": "Übergröße", "tags": ["a", "ß", "\\N\t"] }),
    );
    let memos = numbers
        .clone()
        .map(|n| json!({ "body": format!("line\n\"{n}\" \\ ende\\.") }));
    let events = numbers.map(|n| {
        json!({
            "app_id": format!("app{}", n % 7), "kind": "install",
            "occurred_at": format!("2026-11-{:02}T10:00:00.{:03}Z", 1 + n % 28, n % 1000),
            "properties": { "n": n, "f": 0.1, "none": null },
        })
    });
    let seed = json!({
        "customer": customers.collect::<Value>(), "product": products.collect::<Value>(),
        "memo": memos.collect::<Value>(), "event": events.collect::<Value>(),
        "tally": [{ "id": "common", "name": "common", "hits": 0 }],
    });
    let file = place.beside("seed.json");
    std::fs::write(&file, seed.to_string()).unwrap();
    done(
        &place
            .command(&["seed", file.to_str().unwrap()])
            .output()
            .unwrap(),
    );
}

fn done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

/// What a command said that failed.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn back_up(place: &Place, to: &Path) -> Value {
    let output = place.command(&["backup", "--json", to.to_str().unwrap()]);
    let output = { output }.output().unwrap();
    done(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn restore(place: &Place, from: &Path, more: &[&str]) -> Output {
    let from = from.to_str().unwrap();
    let arguments: Vec<&str> = ["restore", from].iter().chain(more).copied().collect();
    place.command(&arguments).output().unwrap()
}

fn check(place: &Place) {
    done(&place.command(&["check"]).output().unwrap());
}

fn seq(server: &Served) -> u64 {
    server.call("osis_info", &json!({}))["seq"]
        .as_u64()
        .unwrap()
}

/// Makes memos until it is told to stop, each in one transaction with a count of them; the seqs of
/// those commits, with the memos' ids.
fn write(
    server: &Served,
    writer: usize,
    stop: &AtomicBool,
    made: &AtomicUsize,
) -> BTreeMap<u64, String> {
    let mut connection = server.connect();
    let mut ledger = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let id = format!("memo-{writer}-{}", ledger.len());
        let ops = json!([
            { "method": "memo_new", "params": { "data": { "id": id, "body": "beside" } } },
            { "method": "tally_set",
              "params": { "id": "common", "mode": "merge", "data": { "hits": 1 } } },
        ]);
        let answer = connection.call("osis_transaction", &json!({ "ops": ops }));
        let seq = answer["result"]["seq"].as_u64();
        ledger.insert(seq.unwrap_or_else(|| panic!("{answer}")), id);
        made.fetch_add(1, Ordering::Relaxed);
    }
    ledger
}

fn a_backup_beside_writers_is_as_of_one_commit(kind: Kind) {
    let (place, other) = (Place::new(kind), Place::new(kind));
    fill(&place, 300);
    let servers = [place.serve(), place.serve()];
    let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let wait_for_more = || {
        let before = made.load(Ordering::Relaxed);
        while made.load(Ordering::Relaxed) < before + 20 {
            std::thread::yield_now();
        }
    };
    let backups: Vec<PathBuf> = (0..2)
        .map(|n| place.beside(&format!("backup-{n}")))
        .collect();
    let (ledger, manifests) = std::thread::scope(|scope| {
        let writing: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (server, stop, made) = (&servers[writer % 2], &stop, &made);
                scope.spawn(move || write(server, writer, stop, made))
            })
            .collect();
        let mut manifests = Vec::new();
        for backup in &backups {
            wait_for_more();
            manifests.push(back_up(&place, backup));
        }
        wait_for_more();
        stop.store(true, Ordering::Relaxed);
        let ledgers = writing.into_iter().map(|writer| writer.join().unwrap());
        (
            ledgers.flatten().collect::<BTreeMap<u64, String>>(),
            manifests,
        )
    });
    let (first, last) = (ledger.keys().next().unwrap(), ledger.keys().last().unwrap());
    for (backup, manifest) in backups.iter().zip(&manifests) {
        let as_of = manifest["seq"].as_u64().unwrap();
        assert!(
            first <= &as_of && &as_of < last,
            "{as_of} is not beside the writers"
        );
        done(&restore(&other, backup, &["--force"]));
        assert_eq!(other.digest()["types"], manifest["types"]);
        check(&other);
        let server = other.serve();
        assert_eq!(seq(&server), as_of);
        let wanted: Vec<&str> = ledger.range(..=as_of).map(|(_, id)| id.as_str()).collect();
        let tally = server.call("tally_get", &json!({ "id": "common" }));
        assert_eq!(tally["hits"], json!(wanted.len()));
        let beside = json!({ "filter": { "id": { "gte": "memo-" } } });
        let count = server.call("memo_count", &beside);
        assert_eq!(count["count"], json!(wanted.len()));
        assert_eq!(
            fed_memos(&server),
            wanted,
            "the feed tells of other commits"
        );
        let mut connection = server.connect();
        let beyond = connection.call("osis_changes", &json!({ "since": as_of + 1 }));
        assert_eq!(beyond["error"]["data"]["kind"], json!("gone"), "{beyond}");
        assert!(server.terminate().success());
    }
}

/// The memos of writers that the change feed tells of, in its order.
fn fed_memos(server: &Served) -> Vec<String> {
    let (mut since, mut memos) = (0, Vec::new());
    loop {
        let page = server.call(
            "osis_changes",
            &json!({ "since": since, "types": ["memo"] }),
        );
        let ids = page["changes"].as_array().unwrap().iter();
        let ids = ids.map(|record| record["id"].as_str().unwrap().to_owned());
        memos.extend(ids.filter(|id| id.starts_with("memo-")));
        match page["next"].as_u64().unwrap() {
            next if next == since => return memos,
            next => since = next,
        }
    }
}

fn what_was_restored_goes_on(kind: Kind) {
    let (place, other) = (Place::new(kind), Place::new(kind));
    fill(&place, 50);
    let server = place.serve();
    server.call("product_delete", &json!({ "key": { "sku": "AB-7" } }));
    let as_of = seq(&server);
    assert!(server.terminate().success());
    let backup = place.beside("backup");
    back_up(&place, &backup);
    done(&restore(&other, &backup, &[]));
    assert_eq!(other.digest(), place.digest());
    // Both go on alike: with the same number, the same rules, and secrets that are still there.
    for place in [&place, &other] {
        let server = place.serve();
        server.call("memo_new", &json!({ "data": { "body": "after" } }));
        let key = json!({ "key": { "email": "c3@x" }, "data": { "name": "other" } });
        assert_eq!(server.call("customer_set", &key)["rev"], json!(2));
        let taken = json!({ "data": { "email": "c4@x", "name": "x" } });
        let refused = server.connect().call("customer_new", &taken);
        assert_eq!(refused["error"]["data"]["kind"], json!("conflict"));
        let found = server.call("product_find", &json!({ "query": "ubergrosse" }));
        assert_eq!(found["total"], json!(49));
        let changes = server.call("osis_changes", &json!({ "since": as_of }));
        let ops: Vec<&Value> = changes["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["op"])
            .collect();
        assert_eq!(ops, ["new", "set"]);
        assert!(server.terminate().success());
        check(place);
    }
    // A backup of what was restored is one as well.
    let again = other.beside("again");
    back_up(&other, &again);
    done(&restore(&place, &again, &["--force"]));
    assert_eq!(place.digest(), other.digest());
}

fn nothing_is_replaced_unasked(kind: Kind) {
    let (place, other) = (Place::new(kind), Place::new(kind));
    fill(&place, 20);
    fill(&other, 3);
    let before = other.digest();
    let backup = place.beside("backup");
    back_up(&place, &backup);
    let said = refusal(&restore(&other, &backup, &[]));
    assert!(
        said.contains("not empty") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(other.digest(), before);
    let to = backup.to_str().unwrap();
    let said = refusal(&place.command(&["backup", to]).output().unwrap());
    assert!(said.contains("not empty") && said.contains(to), "{said}");
    let none = place.beside("none");
    let said = refusal(&restore(&other, &none, &["--force"]));
    assert!(said.contains("is not there"), "{said}");
    let empty = place.beside("empty");
    std::fs::create_dir(&empty).unwrap();
    let said = refusal(&restore(&other, &empty, &["--force"]));
    assert!(said.contains("no finished backup"), "{said}");
    for wrong in [Kind::Sqlite, Kind::File] {
        let wrong = Place::new(wrong);
        if wrong.kind() != kind {
            let said = refusal(&restore(&wrong, &backup, &[]));
            assert!(
                said.contains(&format!("of a {} store", kind.name())),
                "{said}"
            );
        }
    }
    assert_eq!(other.digest(), before);
    done(&restore(&other, &backup, &["--force"]));
    assert_eq!(other.digest(), place.digest());
    check(&other);
}

#[test]
fn a_store_in_memory_is_not_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("backup");
    let backup = command(["backup", "--store", "memory:", to.to_str().unwrap()]).output();
    let said = refusal(&backup.unwrap());
    assert!(said.contains("osis export"), "{said}");
    assert!(!to.exists(), "a half backup is left");
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let found = walkdir::WalkDir::new(directory)
        .sort_by_file_name()
        .into_iter();
    let found = found
        .map(Result::unwrap)
        .filter(|found| found.file_type().is_file());
    found.map(walkdir::DirEntry::into_path).collect()
}

fn damage_is_found_and_nothing_restored(kind: Kind) {
    let mut dice = dice();
    let (place, other) = (Place::new(kind), Place::new(kind));
    fill(&place, 10);
    let backup = place.beside("backup");
    back_up(&place, &backup);
    let all = files(&backup);
    let manifest = backup.join("manifest.toml");
    let mut chosen: Vec<PathBuf> = (0..6).map(|_| dice.one_of(&all).clone()).collect();
    chosen.retain(|path| *path != manifest && std::fs::metadata(path).unwrap().len() > 0);
    chosen.extend([backup.join("SHA256SUMS"), backup.join("schema.toml")]);
    for path in chosen {
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        let at = dice.roll(damaged.len());
        damaged[at] ^= 1 << dice.roll(8);
        std::fs::write(&path, damaged).unwrap();
        let said = refusal(&restore(&other, &backup, &[]));
        assert!(
            said.contains("damaged"),
            "{}, byte {at}: {said}",
            path.display()
        );
        std::fs::remove_file(&path).unwrap();
        let said = refusal(&restore(&other, &backup, &[]));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(said.contains("missing") && said.contains(name), "{said}");
        std::fs::write(&path, whole).unwrap();
    }
    // What the manifest itself says wrongly shows when all is laid ready.
    let whole = std::fs::read_to_string(&manifest).unwrap();
    let seq = whole
        .lines()
        .find(|line| line.starts_with("seq = "))
        .unwrap();
    let digest = whole
        .lines()
        .find(|line| line.starts_with("digest = \""))
        .unwrap();
    let other_digest = format!("digest = \"{}\"", "ab".repeat(32));
    for (from, to) in [
        (seq, "seq = 999"),
        (digest, other_digest.as_str()),
        (seq, "seq = x"),
    ] {
        std::fs::write(&manifest, whole.replacen(from, to, 1)).unwrap();
        let said = refusal(&restore(&other, &backup, &[]));
        assert!(said.contains("damaged"), "{said}");
    }
    // Whether anything is there: a command that makes no store tells.
    refusal(&other.command(&["digest"]).output().unwrap());
    std::fs::write(&manifest, whole).unwrap();
    done(&restore(&other, &backup, &[]));
    assert_eq!(other.digest(), place.digest());
}

fn dice() -> Dice {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("OSIS_CRASH_SEED").unwrap_or(now.as_nanos() as u64);
    eprintln!("OSIS_CRASH_SEED={seed}");
    Dice::new(seed)
}

fn kills() -> u64 {
    number("OSIS_BACKUP_KILLS").unwrap_or(4)
}

/// Runs a command and kills it after a while; whether it had ended before.
fn kill_after(mut command: std::process::Command, wait: Duration) -> bool {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(wait);
    child.kill().unwrap();
    child.wait().unwrap().success()
}

fn a_killed_backup_is_whole_or_refused(kind: Kind) {
    let mut dice = dice();
    let (place, other) = (Place::new(kind), Place::new(kind));
    fill(&place, 200);
    let whole = place.digest();
    for round in 0..kills() {
        let backup = place.beside(&format!("backup-{round}"));
        let wait = Duration::from_micros(dice.roll(600_000) as u64);
        let command = place.command(&["backup", backup.to_str().unwrap()]);
        let ended = kill_after(command, wait);
        let output = restore(&other, &backup, &["--force"]);
        match backup.join("manifest.toml").exists() {
            true => {
                done(&output);
                assert_eq!(other.digest(), whole);
            }
            false => {
                assert!(!ended, "it said that it was done");
                let said = refusal(&output);
                assert!(
                    said.contains("no finished backup") || said.contains("is not there"),
                    "{said}"
                );
            }
        }
        check(&place);
    }
}

fn a_killed_restore_leaves_one_store_or_none(kind: Kind) {
    let mut dice = dice();
    let (place, other) = (Place::new(kind), Place::new(kind));
    fill(&place, 200);
    fill(&other, 5);
    let (old, new) = (place.beside("backup-old"), place.beside("backup-new"));
    back_up(&other, &old);
    back_up(&place, &new);
    let (old_digest, new_digest) = (other.digest(), place.digest());
    for _ in 0..kills() {
        done(&restore(&other, &old, &["--force"]));
        let wait = Duration::from_micros(dice.roll(800_000) as u64);
        let command = other.command(&["restore", new.to_str().unwrap(), "--force"]);
        kill_after(command, wait);
        let output = other.command(&["digest", "--json"]).output().unwrap();
        match output.status.success() {
            true => {
                let found: Value = serde_json::from_slice(&output.stdout).unwrap();
                assert!([&old_digest, &new_digest].contains(&&found), "{found}");
            }
            false => {
                let said = refusal(&output);
                assert!(said.contains("osis restore --force"), "{said}");
            }
        }
        done(&restore(&other, &new, &["--force"]));
        assert_eq!(other.digest(), new_digest);
        check(&other);
    }
}

#[test]
fn a_database_that_is_open_is_not_replaced() {
    let (place, other) = (Place::new(Kind::Sqlite), Place::new(Kind::Sqlite));
    fill(&place, 20);
    fill(&other, 3);
    let backup = place.beside("backup");
    back_up(&place, &backup);
    let server = other.serve();
    let said = refusal(&restore(&other, &backup, &["--force"]));
    assert!(said.contains("in use"), "{said}");
    server.call(
        "memo_new",
        &json!({ "data": { "id": "memo-goes-on", "body": "x" } }),
    );
    assert!(server.terminate().success());
    let server = other.serve();
    server.call("memo_get", &json!({ "id": "memo-goes-on" }));
    assert!(server.terminate().success());
    let names = std::fs::read_dir(other.path().parent().unwrap()).unwrap();
    let mut names = names.map(|name| name.unwrap().file_name().into_string().unwrap());
    assert!(
        !names.any(|name| name.contains("restoring")),
        "what was laid ready is left"
    );
}

#[test]
fn who_has_a_file_store_open_that_is_replaced_writes_no_more() {
    let (place, other) = (Place::new(Kind::File), Place::new(Kind::File));
    fill(&place, 20);
    let backup = place.beside("backup");
    back_up(&place, &backup);
    done(&restore(&other, &backup, &[]));
    let server = other.serve();
    done(&restore(&other, &backup, &["--force"]));
    let refused = server
        .connect()
        .call("memo_new", &json!({ "data": { "body": "late" } }));
    assert_eq!(
        refused["error"]["data"]["kind"],
        json!("unavailable"),
        "{refused}"
    );
    server.kill();
    assert_eq!(other.digest(), place.digest());
    check(&other);
}

#[test]
fn a_restore_that_was_cut_off_while_files_moved_is_told_and_begun_anew() {
    let (place, other) = (Place::new(Kind::File), Place::new(Kind::File));
    fill(&place, 20);
    let backup = place.beside("backup");
    back_up(&place, &backup);
    done(&restore(&other, &backup, &[]));
    // As it is when the old store was moved away, and the new one is not there yet.
    let old = other.path().join(".osis-restore/old-1");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::rename(other.path().join("store.toml"), old.join("store.toml")).unwrap();
    std::fs::rename(other.path().join("memos"), old.join("memos")).unwrap();
    for arguments in [vec!["digest"], vec!["import", "/dev/null"]] {
        let said = refusal(&other.command(&arguments).output().unwrap());
        assert!(said.contains("osis restore --force"), "{said}");
    }
    let said = refusal(&restore(&other, &backup, &[]));
    assert!(said.contains("--force"), "{said}");
    done(&restore(&other, &backup, &["--force"]));
    assert_eq!(other.digest(), place.digest());
    assert!(
        !other.path().join(".osis-restore").exists(),
        "the old store is left"
    );
}

#[test]
fn texts_of_people_are_in_the_backup_of_a_file_store() {
    let (place, other) = (Place::new(Kind::File), Place::new(Kind::File));
    fill(&place, 5);
    let server = place.serve();
    let memos = server.call("memo_list", &json!({ "limit": 2 }));
    let file = |place: &Place, n: usize| {
        let id = memos["items"][n]["id"].as_str().unwrap();
        let below = format!("memos/{}/{id}.otoml", &id[id.len() - 2..]);
        (place.path().join(&below), below)
    };
    assert!(server.terminate().success());
    let (commented, _) = file(&place, 0);
    let text = std::fs::read_to_string(&commented).unwrap();
    std::fs::write(&commented, text.replacen("O:\n", "O:\n# mine\n", 1)).unwrap();
    let (broken, below) = file(&place, 1);
    std::fs::write(&broken, "O:\nbody = \n").unwrap();
    let before = place.digest();
    let backup = place.beside("backup");
    back_up(&place, &backup);
    done(&restore(&other, &backup, &[]));
    assert_eq!(other.digest(), before);
    let text = std::fs::read_to_string(file(&other, 0).0).unwrap();
    assert!(text.contains("# mine"), "{text}");
    let text = std::fs::read_to_string(other.path().join(".unserved").join(below)).unwrap();
    assert_eq!(text, "O:\nbody = \n");
    check(&other);
}

#[test]
fn a_folder_of_somebody_else_is_not_replaced() {
    let (place, other) = (Place::new(Kind::File), Place::new(Kind::File));
    fill(&place, 5);
    let backup = place.beside("backup");
    back_up(&place, &backup);
    std::fs::create_dir_all(other.path().join("photos")).unwrap();
    let said = refusal(&restore(&other, &backup, &["--force"]));
    assert!(said.contains("photos"), "{said}");
    let names = std::fs::read_dir(other.path()).unwrap().count();
    assert_eq!(names, 1, "something was left there");
}
