//! Publishing objects, by lock and as the owner of the put side.

use super::ObjectTopic;
use crate::error::PutError;
use crate::object::put::Encoded;
use crate::object::{Codec, PutAs};
use crate::raw::RawQueue;
use crate::topic::{Publisher, Topic};
use crate::wait::{Stop, Wait, blocking_forms};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// Where encoded values are published.
trait PublishBytes {
    fn publish_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError>;
    fn raw(&self) -> &RawQueue;
}

impl PublishBytes for Topic<[u8]> {
    fn publish_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        self.publish_for(bytes, wait)
    }

    fn raw(&self) -> &RawQueue {
        Topic::raw(self)
    }
}

impl PublishBytes for Publisher<[u8]> {
    fn publish_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        self.publish_for(bytes, wait)
    }

    fn raw(&self) -> &RawQueue {
        self.parts().0
    }
}

/// Encodes a value for all subscribers, whole.
pub(crate) fn encode_to_all<T: Serialize + ?Sized, C: Codec>(raw: &RawQueue, value: &T) -> Result<Encoded, PutError> {
    Encoded::to_all::<T, C>(value, raw.geometry().max_message_bytes() as usize)
}

/// The bytes of what was encoded so, unless they are more than the topic can hold.
pub(crate) fn bytes_to_all<'e>(raw: &RawQueue, encoded: &'e Encoded) -> Result<&'e [u8], PutError> {
    let max = raw.geometry().max_message_bytes() as usize;
    encoded.bytes().ok_or(PutError::TooLarge { len: encoded.length(), max })
}

fn publish<T: Serialize + ?Sized, C: Codec>(to: &impl PublishBytes, value: &T, wait: Wait) -> Result<(), PutError> {
    let encoded = encode_to_all::<T, C>(to.raw(), value)?;
    let published = bytes_to_all(to.raw(), &encoded).and_then(|bytes| to.publish_bytes(bytes, wait));
    encoded.end();
    published
}

fn publish_all<T: Serialize, C: Codec>(to: &impl PublishBytes, values: &[T], wait: Wait) -> Result<usize, PutError> {
    for (published, value) in values.iter().enumerate() {
        match publish::<T, C>(to, value, wait) {
            Ok(()) => {}
            Err(error) if published == 0 => return Err(error),
            Err(_) => return Ok(published),
        }
    }
    Ok(values.len())
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectTopic<T, C> {
    blocking_forms! {
        /// Encodes one value and publishes it to all subscribers; waits while a gating one is a
        /// whole capacity behind. A topic of `String` takes a `&str` too.
        ///
        /// The value is encoded once, into a buffer that the thread keeps unless it is large, and
        /// copied.
        ///
        /// # Errors
        /// [`PutError::Encode`] if the value cannot be encoded, or has a handle inside that is for
        /// one receiver only; [`PutError::TooLarge`] if it never fits; otherwise as
        /// [`Topic::publish`]. Nothing was published.
        ///
        /// ```
        /// let topic = shmq::ObjectTopic::<String>::builder().capacity_bytes(4096).create()?;
        /// let slow = topic.subscribe()?;
        /// while topic.try_publish("text").is_ok() {}
        /// assert!(topic.try_publish("text").unwrap_err().is_full()); // and says which subscriber lags
        /// assert_eq!(slow.next()?, "text");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish, try_publish, publish_timeout, publish_deadline, none: "Full", for [Q: Serialize + ?Sized]
        |self, wait, value: &Q| -> Result<(), PutError> [where T: PutAs<Q>] {
            publish::<_, C>(&self.bytes, value, wait)
        }
    }

    blocking_forms! {
        /// Publishes all values in order, waiting for room as often as needed. Returns how many
        /// were published, which is all of them. An empty slice is `Ok(0)`.
        ///
        /// # Errors
        /// As [`publish`](Self::publish) if *none* was published. If some were, `Ok` has how many,
        /// and the next call returns the error.
        ///
        /// ```
        /// let topic = shmq::ObjectTopic::<u32>::new()?;
        /// let subscriber = topic.subscribe()?;
        /// assert_eq!(topic.publish_slice(&[1, 2])?, 2);
        /// assert_eq!((subscriber.next()?, subscriber.next()?), (1, 2));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_slice, try_publish_slice, publish_slice_timeout, publish_slice_deadline, none: "Full",
        |self, wait, values: &[T]| -> Result<usize, PutError> { publish_all::<T, C>(&self.bytes, values, wait) }
    }
}

/// The put side of a topic of objects, held by one owner: a [`Publisher`] that encodes. Made by
/// [`ObjectTopic::publisher`](crate::ObjectTopic::publisher).
///
/// ```
/// let topic = shmq::ObjectTopic::<String>::new()?;
/// let (subscriber, publisher) = (topic.subscribe()?, topic.publisher()?);
/// publisher.publish("one")?;
/// assert_eq!(subscriber.next()?, "one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectPublisher<T, C> {
    bytes: Publisher<[u8]>,
    carries: PhantomData<fn(T, C)>,
}

impl<T, C> ObjectPublisher<T, C> {
    pub(super) fn over(bytes: Publisher<[u8]>) -> Self {
        ObjectPublisher { bytes, carries: PhantomData }
    }

    /// The same publisher, whose waits end with [`PutError::Interrupted`] once `stop` is set.
    ///
    /// ```
    /// let (topic, stop) = (shmq::ObjectTopic::<u32>::builder().capacity_bytes(4096).create()?, shmq::Stop::new());
    /// let _slow = topic.subscribe()?;
    /// let publisher = topic.publisher()?.with_stop(&stop);
    /// while publisher.try_publish(&1).is_ok() {}
    /// stop.set();
    /// assert!(publisher.publish(&2).unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the publisher frees the side"]
    pub fn with_stop(self, stop: &Stop) -> Self {
        Self::over(self.bytes.with_stop(stop))
    }

    pub(crate) fn bytes(&self) -> &Publisher<[u8]> {
        &self.bytes
    }

    #[cfg(feature = "async")]
    pub(crate) fn bytes_mut(&mut self) -> &mut Publisher<[u8]> {
        &mut self.bytes
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectPublisher<T, C> {
    blocking_forms! {
        /// As [`ObjectTopic::publish`](crate::ObjectTopic::publish).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::ObjectTopic::<String>::new()?;
        /// let (subscriber, publisher) = (topic.subscribe()?, topic.publisher()?);
        /// publisher.publish("one")?;
        /// assert_eq!(subscriber.next()?, "one");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish, try_publish, publish_timeout, publish_deadline, none: "Full", for [Q: Serialize + ?Sized]
        |self, wait, value: &Q| -> Result<(), PutError> [where T: PutAs<Q>] {
            publish::<_, C>(&self.bytes, value, wait)
        }
    }

    blocking_forms! {
        /// As [`ObjectTopic::publish_slice`](crate::ObjectTopic::publish_slice).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::ObjectTopic::<u32>::new()?;
        /// assert_eq!(topic.publisher()?.publish_slice(&[1, 2])?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_slice, try_publish_slice, publish_slice_timeout, publish_slice_deadline, none: "Full",
        |self, wait, values: &[T]| -> Result<usize, PutError> { publish_all::<T, C>(&self.bytes, values, wait) }
    }
}

impl<T, C> fmt::Debug for ObjectPublisher<T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ObjectPublisher").field(&self.bytes).finish()
    }
}
