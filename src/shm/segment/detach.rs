//! Leaving a segment, and taking its name away.

use super::attached::Segment;
use super::descriptors::fork_is_pending;
use super::retry::Retry;
use crate::atomic::Ordering;
use crate::shm::layout::{Entry, role, segment_state};

/// Looks at a lock that stands in a leaver's way for a moment: about 50 ms, since dropping a queue must not hang.
const DETACH_ATTEMPTS: u32 = 250;

impl Segment {
    /// The last thing that a participant does with its segment: gives up the liveness lock of `entry` and,
    /// if no other process keeps the name and it was not persisted, takes the name away. For
    /// the owner of the liveness lock only, never for a child that inherited it.
    pub fn detach(&self, entry: u32) {
        if entry < self.info.max_participants && self.may_detach() && self.descriptor.unlock_liveness(entry).is_ok() {
            self.give_up_name(|| true);
        }
    }

    /// For a process that is about to end while its threads may be at work here: as [`detach`](Segment::detach), but the kernel takes the
    /// liveness lock, after the threads.
    pub fn detach_at_exit(&self) {
        if self.may_detach() {
            self.give_up_name(|| true);
        }
    }

    /// For a forked child that never attached, and kept the name all the same. As the last one it
    /// takes the name away only from a segment that every participant has left in good order: what
    /// the dead had may be wanted by those that come after them.
    pub fn detach_unused(&self) {
        if self.may_detach() && self.descriptor.keeps_name() {
            self.give_up_name(|| self.all_detached_cleanly());
        }
    }

    /// Did all participants leave, and none of them what the dead had?
    fn all_detached_cleanly(&self) -> bool {
        let is_left = |entry: &Entry| entry.pid.load(Ordering::Acquire) == 0;
        let is_the_deads = |entry: &Entry| entry.roles.load(Ordering::Acquire) & role::VISITOR != 0;
        self.entries().iter().all(|entry| is_left(entry) && !is_the_deads(entry))
    }

    /// Not in a raw-forked child, whose locks are its parent's, nor where the program closed our
    /// descriptor.
    fn may_detach(&self) -> bool {
        self.descriptor.is_own() && self.descriptor.is_open()
    }

    /// Takes the name away, unless other processes keep it, or this one leaves it.
    fn give_up_name(&self, may_take_it: impl Fn() -> bool) {
        // The child has our share, and gives it back in its turn.
        if fork_is_pending() {
            return;
        }
        // Our own wish goes first: of two leavers that kept theirs each would see the other, and
        // leave the name to it. Now the later of the two finds no other, and an opener has either
        // kept the name by then, or finds that it leads elsewhere.
        if self.descriptor.stop_keeping_name().is_err() || self.is_persisted() || self.preserves_name.load(Ordering::Relaxed) {
            return;
        }
        let max_participants = self.info.max_participants;
        for _ in 0..DETACH_ATTEMPTS {
            match self.descriptor.lock_keepers() {
                Ok(true) => {
                    let locked = self.descriptor.lock_name(max_participants);
                    if matches!(locked, Ok(true)) {
                        if may_take_it() && (!self.is_guest() || self.all_detached_cleanly()) {
                            self.remove_name();
                        }
                        // By hand, since a raw-forked child may have a copy of the descriptor.
                        let _ = self.descriptor.unlock_name(max_participants);
                    }
                    let _ = self.descriptor.unlock_keepers();
                    if !matches!(locked, Ok(false)) {
                        return;
                    }
                }
                // Kept by others: the name is theirs to take away.
                Ok(false) if self.descriptor.name_is_kept().unwrap_or(true) => return,
                Ok(false) => {}
                Err(_) => return,
            }
            Retry::pause();
        }
    }

    /// With the name locked.
    fn remove_name(&self) {
        if !self.is_persisted() && self.place.leads_to(self.descriptor.file()) && self.place.unlink().is_ok() {
            self.head().header.state.store(segment_state::UNLINKED, Ordering::Release);
        }
    }

    pub(super) fn is_persisted(&self) -> bool {
        self.head().header.persisted.load(Ordering::Acquire) != 0
    }
}
