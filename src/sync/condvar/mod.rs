//! [`Condvar`]: sleeping with a mutex unlocked, until a notice that something changed.
//!
//! Who waits, and has had notice: `places.rs`. The waits: `waits.rs`. What they release meanwhile:
//! `relock.rs`.

mod places;
mod relock;
mod waits;

pub use relock::CondvarGuard;

use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::primitive::{Primitive, PrimitiveKind};
use crate::error::CreateError;
use crate::shm::kind::Kind;
use places::Places;
use std::fmt;
use std::sync::Arc;

/// A place to sleep, with a [`Mutex`](crate::sync::Mutex) unlocked, until a notice that something
/// changed: Python's `multiprocessing.Condition`.
///
/// It works with the guard of any mutex, array or lock ([`CondvarGuard`]), and lies in a segment of its
/// own. As everywhere, what is waited for is a state, and a wait may end for no reason: **wait in a
/// loop, or with [`wait_while`](Self::wait_while)**. Only [`wait_notified`](Self::wait_notified) ends
/// with a notice and for no other reason.
///
/// **In a signal handler** [`notify`](Self::notify), [`notify_one`](Self::notify_one) and
/// [`notify_all`](Self::notify_all) may be called, whatever they interrupt; the forms that wait may not. See the
/// [module](crate::sync#signal-handlers).
///
/// **If a process dies** asleep, notifiers do not wait for it, and no notice is spent on it:
/// [`notify`](Self::notify) wakes as many live waiters as it says. If one dies that was just being
/// woken, another gets its notice within 0.1 s. If one dies between its change and its notice, the
/// others check again within 0.1 s: each wait but `wait_notified` ends, for no reason, at least that
/// often.
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

    /// Wakes the one that has waited for the longest, if there is one. As [`notify`](Self::notify) in
    /// everything else.
    ///
    /// ```
    /// let condvar = shmq::sync::Condvar::new()?;
    /// condvar.notify_one(); // without a waiter it does nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notify_one(&self) {
        self.notify(1);
    }

    /// Wakes all that wait now. Takes no lock, does not wait, and may be called in a signal handler.
    ///
    /// ```
    /// let condvar = shmq::sync::Condvar::new()?;
    /// condvar.notify_all(); // without waiters it does nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notify_all(&self) {
        self.places().notify_all();
    }

    /// Wakes the `count` that have waited for the longest, or all if they are fewer: how many there
    /// were. Takes no lock, does not wait, and may be called in a signal handler.
    ///
    /// Waiters whose process is dead do not count, and no notice is spent on them: each chosen waiter
    /// is probed (one system call, if it is another process's). One that is killed after this, before
    /// its wait has ended, has its notice handed on within 0.1 s, to another that waited at the time of
    /// this call. Waits that begin later get nothing of it.
    ///
    /// The waits that check a state (all but [`wait_notified`](Self::wait_notified) and its timed forms)
    /// begin anew each 0.1 s: their place in line is that of their last check, and one that checks just
    /// now, with the lock, does not count.
    ///
    /// ```
    /// use shmq::sync::{Condvar, Lock};
    ///
    /// let (lock, condvar) = (Lock::new()?, Condvar::new()?);
    /// std::thread::scope(|s| {
    ///     let waiters: Vec<_> = (0..3).map(|_| s.spawn(|| {
    ///         condvar.wait_notified(lock.lock().unwrap()).map(drop).unwrap();
    ///     })).collect();
    ///     while condvar.waiting() < 3 {
    ///         std::thread::yield_now();
    ///     }
    ///     assert_eq!(condvar.notify(2), 2);
    ///     assert_eq!(condvar.notify(2), 1); // there were no more
    /// });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notify(&self, count: u32) -> u32 {
        let places = self.places();
        places.notify(count, places.now())
    }

    /// Threads that wait now and have had no notice, of live processes. Probes those of other
    /// processes.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Condvar::new()?.waiting(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn waiting(&self) -> usize {
        self.places().waiting()
    }

    fn places(&self) -> Places<'_> {
        // SAFETY: a `Condvar` is made over primitives of its kind only.
        unsafe { Places::of(&self.primitive) }
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Condvar").field(&self.primitive).finish()
    }
}
