//! What the guards that read a message in place have in common: the record that they hold, and how
//! it ends. They differ in what dropping them does ([`OnDrop`]).

use crate::attachment::Keeper;
use crate::message::copy::vec_from_bytes;
use crate::message::{Plain, Travel, assert_plain};
use crate::raw::{LeasedRecord, MessageId, RawQueue};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
#[cfg(feature = "object")]
use std::sync::atomic::{AtomicU32, Ordering};

/// What becomes of the message when its guard is dropped.
pub(crate) trait OnDrop: Copy {
    /// Called when the message is leased.
    fn of_this_thread() -> Self;
    /// Called in the drop: does the message come back?
    fn gives_back(self) -> bool;
}

/// The message is done, unless the guard is dropped by a panic that began while it was held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoneOnDrop {
    /// Was this thread panicking already when the lease was taken? Then a drop does not give it
    /// back. (Measured: 7 to 11 instructions a lease. A bit of another field took no fewer, nor did
    /// reading it earlier.)
    was_panicking: bool,
}

/// The message comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackOnDrop;

impl OnDrop for DoneOnDrop {
    #[inline(always)]
    fn of_this_thread() -> DoneOnDrop {
        DoneOnDrop { was_panicking: std::thread::panicking() }
    }

    #[inline(always)]
    fn gives_back(self) -> bool {
        std::thread::panicking() && !self.was_panicking
    }
}

impl OnDrop for BackOnDrop {
    #[inline(always)]
    fn of_this_thread() -> BackOnDrop {
        BackOnDrop
    }

    #[inline(always)]
    fn gives_back(self) -> bool {
        true
    }
}

/// One message on lease to this process, and its queue.
pub(crate) struct Leased<'q, T: ?Sized + Plain, D: OnDrop> {
    pub(super) open: Open<'q, T, D>,
    /// Keeps the queue of a lease that does not borrow it. Dropped after `open` (Invariant 4).
    pub(super) keeps: Option<Keeper<RawQueue>>,
}

/// The record, which is ended when this is dropped.
pub(super) struct Open<'q, T: ?Sized + Plain, D: OnDrop> {
    pub(super) raw: NonNull<RawQueue>,
    /// Here, where it is dropped: so the compiler sees to it that the queue outlives it.
    borrows: PhantomData<&'q RawQueue>,
    record: LeasedRecord,
    message: *const T,
    incarnation: u32,
    on_drop: D,
    owns: PhantomData<fn() -> Box<T>>,
}

// SAFETY: a lease is the only access to its message in this process (Invariant 2), as a `Box` is.
unsafe impl<T: ?Sized + Plain + Send, D: OnDrop> Send for Open<'_, T, D> {}
// SAFETY: a shared lease gives out `&T` only, and `T` is `Sync`.
unsafe impl<T: ?Sized + Plain + Sync, D: OnDrop> Sync for Open<'_, T, D> {}

impl<T: ?Sized + Plain, D: OnDrop> Drop for Open<'_, T, D> {
    /// A function of its own, so that none of its code is inlined where a lease is released.
    #[inline(never)]
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        let again = self.on_drop.gives_back();
        // Poisoned: the next verb returns it, since ending a lease returns no error.
        let _ = if again { self.raw().give_back(self.record) } else { self.raw().release(self.record) };
    }
}

impl<'q, T: ?Sized + Plain, D: OnDrop> Open<'q, T, D> {
    #[inline]
    fn raw(&self) -> &RawQueue {
        // SAFETY: Invariant 4.
        unsafe { self.raw.as_ref() }
    }

    #[inline]
    fn is_inherited(&self) -> bool {
        self.raw().incarnation() != self.incarnation
    }

    /// The queue, the message, and the incarnation that has it on lease.
    pub(super) fn parts(&self) -> (NonNull<RawQueue>, *const T, u32) {
        (self.raw, self.message, self.incarnation)
    }

    /// The record, which the caller ends; `None` if the lease was inherited.
    #[inline(always)]
    pub(super) fn into_record(self) -> Option<LeasedRecord> {
        // Finished (Invariant 1): nothing is left to drop.
        let open = ManuallyDrop::new(self);
        if open.is_inherited() { None } else { Some(open.record) }
    }
}

