//! A queue as one of several things to wait for.

use super::Channel;
use super::wait::{Pause, Pauses, SLICE_NS};
use super::watch::{Blocked, Verb};
use crate::lock::Condvar;
use crate::os::now_ns;
use crate::ring::Outlook;
use std::sync::atomic::Ordering::Acquire;

impl Channel {
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
    pub(crate) fn look_after_the_dead(&self, deadline_ns: u64) {
        self.recover_until(deadline_ns);
        self.segment.tell_if_nameless();
    }

    /// Sleeps until a get would return at once, or for so long, a slice at most. Takes no lock, neither of the queue nor of this process,
    /// and calls no subscriber: a thread of the crate that is in here stands in the way of no fork. The get that follows does the rest.
    #[cfg(feature = "object")]
    pub(crate) fn sleep_until_ready(&self, longest: std::time::Duration) {
        let longest_ns = u64::try_from(longest.as_nanos()).unwrap_or(SLICE_NS).min(SLICE_NS);
        let mut pauses = Pauses::new(now_ns().saturating_add(longest_ns));
        let mut blocked = None;
        let mut falls_asleep = || {
            blocked.get_or_insert_with(|| Blocked::start_silently(self, Verb::Get));
        };
        let mut ready = || self.is_ready_to_get();
        while !ready() {
            let pause = pauses.pause(self.strategy, &self.trust, &self.barrier, self.getters(), &mut ready, &mut falls_asleep);
            if pause != Pause::LookAgain {
                return;
            }
        }
    }

    /// Wakes another getter for a message that the caller was woken for, perhaps, and does not take.
    pub(crate) fn pass_on(&self) {
        if self.is_ready_to_get() {
            self.notify_not_empty(1);
        }
    }
}
