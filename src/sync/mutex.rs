//! [`Mutex`]: plain data that one thread of one process uses at a time.
//!
//! ```text
//!   free --lock--> held --unlock (drop)--> free
//!                   |  holder dies (or panics)
//!                   v
//!               needs repair: each locker gets OwnerDied(guard) --mark_repaired--> held, in order
//! ```
//!
//! Invariants:
//! 1. `value` of a guard leads to the primitive's data, which no other thread reads or writes while
//!    the lock is held.
//! 2. `needs_repair` is written under the lock. It is 1 before a process that takes the lock over
//!    from the dead gives it back.
//! 3. A guard whose incarnation is not this process's was inherited across a fork: it belongs to
//!    the parent. It is never dereferenced and its drop touches nothing.

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::primitive::{Primitive, PrimitiveKind, PrimitiveMemory};
use super::{LockError, Plain, SyncError};
use crate::attachment::{Attached, Kept};
use crate::error::CreateError;
use crate::lock::Locked;
use crate::message::bytes_of;
use crate::shm::kind::Kind;
use crate::shm::layout::MutexWords;
use crate::shm::participant::Id;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Plain data that one thread of one process uses at a time, also if processes are killed.
///
/// **If the holder dies** or panics, the next locker gets the lock within about 5 ms (at most 0.1 s
/// if it has been waiting for long), as [`LockError::OwnerDied`]: with a guard, so that it can
/// check the data, repair them, and say so with [`mark_repaired`](MutexGuard::mark_repaired). Until
/// then, every locker gets the same error. A holder that was *stopped* is alive: others wait for it
/// until their deadlines.
///
/// **In a signal handler** only [`try_lock`](Self::try_lock) may be called, and the guard that it
/// gives may be used and dropped. The others would wait for the thread that they interrupt. See the
/// [module](crate::sync#signal-handlers).
///
/// **Not recursive**: a thread that locks twice waits for itself until its deadline, or for ever.
/// There is no fairness. A lock and unlock without contention take two locked instructions, no
/// system call.
///
/// ```
/// use shmq::{Process, sync::{LockError, Mutex}};
///
/// let pair = Mutex::new([1u32, 1])?; // both always the same
/// let inherited = pair.clone();
/// let child = Process::spawn(move || {
///     let mut pair = inherited.lock().unwrap();
///     pair[0] = 2;
///     std::process::abort(); // in the middle of its work
/// })?;
/// child.join()?;
/// let mut guard = match pair.lock() {
///     Err(LockError::OwnerDied(guard)) => guard,
///     other => panic!("{other:?}"),
/// };
/// assert_eq!(*guard, [2, 1]);
/// guard[1] = 2;
/// guard.mark_repaired();
/// drop(guard);
/// assert!(pair.lock().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Mutex<T> {
    primitive: Arc<Primitive>,
    guards: PhantomData<fn() -> T>,
}

type Locking<'m, T> = Result<MutexGuard<'m, T>, LockError<MutexGuard<'m, T>>>;

handle! {
    "mutex", new: "shmq::sync::Mutex::new(1u64)?", path: "shmq::sync::Mutex::<u64>",
    [T: Plain] Mutex<T>, PrimitiveKind::of::<T>(Kind::Mutex)
}

impl<T: Plain> Mutex<T> {
    fn over(primitive: Arc<Primitive>) -> Mutex<T> {
        Mutex { primitive, guards: PhantomData }
    }

