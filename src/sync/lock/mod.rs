//! [`Lock`]: mutual exclusion without data, which any thread or process may end.
//!
//! Invariants (with those of `hold.rs`):
//! 1. The number of a hold is that of the acquisition, so a guard ends its own hold only: one that
//!    another process has released is not released again.

mod guard;

pub use guard::LockGuard;

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::hold::{Hold, HoldWord};
use super::primitive::{Primitive, PrimitiveKind};
use super::{LockError, SyncError};
use crate::attachment::{Attached, Kept};
use crate::error::CreateError;
use crate::shm::kind::Kind;
use crate::wait::{Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;

/// A lock without data, which any thread of any process may release: Python's
/// `multiprocessing.Lock`.
///
/// A Rust program that guards data wants a [`Mutex`](crate::sync::Mutex), or a guard of this
/// ([`lock`](Self::lock)). [`acquire`](Self::acquire) and [`release`](Self::release) are for locks
/// that one thread takes and another gives back, and for other languages.
///
/// **If the holder dies** while it has the lock, the next to acquire it gets it within 0.1 s, and is
/// told: [`Acquired::owner_died`], or [`LockError::OwnerDied`] with a guard. So is each one after it,
/// until a holder says that it has put things in order ([`mark_repaired`](Self::mark_repaired)). The
/// holder is the process that acquired it, whichever is to release it. A process that drops its last
/// handle while it holds the lock counts as dead; a thread that ends does not. A holder that was
/// *stopped* is alive: others wait for it until their deadlines.
///
/// **After a fork** the parent still holds what it held. A child may release it.
///
/// **Not recursive**: a thread that acquires it twice waits for another to release it. There is no
/// fairness. Without contention, acquire and release take two locked instructions and a fence, no
/// system call.
///
/// **In a signal handler** the `try_` forms, [`release`](Self::release), [`locked`](Self::locked) and
/// the drop of a guard may be called, whatever they interrupt. See the
/// [module](crate::sync#signal-handlers).
///
/// ```
/// use shmq::{Process, sync::Lock};
///
/// let lock = Lock::new()?;
/// let inherited = lock.clone();
/// let child = Process::spawn(move || {
///     inherited.acquire().unwrap();
///     std::process::abort(); // while it holds the lock
/// })?;
/// child.join()?;
/// assert!(lock.acquire()?.owner_died);
/// lock.mark_repaired();
/// lock.release()?;
/// assert!(!lock.acquire()?.owner_died);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Lock {
    primitive: Arc<Primitive>,
}

handle! {
    "lock", new: "shmq::sync::Lock::new()?", path: "shmq::sync::Lock",
    [] Lock, PrimitiveKind::bare(Kind::Lock),
    guards: |lock, in_use| in_use.locks += usize::from(lock.is_mine())
}

/// How a lock was acquired.
///
/// ```
/// let acquired: shmq::sync::Acquired = shmq::sync::Lock::new()?.acquire()?;
/// assert!(!acquired.owner_died);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acquired {
    /// A holder died, or panicked with a guard, and no process has called `mark_repaired` since: what
    /// the lock guards may be half changed.
    pub owner_died: bool,
}

type Locking<'l> = Result<LockGuard<'l>, LockError<LockGuard<'l>>>;

impl Lock {
    fn over(primitive: Arc<Primitive>) -> Lock {
        Lock { primitive }
    }

