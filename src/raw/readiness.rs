//! A queue as one of several sources to wait for.

use super::RawQueue;
use crate::attachment::Attached;
use crate::lock::Condvar;
use crate::os::Deadline;
use crate::ring::Outlook;
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::Acquire;

impl RawQueue {
    /// Committed messages that have not been taken.
    pub(crate) fn len(&self) -> u64 {
        self.ring.len()
    }

    /// Would a message of no bytes find no room?
    pub(crate) fn is_full(&self) -> bool {
        let has_room = |past_head| self.ring.has_room(self.smallest_message(), past_head).unwrap_or(false);
        // Records that getters would skip are room for a putter that can take the get side.
        !(has_room(false) || (has_room(true) && (self.is_get_side_open() || !self.has_live_consumer())))
    }

    /// Bytes of the smallest message.
    pub(super) fn smallest_message(&self) -> u32 {
        if self.geometry().sized { self.geometry().message_bytes as u32 } else { 0 }
    }

    fn has_live_consumer(&self) -> bool {
        // In a child that never attached, every owner is another process.
        let me = self.known_me();
        let owner = Id::from_bits(self.head().get.owner.load(Acquire));
        owner.is_some_and(|owner| me.is_none_or(|me| self.is_alive(owner, me)))
    }

    /// Becomes a participant after a fork. Returns `false` if it cannot; a get would report why.
    pub(crate) fn is_attached(&self) -> bool {
        self.me().is_ok()
    }

    /// Would a get return at once, with a message or an error?
    pub(crate) fn is_ready_to_get(&self) -> bool {
        self.is_poisoned()
            || match self.ring.outlook(|header| self.is_worn_out(header)) {
                Outlook::Message | Outlook::Unclear => true,
                Outlook::Nothing => self.is_closed() && !self.put_side_is_at_work(),
                // A commit or an abort wakes the caller; the owner's death is probed once a slice.
                Outlook::Loan => false,
            }
    }

    /// Changes whenever a message is taken, the only event that makes a ready queue not ready.
    pub(crate) fn takes(&self) -> [u64; 3] {
        let side = &self.head().get;
        [side.head.load(Acquire), side.copies.load(Acquire), side.leases.load(Acquire)]
    }

    /// The wait queue of getters.
    pub(crate) fn getters(&self) -> Condvar<'_> {
        self.not_empty()
    }

    /// The periodic probe that a getter makes once a slice.
    pub(crate) fn periodic_probe(&self, deadline: Deadline) {
        self.recover_until(deadline);
        if let Some(me) = self.known_me() {
            self.close_if_unused(me);
        }
        self.segment().report_if_nameless();
    }

    /// Wakes another getter for a message that the caller may have been woken for, and does not
    /// take.
    pub(crate) fn pass_on(&self) {
        if self.is_ready_to_get() {
            self.notify_not_empty(1);
        }
    }
}
