//! A message that is finished, and read in place on.

use super::leased::{Leased, OnDrop};
use crate::attachment::Keeper;
use crate::error::GetError;
use crate::message::Plain;
use crate::raw::{PinnedRecord, RawQueue};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// A message that is done, and still readable where it lies: its room is kept until the last clone
/// of its view is dropped.
///
/// [`Lease::into_view`](super::Lease::into_view) and
/// [`AckLease::into_view`](super::AckLease::into_view) make one. At that moment the message is
/// finished: [`join`](crate::Queue::join), [`len`](crate::Queue::len) and
/// [`max_deliveries`](crate::QueueBuilder::max_deliveries) do not count it any more, and it is not
/// delivered again, whatever becomes of this process. What remains is its payload in the segment,
/// to be handed to whatever reads it later, in any thread, without a copy.
///
/// A clone is one more reference in this process and costs what a clone of an [`Arc`] does. The
/// last one that is dropped frees the room, and wakes puts that wait for it. Room is reclaimed in
/// order, so **a view that is kept for long fills the queue behind it**: puts then return
/// [`Full`](crate::PutError::Full), or wait, while the queue may be
/// [empty](crate::Queue::is_empty). Copy what is to be kept.
///
/// If this process dies, the room is free as soon as a put needs it. `mem::forget` of a view keeps
/// its room until the process ends. A view inherited across `fork` belongs to the parent: `Deref`
/// panics, dropping it touches nothing. While one is open or forgotten,
/// [`Process::spawn`](crate::Process::spawn) does not fork. (It does beside a view of an object that is
/// larger than the ring, which keeps a mapping of its own and no room.)
///
/// As of a lease, a peer that breaks the rules of this crate can change what `&T` shows.
///
/// ```
/// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
/// queue.put(b"a frame")?;
/// let frame = queue.lease()?.into_view()?;
/// let shown = frame.clone();
/// queue.join()?; // the message is done
/// std::thread::scope(|threads| {
///     threads.spawn(move || assert_eq!(&shown[..], b"a frame"));
/// });
/// assert_eq!(&frame[..], b"a frame");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The queue outlives it, unless the lease was an owned one, which keeps its queue:
///
/// ```compile_fail,E0597
/// let view;
/// {
///     let queue = shmq::Queue::<u64>::new(4).unwrap();
///     queue.put(&1).unwrap();
///     view = queue.lease().unwrap().into_view().unwrap();
/// }
/// ```
#[must_use = "dropping frees the room of the message"]
pub struct View<'q, T: ?Sized + Plain> {
    pinned: Arc<Pinned<'q, T>>,
}

/// A record in the state READ, which this process ends once.
struct Pinned<'q, T: ?Sized + Plain> {
    raw: NonNull<RawQueue>,
    borrows: PhantomData<&'q RawQueue>,
    record: PinnedRecord,
    message: *const T,
    incarnation: u32,
    /// Keeps the queue of a view that does not borrow it: dropped after the record was freed.
    _keeps: Option<Keeper<RawQueue>>,
}

// SAFETY: it gives out `&T` only, from any thread, and frees the record from any thread: no lock
// and no owner of a record belongs to a thread. The message is not moved or dropped.
unsafe impl<T: ?Sized + Plain + Send + Sync> Send for Pinned<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Plain + Send + Sync> Sync for Pinned<'_, T> {}

impl<'q, T: ?Sized + Plain> View<'q, T> {
    /// Finishes the message of a lease.
    pub(super) fn of<D: OnDrop>(leased: Leased<'q, T, D>) -> Result<View<'q, T>, GetError> {
        let (raw, message, incarnation) = leased.open.parts();
        let Leased { open, keeps } = leased;
        let record = open.into_record().ok_or(GetError::Inherited)?;
        // SAFETY: guard, Invariant 4: the queue is borrowed for `'q`, or kept by `keeps`.
        let record = unsafe { raw.as_ref() }.pin(record)?;
        let pinned = Pinned { raw, borrows: PhantomData, record, message, incarnation, _keeps: keeps };
        Ok(View { pinned: Arc::new(pinned) })
    }
}

impl<T: ?Sized + Plain> Pinned<'_, T> {
    fn raw(&self) -> &RawQueue {
        // SAFETY: guard, Invariant 4: borrowed, or kept by `_keeps`.
        unsafe { self.raw.as_ref() }
    }

    fn is_inherited(&self) -> bool {
        self.raw().incarnation() != self.incarnation
    }
}

impl<T: ?Sized + Plain> Drop for Pinned<'_, T> {
    fn drop(&mut self) {
        if !self.is_inherited() {
            // Poisoned: the next verb returns it, since dropping a view returns no error.
            let _ = self.raw().unpin(self.record);
        }
    }
}

impl<T: ?Sized + Plain> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        View { pinned: Arc::clone(&self.pinned) }
    }
}

impl<T: ?Sized + Plain> Deref for View<'_, T> {
    type Target = T;

    /// # Panics
    /// In a child that inherited the view.
    #[inline]
    fn deref(&self) -> &T {
        assert!(!self.pinned.is_inherited(), "this view belongs to the parent process: make a new one after fork");
        // SAFETY: guard, Invariant 2: the record is READ by this process, which is not a forked
        // child (asserted), so its cells are kept (ring, Invariant 4). Any bits are a T (Plain).
        unsafe { &*self.pinned.message }
    }
}

impl AsRef<[u8]> for View<'_, [u8]> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: ?Sized + Plain> fmt::Debug for View<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("View")
            .field("record", &self.pinned.record)
            .field("inherited", &self.pinned.is_inherited())
            .finish_non_exhaustive()
    }
}
