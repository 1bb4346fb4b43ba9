//! What comes after the messages: closing, finishing, joining, counting.

use super::stats::Verb;
use super::{Failure, RawQueue, Wait};
use crate::error::JoinError;
use crate::os::Deadline;
use crate::ring::State;
use crate::shm::participant::Id;
use crate::wait::{SLICE_NS, Step};
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::time::Duration;

/// Far longer than any processor keeps a store to itself.
const UNORDERED_SETTLE: Duration = Duration::from_millis(1);

impl RawQueue {
    /// No more puts, for everybody. Puts that are inside the put side now may still commit; getters wait for them before they
    /// say Closed. Takes no lock, so that a stopped process cannot hold it up.
    pub(crate) fn close(&self) {
        self.head().put_notice.closed.store(1, SeqCst);
        self.attachment.wake_all();
    }

    /// May a put that looked at `closed` too early still commit?
    pub(super) fn put_side_is_at_work(&self) -> bool {
        let side = &self.head().put;
        self.locks.put(self.head()).looks_held() || (side.owner.load(Acquire) != 0 && side.busy.load(Acquire) != 0)
    }

    /// The verdict on a closed queue that was found empty: nothing will ever come. The heavy barrier comes first: a put that looked
    /// at `closed` before `close` is seen inside the put side, or has committed what is then seen at head.
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

    /// Marks one message that was taken by copy as finished.
    pub(crate) fn task_done(&self) -> Result<(), JoinError> {
        let rare = &self.head().rare;
        // What was taken is read after what is done, anew at each attempt, so that it counts all that those have taken who finished since,
        // and the caller's own. Acquire: a finisher counted what it took before it counted that as done.
        rare.task_dones
            .fetch_update(SeqCst, Acquire, |done| (done < self.taken_by_copy()).then(|| done + 1))
            .map_err(|_| JoinError::TooManyDone)?;
        self.notify_all_done();
        Ok(())
    }

    fn taken_by_copy(&self) -> u64 {
        self.head().get.copies.load(Acquire).wrapping_add(self.head().rare.large_copies.load(Acquire))
    }

    /// Waits until every message put so far is finished: leases released, copies followed by `task_done`.
    pub(crate) fn join(&self, deadline: Deadline) -> Result<(), JoinError> {
        let mut waiter = self.waiter(Wait::Until(deadline), Verb::Join);
        let mut uncounted = 0u32;
        loop {
            if self.is_poisoned() {
                return Err(JoinError::Poisoned);
            }
            let left = self.unfinished(deadline)?;
            if left == Some(0) {
                return Ok(());
            }
            // Nothing wakes a join when a Consumer leaves its call: one that stays inside (stopped
            // or starved) is looked at after naps, not in a spin.
            uncounted = if left.is_none() { uncounted + 1 } else { 0 };
            waiter.nap(uncounted);
            let mut ready = || self.is_poisoned() || self.may_be_done();
            match waiter.next(&mut ready) {
                Step::GiveUp => return Err(JoinError::Timeout { left: left.unwrap_or_else(|| self.ring.len().max(1)) }),
                Step::Probe => drop(self.recover_until(deadline)),
                Step::CheckAgain => {}
            }
        }
    }

    /// A look without locks: `false` while messages surely stand ahead of head, or copies are unfinished.
    fn may_be_done(&self) -> bool {
        self.taken_by_copy() == self.head().rare.task_dones.load(Acquire) && self.ring.unfinished() == Ok(0)
    }

    /// Messages put and not finished. Under the get lock, so that no copy is between the ring and the counter; an endpoint that
    /// owns the get side is caught between two calls. `None`: it stayed busy, or the lock was not to be had.
    fn unfinished(&self, deadline: Deadline) -> Result<Option<u64>, JoinError> {
        let me = self.me().map_err(join_failure)?;
        let count = || {
            let in_ring = self.ring.unfinished().map_err(|_| JoinError::Corrupted)?;
            let copies = self.taken_by_copy().saturating_sub(self.head().rare.task_dones.load(SeqCst));
            Ok(Some(in_ring.saturating_add(copies)))
        };
        // For a slice at most: then the deadline is checked again.
        match self.lock_get(me, Wait::Until(deadline.within(SLICE_NS))) {
            Ok(()) => {
                let counted = count();
                self.exit_get::<false>(me).map_err(join_failure)?;
                counted
            }
            Err(Failure::Held { .. }) => {
                // Idle before and after: the count lies between two calls of the endpoint, or is too high.
                let busy = &self.head().get.busy;
                let taken_before = self.taken_by_copy();
                self.barrier.heavy();
                if busy.load(Acquire) != 0 {
                    return Ok(None);
                }
                let counted = count()?;
                self.barrier.heavy();
                Ok(counted.filter(|_| busy.load(Acquire) == 0 && taken_before == self.taken_by_copy()))
            }
            Err(Failure::Timeout) => Ok(None),
            Err(failure) => Err(join_failure(failure)),
        }
    }

    /// Committed messages that nobody has taken.
    pub(crate) fn len(&self) -> u64 {
        self.ring.len()
    }

    /// Would a message of no bytes find no room?
    pub(crate) fn is_full(&self) -> bool {
        let smallest = if self.geometry().sized { self.geometry().message_bytes as u32 } else { 0 };
        let has_room = |past_head| self.ring.has_room(smallest, past_head).unwrap_or(false);
        // Records that getters would skip are room for a putter that can have the get side.
        !(has_room(false) || (has_room(true) && (self.is_get_side_open() || !self.has_live_consumer())))
    }

    fn has_live_consumer(&self) -> bool {
        // In a child that never attached every owner is somebody else.
        let me = self.known_me();
        let owner = Id::from_bits(self.head().get.owner.load(Acquire));
        owner.is_some_and(|owner| me.is_none_or(|me| self.is_alive(owner, me)))
    }
}

fn join_failure(failure: Failure) -> JoinError {
    match failure {
        Failure::Poisoned => JoinError::Poisoned,
        Failure::Corrupted => JoinError::Corrupted,
        Failure::Os { call, source: error } => JoinError::Os { call, source: error },
        other => JoinError::Os { call: "attach for join", source: std::io::Error::other(crate::error::GetError::from(other)) },
    }
}
