//! Closing: no more puts, and the check that a closed queue is drained.

use super::RawQueue;
use crate::ring::State;
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::time::Duration;

/// Far longer than a store stays in any processor's store buffer.
const UNORDERED_SETTLE: Duration = Duration::from_millis(1);

impl RawQueue {
    /// No more puts, by any process. Puts that are inside the put side now may still commit;
    /// getters wait for them before they return Closed. Takes no lock, so that a stopped process
    /// cannot delay it.
    pub(crate) fn close(&self) {
        self.head().put_notice.closed.store(1, SeqCst);
        self.attachment.wake_all();
    }

    /// May a put that loaded `closed` before the close still commit?
    pub(super) fn put_side_is_at_work(&self) -> bool {
        let side = &self.head().put;
        self.locks().put(self.head()).seems_held() || (side.owner.load(Acquire) != 0 && side.busy.load(Acquire) != 0)
    }

    /// The verdict on a closed queue that was found empty: nothing will ever come. A put stores
    /// `busy`, or takes the lock, then loads `closed` (Dekker); this call, which runs after the
    /// store of `closed`, executes the heavy barrier before it loads those words. So a put that
    /// loaded `closed` before `close` is seen inside the put side, or its record is seen at head.
    pub(super) fn is_drained(&self, me: Id) -> bool {
        self.put_side_is_quiet(me) && self.ring.nothing_to_take() == Some(State::Free)
    }

    /// The first part of that verdict: no put is under way. What follows must be read after it.
    pub(super) fn put_side_is_quiet(&self, me: Id) -> bool {
        if !self.barrier().heavy() {
            // Without the barrier, only time drains the store buffers of other cores.
            std::thread::sleep(UNORDERED_SETTLE);
        }
        let side = &self.head().put;
        let endpoint = Id::from_bits(side.owner.load(Acquire));
        let endpoint_at_work = side.busy.load(Acquire) != 0 && endpoint.is_some_and(|owner| self.is_alive(owner, me));
        !self.locks().put(self.head()).is_held(self.segment(), me) && !endpoint_at_work
    }
}
