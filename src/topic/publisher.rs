//! [`Publisher`]: the put side of a topic, held for the publisher's life.

use super::TopicLoan;
use crate::attachment::Kept;
use crate::error::PutError;
use crate::message::{Message, Plain};
use crate::queue::sealed::Sealed;
use crate::raw::{BY_OWNER, RawQueue, Role, RoleHandle, Side, SideOwner, ToAll};
use crate::wait::{Stop, Wait, blocking_forms};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// The put side of a topic, held by one owner: no lock per message. Dropping it frees the side.
///
/// Made by [`Topic::publisher`](crate::Topic::publisher). It can be sent to another thread, not
/// shared. If its process dies, the side is free for others. Inherited across `fork` it belongs to
/// the parent: every verb returns [`PutError::Inherited`].
///
/// **The end of the stream.** A topic that was built with
/// [`close_when_unused`](crate::QueueBuilder::close_when_unused) closes when the last publisher is
/// gone, dropped or dead: subscribers read what there is, and then see `Closed`. One that waits
/// learns of a death within 0.1 s. Closing is for good, so where publishers restart, do not ask for
/// it.
///
/// ```
/// let topic = shmq::Topic::<u64>::new(1024)?;
/// let subscriber = topic.subscribe()?;
/// let publisher = topic.publisher()?;
/// publisher.publish(&1)?;
/// publisher.publish_slice(&[2, 3])?;
/// let mut loan = publisher.loan()?;
/// *loan = 4;
/// loan.commit()?;
/// let mut all = [0; 4];
/// assert_eq!((subscriber.next_slice(&mut all)?, all), (4, [1, 2, 3, 4]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Publisher<T: ?Sized> {
    pub(super) raw: RoleHandle,
    /// Not `Sync`, which also keeps the publisher to one thread at a time.
    pub(super) owner: SideOwner,
    carries: PhantomData<fn() -> Box<T>>,
}

impl<T: ?Sized> Publisher<T> {
    pub(super) fn new(raw: Arc<RawQueue>) -> Result<Publisher<T>, PutError> {
        let owner = raw.acquire(Side::Put)?;
        Ok(Publisher { raw: RoleHandle::new(raw, Role::Sender), owner, carries: PhantomData })
    }

    /// The same publisher, whose waits end with [`PutError::Interrupted`] once `stop` is set.
    ///
    /// ```
    /// let (topic, stop) = (shmq::Topic::<u64>::new(1)?, shmq::Stop::new());
    /// let _slow = topic.subscribe()?;
    /// let publisher = topic.publisher()?.with_stop(&stop);
    /// publisher.publish(&1)?;
    /// stop.set();
    /// assert!(publisher.publish(&2).unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "dropping the publisher frees the side"]
    pub fn with_stop(mut self, stop: &Stop) -> Self {
        self.raw = self.raw.with_stop(stop);
        self
    }
}

impl<T: ?Sized + Message> Publisher<T> {
    blocking_forms! {
        /// As [`Topic::publish`](crate::Topic::publish).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(8)?;
        /// let (subscriber, publisher) = (topic.subscribe()?, topic.publisher()?);
        /// publisher.publish(&1)?;
        /// assert_eq!(subscriber.next()?, 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish, try_publish, publish_timeout, publish_deadline, none: "Full",
        |self, wait, v: &T| -> Result<(), PutError> { self.publish_for(v, wait) }
    }

    #[inline(always)]
    pub(crate) fn publish_for(&self, v: &T, wait: Wait) -> Result<(), PutError> {
        if self.raw.try_put::<ToAll, T>(&self.owner, v) { Ok(()) } else { self.publish_slowly(v, wait) }
    }

    #[cold]
    #[inline(never)]
    fn publish_slowly(&self, v: &T, wait: Wait) -> Result<(), PutError> {
        self.raw.put_owned::<ToAll, T>(&self.owner, v, wait).map_err(|error| self.raw.explain(error, size_of_val(v)))
    }
}

impl<T: Message> Publisher<T> {
    blocking_forms! {
        /// As [`Topic::publish_slice`](crate::Topic::publish_slice).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(8)?;
        /// assert_eq!(topic.publisher()?.publish_slice(&[1, 2, 3])?, 3);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        publish_slice, try_publish_slice, publish_slice_timeout, publish_slice_deadline, none: "Full",
        |self, wait, v: &[T]| -> Result<usize, PutError> {
            let me = self.raw.check(&self.owner)?;
            self.raw.publish_values::<BY_OWNER, T>(me, v, wait).map_err(|error| self.raw.explain(error, size_of::<T>()))
        }
    }

    blocking_forms! {
        /// As [`Topic::loan`](crate::Topic::loan).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::Topic::<u64>::new(8)?;
        /// let (subscriber, publisher) = (topic.subscribe()?, topic.publisher()?);
        /// let mut loan = publisher.loan()?;
        /// *loan = 9;
        /// loan.commit()?;
        /// assert_eq!(subscriber.next()?, 9);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan, try_loan, loan_timeout, loan_deadline, none: "Full",
        |self, wait| -> Result<TopicLoan<'_, T>, PutError> [where T: Plain] {
            TopicLoan::claim_value::<BY_OWNER>(Kept::Borrowed(&self.raw), self.raw.check(&self.owner)?, wait)
        }
    }
}

impl<X: Plain> Publisher<[X]> {
    blocking_forms! {
        /// As [`Topic::loan_len`](crate::Topic::loan_len).
        ///
        /// # Errors
        /// As there, and [`PutError::Inherited`] after `fork`.
        ///
        /// ```
        /// let topic = shmq::Topic::<[u8]>::builder().capacity_bytes(4096).create()?;
        /// let (subscriber, publisher) = (topic.subscribe()?, topic.publisher()?);
        /// let mut loan = publisher.loan_len(3)?;
        /// loan.copy_from_slice(b"abc");
        /// loan.commit()?;
        /// assert_eq!(subscriber.next()?, b"abc");
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        loan_len, try_loan_len, loan_len_timeout, loan_len_deadline, none: "Full",
        |self, wait, n: usize| -> Result<TopicLoan<'_, [X]>, PutError> {
            TopicLoan::claim_slice::<BY_OWNER>(Kept::Borrowed(&self.raw), self.raw.check(&self.owner)?, n, wait)
        }
    }
}

impl<T: ?Sized> Publisher<T> {
    pub(crate) fn parts(&self) -> (&Arc<RawQueue>, &SideOwner) {
        (self.raw.shared(), &self.owner)
    }
}

impl<T: ?Sized> Sealed for Publisher<T> {}

impl<T: ?Sized> Drop for Publisher<T> {
    fn drop(&mut self) {
        self.raw.release_side(&self.owner);
    }
}

impl<T: ?Sized> fmt::Debug for Publisher<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Publisher").field(&*self.raw).finish()
    }
}
