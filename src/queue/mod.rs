//! The public face of a queue: the handle, and what every verb has in common.
//!
//! | file | subject |
//! |---|---|
//! | `builder/` | the settings, and creating and opening |
//! | `put.rs`, `get.rs`, `lease.rs` | the verbs of [`Queue`] |
//! | `lease_ack.rs` | leases that come back unless they are acknowledged, of both |
//! | `owned.rs` | guards that keep the queue by themselves, of all handles |
//! | `by_form.rs` | what getting a value and getting a slice do differently |
//! | `endpoint.rs` | the verbs of [`Producer`] and [`Consumer`] |
//! | `sender.rs`, `receiver.rs` | handles of one role |
//! | `guard/` | [`Loan`](guard::Loan), [`Lease`](guard::Lease), [`LeaseMut`](guard::LeaseMut), [`AckLease`](guard::AckLease), [`View`](guard::View) |
//! | `forward.rs` | from a lease into another queue |
//! | `iter.rs` | getting in a loop |
//! | `with_id.rs` | which message is which, and what became of it |
//! | `control.rs` | counting, closing, recovering, joining |
//! | `detach.rs` | leaving for certain |
//! | `serde.rs` | handles that are sent |
//! | `keep.rs` | handles that a child is to count |

mod builder;
mod by_form;
mod control;
mod detach;
mod endpoint;
mod forward;
mod get;
pub(crate) mod guard;
mod iter;
mod keep;
mod lease;
mod lease_ack;
mod owned;
mod put;
mod receiver;
mod sender;
mod serde;
mod with_id;

pub(crate) mod sealed {
    /// Keeps other crates from implementing the traits that have this one above them.
    pub trait Sealed {}
}

pub use builder::{Broadcasting, Buildable, Delivering, MessageType, QueueBuilder};
pub use endpoint::{Consumer, Producer};
pub(crate) use forward::Accepts;
pub use forward::{Destination, ForwardError, Held};
#[cfg(feature = "object")]
pub(crate) use forward::{GivesBack, forward, forwards};
pub use iter::{Iter, Source};
pub use keep::Keep;
pub use lease_ack::LeaseSource;
pub(crate) use put::{loan_kept_otherwise, loan_of, loan_owned_of, slice_bytes};
pub use receiver::Receiver;
pub use sender::Sender;
#[cfg(feature = "object")]
pub(crate) use serde::Transit;
pub(crate) use serde::{Received, reopen, send};

use crate::error::{CreateError, GetError, OpenError, PutError};
use crate::message::Message;
use crate::raw::{PlainHandle, RawQueue};
use crate::shm::segment::Segment;
use crate::wait::Stop;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A bounded queue between processes, in a named shared-memory segment.
///
/// Any number of processes and threads put and get through any number of handles. Clones share one
/// attachment. A handle survives `fork` (the child attaches at its first call), can be opened by
/// name in another process, and can be serialised with `serde` (as its name) and sent through
/// another queue.
///
/// **Order**: all puts are in one total order. Each consumer sees a subsequence of it, except that
/// messages that were given back come first.
///
/// **Delivery**: a put that returned `Ok` is not lost before a consumer takes the message, as long
/// as the queue lives. The queue ends, and its messages with it, when its last participant leaves
/// (drops its last handle), unless it was set to [`persist`](Queue::persist). By copy a message is
/// taken at most once; by [lease](Queue::lease) at least once.
///
/// **The end of the stream** comes by [`close`](Self::close), or by itself, when one side is gone,
/// where the queue was built so: see [`Sender`].
///
/// **If a process dies** anywhere in a call, the others continue: see the table in the crate's
/// README.
///
/// **Fairness**: none is promised. Free room goes to the put that comes first, not to the one that
/// has waited longest, and so does a message: a running caller is there before a sleeper has woken
/// up. In practice no caller is passed over for ever, since sleepers are woken in the order in
/// which they fell asleep. But a wait has no bound; where that matters, use a timeout. Only a large
/// message in a slice queue gets a turn (it takes a ticket, which later puts respect).
///
/// Measured on 2 cores with six times as many runnable processes: 8 processes that put into a full
/// queue of 8, of which one message is taken each 0.2 ms, had 10 to 16 % of the puts each (12.5 %
/// is even); 1 in 100 of their waits was longer than 17 ms, the longest of 4 s took 95 ms.
///
/// **In a signal handler** [`try_put`](Self::try_put) may be called, whatever it interrupts: `Busy`
/// after about 1 ms, if that was a put by the same thread. No other verb may. See
/// [`sync`](crate::sync#signal-handlers).
///
/// ```
/// let queue = shmq::Queue::<u64>::new(3)?;
/// let child = shmq::Process::spawn({
///     let queue = queue.clone();
///     move || queue.put(&42)
/// })?;
/// assert_eq!(queue.get()?, 42);
/// # assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T: ?Sized> {
    raw: PlainHandle,
    /// As the builder was given it; part of the serialised handle.
    schema: Option<Arc<str>>,
    /// As the builder was given it; part of the serialised handle.
    structure: Option<Arc<str>>,
    carries: PhantomData<fn() -> Box<T>>,
}

