//! Errors of the primitives.

use crate::shm::segment::AttachError;
use std::fmt;
use std::io;

/// Why an operation of [`sync`](crate::sync) did not happen. Nothing was changed.
///
/// ```
/// use shmq::sync::{Semaphore, SyncError};
///
/// match Semaphore::new(0)?.try_acquire() {
///     Ok(()) => println!("taken"),
///     Err(SyncError::WouldBlock | SyncError::Busy) => println!("none left"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// A `try_` form found the lock taken, or no permit.
    #[error("it would have to wait")]
    WouldBlock,
    /// A `try_` form gave up after about a millisecond: a process that does not run (stopped, or
    /// starved of CPU) is in the middle of an operation on this primitive. Try again, or use a form
    /// with a timeout.
    #[error("the primitive is locked by a process that does not run (stopped or starved); try again")]
    Busy,
    /// The deadline passed. Never reported early.
    #[error("timed out")]
    Timeout,
    /// The handle's [`Stop`](crate::Stop) was set before the wait had an end, or its check ended the
    /// call. Nothing was taken; a barrier is broken, as by a timeout.
    #[error("interrupted: the stop was set, or its check ended the call")]
    Interrupted,
    /// The process that held the lock died, or panicked, in the middle of its work, and no process
    /// has repaired the data yet.
    #[error("the holder of the lock died or panicked before it unlocked; the data need to be checked and marked as repaired")]
    OwnerDied,
    /// A release of a lock that is not locked.
    #[error("the lock is not locked: there is nothing to release")]
    NotLocked,
    /// A release of a [`ReentrantLock`](crate::sync::ReentrantLock) that another thread holds, or a
    /// wait with it; a wait with a [`Lock`](crate::sync::Lock) that another process holds.
    #[error("the lock is held by {}, so this one cannot release it", holder(*.pid, *.tid))]
    NotOwner {
        /// The holder's process, as that process saw its id.
        pid: u32,
        /// The holder's thread, as the system calls it (`gettid`); 0 if the lock is not reentrant.
        tid: u32,
    },
    /// A release of a semaphore that would have more permits than it was created with, if it is
    /// [`bounded`](crate::sync::PrimitiveBuilder::bounded).
    #[error("released more often than acquired: this semaphore never has more than {bound} permits")]
    TooManyReleases {
        /// Permits that it was created with.
        bound: u64,
    },
    /// So many threads of live processes wait at the condition variable already.
    #[error(
        "all {max} places of the condition variable are taken by waiting threads; wait again once some have left, or use a second one"
    )]
    TooManyWaiters {
        /// Threads that may wait at a time.
        max: u32,
    },
    /// A party of the barrier died, gave up or broke it, so the others need not wait. See
    /// `Barrier::reset`.
    #[error("the barrier is broken: a party died, timed out or aborted; reset it to use it again")]
    Broken,
    /// A process that was taken for dead turned out to be alive (it closed descriptors that were
    /// not its own). Create a new primitive.
    #[error("the primitive is poisoned: a process was taken for dead while it was still at work; create a new one")]
    Poisoned,
    /// This guard was made before a `fork` and belongs to the parent process.
    #[error("this guard belongs to the parent process; make a new one after fork")]
    Inherited,
    /// Every entry of the participant table is taken by a live process.
    #[error("all {max} participant entries are in use")]
    TooManyParticipants {
        /// Size of the participant table.
        max: u32,
    },
    /// The operating system refused a call.
    #[error("{call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// What the operating system said.
        r#source: io::Error,
    },
}

/// Another holder of a lock: the thread too, if the lock is reentrant.
fn holder(pid: u32, tid: u32) -> String {
    if tid == 0 { format!("another process ({pid})") } else { format!("another thread (process {pid}, thread {tid})") }
}

impl SyncError {
    /// Is it [`Timeout`](SyncError::Timeout)?
    ///
    /// ```
    /// let event = shmq::sync::Event::new()?;
    /// assert!(event.wait_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, SyncError::Timeout)
    }

    /// Is it [`Interrupted`](SyncError::Interrupted): was the handle's [`Stop`](crate::Stop) set?
    ///
    /// ```
    /// let (event, stop) = (shmq::sync::Event::new()?, shmq::Stop::new());
    /// stop.set();
    /// assert!(event.with_stop(&stop).wait().unwrap_err().is_interrupted());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_interrupted(&self) -> bool {
        matches!(self, SyncError::Interrupted)
    }

    /// Is it [`WouldBlock`](SyncError::WouldBlock), of a `try_` form that would have to wait?
    ///
    /// ```
    /// assert!(shmq::sync::Semaphore::new(0)?.try_acquire().unwrap_err().is_would_block());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_would_block(&self) -> bool {
        matches!(self, SyncError::WouldBlock)
    }

    /// Is it [`Broken`](SyncError::Broken), of a barrier?
    ///
    /// ```
    /// let barrier = shmq::sync::Barrier::new(2)?;
    /// barrier.abort()?;
    /// assert!(barrier.wait().unwrap_err().is_broken());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_broken(&self) -> bool {
        matches!(self, SyncError::Broken)
    }
}

