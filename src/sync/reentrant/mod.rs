//! [`ReentrantLock`]: mutual exclusion without data, which the thread that has it may take again.
//!
//! Invariants (with those of `hold.rs`):
//! 1. The number of a hold is that of the thread in its process, given out once: a thread that has
//!    ended is no other thread's equal, whatever the system calls the two. So the word of a hold
//!    names its thread, and a thread that finds its own there has the lock.
//! 2. `levels` and `tid` are written by the thread that has the lock, after the word: what a dead
//!    holder left in them is overwritten. The count in `levels` is at least 1 while the lock is held.
//! 3. `levels` numbers the period too: from an acquisition to the release of the last level, and on
//!    after a wait at a condition variable that got the lock again. No two periods of a thread have
//!    one number, and a guard ends a level of its own period only: where a wait lost the lock, the
//!    guards of outer levels stand for nothing.

mod guard;
mod levels;
mod thread;

pub use guard::ReentrantLockGuard;
pub(super) use levels::{Levels, LevelsWord};

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::hold::Hold;
use super::primitive::{Primitive, PrimitiveKind};
use super::{Acquired, LockError, SyncError};
use crate::attachment::Kept;
use crate::error::CreateError;
use crate::shm::kind::Kind;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;

/// A lock without data, owned by one thread of one process, which may acquire it again: Python's
/// `multiprocessing.RLock`.
///
/// Each [`acquire`](Self::acquire) takes a level, each [`release`](Self::release) gives one back, and
/// the last one frees the lock. Only the thread that has it may release it:
/// [`SyncError::NotOwner`] names the one that has it. A Rust program seldom needs this: a function
/// that takes the guard, or the guarded data, as an argument needs no lock.
///
/// **If the holder's process dies** the next to acquire it gets it within 0.1 s, and is told, as by a
/// [`Lock`](crate::sync::Lock): [`Acquired::owner_died`], or [`LockError::OwnerDied`] with a guard,
/// until a holder calls [`mark_repaired`](Self::mark_repaired). A process that drops its last handle
/// while it holds the lock counts as dead.
///
/// **If the holder's thread ends** without a release, and its process goes on, the lock stays held
/// until that process ends, as Python's does: no other thread can release it, nor one that the system
/// gives the same id later. A guard prevents that.
///
/// **Its process** is the one that attached: clones of a handle, and handles that were sent to this
/// process, are one holder. A handle that it opened by name is another one, also beside these.
///
/// **After a fork** the child has none of its parent's levels, in the thread that forked neither.
///
/// There is no fairness. **In a signal handler** only [`locked`](Self::locked) may be called: a
/// handler runs in the thread that it interrupts, which may be in the middle of an acquire.
///
/// ```
/// use shmq::sync::{ReentrantLock, SyncError};
///
/// let lock = ReentrantLock::new()?;
/// lock.acquire()?;
/// lock.acquire()?; // again, by the same thread
/// let refused = std::thread::scope(|s| s.spawn(|| lock.release()).join().unwrap());
/// assert!(matches!(refused, Err(SyncError::NotOwner { pid, .. }) if pid == std::process::id()));
/// lock.release()?;
/// assert!(lock.is_mine());
/// lock.release()?;
/// assert!(!lock.locked());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ReentrantLock {
    primitive: Arc<Primitive>,
}

handle! {
    "reentrant lock", new: "shmq::sync::ReentrantLock::new()?", path: "shmq::sync::ReentrantLock",
    [] ReentrantLock, PrimitiveKind::bare(Kind::ReentrantLock),
    guards: |lock, in_use| in_use.locks += usize::from(lock.is_of_this_process())
}

type Locking<'l> = Result<ReentrantLockGuard<'l>, LockError<ReentrantLockGuard<'l>>>;

impl ReentrantLock {
    fn over(primitive: Arc<Primitive>) -> ReentrantLock {
        ReentrantLock { primitive }
    }

