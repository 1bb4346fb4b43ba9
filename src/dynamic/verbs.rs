//! The verbs of [`DynQueue`]: putting and getting by copy, in batches and in place.

use super::{DynLoan, DynQueue};
use crate::error::{GetError, PutError};
use crate::queue::guard::{AckLease, Lease, LeaseMut, Leased};
use crate::queue::loan_of;
use crate::raw::{BY_LOCK, Fate, LeasedRecord, MessageId, ToOne};
use crate::wait::{Wait, blocking_forms};
use std::sync::Arc;

impl DynQueue {
    blocking_forms! {
        /// Puts one message by copy; waits until there is room. As
        /// [`Queue::put`](crate::Queue::put).
        ///
        /// # Errors
        /// As there. [`PutError::WrongLength`] if the queue carries values of another size,
        /// [`PutError::NotWhole`] if it carries slices, and these are no whole elements: nothing was
        /// put.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&7u64.to_ne_bytes())?;
        /// let refused = queue.put(b"seven").unwrap_err();
        /// assert_eq!(refused.to_string(), "a message of 5 bytes, where all have 8");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<(), PutError> { self.put_for(bytes, wait) }
    }

    #[inline(always)]
    pub(super) fn put_for(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        let raw = self.raw();
        raw.put_bytes::<ToOne, BY_LOCK>(raw.me_in_both_roles()?, bytes, wait)
    }

