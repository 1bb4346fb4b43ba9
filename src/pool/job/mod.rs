//! A job: the chunks of one call, and what became of them. The collector fills it, callers wait for
//! it.
//!
//! ```text
//!   open(first, count) -> sent -> parts of an attempt -> the last part: a piece, counted once
//!                    \       \       \-- a later attempt: earlier parts are dropped
//!                     \-------\-- cancelled: a piece of errors
//! ```
//!
//! Invariants:
//! 1. A chunk is in `open` from before it is sent until its piece is there, or about to be
//!    (`finish_cancelled`). Results for a chunk that is not were produced twice.
//! 2. A chunk is cancelled under this lock and that of the pool's state, by the compare-exchange of
//!    its word on the board if it was sent: if that succeeds, no worker puts results of it.

mod cancel;
#[cfg(feature = "async")]
mod poll;

use crate::os::Home;
use crate::pool::board::Entry;
use crate::pool::error::TaskError;
use crate::pool::message::{ResultHead, kind};
use crate::pool::panic::Guarded;
use crate::pool::piece::{Content, Piece, decode, garbled};
#[cfg(feature = "async")]
use crate::process::wakers::{Wakers, wake_all};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// How far a job is, as passed to a [progress hook](crate::Batch::progress).
///
/// ```
/// let pool = shmq::Pool::new(1)?;
/// let (sender, steps) = std::sync::mpsc::channel();
/// let hook = move |step: shmq::Progress| sender.send((step.done, step.total)).unwrap();
/// pool.batch().chunk_size(2).progress(hook).map(|n: u8| n, 0..4)?;
/// assert_eq!(steps.try_iter().collect::<Vec<_>>(), [(2, Some(4)), (4, Some(4))]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Tasks that have a result, or an error.
    pub done: u64,
    /// Tasks of the job, if that is known yet: the input of `imap` is read as results are taken.
    pub total: Option<u64>,
}

/// A progress hook.
pub(in crate::pool) type Hook = dyn Fn(Progress) + Send + Sync;
/// What is called once when a job is done.
pub(in crate::pool) type Callback = Box<dyn FnOnce(&Job) + Send>;

/// A chunk that was sent.
struct Open {
    count: u32,
    attempt: u32,
    parts: Vec<Vec<u8>>,
    /// Its place on the board. `None`: it is in the backlog.
    entry: Option<Entry>,
}

/// The end of a job: what waits for it wakes when the callback has returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    ToCome,
    /// All results are there, and a thread calls back.
    CallingBack,
    /// Callers that wait were woken.
    Over,
}

#[derive(Default)]
struct State {
    open: HashMap<u64, Open>,
    pieces: VecDeque<Piece>,
    done: u64,
    /// Known once the input was read.
    total: Option<u64>,
    /// The error that came first.
    first_error: Option<TaskError>,
    /// Why no more results will come.
    failure: Option<TaskError>,
    /// How far the end of the job is.
    end: End,
    /// A caller sleeps until the next piece. Others need no wake before the end.
    wants_pieces: bool,
    /// A task was cancelled, or killed.
    was_cancelled: bool,
    /// Tasks of an executor that wait, besides the callers that block.
    #[cfg(feature = "async")]
    wakers: Wakers,
}

impl State {
    /// All pieces that there are, or why there will be none. `None`: they are to come.
    fn take_pieces(&mut self) -> Option<Result<VecDeque<Piece>, TaskError>> {
        match (self.pieces.is_empty(), &self.failure) {
            (false, _) => Some(Ok(std::mem::take(&mut self.pieces))),
            (true, Some(failure)) => Some(Err(failure.clone())),
            (true, None) => {
                self.wants_pieces = true;
                None
            }
        }
    }

    /// Whether all results are there, or no more will come.
    fn is_complete(&self) -> bool {
        self.failure.is_some() || (self.total == Some(self.done) && self.open.is_empty())
    }
}

/// The effect of a message on its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::pool) struct Accepted {
    /// The job is over.
    pub over: bool,
    /// A caller sleeps until there is a piece.
    pub wanted: bool,
}

pub(in crate::pool) struct Job {
    /// The process that fills it. Its copy in a forked child is never filled.
    home: Home,
    state: Mutex<State>,
    changed: Condvar,
    hook: Option<Guarded<std::sync::Arc<Hook>>>,
    callback: Mutex<Option<Guarded<Callback>>>,
}

