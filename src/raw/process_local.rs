//! State of a queue that is private to one process, also across forks.
//!
//! Invariants:
//! 1. `holder` names the participant of which one thread is inside, or is 0: only that thread
//!    touches the value. A child has another id than its parent, and none of the parent's other
//!    threads: a value that it finds locked by another id was copied by the fork.
//! 2. Code inside is short and makes no callbacks: other threads can afford to wait for it.

use crate::shm::participant::Id;
use crossbeam_utils::Backoff as CrossbeamBackoff;
use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// Sleep between two checks, after spinning and yielding failed.
const MOMENT: Duration = Duration::from_micros(50);

#[derive(Default)]
pub(super) struct Own<T> {
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

/// Guard: the thread is inside until it is dropped.
pub(super) struct Inside<'a, T> {
    own: &'a Own<T>,
}

impl<T: Default> Own<T> {
    /// Waits for other threads of this process, never for another process. A value that a fork
    /// copied while locked may be half changed: it is leaked, and replaced by a new one.
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
                    // SAFETY: Invariant 1: `holder` names this thread since the exchange. The old
                    // value is not dropped.
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
        // SAFETY: Invariant 1: this guard's thread is inside, so no other thread writes the value.
        unsafe { &*self.own.value.get() }
    }
}

impl<T> DerefMut for Inside<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: Invariant 1: this guard's thread is inside, so no other thread accesses the
        // value.
        unsafe { &mut *self.own.value.get() }
    }
}

impl<T> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        // Release: the next thread inside sees the changes made here.
        self.own.holder.store(0, Release);
    }
}

// As with a mutex: no code inside panics (Invariant 2), so there is no poisoning.
impl<T> UnwindSafe for Own<T> {}
impl<T> RefUnwindSafe for Own<T> {}

impl<T> fmt::Debug for Own<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Own").finish_non_exhaustive()
    }
}
