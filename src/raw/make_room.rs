//! Making room from records that getters would skip: dropped loans, and the unused ends of
//! shortened ones. A putter that is short of room makes it, also if a Consumer owns the get side
//! (the protocol is in ring's `retreat`).

use super::{Failure, RawQueue, Wait};
use crate::error::GetError;
use crate::os::Deadline;
use crate::ring::{Corrupted, Front, Header, State};
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Checks of a Consumer that is inside a call, before the putter tries its side: far more than the
/// Consumer takes from DONE to head.
const CONSUMER_SPINS: u32 = 32;

impl RawQueue {
    /// Advances head over aborted records, and moves tail back over them. Needs the put side; only
    /// *tries* to take the get side. With `abandoned`, loans of dead owners count as aborted.
    /// Returns `true` if there may be room now.
    #[cold]
    pub(super) fn make_room_of_skipped(&self, me: Id, abandoned: bool) -> Result<bool, Corrupted> {
        let (position, _, header) = self.ring.stopper()?;
        let at_head = position == self.head().get.head.load(Acquire);
        if header.state() == Some(State::Done) && !at_head {
            // Getters have passed it meanwhile.
            return Ok(true);
        }
        let aborted_at_head = at_head
            && match header.state() {
                Some(State::Done) => true,
                Some(State::Claimed) => self.is_dead(header.owner(), me),
                _ => false,
            };
        // Asks the kernel once for consecutive loans of one owner.
        let asked = std::cell::Cell::new(None);
        let is_dead = |owner| match asked.get() {
            Some((last, dead)) if last == owner => dead,
            _ => {
                let dead = self.is_dead(owner, me);
                asked.set(Some((owner, dead)));
                dead
            }
        };
        let untaken_end = self.ring.untaken_end(|cell, header: Header| {
            let aborted = abandoned && is_dead(header.owner()) && self.abort_of_the_dead(cell, header);
            self.rare().aborted.fetch_add(aborted as u64, Relaxed);
            aborted
        })?;
        if !aborted_at_head && untaken_end == self.head().put.tail.load(Relaxed) {
            return Ok(false);
        }
        if aborted_at_head && self.head_moves(position) {
            return Ok(true);
        }
        let lock = self.locks().get(self.head());
        // Try only: no process waits for the second lock. The probe finds a dead holder, the spins
        // outlast a live one.
        let Some(locked) = lock.lock(self.segment(), me, Deadline::PASSED, false) else { return Ok(false) };
        let owner = Id::from_bits(self.head().get.owner.load(Acquire));
        let made = if owner.is_some_and(|owner| self.is_alive(owner, me)) {
            if self.hold_consumer_off() { self.skip(me, untaken_end) } else { Ok(false) }
        } else if (owner.is_some() || locked == crate::lock::Locked::FromTheDead) && self.repair_get_side(me).is_err() {
            Err(Corrupted)
        } else {
            self.skip(me, untaken_end)
        };
        if lock.unlock(me).is_err() {
            self.poison();
        }
        if made == Ok(true) {
            // It may be room for several waiting putters.
            self.notify_not_full(u32::MAX);
        }
        made
    }

    /// A DONE record at head may also have been taken just now, by a Consumer that moves head next.
    fn head_moves(&self, position: u64) -> bool {
        let side = &self.head().get;
        for _ in 0..CONSUMER_SPINS {
            let busy = side.owner.load(Relaxed) != 0 && side.busy.load(Acquire) != 0;
            if side.head.load(Acquire) != position {
                return true;
            }
            if !busy {
                return false;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// Needs both sides. Tail first: once head has advanced over a record, its room is blocked by
    /// the leased records before it.
    fn skip(&self, me: Id, untaken_end: u64) -> Result<bool, Corrupted> {
        let went_back = self.ring.retreat(untaken_end)?;
        Ok(self.step_head(me)? || went_back)
    }

    /// Needs the get side.
    fn step_head(&self, me: Id) -> Result<bool, Corrupted> {
        let mut dead = None;
        // Each round but the last finishes a record: more rounds than cells mean that another
        // process undoes them.
        for _ in 0..=self.geometry().cells {
            match self.ring.front()? {
                Front::Claimed(owner, cell, header) if dead == Some(owner) || self.is_dead(owner, me) => {
                    // The kernel is asked once: a dead owner stays dead.
                    dead = Some(owner);
                    let aborted = self.abort_of_the_dead(cell, header);
                    self.rare().aborted.fetch_add(aborted as u64, Relaxed);
                }
                _ => return Ok(true),
            }
        }
        Err(Corrupted)
    }

    /// Needs the get lock. Returns `true` if the live Consumer is outside its calls, and stays
    /// there until the lock is free.
    fn hold_consumer_off(&self) -> bool {
        let side = &self.head().get;
        // A Consumer that is inside a call is not interrupted for nothing.
        side.yields.load(Acquire) != 0 && side.busy.load(Relaxed) == 0 && self.ring.hold_off(|| self.barrier().heavy())
    }

    /// Could a putter take the get side, with no other process inside it?
    pub(super) fn is_get_side_open(&self) -> bool {
        let side = &self.head().get;
        side.owner.load(Relaxed) == 0 || (side.yields.load(Relaxed) != 0 && self.barrier().is_registered())
    }

    /// Called by the Consumer inside a call, before it reads the ring: lets a putter that holds it
    /// off finish.
    #[cold]
    pub(super) fn wait_for_putter(&self, me: Id, wait: Wait) -> Result<(), GetError> {
        let side = &self.head().get;
        // Not busy: otherwise the next putter would conclude that it must not move head.
        side.busy.store(0, Release);
        let lock = self.locks().get(self.head());
        // A dead holder left the cursors in order: it was a putter, or only checked whether the
        // side is owned.
        if !lock.try_lock(me) {
            self.wait_for_lock(lock, me, wait).inspect_err(|failure| {
                if matches!(failure, Failure::Timeout) {
                    self.count_timeout(super::stats::Verb::Get);
                }
            })?;
        }
        self.ring.let_by();
        // Before the lock is released: the next putter that takes it to hold this Consumer off sees
        // that the Consumer is busy.
        side.busy.store(1, Relaxed);
        if lock.unlock(me).is_err() {
            side.busy.store(0, Release);
            return Err(self.poison().into());
        }
        Ok(())
    }
}
