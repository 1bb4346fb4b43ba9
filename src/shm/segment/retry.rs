//! How long to wait for those who change a name: they hold its lock for a few system calls.
//!
//! Invariant 1: retry ends, and not before both the time has passed and enough looks were taken. Where hundreds of processes
//! share a core, the time alone may pass before anybody, the holder of the lock included, had a turn.

use crate::os;
use std::thread;
use std::time::Duration;

/// For a holder that was stopped.
const TIME: Duration = Duration::from_secs(1);
/// For a machine that is busy elsewhere.
const LOOKS: u32 = 10;
/// Between two looks at a lock that is held for a moment only.
const MOMENT: Duration = Duration::from_micros(200);

pub(super) struct Retry {
    deadline_ns: u64,
    looks: u32,
}

impl Retry {
    pub fn new() -> Retry {
        Retry { deadline_ns: os::deadline_after(TIME), looks: 0 }
    }

    /// For one who comes again: some 2 ms.
    pub fn short() -> Retry {
        Retry { deadline_ns: os::now_ns(), looks: 0 }
    }

    /// Counts a look that came to nothing. True when it was the last (Invariant 1).
    pub fn ends(&mut self) -> bool {
        self.looks = self.looks.saturating_add(1);
        self.looks >= LOOKS && os::now_ns() >= self.deadline_ns
    }

    /// Lets others get on.
    pub fn pause() {
        thread::sleep(MOMENT);
    }
}
