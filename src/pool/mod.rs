//! [`Pool`]: worker processes that run tasks, and never hang anybody by dying.
//!
//! ```text
//!   program                         queues (shared memory)            processes
//!   caller ── chunk of tasks ─────> tasks   ──lease──────────────────> worker * n ──┐
//!   collector <── results ───────── results <─────────────────────────────┘         │ forked, replaced and ended by
//!      └──────────── socket: who was started, who ended ───────────── keeper <──────┘
//!                                                                     standby: the next keeper
//! ```
//!
//! Invariants:
//! 1. A chunk is in the tasks' ring until its results are in the results' ring: a worker holds it by lease. If the worker dies, the
//!    chunk is delivered again, and fails or is retried by whoever gets it (`worker`).
//! 2. A job counts each chunk once, whatever is done twice (`job`).
//! 3. If all that could put results is gone, the socket is at its end, and the collector fails what is left (`collector`, `keeper`).
//! 4. The program knows its workers by pid only, and acts on none: what it knows of a death has other sources, none of which mistakes a pid
//!    that was given to another process. (Of keeper and standby it has pidfds, to end them where they are stopped.)
//!     - That a worker holds a chunk no more is told by the kernel's lock on its participant byte, to whoever looks at the tasks' ring.
//!     - Its keeper, which is its parent, has a pidfd of each worker and of the standby, sleeps on all of them, and reaps; it reports to the
//!       program. A pidfd in the program would tell the same a moment earlier, and the program could neither reap nor replace.
//!     - The keeper's death kills its workers (`keeper`, Invariant 2). The program has a pidfd of the first keeper, and of them all the end of
//!       the socket, which no pid comes into.

mod batch;
mod builder;
mod collector;
mod error;
mod imap;
mod job;
mod keeper;
mod message;
mod report;
mod result;
mod roster;
mod worker;

pub use batch::Batch;
pub use builder::PoolBuilder;
pub use error::{PoolError, TaskError};
pub use imap::{Imap, ImapUnordered};
pub use job::Progress;
pub use result::AsyncResult;
pub use roster::PoolStats;

use self::collector::{Phase, Shared};
use self::job::Job;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Worker processes that run tasks: Python's `multiprocessing.Pool`, on this crate's queues.
///
/// A task is a function and its argument. The function is a `fn(A) -> R`: a `fn` item, a closure
/// that captures nothing (one that captures does not compile), or one of several that is chosen at
/// run time. The argument is anything that serde can encode, tuples for several arguments, handles
/// of queues included. So is its result; an `Err` in it is just a value.
///
/// **A worker that dies hangs nobody.** Killed, crashed, or having called `exit`, its task fails with [`TaskError::WorkerDied`] or is
/// [retried](PoolBuilder::retries), another worker takes its place, and the pool goes on; also if all die at once. A panic in a task is
/// [`TaskError::Panicked`] and costs no worker. The processes that look after the workers replace each other, too. If the program dies, however it
/// does, all of them go with it.
///
/// **Dropping terminates**: tasks that are not done are given up with [`TaskError::Terminated`]. To finish them, [`close`](Self::close)
/// and [`join`](Self::join).
///
/// **A forked child has no part in the pool**: its copies of the pool, of results and of iterators
/// answer [`TaskError::Inherited`] at once, and dropping them does nothing. A child that needs a
/// pool builds one.
///
/// The workers are forks of the program as it was when the pool was built. A program that has threads by then calls
/// [`process::init`](crate::process::init) first in `main`. The pool's own thread does not count.
///
/// **If the system refuses workers**, [`PoolBuilder::build`] returns its errno where there is not one, and otherwise a pool of fewer:
/// [`workers`](Self::workers) and [`stats`](Self::stats) say so, and a `tracing` event does; the pool goes on trying. One that lost all
/// workers and can start none for 5 s fails with [`TaskError::Broken`], which says why. Keepers that are stopped (a debugger, a frozen
/// cgroup) are killed when the pool is dropped, after 5 s; a drop takes 10 s at most, and some more where even that is in vain.
///
/// # In a service
///
/// | SIGTERM, SIGHUP, SIGQUIT, SIGINT in | |
/// |---|---|
/// | the program | as it has set them |
/// | the keeper and its standby | ignored: they end with the program or the pool |
/// | a worker | ignored: it finishes what it has, and ends with the program or the pool |
/// | a worker, with [`program_signals(true)`](PoolBuilder::program_signals) | ignored if the program ignores it, else it ends the worker |
///
/// So a signal to the whole process group (a service manager's, Ctrl-C) is the program's alone to answer: it closes the pool, waits for
/// the results, and ends. Descriptors of the program beside 0, 1 and 2 lead to `/dev/null` in the pool's processes, but for those of
/// [`keep_fds`](PoolBuilder::keep_fds): what the program closes is closed.
///
/// A pool under tokio that survives `kill -TERM -PGID` and finishes its tasks: `docs/services.md`, and `examples/pool_service.rs`.
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
/// let Err(error) = pool.apply(|n: i32| -> () { std::process::exit(n) }, 3) else { panic!("it ended") };
/// assert!(matches!(error, TaskError::WorkerDied { attempts: 1, status: Some(status), .. } if status.code() == Some(3)));
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

/// Tells a pool's messages from any others.
fn random_nonce() -> u64 {
    RandomState::new().hash_one(std::process::id()) | 1
}

