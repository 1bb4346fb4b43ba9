//! Descriptors by number: opening again, checking, closing, moving, and keeping numbers free.

use std::io;
use std::os::fd::RawFd;
#[cfg(feature = "object")]
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Whether the descriptor is closed when a program is executed.
///
/// # Errors
/// `EBADF` if it is not open.
pub(crate) fn closes_on_exec(number: RawFd) -> io::Result<bool> {
    // SAFETY: any number may be asked about.
    match unsafe { libc::fcntl(number, libc::F_GETFD) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags & libc::FD_CLOEXEC != 0),
    }
}

/// Closes a descriptor whose owner is in a frame that is never returned to.
///
/// # Safety
/// It is open, and no code of this process uses it, or its owner, from now on.
#[cfg(feature = "object")]
pub(crate) unsafe fn close_number(number: RawFd) {
    // SAFETY: the caller's contract.
    unsafe { libc::close(number) };
}

/// Makes `number` a descriptor of what `fd` is one of. What stood there is closed.
///
/// # Safety
/// No code of this process uses what stood there from now on.
#[cfg(feature = "object")]
pub(crate) unsafe fn duplicate_to(fd: &OwnedFd, number: RawFd, close_on_exec: bool) -> io::Result<()> {
    // SAFETY: the caller's contract.
    match unsafe { libc::dup3(fd.as_raw_fd(), number, if close_on_exec { libc::O_CLOEXEC } else { 0 }) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A descriptor of the same, at a free number from `lowest` up.
#[cfg(feature = "object")]
pub(crate) fn duplicate_above(fd: &OwnedFd, lowest: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: duplicates an open descriptor to a number that is free.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: F_DUPFD_CLOEXEC has just made the descriptor, so nothing else owns it.
        duplicate => Ok(unsafe { OwnedFd::from_raw_fd(duplicate) }),
    }
}

/// A descriptor that is good for nothing but to occupy a number.
#[cfg(feature = "object")]
pub(crate) fn placeholder() -> io::Result<OwnedFd> {
    // SAFETY: a path that ends with a zero.
    match unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: `open` has just made the descriptor, so nothing else owns it.
        opened => Ok(unsafe { OwnedFd::from_raw_fd(opened) }),
    }
}

/// What the system says when no number is free for a descriptor (`EMFILE`).
#[cfg(feature = "object")]
pub(crate) fn no_free_descriptor() -> io::Error {
    io::Error::from_raw_os_error(libc::EMFILE)
}

/// The number that descriptors of this process are below.
pub(crate) fn descriptor_limit() -> u64 {
    // SAFETY: `limit` is filled by the call.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur
    }
}

/// Reopens the file behind descriptor `fd`: a new description, which has no locks. Its number is
/// `lowest` or more. Async-signal-safe, so a fork handler may call it.
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
    // SAFETY: duplicates, then closes, a descriptor that only the caller knows.
    unsafe {
        let moved = libc::fcntl(number, libc::F_DUPFD_CLOEXEC, lowest);
        let error = io::Error::last_os_error();
        libc::close(number);
        if moved == -1 { Err(error) } else { Ok(moved) }
    }
}
