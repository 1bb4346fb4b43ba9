//! Atomics that count their writes, and kill or stop this process before one of them: under `--cfg
//! shmq_counted`, for `tests/two_deaths` alone.
//!
//! A write is a store, a swap, a compare-and-exchange (successful or not) or a `fetch_`. Plain
//! bytes of a payload do not count: they are no message before the header that publishes them. The
//! count is the process's, and a forked child goes on with its parent's until it [arms](arm) its
//! own.
#![allow(missing_docs, reason = "the atomics are as those of their names in core")]

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{self, Ordering};

/// Writes since the last [`arm`].
static WRITES: atomic::AtomicU64 = atomic::AtomicU64::new(0);
/// Number of the write before which the process ends or stops; 0 for none.
static LAST: atomic::AtomicU64 = atomic::AtomicU64::new(0);
/// The signal that it sends itself there.
static SIGNAL: atomic::AtomicI32 = atomic::AtomicI32::new(0);

/// From now on writes are counted from 1, and before write number `write` this process sends itself
/// `signal` (SIGKILL or SIGSTOP).
pub fn arm(write: u64, signal: i32) {
    SIGNAL.store(signal, Relaxed);
    WRITES.store(0, Relaxed);
    LAST.store(write, Relaxed);
}

/// No signal is sent from now on. Returns how many writes there were since [`arm`].
pub fn disarm() -> u64 {
    LAST.store(0, Relaxed);
    WRITES.load(Relaxed)
}

#[inline]
fn before_write() {
    if WRITES.fetch_add(1, Relaxed) + 1 == LAST.load(Relaxed) {
        // SAFETY: both take numbers. A signal to one's own process, which has one thread in this
        // test, has come when `kill` returns.
        unsafe { libc::kill(libc::getpid(), SIGNAL.load(Relaxed)) };
    }
}

macro_rules! counted {
    ($name:ident, $number:ty) => {
        /// As the atomic of that name in `core`.
        #[repr(transparent)]
        #[derive(Default)]
        pub struct $name(atomic::$name);

        #[allow(dead_code, reason = "the whole of what may be needed")]
        impl $name {
            pub const fn new(value: $number) -> $name {
                $name(atomic::$name::new(value))
            }

            pub const fn as_ptr(&self) -> *mut $number {
                self.0.as_ptr()
            }

            #[inline]
            pub fn load(&self, order: Ordering) -> $number {
                self.0.load(order)
            }

            #[inline]
            pub fn store(&self, value: $number, order: Ordering) {
                before_write();
                self.0.store(value, order);
            }

            #[inline]
            pub fn compare_exchange(
                &self,
                from: $number,
                to: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                before_write();
                self.0.compare_exchange(from, to, success, failure)
            }

            #[inline]
            pub fn compare_exchange_weak(
                &self,
                from: $number,
                to: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                before_write();
                self.0.compare_exchange_weak(from, to, success, failure)
            }

            pub fn fetch_update(
                &self,
                success: Ordering,
                failure: Ordering,
                mut change: impl FnMut($number) -> Option<$number>,
            ) -> Result<$number, $number> {
                let mut seen = self.0.load(failure);
                while let Some(next) = change(seen) {
                    match self.compare_exchange(seen, next, success, failure) {
                        Ok(before) => return Ok(before),
                        Err(now) => seen = now,
                    }
                }
                Err(seen)
            }
        }

        counted!(@ $name, $number, swap, fetch_add, fetch_sub, fetch_and, fetch_or, fetch_xor, fetch_max, fetch_min);

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }
    };
    (@ $name:ident, $number:ty, $($function:ident),*) => {
        #[allow(dead_code, reason = "as above")]
        impl $name {
            $(#[inline]
            pub fn $function(&self, value: $number, order: Ordering) -> $number {
                before_write();
                self.0.$function(value, order)
            })*
        }
    };
}

counted!(AtomicU32, u32);
counted!(AtomicU64, u64);
