//! Threads of the crate itself (a pool's collector): a fork does not mind them, because they hold nothing while they stand still.
//!
//! ```text
//!   collector:  [at work: shares WORK] -> sleeps, holding nothing -> [at work] -> ...
//!   fork:                                 takes WORK alone, forks, lets go
//! ```

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held while nobody of them works. The child of a fork lets go of it, too.
pub(super) type Still = RwLockWriteGuard<'static, ()>;

static WORK: RwLock<()> = RwLock::new(());
/// How many there are, and in which process: a forked child has none.
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_ONE: Cell<bool> = const { Cell::new(false) };
}

fn tagged(count: u64) -> u64 {
    u64::from(std::process::id()) << 32 | count
}

/// Threads of the crate that the caller may ignore. None, if it is one of them.
pub(super) fn count() -> usize {
    let (pid, count) = {
        let word = THREADS.load(Ordering::SeqCst);
        (word >> 32, word & 0xffff_ffff)
    };
    if pid != u64::from(std::process::id()) || IS_ONE.get() { 0 } else { count as usize }
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

/// A thread of the crate says that it is one, for as long as it lives.
#[cfg(feature = "object")]
pub(crate) struct Presence;

#[cfg(feature = "object")]
impl Presence {
    pub fn begin() -> Presence {
        IS_ONE.set(true);
        let add = |word: u64| Some(if word >> 32 == u64::from(std::process::id()) { word + 1 } else { tagged(1) });
        let _ = THREADS.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        Presence
    }

    /// While the guard lives, nobody forks.
    pub fn work(&self) -> RwLockReadGuard<'static, ()> {
        WORK.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(feature = "object")]
impl Drop for Presence {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::SeqCst);
    }
}
