//! [`Batch`]: how a call of many tasks is made.

use super::board::NO_LIMIT;
use super::chunker::{Chunker, Cut, Read, Reading};
use super::error::{OutOfRange, TaskError, check_range};
use super::imap::{Imap, Order, Reader};
use super::job::{Callback, Hook, Job, Progress};
use super::result::AsyncResult;
use super::state::Shared;
use super::worker::{RunTask, run_task};
use crate::process::fn_address::{Task, offset_of_address};
use crate::wait::Wait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Chunks for each worker that `map` makes of its input, as Python's does.
const CHUNKS_PER_WORKER: u64 = 4;
/// Chunks for each worker that `imap` reads ahead.
const AHEAD_PER_WORKER: usize = 32;

/// How a call of many tasks is made: chunk size, reading ahead, progress. Made by
/// [`Pool::batch`](crate::Pool::batch).
///
/// ```
/// use shmq::Pool;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
///
/// let pool = Pool::new(2)?;
/// let done = Arc::new(AtomicU64::new(0));
/// let squares = pool
///     .batch()
///     .chunk_size(10)
///     .progress({
///         let done = Arc::clone(&done);
///         move |progress| done.store(progress.done, Ordering::Relaxed)
///     })
///     .map(|n: u64| n * n, 0..100)?;
/// assert_eq!((squares[9], done.load(Ordering::Relaxed)), (81, 100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it does nothing until one of its methods is called"]
#[derive(Clone)]
pub struct Batch<'p> {
    shared: &'p Arc<Shared>,
    chunk_size: Option<usize>,
    ahead: Option<usize>,
    limit: Option<Duration>,
    hook: Option<Arc<Hook>>,
}

impl<'p> Batch<'p> {
    pub(super) fn new(shared: &'p Arc<Shared>) -> Self {
        Batch { shared, chunk_size: None, ahead: None, limit: None, hook: None }
    }