impl From<AttachError> for SyncError {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::Full { max } => SyncError::TooManyParticipants { max },
            AttachError::Replaced => SyncError::Os {
                call: "attach after fork",
                source: io::Error::new(io::ErrorKind::NotFound, "every user left and the primitive was replaced meanwhile"),
            },
            AttachError::Os { call, source: error } => SyncError::Os { call, source: error },
        }
    }
}

/// Why a lock was not got cleanly.
///
/// `?` turns it into a [`SyncError`] (and unlocks, if it was a dead holder's and has a guard, which a
/// `&Lock` given to a [`Condvar`](crate::sync::Condvar) is not):
///
/// ```
/// use shmq::sync::{Mutex, SyncError};
///
/// fn add(total: &Mutex<u64>, n: u64) -> Result<(), SyncError> {
///     *total.lock()? += n;
///     Ok(())
/// }
/// # add(&Mutex::new(1)?, 2)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
pub enum LockError<G> {
    /// The lock was got, but its last holder died, or panicked, while it held it, so the data may
    /// be half changed. Check them through the guard, put them in order, and call
    /// [`MutexGuard::mark_repaired`](crate::sync::MutexGuard::mark_repaired). Until then,
    /// each later locker gets the same error.
    OwnerDied(G),
    /// The lock was not got.
    Failed(SyncError),
}

impl<G> LockError<G> {
    /// The guard of a lock that was taken over from the dead.
    ///
    /// ```
    /// use shmq::sync::Mutex;
    ///
    /// let mutex = Mutex::new(1u32)?;
    /// let held = mutex.lock().unwrap();
    /// assert!(mutex.try_lock().unwrap_err().into_guard().is_none()); // held, not dead
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_guard(self) -> Option<G> {
        match self {
            LockError::OwnerDied(guard) => Some(guard),
            LockError::Failed(_) => None,
        }
    }
}

impl<G> LockError<G> {
    /// Is it the [`Timeout`](SyncError::Timeout) of a lock that was not got?
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::new(1u32)?;
    /// let held = mutex.lock().unwrap();
    /// assert!(mutex.lock_timeout(std::time::Duration::ZERO).unwrap_err().is_timeout());
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, LockError::Failed(error) if error.is_timeout())
    }

    /// Is it the [`Interrupted`](SyncError::Interrupted) of a lock that was not got?
    ///
    /// ```
    /// let (mutex, stop) = (shmq::sync::Mutex::new(1u32)?, shmq::Stop::new());
    /// let held = mutex.lock().unwrap();
    /// stop.set();
    /// assert!(mutex.with_stop(&stop).lock().unwrap_err().is_interrupted());
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_interrupted(&self) -> bool {
        matches!(self, LockError::Failed(error) if error.is_interrupted())
    }

    /// Is it [`WouldBlock`](SyncError::WouldBlock): another caller has the lock?
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::new(1u32)?;
    /// let held = mutex.lock().unwrap();
    /// assert!(mutex.try_lock().unwrap_err().is_would_block());
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_would_block(&self) -> bool {
        matches!(self, LockError::Failed(error) if error.is_would_block())
    }

    /// Is it [`OwnerDied`](LockError::OwnerDied), with a guard?
    ///
    /// ```
    /// let mutex = shmq::sync::Mutex::new(1u32)?;
    /// let held = mutex.lock().unwrap();
    /// assert!(!mutex.try_lock().unwrap_err().is_owner_died());
    /// # drop(held);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_owner_died(&self) -> bool {
        matches!(self, LockError::OwnerDied(_))
    }
}

impl<G> From<LockError<G>> for SyncError {
    fn from(error: LockError<G>) -> SyncError {
        match error {
            LockError::OwnerDied(_) => SyncError::OwnerDied,
            LockError::Failed(error) => error,
        }
    }
}

impl<G> From<SyncError> for LockError<G> {
    fn from(error: SyncError) -> Self {
        LockError::Failed(error)
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(_) => out.write_str("OwnerDied(..)"),
            LockError::Failed(error) => out.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(_) => SyncError::OwnerDied.fmt(out),
            LockError::Failed(error) => error.fmt(out),
        }
    }
}

impl<G> std::error::Error for LockError<G> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::OwnerDied(_) => None,
            LockError::Failed(error) => error.source(),
        }
    }
}