    blocking_forms! {
        /// Puts many values, which lie one after the other in `bytes`; waits until there is room for
        /// all. Returns how many were put: after an error, those before it. As
        /// [`Queue::put_slice`](crate::Queue::put_slice).
        ///
        /// # Errors
        /// If none was put, as [`put`](Self::put); [`PutError::NotWhole`] if `bytes` are no whole
        /// values; [`PutError::NotOfOneSize`] if messages are slices or encoded objects.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(2, 1)?, 4)?;
        /// assert_eq!(queue.put_slice(b"onetwo")?, 3);
        /// assert_eq!(queue.get()?, b"on");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<usize, PutError> {
            let raw = self.raw();
            raw.put_row::<ToOne, BY_LOCK>(raw.me_in_both_roles()?, bytes, wait)
        }
    }

    blocking_forms! {
        /// Lends room for one value, to be written in place; waits until there is some. As
        /// [`Queue::loan`](crate::Queue::loan).
        ///
        /// # Errors
        /// As [`put`](Self::put). [`PutError::NotOfOneSize`] if messages are slices or encoded
        /// objects: see [`loan_len`](Self::loan_len).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(16, 8)?, 4)?;
        /// let mut loan = queue.loan()?;
        /// loan.fill(3);
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, [3; 16]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<DynLoan<'_>, PutError> { self.loan_by(self.raw().value_bytes()?, wait) }
    }

    blocking_forms! {
        /// Lends room for a slice or an encoded object of `len` bytes (of values, exactly as many as
        /// each has); waits until there is some. As [`Queue::loan_len`](crate::Queue::loan_len).
        ///
        /// # Errors
        /// As [`put`](Self::put).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::slice(4, 4)?, 4)?;
        /// let mut loan = queue.loan_len(12)?;
        /// loan.fill(3);
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, [3; 12]);
        /// assert!(matches!(queue.loan_len(13), Err(shmq::PutError::NotWhole { len: 13, element: 4 })));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynLoan<'_>, PutError> { self.loan_by(len, wait) }
    }

    #[inline(always)]
    fn loan_by(&self, len: usize, wait: Wait) -> Result<DynLoan<'_>, PutError> {
        let raw = self.raw();
        Ok(DynLoan::new(loan_of(raw, raw.claim_bytes(None, len, wait)?, len)))
    }

    blocking_forms! {
        /// Takes one message by copy; waits until there is one. As
        /// [`Queue::get`](crate::Queue::get); the bits are not checked to be a value of the peer's
        /// type. Without an allocation: [`get_into`](Self::get_into).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::encoded(), 4)?;
        /// queue.put(b"{}")?;
        /// assert_eq!(queue.get()?, b"{}");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<Vec<u8>, GetError> {
            let raw = self.raw();
            raw.get_bytes_vec::<BY_LOCK>(raw.me_in_both_roles()?, wait)
        }
    }

    blocking_forms! {
        /// Takes one message by copy into `buffer`; waits until there is one. Returns its length. As
        /// [`Queue::get_into`](crate::Queue::get_into).
        ///
        /// # Errors
        /// As [`get`](Self::get). [`GetError::TooSmall`] if the message is longer than `buffer`: it
        /// is still in the queue.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&7u64.to_ne_bytes())?;
        /// let mut buffer = [0; 8];
        /// assert_eq!(queue.get_into(&mut buffer)?, 8);
        /// assert_eq!(u64::from_ne_bytes(buffer), 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_into, try_get_into, get_into_timeout, get_into_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> { self.raw().get_bytes_in_both_roles(buffer, wait) }
    }

    blocking_forms! {
        /// Takes as many values as there are and have room in `buffer`, one after the other; waits
        /// until there is one. Returns how many. As
        /// [`Queue::get_slice`](crate::Queue::get_slice).
        ///
        /// # Errors
        /// As [`get`](Self::get). [`GetError::TooSmall`] if not even one has room;
        /// [`GetError::NotOfOneSize`] if messages are slices or encoded objects.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(2, 1)?, 4)?;
        /// queue.put_slice(b"onetwo")?;
        /// let mut buffer = [0; 100];
        /// assert_eq!(queue.get_slice(&mut buffer)?, 3);
        /// assert_eq!(&buffer[..6], b"onetwo");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_slice, try_get_slice, get_slice_timeout, get_slice_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> {
            let raw = self.raw();
            raw.get_row::<BY_LOCK>(raw.me_in_both_roles()?, buffer, wait)
        }
    }

    blocking_forms! {
        /// Takes one message by copy, and its [`MessageId`](crate::MessageId). As
        /// [`Queue::get_with_id`](crate::Queue::get_with_id).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(5, 1)?, 4)?;
        /// queue.put(b"hello")?;
        /// let (bytes, id) = queue.get_with_id()?;
        /// assert_eq!((bytes, queue.is_done(id)), (b"hello".to_vec(), shmq::Fate::Done));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(Vec<u8>, MessageId), GetError> {
            let raw = self.raw();
            raw.get_vec_with_id::<BY_LOCK, u8>(raw.me_in_both_roles()?, wait)
        }
    }

    /// What became of a message. As [`Queue::is_done`](crate::Queue::is_done).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(5, 1)?, 4)?;
    /// queue.put(b"hello")?;
    /// let lease = queue.lease()?;
    /// let id = lease.id();
    /// assert_eq!(queue.is_done(id), shmq::Fate::Pending);
    /// drop(lease);
    /// assert_eq!(queue.is_done(id), shmq::Fate::Done);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_done(&self, id: MessageId) -> Fate {
        self.bytes.is_done(id)
    }

    /// The segment's random number, as [`Queue::nonce`](crate::Queue::nonce).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// assert_eq!(shmq::DynQueue::open(queue.name())?.nonce(), queue.nonce());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.bytes().nonce()
    }

    #[inline(always)]
    pub(super) fn record(&self, wait: Wait) -> Result<LeasedRecord, GetError> {
        let raw = self.raw();
        raw.lease_bytes(raw.me_in_both_roles()?, wait)
    }

    blocking_forms! {
        /// Leases one message, to be read in place; waits until there is one. As
        /// [`Queue::lease`](crate::Queue::lease).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(5, 1)?, 4)?;
        /// queue.put(b"hello")?;
        /// assert_eq!(*queue.lease()?, *b"hello");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'_, [u8]>, GetError> { Ok(Lease::over(Leased::borrowed(self.raw(), self.record(wait)?))) }
    }

    blocking_forms! {
        /// Leases one message in the same way, for as long as the guard lives: it keeps the queue.
        /// As [`Queue::lease_owned`](crate::Queue::lease_owned).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(5, 1)?, 4)?;
        /// queue.put(b"hello")?;
        /// let lease = queue.lease_owned()?;
        /// drop(queue);
        /// assert_eq!(*lease, *b"hello");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'static, [u8]>, GetError> {
            let record = self.record(wait)?;
            Ok(Lease::over(Leased::<[u8], _>::shared(Arc::clone(self.raw()), record)))
        }
    }

    blocking_forms! {
        /// Leases one message, to be changed in place as well. As
        /// [`Queue::lease_mut`](crate::Queue::lease_mut).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(5, 1)?, 4)?;
        /// queue.put(b"hello")?;
        /// let mut lease = queue.lease_mut()?;
        /// lease[0] = b'J';
        /// lease.give_back(); // delivered again, changed
        /// assert_eq!(queue.get()?, b"Jello");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut, try_lease_mut, lease_mut_timeout, lease_mut_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'_, [u8]>, GetError> {
            Ok(LeaseMut::new(Lease::over(Leased::borrowed(self.raw(), self.record(wait)?))))
        }
    }

    blocking_forms! {
        /// Leases one message that comes back unless it is acknowledged. As
        /// [`Queue::lease_ack`](crate::Queue::lease_ack).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(5, 1)?, 4)?;
        /// queue.put(b"hello")?;
        /// drop(queue.lease_ack()?); // comes back
        /// queue.lease_ack()?.ack()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'_, [u8]>, GetError> { Ok(AckLease::over(Leased::borrowed(self.raw(), self.record(wait)?))) }
    }

    blocking_forms! {
        /// Leases one message in the same way, for as long as the guard lives: it keeps the queue.
        /// As [`Queue::lease_ack_owned`](crate::Queue::lease_ack_owned).
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(5, 1)?, 4)?;
        /// queue.put(b"hello")?;
        /// let lease = queue.lease_ack_owned()?;
        /// drop(queue);
        /// lease.ack()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'static, [u8]>, GetError> {
            let record = self.record(wait)?;
            Ok(AckLease::over(Leased::<[u8], _>::shared(Arc::clone(self.raw()), record)))
        }
    }
}