// The bound is on each function, not on the block: then the compiler's error for a type that is no
// `Message` says what to use instead.
impl<T> Queue<T> {
    /// Creates a named queue for exactly `capacity` messages.
    ///
    /// A dead segment of that name (no process is attached) is replaced unless it was persisted.
    /// The name goes when the last participant leaves, unless [`persist`](Queue::persist) is
    /// called.
    ///
    /// # Errors
    /// [`CreateError::AlreadyExists`] if a process uses a queue of that name; the other variants of
    /// [`CreateError`]. Nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-create-{}", std::process::id());
    /// let queue = shmq::Queue::<u32>::create(&name, 100)?;
    /// let same = shmq::Queue::<u32>::open(&name)?;
    /// queue.put(&7)?;
    /// assert_eq!(same.get()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Queue::builder().name(name).capacity(capacity).create()
    }

    /// Opens the queue of that name, or creates it for `capacity` messages. **On a queue that
    /// exists `capacity` does not take effect**: [`unapplied_options`](Queue::unapplied_options)
    /// lists it. Of several processes that call this at once, one creates.
    ///
    /// If all users of the queue are dead, an open queue is opened, and its messages are still
    /// there. One that is closed and drained, or carries messages of another type, is replaced by a
    /// new one: see [`QueueBuilder::open_or_create`].
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-either-{}", std::process::id());
    /// let first = shmq::Queue::<u32>::open_or_create(&name, 100)?;
    /// let second = shmq::Queue::<u32>::open_or_create(&name, 7)?; // of the same queue
    /// assert_eq!(second.capacity(), 100);
    /// assert_eq!(second.unapplied_options()[0].to_string(), "capacity: asked for 7, is 100");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Queue::builder().name(name).capacity(capacity).open_or_create()
    }

    /// Creates an anonymous queue for exactly `capacity` messages, for forked children and for
    /// handles that are sent.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// let queue = shmq::Queue::<[f32; 3]>::new(2)?;
    /// queue.put(&[1.0, 2.0, 3.0])?;
    /// assert_eq!(queue.get()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Queue::builder().capacity(capacity).create()
    }
}

impl<T: ?Sized> Queue<T> {
    /// Settings for a queue to be created or opened: see [`QueueBuilder`].
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::builder().capacity(10).max_deliveries(3).create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> QueueBuilder<Queue<T>>
    where
        T: Message,
    {
        QueueBuilder::new()
    }

