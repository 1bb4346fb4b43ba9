//! Futures that put: by copy, many at once, and in place.

use super::{poll_queue, poll_slowly, try_first};
use crate::error::PutError;
use crate::message::{Message, Plain};
use crate::queue::guard::Loan;
use crate::queue::sealed::Sealed;
use crate::queue::{Producer, Queue, Sender};
use crate::raw::{BY_LOCK, BY_OWNER, RawQueue, Ticket, ToOne};
use crate::reactor::{Aspect, Waiting, Want};
use crate::wait::Wait;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What a [`Put`] puts through: a queue or a producer, a topic or a publisher. Sealed.
///
/// ```
/// use shmq::{PutError, Queue, future::PutsAsync};
///
/// async fn put_twice<Q: PutsAsync<u64>>(queue: &Q, value: u64) -> Result<(), PutError> {
///     shmq::future::Put::through(queue, &value).await?;
///     shmq::future::Put::through(queue, &value).await
/// }
///
/// let queue = Queue::<u64>::new(4)?;
/// futures::executor::block_on(put_twice(&queue, 7))?;
/// assert_eq!(queue.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait PutsAsync<T: ?Sized>: Sealed {
    /// One try, with the place in line that the future keeps.
    #[doc(hidden)]
    fn put_at_once(&self, value: &T, ticket: &mut Ticket) -> Result<(), PutError>;

    #[doc(hidden)]
    fn awaited(&self) -> (&Arc<RawQueue>, bool);
}

impl<T: ?Sized + Message> PutsAsync<T> for Queue<T> {
    #[inline]
    fn put_at_once(&self, value: &T, ticket: &mut Ticket) -> Result<(), PutError> {
        let raw = self.raw();
        raw.put_at_once::<ToOne, BY_LOCK, T>(raw.me_in_both_roles()?, value, ticket)
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.raw(), true)
    }
}

impl<T: ?Sized + Message> PutsAsync<T> for Sender<T> {
    #[inline]
    fn put_at_once(&self, value: &T, ticket: &mut Ticket) -> Result<(), PutError> {
        let (raw, me) = self.used()?;
        raw.put_at_once::<ToOne, BY_LOCK, T>(me, value, ticket)
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.shared(), true)
    }
}

impl<T: ?Sized + Message> PutsAsync<T> for Producer<T> {
    #[inline]
    fn put_at_once(&self, value: &T, ticket: &mut Ticket) -> Result<(), PutError> {
        let (raw, owner) = self.parts();
        if raw.try_put::<ToOne, T>(owner, value) {
            Ok(())
        } else {
            raw.put_at_once::<ToOne, BY_OWNER, T>(raw.check(owner)?, value, ticket)
        }
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.parts().0, false)
    }
}

/// The place in line of a large message that waits for room in a slice queue, given back when the
/// future ends.
#[derive(Default)]
pub(crate) struct Place(pub Ticket);

/// Puts one message by copy: the future of `put_async` of [`Queue`] and [`Producer`], and of
/// `publish_async` of [`Topic`](crate::Topic) and [`Publisher`](crate::Publisher).
///
/// Cancel safe: dropped before it was Ready, it has put nothing. The place in line of a large
/// message (see [`Queue`], "Fairness") is given back.
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll, Waker}};
///
/// let queue = shmq::Queue::<u64>::new(1)?;
/// queue.put(&1)?;
/// let mut context = Context::from_waker(Waker::noop());
/// let mut put = queue.put_async(&2);
/// assert!(Pin::new(&mut put).poll(&mut context).is_pending());
/// assert_eq!(queue.get()?, 1);
/// assert!(matches!(Pin::new(&mut put).poll(&mut context), Poll::Ready(Ok(()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct Put<'v, H, T: ?Sized>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    handle: H,
    value: &'v T,
    waiting: Waiting,
    place: Place,
}

impl<'v, H, T: ?Sized> Put<'v, H, T>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    /// A put of `value` through a borrowed handle.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// futures::executor::block_on(shmq::future::Put::through(&queue, &1))?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn through(handle: H, value: &'v T) -> Put<'v, H, T> {
        Put { handle, value, waiting: Waiting::new(), place: Place::default() }
    }
}

impl<H, T: ?Sized> Future for Put<'_, H, T>
where
    H: Deref<Target: PutsAsync<T> + Sized> + Unpin,
{
    type Output = Result<(), PutError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Put { handle, value, waiting, place } = &mut *self;
        let (raw, by_lock) = handle.awaited();
        if let Poll::Ready(put) = try_first(waiting, || handle.put_at_once(value, &mut place.0)) {
            return Poll::Ready(put);
        }
        poll_slowly(waiting, context, raw, (Aspect::Room, Want::ONE), &mut |wanted| {
            let put = handle.put_at_once(value, &mut place.0);
            if let Some(wanted) = wanted {
                wanted.set(raw.want_room(size_of_val(*value), by_lock, place.0.number()));
            }
            put
        })
    }
}

