//! The process that a value was made in: a forked child inherits a copy, and must not use it.

use super::fork::Incarnation;
use std::io;

/// The process that a value was made in. A copy in a forked child is not at home, even if the child
/// got its parent's old pid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Home {
    word: Incarnation,
    incarnation: u32,
}

impl Home {
    /// The calling process.
    pub fn here() -> io::Result<Home> {
        let word = Incarnation::word()?;
        Ok(Home { word, incarnation: word.current() })
    }

    /// Is this the process that it was made in? One relaxed load (fork, Invariant 1).
    #[inline]
    pub fn is_here(self) -> bool {
        self.word.peek() == self.incarnation
    }
}
