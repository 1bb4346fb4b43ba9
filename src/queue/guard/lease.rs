//! One message, to be read in place.

use crate::error::GetError;
use crate::message::copy::vec_from_bytes;
use crate::message::{Plain, assert_plain};
use crate::raw::{LeasedRecord, RawQueue};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
#[cfg(feature = "object")]
use std::sync::atomic::{AtomicU32, Ordering};

/// Dropping a lease takes its message: it is done. Dropped by a panic that began while it was held,
/// the message is given back instead.
///
/// A lease is one message inside the shared segment, to be read in place. Until it ends, the
/// message occupies capacity; leases may end in any order, and room is reclaimed in order.
/// [`give_back`](Lease::give_back) has the message delivered again, to any consumer, before newer
/// ones; so does the death of the process (at-least-once). `mem::forget` of a lease holds its room
/// until the process ends. A lease inherited across `fork` belongs to the parent: `Deref` panics,
/// ending it does nothing. While a lease is open or forgotten,
/// [`Process::spawn`](crate::Process::spawn) does not fork.
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
/// The queue outlives its leases ([`Queue::lease_owned`](crate::Queue::lease_owned) keeps it alive):
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
    held: Held<'q, T>,
    /// Keeps the queue of a lease that does not borrow it. Dropped after `held` (Invariant 4).
    keeps: Option<Arc<RawQueue>>,
}

/// The record, which is ended when this is dropped.
struct Held<'q, T: ?Sized + Plain> {
    raw: NonNull<RawQueue>,
    /// Here, where it is dropped: so the compiler sees to it that the queue outlives it.
    borrows: PhantomData<&'q RawQueue>,
    record: LeasedRecord,
    message: *const T,
    incarnation: u32,
    /// Was this thread panicking already when the lease was taken? Then a drop does not give it
    /// back. (Measured: 7 to 11 instructions a lease. A bit of another field took no fewer, nor did
    /// reading it earlier.)
    was_panicking: bool,
    owns: PhantomData<fn() -> Box<T>>,
}

// SAFETY: a lease is the only access to its message in this process (Invariant 2), as a `Box` is.
unsafe impl<T: ?Sized + Plain + Send> Send for Held<'_, T> {}
// SAFETY: a shared lease gives out `&T` only, and `T` is `Sync`.
unsafe impl<T: ?Sized + Plain + Sync> Sync for Held<'_, T> {}

impl<T: ?Sized + Plain> Held<'_, T> {
    #[inline]
    fn raw(&self) -> &RawQueue {
        // SAFETY: Invariant 4.
        unsafe { self.raw.as_ref() }
    }

    #[inline]
    fn is_inherited(&self) -> bool {
        self.raw().incarnation() != self.incarnation
    }

    /// The record, which the caller ends; `None` if the lease was inherited.
    #[inline(always)]
    fn into_record(self) -> Option<LeasedRecord> {
        // Finished (Invariant 1): nothing is left to drop.
        let held = ManuallyDrop::new(self);
        if held.is_inherited() { None } else { Some(held.record) }
    }
}

impl<T: ?Sized + Plain> Drop for Held<'_, T> {
    /// A function of its own, so that none of its code is inlined where a lease is released.
    #[inline(never)]
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        let again = std::thread::panicking() && !self.was_panicking;
        // Poisoned: the next verb returns it, since ending a lease returns no error.
        let _ = if again { self.raw().give_back(self.record) } else { self.raw().release(self.record) };
    }
}

impl<'q, T: ?Sized + Plain> Lease<'q, T> {
    #[inline]
    pub(crate) fn borrowed(raw: &'q RawQueue, record: LeasedRecord, message: *const T) -> Lease<'q, T> {
        Lease::new(raw, record, message)
    }

    #[inline]
    pub(crate) fn shared(raw: Arc<RawQueue>, record: LeasedRecord, message: *const T) -> Lease<'static, T> {
        let lease = Lease::new(&raw, record, message);
        Lease { keeps: Some(raw), ..lease }
    }

