//! Descriptors that come to a child by a socket, at the numbers that the program has them at.

use super::request::Place;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A descriptor, its number in the program, and whether it is closed on exec there.
pub(super) type Placed = (OwnedFd, RawFd, bool);

/// Moves `others` out of the way, and each descriptor to its number. What stood there, a copy of
/// what the program had at `init`, is closed.
pub(super) fn place(placed: Vec<Placed>, others: &mut [OwnedFd]) -> io::Result<()> {
    let above = placed.iter().map(|(_, number, _)| number + 1).max().unwrap_or(0);
    for other in others.iter_mut() {
        *other = raise(other, above)?;
    }
    // All of them first: one may stand where another belongs.
    let raised: Vec<OwnedFd> = placed.iter().map(|(fd, ..)| raise(fd, above)).collect::<io::Result<_>>()?;
    let numbers: Vec<(RawFd, bool)> = placed.iter().map(|&(_, number, close_on_exec)| (number, close_on_exec)).collect();
    drop(placed);
    for (fd, (number, close_on_exec)) in raised.iter().zip(numbers) {
        // SAFETY: numbers; what stood there belongs to no code that runs in this process, as the
        // program asks for the number to be this descriptor.
        if unsafe { libc::dup3(fd.as_raw_fd(), number, if close_on_exec { libc::O_CLOEXEC } else { 0 }) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn raise(fd: &OwnedFd, above: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: duplicates an open descriptor to a number that is free.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, above) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: a descriptor that the kernel has just made for us.
        raised => Ok(unsafe { OwnedFd::from_raw_fd(raised) }),
    }
}

/// Why a child of this process cannot have all of these numbers, if it cannot.
pub(super) fn unplaceable(places: &[Place]) -> Option<i32> {
    let highest = places.iter().map(|&(number, _)| number as u64).max()?;
    // SAFETY: `limit` is filled by the call.
    let limit = unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur
    };
    // Above it, all are moved once.
    (highest + 2 * places.len() as u64 + 2 >= limit).then_some(libc::EMFILE)
}
