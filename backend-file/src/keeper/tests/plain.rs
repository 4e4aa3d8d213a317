//! A file system that cannot swap two files in one step, as those across a network.

use super::*;
use crate::files::Bent;

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
