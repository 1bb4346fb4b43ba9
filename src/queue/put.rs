//! Putting through a [`Queue`]: by copy, many at once, and in place.

use super::Queue;
use super::guard::Loan;
use crate::error::PutError;
use crate::message::{Message, Plain, Travel};
#[cfg(feature = "async")]
use crate::raw::Ticket;
use crate::raw::{BY_LOCK, ClaimedRecord, RawQueue};
use crate::ring::SIZED_RING;
use crate::shm::participant::Id;
use crate::wait::Wait;
use crate::wait::blocking_forms;
use std::sync::Arc;

#[inline(always)]
pub(crate) fn loan_of<T: ?Sized + Plain>(raw: &RawQueue, record: ClaimedRecord, length: usize) -> Loan<'_, T> {
    let message = T::pointer(record.payload, length);
    Loan::borrowed(raw, record, message)
}

/// One that borrows nothing.
///
/// # Safety
/// The caller keeps the queue alive for longer than the loan.
pub(crate) unsafe fn loan_kept_otherwise<'q, T: ?Sized + Plain>(
    raw: &RawQueue,
    record: ClaimedRecord,
    length: usize,
) -> Loan<'q, T> {
    Loan::new(raw, record, T::pointer(record.payload, length))
}

/// One that keeps the queue by itself.
#[inline(always)]
pub(crate) fn loan_owned_of<T: ?Sized + Plain>(raw: &Arc<RawQueue>, record: ClaimedRecord, length: usize) -> Loan<'static, T> {
    let message = T::pointer(record.payload, length);
    Loan::<T>::shared(Arc::clone(raw), record, message)
}

/// A loan of `n` elements. `endpoint`: as of [`RawQueue::claim`].
#[inline(always)]
pub(crate) fn lend_slice<X: Plain, const OWNED: bool>(
    raw: &RawQueue,
    endpoint: Option<Id>,
    n: usize,
    wait: Wait,
) -> Result<Loan<'_, [X]>, PutError> {
    let bytes = n.saturating_mul(size_of::<X>());
    Ok(loan_of(raw, raw.claim_slice::<OWNED>(endpoint, bytes, wait)?, bytes))
}

/// Bytes of a loan of `n` elements.
///
/// # Errors
/// `TooLarge` if the queue can never hold that.
pub(crate) fn slice_bytes<X>(raw: &RawQueue, n: usize) -> Result<usize, PutError> {
    let max = raw.largest_message();
    let bytes = n.saturating_mul(size_of::<X>());
    if bytes > max { Err(PutError::TooLarge { len: bytes, max }) } else { Ok(bytes) }
}

#[cfg(feature = "async")]
impl<T: ?Sized + Plain> Queue<T> {
    /// One try of a loan, for a future.
    pub(crate) fn loan_at_once(&self, length: usize, ticket: &mut Ticket) -> Result<Loan<'_, T>, PutError> {
        let record = self.raw.claim_at_once_by::<BY_LOCK>(self.raw.me_in_both_roles()?, length, ticket)?;
        Ok(loan_of(&self.raw, record, length))
    }
}

#[cfg(feature = "async")]
impl<X: Plain> Queue<[X]> {
    pub(crate) fn bytes_of_loan(&self, n: usize) -> Result<usize, PutError> {
        slice_bytes::<X>(&self.raw, n)
    }
}

impl<T: ?Sized + Message> Queue<T> {
    blocking_forms! {
        /// Puts one message by copy; waits while the queue is full.
        ///
        /// When it returns `Ok`, the message is in shared memory and is not lost if this process
        /// dies. A message of up to 4 KiB is copied under a lock that is held for nothing else.
        ///
        /// # Errors
        /// [`PutError`]; nothing was put. If the process that held the put side died, this call
        /// repairs the side and continues; if it was stopped, this call waits for it until its
        /// deadline.
        ///
        /// ```
        /// let queue = shmq::Queue::<u64>::new(1)?;
        /// queue.put(&1)?;
        /// assert!(matches!(queue.try_put(&2), Err(shmq::PutError::Full)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full",
        |self, wait, v: &T| -> Result<(), PutError> { self.raw.put::<BY_LOCK, T>(self.raw.me_in_both_roles()?, v, wait) }
    }
}

