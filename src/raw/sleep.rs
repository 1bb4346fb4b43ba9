//! Sleeping for a message, and nothing else.

use super::RawQueue;
use super::stats::{Blocked, Verb};
use super::wait::{Backoff, SLICE_NS, Step};
use crate::os::now_ns;
use std::time::Duration;

impl RawQueue {
    /// Sleeps until a get would return at once, or for so long, a slice at most. Takes no lock,
    /// neither of the queue nor of this process, and calls no subscriber: a thread of the crate
    /// that is in here stands in the way of no fork. The get that follows does the rest.
    pub(crate) fn sleep_until_ready(&self, longest: Duration) {
        let longest_ns = u64::try_from(longest.as_nanos()).unwrap_or(SLICE_NS).min(SLICE_NS);
        let mut pauses = Backoff::new(now_ns().saturating_add(longest_ns));
        let mut blocked = None;
        let mut falls_asleep = || {
            blocked.get_or_insert_with(|| Blocked::start_silently(self, Verb::Get));
        };
        let mut ready = || self.is_ready_to_get();
        while !ready() {
            let pause = pauses.pause(self.strategy, &self.trust, &self.barrier, self.getters(), &mut ready, &mut falls_asleep);
            if pause != Step::LookAgain {
                return;
            }
        }
    }
}
