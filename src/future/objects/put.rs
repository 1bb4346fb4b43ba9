//! Futures that put objects.
//!
//! ```text
//!   first poll --encode--> up to 64 KiB: put by copy --no room--> the bytes are kept
//!              \--> more: lend, encode in place --no room--> the length is kept
//!   next poll  --the kept bytes, or lend and encode in place--> ...
//! ```
//!
//! So a value of up to 64 KiB is encoded once, a longer one twice, however long the future waits.
//! One for a topic is encoded once and kept, whatever its length.

use crate::error::PutError;
use crate::future::poll_queue;
use crate::future::put::{Place, PutsAsync, end_place};
use crate::object::{
    Codec, Encoded, ObjectProducer, ObjectPublisher, ObjectQueue, ObjectSender, ObjectTopic, PutAs, bytes_to_all,
    encode_in_place, encode_to_all,
};
use crate::queue::{Producer, Queue, Sender};
use crate::raw::{RawQueue, Ticket};
use crate::reactor::{Aspect, Waiting};
use crate::topic::{Publisher, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

enum To<'q> {
    Queue(&'q Queue<[u8]>),
    Producer(&'q mut Producer<[u8]>),
    Sender(&'q Sender<[u8]>),
    Topic(&'q Topic<[u8]>),
    Publisher(&'q mut Publisher<[u8]>),
}

impl To<'_> {
    /// The queue, and whether it is entered by lock.
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        match self {
            To::Queue(queue) => PutsAsync::<[u8]>::awaited(*queue),
            To::Producer(producer) => PutsAsync::<[u8]>::awaited(&**producer),
            To::Sender(sender) => PutsAsync::<[u8]>::awaited(*sender),
            To::Topic(topic) => PutsAsync::<[u8]>::awaited(*topic),
            To::Publisher(publisher) => PutsAsync::<[u8]>::awaited(&**publisher),
        }
    }

    fn encode<Q, C>(&self, value: &Q) -> Result<Encoded, PutError>
    where
        Q: Serialize + ?Sized,
        C: Codec,
    {
        match self {
            To::Queue(_) | To::Producer(_) | To::Sender(_) => Encoded::of::<Q, C>(value),
            To::Topic(_) | To::Publisher(_) => encode_to_all::<Q, C>(self.awaited().0, value),
        }
    }

    fn put_at_once<Q, C>(&self, value: &Q, encoded: &Encoded, ticket: &mut Ticket) -> Result<(), PutError>
    where
        Q: Serialize + ?Sized,
        C: Codec,
    {
        let length = encoded.length();
        match (self, encoded.bytes()) {
            (To::Topic(topic), _) => topic.put_at_once(bytes_to_all(topic.raw(), encoded)?, ticket),
            (To::Publisher(publisher), _) => publisher.put_at_once(bytes_to_all(publisher.parts().0, encoded)?, ticket),
            (To::Queue(queue), Some(bytes)) => queue.put_at_once(bytes, ticket),
            (To::Producer(producer), Some(bytes)) => producer.put_at_once(bytes, ticket),
            (To::Sender(sender), Some(bytes)) => sender.put_at_once(bytes, ticket),
            (To::Queue(queue), None) => {
                encode_in_place::<Q, C>(queue.loan_at_once(queue.bytes_of_loan(length)?, ticket)?, value, length)
            }
            (To::Producer(producer), None) => encode_in_place::<Q, C>(producer.loan_len_at_once(length, ticket)?, value, length),
            (To::Sender(sender), None) => encode_in_place::<Q, C>(sender.loan_len_at_once(length, ticket)?, value, length),
        }
    }
}

/// One value on its way.
struct Outgoing<'q> {
    to: To<'q>,
    encoded: Option<Encoded>,
    waiting: Waiting,
    place: Place,
}

impl<'q> Outgoing<'q> {
    fn new(to: To<'q>) -> Outgoing<'q> {
        Outgoing { to, encoded: None, waiting: Waiting::new(), place: Place::default() }
    }

    fn poll<Q, C>(&mut self, value: &Q, context: &mut Context<'_>) -> Poll<Result<(), PutError>>
    where
        Q: Serialize + ?Sized,
        C: Codec,
    {
        let Outgoing { to, encoded, waiting, place } = self;
        let is_first = encoded.is_none();
        let sent = match encoded.take() {
            Some(sent) => sent,
            None => match to.encode::<Q, C>(value) {
                Ok(sent) => sent,
                Err(error) => return Poll::Ready(Err(error)),
            },
        };
        let (raw, by_lock) = to.awaited();
        let want = |ticket: &Ticket| raw.want_room(sent.length(), by_lock, ticket.number());
        let wanted = want(&place.0);
        let polled = poll_queue(waiting, context, raw, Aspect::Room, wanted, |told| {
            let put = to.put_at_once::<Q, C>(value, &sent, &mut place.0);
            if let Some(told) = told {
                told.set(want(&place.0));
            }
            put
        });
        if polled.is_ready() {
            sent.end();
        } else {
            *encoded = Some(if is_first { sent.kept() } else { sent });
        }
        polled
    }
}

impl Drop for Outgoing<'_> {
    fn drop(&mut self) {
        end_place(&mut self.waiting, &mut self.place, || self.to.awaited().0);
    }
}

/// Puts one value: the future of `put_async` of [`ObjectQueue`] and [`ObjectProducer`].
///
/// Cancel safe: dropped before it was Ready, it has put nothing. The value is encoded in the first
/// poll: later changes of it, by interior mutability, do not change the message, unless it is
/// longer than 64 KiB and has to wait.
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll, Waker}};
///
/// let queue = shmq::ObjectQueue::<String>::new(1)?;
/// queue.put("one")?;
/// let mut context = Context::from_waker(Waker::noop());
/// let mut put = queue.put_async("two");
/// assert!(Pin::new(&mut put).poll(&mut context).is_pending());
/// assert_eq!(queue.get()?, "one");
/// assert!(matches!(Pin::new(&mut put).poll(&mut context), Poll::Ready(Ok(()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct PutObject<'v, Q: ?Sized, C> {
    outgoing: Outgoing<'v>,
    value: &'v Q,
    codec: PhantomData<fn(C)>,
}

