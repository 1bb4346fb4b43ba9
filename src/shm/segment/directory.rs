//! The directory that segments lie in: `/dev/shm`, through `shm_open`, or one that the program
//! chose.
//!
//! ```text
//!   builder's `directory(..)`, else SHMQ_DIR as it was at the first use (ignored in a set-user-ID
//!   program, whose environment is its caller's), else /dev/shm
//!   a serialised handle: NAME in /dev/shm, DIRECTORY/NAME elsewhere, whatever SHMQ_DIR is there
//! ```
//!
//! Invariants:
//! 1. A chosen directory was [checked](Directory::check) before a segment is made or opened in it:
//!    it is this user's or root's, no other user may take away files of this user in it, and its
//!    file system keeps mappings of one file coherent between the processes of this machine.
//! 2. The path of a directory is absolute, and stays what it was when the segment was made or
//!    opened: a process that changes its working directory finds the segment again.

use super::owners::{OVERFLOW_UID, is_own_of_unknown};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Where libc's `shm_open` puts its objects.
const SHM_OPEN: &str = "/dev/shm";
/// Environment variable that chooses another one.
const VARIABLE: &str = "SHMQ_DIR";

const STICKY: u32 = 0o1000;
const OTHERS_MAY_WRITE: u32 = 0o022;

/// File systems on which processes cannot share memory or locks, by their `statfs` numbers.
const UNFIT: [(u64, &str); 17] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    // It caches mapped and written pages separately.
    (0x2fc1_2fc1, "ZFS"),
    (0x0bd0_0bd0, "Lustre"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
];
const HUGETLBFS: u64 = 0x9584_58f6;

/// A directory of segments. `None`: that of `shm_open`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory(Option<Arc<Path>>);

impl Default for Directory {
    /// The program's: see the module.
    fn default() -> Directory {
        static OF_PROGRAM: OnceLock<Directory> = OnceLock::new();
        let variable = || if is_set_id() { None } else { std::env::var_os(VARIABLE) };
        let read = || variable().filter(|path| !path.is_empty()).map_or(Directory(None), Directory::at);
        OF_PROGRAM.get_or_init(read).clone()
    }
}

impl Directory {
    /// That directory. A relative path begins at the current working directory (Invariant 2).
    pub fn at(path: impl AsRef<Path>) -> Directory {
        let path = std::path::absolute(path.as_ref()).unwrap_or_else(|_| path.as_ref().to_owned());
        // By components, so that a trailing slash makes no difference.
        let path: PathBuf = path.components().collect();
        Directory((path != Path::new(SHM_OPEN)).then(|| path.into()))
    }

    /// The directory and the name that a serialised handle carries.
    pub fn of_address(address: &str) -> (Directory, &str) {
        match address.rsplit_once('/') {
            Some((path, name)) => (Directory::at(path), name),
            None => (Directory(None), address),
        }
    }

    /// What a serialised handle carries: see [`of_address`](Directory::of_address). A path that is
    /// not UTF-8 is lossy, and found by no receiver.
    pub fn address(&self, name: &str) -> String {
        match &self.0 {
            Some(path) => format!("{}/{name}", path.display()),
            None => name.to_owned(),
        }
    }

