//! [`Semaphore`]: a number of permits.
//!
//! ```text
//!   available --acquire--> gone         (total - 1)        gone --release--> available        (total + 1)
//!   available --permit()--> held by a participant (table + 1) --drop, or the participant dies--> available
//! ```
//!
//! Invariants:
//! 1. `available = total - all that the table holds`, except inside the lock. Each operation changes `total` or one word of
//!    the table with one store, its commit point, and `available` after it.
//! 2. Whoever takes the lock over from the dead derives `available` anew, before anything else. It may be killed in that and run again.
//! 3. Each waiter looks after dead holders once a slice, so permits of the dead come back to a semaphore that is otherwise idle.

use super::SyncError;
use super::builder::Builder;
use super::handle::{handle, waits};
use super::holders::Holders;
use super::object::{Cell, Object, Shape};
use crate::channel::{Patience, Pause, Pauses};
use crate::error::CreateError;
use crate::layout::{SemaphoreWords, kind};
use crate::lock::Locked;
use crate::participant::Id;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A number of permits: Python's `multiprocessing.Semaphore`.
///
/// Permits are taken in two ways:
/// - [`permit`](Self::permit) returns a guard. Its permit comes back when the guard is dropped, **or when its process dies**,
///   however that happens: within 0.1 s to those who wait.
/// - [`acquire`](Self::acquire) takes one for good, as Python's does; somebody, perhaps another process, gives one back with
///   [`release`](Self::release). What was acquired like this does not come back with a death: nobody knows whose turn it was to release.
///
/// There is no upper bound: `release` without `acquire` adds a permit.
///
/// ```
/// use shmq::{Process, sync::Semaphore};
///
/// let licences = Semaphore::new(1)?;
/// let inherited = licences.clone();
/// let mut child = Process::spawn(move || {
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
    object: Arc<Object>,
}

handle! {
    "semaphore", new: "shmq::sync::Semaphore::new(1)?", path: "shmq::sync::Semaphore",
    [] Semaphore, Shape::bare(kind::SEMAPHORE)
}

/// How a permit is taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taking {
    ForGood,
    AsGuard,
}

impl Semaphore {
    fn over(object: Arc<Object>) -> Semaphore {
        Semaphore { object }
    }

    fn init(permits: u64) -> impl Fn(Cell) {
        move |cell| {
            // SAFETY: the words of a semaphore.
            let words = unsafe { cell.words::<SemaphoreWords>() };
            words.total.store(permits, Relaxed);
            words.available.store(permits, Relaxed);
        }
    }

