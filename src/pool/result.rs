//! [`AsyncResult`]: a result that will be there later.

use super::error::TaskError;
use super::job::Job;
use super::state::Shared;
use crate::os::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The result of a task (or of many) that will be there later: Python's `AsyncResult`. Made by
/// [`Pool::apply_async`](crate::Pool::apply_async) and [`Pool::map_async`](crate::Pool::map_async).
///
/// It will be there, or be an error, whatever happens to the pool's processes. Dropping it does not
/// stop the task; [`cancel`](Self::cancel) and [`kill`](Self::kill) do. Its copy in a forked child never waits: it is [`TaskError::Inherited`] there,
/// also if the result was there before the fork.
///
/// ```
/// use std::time::Duration;
///
/// let pool = shmq::Pool::new(2)?;
/// let result = pool.apply_async(|text: String| text.len(), "four".to_string())?;
/// result.wait();
/// assert!(result.is_ready() && result.is_successful() == Some(true));
/// assert_eq!(result.get()?, 4);
/// assert_eq!(result.get_timeout(Duration::ZERO)?, 4); // again, as often as you like
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AsyncResult<T> {
    pub(super) job: Arc<Job>,
    number: u64,
    /// Weak: a result does not keep the queues of a pool that is gone.
    shared: Weak<Shared>,
    pub(super) take: fn(&Job) -> Result<T, TaskError>,
}

impl<R: DeserializeOwned> AsyncResult<Vec<R>> {
    pub(super) fn of_many(shared: &Arc<Shared>, (job, number): (Arc<Job>, u64)) -> Self {
        AsyncResult { job, number, shared: Arc::downgrade(shared), take: Job::results::<R> }
    }
}

pub(super) fn only<R: DeserializeOwned>(job: &Job) -> Result<R, TaskError> {
    job.results()?.pop().ok_or_else(|| TaskError::Result { why: "there is none".to_owned() })
}

impl<R: DeserializeOwned> AsyncResult<R> {
    pub(super) fn of_one(shared: &Arc<Shared>, (job, number): (Arc<Job>, u64)) -> Self {
        AsyncResult { job, number, shared: Arc::downgrade(shared), take: only::<R> }
    }
}

