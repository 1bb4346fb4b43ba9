//! How to wait, once: for queues, for primitives, and for several things at a time.
//!
//! ```text
//!   check --nothing--> next: spin, yield --ready--------------------------> CheckAgain
//!                             \--still nothing--> sleep, a slice at most --> CheckAgain
//!                      a slice has passed ---------------------------------> Probe
//!                      the deadline, or Wait::Never -----------------------> GiveUp
//!                                                         (after a last Probe if one is due)
//!                      the handle's Stop is set ---------------------------> Interrupted
//!                      EINTR, or a slice has passed: ask the check of the Stop
//!                                 \--go on--> CheckAgain, Probe \--end--> Interrupted
//! ```
//!
//! Invariants:
//! 1. Every sleep ends after [`SLICE_NS`]: a process can die between its commit and its wake.
//! 2. A deadline is never early, and is reported only after the caller has checked once more since
//!    its last sleep: a wake may have come with it. So a zero timeout is one try.
//! 3. The same holds of an interruption: a call that finds what it waits for succeeds, also if the
//!    stop is set. Once the check of a stop has said that the call ends, it tries no more.

mod forms;
mod lock;
mod probe;
mod stop;
mod strategy;
mod waiter;

pub(crate) use forms::blocking_forms;
pub(crate) use lock::{NoLock, lock};
pub(crate) use probe::ProbeTimer;
pub use stop::Stop;
pub(crate) use stop::{Answer, OnUnwind, sleep};
pub use strategy::WaitStrategy;
pub(crate) use waiter::{Sleeper, Step, Waiter};

use crate::os::Deadline;

/// Longest sleep (Invariant 1), and time between two probes for dead processes.
pub(crate) const SLICE_NS: u64 = 100_000_000;
/// How long `try_` waits for a contended lock before it is `Busy`.
pub(crate) const TRY_LOCK_NS: u64 = 1_000_000;
/// How long a caller with a [`Stop`] waits for a lock before it checks the stop.
const STOP_SLICE_NS: u64 = 10_000_000;

/// How long a caller waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: `Full`, `Empty` or `WouldBlock`.
    Never,
    /// Not even for a lock: a future's poll. `Busy` where [`Wait::Never`] spins for a while.
    AtOnce,
    /// Until then: `Timeout`. Or until the handle's [`Stop`] is set: `Interrupted`.
    Until(Deadline),
    /// Until then, whatever stop is set: to finish what was begun.
    Briefly(Deadline),
}

impl Wait {
    pub const FOREVER: Wait = Wait::Until(Deadline::NEVER);

    /// For `ns` from now, whatever stop is set.
    pub(crate) fn for_ns(ns: u64) -> Wait {
        Wait::Briefly(Deadline::in_ns(ns))
    }

    /// The stop that ends this wait, of a handle that has `stop`.
    pub(crate) fn interrupted_by(self, stop: Option<&Stop>) -> Option<&Stop> {
        stop.filter(|_| matches!(self, Wait::Until(_)))
    }

    /// Until when to wait: an instant that has passed for a caller that does not wait.
    pub(crate) fn deadline(self) -> Deadline {
        match self {
            Wait::Never | Wait::AtOnce => Deadline::PASSED,
            Wait::Until(deadline) | Wait::Briefly(deadline) => deadline,
        }
    }

    /// Does it return at once, rather than with `Timeout` at a deadline?
    #[inline(always)]
    pub(crate) fn is_try(self) -> bool {
        matches!(self, Wait::Never | Wait::AtOnce)
    }

    /// Until when to wait for a lock, and whether to sleep on it.
    pub(crate) fn for_lock(self) -> (Deadline, bool) {
        match self {
            Wait::Never => (Deadline::in_ns(TRY_LOCK_NS), false),
            Wait::AtOnce => (Deadline::PASSED, false),
            Wait::Until(deadline) | Wait::Briefly(deadline) => (deadline, true),
        }
    }
}
