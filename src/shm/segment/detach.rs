//! Detaching from a segment, and removing its name with the last participant.

use super::attached::Segment;
use super::deferred::defer;
use super::ended::all_detached_cleanly;
use super::retry::Retry;
use crate::atomic::Ordering;
use crate::shm::layout::segment_state;

/// Attempts to take a lock that another process holds for a moment, or a child that is about to
/// execute a program: about 50 ms, since dropping a queue must not hang.
const DETACH_ATTEMPTS: u32 = 250;

/// When a process gives up a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    AtDrop,
    /// Perhaps in a signal handler, above a frame that holds the list's mutex. No later call of
    /// this process would retry: it remembers nothing.
    AtExit,
}

impl Segment {
    /// The last thing that a participant does with its segment: drops the liveness lock of `entry`
    /// and, if no other process keeps the name and it was not persisted, removes the name. For the
    /// owner of the lock only, never for a child that inherited it.
    pub fn detach(&self, entry: u32) {
        if entry < self.info.max_participants && self.may_detach() && self.descriptor.unlock_liveness(entry).is_ok() {
            self.give_up_name(When::AtDrop, || true);
            self.clean_up();
        }
    }

    /// As [`detach`](Segment::detach), for a process that is about to exit while other threads may
    /// be in a call: the kernel drops the liveness lock once it has ended the threads.
    pub fn detach_at_exit(&self) {
        if self.may_detach() {
            self.give_up_name(When::AtExit, || true);
        }
    }

    /// For a forked child that never attached but kept the name. As the last process it removes the
    /// name only if every participant has detached cleanly: messages of dead processes may be
    /// wanted by their successors.
    pub fn detach_unused(&self) {
        self.give_up_unused(When::AtDrop);
    }

    /// The same for a child that is about to exit.
    pub fn detach_unused_at_exit(&self) {
        self.give_up_unused(When::AtExit);
    }

    fn give_up_unused(&self, when: When) {
        if self.may_detach() && self.descriptor.keeps_name() {
            self.give_up_name(when, || all_detached_cleanly(self.entries()));
            if when == When::AtDrop {
                self.clean_up();
            }
        }
    }

    /// Not in a raw-forked child, whose locks are its parent's, nor after the program has closed
    /// the descriptor.
    fn may_detach(&self) -> bool {
        self.descriptor.is_own() && self.descriptor.is_open()
    }

    /// Removes the name, unless other processes keep it or this one preserves it.
    fn give_up_name(&self, when: When, may_take_it: impl Fn() -> bool) {
        let may_take_it = || may_take_it() && (!self.is_guest() || all_detached_cleanly(self.entries()));
        // `None` counts as a pending one.
        let forks = || match when {
            When::AtDrop => Some(self.descriptor.forks()),
            When::AtExit => self.descriptor.try_forks(),
        };
        let leave_name = || {
            if when == When::AtDrop {
                self.leave_name_to_children(may_take_it);
            }
        };
        let mut attempts = 0..DETACH_ATTEMPTS;
        // A child that has not finished its fork handler shares our lock on the name: it must not
        // be unlocked. The child may give it up in its turn, or execute a program.
        loop {
            let Some(forks) = forks() else { return };
            if !forks.are_pending {
                break;
            }
            let waits = forks.are_recent && !self.preserves_or_persists() && !self.others_are_attached();
            if !waits || attempts.next().is_none() {
                return leave_name();
            }
            Retry::pause();
        }
        // Our own share goes first: if two processes detached at once and kept theirs, each would
        // see the other's and leave the name behind. This way the later one sees no other, and an
        // opener has either kept the name by then or finds that it leads elsewhere.
        // A persisted queue that was unlinked has files to be removed, and no name.
        let keeps_name = || self.preserves_or_persists() && (self.max_spilled_bytes() == 0 || self.has_name());
        if self.descriptor.stop_keeping_name().is_err() || keeps_name() {
            return;
        }
        let max_participants = self.info.max_participants;
        for _ in attempts {
            match self.descriptor.lock_keepers() {
                Ok(true) => {
                    let locked = self.descriptor.lock_name(max_participants);
                    if matches!(locked, Ok(true)) {
                        if may_take_it() {
                            self.remove_name();
                            self.clean_up_as_last();
                        }
                        // Explicitly, since a raw-forked child may hold a copy of the descriptor.
                        let _ = self.descriptor.unlock_name(max_participants);
                    }
                    let _ = self.descriptor.unlock_keepers();
                    if !matches!(locked, Ok(false)) {
                        return;
                    }
                }
                // Others keep it: the last of them removes the name, unless it is a forked child
                // that executes a program.
                Ok(false) if self.descriptor.name_is_kept().unwrap_or(true) => {
                    let Some(forks) = forks().filter(|forks| forks.have_inherited) else { return };
                    if !forks.are_recent || self.others_are_attached() {
                        return leave_name();
                    }
                }
                Ok(false) => {}
                Err(_) => return,
            }
            Retry::pause();
        }
        leave_name();
    }

    /// The children that keep the name may remove it. If none does, this process retries later.
    pub(super) fn leave_name_to_children(&self, may_take_it: impl Fn() -> bool) {
        if !self.preserves_or_persists() {
            defer(self, || !self.others_are_attached() && may_take_it());
        }
    }

    fn others_are_attached(&self) -> bool {
        self.descriptor.any_liveness_conflict(self.info.max_participants).unwrap_or(true)
    }

    fn preserves_or_persists(&self) -> bool {
        self.is_persisted() || self.preserves_name.load(Ordering::Relaxed)
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
