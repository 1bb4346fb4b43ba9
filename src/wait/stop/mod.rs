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

mod check;
#[cfg(test)]
mod check_model;
#[cfg(test)]
mod model;
mod watch_list;

pub(crate) use check::{Answer, OnUnwind};

use crate::lock::Condvar;
use crate::os::{Deadline, MemoryBarrier};
use crate::shm::layout::CondvarWords;
use check::Check;
use std::fmt;
use std::ops::ControlFlow;
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
/// **A host with code of its own to run** while a call waits (an interpreter's signal handlers) makes
/// the stop [`with_check`](Self::with_check).
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
    check: Option<Check>,
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

    /// A stop with a check, which calls that wait run in between: for a host that must run code of
    /// its own while one of its threads is blocked, such as an interpreter with signal handlers.
    ///
    /// A call that waits by this stop calls `check` on its own thread: at once after a signal whose
    /// handler has returned (`EINTR`), and each 0.1 s. `Continue`: the call goes on, with its
    /// deadline, its place in line and its counters. `Break`: it ends with `Interrupted`, and has
    /// taken and put nothing. The stop is not set by that, so the next call waits again.
    ///
    /// ```
    /// use shmq::{Queue, Stop};
    /// use std::ops::ControlFlow;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// use std::time::Duration;
    ///
    /// static CAME: AtomicBool = AtomicBool::new(false);
    ///
    /// extern "C" fn on_signal(_: libc::c_int) {
    ///     CAME.store(true, Ordering::Relaxed);
    /// }
    ///
    /// // SAFETY: the handler stores to an atomic.
    /// unsafe { libc::signal(libc::SIGALRM, on_signal as *const () as libc::sighandler_t) };
    /// let check = || if CAME.swap(false, Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    ///
    /// let jobs = Queue::<u64>::new(16)?.with_stop(&Stop::with_check(check));
    /// unsafe { libc::alarm(1) };
    /// assert!(jobs.get().unwrap_err().is_interrupted()); // after a second
    /// assert!(jobs.get_timeout(Duration::from_millis(10)).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// **What a check may do**: whatever the program may do between two calls. It holds no lock of
    /// this crate, so it may use the same queue (a handle with the same stop runs the check again
    /// where it waits), set this stop, take long, panic (the panic leaves the call, which has taken
    /// and put nothing) and fork (in the child the call ends with `Interrupted`). While it runs, its
    /// call takes no message; others are woken in its place. (A notice of a condition variable may
    /// still choose the call: it uses the notice after the check, or hands it on if it ends.) The time that it takes delays the
    /// deadline by no more than that time, and a message that has come meanwhile is taken.
    ///
    /// **When it is not called**: by calls that need not wait, by the `try_` forms, by futures, and by
    /// a call that waits for less than 0.1 s (10 ms, if it waits for a lock) without a signal. A signal that comes between the call
    /// and its first sleep is answered at the next slice.
    ///
    /// **How fast** without `EINTR` (a signal that another thread took, a strategy that spins, portable
    /// locks, `wait_any` under a handler with `SA_RESTART`): within 0.1 s. While a call waits for a lock
    /// whose holder is stopped: within 10 ms of a signal.
    ///
    /// A check that owns a handle made by its own stop keeps both alive for good: a cycle of
    /// reference counts.
    pub fn with_check(check: impl Fn() -> ControlFlow<()> + Send + Sync + 'static) -> Stop {
        let shared = Shared { check: Some(Check(Box::new(check))), ..Shared::default() };
        Stop { shared: Arc::new(shared) }
    }

    /// Runs the check, if there is one. The calling call holds nothing (`check`, Invariant 1).
    pub(crate) fn ask(&self) -> Answer {
        let Some(Check(check)) = &self.shared.check else { return Answer::NoCheck };
        let asked_in = watch_list::current();
        let answer = check();
        // `check`, Invariant 4.
        let is_child = watch_list::current() != asked_in;
        if is_child || answer.is_break() { Answer::End } else { Answer::GoOn }
    }

    /// Is it the same stop, or a clone of it?
    pub(crate) fn is_same(&self, other: &Stop) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
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
