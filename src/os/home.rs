//! The process that something was made in, for what a forked child inherits and must leave alone.

use super::fork::Incarnation;
use std::io;

/// Where a thing was made. Its copy in a forked child is somewhere else, also where the child was
/// given its parent's old pid.
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
