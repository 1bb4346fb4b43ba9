//! Numbers that the spawner keeps free, so that it can always take a request and answer it.
//!
//! A number is kept free by a descriptor that stands there and is closed when the number is needed.

use std::os::fd::{FromRawFd, OwnedFd};

/// The socket of a call, the line of its child, and the child's pidfd.
const NUMBERS: usize = 3;

pub(super) struct Reserve {
    standing: Vec<OwnedFd>,
}

impl Reserve {
    pub fn new() -> Reserve {
        let mut reserve = Reserve { standing: Vec::with_capacity(NUMBERS) };
        let _ = reserve.fill();
        reserve
    }

    /// All of them are free again, or the error of the system.
    pub fn fill(&mut self) -> std::io::Result<()> {
        while self.standing.len() < NUMBERS {
            // SAFETY: a path that ends with a zero.
            let opened = unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
            if opened == -1 {
                return Err(std::io::Error::last_os_error());
            }
            // SAFETY: a descriptor that the kernel has just made for us.
            self.standing.push(unsafe { OwnedFd::from_raw_fd(opened) });
        }
        Ok(())
    }

    /// To be used, all of them.
    pub fn release(&mut self) {
        self.standing.clear();
    }

    /// One of them.
    pub fn release_one(&mut self) {
        self.standing.pop();
    }
}
