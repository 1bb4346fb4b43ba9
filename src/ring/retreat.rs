//! Reusing the room of records that were aborted, or cut off by a shorter commit, before head
//! reaches them: head advances over those at head, and tail moves back over those at the other end.
//! Both need both sides.
//!
//! ```text
//!     reclaim       head                    tail                    reclaim, head       tail
//!        v            v                       v                           v               v
//!   +-------+----+------+-------+------+------+------+       +----+------+-------+------+------+
//!   | taken | .. | DONE | READY | DONE | DONE | FREE |  -->  | .. | DONE | READY | FREE |
//!   +-------+----+------+-------+------+------+------+       +----+------+-------+------+------+
//! ```
//!
//! A putter that is short of room owns the put side and *tries* to take the get side: its lock, if
//! no Consumer lives. A live Consumer takes no lock, so the putter holds it off:
//!
//! ```text
//!   putter, which holds the get lock           Consumer
//!   HELD_OFF in the notice                     busy = 1
//!   membarrier                                 (compiler fence)
//!   busy != 0? give up, clear HELD_OFF         notice != 0? its slow call: HELD_OFF? busy = 0,
//!   read and move head and tail                  lock the get lock, clear HELD_OFF,
//!   unlock                                       busy = 1, unlock
//!                                              read the record at head
//! ```
//!
//! - The Consumer stores busy, then loads the notice (Dekker); the putter runs membarrier between
//!   its store of HELD_OFF and its load of busy. The barrier falls between the Consumer's store and
//!   load, or before both, or after both. So either the putter sees busy, or the Consumer sees
//!   HELD_OFF before it stores anything in the ring.
//! - A putter that completes its work leaves HELD_OFF set. The Consumer clears it, or the next
//!   owner of the get side, under the lock: a Consumer may have read head long before it stores
//!   busy, and would otherwise take the record of a later lap there. A putter clears only a bit
//!   that it set itself, and only if it moved nothing.
//! - A stopped putter holds the lock, and the Consumer's slow call keeps its deadline. If the
//!   putter died, the lock is taken over: each of its stores leaves the ring in order (see
//!   [`retreat`](Ring::retreat)).
//! - Giver and getter do not touch the bit, so no message that is announced meanwhile is lost.

use super::notice::HELD_OFF;
use super::{Corrupted, Header, Memory, Ring, State};
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::atomic::fence;
use crate::shm::geometry::CellIndex;

/// Attempts before giving up: positions may move faster than they can be read.
const ATTEMPTS: u32 = 16;

impl<M: Memory> Ring<M> {
    /// Keeps the Consumer out of the ring. Returns `false` if the Consumer is inside a call. Needs
    /// the get lock, which the caller keeps until its work under HELD_OFF is done. `barrier` makes
    /// every thread of the Consumer's process execute a full fence, or fails.
    #[cold]
    pub fn hold_off(&self, barrier: impl FnOnce() -> bool) -> bool {
        let before = self.memory.returned().fetch_or(HELD_OFF, AcqRel);
        // Acquire: pairs with the Consumer's store of 0 at the end of its last call.
        let held_off = barrier() && self.memory.get_side().busy.load(Acquire) == 0;
        if !held_off && before & HELD_OFF == 0 {
            self.let_by();
        }
        held_off
    }

    /// Does a putter hold the Consumer off, or did one since the Consumer last cleared the bit?
    pub fn is_held_off(&self) -> bool {
        self.memory.returned().load(Relaxed) & HELD_OFF != 0
    }

    /// Needs the get side's lock; and the caller owns the get side, or has moved nothing since it
    /// set the bit.
    pub fn let_by(&self) {
        self.memory.returned().fetch_and(!HELD_OFF, AcqRel);
    }

    /// Start of the run of DONE records that ends at tail and has not been taken; tail, if there is
    /// none. A CLAIMED record counts as DONE if `abort` makes it so. Each record is visited by one
    /// call only, unless it is CLAIMED then. Needs the put side.
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
                    // An open loan may be aborted later, and join the run before it. A record that
                    // is not taken keeps its place: no run that ends at tail begins before it.
                    settled = if state == State::Claimed { settled.or(Some(begins)) } else { None };
                    begins = next;
                }
            }
            at = next;
        }
        Err(Corrupted)
    }

    /// Moves tail back to `to`, or to head if head is farther: all records from there to tail are
    /// DONE. Returns `true` if tail moved. Needs both sides.
    ///
    /// A kill before the new tail is stored changes nothing. Between that store and the store of
    /// FREE, the word at tail is DONE, and the FREE word is where it was: the repair of the put
    /// side advances tail over the DONE records again, and a getter advances head over them.
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
        // Odd while tail moves back: the repair of the put side ends the retreat of a dead putter.
        // A walk over these cells without a side rereads the count after each header.
        let begun = put.retreats.load(Relaxed) | 1;
        put.retreats.store(begun, Relaxed);
        fence(Release);
        put.tail.store(to, Release);
        // Invariant 1; the sequence there is already right: it is the number of records before it.
        self.memory.header(cell).store(Header::FREE.bits(), Release);
        put.taken_back.store(put.taken_back.load(Relaxed).wrapping_add(records), Relaxed);
        self.end_retreat(begun);
        Ok(true)
    }

    /// Raises the count again: a walk that began, or restarted, after the first increment may still
    /// cross the DONE records. No byte of a new record may become visible before this.
    fn end_retreat(&self, begun: u64) {
        self.memory.put_side().retreats.store(begun.wrapping_add(1), Release);
        fence(Release);
    }

    /// Ends the retreat of a put-side owner that died during it, if there is one, before its cells
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

    /// Might such a run end at `tail`? Saves queues without loans the walk, and sized rings the
    /// read at head, a cache line that getters are using.
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

    /// [`untaken_end`](Ring::untaken_end) for callers without the put side: a hint. Returns `None`
    /// if the ends kept moving.
    pub(super) fn find_untaken_end(&self) -> Option<u64> {
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
            // Orders the loads of headers before those of the ends: while these stay, the records
            // between them stay too.
            fence(Acquire);
            let stayed = head.load(Relaxed) == from && put.tail.load(Relaxed) == tail && put.retreats.load(Relaxed) == retreats;
            if stayed && at >= tail {
                return Some(begins.min(tail));
            }
        }
        None
    }
}