impl<T> AsyncResult<T> {
    /// The result, waiting until it is there. Each call decodes it anew.
    ///
    /// # Errors
    /// What became of the task instead, see [`TaskError`]. Of many tasks: the error that came
    /// first, after all have ended.
    ///
    /// ```
    /// let pool = shmq::Pool::new(1)?;
    /// assert_eq!(pool.apply_async(|n: u64| n + 1, 1)?.get()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get(&self) -> Result<T, TaskError> {
        self.job.wait(None);
        (self.take)(&self.job)
    }

    /// The result, waiting no longer than `timeout`. Never early; zero checks once.
    ///
    /// # Errors
    /// [`TaskError::Timeout`]; otherwise as [`get`](Self::get).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = shmq::Pool::new(1)?;
    /// let slow = pool.apply_async(|ms| std::thread::sleep(Duration::from_millis(ms)), 200)?;
    /// assert_eq!(slow.get_timeout(Duration::ZERO), Err(shmq::TaskError::Timeout));
    /// slow.get()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, TaskError> {
        if self.wait_timeout(timeout) { (self.take)(&self.job) } else { Err(TaskError::Timeout) }
    }

    /// Waits until the result, or an error, is there.
    ///
    /// ```
    /// let pool = shmq::Pool::new(1)?;
    /// let result = pool.apply_async(|n: u64| n + 1, 1)?;
    /// result.wait();
    /// assert!(result.is_ready());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait(&self) {
        self.job.wait(None);
    }

    /// Waits no longer than `timeout`, and returns whether it is there.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = shmq::Pool::new(1)?;
    /// let result = pool.apply_async(|n: u64| n + 1, 1)?;
    /// while !result.wait_timeout(Duration::from_millis(10)) {
    ///     // something else meanwhile
    /// }
    /// assert_eq!(result.get()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let forever = Deadline::after(timeout) == Deadline::NEVER;
        self.job.wait(if forever { None } else { Instant::now().checked_add(timeout) })
    }

    /// Whether the result, or an error, is there. Does not wait.
    ///
    /// ```
    /// let pool = shmq::Pool::new(1)?;
    /// let result = pool.apply_async(|n: u64| n + 1, 1)?;
    /// result.wait();
    /// assert!(result.is_ready());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_ready(&self) -> bool {
        self.job.is_over()
    }

    /// Whether the task ended without an error. `None` while it is not ready.
    ///
    /// ```
    /// let pool = shmq::Pool::new(1)?;
    /// let failing = pool.apply_async(|n: u64| 10 / n, 0)?;
    /// failing.wait();
    /// assert_eq!(failing.is_successful(), Some(false));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_successful(&self) -> Option<bool> {
        self.job.succeeded()
    }

    /// Cancels the task if no worker has begun it: it never runs, and its result is
    /// [`TaskError::Cancelled`] at once. One that runs, or is done, stays as it is:
    /// [`kill`](Self::kill) ends that too. Does not wait. Returns whether a task was cancelled, by
    /// this call or an earlier one, as `Future.cancel()` of Python's `concurrent.futures` does.
    ///
    /// Of many tasks (`map_async`): all chunks that have not begun are cancelled. The result is then
    /// `Cancelled` (or an error that came before) when those that run have ended.
    ///
    /// A task that is to be [retried](crate::PoolBuilder::retries) has begun. A callback gets the
    /// error, in the thread that calls this.
    ///
    /// ```
    /// use shmq::TaskError;
    /// use std::time::Duration;
    ///
    /// let pool = shmq::Pool::new(1)?;
    /// let sleep = |ms| std::thread::sleep(Duration::from_millis(ms));
    /// let first = pool.apply_async(sleep, 100)?;
    /// let second = pool.apply_async(sleep, 60_000)?;
    /// assert!(second.cancel()); // the only worker has not begun it
    /// assert_eq!(second.get(), Err(TaskError::Cancelled));
    /// assert_eq!(first.get(), Ok(()));
    /// assert!(!first.cancel()); // it is done
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.end(false)
    }

    /// Cancels the task whether it has begun or not: the worker that runs it is killed (`SIGKILL`),
    /// and another takes its place. Its result is [`TaskError::Cancelled`]; when that is there, the
    /// task runs no more, and it is not [retried](crate::PoolBuilder::retries). Does not wait for
    /// that. Returns whether a task was ended, by this call or an earlier one; `false` if it was
    /// done.
    ///
    /// All tasks of its chunk (`map_async`) end with it. What it was in the middle of stays as it
    /// is: a file half written, a [`Mutex`](crate::sync::Mutex) whose next holder gets
    /// `OwnerDied`. Processes that it started go on.
    ///
    /// If the supervisor is stopped (by a debugger), the worker ends when that goes on, or when the
    /// task is over.
    ///
    /// ```
    /// let pool = shmq::Pool::new(1)?;
    /// let endless = pool.apply_async(|()| -> () { loop { std::thread::park() } }, ())?;
    /// assert!(endless.kill());
    /// assert_eq!(endless.get(), Err(shmq::TaskError::Cancelled));
    /// assert_eq!(pool.apply(|n: u64| n + 1, 1)?, 2); // by another worker
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kill(&self) -> bool {
        self.end(true)
    }

    fn end(&self, runs_too: bool) -> bool {
        match self.shared.upgrade() {
            Some(shared) => shared.cancel(&self.job, self.number, runs_too),
            None => self.job.was_cancelled(),
        }
    }
}

impl<T> fmt::Debug for AsyncResult<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("AsyncResult").field(&self.job).finish()
    }
}
