//! [`Semaphore`]: a number of permits.
//!
//! ```text
//!   available --acquire--> gone (total - 1)          gone --release--> available (total + 1)
//!   available --permit()--> held by a participant (table + 1)
//!                                --drop, or the participant dies--> available
//! ```
//!
//! Invariants:
//! 1. What is available is `total` less what the table holds. Each operation changes `total` or one
//!    word of the table with one atomic instruction, its commit point: a process killed anywhere
//!    leaves nothing to repair.
//! 2. Permits are taken under the lock only. `release` and the drop of a permit take no lock, so no
//!    other process can hold them up, and a signal handler may interrupt any of them: what they
//!    change only adds to what is available, so a taker that has counted may rely on its count.
//! 3. `forget` lowers `total` first and the table after it, and a taker reads the table first: it
//!    may miss a permit for a moment, and never counts one twice. A taker raises `holders_end`
//!    before its own word.
//! 4. Each waiter probes for dead holders once a slice, so permits of the dead come back to a
//!    semaphore that is otherwise idle.
//! 5. Of a bounded semaphore `total` is never above the first number: only `release` raises it, and
//!    compares in the same instruction.

mod bounded;
mod permit;

pub use permit::Permit;

use super::SyncError;
use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::holders::Holders;
use super::primitive::{Primitive, PrimitiveKind, PrimitiveMemory};
use crate::attachment::{Attached, Kept};
use crate::error::CreateError;
use crate::lock::Locked;
use crate::shm::kind::Kind;
use crate::shm::layout::SemaphoreWords;
use crate::shm::participant::Id;
use crate::wait::{OnUnwind, Step, Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::fence;

/// A number of permits: Python's `multiprocessing.Semaphore`.
///
/// Permits are taken in two ways:
/// - [`permit`](Self::permit) returns a guard. Its permit comes back when the guard is dropped,
///   **or when its process dies**, however that happens: within 0.1 s to callers that wait.
/// - [`acquire`](Self::acquire) takes one for good, as Python's does; some process gives one back
///   with [`release`](Self::release). What was acquired like this does not come back with a death:
///   it is not recorded which process was to release it.
///
/// There is no upper bound: `release` without `acquire` adds a permit. A semaphore that is
/// [`bounded`](PrimitiveBuilder::bounded) refuses it.
///
/// **If a process is stopped** (`SIGSTOP`) while it takes a permit, others that want one wait for
/// it until their deadlines. Giving one back, by [`release`](Self::release) or by dropping a
/// [`Permit`], does not wait. There is no fairness: a released permit goes to the first that
/// comes for it, not to the longest waiter. Measured on 2 cores with six times as many runnable
/// processes: 4 processes that take the only permit for 1 ms, again and again, had 21 to 34 % of it
/// each, and waited 0.4 s at the longest; with a pause of 1 ms after each, 23 to 28 %, and 54 ms.
///
/// **In a signal handler** `release`, `release_many` and the drop of a permit may be called,
/// whatever they interrupt, as `sem_post` may. The `try_` forms of `acquire` and `permit` may be
/// called as well: [`SyncError::Busy`] if they interrupt one of their own. The forms that wait may
/// not: they would wait for the thread that they interrupt. See the
/// [module](crate::sync#signal-handlers).
///
/// ```
/// use shmq::{Process, sync::Semaphore};
///
/// let licences = Semaphore::new(1)?;
/// let inherited = licences.clone();
/// let child = Process::spawn(move || {
///     let _permit = inherited.permit().unwrap();
///     std::process::abort(); // while it holds the only permit
/// })?;
/// child.join()?;
/// let permit = licences.permit()?; // it came back
/// assert!(licences.try_permit().is_err());
/// drop(permit);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Semaphore {
    primitive: Arc<Primitive>,
}

handle! {
    "semaphore", new: "shmq::sync::Semaphore::new(1)?", path: "shmq::sync::Semaphore",
    [] Semaphore, PrimitiveKind::bare(Kind::Semaphore),
    guards: |semaphore, in_use| in_use.permits += semaphore.permits_held()
}

