//! Results one by one, while the input is still being read: in order, or as they come.
//!
//! Invariant: `out` counts the chunks that were sent and whose results were not yet yielded, those
//! that wait for their turn included; it never exceeds `ahead`. So neither the input nor the
//! results pile up. Nor do the pending tasks of the pool: while there is no room for more of them,
//! the input is read no further, and only a caller that has nothing out waits for room.
//!
//! The input is the caller's code, read ahead of the results: if it panics, the panic is kept until
//! the results of the items before are yielded, and goes on at the place of the item that panicked.

#[cfg(feature = "async")]
mod stream;

#[cfg(feature = "async")]
pub use self::stream::ImapStream;

use crate::pool::chunker::{Chunker, Read};
use crate::pool::error::TaskError;
use crate::pool::job::Job;
use crate::pool::piece::{Piece, decode};
use crate::pool::state::Shared;
use crate::wait::Wait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Poll;

/// Sends chunks and takes pieces.
pub(in crate::pool) struct Reader<'p, I, R> {
    shared: &'p Arc<Shared>,
    job: Arc<Job>,
    number: u64,
    chunker: Chunker<'p>,
    input: I,
    exhausted: bool,
    /// The panic that the input ended with.
    panic: Option<Box<dyn Any + Send>>,
    ahead: usize,
    out: usize,
    /// Pieces that came together with one that was taken.
    arrived: VecDeque<Piece>,
    yields: PhantomData<fn() -> R>,
}

impl<'p, I: Iterator<Item: Serialize>, R: DeserializeOwned> Reader<'p, I, R> {
    pub fn new(shared: &'p Arc<Shared>, job: Arc<Job>, number: u64, chunker: Chunker<'p>, input: I, ahead: usize) -> Self {
        let (exhausted, panic, out, arrived) = (false, None, 0, VecDeque::new());
        let mut reader =
            Reader { shared, job, number, chunker, input, exhausted, panic, ahead, out, arrived, yields: PhantomData };
        reader.read_ahead(Wait::Never);
        reader
    }

    /// Sends as many chunks as may be out, when half of them have come back: many at a time wake
    /// fewer sleepers. For the first of them it waits as it is told, if there is no room.
    fn read_ahead(&mut self, mut wait: Wait) {
        if self.out > self.ahead / 2 {
            return;
        }
        while self.out < self.ahead && !self.exhausted {
            let before = self.chunker.sent;
            let read = catch_unwind(AssertUnwindSafe(|| self.chunker.send_one(&mut self.input, wait)));
            wait = Wait::Never;
            self.exhausted = match read {
                Ok(Read::More) => false,
                Ok(Read::NoRoom) => return,
                Ok(Read::End) => true,
                Err(panic) => {
                    self.panic = Some(panic);
                    self.chunker.end();
                    true
                }
            };
            self.out += self.chunker.sent - before;
        }
    }

    /// The next piece to come. `None`: all were taken.
    ///
    /// # Panics
    /// As the input did, after the pieces of what came before.
    fn take_piece(&mut self) -> Option<Result<Piece, TaskError>> {
        if self.out == 0 && !self.exhausted {
            // There was no room for what is to be read next, and there is nothing else to wait for.
            self.read_ahead(Wait::FOREVER);
        }
        if self.out == 0 {
            self.go_on_panicking();
            return None;
        }
        if self.arrived.is_empty() {
            match self.job.take_pieces() {
                Ok(pieces) => self.arrived = pieces,
                Err(error) => return Some(Err(error)),
            }
        }
        self.arrived.pop_front().map(Ok)
    }

    /// The input has ended, with its panic perhaps.
    fn go_on_panicking(&mut self) {
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
    }

    /// Results of a piece, decoded; the piece is out no more.
    fn take_results(&mut self, piece: &Piece) -> VecDeque<Result<R, TaskError>> {
        self.out -= 1;
        piece.results().map(|result| result.and_then(decode)).collect()
    }

    /// The next item in a forked child, which has no part in the pool: an error, and then the end.
    /// `None`: this is no forked child.
    fn refuse_inherited(&mut self, current: &mut VecDeque<Result<R, TaskError>>) -> Option<Option<Result<R, TaskError>>> {
        if !self.job.is_inherited() {
            return None;
        }
        let has_more = self.out > 0 || !self.exhausted || !current.is_empty();
        self.stop();
        current.clear();
        Some(has_more.then_some(Err(TaskError::Inherited)))
    }

    /// Reads no further, and cancels what has not begun.
    fn cancel(&mut self) -> bool {
        if self.job.is_inherited() {
            return false;
        }
        if !self.exhausted {
            self.exhausted = true;
            // What was read is sent, and comes back cancelled.
            let before = self.chunker.sent;
            self.chunker.end();
            self.out += self.chunker.sent - before;
        }
        self.shared.cancel(&self.job, self.number, false)
    }

    /// There will be nothing more.
    fn stop(&mut self) {
        self.exhausted = true;
        self.out = 0;
    }
}

