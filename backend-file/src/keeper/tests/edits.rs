//! People's edits become commits, or are told why not.

use super::*;

pub(super) fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn an_edit_is_a_commit() {
    let dir = store();
    let process = start(dir.path());
    process.make(
        APP,
        "app-1",
        &[("name", "one".into()), ("hits", Value::Int(3))],
    );
    process.settle();
    let path = process.path(APP, "app-1");
    let text = process
        .text(APP, "app-1")
        .replace("\"one\"", "\"uno\"")
        .replace("hits = 3\n", "");
    write(&path, &text);
    assert!(process.until(|process| process.name("app-1").as_deref() == Some("uno")));
    process.settle();
    let row = process.row(APP, "app-1").unwrap();
    assert_eq!(row.rev, 2);
    assert!(row.values[process.shared.schema.types[APP].field("hits").unwrap()].is_null());
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    // By rename, as many editors do, and twice in a row.
    for n in 0..5 {
        let text = process.text(APP, "app-1");
        let at = text.find("name = ").unwrap();
        let end = at + text[at..].find('\n').unwrap();
        let text = format!("{}name = \"n{n}\"{}", &text[..at], &text[end..]);
        let draft = path.with_file_name("4913");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(&draft, &path).unwrap();
        let name = format!("n{n}");
        assert!(process.until(|process| process.name("app-1").as_ref() == Some(&name)));
    }
    process.settle();
    assert_eq!(names(&dir.path().join("apps")), ["app-1.otoml"]);
    assert_eq!(process.problems(), [""; 0]);
    process.close();
}

#[test]
fn system_fields_are_the_stores_own() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let text = process.text(APP, "app-1");
    for edited in [
        text.replace("rev = 1", "rev = 9"),
        text.lines()
            .filter(|line| !line.starts_with("updated_at"))
            .collect::<Vec<_>>()
            .join("\n"),
        text.lines()
            .filter(|line| !line.starts_with("id"))
            .collect::<Vec<_>>()
            .join("\n")
            + "\n",
        text.replace("created_at = 2", "created_at = 1"),
    ] {
        assert_ne!(edited, text);
        write(&process.path(APP, "app-1"), &edited);
        process.settle();
        assert_eq!(process.text(APP, "app-1"), text);
    }
    assert_eq!(process.row(APP, "app-1").unwrap().rev, 1);
    process.close();
}

#[test]
fn new_files_in_any_order() {
    let dir = store();
    let process = start(dir.path());
    for n in 0..20 {
        let app = format!("dev = \"dev-{n}\"\nname = \"a{n}\"\n");
        write(&process.path(APP, &format!("app-{n}")), &app);
    }
    for n in 0..20 {
        write(
            &process.path(DEV, &format!("dev-{n}")),
            "O:\nname = \"Ada\"\n# the first\n",
        );
    }
    process.settle();
    assert_eq!(process.problems(), [""; 0]);
    let row = process.row(APP, "app-7").unwrap();
    let hits = process.shared.schema.types[APP].field("hits").unwrap();
    assert_eq!((row.rev, &row.values[hits]), (1, &Value::Int(0)));
    assert!(process.text(DEV, "dev-3").contains("# the first\n"));
    assert!(process.text(DEV, "dev-3").contains("rev = 1\n"));
    assert!(!process.text(APP, "app-3").starts_with("O:"));
    process.close();
}

#[test]
fn broken_files_stay_and_are_told() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.make(APP, "app-2", &[("name", "two".into())]);
    process.settle();
    let good = process.text(APP, "app-1");
    let path = process.path(APP, "app-1");
    for broken in [
        good.replace("name = \"one\"", "name = \"one"),
        good.replace("hits = 0", "hits = \"many\""),
        good.replace("hits = 0", "hots = 0"),
        good.replace("id = \"app-1\"", "id = \"app-9\""),
        good.replace("\"one\"", "\"two\""),
        format!("kind = \"x\"\n{good}").replace("\nO:", ""),
    ] {
        assert_ne!(broken, good);
        write(&path, &broken);
        process.settle();
        assert_eq!(process.text(APP, "app-1"), broken);
        assert_eq!(process.name("app-1").as_deref(), Some("one"));
        let problems = process.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with("apps/-1/app-1.otoml: "),
            "{problems:?}"
        );
    }
    // The store may change it meanwhile; what the person has stays in place.
    let broken = good.replace("name = \"one\"", "name = \"one");
    write(&path, &broken);
    process.settle();
    process.set(APP, "app-1", &[("hits", Value::Int(4))]);
    process.settle();
    assert_eq!(process.text(APP, "app-1"), broken);
    // Mended to what it was, it has lost the race; it is kept all the same.
    write(&path, &good.replace("\"one\"", "\"mended\""));
    process.settle();
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    let copies = names(&dir.path().join("apps/-1"));
    let copy = copies
        .iter()
        .find(|name| name.contains(".conflict-"))
        .unwrap();
    let problems = process.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    std::fs::remove_file(path.with_file_name(copy)).unwrap();
    assert!(process.until(|process| process.problems().is_empty()));
    process.close();
}

