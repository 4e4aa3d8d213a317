//! The disk itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::{Files, Readers, Stamp};

/// The disk itself.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_start(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?
            .take(limit as u64)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&self, path: &Path, bytes: &[u8], readers: Readers, durable: bool) -> io::Result<()> {
        let mode = match readers {
            Readers::Owner => 0o600,
            Readers::Usual => 0o666,
        };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        file.write_all(bytes)?;
        // A network volume may take the bytes, and say only when the file is closed that there was
        // no room for them; std hides that answer. A sync brings it forward. Nor does syncfs, by
        // which others become durable together, reach the server behind such a volume.
        if durable || on_network(&file) {
            file.sync_data()?;
        }
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                // Both names are there for a moment: of the same file, so no reader is misled.
                fs::hard_link(from, to)?;
                fs::remove_file(from)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        match rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                Err(ErrorKind::Unsupported.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            // A file where a directory should be has nothing in it either.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        Ok(Some(Stamp {
            inode: found.ino(),
            length: found.len(),
            modified: found
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(found.mtime_nsec()),
            is_file: found.is_file(),
            is_directory: found.is_dir(),
        }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            // The store writes no name that is not UTF-8, so such a one is none of its own.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync(&self, directory: &Path) -> io::Result<()> {
        File::open(directory)?.sync_all()
    }

    fn sync_all(&self, path: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(File::open(path)?)?)
    }
}

/// Whether a file lies on a volume that another machine, or a program, serves. Unknown is no.
///
/// Source: statfs(2) and linux/magic.h, for the numbers.
fn on_network(file: &File) -> bool {
    const NFS: u32 = 0x6969;
    const FUSE: u32 = 0x6573_5546;
    const SMB: u32 = 0x517b;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const NINE_P: u32 = 0x0102_1997;
    const CEPH: u32 = 0x00c3_6400;
    const LUSTRE: u32 = 0x0bd0_0bd0;
    const AFS: u32 = 0x5346_414f;
    let Ok(found) = rustix::fs::fstatfs(file) else {
        return false;
    };
    // The field's width and sign differ between machines; the numbers fit 32 bits.
    let magic = found.f_type as u32;
    [NFS, FUSE, SMB, CIFS, SMB2, NINE_P, CEPH, LUSTRE, AFS].contains(&magic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_its_word() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (a, b, c) = (at("a"), at("b"), at("c"));
        for durable in [true, false] {
            let name = at(&format!("d{durable}"));
            Disk.create(&name, b"x", Readers::Usual, durable).unwrap();
            let again = Disk
                .create(&name, b"y", Readers::Usual, durable)
                .unwrap_err();
            assert_eq!(again.kind(), ErrorKind::AlreadyExists);
            assert_eq!(Disk.read(&name).unwrap(), b"x");
        }
        Disk.create(&a, b"one", Readers::Usual, true).unwrap();
        Disk.create(&b, b"second", Readers::Usual, true).unwrap();
        assert_eq!(
            Disk.link(&a, &b).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(
            Disk.rename_new(&a, &b).unwrap_err().kind(),
            ErrorKind::AlreadyExists
        );
        Disk.exchange(&a, &b).unwrap();
        assert_eq!(Disk.read(&a).unwrap(), b"second");
        assert_eq!(
            Disk.exchange(&a, &c).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        Disk.rename_new(&a, &c).unwrap();
        Disk.rename(&b, &c).unwrap();
        assert_eq!(Disk.read(&c).unwrap(), b"one");
        Disk.link(&c, &a).unwrap();
        let (one, other) = (Disk.stamp(&a).unwrap(), Disk.stamp(&c).unwrap());
        assert_eq!(one, other);
        assert_eq!(one.unwrap().length, 3);
        assert_eq!(Disk.stamp(&b).unwrap(), None);
        assert_eq!(Disk.stamp(&a.join("below")).unwrap(), None);
        assert_eq!(Disk.list(&at("none")).unwrap(), Vec::<String>::new());
        let deep = at("x/y/z");
        Disk.create_directory(&deep).unwrap();
        Disk.create_directory(&deep).unwrap();
        assert!(Disk.stamp(&deep).unwrap().unwrap().is_directory);
        assert!(Disk.remove_directory(&at("x")).is_err());
        Disk.remove_directory(&deep).unwrap();
        Disk.sync(dir.path()).unwrap();
        Disk.sync_all(dir.path()).unwrap();
        assert_eq!(Disk.list(&at("x")).unwrap(), ["y"]);
        Disk.remove(&c).unwrap();
        assert_eq!(Disk.remove(&c).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
