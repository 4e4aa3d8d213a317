//! A real GlusterFS volume, mounted twice, so that one machine stands for two hosts.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use crate::parts;
use crate::places::Place;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/gluster-volume");
/// The script's exit status where the machine cannot have a volume.
const CANNOT: i32 = 77;
/// … for want of a package.
const LACKS: i32 = 78;

/// Volumes are up one at a time: bricks, daemons and servers together are much for a small machine.
static ONE: Mutex<()> = Mutex::new(());

/// A volume that goes when this does.
#[derive(Debug)]
pub struct Volume {
    mounts: [PathBuf; 2],
    directory: TempDir,
    /// Folders of this machine's own disk, one for each host's caches.
    caches: TempDir,
    _one: MutexGuard<'static, ()>,
}

impl Volume {
    /// A new, empty volume; nothing, and loud words, where this machine cannot have one.
    pub fn up(test: &str) -> Option<Self> {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = TempDir::new().unwrap();
        let mut script = Command::new(SCRIPT);
        script.arg("up").arg(directory.path().join("volume"));
        let output = script.stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match output.status.code() {
            Some(CANNOT) => {
                parts::skip_anywhere(test, &told);
                return None;
            }
            Some(LACKS) => {
                parts::skip(test, &told);
                return None;
            }
            _ => {}
        }
        assert!(output.status.success(), "there is no volume: {told}");
        let printed = String::from_utf8(output.stdout).unwrap();
        let mounts: Vec<PathBuf> = printed.lines().map(PathBuf::from).collect();
        Some(Self {
            mounts: mounts.try_into().unwrap(),
            directory,
            caches: TempDir::new().unwrap(),
            _one: one,
        })
    }

    /// A store on the volume as each of the two hosts sees it.
    pub fn store(&self, name: &str) -> [Place; 2] {
        std::array::from_fn(|host| {
            let cache = self.caches.path().join(format!("host-{host}"));
            Place::shared(self.mounts[host].join(name), cache)
        })
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let mut script = Command::new(SCRIPT);
        script.arg("down").arg(self.directory.path().join("volume"));
        let done = script.stdin(Stdio::null()).status();
        if !std::thread::panicking() {
            assert!(done.unwrap().success(), "the volume does not go");
        }
    }
}
