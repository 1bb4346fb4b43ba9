//! A queue as one of several things to wait for.

use super::RawQueue;
use crate::lock::Condvar;
use crate::os::Deadline;
use crate::ring::Outlook;
use std::sync::atomic::Ordering::Acquire;

impl RawQueue {
    /// Becomes a participant, if a fork lies between. `false`: a get would say why not.
    pub(crate) fn is_attached(&self) -> bool {
        self.me().is_ok()
    }

    /// Would a get return at once, with a message or an error?
    pub(crate) fn is_ready_to_get(&self) -> bool {
        self.is_poisoned()
            || match self.ring.outlook(|header| self.is_worn_out(header)) {
                Outlook::Message | Outlook::Unclear => true,
                Outlook::Nothing => self.is_closed() && !self.put_side_is_at_work(),
                // Its commit or abort wakes us, its owner's death is looked for once a slice.
                Outlook::Loan => false,
            }
    }

    /// Changes whenever a message is taken, which is the only way for the queue to cease to be
    /// ready.
    pub(crate) fn takes(&self) -> [u64; 3] {
        let side = &self.head().get;
        [side.head.load(Acquire), side.copies.load(Acquire), side.leases.load(Acquire)]
    }

    /// Where getters sleep.
    pub(crate) fn getters(&self) -> Condvar<'_> {
        self.not_empty()
    }

    /// What a getter does once a slice.
    pub(crate) fn look_after_the_dead(&self, deadline: Deadline) {
        self.recover_until(deadline);
        self.segment.report_if_nameless();
    }

    /// Wakes another getter for a message that the caller was woken for, perhaps, and does not take.
    pub(crate) fn pass_on(&self) {
        if self.is_ready_to_get() {
            self.notify_not_empty(1);
        }
    }
}