/// How a permit is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    ForGood,
    AsGuard,
}

impl Semaphore {
    fn over(primitive: Arc<Primitive>) -> Semaphore {
        Semaphore { primitive }
    }

    fn init(permits: u64) -> impl Fn(PrimitiveMemory) {
        move |cell| {
            // SAFETY: the words of a semaphore.
            let words = unsafe { cell.words::<SemaphoreWords>() };
            words.total.store(permits, Relaxed);
        }
    }

    /// Settings for a semaphore to be created: permissions, participants and more.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Semaphore::builder(3).max_participants(9).create()?.value(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(permits: u64) -> PrimitiveBuilder<Self> {
        PrimitiveBuilder::of(PrimitiveKind::bare(Kind::Semaphore), permits, Self::init(permits), Self::over)
    }

    /// Creates an anonymous semaphore with so many permits, which forked children inherit and
    /// serialised handles lead to.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// assert_eq!(shmq::sync::Semaphore::new(3)?.value(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(permits: u64) -> Result<Semaphore, CreateError> {
        Self::builder(permits).create()
    }

    /// Creates a semaphore of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-semaphore-create-{}", std::process::id());
    /// let semaphore = shmq::sync::Semaphore::create(&name, 2)?;
    /// shmq::sync::Semaphore::open(&name)?.acquire()?;
    /// assert_eq!(semaphore.value(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, permits: u64) -> Result<Semaphore, CreateError> {
        Self::builder(permits).name(name).create()
    }

    /// Opens the semaphore of that name, or creates it with so many permits if there is none. If
    /// all its users are dead it is replaced by a new one with so many permits, unless it was
    /// persisted: see the [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-semaphore-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Semaphore::open_or_create(&name, 2)?;
    /// let second = shmq::sync::Semaphore::open_or_create(&name, 9)?;
    /// assert_eq!(second.value(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, permits: u64) -> Result<Semaphore, CreateError> {
        Self::builder(permits).name(name).open_or_create()
    }

    blocking_forms! {
        /// Takes a permit for good; waits while there is none. Give it back with
        /// [`release`](Self::release).
        ///
        /// # Errors
        /// [`SyncError`]; none was taken.
        ///
        /// ```
        /// let semaphore = shmq::sync::Semaphore::new(1)?;
        /// semaphore.acquire()?;
        /// assert!(semaphore.acquire_timeout(std::time::Duration::from_millis(10)).is_err());
        /// semaphore.release()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        acquire, acquire_timeout, acquire_deadline,
        |self, wait| -> Result<(), SyncError> { self.take_by(wait, Taking::ForGood).map(drop) }
    }

    /// Takes a permit for good if there is one: [`SyncError::WouldBlock`] otherwise, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); [`SyncError::Busy`] if a process that does not run is in the
    /// middle of an operation.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// semaphore.try_acquire()?;
    /// assert!(matches!(semaphore.try_acquire(), Err(shmq::sync::SyncError::WouldBlock)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire(&self) -> Result<(), SyncError> {
        self.take_by(Wait::Never, Taking::ForGood).map(drop)
    }

    blocking_forms! {
        /// Takes a permit as a guard; waits while there is none. It comes back when the guard is
        /// dropped, or when this process dies.
        ///
        /// # Errors
        /// [`SyncError`]; none was taken.
        ///
        /// ```
        /// let semaphore = shmq::sync::Semaphore::new(1)?;
        /// let permit = semaphore.permit()?;
        /// assert_eq!(semaphore.value(), 0);
        /// drop(permit);
        /// assert_eq!(semaphore.value(), 1);
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        permit, permit_timeout, permit_deadline,
        |self, wait| -> Result<Permit<'_>, SyncError> { self.permit_by(wait) }
    }

    /// Takes a permit as a guard if there is one: [`SyncError::WouldBlock`] otherwise, at once.
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// As [`permit`](Self::permit); [`SyncError::Busy`] if a process that does not run is in the
    /// middle of an operation.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// let permit = semaphore.try_permit()?;
    /// assert!(semaphore.try_permit().is_err());
    /// # drop(permit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_permit(&self) -> Result<Permit<'_>, SyncError> {
        self.permit_by(Wait::Never)
    }

    pub(crate) fn permit_by(&self, wait: Wait) -> Result<Permit<'_>, SyncError> {
        let me = self.take_by(wait, Taking::AsGuard)?;
        Ok(Permit::of(Kept::Borrowed(&self.primitive), me))
    }

    /// Permits of this process's guards, forgotten ones too.
    fn permits_held(&self) -> u64 {
        self.primitive.known_me().map_or(0, |me| self.holders().count_of(me))
    }

    /// Adds a permit: one that was acquired, or a new one. Wakes one waiter. Takes no lock and does
    /// not wait; may be called in a signal handler, whatever it interrupts.
    ///
    /// # Errors
    /// [`SyncError::Poisoned`]; [`SyncError::TooManyReleases`] of a
    /// [`bounded`](PrimitiveBuilder::bounded) semaphore. Nothing was added.
    ///
    /// ```
    /// let tickets = shmq::sync::Semaphore::new(0)?;
    /// tickets.release()?;
    /// tickets.acquire()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release(&self) -> Result<(), SyncError> {
        self.release_many(1)
    }

    /// Adds several permits at once; a [`bounded`](PrimitiveBuilder::bounded) semaphore takes all or
    /// none. As [`release`](Self::release) in everything else.
    ///
    /// # Errors
    /// As [`release`](Self::release).
    ///
    /// ```
    /// let tickets = shmq::sync::Semaphore::new(0)?;
    /// tickets.release_many(3)?;
    /// assert_eq!(tickets.value(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release_many(&self, permits: u32) -> Result<(), SyncError> {
        if self.primitive.is_poisoned() {
            return Err(SyncError::Poisoned);
        }
        // Invariant 5. Permits that are held as guards are part of the total: their drops give them
        // back.
        let bound = self.bound().unwrap_or(u64::MAX);
        let add = |total: u64| Some(total.saturating_add(u64::from(permits))).filter(|&sum| sum <= bound);
        if self.words().total.fetch_update(SeqCst, Relaxed, add).is_err() {
            return Err(SyncError::TooManyReleases { bound });
        }
        self.notify_takers(permits);
        Ok(())
    }

    /// Wakes takers after permits came back without the lock.
    fn notify_takers(&self, permits: u32) {
        notify_takers(&self.primitive, permits);
    }

    /// Permits that can be taken now. Those of a dead holder count again after the next probe:
    /// waiters probe ten times a second, and so does this call.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(2)?;
    /// semaphore.acquire()?;
    /// assert_eq!(semaphore.value(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn value(&self) -> u64 {
        if self.primitive.is_time_to_probe() {
            self.probe_for_the_dead(Wait::Never);
        }
        self.available()
    }

    /// Brings back the permits of the dead. Gives up where it cannot.
    pub(crate) fn probe_for_the_dead(&self, wait: Wait) {
        let Ok(me) = self.primitive.me() else { return };
        if self.enter(me, wait).is_ok() {
            self.holders().reap(me);
            let back = self.available();
            let _ = self.primitive.exit(me);
            if back > 0 {
                self.primitive.notify(u32::try_from(back).unwrap_or(u32::MAX));
            }
        }
    }

    pub(crate) fn has_permits(&self) -> bool {
        self.available() > 0 || self.primitive.is_poisoned()
    }

    /// Changes when permits are taken.
    pub(crate) fn permits_seen(&self) -> [u64; 3] {
        let words = self.words();
        [self.available(), words.total.load(Acquire), words.takes.load(Acquire)]
    }

    /// Permits that can be taken, as [`Invariant 1`](self) says. Under the lock it only grows.
    /// Acquire: a lower word of the table comes with the lower `total` of a `forget` (Invariant 3).
    pub(crate) fn available(&self) -> u64 {
        let words = self.words();
        let held = self.holders().total_of_first(words.holders_end.load(Acquire));
        words.total.load(Acquire).saturating_sub(held)
    }

    pub(crate) fn primitive(&self) -> &Primitive {
        &self.primitive
    }

    fn words(&self) -> &SemaphoreWords {
        words(&self.primitive)
    }

    fn holders(&self) -> Holders<'_> {
        holders(&self.primitive)
    }

    /// Locks. The permits of a holder that died in the lock come back at once.
    fn enter(&self, me: Id, wait: Wait) -> Result<(), SyncError> {
        if self.primitive.enter(me, wait)? == Locked::FromTheDead {
            self.holders().reap(me);
        }
        Ok(())
    }

    /// Needs the lock (Invariant 2).
    fn take(&self, me: Id, taking: Taking) -> bool {
        let (words, holders) = (self.words(), self.holders());
        if taking == Taking::AsGuard && holders.succeeds_a_holder(me) {
            holders.reap(me);
        }
        if self.available() == 0 {
            return false;
        }
        let note_take = || words.takes.store(words.takes.load(Relaxed).wrapping_add(1), Release);
        note_take();
        let took = match taking {
            Taking::ForGood => {
                // Others release beside us. Never below 0: we have counted.
                words.total.fetch_update(AcqRel, Relaxed, |total| total.checked_sub(1)).is_ok()
            }
            Taking::AsGuard => {
                let end = u64::from(me.entry()) + 1;
                if words.holders_end.load(Relaxed) < end {
                    words.holders_end.store(end, Release);
                }
                holders.add_one(me)
            }
        };
        note_take();
        took
    }

    /// The one path that waits. A caller that goes without a permit passes on the wake that it may
    /// have had for one, here or in `wait_any`. Not a future's poll: it waits again, or its node
    /// hands on (reactor, Invariant 3).
    fn take_by(&self, wait: Wait, taking: Taking) -> Result<Id, SyncError> {
        let pass_on = || {
            if wait != Wait::AtOnce && self.has_permits() {
                self.primitive.notify(1);
            }
        };
        let unwinding = OnUnwind::new(pass_on);
        let taken = self.wait_and_take(wait, taking);
        unwinding.forget();
        if taken.is_err() {
            pass_on();
        }
        taken
    }

    fn wait_and_take(&self, wait: Wait, taking: Taking) -> Result<Id, SyncError> {
        let me = self.primitive.me()?;
        let mut waiter = self.primitive.waiter_that_probes(wait);
        let mut probes = false;
        loop {
            if probes || self.has_permits() {
                self.enter(me, wait)?;
                if probes {
                    self.holders().reap(me);
                }
                let took = self.take(me, taking);
                let left = self.available();
                self.primitive.exit(me)?;
                if left > 0 {
                    // The wake for it may have come to this call, or to a process that has died
                    // since.
                    self.primitive.notify(1);
                }
                if took {
                    return Ok(me);
                }
            }
            match waiter.next(&mut || self.has_permits()) {
                Step::Interrupted => return Err(SyncError::Interrupted),
                Step::GiveUp if wait.is_try() => return Err(SyncError::WouldBlock),
                Step::GiveUp => return Err(SyncError::Timeout),
                step => probes = step == Step::Probe,
            }
        }
    }
}

fn words(primitive: &Primitive) -> &SemaphoreWords {
    // SAFETY: called for semaphores only, whose words these are.
    unsafe { primitive.cell().words::<SemaphoreWords>() }
}

fn holders(primitive: &Primitive) -> Holders<'_> {
    // SAFETY: called for semaphores only, whose data are such a table.
    unsafe { Holders::of(primitive) }
}

fn notify_takers(primitive: &Primitive, permits: u32) {
    // Here, since a forked child that never attached has not registered for the sleepers' barrier.
    fence(SeqCst);
    primitive.notify(permits);
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Semaphore").field("primitive", &self.primitive).field("available", &self.available()).finish()
    }
}
