//! Publishing by bytes: through a [`DynTopic`], by lock, and through a [`DynPublisher`].

use super::{DynTopic, DynTopicLoan};
use crate::attachment::{Attached, Kept};
use crate::dynamic::MessageLayout;
use crate::error::PutError;
use crate::raw::{BY_LOCK, BY_OWNER, ToAll};
use crate::topic::Publisher;
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;

impl DynTopic {
    blocking_forms! {
        /// Publishes one message by copy, to all subscribers; waits until there is room. As
        /// [`Topic::publish`](crate::Topic::publish).
        ///
        /// # Errors
        /// As there. [`PutError::WrongLength`] if messages are values of another size,
        /// [`PutError::NotWhole`] if they are slices, and these are no whole elements.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// topic.publish(&[7; 8])?;
        /// assert_eq!(every.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish, try_publish, publish_timeout, publish_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<(), PutError> {
            let raw = self.bytes.raw();
            raw.put_bytes::<ToAll, BY_LOCK>(raw.me()?, bytes, wait).map_err(|error| raw.explain(error, bytes.len()))
        }
    }

    blocking_forms! {
        /// Publishes many values, which lie one after the other in `bytes`. As
        /// [`Topic::publish_slice`](crate::Topic::publish_slice).
        ///
        /// # Errors
        /// As there, and as [`DynQueue::put_slice`](crate::DynQueue::put_slice).
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// assert_eq!(topic.publish_slice(&[7; 24])?, 3);
        /// assert_eq!(every.lag(), 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_slice, try_publish_slice, publish_slice_timeout, publish_slice_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<usize, PutError> {
            let raw = self.bytes.raw();
            raw.put_row::<ToAll, BY_LOCK>(raw.me()?, bytes, wait).map_err(|error| raw.explain(error, raw.unit_bytes()))
        }
    }

    blocking_forms! {
        /// Lends room for one value, to be written in place. As
        /// [`Topic::loan`](crate::Topic::loan).
        ///
        /// # Errors
        /// As there. [`PutError::NotOfOneSize`] if messages are slices or encoded objects.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// let mut loan = topic.loan()?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(every.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<DynTopicLoan<'_>, PutError> {
            self.loan_by(self.bytes.raw().value_bytes()?, wait)
        }
    }

    blocking_forms! {
        /// Lends room for a message of `len` bytes. As [`Topic::loan_len`](crate::Topic::loan_len).
        ///
        /// # Errors
        /// As there, and as [`publish`](Self::publish).
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// let mut loan = topic.loan_len(8)?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(every.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynTopicLoan<'_>, PutError> {
            self.loan_by(len, wait)
        }
    }

    fn loan_by(&self, len: usize, wait: Wait) -> Result<DynTopicLoan<'_>, PutError> {
        let raw = self.bytes.raw();
        DynTopicLoan::claim::<BY_LOCK>(Kept::Borrowed(raw), raw.me()?, len, wait)
    }
}

/// The put side of a [`DynTopic`], held for one owner, which publishes without a lock per message.
/// As a [`Publisher`](crate::Publisher). Made by
/// [`DynTopic::publisher`](crate::DynTopic::publisher); dropping it frees the side.
///
/// ```
/// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
/// let (publisher, every) = (topic.publisher()?, topic.subscribe()?);
/// publisher.publish(&[7; 8])?;
/// assert_eq!(every.next()?, [7; 8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DynPublisher {
    bytes: Publisher<[u8]>,
    layout: Arc<MessageLayout>,
}

impl DynPublisher {
    pub(in crate::dynamic) fn bytes(&self) -> &Publisher<[u8]> {
        &self.bytes
    }

    pub(super) fn over(bytes: Publisher<[u8]>, layout: Arc<MessageLayout>) -> DynPublisher {
        DynPublisher { bytes, layout }
    }

    /// What the messages are, as the segment says.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// assert_eq!(topic.publisher()?.layout(), topic.layout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(&self) -> &MessageLayout {
        &self.layout
    }

    /// This publisher, whose waits end with [`PutError::Interrupted`] once `stop` is set. As
    /// [`Publisher::with_stop`](crate::Publisher::with_stop).
    ///
    /// ```
    /// let (topic, stop) = (shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?, shmq::Stop::new());
    /// let publisher = topic.publisher()?.with_stop(&stop);
    /// stop.set();
    /// publisher.publish(&[7; 8])?; // it need not wait
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the publisher frees the side"]
    pub fn with_stop(self, stop: &Stop) -> DynPublisher {
        DynPublisher { bytes: self.bytes.with_stop(stop), layout: self.layout }
    }

    blocking_forms! {
        /// As [`DynTopic::publish`](crate::DynTopic::publish).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// let publisher = topic.publisher()?;
        /// publisher.publish(&[7; 8])?;
        /// assert_eq!(every.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish, try_publish, publish_timeout, publish_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<(), PutError> {
            let (raw, owner) = self.bytes.parts();
            raw.put_bytes_owned::<ToAll>(owner, bytes, wait).map_err(|error| raw.explain(error, bytes.len()))
        }
    }

    blocking_forms! {
        /// As [`DynTopic::publish_slice`](crate::DynTopic::publish_slice).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// let publisher = topic.publisher()?;
        /// assert_eq!(publisher.publish_slice(&[7; 24])?, 3);
        /// assert_eq!(every.lag(), 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_slice, try_publish_slice, publish_slice_timeout, publish_slice_deadline, none: "Full",
        |self, wait, bytes: &[u8]| -> Result<usize, PutError> {
            let (raw, owner) = self.bytes.parts();
            let me = raw.check(owner)?;
            raw.put_row::<ToAll, BY_OWNER>(me, bytes, wait).map_err(|error| raw.explain(error, raw.unit_bytes()))
        }
    }

    blocking_forms! {
        /// As [`DynTopic::loan`](crate::DynTopic::loan).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// let publisher = topic.publisher()?;
        /// let mut loan = publisher.loan()?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(every.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<DynTopicLoan<'_>, PutError> {
            self.loan_by(self.bytes.parts().0.value_bytes()?, wait)
        }
    }

    blocking_forms! {
        /// As [`DynTopic::loan_len`](crate::DynTopic::loan_len).
        ///
        /// # Errors
        /// As there.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
        /// let every = topic.subscribe()?;
        /// let publisher = topic.publisher()?;
        /// let mut loan = publisher.loan_len(8)?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(every.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynTopicLoan<'_>, PutError> {
            self.loan_by(len, wait)
        }
    }

    fn loan_by(&self, len: usize, wait: Wait) -> Result<DynTopicLoan<'_>, PutError> {
        let (raw, owner) = self.bytes.parts();
        DynTopicLoan::claim::<BY_OWNER>(Kept::Borrowed(raw), raw.check(owner)?, len, wait)
    }
}

impl fmt::Debug for DynPublisher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DynPublisher").field("raw", self.bytes.parts().0).field("layout", &self.layout).finish()
    }
}
