//! Numbers that the fork server keeps free, so that it can always take a request and answer it.
//!
//! A number is kept free by a placeholder that stands there and is closed when the number is
//! needed.

use crate::os::placeholder;
use std::os::fd::OwnedFd;

/// The socket of a call, the line of its child, and the child's pidfd.
const NUMBERS: usize = 3;

pub(super) struct Reserve {
    placeholders: Vec<OwnedFd>,
}

impl Reserve {
    pub fn new() -> Reserve {
        let mut reserve = Reserve { placeholders: Vec::with_capacity(NUMBERS) };
        let _ = reserve.fill();
        reserve
    }

    /// Keeps all of them free again, or returns the error of the system.
    pub fn fill(&mut self) -> std::io::Result<()> {
        while self.placeholders.len() < NUMBERS {
            self.placeholders.push(placeholder()?);
        }
        Ok(())
    }

    /// Lets all of them be used.
    pub fn release(&mut self) {
        self.placeholders.clear();
    }

    /// Lets one of them be used.
    pub fn release_one(&mut self) {
        self.placeholders.pop();
    }
}
