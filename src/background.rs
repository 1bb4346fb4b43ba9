//! Threads of the crate itself (a pool's collector, the reactor): a fork does not count them, because
//! they hold nothing while they stand still.
//!
//! ```text
//!   collector:  [at work: shares WORK] -> sleeps, holding nothing -> [at work] -> ...
//!   fork:                                 takes WORK alone, forks, releases it
//! ```
//!
//! Invariant: while it is not at work, such a thread only sleeps. It takes no lock and emits no
//! event: a subscriber has locks (a log file's), and one that is held during a fork stays locked in
//! the child for ever. So the collector sleeps in `RawQueue::sleep_until_ready`, the reactor in
//! `reactor::sleep`, and both call all other methods of queues at work.

use std::cell::Cell;
#[cfg(any(feature = "async", feature = "object"))]
use std::sync::RwLockReadGuard;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockWriteGuard};

/// Held while none of them works. The child of a fork releases it, too.
pub(crate) type Still = RwLockWriteGuard<'static, ()>;

static WORK: RwLock<()> = RwLock::new(());
/// How many threads wait to fork, and in which process: threads of the crate yield to them.
static WAITING: AtomicU64 = AtomicU64::new(0);
/// How many such threads there are, and in which process: a forked child has none.
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_ONE: Cell<bool> = const { Cell::new(false) };
}

/// Threads of the crate that the caller need not count. None, if it is one of them.
pub(crate) fn count() -> usize {
    let (pid, count) = {
        let word = THREADS.load(Ordering::SeqCst);
        (word >> 32, word & 0xffff_ffff)
    };
    if pid != u64::from(std::process::id()) || IS_ONE.get() { 0 } else { count as usize }
}

/// While it lives, its thread waits to fork.
pub(crate) struct WaitingToFork(());

impl WaitingToFork {
    pub fn begin() -> WaitingToFork {
        let _ = WAITING.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| Some(more(word)));
        WaitingToFork(())
    }
}

impl Drop for WaitingToFork {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The word with one more, if it is of this process; else one, of this process.
fn more(word: u64) -> u64 {
    let ours = u64::from(std::process::id()) << 32;
    if word >> 32 == ours >> 32 { word + 1 } else { ours | 1 }
}

/// Keeps them still until the guard is dropped. `None`: one is at work now, try again.
pub(crate) fn hold_still() -> Option<Still> {
    if count() == 0 {
        // No thread to wait for, and a child forked by other means may have inherited the lock in
        // any state.
        return IDLE.try_write().ok();
    }
    WORK.try_write().ok()
}

/// Held instead if there is no such thread.
static IDLE: RwLock<()> = RwLock::new(());

/// How often a thread yields to others that wait to fork: one that waits longer is refused, or
/// stuck.
#[cfg(any(feature = "async", feature = "object"))]
const YIELDS: u32 = 300;

/// Whether the caller is one of them.
#[cfg(any(feature = "async", feature = "object"))]
pub(crate) fn is_one() -> bool {
    IS_ONE.get()
}

/// While it lives, its thread counts as one of the crate's.
#[cfg(any(feature = "async", feature = "object"))]
pub(crate) struct Presence;

#[cfg(any(feature = "async", feature = "object"))]
impl Presence {
    pub fn begin() -> Presence {
        IS_ONE.set(true);
        let _ = THREADS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| Some(more(word)));
        Presence
    }

    /// The thread is at work while the guard lives: no other thread forks then. Those that wait to
    /// fork go first.
    pub fn work(&self) -> RwLockReadGuard<'static, ()> {
        for _ in 0..YIELDS {
            let waiting = WAITING.load(Ordering::SeqCst);
            if waiting & 0xffff_ffff == 0 || waiting >> 32 != u64::from(std::process::id()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        WORK.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(any(feature = "async", feature = "object"))]
impl Drop for Presence {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::SeqCst);
    }
}
