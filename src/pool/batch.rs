//! Many tasks at once: how they are cut into chunks and sent.

use super::Pool;
use super::collector::Shared;
use super::error::TaskError;
use super::imap::{Imap, ImapUnordered, Reader};
use super::job::{Callback, Hook, Job, Progress};
use super::message::{TASK_BYTES, TaskHead, append_sized};
use super::result::AsyncResult;
use super::worker::{RunTask, run_task};
use crate::object::{Codec, MessagePack};
use crate::process::travel::{Task, distance_of};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A chunk is sent when it has so many bytes, its tasks complete or not.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks for each worker that `map` makes of its input, as Python's does.
const CHUNKS_PER_WORKER: u64 = 4;
/// Chunks for each worker that `imap` reads ahead.
const AHEAD_PER_WORKER: usize = 32;

/// How a call of many tasks is made: chunk size, reading ahead, progress. Made by [`Pool::batch`].
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
#[must_use = "it does nothing until one of its verbs is called"]
#[derive(Clone)]
pub struct Batch<'p> {
    shared: &'p Arc<Shared>,
    chunk_size: Option<usize>,
    ahead: Option<usize>,
    hook: Option<Arc<Hook>>,
}

/// A job whose input is being read. If that panics, the pool hears of the job no more: nothing waits for its end.
struct Reading<'s> {
    shared: &'s Shared,
    number: u64,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.shared.forget(self.number);
    }
}

/// The chunk that is being written.
pub(super) struct Chunker<'s> {
    shared: &'s Shared,
    job: Arc<Job>,
    head: TaskHead,
    size: u32,
    patient: bool,
    bytes: Vec<u8>,
    item: Vec<u8>,
    /// Tasks taken from the input so far.
    taken: u64,
    /// Chunks that were sent, or failed at once.
    pub sent: usize,
    /// The pool takes no more.
    pub stopped: Option<TaskError>,
}

impl<'s> Chunker<'s> {
    /// `runner` and `task` are their distances.
    fn new(shared: &'s Shared, job: Arc<Job>, number: u64, (runner, task): (i64, i64), size: u32, patient: bool) -> Self {
        let head = TaskHead { nonce: shared.nonce, job: number, first: 0, count: 0, runner, task, holder: 0 };
        Chunker {
            shared,
            job,
            head,
            size,
            patient,
            bytes: vec![0; TASK_BYTES],
            item: Vec::new(),
            taken: 0,
            sent: 0,
            stopped: None,
        }
    }

    /// Adds one task; sends the chunk when it is full.
    fn add<A: Serialize>(&mut self, argument: &A) {
        self.item.clear();
        let refused = MessagePack::encode(argument, &mut self.item).err();
        let room = CHUNK_BYTES.min(self.shared.tasks.max_len());
        if refused.is_some() || self.bytes.len() + self.item.len() + 4 > room {
            self.send();
        }
        if self.head.count == 0 {
            self.head.first = self.taken;
        }
        self.taken += 1;
        if let Some(error) = refused {
            self.sent += 1;
            self.job.fail_chunk(self.head.first, 1, TaskError::Argument { why: error.to_string() });
            return;
        }
        let item = &self.item;
        append_sized(&mut self.bytes, |to| to.extend(item));
        self.head.count += 1;
        if self.head.count == self.size {
            self.send();
        }
    }

    /// Sends what there is.
    fn send(&mut self) {
        let count = std::mem::take(&mut self.head.count);
        if count == 0 {
            return;
        }
        let mut head = Vec::with_capacity(TASK_BYTES);
        TaskHead { count, ..self.head }.write(&mut head);
        self.bytes[..TASK_BYTES].copy_from_slice(&head);
        self.job.open(self.head.first, count);
        self.sent += 1;
        if let Err(error) = self.shared.send(&self.bytes, self.patient) {
            if !matches!(error, TaskError::TooLarge { .. }) {
                self.stopped = Some(error.clone());
            }
            self.job.fail_chunk(self.head.first, count, error);
        }
        self.bytes.truncate(TASK_BYTES);
    }

    /// Sends one chunk of what the input still has. `false`: it is exhausted, and the job knows how many there were.
    pub fn send_one<A: Serialize>(&mut self, input: &mut impl Iterator<Item = A>) -> bool {
        let before = self.sent;
        while self.sent == before && self.stopped.is_none() {
            let Some(argument) = input.next() else {
                self.end();
                return false;
            };
            self.add(&argument);
        }
        self.stopped.is_none()
    }

    /// There is no more input: sends what there is, and the job knows how many tasks there were.
    pub fn end(&mut self) {
        self.send();
        self.job.set_total(self.taken);
    }
}

impl<'p> Batch<'p> {
    pub(super) fn new(shared: &'p Arc<Shared>) -> Self {
        Batch { shared, chunk_size: None, ahead: None, hook: None }
    }

    /// Tasks that travel to a worker together, and whose results come back together. Not set: for `map` a quarter of each
    /// worker's share, for `imap` 1. Chunks of large arguments are smaller. 0 is an error: [`TaskError::ZeroChunk`].
    ///
    /// If a worker dies, all tasks of its chunk fail, or are retried.
    pub fn chunk_size(mut self, tasks: usize) -> Self {
        self.chunk_size = Some(tasks);
        self
    }

    /// Chunks that `imap` and `imap_unordered` have out at most, sent and not yet yielded: 32 for each worker, if not set; 1 at least.
    pub fn read_ahead(mut self, chunks: usize) -> Self {
        self.ahead = Some(chunks.max(1));
        self
    }

