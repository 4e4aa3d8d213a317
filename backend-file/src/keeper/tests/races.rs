//! A person writes a file while the store does: whatever the person wrote is committed or kept.

use std::collections::HashSet;

use super::*;

/// Names that the object has had, and those in copies beside it.
fn race(in_place: bool) {
    let dir = store();
    let process = start(dir.path());
    process.new(APP, "app-1", &[("name", "start".into())]);
    process.settle();
    let path = process.path(APP, "app-1");
    let seen = Mutex::new(HashSet::new());
    let mut written = Vec::new();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (process, seen) = (&process, &seen);
        let is_over = &is_over;
        scope.spawn(move || {
            let mut commits = process.shared.commits.subscribe();
            while !is_over.load(std::sync::atomic::Ordering::Acquire) {
                commits.borrow_and_update();
                seen.lock().unwrap().extend(process.name("app-1"));
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        scope.spawn(move || {
            for n in 0..300 {
                process.set(APP, "app-1", &[("hits", Value::Int(n))]);
                std::thread::sleep(Duration::from_millis(n as u64 % 13));
            }
        });
        for n in 0..25_u64 {
            std::thread::sleep(Duration::from_millis(25 + n * 7 % 60));
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let Some(at) = text.find("name = ") else { continue };
            let end = at + text[at..].find('\n').unwrap();
            let name = format!("edit-{n}");
            let text = format!("{}name = \"{name}\"{}", &text[..at], &text[end..]);
            if in_place {
                std::fs::write(&path, &text).unwrap();
            } else {
                let draft = path.with_file_name("draft~");
                std::fs::write(&draft, &text).unwrap();
                std::fs::rename(&draft, &path).unwrap();
            }
            written.push(name);
        }
        process.settle();
        is_over.store(true, std::sync::atomic::Ordering::Release);
    });
    process.settle();
    let shard = path.parent().unwrap();
    let mut kept = String::new();
    for name in names(shard) {
        assert!(!name.ends_with(".tmp"), "{name}");
        kept.push_str(&std::fs::read_to_string(shard.join(name)).unwrap());
    }
    let seen = seen.into_inner().unwrap();
    for (n, name) in written.iter().enumerate() {
        let is_there = seen.contains(name) || kept.contains(&format!("\"{name}\""));
        // A person who writes again before anybody could look has replaced it himself.
        assert!(is_there, "{name} is lost (of {}, the {n}th)", written.len());
    }
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    process.close();
}

#[test]
fn edits_by_rename_are_never_lost() {
    race(false);
}

#[test]
fn edits_in_place_are_never_lost() {
    race(true);
}