#[test]
fn a_problem_goes_with_the_file_that_had_it() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let (path, aside) = (process.path(APP, "app-1"), dir.path().join("aside"));
    std::fs::rename(&path, &aside).unwrap();
    write(&path, "][\n");
    process.settle();
    assert_eq!(process.problems().len(), 1);
    // With the time and size that the store knows.
    std::fs::rename(&aside, &path).unwrap();
    assert!(process.until(|process| process.problems().is_empty()));
    process.close();
}

#[test]
fn refused_edits_are_tried_again_when_others_make_room() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    write(&process.path(APP, "app-2"), "name = \"one\"\n");
    write(
        &process.path(APP, "app-3"),
        "name = \"three\"\ndev = \"dev-3\"\n",
    );
    process.settle();
    let problems = process.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    process.set(APP, "app-1", &[("name", "other".into())]);
    process.make(DEV, "dev-3", &[("name", "Ada".into())]);
    assert!(process.until(|process| process.name("app-3").is_some()));
    assert!(process.until(|process| process.name("app-2").is_some()));
    process.settle();
    assert_eq!(process.problems(), [""; 0]);
    process.close();
}

#[test]
fn removed_files_are_deletes() {
    let dir = store();
    let process = start(dir.path());
    process.make(DEV, "dev-1", &[("name", "Ada".into())]);
    process.make(DEV, "dev-2", &[("name", "Bob".into())]);
    for n in 1..=3 {
        let dev = if n == 3 { "dev-2" } else { "dev-1" };
        let name = format!("a{n}");
        process.make(
            APP,
            &format!("app-{n}"),
            &[("name", name.as_str().into()), ("dev", dev.into())],
        );
    }
    process.settle();
    // What refers goes too, so nothing restricts it.
    for path in [
        process.path(DEV, "dev-1"),
        process.path(APP, "app-1"),
        process.path(APP, "app-2"),
    ] {
        std::fs::remove_file(path).unwrap();
    }
    // This one is still referred to.
    std::fs::remove_file(process.path(DEV, "dev-2")).unwrap();
    process.settle();
    assert_eq!(process.row(DEV, "dev-1"), None);
    assert_eq!(process.row(APP, "app-1"), None);
    assert!(process.row(DEV, "dev-2").is_some());
    assert_eq!(process.text(DEV, "dev-2"), process.expected(DEV, "dev-2"));
    assert_eq!(process.problems(), [""; 0]);
    process.close();
}

#[test]
fn a_store_that_is_not_there_is_not_emptied() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    std::fs::rename(dir.path().join("store.toml"), dir.path().join("gone")).unwrap();
    std::fs::rename(dir.path().join("apps"), dir.path().join("gone-apps")).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(process.row(APP, "app-1").is_some());
    std::fs::rename(dir.path().join("gone-apps"), dir.path().join("apps")).unwrap();
    std::fs::rename(dir.path().join("gone"), dir.path().join("store.toml")).unwrap();
    process.settle();
    assert!(process.row(APP, "app-1").is_some());
    process.close();
}

#[test]
fn files_in_the_wrong_place_are_brought_home() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let second = dir.path().join("apps/app-1.otoml");
    write(&second, "name = \"second\"\n");
    write(&dir.path().join("apps/app-2.otoml"), "name = \"two\"\n");
    write(
        &dir.path().join("apps/zz/app-3.otoml"),
        "name = \"three\"\n",
    );
    write(
        &dir.path().join("apps/mine/deep/app-4.otoml"),
        "name = \"four\"\n",
    );
    process.settle();
    for id in ["app-2", "app-3", "app-4"] {
        assert!(process.path(APP, id).exists(), "{id}");
    }
    assert_eq!(process.name("app-3").as_deref(), Some("three"));
    assert_eq!(process.name("app-4").as_deref(), Some("four"));
    assert_eq!(process.name("app-1").as_deref(), Some("one"));
    let problems = process.problems();
    assert!(
        problems.len() == 1 && problems[0].contains("second file"),
        "{problems:?}"
    );
    std::fs::remove_file(second).unwrap();
    assert!(process.until(|process| process.problems().is_empty()));
    // A file that is only moved is moved back.
    std::fs::rename(
        process.path(APP, "app-1"),
        dir.path().join("apps/app-1.otoml"),
    )
    .unwrap();
    process.settle();
    assert_eq!(process.row(APP, "app-1").unwrap().rev, 1);
    assert!(process.path(APP, "app-1").exists());
    // So are those of a folder that got another name.
    let folder = process.path(APP, "app-1").parent().unwrap().to_owned();
    std::fs::rename(folder, dir.path().join("apps/old")).unwrap();
    process.settle();
    assert_eq!(process.row(APP, "app-1").unwrap().rev, 1);
    assert!(process.path(APP, "app-1").exists());
    process.close();
}

