//! What may go wrong with a pool, and with a task.

use super::message::capacity_for;
use crate::error::{CreateError, range_text};
use crate::process::SpawnError;
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

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
                /// Which number: `workers`, `max_tasks_per_worker`, `retries`, `max_pending` of a
                /// pool; `chunk_size`, `read_ahead` of a call; `task_timeout` of either, in ns.
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
        /// The task was [cancelled](crate::AsyncResult::cancel) before it began, and never ran; or
        /// it was [killed](crate::AsyncResult::kill), and runs no more.
        #[error("the task was cancelled")]
        Cancelled,
        /// The task took longer than it may, see
        /// [`task_timeout`](crate::PoolBuilder::task_timeout): its worker was killed, and it is not
        /// run again. All tasks of its chunk have this error.
        #[error("the task took longer than {after:?}: its worker{} was killed", in_process(*pid))]
        TimedOut {
            /// What it was allowed to take.
            after: Duration,
            /// Process id that the worker had.
            pid: Option<u32>,
        },
        /// As many tasks are pending as may be, see
        /// [`max_pending`](crate::PoolBuilder::max_pending). The task was not sent.
        #[error("{max} tasks are pending, as many as the pool may have")]
        Full {
            /// How many may be pending.
            max: usize,
        },
        /// The time was up before the result was there: the task goes on. From
        /// [`apply_async_timeout`](crate::Pool::apply_async_timeout): before there was room for it,
        /// and it was not sent.
        #[error("timed out")]
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

    /// Whether it is [`Full`](TaskError::Full): too many tasks are pending.
    ///
    /// ```
    /// assert!(shmq::TaskError::Full { max: 10 }.is_full() && !shmq::TaskError::Timeout.is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, TaskError::Full { .. })
    }

    /// Whether it is [`Cancelled`](TaskError::Cancelled): the task was cancelled, or killed.
    ///
    /// ```
    /// assert!(shmq::TaskError::Cancelled.is_cancelled());
    /// ```
    pub fn is_cancelled(&self) -> bool {
        matches!(self, TaskError::Cancelled)
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

/// A task that was not sent, and why: from [`Pool::try_apply_async`](crate::Pool::try_apply_async).
/// The argument is back in the caller's hands. `?` makes it the [`TaskError`].
///
/// ```
/// use shmq::{Pool, TaskError, TryApplyError};
///
/// let pool = Pool::new(1)?;
/// pool.close();
/// let TryApplyError { argument, error } = pool.try_apply_async(|n: u64| n, 7).unwrap_err();
/// assert_eq!((argument, error), (7, TaskError::Closed));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TryApplyError<A> {
    /// What the task would have had.
    pub argument: A,
    /// [`TaskError::Full`], or why the pool takes no tasks.
    pub error: TaskError,
}

impl<A> fmt::Debug for TryApplyError<A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TryApplyError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<A> fmt::Display for TryApplyError<A> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the task was not sent: {}", self.error)
    }
}

impl<A> std::error::Error for TryApplyError<A> {}

impl<A> From<TryApplyError<A>> for TaskError {
    fn from(refused: TryApplyError<A>) -> TaskError {
        refused.error
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
    let process = in_process(pid);
    let how = status.map_or(String::new(), |status| format!("{status}; "));
    format!("the worker{process} died in the middle of the task ({how}attempts: {attempts})")
}

fn in_process(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (process {pid})"))
}
