//! [`DynTopicLoan`]: a message of a topic that is written in place, as bytes.

use crate::attachment::Kept;
use crate::error::PutError;
use crate::raw::RawQueue;
use crate::shm::participant::Id;
use crate::topic::TopicLoan;
use crate::wait::Wait;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Room for one message of a [`DynTopic`](crate::DynTopic), as bytes in the segment. Dropping it
/// without [`commit`](Self::commit) aborts the message. As a [`TopicLoan`](crate::TopicLoan): its
/// process may die at any moment, and then the message is skipped too.
///
/// The bytes hold what was there before, so write all of them.
///
/// ```
/// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
/// let every = topic.subscribe()?;
/// let mut loan = topic.loan()?;
/// loan.copy_from_slice(&7u64.to_ne_bytes());
/// loan.commit()?;
/// assert_eq!(every.next()?, 7u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping aborts the message"]
pub struct DynTopicLoan<'t> {
    loan: TopicLoan<'t, [u8]>,
}

impl<'t> DynTopicLoan<'t> {
    pub(in crate::dynamic) fn claim<const OWNED: bool>(
        raw: Kept<'t, RawQueue>,
        me: Id,
        len: usize,
        wait: Wait,
    ) -> Result<Self, PutError> {
        Ok(DynTopicLoan { loan: TopicLoan::claim_bytes::<OWNED>(raw, me, len, wait)? })
    }

    /// Makes it a message, which subscribers see from now on.
    ///
    /// # Errors
    /// As [`TopicLoan::commit`](crate::TopicLoan::commit).
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::of::<u64>(), 8)?;
    /// let mut loan = topic.loan()?;
    /// loan.fill(0);
    /// loan.commit()?;
    /// assert_eq!(topic.stats().published, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit(self) -> Result<(), PutError> {
        self.loan.commit()
    }

    /// Makes the first `len` bytes of it a message. As
    /// [`DynLoan::commit_len`](crate::DynLoan::commit_len).
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// let topic = shmq::DynTopic::builder(shmq::MessageLayout::slice(2, 2)?).capacity_bytes(4096).create()?;
    /// let every = topic.subscribe()?;
    /// let mut loan = topic.loan_len(6)?;
    /// loan.fill(1);
    /// loan.commit_len(4)?;
    /// assert_eq!(every.next()?, [1; 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn commit_len(self, len: usize) -> Result<(), PutError> {
        self.loan.raw().check_length(len)?;
        match self.loan.len() {
            max if len > max => Err(PutError::TooLarge { len, max }),
            _ => self.loan.commit_len(len),
        }
    }

    /// Was it made by the parent process, before a fork? Then it is the parent's: this process may not
    /// read, write or end it, and dropping it does nothing.
    ///
    /// ```
    /// let topic = shmq::DynTopic::new(shmq::MessageLayout::value(8, 8)?, 4)?;
    /// assert!(!topic.loan()?.is_inherited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn is_inherited(&self) -> bool {
        self.loan.is_inherited()
    }
}

impl Deref for DynTopicLoan<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.loan
    }
}

impl DerefMut for DynTopicLoan<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.loan
    }
}

impl fmt::Debug for DynTopicLoan<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("DynTopicLoan").field(&self.loan).finish()
    }
}
