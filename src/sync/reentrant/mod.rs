//! [`ReentrantLock`]: mutual exclusion without data, which the thread that has it may take again.
//!
//! Invariants (with those of `hold.rs`):
//! 1. The number of a hold is that of the thread in its process, given out once: a thread that has
//!    ended is no other thread's equal, whatever the system calls the two. So the word of a hold
//!    names its thread, and a thread that finds its own there has the lock.
//! 2. `levels` and `tid` are written by the thread that has the lock, after the word: what a dead
//!    holder left in them is overwritten. `levels` is at least 1 while the lock is held.

mod guard;
mod thread;

pub use guard::ReentrantLockGuard;

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::hold::{Hold, HoldWord};
use super::primitive::{Primitive, PrimitiveKind};
use super::{Acquired, LockError, SyncError};
use crate::attachment::Attached;
use crate::error::CreateError;
use crate::shm::kind::Kind;
use crate::shm::participant::Id;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use thread::{Thread, this_thread};

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
    [] ReentrantLock, PrimitiveKind::bare(Kind::ReentrantLock)
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
    /// shmq::sync::ReentrantLock::open_or_create(&name)?.acquire()?;
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
        self.take_by(wait)?;
        Ok(Acquired { owner_died: self.owner_died() })
    }

    fn take_by(&self, wait: Wait) -> Result<(), SyncError> {
        let (me, thread) = self.me()?;
        let hold = self.hold();
        if hold.now() == HoldWord::of(me, thread.number) {
            hold.words.levels.store(self.level().wrapping_add(1), Relaxed);
            return Ok(());
        }
        hold.acquire(me, wait, |_| thread.number)?;
        self.begin(thread, 1);
        Ok(())
    }

    /// Needs the lock, which this thread has just got (Invariant 2).
    fn begin(&self, thread: Thread, levels: u64) {
        self.hold().words.levels.store(levels, Relaxed);
        self.hold().words.tid.store(thread.tid, Relaxed);
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
        let mine = self.expect_mine()?;
        match self.level() {
            // Garbage of a peer counts as 1 (Invariant 2).
            0 | 1 => drop(self.hold().free(mine)),
            levels => self.hold().words.levels.store(levels - 1, Relaxed),
        }
        Ok(())
    }

    /// Frees the lock, however many levels this thread has: how many those were.
    pub(super) fn release_all(&self) -> Result<u64, SyncError> {
        let mine = self.expect_mine()?;
        let levels = self.level().max(1);
        self.hold().free(mine);
        Ok(levels)
    }

    /// Acquires it with as many levels as [`release_all`](Self::release_all) gave back.
    pub(super) fn acquire_all(&self, levels: u64, wait: Wait) -> Result<Acquired, SyncError> {
        let (me, thread) = self.me()?;
        self.hold().acquire(me, wait, |_| thread.number)?;
        self.begin(thread, levels);
        Ok(Acquired { owner_died: self.owner_died() })
    }

    pub(super) fn check_mine(&self) -> Result<(), SyncError> {
        self.expect_mine().map(drop)
    }

    fn expect_mine(&self) -> Result<HoldWord, SyncError> {
        let (me, thread) = self.me()?;
        let (hold, mine) = (self.hold(), HoldWord::of(me, thread.number));
        match hold.now() {
            now if now == mine => Ok(mine),
            now if now.is_free() => Err(SyncError::NotLocked),
            _ => Err(hold.not_owner()),
        }
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
        self.take_by(wait)?;
        let guard = ReentrantLockGuard::of(self);
        if self.owner_died() { Err(LockError::OwnerDied(guard)) } else { Ok(guard) }
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
        self.expect_mine().is_ok()
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
        if self.is_mine() { self.level().max(1) } else { 0 }
    }

    /// Of the thread that has it: this one, or it is garbage a moment later.
    fn level(&self) -> u64 {
        self.hold().words.levels.load(Relaxed)
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

    fn me(&self) -> Result<(Id, Thread), SyncError> {
        let me = self.primitive.me()?;
        Ok((me, this_thread(self.primitive.incarnation())))
    }

    fn hold(&self) -> Hold<'_> {
        // SAFETY: a `ReentrantLock` is made over primitives of its kind only.
        unsafe { Hold::of(&self.primitive) }
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
