//! Attaching: takes an entry of the table and its liveness lock, and keeps the name.
//!
//! ```text
//!   lock the registration byte --> see the liveness lock free --> raise the generation
//!     --> take the liveness lock --> unlock the registration byte --> keep the name
//! ```
//!
//! Invariants:
//! 1. Only the holder of an entry's registration byte raises its generation, after it has seen that
//!    the liveness lock is free. A process that takes a liveness lock holds that byte.
//! 2. When the liveness lock of an entry is taken, its generation is no longer a predecessor's: at
//!    no moment, running or stopped, does a newcomer make a dead process look alive. If it is
//!    stopped before, it holds no liveness lock, and others pass over the entry.
//! 3. The name is kept after the liveness lock is taken, and what it leads to is checked after
//!    that: a detaching process that saw no other keep the name has locked it by then, and has
//!    removed it when it unlocks.

use super::attached::Segment;
use super::locks::Conflict;
use super::retry::Retry;
use crate::shm::id::{self, Past};
use crate::shm::layout::Entry;
use std::io;

/// A table must be seen full this often: some locks may be of openers that came too late and are
/// about to back out.
const FULL_SIGHTINGS: u32 = 3;

/// What a search for a free entry came to.
pub(super) enum Entrance {
    As(u32),
    /// Live participants hold all entries.
    Full,
    /// Other processes were changing the name or the entries for longer than `retry` allows; or the
    /// file is obsolete.
    TooLate,
}

impl Segment {
    /// Takes an entry, and keeps the name. `is_over`: the file is obsolete, so there is nothing to
    /// wait for, even if a process stopped in the middle of a change still holds its lock.
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

    /// Undoes [`enter`](Self::enter), before anything else was done. The name is not removed: it is
    /// another segment's, or others keep it.
    pub(super) fn undo_enter(&self, entry: u32) {
        // The pid is still the predecessor's: the next participant repairs what that one left
        // behind.
        let _ = self.descriptor.unlock_liveness(entry);
        let _ = self.descriptor.stop_keeping_name();
    }

    /// Unused entries come first, those of dead participants last: what a dead one holds is found
    /// by its id as long as the entry is not reused.
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
        // Most entries that were not detached are of live processes: one system call each.
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
