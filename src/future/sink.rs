//! [`PutSink`]: a queue as a `Sink`.

use super::poll_queue;
use super::put::{Place, PutsAsync, end_place};
use crate::error::PutError;
use crate::message::Message;
use crate::queue::{Producer, Queue, Sender};
use crate::raw::Ticket;
use crate::reactor::{Aspect, Waiting};
use futures_sink::Sink;
use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Puts what it is sent: a [`Sink`] of messages, or of vectors of elements, made by `sink` of
/// [`Queue`], [`Producer`] and [`Sender`]. For `forward`, `send_all` and other combinators.
///
/// It holds one message, which it was sent and has not put yet: **what is sent is in the queue when
/// it was flushed**. `send` flushes, `feed` does not, and neither sends further messages before it.
/// A sink that is dropped drops the message that it holds. After an error it holds none: the
/// message was not put. To close the sink flushes it; the queue stays open for its other handles.
///
/// ```
/// use futures::{SinkExt, StreamExt, stream};
///
/// let queue = shmq::Queue::<u64>::new(8)?;
/// futures::executor::block_on(async {
///     queue.sink().send(1).await?;
///     stream::iter([2, 3]).map(Ok).forward(queue.sink()).await
/// })?;
/// assert_eq!((queue.get()?, queue.get()?, queue.get()?), (1, 2, 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a sink does nothing unless it is polled"]
pub struct PutSink<H, T: ?Sized + Message>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    handle: H,
    held: Option<T::Owned>,
    waiting: Waiting,
    place: Place,
}

impl<H, T: ?Sized + Message> PutSink<H, T>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    fn new(handle: H) -> Self {
        PutSink { handle, held: None, waiting: Waiting::new(), place: Place::default() }
    }
}

// No field is pinned.
impl<H, T: ?Sized + Message> Unpin for PutSink<H, T> where H: Deref<Target: PutsAsync<T> + Sized> {}

impl<H, T> Sink<T::Owned> for PutSink<H, T>
where
    T: ?Sized + Message,
    T::Owned: Borrow<T>,
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    type Error = PutError;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PutError>> {
        self.poll_flush(context)
    }

    /// # Panics
    /// If it was not ready: it holds one message.
    fn start_send(mut self: Pin<&mut Self>, message: T::Owned) -> Result<(), PutError> {
        assert!(self.held.is_none(), "a message was sent before the sink was ready");
        self.held = Some(message);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PutError>> {
        let PutSink { handle, held, waiting, place } = &mut *self;
        let Some(message) = held else { return Poll::Ready(Ok(())) };
        let message: &T = (*message).borrow();
        let (raw, by_lock) = handle.awaited();
        let want = |ticket: &Ticket| raw.want_room(size_of_val(message), by_lock, ticket.number());
        let wanted = want(&place.0);
        let polled = poll_queue(waiting, context, raw, Aspect::Room, wanted, |told| {
            let put = handle.put_at_once(message, &mut place.0);
            if let Some(told) = told {
                told.set(want(&place.0));
            }
            put
        });
        if polled.is_ready() {
            *held = None;
            place.0.end(raw);
        }
        polled
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), PutError>> {
        self.poll_flush(context)
    }
}

impl<H, T: ?Sized + Message> Drop for PutSink<H, T>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    fn drop(&mut self) {
        end_place(&mut self.waiting, &mut self.place, || self.handle.awaited().0);
    }
}

impl<H, T: ?Sized + Message> fmt::Debug for PutSink<H, T>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PutSink").field("holds_one", &self.held.is_some()).field("waiting", &self.waiting).finish()
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// A sink that puts what it is sent: see [`PutSink`](crate::future::PutSink).
    ///
    /// ```
    /// use futures::SinkExt;
    ///
    /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
    /// futures::executor::block_on(queue.sink().send(b"abc".to_vec()))?;
    /// assert_eq!(queue.get()?, b"abc");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sink(&self) -> PutSink<&Queue<T>, T> {
        PutSink::new(self)
    }
}

impl<T: ?Sized + Message> Producer<T> {
    /// As [`Queue::sink`](crate::Queue::sink).
    ///
    /// ```
    /// use futures::SinkExt;
    ///
    /// let queue = shmq::Queue::<u64>::new(8)?;
    /// let mut producer = queue.producer()?;
    /// futures::executor::block_on(producer.sink().send(1))?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sink(&mut self) -> PutSink<&mut Producer<T>, T> {
        PutSink::new(self)
    }
}

impl<T: ?Sized + Message> Sender<T> {
    /// As [`Queue::sink`](crate::Queue::sink).
    ///
    /// ```
    /// use futures::SinkExt;
    ///
    /// let queue = shmq::Queue::<u64>::new(8)?;
    /// let sender = queue.sender();
    /// futures::executor::block_on(sender.sink().send(1))?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sink(&self) -> PutSink<&Sender<T>, T> {
        PutSink::new(self)
    }
}