impl<T: Message> Queue<T> {
    blocking_forms! {
        /// Puts all messages of the slice in order, waiting for room as often as needed. Returns
        /// how many moved, which is all of them.
        ///
        /// Messages for which there is room at once share one lock, one commit and one wake: they
        /// are published together, by one store, apart from those behind the end of the ring. If
        /// the process dies before that store, none of these is in the queue; after it, all are.
        /// Where the slice is longer than the room, consumers take the first messages while the
        /// last still wait. An empty slice is `Ok(0)`.
        ///
        /// The fastest way to move many small values is to make one message of them: a
        /// `Queue<[u64]>` with 32 elements a message moves more elements a second than any batch
        /// of single values, since it has one header for all of them. A batch is for values that
        /// each consumer takes one by one.
        ///
        /// # Errors
        /// [`PutError`] if *none* moved. If some moved before the queue was closed (or the time was
        /// up), `Ok` has how many.
        ///
        /// ```
        /// let queue = shmq::Queue::<u32>::new(8)?;
        /// assert_eq!(queue.put_slice(&[1, 2, 3])?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, v: &[T]| -> Result<usize, PutError> { self.raw.put_values::<BY_LOCK, T>(self.raw.me_in_both_roles()?, v, wait) }
    }

    blocking_forms! {
        /// Lends room for one message inside the segment, to be written in place; waits while the
        /// queue is full.
        ///
        /// The message takes its place in the order now, and everything behind it waits until the
        /// loan ends. What the loan holds at first is unspecified. No lock is held while it is
        /// open. If the process dies, the message is skipped.
        ///
        /// **Room** is used and given back in order. A loan that is dropped counts for nothing in
        /// `len`, `is_empty` and `wait_any`. Its room is free for the next put as soon as all
        /// messages before it have been taken, or at once as long as nothing was put behind it; so
        /// is what [`commit_len`](Loan::commit_len) did not need. That holds under a live
        /// [`Consumer`](crate::Consumer) too. But the room of a dropped loan with a message before
        /// it and another behind it comes back with that of the message before it: until then the
        /// queue may be full with fewer messages than its capacity. (Where the kernel refuses
        /// `membarrier`, a live `Consumer` must try to get once before the room is free.)
        ///
        /// # Errors
        /// [`PutError`]; nothing was lent.
        ///
        /// ```
        /// let queue = shmq::Queue::<[u8; 65536]>::new(4)?;
        /// let mut frame = queue.loan()?;
        /// frame.fill(1);
        /// frame.commit()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<Loan<'_, T>, PutError> [where T: Plain] {
            let record = self.raw.claim::<BY_LOCK, SIZED_RING>(None, size_of::<T>(), wait)?;
            Ok(loan_of(&self.raw, record, size_of::<T>()))
        }
    }
}

impl<X> Queue<[X]>
where
    X: Plain,
{
    blocking_forms! {
        /// Lends room for a message of `n` elements inside the segment, to be written in place;
        /// waits while there is not enough.
        ///
        /// As [`Queue::loan`]; [`Loan::commit_len`] commits fewer than were lent.
        ///
        /// # Errors
        /// [`PutError::TooLarge`] if `n` is more than [`max_len`](Queue::max_len); otherwise as
        /// [`put`](Self::put).
        ///
        /// ```
        /// let queue = shmq::Queue::<[u16]>::builder().capacity_bytes(4096).create()?;
        /// let mut loan = queue.loan_len(100)?;
        /// loan[..3].copy_from_slice(&[1, 2, 3]);
        /// loan.commit_len(3)?;
        /// assert_eq!(queue.get()?, [1, 2, 3]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, n: usize| -> Result<Loan<'_, [X]>, PutError> {
            lend_slice::<X, BY_LOCK>(&self.raw, None, n, wait)
        }
    }

    #[cfg(feature = "object")]
    pub(crate) fn loan_len_for(&self, n: usize, wait: Wait) -> Result<Loan<'_, [X]>, PutError> {
        lend_slice::<X, BY_LOCK>(&self.raw, None, n, wait)
    }
}