impl<H, T: ?Sized> Drop for Put<'_, H, T>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    fn drop(&mut self) {
        end_place(&mut self.waiting, &mut self.place, || self.handle.awaited().0);
    }
}

/// Gives the place in line back, unless the future was made by the parent of this process.
pub(super) fn end_place<'a>(waiting: &mut Waiting, place: &mut Place, raw: impl FnOnce() -> &'a Arc<RawQueue>) {
    if place.0.number() != 0 && !waiting.is_inherited() {
        place.0.end(raw());
    }
}

impl<H, T: ?Sized> fmt::Debug for Put<'_, H, T>
where
    H: Deref<Target: PutsAsync<T> + Sized>,
{
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Put").field(&self.waiting).finish()
    }
}

/// Puts as many messages as there is room for, at least one: the future of `put_slice_async` of
/// [`Queue`] and [`Producer`], and of `publish_slice_async` of topics.
///
/// Cancel safe: Ready with the first poll that moves at least one; dropped before, it has put
/// nothing.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(2)?;
/// let put = futures::executor::block_on(queue.put_slice_async(&[1, 2, 3]))?;
/// assert_eq!(put, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct PutSlice<'v, H, T> {
    pub(super) handle: H,
    pub(super) values: &'v [T],
    pub(super) waiting: Waiting,
}

impl<T: Message> Future for PutSlice<'_, &Queue<T>, T> {
    type Output = Result<usize, PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let PutSlice { handle, values, waiting } = &mut *self;
        let raw = handle.raw();
        poll_queue(waiting, context, raw, Aspect::Room, raw.want_room(size_of::<T>(), true, 0), |_| {
            raw.put_values::<BY_LOCK, T>(raw.me_in_both_roles()?, values, Wait::AtOnce)
        })
    }
}

impl<T: Message> Future for PutSlice<'_, &mut Producer<T>, T> {
    type Output = Result<usize, PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let PutSlice { handle, values, waiting } = &mut *self;
        let (raw, owner) = handle.parts();
        poll_queue(waiting, context, raw, Aspect::Room, raw.want_room(size_of::<T>(), false, 0), |_| {
            raw.put_values::<BY_OWNER, T>(raw.check(owner)?, values, Wait::AtOnce)
        })
    }
}

impl<H, T> fmt::Debug for PutSlice<'_, H, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("PutSlice").field(&self.waiting).finish()
    }
}

/// Lends room for a message: the future of `loan_async` and `loan_len_async` of [`Queue`].
///
/// Cancel safe: dropped before it was Ready, it has lent nothing. A loan that was Ready and is
/// dropped without a commit is aborted, as ever.
///
/// ```
/// let queue = shmq::Queue::<[u8; 4096]>::new(2)?;
/// futures::executor::block_on(async {
///     let mut frame = queue.loan_async().await?;
///     frame.fill(7);
///     frame.commit()
/// })?;
/// assert_eq!(queue.get()?[4095], 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct LoanAsync<'q, T: ?Sized + Plain> {
    queue: &'q Queue<T>,
    /// Bytes, or why there is no such message.
    length: Result<usize, Option<PutError>>,
    waiting: Waiting,
    place: Place,
}

impl<'q, T: ?Sized + Plain> Future for LoanAsync<'q, T> {
    type Output = Result<Loan<'q, T>, PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let LoanAsync { queue, length, waiting, place } = &mut *self;
        let length = match length {
            Ok(length) => *length,
            Err(error) => return Poll::Ready(Err(error.take().unwrap_or(PutError::Full))),
        };
        let queue: &'q Queue<T> = queue;
        let raw = queue.raw();
        poll_queue(waiting, context, raw, Aspect::Room, Want::ONE, |wanted| {
            let lent = queue.loan_at_once(length, &mut place.0);
            if let Some(wanted) = wanted {
                wanted.set(raw.want_room(length, true, place.0.number()));
            }
            lent
        })
    }
}

impl<T: ?Sized + Plain> Drop for LoanAsync<'_, T> {
    fn drop(&mut self) {
        end_place(&mut self.waiting, &mut self.place, || self.queue.raw());
    }
}

