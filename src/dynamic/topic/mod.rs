//! [`DynTopic`]: a topic whose messages' layout is known at run time.

mod control;
mod loan;
mod owned_sample;
mod publish;
mod subscriber;

pub use loan::DynTopicLoan;
pub use owned_sample::{DynIntoSampleError, DynOwnedSample};
pub use publish::DynPublisher;
pub use subscriber::DynSubscriber;

use super::MessageLayout;
use crate::error::{CreateError, OpenError, PutError, SubscribeError};
use crate::queue::sealed::Sealed;
use crate::queue::{Broadcasting, Buildable, MessageType, QueueBuilder, Received, reopen};
use crate::raw::{RawQueue, Start};
use crate::shm::kind::Kind;
use crate::topic::{Subscriber, Topic};
use crate::wait::Stop;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A topic whose messages' layout is known at run time: the same segment as a
/// [`Topic<T>`](crate::Topic)'s, a `Topic<[X]>`'s or an `ObjectTopic`'s, by bytes. To a topic what
/// a [`DynQueue`](crate::DynQueue) is to a queue: see there.
///
/// ```
/// use shmq::{DynTopic, Topic};
///
/// let prices = Topic::<f64>::new(100)?;
/// // In a program that knows nothing of it:
/// let bytes = DynTopic::open(prices.name())?;
/// assert_eq!(bytes.layout().structure_text(), Some("f64"));
/// let every = bytes.subscribe()?;
/// prices.publish(&9.5)?;
/// assert_eq!(every.next()?, 9.5f64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DynTopic {
    bytes: Topic<[u8]>,
    layout: Arc<MessageLayout>,
}

impl DynTopic {
    pub(in crate::dynamic) fn bytes(&self) -> &Topic<[u8]> {
        &self.bytes
    }

