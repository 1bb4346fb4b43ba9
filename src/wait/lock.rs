//! Waiting for a lock. Nothing wakes a sleeper on a lock but its holder, which may be stopped: so a
//! caller with a [`Stop`] sleeps in short slices.
//!
//! A call that comes here holds nothing: no side, no process-local state. So the check of its stop may
//! use the same queue. Between two slices it keeps no place at the lock either (`give_up` of
//! `lock/futex.rs` passes on the wake that it may have had).

use super::stop::Answer;
use super::{SLICE_NS, STOP_SLICE_NS, Stop, Wait};
use crate::lock::{Locked, Mutex};
use crate::os::{Deadline, take_ended_by_signal};
use crate::shm::participant::Id;
use crate::shm::segment::Segment;

/// Why a caller goes without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLock {
    /// Its time is over.
    Late,
    /// Its stop is set, or the check of that ends the call.
    Interrupted,
}

/// Waits for a lock that was not free at the first try.
#[cold]
pub(crate) fn lock(mutex: Mutex<'_>, segment: &Segment, me: Id, wait: Wait, stop: Option<&Stop>) -> Result<Locked, NoLock> {
    let (deadline, sleeps) = wait.for_lock();
    let stop = wait.interrupted_by(stop);
    // The first time after one slice: the call may have waited elsewhere before.
    let mut asks_at = Deadline::PASSED;
    loop {
        let until = if stop.is_some() { deadline.within(STOP_SLICE_NS) } else { deadline };
        if let Some(locked) = mutex.lock(segment, me, until, sleeps) {
            return Ok(locked);
        }
        if let Some(stop) = stop {
            if stop.is_set() {
                return Err(NoLock::Interrupted);
            }
            if take_ended_by_signal() || (until != deadline && asks_at.has_passed()) {
                let asked = stop.ask();
                asks_at = Deadline::in_ns(SLICE_NS);
                match asked {
                    Answer::End => return Err(NoLock::Interrupted),
                    // Time has passed in it: one more try before the deadline is reported.
                    Answer::GoOn => continue,
                    Answer::NoCheck => {}
                }
            }
        }
        if until == deadline {
            return Err(NoLock::Late);
        }
    }
}
