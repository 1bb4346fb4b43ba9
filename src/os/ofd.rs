//! Open-file-description locks: the liveness lock of participants, shares in a name, and the right to
//! change it.
//!
//! Invariants:
//! 1. A lock belongs to an open description, not to a process or a thread. It goes with the last
//!    descriptor of it, so a forked child must swap its copies for descriptions of its own
//!    ([`open_again`]) before a dead parent looks alive.
//! 2. Only write locks say something about a participant: a process that may only read the file can
//!    hold read locks on any byte.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

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

/// Write-locks the range without waiting. `Ok(false)`: the lock of another description is in the
/// way.
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

/// Where the first write lock of another description in the range lies, as (start, length); length
/// 0 reaches to the end of all files. Asks for what would stop a reader (Invariant 2).
pub(crate) fn conflict_in_range(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    conflict(fd, libc::F_RDLCK, start, len)
}

/// The same with read locks, which stop a writer.
pub(crate) fn any_conflict_in_range(fd: BorrowedFd<'_>, start: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    conflict(fd, libc::F_WRLCK, start, len)
}

fn conflict(fd: BorrowedFd<'_>, wanted: libc::c_int, start: u64, len: u64) -> io::Result<Option<(u64, u64)>> {
    let mut lock = flock(wanted, start, len);
    fcntl(fd, libc::F_OFD_GETLK, &mut lock)?;
    Ok((lock.l_type != libc::F_UNLCK as libc::c_short).then_some((lock.l_start as u64, lock.l_len as u64)))
}

/// Opens the file behind descriptor `fd` once more: a description of its own, which has no locks.
/// Its number is `lowest` or more. Async-signal-safe, so that a fork handler may call it.
pub(crate) fn open_again(fd: RawFd, lowest: RawFd) -> io::Result<RawFd> {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0";
    let mut digits = [0u8; 10];
    let mut rest = fd as u32;
    let mut count = 0;
    loop {
        digits[count] = b'0' + (rest % 10) as u8;
        rest /= 10;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    for place in 0..count {
        path[14 + place] = digits[count - 1 - place];
    }
    // SAFETY: `path` is NUL-terminated (25 bytes, at most 24 used).
    let fresh = unsafe { libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC) };
    match fresh {
        -1 => Err(io::Error::last_os_error()),
        number if number < lowest => raise(number, lowest),
        number => Ok(number),
    }
}

/// Moves a descriptor that no other code knows to a number that is `lowest` or more.
/// Async-signal-safe.
pub(crate) fn raise(number: RawFd, lowest: RawFd) -> io::Result<RawFd> {
    // SAFETY: duplicates, then closes, a descriptor of the caller's.
    unsafe {
        let moved = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, lowest);
        let error = io::Error::last_os_error();
        libc::close(number);
        if moved == -1 { Err(error) } else { Ok(moved) }
    }
}
