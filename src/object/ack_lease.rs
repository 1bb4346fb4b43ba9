//! An object on lease that comes back unless it is acknowledged: the guard, and the verbs of both
//! [`ObjectQueue`] and [`ObjectConsumer`] that take it.

use super::get::{decode_leased, lease, lease_owned};
use super::{Codec, ObjectConsumer, ObjectQueue, ObjectReceiver};
use crate::error::GetError;
use crate::queue::guard::{AckLease, BackOnDrop, Leased};
use crate::queue::{GivesBack, LeaseSource, forward, forwards};
use crate::raw::MessageId;
use crate::raw::{BY_LOCK, BY_OWNER};
use crate::wait::{Wait, blocking_forms};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Deref;

/// Dropping it gives its message back: only [`ack`](ObjectAckLease::ack) and
/// [`take`](ObjectAckLease::take) end the message.
///
/// The value of one message of an [`ObjectQueue`], as [`ObjectLease`](crate::ObjectLease), for work
/// that may be left halfway: by a `?`, a panic, or a future that is cancelled. Dropping it never
/// waits. As [`AckLease`] otherwise, which says when to use which.
///
/// ```
/// let queue = shmq::ObjectQueue::<String>::new(4)?;
/// queue.put("job")?;
/// drop(queue.lease_ack()?); // comes back
/// let job = queue.lease_ack()?;
/// assert_eq!((job.as_str(), job.deliveries()), ("job", 2));
/// job.ack()?;
/// assert!(queue.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping gives the message back"]
pub struct ObjectAckLease<'q, T> {
    value: T,
    lease: AckLease<'q, [u8]>,
}

impl<'q, T> ObjectAckLease<'q, T> {
    fn new((value, leased): (T, Leased<'q, [u8], BackOnDrop>)) -> Self {
        ObjectAckLease { value, lease: AckLease::over(leased) }
    }

    /// Acknowledges the message: it is done, and its room is free. Does not block.
    ///
    /// # Errors
    /// As [`AckLease::ack`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// queue.lease_ack()?.ack()?;
    /// queue.join()?; // nothing is unfinished
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack(self) -> Result<(), GetError> {
        self.lease.ack()
    }

    /// Acknowledges the message and keeps its value.
    ///
    /// # Errors
    /// As [`ack`](ObjectAckLease::ack); the value is dropped.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// let job: String = queue.lease_ack()?.take()?;
    /// assert_eq!((job.as_str(), queue.is_empty()), ("job", true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(self) -> Result<T, GetError> {
        self.lease.ack()?;
        Ok(self.value)
    }

    /// Gives the message back: it is delivered again, to any consumer, before newer ones. The same
    /// as dropping it.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put_slice(&["first".to_string(), "second".to_string()])?;
    /// queue.lease_ack()?.give_back();
    /// assert_eq!(queue.get()?, "first");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_back(self) {
        self.lease.give_back();
    }

    /// Which delivery of its message this is, as [`Lease::deliveries`](crate::Lease::deliveries).
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// drop(queue.lease_ack()?);
    /// assert_eq!(queue.lease_ack()?.deliveries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deliveries(&self) -> u32 {
        self.lease.deliveries()
    }

    /// Which message it is, the same over all its deliveries.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(2)?;
    /// queue.put("job")?;
    /// let lease = queue.lease_ack()?;
    /// let id = lease.id();
    /// lease.give_back();
    /// assert_eq!(queue.lease_ack()?.id(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> MessageId {
        self.lease.id()
    }
}

impl<T> GivesBack for ObjectAckLease<'_, T> {
    fn end_given_back(self) {
        self.give_back();
    }
}

impl<T> ObjectAckLease<'_, T> {
    forwards! {
        T, |lease, to, wait| {
            // Poisoned: the next verb returns it. The message is in the other queue.
            let end = |lease: ObjectAckLease<'_, T>| drop(lease.ack());
            forward(lease, |lease| (!lease.lease.is_inherited()).then_some(&lease.value), to, wait, end)
        }
    }
}

