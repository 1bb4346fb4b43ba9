//! Settings of a pool.

use super::collector::{Shared, collect};
use super::error::PoolError;
use super::keeper::{self, Initializer, Settings};
use super::worker::run_initializer;
use super::{Pool, random_nonce};
use crate::object::{Codec, MessagePack};
use crate::os::Home;
use crate::process::travel::{Task, distance};
use crate::process::{Outcome, SpawnError, packet_pair, start};
use crate::queue::Queue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;

/// Workers that a pool may have: all of them, their successors and their keepers must find room in its queues.
const MAX_WORKERS: usize = 500;
/// Retries that a message's delivery count can tell.
const MAX_RETRIES: u32 = 250;
/// Bytes of each of its two queues, unless told otherwise.
const DEFAULT_CAPACITY_BYTES: usize = 4 << 20;

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
}

impl PoolBuilder {
    pub(super) fn new() -> PoolBuilder {
        PoolBuilder { workers: None, max_tasks: None, retries: 0, capacity_bytes: DEFAULT_CAPACITY_BYTES, initializer: None }
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

    /// Starts the pool. Its workers are copies of the program as it is now; or, after [`process::init`](crate::process::init), as it was
    /// then.
    ///
    /// # Errors
    /// [`PoolError`]: bad settings, or the system gives no processes, no memory. [`SpawnError::Threaded`] inside it: the program has
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
        };
        let mut encoded = Vec::new();
        MessagePack::encode(&settings, &mut encoded).map_err(|error| PoolError::Argument { why: error.to_string() })?;
        let keeper = start(keeper::entry, encoded, vec![theirs], false)?;
        let shared = Arc::new(Shared::new(home, nonce, asked, tasks, results, ours));
        let collector = thread::Builder::new().name("shmq-pool".into()).spawn({
            let shared = Arc::clone(&shared);
            move || collect(&shared, keeper)
        });
        // Without a thread the socket is dropped here, and the keeper ends.
        let collector = collector.map_err(os("starting a thread"))?;
        Ok(Pool { shared, collector: Mutex::new(Some(collector)) })
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("max_tasks", &self.max_tasks)
            .field("retries", &self.retries)
            .field("capacity_bytes", &self.capacity_bytes)
            .field("initializer", &self.initializer.is_some())
            .finish()
    }
}
