//! Futures and streams of leases that come back unless they are acknowledged.

use super::messages::Owned;
use super::{ONE_AS_OWNER, ONE_BY_LOCK, poll_queue};
use crate::dynamic::{DynConsumer, DynQueue, DynReceiver};
use crate::error::GetError;
use crate::message::Plain;
#[cfg(feature = "object")]
use crate::object::{Codec, ObjectConsumer, ObjectQueue, ObjectReceiver};
use crate::queue::{Consumer, LeaseSource, Queue, Receiver};
use crate::reactor::{Aspect, Waiting};
use crate::wait::Wait;
use futures_core::stream::{FusedStream, Stream};
#[cfg(feature = "object")]
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Leases one message, which comes back unless it is acknowledged: the future of `lease_async` of
/// [`Queue`], [`Consumer`] and the queues and consumers of objects. `H` is the handle, borrowed.
///
/// Cancel safe: dropped before it was Ready, it has leased nothing, and no delivery counts. Once it
/// was Ready, the caller has the lease: dropped without an [`ack`](crate::AckLease::ack) (by a
/// time-out of the task around it, say), the message is delivered again, to any consumer, and that
/// counts as a delivery.
///
/// ```
/// use std::{future::Future, pin::Pin, task::{Context, Poll, Waker}};
///
/// let queue = shmq::Queue::<u64>::new(1)?;
/// let mut context = Context::from_waker(Waker::noop());
/// let mut lease = queue.lease_async();
/// assert!(Pin::new(&mut lease).poll(&mut context).is_pending());
/// queue.put(&1)?;
/// let Poll::Ready(Ok(message)) = Pin::new(&mut lease).poll(&mut context) else { panic!("it is there") };
/// assert_eq!((*message, message.deliveries()), (1, 1));
/// message.ack()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub struct LeaseAsync<H> {
    handle: H,
    waiting: Waiting,
}

impl<H> LeaseAsync<H> {
    pub(crate) fn new(handle: H) -> LeaseAsync<H> {
        LeaseAsync { handle, waiting: Waiting::new() }
    }
}

/// One poll of a lease through any handle.
#[inline]
fn poll_lease<Q: LeaseSource>(source: &Q, waiting: &mut Waiting, context: &mut Context<'_>) -> Poll<Result<Q::Lease, GetError>> {
    let (raw, by_lock) = source.awaited();
    let want = if by_lock { ONE_BY_LOCK } else { ONE_AS_OWNER };
    poll_queue(waiting, context, raw, Aspect::Message, want, |_| source.lease_ack_by(Wait::AtOnce))
}

impl<H> Future for LeaseAsync<H>
where
    H: Deref<Target: LeaseSource + Sized> + Unpin,
{
    type Output = Result<<H::Target as LeaseSource>::Lease, GetError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let LeaseAsync { handle, waiting } = &mut *self;
        poll_lease(&**handle, waiting, context)
    }
}

impl<H> fmt::Debug for LeaseAsync<H> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("LeaseAsync").field(&self.waiting).finish()
    }
}

/// Leases until the queue is closed and drained, or an error that lasts: a [`Stream`], made by
/// `lease_stream` and `into_lease_stream` of [`Queue`], [`Consumer`] and the queues and consumers
/// of objects.
///
/// Its items are leases that keep the queue themselves, so that they can be sent to other tasks,
/// and outlive the stream. It leases no message that it does not yield at once; errors are as in
/// [`Messages`](super::Messages). A combinator that holds items back (`buffer_unordered`,
/// `ready_chunks`, `peekable`) gives back what it holds when it is dropped, and each counts as a
/// delivery.
///
/// ```
/// use futures::StreamExt;
///
/// let queue = shmq::Queue::<u64>::new(16)?;
/// queue.put_slice(&[1, 2, 3])?;
/// queue.close();
/// futures::executor::block_on(async {
///     let mut leases = queue.lease_stream();
///     while let Some(lease) = leases.next().await {
///         let lease = lease?;
///         // ... work that may be cancelled ...
///         lease.ack()?;
///     }
///     Ok::<(), shmq::GetError>(())
/// })?;
/// queue.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a stream does nothing unless it is polled"]
pub struct Leases<H> {
    handle: H,
    waiting: Waiting,
    has_ended: bool,
}

impl<H> Leases<H> {
    pub(crate) fn new(handle: H) -> Leases<H> {
        Leases { handle, waiting: Waiting::new(), has_ended: false }
    }
}

impl<Q> Leases<Owned<Q>> {
    pub(crate) fn owning(source: Q) -> Leases<Owned<Q>> {
        Leases::new(Owned::of(source))
    }
}

impl<H> Stream for Leases<H>
where
    H: Deref<Target: LeaseSource + Sized> + Unpin,
{
    type Item = Result<<H::Target as LeaseSource>::Lease, GetError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Leases { handle, waiting, has_ended } = &mut *self;
        if *has_ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(item) = poll_lease(&**handle, waiting, context) else { return Poll::Pending };
        *has_ended = matches!(&item, Err(error) if !error.is_of_one_message());
        Poll::Ready(if matches!(item, Err(GetError::Closed)) { None } else { Some(item) })
    }
}

