//! [`Barrier`]: a place where parties wait for each other.
//!
//! ```text
//!   phase n, open --the last party arrives--> phase n + 1, open       (arrivals released, one of them leads)
//!            |  a party dies, times out, or aborts
//!            v
//!   phase n, broken --reset--> phase n + 1, open                      (arrivals of phase n get Broken)
//! ```
//!
//! Invariants:
//! 1. All words change under the lock. Whoever takes it over from the dead breaks the phase that it finds: a party has died.
//! 2. An arrival of phase n is over once the phase is another, or this one is broken; how it ended stands in bit `n % 64` of
//!    `broken_phases`, written before the phase changes.

use super::SyncError;
use super::builder::Builder;
use super::handle::{handle, waits};
use super::holders::Holders;
use super::object::{Object, Shape};
use crate::channel::{Patience, Pause, Pauses};
use crate::error::CreateError;
use crate::layout::{BarrierWords, kind};
use crate::lock::Locked;
use crate::os::now_ns;
use crate::participant::{self, Id};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// How long past its deadline a party that gives up tries to tell the others.
const GIVE_UP_NS: u64 = 100_000_000;

/// A place where a fixed number of parties wait for each other, again and again: Python's `multiprocessing.Barrier`.
///
/// A party is a call of [`wait`](Self::wait), from whichever thread or process. Once as many have arrived as the barrier was made for, all
/// return, one of them as the leader, and the next phase begins.
///
/// **If a process dies** that has arrived, or that has the barrier attached (has used its handle, and did not drop it), those who wait get
/// [`SyncError::Broken`] within 0.1 s or so, since they might wait for it for ever; so do all who come later, until [`reset`](Self::reset).
/// One that ends without dropping its handle (by `exit`) counts as one that died; a child whose closure returns to
/// [`Process::spawn`](crate::Process::spawn) does not. A party that times out breaks the barrier as well, as in Python.
///
/// ```
/// use shmq::{Process, sync::Barrier};
///
/// let barrier = Barrier::new(2)?;
/// let inherited = barrier.clone();
/// let mut child = Process::spawn(move || inherited.wait().map(drop))?;
/// barrier.wait()?;
/// assert!(child.join()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Barrier {
    object: Arc<Object>,
}

handle! {
    "barrier", new: "shmq::sync::Barrier::new(2)?", path: "shmq::sync::Barrier",
    [] Barrier, Shape::bare(kind::BARRIER)
}

