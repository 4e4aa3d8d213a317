//! A person writes a file while the store does: whatever the person wrote is committed or kept.

use std::collections::HashSet;

use super::*;

/// Names that the object has had, and those in copies beside it.
fn race(in_place: bool, files: Arc<dyn Files>) {
    let dir = store();
    let process = start_on(dir.path(), files, false);
    process.make(APP, "app-1", &[("name", "start".into())]);
    process.settle();
    let path = process.path(APP, "app-1");
    let (follower, commits) = channel();
    process.shared.follow(follower);
    let mut written = Vec::new();
    std::thread::scope(|scope| {
        let process = &process;
        scope.spawn(move || {
            for n in 0..500 {
                process.set(APP, "app-1", &[("hits", Value::Int(n))]);
                std::thread::sleep(Duration::from_millis(n as u64 % 13));
            }
        });
        for n in 0..25_u64 {
            std::thread::sleep(Duration::from_millis(20 + n * 71 % 230));
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            let Some(at) = text.find("name = ") else {
                continue;
            };
            let end = at + text[at..].find('\n').unwrap();
            // Who edits what he wrote himself, before anybody looked, has replaced it.
            let before = &text[at..end];
            written.retain(|name: &String| !before.ends_with(&format!("\"{name}\"")));
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
    });
    process.settle();
    let shard = path.parent().unwrap();
    let mut kept = String::new();
    for name in names(shard) {
        assert!(!name.ends_with(".tmp"), "{name}");
        kept.push_str(&std::fs::read_to_string(shard.join(name)).unwrap());
    }
    let field = process.shared.schema.types[APP].field("name").unwrap();
    let commits: Vec<Arc<Applied>> = commits.try_iter().collect();
    let steps = commits.iter().flat_map(|applied| &applied.steps);
    let names = steps.filter_map(|step| step.after.as_ref()?.row.values[field].as_str());
    let seen: HashSet<&str> = names.collect();
    assert!(written.len() > 4, "{written:?}");
    for name in &written {
        let is_there = seen.contains(name.as_str()) || kept.contains(&format!("\"{name}\""));
        assert!(is_there, "{name} is lost; {written:?}");
    }
    assert_eq!(process.text(APP, "app-1"), process.expected(APP, "app-1"));
    process.close();
}

#[test]
fn edits_by_rename_are_never_lost() {
    race(false, Arc::new(Disk));
}

#[test]
fn edits_in_place_are_never_lost() {
    race(true, Arc::new(Disk));
}

#[test]
fn edits_are_never_lost_without_swaps() {
    race(true, Arc::new(crate::files::Bent::plain()));
}