    /// Settings for a topic to be created or opened, as those of
    /// [`DynQueue::builder`](crate::DynQueue::builder): with a layout, or with `None` to open
    /// whatever topic it is.
    ///
    /// ```
    /// use shmq::{DynTopic, MessageLayout};
    ///
    /// let topic = DynTopic::builder(MessageLayout::slice(4, 4)?).capacity_bytes(1 << 16).history(2).create()?;
    /// let same = DynTopic::builder(None).name(topic.name()).open()?;
    /// assert_eq!(same.layout(), topic.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(layout: impl Into<Option<MessageLayout>>) -> QueueBuilder<DynTopic> {
        let builder = QueueBuilder::new();
        match layout.into() {
            Some(layout) => layout.set(builder, true),
            None => builder,
        }
    }

    /// Creates a named topic of values for `capacity` messages, as
    /// [`Topic::create`](crate::Topic::create). One of slices or encoded objects is bounded in bytes:
    /// see [`builder`](Self::builder).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-dyntopic-{}-{}", std::process::id(), line!());
    /// let topic = shmq::DynTopic::create(&name, shmq::MessageLayout::of::<u32>(), 8)?;
    /// shmq::Topic::<u32>::open(&name)?.publish(&7)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, layout: MessageLayout, capacity: usize) -> Result<DynTopic, CreateError> {
        DynTopic::builder(layout).name(name).capacity(capacity).create()
    }

    /// Creates an anonymous topic of values, as [`Topic::new`](crate::Topic::new).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert_eq!(topic.capacity(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(layout: MessageLayout, capacity: usize) -> Result<DynTopic, CreateError> {
        DynTopic::builder(layout).capacity(capacity).create()
    }

    /// Opens the topic of that name, or creates it, as
    /// [`Topic::open_or_create`](crate::Topic::open_or_create).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-dyntopic-{}-{}", std::process::id(), line!());
    /// let first = shmq::DynTopic::open_or_create(&name, shmq::MessageLayout::of::<u32>(), 8)?;
    /// let second = shmq::DynTopic::open_or_create(&name, shmq::MessageLayout::of::<u32>(), 8)?;
    /// first.publish(&[7; 4])?;
    /// assert_eq!(second.stats().published, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, layout: MessageLayout, capacity: usize) -> Result<DynTopic, CreateError> {
        DynTopic::builder(layout).name(name).capacity(capacity).open_or_create()
    }

    /// Opens the topic that another process created, whatever its messages are. The
    /// [`layout`](Self::layout) is read from the segment.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed. A queue or a primitive is a
    /// [`Mismatch`](OpenError::Mismatch).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let same = shmq::DynTopic::open(topic.name())?;
    /// assert_eq!(same.layout().size(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<DynTopic, OpenError> {
        DynTopic::builder(None).name(name).open()
    }

    /// Opens a topic whose messages are of that layout. As
    /// [`DynQueue::open_as`](crate::DynQueue::open_as).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert!(shmq::DynTopic::open_as(topic.name(), shmq::MessageLayout::of::<u64>()).is_ok());
    /// assert!(shmq::DynTopic::open_as(topic.name(), shmq::MessageLayout::of::<i64>()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_as(name: impl AsRef<str>, layout: MessageLayout) -> Result<DynTopic, OpenError> {
        DynTopic::builder(layout).name(name).open()
    }

    /// Like [`open`](Self::open), but waits for the topic to be created, for `timeout` at most.
    ///
    /// # Errors
    /// [`OpenError::Timeout`], or as [`open`](Self::open).
    ///
    /// ```
    /// # let name = format!("doc-dyntopic-{}-{}", std::process::id(), line!());
    /// assert!(shmq::DynTopic::open_timeout(&name, std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_timeout(name: impl AsRef<str>, timeout: Duration) -> Result<DynTopic, OpenError> {
        DynTopic::builder(None).name(name).open_timeout(timeout)
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`.
    ///
    /// # Errors
    /// As [`open_timeout`](Self::open_timeout).
    ///
    /// ```
    /// # let name = format!("doc-dyntopic-{}-{}", std::process::id(), line!());
    /// assert!(shmq::DynTopic::open_deadline(&name, std::time::Instant::now()).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_deadline(name: impl AsRef<str>, deadline: Instant) -> Result<DynTopic, OpenError> {
        DynTopic::builder(None).name(name).open_deadline(deadline)
    }

    /// Removes a name. As [`Topic::unlink`](crate::Topic::unlink).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// shmq::DynTopic::unlink(topic.name())?;
    /// assert!(!topic.has_name());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unlink(name: impl AsRef<str>) -> Result<(), OpenError> {
        Topic::<[u8]>::unlink(name)
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert_eq!(*topic.layout(), shmq::MessageLayout::of::<u64>());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    /// A subscriber that publishers wait for. As [`Topic::subscribe`](crate::Topic::subscribe).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let every = topic.subscribe()?;
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(every.next()?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&self) -> Result<DynSubscriber, SubscribeError> {
        Ok(self.subscriber(self.bytes.subscribe()?))
    }

    /// The same from another place. As [`Topic::subscribe_from`](crate::Topic::subscribe_from).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(topic.subscribe_from(shmq::Start::Oldest)?.next()?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_from(&self, start: Start) -> Result<DynSubscriber, SubscribeError> {
        Ok(self.subscriber(self.bytes.subscribe_from(start)?))
    }

    /// A subscriber that no publisher waits for. As
    /// [`Topic::subscribe_lossy`](crate::Topic::subscribe_lossy).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let screen = topic.subscribe_lossy()?;
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(screen.latest()?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_lossy(&self) -> Result<DynSubscriber, SubscribeError> {
        Ok(self.subscriber(self.bytes.subscribe_lossy()?))
    }

    /// The same from another place. As
    /// [`Topic::subscribe_lossy_from`](crate::Topic::subscribe_lossy_from).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// topic.publish(&[7; 8])?;
    /// assert_eq!(topic.subscribe_lossy_from(shmq::Start::Oldest)?.next()?, [7; 8]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_lossy_from(&self, start: Start) -> Result<DynSubscriber, SubscribeError> {
        Ok(self.subscriber(self.bytes.subscribe_lossy_from(start)?))
    }

    fn subscriber(&self, bytes: Subscriber<[u8]>) -> DynSubscriber {
        DynSubscriber::over(bytes, Arc::clone(&self.layout))
    }

    /// Takes the put side for one owner. As [`Topic::publisher`](crate::Topic::publisher).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let publisher = topic.publisher()?;
    /// assert!(matches!(topic.publish(&[7; 8]), Err(shmq::PutError::Held { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publisher(&self) -> Result<DynPublisher, PutError> {
        Ok(DynPublisher::over(self.bytes.publisher()?, Arc::clone(&self.layout)))
    }

    /// A handle of this topic whose waits end with `Interrupted` once `stop` is set. As
    /// [`Topic::with_stop`](crate::Topic::with_stop).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let stop = shmq::Stop::new();
    /// stop.set();
    /// let every = topic.with_stop(&stop).subscribe()?;
    /// assert!(every.next().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> DynTopic {
        DynTopic { bytes: self.bytes.with_stop(stop), layout: Arc::clone(&self.layout) }
    }
}

impl Sealed for DynTopic {}

impl Broadcasting for DynTopic {}

impl Buildable for DynTopic {
    fn message_type() -> MessageType {
        MessageType::any(Kind::TopicSized)
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> DynTopic {
        let layout = Arc::new(MessageLayout::of_segment(raw.segment()));
        DynTopic { bytes: Topic::over(raw, schema, structure), layout }
    }
}

impl Clone for DynTopic {
    /// Another handle of the same attachment. Cheap.
    fn clone(&self) -> Self {
        DynTopic { bytes: self.bytes.clone(), layout: Arc::clone(&self.layout) }
    }
}

impl fmt::Debug for DynTopic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynTopic").field("raw", self.bytes.raw()).field("layout", &self.layout).finish()
    }
}

impl Serialize for DynTopic {
    /// As that of [`Topic`](crate::Topic).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DynTopic {
    /// As that of [`Topic`](crate::Topic). What was sent of a typed handle is received as well.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, ticket) = Received::deserialize(deserializer)?;
        reopen(&address, nonce, schema, structure, ticket).map_err(D::Error::custom)
    }
}
