//! Loans that keep the topic by themselves, and so may outlive the handle that they come from.

use super::{Publisher, Topic, TopicLoan};
use crate::attachment::{Attached, Kept};
use crate::error::PutError;
use crate::message::{Message, Plain};
use crate::raw::{BY_LOCK, BY_OWNER};
use crate::wait::blocking_forms;

impl<T: Message> Topic<T> {
    blocking_forms! {
        /// Lends room for one message by a loan that keeps the topic attached by itself, and so may
        /// outlive this handle and go to another thread; otherwise as [`loan`](Self::loan).
        ///
        /// # Errors
        /// As [`loan`](Self::loan).
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(8)?;
        /// let subscriber = topic.subscribe()?;
        /// let mut loan = topic.loan_owned()?;
        /// drop(topic);
        /// std::thread::spawn(move || {
        ///     *loan = 5;
        ///     loan.commit()
        /// }).join().unwrap()?;
        /// assert_eq!(subscriber.next()?, 5);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_owned, try_loan_owned, loan_owned_timeout, loan_owned_deadline, none: "Full",
        |self, wait| -> Result<TopicLoan<'static, T>, PutError> [where T: Plain] {
            TopicLoan::claim_value::<BY_LOCK>(Kept::owned(&self.raw), self.raw.me()?, wait)
        }
    }
}

impl<X: Plain> Topic<[X]> {
    blocking_forms! {
        /// Lends room for a message of `n` elements by a loan that keeps the topic attached by
        /// itself. As [`loan_owned`](Topic::loan_owned) and [`loan_len`](Self::loan_len).
        ///
        /// # Errors
        /// As [`loan_len`](Self::loan_len).
        ///
        /// ```
        /// let topic = shmq::Topic::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// let subscriber = topic.subscribe()?;
        /// let mut loan = topic.loan_len_owned(512)?;
        /// drop(topic);
        /// loan[..5].copy_from_slice(b"hello");
        /// loan.commit_len(5)?;
        /// assert_eq!(subscriber.next()?, b"hello");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, n: usize| -> Result<TopicLoan<'static, [X]>, PutError> {
            TopicLoan::claim_slice::<BY_LOCK>(Kept::owned(&self.raw), self.raw.me()?, n, wait)
        }
    }
}

impl<T: Message> Publisher<T> {
    blocking_forms! {
        /// As [`Topic::loan_owned`](crate::Topic::loan_owned). The loan may outlive this publisher:
        /// the side is free then, and what others publish comes behind the loan. It is no publisher
        /// itself: it does not keep a topic open that closes when it is unused, and may be committed
        /// after that.
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(8)?;
        /// let subscriber = topic.subscribe()?;
        /// let mut loan = topic.publisher()?.loan_owned()?; // the publisher is gone already
        /// topic.publish(&2)?; // behind it
        /// *loan = 1;
        /// loan.commit()?;
        /// assert_eq!((subscriber.next()?, subscriber.next()?), (1, 2));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_owned, try_loan_owned, loan_owned_timeout, loan_owned_deadline, none: "Full",
        |self, wait| -> Result<TopicLoan<'static, T>, PutError> [where T: Plain] {
            TopicLoan::claim_value::<BY_OWNER>(Kept::owned(self.raw.shared()), self.raw.check(&self.owner)?, wait)
        }
    }
}

impl<X: Plain> Publisher<[X]> {
    blocking_forms! {
        /// As [`Topic::loan_len_owned`](crate::Topic::loan_len_owned), and
        /// [`loan_owned`](Publisher::loan_owned).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::Topic::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// let subscriber = topic.subscribe()?;
        /// let mut loan = topic.publisher()?.loan_len_owned(5)?;
        /// loan.copy_from_slice(b"hello");
        /// loan.commit()?;
        /// assert_eq!(subscriber.next()?, b"hello");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len_owned, try_loan_len_owned, loan_len_owned_timeout, loan_len_owned_deadline, none: "Full",
        |self, wait, n: usize| -> Result<TopicLoan<'static, [X]>, PutError> {
            TopicLoan::claim_slice::<BY_OWNER>(Kept::owned(self.raw.shared()), self.raw.check(&self.owner)?, n, wait)
        }
    }
}
