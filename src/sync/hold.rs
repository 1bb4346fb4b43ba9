//! Who holds a lock without data: one word, of [`Lock`](super::Lock) and of a reentrant lock.
//!
//! ```text
//!   hold    0, number --acquire--> holder, number' --release--> 0, number'
//!                                    |  holder dies
//!                                    v
//!                          dead, number --acquire--> holder', number'', and needs_repair = 1
//! ```
//!
//! Invariants:
//! 1. The word changes by compare-exchange only, and one instruction takes or frees the lock: a
//!    process killed anywhere leaves it free, or held by a dead participant.
//! 2. A hold of a dead participant ends by a caller that has seen it dead. `needs_repair` is 1 before
//!    that caller returns; if it is killed before, its own hold is that of a dead one.
//! 3. Each waiter probes the holder once a slice, and before it gives up: the lock of a dead holder
//!    is never reported as taken.

use super::SyncError;
use super::primitive::Primitive;
use crate::attachment::Attached;
use crate::shm::layout::LockWords;
use crate::shm::participant::{self, Id};
use crate::wait::{OnUnwind, Step, Wait};
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

const HOLDER_SHIFT: u32 = 32;
const NUMBER_MASK: u64 = u32::MAX as u64;

/// The word of one hold: `holder:32 | number:32`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HoldWord(u64);

impl HoldWord {
    pub fn of(me: Id, number: u32) -> HoldWord {
        HoldWord(u64::from(me.bits()) << HOLDER_SHIFT | u64::from(number))
    }

    fn holder_bits(self) -> u32 {
        (self.0 >> HOLDER_SHIFT) as u32
    }

    pub fn number(self) -> u32 {
        self.0 as u32
    }

    pub fn is_free(self) -> bool {
        self.holder_bits() == 0
    }

    pub fn is_of(self, me: Id) -> bool {
        self.holder_bits() == me.bits()
    }
}

/// The words of a lock, and where its waiters sleep.
#[derive(Clone, Copy)]
pub(super) struct Hold<'p> {
    primitive: &'p Primitive,
    pub words: &'p LockWords,
}

impl<'p> Hold<'p> {
    /// # Safety
    /// The primitive is a lock, or a reentrant lock.
    pub unsafe fn of(primitive: &'p Primitive) -> Hold<'p> {
        // SAFETY: the caller vouches for the words.
        Hold { primitive, words: unsafe { primitive.cell().words::<LockWords>() } }
    }

    /// Acquire: what the last holder did came before its release.
    #[inline]
    pub fn now(self) -> HoldWord {
        HoldWord(self.words.hold.load(Acquire))
    }

    pub fn is_free(self) -> bool {
        self.now().is_free()
    }

    /// Takes the lock, from a dead holder if need be. `number_after` gives the number of the new hold
    /// from that of the last one.
    #[inline]
    pub fn acquire(self, me: Id, wait: Wait, number_after: impl Fn(u32) -> u32 + Copy) -> Result<HoldWord, SyncError> {
        let now = self.now();
        if now.is_free() {
            if let Some(mine) = self.replace(now, me, number_after) {
                return Ok(mine);
            }
        }
        self.acquire_contended(me, wait, number_after)
    }

    #[cold]
    fn acquire_contended(self, me: Id, wait: Wait, number_after: impl Fn(u32) -> u32 + Copy) -> Result<HoldWord, SyncError> {
        // For a call that goes without the lock, or whose check panics: the wake of a release may have
        // come to it.
        let pass_on = OnUnwind::new(|| {
            if wait != Wait::AtOnce && self.is_free() {
                self.primitive.notify(1);
            }
        });
        let mut waiter = self.primitive.waiter(wait);
        // Invariant 3, also for a call whose stop is set: what it can have at once it gets.
        let mut probes = wait.is_try() || self.primitive.is_interrupted();
        loop {
            if let Some(mine) = self.try_take(me, probes, number_after) {
                pass_on.forget();
                return Ok(mine);
            }
            match waiter.next(&mut || self.is_free()) {
                Step::Interrupted => return Err(SyncError::Interrupted),
                // Invariant 3.
                Step::GiveUp if !probes => probes = true,
                Step::GiveUp if wait.is_try() => return Err(SyncError::WouldBlock),
                Step::GiveUp => return Err(SyncError::Timeout),
                step => probes = step == Step::Probe,
            }
        }
    }

    /// Takes the lock if it is free, or if `probes` and its holder is dead.
    fn try_take(self, me: Id, probes: bool, number_after: impl Fn(u32) -> u32) -> Option<HoldWord> {
        loop {
            let now = self.now();
            if !now.is_free() && (!probes || self.holder_is_alive(now, me)) {
                return None;
            }
            if let Some(mine) = self.replace(now, me, &number_after) {
                return Some(mine);
            }
        }
    }

    /// Takes over what is free, or what a dead participant holds (Invariant 2).
    #[inline]
    fn replace(self, now: HoldWord, me: Id, number_after: impl Fn(u32) -> u32) -> Option<HoldWord> {
        let mine = HoldWord::of(me, number_after(now.number()));
        self.words.hold.compare_exchange(now.0, mine.0, Acquire, Relaxed).ok()?;
        if !now.is_free() {
            self.words.needs_repair.store(1, Relaxed);
        }
        Some(mine)
    }

    /// Ends this hold, and wakes a waiter. `false`: it has ended already. SeqCst, and a full fence in
    /// `notify`: the next holder sees all that was done under this one, and a waiter that is about to
    /// sleep sees the lock free, or is seen.
    #[inline]
    pub fn free(self, hold: HoldWord) -> bool {
        let freed = self.words.hold.compare_exchange(hold.0, hold.0 & NUMBER_MASK, SeqCst, Relaxed).is_ok();
        if freed {
            self.primitive.notify(1);
        }
        freed
    }

    pub fn holder_is_alive(self, hold: HoldWord, me: Id) -> bool {
        Id::from_bits(hold.holder_bits()).is_some_and(|id| participant::is_alive(self.primitive.segment(), id, me))
    }

    /// Does a live process hold it?
    pub fn is_held(self) -> bool {
        let now = self.now();
        // A process that cannot attach cannot probe either.
        !now.is_free() && self.primitive.me().map_or(true, |me| self.holder_is_alive(now, me))
    }

    /// The pid of a process that holds it, or held it until it died.
    pub fn holder_pid(self) -> Option<u32> {
        let id = Id::from_bits(self.now().holder_bits())?;
        Some(participant::pid_of(self.primitive.segment(), id)).filter(|&pid| pid != 0)
    }

    /// Another has it: which one. A lock that is not reentrant does not know the thread.
    pub fn not_owner(self) -> SyncError {
        SyncError::NotOwner { pid: self.holder_pid().unwrap_or(0), tid: self.words.tid.load(Relaxed) }
    }

    /// Has a holder died, or panicked, and no process said since that it has put things in order?
    /// Ordered by the lock, for its holder.
    pub fn owner_died(self) -> bool {
        self.words.needs_repair.load(Relaxed) != 0
    }

    pub fn note_death(self) {
        self.words.needs_repair.store(1, Relaxed);
    }

    pub fn mark_repaired(self) {
        self.words.needs_repair.store(0, Relaxed);
    }
}
