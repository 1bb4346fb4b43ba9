//! Settings of a pool.

use super::collector::{Shared, collect};
use super::error::{PoolError, TaskError};
use super::keeper::{self, Initializer, Settings};
use super::worker::run_initializer;
use super::{Pool, random_nonce};
use crate::object::{Codec, MessagePack};
use crate::os::{Home, open_pidfd};
use crate::process::travel::{Task, distance};
use crate::process::{How, Outcome, Process, SpawnError, packet_pair, start};
use crate::queue::Queue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Workers that a pool may have: all of them, their successors and their keepers must find room in its queues.
const MAX_WORKERS: usize = 500;
/// Retries that a message's delivery count can tell.
const MAX_RETRIES: u32 = 250;
/// Bytes of each of its two queues, unless told otherwise.
const DEFAULT_CAPACITY_BYTES: usize = 4 << 20;
/// How long `build` waits until the keeper has started the workers, or been refused. One that takes longer is stopped, or the machine
/// is: the pool is as good as one whose keeper is stopped later.
const FIRST_REPORTS: Duration = Duration::from_secs(10);
/// How long the processes of a refused pool have to end by themselves.
const LAST_REPORTS: Duration = Duration::from_secs(2);

/// Settings of a [`Pool`]; made by [`Pool::builder`].
///
/// ```
/// use shmq::Pool;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// static FACTOR: AtomicU64 = AtomicU64::new(0);
///
/// let pool = Pool::builder()
///     .workers(2)
///     .initializer(|factor: u64| FACTOR.store(factor, Ordering::Relaxed), 10) // in each worker, before its first task
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
    retries: u32,
    capacity_bytes: usize,
    initializer: Option<Result<Initializer, String>>,
    program_signals: bool,
    keep_fds: Vec<RawFd>,
}

impl PoolBuilder {
    pub(super) fn new() -> PoolBuilder {
        PoolBuilder {
            workers: None,
            max_tasks: None,
            retries: 0,
            capacity_bytes: DEFAULT_CAPACITY_BYTES,
            initializer: None,
            program_signals: false,
            keep_fds: Vec::new(),
        }
    }

