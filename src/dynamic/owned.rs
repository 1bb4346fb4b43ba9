//! Loans by bytes that keep the segment attached by themselves, and leaving for certain.

use super::topic::{DynPublisher, DynSubscriber, DynTopic, DynTopicLoan};
use super::{DynConsumer, DynLoan, DynProducer, DynQueue, DynReceiver, DynSender};
use crate::attachment::{Attached, Kept, detachable};
use crate::error::PutError;
use crate::queue::loan_owned_of;
use crate::raw::{BY_LOCK, BY_OWNER};
use crate::wait::blocking_forms;

impl DynQueue {
    blocking_forms! {
        /// As [`loan`](Self::loan), by a loan that keeps the segment attached by itself: see
        /// [`Queue::loan_owned`](crate::Queue::loan_owned).
        ///
        /// # Errors
        /// As [`loan`](Self::loan).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(16, 8)?, 4)?;
        /// let mut loan = queue.loan_owned()?;
        /// std::thread::spawn(move || {
        ///     loan.fill(3);
        ///     loan.commit()
        /// }).join().unwrap()?;
        /// assert_eq!(queue.get()?, [3; 16]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_owned, try_loan_owned, loan_owned_timeout, loan_owned_deadline, none: "Full",
        |self, wait| -> Result<DynLoan<'static>, PutError> {
            let len = self.raw().value_bytes()?;
            Ok(DynLoan::new(loan_owned_of(self.raw(), self.raw().claim_bytes(None, len, wait)?, len)))
        }
    }

    blocking_forms! {
        /// As [`loan_len`](Self::loan_len), by a loan that keeps the segment attached by itself.
        ///
        /// # Errors
        /// As [`loan_len`](Self::loan_len).
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::slice(4, 4)?, 4)?;
        /// let mut loan = queue.loan_len_owned(12)?;
        /// loan.fill(3);
        /// loan.commit_len(8)?;
        /// assert_eq!(queue.get()?, [3; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynLoan<'static>, PutError> {
            Ok(DynLoan::new(loan_owned_of(self.raw(), self.raw().claim_bytes(None, len, wait)?, len)))
        }
    }
}

impl DynProducer {
    blocking_forms! {
        /// As [`DynQueue::loan_len_owned`], also of values, whose length is that of the layout. The
        /// loan may outlive this endpoint: see [`Producer::loan_owned`](crate::Producer::loan_owned).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(8, 8)?, 4)?;
        /// let mut loan = queue.producer()?.loan_len_owned(8)?; // the endpoint is gone already
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(queue.get()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynLoan<'static>, PutError> {
            let (raw, owner) = self.bytes().parts();
            Ok(DynLoan::new(loan_owned_of(raw, raw.claim_bytes_owned(owner, len, wait)?, len)))
        }
    }
}

impl DynTopic {
    blocking_forms! {
        /// As [`loan_len`](Self::loan_len), also of values, by a loan that keeps the topic attached
        /// by itself: see [`Topic::loan_owned`](crate::Topic::loan_owned).
        ///
        /// # Errors
        /// As [`loan_len`](Self::loan_len).
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(8, 8)?, 4)?;
        /// let subscriber = topic.subscribe()?;
        /// let mut loan = topic.loan_len_owned(8)?;
        /// drop(topic);
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(subscriber.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynTopicLoan<'static>, PutError> {
            let raw = self.bytes().raw();
            DynTopicLoan::claim::<BY_LOCK>(Kept::owned(raw), raw.me()?, len, wait)
        }
    }
}

impl DynPublisher {
    blocking_forms! {
        /// As [`DynTopic::loan_len_owned`]. The loan may outlive this publisher.
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(8, 8)?, 4)?;
        /// let subscriber = topic.subscribe()?;
        /// let mut loan = topic.publisher()?.loan_len_owned(8)?;
        /// loan.fill(7);
        /// loan.commit()?;
        /// assert_eq!(subscriber.next()?, [7; 8]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, len: usize| -> Result<DynTopicLoan<'static>, PutError> {
            let (raw, owner) = self.bytes().parts();
            DynTopicLoan::claim::<BY_OWNER>(Kept::owned(raw), raw.check(owner)?, len, wait)
        }
    }
}

detachable! {
    [] DynQueue, |queue| [queue.raw()],
    "let queue = shmq::DynQueue::new(shmq::MessageLayout::value(8, 8)?, 4)?;"
    "let loan = queue.loan_owned()?;"
    "let queue = queue.detach().unwrap_err().into_handle(); // the loan is in the way"
    "drop(loan);"
    "queue.detach()?;"
}
detachable! {
    [] DynProducer, |producer| [producer.bytes().shared()],
    "let producer = shmq::DynQueue::new(shmq::MessageLayout::value(8, 8)?, 4)?.producer()?; // the only handle"
    "producer.detach()?;"
}
detachable! {
    [] DynConsumer, |consumer| [consumer.bytes().shared()],
    "let consumer = shmq::DynQueue::new(shmq::MessageLayout::value(8, 8)?, 4)?.consumer()?; // the only handle"
    "consumer.detach()?;"
}
detachable! {
    [] DynSender, |sender| [sender.bytes().shared()],
    "let sender = shmq::DynQueue::new(shmq::MessageLayout::value(8, 8)?, 4)?.sender(); // the only handle"
    "sender.detach()?;"
}
detachable! {
    [] DynReceiver, |receiver| [receiver.bytes().shared()],
    "let receiver = shmq::DynQueue::new(shmq::MessageLayout::value(8, 8)?, 4)?.receiver(); // the only handle"
    "receiver.detach()?;"
}
detachable! {
    [] DynTopic, |topic| [topic.bytes().raw()],
    "let topic = shmq::DynTopic::new(shmq::MessageLayout::value(8, 8)?, 4)?;"
    "topic.detach()?;"
}
detachable! {
    [] DynPublisher, |publisher| [publisher.bytes().shared()],
    "let publisher = shmq::DynTopic::new(shmq::MessageLayout::value(8, 8)?, 4)?.publisher()?; // the only handle"
    "publisher.detach()?;"
}
detachable! {
    [] DynSubscriber, |subscriber| [subscriber.bytes().raw().raw_to_leave()],
    "let subscriber = shmq::DynTopic::new(shmq::MessageLayout::value(8, 8)?, 4)?.subscribe()?; // the only handle"
    "subscriber.detach()?;"
}
