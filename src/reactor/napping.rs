//! How the reactor sleeps where locks are portable: in naps, whatever tasks wait for. A task is
//! notified within 10 ms.

use crate::lock::{Condvar, Registration};
use crate::os::Deadline;
use std::sync::{Condvar as LocalCondvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Rooms of one thread.
pub(super) const MOST_ROOMS: usize = 1000;

const SHORTEST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(10);

/// It does.
pub(super) fn must_nap() -> bool {
    true
}

/// What wakes the thread.
#[derive(Default)]
pub(super) struct Control {
    told: Mutex<u32>,
    changed: LocalCondvar,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, u32> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the rooms are read: what is told later is seen before the next sleep.
    pub fn read(&self) -> u32 {
        *self.lock()
    }

    /// Ends the sleep, the next one if none has begun.
    pub fn wake(&self) {
        let mut told = self.lock();
        *told = told.wrapping_add(1);
        drop(told);
        self.changed.notify_one();
    }
}

/// The thread's naps.
#[derive(Default)]
pub(super) struct Sleep {
    nap: Duration,
}

impl Sleep {
    pub fn begin(&mut self, _: &Control, _: u32) {}

    pub fn add(&mut self, _: Condvar<'_>, _: Registration) {}

    /// The next nap is a short one again.
    pub fn note_work(&mut self) {
        self.nap = Duration::ZERO;
    }

    /// Sleeps until it is told something, or for a nap.
    pub fn sleep(&mut self, control: &Control, read: u32, until: Deadline, has_tasks: bool) {
        self.nap = (self.nap * 2).clamp(SHORTEST_NAP, LONGEST_NAP);
        let told = control.lock();
        let is_untold = |told: &mut u32| *told == read;
        if has_tasks || until != Deadline::NEVER {
            let _ = control.changed.wait_timeout_while(told, self.nap.min(until.left()), is_untold);
        } else {
            let _told = control.changed.wait_while(told, is_untold);
        }
    }
}
