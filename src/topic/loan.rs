//! A message of a topic that is written in place.

use crate::attachment::Kept;
use crate::error::PutError;
use crate::message::Plain;
use crate::queue::guard::Loan;
use crate::queue::{loan_kept_otherwise, slice_bytes};
use crate::raw::{ClaimedRecord, InPlaceUse, RawQueue, ToAll};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::participant::Id;
use crate::wait::Wait;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Dropping a loan aborts it: subscribers pass its place. [`commit`](TopicLoan::commit) makes it a
/// message, which all of them see. Otherwise as a [`Loan`] of a queue; while it is open, its
/// process cannot have a lossy subscriber of the topic.
///
/// ```
/// let topic = shmq::Topic::<u64>::new(8)?;
/// let subscriber = topic.subscribe()?;
/// drop(topic.loan()?);
/// let mut loan = topic.loan()?;
/// *loan = 5;
/// loan.commit()?;
/// assert_eq!((subscriber.next()?, subscriber.missed()), (5, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping aborts the message"]
pub struct TopicLoan<'t, T: ?Sized + Plain> {
    // Ends before the use does, which keeps the topic.
    loan: Loan<'t, T>,
    counted: Counted<'t>,
}

/// A loan that is counted in its process.
struct Counted<'t> {
    raw: Kept<'t, RawQueue>,
    incarnation: u32,
}

/// Claims a record for a loan that is counted, by the [`Counted`] that the caller makes at once.
/// Counted not before: a call that waits for room has no loan yet, and the subscriber that it waits
/// for may become a lossy one meanwhile.
fn claim_counted(raw: &RawQueue, claim: impl FnOnce() -> Result<ClaimedRecord, PutError>) -> Result<ClaimedRecord, PutError> {
    if raw.has_lossy_readers() {
        return Err(PutError::LossyHere);
    }
    let claimed = claim()?;
    if !raw.begin_in_place(InPlaceUse::Loan) {
        raw.abort_claimed(claimed);
        return Err(PutError::LossyHere);
    }
    Ok(claimed)
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.raw.end_in_place(InPlaceUse::Loan, self.incarnation);
    }
}

impl<'t, T: Plain> TopicLoan<'t, T> {
    pub(super) fn claim_value<const OWNED: bool>(raw: Kept<'t, RawQueue>, me: Id, wait: Wait) -> Result<Self, PutError> {
        let bytes = size_of::<T>();
        let claim = || raw.claim_by::<ToAll, OWNED, SIZED_RING>(Some(me), bytes, wait).map_err(|error| raw.explain(error, bytes));
        let claimed = claim_counted(&raw, claim)?;
        Ok(TopicLoan::over(raw, claimed, bytes))
    }
}

impl<'t, X: Plain> TopicLoan<'t, [X]> {
    pub(super) fn claim_slice<const OWNED: bool>(
        raw: Kept<'t, RawQueue>,
        me: Id,
        n: usize,
        wait: Wait,
    ) -> Result<Self, PutError> {
        let bytes = slice_bytes::<X>(&raw, n)?;
        let claim = || raw.claim_by::<ToAll, OWNED, SLICE_RING>(Some(me), bytes, wait).map_err(|error| raw.explain(error, bytes));
        let claimed = claim_counted(&raw, claim)?;
        Ok(TopicLoan::over(raw, claimed, bytes))
    }

    /// Makes the first `len` elements of the loan a message; the rest of its room is given back.
    ///
    /// # Errors
    /// As [`commit`](TopicLoan::commit).
    ///
    /// # Panics
    /// If `len` is more than was lent.
    ///
    /// ```
    /// let topic = shmq::Topic::<[u8]>::builder().capacity_bytes(4096).create()?;
    /// let subscriber = topic.subscribe()?;
    /// let mut loan = topic.loan_len(512)?;
    /// loan[..5].copy_from_slice(b"hello");
    /// loan.commit_len(5)?;
    /// assert_eq!(subscriber.next()?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit_len(self, len: usize) -> Result<(), PutError> {
        let raw = &*self.counted.raw;
        // Before the commit: the record is there for certain.
        let position = raw.position_of_claimed(self.loan.cell());
        self.loan.commit_len(len)?;
        raw.note_committed(position);
        Ok(())
    }
}

impl<'t> TopicLoan<'t, [u8]> {
    /// Room for a message of a topic whose layout is known at run time.
    pub(crate) fn claim_bytes<const OWNED: bool>(
        raw: Kept<'t, RawQueue>,
        me: Id,
        bytes: usize,
        wait: Wait,
    ) -> Result<Self, PutError> {
        let claim = || raw.claim_bytes_by::<ToAll, OWNED>(me, bytes, wait).map_err(|error| raw.explain(error, bytes));
        let claimed = claim_counted(&raw, claim)?;
        Ok(TopicLoan::over(raw, claimed, bytes))
    }
}

impl<'t, T: ?Sized + Plain> TopicLoan<'t, T> {
    pub(crate) fn is_inherited(&self) -> bool {
        self.loan.is_inherited()
    }

    pub(crate) fn raw(&self) -> &RawQueue {
        &self.counted.raw
    }

    fn over(raw: Kept<'t, RawQueue>, claimed: ClaimedRecord, bytes: usize) -> Self {
        let counted = Counted { incarnation: raw.incarnation(), raw };
        // SAFETY: `counted` borrows or keeps the queue, and is dropped after the loan.
        let loan = unsafe { loan_kept_otherwise(&counted.raw, claimed, bytes) };
        TopicLoan { loan, counted }
    }

    /// Makes the loan a message, in the place that it took when it was lent. Does not block.
    ///
    /// # Errors
    /// As [`Loan::commit`].
    ///
    /// ```
    /// let topic = shmq::Topic::<u64>::new(4)?;
    /// let subscriber = topic.subscribe()?;
    /// let mut loan = topic.loan()?;
    /// topic.publish(&2)?; // behind it
    /// *loan = 1;
    /// loan.commit()?;
    /// assert_eq!((subscriber.next()?, subscriber.next()?), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(self) -> Result<(), PutError> {
        let raw = &*self.counted.raw;
        let position = raw.position_of_claimed(self.loan.cell());
        self.loan.commit()?;
        raw.note_committed(position);
        Ok(())
    }
}

impl<T: ?Sized + Plain> Deref for TopicLoan<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.loan
    }
}

impl<T: ?Sized + Plain> DerefMut for TopicLoan<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.loan
    }
}

impl<T: ?Sized + Plain> fmt::Debug for TopicLoan<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("TopicLoan").field(&self.loan).finish()
    }
}
