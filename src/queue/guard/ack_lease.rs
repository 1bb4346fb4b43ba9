//! One message, to be read in place, which comes back unless it is acknowledged.

use super::View;
use super::leased::{BackOnDrop, Leased, end};
use crate::error::GetError;
use crate::message::Plain;
use crate::raw::MessageId;
use std::fmt;
use std::ops::Deref;

/// Dropping it gives its message back: only [`ack`](AckLease::ack) ends the message.
///
/// A lease as [`Lease`](super::Lease) is, for work that may be left halfway. However it is dropped
/// without an `ack` (an early return, a `?`, a panic, a future that is cancelled, an arm of a
/// `select!` that lost), the message is delivered again, to any consumer, before newer ones. So it
/// is if the process dies. That counts as a delivery ([`deliveries`](AckLease::deliveries)),
/// towards [`max_deliveries`](crate::QueueBuilder::max_deliveries) too, since the caller had the
/// message.
///
/// **Which of the two?** `AckLease` where a message stands for work that must be done: in code with
/// `?`, and in all async code, where a time-out drops what it interrupts and no panic tells.
/// `Lease` where reading is all there is to do, as of a frame or a sample: leaving the scope takes
/// it, and no call is forgotten. (An `AckLease` whose `ack` is forgotten is delivered for ever, or
/// until `max_deliveries`; a `Lease` that is dropped too early loses its message.)
///
/// **Dropping it never waits**: it takes no lock and sleeps for nothing, whichever processes are
/// stopped. It makes one compare-and-swap and one atomic OR; if a consumer sleeps, one system call
/// that wakes it, or two where a sleeper was killed. The same holds for `ack`. Only an
/// [owned](crate::Queue::lease_ack_owned) one that outlives all handles of its queue leaves the
/// queue too, as a dropped [`Queue`](crate::Queue) does.
///
/// `task_done` is for messages taken by copy. [`join`](crate::Queue::join) counts a message as
/// finished when it is acknowledged; one that is given back is unfinished.
///
/// A lease inherited across `fork` belongs to the parent: `Deref` panics, `ack` returns
/// [`GetError::Inherited`], dropping it touches nothing. `mem::forget` of one holds its message and
/// its room until the process ends. While one is open or forgotten,
/// [`Process::spawn`](crate::Process::spawn) does not fork.
///
/// ```
/// fn next(jobs: &shmq::Queue<[u8]>) -> Result<u32, Box<dyn std::error::Error>> {
///     let job = jobs.lease_ack()?;
///     let number = std::str::from_utf8(&job)?.parse()?; // if this fails, the job comes back
///     job.ack()?;
///     Ok(number)
/// }
///
/// let jobs = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).create()?;
/// jobs.put(b"seven")?;
/// assert!(next(&jobs).is_err());
/// let job = jobs.lease_ack()?;
/// assert_eq!((&job[..], job.deliveries()), (&b"seven"[..], 2));
/// job.ack()?;
/// assert!(jobs.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The queue outlives it, as it does a [`Lease`](super::Lease):
///
/// ```compile_fail,E0597
/// let lease;
/// {
///     let queue = shmq::Queue::<u64>::new(4).unwrap();
///     queue.put(&1).unwrap();
///     lease = queue.lease_ack().unwrap();
/// }
/// ```
///
/// It is acknowledged once:
///
/// ```compile_fail,E0382
/// let queue = shmq::Queue::<u64>::new(4).unwrap();
/// queue.put(&1).unwrap();
/// let lease = queue.lease_ack().unwrap();
/// lease.ack().unwrap();
/// lease.ack().unwrap();
/// ```
#[must_use = "dropping gives the message back"]
pub struct AckLease<'q, T: ?Sized + Plain> {
    leased: Leased<'q, T, BackOnDrop>,
}

impl<'q, T: ?Sized + Plain> AckLease<'q, T> {
    #[inline]
    pub(crate) fn over(leased: Leased<'q, T, BackOnDrop>) -> AckLease<'q, T> {
        AckLease { leased }
    }

    /// Was it made by the parent process, before a fork? Then it is the parent's: this process may not
    /// read, write or end it, and dropping it does nothing.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// assert!(!queue.lease_ack()?.is_inherited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn is_inherited(&self) -> bool {
        self.leased.is_inherited()
    }

