//! Futures and streams of topics.

use super::put::PutsAsync;
use super::{Closed, Get, GetSlice, Messages, Owned, Put, PutSlice, poll_queue, tried, try_first};
use crate::attachment::Attached;
use crate::error::{GetError, PutError};
use crate::message::{Message, Plain};
use crate::raw::{BY_LOCK, BY_OWNER, RawQueue, RawSubscriber, Ticket, ToAll};
use crate::reactor::{Aspect, Subject, Waiting, Want};
use crate::topic::{Publisher, Sample, Subscriber, Topic};
use crate::wait::Wait;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The rest of a poll of a call of a subscriber, after a first try: as `poll_slowly` for queues.
#[cold]
#[inline(never)]
pub(super) fn poll_subscriber<R>(
    waiting: &mut Waiting,
    context: &mut Context<'_>,
    subscriber: &RawSubscriber,
    attempt: &mut dyn FnMut() -> Result<R, GetError>,
) -> Poll<Result<R, GetError>> {
    let (raw, wanted) = (subscriber.raw(), Cell::new(Want::ONE));
    let subject = Subject {
        address: subscriber.address(),
        aspect: Aspect::Message,
        want: &wanted,
        spins: raw.spins_of_polls(),
        stop: raw.stop(),
        share: &|| subscriber.shared(),
    };
    if waiting.may_try() {
        // The first try found nothing.
        subscriber.gather_for_poll();
    }
    let polled = waiting.poll_slowly(context, &subject, false, &mut || tried(raw, attempt()));
    if polled.is_pending() {
        // It will not move for a while.
        subscriber.wake_before_sleep();
    }
    polled
}

impl<T: ?Sized + Message> PutsAsync<T> for Topic<T> {
    #[inline]
    fn put_at_once(&self, value: &T, ticket: &mut Ticket) -> Result<(), PutError> {
        let raw = self.raw();
        raw.put_at_once::<ToAll, BY_LOCK, T>(raw.me()?, value, ticket)
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.raw(), true)
    }
}

impl<T: ?Sized + Message> PutsAsync<T> for Publisher<T> {
    #[inline]
    fn put_at_once(&self, value: &T, ticket: &mut Ticket) -> Result<(), PutError> {
        let (raw, owner) = self.parts();
        if raw.try_put::<ToAll, T>(owner, value) {
            Ok(())
        } else {
            raw.put_at_once::<ToAll, BY_OWNER, T>(raw.check(owner)?, value, ticket)
        }
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.parts().0, false)
    }
}

impl<T: Message> Future for PutSlice<'_, &Topic<T>, T> {
    type Output = Result<usize, PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let PutSlice { handle, values, waiting } = &mut *self;
        let raw = handle.raw();
        poll_queue(waiting, context, raw, Aspect::Room, raw.want_room(size_of::<T>(), true, 0), |_| {
            raw.publish_values::<BY_LOCK, T>(raw.me()?, values, Wait::AtOnce)
        })
    }
}

impl<T: Message> Future for PutSlice<'_, &mut Publisher<T>, T> {
    type Output = Result<usize, PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let PutSlice { handle, values, waiting } = &mut *self;
        let (raw, owner) = handle.parts();
        poll_queue(waiting, context, raw, Aspect::Room, raw.want_room(size_of::<T>(), false, 0), |_| {
            raw.publish_values::<BY_OWNER, T>(raw.check(owner)?, values, Wait::AtOnce)
        })
    }
}

impl<T: Message> Future for GetSlice<'_, &mut Subscriber<T>, T> {
    type Output = Result<usize, GetError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let GetSlice { handle, buffer, waiting } = &mut *self;
        let raw = handle.raw();
        match try_first(waiting, || raw.next_values(buffer, Wait::AtOnce)) {
            Poll::Pending => poll_subscriber(waiting, context, raw, &mut || raw.next_values(buffer, Wait::AtOnce)),
            ready => ready,
        }
    }
}