    /// Settings for a semaphore to be created: permissions, participants and more.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Semaphore::builder(3).max_participants(9).create()?.value(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(permits: u64) -> Builder<Self> {
        Builder::of(Shape::bare(kind::SEMAPHORE), permits, Self::init(permits), Self::over)
    }

    /// Creates an anonymous semaphore with so many permits, which forked children inherit and serialised handles lead to.
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

    /// Creates a semaphore of that name, which nobody alive may have.
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

    /// Opens the semaphore of that name, or creates it with so many permits if there is none.
    /// If all its users are dead it is replaced by a new one with so many permits, unless it was persisted: see the [module](crate::sync).
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

    waits! {
        /// Takes a permit for good; waits while there is none. Give it back with [`release`](Self::release).
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
        |self, patience| -> Result<(), SyncError> { self.take_by(patience, Taking::ForGood).map(drop) }
    }

    /// Takes a permit for good if there is one: [`SyncError::WouldBlock`] otherwise, at once.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); [`SyncError::Busy`] if a process that does not run is in the middle of an operation.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// semaphore.try_acquire()?;
    /// assert!(matches!(semaphore.try_acquire(), Err(shmq::sync::SyncError::WouldBlock)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_acquire(&self) -> Result<(), SyncError> {
        self.take_by(Patience::Try, Taking::ForGood).map(drop)
    }

    waits! {
        /// Takes a permit as a guard; waits while there is none. It comes back when the guard is dropped, or when this process dies.
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
        |self, patience| -> Result<Permit<'_>, SyncError> { self.permit_by(patience) }
    }

    /// Takes a permit as a guard if there is one: [`SyncError::WouldBlock`] otherwise, at once.
    ///
    /// # Errors
    /// As [`permit`](Self::permit); [`SyncError::Busy`] if a process that does not run is in the middle of an operation.
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// let permit = semaphore.try_permit()?;
    /// assert!(semaphore.try_permit().is_err());
    /// # drop(permit);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_permit(&self) -> Result<Permit<'_>, SyncError> {
        self.permit_by(Patience::Try)
    }

    fn permit_by(&self, patience: Patience) -> Result<Permit<'_>, SyncError> {
        let me = self.take_by(patience, Taking::AsGuard)?;
        Ok(Permit { semaphore: self, me, incarnation: self.object.incarnation() })
    }

    /// Adds a permit: one that was acquired, or a new one. Wakes one who waits.
    ///
    /// # Errors
    /// [`SyncError::Poisoned`], or what kept this process from attaching after a fork; nothing was added.
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

    /// Adds several permits at once.
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
        let me = self.object.me()?;
        self.enter(me, Patience::FOREVER)?;
        let words = self.words();
        words.total.store(words.total.load(Relaxed).saturating_add(u64::from(permits)), Relaxed);
        self.give(u64::from(permits));
        self.object.exit(me)?;
        self.object.notify(permits);
        Ok(())
    }

    /// Permits that can be taken now. Those of a dead holder count again once somebody has looked: whoever waits does, ten times
    /// a second, and so does this call.
    pub fn value(&self) -> u64 {
        if self.object.is_time_to_look() {
            self.look_after_the_dead();
        }
        self.words().available.load(Acquire)
    }

    /// Brings back the permits of the dead. Gives up where it cannot.
    pub(crate) fn look_after_the_dead(&self) {
        let Ok(me) = self.object.me() else { return };
        if self.enter(me, Patience::Try).is_ok() {
            self.reap(me);
            let back = self.words().available.load(Relaxed);
            let _ = self.object.exit(me);
            if back > 0 {
                self.object.notify(u32::try_from(back).unwrap_or(u32::MAX));
            }
        }
    }

    pub(crate) fn has_permits(&self) -> bool {
        self.words().available.load(Acquire) > 0 || self.object.is_poisoned()
    }

    /// Changes when permits are taken; not if as many came meanwhile.
    pub(crate) fn permits_seen(&self) -> [u64; 3] {
        let words = self.words();
        [words.available.load(Acquire), words.total.load(Acquire), 0]
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    fn words(&self) -> &SemaphoreWords {
        // SAFETY: the words of a semaphore.
        unsafe { self.object.cell().words::<SemaphoreWords>() }
    }

    fn holders(&self) -> Holders<'_> {
        // SAFETY: a semaphore's data are such a table.
        unsafe { Holders::of(&self.object) }
    }

    /// Locks, and derives anew what a dead holder of the lock left behind (Invariant 2).
    fn enter(&self, me: Id, patience: Patience) -> Result<(), SyncError> {
        if self.object.enter(me, patience)? == Locked::FromTheDead {
            self.reap(me);
        }
        Ok(())
    }

    /// Needs the lock.
    fn reap(&self, me: Id) {
        self.holders().reap(me);
        let words = self.words();
        words.available.store(words.total.load(Relaxed).saturating_sub(self.holders().total()), Release);
    }

    /// Needs the lock. The second store of an operation (Invariant 1).
    fn give(&self, permits: u64) {
        let available = &self.words().available;
        available.store(available.load(Relaxed).saturating_add(permits), Release);
    }

    /// Needs the lock.
    fn take(&self, me: Id, taking: Taking) -> bool {
        let words = self.words();
        if taking == Taking::AsGuard && self.holders().succeeds_a_holder(me) {
            self.reap(me);
        }
        let available = words.available.load(Relaxed);
        if available == 0 {
            return false;
        }
        match taking {
            Taking::ForGood => words.total.store(words.total.load(Relaxed).saturating_sub(1), Relaxed),
            Taking::AsGuard => self.holders().set_count(me, self.holders().count(me) + 1),
        }
        words.available.store(available - 1, Release);
        true
    }

    /// The one path that waits. A caller that goes without a permit passes on the wake that it may have had for one, here or in
    /// `wait_any`.
    fn take_by(&self, patience: Patience, taking: Taking) -> Result<Id, SyncError> {
        let taken = self.wait_and_take(patience, taking);
        if taken.is_err() && self.has_permits() {
            self.object.notify(1);
        }
        taken
    }

    fn wait_and_take(&self, patience: Patience, taking: Taking) -> Result<Id, SyncError> {
        let me = self.object.me()?;
        let mut waiter = Pauses::new(patience.deadline_ns());
        let mut look_after_the_dead = false;
        loop {
            if look_after_the_dead || self.has_permits() {
                self.enter(me, patience)?;
                if look_after_the_dead {
                    self.reap(me);
                }
                let took = self.take(me, taking);
                let left = self.words().available.load(Relaxed);
                self.object.exit(me)?;
                if left > 0 {
                    // The wake for it may have come to us, or to somebody who died of it.
                    self.object.notify(1);
                }
                if took {
                    return Ok(me);
                }
            }
            if patience == Patience::Try {
                if !look_after_the_dead && self.object.is_time_to_look() {
                    look_after_the_dead = true;
                    continue;
                }
                return Err(SyncError::WouldBlock);
            }
            look_after_the_dead = match self.object.pause(&mut waiter, &mut || self.has_permits()) {
                Pause::TimedOut if look_after_the_dead || !self.object.is_time_to_look() => return Err(SyncError::Timeout),
                Pause::TimedOut | Pause::SliceOver => true,
                Pause::LookAgain => false,
            };
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let available = self.words().available.load(Relaxed);
        out.debug_struct("Semaphore").field("object", &self.object).field("available", &available).finish()
    }
}