    /// How many worker processes: as many as there are processors, if not set; 500 at most.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// What each worker, replacements too, runs before its first task: a `fn` item or a closure that captures nothing, and its argument.
    ///
    /// If it fails (an `Err`, a number other than 0, a panic) the pool fails with [`TaskError::Initializer`](crate::TaskError::Initializer),
    /// and no more workers are started. If workers die in it again and again, the same after a few.
    ///
    /// ```
    /// use shmq::{Pool, TaskError};
    ///
    /// let pool = Pool::builder().workers(2).initializer(|()| Err::<(), _>("no database"), ()).build()?;
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
        let mut encoded = Task::distance::<A, R>(function).to_ne_bytes().to_vec();
        self.initializer = Some(
            MessagePack::encode(&argument, &mut encoded)
                .map(|()| Initializer { distance: distance(run_initializer::<A, R>), argument: encoded })
                .map_err(|error| error.to_string()),
        );
        self
    }

    /// A worker ends after so many tasks (or chunks) and another takes its place: for tasks that leak.
    pub fn max_tasks_per_worker(mut self, count: usize) -> Self {
        self.max_tasks = Some(count);
        self
    }

    /// How often a task is begun again, by another worker, when its worker died in the middle of it. 0 if not set: such a task fails
    /// with [`TaskError::WorkerDied`](crate::TaskError::WorkerDied). 250 at most. A chunk is retried, or fails, as a whole.
    ///
    /// A worker may die between its last result and the end of the task, so retried tasks should not mind being run twice; their result
    /// counts once.
    pub fn retries(mut self, count: u32) -> Self {
        self.retries = count.min(MAX_RETRIES);
        self
    }

    /// Size of the queue for tasks and of that for results, 4 MiB each if not set. The largest argument or result takes half of it.
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes;
        self
    }

    /// Do SIGTERM, SIGHUP, SIGQUIT and SIGINT do in a worker what they do in the program? Not set, or `false`: a worker ignores them,
    /// finishes what it has, and ends with the pool or the program. So a service manager's SIGTERM, or Ctrl-C, which reach the whole
    /// process group, are the program's alone to answer.
    ///
    /// `true`: what the program ignores the workers ignore; what it handles, or leaves as it is, ends them (a task that is not done is
    /// then [`TaskError::WorkerDied`](crate::TaskError::WorkerDied), or is retried): a handler that was inherited would write into the
    /// program's own pipes. All other signals, and the signal mask, are those of the program in any case. What a task executes
    /// ([`std::process::Command`]) inherits what is ignored.
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

    /// Descriptors of the program that its workers have too, at the same numbers, beside standard input, output and error. All
    /// others lead to `/dev/null` in the pool's processes: a pipe or a socket that the program closes is closed, though there is a
    /// pool. Not for queues of this crate, which keep what they need. (A worker that wants a file, a log's for instance, opens it in
    /// its [`initializer`](Self::initializer).)
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

    /// Starts the pool, and returns when its workers were started. They are copies of the program as it is now; or, after
    /// [`process::init`](crate::process::init), as it was then.
    ///
    /// # Errors
    /// [`PoolError`]: bad settings, or the system gives no memory, or not one worker for a second (`Os`, with the errno); if it gives
    /// some of them, the pool is built and goes on trying, see [`Pool::stats`]. [`SpawnError::Threaded`] inside it: the program has
    /// threads; call [`process::init`](crate::process::init) first in `main`.
    pub fn build(self) -> Result<Pool, PoolError> {
        let asked = self.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS));
        if asked == 0 || asked > MAX_WORKERS {
            return Err(PoolError::BadWorkers { asked, max: MAX_WORKERS });
        }
        if self.max_tasks == Some(0) {
            return Err(PoolError::NoTasks);
        }
        let initializer = self.initializer.transpose().map_err(|why| PoolError::Argument { why })?;
        let queue = || {
            let participants = (2 * asked + 16).min(1023);
            Queue::<[u8]>::builder().capacity_bytes(self.capacity_bytes).max_participants(participants).create()
        };
        let nonce = random_nonce();
        let (tasks, results) = (queue()?, queue()?);
        let os = |call| move |source| PoolError::Spawn(SpawnError::Os { call, source });
        let home = Home::here().map_err(os("noticing forks (mmap)"))?;
        let (ours, theirs) = packet_pair().map_err(os("socketpair"))?;
        let settings = Settings {
            nonce,
            program: std::process::id(),
            workers: asked as u32,
            max_tasks: self.max_tasks.map(|count| count.min(u32::MAX as usize) as u32),
            retries: self.retries,
            tasks: tasks.clone(),
            results: results.clone(),
            initializer,
            program_signals: self.program_signals,
        };
        let mut encoded = Vec::new();
        MessagePack::encode(&settings, &mut encoded).map_err(|error| PoolError::Argument { why: error.to_string() })?;
        let how = How::helper(self.keep_fds);
        // In whatever namespace its processes are, they see by it when the program ends.
        let program = open_pidfd(std::process::id() as libc::pid_t);
        let handed_over = [Some(theirs), program].into_iter().flatten().collect();
        let mut keeper = start(keeper::entry, encoded, handed_over, how)?;
        let shared = Arc::new(Shared::new(home, nonce, asked, tasks, results, ours));
        shared.hear_until(FIRST_REPORTS, |state| state.roster.is_ready || state.roster.gave_up.is_some());
        let gave_up = shared.lock().roster.gave_up;
        if let Some(why) = gave_up {
            end_refused(&shared, &mut keeper);
            return Err(os(why.call())(why.error()));
        }
        if !shared.hear() && !shared.lock().roster.is_ready {
            end_refused(&shared, &mut keeper);
            return Err(PoolError::Failed(TaskError::Broken {
                why: "its keeper died before it had started a worker".to_owned(),
            }));
        }
        // Through a queue: if there is no thread, the keeper is still ours to end.
        let (hand_over, handed_over) = mpsc::channel();
        let collector = thread::Builder::new().name("shmq-pool".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                if let Ok(keeper) = handed_over.recv() {
                    collect(&shared, keeper);
                }
            }
        });
        match collector {
            Ok(collector) => {
                let _ = hand_over.send(keeper);
                Ok(Pool { shared, collector: Mutex::new(Some(collector)) })
            }
            Err(error) => {
                end_refused(&shared, &mut keeper);
                Err(os("starting a thread")(error))
            }
        }
    }
}

/// Ends the processes of a pool that there will not be.
fn end_refused(shared: &Shared, keeper: &mut Process) {
    shared.terminate();
    shared.hear_until(LAST_REPORTS, |_| false);
    shared.kill_keepers();
    let _ = keeper.kill();
    let _ = keeper.join_timeout(LAST_REPORTS);
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("max_tasks", &self.max_tasks)
            .field("retries", &self.retries)
            .field("capacity_bytes", &self.capacity_bytes)
            .field("initializer", &self.initializer.is_some())
            .field("program_signals", &self.program_signals)
            .field("keep_fds", &self.keep_fds)
            .finish()
    }
}