    /// Settings for a mutex to be created: permissions, participants and more.
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::builder(5u64).max_participants(9).create()?;
    /// assert_eq!(*mutex.lock().unwrap(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(value: T) -> PrimitiveBuilder<Self> {
        let bytes = bytes_of(std::slice::from_ref(&value)).to_vec();
        // SAFETY: the builder runs it while the segment is built, before it is published.
        let init = move |cell: PrimitiveMemory| unsafe { cell.fill(&bytes) };
        PrimitiveBuilder::of(PrimitiveKind::of::<T>(Kind::Mutex), 1, init, Self::over)
    }

    /// Creates an anonymous mutex, which forked children inherit and serialised handles lead to.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::new(5u64)?;
    /// assert_eq!(*mutex.lock().unwrap(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(value: T) -> Result<Mutex<T>, CreateError> {
        Self::builder(value).create()
    }

    /// Creates a mutex of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-mutex-create-{}", std::process::id());
    /// let mutex = shmq::sync::Mutex::create(&name, 5u64)?;
    /// assert!(shmq::sync::Mutex::create(&name, 6u64).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, value: T) -> Result<Mutex<T>, CreateError> {
        Self::builder(value).name(name).create()
    }

    /// Opens the mutex of that name, or creates it with `value` if there is none. If all its users
    /// are dead it is replaced by a new one with `value`, unless it was persisted: see the
    /// [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-mutex-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Mutex::open_or_create(&name, 5u64)?;
    /// let second = shmq::sync::Mutex::open_or_create(&name, 6u64)?;
    /// assert_eq!(*second.lock().unwrap(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, value: T) -> Result<Mutex<T>, CreateError> {
        Self::builder(value).name(name).open_or_create()
    }

    blocking_forms! {
        /// Locks; waits while another thread or process has the lock. The guard unlocks when it is
        /// dropped.
        ///
        /// # Errors
        /// [`LockError::OwnerDied`] with the guard if the last holder died or panicked; otherwise
        /// [`LockError::Failed`], and it is not locked.
        ///
        /// ```
        /// use std::time::Duration;
        /// use shmq::sync::{LockError, Mutex, SyncError};
        ///
        /// let mutex = Mutex::new(1u64)?;
        /// let mut guard = mutex.lock().unwrap();
        /// *guard += 1;
        /// let refused = mutex.lock_timeout(Duration::from_millis(10));
        /// assert!(matches!(refused, Err(LockError::Failed(SyncError::Timeout))));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock, lock_timeout, lock_deadline,
        |self, wait| -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> { self.lock_by(wait) }
    }

    /// Locks if the lock is free, or its holder is dead:
    /// [`SyncError::WouldBlock`](crate::sync::SyncError::WouldBlock) otherwise, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// use shmq::sync::{LockError, Mutex, SyncError};
    ///
    /// let mutex = Mutex::new(1u64)?;
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(matches!(mutex.try_lock(), Err(LockError::Failed(SyncError::WouldBlock))));
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_by(Wait::Never)
    }

    fn lock_by(&self, wait: Wait) -> Locking<'_, T> {
        let value = self.primitive.cell().data().cast::<T>();
        MutexGuard::lock(Kept::Borrowed(&self.primitive), value, wait)
    }

    blocking_forms! {
        /// Locks, with a guard that keeps the mutex attached by itself, and so may outlive this
        /// handle; otherwise as [`lock`](Self::lock).
        ///
        /// It may be stored beside the mutex, dropped by another thread, and given to a
        /// [`Condvar`](crate::sync::Condvar). **Not across an `.await`**: a task that locks the same
        /// mutex blocks its thread, on which the holder may be waiting to be polled. A
        /// [`Permit`](crate::sync::Permit) of a semaphore, which is awaited, has no such limit.
        ///
        /// # Errors
        /// As [`lock`](Self::lock).
        ///
        /// ```
        /// use shmq::sync::{Mutex, MutexGuard};
        ///
        /// struct Account {
        ///     balance: MutexGuard<'static, u64>, // locked as long as it lives
        /// }
        ///
        /// let mutex = Mutex::new(7u64)?;
        /// let mut account = Account { balance: mutex.lock_owned().unwrap() };
        /// *account.balance += 1;
        /// assert!(mutex.try_lock().is_err());
        /// drop(account);
        /// assert_eq!(*mutex.lock().unwrap(), 8);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock_owned, lock_owned_timeout, lock_owned_deadline,
        |self, wait| -> Result<MutexGuard<'static, T>, LockError<MutexGuard<'static, T>>> { self.lock_owned_by(wait) }
    }

    /// As [`try_lock`](Self::try_lock), with a guard as of [`lock_owned`](Self::lock_owned).
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock).
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::new(1u64)?;
    /// let guard = mutex.try_lock_owned().unwrap();
    /// drop(mutex);
    /// assert_eq!(*guard, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock_owned(&self) -> Result<MutexGuard<'static, T>, LockError<MutexGuard<'static, T>>> {
        self.lock_owned_by(Wait::Never)
    }

    fn lock_owned_by(&self, wait: Wait) -> Locking<'static, T> {
        let value = self.primitive.cell().data().cast::<T>();
        MutexGuard::lock(Kept::owned(&self.primitive), value, wait)
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Mutex").field(&self.primitive).finish()
    }
}

