//! An object on lease: decoded here, its message still in the queue until the lease ends.

use crate::queue::guard::{DoneOnDrop, Lease, Leased};
use crate::queue::{GivesBack, forward, forwards};
use crate::raw::MessageId;
use std::fmt;
use std::ops::Deref;

/// Dropping the lease takes the message: it is done. Dropped by a panic that began while it was
/// held, the message is given back instead.
///
/// The value of one message of an [`ObjectQueue`](crate::ObjectQueue). The message stays in the
/// queue until the lease ends: if the process dies before, it is delivered again, before newer ones
/// (at-least-once). As [`Lease`] otherwise.
///
/// ```
/// let queue = shmq::ObjectQueue::<String>::new(4)?;
/// queue.put("job")?;
/// let job = queue.lease()?;
/// assert_eq!((job.as_str(), job.deliveries()), ("job", 1));
/// job.give_back();
/// assert_eq!(queue.lease()?.take(), "job");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping takes the message"]
pub struct ObjectLease<'q, T> {
    value: T,
    lease: Lease<'q, [u8]>,
}

impl<'q, T> ObjectLease<'q, T> {
    pub(super) fn new((value, leased): (T, Leased<'q, [u8], DoneOnDrop>)) -> Self {
        ObjectLease { value, lease: Lease::over(leased) }
    }

    /// Ends the lease; the message is done. The same as dropping it.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// queue.lease()?.release();
    /// queue.join()?; // nothing is unfinished
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(self) {
        self.lease.release();
    }

    /// Ends the lease and keeps the value; the message is done.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// let job: String = queue.lease()?.take();
    /// assert_eq!(job, "job");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn take(self) -> T {
        self.lease.release();
        self.value
    }

    /// Ends the lease without finishing its message: it is delivered again, to any consumer, before
    /// newer ones.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put_slice(&["first".to_string(), "second".to_string()])?;
    /// queue.lease()?.give_back();
    /// assert_eq!(queue.get()?, "first");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_back(self) {
        self.lease.give_back();
    }

    /// Which delivery of its message this is, as [`Lease::deliveries`].
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(4)?;
    /// queue.put("job")?;
    /// queue.lease()?.give_back();
    /// assert_eq!(queue.lease()?.deliveries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deliveries(&self) -> u32 {
        self.lease.deliveries()
    }

    /// Which message it is, the same over all its deliveries.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    ///
    /// ```
    /// let queue = shmq::ObjectQueue::<String>::new(2)?;
    /// queue.put("job")?;
    /// let lease = queue.lease()?;
    /// let id = lease.id();
    /// lease.give_back();
    /// assert_eq!(queue.lease()?.id(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> MessageId {
        self.lease.id()
    }
}

impl<T> GivesBack for ObjectLease<'_, T> {
    fn end_given_back(self) {
        self.give_back();
    }
}

impl<T> ObjectLease<'_, T> {
    forwards! {
        T, |lease, to, wait| {
            forward(lease, |lease| (!lease.lease.is_inherited()).then_some(&lease.value), to, wait, ObjectLease::release)
        }
    }
}

impl<T> Deref for ObjectLease<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for ObjectLease<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ObjectLease").field("value", &self.value).field("deliveries", &self.deliveries()).finish()
    }
}
