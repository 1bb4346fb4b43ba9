//! A deadline on the monotonic clock, and all arithmetic with deadlines.

use super::clock::now_ns;
use std::time::{Duration, Instant};

/// An instant of `CLOCK_MONOTONIC` in nanoseconds, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// It never comes.
    pub const NEVER: Deadline = Deadline(u64::MAX);
    /// It has passed: the call tries once.
    pub const PASSED: Deadline = Deadline(1);

    /// `timeout` from now. A timeout too long to add means never; zero means that it has passed.
    pub fn after(timeout: Duration) -> Deadline {
        if timeout.is_zero() {
            return Deadline::PASSED;
        }
        let ns = u64::try_from(timeout.as_nanos()).ok().and_then(|ns| now_ns().checked_add(ns));
        ns.map_or(Deadline::NEVER, Deadline)
    }

    /// At `instant`. `Instant` is read before this clock, so the result is never early.
    pub fn at(instant: Instant) -> Deadline {
        Deadline::after(instant.saturating_duration_since(Instant::now()))
    }

    /// `ns` from now.
    pub fn in_ns(ns: u64) -> Deadline {
        Deadline(now_ns().saturating_add(ns))
    }

    /// At that instant of the monotonic clock.
    #[cfg(feature = "async")]
    pub fn from_ns(ns: u64) -> Deadline {
        Deadline(ns)
    }

    /// The same instant, as the kernel and the segment want it.
    pub fn ns(self) -> u64 {
        self.0
    }

    /// Reads the clock only if the deadline ever comes.
    pub fn has_passed(self) -> bool {
        self.is_within(0)
    }

    /// Does it come within `ns` from now? Reads the clock only if it ever comes.
    pub fn is_within(self, ns: u64) -> bool {
        self != Deadline::NEVER && now_ns().saturating_add(ns) >= self.0
    }

    /// This deadline, but `ns` from now at the latest.
    pub fn within(self, ns: u64) -> Deadline {
        self.min(Deadline::in_ns(ns))
    }

    /// The time until then.
    pub fn left(self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(now_ns()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_is_later_than_all_others_and_never_passes() {
        assert!(!Deadline::NEVER.has_passed() && !Deadline::NEVER.is_within(u64::MAX));
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);
        assert!(Deadline::NEVER.within(1_000) < Deadline::NEVER);
    }

    #[test]
    fn zero_has_passed_and_leaves_no_time() {
        assert_eq!(Deadline::after(Duration::ZERO), Deadline::PASSED);
        assert_eq!(Deadline::at(Instant::now() - Duration::from_secs(1)), Deadline::PASSED);
        assert!(Deadline::PASSED.has_passed() && Deadline::PASSED.left().is_zero());
        assert_eq!(Deadline::PASSED.within(1_000), Deadline::PASSED);
    }

    #[test]
    fn a_deadline_ahead_is_near_but_has_not_passed() {
        let deadline = Deadline::after(Duration::from_secs(1000));
        assert!(!deadline.has_passed() && deadline.is_within(1_000_000_000_000) && !deadline.is_within(1));
        assert!(deadline.left() > Duration::from_secs(900));
    }
}
