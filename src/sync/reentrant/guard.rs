//! The guard of a reentrant lock.

#[cfg(doc)]
use super::ReentrantLock;
use super::{Levels, Locking};
use crate::attachment::Kept;
use crate::sync::primitive::Primitive;
use crate::sync::{LockError, SyncError};
use crate::wait::Wait;
use std::fmt;
use std::marker::PhantomData;

/// Dropping it gives one level of a [`ReentrantLock`] back.
///
/// Stays in its thread (`!Send`). Dropped in a panic, it is reported to the next holder like a death.
/// A guard inherited across `fork` belongs to the parent: in the child nothing happens when it is
/// dropped.
///
/// ```
/// let lock = shmq::sync::ReentrantLock::new()?;
/// let guard: shmq::sync::ReentrantLockGuard<'_> = lock.lock().unwrap();
/// drop(guard);
/// assert!(!lock.locked());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it releases the lock at once"]
pub struct ReentrantLockGuard<'l> {
    /// A reentrant lock.
    primitive: Kept<'l, Primitive>,
    incarnation: u32,
    /// In which it has a level (Invariant 3 of the module).
    period: u32,
    /// Was this thread panicking when it acquired the lock? Then a panic is no news.
    was_panicking: bool,
    /// Keeps the guard in its thread.
    thread: PhantomData<*const ()>,
}

impl<'l> ReentrantLockGuard<'l> {
    /// Takes one level, as a guard.
    pub(super) fn lock(primitive: Kept<'l, Primitive>, wait: Wait) -> Locking<'l> {
        Levels::of(&primitive).take(wait)?;
        ReentrantLockGuard::of(primitive)
    }

    /// For a level that this thread has.
    pub(in crate::sync) fn of(primitive: Kept<'l, Primitive>) -> Locking<'l> {
        let (incarnation, was_panicking) = (primitive.incarnation(), std::thread::panicking());
        let period = Levels::of(&primitive).period();
        let guard = ReentrantLockGuard { primitive, incarnation, period, was_panicking, thread: PhantomData };
        if guard.core().hold().owner_died() { Err(LockError::OwnerDied(guard)) } else { Ok(guard) }
    }

    pub(in crate::sync) fn core(&self) -> Levels<'_> {
        Levels::of(&self.primitive)
    }

    /// As [`ReentrantLock::mark_repaired`]. Does nothing in a child that inherited the guard, or if its
    /// level has ended.
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
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
        if self.check_mine().is_ok() {
            self.core().hold().mark_repaired();
        }
    }

    /// For a condition variable, which releases all levels and acquires them again.
    pub(in crate::sync) fn primitive(&self) -> Kept<'l, Primitive> {
        self.primitive.clone()
    }

    /// Does its level go on? Not if a wait or a release by hand has ended it.
    pub(in crate::sync) fn check_mine(&self) -> Result<(), SyncError> {
        if self.is_inherited() { Err(SyncError::Inherited) } else { self.core().check_mine_in(self.period) }
    }

    fn is_inherited(&self) -> bool {
        self.primitive.incarnation() != self.incarnation
    }
}

impl Drop for ReentrantLockGuard<'_> {
    fn drop(&mut self) {
        // Has this thread given its level back by `release`, there is nothing to do.
        if self.check_mine().is_err() {
            return;
        }
        if !self.was_panicking && std::thread::panicking() {
            self.core().hold().note_death();
        }
        let _ = self.core().release();
    }
}

impl fmt::Debug for ReentrantLockGuard<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("ReentrantLockGuard").field(&*self.primitive).finish()
    }
}
