//! The scan for processes that have a role, and closing the queue when there are none left.

use super::super::RawQueue;
use super::{BOTH, roles};
use crate::shm::layout::role;
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::SeqCst;

/// Scans of one call: each but the last found that a handle was made meanwhile. A waiter scans
/// again at the end of its slice.
const SCANS: u32 = 8;

impl RawQueue {
    /// Closes the queue if it is to be closed when unused, there has been a sender and none is
    /// left, or there has been a receiver and none is left (roles, Invariant 2). For slow paths: it
    /// may ask the kernel once for each participant. Needs neither side.
    #[cold]
    pub(crate) fn close_if_unused(&self, me: Id) {
        if !self.closes_when_unused() || self.is_closed() {
            return;
        }
        for _ in 0..SCANS {
            let changes = self.rare().role_changes.load(SeqCst);
            let had = self.roles_had();
            let gone = had & !self.roles_held(had, me);
            if gone == 0 {
                return;
            }
            if self.rare().role_changes.load(SeqCst) == changes {
                #[cfg(feature = "tracing")]
                tracing::debug!(
                    target: "shmq",
                    queue = self.segment().name(),
                    senders_gone = gone & role::SENDER != 0,
                    receivers_gone = gone & role::RECEIVER != 0,
                    "closed: one side is gone"
                );
                return self.close();
            }
        }
    }

    /// Roles that there has been a handle of, or that a plain handle acted in.
    fn roles_had(&self) -> u32 {
        if self.topic.is_some() {
            // Only publishers count, each by its own handle: a publish by lock is no role.
            return self.rare().had_roles.load(SeqCst) & role::SENDER;
        }
        let (put, get) = (&self.head().put, &self.head().get);
        let first = self.first_position();
        let has_put = put.tail.load(SeqCst) != first || put.taken_back.load(SeqCst) != 0;
        // Not head: putters step it over loans that were dropped.
        let has_got = get.copies.load(SeqCst) != 0 || get.leases.load(SeqCst) != 0;
        (self.rare().had_roles.load(SeqCst) | roles(has_put, has_got)) & BOTH
    }

    /// Which of these roles live processes have, or sent and did not see arrive.
    fn roles_held(&self, asked: u32, me: Id) -> u32 {
        let mut held = 0;
        for (number, entry) in (0..).zip(self.segment().entries()) {
            let more = entry.roles.load(SeqCst) & asked & !held;
            if more != 0 && self.is_entry_alive(number, me) {
                held |= more;
            }
            if held == asked {
                return held;
            }
        }
        held | self.roles_in_transit(asked & !held, me)
    }

    /// The generation is not compared: whichever participant has the entry now, the bits are its
    /// own, or are those of its predecessor for a moment, until it has registered.
    fn is_entry_alive(&self, entry: u32, me: Id) -> bool {
        entry == me.entry() || self.segment().liveness_is_held(entry)
    }
}
