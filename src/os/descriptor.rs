//! Descriptor numbers: a second description of a file, and a number above the standard streams.

use std::io;
use std::os::fd::RawFd;

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
