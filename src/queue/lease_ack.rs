//! Leasing messages that come back unless they are acknowledged, through a [`Queue`] and a
//! [`Consumer`].

use super::by_form::TakeLease;
use super::guard::{AckLease, Leased};
use super::{Consumer, Queue, Source};
use crate::error::GetError;
use crate::message::{Message, Plain, Way};
use crate::wait::{Wait, blocking_forms};
use std::sync::Arc;

impl<T: ?Sized + Message> Queue<T> {
    blocking_forms! {
        /// Leases one message, which comes back unless it is acknowledged; waits while the queue is
        /// empty. As [`lease`](Self::lease) otherwise: [`AckLease`] says when to use which.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(2)?;
        /// queue.put_slice(&[1, 2])?;
        /// queue.lease_ack()?.ack()?;
        /// drop(queue.lease_ack()?); // comes back
        /// assert_eq!((queue.get()?, queue.is_empty()), (2, true));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'_, T>, GetError> [where T: Plain] {
            let record = T::Way::visit(TakeLease(&self.raw, wait))?;
            Ok(AckLease::over(Leased::borrowed(&self.raw, record)))
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
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// let message = queue.lease_ack_owned()?;
        /// let worker = std::thread::spawn(move || {
        ///     assert_eq!(*message, 1);
        ///     message.ack()
        /// });
        /// worker.join().unwrap()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'static, T>, GetError> [where T: Plain] {
            self.lease_ack_by(wait)
        }
    }
}

impl<T: ?Sized + Message> Consumer<T> {
    blocking_forms! {
        /// As [`Queue::lease_ack`](crate::Queue::lease_ack).
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let consumer = queue.consumer()?;
        /// drop(consumer.lease_ack()?); // comes back
        /// let message = consumer.lease_ack()?;
        /// assert_eq!((*message, message.deliveries()), (1, 2));
        /// message.ack()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'_, T>, GetError> [where T: Plain] {
            Ok(AckLease::over(self.leased(wait)?))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease_ack_owned`](crate::Queue::lease_ack_owned): the lease may outlive this
        /// endpoint, and be sent to another thread.
        ///
        /// # Errors
        /// As there, and [`GetError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2])?;
        /// let consumer = queue.consumer()?;
        /// let (first, second) = (consumer.lease_ack_owned()?, consumer.lease_ack_owned()?);
        /// drop(consumer);
        /// std::thread::spawn(move || first.ack()).join().unwrap()?;
        /// assert_eq!(*second, 2);
        /// second.ack()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'static, T>, GetError> [where T: Plain] {
            self.lease_ack_by(wait)
        }
    }
}

/// What leases that are acknowledged are taken from: a [`Queue`], a [`Consumer`], a
/// [`Receiver`](crate::Receiver), and those of objects. Sealed.
///
/// ```
/// use shmq::{AckLease, LeaseSource, Queue};
///
/// fn is_plain<Q: LeaseSource<Lease = AckLease<'static, u64>>>(_: &Q) {}
///
/// let queue = Queue::<u64>::new(4)?;
/// is_plain(&queue);
/// is_plain(&queue.consumer()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait LeaseSource: Source {
    /// What one lease is: an [`AckLease`], or an `ObjectAckLease`, that keeps the queue itself.
    type Lease;

    #[doc(hidden)]
    fn lease_ack_by(&self, wait: Wait) -> Result<Self::Lease, GetError>;
}

impl<T: ?Sized + Plain> LeaseSource for Queue<T> {
    type Lease = AckLease<'static, T>;

    #[inline]
    fn lease_ack_by(&self, wait: Wait) -> Result<AckLease<'static, T>, GetError> {
        let record = T::Way::visit(TakeLease(&self.raw, wait))?;
        Ok(AckLease::over(Leased::<T, _>::shared(Arc::clone(self.raw.shared()), record)))
    }
}

impl<T: ?Sized + Plain> LeaseSource for Consumer<T> {
    type Lease = AckLease<'static, T>;

    #[inline]
    fn lease_ack_by(&self, wait: Wait) -> Result<AckLease<'static, T>, GetError> {
        Ok(AckLease::over(self.leased_owned(wait)?))
    }
}
