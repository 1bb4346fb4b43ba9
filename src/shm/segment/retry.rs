//! How long to retry while other processes change a name: they hold its lock for a few system
//! calls.
//!
//! Invariant 1: retrying ends, but not before both the time has passed and enough attempts were
//! made, the last of them begun after the time had passed. Where hundreds of processes share a
//! core, the time alone may pass before any of them, the holder of the lock included, has run.

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
    /// The time had passed before the present attempt began: it is the last.
    is_last: bool,
}

impl Retry {
    pub fn new() -> Retry {
        Retry { deadline: Deadline::after(TIME), attempts: 0, is_last: false }
    }

    /// For callers that come back later: some 2 ms.
    pub fn short() -> Retry {
        Retry { deadline: Deadline::PASSED, attempts: 0, is_last: false }
    }

    /// Counts a failed attempt. True when it was the last (Invariant 1).
    pub fn ends(&mut self) -> bool {
        self.attempts = self.attempts.saturating_add(1);
        // A caller that was not scheduled until the time was over makes one more attempt.
        let ends = self.is_last;
        self.is_last = self.attempts.saturating_add(1) >= ATTEMPTS && self.deadline.has_passed();
        ends
    }

    /// Sleeps, so that the holder can finish.
    pub fn pause() {
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_attempt_begins_after_the_time_has_passed() {
        let mut retry = Retry { deadline: Deadline::PASSED, attempts: ATTEMPTS, is_last: false };
        assert!(!retry.ends(), "one more, for a caller that was not scheduled meanwhile");
        assert!(retry.ends());
    }

    #[test]
    fn a_short_one_makes_all_its_attempts() {
        let mut retry = Retry::short();
        assert_eq!((1..).find(|_| retry.ends()), Some(ATTEMPTS));
    }
}
