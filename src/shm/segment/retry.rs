//! How long to retry while other processes change a name: they hold its lock for a few system
//! calls.
//!
//! Invariant 1: retrying ends, but not before both the time has passed and enough attempts were
//! made. Where hundreds of processes share a core, the time alone may pass before any of them, the
//! holder of the lock included, has run.

use crate::os::Deadline;
use std::thread;
use std::time::Duration;

/// For a holder that was stopped.
const TIME: Duration = Duration::from_secs(1);
/// For a machine that is busy elsewhere.
const ATTEMPTS: u32 = 10;
/// Between two attempts to take a lock that is held for a moment only.
const PAUSE: Duration = Duration::from_micros(200);

pub(super) struct Retry {
    deadline: Deadline,
    attempts: u32,
}

impl Retry {
    pub fn new() -> Retry {
        Retry { deadline: Deadline::after(TIME), attempts: 0 }
    }

    /// For callers that come back later: some 2 ms.
    pub fn short() -> Retry {
        Retry { deadline: Deadline::PASSED, attempts: 0 }
    }

    /// Counts a failed attempt. True when it was the last (Invariant 1).
    pub fn ends(&mut self) -> bool {
        self.attempts = self.attempts.saturating_add(1);
        self.attempts >= ATTEMPTS && self.deadline.has_passed()
    }

    /// Sleeps, so that the holder can finish.
    pub fn pause() {
        thread::sleep(PAUSE);
    }
}