    /// Called in the pool's own thread after each chunk, while workers go on: keep it short. If it panics, that is told on stderr.
    pub fn progress(mut self, hook: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// A job, and what cuts and sends its tasks.
    fn begin<A, R>(&self, task: fn(A) -> R, size: u64, patient: bool) -> Result<(Arc<Job>, u64, Chunker<'p>), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        self.begin_with(task, size, patient, Job::new(self.shared.home, self.hook.clone()))
    }

    fn begin_with<A, R>(
        &self,
        task: fn(A) -> R,
        size: u64,
        patient: bool,
        job: Job,
    ) -> Result<(Arc<Job>, u64, Chunker<'p>), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let size = self.chunk_size.map_or(size, |size| size as u64).min(u64::from(u32::MAX)) as u32;
        if size == 0 {
            return Err(TaskError::ZeroChunk);
        }
        // Of the same A and R, which the worker relies on.
        let runner: RunTask = run_task::<A, R>;
        let distances = (distance_of(runner as usize), Task::distance::<A, R>(task));
        let job = Arc::new(job);
        let number = self.shared.begin(&job)?;
        let chunker = Chunker::new(self.shared, Arc::clone(&job), number, distances, size, patient);
        Ok((job, number, chunker))
    }

    /// As [`Pool::map`], with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::ZeroChunk`].
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

    /// As [`Pool::map_async`], with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::ZeroChunk`].
    pub fn map_async<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<AsyncResult<Vec<R>>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        Ok(AsyncResult::of_many(self.submit(task, input, false, None)?.0))
    }

    /// As [`map_async`](Self::map_async); `callback` is called once with what [`AsyncResult::get`] would return, in the pool's
    /// own thread as a rule: keep it short. If it panics, that is told on stderr, and the pool lives on.
    ///
    /// # Errors
    /// As [`map_async`](Self::map_async). The callback is then not called.
    pub fn map_async_then<A, R, I, C>(&self, task: fn(A) -> R, input: I, callback: C) -> Result<AsyncResult<Vec<R>>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
        C: FnOnce(Result<Vec<R>, TaskError>) + Send + 'static,
    {
        let callback = Box::new(move |job: &Job| callback(job.results()));
        Ok(AsyncResult::of_many(self.submit(task, input, false, Some(callback))?.0))
    }

    pub(super) fn apply_async<A, R>(
        &self,
        task: fn(A) -> R,
        argument: &A,
        callback: Option<Callback>,
    ) -> Result<(Arc<Job>, u64), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (job, number, mut chunker) = self.begin(task, 1, false)?;
        if let Some(callback) = callback {
            job.call_back(callback);
        }
        chunker.job.set_expected(1);
        let reading = Reading { shared: self.shared, number };
        chunker.add(argument);
        std::mem::forget(reading);
        self.end_of_input(&job, number, chunker.stopped);
        Ok((job, number))
    }

    fn submit<A, R, I>(
        &self,
        task: fn(A) -> R,
        input: I,
        patient: bool,
        callback: Option<Callback>,
    ) -> Result<(Arc<Job>, u64), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        let input = input.into_iter();
        let (low, high) = input.size_hint();
        // The chunk size follows from the length: where the iterator does not tell it, as Python, read all first.
        if self.chunk_size.is_none() && high != Some(low) {
            return self.submit_counted(task, input.collect::<Vec<A>>().into_iter(), patient, callback);
        }
        self.submit_counted(task, input, patient, callback)
    }

    fn submit_counted<A, R>(
        &self,
        task: fn(A) -> R,
        mut input: impl Iterator<Item = A>,
        patient: bool,
        callback: Option<Callback>,
    ) -> Result<(Arc<Job>, u64), TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let (length, high) = input.size_hint();
        let share = (length as u64).div_ceil(self.shared.workers as u64 * CHUNKS_PER_WORKER).max(1);
        let (job, number, mut chunker) = self.begin(task, share, patient)?;
        if let Some(callback) = callback {
            job.call_back(callback);
        }
        if high == Some(length) && length > 0 {
            // For progress; the count that is taken in the end is what counts.
            job.set_expected(length as u64);
        }
        let reading = Reading { shared: self.shared, number };
        while chunker.send_one(&mut input) {}
        std::mem::forget(reading);
        self.end_of_input(&job, number, chunker.stopped);
        Ok((job, number))
    }

    /// A job that is over may have been so before the collector could know.
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
        // Before there is a job: it may panic.
        let input = input.into_iter();
        let (job, number, chunker) = self.begin(task, 1, false)?;
        let ahead = self.ahead.unwrap_or(AHEAD_PER_WORKER * self.shared.workers);
        let mut reader = Reader {
            shared: self.shared,
            job,
            number,
            chunker,
            input,
            exhausted: false,
            panic: None,
            ahead,
            out: 0,
            arrived: VecDeque::new(),
            yields: PhantomData,
        };
        reader.read_ahead();
        Ok(reader)
    }

    /// As [`Pool::imap`], with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::ZeroChunk`].
    pub fn imap<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<Imap<'p, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        Ok(Imap::new(self.reader(task, input)?))
    }

    /// As [`Pool::imap_unordered`], with the settings of this batch.
    ///
    /// # Errors
    /// As there, and [`TaskError::ZeroChunk`].
    pub fn imap_unordered<A, R, I>(&self, task: fn(A) -> R, input: I) -> Result<ImapUnordered<'p, I::IntoIter, R>, TaskError>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
        I: IntoIterator<Item = A>,
    {
        Ok(ImapUnordered::new(self.reader(task, input)?))
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Batch").field("chunk_size", &self.chunk_size).field("ahead", &self.ahead).finish_non_exhaustive()
    }
}

impl Pool {
    /// Settings for a call of many tasks.
    pub fn batch(&self) -> Batch<'_> {
        Batch::new(&self.shared)
    }
}
