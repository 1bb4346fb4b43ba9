//! Room of records that getters would skip: dropped loans, and what shortened ones did not need. A
//! putter that is short of room makes it, also where a Consumer owns the get side (ring's `retreat`
//! has the protocol).

use super::{Failure, RawQueue, Wait};
use crate::error::GetError;
use crate::os::Deadline;
use crate::ring::{Corrupted, Front, Header, State};
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Looks at a Consumer that is inside a call before its side is tried: far more than it takes from
/// DONE to head.
const CONSUMER_SPINS: u32 = 32;

impl RawQueue {
    /// Steps head over aborted records, and takes tail back over them. Needs the put side; only
    /// *tries* the get side. `abandoned`: those count that the dead left. `true`: there may be room
    /// now.
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
        // Asks the kernel once for loans of one owner that lie together.
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
            let aborted = abandoned && is_dead(header.owner()) && self.ring.abort_claimed(cell, header);
            self.rare().aborted.fetch_add(aborted as u64, Relaxed);
            aborted
        })?;
        if !aborted_at_head && untaken_end == self.head().put.tail.load(Relaxed) {
            return Ok(false);
        }
        if aborted_at_head && self.head_moves(position) {
            return Ok(true);
        }
        let lock = self.locks.get(self.head());
        // Try only: no process waits for the second lock. A dead holder is found by the probe, a
        // live one within the spins.
        let Some(locked) = lock.lock(&self.segment, me, Deadline::PASSED, false) else { return Ok(false) };
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

    /// A record that is DONE at head may as well have been taken this moment, by a Consumer that
    /// moves head next.
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

    /// Needs both sides. Tail first: once head has stepped over a record, it waits for those before
    /// it that are on lease.
    fn skip(&self, me: Id, untaken_end: u64) -> Result<bool, Corrupted> {
        let went_back = self.ring.retreat(untaken_end)?;
        Ok(self.step_head(me)? || went_back)
    }

    /// Needs the get side.
    fn step_head(&self, me: Id) -> Result<bool, Corrupted> {
        let mut dead = None;
        // Each round but the last finishes a record: more rounds than cells, and another process
        // undoes them.
        for _ in 0..=self.geometry().cells {
            match self.ring.front()? {
                Front::Claimed(owner, cell, header) if dead == Some(owner) || self.is_dead(owner, me) => {
                    // The kernel is asked once: dead it stays.
                    dead = Some(owner);
                    let aborted = self.ring.abort_claimed(cell, header);
                    self.rare().aborted.fetch_add(aborted as u64, Relaxed);
                }
                _ => return Ok(true),
            }
        }
        Err(Corrupted)
    }

    /// Needs the get lock. `true`: the live Consumer is outside its calls, and stays there until
    /// the lock is free.
    fn hold_consumer_off(&self) -> bool {
        let side = &self.head().get;
        // One that is inside is not interrupted for nothing.
        side.yields.load(Acquire) != 0 && side.busy.load(Relaxed) == 0 && self.ring.hold_off(|| self.barrier.heavy())
    }

    /// Could a putter have the get side, while no other process is inside it?
    pub(super) fn is_get_side_open(&self) -> bool {
        let side = &self.head().get;
        side.owner.load(Relaxed) == 0 || (side.yields.load(Relaxed) != 0 && self.barrier.is_registered())
    }

    /// For the Consumer inside a call, before it looks at the ring: lets a putter finish that holds
    /// it off.
    #[cold]
    pub(super) fn wait_for_putter(&self, me: Id, wait: Wait) -> Result<(), GetError> {
        let side = &self.head().get;
        // Not inside: the next putter would think that it must not step.
        side.busy.store(0, Release);
        let lock = self.locks.get(self.head());
        // A dead holder left the cursors in order: it was a putter, or only looked whether the side
        // is owned.
        if !lock.try_lock(me) {
            self.wait_for_lock(lock, me, wait).inspect_err(|failure| {
                if matches!(failure, Failure::Timeout) {
                    self.count_timeout(super::stats::Verb::Get);
                }
            })?;
        }
        self.ring.let_by();
        // Before the lock is free: the next putter to hold it, which would hold us off, sees that
        // we are inside.
        side.busy.store(1, Relaxed);
        if lock.unlock(me).is_err() {
            side.busy.store(0, Release);
            return Err(self.poison().into());
        }
        Ok(())
    }
}
