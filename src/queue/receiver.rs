//! [`Receiver`]: a handle that only gets, and that counts for the end of the stream.

use super::by_form::{GetAs, TakeLeaseAs};
use super::iter::{Iter, Source};
use super::lease_ack::LeaseSource;
use super::sealed::Sealed;
use crate::error::GetError;
use crate::message::{Message, Plain, Way};
use crate::queue::guard::{AckLease, Lease, LeaseMut, Leased};
use crate::raw::{BY_LOCK, RawQueue, Role, RoleHandle};
use crate::shm::participant::Id;
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A handle of a queue that gets and does not put: one of many, each call by the lock, as by
/// [`Queue`](crate::Queue). Made by [`Queue::receiver`](crate::Queue::receiver); a clone is one
/// more receiver, and each message goes to one of them.
///
/// Where the queue was built with [`close_when_unused`](crate::QueueBuilder::close_when_unused),
/// puts are [`Closed`](crate::PutError::Closed) once the last receiver of all processes is gone,
/// those that wait included; messages that are left stay untaken. A [`Consumer`](crate::Consumer)
/// is a receiver too, and a [`Queue`](crate::Queue) is sender and receiver. What
/// [`Sender`](crate::Sender) says of dead processes, forks and handles that are sent holds for
/// receivers. A lease is no receiver: [`lease_owned`](Self::lease_owned) does not keep the queue
/// open.
///
/// ```
/// let queue = shmq::Queue::<u64>::builder().capacity(8).close_when_unused(true).create()?;
/// let (sender, receiver) = (queue.sender(), queue.receiver());
/// drop(queue);
/// sender.put(&1)?;
/// drop(sender); // the last one
/// assert_eq!(receiver.get()?, 1);
/// assert!(matches!(receiver.get(), Err(shmq::GetError::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Receiver<T: ?Sized> {
    pub(super) raw: RoleHandle,
    /// As the builder was given them; parts of the serialised handle.
    pub(super) schema: Option<Arc<str>>,
    pub(super) structure: Option<Arc<str>>,
    carries: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Receiver<T> {
    pub(super) fn new(raw: Arc<RawQueue>, schema: Option<Arc<str>>, structure: Option<Arc<str>>) -> Receiver<T> {
        Receiver { raw: RoleHandle::new(raw, Role::Receiver), schema, structure, carries: PhantomData }
    }

    /// For `wait_any`. A wait is a use; what it could not attach for, the verb reports.
    pub(crate) fn waited_for(&self) -> &RawQueue {
        let _ = self.raw.me();
        &self.raw
    }

    /// The queue, and the participant that gets.
    pub(crate) fn used(&self) -> Result<(&Arc<RawQueue>, Id), GetError> {
        let me = self.raw.me()?;
        Ok((self.raw.shared(), me))
    }

    /// For an `ObjectReceiver`.
    pub(crate) fn shared(&self) -> &Arc<RawQueue> {
        self.raw.shared()
    }

    /// The same receiver once more, whose waits end with [`GetError::Interrupted`] once `stop` is
    /// set. As [`Queue::with_stop`](crate::Queue::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::Queue::<u64>::new(1)?, shmq::Stop::new());
    /// let receiver = queue.receiver().with_stop(&stop);
    /// stop.set();
    /// assert!(matches!(receiver.get(), Err(shmq::GetError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> Receiver<T> {
        let (schema, structure) = (self.schema.clone(), self.structure.clone());
        Receiver { raw: self.raw.with_stop(stop), schema, structure, carries: PhantomData }
    }
}

