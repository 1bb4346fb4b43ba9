//! [`PoolBuilder`]: settings of a pool.

use super::Pool;
use super::batch::limit_ns;
use super::board::{Board, NO_LIMIT};
use super::error::{PoolError, check_range};
use super::settings::{Initializer, PoolSettings};
use super::start::{os_error, start_pool};
use super::state::{Parts, Shared};
use super::worker::run_initializer;
use crate::object::{Codec, MessagePack};
use crate::os::{Home, socket};
use crate::process::fn_address::{Task, offset_of};
use crate::process::{Outcome, SpawnOptions};
use crate::queue::Queue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::RawFd;
use std::thread;
use std::time::Duration;

/// Workers that a pool may have: all of them, their successors and their supervisors must find room
/// in its queues.
const MAX_WORKERS: usize = 500;
/// Retries that a message's delivery count can hold.
const MAX_RETRIES: usize = 250;
/// Tasks that a worker can count.
const MAX_TASKS: usize = u32::MAX as usize;
/// Bytes of each of its two queues, unless set otherwise.
const DEFAULT_CAPACITY_BYTES: usize = 4 << 20;
impl Pool {
    /// A pool of so many workers.
    ///
    /// # Errors
    /// As [`PoolBuilder::build`].
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// assert_eq!(pool.apply(|n: u64| n + 1, 1)?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(workers: usize) -> Result<Pool, PoolError> {
        Pool::builder().workers(workers).build()
    }

    /// Settings for a pool.
    ///
    /// ```
    /// let pool = shmq::Pool::builder().workers(2).retries(1).build()?;
    /// assert_eq!(pool.workers(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }
}

/// Settings of a [`Pool`]; made by [`Pool::builder`]. Numbers are checked when it is
/// [built](Self::build).
///
/// ```
/// use shmq::Pool;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// static FACTOR: AtomicU64 = AtomicU64::new(0);
///
/// let pool = Pool::builder()
///     .workers(2)
///     // In each worker, before its first task.
///     .initializer(|factor: u64| FACTOR.store(factor, Ordering::Relaxed), 10)
///     .max_tasks_per_worker(100)
///     .retries(1)
///     .build()?;
/// assert_eq!(pool.apply(|n: u64| n * FACTOR.load(Ordering::Relaxed), 4)?, 40);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until build"]
pub struct PoolBuilder {
    workers: Option<usize>,
    max_tasks: Option<usize>,
    retries: usize,
    capacity_bytes: usize,
    max_pending: Option<usize>,
    limit: Option<Duration>,
    initializer: Option<Result<Initializer, String>>,
    program_signals: bool,
    keep_fds: Vec<RawFd>,
}

impl PoolBuilder {
    fn new() -> PoolBuilder {
        PoolBuilder {
            workers: None,
            max_tasks: None,
            retries: 0,
            capacity_bytes: DEFAULT_CAPACITY_BYTES,
            max_pending: None,
            limit: None,
            initializer: None,
            program_signals: false,
            keep_fds: Vec::new(),
        }
    }

    /// How many worker processes: from 1 to 500; as many as there are processors, if not set.
    ///
    /// ```
    /// let pool = shmq::Pool::builder().workers(3).build()?;
    /// assert_eq!(pool.workers(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// What each worker, replacements too, runs before its first task: a `fn` item or a closure
    /// that captures nothing, and its argument.
    ///
    /// If it fails (an `Err`, a number other than 0, a panic) the pool fails with
    /// [`TaskError::Initializer`](crate::TaskError::Initializer), and no more workers are started.
    /// If workers die in it again and again, the same after a few.
    ///
    /// ```
    /// use shmq::{Pool, TaskError};
    ///
    /// let fail = |()| Err::<(), _>("no database");
    /// let pool = Pool::builder().workers(2).initializer(fail, ()).build()?;
    /// match pool.apply(|n: u64| n, 1) {
    ///     Err(TaskError::Initializer { message }) => assert_eq!(message, "\"no database\""),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn initializer<A, R>(mut self, function: fn(A) -> R, argument: A) -> Self
    where
        A: Serialize + DeserializeOwned,
        R: Outcome,
    {
        let mut encoded = Task::offset::<A, R>(function).to_ne_bytes().to_vec();
        self.initializer = Some(
            MessagePack::encode(&argument, &mut encoded)
                .map(|()| Initializer { offset: offset_of(run_initializer::<A, R>), argument: encoded })
                .map_err(|error| error.to_string()),
        );
        self
    }

