//! The bound in bytes of the files: counting, and waiting for room (`super`, Invariant 4).

use super::DESCRIPTOR_BYTES;
use crate::error::PutError;
use crate::os::Deadline;
use crate::raw::recover::RECOVER_LOCK_NS;
use crate::raw::stats::Verb;
use crate::raw::{RawQueue, Wait};
use crate::ring::State;
use crate::shm::layout::PAGE_BYTES;
use crate::shm::participant::Id;
use crate::shm::segment::file_bytes;
use crate::wait::Step;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

/// How often the bytes of files are counted anew while others change their number.
const COUNT_ATTEMPTS: u32 = 8;

/// The word that counts the bytes of files: `changes:24 | pages:40`. Each change has a number, so that
/// one object that goes while another comes is not taken for no change.
const PAGES_MASK: u64 = (1 << 40) - 1;

/// The bytes that the word counts.
pub(in crate::raw) fn counted_bytes(word: u64) -> u64 {
    (word & PAGES_MASK) * PAGE_BYTES
}

/// The word, changed to count these.
fn with_bytes(word: u64, bytes: u64) -> u64 {
    let changes = (word & !PAGES_MASK).wrapping_add(PAGES_MASK + 1);
    changes | bytes.div_ceil(PAGE_BYTES).min(PAGES_MASK)
}

impl RawQueue {
    /// Would a file of so many bytes be within the bound?
    pub(in crate::raw) fn has_spill_room(&self, bytes: u64) -> bool {
        counted_bytes(self.head().spilled.pages.load(Acquire)).saturating_add(bytes) <= self.segment().max_spilled_bytes()
    }

    pub(super) fn free_spilled_bytes(&self, bytes: u64) {
        self.count_bytes(|counted| counted.saturating_sub(bytes));
    }

    pub(super) fn count_bytes(&self, change: impl Fn(u64) -> u64) {
        let changed = |word| Some(with_bytes(word, change(counted_bytes(word))));
        let _ = self.head().spilled.pages.fetch_update(AcqRel, Acquire, changed);
    }

    /// Waits while the files have too many bytes for another of `bytes`, as a put waits for room in
    /// the ring.
    pub(super) fn await_spill_room(&self, me: Id, bytes: u64, wait: Wait) -> Result<(), PutError> {
        if self.has_spill_room(bytes) {
            return Ok(());
        }
        let mut waiter = self.waiter(wait, Verb::Put);
        let mut counts = true;
        loop {
            if self.is_poisoned() {
                return Err(PutError::Poisoned);
            }
            if self.is_closed() {
                return Err(PutError::Closed);
            }
            if self.has_spill_room(bytes) || (counts && self.count_spilled() && self.has_spill_room(bytes)) {
                return Ok(());
            }
            match waiter.next(&mut || self.is_closed() || self.has_spill_room(bytes)) {
                Step::Interrupted => return Err(PutError::Interrupted),
                Step::GiveUp if wait.is_try() => {
                    if wait == Wait::Never {
                        self.count_refusal();
                    }
                    return Err(PutError::Full);
                }
                Step::GiveUp => {
                    self.count_timeout(Verb::Put);
                    return Err(PutError::Timeout);
                }
                step => counts = step == Step::Probe,
            }
            if counts && self.has_dead(me) {
                // Their loans have files too.
                self.recover_until(Deadline::in_ns(RECOVER_LOCK_NS));
            }
        }
    }

    /// Counts the bytes of all files anew: a process may have died between its file and the count.
    /// `false`: others kept changing it, or this process cannot list the files.
    pub(in crate::raw) fn count_spilled(&self) -> bool {
        let counted = &self.head().spilled.pages;
        if !self.spills() {
            return true;
        }
        for _ in 0..COUNT_ATTEMPTS {
            let before = counted.load(Acquire);
            // The claims first: one whose file is made meanwhile is among the files.
            let claims = self.spilled_claims();
            let Ok(left) = self.sweep_spilled() else { return false };
            let has_file = |position: u64| left.iter().any(|&(its, _)| its == position);
            let claimed = claims.iter().filter(|&&(position, _)| !has_file(position));
            let now = left.iter().chain(claimed).map(|(_, bytes)| bytes).sum::<u64>();
            if counted.compare_exchange(before, with_bytes(before, now), AcqRel, Acquire).is_ok() {
                if now < counted_bytes(before) {
                    self.notify_not_full(u32::MAX);
                }
                return true;
            }
        }
        false
    }

    /// Position and bytes of each file that is made, or about to be. Needs nothing: what changes
    /// meanwhile shows in the count.
    fn spilled_claims(&self) -> Vec<(u64, u64)> {
        let mut claims = Vec::new();
        let _ = self.ring.walk_all(|position, cell, header| {
            let is_claim = header.state() == Some(State::Claimed) && header.is_spilled();
            if is_claim && header.length() as usize == DESCRIPTOR_BYTES {
                claims.extend(self.descriptor_of(cell, position).map(|length| (position, file_bytes(length))));
            }
            true
        });
        claims
    }

    /// Removes the files of finished messages, and returns position and bytes of the others. Needs
    /// nothing.
    fn sweep_spilled(&self) -> io::Result<Vec<(u64, u64)>> {
        // In this order: the names, and then, in `has_ended`, head, the record's header, reclaim. A
        // position that is before head is not used again.
        let objects = self.segment().spilled_objects()?;
        let is_left = |&(position, _): &(u64, u64)| {
            // Not of another user, in a sticky directory.
            !(self.ring.has_ended(position) && self.segment().remove_spilled(position, |_| ()).is_some())
        };
        Ok(objects.into_iter().filter(is_left).collect())
    }
}