/// Dropping it gives the permit back, as does the end of the process, however it ends.
///
/// `Send`: another thread may drop it. A permit inherited across `fork` belongs to the parent: in the child nothing happens when it is dropped.
#[must_use = "dropping it gives the permit back at once"]
pub struct Permit<'s> {
    semaphore: &'s Semaphore,
    me: Id,
    incarnation: u32,
}

impl Permit<'_> {
    /// Keeps the permit for good, as if it had been taken by [`Semaphore::acquire`].
    ///
    /// # Errors
    /// [`SyncError::Inherited`] in a child; [`SyncError::Poisoned`].
    ///
    /// ```
    /// let semaphore = shmq::sync::Semaphore::new(1)?;
    /// semaphore.permit()?.forget()?;
    /// assert_eq!(semaphore.value(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forget(self) -> Result<(), SyncError> {
        let semaphore = self.semaphore;
        if semaphore.object.incarnation() != self.incarnation {
            return Err(SyncError::Inherited);
        }
        semaphore.enter(self.me, Patience::FOREVER)?;
        // Killed between the two, the permit is gone for good: the table's word comes back with the death, `total` does not.
        let words = semaphore.words();
        words.total.store(words.total.load(Relaxed).saturating_sub(1), Relaxed);
        semaphore.holders().set_count(self.me, semaphore.holders().count(self.me).saturating_sub(1));
        let exited = semaphore.object.exit(self.me);
        std::mem::forget(self);
        exited
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let semaphore = self.semaphore;
        // Where it cannot be given back, others are told that the semaphore is poisoned.
        if semaphore.object.incarnation() != self.incarnation || semaphore.enter(self.me, Patience::FOREVER).is_err() {
            return;
        }
        let held = semaphore.holders().count(self.me);
        if held > 0 {
            semaphore.holders().set_count(self.me, held - 1);
            semaphore.give(1);
        }
        let _ = semaphore.object.exit(self.me);
        semaphore.object.notify(1);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Permit").field(self.semaphore).finish()
    }
}
