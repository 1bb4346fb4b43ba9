//! [`DynProducer`] and [`DynConsumer`]: a side of the queue, held for the endpoint's life.

use super::{DynLoan, MessageLayout};
use crate::error::{GetError, PutError};
use crate::queue::guard::{AckLease, Lease, LeaseMut, Leased};
use crate::queue::{Consumer, Producer, loan_of};
use crate::raw::{BY_OWNER, LeasedRecord, MessageId, ToOne};
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;

/// The put side of a [`DynQueue`](crate::DynQueue), held for one owner, which puts without a lock
/// per message. As a [`Producer`](crate::Producer). Made by
/// [`DynQueue::producer`](crate::DynQueue::producer); dropping it frees the side.
///
/// ```
/// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
/// let producer = queue.producer()?;
/// producer.put(&[7; 8])?;
/// assert_eq!(queue.get()?, [7; 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DynProducer {
    bytes: Producer<[u8]>,
    layout: Arc<MessageLayout>,
}

/// The get side of a [`DynQueue`](crate::DynQueue), held for one owner, which gets without a lock
/// per message. As a [`Consumer`](crate::Consumer). Made by
/// [`DynQueue::consumer`](crate::DynQueue::consumer); dropping it frees the side.
///
/// ```
/// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
/// let consumer = queue.consumer()?;
/// queue.put(&[7; 8])?;
/// assert_eq!(consumer.get()?, [7; 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DynConsumer {
    pub(super) bytes: Consumer<[u8]>,
    layout: Arc<MessageLayout>,
}

impl DynProducer {
    /// For waits, which move no message (`mod.rs`, Invariant 1).
    pub(crate) fn bytes(&self) -> &Producer<[u8]> {
        &self.bytes
    }

