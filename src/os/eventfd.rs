//! A descriptor that is readable or not, as a process says.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// An eventfd: closed when a program is executed, and never waited for here.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    /// A new one, which is not readable.
    ///
    /// # Errors
    /// What the system says: no number is free, or no memory.
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers.
        match unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: `eventfd` has just made the descriptor, so nothing else owns it.
            made => Ok(EventFd(unsafe { OwnedFd::from_raw_fd(made) })),
        }
    }

    /// Makes it readable, and tells those who wait for an edge once more if it was.
    pub fn set(&self) {
        let one = 1u64;
        // Refused only where the counter is about to overflow: then it is readable.
        // SAFETY: the 8 bytes of `one`.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    /// Makes it not readable.
    pub fn clear(&self) {
        let mut count = 0u64;
        // Refused only where it is not readable already.
        // SAFETY: the 8 bytes of `count`.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
