//! Handles that a forked child counts before `spawn` returns in its parent.
//!
//! ```text
//!   parent: begin --fork--> wait: a word, or the end of the line --> spawn returns
//!   child:           \----> counts its handles, says how that went
//! ```
//!
//! So at no moment is a handle that is moved into the child counted by neither: the parent's half
//! is dropped after the wait (raw/roles, Invariant 1). A child that is killed meanwhile ends the
//! line.

use crate::raw::KeptHandle;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// The line between the two, if there is anything to count.
pub(super) struct Keeping {
    ends: Option<(UnixStream, UnixStream)>,
}

impl Keeping {
    /// Before the fork.
    pub fn begin(kept: &[KeptHandle]) -> io::Result<Keeping> {
        let ends = if kept.is_empty() { None } else { Some(UnixStream::pair()?) };
        Ok(Keeping { ends })
    }

    /// In the child, before it drops any descriptor. `false`: a handle could not be counted, and
    /// the parent knows.
    pub fn count(self, kept: &[KeptHandle]) -> bool {
        let Some((_, mut child)) = self.ends else { return true };
        let counted = kept.iter().all(|handle| handle.count().is_ok());
        // Without a parent there is none to tell.
        let _ = child.write_all(&[u8::from(counted)]);
        counted
    }

    /// In the parent. `Err`: the child could not attach, and ends.
    pub fn wait(self) -> io::Result<()> {
        let Some((mut parent, child)) = self.ends else { return Ok(()) };
        drop(child);
        let mut word = [0];
        match parent.read_exact(&mut word) {
            Ok(()) if word[0] == 0 => {
                Err(io::Error::other("the child could not attach to a queue of which it was to keep a handle"))
            }
            // Or it was killed: its status says so.
            _ => Ok(()),
        }
    }
}
