//! Where segments lie in the file system, and what a name may be.
//!
//! ```text
//!  /dev/shm/.shmq-<pid>-<16 hex>       a temporary: being built, or left by a killed creator
//!  /dev/shm/shmq.NAME                  published
//!  /dev/shm/shmq.anon-<16 hex>         published by `create_anonymous`
//! ```
//! The same in another directory, where the program chose one: see `directory.rs`.
//!
//! Invariants:
//! 1. A published name never begins with a dot and never holds a slash: no name leads out of the
//!    directory or to a temporary.
//! 2. Random parts come from the kernel, never from process memory: a forked child would repeat its
//!    parent's numbers.

use super::directory::Directory;
use super::file_id::FileId;
use super::syscall_error::SyscallError;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub(super) const TEMPORARY_PREFIX: &str = ".shmq-";
const PUBLISHED_PREFIX: &str = "shmq.";
const ANONYMOUS_PREFIX: &str = "anon-";
const RANDOM_DIGITS: usize = 16;
const NAME_BYTES_MAX: usize = crate::shm::layout::NAME_BYTES;

/// What is wrong with a name, if anything.
pub(crate) fn fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > NAME_BYTES_MAX {
        Some("it is longer than 200 bytes")
    } else if name.contains('/') {
        Some("it contains a slash")
    } else if name.contains('\0') {
        Some("it contains a NUL byte")
    } else {
        None
    }
}

/// A file in a directory of shared memory, there or not.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    name: String,
    directory: Directory,
}

impl Place {
    /// The place of a published segment. The caller has checked the name for a [`fault`].
    pub fn published(directory: &Directory, name: &str) -> Place {
        let path = directory.path().join(format!("{PUBLISHED_PREFIX}{name}"));
        Place { path, name: name.to_owned(), directory: directory.clone() }
    }

    /// A place for a segment that is being built, under a name of its own.
    pub fn temporary(directory: &Directory) -> Result<Place, SyscallError> {
        let name = format!("{TEMPORARY_PREFIX}{}-{:016x}", std::process::id(), random()?);
        Ok(Place { path: directory.path().join(&name), name, directory: directory.clone() })
    }

    /// A file found in the directory.
    pub fn found(directory: &Directory, path: PathBuf) -> Place {
        Place { path, name: String::new(), directory: directory.clone() }
    }

    /// The name that the user knows.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Its name for `shm_open`.
    pub fn os_id(&self) -> String {
        format!("/{}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Does the name lead to this file? The answer stays true only while the caller holds a lock on
    /// its name byte.
    pub fn leads_to(&self, file: FileId) -> bool {
        std::fs::symlink_metadata(&self.path).is_ok_and(|found| file == FileId::of(&found))
    }

    pub fn unlink(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Renames the file of this place to `to`, replacing what has that name.
    pub fn rename_over(&self, to: &Place) -> io::Result<()> {
        std::fs::rename(&self.path, &to.path)
    }

    /// Renames the file of this place to `to`, if that name is free.
    pub fn rename_to_free(&self, to: &Place) -> io::Result<()> {
        let (from, to) = (c_string(&self.path)?, c_string(&to.path)?);
        // SAFETY: two NUL-terminated paths that outlive the call, which only reads them.
        let refused = unsafe {
            libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::RENAME_NOREPLACE)
        };
        if refused == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from)
}

/// The name that a file of the directory publishes, if it is a segment's.
pub(super) fn published_name(file_name: &str) -> Option<&str> {
    file_name.strip_prefix(PUBLISHED_PREFIX).filter(|name| fault(name).is_none())
}

/// A random name.
pub(super) fn anonymous() -> Result<String, SyscallError> {
    Ok(format!("{ANONYMOUS_PREFIX}{:016x}", random()?))
}

/// Is this file name one that [`anonymous`] could have led to?
pub(super) fn is_anonymous_file(file_name: &str) -> bool {
    let digits = file_name.strip_prefix(PUBLISHED_PREFIX).and_then(|name| name.strip_prefix(ANONYMOUS_PREFIX));
    digits.is_some_and(|digits| digits.len() == RANDOM_DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

/// A random number that is not 0 (Invariant 2).
pub(super) fn random() -> Result<u64, SyscallError> {
    loop {
        let mut bytes = [0u8; 8];
        // SAFETY: the call writes at most 8 bytes to an array of 8. Requests of up to 256 bytes are
        // filled whole or refused.
        let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        if got == bytes.len() as isize && bytes != [0; 8] {
            return Ok(u64::from_ne_bytes(bytes));
        }
        if got == -1 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(SyscallError { call: "getrandom", error });
            }
        }
    }
}

/// The place of a segment of that name; the error is the name and what is wrong with it.
pub(super) fn place_of(directory: &Directory, name: &str) -> Result<Place, (String, &'static str)> {
    match fault(name) {
        Some(why) => Err((name.to_owned(), why)),
        None => Ok(Place::published(directory, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_their_bytes() {
        for good in ["a", ".", "..", ".hidden", "jobs queue", "\u{fc}\u{1f980}", &"x".repeat(200)] {
            assert_eq!(fault(good), None, "{good:?}");
        }
        for bad in ["", "a/b", "/", "a\0", &"x".repeat(201)] {
            assert!(fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn only_our_own_anonymous_files_are_taken_for_such() {
        assert!(is_anonymous_file(&format!("shmq.{}", anonymous().unwrap())));
        for other in
            ["shmq.anon-", "shmq.anon-1234", "shmq.anon-0123456789abcdeF", "anon-0123456789abcdef", "shmq.anon-0123456789abcdef0"]
        {
            assert!(!is_anonymous_file(other), "{other}");
        }
    }
}
