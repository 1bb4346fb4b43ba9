//! [`Pool`]: worker processes that run tasks, and never hang a caller by dying.
//!
//! ```text
//!   program                         queues (shared memory)        processes
//!   caller ── chunk of tasks ─────> tasks   ──lease──────────────> worker * n ──┐
//!   cancel, kill ─────────────────> board  <──takes a chunk, times───┘ │        │
//!   collector <── results ───────── results <──────────────────────────┘        │ forked, replaced
//!      └──────────── socket: reports of starts and ends ────────── supervisor <─┘ and ended by
//!                                                                  standby: the next supervisor
//! ```
//!
//! Invariants:
//! 1. A chunk is in the tasks' ring until its results are in the results' ring: a worker holds it
//!    by lease. If the worker dies, the chunk is delivered again, and the worker that gets it fails
//!    or retries it (`worker`).
//! 2. A job counts each chunk once, whatever is done twice (`job`). What may still happen to a
//!    chunk (to be run, cancelled, killed, timed out) is decided on its word of the `board`, once.
//! 3. If all processes that could put results are gone, the socket is at its end, and the collector
//!    fails what is left (`collector`, `supervisor`).
//! 4. The program knows its workers by pid only, and acts on none: what it knows of a death has
//!    other sources, none of which mistakes a pid that was given to another process. (Of supervisor
//!    and standby it has pidfds, to end them when they are stopped.)
//!     - That a worker no longer holds a chunk follows from the kernel's lock on its participant
//!       byte, which every reader of the tasks' ring checks.
//!     - Its supervisor, which is its parent, has a pidfd of each worker and of the standby, sleeps
//!       on all of them, and reaps; it reports to the program. A pidfd in the program would show
//!       the same a moment earlier, and the program could neither reap nor replace.
//!     - The supervisor's death kills its workers (`supervisor`, Invariant 2). The program has a
//!       pidfd of the first supervisor, and of all of them the end of the socket, which involves no
//!       pid.
//!
//! | question | file |
//! |---|---|
//! | how are tasks sent? | `submit`, `batch`, `chunker`, `message`; `send`: `room`, `entries` |
//! | how do results come back? | `worker`, `collector`, `job`, `piece`; `result`, `imap`, `task_future` |
//! | how is a task cancelled, or ended in time? | `board`; `send`, `worker`, `supervisor` |
//! | what happens when a worker dies? | `worker`, `supervisor` (its replacement), `collector` |
//! | what does the program know of the pool's processes? | `roster`, by `report`s |
//! | how does a pool begin and end? | `builder`, `start`, `state` |

mod batch;
mod board;
mod builder;
mod chunker;
mod collector;
mod entries;
mod error;
mod imap;
mod job;
mod message;
mod panic;
mod piece;
mod report;
mod result;
mod room;
mod roster;
mod send;
mod settings;
mod start;
mod state;
mod submit;
mod supervisor;
#[cfg(feature = "async")]
mod task_future;
mod worker;

pub use batch::Batch;
pub use builder::PoolBuilder;
pub use error::{PoolError, TaskError, TryApplyError};
pub use imap::Imap;
#[cfg(feature = "async")]
pub use imap::ImapStream;
pub use job::Progress;
pub use result::AsyncResult;
pub use roster::PoolStats;
#[cfg(feature = "async")]
pub use task_future::TaskFuture;

