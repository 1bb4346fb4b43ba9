//! Detaching from a segment, and removing its name with the last participant.

use super::attached::Segment;
use super::descriptors::fork_is_pending;
use super::retry::Retry;
use crate::atomic::Ordering;
use crate::shm::layout::{Entry, role, segment_state};

/// Attempts to take a lock that another process holds for a moment: about 50 ms, since dropping a
/// queue must not hang.
const DETACH_ATTEMPTS: u32 = 250;

impl Segment {
    /// The last thing that a participant does with its segment: drops the liveness lock of `entry`
    /// and, if no other process keeps the name and it was not persisted, removes the name. For the
    /// owner of the lock only, never for a child that inherited it.
    pub fn detach(&self, entry: u32) {
        if entry < self.info.max_participants && self.may_detach() && self.descriptor.unlock_liveness(entry).is_ok() {
            self.give_up_name(|| true);
        }
    }

    /// As [`detach`](Segment::detach), for a process that is about to exit while other threads may
    /// be in a call: the kernel drops the liveness lock once it has ended the threads.
    pub fn detach_at_exit(&self) {
        if self.may_detach() {
            self.give_up_name(|| true);
        }
    }

    /// For a forked child that never attached but kept the name. As the last process it removes the
    /// name only if every participant has detached cleanly: messages of dead processes may be
    /// wanted by their successors.
    pub fn detach_unused(&self) {
        if self.may_detach() && self.descriptor.keeps_name() {
            self.give_up_name(|| self.all_detached_cleanly());
        }
    }

    /// Have all participants detached, and was none of them a visitor of a dead segment?
    fn all_detached_cleanly(&self) -> bool {
        let is_left = |entry: &Entry| entry.pid.load(Ordering::Acquire) == 0;
        let is_the_deads = |entry: &Entry| entry.roles.load(Ordering::Acquire) & role::VISITOR != 0;
        self.entries().iter().all(|entry| is_left(entry) && !is_the_deads(entry))
    }

    /// Not in a raw-forked child, whose locks are its parent's, nor after the program has closed
    /// the descriptor.
    fn may_detach(&self) -> bool {
        self.descriptor.is_own() && self.descriptor.is_open()
    }

    /// Removes the name, unless other processes keep it or this one preserves it.
    fn give_up_name(&self, may_take_it: impl Fn() -> bool) {
        // The child shares our lock on the name, and gives it up in its turn.
        if fork_is_pending() {
            return;
        }
        // Our own share goes first: if two processes detached at once and kept theirs, each would
        // see the other's and leave the name behind. This way the later one sees no other, and an
        // opener has either kept the name by then or finds that it leads elsewhere.
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
                        // Explicitly, since a raw-forked child may hold a copy of the descriptor.
                        let _ = self.descriptor.unlock_name(max_participants);
                    }
                    let _ = self.descriptor.unlock_keepers();
                    if !matches!(locked, Ok(false)) {
                        return;
                    }
                }
                // Others keep it: the last of them removes the name.
                Ok(false) if self.descriptor.name_is_kept().unwrap_or(true) => return,
                Ok(false) => {}
                Err(_) => return,
            }
            Retry::pause();
        }
    }

    /// The caller has locked the name.
    fn remove_name(&self) {
        if !self.is_persisted() && self.place.leads_to(self.descriptor.file()) && self.place.unlink().is_ok() {
            self.head().header.state.store(segment_state::UNLINKED, Ordering::Release);
        }
    }

    pub(super) fn is_persisted(&self) -> bool {
        self.head().header.persisted.load(Ordering::Acquire) != 0
    }
}
