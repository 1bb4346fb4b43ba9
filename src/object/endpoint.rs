//! A side of a queue of objects, held for the endpoint's life.

use super::get;
use super::put::{PutAs, send, send_all};
use super::{Codec, ObjectLease};
use crate::error::{GetError, PutError};
use crate::queue::sealed::Sealed;
use crate::queue::{Accepts, Consumer, Iter, Producer, Source};
use crate::raw::{BY_OWNER, RawQueue};
use crate::wait::{Stop, Wait, blocking_forms};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The put side of a queue of objects, held by one owner: no lock per message. Dropping it frees
/// the side.
///
/// Made by [`ObjectQueue::producer`](crate::ObjectQueue::producer). As [`Producer`] otherwise.
///
/// ```
/// let queue = shmq::ObjectQueue::<String>::new(8)?;
/// let producer = queue.producer()?;
/// producer.put("one")?;
/// producer.put_slice(&["two".to_string(), "three".to_string()])?;
/// assert_eq!(queue.get_batch(8)?, ["one", "two", "three"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectProducer<T, C> {
    bytes: Producer<[u8]>,
    carries: PhantomData<fn(T, C)>,
}

/// The get side of a queue of objects, held by one owner: no lock per message. Dropping it frees
/// the side.
///
/// Made by [`ObjectQueue::consumer`](crate::ObjectQueue::consumer). As [`Consumer`] otherwise.
///
/// ```
/// let queue = shmq::ObjectQueue::<u32>::new(8)?;
/// queue.put_slice(&[1, 2, 3, 4])?;
/// let consumer = queue.consumer()?;
/// assert_eq!((consumer.get()?, *consumer.lease()?, consumer.get_batch(8)?), (1, 2, vec![3, 4]));
/// assert!(matches!(consumer.try_get(), Err(shmq::GetError::Empty)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectConsumer<T, C> {
    pub(super) bytes: Consumer<[u8]>,
    carries: PhantomData<fn() -> (T, C)>,
}

impl<T, C> ObjectProducer<T, C> {
    /// The same endpoint, whose waits end with `Interrupted` once `stop` is set. As
    /// [`Queue::with_stop`](crate::Queue::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::ObjectQueue::<u32>::new(1)?, shmq::Stop::new());
    /// queue.put(&1)?;
    /// let producer = queue.producer()?.with_stop(&stop);
    /// stop.set();
    /// assert!(producer.put(&2).unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the endpoint frees the side"]
    pub fn with_stop(self, stop: &Stop) -> Self {
        Self::over(self.bytes.with_stop(stop))
    }

    pub(super) fn over(bytes: Producer<[u8]>) -> Self {
        ObjectProducer { bytes, carries: PhantomData }
    }

    pub(crate) fn bytes(&self) -> &Producer<[u8]> {
        &self.bytes
    }

    #[cfg(feature = "async")]
    pub(crate) fn bytes_mut(&mut self) -> &mut Producer<[u8]> {
        &mut self.bytes
    }
}

impl<T, C> ObjectConsumer<T, C> {
    /// The same endpoint, whose waits end with `Interrupted` once `stop` is set. As
    /// [`Queue::with_stop`](crate::Queue::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::ObjectQueue::<u32>::new(1)?, shmq::Stop::new());
    /// let consumer = queue.consumer()?.with_stop(&stop);
    /// stop.set();
    /// assert!(consumer.get().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the endpoint frees the side"]
    pub fn with_stop(self, stop: &Stop) -> Self {
        Self::over(self.bytes.with_stop(stop))
    }

    pub(super) fn over(bytes: Consumer<[u8]>) -> Self {
        ObjectConsumer { bytes, carries: PhantomData }
    }

    pub(crate) fn bytes(&self) -> &Consumer<[u8]> {
        &self.bytes
    }

