//! A lease that may also write.

use super::Lease;
use crate::message::Plain;
use crate::raw::MessageId;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Dropping the lease takes its message: it is done. Dropped by a panic that began while it was
/// held, the message is given back instead, as it is then.
///
/// A [`Lease`] whose holder may change the message in place: to filter it, or to note in it how far
/// the work has come. No other process sees the record until the lease ends. **What was written
/// stays**: if the message is given back, or the process dies, it is delivered again as it is then,
/// perhaps half changed, and that counts as a delivery ([`deliveries`](Self::deliveries)). Work
/// that must not be done twice checks the message first. Its length cannot change.
///
/// ```
/// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
/// queue.put(b"a frame")?;
/// let mut frame = queue.lease_mut()?;
/// frame.make_ascii_uppercase();
/// frame.give_back(); // as it is now
/// assert_eq!(queue.get()?, b"A FRAME");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The queue outlives it, as it does a [`Lease`]:
///
/// ```compile_fail,E0597
/// let lease;
/// {
///     let queue = shmq::Queue::<u64>::new(4).unwrap();
///     queue.put(&1).unwrap();
///     lease = queue.lease_mut().unwrap();
/// }
/// ```
#[must_use = "dropping takes the message"]
pub struct LeaseMut<'q, T: ?Sized + Plain> {
    lease: Lease<'q, T>,
}

impl<'q, T: ?Sized + Plain> LeaseMut<'q, T> {
    #[inline]
    pub(crate) fn new(lease: Lease<'q, T>) -> LeaseMut<'q, T> {
        LeaseMut { lease }
    }

    /// Ends the lease; the message is done. The same as dropping it.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// queue.lease_mut()?.release();
    /// assert!(queue.is_empty() && !queue.is_full());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn release(self) {
        self.lease.release();
    }

    /// Ends the lease without finishing its message: it is delivered again as it is now, to any
    /// consumer, before newer ones.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// let mut message = queue.lease_mut()?;
    /// *message = 5;
    /// message.give_back();
    /// assert_eq!(queue.get()?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_back(self) {
        self.lease.give_back();
    }

    /// Which delivery of its message this is, as [`Lease::deliveries`].
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// queue.lease_mut()?.give_back();
    /// assert_eq!(queue.lease_mut()?.deliveries(), 2);
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
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// let lease = queue.lease_mut()?;
    /// let id = lease.id();
    /// lease.give_back();
    /// assert_eq!(queue.lease_mut()?.id(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> MessageId {
        self.lease.id()
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.lease.is_inherited()
    }

    /// Gives up the right to write; the lease continues.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// let mut message = queue.lease_mut()?;
    /// *message += 1;
    /// let message: shmq::Lease<'_, u64> = message.into_lease();
    /// assert_eq!(*message, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_lease(self) -> Lease<'q, T> {
        self.lease
    }
}

impl<T: ?Sized + Plain> Deref for LeaseMut<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.lease
    }
}

impl<T: ?Sized + Plain> DerefMut for LeaseMut<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.lease.leased().write()
    }
}

impl<T: ?Sized + Plain> fmt::Debug for LeaseMut<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("LeaseMut").field(&self.lease).finish()
    }
}
