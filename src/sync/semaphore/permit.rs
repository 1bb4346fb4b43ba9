//! A permit as a guard.

use super::{Semaphore, Taking, holders, notify_takers, words};
use crate::attachment::Kept;
use crate::shm::participant::Id;
use crate::sync::SyncError;
use crate::sync::primitive::Primitive;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

impl Semaphore {
    blocking_forms! {
        /// Takes a permit as a guard that keeps the semaphore attached by itself, and so may outlive
        /// this handle, be stored, and go to another thread or task. As [`permit`](Self::permit)
        /// otherwise. (Tokio calls it `acquire_owned`; here [`acquire`](Self::acquire) takes a
        /// permit for good.)
        ///
        /// # Errors
        /// [`SyncError`]; none was taken.
        ///
        /// ```
        /// let semaphore = shmq::sync::Semaphore::new(1)?;
        /// let permit: shmq::sync::Permit<'static> = semaphore.permit_owned()?;
        /// let worker = std::thread::spawn(move || drop(permit)); // it works meanwhile
        /// worker.join().unwrap();
        /// assert_eq!(semaphore.value(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[doc(alias = "acquire_owned")]
        permit_owned, permit_owned_timeout, permit_owned_deadline,
        |self, wait| -> Result<Permit<'static>, SyncError> { self.permit_owned_by(wait) }
    }

    /// As [`try_permit`](Self::try_permit), by a guard as of [`permit_owned`](Self::permit_owned).
    ///
    /// # Errors
    /// As [`try_permit`](Self::try_permit).
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// let permit = semaphore.try_permit_owned()?;
    /// assert!(semaphore.try_permit_owned().is_err());
    /// # drop(permit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_permit_owned(&self) -> Result<Permit<'static>, SyncError> {
        self.permit_owned_by(Wait::Never)
    }

    fn permit_owned_by(&self, wait: Wait) -> Result<Permit<'static>, SyncError> {
        let me = self.take_by(wait, Taking::AsGuard)?;
        Ok(Permit::of(Kept::owned(&self.primitive), me))
    }
}

/// Dropping it gives the permit back, as does the end of the process, however it ends. The drop
/// takes no lock and does not wait.
///
/// `Send`: another thread may drop it. A permit inherited across `fork` belongs to the parent: in
/// the child nothing happens when it is dropped.
///
/// ```
/// let semaphore = shmq::sync::Semaphore::new(1)?;
/// let permit: shmq::sync::Permit<'_> = semaphore.permit()?;
/// drop(permit);
/// assert_eq!(semaphore.value(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it gives the permit back at once"]
pub struct Permit<'s> {
    /// A semaphore.
    primitive: Kept<'s, Primitive>,
    me: Id,
    incarnation: u32,
    /// Kept for good: there is nothing to give back.
    is_over: bool,
}

impl<'s> Permit<'s> {
    /// For a permit that this process has taken as a guard.
    pub(super) fn of(primitive: Kept<'s, Primitive>, me: Id) -> Permit<'s> {
        Permit { incarnation: primitive.incarnation(), primitive, me, is_over: false }
    }

    /// Was it made by the parent process, before a fork? Then it is the parent's: this process may not
    /// read, write or end it, and dropping it does nothing.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// assert!(!semaphore.permit()?.is_inherited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_inherited(&self) -> bool {
        self.primitive.incarnation() != self.incarnation
    }

    /// Keeps the permit for good, as if it had been taken by [`Semaphore::acquire`].
    ///
    /// # Errors
    /// [`SyncError::Inherited`] in a child; [`SyncError::Poisoned`].
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// semaphore.permit()?.forget()?;
    /// assert_eq!(semaphore.value(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget(mut self) -> Result<(), SyncError> {
        if self.is_inherited() {
            return Err(SyncError::Inherited);
        }
        if self.primitive.is_poisoned() {
            return Err(SyncError::Poisoned);
        }
        // Killed between the two, the permit is gone for good: the table's word comes back with the
        // death, `total` does not (Invariant 3).
        let _ = words(&self.primitive).total.fetch_update(SeqCst, Relaxed, |total| total.checked_sub(1));
        holders(&self.primitive).give_back_one(self.me);
        self.is_over = true;
        Ok(())
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let is_ours = !self.is_over && !self.is_inherited();
        if is_ours && holders(&self.primitive).give_back_one(self.me) {
            notify_takers(&self.primitive, 1);
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Permit").field(&*self.primitive).finish()
    }
}