    /// A worker ends after so many tasks (or chunks), 1 or more, and another takes its place: for
    /// tasks that leak.
    ///
    /// ```
    /// let pool = shmq::Pool::builder().workers(1).max_tasks_per_worker(1).build()?;
    /// let pid = |()| std::process::id();
    /// assert_ne!(pool.apply(pid, ())?, pool.apply(pid, ())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_tasks_per_worker(mut self, count: usize) -> Self {
        self.max_tasks = Some(count);
        self
    }

    /// How often a task is begun again, by another worker, when its worker died in the middle of
    /// it: from 0 to 250. 0 if not set: such a task fails with
    /// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied). A chunk is retried, or fails, as a
    /// whole.
    ///
    /// A worker may die between its last result and the end of the task, so it must be harmless to
    /// run a retried task twice; its result counts once.
    ///
    /// ```
    /// use shmq::PoolError;
    ///
    /// let pool = shmq::Pool::builder().workers(1).retries(2).build()?;
    /// let died = pool.apply(|()| std::process::abort(), ());
    /// assert!(matches!(died, Err::<(), _>(shmq::TaskError::WorkerDied { attempts: 3, .. })));
    ///
    /// let refused = shmq::Pool::builder().retries(251).build();
    /// assert!(matches!(refused, Err(PoolError::OutOfRange { option: "retries", max: 250, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count as usize;
        self
    }

    /// Size of the queue for tasks and of that for results, 4 MiB each if not set. The largest
    /// argument or result takes half of it.
    ///
    /// ```
    /// let pool = shmq::Pool::builder().workers(1).capacity_bytes(32 << 20).build()?;
    /// assert_eq!(pool.apply(|bytes: Vec<u8>| bytes.len(), vec![0; 8 << 20])?, 8 << 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes;
        self
    }

    /// How many tasks may be pending at a time: sent, and without a result yet, those that run
    /// included. 1 or more; any number, if not set. So at least as many as there are workers keep
    /// all of them at work.
    ///
    /// While there is no room, [`apply`](Pool::apply), [`apply_async`](Pool::apply_async), `map` and
    /// their kin wait, in the order in which they came;
    /// [`apply_async_timeout`](Pool::apply_async_timeout) and `apply_async_deadline` give up with
    /// [`Timeout`](crate::TaskError::Timeout),
    /// [`try_apply_async`](Pool::try_apply_async) at once with [`Full`](crate::TaskError::Full), and
    /// [`imap`](Pool::imap) reads its input no further. A chunk has as many tasks at most. What is
    /// [cancelled](crate::AsyncResult::cancel) makes room at once.
    ///
    /// A callback, a progress hook, or the iterator of an input never waits, as it would wait for its
    /// own thread: the tasks that it sends go beyond the bound.
    ///
    /// ```
    /// use shmq::Pool;
    ///
    /// let pool = Pool::builder().workers(2).max_pending(4).build()?;
    /// // At most 4 of them are out at a time, though the input could be read at once.
    /// let results = (0..100).map(|n: u64| pool.apply_async(|n| n * n, n)).collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!(results[9].get()?, 81);
    ///
    /// let refused = Pool::builder().max_pending(0).build();
    /// assert!(matches!(refused, Err(shmq::PoolError::OutOfRange { option: "max_pending", .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn max_pending(mut self, tasks: usize) -> Self {
        self.max_pending = Some(tasks);
        self
    }

    /// How long a task may take. Of one that takes longer the worker is killed (`SIGKILL`), also if
    /// it is stopped, and another takes its place; the result is
    /// [`TaskError::TimedOut`](crate::TaskError::TimedOut), and the task is not run again, with
    /// [`retries`](Self::retries) neither. When the result is there, the task runs no more. Not
    /// set: any time. 1 ns or more; [`Batch::task_timeout`](crate::Batch::task_timeout) is for one
    /// call.
    ///
    /// The time of a task counts from when a worker begins it, waiting before does not count, nor
    /// does the putting of its result. It is never ended early, and a few ms late as a rule; a task
    /// that is over before it is ended has its result. Each task of a chunk has the whole time; if
    /// one of them takes longer, all tasks of its chunk fail, those that were done included, as
    /// they do if the worker dies: for tasks that may take too long, leave the
    /// [chunk size](crate::Batch::chunk_size) at 1.
    ///
    /// The [initializer](Self::initializer) is no task. While the supervisor is stopped (by a
    /// debugger) nothing is ended.
    ///
    /// ```
    /// use shmq::{Pool, TaskError};
    /// use std::time::Duration;
    ///
    /// let limit = Duration::from_millis(50);
    /// let pool = Pool::builder().workers(1).task_timeout(limit).build()?;
    /// let endless = pool.apply(|()| -> () { loop { std::thread::park() } }, ());
    /// assert!(matches!(endless, Err(TaskError::TimedOut { after, .. }) if after == limit));
    /// assert_eq!(pool.apply(|n: u64| n + 1, 1)?, 2); // by another worker
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Whether SIGTERM, SIGHUP, SIGQUIT and SIGINT do in a worker what they do in the program. Not
    /// set, or `false`: a worker ignores them, finishes its task, and ends with the pool or the
    /// program. So a service manager's SIGTERM, or Ctrl-C, which reach the whole process group, are
    /// the program's alone to answer.
    ///
    /// `true`: what the program ignores the workers ignore; what it handles, or leaves as it is,
    /// ends them (a task that is not done is then
    /// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied), or is retried): a handler that was
    /// inherited would write into the program's own pipes. All other signals, and the signal mask,
    /// are those of the program in any case. What a task executes ([`std::process::Command`])
    /// inherits what is ignored.
    ///
    /// ```
    /// let pool = shmq::Pool::builder().workers(1).program_signals(true).build()?;
    /// # use shmq::TaskError;
    /// # fn raise(signal: i32) -> i32 {
    /// #     // SAFETY: a signal to this process.
    /// #     unsafe { libc::kill(libc::getpid(), signal) }
    /// # }
    /// let ended = pool.apply(|()| raise(libc::SIGTERM), ());
    /// assert!(matches!(ended, Err(TaskError::WorkerDied { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn program_signals(mut self, same: bool) -> Self {
        self.program_signals = same;
        self
    }

    /// Descriptors of the program that its workers have too, at the same numbers, beside standard
    /// input, output and error. All others lead to `/dev/null` in the pool's processes: a pipe or a
    /// socket that the program closes is closed, though there is a pool. Not for queues of this
    /// crate, which keep what they need. (A worker that needs a file, a log's for instance, opens
    /// it in its [`initializer`](Self::initializer).)
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// use std::os::fd::{AsRawFd, FromRawFd};
    ///
    /// let (mut reader, writer) = std::os::unix::net::UnixStream::pair()?;
    /// let pool = shmq::Pool::builder().workers(1).keep_fds([writer.as_raw_fd()]).build()?;
    /// let number = writer.as_raw_fd();
    /// pool.apply(
    ///     |number| {
    ///         // SAFETY: the worker's own copy of the descriptor.
    ///         let mut file = unsafe { std::fs::File::from_raw_fd(number) };
    ///         file.write_all(b"from a worker").is_ok()
    ///     },
    ///     number,
    /// )?;
    /// let mut said = [0; 13];
    /// reader.read_exact(&mut said)?;
    /// assert_eq!(&said, b"from a worker");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_fds(mut self, numbers: impl IntoIterator<Item = RawFd>) -> Self {
        self.keep_fds.extend(numbers);
        self
    }

    /// Starts the pool, and returns when its workers were started. They are copies of the program
    /// as it is now; or, after [`process::init`](crate::process::init), as it was then.
    ///
    /// # Errors
    /// [`PoolError::OutOfRange`]: a number that cannot be used; [`PoolError::Argument`]: the
    /// initializer's argument cannot be encoded; [`PoolError::Create`]: no memory for the queues;
    /// [`PoolError::Spawn`]: the system starts not one worker for a second (`Os`, with the errno),
    /// or the program has threads ([`SpawnError::Threaded`](crate::SpawnError::Threaded): call
    /// [`process::init`](crate::process::init) first in `main`). If it starts some of the workers,
    /// the pool is built and goes on trying, see [`Pool::stats`].
    ///
    /// ```
    /// let pool = shmq::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.stats().running, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build(self) -> Result<Pool, PoolError> {
        let workers = self.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS));
        check_range("workers", workers, 1, MAX_WORKERS)?;
        check_range("max_tasks_per_worker", self.max_tasks.unwrap_or(1), 1, MAX_TASKS)?;
        check_range("retries", self.retries, 0, MAX_RETRIES)?;
        check_range("max_pending", self.max_pending.unwrap_or(1), 1, usize::MAX)?;
        let limit_ns = self.limit.map_or(Ok(NO_LIMIT), limit_ns)?;
        let initializer = self.initializer.transpose().map_err(|why| PoolError::Argument { why })?;
        let queue = || {
            let participants = (2 * workers + 16).min(1023);
            Queue::<[u8]>::builder().capacity_bytes(self.capacity_bytes).max_participants(participants).create()
        };
        let (tasks, results) = (queue()?, queue()?);
        let board = Board::new(workers as u32)?;
        board.note_limit(limit_ns);
        let home = Home::here().map_err(os_error("noticing forks (mmap)"))?;
        let (ours, theirs) = socket::packet_pair().map_err(os_error("socketpair"))?;
        let settings = PoolSettings {
            nonce: random_nonce(),
            program: std::process::id(),
            workers: workers as u32,
            max_tasks: self.max_tasks.map(|count| count as u32),
            retries: self.retries as u32,
            tasks: tasks.clone(),
            results: results.clone(),
            board: board.clone(),
            initializer,
            program_signals: self.program_signals,
        };
        let mut encoded = Vec::new();
        MessagePack::encode(&settings, &mut encoded).map_err(|error| PoolError::Argument { why: error.to_string() })?;
        let (nonce, max_pending) = (settings.nonce, self.max_pending);
        let parts = Parts { nonce, workers, tasks, results, board, max_pending, limit_ns };
        let shared = Shared::new(home, parts, ours);
        start_pool(shared, encoded, theirs, SpawnOptions::helper(self.keep_fds))
    }
}

/// Distinguishes a pool's messages from any others.
fn random_nonce() -> u64 {
    RandomState::new().hash_one(std::process::id()) | 1
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("max_tasks", &self.max_tasks)
            .field("retries", &self.retries)
            .field("capacity_bytes", &self.capacity_bytes)
            .field("max_pending", &self.max_pending)
            .field("task_timeout", &self.limit)
            .field("initializer", &self.initializer.is_some())
            .field("program_signals", &self.program_signals)
            .field("keep_fds", &self.keep_fds)
            .finish()
    }
}
