//! Room for one message, to be written in place.

use crate::attachment::Keeper;
use crate::error::PutError;
use crate::message::{Plain, assert_plain};
use crate::raw::{ClaimedRecord, RawQueue, may_be_spilled};
use crate::ring::Header;
use crate::shm::geometry::CellIndex;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

/// Dropping a loan aborts it: its message is skipped, as if it had never been.
/// [`commit`](Loan::commit) makes it a message. [`Queue::loan`](crate::Queue::loan) says when the
/// room of a dropped loan comes back.
///
/// A loan is room for one message inside the shared segment, to be written in place. What it holds
/// at first is unspecified (some valid value, from zeros to an old message). While it is open,
/// everything put behind it waits. `mem::forget` of a loan holds its room until the process ends.
/// If the process dies, its peers abort the loan. A loan inherited across `fork` belongs to the
/// parent: `Deref` panics, `commit` returns [`PutError::Inherited`]. While a loan is open or
/// forgotten, [`Process::spawn`](crate::Process::spawn) does not fork.
///
/// ```
/// let queue = shmq::Queue::<[u32]>::builder().capacity_bytes(4096).create()?;
/// let mut loan = queue.loan_len(3)?;
/// loan.copy_from_slice(&[1, 2, 3]);
/// loan.commit_len(2)?;
/// assert_eq!(queue.get()?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The queue outlives its loans ([`Queue::loan_owned`](crate::Queue::loan_owned) keeps it alive):
///
/// ```compile_fail,E0597
/// let loan;
/// {
///     let queue = shmq::Queue::<u64>::new(4).unwrap();
///     loan = queue.loan().unwrap();
/// }
/// ```
#[must_use = "dropping aborts the message"]
pub struct Loan<'q, T: ?Sized + Plain> {
    /// If the loan is owned, a [`Keeper`] as a raw pointer (Invariant 4).
    raw: NonNull<RawQueue>,
    record: ClaimedRecord,
    message: *mut T,
    incarnation: u32,
    /// What the fork word must show for an end without further checks: `incarnation`, or what it
    /// never shows ([`OWNED`]). So a loan that borrows its queue pays nothing for those that do not.
    /// (A field of its own that keeps the queue took 11 to 14 instructions a loan: measured. So did an
    /// end, or a drop, to which a loan is passed by its address.)
    ends_at_once_in: u32,
    borrows: PhantomData<&'q RawQueue>,
    owns: PhantomData<fn() -> Box<T>>,
}

/// It keeps its queue by itself. No incarnation has this bit: each is one more than its parent's.
const OWNED: u32 = 1 << 31;

// SAFETY: a loan is the only access to its message in this process (Invariant 2), as a `Box` is.
unsafe impl<T: ?Sized + Plain + Send> Send for Loan<'_, T> {}

impl<'q, T: ?Sized + Plain> Loan<'q, T> {
    #[inline]
    pub(crate) fn borrowed(raw: &'q RawQueue, record: ClaimedRecord, message: *mut T) -> Loan<'q, T> {
        Loan::new(raw, record, message)
    }

    #[inline]
    pub(crate) fn shared(raw: Arc<RawQueue>, record: ClaimedRecord, message: *mut T) -> Loan<'static, T> {
        let mut loan = ManuallyDrop::new(Loan::new(&raw, record, message));
        loan.ends_at_once_in |= OWNED;
        loan.raw = Keeper::over(raw).into_raw();
        ManuallyDrop::into_inner(loan)
    }

    /// The lifetime is the caller's to keep (Invariant 4).
    #[inline]
    pub(in crate::queue) fn new<'a>(raw: &RawQueue, record: ClaimedRecord, message: *mut T) -> Loan<'a, T> {
        const { assert_plain::<T>() };
        let incarnation = raw.incarnation();
        let raw = NonNull::from(raw);
        Loan { raw, record, message, incarnation, ends_at_once_in: incarnation, borrows: PhantomData, owns: PhantomData }
    }

    #[inline]
    pub(crate) fn raw(&self) -> &RawQueue {
        // SAFETY: Invariant 4.
        unsafe { self.raw.as_ref() }
    }