    #[inline]
    fn new<'a>(raw: &RawQueue, record: LeasedRecord, message: *const T) -> Lease<'a, T> {
        const { assert_plain::<T>() };
        let (incarnation, was_panicking) = (raw.incarnation(), std::thread::panicking());
        let raw = NonNull::from(raw);
        let held = Held { raw, borrows: PhantomData, record, message, incarnation, was_panicking, owns: PhantomData };
        Lease { held, keeps: None }
    }

    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.held.is_inherited()
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
        self.end(RawQueue::release);
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
        self.end(RawQueue::give_back);
    }

    /// For the command: as [`give_back`](Lease::give_back), of a message that was not used, so that
    /// the delivery does not count.
    #[doc(hidden)]
    pub fn give_back_uncounted(self) {
        self.end(RawQueue::give_back_uncounted);
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
        self.held.record.deliveries()
    }

    #[inline]
    pub(super) fn assert_ours(&self) {
        assert!(!self.is_inherited(), "this lease belongs to the parent process: make a new one after fork");
    }

    /// The record, which the caller ends; `None` if the lease was inherited.
    #[cfg(feature = "object")]
    pub(crate) fn into_record(self) -> Option<LeasedRecord> {
        self.held.into_record()
    }

    /// To the message; it may be written if the lease is a [`LeaseMut`](super::LeaseMut).
    #[inline]
    pub(super) fn message(&self) -> *const T {
        self.held.message
    }

    #[inline(always)]
    fn end(self, how: impl FnOnce(&RawQueue, LeasedRecord) -> Result<(), GetError>) {
        let Lease { held, keeps } = self;
        // SAFETY: Invariant 4: borrowed, or kept by `keeps`, which is dropped below.
        let raw = unsafe { held.raw.as_ref() };
        if let Some(record) = held.into_record() {
            // Poisoned: the next verb returns it, since ending a lease returns no error.
            let _ = how(raw, record);
        }
        drop(keeps);
    }
}

impl<T: ?Sized + Plain> Deref for Lease<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.assert_ours();
        // SAFETY: Invariant 2: the record is this process's, which is not a forked child
        // (asserted). Any bits are a T (Plain).
        unsafe { &*self.held.message }
    }
}

impl Lease<'_, [u8]> {
    /// A copy of the message, for callers that must not rely on peers to leave the record alone.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    pub(crate) fn copied(&self) -> Vec<u8> {
        self.assert_ours();
        // SAFETY: Invariant 2: `message` is the payload, and its length is that in bytes.
        unsafe { vec_from_bytes(self.held.message.cast(), self.held.message.len()) }
    }

    /// Writes a word into the message, which is still there when the message comes back. For a
    /// process whose leases are private ([`Queue::keep_leases_private`](crate::Queue)): no
    /// reference into the message exists meanwhile.
    ///
    /// # Panics
    /// If the word is not inside the message, or not aligned; in a child that inherited the lease.
    #[cfg(feature = "object")]
    pub(crate) fn mark(&self, at: usize, word: u32) {
        self.assert_ours();
        let place = self.held.message.cast::<u8>().wrapping_add(at).cast_mut().cast::<u32>();
        assert!(at + size_of::<u32>() <= self.held.message.len() && place.is_aligned());
        // SAFETY: Invariant 2: the bytes of a record that this process owns, in shared memory. The
        // pointer comes from no reference; it is inside the message and aligned (asserted).
        let place = unsafe { AtomicU32::from_ptr(place) };
        // Relaxed: the next holder reads it after the ring's own handover, or after this process is
        // dead.
        place.store(word, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for Lease<'_, [u8]> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: ?Sized + Plain> fmt::Debug for Lease<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Lease")
            .field("record", &self.held.record)
            .field("inherited", &self.is_inherited())
            .finish_non_exhaustive()
    }
}