    /// Settings for a lock to be created: permissions, participants and more.
    ///
    /// ```
    /// assert!(!shmq::sync::ReentrantLock::builder().max_participants(2).create()?.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> PrimitiveBuilder<Self> {
        PrimitiveBuilder::of(PrimitiveKind::bare(Kind::ReentrantLock), 1, |_| (), Self::over)
    }

    /// Creates an anonymous lock that is free, which forked children inherit and serialised handles
    /// lead to.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// assert!(!shmq::sync::ReentrantLock::new()?.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Result<ReentrantLock, CreateError> {
        Self::builder().create()
    }

    /// Creates a lock of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-reentrant-lock-create-{}", std::process::id());
    /// let lock = shmq::sync::ReentrantLock::create(&name)?;
    /// lock.acquire()?;
    /// assert!(shmq::sync::ReentrantLock::open(&name)?.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>) -> Result<ReentrantLock, CreateError> {
        Self::builder().name(name).create()
    }

    /// Opens the lock of that name, or creates it if there is none. If all its users are dead it is
    /// replaced by one that is free, unless it was persisted: see the [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-reentrant-lock-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::ReentrantLock::open_or_create(&name)?;
    /// let second = shmq::sync::ReentrantLock::open_or_create(&name)?;
    /// second.acquire()?;
    /// assert!(first.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>) -> Result<ReentrantLock, CreateError> {
        Self::builder().name(name).open_or_create()
    }

    blocking_forms! {
        /// Acquires it, or one level more if this thread has it; waits while another thread has it.
        ///
        /// # Errors
        /// [`SyncError`]; it was not acquired. That a holder died is no error:
        /// [`Acquired::owner_died`].
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// let lock = shmq::sync::ReentrantLock::new()?;
        /// lock.acquire()?;
        /// lock.acquire()?;
        /// let other = || lock.acquire_timeout(Duration::from_millis(10));
        /// let refused = std::thread::scope(|s| s.spawn(other).join().unwrap());
        /// assert!(refused.unwrap_err().is_timeout());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        acquire, acquire_timeout, acquire_deadline,
        |self, wait| -> Result<Acquired, SyncError> { self.acquire_by(wait) }
    }

    /// Acquires it if it is free, this thread's already, or its holder is dead:
    /// [`SyncError::WouldBlock`](crate::sync::SyncError::WouldBlock) otherwise, at once.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// lock.try_acquire()?;
    /// let refused = std::thread::scope(|s| s.spawn(|| lock.try_acquire()).join().unwrap());
    /// assert!(refused.unwrap_err().is_would_block());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Acquired, SyncError> {
        self.acquire_by(Wait::Never)
    }

    fn acquire_by(&self, wait: Wait) -> Result<Acquired, SyncError> {
        self.core().take(wait)?;
        Ok(Acquired { owner_died: self.owner_died() })
    }

    /// Gives one level back; the last one frees the lock and wakes one that waits for it.
    ///
    /// # Errors
    /// [`SyncError::NotOwner`] if another thread has it, [`SyncError::NotLocked`] if none has. Nothing
    /// was changed.
    ///
    /// ```
    /// use shmq::sync::{ReentrantLock, SyncError};
    ///
    /// let lock = ReentrantLock::new()?;
    /// lock.acquire()?;
    /// lock.release()?;
    /// assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(&self) -> Result<(), SyncError> {
        self.core().release()
    }

    pub(super) fn core(&self) -> Levels<'_> {
        Levels::of(&self.primitive)
    }

    fn hold(&self) -> Hold<'_> {
        self.core().hold()
    }

    blocking_forms! {
        /// Acquires it as a guard, which gives one level back when it is dropped; waits while another
        /// thread has it.
        ///
        /// # Errors
        /// [`LockError::OwnerDied`] with the guard if a holder died or panicked; otherwise
        /// [`LockError::Failed`], and it was not acquired.
        ///
        /// ```
        /// let lock = shmq::sync::ReentrantLock::new()?;
        /// let outer = lock.lock().unwrap();
        /// drop(lock.lock().unwrap()); // again, in a function that is called
        /// assert!(lock.is_mine());
        /// drop(outer);
        /// assert!(!lock.locked());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock, lock_timeout, lock_deadline,
        |self, wait| -> Result<ReentrantLockGuard<'_>, LockError<ReentrantLockGuard<'_>>> { self.lock_by(wait) }
    }

    /// Acquires it as a guard if it is free, this thread's already, or its holder is dead:
    /// [`SyncError::WouldBlock`](crate::sync::SyncError::WouldBlock) otherwise, at once.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// let outer = lock.try_lock().unwrap();
    /// let inner = lock.try_lock().unwrap();
    /// # drop((inner, outer));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock(&self) -> Result<ReentrantLockGuard<'_>, LockError<ReentrantLockGuard<'_>>> {
        self.lock_by(Wait::Never)
    }

    fn lock_by(&self, wait: Wait) -> Locking<'_> {
        ReentrantLockGuard::lock(Kept::Borrowed(&self.primitive), wait)
    }

    blocking_forms! {
        /// Acquires it, with a guard that keeps the lock attached by itself, and so may outlive this
        /// handle; otherwise as [`lock`](Self::lock). It stays in its thread.
        ///
        /// # Errors
        /// As [`lock`](Self::lock).
        ///
        /// ```
        /// let lock = shmq::sync::ReentrantLock::new()?;
        /// let guard = lock.lock_owned().unwrap();
        /// assert!(lock.is_mine());
        /// drop(lock);
        /// drop(guard);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock_owned, lock_owned_timeout, lock_owned_deadline,
        |self, wait| -> Result<ReentrantLockGuard<'static>, LockError<ReentrantLockGuard<'static>>> { self.lock_owned_by(wait) }
    }

    /// As [`try_lock`](Self::try_lock), with a guard as of [`lock_owned`](Self::lock_owned).
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock).
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// let (outer, inner) = (lock.try_lock_owned().unwrap(), lock.try_lock_owned().unwrap());
    /// assert_eq!(lock.levels(), 2);
    /// # drop((inner, outer));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock_owned(&self) -> Result<ReentrantLockGuard<'static>, LockError<ReentrantLockGuard<'static>>> {
        self.lock_owned_by(Wait::Never)
    }

    fn lock_owned_by(&self, wait: Wait) -> Locking<'static> {
        ReentrantLockGuard::lock(Kept::owned(&self.primitive), wait)
    }

    /// Does a thread of a live process have it, this one perhaps? Probes the holder: one system call,
    /// if it is another process.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// assert!(!lock.locked());
    /// lock.acquire()?;
    /// assert!(lock.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn locked(&self) -> bool {
        self.hold().is_held()
    }

    /// Does a thread of this process have it?
    fn is_of_this_process(&self) -> bool {
        self.primitive.known_me().is_some_and(|me| self.hold().now().is_of(me))
    }

    /// Does this thread have it?
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// lock.acquire()?;
    /// assert!(lock.is_mine());
    /// assert!(!std::thread::scope(|s| s.spawn(|| lock.is_mine()).join().unwrap()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_mine(&self) -> bool {
        self.core().check_mine().is_ok()
    }

    /// How many levels this thread has: 0 if it does not have the lock.
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// lock.acquire()?;
    /// lock.acquire()?;
    /// assert_eq!(lock.levels(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn levels(&self) -> u64 {
        self.core().count()
    }

    /// The process that has it, or had it when it died, as that process saw its id. For messages.
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// assert_eq!(lock.holder_pid(), None);
    /// lock.acquire()?;
    /// assert_eq!(lock.holder_pid(), Some(std::process::id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn holder_pid(&self) -> Option<u32> {
        self.hold().holder_pid()
    }

    /// Has a holder died, or panicked with a guard, with no call of
    /// [`mark_repaired`](Self::mark_repaired) since? Ask it while you hold the lock.
    ///
    /// ```
    /// let lock = shmq::sync::ReentrantLock::new()?;
    /// lock.acquire()?;
    /// assert!(!lock.owner_died());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn owner_died(&self) -> bool {
        self.hold().owner_died()
    }

    /// What the lock guards is in order again: later holders are not told of the death. To be called
    /// while you hold the lock. Does nothing if no holder died.
    ///
    /// ```
    /// use shmq::{Process, sync::ReentrantLock};
    ///
    /// let lock = ReentrantLock::new()?;
    /// let inherited = lock.clone();
    /// Process::spawn(move || std::mem::forget(inherited.lock().unwrap()))?.join()?;
    /// assert!(lock.acquire()?.owner_died);
    /// lock.mark_repaired();
    /// assert!(!lock.owner_died());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn mark_repaired(&self) {
        self.hold().mark_repaired();
    }
}

impl fmt::Debug for ReentrantLock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = out.debug_struct("ReentrantLock");
        fields
            .field("primitive", &self.primitive)
            .field("holder_pid", &self.holder_pid())
            .field("owner_died", &self.owner_died());
        fields.finish()
    }
}