/// Reads the next message in place: the future of `read_async` of [`Subscriber`].
///
/// Cancel safe: dropped before it was Ready, it has pinned nothing, and the message is the next one
/// still. A [`Sample`] that was Ready passes its message when it is dropped, by a task that is
/// cancelled too.
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll, Waker}};
///
/// let topic = shmq::Topic::<[u64; 512]>::new(4)?;
/// let mut every = topic.subscribe()?;
/// let mut context = Context::from_waker(Waker::noop());
/// let mut read = every.read_async();
/// assert!(Pin::new(&mut read).poll(&mut context).is_pending());
/// topic.publish(&[3; 512])?;
/// let Poll::Ready(Ok(sample)) = Pin::new(&mut read).poll(&mut context) else { panic!("it is there") };
/// assert_eq!(sample[511], 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct ReadAsync<'s, T: ?Sized + Plain> {
    /// `None` once it was Ready.
    subscriber: Option<&'s mut Subscriber<T>>,
    waiting: Waiting,
}

impl<'s, T: ?Sized + Plain> Future for ReadAsync<'s, T> {
    type Output = Result<Sample<'s, T>, GetError>;

    /// # Panics
    /// If it was Ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ReadAsync { subscriber, waiting } = &mut *self;
        let raw = subscriber.as_ref().expect("a future is not polled once it was Ready").raw();
        let polled = match try_first(waiting, || raw.pin_next(Wait::AtOnce)) {
            Poll::Pending => poll_subscriber(waiting, context, raw, &mut || raw.pin_next(Wait::AtOnce)),
            ready => ready,
        };
        let Poll::Ready(pinned) = polled else { return Poll::Pending };
        let subscriber = subscriber.take().expect("it was there just now");
        Poll::Ready(pinned.and_then(|record| subscriber.sample_of(record)))
    }
}

impl<T: ?Sized + Plain> fmt::Debug for ReadAsync<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ReadAsync").field(&self.waiting).finish()
    }
}

impl<T: ?Sized + Message> Topic<T> {
    /// Publishes one message by copy, as [`publish`](Self::publish), without blocking a thread: see
    /// [`future`](crate::future). Waits while a gating subscriber is a whole capacity behind.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has published nothing. If a
    /// process dies whose subscriber keeps the gate shut, the future goes on within 0.2 s.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); `Inherited` for a future that waited already when the process
    /// forked, `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let subscriber = topic.subscribe()?;
    /// futures::executor::block_on(topic.publish_async(&1))?;
    /// assert_eq!(subscriber.next()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_async<'a>(&'a self, v: &'a T) -> Put<'a, &'a Topic<T>, T> {
        Put::through(self, v)
    }

    /// Waits until the topic is closed, by any process: as [`Queue::closed`](crate::Queue::closed).
    /// Cancel safe.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// topic.close();
    /// futures::executor::block_on(topic.closed())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.raw())
    }
}

impl<T: Message> Topic<T> {
    /// Publishes as many messages of the slice as there is room for, in order, once there is room
    /// for one. Returns how many: publish the rest with another call, as with
    /// [`Queue::put_slice_async`](crate::Queue::put_slice_async).
    ///
    /// Cancel safe: a future that is dropped before it was Ready has published nothing. An empty
    /// slice is `Ok(0)`.
    ///
    /// # Errors
    /// As [`publish_async`](Self::publish_async).
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// assert_eq!(futures::executor::block_on(topic.publish_slice_async(&[1, 2, 3]))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_slice_async<'a>(&'a self, v: &'a [T]) -> PutSlice<'a, &'a Topic<T>, T> {
        PutSlice { handle: self, values: v, waiting: Waiting::new() }
    }
}

impl<T: Message> Publisher<T> {
    /// As [`Topic::publish_slice_async`](crate::Topic::publish_slice_async).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// let mut publisher = topic.publisher()?;
    /// assert_eq!(futures::executor::block_on(publisher.publish_slice_async(&[1, 2, 3]))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_slice_async<'a>(&'a mut self, v: &'a [T]) -> PutSlice<'a, &'a mut Publisher<T>, T> {
        PutSlice { handle: self, values: v, waiting: Waiting::new() }
    }
}