impl<'q, T: ?Sized + Plain, D: OnDrop> Leased<'q, T, D> {
    #[inline]
    pub(crate) fn borrowed(raw: &'q RawQueue, record: LeasedRecord) -> Leased<'q, T, D> {
        Leased::new(raw, record)
    }

    #[inline]
    pub(crate) fn shared(raw: Arc<RawQueue>, record: LeasedRecord) -> Leased<'static, T, D> {
        let leased = Leased::new(&raw, record);
        Leased { keeps: Some(Keeper::over(raw)), ..leased }
    }

    #[inline]
    fn new<'a>(raw: &RawQueue, record: LeasedRecord) -> Leased<'a, T, D> {
        const { assert_plain::<T>() };
        let message = T::pointer(record.payload, record.length);
        let (incarnation, on_drop) = (raw.incarnation(), D::of_this_thread());
        let raw = NonNull::from(raw);
        let open = Open { raw, borrows: PhantomData, record, message, incarnation, on_drop, owns: PhantomData };
        Leased { open, keeps: None }
    }

    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.open.is_inherited()
    }

    #[inline]
    pub(super) fn assert_ours(&self) {
        assert!(!self.is_inherited(), "this lease belongs to the parent process: make a new one after fork");
    }

    /// The id of its message.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    pub(crate) fn id(&self) -> MessageId {
        self.assert_ours();
        self.open.raw().id_of(&self.open.record)
    }

    pub(crate) fn deliveries(&self) -> u32 {
        self.open.record.deliveries()
    }

    /// The message.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    #[inline]
    pub(super) fn read(&self) -> &T {
        self.assert_ours();
        // SAFETY: Invariant 2: the record is this process's, which is not a forked child
        // (asserted). Any bits are a T (Plain).
        unsafe { &*self.open.message }
    }

    /// The message, to be changed.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    #[inline]
    pub(super) fn write(&mut self) -> &mut T {
        self.assert_ours();
        // SAFETY: Invariant 2, as for `read`. The pointer comes from `payload: *mut u8`, which may
        // write; the lease is borrowed mutably, and no other pointer to its message is used
        // meanwhile.
        unsafe { &mut *self.open.message.cast_mut() }
    }

    /// `Debug` of the guard with that name.
    pub(super) fn describe(&self, name: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct(name).field("record", &self.open.record).field("inherited", &self.is_inherited()).finish_non_exhaustive()
    }

    /// The record, which the caller ends; `None` if the lease was inherited. For a lease that
    /// borrows its queue.
    #[cfg(feature = "object")]
    pub(crate) fn into_record(self) -> Option<LeasedRecord> {
        self.open.into_record()
    }
}

/// Ends a [`Leased`]: unless it was inherited, the body ends its record, as it says of the queue
/// and that record. A macro: passed by value to one more function, or with a result that lives
/// until it has let go of its queue, a lease takes 7 to 20 instructions more (measured).
macro_rules! end {
    ($leased:expr, |$raw:ident, $record:ident| $body:expr) => {
        let $crate::queue::guard::leased::Leased { open, keeps } = $leased;
        // SAFETY: Invariant 4: borrowed, or kept by `keeps`, which is dropped below.
        let $raw = unsafe { open.raw.as_ref() };
        if let Some($record) = open.into_record() {
            $body;
        }
        drop(keeps);
    };
}
pub(super) use end;

impl<D: OnDrop> Leased<'_, [u8], D> {
    /// A copy of the message, for callers that must not rely on peers to leave the record alone.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    pub(crate) fn copied(&self) -> Vec<u8> {
        self.assert_ours();
        // SAFETY: Invariant 2: `message` is the payload, and its length is that in bytes.
        unsafe { vec_from_bytes(self.open.message.cast(), self.open.message.len()) }
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
        let place = self.open.message.cast::<u8>().wrapping_add(at).cast_mut().cast::<u32>();
        assert!(at + size_of::<u32>() <= self.open.message.len() && place.is_aligned());
        // SAFETY: Invariant 2: the bytes of a record that this process owns, in shared memory. The
        // pointer comes from no reference; it is inside the message and aligned (asserted).
        let place = unsafe { AtomicU32::from_ptr(place) };
        // Relaxed: the next holder reads it after the ring's own handover, or after this process is
        // dead.
        place.store(word, Ordering::Relaxed);
    }
}
