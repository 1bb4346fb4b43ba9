//! The public face of a topic: the handle, and what goes through it.
//!
//! | file | subject |
//! |---|---|
//! | `options.rs` | what can be set of a topic only |
//! | `publish.rs` | the publishing verbs of [`Topic`], by lock |
//! | `publisher.rs` | [`Publisher`], which owns the put side |
//! | `loan.rs` | [`TopicLoan`]: a message that is written in place |
//! | `subscriber.rs`, `by_form.rs` | [`Subscriber`], and what values and slices do differently |
//! | `sample.rs` | [`Sample`]: a message that is read in place |
//! | `owned.rs`, `owned_sample.rs` | loans that keep the topic, [`OwnedSample`] that has its subscriber |
//! | `detach.rs` | leaving for certain |
//! | `iter.rs` | reading in a loop |
//! | `serde.rs` | handles that are sent |
//! | `control.rs` | seeing subscribers, evicting, closing, recovering, counting |

mod by_form;
mod control;
mod detach;
mod iter;
mod loan;
mod options;
mod owned;
mod owned_sample;
mod publish;
mod publisher;
mod sample;
mod serde;
mod subscriber;

pub use iter::SubscriberIter;
pub use loan::TopicLoan;
pub use owned_sample::{IntoSampleError, OwnedSample};
pub use publisher::Publisher;
pub use sample::Sample;
pub use subscriber::Subscriber;

use crate::error::{CreateError, OpenError, PutError, SubscribeError};
use crate::message::Message;
use crate::queue::sealed::Sealed;
use crate::queue::{Broadcasting, Buildable, MessageType, QueueBuilder};
use crate::raw::{RawQueue, RawSubscriber, Start};
use crate::shm::segment::Segment;
use crate::wait::Stop;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Settings of a topic to be created or opened: those of a queue, but what is about messages that
/// come back, and a few of its own ([`history`](QueueBuilder::history)).
pub type TopicBuilder<T> = QueueBuilder<Topic<T>>;

/// A topic: every subscriber sees every message, and none can stop the others.
///
/// A [`Queue`](crate::Queue) gives each message to one getter. A topic keeps each message until it
/// is overwritten, and every subscriber reads it at its own place: what a publish costs does not
/// grow with their number. `T` is one value ([`Message`]) or a slice `[X]`.
///
/// - A **gating** subscriber ([`subscribe`](Topic::subscribe)) misses nothing. A publisher waits
///   for it when it is a whole capacity behind; errors name it, and [`evict`](Topic::evict) ends
///   the wait.
/// - A **lossy** one ([`subscribe_lossy`](Topic::subscribe_lossy)) is never waited for, and learns
///   exactly how many messages it missed ([`GetError::Lagged`](crate::GetError::Lagged)).
///
/// **When a process dies**: its subscribers are out of the way within 0.1 s of a publisher's
/// waiting, at once by [`recover`](Topic::recover). A publisher that is killed leaves a whole
/// message or none. A subscriber handle of a live process that is leaked (`mem::forget`) keeps the
/// gate until it is evicted; so does that of a process that died, as long as a child that it forked
/// without this crate runs and never calls it.
///
/// ```
/// use shmq::Topic;
///
/// let ticks = Topic::<u64>::new(64)?;
/// let (every, live) = (ticks.subscribe()?, ticks.subscribe_lossy()?);
/// let publisher = ticks.publisher()?;
/// for tick in 1..=3 {
///     publisher.publish(&tick)?;
/// }
/// assert_eq!((every.next()?, every.next()?, every.next()?), (1, 2, 3));
/// assert_eq!(live.latest()?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Topic<T: ?Sized> {
    raw: Arc<RawQueue>,
    schema: Option<Arc<str>>,
    structure: Option<Arc<str>>,
    carries: PhantomData<fn() -> Box<T>>,
}