/// Dropping it unlocks. Access to what a [`Mutex`] or an [`Array`](crate::sync::Array) guards.
///
/// It may be sent to another thread and dropped there: the lock belongs to the process. (Not under
/// `--cfg shmq_portable_sync`, whose locks belong to threads.) `mem::forget` of it holds the lock
/// until the process ends, which is then a death like any other. Dropped in a panic, it is reported
/// to the next locker like a death. A guard inherited across `fork` belongs to the parent: in the child it
/// unlocks nothing, and using it panics.
///
/// ```
/// let mutex = shmq::sync::Mutex::new(1u64)?;
/// let mut guard: shmq::sync::MutexGuard<'_, u64> = mutex.lock().unwrap();
/// *guard += 1;
/// drop(guard);
/// assert_eq!(*mutex.lock().unwrap(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it unlocks at once"]
pub struct MutexGuard<'m, T: ?Sized> {
    primitive: Kept<'m, Primitive>,
    me: Id,
    incarnation: u32,
    /// Was this thread panicking when it locked? Then a panic is no news.
    was_panicking: bool,
    value: *mut T,
}

// SAFETY: the lock belongs to the process, and so its end may come from another thread. The guard is
// the only access to its data, as a `&mut T` is.
#[cfg(not(shmq_portable_sync))]
unsafe impl<T: ?Sized + Send> Send for MutexGuard<'_, T> {}

// SAFETY: a shared guard gives `&T` only, and its other methods need it mutably or by value.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

pub(super) fn words(primitive: &Primitive) -> &MutexWords {
    // SAFETY: guards are made for mutexes and arrays only, whose words these are.
    unsafe { primitive.cell().words::<MutexWords>() }
}

impl<'m, T: ?Sized> MutexGuard<'m, T> {
    /// The one path to a guard. `value` leads to the data of the primitive.
    pub(super) fn lock(primitive: Kept<'m, Primitive>, value: *mut T, wait: Wait) -> Locking<'m, T> {
        let me = primitive.me().map_err(SyncError::from)?;
        let locked = primitive.enter_for_work(me, wait)?;
        let was_panicking = std::thread::panicking();
        let incarnation = primitive.incarnation();
        primitive.note_guard(incarnation);
        let guard = MutexGuard { primitive, me, incarnation, was_panicking, value };
        if locked == Locked::FromTheDead {
            words(&guard.primitive).needs_repair.store(1, Relaxed);
        }
        // Relaxed, here and above: ordered by the lock (Invariant 2).
        if words(&guard.primitive).needs_repair.load(Relaxed) != 0 { Err(LockError::OwnerDied(guard)) } else { Ok(guard) }
    }

    /// Marks the data as repaired, after [`LockError::OwnerDied`]: later lockers get the lock
    /// without an error. Does nothing otherwise.
    ///
    /// # Panics
    /// In a child that inherited the guard.
    ///
    /// ```
    /// use shmq::sync::Mutex;
    ///
    /// let mutex = Mutex::new(0u32)?;
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// std::thread::scope(|s| s.spawn(|| {
    ///     let _guard = mutex.lock().unwrap();
    ///     panic!("with the lock held");
    /// }).join()).unwrap_err();
    /// let mut guard = mutex.lock().unwrap_err().into_guard().unwrap();
    /// *guard = 7;
    /// guard.mark_repaired();
    /// drop(guard);
    /// assert_eq!(*mutex.lock().unwrap(), 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark_repaired(&mut self) {
        self.check_owner();
        words(&self.primitive).needs_repair.store(0, Relaxed);
    }

    /// Was it made by the parent process, before a fork? Then it is the parent's: this process may not
    /// read, write or end it, and dropping it does nothing.
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::new(1u64)?;
    /// assert!(!mutex.lock().unwrap().is_inherited());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_inherited(&self) -> bool {
        self.primitive.incarnation() != self.incarnation
    }

    fn check_owner(&self) {
        assert!(!self.is_inherited(), "this guard belongs to the parent process: lock again after fork");
    }

    /// For a condition variable, which unlocks by dropping and locks again.
    pub(super) fn parts(&self) -> (Kept<'m, Primitive>, *mut T) {
        (self.primitive.clone(), self.value)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.check_owner();
        // SAFETY: Invariants 1 and 3; any bits are a T (Plain).
        unsafe { &*self.value }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.check_owner();
        // SAFETY: Invariants 1 and 3; the guard is borrowed mutably.
        unsafe { &mut *self.value }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.is_inherited() {
            return;
        }
        if !self.was_panicking && std::thread::panicking() {
            words(&self.primitive).needs_repair.store(1, Relaxed);
        }
        self.primitive.forget_guard();
        // This call reports nothing; the next locker gets the error.
        let _ = self.primitive.exit(self.me);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_inherited() { out.write_str("MutexGuard(inherited)") } else { (**self).fmt(out) }
    }
}