    /// Settings for a lock to be created: permissions, participants and more.
    ///
    /// ```
    /// assert!(!shmq::sync::Lock::builder().max_participants(2).create()?.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> PrimitiveBuilder<Self> {
        PrimitiveBuilder::of(PrimitiveKind::bare(Kind::Lock), 1, |_| (), Self::over)
    }

    /// Creates an anonymous lock that is free, which forked children inherit and serialised handles
    /// lead to.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// assert!(!shmq::sync::Lock::new()?.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Result<Lock, CreateError> {
        Self::builder().create()
    }

    /// Creates a lock of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-lock-create-{}", std::process::id());
    /// let lock = shmq::sync::Lock::create(&name)?;
    /// lock.acquire()?;
    /// assert!(shmq::sync::Lock::open(&name)?.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>) -> Result<Lock, CreateError> {
        Self::builder().name(name).create()
    }

    /// Opens the lock of that name, or creates it if there is none. If all its users are dead it is
    /// replaced by one that is free, unless it was persisted: see the [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-lock-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Lock::open_or_create(&name)?;
    /// let second = shmq::sync::Lock::open_or_create(&name)?;
    /// second.acquire()?;
    /// assert!(first.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>) -> Result<Lock, CreateError> {
        Self::builder().name(name).open_or_create()
    }

    blocking_forms! {
        /// Acquires it; waits while another thread or process has it. [`release`](Self::release) gives
        /// it back, in any thread of any process.
        ///
        /// # Errors
        /// [`SyncError`]; it was not acquired. That a holder died is no error:
        /// [`Acquired::owner_died`].
        ///
        /// ```
        /// use std::time::Duration;
        ///
        /// let lock = shmq::sync::Lock::new()?;
        /// lock.acquire()?;
        /// assert!(lock.acquire_timeout(Duration::from_millis(10)).unwrap_err().is_timeout());
        /// std::thread::scope(|s| s.spawn(|| lock.release()).join().unwrap())?;
        /// lock.acquire()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        acquire, acquire_timeout, acquire_deadline,
        |self, wait| -> Result<Acquired, SyncError> { self.acquire_by(wait) }
    }

    /// Acquires it if it is free, or its holder is dead:
    /// [`SyncError::WouldBlock`](crate::sync::SyncError::WouldBlock) otherwise, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// let lock = shmq::sync::Lock::new()?;
    /// lock.try_acquire()?;
    /// assert!(lock.try_acquire().unwrap_err().is_would_block());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire(&self) -> Result<Acquired, SyncError> {
        self.acquire_by(Wait::Never)
    }

    pub(crate) fn acquire_by(&self, wait: Wait) -> Result<Acquired, SyncError> {
        take(&self.primitive, wait)?;
        Ok(Acquired { owner_died: self.owner_died() })
    }

    /// Releases it, whichever thread or process has acquired it, and wakes one that waits for it.
    /// Takes no other lock and does not wait. If the holder is dead, the next to acquire it learns
    /// that all the same.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// [`SyncError::NotLocked`] if it is free; what kept this process from attaching after a fork.
    ///
    /// ```
    /// use shmq::sync::{Lock, SyncError};
    ///
    /// let lock = Lock::new()?;
    /// lock.acquire()?;
    /// lock.release()?;
    /// assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(&self) -> Result<(), SyncError> {
        let (me, hold) = (self.primitive.me()?, self.hold());
        loop {
            let now = hold.now();
            if now.is_free() {
                return Err(SyncError::NotLocked);
            }
            if !now.is_of(me) && !hold.holder_is_alive(now, me) {
                // Before the lock is free (hold, Invariant 2).
                hold.note_death();
            }
            if hold.free(now) {
                return Ok(());
            }
        }
    }

    blocking_forms! {
        /// Acquires it as a guard; waits while another thread or process has it. The guard releases it
        /// when it is dropped.
        ///
        /// # Errors
        /// [`LockError::OwnerDied`] with the guard if a holder died or panicked; otherwise
        /// [`LockError::Failed`], and it was not acquired.
        ///
        /// ```
        /// let lock = shmq::sync::Lock::new()?;
        /// let guard = lock.lock().unwrap();
        /// assert!(lock.locked());
        /// drop(guard);
        /// assert!(!lock.locked());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock, lock_timeout, lock_deadline,
        |self, wait| -> Result<LockGuard<'_>, LockError<LockGuard<'_>>> { self.lock_by(wait) }
    }

    /// Acquires it as a guard if it is free, or its holder is dead:
    /// [`SyncError::WouldBlock`](crate::sync::SyncError::WouldBlock) otherwise, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    ///
    /// ```
    /// let lock = shmq::sync::Lock::new()?;
    /// let guard = lock.try_lock().unwrap();
    /// assert!(lock.try_lock().unwrap_err().is_would_block());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock(&self) -> Result<LockGuard<'_>, LockError<LockGuard<'_>>> {
        self.lock_by(Wait::Never)
    }

    fn lock_by(&self, wait: Wait) -> Locking<'_> {
        LockGuard::lock(Kept::Borrowed(&self.primitive), wait)
    }

    blocking_forms! {
        /// Acquires it, with a guard that keeps the lock attached by itself, and so may outlive this
        /// handle; otherwise as [`lock`](Self::lock).
        ///
        /// # Errors
        /// As [`lock`](Self::lock).
        ///
        /// ```
        /// let lock = shmq::sync::Lock::new()?;
        /// let guard = lock.lock_owned().unwrap();
        /// assert!(lock.locked());
        /// drop(lock);
        /// std::thread::spawn(move || drop(guard)).join().unwrap();
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        lock_owned, lock_owned_timeout, lock_owned_deadline,
        |self, wait| -> Result<LockGuard<'static>, LockError<LockGuard<'static>>> { self.lock_owned_by(wait) }
    }

    /// As [`try_lock`](Self::try_lock), with a guard as of [`lock_owned`](Self::lock_owned).
    ///
    /// # Errors
    /// As [`try_lock`](Self::try_lock).
    ///
    /// ```
    /// let lock = shmq::sync::Lock::new()?;
    /// let guard = lock.try_lock_owned().unwrap();
    /// assert!(lock.try_lock_owned().is_err());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_lock_owned(&self) -> Result<LockGuard<'static>, LockError<LockGuard<'static>>> {
        self.lock_owned_by(Wait::Never)
    }

    fn lock_owned_by(&self, wait: Wait) -> Locking<'static> {
        LockGuard::lock(Kept::owned(&self.primitive), wait)
    }

    /// Does a live process have it? Probes the holder: one system call, if it is another process.
    ///
    /// ```
    /// let lock = shmq::sync::Lock::new()?;
    /// assert!(!lock.locked());
    /// lock.acquire()?;
    /// assert!(lock.locked());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn locked(&self) -> bool {
        self.hold().is_held()
    }

    /// Does this process have it: was it one of its threads that acquired it?
    ///
    /// ```
    /// let lock = shmq::sync::Lock::new()?;
    /// lock.acquire()?;
    /// assert!(lock.is_mine());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_mine(&self) -> bool {
        self.primitive.known_me().is_some_and(|me| self.hold().now().is_of(me))
    }

    /// Is it this process that has it? If not, the process that does is named.
    pub(super) fn check_mine(&self) -> Result<(), SyncError> {
        let (me, hold) = (self.primitive.me()?, self.hold());
        match hold.now() {
            now if now.is_of(me) => Ok(()),
            now if now.is_free() => Err(SyncError::NotLocked),
            _ => Err(hold.not_owner()),
        }
    }

    /// The process that has it, or had it when it died, as that process saw its id. For messages.
    ///
    /// ```
    /// let lock = shmq::sync::Lock::new()?;
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
    /// let lock = shmq::sync::Lock::new()?;
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
    /// use shmq::{Process, sync::Lock};
    ///
    /// let lock = Lock::new()?;
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

    fn hold(&self) -> Hold<'_> {
        hold(&self.primitive)
    }
}

fn hold(primitive: &Primitive) -> Hold<'_> {
    // SAFETY: called for the primitives of locks and of their guards only.
    unsafe { Hold::of(primitive) }
}

#[inline]
fn take(primitive: &Primitive, wait: Wait) -> Result<HoldWord, SyncError> {
    let me = primitive.me()?;
    hold(primitive).acquire(me, wait, |last| last.wrapping_add(1))
}

impl fmt::Debug for Lock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = out.debug_struct("Lock");
        fields
            .field("primitive", &self.primitive)
            .field("holder_pid", &self.holder_pid())
            .field("owner_died", &self.owner_died());
        fields.finish()
    }
}