// As for queues: the bound is on each function.
impl<T> Topic<T> {
    /// Creates a topic for `capacity` messages, under that name. A dead segment of that name is
    /// replaced unless it was persisted.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-topic-create-{}", std::process::id());
    /// let topic = shmq::Topic::<u64>::create(&name, 1024)?;
    /// assert_eq!((topic.name(), topic.capacity()), (name.as_str(), 1024));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Topic::builder().name(name).capacity(capacity).create()
    }

    /// Attaches to a topic, or creates it.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// # let name = format!("doc-topic-open-or-create-{}", std::process::id());
    /// let first = shmq::Topic::<u64>::open_or_create(&name, 16)?;
    /// let second = shmq::Topic::<u64>::open_or_create(&name, 16)?;
    /// let subscriber = second.subscribe()?;
    /// first.publish(&7)?;
    /// assert_eq!(subscriber.next()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Topic::builder().name(name).capacity(capacity).open_or_create()
    }

    /// Creates an anonymous topic, for threads, forked children, and handles that are sent.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// let topic = shmq::Topic::<u32>::new(8)?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish(&1)?;
    /// assert_eq!(subscriber.next()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Self, CreateError>
    where
        T: Message,
    {
        Topic::builder().capacity(capacity).create()
    }
}

impl<T: ?Sized> Topic<T> {
    /// Settings for one to be created or opened: [`TopicBuilder`].
    ///
    /// ```
    /// let frames = shmq::Topic::<[u8]>::builder().capacity_bytes(1 << 20).create()?;
    /// assert!(frames.max_len() >= 500_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> TopicBuilder<T>
    where
        T: Message,
    {
        QueueBuilder::new()
    }

    /// Attaches to a topic that exists.
    ///
    /// # Errors
    /// [`OpenError`]: not found, or of another type.
    ///
    /// ```
    /// # let name = format!("doc-topic-open-{}", std::process::id());
    /// let topic = shmq::Topic::<u64>::create(&name, 16)?;
    /// let subscriber = shmq::Topic::<u64>::open(&name)?.subscribe()?;
    /// topic.publish(&1)?;
    /// assert_eq!(subscriber.next()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Topic::builder().name(name).open()
    }

    /// Like [`open`](Self::open), but waits up to `timeout` for one to be created.
    ///
    /// # Errors
    /// [`OpenError::Timeout`], or as [`open`](Self::open).
    ///
    /// ```
    /// use std::time::Duration;
    /// # let name = format!("doc-topic-open-timeout-{}", std::process::id());
    ///
    /// let late = shmq::Topic::<u64>::open_timeout(&name, Duration::from_millis(1));
    /// assert!(late.unwrap_err().is_timeout());
    /// ```
    pub fn open_timeout(name: impl AsRef<str>, timeout: Duration) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::builder().name(name).open_timeout(timeout)
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`.
    ///
    /// # Errors
    /// As [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// use std::time::Instant;
    /// # let name = format!("doc-topic-open-deadline-{}", std::process::id());
    ///
    /// assert!(shmq::Topic::<u64>::open_deadline(&name, Instant::now()).unwrap_err().is_timeout());
    /// ```
    pub fn open_deadline(name: impl AsRef<str>, deadline: Instant) -> Result<Self, OpenError>
    where
        T: Message,
    {
        Self::builder().name(name).open_deadline(deadline)
    }
}

