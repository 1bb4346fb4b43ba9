//! Closing: no more puts, and when a closed queue is drained.

use super::RawQueue;
use crate::ring::State;
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::time::Duration;

/// Far longer than any processor keeps a store to itself.
const UNORDERED_SETTLE: Duration = Duration::from_millis(1);

impl RawQueue {
    /// No more puts, for everybody. Puts that are inside the put side now may still commit; getters
    /// wait for them before they say Closed. Takes no lock, so that a stopped process cannot hold
    /// it up.
    pub(crate) fn close(&self) {
        self.head().put_notice.closed.store(1, SeqCst);
        self.attachment.wake_all();
    }

    /// May a put that looked at `closed` too early still commit?
    pub(super) fn put_side_is_at_work(&self) -> bool {
        let side = &self.head().put;
        self.locks.put(self.head()).looks_held() || (side.owner.load(Acquire) != 0 && side.busy.load(Acquire) != 0)
    }

    /// The verdict on a closed queue that was found empty: nothing will ever come. The heavy
    /// barrier comes first: a put that looked at `closed` before `close` is seen inside the put
    /// side, or has committed what is then seen at head.
    pub(super) fn is_drained(&self, me: Id) -> bool {
        if !self.barrier.heavy() {
            // Without the barrier only time empties the store buffers of others.
            std::thread::sleep(UNORDERED_SETTLE);
        }
        let side = &self.head().put;
        let endpoint = Id::from_bits(side.owner.load(Acquire));
        let endpoint_at_work = side.busy.load(Acquire) != 0 && endpoint.is_some_and(|owner| self.is_alive(owner, me));
        !self.locks.put(self.head()).is_held(&self.segment, me)
            && !endpoint_at_work
            && self.ring.nothing_to_take() == Some(State::Free)
    }
}