    /// Tasks that travel to a worker together, and whose results come back together. Not set: for
    /// `map` a quarter of each worker's share, for `imap` 1. Chunks of large arguments are smaller.
    /// 0 is [`TaskError::OutOfRange`] from the call; `usize::MAX` leaves the size to the bytes of
    /// the arguments.
    ///
    /// If a worker dies, all tasks of its chunk fail, or are retried.
    ///
    /// ```
    /// use shmq::TaskError;
    ///
    /// let pool = shmq::Pool::new(2)?;
    /// assert_eq!(pool.batch().chunk_size(3).map(|n: u32| n + 1, 0..7)?, [1, 2, 3, 4, 5, 6, 7]);
    ///
    /// let refused = pool.batch().chunk_size(0).map(|n: u32| n, 0..7);
    /// assert!(matches!(refused, Err(TaskError::OutOfRange { option: "chunk_size", .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn chunk_size(mut self, tasks: usize) -> Self {
        self.chunk_size = Some(tasks);
        self
    }

    /// Chunks that `imap` and `imap_unordered` have out at most, sent and not yet yielded: 32 for
    /// each worker, if not set. 0 is [`TaskError::OutOfRange`] from the call.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// // Reads 4 items of the endless input.
    /// let mut doubled = pool.batch().read_ahead(4).imap(|n: u64| n * 2, 0..)?;
    /// assert_eq!(doubled.next(), Some(Ok(0)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_ahead(mut self, chunks: usize) -> Self {
        self.ahead = Some(chunks);
        self
    }

    /// What each task of the call may take, instead of the pool's
    /// [`task_timeout`](crate::PoolBuilder::task_timeout), which says what happens then.
    /// [`Duration::MAX`]: any time. Zero is [`TaskError::OutOfRange`] from the call.
    ///
    /// ```
    /// use shmq::TaskError;
    /// use std::time::Duration;
    ///
    /// let pool = shmq::Pool::new(2)?;
    /// let limit = Duration::from_millis(50);
    /// let sleep = |ms| std::thread::sleep(Duration::from_millis(ms));
    /// let results: Vec<_> = pool.batch().task_timeout(limit).imap(sleep, [0, 60_000, 0])?.collect();
    /// assert!(results[0].is_ok() && results[2].is_ok());
    /// assert!(matches!(results[1], Err(TaskError::TimedOut { after, .. }) if after == limit));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn task_timeout(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Called in the pool's own thread after each chunk, while workers go on: keep it short. If it
    /// panics, that is printed on stderr.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let batch = pool.batch().progress(|step| eprintln!("{} done", step.done));
    /// let squares = batch.map(|n: u64| n * n, 0..4)?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn progress(mut self, hook: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// A job, and what cuts and sends its tasks.
    fn begin<A, R>(&self, task: fn(A) -> R, size: u64, waits: bool) -> Result<(Arc<Job>, u64, Chunker<'p>), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        check_range("chunk_size", self.chunk_size.unwrap_or(1), 1, usize::MAX)?;
        let limit_ns = self.limit.map_or(Ok(self.shared.limit_ns), limit_ns)?;
        // A chunk is sent before it has so many tasks as 32 bits count: each takes 4 bytes and
        // more.
        let size = self.chunk_size.map_or(size, |size| size as u64).min(u64::from(u32::MAX)) as u32;
        // Of the same A and R, which the worker relies on.
        let runner: RunTask = run_task::<A, R>;
        let offsets = (offset_of_address(runner as usize), Task::offset::<A, R>(task));
        let job = Arc::new(Job::new(self.shared.home, self.hook.clone()));
        let number = self.shared.begin(&job)?;
        let chunker = Chunker::new(self.shared, Arc::clone(&job), number, Cut { offsets, size, limit_ns, waits });
        Ok((job, number, chunker))
    }

    /// As [`Pool::map`](crate::Pool::map), with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::OutOfRange`].
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// assert_eq!(pool.batch().chunk_size(2).map(|n: u64| n * n, 0..4)?, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Vec<R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        let (job, number) = self.submit(task, input, true, None)?;
        job.wait(None);
        self.shared.forget(number);
        job.results()
    }

    /// As [`Pool::map_async`](crate::Pool::map_async), with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::OutOfRange`].
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let later = pool.batch().chunk_size(2).map_async(|n: u64| n * n, 0..4)?;
    /// assert_eq!(later.get()?, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_async<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<AsyncResult<Vec<R>>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        Ok(AsyncResult::of_many(self.shared, self.submit(task, input, false, None)?))
    }

    /// As [`map_async`](Self::map_async); `callback` is called once with what [`AsyncResult::get`]
    /// would return, in the pool's own thread as a rule: keep it short. If it panics, that is
    /// printed on stderr, and the pool lives on.
    ///
    /// # Errors
    /// As [`map_async`](Self::map_async). The callback is then not called.
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let (sender, results) = std::sync::mpsc::channel();
    /// let callback = move |result| sender.send(result).unwrap();
    /// pool.batch().map_async_then(|n: u64| n * n, 0..4, callback)?;
    /// assert_eq!(results.recv()?, Ok(vec![0, 1, 4, 9]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_async_then<A, R, I, C>(&self, task: fn(A) -> R, input: I, callback: C) -> Result<AsyncResult<Vec<R>>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
        C: FnOnce(Result<Vec<R>, TaskError>) + Send + 'static,
    {
        let callback = Box::new(move |job: &Job| callback(job.results()));
        Ok(AsyncResult::of_many(self.shared, self.submit(task, input, false, Some(callback))?))
    }

    pub(super) fn apply_async<A, R>(
        &self,
        task: fn(A) -> R,
        argument: &A,
        callback: Option<Callback>,
        wait: Wait,
    ) -> Result<(Arc<Job>, u64), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        // Before there is a job: a task for which there was no room has no callback either.
        self.shared.reserve(1, wait)?;
        let begun = self.begin(task, 1, false);
        let (job, number, mut chunker) = begun.inspect_err(|_| self.shared.give_room_back(1))?;
        chunker.grant_one();
        if let Some(callback) = callback {
            job.call_back(callback);
        }
        job.set_expected(1);
        let reading = Reading { shared: self.shared, number };
        chunker.add(argument);
        std::mem::forget(reading);
        self.end_of_input(&job, number, chunker.stopped.take());
        Ok((job, number))
    }

    fn submit<A, R, I>(
        &self,
        task: fn(A) -> R,
        input: I,
        waits: bool,
        callback: Option<Callback>,
    ) -> Result<(Arc<Job>, u64), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        let input = input.into_iter();
        let (low, high) = input.size_hint();
        // The chunk size follows from the length: if the iterator does not know it, all is read
        // first, as in Python.
        if self.chunk_size.is_none() && high != Some(low) {
            return self.submit_counted(task, input.collect::<Vec<A>>().into_iter(), waits, callback);
        }
        self.submit_counted(task, input, waits, callback)
    }

    fn submit_counted<A, R>(
        &self,
        task: fn(A) -> R,
        mut input: impl Iterator<Item = A>,
        waits: bool,
        callback: Option<Callback>,
    ) -> Result<(Arc<Job>, u64), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (length, high) = input.size_hint();
        let share = (length as u64).div_ceil(self.shared.workers as u64 * CHUNKS_PER_WORKER).max(1);
        let (job, number, mut chunker) = self.begin(task, share, waits)?;
        if let Some(callback) = callback {
            job.call_back(callback);
        }
        if high == Some(length) && length > 0 {
            // For progress; the number of items that the input yields is the one that counts.
            job.set_expected(length as u64);
        }
        let reading = Reading { shared: self.shared, number };
        while chunker.send_one(&mut input, Wait::FOREVER) == Read::More {}
        std::mem::forget(reading);
        self.end_of_input(&job, number, chunker.stopped.take());
        Ok((job, number))
    }

    /// A job may have been over before the collector knew of its end: then it is forgotten here.
    fn end_of_input(&self, job: &Job, number: u64, stopped: Option<TaskError>) {
        if let Some(error) = stopped {
            job.fail(&error);
        }
        if job.is_over() {
            self.shared.forget(number);
        }
    }

    fn reader<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Reader<'p, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        let ahead = self.ahead.unwrap_or(AHEAD_PER_WORKER * self.shared.workers);
        check_range("read_ahead", ahead, 1, usize::MAX)?;
        // Before there is a job: it may panic.
        let input = input.into_iter();
        let (job, number, chunker) = self.begin(task, 1, false)?;
        Ok(Reader::new(self.shared, job, number, chunker, input, ahead))
    }

    /// As [`Pool::imap`](crate::Pool::imap), with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::OutOfRange`].
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let squares = pool.batch().chunk_size(2).imap(|n: u64| n * n, 0..4)?;
    /// let squares: Result<Vec<u64>, _> = squares.collect();
    /// assert_eq!(squares?, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn imap<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Imap<'p, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        Ok(Imap::new(self.reader(task, input)?, Order::of_input()))
    }

    /// As [`Pool::imap_unordered`](crate::Pool::imap_unordered), with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::OutOfRange`].
    ///
    /// ```
    /// let pool = shmq::Pool::new(2)?;
    /// let squares = pool.batch().chunk_size(2).imap_unordered(|n: u64| n * n, 0..4)?;
    /// assert_eq!(squares.sum::<Result<u64, _>>()?, 14);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn imap_unordered<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Imap<'p, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        Ok(Imap::new(self.reader(task, input)?, Order::OfResults))
    }
}

/// A limit in ns, as it travels.
pub(super) fn limit_ns(limit: Duration) -> Result<u64, OutOfRange> {
    let ns = u64::try_from(limit.as_nanos()).unwrap_or(NO_LIMIT);
    check_range("task_timeout", ns as usize, 1, usize::MAX)?;
    Ok(ns)
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Batch")
            .field("chunk_size", &self.chunk_size)
            .field("ahead", &self.ahead)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
