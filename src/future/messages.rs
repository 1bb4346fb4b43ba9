//! [`Messages`]: a stream of messages.

use super::get::poll_get;
use crate::error::GetError;
use crate::message::Message;
use crate::queue::{Consumer, Queue, Receiver, Source};
use crate::reactor::Waiting;
use futures_core::stream::{FusedStream, Stream};
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Messages by copy until the queue is closed and drained, or an error that lasts: a
/// [`Stream`], made by `stream` and `into_stream` of [`Queue`], [`Consumer`], the queues and
/// consumers of objects, and subscribers.
///
/// A message that cannot be decoded, or that a subscriber missed, is an error item, and the stream
/// goes on; any other error is the last item, since the next get would return it at once again;
/// `Closed` ends the stream without one. Cancel safe: a stream that is dropped, or whose `next` is,
/// has taken no message that it did not yield.
///
/// ```
/// use futures::StreamExt;
///
/// let queue = shmq::Queue::<u64>::new(16)?;
/// queue.put_slice(&[1, 2, 3])?;
/// queue.close();
/// let sum = futures::executor::block_on(queue.stream().fold(0, async |sum, message| sum + message.unwrap()));
/// assert_eq!(sum, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a stream does nothing unless it is polled"]
pub struct Messages<H> {
    handle: H,
    waiting: Waiting,
    has_ended: bool,
}

/// A handle that a stream owns.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(16)?;
/// let stream: shmq::future::Messages<shmq::future::Owned<shmq::Queue<u64>>> = queue.into_stream();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Owned<Q>(Q);

impl<Q> Owned<Q> {
    pub(super) fn of(handle: Q) -> Owned<Q> {
        Owned(handle)
    }
}

impl<Q> Deref for Owned<Q> {
    type Target = Q;

    fn deref(&self) -> &Q {
        &self.0
    }
}

impl<H> Messages<H> {
    pub(crate) fn new(handle: H) -> Messages<H> {
        Messages { handle, waiting: Waiting::new(), has_ended: false }
    }
}

impl<Q> Messages<Owned<Q>> {
    pub(crate) fn owning(source: Q) -> Messages<Owned<Q>> {
        Messages::new(Owned(source))
    }

    /// The handle back.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let stream = queue.into_stream();
    /// stream.into_inner().put(&1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_inner(self) -> Q {
        self.handle.0
    }
}

impl<H> Messages<H>
where
    H: Deref<Target: Source + Sized> + Unpin,
{
    /// Polls for one message, in terms of results: what [`Stream::poll_next`] makes items of. For
    /// those who write futures of their own.
    ///
    /// # Errors
    /// As `get_async` of the handle.
    ///
    /// ```
    /// use std::task::{Context, Poll, Waker};
    ///
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let mut messages = queue.stream();
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(messages.poll_get(&mut context).is_pending());
    /// queue.put(&1)?;
    /// assert!(matches!(messages.poll_get(&mut context), Poll::Ready(Ok(1))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn poll_get(&mut self, context: &mut Context<'_>) -> Poll<Result<<H::Target as Source>::Message, GetError>> {
        poll_get(&*self.handle, &mut self.waiting, context)
    }
}

impl<H> Stream for Messages<H>
where
    H: Deref<Target: Source + Sized> + Unpin,
{
    type Item = Result<<H::Target as Source>::Message, GetError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(item) = self.poll_get(context) else { return Poll::Pending };
        self.has_ended = matches!(&item, Err(error) if self.handle.lasts(error));
        Poll::Ready(if matches!(item, Err(GetError::Closed)) { None } else { Some(item) })
    }
}

impl<H> FusedStream for Messages<H>
where
    H: Deref<Target: Source + Sized> + Unpin,
{
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl<H> fmt::Debug for Messages<H> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Messages").field("waiting", &self.waiting).field("has_ended", &self.has_ended).finish()
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// A stream of messages until the queue is closed and drained: see [`Messages`].
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// queue.put(&1)?;
    /// assert_eq!(futures::executor::block_on(queue.stream().next()).unwrap()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> Messages<&Queue<T>> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the handle: for a task of its own.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let mut messages = queue.clone().into_stream();
    /// let task = std::thread::spawn(move || futures::executor::block_on(messages.next()));
    /// queue.put(&1)?;
    /// assert_eq!(task.join().unwrap().unwrap()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<Queue<T>>> {
        Messages::owning(self)
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    /// A stream of messages: as [`Queue::stream`](crate::Queue::stream).
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let mut consumer = queue.consumer()?;
    /// queue.put(&1)?;
    /// assert_eq!(futures::executor::block_on(consumer.stream().next()).unwrap()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&mut self) -> Messages<&mut Consumer<T>> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the consumer, and frees the side when it is dropped.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let mut messages = queue.consumer()?.into_stream();
    /// queue.put(&1)?;
    /// assert_eq!(futures::executor::block_on(messages.next()).unwrap()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<Consumer<T>>> {
        Messages::owning(self)
    }
}

impl<T: ?Sized + Message> Receiver<T> {
    /// A stream of messages: as [`Queue::stream`](crate::Queue::stream).
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let receiver = queue.receiver();
    /// queue.put(&1)?;
    /// assert_eq!(futures::executor::block_on(receiver.stream().next()).unwrap()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> Messages<&Receiver<T>> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the receiver: for a task of its own. The queue has one
    /// receiver less when it is dropped.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let queue = shmq::Queue::<u64>::builder().capacity(16).close_when_unused(true).create()?;
    /// let (sender, mut messages) = (queue.sender(), queue.receiver().into_stream());
    /// drop(queue);
    /// sender.put(&1)?;
    /// drop(sender);
    /// assert_eq!(futures::executor::block_on(messages.next()).unwrap()?, 1);
    /// assert!(futures::executor::block_on(messages.next()).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<Receiver<T>>> {
        Messages::owning(self)
    }
}
