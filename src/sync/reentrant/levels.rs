//! What a thread has of a reentrant lock.

use super::thread::{Thread, this_thread};
use crate::attachment::Attached;
use crate::shm::participant::Id;
use crate::sync::SyncError;
use crate::sync::hold::{Hold, HoldWord};
use crate::sync::primitive::Primitive;
use crate::wait::Wait;
use std::sync::atomic::Ordering::Relaxed;

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
            hold.words.levels.store(self.level().wrapping_add(1), Relaxed);
            return Ok(());
        }
        hold.acquire(me, wait, |_| thread.number)?;
        self.begin(thread, 1);
        Ok(())
    }

    /// Needs the lock, which this thread has just got (Invariant 2 of the module).
    fn begin(self, thread: Thread, levels: u64) {
        self.hold().words.levels.store(levels, Relaxed);
        self.hold().words.tid.store(thread.tid, Relaxed);
    }

    /// Gives one level back.
    pub fn release(self) -> Result<(), SyncError> {
        let mine = self.expect_mine()?;
        match self.level() {
            // Garbage of a peer counts as 1 (Invariant 2 of the module).
            0 | 1 => drop(self.hold().free(mine)),
            levels => self.hold().words.levels.store(levels - 1, Relaxed),
        }
        Ok(())
    }

    /// Frees the lock, however many levels this thread has: how many those were.
    pub fn release_all(self) -> Result<u64, SyncError> {
        let mine = self.expect_mine()?;
        let levels = self.level().max(1);
        self.hold().free(mine);
        Ok(levels)
    }

    /// Acquires it with as many levels as [`release_all`](Self::release_all) gave back.
    pub fn acquire_all(self, levels: u64, wait: Wait) -> Result<(), SyncError> {
        let (me, thread) = self.me()?;
        self.hold().acquire(me, wait, |_| thread.number)?;
        self.begin(thread, levels);
        Ok(())
    }

    /// Does this thread have it? If not, the one that does is named.
    pub fn check_mine(self) -> Result<(), SyncError> {
        self.expect_mine().map(drop)
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
        if self.expect_mine().is_ok() { self.level().max(1) } else { 0 }
    }

    /// Of the thread that has it.
    fn level(self) -> u64 {
        self.hold().words.levels.load(Relaxed)
    }
}
