//! Forwarding: a message that is on lease goes into another queue, and its lease ends.
//!
//! Invariant 1: the lease ends only after the put returned `Ok`. A kill in between leaves the
//! message in both queues, never in neither.

use super::{Producer, Queue};
use crate::error::PutError;
use crate::message::Message;
use crate::message::Plain;
use crate::queue::guard::{AckLease, Lease, LeaseMut};
use crate::raw::BY_LOCK;
use crate::wait::Wait;
use std::error::Error;
use std::fmt;
use std::mem;

mod sealed {
    use super::{PutError, Wait};

    pub trait Accepts<T: ?Sized> {
        #[doc(hidden)]
        fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError>;
    }

    pub trait GivesBack {
        #[doc(hidden)]
        fn end_given_back(self);
    }
}
pub(crate) use sealed::{Accepts, GivesBack};

/// Where messages of type `T` can be forwarded to: a [`Queue`], a [`Producer`], and the queues and
/// producers of objects. Sealed.
///
/// ```
/// use shmq::{Destination, PutError, Queue};
///
/// /// Moves one message, whatever takes it.
/// fn pass_on(from: &Queue<u64>, to: &impl Destination<u64>) -> Result<(), PutError> {
///     let message = from.lease().expect("a message");
///     message.forward(to).map_err(PutError::from)
/// }
///
/// let (from, to) = (Queue::<u64>::new(4)?, Queue::<u64>::new(4)?);
/// from.put_slice(&[1, 2])?;
/// pass_on(&from, &to)?;
/// pass_on(&from, &to.producer()?)?;
/// assert_eq!((to.get()?, to.get()?), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(message = "a `{T}` cannot be forwarded to `{Self}`", label = "not a queue or producer of `{T}`")]
pub trait Destination<T: ?Sized>: Accepts<T> {}
impl<T: ?Sized, D: Accepts<T>> Destination<T> for D {}

impl<T: ?Sized + Message> Accepts<T> for Queue<T> {
    fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError> {
        self.raw.put::<BY_LOCK, T>(self.raw.me_in_both_roles()?, message, wait)
    }
}

impl<T: ?Sized + Message> Accepts<T> for Producer<T> {
    fn accept(&self, message: &T, wait: Wait) -> Result<(), PutError> {
        self.put_for(message, wait)
    }
}

/// A lease of some kind, which a [`ForwardError`] holds: [`Lease`], [`LeaseMut`], [`AckLease`],
/// `ObjectLease` and `ObjectAckLease`. Sealed.
///
/// ```
/// use shmq::{ForwardError, Held};
///
/// /// Why a message was not forwarded; it is given back.
/// fn reason<L: Held>(refused: ForwardError<L>) -> String {
///     refused.error().to_string()
/// }
///
/// let (from, to) = (shmq::Queue::<u64>::new(1)?, shmq::Queue::<u64>::new(1)?);
/// from.put(&1)?;
/// to.close();
/// let refused = from.lease()?.forward(&to).unwrap_err();
/// assert_eq!(reason(refused), "closed: no more messages are taken");
/// assert_eq!(from.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Held: GivesBack {}
impl<L: GivesBack> Held for L {}

impl<T: ?Sized + Plain> GivesBack for Lease<'_, T> {
    fn end_given_back(self) {
        self.give_back();
    }
}

impl<T: ?Sized + Plain> GivesBack for LeaseMut<'_, T> {
    fn end_given_back(self) {
        self.give_back();
    }
}

impl<T: ?Sized + Plain> GivesBack for AckLease<'_, T> {
    fn end_given_back(self) {
        self.give_back();
    }
}

/// Dropping the error gives the message back to its queue: it is delivered again, before newer
/// ones.
///
/// Why a message was not forwarded, and its lease, which continues.
///
/// ```
/// let (from, to) = (shmq::Queue::<u64>::new(4)?, shmq::Queue::<u64>::new(1)?);
/// from.put_slice(&[1, 2])?;
/// from.lease()?.try_forward(&to).map_err(shmq::PutError::from)?;
/// let refused = from.lease()?.try_forward(&to).unwrap_err();
/// assert!(matches!(refused.error(), shmq::PutError::Full));
/// assert_eq!(*refused.into_lease(), 2); // on lease still
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping gives the message back"]
pub struct ForwardError<L: Held> {
    error: PutError,
    lease: Option<L>,
}