    /// Opens the queue that another process created. A dead one (no process is attached) is opened
    /// too: its messages are still there.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. Does not wait for a queue to be created: that does
    /// [`open_timeout`](Queue::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-open-{}", std::process::id());
    /// assert!(matches!(shmq::Queue::<u32>::open(&name), Err(shmq::OpenError::NotFound { .. })));
    /// let queue = shmq::Queue::<u32>::create(&name, 10)?;
    /// shmq::Queue::<u32>::open(&name)?.put(&1)?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Queue::builder().name(name).open()
    }

    /// Like [`open`](Self::open), but waits for the queue to be created, for `timeout` at most and
    /// never less. For programs that start in any order, where one of them creates.
    ///
    /// It checks each 1 to 10 ms, and uses no processor time in between. A queue that is being made
    /// is not seen before it is complete; one whose creator was killed meanwhile is waited for like
    /// one that was never begun. Zero means one try; a timeout too long to add to now means for
    /// ever. A dead queue is there already: a creator that would replace it must come first.
    ///
    /// # Errors
    /// [`OpenError::Timeout`] if there was none all the time. What waiting does not mend (a queue
    /// of another type, no permission ..) is returned at once, as by [`open`](Self::open).
    ///
    /// ```
    /// # let name = format!("doc-open-timeout-{}", std::process::id());
    /// use std::time::Duration;
    ///
    /// let creator = std::thread::spawn({
    ///     let name = name.clone();
    ///     move || {
    ///         std::thread::sleep(Duration::from_millis(20));
    ///         shmq::Queue::<u32>::create(&name, 10)
    ///     }
    /// });
    /// let queue = shmq::Queue::<u32>::open_timeout(&name, Duration::from_secs(10))?;
    /// assert_eq!(queue.capacity(), 10);
    /// # drop(creator.join());
    /// let other = format!("{name}-other");
    /// let late = shmq::Queue::<u32>::open_timeout(&other, Duration::from_millis(5));
    /// assert!(late.unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_timeout(name: impl AsRef<str>, timeout: Duration) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::builder().name(name).open_timeout(timeout)
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`. One in the past means one try.
    ///
    /// # Errors
    /// As [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-open-deadline-{}", std::process::id());
    /// let late = shmq::Queue::<u32>::open_deadline(&name, std::time::Instant::now());
    /// assert!(late.unwrap_err().is_timeout());
    /// ```
    pub fn open_deadline(name: impl AsRef<str>, deadline: Instant) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::builder().name(name).open_deadline(deadline)
    }
}

impl<T: ?Sized + Message> Queue<T> {
    /// The untyped queue, for other faces of the same ring.
    pub(crate) fn raw(&self) -> &Arc<RawQueue> {
        self.raw.shared()
    }

