//! A file system that cannot swap two files in one step, as those across a network.

use std::io;

use super::*;
use crate::files::Stamp;

/// The disk, without swaps.
#[derive(Debug)]
pub(super) struct Plain;

impl Files for Plain {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Disk.read(path)
    }

    fn read_start(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        Disk.read_start(path, limit)
    }

    fn create(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        Disk.create(path, bytes, durable)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename_new(from, to)
    }

    fn exchange(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        Disk.stamp(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        Disk.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        Disk.create_directory(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        Disk.remove_directory(path)
    }

    fn sync(&self, directory: &Path) -> io::Result<()> {
        Disk.sync(directory)
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        Disk.sync_all(path)
    }
}

#[test]
fn two_hosts_fold_the_same_objects() {
    let dir = store();
    let hosts = [0, 1].map(|_| start_on(dir.path(), Arc::new(Plain), true));
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
