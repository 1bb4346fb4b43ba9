//! [`DynLoan`]: a message of a layout known at run time that is written in place.

use crate::error::PutError;
use crate::queue::guard::Loan;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Room for one message of a [`DynQueue`](crate::DynQueue), as bytes in the segment. Dropping it
/// without [`commit`](Self::commit) aborts the message: getters skip it. As a
/// [`Loan`](crate::Loan): its process may die at any moment, and then the message is skipped too.
///
/// The bytes hold what was there before, so write all of them.
///
/// ```
/// let queue = shmq::DynQueue::new(shmq::MessageLayout::of::<u64>(), 4)?;
/// let mut loan = queue.loan()?;
/// loan.copy_from_slice(&7u64.to_ne_bytes());
/// loan.commit()?;
/// assert_eq!(queue.get()?, 7u64.to_ne_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping aborts the message"]
pub struct DynLoan<'q> {
    loan: Loan<'q, [u8]>,
}

impl<'q> DynLoan<'q> {
    #[inline]
    pub(super) fn new(loan: Loan<'q, [u8]>) -> DynLoan<'q> {
        DynLoan { loan }
    }

    /// Makes it a message, which getters see from now on.
    ///
    /// # Errors
    /// As [`Loan::commit`](crate::Loan::commit): `Inherited` in a forked child, `Poisoned`.
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::slice(2, 2)?, 4)?;
    /// let mut loan = queue.loan_len(6)?;
    /// loan.fill(1);
    /// loan.commit()?;
    /// assert_eq!(queue.get()?, [1; 6]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn commit(self) -> Result<(), PutError> {
        self.loan.commit()
    }

    /// Makes the first `len` bytes of it a message: a shorter slice, or object, than was expected.
    ///
    /// # Errors
    /// [`PutError::WrongLength`] if messages have one size, which is not `len`;
    /// [`PutError::NotWhole`]; [`PutError::TooLarge`] if `len` is more than was lent. The message
    /// is aborted then. Otherwise as [`commit`](Self::commit).
    ///
    /// ```
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::slice(2, 2)?, 4)?;
    /// let mut loan = queue.loan_len(6)?;
    /// loan.fill(1);
    /// loan.commit_len(4)?;
    /// assert_eq!(queue.get()?, [1; 4]);
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
    /// let queue = shmq::DynQueue::new(shmq::MessageLayout::value(8, 8)?, 4)?;
    /// assert!(!queue.loan()?.is_inherited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn is_inherited(&self) -> bool {
        self.loan.is_inherited()
    }
}

impl Deref for DynLoan<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.loan
    }
}

impl DerefMut for DynLoan<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.loan
    }
}

impl fmt::Debug for DynLoan<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("DynLoan").field(&self.loan).finish()
    }
}
