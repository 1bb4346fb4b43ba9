//! [`ObjectTopic`]: any serde type, encoded once inside `publish`, decoded by each subscriber.
//!
//! ```text
//!   publish(&T) --encode into the thread's buffer, whole--> publish by copy
//!   next()      --copy out, not torn--> the message is passed --> decode, nothing left over
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | the handle: creating, opening, subscribing |
//! | `publish.rs` | publishing, by lock and by [`ObjectPublisher`] |
//! | `subscriber.rs` | [`ObjectSubscriber`] |
//! | `control.rs` | what a topic says about itself, and what ends it |
//!
//! Invariants, beside those of the module above:
//! 1. No message is written in place: a loan excludes lossy subscribers of its process, and which
//!    values are long enough for one is not for callers to know.
//! 2. What is published goes to any number of subscribers, none included. So nothing that counts
//!    for one receiver may be inside: the encoding refuses it (`raw/roles/transit.rs`).

mod control;
mod publish;
mod subscriber;

pub use publish::ObjectPublisher;
#[cfg(feature = "async")]
pub(crate) use publish::{bytes_to_all, encode_to_all};
pub use subscriber::ObjectSubscriber;

use super::{Codec, MessagePack, type_name};
use crate::error::{CreateError, OpenError, PutError, SubscribeError};
use crate::queue::sealed::Sealed;
use crate::queue::{Broadcasting, Buildable, MessageType, QueueBuilder, Received, reopen};
use crate::raw::{RawQueue, Start};
use crate::shm::kind::Kind;
use crate::topic::Topic;
use crate::wait::Stop;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A [`Topic`] of objects: anything that is `Serialize + DeserializeOwned`. Every subscriber sees
/// every message, and none can stop the others.
///
/// A value is encoded once inside `publish`, however many subscribers there are; each decodes a
/// copy of its own. If it cannot be encoded, `publish` returns the error and nothing is published.
/// A message that cannot be decoded is passed, and is [`GetError::Decode`](crate::GetError::Decode)
/// with its bytes to each subscriber.
///
/// It is bounded in bytes: 1 MiB, or what [`capacity_bytes`](crate::QueueBuilder::capacity_bytes)
/// of the builder says. Gating and lossy subscribers, eviction, and what happens when a process
/// dies are as for a [`Topic`]; the codec `C` is as for an [`ObjectQueue`](crate::ObjectQueue).
///
/// **Handles inside messages.** Any number of subscribers, or none, may receive a message, so a
/// handle travels only if it counts for nothing: a [`Topic`], or a queue's handle where that does
/// not close when unused. A [`Sender`](crate::Sender), [`Receiver`](crate::Receiver) or
/// [`Queue`](crate::Queue) of a queue that was built with
/// [`close_when_unused`](crate::QueueBuilder::close_when_unused) is counted on its way until *one*
/// receiver has it. It is refused with [`PutError::Encode`](crate::PutError::Encode): send each
/// subscriber its own, through a queue.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Debug, PartialEq)]
/// enum News {
///     Loaded { model: String, layers: Vec<u32> },
///     Stop,
/// }
///
/// let news = shmq::ObjectTopic::<News>::new()?;
/// let (every, live) = (news.subscribe()?, news.subscribe_lossy()?);
/// news.publish(&News::Loaded { model: "small".into(), layers: vec![2, 3] })?;
/// news.publish(&News::Stop)?;
/// assert_eq!(every.next()?, News::Loaded { model: "small".into(), layers: vec![2, 3] });
/// assert_eq!((every.next()?, live.latest()?), (News::Stop, News::Stop));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectTopic<T, C = MessagePack> {
    bytes: Topic<[u8]>,
    carries: PhantomData<fn(T) -> (T, C)>,
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectTopic<T, C> {
    /// Settings for one to be created or opened: see [`TopicBuilder`](crate::TopicBuilder).
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::builder().capacity_bytes(1 << 16).history(1).create()?;
    /// topic.publish("before")?;
    /// assert_eq!(topic.subscribe()?.next()?, "before");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> QueueBuilder<Self> {
        QueueBuilder::new()
    }

    /// Creates an anonymous topic of 1 MiB, for threads, forked children, and handles that are
    /// sent.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<Vec<String>>::new()?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish(&vec!["a".into(), "b".into()])?;
    /// assert_eq!(subscriber.next()?, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Result<Self, CreateError> {
        Self::builder().create()
    }

    /// Creates a named topic of 1 MiB; otherwise as [`Topic::create`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # let name = format!("doc-object-topic-create-{}", std::process::id());
    /// let topic = shmq::ObjectTopic::<String>::create(&name)?;
    /// assert_eq!(topic.name(), name);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>) -> Result<Self, CreateError> {
        Self::builder().name(name).create()
    }

    /// Attaches to a topic that exists: with the same codec, and for a type of the same name.
    ///
    /// # Errors
    /// [`OpenError`]: not found, or of another type.
    ///
    /// ```
    /// # let name = format!("doc-object-topic-open-{}", std::process::id());
    /// use shmq::{ObjectTopic, OpenError};
    ///
    /// let topic = ObjectTopic::<String>::create(&name)?;
    /// let subscriber = ObjectTopic::<String>::open(&name)?.subscribe()?;
    /// topic.publish("to another handle")?;
    /// assert_eq!(subscriber.next()?, "to another handle");
    /// assert!(matches!(ObjectTopic::<Vec<u8>>::open(&name), Err(OpenError::Mismatch { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        Self::builder().name(name).open()
    }

    /// Like [`open`](Self::open), but waits up to `timeout` for one to be created.
    ///
    /// # Errors
    /// [`OpenError::Timeout`], or as [`open`](Self::open).
    ///
    /// ```
    /// use std::time::Duration;
    /// # let name = format!("doc-object-topic-open-timeout-{}", std::process::id());
    ///
    /// let late = shmq::ObjectTopic::<String>::open_timeout(&name, Duration::from_millis(1));
    /// assert!(late.unwrap_err().is_timeout());
    /// ```
    pub fn open_timeout(name: impl AsRef<str>, timeout: Duration) -> Result<Self, OpenError> {
        Self::builder().name(name).open_timeout(timeout)
    }

    /// Like [`open_timeout`](Self::open_timeout), until `deadline`.
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// use std::time::Instant;
    /// # let name = format!("doc-object-topic-open-deadline-{}", std::process::id());
    ///
    /// assert!(shmq::ObjectTopic::<String>::open_deadline(&name, Instant::now()).unwrap_err().is_timeout());
    /// ```
    pub fn open_deadline(name: impl AsRef<str>, deadline: Instant) -> Result<Self, OpenError> {
        Self::builder().name(name).open_deadline(deadline)
    }

    /// Attaches to a topic, or creates it with 1 MiB.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// # let name = format!("doc-object-topic-either-{}", std::process::id());
    /// let first = shmq::ObjectTopic::<String>::open_or_create(&name)?;
    /// let subscriber = shmq::ObjectTopic::<String>::open_or_create(&name)?.subscribe()?;
    /// first.publish("one")?;
    /// assert_eq!(subscriber.next()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>) -> Result<Self, CreateError> {
        Self::builder().name(name).open_or_create()
    }

    /// The put side, for as long as the publisher lives: no lock per message. As
    /// [`Topic::publisher`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let publisher = topic.publisher()?;
    /// publisher.publish("one")?;
    /// assert!(matches!(topic.publish("two"), Err(shmq::PutError::Held { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publisher(&self) -> Result<ObjectPublisher<T, C>, PutError> {
        self.bytes.publisher().map(ObjectPublisher::over)
    }

    /// A gating subscriber: it misses nothing, and publishers wait for it. As [`Topic::subscribe`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let every = topic.subscribe()?;
    /// topic.publish("one")?;
    /// assert_eq!(every.next()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&self) -> Result<ObjectSubscriber<T, C>, SubscribeError> {
        self.bytes.subscribe().map(ObjectSubscriber::over)
    }

    /// A gating subscriber that begins there. As [`Topic::subscribe_from`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!(topic.subscribe_from(shmq::Start::Oldest)?.next()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_from(&self, start: Start) -> Result<ObjectSubscriber<T, C>, SubscribeError> {
        self.bytes.subscribe_from(start).map(ObjectSubscriber::over)
    }

    /// A lossy subscriber: no publisher waits for it. As [`Topic::subscribe_lossy`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// let live = topic.subscribe_lossy()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!((live.latest()?, live.missed()), (3, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_lossy(&self) -> Result<ObjectSubscriber<T, C>, SubscribeError> {
        self.bytes.subscribe_lossy().map(ObjectSubscriber::over)
    }

    /// A lossy subscriber that begins there. As [`Topic::subscribe_lossy_from`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!(topic.subscribe_lossy_from(shmq::Start::Back(2))?.next()?, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe_lossy_from(&self, start: Start) -> Result<ObjectSubscriber<T, C>, SubscribeError> {
        self.bytes.subscribe_lossy_from(start).map(ObjectSubscriber::over)
    }
}

