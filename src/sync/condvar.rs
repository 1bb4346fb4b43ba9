//! [`Condvar`]: sleeping with a mutex unlocked, until a notice that something changed.
//!
//! Invariants:
//! 1. A waiter has registered before it unlocks, so a process that locks after it, changes
//!    something and notifies, sees it counted.
//! 2. A sleep ends after a slice at the latest, with or without a notice: wakes that died
//!    with a sleeper or a notifier delay, and never hang.

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::mutex::MutexGuard;
use super::primitive::{Primitive, PrimitiveKind};
use super::{LockError, SyncError};
use crate::attachment::Attached;
use crate::error::CreateError;
use crate::os::{Deadline, take_ended_by_signal};
use crate::shm::kind::Kind;
use crate::wait::{Answer, OnUnwind, SLICE_NS, Wait};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{Ordering::SeqCst, fence};
use std::time::{Duration, Instant};

/// How long past its deadline a waiter tries to lock again.
const RELOCK_NS: u64 = 1_000_000_000;

/// A place to sleep, with a [`Mutex`](crate::sync::Mutex) unlocked, until a notice that something
/// changed: Python's `multiprocessing.Condition`.
///
/// It works with the guard of any mutex or array, and lies in a segment of its own. As everywhere,
/// what is waited for is a state, and a wait may end for no reason: **wait in a loop, or with
/// [`wait_while`](Self::wait_while)**.
///
/// **In a signal handler** [`notify_one`](Self::notify_one) and [`notify_all`](Self::notify_all)
/// may be called, whatever they interrupt; the forms that wait may not. See the
/// [module](crate::sync#signal-handlers).
///
/// **If a process dies** asleep, notifiers do not notice: they never wait for sleepers. If one dies
/// that was just being woken, or between its change and its notice, the others check again within
/// 0.1 s: each wait ends, for no reason, at least that often.
///
/// ```
/// use shmq::{Process, sync::{Condvar, Mutex}};
///
/// let (stock, restocked) = (Mutex::new(0u32)?, Condvar::new()?);
/// let child = Process::spawn({
///     let (stock, restocked) = (stock.clone(), restocked.clone());
///     move || {
///         *stock.lock().unwrap() += 10;
///         restocked.notify_all();
///     }
/// })?;
/// let mut left = restocked.wait_while(stock.lock().unwrap(), |stock| *stock == 0).unwrap();
/// *left -= 1;
/// assert_eq!(*left, 9);
/// # drop(left);
/// # child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Condvar {
    primitive: Arc<Primitive>,
}

handle! {
    "condition variable", new: "shmq::sync::Condvar::new()?", path: "shmq::sync::Condvar",
    [] Condvar, PrimitiveKind::bare(Kind::Condvar)
}

/// Did a wait end because its time was up?
///
/// ```
/// use shmq::sync::{Condvar, Mutex};
/// use std::time::Duration;
///
/// let (mutex, condvar) = (Mutex::new(0u32)?, Condvar::new()?);
/// let guard = mutex.lock().unwrap();
/// let waited = condvar.wait_timeout_while(guard, Duration::from_millis(1), |n| *n == 0);
/// assert!(waited.unwrap().1.timed_out());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// True if the time was up: what was waited for may have come all the same.
    ///
    /// ```
    /// use std::time::Duration;
    /// use shmq::sync::{Condvar, Mutex};
    ///
    /// let (mutex, condvar) = (Mutex::new(0u32)?, Condvar::new()?);
    /// let guard = mutex.lock().unwrap();
    /// let waited = condvar.wait_timeout_while(guard, Duration::from_millis(10), |n| *n == 0);
    /// let (guard, result) = waited.unwrap();
    /// assert!(result.timed_out() && *guard == 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