/// What a party learns when all have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// True for exactly one party of each phase: the last to arrive.
    ///
    /// ```
    /// assert!(shmq::sync::Barrier::new(1)?.wait()?.is_leader());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    fn over(object: Arc<Object>) -> Barrier {
        Barrier { object }
    }

    /// Settings for a barrier to be created: permissions, participants and more.
    ///
    /// ```
    /// assert_eq!(shmq::sync::Barrier::builder(2).max_participants(2).create()?.parties(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(parties: usize) -> Builder<Self> {
        Builder::of(Shape::bare(kind::BARRIER), parties as u64, |_| (), Self::over)
    }

    /// Creates an anonymous barrier for so many parties, which forked children inherit and serialised handles lead to.
    ///
    /// # Errors
    /// [`CreateError::BadCapacity`] for 0 parties or more than `u32::MAX`; otherwise [`CreateError`].
    ///
    /// ```
    /// assert_eq!(shmq::sync::Barrier::new(3)?.parties(), 3);
    /// assert!(shmq::sync::Barrier::new(0).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(parties: usize) -> Result<Barrier, CreateError> {
        Self::builder(parties).create()
    }

    /// Creates a barrier of that name, which nobody alive may have.
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

    /// Opens the barrier of that name, for as many parties as it has, or creates it for so many.
    /// If all its users are dead it is replaced by a new, whole one for so many parties, unless it was persisted: see the [module](crate::sync).
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
    pub fn parties(&self) -> usize {
        self.object.count() as usize
    }

    /// How many have arrived in this phase.
    pub fn waiting(&self) -> usize {
        self.words().arrived.load(Acquire) as usize
    }

    /// Is it broken? Then it stays so until [`reset`](Self::reset).
    pub fn is_broken(&self) -> bool {
        self.words().broken.load(Acquire) != 0
    }

    waits! {
        /// Arrives, and waits until all parties have.
        ///
        /// # Errors
        /// [`SyncError::Broken`] if a party died, timed out or aborted; [`SyncError::Timeout`] breaks the barrier for the others.
        ///
        /// ```
        /// use std::time::Duration;
        /// use shmq::sync::{Barrier, SyncError};
        ///
        /// let barrier = Barrier::new(2)?;
        /// assert!(matches!(barrier.wait_timeout(Duration::from_millis(10)), Err(SyncError::Timeout)));
        /// assert!(matches!(barrier.wait(), Err(SyncError::Broken)));
        /// barrier.reset()?;
        /// assert!(!barrier.is_broken());
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        wait, wait_timeout, wait_deadline,
        |self, patience| -> Result<BarrierWaitResult, SyncError> { self.wait_by(patience) }
    }

    /// Makes it as new: nobody has arrived, nothing is broken, the dead are forgotten. Those who wait get [`SyncError::Broken`].
    ///
    /// # Errors
    /// [`SyncError::Poisoned`], or what kept this process from attaching after a fork.
    pub fn reset(&self) -> Result<(), SyncError> {
        let me = self.object.me()?;
        self.enter(me, Patience::FOREVER)?;
        for (entry, pid) in participant::dead(self.object.segment(), me) {
            let _ = entry.pid.compare_exchange(pid, 0, AcqRel, Relaxed);
        }
        self.object.forget_deaths();
        let words = self.words();
        if words.arrived.load(Relaxed) > 0 {
            self.break_phase();
        }
        self.next_phase();
        words.broken.store(0, Release);
        self.object.exit(me)?;
        self.object.notify(u32::MAX);
        Ok(())
    }

    /// Breaks it: those who wait, and all who come until [`reset`](Self::reset), get [`SyncError::Broken`].
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
        let me = self.object.me()?;
        self.enter(me, Patience::FOREVER)?;
        self.break_phase();
        self.object.exit(me)?;
        self.object.notify(u32::MAX);
        Ok(())
    }

    fn words(&self) -> &BarrierWords {
        // SAFETY: the words of a barrier.
        unsafe { self.object.cell().words::<BarrierWords>() }
    }

    fn arrivals(&self) -> Holders<'_> {
        // SAFETY: a barrier's data are such a table.
        unsafe { Holders::of(&self.object) }
    }

    /// Locks; a death in the lock is the death of a party (Invariant 1).
    fn enter(&self, me: Id, patience: Patience) -> Result<(), SyncError> {
        if self.object.enter(me, patience)? == Locked::FromTheDead {
            self.break_phase();
            self.object.notify(u32::MAX);
        }
        Ok(())
    }

    /// Needs the lock. May be killed in the middle, which breaks the phase as well.
    fn break_phase(&self) {
        let words = self.words();
        let bit = phase_bit(words.phase.load(Relaxed));
        words.broken_phases.store(words.broken_phases.load(Relaxed) | bit, Relaxed);
        words.broken.store(1, Release);
    }

    /// Needs the lock. The phase last: by then everything else is ready for it (Invariant 2).
    fn next_phase(&self) {
        let words = self.words();
        let next = words.phase.load(Relaxed).wrapping_add(1);
        self.arrivals().clear();
        words.arrived.store(0, Relaxed);
        words.broken_phases.store(words.broken_phases.load(Relaxed) & !phase_bit(next), Relaxed);
        words.phase.store(next, Release);
    }

    /// How an arrival of that phase ended, if it did (Invariant 2).
    fn end_of(&self, phase: u64) -> Option<Result<BarrierWaitResult, SyncError>> {
        let words = self.words();
        if self.object.is_poisoned() {
            return Some(Err(SyncError::Poisoned));
        }
        let broken = words.broken.load(Acquire) != 0;
        if words.phase.load(Acquire) == phase {
            return broken.then_some(Err(SyncError::Broken));
        }
        let ended_broken = words.broken_phases.load(Acquire) & phase_bit(phase) != 0;
        Some(if ended_broken { Err(SyncError::Broken) } else { Ok(BarrierWaitResult(false)) })
    }

    fn wait_by(&self, patience: Patience) -> Result<BarrierWaitResult, SyncError> {
        let me = self.object.me()?;
        self.enter(me, patience)?;
        let (phase, last) = match self.arrive(me) {
            Ok(arrived) => arrived,
            Err(error) => {
                self.object.exit(me)?;
                self.object.notify(u32::MAX);
                return Err(error);
            }
        };
        self.object.exit(me)?;
        if last {
            self.object.notify(u32::MAX);
            return Ok(BarrierWaitResult(true));
        }
        let mut waiter = Pauses::new(patience.deadline_ns());
        loop {
            if let Some(end) = self.end_of(phase) {
                return end;
            }
            match self.object.pause(&mut waiter, &mut || self.end_of(phase).is_some()) {
                Pause::LookAgain => {}
                Pause::SliceOver => self.look_after_the_dead(me, phase, patience),
                Pause::TimedOut => return self.give_up(me, phase),
            }
        }
    }

    /// Needs the lock. The phase of the arrival, and whether it was the last.
    fn arrive(&self, me: Id) -> Result<(u64, bool), SyncError> {
        let words = self.words();
        if words.broken.load(Relaxed) != 0 {
            return Err(SyncError::Broken);
        }
        let arrivals = self.arrivals();
        if arrivals.succeeds_a_holder(me) {
            self.break_phase();
            return Err(SyncError::Broken);
        }
        let phase = words.phase.load(Relaxed);
        arrivals.set_count(me, arrivals.count(me) + 1);
        let arrived = words.arrived.load(Relaxed).saturating_add(1);
        words.arrived.store(arrived, Relaxed);
        let last = u64::from(arrived) >= self.object.count();
        if last {
            self.next_phase();
        }
        Ok((phase, last))
    }

    fn give_up(&self, me: Id, phase: u64) -> Result<BarrierWaitResult, SyncError> {
        // A process that is stopped in the lock keeps us from telling the others; it breaks them when it dies, and counts us when not.
        if self.enter(me, Patience::Until(now_ns().saturating_add(GIVE_UP_NS))).is_err() {
            return Err(SyncError::Timeout);
        }
        let end = self.end_of(phase);
        if end.is_none() {
            self.break_phase();
        }
        self.object.exit(me)?;
        self.object.notify(u32::MAX);
        end.unwrap_or(Err(SyncError::Timeout))
    }

    fn look_after_the_dead(&self, me: Id, phase: u64, patience: Patience) {
        if self.enter(me, patience).is_err() {
            // Too late, or poisoned: the caller's next look says so.
            return;
        }
        let died = || {
            self.arrivals().has_dead(me) || self.object.had_a_death() || !participant::dead(self.object.segment(), me).is_empty()
        };
        let breaks = self.end_of(phase).is_none() && died();
        if breaks {
            self.break_phase();
        }
        let _ = self.object.exit(me);
        if breaks {
            self.object.notify(u32::MAX);
        }
    }
}

fn phase_bit(phase: u64) -> u64 {
    1 << (phase % 64)
}

impl fmt::Debug for Barrier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Barrier")
            .field("object", &self.object)
            .field("parties", &self.parties())
            .field("waiting", &self.waiting())
            .field("broken", &self.is_broken())
            .finish()
    }
}