impl<L: Held> ForwardError<L> {
    /// Why the other queue did not take it.
    ///
    /// ```
    /// let (from, to) = (shmq::Queue::<u64>::new(1)?, shmq::Queue::<u64>::new(1)?);
    /// from.put(&1)?;
    /// to.close();
    /// let refused = from.lease()?.forward(&to).unwrap_err();
    /// assert!(refused.error().is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn error(&self) -> &PutError {
        &self.error
    }

    /// The lease, to try again or to end it otherwise.
    ///
    /// ```
    /// let (from, to) = (shmq::Queue::<u64>::new(1)?, shmq::Queue::<u64>::new(1)?);
    /// from.put(&1)?;
    /// to.close();
    /// let refused = from.lease()?.forward(&to).unwrap_err();
    /// refused.into_lease().release(); // the message is dropped
    /// assert!(from.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_lease(self) -> L {
        self.into_parts().1
    }

    /// The error and the lease.
    ///
    /// ```
    /// let (from, to) = (shmq::Queue::<u64>::new(1)?, shmq::Queue::<u64>::new(1)?);
    /// from.put(&1)?;
    /// to.close();
    /// let refused = from.lease()?.forward(&to).unwrap_err();
    /// let (error, lease) = refused.into_parts();
    /// assert!(error.is_closed());
    /// assert_eq!(*lease, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_parts(mut self) -> (PutError, L) {
        let lease = self.lease.take().expect("a ForwardError has its lease until it is consumed");
        (mem::replace(&mut self.error, PutError::Full), lease)
    }
}

impl<L: Held> Drop for ForwardError<L> {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.end_given_back();
        }
    }
}

impl<L: Held> fmt::Debug for ForwardError<L> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ForwardError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<L: Held> fmt::Display for ForwardError<L> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the message was not forwarded, and is on lease still")
    }
}

impl<L: Held> Error for ForwardError<L> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl<L: Held> From<ForwardError<L>> for PutError {
    /// Gives the message back.
    fn from(refused: ForwardError<L>) -> PutError {
        let (error, lease) = refused.into_parts();
        lease.end_given_back();
        error
    }
}

/// Invariant 1.
pub(crate) fn forward<L: Held, T: ?Sized>(
    lease: L,
    message: impl FnOnce(&L) -> Option<&T>,
    to: &impl Destination<T>,
    wait: Wait,
    end: impl FnOnce(L),
) -> Result<(), ForwardError<L>> {
    let put = message(&lease).map_or(Err(PutError::Inherited), |message| to.accept(message, wait));
    match put {
        Ok(()) => {
            end(lease);
            Ok(())
        }
        Err(error) => Err(ForwardError { error, lease: Some(lease) }),
    }
}