impl<T: ?Sized + Message> Topic<T> {
    /// Removes a topic's name. Attached processes go on.
    ///
    /// # Errors
    /// As [`Queue::unlink`](crate::Queue::unlink).
    ///
    /// ```
    /// # let name = format!("doc-topic-unlink-{}", std::process::id());
    /// let topic = shmq::Topic::<u64>::create(&name, 4)?;
    /// shmq::Topic::<u64>::unlink(&name)?;
    /// assert!(!topic.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Segment::unlink(name.as_ref())
    }

    /// A gating subscriber: it misses nothing from its first message on, which is `history`
    /// messages back ([`TopicBuilder::history`](QueueBuilder::history)), or the next one to be
    /// published.
    ///
    /// It never waits, and no publisher waits for it to join. Dropping it ends it.
    ///
    /// # Errors
    /// [`SubscribeError`].
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// topic.publish(&1)?;
    /// let every = topic.subscribe()?;
    /// topic.publish_slice(&[2, 3])?;
    /// assert_eq!((every.next()?, every.next()?), (2, 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&self) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_from(self.default_start())
    }

    /// A gating subscriber that begins there.
    ///
    /// # Errors
    /// [`SubscribeError`].
    ///
    /// ```
    /// use shmq::Start;
    ///
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!(topic.subscribe_from(Start::Back(2))?.next()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_from(&self, start: Start) -> Result<Subscriber<T>, SubscribeError> {
        RawSubscriber::join(Arc::clone(&self.raw), start, true).map(Subscriber::over)
    }

    /// A lossy subscriber: no publisher waits for it. It begins where
    /// [`subscribe`](Topic::subscribe) would.
    ///
    /// # Errors
    /// [`SubscribeError`].
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(2)?;
    /// let live = topic.subscribe_lossy()?;
    /// topic.publish_slice(&[1, 2, 3, 4, 5, 6])?; // waits for no one
    /// let missed = match live.next() {
    ///     Err(shmq::GetError::Lagged { missed }) => missed,
    ///     other => panic!("{other:?}"),
    /// };
    /// assert_eq!(live.next()?, missed + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_lossy(&self) -> Result<Subscriber<T>, SubscribeError> {
        self.subscribe_lossy_from(self.default_start())
    }

    /// A lossy subscriber that begins there.
    ///
    /// # Errors
    /// [`SubscribeError`].
    ///
    /// ```
    /// use shmq::Start;
    ///
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!(topic.subscribe_lossy_from(Start::Oldest)?.next()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_lossy_from(&self, start: Start) -> Result<Subscriber<T>, SubscribeError> {
        RawSubscriber::join(Arc::clone(&self.raw), start, false).map(Subscriber::over)
    }

    fn default_start(&self) -> Start {
        match self.raw.history() {
            0 => Start::Now,
            messages => Start::Back(messages),
        }
    }

    /// The put side, for as long as the publisher lives: no lock per message.
    ///
    /// # Errors
    /// [`PutError::Held`] while another one lives, in any process.
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(8)?;
    /// let publisher = topic.publisher()?;
    /// publisher.publish(&1)?;
    /// assert!(matches!(topic.publish(&2), Err(shmq::PutError::Held { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publisher(&self) -> Result<Publisher<T>, PutError> {
        Publisher::new(Arc::clone(&self.raw))
    }

    /// The same topic, for calls whose waits end once `stop` is set. As
    /// [`Queue::with_stop`](crate::Queue::with_stop); subscribers and publishers made of it have it
    /// too.
    ///
    /// ```
    /// let (topic, stop) = (shmq::Topic::<u64>::new(1)?, shmq::Stop::new());
    /// let subscriber = topic.with_stop(&stop).subscribe()?;
    /// stop.set();
    /// assert!(subscriber.next().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> Topic<T> {
        let raw = self.raw.with_stop(stop);
        Topic { raw, schema: self.schema.clone(), structure: self.structure.clone(), carries: PhantomData }
    }
}

impl<T: ?Sized> Topic<T> {
    pub(crate) fn raw(&self) -> &Arc<RawQueue> {
        &self.raw
    }
}

impl<T: ?Sized> Sealed for Topic<T> {}

impl<T: ?Sized + Message> Broadcasting for Topic<T> {}

impl<T: ?Sized + Message> Buildable for Topic<T> {
    fn message_type() -> MessageType {
        MessageType::of_topic::<T>()
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> Topic<T> {
        Topic { raw, schema: schema.map(Arc::from), structure: structure.map(Arc::from), carries: PhantomData }
    }
}

impl<T: ?Sized> Clone for Topic<T> {
    fn clone(&self) -> Self {
        let (schema, structure) = (self.schema.clone(), self.structure.clone());
        Topic { raw: Arc::clone(&self.raw), schema, structure, carries: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Topic<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Topic").field(&self.raw).finish()
    }
}
