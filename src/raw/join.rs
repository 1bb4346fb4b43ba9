//! Finishing messages, and waiting until all are finished.

use super::stats::Verb;
use super::{Failure, RawQueue, Wait};
use crate::attachment::Attached;
use crate::error::JoinError;
use crate::os::Deadline;
use crate::raw::BY_LOCK;
use crate::wait::{SLICE_NS, Step};
use std::sync::atomic::Ordering::{Acquire, SeqCst};

impl RawQueue {
    /// Marks one message that was taken by copy as finished.
    pub(crate) fn task_done(&self) -> Result<(), JoinError> {
        let rare = &self.head().rare;
        // The count of taken messages is read after the count of done ones, anew at each attempt:
        // so it includes the messages of all finishers so far, and the caller's own. Acquire: a
        // finisher counts a message as taken before it counts it as done.
        rare.task_dones
            .fetch_update(SeqCst, Acquire, |done| (done < self.taken_by_copy()).then(|| done + 1))
            .map_err(|_| JoinError::TooManyDone)?;
        self.notify_all_done();
        Ok(())
    }

    fn taken_by_copy(&self) -> u64 {
        self.head().get.copies.load(Acquire).wrapping_add(self.head().rare.large_copies.load(Acquire))
    }

    /// Waits until every message put so far is finished: leases released, copies followed by
    /// `task_done`.
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
            // Nothing wakes a join when a Consumer leaves its call: if one stays inside (stopped or
            // starved), the join checks it again after short sleeps, without spinning.
            uncounted = if left.is_none() { uncounted + 1 } else { 0 };
            waiter.nap(uncounted);
            let mut ready = || self.is_poisoned() || self.may_be_done();
            match waiter.next(&mut ready) {
                Step::Interrupted => return Err(JoinError::Interrupted),
                Step::GiveUp => return Err(JoinError::Timeout { left: left.unwrap_or_else(|| self.ring.len().max(1)) }),
                Step::Probe => drop(self.recover_until(deadline)),
                Step::CheckAgain => {}
            }
        }
    }

    /// One try of [`join`](RawQueue::join), which waits for no lock. `None`: it cannot be counted
    /// now.
    #[cfg(feature = "async")]
    pub(crate) fn try_join(&self) -> Result<Option<u64>, JoinError> {
        if self.is_poisoned() { Err(JoinError::Poisoned) } else { self.unfinished(Deadline::PASSED) }
    }

    /// A check without locks: `false` while messages are certainly waiting ahead of head, or copies
    /// are unfinished.
    pub(super) fn may_be_done(&self) -> bool {
        self.taken_by_copy() == self.head().rare.task_dones.load(Acquire) && self.ring.unfinished() == Ok(0)
    }

    /// Messages put and not finished. Reads under the get lock, so that no copy is between the ring
    /// and the counter; an endpoint that owns the get side is read between two of its calls.
    /// Returns `None` if it stayed busy, or if the lock was not free in time.
    fn unfinished(&self, deadline: Deadline) -> Result<Option<u64>, JoinError> {
        let me = self.me().map_err(|error| join_failure(error.into()))?;
        let count = || {
            let in_ring = self.ring.unfinished().map_err(|_| JoinError::Corrupted)?;
            let copies = self.taken_by_copy().saturating_sub(self.head().rare.task_dones.load(SeqCst));
            Ok(Some(in_ring.saturating_add(copies)))
        };
        // Waits one slice at most: then the caller checks its deadline again.
        match self.lock_get(me, Wait::Until(deadline.within(SLICE_NS))) {
            Ok(()) => {
                let counted = count();
                self.exit_get::<BY_LOCK>(me).map_err(join_failure)?;
                counted
            }
            Err(Failure::Held { .. }) => {
                // Not busy before and after: the count was read between two calls of the endpoint,
                // or is too high.
                let busy = &self.head().get.busy;
                let taken_before = self.taken_by_copy();
                self.barrier().heavy();
                if busy.load(Acquire) != 0 {
                    return Ok(None);
                }
                let counted = count()?;
                self.barrier().heavy();
                Ok(counted.filter(|_| busy.load(Acquire) == 0 && taken_before == self.taken_by_copy()))
            }
            Err(Failure::Timeout) => Ok(None),
            Err(failure) => Err(join_failure(failure)),
        }
    }
}

fn join_failure(failure: Failure) -> JoinError {
    match failure {
        // A lock that is not free in time makes `unfinished` return `None`.
        Failure::Busy | Failure::Timeout => JoinError::Busy,
        Failure::Interrupted => JoinError::Interrupted,
        Failure::Held { pid } => JoinError::Held { pid },
        Failure::Poisoned => JoinError::Poisoned,
        Failure::Corrupted => JoinError::Corrupted,
        Failure::Inherited => JoinError::Inherited,
        Failure::TooManyParticipants { max } => JoinError::TooManyParticipants { max },
        Failure::Os { call, source } => JoinError::Os { call, source },
    }
}
