//! A dead letter on lease that comes back unless it is acknowledged.

use super::{DeadLetter, DeadLetters};
use crate::error::GetError;
use crate::queue::LeaseSource;
use crate::queue::guard::AckLease;
use crate::wait::blocking_forms;
use std::ops::Deref;

/// Dropping it gives the letter back: only [`ack`](LetterAckLease::ack) and
/// [`take`](LetterAckLease::take) end it. Made by [`DeadLetters::lease_ack`]; it keeps the queue
/// itself. As [`AckLease`] otherwise.
///
/// ```
/// # let name = format!("doc-letter-ack-{}", std::process::id());
/// # let letters = shmq::DeadLetters::create(&name, 4096)?;
/// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
/// # let jobs = jobs.dead_letters(&name).create()?;
/// # jobs.put(&7)?;
/// # jobs.lease()?.give_back();
/// # jobs.recover();
/// let letter = letters.lease_ack()?;
/// assert_eq!(letter.value::<u64>(), Some(7));
/// drop(letter); // comes back
/// letters.lease_ack()?.ack()?;
/// assert!(letters.is_empty());
/// # shmq::DeadLetters::unlink(&name)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping gives the letter back"]
#[derive(Debug)]
pub struct LetterAckLease {
    letter: DeadLetter,
    lease: AckLease<'static, [u8]>,
}

impl LetterAckLease {
    /// Acknowledges the letter: it is done.
    ///
    /// # Errors
    /// As [`AckLease::ack`].
    ///
    /// ```
    /// # let name = format!("doc-letter-ack-ack-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// # let jobs = jobs.dead_letters(&name).create()?;
    /// # jobs.put(&7)?;
    /// # jobs.lease()?.give_back();
    /// # jobs.recover();
    /// letters.lease_ack()?.ack()?;
    /// assert!(letters.is_empty());
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ack(self) -> Result<(), GetError> {
        self.lease.ack()
    }

    /// Acknowledges the letter and keeps it.
    ///
    /// # Errors
    /// As [`ack`](LetterAckLease::ack); the letter is dropped.
    ///
    /// ```
    /// # let name = format!("doc-letter-ack-take-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// # let jobs = jobs.dead_letters(&name).create()?;
    /// # jobs.put(&7)?;
    /// # jobs.lease()?.give_back();
    /// # jobs.recover();
    /// let letter: shmq::DeadLetter = letters.lease_ack()?.take()?;
    /// assert_eq!(letter.value::<u64>(), Some(7));
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(self) -> Result<DeadLetter, GetError> {
        self.lease.ack()?;
        Ok(self.letter)
    }

    /// Gives the letter back: it is delivered again, before newer ones. The same as dropping it.
    ///
    /// ```
    /// # let name = format!("doc-letter-ack-back-{}", std::process::id());
    /// # let letters = shmq::DeadLetters::create(&name, 4096)?;
    /// # let jobs = shmq::Queue::<u64>::builder().capacity(8).max_deliveries(1);
    /// # let jobs = jobs.dead_letters(&name).create()?;
    /// # jobs.put(&7)?;
    /// # jobs.lease()?.give_back();
    /// # jobs.recover();
    /// letters.lease_ack()?.give_back();
    /// assert_eq!(letters.len(), 1);
    /// # shmq::DeadLetters::unlink(&name)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_back(self) {
        self.lease.give_back();
    }
}

impl Deref for LetterAckLease {
    type Target = DeadLetter;

    fn deref(&self) -> &DeadLetter {
        &self.letter
    }
}

impl DeadLetters {
    blocking_forms! {
        /// Leases one letter, which comes back unless it is acknowledged; waits while there is none.
        /// As [`lease`](Self::lease) otherwise: [`AckLease`](crate::AckLease) says when to use which.
        ///
        /// # Errors
        /// As [`get`](Self::get).
        ///
        /// ```
        /// # let name = format!("doc-letters-lease-ack-{}", std::process::id());
        /// use shmq::{DeadLetters, Queue};
        ///
        /// let letters = DeadLetters::create(&name, 1 << 20)?;
        /// let jobs = Queue::<u64>::builder().capacity(8).max_deliveries(1);
        /// let jobs = jobs.dead_letters(&name).create()?;
        /// jobs.put(&7)?;
        /// jobs.lease()?.give_back();
        /// jobs.recover();
        /// let letter = letters.lease_ack()?;
        /// jobs.put(&letter.value().expect("a job"))?; // if this fails, the letter comes back
        /// letter.ack()?;
        /// # DeadLetters::unlink(&name)?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lease_ack, try_lease_ack, lease_ack_timeout, lease_ack_deadline, none: "Empty",
        |self, wait| -> Result<LetterAckLease, GetError> {
            let lease = self.bytes.lease_ack_by(wait)?;
            match DeadLetter::read(&lease.copied()) {
                Some(letter) => Ok(LetterAckLease { letter, lease }),
                None => {
                    lease.ack()?;
                    Err(GetError::Invalid)
                }
            }
        }
    }
}
