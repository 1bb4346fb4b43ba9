//! [`Event`]: a flag that many wait for.
//!
//! ```text
//!   changes    even: clear --set, wake all--> odd: set --clear--> even
//! ```
//!
//! Invariants:
//! 1. One word, changed by one instruction: no lock, so no process can die with it half changed.
//! 2. A waiter that began at an even number is released by any other number: also by a set that was
//!    cleared before the waiter checked.

use super::SyncError;
use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::primitive::{Primitive, PrimitiveKind};
use crate::attachment::Attached;
use crate::error::CreateError;
use crate::shm::kind::Kind;
use crate::shm::layout::EventWords;
use crate::wait::{Step, Wait, blocking_forms};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, SeqCst};
use std::sync::atomic::fence;

/// A flag that many wait for: Python's `multiprocessing.Event`.
///
/// Setting it releases all waiters, also if it is cleared again before they run. A caller that
/// waits while it is set continues at once.
///
/// **In a signal handler** [`set`](Self::set), [`clear`](Self::clear), [`is_set`](Self::is_set) and
/// [`try_wait`](Self::try_wait) may be called, whatever they interrupt; the forms that wait may
/// not. See the [module](crate::sync#signal-handlers).
///
/// **If a process dies** in the middle of anything, the others go on; one that dies between setting
/// the flag and waking the waiters delays them by 0.1 s at most.
///
/// ```
/// use shmq::{Process, sync::Event};
///
/// let ready = Event::new()?;
/// let inherited = ready.clone();
/// let child = Process::spawn(move || inherited.set())?;
/// ready.wait()?;
/// assert!(ready.is_set());
/// child.join()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Event {
    primitive: Arc<Primitive>,
}

handle! {
    "event", new: "shmq::sync::Event::new()?", path: "shmq::sync::Event",
    [] Event, PrimitiveKind::bare(Kind::Event)
}

impl Event {
    fn over(primitive: Arc<Primitive>) -> Event {
        Event { primitive }
    }

    /// Settings for an event to be created: permissions, participants and more.
    ///
    /// ```
    /// assert!(!shmq::sync::Event::builder().max_participants(2).create()?.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder() -> PrimitiveBuilder<Self> {
        PrimitiveBuilder::of(PrimitiveKind::bare(Kind::Event), 1, |_| (), Self::over)
    }

    /// Creates an anonymous event that is not set, which forked children inherit and serialised
    /// handles lead to.
    ///
    /// # Errors
    /// [`CreateError`].
    ///
    /// ```
    /// assert!(!shmq::sync::Event::new()?.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Result<Event, CreateError> {
        Self::builder().create()
    }

    /// Creates an event of that name, which no live segment may have.
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-event-create-{}", std::process::id());
    /// let event = shmq::sync::Event::create(&name)?;
    /// event.set();
    /// assert!(shmq::sync::Event::open(&name)?.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>) -> Result<Event, CreateError> {
        Self::builder().name(name).create()
    }

    /// Opens the event of that name, or creates it if there is none. If all its users are dead it
    /// is replaced by one that is not set, unless it was persisted: see the [module](crate::sync).
    ///
    /// # Errors
    /// [`CreateError`]; nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-event-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Event::open_or_create(&name)?;
    /// shmq::sync::Event::open_or_create(&name)?.set();
    /// assert!(first.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>) -> Result<Event, CreateError> {
        Self::builder().name(name).open_or_create()
    }

    fn words(&self) -> &EventWords {
        // SAFETY: the words of an event.
        unsafe { self.primitive.cell().words::<EventWords>() }
    }

    /// Sets it, and wakes all waiters. Nothing changes if it is set. Takes no lock, does
    /// not wait, and may be called in a signal handler, whatever it interrupts.
    ///
    /// ```
    /// let event = shmq::sync::Event::new()?;
    /// event.set();
    /// event.wait()?; // at once
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set(&self) {
        let set =
            self.words().changes.fetch_update(SeqCst, SeqCst, |changes| (changes % 2 == 0).then(|| changes.wrapping_add(1)));
        // Here, since a forked child that never attached has not registered for the sleepers'
        // barrier.
        fence(SeqCst);
        if set.is_ok() {
            self.primitive.notify(u32::MAX);
        }
    }

    /// Clears it: callers wait from now on. Nothing changes if it is clear. Does not
    /// wait, and may be called in a signal handler.
    ///
    /// ```
    /// let event = shmq::sync::Event::new()?;
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn clear(&self) {
        let _ = self.words().changes.fetch_update(SeqCst, SeqCst, |changes| (changes % 2 == 1).then(|| changes.wrapping_add(1)));
    }

    /// Is it set?
    ///
    /// ```
    /// let event = shmq::sync::Event::new()?;
    /// assert!(!event.is_set());
    /// event.set();
    /// assert!(event.is_set());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_set(&self) -> bool {
        self.changes() % 2 == 1
    }

    pub(crate) fn changes(&self) -> u64 {
        self.words().changes.load(Acquire)
    }

    /// Was it set at some time since it had this number (Invariant 2)?
    pub(crate) fn was_set_since(&self, seen: u64) -> bool {
        seen % 2 == 1 || self.changes() != seen
    }

    blocking_forms! {
        /// Waits until it is set.
        ///
        /// # Errors
        /// What kept this process from attaching after a fork.
        ///
        /// ```
        /// use std::time::Duration;
        /// use shmq::sync::{Event, SyncError};
        ///
        /// let event = Event::new()?;
        /// let waited = event.wait_timeout(Duration::from_millis(10));
        /// assert!(matches!(waited, Err(SyncError::Timeout)));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        wait, wait_timeout, wait_deadline,
        |self, wait| -> Result<(), SyncError> { self.wait_by(wait) }
    }

    /// Is it set? [`SyncError::WouldBlock`] if it is not: [`is_set`](Self::is_set) as one of the
    /// forms of [`wait`](Self::wait).
    ///
    /// May be called in a signal handler: see the [module](crate::sync#signal-handlers).
    ///
    /// # Errors
    /// `WouldBlock`.
    ///
    /// ```
    /// let event = shmq::sync::Event::new()?;
    /// assert!(event.try_wait().is_err());
    /// event.set();
    /// event.try_wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_wait(&self) -> Result<(), SyncError> {
        if self.is_set() { Ok(()) } else { Err(SyncError::WouldBlock) }
    }

    fn wait_by(&self, wait: Wait) -> Result<(), SyncError> {
        self.primitive.me()?;
        let seen = self.changes();
        let mut waiter = self.primitive.waiter(wait);
        while !self.was_set_since(seen) {
            match waiter.next(&mut || self.was_set_since(seen)) {
                Step::GiveUp => return Err(SyncError::Timeout),
                Step::Interrupted => return Err(SyncError::Interrupted),
                Step::CheckAgain | Step::Probe => {}
            }
        }
        Ok(())
    }

    pub(crate) fn primitive(&self) -> &Primitive {
        &self.primitive
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Event").field("primitive", &self.primitive).field("set", &self.is_set()).finish()
    }
}
