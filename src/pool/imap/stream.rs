//! [`ImapStream`]: results one by one, without a blocked thread.

use super::{Imap, Reader};
use crate::pool::error::TaskError;
use crate::pool::piece::Piece;
use crate::process::wakers::Place;
use crate::wait::Wait;
use futures_core::stream::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Items in a row after which the stream yields to other tasks of its executor.
const IN_A_ROW: u32 = 128;

/// Where a stream waits: in the list of its job, and in that of the pool.
#[derive(Debug, Default)]
pub(super) struct Places {
    piece: Option<Place>,
    room: Option<Place>,
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Reader<'_, I, R> {
    /// As [`take_piece`](Self::take_piece), for a task of an executor.
    fn poll_piece(&mut self, places: &mut Places, context: &Context<'_>) -> Poll<Option<Result<Piece, TaskError>>> {
        if self.out == 0 && !self.exhausted {
            self.read_ahead(Wait::Never);
            if self.out == 0 && !self.exhausted {
                // No room. Checked again, now that it waits.
                self.shared.await_room(&mut places.room, context);
                self.read_ahead(Wait::Never);
                if self.out == 0 && !self.exhausted {
                    return Poll::Pending;
                }
            }
        }
        self.shared.leave_room(places.room.take());
        if self.out == 0 {
            self.go_on_panicking();
            return Poll::Ready(None);
        }
        if self.arrived.is_empty() {
            match self.job.poll_pieces(&mut places.piece, context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(pieces)) => self.arrived = pieces,
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready(self.arrived.pop_front().map(Ok))
    }
}

impl<'p, I, R> Imap<'p, I, R> {
    /// The results as a [`Stream`], without a blocked thread, under any executor: see
    /// [`future`](crate::future).
    ///
    /// ```
    /// use futures::TryStreamExt;
    ///
    /// let pool = shmq::Pool::new(2)?;
    /// let squares = pool.imap(|n: u64| n * n, 0..4)?.into_stream();
    /// let squares: Vec<u64> = futures::executor::block_on(squares.try_collect())?;
    /// assert_eq!(squares, [0, 1, 4, 9]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> ImapStream<'p, I, R> {
        ImapStream { imap: self, places: Places::default(), in_a_row: 0 }
    }
}

/// Results of many tasks, one by one: a [`Stream`], made by [`Imap::into_stream`].
///
/// It yields what [`Imap`] does, in the same order; an error is yielded at its place and does not
/// end the stream. The input is read in the polls, as far ahead as results are taken and
/// [`max_pending`](crate::PoolBuilder::max_pending) has room (callers that block for room have it
/// first), so it should not block.
///
/// Cancel safe: a stream whose `next` is dropped has lost no result. Dropping the stream gives up
/// what is left, as dropping [`Imap`] does: tasks that were sent are run, and their results
/// dropped; [`cancel`](Self::cancel) ends what has not begun. After a fork the child's copy yields
/// [`TaskError::Inherited`] once, and ends.
///
/// ```
/// use futures::StreamExt;
///
/// let pool = shmq::Pool::new(2)?;
/// let mut squares = pool.imap_unordered(|n: u64| n * n, 0..)?.into_stream().take(4);
/// futures::executor::block_on(async {
///     while let Some(square) = squares.next().await {
///         println!("{}", square?);
///     }
///     Ok::<(), shmq::TaskError>(())
/// })?;
/// # drop(squares);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the input is read only as far as results are taken"]
pub struct ImapStream<'p, I, R> {
    imap: Imap<'p, I, R>,
    places: Places,
    in_a_row: u32,
}

// The input is used in place, never pinned.
impl<I, R> Unpin for ImapStream<'_, I, R> {}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> ImapStream<'_, I, R> {
    /// As [`Imap::cancel`].
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let pool = shmq::Pool::new(1)?;
    /// let mut squares = pool.imap(|n: u64| n * n, 0..)?.into_stream();
    /// assert_eq!(futures::executor::block_on(squares.next()), Some(Ok(0)));
    /// squares.cancel(); // what has not begun: the stream has an end now
    /// let rest = futures::executor::block_on(squares.count());
    /// # let _ = rest;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cancel(&mut self) -> bool {
        self.imap.cancel()
    }
}

impl<I: Iterator<Item: Serialize>, R: DeserializeOwned> Stream for ImapStream<'_, I, R> {
    type Item = Result<R, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ImapStream { imap, places, in_a_row } = &mut *self;
        if *in_a_row == IN_A_ROW {
            *in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let item = imap.next_by(|reader| reader.poll_piece(places, context));
        *in_a_row = if item.is_ready() { *in_a_row + 1 } else { 0 };
        item
    }
}

impl<I, R> Drop for ImapStream<'_, I, R> {
    fn drop(&mut self) {
        let Places { piece, room } = std::mem::take(&mut self.places);
        self.imap.reader.job.leave(piece);
        self.imap.reader.shared.leave_room(room);
    }
}

impl<I, R> fmt::Debug for ImapStream<'_, I, R> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ImapStream").field(&self.imap).finish()
    }
}
