//! Handles of one role of a queue of objects.

use super::get;
use super::put::{PutAs, PutBytes, send, send_all};
use super::{Codec, ObjectLease, ObjectQueue};
use crate::error::{GetError, PutError};
use crate::queue::Transit;
use crate::queue::guard::Loan;
use crate::queue::sealed::Sealed;
use crate::queue::{Accepts, Iter, Keep, Receiver, Sender, Source};
use crate::raw::{BY_LOCK, KeptHandle, RawQueue};
use crate::wait::{Stop, Wait, blocking_forms};
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A handle of a queue of objects that puts and does not get, and counts for the end of the stream:
/// see [`Sender`]. Made by [`ObjectQueue::sender`](crate::ObjectQueue::sender).
///
/// ```
/// use shmq::{GetError, ObjectQueue};
///
/// let queue = ObjectQueue::<String>::builder().capacity(8).close_when_unused(true).create()?;
/// let (sender, receiver) = (queue.sender(), queue.receiver());
/// drop(queue);
/// sender.put("the last one")?;
/// drop(sender);
/// assert_eq!(receiver.get()?, "the last one");
/// assert!(matches!(receiver.get(), Err(GetError::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectSender<T, C> {
    pub(crate) bytes: Sender<[u8]>,
    carries: PhantomData<fn(T, C)>,
}

/// A handle of a queue of objects that gets and does not put, and counts for the end of the stream:
/// see [`Receiver`]. Made by [`ObjectQueue::receiver`](crate::ObjectQueue::receiver).
///
/// ```
/// let queue = shmq::ObjectQueue::<u32>::new(8)?;
/// let receiver = queue.receiver();
/// queue.put_slice(&[1, 2, 3, 4])?;
/// assert_eq!((receiver.get()?, *receiver.lease()?, receiver.get_batch(8)?), (1, 2, vec![3, 4]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ObjectReceiver<T, C> {
    pub(crate) bytes: Receiver<[u8]>,
    carries: PhantomData<fn() -> (T, C)>,
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    /// A handle that only puts: see [`Sender`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.sender().put("one")?;
    /// assert_eq!(queue.get()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn sender(&self) -> ObjectSender<T, C> {
        ObjectSender { bytes: self.bytes.sender(), carries: PhantomData }
    }

    /// A handle that only gets: see [`Receiver`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("one")?;
    /// assert_eq!(queue.receiver().get()?, "one");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn receiver(&self) -> ObjectReceiver<T, C> {
        ObjectReceiver { bytes: self.bytes.receiver(), carries: PhantomData }
    }
}

impl PutBytes for Sender<[u8]> {
    fn put_bytes(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        self.put_for(bytes, wait)
    }