impl<T: ?Sized + Plain> fmt::Debug for LoanAsync<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("LoanAsync").field(&self.waiting).finish()
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// Puts one message by copy, as [`put`](Self::put), without blocking a thread: see
    /// [`future`](crate::future).
    ///
    /// Cancel safe: a future that is dropped before it was Ready has put nothing.
    ///
    /// # Errors
    /// As [`put`](Self::put); `Inherited` for a future that waited already when the process forked,
    /// `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// futures::executor::block_on(queue.put_async(&1))?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a>(&'a self, v: &'a T) -> Put<'a, &'a Queue<T>, T> {
        Put::through(self, v)
    }
}

impl<T: ?Sized + Message> Sender<T> {
    /// As [`Queue::put_async`](crate::Queue::put_async).
    ///
    /// # Errors
    /// As there: [`PutError::Closed`] also once no receiver is left, where the queue closes
    /// [when unused](crate::QueueBuilder::close_when_unused).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// futures::executor::block_on(queue.sender().put_async(&1))?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a>(&'a self, v: &'a T) -> Put<'a, &'a Sender<T>, T> {
        Put::through(self, v)
    }
}

impl<T: ?Sized + Message> Producer<T> {
    /// As [`Queue::put_async`](crate::Queue::put_async). It borrows the producer mutably, so that
    /// the future can be sent to another thread.
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// let mut producer = queue.producer()?;
    /// futures::executor::block_on(producer.put_async(&1))?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a>(&'a mut self, v: &'a T) -> Put<'a, &'a mut Producer<T>, T> {
        Put::through(self, v)
    }
}

impl<T: Message> Queue<T> {
    /// Puts as many messages of the slice as there is room for, in order, once there is room for
    /// one. Returns how many moved.
    ///
    /// Unlike [`put_slice`](Self::put_slice) it does not wait until all have moved: then a future
    /// that is dropped could not say how many had. Put the rest with another call. Cancel safe: a
    /// future that is dropped before it was Ready has put nothing. An empty slice is `Ok(0)`.
    ///
    /// # Errors
    /// As [`put_slice`](Self::put_slice), and as [`put_async`](Self::put_async).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// futures::executor::block_on(async {
    ///     let all = [1, 2, 3, 4];
    ///     let mut put = 0;
    ///     while put < all.len() {
    ///         put += queue.put_slice_async(&all[put..]).await?;
    ///         while queue.try_get().is_ok() {} // another process would
    ///     }
    ///     Ok::<(), shmq::PutError>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_slice_async<'a>(&'a self, v: &'a [T]) -> PutSlice<'a, &'a Queue<T>, T> {
        PutSlice { handle: self, values: v, waiting: Waiting::new() }
    }

    /// Lends room for a message, as [`loan`](Self::loan), without blocking a thread.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has lent nothing.
    ///
    /// # Errors
    /// As [`loan`](Self::loan), and as [`put_async`](Self::put_async).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// futures::executor::block_on(async {
    ///     let mut loan = queue.loan_async().await?;
    ///     *loan = 7;
    ///     loan.commit()
    /// })?;
    /// assert_eq!(queue.get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loan_async(&self) -> LoanAsync<'_, T>
    where
        T: Plain,
    {
        LoanAsync { queue: self, length: Ok(size_of::<T>()), waiting: Waiting::new(), place: Place::default() }
    }
}

impl<X> Queue<[X]>
where
    X: Plain,
{
    /// Lends room for a message of `n` elements, as [`loan_len`](Self::loan_len), without blocking
    /// a thread.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has lent nothing.
    ///
    /// # Errors
    /// As [`loan_len`](Self::loan_len), and as [`put_async`](Self::put_async).
    ///
    /// ```
    /// let queue = shmq::Queue::<[u16]>::builder().capacity_bytes(4096).create()?;
    /// futures::executor::block_on(async {
    ///     let mut loan = queue.loan_len_async(100).await?;
    ///     loan[..3].copy_from_slice(&[1, 2, 3]);
    ///     loan.commit_len(3)
    /// })?;
    /// assert_eq!(queue.get()?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn loan_len_async(&self, n: usize) -> LoanAsync<'_, [X]> {
        let length = self.bytes_of_loan(n).map_err(Some);
        LoanAsync { queue: self, length, waiting: Waiting::new(), place: Place::default() }
    }
}

impl<T: Message> Producer<T> {
    /// As [`Queue::put_slice_async`](crate::Queue::put_slice_async).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(8)?;
    /// let mut producer = queue.producer()?;
    /// assert_eq!(futures::executor::block_on(producer.put_slice_async(&[1, 2, 3]))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_slice_async<'a>(&'a mut self, v: &'a [T]) -> PutSlice<'a, &'a mut Producer<T>, T> {
        PutSlice { handle: self, values: v, waiting: Waiting::new() }
    }
}
