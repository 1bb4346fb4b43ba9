//! Publishing through a [`Topic`], by lock: from several processes.

use super::{Topic, TopicLoan};
use crate::attachment::{Attached, Kept};
use crate::error::PutError;
use crate::message::{Message, Plain};
use crate::raw::{BY_LOCK, ToAll};
use crate::wait::{Wait, blocking_forms};

impl<T: ?Sized + Message> Topic<T> {
    #[inline(always)]
    pub(crate) fn publish_for(&self, v: &T, wait: Wait) -> Result<(), PutError> {
        self.raw.put_by::<ToAll, BY_LOCK, T>(self.raw.me()?, v, wait).map_err(|error| self.raw.explain(error, size_of_val(v)))
    }

    blocking_forms! {
        /// Publishes one message by copy, to all subscribers; waits while a gating one is a whole
        /// capacity behind. Takes the lock of the put side: several processes may publish. One that
        /// publishes alone is faster with a [`Publisher`](crate::Publisher).
        ///
        /// If the process dies in the call, the message is there whole, or not at all.
        ///
        /// # Errors
        /// [`PutError`]; nothing was published. [`Gated`](PutError::Gated) names the subscriber
        /// that it waits for, [`BehindLoan`](PutError::BehindLoan) the process with an open loan.
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(1)?;
        /// let slow = topic.subscribe()?;
        /// topic.publish(&1)?;
        /// let full = topic.try_publish(&2).unwrap_err();
        /// assert!(full.is_full());
        /// println!("{full}"); // subscriber 0.1 of process 4711 lags 1 messages behind ...
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish, try_publish, publish_timeout, publish_deadline, none: "Full",
        |self, wait, v: &T| -> Result<(), PutError> { self.publish_for(v, wait) }
    }
}

impl<T: Message> Topic<T> {
    blocking_forms! {
        /// Publishes all messages of the slice in order, waiting for room as often as needed.
        /// Returns how many moved, which is all of them. As
        /// [`Queue::put_slice`](crate::Queue::put_slice).
        ///
        /// # Errors
        /// As [`publish`](Topic::publish), if *none* moved.
        ///
        /// ```
        /// let topic = shmq::Topic::<u32>::new(8)?;
        /// let subscriber = topic.subscribe()?;
        /// assert_eq!(topic.publish_slice(&[1, 2, 3])?, 3);
        /// let mut all = [0; 8];
        /// assert_eq!((subscriber.next_slice(&mut all)?, &all[..3]), (3, &[1, 2, 3][..]));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_slice, try_publish_slice, publish_slice_timeout, publish_slice_deadline, none: "Full",
        |self, wait, v: &[T]| -> Result<usize, PutError> {
            let me = self.raw.me()?;
            self.raw.publish_values::<BY_LOCK, T>(me, v, wait).map_err(|error| self.raw.explain(error, size_of::<T>()))
        }
    }

    blocking_forms! {
        /// Lends room for one message inside the segment, to be written in place: as
        /// [`Queue::loan`](crate::Queue::loan). What is published behind it waits for its end.
        ///
        /// # Errors
        /// As [`publish`](Topic::publish), and [`PutError::LossyHere`] beside a lossy subscriber of
        /// this process.
        ///
        /// ```
        /// let topic = shmq::Topic::<[u8; 65536]>::new(4)?;
        /// let mut every = topic.subscribe()?;
        /// let mut frame = topic.loan()?;
        /// frame.fill(7);
        /// frame.commit()?;
        /// assert_eq!(every.read()?[65535], 7);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<TopicLoan<'_, T>, PutError> [where T: Plain] {
            TopicLoan::claim_value::<BY_LOCK>(Kept::Borrowed(&self.raw), self.raw.me()?, wait)
        }
    }
}

impl<X: Plain> Topic<[X]> {
    blocking_forms! {
        /// Lends room for a message of `n` elements inside the segment, to be written in place.
        /// [`TopicLoan::commit_len`] commits fewer.
        ///
        /// # Errors
        /// [`PutError::TooLarge`] if `n` is more than [`max_len`](Topic::max_len); otherwise as
        /// [`loan`](Topic::loan).
        ///
        /// ```
        /// let topic = shmq::Topic::<[u16]>::builder().capacity_bytes(4096).create()?;
        /// let subscriber = topic.subscribe()?;
        /// let mut loan = topic.loan_len(100)?;
        /// loan[..2].copy_from_slice(&[1, 2]);
        /// loan.commit_len(2)?;
        /// assert_eq!(subscriber.next()?, [1, 2]);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, n: usize| -> Result<TopicLoan<'_, [X]>, PutError> {
            TopicLoan::claim_slice::<BY_LOCK>(Kept::Borrowed(&self.raw), self.raw.me()?, n, wait)
        }
    }
}
