//! [`DynSender`] and [`DynReceiver`]: handles of one role, which count for the end of the stream.

use super::{DynLoan, MessageLayout};
use crate::error::{GetError, PutError};
use crate::queue::guard::{AckLease, Lease, LeaseMut, Leased};
use crate::queue::{Receiver, Sender, loan_of};
use crate::raw::{BY_LOCK, LeasedRecord, MessageId, ToOne};
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;

/// A handle of a [`DynQueue`](crate::DynQueue) that puts and does not get: as a
/// [`Sender`](crate::Sender), also in what it counts for. Made by
/// [`DynQueue::sender`](crate::DynQueue::sender); a clone is one more sender.
///
/// ```
/// use shmq::{DynQueue, GetError, MessageLayout};
///
/// let queue = DynQueue::builder(MessageLayout::of::<u64>()).capacity(4).close_when_unused(true).create()?;
/// let (sender, receiver) = (queue.sender(), queue.receiver());
/// drop(queue); // it is a sender, too
/// sender.put(&[7; 8])?;
/// drop(sender);
/// assert_eq!(receiver.get()?, [7; 8]);
/// assert!(matches!(receiver.get(), Err(GetError::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DynSender {
    pub(super) bytes: Sender<[u8]>,
    layout: Arc<MessageLayout>,
}

/// A handle of a [`DynQueue`](crate::DynQueue) that gets and does not put: as a
/// [`Receiver`](crate::Receiver), also in what it counts for. Made by
/// [`DynQueue::receiver`](crate::DynQueue::receiver); a clone is one more receiver.
///
/// ```
/// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
/// let receiver = queue.receiver();
/// queue.put(&[7; 8])?;
/// assert_eq!(receiver.get()?, [7; 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DynReceiver {
    pub(super) bytes: Receiver<[u8]>,
    layout: Arc<MessageLayout>,
}

impl DynSender {
    /// For waits, which move no message (`mod.rs`, Invariant 1).
    pub(crate) fn bytes(&self) -> &Sender<[u8]> {
        &self.bytes
    }

    pub(super) fn over(bytes: Sender<[u8]>, layout: Arc<MessageLayout>) -> DynSender {
        DynSender { bytes, layout }
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert_eq!(queue.sender().layout(), queue.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    /// The same handle once more, whose waits end with `Interrupted` once `stop` is set. As
    /// [`Sender::with_stop`](crate::Sender::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?, shmq::Stop::new());
    /// queue.put(&[0; 8])?;
    /// stop.set();
    /// assert!(queue.sender().with_stop(&stop).put(&[0; 8]).unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> DynSender {
        DynSender { bytes: self.bytes.with_stop(stop), layout: Arc::clone(&self.layout) }
    }

    blocking_forms! {
        /// As [`DynQueue::put`](crate::DynQueue::put).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.sender().put(&[7; 8])?;
        /// assert_eq!(queue.get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<(), PutError> {
            let (raw, me) = self.bytes.used()?;
            raw.put_bytes::<ToOne, BY_LOCK>(me, bytes, wait)
        }
    }

    blocking_forms! {
        /// As [`DynQueue::put_slice`](crate::DynQueue::put_slice).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// assert_eq!(queue.sender().put_slice(&[7; 24])?, 3);
        /// assert_eq!(queue.len(), 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<usize, PutError> {
            let (raw, me) = self.bytes.used()?;
            raw.put_row::<ToOne, BY_LOCK>(me, bytes, wait)
        }
    }

    blocking_forms! {
        /// As [`DynQueue::loan`](crate::DynQueue::loan).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// let sender = queue.sender();
        /// let mut loan = sender.loan()?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<DynLoan<'_>, PutError> {
            self.loan_by(self.bytes.shared().value_bytes()?, wait)
        }
    }

    blocking_forms! {
        /// As [`DynQueue::loan_len`](crate::DynQueue::loan_len).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// let sender = queue.sender();
        /// let mut loan = sender.loan_len(8)?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynLoan<'_>, PutError> {
            self.loan_by(len, wait)
        }
    }

    #[inline(always)]
    fn loan_by(&self, len: usize, wait: Wait) -> Result<DynLoan<'_>, PutError> {
        let (raw, me) = self.bytes.used()?;
        Ok(DynLoan::new(loan_of(raw, raw.claim_bytes(Some(me), len, wait)?, len)))
    }
}

impl DynReceiver {
    /// For waits, which move no message (`mod.rs`, Invariant 1).
    pub(crate) fn bytes(&self) -> &Receiver<[u8]> {
        &self.bytes
    }

