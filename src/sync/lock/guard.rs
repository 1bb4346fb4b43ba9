//! The guard of a lock without data.

#[cfg(doc)]
use super::Lock;
use super::{Locking, hold, take};
use crate::attachment::Kept;
use crate::sync::LockError;
use crate::sync::hold::{Hold, HoldWord};
use crate::sync::primitive::Primitive;
use crate::wait::Wait;
use std::fmt;

/// Dropping it releases the [`Lock`].
///
/// `Send`: another thread may drop it. It ends the hold that it stands for and no other: if some
/// process has released the lock since, nothing happens. Dropped in a panic, it is reported to the
/// next holder like a death. A guard inherited across `fork` belongs to the parent: in the child
/// nothing happens when it is dropped.
///
/// ```
/// let lock = shmq::sync::Lock::new()?;
/// let guard: shmq::sync::LockGuard<'_> = lock.lock().unwrap();
/// drop(guard);
/// assert!(!lock.locked());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it releases the lock at once"]
pub struct LockGuard<'l> {
    /// A lock.
    primitive: Kept<'l, Primitive>,
    hold: HoldWord,
    incarnation: u32,
    /// Was this thread panicking when it acquired the lock? Then a panic is no news.
    was_panicking: bool,
}

impl<'l> LockGuard<'l> {
    /// The one path to a guard.
    pub(in crate::sync) fn lock(primitive: Kept<'l, Primitive>, wait: Wait) -> Locking<'l> {
        let hold = take(&primitive, wait)?;
        let (incarnation, was_panicking) = (primitive.incarnation(), std::thread::panicking());
        let guard = LockGuard { primitive, hold, incarnation, was_panicking };
        if guard.hold().owner_died() { Err(LockError::OwnerDied(guard)) } else { Ok(guard) }
    }

    fn hold(&self) -> Hold<'_> {
        hold(&self.primitive)
    }

    /// As [`Lock::mark_repaired`]. Does nothing in a child that inherited the guard, or if another
    /// process has released the lock since.
    ///
    /// ```
    /// let lock = shmq::sync::Lock::new()?;
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// std::thread::scope(|s| s.spawn(|| {
    ///     let _guard = lock.lock().unwrap();
    ///     panic!("with the lock held");
    /// }).join()).unwrap_err();
    /// let mut guard = lock.lock().unwrap_err().into_guard().unwrap();
    /// guard.mark_repaired();
    /// drop(guard);
    /// assert!(lock.lock().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark_repaired(&mut self) {
        if !self.is_inherited() && self.hold().now() == self.hold {
            self.hold().mark_repaired();
        }
    }

    /// For a condition variable, which releases by dropping and acquires again.
    pub(in crate::sync) fn primitive(&self) -> Kept<'l, Primitive> {
        self.primitive.clone()
    }

    pub(in crate::sync) fn is_inherited(&self) -> bool {
        self.primitive.incarnation() != self.incarnation
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        let hold = self.hold();
        if !self.was_panicking && std::thread::panicking() && hold.now() == self.hold {
            hold.note_death();
        }
        // Invariant 1.
        hold.free(self.hold);
    }
}

impl fmt::Debug for LockGuard<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("LockGuard").field(&*self.primitive).finish()
    }
}