use self::state::{Phase, Shared};
use crate::background;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Worker processes that run tasks: Python's `multiprocessing.Pool`, on this crate's queues.
///
/// A task is a function and its argument. The function is a `fn(A) -> R`: a `fn` item, a closure
/// that captures nothing (one that captures does not compile), or one of several that is chosen at
/// run time. The argument is anything that serde can encode, tuples for several arguments, handles
/// of queues included. So is its result; an `Err` in it is just a value.
///
/// **A worker that dies hangs no caller.** If it was killed, crashed or called `exit`, its task
/// fails with [`TaskError::WorkerDied`] or is [retried](PoolBuilder::retries), another worker takes
/// its place, and the pool goes on; also if all die at once. A panic in a task is
/// [`TaskError::Panicked`] and costs no worker. The processes that supervise the workers replace
/// each other, too. If the program dies, however it does, all of them end with it.
///
/// **Dropping terminates**: tasks that are not done are given up with [`TaskError::Terminated`]. To
/// finish them, [`close`](Self::close) and [`join`](Self::join).
///
/// **A forked child has no part in the pool**: its copies of the pool, of results and of iterators
/// answer [`TaskError::Inherited`] at once, and dropping them does nothing. A child that needs a
/// pool builds one.
///
/// The workers are forks of the program as it was when the pool was built. A program that has
/// threads by then calls [`process::init`](crate::process::init) first in `main`. The pool's own
/// thread does not count.
///
/// **If the system refuses workers**, [`PoolBuilder::build`] returns its errno if there is not one,
/// and otherwise a pool of fewer: [`workers`](Self::workers), [`stats`](Self::stats) and a
/// `tracing` event show it; the pool goes on trying. One that lost all workers and can start none
/// for 5 s fails with [`TaskError::Broken`], whose text has the reason. A supervisor that is
/// stopped (by a debugger, in a frozen cgroup) is killed when the pool is dropped, after 5 s; a
/// drop takes 10 s at most, and some more if even that has no effect.
///
/// # In a service
///
/// | SIGTERM, SIGHUP, SIGQUIT, SIGINT in | |
/// |---|---|
/// | the program | as it has set them |
/// | the supervisor and its standby | ignored: they end with the program or the pool |
/// | a worker | ignored: it finishes its task, and ends with the program or the pool |
/// | a worker, with `program_signals(true)` | ignored if the program ignores it, else fatal |
///
/// So a signal to the whole process group (a service manager's, Ctrl-C) is the program's alone to
/// answer: it closes the pool, waits for the results, and ends. Descriptors of the program beside
/// 0, 1 and 2 lead to `/dev/null` in the pool's processes, but for those of
/// [`keep_fds`](PoolBuilder::keep_fds): what the program closes is closed.
///
/// A pool under tokio that survives `kill -TERM -PGID` and finishes its tasks: `docs/services.md`,
/// and `examples/pool_service.rs`.
///
/// # Example
///
/// ```
/// use shmq::{Pool, TaskError};
///
/// fn shout((text, times): (String, usize)) -> String {
///     text.to_uppercase().repeat(times)
/// }
///
/// let pool = Pool::new(4)?;
/// assert_eq!(pool.apply(shout, ("ab".to_string(), 2))?, "ABAB");
/// assert_eq!(pool.map(|n: u64| n * n, 1..=5)?, [1, 4, 9, 16, 25]);
///
/// let failed = pool.apply(|n: u64| 10 / n, 0);
/// assert!(matches!(failed, Err(TaskError::Panicked { .. })));
/// let exit = |code: i32| -> () { std::process::exit(code) };
/// match pool.apply(exit, 3) {
///     Err(TaskError::WorkerDied { attempts: 1, status: Some(status), .. }) => {
///         assert_eq!(status.code(), Some(3));
///     }
///     other => panic!("{other:?}"),
/// }
///
/// pool.close();
/// pool.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail,E0308
/// let pool = shmq::Pool::new(1).unwrap();
/// let captured = 3;
/// pool.apply(move |n: i32| n + captured, 4); // the 3 would have to travel in the argument
/// ```
///
/// ```compile_fail,E0308
/// #[derive(Clone, Copy)]
/// struct Initialised; // exists only where something was set up: not in a worker
///
/// let pool = shmq::Pool::new(1).unwrap();
/// let token = Initialised;
/// pool.map(move |n: i32| { let _proof = token; n }, 0..3);
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    collector: Mutex<Option<JoinHandle<()>>>,
}

