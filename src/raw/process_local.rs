//! What one process has for itself in a queue, beside forks.
//!
//! Invariants:
//! 1. `holder` names the participant one of whose threads is inside, or is 0: only that thread
//!    touches the value. A child has another id than its parent, and none of the parent's other
//!    threads: what it finds locked by another id was copied so.
//! 2. What is done inside is short, and calls nobody: it is worth waiting for.

use crate::shm::participant::Id;
use crossbeam_utils::Backoff as CrossbeamBackoff;
use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Between two looks, once spinning and yielding came to nothing.
const MOMENT: Duration = Duration::from_micros(50);

#[derive(Default)]
pub(super) struct Own<T> {
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

/// Inside, until it is dropped.
pub(super) struct Inside<'a, T> {
    own: &'a Own<T>,
}

impl<T: Default> Own<T> {
    /// Waits for other threads of this process, and never for another process. What a fork copied
    /// locked was perhaps half changed: it is left alone, and begins anew.
    pub fn enter(&self, me: Id) -> Inside<'_, T> {
        let backoff = CrossbeamBackoff::new();
        loop {
            let holder = self.holder.load(Relaxed);
            if holder == me.bits() {
                if backoff.is_completed() {
                    std::thread::sleep(MOMENT);
                } else {
                    backoff.snooze();
                }
                continue;
            }
            // Acquire pairs with the Release of the thread that was inside before.
            if self.holder.compare_exchange(holder, me.bits(), Acquire, Relaxed).is_ok() {
                if holder != 0 {
                    // SAFETY: Invariant 1: this thread is inside. The old value is not dropped.
                    unsafe { self.value.get().write(T::default()) };
                }
                return Inside { own: self };
            }
        }
    }
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: Invariant 1.
        unsafe { &*self.own.value.get() }
    }
}

impl<T> DerefMut for Inside<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: Invariant 1.
        unsafe { &mut *self.own.value.get() }
    }
}

impl<T> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        // Release: the next one inside sees what was done here.
        self.own.holder.store(0, Release);
    }
}

// As a mutex would be, which nothing panics under (Invariant 2).
impl<T> UnwindSafe for Own<T> {}
impl<T> RefUnwindSafe for Own<T> {}

impl<T> fmt::Debug for Own<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Own").finish_non_exhaustive()
    }
}