    pub(super) fn over(bytes: Producer<[u8]>, layout: Arc<MessageLayout>) -> DynProducer {
        DynProducer { bytes, layout }
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert_eq!(queue.producer()?.layout(), queue.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    /// This endpoint, whose waits end with [`PutError::Interrupted`] once `stop` is set. As
    /// [`Producer::with_stop`](crate::Producer::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?, shmq::Stop::new());
    /// let producer = queue.producer()?.with_stop(&stop);
    /// producer.put(&[0; 8])?;
    /// stop.set();
    /// assert!(matches!(producer.put(&[0; 8]), Err(shmq::PutError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the endpoint frees the side"]
    pub fn with_stop(self, stop: &Stop) -> DynProducer {
        DynProducer { bytes: self.bytes.with_stop(stop), layout: self.layout }
    }

    blocking_forms! {
        /// As [`DynQueue::put`](crate::DynQueue::put).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// queue.producer()?.put(&[7; 8])?;
        /// assert_eq!(queue.get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put, try_put, put_timeout, put_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<(), PutError> {
            self.put_for(bytes, wait)
        }
    }

    blocking_forms! {
        /// Puts one message, and says its id before and after. As
        /// [`Producer::put_with_id`](crate::Producer::put_with_id).
        ///
        /// # Errors
        /// As [`put`](Self::put).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
        /// let mut noted = None;
        /// let id = queue.producer()?.put_with_id(&[7; 8], |id| noted = Some(id))?;
        /// assert_eq!((noted, queue.get_with_id()?), (Some(id), (vec![7; 8], id)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_with_id, try_put_with_id, put_with_id_timeout, put_with_id_deadline, none: "Full",
        |self, wait, bytes: &[u8], announce: impl FnOnce(MessageId)| -> Result<MessageId, PutError> {
            let (raw, owner) = self.bytes.parts();
            raw.put_bytes_announced(owner, bytes, announce, wait)
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
        /// assert_eq!(queue.producer()?.put_slice(&[7; 24])?, 3);
        /// assert_eq!(queue.len(), 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        put_slice, try_put_slice, put_slice_timeout, put_slice_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<usize, PutError> {
            let (raw, owner) = self.bytes.parts();
            raw.put_row::<ToOne, BY_OWNER>(raw.check(owner)?, bytes, wait)
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
        /// let producer = queue.producer()?;
        /// let mut loan = producer.loan()?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<DynLoan<'_>, PutError> {
            self.loan_by(self.bytes.parts().0.value_bytes()?, wait)
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
        /// let producer = queue.producer()?;
        /// let mut loan = producer.loan_len(8)?;
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
    pub(super) fn put_for(&self, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        let (raw, owner) = self.bytes.parts();
        raw.put_bytes_owned::<ToOne>(owner, bytes, wait)
    }

    #[inline(always)]
    fn loan_by(&self, len: usize, wait: Wait) -> Result<DynLoan<'_>, PutError> {
        let (raw, owner) = self.bytes.parts();
        Ok(DynLoan::new(loan_of(raw, raw.claim_bytes_owned(owner, len, wait)?, len)))
    }
}

impl DynConsumer {
    /// For waits, which move no message (`mod.rs`, Invariant 1).
    pub(crate) fn bytes(&self) -> &Consumer<[u8]> {
        &self.bytes
    }

    pub(super) fn over(bytes: Consumer<[u8]>, layout: Arc<MessageLayout>) -> DynConsumer {
        DynConsumer { bytes, layout }
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
    /// assert_eq!(queue.consumer()?.layout(), queue.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    /// This endpoint, whose waits end with [`GetError::Interrupted`] once `stop` is set. As
    /// [`Consumer::with_stop`](crate::Consumer::with_stop).
    ///
    /// ```
    /// let (queue, stop) = (shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 1)?, shmq::Stop::new());
    /// let consumer = queue.consumer()?.with_stop(&stop);
    /// stop.set();
    /// assert!(matches!(consumer.get(), Err(shmq::GetError::Interrupted)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the endpoint frees the side"]
    pub fn with_stop(self, stop: &Stop) -> DynConsumer {
        DynConsumer { bytes: self.bytes.with_stop(stop), layout: self.layout }
    }

    #[inline(always)]
    pub(super) fn record(&self, wait: Wait) -> Result<LeasedRecord, GetError> {
        let (raw, owner) = self.bytes.parts();
        raw.lease_bytes_owned(owner, wait)
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
        /// assert_eq!(queue.consumer()?.get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get, try_get, get_timeout, get_deadline, none: "Empty",
        |self, wait| -> Result<Vec<u8>, GetError> {
            let (raw, owner) = self.bytes.parts();
            raw.get_bytes_vec_owned(owner, wait)
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
        /// assert_eq!(queue.consumer()?.get_into(&mut buffer)?, 8);
        /// assert_eq!(buffer, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_into, try_get_into, get_into_timeout, get_into_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> {
            let (raw, owner) = self.bytes.parts();
            raw.get_bytes_into_owned(owner, buffer, wait)
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
        /// let (bytes, id) = queue.consumer()?.get_with_id()?;
        /// assert_eq!((bytes, queue.is_done(id)), (vec![7; 8], shmq::Fate::Done));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_with_id, try_get_with_id, get_with_id_timeout, get_with_id_deadline, none: "Empty",
        |self, wait| -> Result<(Vec<u8>, MessageId), GetError> {
            let (raw, owner) = self.bytes.parts();
            raw.get_vec_with_id::<BY_OWNER, u8>(raw.check(owner)?, wait)
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
        /// assert_eq!(queue.consumer()?.get_slice(&mut buffer)?, 2);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        get_slice, try_get_slice, get_slice_timeout, get_slice_deadline, none: "Empty",
        |self, wait, buffer: &mut [u8]| -> Result<usize, GetError> {
            let (raw, owner) = self.bytes.parts();
            raw.get_row::<BY_OWNER>(raw.check(owner)?, buffer, wait)
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
        /// let consumer = queue.consumer()?;
        /// assert_eq!(*consumer.lease()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease, try_lease, lease_timeout, lease_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'_, [u8]>, GetError> {
            Ok(Lease::over(Leased::borrowed(self.bytes.parts().0, self.record(wait)?)))
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
        /// let lease = queue.consumer()?.lease_owned()?;
        /// drop(queue);
        /// assert_eq!(*lease, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_owned, try_lease_owned, lease_owned_timeout, lease_owned_deadline, none: "Empty",
        |self, wait| -> Result<Lease<'static, [u8]>, GetError> {
            let record = self.record(wait)?;
            Ok(Lease::over(Leased::<[u8], _>::shared(Arc::clone(self.bytes.parts().0), record)))
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
        /// let consumer = queue.consumer()?;
        /// let mut lease = consumer.lease_mut()?;
        /// lease[0] = 8;
        /// assert_eq!(lease[..2], [8, 7]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_mut, try_lease_mut, lease_mut_timeout, lease_mut_deadline, none: "Empty",
        |self, wait| -> Result<LeaseMut<'_, [u8]>, GetError> {
            Ok(LeaseMut::new(Lease::over(Leased::borrowed(self.bytes.parts().0, self.record(wait)?))))
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
        /// let consumer = queue.consumer()?;
        /// consumer.lease_ack()?.ack()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'_, [u8]>, GetError> {
            Ok(AckLease::over(Leased::borrowed(self.bytes.parts().0, self.record(wait)?)))
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
        /// let lease = queue.consumer()?.lease_ack_owned()?;
        /// lease.ack()?;
        /// assert!(queue.is_empty());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack_owned, try_lease_ack_owned, lease_ack_owned_timeout, lease_ack_owned_deadline, none: "Empty",
        |self, wait| -> Result<AckLease<'static, [u8]>, GetError> {
            let record = self.record(wait)?;
            Ok(AckLease::over(Leased::<[u8], _>::shared(Arc::clone(self.bytes.parts().0), record)))
        }
    }
}

impl fmt::Debug for DynProducer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynProducer").field("raw", self.bytes.parts().0).field("layout", &self.layout).finish()
    }
}

impl fmt::Debug for DynConsumer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynConsumer").field("raw", self.bytes.parts().0).field("layout", &self.layout).finish()
    }
}
