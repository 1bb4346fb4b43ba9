//! Room of records that were aborted, or cut off by a shorter commit, before head comes to them:
//! head steps over those that stand at head, and tail goes back over those at the other end. Both
//! need both sides.
//!
//! ```text
//!     reclaim       head                    tail                    reclaim, head       tail
//!        v            v                       v                           v               v
//!   +-------+----+------+-------+------+------+------+       +----+------+-------+------+------+
//!   | taken | .. | DONE | READY | DONE | DONE | FREE |  -->  | .. | DONE | READY | FREE |
//!   +-------+----+------+-------+------+------+------+       +----+------+-------+------+------+
//! ```
//!
//! A putter that is short of room owns the put side, and *tries* the get side: its lock, where no
//! Consumer lives. A live Consumer takes no lock, so it is held off:
//!
//! ```text
//!   putter, which holds the get lock           Consumer
//!   HELD_OFF in the notice                     busy = 1
//!   membarrier                                 (compiler fence)
//!   busy != 0? give up, clear HELD_OFF         notice != 0? its slow call: HELD_OFF? busy = 0,
//!   head and tail                                lock the get lock, clear HELD_OFF, busy = 1, unlock
//!   unlock                                     what stands at head
//! ```
//!
//! - Either the putter sees busy, or the Consumer sees HELD_OFF before it stores anything: the
//!   barrier falls between the Consumer's store of busy and its load of the notice, or before both,
//!   or after both (Dekker).
//! - A putter that went through with it leaves HELD_OFF. It is the Consumer that clears it, or the
//!   next owner of the get side, under the lock: a Consumer may have read head long before it
//!   stores busy, and would otherwise take the record of a later lap there. A putter clears only
//!   what it set itself, and only if it moved nothing.
//! - A putter that is stopped holds the lock, and the Consumer's slow call keeps its deadline. From
//!   one that died, the lock is taken over: each of its stores leaves the ring in order (see
//!   [`retreat`](Ring::retreat)).
//! - Giver and getter do not touch the bit, so no message that is announced meanwhile is lost.

use super::notice::HELD_OFF;
use super::{Corrupted, Header, Memory, Ring, State};
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::atomic::fence;
use crate::shm::geometry::CellIndex;

/// Looks that give up because positions move faster than they can be read.
const ATTEMPTS: u32 = 16;

impl<M: Memory> Ring<M> {
    /// Keeps the Consumer out of the ring, if it is not in there: `false`. Needs the get lock,
    /// until all is done for which it was held off. `barrier`: makes every thread of the Consumer's
    /// process execute a full fence, or fails.
    #[cold]
    pub fn hold_off(&self, barrier: impl FnOnce() -> bool) -> bool {
        let before = self.memory.returned().fetch_or(HELD_OFF, AcqRel);
        // Acquire: what the Consumer did in its last call happened before.
        let held_off = barrier() && self.memory.get_side().busy.load(Acquire) == 0;
        if !held_off && before & HELD_OFF == 0 {
            self.let_by();
        }
        held_off
    }

    /// Does a putter hold the Consumer off, or did one since it last looked?
    pub fn is_held_off(&self) -> bool {
        self.memory.returned().load(Relaxed) & HELD_OFF != 0
    }

    /// Needs the get side's lock, and that the caller owns the get side, or has moved nothing since
    /// it set the bit.
    pub fn let_by(&self) {
        self.memory.returned().fetch_and(!HELD_OFF, AcqRel);
    }

    /// Where the run of DONE records begins that ends at tail, and has not been taken: tail, if
    /// there is none. A CLAIMED record counts as one if `abort` makes it DONE. Each record is
    /// visited by one call only, unless it is CLAIMED then. Needs the put side.
    #[cold]
    pub fn untaken_end(&self, abort: impl Fn(CellIndex, Header) -> bool) -> Result<u64, Corrupted> {
        let put = self.memory.put_side();
        let tail = put.tail.load(Relaxed);
        if !self.may_be_untaken_end(tail, |state| matches!(state, State::Done | State::Claimed)) {
            return Ok(tail);
        }
        let mut at = put.settled.load(Relaxed).max(self.memory.get_side().head.load(Acquire));
        let mut begins = at;
        let mut settled = None;
        for _ in 0..=self.geometry.cells {
            if at >= tail {
                put.settled.store(settled.unwrap_or(begins), Release);
                return Ok(begins.min(tail));
            }
            let cell = self.cell(at)?;
            let header = self.load_header(cell);
            let next = self.after(at, header)?;
            match header.state() {
                Some(State::Done) => {}
                Some(State::Claimed) if abort(cell, header) => {}
                Some(State::Free) | None => return Err(Corrupted),
                Some(state) => {
                    // An open loan may be aborted later, and join the run before it. What is not
                    // taken keeps its place: no run that ends at tail begins before it.
                    settled = if state == State::Claimed { settled.or(Some(begins)) } else { None };
                    begins = next;
                }
            }
            at = next;
        }
        Err(Corrupted)
    }