    pub fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(SHM_OPEN))
    }

    /// Does `shm_open` make the objects there?
    pub fn is_of_shm_open(&self) -> bool {
        self.0.is_none()
    }

    /// Bytes of its file system, used or not; `None` if they are unknown, or have no limit.
    #[allow(clippy::unnecessary_cast, reason = "these are 32 bits wide on some platforms")]
    pub fn total_bytes(&self) -> Option<u64> {
        let path = CString::new(self.path().as_os_str().as_bytes()).ok()?;
        // SAFETY: statvfs is plain integers, which the call fills; the path is NUL-terminated and
        // outlives the call.
        let space = unsafe {
            let mut space: libc::statvfs = std::mem::zeroed();
            (libc::statvfs(path.as_ptr(), &mut space) == 0).then_some(space)
        };
        space.map(|space| (space.f_blocks as u64).saturating_mul(space.f_frsize as u64)).filter(|&bytes| bytes > 0)
    }

    /// Distinguishes it from other directories, for state that is kept about one of them.
    pub fn number(&self) -> u64 {
        // FNV-1a, and never 0.
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.path().as_os_str().as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1
    }

    /// What is wrong with a chosen directory (Invariant 1). That of `shm_open` is the system's, and
    /// is examined only after a call was refused.
    pub fn fault(&self) -> Option<String> {
        let path = self.0.as_deref()?;
        if path.to_str().is_none() {
            return Some("its path is not UTF-8".to_owned());
        }
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) => return Some(missing(&error)),
        };
        if !found.is_dir() {
            return Some("it is no directory".to_owned());
        }
        let (uid, mode) = (found.uid(), found.mode());
        if uid != 0 && !is_own_directory(path, uid) {
            return Some(format!("it belongs to user {uid}, who could put other files in the place of segments"));
        }
        if mode & OTHERS_MAY_WRITE != 0 && mode & STICKY == 0 {
            return Some(format!(
                "other users may replace files in it (mode {:04o}): take that from them, or make it sticky (chmod +t)",
                mode & 0o7777
            ));
        }
        let kind = file_system(path);
        if kind == Some(HUGETLBFS) {
            return Some(
                "it is a hugetlbfs, whose files take no writes: ask for huge pages with huge_pages(true) in a tmpfs".to_owned(),
            );
        }
        let unfit = UNFIT.iter().find(|(number, _)| Some(*number) == kind)?;
        Some(format!("its file system ({}) does not let processes share memory by files: use a tmpfs, or a local disk", unfit.1))
    }

    /// Why files cannot be created or replaced in it, if a reason is found.
    pub fn why_not_writable(&self) -> Option<String> {
        let path = self.path();
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) => return Some(missing(&error)),
        };
        if !found.is_dir() {
            return Some("it is no directory".to_owned());
        }
        let error = refusal_of_access(path, libc::W_OK | libc::X_OK)?;
        if error.raw_os_error() == Some(libc::EROFS) {
            return Some(format!("it is mounted read-only ({error})"));
        }
        let hint = if self.is_of_shm_open() { "; as a rule it is root's, of mode 1777" } else { "" };
        Some(format!(
            "user {} may make no files in it ({error}): it belongs to user {}, mode {:04o}{hint}",
            own_uid(),
            found.uid(),
            found.mode() & 0o7777
        ))
    }

    /// Why files cannot be found in it, if a reason is found.
    pub fn why_not_searchable(&self) -> Option<String> {
        let path = self.path();
        match fs::metadata(path) {
            Err(error) => Some(missing(&error)),
            Ok(found) if !found.is_dir() => Some("it is no directory".to_owned()),
            Ok(found) => refusal_of_access(path, libc::X_OK).map(|error| {
                format!(
                    "user {} may not search it ({error}): it belongs to user {}, mode {:04o}",
                    own_uid(),
                    found.uid(),
                    found.mode() & 0o7777
                )
            }),
        }
    }

    /// Is it sticky, so that this process may not replace or remove a file of that owner?
    pub fn is_sticky_against(&self, owner_uid: u32) -> bool {
        let own = own_uid();
        own != 0
            && owner_uid != own
            && fs::metadata(self.path()).is_ok_and(|found| found.mode() & STICKY != 0 && found.uid() != own)
    }
}

fn missing(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("it does not exist: mount a tmpfs there, or name another one in {VARIABLE}"),
        _ => error.to_string(),
    }
}

/// Does the program run with privileges that its caller does not have?
fn is_set_id() -> bool {
    // SAFETY: getauxval takes a number and reads what the kernel gave the program.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Does it belong to this process's effective user? As for a segment, the kernel decides about the
/// number that stands for several users; a directory that cannot be opened counts as another
/// user's.
fn is_own_directory(path: &Path, uid: u32) -> bool {
    let asked = || fs::File::open(path).is_ok_and(|directory| is_own_of_unknown(directory.as_raw_fd()));
    uid == own_uid() && (uid != OVERFLOW_UID || asked())
}

/// The user id that counts for file permissions.
pub(super) fn own_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// The error with which the kernel refuses these rights to the effective user; `None`: they are
/// granted.
pub(super) fn refusal_of_access(path: &Path, rights: libc::c_int) -> Option<io::Error> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: a NUL-terminated path that outlives the call, which only reads it.
    let refused = unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), rights, libc::AT_EACCESS) } != 0;
    refused.then(io::Error::last_os_error)
}

#[allow(clippy::unnecessary_cast, reason = "the number is signed, or 32 bits wide, on some platforms")]
fn file_system(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: statfs is plain integers, which the call fills; the path is NUL-terminated and
    // outlives the call.
    unsafe {
        let mut found: libc::statfs = std::mem::zeroed();
        (libc::statfs(path.as_ptr(), &mut found) == 0).then_some(found.f_type as u32 as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_back_to_its_directory() {
        for path in ["/dev/shm", "/run/x", "/tmp/a b/c"] {
            let directory = Directory::at(path);
            let address = directory.address("jobs");
            assert_eq!(Directory::of_address(&address), (directory, "jobs"), "{address}");
        }
        assert_eq!(Directory::of_address("jobs"), (Directory(None), "jobs"));
        assert_eq!(Directory::at("/dev/shm/"), Directory(None));
        assert!(Directory::at("relative").path().is_absolute());
        assert_ne!(Directory::at("/a").number(), Directory::at("/b").number());
    }
}
