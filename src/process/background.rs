//! Threads of the crate itself (a pool's collector): a fork does not mind them, because they hold nothing while they stand still.
//!
//! ```text
//!   collector:  [at work: shares WORK] -> sleeps, holding nothing -> [at work] -> ...
//!   fork:                                 takes WORK alone, forks, lets go
//! ```
//!
//! Invariant: while it is not at work, such a thread only sleeps. It takes no lock and emits no
//! event: a subscriber has locks (a log file's), and one that is held during a fork stays locked in
//! the child for ever. So it sleeps in `RawQueue::sleep_until_ready`, and whatever a verb of a queue
//! may do besides, it does at work.

use std::cell::Cell;
#[cfg(feature = "object")]
use std::sync::RwLockReadGuard;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockWriteGuard};

/// Held while nobody of them works. The child of a fork lets go of it, too.
pub(super) type Still = RwLockWriteGuard<'static, ()>;

static WORK: RwLock<()> = RwLock::new(());
/// How many threads wish to fork, and in which process: those at work give way.
static WISHES: AtomicU64 = AtomicU64::new(0);
/// How many there are, and in which process: a forked child has none.
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_ONE: Cell<bool> = const { Cell::new(false) };
}

/// Threads of the crate that the caller may ignore. None, if it is one of them.
pub(super) fn count() -> usize {
    let (pid, count) = {
        let word = THREADS.load(Ordering::SeqCst);
        (word >> 32, word & 0xffff_ffff)
    };
    if pid != u64::from(std::process::id()) || IS_ONE.get() { 0 } else { count as usize }
}

/// A wish to fork, for as long as it lives.
pub(super) struct Wish(());

impl Wish {
    pub fn make() -> Wish {
        let _ = WISHES.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| Some(more(word)));
        Wish(())
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        WISHES.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One more than the word says, if it speaks of this process.
fn more(word: u64) -> u64 {
    let ours = u64::from(std::process::id()) << 32;
    if word >> 32 == ours >> 32 { word + 1 } else { ours | 1 }
}

/// Keeps them still until the guard is dropped. `None`: one is at work now.
pub(super) fn hold_still() -> Option<Still> {
    if count() == 0 {
        // Nobody to wait for, and a child forked by other means may have inherited the lock in any state.
        return IDLE.try_write().ok();
    }
    WORK.try_write().ok()
}

/// What is held where there is nobody to keep still.
static IDLE: RwLock<()> = RwLock::new(());

/// How often a thread lets others fork first: a wish that lasts longer is not granted, or stuck.
#[cfg(feature = "object")]
const GIVING_WAY: u32 = 300;

/// Is the caller one of them?
#[cfg(feature = "object")]
pub(crate) fn is_one() -> bool {
    IS_ONE.get()
}

/// A thread of the crate says that it is one, for as long as it lives.
#[cfg(feature = "object")]
pub(crate) struct Presence;

#[cfg(feature = "object")]
impl Presence {
    pub fn begin() -> Presence {
        IS_ONE.set(true);
        let _ = THREADS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| Some(more(word)));
        Presence
    }

    /// While the guard lives, nobody forks. Whoever wishes to, goes first.
    pub fn work(&self) -> RwLockReadGuard<'static, ()> {
        for _ in 0..GIVING_WAY {
            let wishes = WISHES.load(Ordering::SeqCst);
            if wishes & 0xffff_ffff == 0 || wishes >> 32 != u64::from(std::process::id()) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        WORK.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(feature = "object")]
impl Drop for Presence {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::SeqCst);
    }
}
