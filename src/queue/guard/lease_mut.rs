//! A lease that may also write.

use super::Lease;
use crate::message::Plain;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Dropping the lease takes its message: it is done. Dropped by a panic that began while it was
/// held, the message is given back instead, as it stands.
///
/// A [`Lease`] whose holder may change the message in place: to filter it, or to note in it how far
/// the work has come. Only the holder sees the record until the lease ends. **What was written
/// stays**: if the message is given back, or the process dies, it is delivered again as it stands
/// then, perhaps half changed, and that counts as a delivery ([`deliveries`](Self::deliveries)):
/// work that must not be done twice checks the message first. Its length cannot change.
///
/// ```
/// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
/// queue.put(b"a frame")?;
/// let mut frame = queue.lease_mut()?;
/// frame.make_ascii_uppercase();
/// frame.give_back(); // as it stands
/// assert_eq!(queue.get()?, b"A FRAME");
/// # Ok::<(), Box<dyn std::error::Error>>(())
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

    /// Ends the lease; the message is done. The same as dropping it, said aloud.
    #[inline]
    pub fn release(self) {
        self.lease.release();
    }

    /// Ends the lease without finishing its message: it is delivered again as it stands, to
    /// anybody, before newer ones.
    pub fn give_back(self) {
        self.lease.give_back();
    }

    /// Which delivery of its message this is, as [`Lease::deliveries`].
    pub fn deliveries(&self) -> u32 {
        self.lease.deliveries()
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.lease.is_inherited()
    }

    /// From here on the message is only read.
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
        self.lease.assert_ours();
        // SAFETY: Invariant 2 of the module above; the pointer was made of one that may write, the
        // lease is borrowed mutably, and nothing else in this process leads to its message.
        unsafe { &mut *self.lease.message.cast_mut() }
    }
}

impl<T: ?Sized + Plain> fmt::Debug for LeaseMut<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("LeaseMut").field(&self.lease).finish()
    }
}
