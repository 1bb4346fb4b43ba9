//! Open-file-description (OFD) locks on byte ranges of a file.
//!
//! Invariants:
//! 1. A lock belongs to an open description, not to a process or a thread. It goes with the last
//!    descriptor of it, so a forked child must replace its copies by descriptions of its own
//!    ([`open_again`](super::descriptor::open_again)), or a dead parent looks alive.
//! 2. Only write locks say something about a participant: a process that may only read the file can
//!    hold read locks on any byte.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

fn flock(kind: libc::c_int, start: u64, len: u64) -> libc::flock {
    // SAFETY: flock is plain integers; l_pid must be 0 for OFD commands.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = start as libc::off_t;
    lock.l_len = len as libc::off_t;
    lock
}

fn fcntl(fd: BorrowedFd<'_>, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed, `lock` is a flock that the call may write.
    if unsafe { libc::fcntl(fd.as_raw_fd(), command, lock) } == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Write-locks the range without waiting. `Ok(false)`: another description has a lock on it.
pub(crate) fn lock_range(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<bool> {
    set(fd, libc::F_WRLCK, start, len)
}

/// Read-locks the range without waiting: any number of descriptions may. `Ok(false)`: another one
/// has it write-locked.
pub(crate) fn share_range(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<bool> {
    set(fd, libc::F_RDLCK, start, len)
}

fn set(fd: BorrowedFd<'_>, kind: libc::c_int, start: u64, len: u64) -> io::Result<bool> {
    match fcntl(fd, libc::F_OFD_SETLK, &mut flock(kind, start, len)) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Unlocks what this description holds of the range.
pub(crate) fn unlock_range(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<()> {
    fcntl(fd, libc::F_OFD_SETLK, &mut flock(libc::F_UNLCK, start, len))
}

/// The first write lock of another description in the range, as (start, length); length 0 reaches
/// to the end of the file. Tests for what would stop a reader (Invariant 2).
pub(crate) fn conflict_in_range(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    conflict(fd, libc::F_RDLCK, start, len)
}

/// The same, with read locks included: what would stop a writer.
pub(crate) fn any_conflict_in_range(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    conflict(fd, libc::F_WRLCK, start, len)
}

fn conflict(fd: BorrowedFd<'_>, wanted: libc::c_int, start: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    let mut lock = flock(wanted, start, len);
    fcntl(fd, libc::F_OFD_GETLK, &mut lock)?;
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then_some((lock.l_start as u64, lock.l_len as u64)))
}
