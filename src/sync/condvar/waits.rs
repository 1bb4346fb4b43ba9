//! The waits of a condition variable.
//!
//! Invariants (with those of `places.rs`):
//! 1. A sleep ends after a slice at the latest, with or without a notice: wakes that died with a
//!    notifier delay, and never hang. A wait that ends with a notice only sleeps again.
//! 2. A notice is used by a wait that returns with the lock. Any other hands it on.

use super::{Condvar, CondvarGuard, WaitTimeoutResult};
use crate::attachment::Attached;
use crate::os::Deadline;
use crate::shm::layout::CONDVAR_PLACES;
use crate::sync::{LockError, SyncError};
use crate::wait::{Answer, SLICE_NS, Step, Wait};
use std::time::{Duration, Instant};

/// How long past its deadline a waiter tries to lock again.
const RELOCK_NS: u64 = 1_000_000_000;

type Relocked<G> = Result<G, LockError<G>>;
type TimedRelocked<G> = Result<(G, WaitTimeoutResult), LockError<(G, WaitTimeoutResult)>>;

impl Condvar {
    /// Unlocks, sleeps until a notice (or for no reason, after 0.1 s at the latest), and
    /// locks again. Once its [`Stop`](crate::Stop) is set it does not lock again.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`] with the guard if a holder of the mutex died meanwhile,
    /// [`LockError::Failed`] without one, and with the mutex unlocked (all levels of a reentrant lock:
    /// guards of outer levels release nothing any more): [`SyncError::Interrupted`];
    /// [`SyncError::TooManyWaiters`], as 1,024 threads may wait at a time. Nothing is unlocked by a
    /// caller that does not have the lock: [`SyncError::Inherited`] if the guard is the parent's,
    /// [`SyncError::NotOwner`], [`SyncError::NotLocked`].
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
    pub fn wait<G: CondvarGuard>(&self, guard: G) -> Relocked<G> {
        self.sleep_a_slice(guard, Deadline::NEVER)
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
    pub fn wait_timeout<G: CondvarGuard>(&self, guard: G, timeout: Duration) -> TimedRelocked<G> {
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
    pub fn wait_deadline<G: CondvarGuard>(&self, guard: G, deadline: Instant) -> TimedRelocked<G> {
        self.wait_until(guard, Deadline::at(deadline))
    }

    fn wait_until<G: CondvarGuard>(&self, guard: G, deadline: Deadline) -> TimedRelocked<G> {
        timed(self.sleep_a_slice(guard, deadline), || deadline.has_passed())
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
    pub fn wait_while<G: CondvarGuard>(&self, mut guard: G, mut condition: impl FnMut(&mut G::Data) -> bool) -> Relocked<G> {
        while condition(guard.data()) {
            guard = self.sleep_a_slice(guard, Deadline::NEVER)?;
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
    pub fn wait_timeout_while<G: CondvarGuard>(
        &self,
        guard: G,
        timeout: Duration,
        condition: impl FnMut(&mut G::Data) -> bool,
    ) -> TimedRelocked<G> {
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
    pub fn wait_deadline_while<G: CondvarGuard>(
        &self,
        guard: G,
        deadline: Instant,
        condition: impl FnMut(&mut G::Data) -> bool,
    ) -> TimedRelocked<G> {
        self.wait_until_while(guard, Deadline::at(deadline), condition)
    }

    fn wait_until_while<G: CondvarGuard>(
        &self,
        mut guard: G,
        deadline: Deadline,
        mut condition: impl FnMut(&mut G::Data) -> bool,
    ) -> TimedRelocked<G> {
        loop {
            // The clock first: what came before the deadline is checked after it.
            let time_is_up = deadline.has_passed();
            if !condition(guard.data()) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            if time_is_up {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            guard = match self.sleep_a_slice(guard, deadline) {
                Ok(guard) => guard,
                error => return timed(error, || deadline.has_passed()),
            };
        }
    }

    /// Waits until `condition` holds of what the mutex guards: [`wait_while`](Self::wait_while) the
    /// other way round, and Python's `wait_for`.
    ///
    /// # Errors
    /// As [`wait_while`](Self::wait_while).
    ///
    /// ```
    /// use shmq::sync::{Condvar, Lock, Value};
    ///
    /// let (state, lock, condvar) = (Value::new(0u32)?, Lock::new()?, Condvar::new()?);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         let _guard = lock.lock().unwrap();
    ///         state.set(4).unwrap();
    ///         condvar.notify_one();
    ///     });
    ///     let _guard = condvar.wait_for(lock.lock().unwrap(), |()| state.get().unwrap() == 4);
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for<G: CondvarGuard>(&self, guard: G, mut condition: impl FnMut(&mut G::Data) -> bool) -> Relocked<G> {
        self.wait_while(guard, |data| !condition(data))
    }

    /// Waits until `condition` holds, but not longer than `timeout`, and never less while it does not:
    /// as [`wait_timeout_while`](Self::wait_timeout_while), the other way round.
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
    /// let (guard, result) = condvar.wait_timeout_for(guard, Duration::from_secs(1), |n| *n == 1).unwrap();
    /// assert!(!result.timed_out());
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_timeout_for<G: CondvarGuard>(
        &self,
        guard: G,
        timeout: Duration,
        mut condition: impl FnMut(&mut G::Data) -> bool,
    ) -> TimedRelocked<G> {
        self.wait_until_while(guard, Deadline::after(timeout), |data| !condition(data))
    }

    /// Like [`wait_timeout_for`](Self::wait_timeout_for), but until `deadline` at the longest.
    ///
    /// # Errors
    /// As [`wait_while`](Self::wait_while).
    ///
    /// ```
    /// use shmq::sync::{Condvar, Mutex};
    /// use std::time::Instant;
    ///
    /// let (mutex, condvar) = (Mutex::new(0u32)?, Condvar::new()?);
    /// let waited = condvar.wait_deadline_for(mutex.lock().unwrap(), Instant::now(), |n| *n == 1);
    /// assert!(waited.unwrap().1.timed_out());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_deadline_for<G: CondvarGuard>(
        &self,
        guard: G,
        deadline: Instant,
        mut condition: impl FnMut(&mut G::Data) -> bool,
    ) -> TimedRelocked<G> {
        self.wait_until_while(guard, Deadline::at(deadline), |data| !condition(data))
    }

    /// Unlocks, sleeps until it gets a notice, and for no other reason, and locks again: Python's
    /// `wait`, and what other languages build theirs on.
    ///
    /// A [`notify`](Self::notify) of `n` ends `n` such waits, if there are as many. Where a state is
    /// waited for, [`wait_while`](Self::wait_while) is safer: it checks the state ten times a second,
    /// so it does not wait for ever for a process that died between its change and its notice. This
    /// does. Once its [`Stop`](crate::Stop) is set it ends with `Interrupted`, and does not lock again.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use shmq::sync::{Condvar, Lock};
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// std::thread::scope(|s| {
    ///     let guard = lock.lock().unwrap();
    ///     s.spawn(|| {
    ///         let _guard = lock.lock().unwrap(); // once the other waits
    ///         condvar.notify_one();
    ///     });
    ///     drop(condvar.wait_notified(guard).unwrap());
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_notified<G: CondvarGuard>(&self, guard: G) -> Relocked<G> {
        self.sleep(guard, Deadline::NEVER, Deadline::NEVER).0
    }

    /// Like [`wait_notified`](Self::wait_notified), but for `timeout` at the longest, and never less
    /// without a notice. `timed_out` says that there was none. Locking again as in
    /// [`wait_timeout`](Self::wait_timeout).
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use shmq::sync::{Condvar, Lock};
    /// use std::time::Duration;
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// let waited = condvar.wait_notified_timeout(lock.lock().unwrap(), Duration::from_millis(10));
    /// assert!(waited.unwrap().1.timed_out());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_notified_timeout<G: CondvarGuard>(&self, guard: G, timeout: Duration) -> TimedRelocked<G> {
        self.wait_notified_until(guard, Deadline::after(timeout))
    }

    /// Like [`wait_notified_timeout`](Self::wait_notified_timeout), but until `deadline` at the
    /// longest.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    ///
    /// ```
    /// use shmq::sync::{Condvar, Lock};
    /// use std::time::Instant;
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// let waited = condvar.wait_notified_deadline(lock.lock().unwrap(), Instant::now());
    /// assert!(waited.unwrap().1.timed_out());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_notified_deadline<G: CondvarGuard>(&self, guard: G, deadline: Instant) -> TimedRelocked<G> {
        self.wait_notified_until(guard, Deadline::at(deadline))
    }

    fn wait_notified_until<G: CondvarGuard>(&self, guard: G, deadline: Deadline) -> TimedRelocked<G> {
        let (relocked, noticed) = self.sleep(guard, deadline, deadline);
        timed(relocked, || !noticed)
    }

    /// The sleep of a wait that may end for no reason.
    fn sleep_a_slice<G: CondvarGuard>(&self, guard: G, deadline: Deadline) -> Relocked<G> {
        self.sleep(guard, deadline.within(SLICE_NS), deadline).0
    }

    /// The one path that waits: until a notice, or `until`. The second value: was there one?
    /// `deadline` is the caller's, for locking again.
    fn sleep<G: CondvarGuard>(&self, guard: G, until: Deadline, deadline: Deadline) -> (Relocked<G>, bool) {
        let failed = |error: SyncError| (Err(LockError::Failed(error)), false);
        if let Err(error) = guard.check() {
            return failed(error);
        }
        let places = self.places();
        let claim = |me| places.claim(me).map(|place| (me, place)).ok_or(SyncError::TooManyWaiters { max: CONDVAR_PLACES });
        let (me, place) = match self.primitive.me().map_err(SyncError::from).and_then(claim) {
            Ok(claimed) => claimed,
            Err(error) => {
                // As in every other wait that ends without the lock, also for one without a guard.
                let _ = guard.release();
                return failed(error);
            }
        };
        // Dropped without the lock, or while a check of the caller's panics, the place hands on the
        // notice that it may have had (Invariant 2).
        let released = match guard.release() {
            Ok(released) => released,
            Err(error) => return failed(error),
        };
        let mut waiter = self.primitive.waiter_at(place.condvar(), Wait::Until(until));
        while !place.has_notice() {
            match waiter.next(&mut || place.has_notice()) {
                Step::CheckAgain => {}
                Step::Probe => places.hand_on_of_the_dead(me),
                Step::GiveUp => {
                    places.hand_on_of_the_dead(me);
                    // A slice of a longer wait: its caller may call again and again.
                    if until != deadline && self.primitive.ask() == Answer::End {
                        return failed(SyncError::Interrupted);
                    }
                    break;
                }
                Step::Interrupted => return failed(SyncError::Interrupted),
            }
        }
        match G::acquire(released, Wait::Until(deadline.max(Deadline::in_ns(RELOCK_NS)))) {
            Err(LockError::Failed(error)) => failed(error),
            relocked => (relocked, place.leave()),
        }
    }
}

fn timed<G>(relocked: Relocked<G>, time_is_up: impl FnOnce() -> bool) -> TimedRelocked<G> {
    match relocked {
        Ok(guard) => Ok((guard, WaitTimeoutResult(time_is_up()))),
        Err(LockError::OwnerDied(guard)) => Err(LockError::OwnerDied((guard, WaitTimeoutResult(time_is_up())))),
        Err(LockError::Failed(error)) => Err(LockError::Failed(error)),
    }
}