    fn lend(&self, length: usize, wait: Wait) -> Result<Loan<'_, [u8]>, PutError> {
        self.loan_len_for(length, wait)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectSender<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::put`](crate::ObjectQueue::put).
        ///
        /// # Errors
        /// As there, and `Closed` as [`Sender::put`].
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.sender().put("one")?;
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
        /// As there, and `Closed` as [`Sender::put`].
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// assert_eq!(queue.sender().put_slice(&["one".to_string(), "two".to_string()])?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, values: &[T]| -> Result<usize, PutError> {
            send_all::<T, C>(&self.bytes, values, wait)
        }
    }

    /// As [`Sender::with_stop`].
    ///
    /// ```
    /// let (queue, stop) = (shmq::ObjectQueue::<u32>::new(1)?, shmq::Stop::new());
    /// let sender = queue.sender().with_stop(&stop);
    /// sender.put(&1)?;
    /// stop.set();
    /// assert!(matches!(sender.put(&2), Err(shmq::PutError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> Self {
        ObjectSender { bytes: self.bytes.with_stop(stop), carries: PhantomData }
    }

    /// As [`Sender::is_closed`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<u32>::new(8)?;
    /// assert!(!queue.sender().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectReceiver<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::get`](crate::ObjectQueue::get).
        ///
        /// # Errors
        /// As there, and `Closed` as [`Receiver::get`].
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// assert_eq!(queue.receiver().get()?, "one");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T, GetError> {
            let (raw, me) = self.bytes.used()?;
            get::receive::<BY_LOCK, T, C>(raw, me, wait)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::get_batch`](crate::ObjectQueue::get_batch).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// assert_eq!(queue.receiver().get_batch(10)?, ["one"]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_batch, try_get_batch, get_batch_timeout, get_batch_deadline, none: "Empty",
        |self, wait, most: usize| -> Result<Vec<T>, GetError> {
            let (raw, me) = self.bytes.used()?;
            get::receive_many::<BY_LOCK, T, C>(raw, me, most, wait)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::lease`](crate::ObjectQueue::lease).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let receiver = queue.receiver();
        /// let job = receiver.lease()?;
        /// assert_eq!(job.len(), 3); // ... do it ...
        /// job.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'_, T>, GetError> {
            let (raw, me) = self.bytes.used()?;
            get::decode_leased::<T, C, _>(raw, get::lease::<BY_LOCK, _>(raw, me, wait)?).map(ObjectLease::new)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::lease_owned`](crate::ObjectQueue::lease_owned).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let job = queue.receiver().lease_owned()?;
        /// assert_eq!(job.take(), "one");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<ObjectLease<'static, T>, GetError> {
            let (raw, me) = self.bytes.used()?;
            get::decode_leased::<T, C, _>(raw, get::lease_owned::<BY_LOCK, _>(raw, me, wait)?).map(ObjectLease::new)
        }
    }

    /// As [`Receiver::with_stop`].
    ///
    /// ```
    /// let (queue, stop) = (shmq::ObjectQueue::<u32>::new(1)?, shmq::Stop::new());
    /// let receiver = queue.receiver().with_stop(&stop);
    /// stop.set();
    /// assert!(matches!(receiver.get(), Err(shmq::GetError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> Self {
        ObjectReceiver { bytes: self.bytes.with_stop(stop), carries: PhantomData }
    }

    /// As [`Receiver::is_closed`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<u32>::new(8)?;
    /// assert!(!queue.receiver().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.bytes.is_closed()
    }

    /// Gets values until the queue is closed and drained, waiting for each. As
    /// [`ObjectQueue::iter`](crate::ObjectQueue::iter).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("a")?;
    /// queue.close();
    /// assert_eq!(queue.receiver().iter().collect::<Result<Vec<_>, _>>()?, ["a"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, Self> {
        Iter::new(self)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Accepts<T> for ObjectSender<T, C> {
    fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError> {
        send::<T, C>(&self.bytes, message, wait)
    }
}

impl<T, C> Sealed for ObjectSender<T, C> {}
impl<T, C> Sealed for ObjectReceiver<T, C> {}

impl<T, C> Keep for ObjectQueue<T, C> {
    fn kept(&self) -> KeptHandle {
        self.bytes.kept()
    }
}

impl<T, C> Keep for ObjectSender<T, C> {
    fn kept(&self) -> KeptHandle {
        self.bytes.kept()
    }
}

impl<T, C> Keep for ObjectReceiver<T, C> {
    fn kept(&self) -> KeptHandle {
        self.bytes.kept()
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Source for ObjectReceiver<T, C> {
    type Message = T;

    fn get_by(&self, wait: Wait) -> Result<T, GetError> {
        let (raw, me) = self.bytes.used()?;
        get::receive::<BY_LOCK, T, C>(raw, me, wait)
    }

    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.bytes.shared(), true)
    }
}

impl<'q, T: Serialize + DeserializeOwned, C: Codec> IntoIterator for &'q ObjectReceiver<T, C> {
    type Item = Result<T, GetError>;
    type IntoIter = Iter<'q, ObjectReceiver<T, C>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Address, nonce, schema, and how it travels.
type Received = (String, u64, Option<String>, Transit);

macro_rules! handle_of_one_role {
    ($name:ident over $bytes:ident) => {
        impl<T, C> Clone for $name<T, C> {
            /// One more of the same attachment.
            fn clone(&self) -> Self {
                $name { bytes: self.bytes.clone(), carries: PhantomData }
            }
        }

        impl<T, C> fmt::Debug for $name<T, C> {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.debug_tuple(stringify!($name)).field(&self.bytes).finish()
            }
        }

        impl<T, C> Serialize for $name<T, C> {
            /// Name, nonce and schema, as for a [`Queue`](crate::Queue).
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.bytes.sent().map_err(S::Error::custom)?.serialize(serializer)
            }
        }

        impl<'de, T, C: Codec> Deserialize<'de> for $name<T, C> {
            /// As that of [`ObjectQueue`]; it arrives in the same role.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let (address, nonce, schema, ticket) = Received::deserialize(deserializer)?;
                let bytes = $bytes::reopen::<ObjectQueue<T, C>>(&address, nonce, schema, ticket).map_err(D::Error::custom)?;
                Ok($name { bytes, carries: PhantomData })
            }
        }
    };
}

handle_of_one_role!(ObjectSender over Sender);
handle_of_one_role!(ObjectReceiver over Receiver);
