//! [`ObjectSubscriber`]: every message of a topic, decoded.

use crate::error::{GetError, SubscriberId};
use crate::object::put::KEPT_BYTES;
use crate::object::{Codec, decode};
use crate::queue::sealed::Sealed;
use crate::queue::{Iter, Source};
use crate::raw::{RawQueue, RawSubscriber};
use crate::topic::Subscriber;
use crate::wait::{Stop, Wait, blocking_forms};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Every message of a topic of objects, decoded, read at a place of its own: see [`Subscriber`].
/// Made by [`ObjectTopic::subscribe`](crate::ObjectTopic::subscribe) and
/// [`subscribe_lossy`](crate::ObjectTopic::subscribe_lossy).
///
/// A message that cannot be decoded is passed, and counts as received: its bytes are in the error.
///
/// ```
/// let topic = shmq::ObjectTopic::<(u32, String)>::new()?;
/// let subscriber = topic.subscribe()?;
/// topic.publish(&(1, "one".to_string()))?;
/// assert_eq!(subscriber.next()?, (1, "one".to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectSubscriber<T, C> {
    bytes: Subscriber<[u8]>,
    /// What a message is copied to before it is decoded. Taken while it is in use.
    buffer: Cell<Vec<u8>>,
    carries: PhantomData<fn() -> (T, C)>,
}

impl<T, C> ObjectSubscriber<T, C> {
    pub(super) fn over(bytes: Subscriber<[u8]>) -> Self {
        ObjectSubscriber { bytes, buffer: Cell::default(), carries: PhantomData }
    }

    /// For `wait_any`, and for futures.
    pub(crate) fn bytes(&self) -> &Subscriber<[u8]> {
        &self.bytes
    }

    /// The same subscriber, whose waits end with [`GetError::Interrupted`] once `stop` is set.
    ///
    /// ```
    /// let (topic, stop) = (shmq::ObjectTopic::<u32>::new()?, shmq::Stop::new());
    /// let subscriber = topic.subscribe()?.with_stop(&stop);
    /// stop.set();
    /// assert!(subscriber.next().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping ends the subscriber"]
    pub fn with_stop(self, stop: &Stop) -> Self {
        ObjectSubscriber::over(self.bytes.with_stop(stop))
    }

    /// Which one it is.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// assert!(topic.evict(topic.subscribe()?.id()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> SubscriberId {
        self.bytes.id()
    }

    /// Does it gate, as far as it knows? As [`Subscriber::is_gating`].
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// assert!(topic.subscribe()?.is_gating() && !topic.subscribe_lossy()?.is_gating());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_gating(&self) -> bool {
        self.bytes.is_gating()
    }

    /// Places that were published and that it has not passed. As [`Subscriber::lag`].
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// subscriber.next()?;
    /// assert_eq!(subscriber.lag(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lag(&self) -> u64 {
        self.bytes.lag()
    }

    /// Places that it passed without a message. As [`Subscriber::missed`].
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// let live = topic.subscribe_lossy()?;
    /// topic.publish_slice(&[1, 2, 3])?;
    /// assert_eq!((live.latest()?, live.missed()), (3, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn missed(&self) -> u64 {
        self.bytes.missed()
    }

    /// Messages that it received, those that could not be decoded among them.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<u32>::new()?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish(&1)?;
    /// subscriber.next()?;
    /// assert_eq!(subscriber.received(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn received(&self) -> u64 {
        self.bytes.received()
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectSubscriber<T, C> {
    /// Copies a message by `read`, which passes it, and decodes it then: what is decoded is whole,
    /// and no code of the caller runs between.
    fn decode_by(&self, read: impl FnOnce(&RawSubscriber, &mut Vec<u8>) -> Result<(), GetError>) -> Result<T, GetError> {
        let mut buffer = self.buffer.take();
        let decoded = read(self.bytes.raw(), &mut buffer).and_then(|()| decode::<T, C>(&buffer));
        if buffer.capacity() <= KEPT_BYTES {
            self.buffer.set(buffer);
        }
        decoded
    }

    blocking_forms! {
        /// The next message, decoded; waits for it.
        ///
        /// # Errors
        /// [`GetError::Decode`] if the message is not a value of the type, or leaves bytes over:
        /// the error has its bytes, and the next call goes on behind it. Otherwise as
        /// [`Subscriber::next`].
        ///
        /// ```
        /// let topic = shmq::ObjectTopic::<Vec<(u32, String)>>::new()?;
        /// let subscriber = topic.subscribe()?;
        /// topic.publish(&vec![(1, "one".into())])?;
        /// assert_eq!(subscriber.next()?, [(1, "one".to_string())]);
        /// assert!(subscriber.try_next().unwrap_err().is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        next, try_next, next_timeout, next_deadline, none: "Empty",
        |self, wait| -> Result<T, GetError> { self.decode_by(|raw, bytes| raw.next_bytes(bytes, wait)) }
    }

    /// The newest message that it has not received, decoded, at once. Those before it are missed.
    /// As [`Subscriber::latest`].
    ///
    /// # Errors
    /// As there, and [`GetError::Decode`] as for [`next`](Self::next).
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let screen = topic.subscribe_lossy()?;
    /// topic.publish("old")?;
    /// topic.publish("new")?;
    /// assert_eq!(screen.latest()?, "new");
    /// assert!(screen.latest().unwrap_err().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn latest(&self) -> Result<T, GetError> {
        self.decode_by(|raw, bytes| raw.latest_bytes(bytes))
    }

    /// Messages until the topic is closed and all of it is passed, waiting for each. Ends at
    /// `Closed` without yielding it. Other errors are items: after `Lagged`, `Evicted` and
    /// [`Decode`](GetError::Decode) come further messages, any other is the last item.
    ///
    /// ```
    /// let topic = shmq::ObjectTopic::<String>::new()?;
    /// let subscriber = topic.subscribe()?;
    /// topic.publish("a")?;
    /// topic.close();
    /// assert_eq!(subscriber.iter().collect::<Result<Vec<_>, _>>()?, ["a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, Self> {
        Iter::new(self)
    }
}

impl<T, C> Sealed for ObjectSubscriber<T, C> {}

impl<T: Serialize + DeserializeOwned, C: Codec> Source for ObjectSubscriber<T, C> {
    type Message = T;

    fn get_by(&self, wait: Wait) -> Result<T, GetError> {
        self.decode_by(|raw, bytes| raw.next_bytes(bytes, wait))
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        self.bytes.awaited()
    }

    fn subscriber(&self) -> Option<&RawSubscriber> {
        self.bytes.subscriber()
    }
}

impl<'s, T: Serialize + DeserializeOwned, C: Codec> IntoIterator for &'s ObjectSubscriber<T, C> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'s, ObjectSubscriber<T, C>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T, C> fmt::Debug for ObjectSubscriber<T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ObjectSubscriber").field(&self.bytes).finish()
    }
}