type Relocked<'m, T> = Result<MutexGuard<'m, T>, LockError<MutexGuard<'m, T>>>;
type TimedRelocked<'m, T> = Result<(MutexGuard<'m, T>, WaitTimeoutResult), LockError<(MutexGuard<'m, T>, WaitTimeoutResult)>>;

impl Condvar {
    fn over(primitive: Arc<Primitive>) -> Condvar {
        Condvar { primitive }
    }

    /// Settings for a condition variable to be created: permissions, participants and more.
    ///
    /// ```
    /// let condition = shmq::sync::Condvar::builder().max_participants(2).create()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> PrimitiveBuilder<Self> {
        PrimitiveBuilder::of(PrimitiveKind::bare(Kind::Condvar), 1, |_| (), Self::over)
    }

    /// Creates an anonymous condition variable, which forked children inherit and serialised
    /// handles lead to.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// let condvar = shmq::sync::Condvar::new()?;
    /// condvar.notify_all(); // there is no waiter
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Result<Condvar, CreateError> {
        Self::builder().create()
    }

    /// Creates a condition variable of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-condvar-create-{}", std::process::id());
    /// let condvar = shmq::sync::Condvar::create(&name)?;
    /// shmq::sync::Condvar::open(&name)?.notify_one();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>) -> Result<Condvar, CreateError> {
        Self::builder().name(name).create()
    }

    /// Opens the condition variable of that name, or creates it if there is none. If all its users
    /// are dead it is replaced by a new one, unless it was persisted: see the
    /// [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-condvar-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Condvar::open_or_create(&name)?;
    /// shmq::sync::Condvar::open_or_create(&name)?.notify_one();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>) -> Result<Condvar, CreateError> {
        Self::builder().name(name).open_or_create()
    }

    /// Unlocks, sleeps until a notice (or for no reason, after 0.1 s at the latest), and
    /// locks again. Once its [`Stop`](crate::Stop) is set it does not lock again.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard if a holder of the mutex died meanwhile,
    /// [`LockError::Failed`] without one ([`SyncError::Inherited`] if the guard is the parent's;
    /// [`SyncError::Interrupted`] with the mutex unlocked).
    ///
    /// ```
    /// use shmq::sync::{Condvar, Mutex};
    ///
    /// let (done, finished) = (Mutex::new(0u32)?, Condvar::new()?);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         *done.lock().unwrap() = 1;
    ///         finished.notify_one();
    ///     });
    ///     let mut guard = done.lock().unwrap();
    ///     while *guard == 0 {
    ///         guard = finished.wait(guard).unwrap();
    ///     }
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait<'m, T: ?Sized>(&self, guard: MutexGuard<'m, T>) -> Relocked<'m, T> {
        self.sleep(guard, Deadline::NEVER)
    }

    /// Like [`wait`](Self::wait), but for `timeout` at the longest. The mutex is then locked again,
    /// which may take up to a second more while others have it; after that it is
    /// [`SyncError::Timeout`], without a guard.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::Duration;
    /// use shmq::sync::{Condvar, Mutex};
    ///
    /// let (mutex, condvar) = (Mutex::new(0u32)?, Condvar::new()?);
    /// let guard = mutex.lock().unwrap();
    /// let (guard, result) = condvar.wait_timeout(guard, Duration::from_millis(10)).unwrap();
    /// # drop(guard);
    /// # let _ = result;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout<'m, T: ?Sized>(&self, guard: MutexGuard<'m, T>, timeout: Duration) -> TimedRelocked<'m, T> {
        self.wait_until(guard, Deadline::after(timeout))
    }

    /// Like [`wait_timeout`](Self::wait_timeout), but until `deadline` at the longest. One in the
    /// past means that it hardly sleeps.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use shmq::sync::{Condvar, Mutex};
    ///
    /// let (mutex, condvar) = (Mutex::new(0u32)?, Condvar::new()?);
    /// let deadline = Instant::now() + Duration::from_millis(10);
    /// let mut guard = mutex.lock().unwrap();
    /// while *guard == 0 {
    ///     let (again, result) = condvar.wait_deadline(guard, deadline).unwrap();
    ///     guard = again;
    ///     if result.timed_out() {
    ///         break; // not earlier than that
    ///     }
    /// }
    /// assert!(Instant::now() >= deadline);
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_deadline<'m, T: ?Sized>(&self, guard: MutexGuard<'m, T>, deadline: Instant) -> TimedRelocked<'m, T> {
        self.wait_until(guard, Deadline::at(deadline))
    }

    fn wait_until<'m, T: ?Sized>(&self, guard: MutexGuard<'m, T>, deadline: Deadline) -> TimedRelocked<'m, T> {
        timed(self.sleep(guard, deadline), || deadline.has_passed())
    }

    /// Waits while `condition` holds of what the mutex guards.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); `condition` is not called on the data of a holder that died.
    ///
    /// ```
    /// use shmq::sync::{Condvar, Mutex};
    ///
    /// let (mutex, condvar) = (Mutex::new(0u32)?, Condvar::new()?);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         *mutex.lock().unwrap() = 1;
    ///         condvar.notify_one();
    ///     });
    ///     let guard = condvar.wait_while(mutex.lock().unwrap(), |n| *n == 0).unwrap();
    ///     assert_eq!(*guard, 1);
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_while<'m, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'m, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Relocked<'m, T> {
        while condition(&mut *guard) {
            guard = self.sleep(guard, Deadline::NEVER)?;
        }
        Ok(guard)
    }

    /// Waits while `condition` holds of what the mutex guards, but not longer than `timeout`, and
    /// never less while it holds. Locking again as in [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Errors
    /// As [`wait_while`](Self::wait_while).
    ///
    /// ```
    /// use shmq::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (mutex, condvar) = (Mutex::new(1u32)?, Condvar::new()?);
    /// let guard = mutex.lock().unwrap();
    /// let waited = condvar.wait_timeout_while(guard, Duration::from_secs(1), |n| *n == 0);
    /// assert!(!waited.unwrap().1.timed_out());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout_while<'m, T: ?Sized>(
        &self,
        guard: MutexGuard<'m, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> TimedRelocked<'m, T> {
        self.wait_until_while(guard, Deadline::after(timeout), condition)
    }

    /// Like [`wait_timeout_while`](Self::wait_timeout_while), but until `deadline` at the longest.
    ///
    /// # Errors
    /// As [`wait_while`](Self::wait_while).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use shmq::sync::{Condvar, Mutex};
    ///
    /// let (mutex, condvar) = (Mutex::new(0u32)?, Condvar::new()?);
    /// let deadline = Instant::now() + Duration::from_millis(10);
    /// let waited = condvar.wait_deadline_while(mutex.lock().unwrap(), deadline, |n| *n == 0);
    /// let (guard, result) = waited.unwrap();
    /// assert!(result.timed_out() && *guard == 0 && Instant::now() >= deadline);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_deadline_while<'m, T: ?Sized>(
        &self,
        guard: MutexGuard<'m, T>,
        deadline: Instant,
        condition: impl FnMut(&mut T) -> bool,
    ) -> TimedRelocked<'m, T> {
        self.wait_until_while(guard, Deadline::at(deadline), condition)
    }

    fn wait_until_while<'m, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'m, T>,
        deadline: Deadline,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> TimedRelocked<'m, T> {
        loop {
            // The clock first: what came before the deadline is checked after it.
            let time_is_up = deadline.has_passed();
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if time_is_up {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            guard = match self.sleep(guard, deadline) {
                Ok(guard) => guard,
                error => return timed(error, || deadline.has_passed()),
            };
        }
    }

    /// Wakes one waiter, if there is one. Takes no lock, does not wait, and may be called in a
    /// signal handler.
    ///
    /// ```
    /// let condvar = shmq::sync::Condvar::new()?;
    /// condvar.notify_one(); // without a waiter it does nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all waiters. Takes no lock, does not wait, and may be called in a signal handler.
    ///
    /// ```
    /// let condvar = shmq::sync::Condvar::new()?;
    /// condvar.notify_all(); // without waiters it does nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    fn notify(&self, count: u32) {
        // Here, since a forked child that never attached has not registered for the sleepers'
        // barrier.
        fence(SeqCst);
        self.primitive.notify(count);
    }

    fn sleep<'m, T: ?Sized>(&self, guard: MutexGuard<'m, T>, deadline: Deadline) -> Relocked<'m, T> {
        if guard.is_inherited() {
            return Err(SyncError::Inherited.into());
        }
        self.primitive.me().map_err(SyncError::from)?;
        let (mutex, value) = guard.parts();
        let mut guard = Some(guard);
        // Called once it has registered (Invariant 1).
        let until = deadline.within(SLICE_NS);
        self.primitive.sleep(until, &mut || {
            guard = None;
            false
        });
        // A notice may have come to this call, which does not use it if a check panics.
        let unwinding = OnUnwind::new(|| self.notify(1));
        let asks = take_ended_by_signal() || (until != deadline && until.has_passed());
        // The mutex is unlocked.
        let ends = asks && self.primitive.ask() == Answer::End;
        if ends || self.primitive.is_interrupted() {
            drop(unwinding);
            return Err(SyncError::Interrupted.into());
        }
        let relock_until = deadline.max(Deadline::in_ns(RELOCK_NS));
        let relocked = MutexGuard::lock(mutex, value, Wait::Until(relock_until));
        unwinding.forget();
        if matches!(relocked, Err(LockError::Failed(_))) {
            // The wake may have come to this call, which cannot use it.
            self.notify(1);
        }
        relocked
    }
}

fn timed<'m, T: ?Sized>(relocked: Relocked<'m, T>, time_is_up: impl FnOnce() -> bool) -> TimedRelocked<'m, T> {
    match relocked {
        Ok(guard) => Ok((guard, WaitTimeoutResult(time_is_up()))),
        Err(LockError::OwnerDied(guard)) => Err(LockError::OwnerDied((guard, WaitTimeoutResult(time_is_up())))),
        Err(LockError::Failed(error)) => Err(LockError::Failed(error)),
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Condvar").field(&self.primitive).finish()
    }
}