impl Pool {
    /// Takes no more tasks; those that there are will be done, and then the workers end. Does not
    /// wait, and may be called again.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let result = pool.apply_async(|n: u64| n + 1, 1)?;
    /// pool.close();
    /// assert!(pool.apply(|n: u64| n, 1).unwrap_err().is_closed());
    /// pool.join()?;
    /// assert_eq!(result.get()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) {
        if self.shared.is_ours() {
            self.shared.close();
        }
    }

    /// Ends the workers now. Callers that wait for a task that is not done get
    /// [`TaskError::Terminated`]. Does not wait, and may be called again.
    ///
    /// ```
    /// let pool = shmq::Pool::new(1)?;
    /// let endless = pool.apply_async(|()| -> () { loop { std::thread::park() } }, ())?;
    /// pool.terminate();
    /// assert_eq!(endless.get(), Err(shmq::TaskError::Terminated));
    /// pool.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn terminate(&self) {
        if self.shared.is_ours() {
            self.shared.terminate();
        }
    }

    /// Waits until no process of the pool is left, after [`close`](Self::close) (all tasks are done
    /// then) or [`terminate`](Self::terminate).
    ///
    /// # Errors
    /// [`PoolError::StillOpen`] before either was called; [`PoolError::Failed`] if the pool failed,
    /// its initializer for instance.
    ///
    /// ```
    /// let pool = shmq::Pool::new(1)?;
    /// assert!(matches!(pool.join(), Err(shmq::PoolError::StillOpen)));
    /// pool.close();
    /// pool.join()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self) -> Result<(), PoolError> {
        if !self.shared.is_ours() {
            return Err(PoolError::Failed(TaskError::Inherited));
        }
        let state = self.shared.lock();
        if state.phase == Phase::Open && state.failure.is_none() {
            return Err(PoolError::StillOpen);
        }
        drop(state);
        self.shared.wait_until_over();
        self.join_collector();
        self.shared.lock().failure.clone().map_or(Ok(()), |failure| Err(PoolError::Failed(failure)))
    }

    fn join_collector(&self) {
        let collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(collector) = collector {
            // It catches panics of what it calls; if it panicked nevertheless, the hook has printed
            // it.
            let _ = collector.join();
        }
    }

    /// How many workers the pool has, dead ones that are about to be replaced included: as many as
    /// it was asked for, or fewer while the system refuses some. [`stats`](Self::stats) has the
    /// reason. (A pool that can have none at all fails.)
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// assert_eq!(pool.workers(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn workers(&self) -> usize {
        if !self.shared.is_ours() {
            return 0;
        }
        self.shared.receive_reports();
        self.shared.lock().roster.strength()
    }

    /// The pool's processes, as far as it knows at this moment. In a forked child, whose pool this
    /// is not, none run.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let stats = pool.stats();
    /// assert_eq!((stats.asked, stats.running, stats.died), (2, 2, 0));
    /// assert_eq!(stats.refused, None); // or what the system said when it refused a worker
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> PoolStats {
        if !self.shared.is_ours() {
            return roster::Roster::new(self.shared.workers).stats();
        }
        self.shared.receive_reports();
        self.shared.lock().roster.stats()
    }

    /// Process ids of the workers that run, as far as the pool knows at this moment: all that were
    /// started, right after it was built. They change as workers are replaced. None in a forked
    /// child, whose pool this is not.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let pid = pool.apply(|()| std::process::id(), ())?;
    /// assert!(pool.worker_pids().contains(&pid));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn worker_pids(&self) -> Vec<u32> {
        if !self.shared.is_ours() {
            return Vec::new();
        }
        self.shared.receive_reports();
        self.shared.lock().roster.workers().collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.shared.is_ours() {
            // Dropping the handle would detach a thread by the parent's number for it, which names
            // another thread here, or freed memory.
            std::mem::forget(self.collector.get_mut().unwrap_or_else(PoisonError::into_inner).take());
            return;
        }
        self.shared.terminate();
        // Dropped by a callback: the collector cannot wait for itself, and ends by itself.
        if !background::is_one() {
            self.shared.wait_until_over();
            self.join_collector();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.shared.is_ours() {
            return out.write_str("Pool(inherited)");
        }
        let state = self.shared.lock();
        out.debug_struct("Pool")
            .field("workers", &self.shared.workers)
            .field("phase", &state.phase)
            .field("failure", &state.failure)
            .field("deaths", &state.roster.died())
            .finish_non_exhaustive()
    }
}