impl<T: ?Sized + Message> Receiver<T> {
    blocking_forms! {
        /// As [`Queue::get`](crate::Queue::get).
        ///
        /// # Errors
        /// As there: [`GetError::Closed`] also once the queue is drained and no sender is left,
        /// where it closes [when unused](crate::QueueBuilder::close_when_unused).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put(&1)?;
        /// assert_eq!(queue.receiver().get()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<T::Owned, GetError> {
            let me = self.raw.me()?;
            T::Way::visit(GetAs(&self.raw, me, wait))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease`](crate::Queue::lease).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put(&1)?;
        /// let receiver = queue.receiver();
        /// let message = receiver.lease()?;
        /// assert_eq!(*message, 1);
        /// message.release();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'_, T>, GetError> [where T: Plain] {
            let me = self.raw.me()?;
            let record = T::Way::visit(TakeLeaseAs(&self.raw, me, wait))?;
            Ok(Lease::over(Leased::borrowed(&self.raw, record)))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease_owned`](crate::Queue::lease_owned).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// let message = queue.receiver().lease_owned()?;
        /// assert_eq!(std::thread::spawn(move || *message).join().unwrap(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'static, T>, GetError> [where T: Plain] {
            let me = self.raw.me()?;
            let record = T::Way::visit(TakeLeaseAs(&self.raw, me, wait))?;
            Ok(Lease::over(Leased::<T, _>::shared(Arc::clone(self.raw.shared()), record)))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease_ack`](crate::Queue::lease_ack).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(2)?;
        /// queue.put(&1)?;
        /// let receiver = queue.receiver();
        /// drop(receiver.lease_ack()?); // comes back
        /// receiver.lease_ack()?.ack()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'_, T>, GetError> [where T: Plain] {
            let me = self.raw.me()?;
            let record = T::Way::visit(TakeLeaseAs(&self.raw, me, wait))?;
            Ok(AckLease::over(Leased::borrowed(&self.raw, record)))
        }
    }

    blocking_forms! {
        /// As [`Queue::lease_ack_owned`](crate::Queue::lease_ack_owned).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(2)?;
        /// queue.put(&1)?;
        /// let message = queue.receiver().lease_ack_owned()?;
        /// std::thread::spawn(move || message.ack()).join().unwrap()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'static, T>, GetError> [where T: Plain] {
            self.lease_ack_by(wait)
        }
    }

    blocking_forms! {
        /// As [`Queue::lease_mut`](crate::Queue::lease_mut).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put(&1)?;
        /// let receiver = queue.receiver();
        /// let mut message = receiver.lease_mut()?;
        /// *message += 10;
        /// message.give_back(); // as it is now
        /// assert_eq!(receiver.get()?, 11);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut, try_lease_mut, lease_mut_timeout, lease_mut_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'_, T>, GetError> [where T: Plain] {
            let me = self.raw.me()?;
            let record = T::Way::visit(TakeLeaseAs(&self.raw, me, wait))?;
            Ok(LeaseMut::new(Lease::over(Leased::borrowed(&self.raw, record))))
        }
    }

    /// Is the queue closed: by [`close`](crate::Queue::close), or since one side is gone? Messages
    /// may still be in it.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(8)?;
    /// let receiver = queue.receiver();
    /// queue.close();
    /// assert!(receiver.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Gets messages until the queue is closed and drained, waiting for each. As
    /// [`Queue::iter`](crate::Queue::iter).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(16)?;
    /// queue.put_slice(&[1, 2, 3])?;
    /// queue.close();
    /// let all: Result<Vec<u64>, _> = queue.receiver().iter().collect();
    /// assert_eq!(all?, [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&self) -> Iter<'_, Receiver<T>> {
        Iter::new(self)
    }
}

impl<T: Message> Receiver<T> {
    blocking_forms! {
        /// As [`Queue::get_boxed`](crate::Queue::get_boxed).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 100_000]>::new(2)?;
        /// queue.put(&[7; 100_000])?;
        /// let frame: Box<[u8; 100_000]> = queue.receiver().get_boxed()?;
        /// assert_eq!(frame[99_999], 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_boxed, try_get_boxed, get_boxed_timeout, get_boxed_deadline, none: "Empty",
        |self, wait| -> Result<Box<T>, GetError> { self.raw.get_boxed::<BY_LOCK, T>(self.raw.me()?, wait) }
    }

    blocking_forms! {
        /// As [`Queue::get_slice`](crate::Queue::get_slice).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(8)?;
        /// queue.put_slice(&[1, 2, 3])?;
        /// let mut buffer = [0; 8];
        /// assert_eq!(queue.receiver().get_slice(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_slice, try_get_slice, get_slice_timeout, get_slice_deadline, none: "Empty",
        |self, wait, v: &mut [T]| -> Result<usize, GetError> { self.raw.get_values::<BY_LOCK, T>(self.raw.me()?, v, wait) }
    }
}

impl<X> Receiver<[X]>
where
    X: Plain,
{
    blocking_forms! {
        /// As [`Queue::get_into`](crate::Queue::get_into).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// queue.put(b"abc")?;
        /// let mut buffer = [0; 16];
        /// assert_eq!(queue.receiver().get_into(&mut buffer)?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_into, try_get_into, get_into_timeout, get_into_deadline, none: "Empty",
        |self, wait, buf: &mut [X]| -> Result<usize, GetError> { self.raw.get_into::<BY_LOCK, X>(self.raw.me()?, buf, wait) }
    }
}

impl<T: ?Sized> Sealed for Receiver<T> {}

impl<T: ?Sized + Plain> LeaseSource for Receiver<T> {
    type Lease = AckLease<'static, T>;

    #[inline]
    fn lease_ack_by(&self, wait: Wait) -> Result<AckLease<'static, T>, GetError> {
        let me = self.raw.me()?;
        let record = T::Way::visit(TakeLeaseAs(&self.raw, me, wait))?;
        Ok(AckLease::over(Leased::<T, _>::shared(Arc::clone(self.raw.shared()), record)))
    }
}

impl<T: ?Sized + Message> Source for Receiver<T> {
    type Message = T::Owned;

    #[inline]
    fn get_by(&self, wait: Wait) -> Result<T::Owned, GetError> {
        let me = self.raw.me()?;
        T::Way::visit(GetAs(&self.raw, me, wait))
    }

    #[inline]
    fn awaited(&self) -> (&Arc<RawQueue>, bool) {
        (self.raw.shared(), true)
    }
}

impl<'q, T: ?Sized + Message> IntoIterator for &'q Receiver<T> {
    type Item = Result<T::Owned, GetError>;
    type IntoIter = Iter<'q, Receiver<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T: ?Sized> Clone for Receiver<T> {
    /// One more receiver of the same attachment.
    fn clone(&self) -> Self {
        Receiver { raw: self.raw.clone(), schema: self.schema.clone(), structure: self.structure.clone(), carries: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Receiver<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Receiver").field(&*self.raw).finish()
    }
}
