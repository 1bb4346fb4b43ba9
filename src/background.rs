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
use std::sync::atomic::{AtomicU64, Ordering};

/// Held while none of them works. The child of a fork releases it, too.
pub(crate) struct Still(());

/// How many of them are at work, or [`STILL`], and in which process. A child that was forked by other
/// means while they worked finds its parent's word, which says nothing of its own threads.
static WORK: AtomicU64 = AtomicU64::new(0);
/// A thread forks: none is at work.
const STILL: u64 = 0xffff_ffff;
/// How many threads wait to fork, and in which process: threads of the crate yield to them.
static WAITING: AtomicU64 = AtomicU64::new(0);
/// How many such threads there are, and in which process: a forked child has none.
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The process in which this thread is one of them: a child that it forks is none.
    static IS_ONE_IN: Cell<u32> = const { Cell::new(0) };
}

/// Threads of the crate that the caller need not count. None, if it is one of them.
pub(crate) fn count() -> usize {
    let (pid, count) = {
        let word = THREADS.load(Ordering::SeqCst);
        (word >> 32, word & 0xffff_ffff)
    };
    if pid != u64::from(std::process::id()) || IS_ONE_IN.get() == std::process::id() { 0 } else { count as usize }
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

/// This process, in the upper half of a word.
fn ours() -> u64 {
    u64::from(std::process::id()) << 32
}

/// The count in a word; 0 if it is another process's.
fn count_in(word: u64) -> u64 {
    if word >> 32 == ours() >> 32 { word & 0xffff_ffff } else { 0 }
}

/// The word with one more, if it is of this process; else one, of this process.
fn more(word: u64) -> u64 {
    ours() | (count_in(word) + 1)
}

/// Keeps them still until the guard is dropped. `None`: one is at work now, try again.
pub(crate) fn hold_still() -> Option<Still> {
    let seen = WORK.load(Ordering::SeqCst);
    let held = count_in(seen) == 0 && WORK.compare_exchange(seen, ours() | STILL, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    held.then_some(Still(()))
}

impl Drop for Still {
    fn drop(&mut self) {
        WORK.store(0, Ordering::SeqCst);
    }
}

/// How often a thread yields to others that wait to fork: one that waits longer is refused, or
/// stuck.
#[cfg(any(feature = "async", feature = "object"))]
const YIELDS: u32 = 300;
/// Between two yields, or two looks whether a fork is over.
#[cfg(any(feature = "async", feature = "object"))]
const MOMENT: std::time::Duration = std::time::Duration::from_micros(100);

/// Whether the caller is one of them.
#[cfg(feature = "object")]
pub(crate) fn is_one() -> bool {
    IS_ONE_IN.get() == std::process::id()
}

/// While it lives, its thread counts as one of the crate's.
#[cfg(any(feature = "async", feature = "object"))]
pub(crate) struct Presence;

#[cfg(any(feature = "async", feature = "object"))]
impl Presence {
    pub fn begin() -> Presence {
        IS_ONE_IN.set(std::process::id());
        // At work, as at the end: the count does not change while they are held still.
        let _at_work = begin_work();
        let _ = THREADS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| Some(more(word)));
        Presence
    }

    /// The thread is at work while the guard lives: no other thread forks then. Those that wait to
    /// fork go first.
    pub fn work(&self) -> AtWork {
        for _ in 0..YIELDS {
            if count_in(WAITING.load(Ordering::SeqCst)) == 0 {
                break;
            }
            std::thread::sleep(MOMENT);
        }
        begin_work()
    }
}

/// Waits for a fork that is under way.
#[cfg(any(feature = "async", feature = "object"))]
fn begin_work() -> AtWork {
    loop {
        let seen = WORK.load(Ordering::SeqCst);
        if count_in(seen) == STILL {
            std::thread::sleep(MOMENT);
        } else if WORK.compare_exchange(seen, more(seen), Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return AtWork(());
        }
    }
}

/// See [`Presence::work`].
#[cfg(any(feature = "async", feature = "object"))]
pub(crate) struct AtWork(());

#[cfg(any(feature = "async", feature = "object"))]
impl Drop for AtWork {
    fn drop(&mut self) {
        WORK.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(any(feature = "async", feature = "object"))]
impl Drop for Presence {
    fn drop(&mut self) {
        let _at_work = begin_work();
        THREADS.fetch_sub(1, Ordering::SeqCst);
    }
}
