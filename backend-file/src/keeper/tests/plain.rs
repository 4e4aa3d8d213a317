//! A file system that cannot swap two files in one step, as those across a network.

use super::*;
use crate::files::Bent;
use crate::files::faulty::Faulty;

/// A person saves a file at any moment while the store writes it: what was saved is taken or kept.
#[test]
fn what_is_saved_meanwhile_is_not_lost() {
    for at in 1.. {
        let dir = store();
        let first = open(dir.path(), Arc::new(Disk), true);
        first.make(APP, "app-1", &[("name", "one".into())]);
        first.work(Tree::default(), |worker| {
            worker.fold_once();
        });
        let path = first.path(APP, "app-1");
        let saved = first.text(APP, "app-1").replace("\"one\"", "\"by hand\"");
        drop(first);
        let save = {
            let path = path.clone();
            move || {
                let draft = path.with_file_name("save~");
                std::fs::write(&draft, saved).unwrap();
                std::fs::rename(&draft, &path).unwrap();
            }
        };
        let files = Arc::new(Faulty::meanwhile(Arc::new(Bent::plain()), at, save));
        let process = open(dir.path(), Arc::clone(&files) as Arc<dyn Files>, true);
        process.set(APP, "app-1", &[("hits", Value::Int(1))]);
        process.work(Tree::default(), |worker| {
            worker.fold_once();
        });
        if files.calls() < at {
            assert!(at > 10, "a fold makes only {at} calls");
            return;
        }
        let shard = path.parent().unwrap();
        let texts = names(shard).into_iter();
        let texts = texts.map(|name| std::fs::read_to_string(shard.join(name)).unwrap());
        let texts: Vec<String> = texts.collect();
        assert!(
            texts.iter().any(|text| text.contains("by hand")),
            "at {at}: {texts:?}"
        );
        assert!(path.exists(), "at {at}");
    }
}

#[test]
fn two_hosts_fold_the_same_objects() {
    let dir = store();
    let hosts = [0, 1].map(|_| start_on(dir.path(), Arc::new(Bent::plain()), true));
    for n in 0..60 {
        let id = format!("app-{}", n % 6);
        if n < 6 {
            hosts[n % 2].make(APP, &id, &[("name", id.as_str().into())]);
        } else {
            hosts[(n / 6) % 2].set(APP, &id, &[("hits", Value::Int(n as i64))]);
        }
        if n % 7 == 0 {
            std::thread::sleep(Duration::from_millis(40));
        }
    }
    for host in [&hosts[0], &hosts[1], &hosts[0]] {
        host.shared.catch_up().unwrap();
        host.settle();
    }
    for n in 0..6 {
        let id = format!("app-{n}");
        assert_eq!(hosts[0].text(APP, &id), hosts[0].expected(APP, &id));
    }
    assert_eq!(names(&dir.path().join("apps")).len(), 6);
    for host in hosts {
        assert_eq!(host.problems(), [""; 0]);
        host.close();
    }
}