    /// Removes a name. Processes that use the queue continue with it; no other process can open it.
    ///
    /// # Errors
    /// [`OpenError::NotFound`] if there is no such name, [`OpenError::PermissionDenied`] or
    /// [`OpenError::ForeignOwner`] if it is another user's (see
    /// [`inspect::unlink_of`](crate::inspect::unlink_of)).
    ///
    /// ```
    /// # let name = format!("doc-unlink-{}", std::process::id());
    /// let queue = shmq::Queue::<u32>::create(&name, 10)?;
    /// shmq::Queue::<u8>::unlink(&name)?; // whatever the messages are
    /// queue.put(&1)?;
    /// assert!(shmq::Queue::<u32>::open(&name).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Segment::unlink(name.as_ref())
    }

    /// Keeps the segment, with the messages in it, when its last participant leaves or dies, until
    /// it is [unlinked](Queue::unlink) or the machine restarts. It cannot be undone.
    ///
    /// ```
    /// # let name = format!("doc-persist-{}", std::process::id());
    /// let queue = shmq::Queue::<u32>::create(&name, 10)?;
    /// queue.persist();
    /// queue.put(&1)?;
    /// drop(queue);
    /// assert_eq!(shmq::Queue::<u32>::open(&name)?.get()?, 1);
    /// shmq::Queue::<u32>::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn persist(&self) {
        self.raw.segment().persist();
    }

    /// A handle of this queue whose waits end with `Interrupted` once `stop` is set: from another
    /// thread, or from a signal handler. In place of the stop that this handle may have; other
    /// handles, this one too, do not change.
    ///
    /// Its calls never wait then, but they still succeed where they need not wait: see
    /// [`Stop`]. A `put_slice` that has moved some messages says how many. An iterator yields
    /// `Interrupted` as its last item. Endpoints that the handle makes have the stop too.
    ///
    /// ```
    /// use shmq::{GetError, Queue, Stop};
    ///
    /// let (queue, stop) = (Queue::<u64>::new(4)?, Stop::new());
    /// let interruptible = queue.with_stop(&stop);
    /// queue.put(&1)?;
    /// stop.set();
    /// assert_eq!(interruptible.get()?, 1); // it need not wait
    /// assert!(matches!(interruptible.get(), Err(GetError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> Queue<T> {
        Queue {
            raw: self.raw.with_stop(stop),
            schema: self.schema.clone(),
            structure: self.structure.clone(),
            carries: PhantomData,
        }
    }

    /// Takes the put side for one owner, which puts without a lock per message until the
    /// [`Producer`] is dropped.
    ///
    /// While it lives, putting through any [`Queue`] and a second `producer` return `Held` at once.
    /// If its process dies, the side is free.
    ///
    /// # Errors
    /// [`PutError::Held`]; [`PutError::Busy`] if a process in the middle of a put makes no progress
    /// for 0.1 s (it is stopped or starved).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let producer = queue.producer()?;
    /// producer.put(&1)?;
    /// assert!(matches!(queue.put(&2), Err(shmq::PutError::Held { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<Producer<T>, PutError> {
        Producer::new(Arc::clone(self.raw.shared()))
    }

    /// A handle that only puts: see [`Sender`].
    ///
    /// In a forked child that cannot attach, its first call returns why.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let sender = queue.sender();
    /// sender.put(&1)?;
    /// assert_eq!(queue.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sender(&self) -> Sender<T> {
        Sender::new(Arc::clone(self.raw.shared()), self.schema.clone(), self.structure.clone())
    }

    /// A handle that only gets: see [`Receiver`].
    ///
    /// In a forked child that cannot attach, its first call returns why.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let receiver = queue.receiver();
    /// queue.put(&1)?;
    /// assert_eq!(receiver.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receiver(&self) -> Receiver<T> {
        Receiver::new(Arc::clone(self.raw.shared()), self.schema.clone(), self.structure.clone())
    }

    /// Takes the get side for one owner, which gets without a lock per message until the
    /// [`Consumer`] is dropped.
    ///
    /// While it lives, getting through any [`Queue`] and a second `consumer` return `Held` at once.
    /// If its process dies, the side is free.
    ///
    /// # Errors
    /// [`GetError::Held`]; [`GetError::Busy`] if a process in the middle of a get makes no progress
    /// for 0.1 s (it is stopped or starved).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// let consumer = queue.consumer()?;
    /// queue.put(&1)?;
    /// assert!(matches!(queue.get(), Err(shmq::GetError::Held { .. })));
    /// assert_eq!(consumer.get()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<Consumer<T>, GetError> {
        Consumer::new(Arc::clone(self.raw.shared()))
    }
}

impl<T: ?Sized> sealed::Sealed for Queue<T> {}
impl<T: ?Sized> sealed::Sealed for Producer<T> {}
impl<T: ?Sized> sealed::Sealed for Consumer<T> {}

impl<T: ?Sized + Message> Delivering for Queue<T> {}

impl<T: ?Sized + Message> Buildable for Queue<T> {
    fn message_type() -> MessageType {
        MessageType::of::<T>()
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> Queue<T> {
        Queue {
            raw: PlainHandle::new(raw),
            schema: schema.map(Arc::from),
            structure: structure.map(Arc::from),
            carries: PhantomData,
        }
    }
}

impl<T: ?Sized> Clone for Queue<T> {
    /// Another handle of the same attachment. Cheap.
    fn clone(&self) -> Self {
        Queue { raw: self.raw.clone(), schema: self.schema.clone(), structure: self.structure.clone(), carries: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Queue<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Queue").field(&self.raw).finish()
    }
}
