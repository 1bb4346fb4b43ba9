//! One message, to be read in place.

use super::View;
use super::leased::{DoneOnDrop, Leased, end};
use crate::error::GetError;
use crate::message::Plain;
use crate::raw::MessageId;
use std::fmt;
use std::ops::Deref;

/// Dropping a lease takes its message: it is done. Dropped by a panic that began while it was held,
/// the message is given back instead.
///
/// A lease is one message inside the shared segment, to be read in place. Until it ends, the
/// message occupies capacity; leases may end in any order, and room is reclaimed in order.
/// [`give_back`](Lease::give_back) has the message delivered again, to any consumer, before newer
/// ones; so does the death of the process (at-least-once). `mem::forget` of a lease holds its room
/// until the process ends. A lease inherited across `fork` belongs to the parent: `Deref` panics,
/// ending it does nothing. While a lease is open or forgotten,
/// [`Process::spawn`](crate::Process::spawn) does not fork. Where a message stands for work that
/// may be left halfway, and in async code, use an [`AckLease`](super::AckLease), which gives it
/// back when it is dropped.
///
/// The message is read where other processes can write it: a peer that breaks the rules of this
/// crate can change what `&T` shows. Get it by copy if you do not trust your peers.
///
/// ```
/// let queue = shmq::Queue::<[u8; 1024]>::new(4)?;
/// queue.put(&[7; 1024])?;
/// let frame = queue.lease()?;
/// assert_eq!((frame[1023], frame.deliveries()), (7, 1));
/// frame.give_back();
/// assert_eq!(queue.lease()?.deliveries(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The queue outlives its leases ([`Queue::lease_owned`](crate::Queue::lease_owned) keeps it
/// alive):
///
/// ```compile_fail,E0597
/// let lease;
/// {
///     let queue = shmq::Queue::<u64>::new(4).unwrap();
///     queue.put(&1).unwrap();
///     lease = queue.lease().unwrap();
/// }
/// ```
#[must_use = "dropping takes the message"]
pub struct Lease<'q, T: ?Sized + Plain> {
    leased: Leased<'q, T, DoneOnDrop>,
}

impl<'q, T: ?Sized + Plain> Lease<'q, T> {
    #[inline]
    pub(crate) fn over(leased: Leased<'q, T, DoneOnDrop>) -> Lease<'q, T> {
        Lease { leased }
    }

    /// For a guard that may write.
    #[inline]
    pub(super) fn leased(&mut self) -> &mut Leased<'q, T, DoneOnDrop> {
        &mut self.leased
    }

    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.leased.is_inherited()
    }

    /// Ends the lease; the message is done. The same as dropping it.
    ///
    /// If this process was taken for dead meanwhile, the queue is poisoned, and its next verb says
    /// so.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// let lease = queue.lease()?;
    /// assert!(matches!(queue.try_put(&2), Err(shmq::PutError::Full)));
    /// lease.release();
    /// queue.put(&2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn release(self) {
        // Poisoned: the next verb returns it, since ending a lease returns no error.
        end!(self.leased, |raw, record| drop(raw.release_as::<T>(record)));
    }

    /// Ends the lease without finishing its message: it is delivered again, to any consumer, before
    /// newer ones. So does the end of this process, however it ends.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put_slice(&[1, 2])?;
    /// queue.lease()?.give_back();
    /// assert_eq!((queue.get()?, queue.get()?), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_back(self) {
        // Poisoned: the next verb returns it, since ending a lease returns no error.
        end!(self.leased, |raw, record| drop(raw.give_back(record)));
    }

    /// Ends the lease and goes on reading: the message is done, as by [`release`](Lease::release),
    /// and its room is kept until the last clone of the [`View`] is dropped. Does not block.
    ///
    /// # Errors
    /// [`GetError::Inherited`] in a forked child: nothing was touched, the message is the parent's.
    /// [`GetError::Poisoned`] if this process was taken for dead meanwhile: another consumer may
    /// have the message.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// let view = queue.lease()?.into_view()?;
    /// queue.join()?; // nothing is unfinished
    /// assert!(queue.is_empty() && matches!(queue.try_put(&2), Err(shmq::PutError::Full)));
    /// assert_eq!(*view, 1);
    /// drop(view);
    /// queue.try_put(&2)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_view(self) -> Result<View<'q, T>, GetError> {
        View::of(self.leased)
    }

    /// For the command: as [`give_back`](Lease::give_back), of a message that was not used, so that
    /// the delivery does not count.
    #[doc(hidden)]
    pub fn give_back_uncounted(self) {
        // Poisoned: the next verb returns it, since ending a lease returns no error.
        end!(self.leased, |raw, record| drop(raw.give_back_uncounted(record)));
    }

    /// Which delivery of its message this is: 1 the first time, more after a `give_back` or the
    /// death of a holder (255 at most). With it a worker can set a message aside that has killed
    /// other workers: see also
    /// [`QueueBuilder::max_deliveries`](crate::QueueBuilder::max_deliveries).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// queue.lease()?.give_back();
    /// assert_eq!(queue.lease()?.deliveries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deliveries(&self) -> u32 {
        self.leased.deliveries()
    }

    /// Which message it is, the same over all its deliveries.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// let lease = queue.lease()?;
    /// let id = lease.id();
    /// lease.give_back();
    /// assert_eq!(queue.lease()?.id(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> MessageId {
        self.leased.id()
    }
}

impl<T: ?Sized + Plain> Deref for Lease<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.leased.read()
    }
}

impl Lease<'_, [u8]> {
    pub(crate) fn copied(&self) -> Vec<u8> {
        self.leased.copied()
    }

    #[cfg(feature = "object")]
    pub(crate) fn mark(&self, at: usize, word: u32) {
        self.leased.mark(at, word);
    }
}

impl AsRef<[u8]> for Lease<'_, [u8]> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: ?Sized + Plain> fmt::Debug for Lease<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.leased.describe("Lease", out)
    }
}
