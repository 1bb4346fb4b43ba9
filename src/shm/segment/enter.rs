//! Becoming a participant: an entry of the table, its liveness lock, and a share in the name.
//!
//! ```text
//!   registration byte locked --> liveness lock seen free --> generation g + 1 --> liveness lock locked --> registration byte unlocked --> name kept
//! ```
//!
//! Invariants:
//! 1. Only the holder of an entry's registration byte raises its generation, having seen, after it
//!    locked that byte, that the liveness lock is free. A process that takes a liveness lock holds that byte.
//! 2. When the liveness lock of an entry is taken, its generation is no longer that of a predecessor: at no
//!    moment does a newcomer, running or stopped, lend a dead one its liveness lock. Stopped before, it has
//!    no liveness lock; others pass over that entry.
//! 3. The name is kept after the liveness lock was taken, and what it leads to is looked at after that: a
//!    leaver that found no process to keep the name has locked it by then, and has taken it away
//!    when it lets go.

use super::attached::Segment;
use super::locks::Conflict;
use super::retry::Retry;
use crate::shm::id::{self, Past};
use crate::shm::layout::Entry;
use std::io;

/// A full table is looked at this often: some of its liveness locks may be those of openers that came too
/// late.
const FULL_SIGHTINGS: u32 = 3;

/// What a search for a free entry came to.
pub(super) enum Entrance {
    As(u32),
    /// Participants have them all.
    Full,
    /// Another process was at work on the name, or on the entries, for longer than our retry; or the
    /// file is of no use any more.
    TooLate,
}

impl Segment {
    /// Takes an entry, and keeps the name.
    /// `is_over`: nothing is left to wait for, whatever a process that was stopped in the middle of a change
    /// still holds.
    pub(super) fn enter(&self, retry: &mut Retry, is_over: impl Fn() -> bool) -> io::Result<Entrance> {
        let mut sightings = 0;
        let entry = loop {
            if let Some(entry) = self.take_an_entry()? {
                break entry;
            }
            let liveness = (0..self.info.max_participants).map(|entry| self.descriptor.liveness_conflict(entry));
            let full = liveness
                .into_iter()
                .try_fold(true, |full, liveness| liveness.map(|liveness| full && liveness == Some(Conflict::Liveness)))?;
            sightings = if full { sightings + 1 } else { 0 };
            if sightings >= FULL_SIGHTINGS {
                return Ok(Entrance::Full);
            }
            if is_over() || retry.ends() {
                return Ok(Entrance::TooLate);
            }
            Retry::pause();
        };
        while !self.descriptor.keep_name()? {
            if is_over() || retry.ends() {
                self.undo_enter(entry);
                return Ok(Entrance::TooLate);
            }
            Retry::pause();
        }
        Ok(Entrance::As(entry))
    }

    /// Undoes [`enter`](Self::enter), before anything else was done. The name is not taken away: it
    /// is another's, or others keep it.
    pub(super) fn undo_enter(&self, entry: u32) {
        // The pid is still the predecessor's: the next one repairs what that one left.
        let _ = self.descriptor.unlock_liveness(entry);
        let _ = self.descriptor.stop_keeping_name();
    }

    /// Entries that were never used come first, those of the dead last: what a dead one left is
    /// then found by its id, as long as there is room.
    fn take_an_entry(&self) -> io::Result<Option<u32>> {
        for past in [Past::None, Past::Detached, Past::Open] {
            for (number, entry) in (0..).zip(self.entries()) {
                if id::past_of(entry) == past && self.take_entry(number, entry, past)? {
                    return Ok(Some(number));
                }
            }
        }
        Ok(None)
    }

    fn take_entry(&self, number: u32, entry: &Entry, past: Past) -> io::Result<bool> {
        // Most of those that did not leave are alive: one system call each.
        if past == Past::Open && !self.descriptor.liveness_is_free(number)? {
            return Ok(false);
        }
        if !self.descriptor.lock_registration(number)? {
            return Ok(false);
        }
        let taken = self.descriptor.liveness_is_free(number).and_then(|free| {
            if !free {
                return Ok(false);
            }
            id::raise_generation(entry);
            self.descriptor.lock_liveness(number)
        });
        let _ = self.descriptor.unlock_registration(number);
        taken
    }
}
