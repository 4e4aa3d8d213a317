//! What a directory lies on: whether all who may have it open share one kernel.
//!
//! Locks, shared memory and the order of writes can be relied on within one kernel only. File
//! systems that several hosts share, or that pass another kernel's through (NFS, GlusterFS,
//! virtiofs), differ in what they promise; which of them an engine takes is the engine's affair.
//!
//! Source: `linux/magic.h`; proc(5).

use std::path::Path;

/// What a directory lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Volume {
    /// A file system of one kernel.
    Local,
    /// Local, but a layer of its own for each container, with which it goes.
    Layered,
    /// Shared between hosts or passed through from one; its name.
    Shared(String),
    /// Not known; what is known of it.
    Unknown(String),
}

impl Volume {
    /// What a directory lies on. [`Self::Unknown`] if it cannot be asked: if it is not there.
    pub fn of(directory: &Path) -> Self {
        judge(directory)
    }
}

#[cfg(target_os = "linux")]
fn judge(directory: &Path) -> Volume {
    let Ok(found) = rustix::fs::statfs(directory) else {
        return Volume::Unknown("it cannot be asked".to_owned());
    };
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let directory = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    // The magic number has 32 bits; on some systems it comes sign-extended.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let magic = found.f_type as u32;
    by_signs(magic, mounted_as(&mounts, &directory))
}

// Elsewhere there is neither statfs with magic numbers nor mountinfo.
#[cfg(not(target_os = "linux"))]
fn judge(_directory: &Path) -> Volume {
    Volume::Unknown(std::env::consts::OS.to_owned())
}

/// File systems of one kernel.
const LOCAL: &[u32] = &[
    0x0000_EF53, // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683E, // btrfs
    0x2FC1_2FC1, // zfs
    0xF2F5_2010, // f2fs
    0xCA45_1A4E, // bcachefs
    0x0102_1994, // tmpfs
    0x8584_58F6, // ramfs
    0x5265_4973, // reiserfs
    0x3153_464A, // jfs
];

const OVERLAY: u32 = 0x794C_7630;

/// File systems that hosts share, or that pass another kernel's through.
const SHARED: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00C3_6400, "Ceph"),
    (0x5346_414F, "AFS"),
    (0x6B41_4653, "AFS"),
    (0x0BD0_0BD0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636F, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x786F_4256, "a VirtualBox share"),
];

/// Judges by the magic number, and by the type in the mount table, which tells what is behind FUSE.
fn by_signs(magic: u32, mounted_as: Option<&str>) -> Volume {
    if let Some(kind) = mounted_as
        && is_shared_mount(kind)
    {
        return Volume::Shared(kind.to_owned());
    }
    if let Some((_, name)) = SHARED.iter().find(|(known, _)| *known == magic) {
        return Volume::Shared(mounted_as.unwrap_or(name).to_owned());
    }
    match magic {
        OVERLAY => Volume::Layered,
        _ if LOCAL.contains(&magic) => Volume::Local,
        _ => Volume::Unknown(match mounted_as {
            Some(kind) => format!("{kind}, magic number {magic:#x}"),
            None => format!("magic number {magic:#x}"),
        }),
    }
}

fn is_shared_mount(kind: &str) -> bool {
    let starts = [
        "nfs",
        "cifs",
        "smb",
        "fuse",
        "9p",
        "virtiofs",
        "ceph",
        "glusterfs",
        "lustre",
    ];
    let names = [
        "afs", "gfs2", "ocfs2", "gpfs", "beegfs", "vboxsf", "vmhgfs", "prl_fs", "davfs",
    ];
    starts.iter().any(|start| kind.starts_with(start)) || names.contains(&kind)
}

/// The type of the file system that a path lies on, from the text of `/proc/self/mountinfo`.
///
/// Of several mounts on one place the last one counts. Source: proc(5).
fn mounted_as<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((mount, system)) = line.split_once(" - ") else {
            continue;
        };
        let (Some(point), Some(kind)) = (mount.split(' ').nth(4), system.split(' ').next()) else {
            continue;
        };
        let point = unescape(point);
        if path.starts_with(&point) && best.is_none_or(|(length, _)| point.len() >= length) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind)
}

/// Blanks, tabs, line ends and backslashes stand in mountinfo as `\040` and the like.
fn unescape(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    escapes.iter().fold(text.to_owned(), |text, (code, plain)| {
        text.replace(code, plain)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 25 0:27 / /dev/shm rw,relatime - tmpfs tmpfs rw
40 27 0:40 / /mnt/my\\040vol rw shared:1 - fuse.glusterfs host:/vol rw
41 27 0:41 / /mnt/over rw - ext4 /dev/vdb rw
42 27 0:42 / /mnt/over rw - nfs4 host:/x rw
";

    #[test]
    fn finds_the_mount_of_a_path() {
        for (path, kind) in [
            ("/", "ext4"),
            ("/dev/shm/x", "tmpfs"),
            ("/dev/shmx", "ext4"),
            ("/mnt/my vol/osis", "fuse.glusterfs"),
            ("/mnt/my", "ext4"),
            ("/mnt/over", "nfs4"),
        ] {
            assert_eq!(mounted_as(MOUNTS, Path::new(path)), Some(kind), "{path}");
        }
        assert_eq!(mounted_as("", Path::new("/")), None);
    }

    #[test]
    fn takes_local_file_systems_only() {
        let shared = |name: &str| Volume::Shared(name.to_owned());
        for (magic, mounted_as, expected) in [
            (0xEF53, Some("ext4"), Volume::Local),
            (0xEF53, None, Volume::Local),
            (0x0102_1994, Some("tmpfs"), Volume::Local),
            (OVERLAY, Some("overlay"), Volume::Layered),
            (0x6969, Some("nfs4"), shared("nfs4")),
            (0x6969, None, shared("NFS")),
            (
                0x6573_5546,
                Some("fuse.glusterfs"),
                shared("fuse.glusterfs"),
            ),
            (0x6573_5546, Some("virtiofs"), shared("virtiofs")),
            (0x0102_1997, Some("9p"), shared("9p")),
            // A mount on top that the magic number does not tell.
            (0xEF53, Some("fuse.sshfs"), shared("fuse.sshfs")),
            (
                0x1234,
                Some("newfs"),
                Volume::Unknown("newfs, magic number 0x1234".to_owned()),
            ),
        ] {
            assert_eq!(
                by_signs(magic, mounted_as),
                expected,
                "{magic:#x} {mounted_as:?}"
            );
        }
    }
}
