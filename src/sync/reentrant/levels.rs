//! What a thread has of a reentrant lock.

use super::thread::{Thread, next_period, this_thread};
use crate::attachment::Attached;
use crate::shm::participant::Id;
use crate::sync::SyncError;
use crate::sync::hold::{Hold, HoldWord};
use crate::sync::primitive::Primitive;
use crate::wait::Wait;
use std::sync::atomic::Ordering::Relaxed;

/// What a thread has: `period:32 | levels:32`.
#[derive(Clone, Copy)]
pub(in crate::sync) struct LevelsWord(u64);

impl LevelsWord {
    fn first(period: u32) -> LevelsWord {
        LevelsWord(u64::from(period) << 32 | 1)
    }

    pub fn period(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Garbage of a peer counts as 1 (Invariant 2 of the module).
    fn count(self) -> u32 {
        (self.0 as u32).max(1)
    }

    fn with(self, count: u32) -> LevelsWord {
        LevelsWord(u64::from(self.period()) << 32 | u64::from(count))
    }
}

/// A reentrant lock, for this thread.
#[derive(Clone, Copy)]
pub(in crate::sync) struct Levels<'p> {
    primitive: &'p Primitive,
}

impl<'p> Levels<'p> {
    /// Of a reentrant lock.
    pub fn of(primitive: &'p Primitive) -> Levels<'p> {
        Levels { primitive }
    }

    pub fn hold(self) -> Hold<'p> {
        // SAFETY: `Levels` are made for the primitives of reentrant locks and of their guards only.
        unsafe { Hold::of(self.primitive) }
    }

    fn me(self) -> Result<(Id, Thread), SyncError> {
        let me = self.primitive.me()?;
        Ok((me, this_thread(self.primitive.incarnation())))
    }

    /// Takes the lock, or one level more.
    pub fn take(self, wait: Wait) -> Result<(), SyncError> {
        let (me, thread) = self.me()?;
        let hold = self.hold();
        if hold.now() == HoldWord::of(me, thread.number) {
            let now = self.word();
            self.store(now.with(now.count().saturating_add(1)));
            return Ok(());
        }
        hold.acquire(me, wait, |_| thread.number)?;
        self.begin(thread, LevelsWord::first(next_period()));
        Ok(())
    }

    /// Needs the lock, which this thread has just got (Invariant 2 of the module).
    fn begin(self, thread: Thread, levels: LevelsWord) {
        self.store(levels);
        self.hold().words.tid.store(thread.tid, Relaxed);
    }

    /// Gives one level back.
    pub fn release(self) -> Result<(), SyncError> {
        let mine = self.expect_mine()?;
        let now = self.word();
        match now.count() {
            1 => drop(self.hold().free(mine)),
            count => self.store(now.with(count - 1)),
        }
        Ok(())
    }

    /// Frees the lock, however many levels this thread has: what it had.
    pub fn release_all(self) -> Result<LevelsWord, SyncError> {
        let mine = self.expect_mine()?;
        let levels = self.word();
        self.hold().free(mine);
        Ok(levels.with(levels.count()))
    }

    /// Acquires it with what [`release_all`](Self::release_all) gave back: the period goes on.
    pub fn acquire_all(self, levels: LevelsWord, wait: Wait) -> Result<(), SyncError> {
        let (me, thread) = self.me()?;
        self.hold().acquire(me, wait, |_| thread.number)?;
        self.begin(thread, levels);
        Ok(())
    }

    /// Does this thread have it? If not, the one that does is named.
    pub fn check_mine(self) -> Result<(), SyncError> {
        self.expect_mine().map(drop)
    }

    /// The same, in that period: a guard of an earlier one has nothing (Invariant 3 of the module).
    pub fn check_mine_in(self, period: u32) -> Result<(), SyncError> {
        self.expect_mine()?;
        if self.period() == period { Ok(()) } else { Err(SyncError::NotLocked) }
    }

    fn expect_mine(self) -> Result<HoldWord, SyncError> {
        let (me, thread) = self.me()?;
        let (hold, mine) = (self.hold(), HoldWord::of(me, thread.number));
        match hold.now() {
            now if now == mine => Ok(mine),
            now if now.is_free() => Err(SyncError::NotLocked),
            _ => Err(hold.not_owner()),
        }
    }

    /// How many levels this thread has.
    pub fn count(self) -> u64 {
        if self.expect_mine().is_ok() { u64::from(self.word().count()) } else { 0 }
    }

    /// Of the thread that has it.
    pub fn period(self) -> u32 {
        self.word().period()
    }

    /// Of the thread that has it.
    fn word(self) -> LevelsWord {
        LevelsWord(self.hold().words.levels.load(Relaxed))
    }

    fn store(self, levels: LevelsWord) {
        self.hold().words.levels.store(levels.0, Relaxed);
    }
}
