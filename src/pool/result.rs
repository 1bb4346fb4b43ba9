//! [`AsyncResult`]: a result that will be there later.

use super::error::TaskError;
use super::job::Job;
use crate::os::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The result of a task (or of many) that will be there later: Python's `AsyncResult`. Made by
/// [`Pool::apply_async`](crate::Pool::apply_async) and [`Pool::map_async`](crate::Pool::map_async).
///
/// It will be there, or be an error, whatever happens to the pool's processes. Dropping it does not
/// stop the task. Its copy in a forked child never waits: it is [`TaskError::Inherited`] there,
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
    job: Arc<Job>,
    take: fn(&Job) -> Result<T, TaskError>,
}

impl<R: DeserializeOwned> AsyncResult<Vec<R>> {
    pub(super) fn of_many(job: Arc<Job>) -> Self {
        AsyncResult { job, take: Job::results::<R> }
    }
}

pub(super) fn only<R: DeserializeOwned>(job: &Job) -> Result<R, TaskError> {
    job.results()?.pop().ok_or_else(|| TaskError::Result { why: "there is none".to_owned() })
}

impl<R: DeserializeOwned> AsyncResult<R> {
    pub(super) fn of_one(job: Arc<Job>) -> Self {
        AsyncResult { job, take: only::<R> }
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
}

impl<T> fmt::Debug for AsyncResult<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("AsyncResult").field(&self.job).finish()
    }
}