impl<'v, Q: ?Sized, C> PutObject<'v, Q, C> {
    fn new(to: To<'v>, value: &'v Q) -> Self {
        PutObject { outgoing: Outgoing::new(to), value, codec: PhantomData }
    }
}

impl<Q: Serialize + ?Sized, C: Codec> Future for PutObject<'_, Q, C> {
    type Output = Result<(), PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let PutObject { outgoing, value, .. } = &mut *self;
        outgoing.poll::<Q, C>(value, context)
    }
}

impl<Q: ?Sized, C> fmt::Debug for PutObject<'_, Q, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("PutObject").field(&self.outgoing.waiting).finish()
    }
}

/// Puts as many values as there is room for, at least one: the future of `put_slice_async` of
/// [`ObjectQueue`] and [`ObjectProducer`].
///
/// Cancel safe: Ready with the first poll that moves at least one; dropped before, it has put
/// nothing.
///
/// ```
/// let queue = shmq::ObjectQueue::<u64>::new(2)?;
/// assert_eq!(futures::executor::block_on(queue.put_slice_async(&[1, 2, 3]))?, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct PutObjects<'v, T, C> {
    outgoing: Outgoing<'v>,
    values: &'v [T],
    codec: PhantomData<fn(C)>,
}

impl<'v, T, C> PutObjects<'v, T, C> {
    fn new(to: To<'v>, values: &'v [T]) -> Self {
        PutObjects { outgoing: Outgoing::new(to), values, codec: PhantomData }
    }
}

impl<T: Serialize, C: Codec> Future for PutObjects<'_, T, C> {
    type Output = Result<usize, PutError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let PutObjects { outgoing, values, .. } = &mut *self;
        let Some((first, others)) = values.split_first() else { return Poll::Ready(Ok(0)) };
        let Poll::Ready(first) = outgoing.poll::<T, C>(first, context) else { return Poll::Pending };
        if let Err(error) = first {
            return Poll::Ready(Err(error));
        }
        let to = &outgoing.to;
        // The next call returns the error.
        let put = others.iter().take_while(|value| put_now::<T, C>(to, value).is_ok()).count();
        Poll::Ready(Ok(1 + put))
    }
}

/// Puts a value without waiting.
fn put_now<T: Serialize, C: Codec>(to: &To<'_>, value: &T) -> Result<(), PutError> {
    let encoded = to.encode::<T, C>(value)?;
    let mut ticket = Ticket::default();
    let put = to.put_at_once::<T, C>(value, &encoded, &mut ticket);
    ticket.end(to.awaited().0);
    encoded.end();
    put
}