/// The four forms of forwarding a lease.
macro_rules! forwards {
    ($message:ty, |$this:ident, $to:ident, $wait:ident| $body:block) => {
        /// Puts the message into another queue, then ends the lease, in one call; waits while that
        /// queue is full.
        ///
        /// If this process is killed in between, the message is in both queues, never in neither.
        /// To the queue itself it goes to the end, if there is room beside the leased message.
        ///
        /// # Errors
        /// [`ForwardError`](crate::ForwardError): why that queue did not take it, and the lease,
        /// which continues. If the error is dropped, the message is given back.
        ///
        /// ```
        /// let (incoming, checked) = (shmq::Queue::<u64>::new(4)?, shmq::Queue::<u64>::new(4)?);
        /// incoming.put(&7)?;
        /// incoming.lease()?.forward(&checked).map_err(shmq::PutError::from)?;
        /// assert_eq!((incoming.is_empty(), checked.get()?), (true, 7));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn forward(self, $to: &impl $crate::Destination<$message>) -> Result<(), $crate::ForwardError<Self>> {
            let ($this, $wait) = (self, $crate::wait::Wait::FOREVER);
            $body
        }

        /// Like [`forward`](Self::forward) without waiting: `Full` at once, and `Busy` after about
        /// 1 ms of a contended lock.
        ///
        /// # Errors
        /// As [`forward`](Self::forward).
        ///
        /// ```
        /// let (incoming, checked) = (shmq::Queue::<u64>::new(4)?, shmq::Queue::<u64>::new(1)?);
        /// incoming.put_slice(&[7, 8])?;
        /// incoming.lease()?.try_forward(&checked).map_err(shmq::PutError::from)?;
        /// let refused = incoming.lease()?.try_forward(&checked).unwrap_err();
        /// assert!(refused.error().is_full());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn try_forward(self, $to: &impl $crate::Destination<$message>) -> Result<(), $crate::ForwardError<Self>> {
            let ($this, $wait) = (self, $crate::wait::Wait::Never);
            $body
        }

        /// Like [`forward`](Self::forward), but gives up with `Timeout` after `timeout`, never
        /// earlier.
        ///
        /// # Errors
        /// As [`forward`](Self::forward).
        ///
        /// ```
        /// let (incoming, checked) = (shmq::Queue::<u64>::new(4)?, shmq::Queue::<u64>::new(1)?);
        /// incoming.put_slice(&[7, 8])?;
        /// let soon = std::time::Duration::from_millis(1);
        /// incoming.lease()?.forward_timeout(&checked, soon).map_err(shmq::PutError::from)?;
        /// let refused = incoming.lease()?.forward_timeout(&checked, soon).unwrap_err();
        /// assert!(refused.error().is_timeout());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn forward_timeout(
            self,
            $to: &impl $crate::Destination<$message>,
            timeout: std::time::Duration,
        ) -> Result<(), $crate::ForwardError<Self>> {
            let ($this, $wait) = (self, $crate::wait::Wait::Until($crate::os::Deadline::after(timeout)));
            $body
        }

        /// Like [`forward`](Self::forward), but gives up with `Timeout` at `deadline`, never
        /// earlier.
        ///
        /// # Errors
        /// As [`forward`](Self::forward).
        ///
        /// ```
        /// let (incoming, checked) = (shmq::Queue::<u64>::new(4)?, shmq::Queue::<u64>::new(1)?);
        /// incoming.put_slice(&[7, 8])?;
        /// let soon = std::time::Instant::now() + std::time::Duration::from_millis(10);
        /// incoming.lease()?.forward_deadline(&checked, soon).map_err(shmq::PutError::from)?;
        /// let refused = incoming.lease()?.forward_deadline(&checked, soon).unwrap_err();
        /// assert!(refused.error().is_timeout());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        pub fn forward_deadline(
            self,
            $to: &impl $crate::Destination<$message>,
            deadline: std::time::Instant,
        ) -> Result<(), $crate::ForwardError<Self>> {
            let ($this, $wait) = (self, $crate::wait::Wait::Until($crate::os::Deadline::at(deadline)));
            $body
        }
    };
}
#[cfg(feature = "object")]
pub(crate) use forwards;

impl<T: ?Sized + Plain> Lease<'_, T> {
    forwards! {
        T, |lease, to, wait| {
            forward(lease, |lease| (!lease.is_inherited()).then(|| &**lease), to, wait, Lease::release)
        }
    }
}

impl<T: ?Sized + Plain> LeaseMut<'_, T> {
    forwards! {
        T, |lease, to, wait| {
            forward(lease, |lease| (!lease.is_inherited()).then(|| &**lease), to, wait, LeaseMut::release)
        }
    }
}

impl<T: ?Sized + Plain> AckLease<'_, T> {
    forwards! {
        T, |lease, to, wait| {
            // Poisoned: the next verb returns it. The message is in the other queue.
            let end = |lease: AckLease<'_, T>| drop(lease.ack());
            forward(lease, |lease| (!lease.is_inherited()).then(|| &**lease), to, wait, end)
        }
    }
}