impl<T: Message> Subscriber<T> {
    /// Up to `v.len()` messages, once there is one: as [`next_slice`](Self::next_slice), without
    /// blocking a thread.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has passed no message.
    ///
    /// # Errors
    /// As [`next_slice`](Self::next_slice), and as [`next_async`](Self::next_async).
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// let mut subscriber = topic.subscribe()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// let mut some = [0; 2];
    /// assert_eq!(futures::executor::block_on(subscriber.next_slice_async(&mut some))?, 2);
    /// assert_eq!(some, [1, 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_slice_async<'a>(&'a mut self, v: &'a mut [T]) -> GetSlice<'a, &'a mut Subscriber<T>, T> {
        GetSlice { handle: self, buffer: v, waiting: Waiting::new() }
    }
}

impl<T: ?Sized + Message> Publisher<T> {
    /// As [`Topic::publish_async`](crate::Topic::publish_async). It borrows the publisher mutably,
    /// so that the future can be sent to another thread.
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let (subscriber, mut publisher) = (topic.subscribe()?, topic.publisher()?);
    /// futures::executor::block_on(publisher.publish_async(&1))?;
    /// assert_eq!(subscriber.next()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_async<'a>(&'a mut self, v: &'a T) -> Put<'a, &'a mut Publisher<T>, T> {
        Put::through(self, v)
    }

    /// Waits until the topic is closed: as [`Topic::closed`](crate::Topic::closed). Cancel safe.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let publisher = topic.publisher()?;
    /// topic.close();
    /// futures::executor::block_on(publisher.closed())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.parts().0)
    }
}

impl<T: ?Sized + Message> Subscriber<T> {
    /// The next message by copy, as [`next`](Self::next), without blocking a thread: see
    /// [`future`](crate::future). It borrows the subscriber mutably, so that the future can be sent
    /// to another thread.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has passed no message.
    ///
    /// # Errors
    /// As [`next`](Self::next); `Inherited` for a future that waited already when the process
    /// forked, `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let mut subscriber = topic.subscribe()?;
    /// topic.publish(&1)?;
    /// assert_eq!(futures::executor::block_on(subscriber.next_async())?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_async(&mut self) -> Get<&mut Subscriber<T>> {
        Get::new(self)
    }

    /// A stream of messages until the topic is closed and all of it is passed. `Lagged`, `Evicted`
    /// and `Invalid` are items, and further messages come behind them; any other error is the last
    /// item: see [`Messages`].
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let mut subscriber = topic.subscribe()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// topic.close();
    /// let sum = futures::executor::block_on(subscriber.stream().fold(0, async |sum, message| sum + message.unwrap()));
    /// assert_eq!(sum, 6);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&mut self) -> Messages<&mut Subscriber<T>> {
        Messages::new(self)
    }

    /// The same, of a stream that owns the subscriber, which ends with it: for a task of its own.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let mut messages = topic.subscribe()?.into_stream();
    /// let task = std::thread::spawn(move || futures::executor::block_on(messages.next()));
    /// topic.publish(&1)?;
    /// assert_eq!(task.join().unwrap().unwrap()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_stream(self) -> Messages<Owned<Subscriber<T>>> {
        Messages::owning(self)
    }
}

impl<T: ?Sized> Subscriber<T> {
    /// Waits until the topic is closed, as [`Topic::closed`](crate::Topic::closed): messages may
    /// still be left. Cancel safe.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.close();
    /// futures::executor::block_on(subscriber.closed())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closed(&self) -> Closed<'_> {
        Closed::new(self.raw().raw())
    }
}

impl<T: ?Sized + Plain> Subscriber<T> {
    /// The next message, read in place, as [`read`](Self::read), without blocking a thread.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has passed no message, and pinned
    /// none. The [`Sample`] may be held across an `.await`; publishers wait for it all the while.
    ///
    /// # Errors
    /// As [`read`](Self::read), and as [`next_async`](Self::next_async).
    ///
    /// ```
    /// let topic = shmq::Topic::<[f32]>::builder().capacity_bytes(4096).create()?;
    /// let mut every = topic.subscribe()?;
    /// topic.publish([0.5, 1.5].as_slice())?;
    /// assert_eq!(futures::executor::block_on(every.read_async())?[1], 1.5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_async(&mut self) -> ReadAsync<'_, T> {
        ReadAsync { subscriber: Some(self), waiting: Waiting::new() }
    }
}