impl<T, C> fmt::Debug for PutObjects<'_, T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("PutObjects").field(&self.outgoing.waiting).finish()
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    /// Encodes one value and puts it, as [`put`](Self::put), without blocking a thread: see
    /// [`future`](crate::future).
    ///
    /// Cancel safe: a future that is dropped before it was Ready has put nothing. Up to 64 KiB are
    /// encoded once, in the first poll, and kept while the future waits; more is encoded twice,
    /// once to learn its length and once into the ring, when there is room.
    ///
    /// # Errors
    /// As [`put`](Self::put); `Inherited` for a future that waited already when the process forked,
    /// `Os` if the thread that waits for futures cannot be started.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(1)?;
    /// futures::executor::block_on(queue.put_async("one"))?;
    /// assert_eq!(queue.get()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a, Q: Serialize + ?Sized>(&'a self, value: &'a Q) -> PutObject<'a, Q, C>
    where
        T: PutAs<Q>,
    {
        PutObject::new(To::Queue(self.bytes()), value)
    }

    /// Puts as many values of the slice as there is room for, in order, once there is room for one.
    /// Returns how many were put: put the rest with another call, as with
    /// [`Queue::put_slice_async`](crate::Queue::put_slice_async).
    ///
    /// Cancel safe: a future that is dropped before it was Ready has put nothing. An empty slice is
    /// `Ok(0)`.
    ///
    /// # Errors
    /// As [`put_async`](Self::put_async), of the first value. If that was put, `Ok` has how many,
    /// and the next call returns the error.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<u64>::new(8)?;
    /// assert_eq!(futures::executor::block_on(queue.put_slice_async(&[1, 2, 3]))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_slice_async<'a>(&'a self, values: &'a [T]) -> PutObjects<'a, T, C> {
        PutObjects::new(To::Queue(self.bytes()), values)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectProducer<T, C> {
    /// As [`ObjectQueue::put_async`](crate::ObjectQueue::put_async). It borrows the producer
    /// mutably, so that the future can be sent to another thread.
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(1)?;
    /// let mut producer = queue.producer()?;
    /// futures::executor::block_on(producer.put_async("one"))?;
    /// assert_eq!(queue.get()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a, Q: Serialize + ?Sized>(&'a mut self, value: &'a Q) -> PutObject<'a, Q, C>
    where
        T: PutAs<Q>,
    {
        PutObject::new(To::Producer(self.bytes_mut()), value)
    }

    /// As [`ObjectQueue::put_slice_async`](crate::ObjectQueue::put_slice_async).
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<u64>::new(8)?;
    /// let mut producer = queue.producer()?;
    /// assert_eq!(futures::executor::block_on(producer.put_slice_async(&[1, 2, 3]))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_slice_async<'a>(&'a mut self, values: &'a [T]) -> PutObjects<'a, T, C> {
        PutObjects::new(To::Producer(self.bytes_mut()), values)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectSender<T, C> {
    /// As [`ObjectQueue::put_async`](crate::ObjectQueue::put_async).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(1)?;
    /// futures::executor::block_on(queue.sender().put_async("one"))?;
    /// assert_eq!(queue.get()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_async<'a, Q: Serialize + ?Sized>(&'a self, value: &'a Q) -> PutObject<'a, Q, C>
    where
        T: PutAs<Q>,
    {
        PutObject::new(To::Sender(&self.bytes), value)
    }

    /// As [`ObjectQueue::put_slice_async`](crate::ObjectQueue::put_slice_async).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<u64>::new(8)?;
    /// assert_eq!(futures::executor::block_on(queue.sender().put_slice_async(&[1, 2, 3]))?, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn put_slice_async<'a>(&'a self, values: &'a [T]) -> PutObjects<'a, T, C> {
        PutObjects::new(To::Sender(&self.bytes), values)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectTopic<T, C> {
    /// Encodes one value and publishes it, as [`publish`](Self::publish), without blocking a
    /// thread: see [`future`](crate::future). It is encoded in the first poll, and kept while the
    /// future waits.
    ///
    /// Cancel safe: a future that is dropped before it was Ready has published nothing.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and as [`Topic::publish_async`](crate::Topic::publish_async).
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let subscriber = topic.subscribe()?;
    /// futures::executor::block_on(topic.publish_async("one"))?;
    /// assert_eq!(subscriber.next()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_async<'a, Q: Serialize + ?Sized>(&'a self, value: &'a Q) -> PutObject<'a, Q, C>
    where
        T: PutAs<Q>,
    {
        PutObject::new(To::Topic(self.bytes()), value)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectPublisher<T, C> {
    /// As [`ObjectTopic::publish_async`](crate::ObjectTopic::publish_async). It borrows the
    /// publisher mutably, so that the future can be sent to another thread.
    ///
    /// # Errors
    /// As there, and `Inherited` after a fork.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let (subscriber, mut publisher) = (topic.subscribe()?, topic.publisher()?);
    /// futures::executor::block_on(publisher.publish_async("one"))?;
    /// assert_eq!(subscriber.next()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_async<'a, Q: Serialize + ?Sized>(&'a mut self, value: &'a Q) -> PutObject<'a, Q, C>
    where
        T: PutAs<Q>,
    {
        PutObject::new(To::Publisher(self.bytes_mut()), value)
    }
}