    /// Acknowledges the message: it is done, and its room is free. Does not block.
    ///
    /// A queue that was closed meanwhile takes it too.
    ///
    /// # Errors
    /// [`GetError::Inherited`] in a forked child: nothing was touched, the message is the parent's.
    /// [`GetError::Poisoned`] if this process was taken for dead meanwhile: another consumer may
    /// have had the message too.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(1)?;
    /// queue.put(&1)?;
    /// let message = queue.lease_ack()?;
    /// assert_eq!(*message, 1);
    /// message.ack()?;
    /// queue.join()?; // nothing is unfinished
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn ack(self) -> Result<(), GetError> {
        let mut acknowledged = Err(GetError::Inherited);
        end!(self.leased, |raw, record| acknowledged = raw.release_as::<T>(record));
        acknowledged
    }

    /// Acknowledges the message and goes on reading it: its room is kept until the last clone of
    /// the [`View`] is dropped. Does not block.
    ///
    /// # Errors
    /// As [`ack`](AckLease::ack). Then there is no view, and nothing more to read.
    ///
    /// ```
    /// let queue = shmq::Queue::<[u8]>::builder().capacity_bytes(4096).max_deliveries(1).create()?;
    /// queue.put(b"report")?;
    /// let report = queue.lease_ack()?.into_view()?;
    /// queue.join()?; // acknowledged: it does not come back
    /// assert_eq!(&report[..], b"report");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_view(self) -> Result<View<'q, T>, GetError> {
        View::of(self.leased)
    }

    /// Gives the message back: it is delivered again, to any consumer, before newer ones. The same
    /// as dropping it.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put_slice(&[1, 2])?;
    /// queue.lease_ack()?.give_back();
    /// assert_eq!((queue.get()?, queue.get()?), (1, 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn give_back(self) {
        drop(self);
    }

    /// As [`give_back`](AckLease::give_back), of a message that reached no caller, so that the
    /// delivery does not count.
    #[doc(hidden)]
    pub fn give_back_uncounted(self) {
        // Poisoned: the next verb returns it.
        end!(self.leased, |raw, record| drop(raw.give_back_uncounted(record)));
    }

    /// Which delivery of its message this is, as [`Lease::deliveries`](super::Lease::deliveries).
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// drop(queue.lease_ack()?);
    /// assert_eq!(queue.lease_ack()?.deliveries(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn deliveries(&self) -> u32 {
        self.leased.deliveries()
    }

    /// Which message it is, the same over all its deliveries.
    ///
    /// # Panics
    /// In a child that inherited the lease.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(2)?;
    /// queue.put(&1)?;
    /// let lease = queue.lease_ack()?;
    /// let id = lease.id();
    /// lease.give_back();
    /// assert_eq!(queue.lease_ack()?.id(), id);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> MessageId {
        self.leased.id()
    }

    /// The message, to be changed in place: to note in it how far the work has come. What was
    /// written stays if it comes back, as in a [`LeaseMut`](super::LeaseMut).
    ///
    /// # Panics
    /// In a child that inherited the lease.
    ///
    /// ```
    /// let queue = shmq::Queue::<[u32; 2]>::new(2)?; // [steps done, steps in all]
    /// queue.put(&[0, 3])?;
    /// let mut job = queue.lease_ack()?;
    /// job.message_mut()[0] += 1;
    /// drop(job); // another process goes on from there
    /// assert_eq!(*queue.lease_ack()?, [1, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn message_mut(&mut self) -> &mut T {
        self.leased.write()
    }
}

impl<T: ?Sized + Plain> Deref for AckLease<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.leased.read()
    }
}

impl AckLease<'_, [u8]> {
    pub(crate) fn copied(&self) -> Vec<u8> {
        self.leased.copied()
    }
}

impl AsRef<[u8]> for AckLease<'_, [u8]> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: ?Sized + Plain> fmt::Debug for AckLease<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.leased.describe("AckLease", out)
    }
}
