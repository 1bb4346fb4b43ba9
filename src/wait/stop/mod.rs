//! [`Stop`]: ends waits from another thread, or from a signal handler.
//!
//! ```text
//!   clear --set()--> set, for good; then each watched condition variable is woken
//!                    (`watch_list.rs`: which are watched, and how long they stay mapped)
//! ```
//!
//! Invariants:
//! 1. A sleeper has its condition variable watched before it reads the sequence that it sleeps on,
//!    and checks the flag behind that. [`Stop::set`] stores the flag before it walks the list. A
//!    full fence stands between the two on both sides (Dekker): the walk finds the condition
//!    variable, or the sleeper finds the flag.
//! 2. A walk raises the sequence before it wakes: a sleeper that is between its check and the
//!    system call does not fall asleep (lock, Invariant 3).
//! 3. [`Stop::set`] takes no lock, allocates nothing and waits for no thread. Its only system call
//!    is `FUTEX_WAKE`, which cannot fail here and so leaves `errno` alone.

#[cfg(test)]
mod model;
mod watch_list;

use crate::lock::Condvar;
use crate::os::{Deadline, MemoryBarrier};
use crate::shm::layout::CondvarWords;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::atomic::fence;
use watch_list::{Watch, WatchLists};

/// Ends calls that wait: from another thread, or from a signal handler.
///
/// A handle made by `with_stop` has the same verbs as the one that it was made from. Once the stop
/// is set, its calls do not wait any more. One that waits then, or would have to wait later, returns
/// `Interrupted`, and has taken and put nothing. One that finds a message, room or a permit at once
/// succeeds as before, so what is left can be drained. The `try_` forms never wait: they do not
/// change. Other handles of the same queue do not change either.
///
/// ```
/// use shmq::{Queue, Stop};
///
/// let jobs = Queue::<u64>::new(16)?;
/// let stop = Stop::new();
/// let worker = std::thread::spawn({
///     let jobs = jobs.with_stop(&stop);
///     move || jobs.get()
/// });
/// stop.set();
/// assert!(worker.join().unwrap().unwrap_err().is_interrupted());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// **How fast**: a call that sleeps until there is a message, room, a permit or another party is
/// woken at once. One that waits for a lock (whose holder is stopped, or works under a `Mutex`)
/// notices within 10 ms. With portable locks every wait notices within 10 ms.
///
/// **Which verbs**: `with_stop` exists on [`Queue`](crate::Queue), [`Producer`](crate::Producer),
/// [`Consumer`](crate::Consumer), their forms for objects, and all of [`sync`](crate::sync). In
/// [`wait_any`](crate::wait_any()), a handle with a stop that is set ends the wait with
/// [`WaitError::Interrupted`](crate::WaitError::Interrupted); a `Stop` may also stand in the list
/// itself, and is ready once it is set. A stop costs nothing where a call does not wait, and a few
/// atomic instructions each time that it sleeps.
///
/// A future does not wait in a call: it is ended by dropping it, and no stop is needed.
///
/// **In a signal handler** [`set`](Self::set) and [`is_set`](Self::is_set) may be called, whatever
/// they interrupt.
///
/// **After a fork** the child has a copy: set if it was set then, and its own from then on. Setting
/// one does not set the other. To stop several processes use an [`Event`](crate::sync::Event) and
/// [`wait_any`](crate::wait_any()), or close the queue.
#[derive(Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_set: AtomicBool,
    lists: WatchLists,
    /// For a wait on several things, this among them. In memory of this process.
    own: CondvarWords,
}

impl Stop {
    /// A stop that is not set.
    ///
    /// ```
    /// assert!(!shmq::Stop::new().is_set());
    /// ```
    pub fn new() -> Stop {
        Stop::default()
    }

    /// Sets it, for good, and wakes the calls of this process that wait by it. Other processes that
    /// sleep in the same place wake up too, find nothing, and sleep again.
    ///
    /// Never waits. May be called in a signal handler, whatever it interrupts. A handler needs a
    /// stop that exists before the signal can come:
    ///
    /// ```
    /// use std::sync::OnceLock;
    ///
    /// static STOP: OnceLock<shmq::Stop> = OnceLock::new();
    ///
    /// extern "C" fn on_signal(_: libc::c_int) {
    ///     if let Some(stop) = STOP.get() {
    ///         stop.set();
    ///     }
    /// }
    ///
    /// let stop = STOP.get_or_init(shmq::Stop::new);
    /// // SAFETY: the handler calls nothing but `set`, which is async-signal-safe.
    /// unsafe { libc::signal(libc::SIGUSR1, on_signal as *const () as libc::sighandler_t) };
    /// # unsafe { libc::raise(libc::SIGUSR1) };
    /// assert!(stop.is_set());
    /// ```
    pub fn set(&self) {
        self.shared.is_set.store(true, Release);
        self.shared.own.nudge();
        // Invariant 1.
        fence(SeqCst);
        self.shared.lists.nudge_all();
    }

    /// Was it set? One load: for a loop that always finds work, and so never waits.
    ///
    /// ```
    /// use shmq::{Queue, Stop};
    ///
    /// let (jobs, stop) = (Queue::<u64>::new(4)?, Stop::new());
    /// jobs.put_slice(&[1, 2, 3])?;
    /// for job in &jobs.with_stop(&stop) {
    ///     if job? == 2 {
    ///         stop.set();
    ///     }
    ///     if stop.is_set() {
    ///         break; // with a message left
    ///     }
    /// }
    /// assert_eq!(jobs.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_set(&self) -> bool {
        self.shared.is_set.load(Acquire)
    }

    /// Has a condition variable watched, so that [`set`](Self::set) wakes those who sleep on it.
    fn watch<'a>(&'a self, condvar: Condvar<'a>) -> Watch<'a> {
        let watch = self.shared.lists.watch(condvar.words());
        // Invariant 1.
        fence(SeqCst);
        watch
    }

    /// What keeps the words of [`condvar`](Stop::condvar) where they are.
    #[cfg(all(feature = "async", not(shmq_portable_sync)))]
    pub(crate) fn keeper(&self) -> Arc<dyn Send + Sync> {
        Arc::<Shared>::clone(&self.shared)
    }

    /// Where a wait for several things sleeps for this one. `None`: it checks in short slices. Raised
    /// behind the flag: a waiter that registers before it checks needs no barrier.
    pub(crate) fn condvar(&self) -> Option<Condvar<'_>> {
        Condvar::of_this_process(&self.shared.own)
    }
}

/// Sleeps on a condition variable until woken or `until`, unless `ready` after registering, as
/// [`Condvar::wait`] does; and until the stop is set.
pub(crate) fn sleep(
    stop: Option<&Stop>,
    condvar: Condvar<'_>,
    barrier: &MemoryBarrier,
    until: Deadline,
    ready: &mut dyn FnMut() -> bool,
) {
    let Some(stop) = stop else { return condvar.wait(barrier, until, ready) };
    let _watch = stop.watch(condvar);
    condvar.wait(barrier, until, &mut || ready() || stop.is_set());
}

impl fmt::Debug for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Stop").field(&self.is_set()).finish()
    }
}