impl<I, R> Drop for Reader<'_, I, R> {
    fn drop(&mut self) {
        if self.shared.is_ours() {
            self.shared.forget(self.number);
        }
    }
}

/// In which order results are yielded.
pub(in crate::pool) enum Order {
    /// That of the input.
    OfInput {
        /// Pieces that came before their turn.
        early: BTreeMap<u64, Piece>,
        /// Index of the first task of the next piece.
        next: u64,
    },
    /// That in which they come.
    OfResults,
}

impl Order {
    pub fn of_input() -> Order {
        Order::OfInput { early: BTreeMap::new(), next: 0 }
    }

    /// The piece whose turn it is, if it came before.
    fn take_due(&mut self) -> Option<Piece> {
        let Order::OfInput { early, next } = self else { return None };
        let piece = early.remove(next)?;
        *next += u64::from(piece.count);
        Some(piece)
    }

    /// A piece that came: back if its results are yielded now.
    fn admit(&mut self, piece: Piece) -> Option<Piece> {
        let Order::OfInput { early, .. } = self else { return Some(piece) };
        early.insert(piece.first, piece);
        None
    }

    fn clear(&mut self) {
        if let Order::OfInput { early, .. } = self {
            early.clear();
        }
    }
}

/// Results of many tasks, one by one; made by [`Pool::imap`](crate::Pool::imap), in the order of
/// the input, each as soon as those before it are there, and by
/// [`Pool::imap_unordered`](crate::Pool::imap_unordered), in the order in which they come.
///
/// Dropping it gives up what is left: the input is read no further, and results of tasks that were
/// sent are dropped when they come.
///
/// ```
/// let pool = shmq::Pool::new(2)?;
/// let mut squares = pool.imap(|n: u64| n * n, 0..)?; // endless input: read a bounded way ahead
/// assert_eq!(squares.next(), Some(Ok(0)));
/// assert_eq!(squares.next(), Some(Ok(1)));
/// drop(squares);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the input is read only as far as results are taken"]
pub struct Imap<'p, I, R> {
    reader: Reader<'p, I, R>,
    current: VecDeque<Result<R, TaskError>>,
    order: Order,
}

impl<'p, I, R> Imap<'p, I, R> {
    pub(in crate::pool) fn new(reader: Reader<'p, I, R>, order: Order) -> Self {
        Imap { reader, current: VecDeque::new(), order }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Imap<'_, I, R> {
    /// Cancels the tasks that were sent and have not begun: each yields
    /// [`TaskError::Cancelled`] at its place, and never runs. The input is read no further. Those
    /// that run go on and yield their results. Returns whether a task was cancelled, by this call
    /// or an earlier one; see [`AsyncResult::cancel`](crate::AsyncResult::cancel).
    ///
    /// (Dropping the iterator cancels nothing: tasks that were sent are run.)
    ///
    /// ```
    /// use shmq::TaskError;
    /// use std::time::Duration;
    ///
    /// let pool = shmq::Pool::new(1)?;
    /// let sleep = |n: u64| std::thread::sleep(Duration::from_millis(n));
    /// let mut results = pool.batch().read_ahead(3).imap_unordered(sleep, [0, 60_000, 1, 2])?;
    /// assert_eq!(results.next(), Some(Ok(())));
    /// assert!(results.cancel());
    /// assert_eq!(results.next(), Some(Err(TaskError::Cancelled)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self) -> bool {
        self.reader.cancel()
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Imap<'_, I, R> {
    /// The next item. `take` waits for a piece, or returns `Pending`.
    fn next_by(
        &mut self,
        mut take: impl FnMut(&mut Reader<'_, I, R>) -> Poll<Option<Result<Piece, TaskError>>>,
    ) -> Poll<Option<Result<R, TaskError>>> {
        if let Some(refused) = self.reader.refuse_inherited(&mut self.current) {
            return Poll::Ready(refused);
        }
        loop {
            if let Some(result) = self.current.pop_front() {
                return Poll::Ready(Some(result));
            }
            let due = match self.order.take_due() {
                Some(piece) => Some(piece),
                None => match take(&mut self.reader) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(None),
                    Poll::Ready(Some(Ok(piece))) => self.order.admit(piece),
                    Poll::Ready(Some(Err(error))) => {
                        self.reader.stop();
                        self.order.clear();
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            };
            if let Some(piece) = due {
                self.current = self.reader.take_results(&piece);
                self.reader.read_ahead(Wait::Never);
            }
        }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Iterator for Imap<'_, I, R> {
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.next_by(|reader| Poll::Ready(reader.take_piece())) {
            Poll::Ready(item) => item,
            Poll::Pending => None, // it waits instead
        }
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> FusedIterator for Imap<'_, I, R> {}

impl<I, R> fmt::Debug for Imap<'_, I, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Imap").field("job", &self.reader.job).finish_non_exhaustive()
    }
}