    /// The cell of its record.
    pub(crate) fn cell(&self) -> CellIndex {
        self.record.cell()
    }

    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.raw().incarnation() != self.incarnation
    }

    #[inline(always)]
    fn finish(self, length: usize) -> Result<(), PutError> {
        // Finished (Invariant 1): nothing is left to drop.
        let loan = ManuallyDrop::new(self);
        if loan.raw().incarnation() == loan.ends_at_once_in {
            if may_be_spilled::<T>() && loan.record.is_spilled() {
                return loan.raw().commit_spilled(loan.record, length);
            }
            return loan.raw().commit_claimed(loan.record, length);
        }
        let (cell, header, payload) = loan.record.parts();
        // SAFETY: the loan is finished.
        unsafe { finish_slowly(loan.raw, cell, header, payload, loan.ends_at_once_in, length) }
    }

    /// Makes the loan a message, in the place that it took when it was lent. Does not block.
    ///
    /// A loan may be committed after the queue was closed: it was lent before.
    ///
    /// # Errors
    /// [`PutError::Inherited`] in a forked child; [`PutError::Poisoned`] if this process was taken
    /// for dead meanwhile.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// let mut loan = queue.loan()?;
    /// queue.put(&2)?; // behind it
    /// *loan = 1;
    /// loan.commit()?;
    /// assert_eq!((queue.get()?, queue.get()?), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn commit(self) -> Result<(), PutError> {
        // SAFETY: Invariant 2; only the length is read. In a forked child `finish` returns before
        // any use.
        let length = size_of_val(unsafe { &*self.message });
        self.finish(length)
    }
}

impl<X> Loan<'_, [X]>
where
    X: Plain,
{
    /// Makes the first `len` elements of the loan a message; the rest of its room is given back.
    ///
    /// # Errors
    /// As [`commit`](Loan::commit).
    ///
    /// # Panics
    /// If `len` is more than was lent.
    ///
    /// ```
    /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
    /// let mut loan = queue.loan_len(512)?;
    /// let read = std::io::Read::read(&mut &b"from a file"[..], &mut loan)?;
    /// loan.commit_len(read)?;
    /// assert_eq!(queue.get()?, b"from a file");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn commit_len(self, len: usize) -> Result<(), PutError> {
        let lent = self.message.len();
        assert!(len <= lent, "commit_len({len}) of a loan of {lent} elements");
        self.finish(len * size_of::<X>())
    }
}

/// Commits an owned loan; or finishes one that was inherited. By value: a function that takes the
/// address of a loan keeps all of it out of registers, on the fast path too.
///
/// # Safety
/// These are the parts of a loan that is finished by this, and is not used after it.
#[cold]
#[inline(never)]
unsafe fn finish_slowly(
    raw: NonNull<RawQueue>,
    cell: CellIndex,
    header: Header,
    payload: *mut u8,
    ends_in: u32,
    length: usize,
) -> Result<(), PutError> {
    let record = ClaimedRecord::of_parts(cell, header, payload);
    // SAFETY: it is an owned loan's, taken once (the caller).
    let _keeper = (ends_in & OWNED != 0).then(|| unsafe { Keeper::from_raw(raw) });
    // SAFETY: guard, Invariant 4: borrowed for the whole call, or kept until its end.
    let raw = unsafe { raw.as_ref() };
    if raw.incarnation() != ends_in & !OWNED {
        return Err(PutError::Inherited);
    }
    if record.is_spilled() { raw.commit_spilled(record, length) } else { raw.commit_claimed(record, length) }
}

impl<T: ?Sized + Plain> Deref for Loan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        assert!(!self.is_inherited(), "this loan belongs to the parent process: make a new one after fork");
        // SAFETY: Invariant 2: the record is this process's, which is not a forked child
        // (asserted). Any bits are a T (Plain).
        unsafe { &*self.message }
    }
}

impl<T: ?Sized + Plain> DerefMut for Loan<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        assert!(!self.is_inherited(), "this loan belongs to the parent process: make a new one after fork");
        // SAFETY: Invariant 2, as for `deref`; the loan is borrowed mutably, and no other pointer
        // to its message is used meanwhile.
        unsafe { &mut *self.message }
    }
}

/// Aborts a loan, unless it was inherited. By value, as [`finish_slowly`].
///
/// # Safety
/// As there.
#[cold]
#[inline(never)]
unsafe fn abandon(raw: NonNull<RawQueue>, cell: CellIndex, header: Header, payload: *mut u8, ends_in: u32) {
    let record = ClaimedRecord::of_parts(cell, header, payload);
    // SAFETY: it is an owned loan's, taken once (the caller).
    let _keeper = (ends_in & OWNED != 0).then(|| unsafe { Keeper::from_raw(raw) });
    // SAFETY: guard, Invariant 4: borrowed for the whole call, or kept until its end.
    let raw = unsafe { raw.as_ref() };
    if raw.incarnation() == ends_in & !OWNED {
        if record.is_spilled() {
            return raw.abort_spilled(record);
        }
        raw.abort_claimed(record);
    }
}

impl<T: ?Sized + Plain> Drop for Loan<'_, T> {
    /// Aborts the message.
    #[inline(always)]
    fn drop(&mut self) {
        let (cell, header, payload) = self.record.parts();
        // SAFETY: this is the last use of the loan.
        unsafe { abandon(self.raw, cell, header, payload, self.ends_at_once_in) };
    }
}

impl<T: ?Sized + Plain> fmt::Debug for Loan<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Loan").field("record", &self.record).field("inherited", &self.is_inherited()).finish_non_exhaustive()
    }
}
