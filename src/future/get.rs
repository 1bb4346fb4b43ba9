//! Futures that get by copy.

use super::topics::poll_subscriber;
use super::{ONE_AS_OWNER, ONE_BY_LOCK, poll_queue, poll_slowly, try_first};
use crate::error::GetError;
use crate::message::Message;
use crate::queue::{Consumer, Queue, Receiver, Source};
use crate::raw::{BY_LOCK, BY_OWNER};
use crate::reactor::{Aspect, Waiting};
use crate::wait::Wait;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Gets one message by copy: the future of `get_async` of [`Queue`], [`Consumer`] and the queues
/// and consumers of objects, and of `next_async` of subscribers. `H` is the handle, borrowed.
///
/// Cancel safe: dropped before it was Ready, it has taken nothing.
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll, Waker}};
///
/// let queue = shmq::Queue::<u64>::new(1)?;
/// let mut context = Context::from_waker(Waker::noop());
/// let mut get = queue.get_async();
/// assert!(Pin::new(&mut get).poll(&mut context).is_pending());
/// queue.put(&1)?;
/// assert!(matches!(Pin::new(&mut get).poll(&mut context), Poll::Ready(Ok(1))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct Get<H> {
    handle: H,
    waiting: Waiting,
}

impl<H> Get<H> {
    pub(crate) fn new(handle: H) -> Get<H> {
        Get { handle, waiting: Waiting::new() }
    }
}

/// One poll of a get through any handle.
#[inline]
pub(super) fn poll_get<Q: Source>(
    source: &Q,
    waiting: &mut Waiting,
    context: &mut Context<'_>,
) -> Poll<Result<Q::Message, GetError>> {
    match try_first(waiting, || source.get_by(Wait::AtOnce)) {
        Poll::Ready(got) => Poll::Ready(got),
        Poll::Pending => {
            if let Some(subscriber) = source.subscriber() {
                return poll_subscriber(waiting, context, subscriber, &mut || source.get_by(Wait::AtOnce));
            }
            let (raw, by_lock) = source.awaited();
            let want = if by_lock { ONE_BY_LOCK } else { ONE_AS_OWNER };
            poll_slowly(waiting, context, raw, (Aspect::Message, want), &mut |_| source.get_by(Wait::AtOnce))
        }
    }
}

impl<H> Future for Get<H>
where
    H: Deref<Target: Source + Sized> + Unpin,
{
    type Output = Result<<H::Target as Source>::Message, GetError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Get { handle, waiting } = &mut *self;
        poll_get(&**handle, waiting, context)
    }
}

impl<H> fmt::Debug for Get<H> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Get").field(&self.waiting).finish()
    }
}

/// Gets as many messages as there are, at least one: the future of `get_slice_async` of [`Queue`]
/// and [`Consumer`], and of `next_slice_async` of [`Subscriber`](crate::Subscriber).
///
/// Cancel safe: Ready with the first poll that takes at least one; dropped before, it has taken
/// nothing.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(8)?;
/// queue.put_slice(&[1, 2, 3])?;
/// let mut buffer = [0; 8];
/// let count = futures::executor::block_on(queue.get_slice_async(&mut buffer))?;
/// assert_eq!(buffer[..count], [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct GetSlice<'v, H, T> {
    pub(super) handle: H,
    pub(super) buffer: &'v mut [T],
    pub(super) waiting: Waiting,
}

impl<T: Message> Future for GetSlice<'_, &Queue<T>, T> {
    type Output = Result<usize, GetError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let GetSlice { handle, buffer, waiting } = &mut *self;
        let raw = handle.raw();
        poll_queue(waiting, context, raw, Aspect::Message, ONE_BY_LOCK, |_| {
            raw.get_values::<BY_LOCK, T>(raw.me_in_both_roles()?, buffer, Wait::AtOnce)
        })
    }
}

impl<T: Message> Future for GetSlice<'_, &mut Consumer<T>, T> {
    type Output = Result<usize, GetError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let GetSlice { handle, buffer, waiting } = &mut *self;
        let (raw, owner) = handle.parts();
        poll_queue(waiting, context, raw, Aspect::Message, ONE_AS_OWNER, |_| {
            raw.get_values::<BY_OWNER, T>(raw.check(owner)?, buffer, Wait::AtOnce)
        })
    }
}

impl<H, T> fmt::Debug for GetSlice<'_, H, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("GetSlice").field(&self.waiting).finish()
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// Gets one message by copy, as [`get`](Self::get), without blocking a thread: see
    /// [`future`](crate::future).
    ///
    /// Cancel safe: a future that is dropped before it was Ready has taken nothing.
    ///
    /// # Errors
    /// As [`get`](Self::get); `Inherited` for a future that waited already when the process forked,
    /// `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// assert_eq!(futures::executor::block_on(queue.get_async())?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&self) -> Get<&Queue<T>> {
        Get::new(self)
    }
}

impl<T: ?Sized + Message> Receiver<T> {
    /// As [`Queue::get_async`](crate::Queue::get_async).
    ///
    /// # Errors
    /// As there: [`GetError::Closed`] also once the queue is drained and no sender is left, where
    /// it closes [when unused](crate::QueueBuilder::close_when_unused).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(1).close_when_unused(true).create()?;
    /// let (sender, receiver) = (queue.sender(), queue.receiver());
    /// drop(queue);
    /// sender.put(&1)?;
    /// drop(sender);
    /// let got = futures::executor::block_on(async { (receiver.get_async().await, receiver.get_async().await) });
    /// assert!(matches!(got, (Ok(1), Err(shmq::GetError::Closed))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&self) -> Get<&Receiver<T>> {
        Get::new(self)
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    /// As [`Queue::get_async`](crate::Queue::get_async). It borrows the consumer mutably, so that
    /// the future can be sent to another thread.
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// let mut consumer = queue.consumer()?;
    /// queue.put(&1)?;
    /// assert_eq!(futures::executor::block_on(consumer.get_async())?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_async(&mut self) -> Get<&mut Consumer<T>> {
        Get::new(self)
    }
}

impl<T: Message> Queue<T> {
    /// Gets as many messages as there are, up to `v.len()`, once there is one: as
    /// [`get_slice`](Self::get_slice), without blocking a thread.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has taken nothing.
    ///
    /// # Errors
    /// As [`get_slice`](Self::get_slice), and as [`get_async`](Self::get_async).
    ///
    /// ```
    /// let queue = shmq::Queue::<u32>::new(8)?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// let mut buffer = [0; 8];
    /// assert_eq!(futures::executor::block_on(queue.get_slice_async(&mut buffer))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_slice_async<'a>(&'a self, v: &'a mut [T]) -> GetSlice<'a, &'a Queue<T>, T> {
        GetSlice { handle: self, buffer: v, waiting: Waiting::new() }
    }
}

impl<T: Message> Consumer<T> {
    /// As [`Queue::get_slice_async`](crate::Queue::get_slice_async).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u32>::new(8)?;
    /// let mut consumer = queue.consumer()?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// let mut buffer = [0; 8];
    /// assert_eq!(futures::executor::block_on(consumer.get_slice_async(&mut buffer))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get_slice_async<'a>(&'a mut self, v: &'a mut [T]) -> GetSlice<'a, &'a mut Consumer<T>, T> {
        GetSlice { handle: self, buffer: v, waiting: Waiting::new() }
    }
}
