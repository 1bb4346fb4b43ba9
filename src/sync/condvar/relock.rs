//! What a condition variable releases while it waits, and acquires again.

use crate::attachment::Kept;
use crate::sync::lock::{Lock, LockGuard};
use crate::sync::mutex::MutexGuard;
use crate::sync::primitive::Primitive;
use crate::sync::reentrant::{Levels, LevelsWord, ReentrantLock, ReentrantLockGuard};
use crate::sync::{LockError, SyncError};
use crate::wait::Wait;

/// What a [`Condvar`](crate::sync::Condvar) can wait with: it releases it, and acquires it again.
///
/// | | what the waits check | |
/// |---|---|---|
/// | [`MutexGuard`] | `T`, what it guards | of any `Mutex` or `Array` |
/// | [`LockGuard`] | `()` | |
/// | [`ReentrantLockGuard`] | `()` | all levels of the thread are released, and restored |
/// | `&Lock`, acquired by this process | `()` | for a lock without a guard |
/// | `&ReentrantLock`, acquired by this thread | `()` | the same; all levels |
///
/// A wait with one of the last two that ends with [`LockError::OwnerDied`] has acquired it, as one that
/// succeeds has, and no guard releases it: not where `?` turns the error into a [`SyncError`] either.
/// After any other error it is not acquired.
///
/// It cannot be implemented by hand.
///
/// ```
/// use shmq::sync::{Condvar, ReentrantLock};
/// use std::time::Duration;
///
/// let (lock, condvar) = (ReentrantLock::new()?, Condvar::new()?);
/// lock.acquire()?;
/// lock.acquire()?;
/// let (_, result) = condvar.wait_notified_timeout(&lock, Duration::from_millis(10)).unwrap();
/// assert!(result.timed_out() && lock.levels() == 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait CondvarGuard: Relock {
    /// What a condition is asked about.
    type Data: ?Sized;

    #[doc(hidden)]
    fn data(&mut self) -> &mut Self::Data;
}

/// How it is released and acquired again. `Released` is what the second needs.
pub trait Relock: Sized {
    type Released;

    /// Can this caller release it?
    fn check(&self) -> Result<(), SyncError>;

    fn release(self) -> Result<Self::Released, SyncError>;

    fn acquire(released: Self::Released, wait: Wait) -> Result<Self, LockError<Self>>;
}

impl<T: ?Sized> CondvarGuard for MutexGuard<'_, T> {
    type Data = T;

    fn data(&mut self) -> &mut T {
        &mut *self
    }
}

/// A mutex, or an array, whose guard was given up for a while.
pub struct Unlocked<'m, T: ?Sized> {
    mutex: Kept<'m, Primitive>,
    value: *mut T,
}

impl<'m, T: ?Sized> Relock for MutexGuard<'m, T> {
    type Released = Unlocked<'m, T>;

    fn check(&self) -> Result<(), SyncError> {
        if self.is_inherited() { Err(SyncError::Inherited) } else { Ok(()) }
    }

    fn release(self) -> Result<Self::Released, SyncError> {
        let (mutex, value) = self.parts();
        Ok(Unlocked { mutex, value })
    }

    fn acquire(Unlocked { mutex, value }: Self::Released, wait: Wait) -> Result<Self, LockError<Self>> {
        MutexGuard::lock(mutex, value, wait)
    }
}

/// A lock whose guard was given up for a while.
pub struct Released<'l> {
    lock: Kept<'l, Primitive>,
}

/// The same of a reentrant lock, and what its thread had of it.
pub struct ReleasedLevels<'l> {
    lock: Kept<'l, Primitive>,
    levels: LevelsWord,
}

/// The same without a guard.
pub struct ReleasedByHand<'l> {
    lock: &'l ReentrantLock,
    levels: LevelsWord,
}

impl CondvarGuard for LockGuard<'_> {
    type Data = ();

    fn data(&mut self) -> &mut () {
        no_data()
    }
}

impl<'l> Relock for LockGuard<'l> {
    type Released = Released<'l>;

    fn check(&self) -> Result<(), SyncError> {
        if self.is_inherited() { Err(SyncError::Inherited) } else { Ok(()) }
    }

    fn release(self) -> Result<Released<'l>, SyncError> {
        Ok(Released { lock: self.primitive() })
    }

    fn acquire(Released { lock }: Released<'l>, wait: Wait) -> Result<Self, LockError<Self>> {
        LockGuard::lock(lock, wait)
    }
}

impl CondvarGuard for ReentrantLockGuard<'_> {
    type Data = ();

    fn data(&mut self) -> &mut () {
        no_data()
    }
}

impl<'l> Relock for ReentrantLockGuard<'l> {
    type Released = ReleasedLevels<'l>;

    fn check(&self) -> Result<(), SyncError> {
        self.check_mine()
    }

    fn release(self) -> Result<Self::Released, SyncError> {
        // The drop of the guard, behind this, finds nothing to release.
        Ok(ReleasedLevels { levels: self.core().release_all()?, lock: self.primitive() })
    }

    fn acquire(ReleasedLevels { lock, levels }: Self::Released, wait: Wait) -> Result<Self, LockError<Self>> {
        Levels::of(&lock).acquire_all(levels, wait)?;
        ReentrantLockGuard::of(lock)
    }
}

impl CondvarGuard for &Lock {
    type Data = ();

    fn data(&mut self) -> &mut () {
        no_data()
    }
}

impl Relock for &Lock {
    type Released = Self;

    fn check(&self) -> Result<(), SyncError> {
        self.check_mine()
    }

    fn release(self) -> Result<Self, SyncError> {
        Lock::release(self)?;
        Ok(self)
    }

    fn acquire(lock: Self, wait: Wait) -> Result<Self, LockError<Self>> {
        if lock.acquire_by(wait)?.owner_died { Err(LockError::OwnerDied(lock)) } else { Ok(lock) }
    }
}

impl CondvarGuard for &ReentrantLock {
    type Data = ();

    fn data(&mut self) -> &mut () {
        no_data()
    }
}

impl<'l> Relock for &'l ReentrantLock {
    type Released = ReleasedByHand<'l>;

    fn check(&self) -> Result<(), SyncError> {
        self.core().check_mine()
    }

    fn release(self) -> Result<Self::Released, SyncError> {
        Ok(ReleasedByHand { lock: self, levels: self.core().release_all()? })
    }

    fn acquire(ReleasedByHand { lock, levels }: Self::Released, wait: Wait) -> Result<Self, LockError<Self>> {
        lock.core().acquire_all(levels, wait)?;
        if lock.owner_died() { Err(LockError::OwnerDied(lock)) } else { Ok(lock) }
    }
}

/// Of a lock that guards nothing.
fn no_data<'a>() -> &'a mut () {
    Box::leak(Box::new(()))
}