#[test]
fn a_copy_is_told_by_all_processes_until_it_is_gone() {
    let dir = store();
    let (one, other) = (start(dir.path()), start(dir.path()));
    one.make(APP, "app-1", &[("name", "one".into())]);
    one.settle();
    let copy = "app-1.conflict-20261121T070000Z.otoml";
    let copy = one.path(APP, "app-1").with_file_name(copy);
    write(&copy, "name = \"mine\"\n");
    let told = |process: &Process| process.problems().iter().any(|p| p.contains("not taken"));
    assert!(one.until(told) && other.until(told));
    std::fs::remove_file(copy).unwrap();
    assert!(one.until(|one| !told(one)) && other.until(|other| !told(other)));
    one.close();
    other.close();
}

#[test]
fn an_edit_that_raced_is_kept_beside() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let path = process.path(APP, "app-1");
    let edit = process.text(APP, "app-1").replace("\"one\"", "\"mine\"");
    process.set(APP, "app-1", &[("name", "theirs".into())]);
    write(&path, &edit);
    process.settle();
    let all = names(&dir.path().join("apps"));
    let kept = all.iter().find(|name| name.contains("conflict"));
    match kept {
        Some(kept) => {
            assert_eq!(
                std::fs::read_to_string(path.with_file_name(kept)).unwrap(),
                edit
            );
            assert_eq!(process.name("app-1").as_deref(), Some("theirs"));
        }
        // The fold was quicker, so the edit came on top of it.
        None => assert_eq!(process.name("app-1").as_deref(), Some("mine")),
    }
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    process.close();
}

#[test]
fn all_that_is_wrong_with_a_file_is_told() {
    let dir = store();
    let process = start(dir.path());
    write(
        &process.path(APP, "app-1"),
        "O:\nhits = \"many\"\nname = 7\nsize = 1\n",
    );
    process.settle();
    let problems = process.problems();
    for told in ["hits", "line 3: name", "line 4: size"] {
        assert!(problems[0].contains(told), "{problems:?}");
    }
    process.close();
}

#[test]
fn who_has_a_key_is_told_with_the_file() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    write(&process.path(APP, "app-2"), "name = \"one\"\n");
    process.settle();
    let problems = process.problems();
    assert!(problems[0].contains("apps/-1/app-1.otoml"), "{problems:?}");
    process.close();
}

#[test]
fn a_file_that_is_put_back_gets_the_times_of_the_new_object() {
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let text = process.text(APP, "app-1");
    process.delete(APP, "app-1");
    process.settle();
    write(&process.path(APP, "app-1"), &text);
    process.settle();
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    assert_ne!(process.text(APP, "app-1"), text);
    process.close();
}

/// Whoever makes a file may take his time: what is not closed is not whole.
#[test]
fn a_new_file_is_read_when_it_is_closed() {
    use std::io::Write as _;
    let dir = store();
    let process = start(dir.path());
    process.make(APP, "app-1", &[("name", "one".into())]);
    process.settle();
    let path = process.path(APP, "new-1");
    for pause in [Duration::from_secs(1), Duration::from_secs(4)] {
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"name = \"written slowly\"\n").unwrap();
        // As whole as it looks, and as long as it stands still.
        std::thread::sleep(pause);
        file.write_all(b"hits = 7\n").unwrap();
        drop(file);
        let hits = process.shared.schema.types[APP].field("hits").unwrap();
        let has_hits = |process: &Process| {
            let row = process.row(APP, "new-1");
            row.is_some_and(|row| row.values[hits] == Value::Int(7))
        };
        let is_taken = process.until(has_hits);
        assert!(is_taken, "{pause:?}: {}", process.text(APP, "new-1"));
        process.settle();
        assert!(process.text(APP, "new-1").contains("hits = 7\n"));
        process.delete(APP, "new-1");
        process.settle();
        assert!(!path.exists());
    }
    process.close();
}