    #[cfg(feature = "async")]
    pub(crate) fn bytes_mut(&mut self) -> &mut Consumer<[u8]> {
        &mut self.bytes
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectProducer<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::put`](crate::ObjectQueue::put).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// let producer = queue.producer()?;
        /// producer.put("one")?;
        /// assert_eq!(queue.get()?, "one");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full", for [Q: Serialize + ?Sized]
        |self, wait, value: &Q| -> Result<(), PutError> [where T: PutAs<Q>] {
            send::<_, C>(&self.bytes, value, wait)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::put_slice`](crate::ObjectQueue::put_slice).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// let producer = queue.producer()?;
        /// assert_eq!(producer.put_slice(&["one".to_string(), "two".to_string()])?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, values: &[T]| -> Result<usize, PutError> {
            send_all::<T, C>(&self.bytes, values, wait)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectConsumer<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::get`](crate::ObjectQueue::get).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let consumer = queue.consumer()?;
        /// assert_eq!(consumer.get()?, "one");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T, GetError> {
            let (raw, me) = self.bytes.owned()?;
            get::receive::<BY_OWNER, T, C>(raw, me, wait)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::get_batch`](crate::ObjectQueue::get_batch).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let consumer = queue.consumer()?;
        /// assert_eq!(consumer.get_batch(10)?, ["one"]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_batch, try_get_batch, get_batch_timeout, get_batch_deadline, none: "Empty",
        |self, wait, most: usize| -> Result<Vec<T>, GetError> {
            let (raw, me) = self.bytes.owned()?;
            get::receive_many::<BY_OWNER, T, C>(raw, me, most, wait)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::lease`](crate::ObjectQueue::lease).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let consumer = queue.consumer()?;
        /// let job = consumer.lease()?;
        /// assert_eq!(job.len(), 3); // ... do it ...
        /// job.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'_, T>, GetError> {
            let (raw, me) = self.bytes.owned()?;
            get::decode_leased::<T, C, _>(raw, get::lease::<BY_OWNER, _>(raw, me, wait)?).map(ObjectLease::new)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectConsumer<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::lease_owned`](crate::ObjectQueue::lease_owned). The lease may outlive
        /// this endpoint.
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("one")?;
        /// let object = queue.consumer()?.lease_owned()?; // the endpoint is gone already
        /// assert_eq!(object.as_str(), "one");
        /// object.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'static, T>, GetError> {
            let (raw, me) = self.bytes.owned()?;
            get::decode_leased::<T, C, _>(raw, get::lease_owned::<BY_OWNER, _>(raw, me, wait)?).map(ObjectLease::new)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Accepts<T> for ObjectProducer<T, C> {
    fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError> {
        send::<T, C>(&self.bytes, message, wait)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectConsumer<T, C> {
    /// Gets values until the queue is closed and drained, waiting for each. As
    /// [`ObjectQueue::iter`](crate::ObjectQueue::iter).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("a")?;
    /// queue.close();
    /// let consumer = queue.consumer()?;
    /// assert_eq!(consumer.iter().collect::<Result<Vec<_>, _>>()?, ["a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, Self> {
        Iter::new(self)
    }
}

impl<T, C> Sealed for ObjectConsumer<T, C> {}

impl<T: Serialize + DeserializeOwned, C: Codec> Source for ObjectConsumer<T, C> {
    type Message = T;

    fn get_by(&self, wait: Wait) -> Result<T, GetError> {
        let (raw, me) = self.bytes.owned()?;
        get::receive::<BY_OWNER, T, C>(raw, me, wait)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        self.bytes.awaited()
    }
}

impl<'q, T: Serialize + DeserializeOwned, C: Codec> IntoIterator for &'q ObjectConsumer<T, C> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'q, ObjectConsumer<T, C>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T, C> fmt::Debug for ObjectProducer<T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ObjectProducer").field(&self.bytes).finish()
    }
}

impl<T, C> fmt::Debug for ObjectConsumer<T, C> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ObjectConsumer").field(&self.bytes).finish()
    }
}