    /// Takes tail back to `to`, or to head if that is farther: all records from there to tail are
    /// DONE. `true`: it went back. Needs both sides.
    ///
    /// Killed before the new tail is stored, nothing happened. Between that and FREE, the word at
    /// tail is DONE, and the FREE word is where it was: the repair of the put side steps tail over
    /// the DONE records again, and a getter steps head over them.
    #[cold]
    pub fn retreat(&self, to: u64) -> Result<bool, Corrupted> {
        let put = self.memory.put_side();
        let tail = put.tail.load(Relaxed);
        let to = to.max(self.memory.get_side().head.load(Relaxed));
        if to >= tail {
            return Ok(false);
        }
        let cell = self.cell(to)?;
        let records = self.records_before(tail)?.wrapping_sub(self.records_before(to)?);
        // Odd while tail goes back: the repair of the put side ends what a dead putter began. A
        // walk over these cells without a side rereads the count after each header.
        let begun = put.retreats.load(Relaxed) | 1;
        put.retreats.store(begun, Relaxed);
        fence(Release);
        put.tail.store(to, Release);
        // Invariant 1; the sequence there is right: so many records are before it.
        self.memory.header(cell).store(Header::FREE.bits(), Release);
        put.taken_back.store(put.taken_back.load(Relaxed).wrapping_add(records), Relaxed);
        self.end_retreat(begun);
        Ok(true)
    }

    /// Counts once more: a walk that began, or began anew, after the first count may still go over
    /// the DONE records. No byte of a new record may become visible before this.
    fn end_retreat(&self, begun: u64) {
        self.memory.put_side().retreats.store(begun.wrapping_add(1), Release);
        fence(Release);
    }

    /// Ends the retreat in which the owner of the put side died, if there is one, before its cells
    /// are used again. Needs the put side.
    pub(super) fn end_retreat_of_the_dead(&self) {
        let count = self.memory.put_side().retreats.load(Relaxed);
        if count & 1 != 0 {
            self.end_retreat(count);
        }
    }

    /// Needs a side that pins the record there, or the put side for tail.
    fn records_before(&self, position: u64) -> Result<u64, Corrupted> {
        match self.geometry.sized {
            true => Ok(self.geometry.linear(position)),
            false => Ok(self.memory.sequence(self.cell(position)?).load(Relaxed)),
        }
    }

    /// Might such a run end at `tail`? Spares queues without loans the walk, and sized rings the
    /// look at head, whose line getters work in.
    fn may_be_untaken_end(&self, tail: u64, last: impl Fn(State) -> bool) -> bool {
        if self.memory.put_side().loans.load(Relaxed) == 0 {
            return false;
        }
        if !self.geometry.sized {
            return true;
        }
        let index = self.geometry.cell(tail).map_or(0, CellIndex::index);
        let before = self.geometry.cell(index.checked_sub(1).unwrap_or(self.geometry.cells - 1));
        before.and_then(|cell| self.load_header(cell).state()).is_some_and(last)
    }

    /// [`untaken_end`](Ring::untaken_end) for callers without the put side: a hint. `None`: the
    /// ends kept moving.
    pub(super) fn look_for_untaken_end(&self) -> Option<u64> {
        let (put, head) = (self.memory.put_side(), &self.memory.get_side().head);
        for _ in 0..ATTEMPTS {
            let retreats = put.retreats.load(Acquire);
            let tail = put.tail.load(Acquire);
            if !self.may_be_untaken_end(tail, |state| state == State::Done) {
                return Some(tail);
            }
            let from = head.load(Acquire);
            let mut at = put.settled.load(Acquire).max(from);
            let mut begins = at;
            for _ in 0..=self.geometry.cells {
                if at >= tail {
                    break;
                }
                let Ok(header) = self.cell(at).map(|cell| self.load_header(cell)) else { break };
                let Ok(next) = self.after(at, header) else { break };
                at = next;
                if header.state() != Some(State::Done) {
                    begins = at;
                }
            }
            // Orders the loads of headers before those of the ends: while these stay, so do the
            // records between them.
            fence(Acquire);
            let stayed = head.load(Relaxed) == from && put.tail.load(Relaxed) == tail && put.retreats.load(Relaxed) == retreats;
            if stayed && at >= tail {
                return Some(begins.min(tail));
            }
        }
        None
    }
}