impl<H> FusedStream for Leases<H>
where
    H: Deref<Target: LeaseSource + Sized> + Unpin,
{
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl<H> fmt::Debug for Leases<H> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Leases").field("waiting", &self.waiting).field("has_ended", &self.has_ended).finish()
    }
}

/// The verbs of one kind of handle. Endpoints take `&mut self`, so that their futures can be sent.
macro_rules! leases_of {
    ([$($generics:tt)*] $handle:ty, [$($mutable:tt)?] $this:ident, $made:literal) => {
        impl<$($generics)*> $handle {
            /// Leases one message, which comes back unless it is acknowledged, as
            /// [`lease_ack`](Self::lease_ack), without blocking a thread: see
            /// [`future`](crate::future).
            ///
            /// Cancel safe: a future that is dropped before it was Ready has leased nothing. The
            /// lease keeps the queue itself, so that it can be sent to another task.
            ///
            /// # Errors
            /// As [`lease_ack`](Self::lease_ack); `Inherited` for a future that waited already when
            /// the process forked, `Os` if the thread that waits for futures cannot be started.
            ///
            /// ```
            #[doc = $made]
            /// futures::executor::block_on(async {
            ///     let job = handle.lease_async().await?;
            ///     // Await what it takes: if this is cancelled, the job goes to another consumer.
            ///     job.ack()
            /// })?;
            /// assert!(handle.try_lease_ack().is_err());
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn lease_async(&$($mutable)? $this) -> LeaseAsync<&$($mutable)? Self> {
                LeaseAsync::new($this)
            }

            /// A stream of leases until the queue is closed and drained: see [`Leases`].
            ///
            /// ```
            /// use futures::StreamExt;
            ///
            #[doc = $made]
            /// futures::executor::block_on(async {
            ///     let lease = handle.lease_stream().next().await.expect("one is there")?;
            ///     lease.ack()
            /// })?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn lease_stream(&$($mutable)? $this) -> Leases<&$($mutable)? Self> {
                Leases::new($this)
            }

            /// The same, of a stream that owns the handle: for a task of its own.
            ///
            /// ```
            /// use futures::StreamExt;
            ///
            #[doc = $made]
            /// let mut leases = handle.into_lease_stream();
            /// let task = std::thread::spawn(move || futures::executor::block_on(leases.next()));
            /// task.join().unwrap().expect("one is there")?.ack()?;
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn into_lease_stream($this) -> Leases<Owned<Self>> {
                Leases::owning($this)
            }
        }
    };
}

leases_of! {
    [T: ?Sized + Plain] Queue<T>, [] self,
    "let handle = shmq::Queue::<u64>::new(4)?;\nhandle.put(&1)?;"
}
leases_of! {
    [T: ?Sized + Plain] Consumer<T>, [mut] self,
    "let queue = shmq::Queue::<u64>::new(4)?;\nqueue.put(&1)?;\n# #[allow(unused_mut)]\nlet mut handle = queue.consumer()?;"
}
leases_of! {
    [T: ?Sized + Plain] Receiver<T>, [] self,
    "let queue = shmq::Queue::<u64>::new(4)?;\nqueue.put(&1)?;\nlet handle = queue.receiver();"
}
leases_of! {
    [] DynQueue, [] self,
    "let handle = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;\nhandle.put(&[1; 8])?;"
}
leases_of! {
    [] DynConsumer, [mut] self,
    "let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;\nqueue.put(&[1; 8])?;\n# #[allow(unused_mut)]\nlet mut handle = queue.consumer()?;"
}
leases_of! {
    [] DynReceiver, [] self,
    "let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;\nqueue.put(&[1; 8])?;\nlet handle = queue.receiver();"
}
#[cfg(feature = "object")]
leases_of! {
    [T: Serialize + DeserializeOwned, C: Codec] ObjectQueue<T, C>, [] self,
    "let handle = shmq::ObjectQueue::<String>::new(4)?;\nhandle.put(\"job\")?;"
}
#[cfg(feature = "object")]
leases_of! {
    [T: Serialize + DeserializeOwned, C: Codec] ObjectConsumer<T, C>, [mut] self,
    "let queue = shmq::ObjectQueue::<String>::new(4)?;\nqueue.put(\"job\")?;\n# #[allow(unused_mut)]\nlet mut handle = queue.consumer()?;"
}
#[cfg(feature = "object")]
leases_of! {
    [T: Serialize + DeserializeOwned, C: Codec] ObjectReceiver<T, C>, [] self,
    "let queue = shmq::ObjectQueue::<String>::new(4)?;\nqueue.put(\"job\")?;\nlet handle = queue.receiver();"
}
