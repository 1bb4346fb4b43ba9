//! [`Barrier`]: a place where parties wait for each other.
//!
//! ```text
//!   phase n, open --the last party arrives, and all live--> ended --> phase n + 1, open
//!            |  a party dies, times out, or aborts
//!            v
//!   phase n, broken --reset--> phase n + 1, open           (arrivals of phase n get Broken)
//!
//!   ended --a party that has not arrived times out, or one aborts--> ended, next broken
//!         --> phase n + 1, broken
//! ```
//!
//! Invariants:
//! 1. The word `phase` holds the number and the state of a phase. A phase leaves `open` by one
//!    compare-and-swap, its commit point: all its parties learn the same of it. Only to break takes
//!    no lock: an open phase, or the one after a phase that has ended, which is noted in the state
//!    and carried over by the compare-and-swap that opens it.
//! 2. Everything else changes under the lock. A process that takes the lock over from the dead
//!    finishes a phase that has ended, and breaks one that is open: a party has died.
//! 3. An arrival of phase n is over once the phase is another, or not open; how a past phase ended
//!    stands in bit `n % 64` of `broken_phases`, written before the phase changes.
//! 4. The last to arrive probes the others before it ends the phase: the arrival of a dead party
//!    counts for nothing.
//! 5. An action runs in the lock, before the phase ends: a death in it breaks the phase (Invariant 2).

mod action;
mod arrival;
mod phase;
#[cfg(test)]
mod tests;

use super::SyncError;
use super::builder::PrimitiveBuilder;
use super::handle::handle;
use super::holders::Holders;
use super::primitive::{Primitive, PrimitiveKind};
use crate::attachment::Attached;
use crate::error::CreateError;
use crate::lock::Locked;
use crate::shm::kind::Kind;
use crate::shm::layout::BarrierWords;
use crate::shm::participant::{self, Id};
use crate::wait::{Wait, blocking_forms};
use phase::{Phases, State};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// A place where a fixed number of parties wait for each other, again and again: Python's
/// `multiprocessing.Barrier`.
///
/// A party is a call of [`wait`](Self::wait), from whichever thread or process. Once as many have
/// arrived as the barrier was made for, all return, one of them as the leader, and the next phase
/// begins.
///
/// **If a process dies** that has arrived, it breaks the barrier: parties that wait get
/// [`SyncError::Broken`] within 0.1 s or so, and the last to arrive gets it at once: no party
/// passes unless as many living parties are there as it was made for (the last to arrive asks the
/// kernel for the others, about 0.3 us for each process). So does a process that has the barrier
/// attached (has used its handle, and did not drop it) and dies before it arrives, since the others
/// might wait for it for ever: parties that have waited for 0.1 s probe for such processes. A
/// broken barrier stays broken, for all later parties, until [`reset`](Self::reset). A process that
/// ends without dropping its handle (by `exit`) counts as one that died; a child whose closure
/// returns to [`Process::spawn`](crate::Process::spawn) does not. A party that times out breaks the
/// barrier as well, as in Python, and so does one that is interrupted by its
/// [`Stop`](crate::Stop).
///
/// **If a process is stopped** (`SIGSTOP`) in the middle of a call, the others wait for it until
/// their deadlines; a party that gives up then, and [`abort`](Self::abort), break the barrier all
/// the same.
///
/// **No more parties than may attach**: each may be a process of its own, so a barrier of more
/// parties than its [`max_participants`](PrimitiveBuilder::max_participants) (250 if not set, at
/// most 1023) is refused.
///
/// **In a signal handler** [`abort`](Self::abort), [`is_broken`](Self::is_broken),
/// [`waiting`](Self::waiting) and [`parties`](Self::parties) may be called, and nothing else. See
/// the [module](crate::sync#signal-handlers).
///
/// ```
/// use shmq::{Process, sync::Barrier};
///
/// let barrier = Barrier::new(2)?;
/// let inherited = barrier.clone();
/// let child = Process::spawn(move || inherited.wait().map(drop))?;
/// barrier.wait()?;
/// assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Barrier {
    primitive: Arc<Primitive>,
}

/// Of a party that has none.
const NO_ACTION: Option<fn() -> ControlFlow<()>> = None;

handle! {
    "barrier", new: "shmq::sync::Barrier::new(2)?", path: "shmq::sync::Barrier",
    [] Barrier, PrimitiveKind::bare(Kind::Barrier)
}

/// What a party learns when all have arrived.
///
/// ```
/// let result = shmq::sync::Barrier::new(1)?.wait()?;
/// assert!(result.is_leader());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: u32,
    is_leader: bool,
}

impl BarrierWaitResult {
    /// True for exactly one party of each phase: the last to arrive.
    ///
    /// ```
    /// assert!(shmq::sync::Barrier::new(1)?.wait()?.is_leader());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }

    /// A number that no other party of the phase has, from 0 to the number of parties - 1: Python's
    /// `Barrier.wait()`. It is the order of the arrivals; the leader has the last one.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Barrier::new(1)?.wait()?.index(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn index(&self) -> usize {
        self.index as usize
    }
}

impl Barrier {
    fn over(primitive: Arc<Primitive>) -> Barrier {
        Barrier { primitive }
    }

    /// Settings for a barrier to be created: permissions, participants and more.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Barrier::builder(2).max_participants(2).create()?.parties(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(parties: usize) -> PrimitiveBuilder<Self> {
        PrimitiveBuilder::of(PrimitiveKind::bare(Kind::Barrier), parties as u64, |_| (), Self::over)
    }

    /// Creates an anonymous barrier for so many parties, which forked children inherit and
    /// serialised handles lead to.
    ///
    /// # Errors
    /// [`CreateError::OutOfRange`] for 0 parties, [`CreateError::TooManyParties`] for more than
    /// processes may attach; otherwise [`CreateError`].
    ///
    /// ```
    /// use shmq::sync::Barrier;
    ///
    /// assert_eq!(Barrier::new(3)?.parties(), 3);
    /// assert!(Barrier::new(0).is_err());
    /// assert!(Barrier::new(300).is_err()); // 250 processes may attach, if not set otherwise
    /// assert_eq!(Barrier::builder(300).max_participants(300).create()?.parties(), 300);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(parties: usize) -> Result<Barrier, CreateError> {
        Self::builder(parties).create()
    }

    /// Creates a barrier of that name, which no live segment may have.
    ///
    /// # Errors
    /// As [`new`](Self::new); nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-barrier-create-{}", std::process::id());
    /// let barrier = shmq::sync::Barrier::create(&name, 1)?;
    /// shmq::sync::Barrier::open(&name)?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create(name: impl AsRef<str>, parties: usize) -> Result<Barrier, CreateError> {
        Self::builder(parties).name(name).create()
    }

    /// Opens the barrier of that name, for as many parties as it has, or creates it for so many. If
    /// all its users are dead it is replaced by a new, whole one for so many parties, unless it was
    /// persisted: see the [module](crate::sync).
    ///
    /// # Errors
    /// As [`new`](Self::new); nothing was changed.
    ///
    /// ```
    /// # let name = format!("doc-barrier-open-or-create-{}", std::process::id());
    /// let first = shmq::sync::Barrier::open_or_create(&name, 2)?;
    /// assert_eq!(shmq::sync::Barrier::open_or_create(&name, 3)?.parties(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create(name: impl AsRef<str>, parties: usize) -> Result<Barrier, CreateError> {
        Self::builder(parties).name(name).open_or_create()
    }

    /// How many have to arrive.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Barrier::new(3)?.parties(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parties(&self) -> usize {
        self.primitive.count() as usize
    }

    /// How many have arrived in this phase.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Barrier::new(3)?.waiting(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn waiting(&self) -> usize {
        self.words().arrived.load(Acquire) as usize
    }

    /// Is it broken? Then it stays so until [`reset`](Self::reset).
    ///
    /// ```
    /// let barrier = shmq::sync::Barrier::new(3)?;
    /// barrier.abort()?;
    /// assert!(barrier.is_broken());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_broken(&self) -> bool {
        matches!(self.phases().now().1, State::Broken | State::EndedNextBroken)
    }

    blocking_forms! {
        /// Arrives, and waits until all parties have.
        ///
        /// # Errors
        /// [`SyncError::Broken`] if a party died, timed out or aborted; [`SyncError::Timeout`]
        /// breaks the barrier for the others.
        ///
        /// ```
        /// use std::time::Duration;
        /// use shmq::sync::{Barrier, SyncError};
        ///
        /// let barrier = Barrier::new(2)?;
        /// let waited = barrier.wait_timeout(Duration::from_millis(10));
        /// assert!(matches!(waited, Err(SyncError::Timeout)));
        /// assert!(matches!(barrier.wait(), Err(SyncError::Broken)));
        /// barrier.reset()?;
        /// assert!(!barrier.is_broken());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        wait, wait_timeout, wait_deadline,
        |self, wait| -> Result<BarrierWaitResult, SyncError> { self.wait_by(wait, NO_ACTION) }
    }

    /// Arrives if that ends the phase, all other parties being there: [`SyncError::WouldBlock`]
    /// otherwise, at once, and nothing is changed or broken.
    ///
    /// # Errors
    /// As [`wait`](Self::wait); [`SyncError::Busy`] if a process that does not run is in the middle
    /// of an operation.
    ///
    /// ```
    /// use shmq::sync::{Barrier, SyncError};
    ///
    /// assert!(Barrier::new(1)?.try_wait()?.is_leader());
    /// let barrier = Barrier::new(2)?;
    /// assert!(matches!(barrier.try_wait(), Err(SyncError::WouldBlock)));
    /// assert!(!barrier.is_broken());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_wait(&self) -> Result<BarrierWaitResult, SyncError> {
        let me = self.primitive.me()?;
        self.enter(me, Wait::Never)?;
        let arrived = u64::from(self.words().arrived.load(Relaxed));
        if self.phases().now().1 == State::Open && arrived.saturating_add(1) < self.primitive.count() {
            self.primitive.exit(me)?;
            return Err(SyncError::WouldBlock);
        }
        self.arrive_and_exit(me, NO_ACTION).map(|(_, result)| result)
    }

    blocking_forms! {
        /// Makes it as new: no party has arrived, nothing is broken, the dead are forgotten.
        /// Parties that wait get [`SyncError::Broken`]. Waits while another is in the middle of an
        /// operation.
        ///
        /// # Errors
        /// [`SyncError::Poisoned`], or what kept this process from attaching after a fork.
        ///
        /// ```
        /// let barrier = shmq::sync::Barrier::new(2)?;
        /// barrier.abort()?;
        /// barrier.reset()?;
        /// assert!(!barrier.is_broken());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        reset, reset_timeout, reset_deadline,
        |self, wait| -> Result<(), SyncError> { self.reset_by(wait) }
    }

    /// As [`reset`](Self::reset), without waiting.
    ///
    /// # Errors
    /// As there; [`SyncError::Busy`] if a process that does not run is in the middle of an
    /// operation.
    ///
    /// ```
    /// let barrier = shmq::sync::Barrier::new(3)?;
    /// barrier.abort()?;
    /// barrier.try_reset()?;
    /// assert!(!barrier.is_broken());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_reset(&self) -> Result<(), SyncError> {
        self.reset_by(Wait::Never)
    }

    fn reset_by(&self, wait: Wait) -> Result<(), SyncError> {
        let me = self.primitive.me()?;
        self.enter(me, wait)?;
        for (entry, pid) in participant::dead(self.primitive.segment(), me) {
            let _ = entry.pid.compare_exchange(pid, 0, AcqRel, Relaxed);
        }
        self.primitive.forget_deaths();
        if self.words().arrived.load(Relaxed) > 0 {
            self.phases().break_open();
        }
        self.open_next_phase(|_| State::Open);
        self.primitive.exit(me)?;
        self.primitive.notify(u32::MAX);
        Ok(())
    }

    /// Breaks it: parties that wait, and all that arrive until [`reset`](Self::reset), get
    /// [`SyncError::Broken`]. Parties of a phase that has just ended pass. Takes no lock, and does
    /// not wait. May be called in a signal handler.
    ///
    /// # Errors
    /// As [`reset`](Self::reset).
    ///
    /// ```
    /// let barrier = shmq::sync::Barrier::new(2)?;
    /// barrier.abort()?;
    /// assert!(matches!(barrier.wait(), Err(shmq::sync::SyncError::Broken)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn abort(&self) -> Result<(), SyncError> {
        self.primitive.me()?;
        if self.primitive.is_poisoned() {
            return Err(SyncError::Poisoned);
        }
        self.phases().break_open_or_next();
        self.primitive.notify(u32::MAX);
        Ok(())
    }

    fn words(&self) -> &BarrierWords {
        // SAFETY: the words of a barrier.
        unsafe { self.primitive.cell().words::<BarrierWords>() }
    }

    fn arrivals(&self) -> Holders<'_> {
        // SAFETY: a barrier's data are such a table.
        unsafe { Holders::of(&self.primitive) }
    }

    fn phases(&self) -> Phases<'_> {
        Phases(self.words())
    }

    /// Locks; a death in the lock is the death of a party, unless it had ended the phase (Invariant
    /// 2).
    fn enter(&self, me: Id, wait: Wait) -> Result<(), SyncError> {
        if self.primitive.enter(me, wait)? == Locked::FromTheDead {
            if !self.phases().break_open() && self.phases().now().1.is_ended() {
                self.open_next_phase(State::of_next);
            }
            self.primitive.notify(u32::MAX);
        }
        Ok(())
    }

    /// Needs the lock.
    fn open_next_phase(&self, opens: fn(State) -> State) {
        self.phases().open_next(|| self.arrivals().clear(), opens);
    }

    /// How an arrival of that phase ended, if it did (Invariant 3).
    fn end_of(&self, phase: u64) -> Option<Result<(), SyncError>> {
        if self.primitive.is_poisoned() {
            return Some(Err(SyncError::Poisoned));
        }
        let was_broken = self.phases().was_broken(phase)?;
        Some(if was_broken { Err(SyncError::Broken) } else { Ok(()) })
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Barrier")
            .field("primitive", &self.primitive)
            .field("parties", &self.parties())
            .field("waiting", &self.waiting())
            .field("broken", &self.is_broken())
            .finish()
    }
}
