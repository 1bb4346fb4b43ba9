//! The methods of [`Pool`] that send tasks: one, or many with the usual settings ([`Batch`] has
//! others).

use super::job::Job;
use super::{AsyncResult, Batch, Imap, Pool, TaskError, TryApplyError, result};
use crate::wait::{Wait, blocking_forms};
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Pool {
    /// Runs one task in a worker and waits for its result.
    ///
    /// # Errors
    /// [`TaskError`]: what became of the task instead.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// assert_eq!(pool.apply(|(a, b): (u64, u64)| a + b, (1, 2))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply<A, R>(&self, task: fn(A) -> R, argument: A) -> Result<R, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (job, _) = self.batch().apply_async(task, &argument, None, Wait::FOREVER)?;
        job.wait(None);
        result::only(&job)
    }

    blocking_forms! {
        /// Sends one task to the workers, and does not wait for its result.
        ///
        /// With [`max_pending`](crate::PoolBuilder::max_pending) it waits until there is room for
        /// one more. A callback or a progress hook, which runs in the pool's own thread, does not
        /// wait: its task goes beyond the bound.
        ///
        /// # Errors
        /// [`TaskError::Closed`], [`TaskError::Terminated`], or how the pool failed. Other errors
        /// are the result's.
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// let pool = shmq::Pool::builder().workers(2).max_pending(10).build()?;
        /// let later = pool.apply_async(|n: u64| n + 1, 1)?;
        /// assert_eq!(later.get()?, 2);
        /// let later = pool.apply_async_timeout(|n: u64| n + 1, 2, Duration::from_secs(1))?;
        /// assert_eq!(later.get()?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        apply_async, apply_async_timeout, apply_async_deadline,
        for [A: Serialize + DeserializeOwned, R: Serialize + DeserializeOwned]
        |self, wait, task: fn(A) -> R, argument: A| -> Result<AsyncResult<R>, TaskError> {
            Ok(AsyncResult::of_one(&self.shared, self.batch().apply_async(task, &argument, None, wait)?))
        }
    }

    /// Sends one task to the workers if there is room for it, see
    /// [`max_pending`](crate::PoolBuilder::max_pending). Does not wait.
    ///
    /// # Errors
    /// [`TryApplyError`], with the argument in it: its `error` is [`TaskError::Full`], or as of
    /// [`apply_async`](Self::apply_async).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = shmq::Pool::builder().workers(1).max_pending(1).build()?;
    /// let sleep = |ms| std::thread::sleep(Duration::from_millis(ms));
    /// let first = pool.try_apply_async(sleep, 60_000)?;
    /// let refused = pool.try_apply_async(sleep, 1).unwrap_err();
    /// assert!(refused.error.is_full());
    /// first.kill();
    /// first.wait();
    /// pool.try_apply_async(sleep, refused.argument)?.get()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_apply_async<A, R>(&self, task: fn(A) -> R, argument: A) -> Result<AsyncResult<R>, TryApplyError<A>>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        match self.batch().apply_async(task, &argument, None, Wait::Never) {
            Ok(sent) => Ok(AsyncResult::of_one(&self.shared, sent)),
            Err(error) => Err(TryApplyError { argument, error }),
        }
    }

    /// As [`apply_async`](Self::apply_async); `callback` is called once with what
    /// [`AsyncResult::get`] would return, the error included, in the pool's own thread as a rule:
    /// keep it short, and do not wait for the pool in it. It has returned before `get` and `wait`
    /// do, and before `is_ready` is true. If it panics, that is printed on stderr, and the pool
    /// lives on.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async). The callback is then not called.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let pool = shmq::Pool::new(2)?;
    /// let (sender, results) = mpsc::channel();
    /// pool.apply_async_then(|n: u64| n + 1, 1, move |result| sender.send(result).unwrap())?;
    /// assert_eq!(results.recv()?, Ok(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_async_then<A, R, C>(&self, task: fn(A) -> R, argument: A, callback: C) -> Result<AsyncResult<R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        C: FnOnce(Result<R, TaskError>) + Send + 'static,
    {
        let callback = Box::new(move |job: &Job| callback(result::only(job)));
        let sent = self.batch().apply_async(task, &argument, Some(callback), Wait::FOREVER)?;
        Ok(AsyncResult::of_one(&self.shared, sent))
    }

    /// Runs a task for each of many arguments and waits for all results, in the order of the
    /// arguments. Tuples serve for several arguments (`starmap`). Chunk size, progress:
    /// [`batch`](Self::batch).
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

    /// As [`map`](Self::map), and does not wait for the results. All of the input is read and kept;
    /// with [`max_pending`](crate::PoolBuilder::max_pending), as there is room.
    ///
    /// # Errors
    /// As [`apply_async`](Self::apply_async).
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let later = pool.map_async(|n: u64| n * n, 0..4)?;
    /// assert_eq!(later.get()?, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_async<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<AsyncResult<Vec<R>>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.batch().map_async(task, input)
    }

    /// Runs a task for each of many arguments; yields the results in the order of the arguments,
    /// each as soon as those before it are there. An error is yielded at its place, and does not
    /// end the iteration.
    ///
    /// The input is read as results are taken, at most [`Batch::read_ahead`] chunks ahead, and no
    /// further than [`max_pending`](crate::PoolBuilder::max_pending) has room. So it may be endless. Items that are not read yet when the pool is [closed](Self::close) are not
    /// done: one [`TaskError::Closed`], and the end. If the input panics, the results of the items
    /// before come first, then that panic.
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
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let sum: u64 = pool.imap_unordered(|n: u64| n * n, 0..4)?.sum::<Result<_, _>>()?;
    /// assert_eq!(sum, 14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn imap_unordered<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Imap<'_, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        self.batch().imap_unordered(task, input)
    }

    /// Settings for a call of many tasks: chunk size, reading ahead, progress.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// assert_eq!(pool.batch().chunk_size(2).map(|n: u64| n * n, 0..4)?, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(&self.shared)
    }
}
