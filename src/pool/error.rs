//! What may go wrong with a pool, and with a task.

use super::message::capacity_for;
use crate::error::{CreateError, range_text};
use crate::process::SpawnError;
use std::process::ExitStatus;

/// An error of calls with numbers in them: the variants of its own, and the one for a number.
macro_rules! range_error {
    ($(#[$meta:meta])* pub enum $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            $($own)*
            /// A number is out of its range. Nothing was started or sent.
            #[error("{option} {asked} cannot be used: it must be {}", range_text(option, *min, *max))]
            OutOfRange {
                /// Which number: `workers`, `max_tasks_per_worker`, `retries` of a pool;
                /// `chunk_size`, `read_ahead` of a call.
                option: &'static str,
                /// What was asked for.
                asked: usize,
                /// The least that is possible.
                min: usize,
                /// The most that is possible; `usize::MAX` if there is no limit.
                max: usize,
            },
        }

        impl From<OutOfRange> for $name {
            fn from(OutOfRange { option, asked, min, max }: OutOfRange) -> $name {
                $name::OutOfRange { option, asked, min, max }
            }
        }
    };
}

range_error! {
    /// Why a pool was not made, or not waited for.
    ///
    /// ```
    /// use shmq::{Pool, PoolError};
    ///
    /// let error = Pool::builder().workers(0).build().unwrap_err();
    /// assert!(matches!(error, PoolError::OutOfRange { option: "workers", asked: 0, min: 1, .. }));
    /// assert_eq!(error.to_string(), "workers 0 cannot be used: it must be from 1 to 500");
    /// ```
    #[derive(Debug)]
    pub enum PoolError {
        /// The argument of the initializer cannot be encoded.
        #[error("the initializer's argument cannot be encoded: {why}")]
        Argument {
            /// What the codec said.
            why: String,
        },
        /// Its queues were not created.
        #[error("the pool's queues cannot be created: {0}")]
        Create(CreateError),
        /// Its processes were not started. In a program with threads: call
        /// [`process::init`](crate::process::init) first in `main`.
        #[error("the pool's processes cannot be started: {0}")]
        Spawn(SpawnError),
        /// `join` of a pool that was neither closed nor terminated: it would never return.
        #[error("the pool is still open: close or terminate it before join")]
        StillOpen,
        /// The pool failed, and all tasks that were not done with it.
        #[error("the pool failed: {0}")]
        Failed(TaskError),
    }
}

impl From<CreateError> for PoolError {
    fn from(error: CreateError) -> PoolError {
        PoolError::Create(error)
    }
}

impl From<SpawnError> for PoolError {
    fn from(error: SpawnError) -> PoolError {
        PoolError::Spawn(error)
    }
}

range_error! {
    /// Why a task has no result.
    ///
    /// ```
    /// use shmq::TaskError;
    ///
    /// let pool = shmq::Pool::new(1)?;
    /// let failed = pool.apply(|n: u64| 10 / n, 0);
    /// let message = "attempt to divide by zero".to_string();
    /// assert_eq!(failed, Err(TaskError::Panicked { message }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum TaskError {
        /// The task panicked. Its worker lives on.
        #[error("the task panicked: {message}")]
        Panicked {
            /// The panic's message.
            message: String,
        },
        /// The worker died in the middle of the task (or of its chunk): killed, crashed, or `exit`
        /// was called. The task was begun `attempts` times, see
        /// [`PoolBuilder::retries`](crate::PoolBuilder::retries); `pid` and `status` are those of
        /// the last worker.
        #[error("{}", worker_died(*attempts, *pid, *status))]
        WorkerDied {
            /// How often the task was begun.
            attempts: u32,
            /// Process id that the worker had. `None` if it died before it could begin.
            pid: Option<u32>,
            /// How it ended: the [signal](std::os::unix::process::ExitStatusExt::signal) that
            /// killed it, or its exit code. `None` if that is not known: the supervisor that would
            /// have reported it died, too.
            status: Option<ExitStatus>,
        },
        /// The task's argument cannot be encoded, or not decoded in the worker (a handle whose
        /// queue is gone). The task did not run.
        #[error("the task's argument cannot travel: {why}")]
        Argument {
            /// What the codec said.
            why: String,
        },
        /// The task ran; its result cannot be encoded, decoded, or is too large: then `why` says
        /// with which [`capacity_bytes`](crate::PoolBuilder::capacity_bytes) it would not be. (The
        /// size of a result is known only when it is there.)
        #[error("the task's result cannot travel: {why}")]
        Result {
            /// What the codec said.
            why: String,
        },
        /// The task's argument is larger than the pool's queue can ever hold. The task did not run.
        #[error("argument of {len} bytes, the pool's queue holds {max} at most; build it with capacity_bytes of {} or more", capacity_for(*len))]
        TooLarge {
            /// Bytes of the encoded argument.
            len: usize,
            /// The most that the queue can hold.
            max: usize,
        },
        /// The time was up before the result was there. The task goes on.
        #[error("timed out before the result was there")]
        Timeout,
        /// The pool was closed before the task was submitted.
        #[error("the pool is closed: it takes no more tasks")]
        Closed,
        /// The pool was terminated, or dropped, before the task was done.
        #[error("the pool was terminated")]
        Terminated,
        /// The workers' initializer failed, so the pool did.
        #[error("the pool's initializer failed: {message}")]
        Initializer {
            /// What it returned, or its panic's message.
            message: String,
        },
        /// The pool's own processes were killed all at once, or its queues do not work any more.
        #[error("the pool is broken: {why}")]
        Broken {
            /// What happened.
            why: String,
        },
        /// This is the copy of a pool, a result or an iterator in a forked child: it belongs to the
        /// parent.
        #[error("this pool belongs to the parent process")]
        Inherited,
    }
}

impl TaskError {
    /// Whether it is [`Timeout`](TaskError::Timeout): then the task goes on, and its result may
    /// still be asked for.
    ///
    /// ```
    /// assert!(shmq::TaskError::Timeout.is_timeout());
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, TaskError::Timeout)
    }

    /// Whether it is [`Closed`](TaskError::Closed): the pool takes no more tasks.
    ///
    /// ```
    /// assert!(shmq::TaskError::Closed.is_closed() && !shmq::TaskError::Timeout.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, TaskError::Closed)
    }
}

/// A number that is out of its range, of a pool or of a call.
pub(super) struct OutOfRange {
    option: &'static str,
    asked: usize,
    min: usize,
    max: usize,
}

/// Checks that a number is in its range.
pub(super) fn check_range(option: &'static str, asked: usize, min: usize, max: usize) -> Result<(), OutOfRange> {
    if (min..=max).contains(&asked) { Ok(()) } else { Err(OutOfRange { option, asked, min, max }) }
}

fn worker_died(attempts: u32, pid: Option<u32>, status: Option<ExitStatus>) -> String {
    let process = pid.map_or(String::new(), |pid| format!(" (process {pid})"));
    let how = status.map_or(String::new(), |status| format!("{status}; "));
    format!("the worker{process} died in the middle of the task ({how}attempts: {attempts})")
}