impl Job {
    pub fn new(home: Home, hook: Option<std::sync::Arc<Hook>>) -> Job {
        let hook = hook.map(|hook| Guarded::new("progress hook", hook));
        Job { home, state: Mutex::default(), changed: Condvar::new(), hook, callback: Mutex::new(None) }
    }

    /// Whether this is the copy of a forked child. Its locks are left alone, too: the threads that
    /// hold them may not be here.
    pub fn is_inherited(&self) -> bool {
        !self.home.is_here()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to call when the job is done; set before anything is sent.
    pub fn call_back(&self, callback: Callback) {
        *self.callback.lock().unwrap_or_else(PoisonError::into_inner) = Some(Guarded::new("callback", callback));
    }

    /// A chunk is about to be sent.
    pub fn open(&self, first: u64, count: u32) {
        self.lock().open.insert(first, Open { count, attempt: 0, parts: Vec::new(), entry: None });
    }

    /// A chunk is in the ring, if its results are not here by now.
    pub fn note_sent(&self, first: u64, entry: Entry) {
        if let Some(open) = self.lock().open.get_mut(&first) {
            open.entry = Some(entry);
        }
    }

    /// Whether a chunk of the backlog is still to be done.
    pub fn is_open(&self, first: u64) -> bool {
        self.lock().open.contains_key(&first)
    }

    /// The number of tasks that are expected: for progress, and for a job of one.
    pub fn set_expected(&self, total: u64) {
        self.lock().total = Some(total);
    }

    /// The input was read to its end, and had so many tasks.
    pub fn set_total(&self, total: u64) {
        self.lock().total = Some(total);
        self.finish_if_complete();
    }

    /// Takes what a worker put. A caller that waits for pieces is to be woken by
    /// [`wake`](Self::wake), soon.
    pub fn accept(&self, head: ResultHead, items: &[u8]) -> Accepted {
        let mut state = self.lock();
        let Some(open) = state.open.get_mut(&head.first) else { return Accepted::default() };
        if head.attempt < open.attempt {
            return Accepted::default();
        }
        if head.attempt > open.attempt {
            open.attempt = head.attempt;
            open.parts.clear();
        }
        open.parts.push(items.to_vec());
        if head.kind != kind::LAST {
            return Accepted::default();
        }
        let (count, content) = (open.count, Content::Results(std::mem::take(&mut open.parts)));
        state.open.remove(&head.first);
        self.finish(state, Piece { first: head.first, count, content })
    }

    /// The chunk ended without results. Otherwise as [`accept`](Self::accept).
    pub fn accept_end(&self, head: ResultHead, error: TaskError) -> Accepted {
        let mut state = self.lock();
        let Some(open) = state.open.get(&head.first).filter(|open| head.attempt >= open.attempt) else {
            return Accepted::default();
        };
        let count = open.count;
        state.open.remove(&head.first);
        self.finish(state, Piece { first: head.first, count, content: Content::Failed(error) })
    }

    /// Wakes the callers that wait.
    pub fn wake(&self) {
        self.changed.notify_all();
        #[cfg(feature = "async")]
        {
            let wakers = self.lock().wakers.take();
            wake_all(wakers);
        }
    }

    /// A chunk that cannot be sent, open or not. `true`: the job is over.
    pub fn fail_chunk(&self, first: u64, count: u32, error: TaskError) -> bool {
        let mut state = self.lock();
        state.open.remove(&first);
        let accepted = self.finish(state, Piece { first, count, content: Content::Failed(error) });
        if accepted.wanted {
            self.wake();
        }
        accepted.over
    }

    fn finish(&self, mut state: MutexGuard<'_, State>, piece: Piece) -> Accepted {
        if state.first_error.is_none() {
            state.first_error = piece.first_error();
        }
        state.done += u64::from(piece.count);
        state.pieces.push_back(piece);
        let progress = Progress { done: state.done, total: state.total };
        let wanted = std::mem::take(&mut state.wants_pieces);
        drop(state);
        if let Some(hook) = &self.hook {
            hook.run(|hook| hook(progress));
        }
        Accepted { over: self.finish_if_complete(), wanted }
    }

    /// Fails the job: no more results will come.
    pub fn fail(&self, error: &TaskError) {
        let mut state = self.lock();
        if !state.is_complete() {
            state.failure = Some(error.clone());
            state.open.clear();
        }
        drop(state);
        self.finish_if_complete();
    }

    /// If the job is complete, calls the callback and then wakes the callers that wait.
    fn finish_if_complete(&self) -> bool {
        let mut state = self.lock();
        if !state.is_complete() {
            return false;
        }
        if state.end == End::ToCome {
            state.end = End::CallingBack;
            drop(state);
            let callback = self.callback.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(callback) = callback {
                callback.run_once(|callback| callback(self));
            }
            self.lock().end = End::Over;
            self.wake();
        }
        true
    }

    pub fn is_over(&self) -> bool {
        self.is_inherited() || self.lock().end == End::Over
    }

    /// Whether there are chunks that were sent and not answered.
    pub fn has_open_chunks(&self) -> bool {
        !self.lock().open.is_empty()
    }

    /// Waits until the job is over, but not longer than the deadline. `false`: it is not.
    pub fn wait(&self, deadline: Option<Instant>) -> bool {
        self.is_inherited() || self.wait_for(deadline, |state| (state.end == End::Over).then_some(())).is_some()
    }

    /// Waits for pieces and takes all that there are; an error: there will be none.
    pub fn take_pieces(&self) -> Result<VecDeque<Piece>, TaskError> {
        if self.is_inherited() {
            return Err(TaskError::Inherited);
        }
        self.wait_for(None, State::take_pieces).unwrap_or(Err(TaskError::Timeout))
    }

    fn wait_for<R>(&self, deadline: Option<Instant>, mut check: impl FnMut(&mut State) -> Option<R>) -> Option<R> {
        let mut state = self.lock();
        loop {
            if let Some(found) = check(&mut state) {
                return Some(found);
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return None,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    /// The error that came first, or all results in the order of the tasks. Call when the job is
    /// over.
    pub fn results<R: DeserializeOwned>(&self) -> Result<Vec<R>, TaskError> {
        if self.is_inherited() {
            return Err(TaskError::Inherited);
        }
        let state = self.lock();
        if let Some(error) = state.first_error.as_ref().or(state.failure.as_ref()) {
            return Err(error.clone());
        }
        let mut pieces: Vec<&Piece> = state.pieces.iter().collect();
        pieces.sort_unstable_by_key(|piece| piece.first);
        let mut results = Vec::with_capacity(state.done as usize);
        for piece in pieces {
            for result in piece.results() {
                results.push(decode(result?)?);
            }
        }
        if results.len() as u64 == state.done { Ok(results) } else { Err(garbled()) }
    }

    /// Whether it ended without an error. `None` while it is not over.
    pub fn succeeded(&self) -> Option<bool> {
        if self.is_inherited() {
            return Some(false);
        }
        let state = self.lock();
        (state.end == End::Over).then(|| state.first_error.is_none() && state.failure.is_none())
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_inherited() {
            return out.write_str("Job(inherited)");
        }
        let state = self.lock();
        out.debug_struct("Job").field("done", &state.done).field("total", &state.total).field("open", &state.open.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::message::{append_sized, tag};

    fn head(first: u64, attempt: u32, kind: u32) -> ResultHead {
        ResultHead { nonce: 0, job: 0, first, count: 1, attempt, entry: Entry::default(), kind }
    }

    fn item(value: u8) -> Vec<u8> {
        let mut bytes = vec![tag::VALUE];
        append_sized(&mut bytes, |to| to.push(value));
        bytes
    }

    #[test]
    fn parts_of_an_attempt_that_was_not_finished_are_dropped() {
        let job = Job::new(Home::here().unwrap(), None);
        job.open(0, 2);
        job.open(2, 1);
        job.set_total(3);
        assert!(!job.accept(head(0, 1, kind::PART), &item(9)).over);
        assert!(!job.accept(head(0, 2, kind::PART), &item(1)).over);
        assert!(!job.accept(head(0, 2, kind::LAST), &item(2)).over);
        assert!(!job.accept(head(0, 3, kind::LAST), &item(9)).over, "done twice: counted once");
        assert!(job.has_open_chunks());
        assert!(job.accept(head(2, 1, kind::LAST), &item(3)).over);
        assert_eq!(job.results::<u8>(), Ok(vec![1, 2, 3]));
        assert_eq!(job.succeeded(), Some(true));
    }

    #[test]
    fn a_chunk_whose_worker_died_fails_its_tasks_once() {
        let job = Job::new(Home::here().unwrap(), None);
        job.open(0, 2);
        job.set_total(2);
        let died = TaskError::WorkerDied { attempts: 1, pid: Some(7), status: None };
        assert!(job.accept_end(head(0, 2, kind::DIED), died.clone()).over);
        assert!(!job.accept(head(0, 2, kind::LAST), &item(1)).over);
        assert_eq!(job.results::<u8>(), Err(died));
    }
}