impl Pool {
    /// A pool of so many workers.
    ///
    /// # Errors
    /// As [`PoolBuilder::build`].
    pub fn new(workers: usize) -> Result<Pool, PoolError> {
        Pool::builder().workers(workers).build()
    }

    /// Settings for a pool.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }

    /// Runs one task in a worker and waits for its result.
    ///
    /// # Errors
    /// [`TaskError`]: what became of the task instead.
    pub fn apply<A, R>(&self, task: fn(A) -> R, argument: A) -> Result<R, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (job, _) = self.batch().apply_async(task, &argument, None)?;
        job.wait(None);
        result::only(&job)
    }

    /// Sends one task to the workers, and does not wait.
    ///
    /// # Errors
    /// [`TaskError::Closed`], [`TaskError::Terminated`], or how the pool failed. Other errors are the result's.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let later = pool.apply_async(|n: u64| n + 1, 1)?;
    /// assert_eq!(later.get()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_async<A, R>(&self, task: fn(A) -> R, argument: A) -> Result<AsyncResult<R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        Ok(AsyncResult::of_one(self.batch().apply_async(task, &argument, None)?.0))
    }

    /// As [`apply_async`](Self::apply_async); `callback` is called once with what [`AsyncResult::get`] would return, the error included,
    /// in the pool's own thread as a rule: keep it short, and do not wait for the pool in it. It has returned before `get` and `wait` do,
    /// and before `ready` says so. If it panics, that is told on stderr, and the pool lives on.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async). The callback is then not called.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let pool = shmq::Pool::new(2)?;
    /// let (tell, told) = mpsc::channel();
    /// pool.apply_async_then(|n: u64| n + 1, 1, move |result| tell.send(result).unwrap())?;
    /// assert_eq!(told.recv()?, Ok(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_async_then<A, R, C>(&self, task: fn(A) -> R, argument: A, callback: C) -> Result<AsyncResult<R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        C: FnOnce(Result<R, TaskError>) + Send + 'static,
    {
        let callback = Box::new(move |job: &Job| callback(result::only(job)));
        Ok(AsyncResult::of_one(self.batch().apply_async(task, &argument, Some(callback))?.0))
    }

    /// Runs a task for each of many arguments and waits for all results, in the order of the arguments. Tuples serve for several
    /// arguments (`starmap`). Chunk size, progress: [`batch`](Self::batch).
    ///
    /// # Errors
    /// The [`TaskError`] that came first, after all tasks have ended.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// assert_eq!(pool.map(|(a, b): (u32, u32)| a * b, [(1, 2), (3, 4)])?, [2, 12]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Vec<R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.batch().map(task, input)
    }

    /// As [`map`](Self::map), and does not wait. All of the input is read and kept.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async).
    pub fn map_async<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<AsyncResult<Vec<R>>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.batch().map_async(task, input)
    }

    /// Runs a task for each of many arguments; yields the results in the order of the arguments, each as soon as those before it
    /// are there. An error is yielded at its place, and does not end the iteration.
    ///
    /// The input is read as results are taken: at most so many chunks ahead as [`Batch::read_ahead`] says. So it may be endless.
    /// What is not read yet when the pool is [closed](Self::close) is not done: one [`TaskError::Closed`], and the end. If the input
    /// panics, the results of the items before come first, then that panic.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async).
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let first: Result<Vec<u64>, _> = pool.imap(|n: u64| n * n, 0..)?.take(4).collect();
    /// assert_eq!(first?, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn imap<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Imap<'_, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.batch().imap(task, input)
    }

    /// As [`imap`](Self::imap), with results in the order in which they come.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async).
    pub fn imap_unordered<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<ImapUnordered<'_, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.batch().imap_unordered(task, input)
    }

    /// Takes no more tasks; those that there are will be done, and then the workers end. Does not wait, and may be called again.
    pub fn close(&self) {
        if self.shared.is_ours() {
            self.shared.close();
        }
    }

    /// Ends the workers now. Whoever waits for a task that is not done gets [`TaskError::Terminated`]. Does not wait, and may be called
    /// again.
    pub fn terminate(&self) {
        if self.shared.is_ours() {
            self.shared.terminate();
        }
    }

    /// Waits until no process of the pool is left, after [`close`](Self::close) (all tasks are done then) or
    /// [`terminate`](Self::terminate).
    ///
    /// # Errors
    /// [`PoolError::StillOpen`] before either was called; [`PoolError::Failed`] if the pool failed, its initializer for instance.
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
            // It catches what it calls; if it panicked nevertheless, its hook has said so.
            let _ = collector.join();
        }
    }

    /// How many workers the pool has, dead ones that are about to be replaced included: as many as it was asked for, or fewer where
    /// the system refuses some for now. [`stats`](Self::stats) says why. (A pool that can have none at all fails.)
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
        self.shared.hear();
        self.shared.lock().roster.strength()
    }

    /// The pool's processes, as far as it knows at this moment. In a forked child, whose pool this is not, none run.
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
        self.shared.hear();
        self.shared.lock().roster.stats()
    }

    /// Process ids of the workers that run, as far as the pool knows at this moment: all that were started, right after it was
    /// built. They change as workers are replaced. None in a forked child, whose pool this is not.
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
        self.shared.hear();
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
        if !crate::process::background::is_one() {
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