impl<T> Deref for ObjectAckLease<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for ObjectAckLease<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ObjectAckLease").field("value", &self.value).field("deliveries", &self.deliveries()).finish()
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectQueue<T, C> {
    blocking_forms! {
        /// Leases one message, which comes back unless it is acknowledged, and decodes it; waits
        /// while the queue is empty. As [`lease`](Self::lease) otherwise:
        /// [`AckLease`](crate::AckLease) says when to use which.
        ///
        /// # Errors
        /// As [`get`](Self::get): a message that does not decode is consumed, since it never will.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let job = queue.lease_ack()?;
        /// assert_eq!(job.len(), 3); // ... do it ...
        /// job.ack()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<ObjectAckLease<'_, T>, GetError> {
            let raw = self.bytes.raw();
            decode_leased::<T, C, _>(raw, lease::<BY_LOCK, _>(raw, raw.me_in_both_roles()?, wait)?).map(ObjectAckLease::new)
        }
    }

    blocking_forms! {
        /// Leases one message with a lease that keeps the segment attached by itself, and so may
        /// outlive this handle and go to another thread or task; otherwise as
        /// [`lease_ack`](Self::lease_ack).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(4)?;
        /// queue.put("job")?;
        /// let job = queue.lease_ack_owned()?;
        /// assert_eq!(std::thread::spawn(move || job.take()).join().unwrap()?, "job");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<ObjectAckLease<'static, T>, GetError> {
            self.lease_ack_by(wait)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectConsumer<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::lease_ack`](crate::ObjectQueue::lease_ack).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let consumer = queue.consumer()?;
        /// drop(consumer.lease_ack()?); // comes back
        /// assert_eq!(consumer.lease_ack()?.take()?, "one");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<ObjectAckLease<'_, T>, GetError> {
            let (raw, me) = self.bytes.owned()?;
            decode_leased::<T, C, _>(raw, lease::<BY_OWNER, _>(raw, me, wait)?).map(ObjectAckLease::new)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::lease_ack_owned`](crate::ObjectQueue::lease_ack_owned): the lease may
        /// outlive this endpoint, and be sent to another thread.
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let consumer = queue.consumer()?;
        /// let job = consumer.lease_ack_owned()?;
        /// drop(consumer);
        /// std::thread::spawn(move || job.ack()).join().unwrap()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<ObjectAckLease<'static, T>, GetError> {
            self.lease_ack_by(wait)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> ObjectReceiver<T, C> {
    blocking_forms! {
        /// As [`ObjectQueue::lease_ack`](crate::ObjectQueue::lease_ack).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let receiver = queue.receiver();
        /// drop(receiver.lease_ack()?); // comes back
        /// assert_eq!(receiver.lease_ack()?.take()?, "one");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<ObjectAckLease<'_, T>, GetError> {
            let (raw, me) = self.bytes.used()?;
            decode_leased::<T, C, _>(raw, lease::<BY_LOCK, _>(raw, me, wait)?).map(ObjectAckLease::new)
        }
    }

    blocking_forms! {
        /// As [`ObjectQueue::lease_ack_owned`](crate::ObjectQueue::lease_ack_owned).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::ObjectQueue::<String>::new(8)?;
        /// queue.put("one")?;
        /// let job = queue.receiver().lease_ack_owned()?;
        /// std::thread::spawn(move || job.ack()).join().unwrap()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<ObjectAckLease<'static, T>, GetError> {
            self.lease_ack_by(wait)
        }
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> LeaseSource for ObjectQueue<T, C> {
    type Lease = ObjectAckLease<'static, T>;

    fn lease_ack_by(&self, wait: Wait) -> Result<ObjectAckLease<'static, T>, GetError> {
        let raw = self.bytes.raw();
        decode_leased::<T, C, _>(raw, lease_owned::<BY_LOCK, _>(raw, raw.me_in_both_roles()?, wait)?).map(ObjectAckLease::new)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> LeaseSource for ObjectConsumer<T, C> {
    type Lease = ObjectAckLease<'static, T>;

    fn lease_ack_by(&self, wait: Wait) -> Result<ObjectAckLease<'static, T>, GetError> {
        let (raw, me) = self.bytes.owned()?;
        decode_leased::<T, C, _>(raw, lease_owned::<BY_OWNER, _>(raw, me, wait)?).map(ObjectAckLease::new)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> LeaseSource for ObjectReceiver<T, C> {
    type Lease = ObjectAckLease<'static, T>;

    fn lease_ack_by(&self, wait: Wait) -> Result<ObjectAckLease<'static, T>, GetError> {
        let (raw, me) = self.bytes.used()?;
        decode_leased::<T, C, _>(raw, lease_owned::<BY_LOCK, _>(raw, me, wait)?).map(ObjectAckLease::new)
    }
}