    pub(super) fn over(bytes: Receiver<[u8]>, layout: Arc<MessageLayout>) -> DynReceiver {
        DynReceiver { bytes, layout }
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert_eq!(queue.receiver().layout(), queue.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    /// The same handle once more, whose waits end with `Interrupted` once `stop` is set. As
    /// [`Receiver::with_stop`](crate::Receiver::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?, shmq::Stop::new());
    /// queue.put(&[0; 8])?;
    /// stop.set();
    /// let receiver = queue.receiver().with_stop(&stop);
    /// assert_eq!(receiver.get()?, [0; 8]); // it need not wait
    /// assert!(receiver.get().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the handle that it is called on stays as it is"]
    pub fn with_stop(&self, stop: &Stop) -> DynReceiver {
        DynReceiver { bytes: self.bytes.with_stop(stop), layout: Arc::clone(&self.layout) }
    }

    #[inline(always)]
    pub(super) fn record(&self, wait: Wait) -> Result<LeasedRecord, GetError> {
        let (raw, me) = self.bytes.used()?;
        raw.lease_bytes(me, wait)
    }

    blocking_forms! {
        /// As [`DynQueue::get`](crate::DynQueue::get).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// assert_eq!(queue.receiver().get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<Vec<u8>, GetError> {
            let (raw, me) = self.bytes.used()?;
            raw.get_bytes_vec::<BY_LOCK>(me, wait)
        }
    }

    blocking_forms! {
        /// As [`DynQueue::get_into`](crate::DynQueue::get_into).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// let mut buffer = [0; 8];
        /// assert_eq!(queue.receiver().get_into(&mut buffer)?, 8);
        /// assert_eq!(buffer, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_into, try_get_into, get_into_timeout, get_into_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> {
            let (raw, me) = self.bytes.used()?;
            raw.get_bytes_into::<BY_LOCK>(me, buffer, wait)
        }
    }

    blocking_forms! {
        /// As [`DynQueue::get_with_id`](crate::DynQueue::get_with_id).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// let (bytes, id) = queue.receiver().get_with_id()?;
        /// assert_eq!((bytes, queue.is_done(id)), (vec![7; 8], shmq::Fate::Done));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(Vec<u8>, MessageId), GetError> {
            let (raw, me) = self.bytes.used()?;
            raw.get_vec_with_id::<BY_LOCK, u8>(me, wait)
        }
    }

    blocking_forms! {
        /// As [`DynQueue::get_slice`](crate::DynQueue::get_slice).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put_slice(&[7; 16])?;
        /// let mut buffer = [0; 100];
        /// assert_eq!(queue.receiver().get_slice(&mut buffer)?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_slice, try_get_slice, get_slice_timeout, get_slice_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> {
            let (raw, me) = self.bytes.used()?;
            raw.get_row::<BY_LOCK>(me, buffer, wait)
        }
    }

    blocking_forms! {
        /// As [`DynQueue::lease`](crate::DynQueue::lease).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// let receiver = queue.receiver();
        /// assert_eq!(*receiver.lease()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'_, [u8]>, GetError> {
            Ok(Lease::over(Leased::borrowed(self.bytes.shared(), self.record(wait)?)))
        }
    }

    blocking_forms! {
        /// As [`DynQueue::lease_owned`](crate::DynQueue::lease_owned).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// let lease = queue.receiver().lease_owned()?;
        /// drop(queue);
        /// assert_eq!(*lease, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'static, [u8]>, GetError> {
            let record = self.record(wait)?;
            Ok(Lease::over(Leased::<[u8], _>::shared(Arc::clone(self.bytes.shared()), record)))
        }
    }

    blocking_forms! {
        /// As [`DynQueue::lease_mut`](crate::DynQueue::lease_mut).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// let receiver = queue.receiver();
        /// let mut lease = receiver.lease_mut()?;
        /// lease[0] = 8;
        /// assert_eq!(lease[..2], [8, 7]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut, try_lease_mut, lease_mut_timeout, lease_mut_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'_, [u8]>, GetError> {
            Ok(LeaseMut::new(Lease::over(Leased::borrowed(self.bytes.shared(), self.record(wait)?))))
        }
    }

    blocking_forms! {
        /// As [`DynQueue::lease_ack`](crate::DynQueue::lease_ack).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// let receiver = queue.receiver();
        /// receiver.lease_ack()?.ack()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'_, [u8]>, GetError> {
            Ok(AckLease::over(Leased::borrowed(self.bytes.shared(), self.record(wait)?)))
        }
    }

    blocking_forms! {
        /// As [`DynQueue::lease_ack_owned`](crate::DynQueue::lease_ack_owned).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.put(&[7; 8])?;
        /// let lease = queue.receiver().lease_ack_owned()?;
        /// lease.ack()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'static, [u8]>, GetError> {
            let record = self.record(wait)?;
            Ok(AckLease::over(Leased::<[u8], _>::shared(Arc::clone(self.bytes.shared()), record)))
        }
    }
}

impl fmt::Debug for DynSender {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynSender").field("raw", self.bytes.shared()).field("layout", &self.layout).finish()
    }
}

impl fmt::Debug for DynReceiver {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynReceiver").field("raw", self.bytes.shared()).field("layout", &self.layout).finish()
    }
}