impl<T, C> ObjectTopic<T, C> {
    /// The same topic, for calls whose waits end once `stop` is set; subscribers and publishers
    /// made of it have it too. As [`Topic::with_stop`].
    ///
    /// ```
    /// let (topic, stop) = (shmq::ObjectTopic::<String>::new()?, shmq::Stop::new());
    /// let subscriber = topic.with_stop(&stop).subscribe()?;
    /// stop.set();
    /// assert!(subscriber.next().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> ObjectTopic<T, C> {
        ObjectTopic { bytes: self.bytes.with_stop(stop), carries: PhantomData }
    }

    pub(crate) fn bytes(&self) -> &Topic<[u8]> {
        &self.bytes
    }
}

impl<T, C> Clone for ObjectTopic<T, C> {
    /// Another handle of the same attachment. Cheap.
    fn clone(&self) -> Self {
        ObjectTopic { bytes: self.bytes.clone(), carries: PhantomData }
    }
}

impl<T, C> fmt::Debug for ObjectTopic<T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ObjectTopic").field(&self.bytes).finish()
    }
}

impl<T, C> Serialize for ObjectTopic<T, C> {
    /// As that of a [`Topic`].
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bytes.serialize(serializer)
    }
}

impl<'de, T, C: Codec> Deserialize<'de> for ObjectTopic<T, C> {
    /// Opens the topic, through the mapping that this process may have already. The error is that
    /// of [`ObjectTopic::open`], or `Replaced` if another segment has taken the name since.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (address, nonce, schema, structure, ticket) = Received::deserialize(deserializer)?;
        reopen(&address, nonce, schema, structure, ticket).map_err(D::Error::custom)
    }
}

impl<T, C> Sealed for ObjectTopic<T, C> {}

impl<T, C: Codec> Broadcasting for ObjectTopic<T, C> {}

impl<T, C: Codec> Buildable for ObjectTopic<T, C> {
    fn message_type() -> MessageType {
        MessageType::encoded(Kind::TopicEncoded, type_name::<T, C>())
    }

    fn over(raw: Arc<RawQueue>, schema: Option<String>, structure: Option<String>) -> Self {
        ObjectTopic { bytes: Topic::over(raw, schema, structure), carries: PhantomData }
    }
}
