//! Bursts: many records of one size that are published, or taken, together. A batch by copy is a
//! sequence of them.
//!
//! ```text
//!              tail                                            tail
//!               v                                                v
//!   ..+-------+------+------+------+------+..   ..+-------+-------+-------+-------+------+..
//!     | READY | FREE | any  | any  | any  |  -->  | READY | READY | READY | READY | FREE |
//!   ..+-------+------+------+------+------+..   ..+-------+-------+-------+-------+------+..
//!                                                             4       3       2      1
//!   1. FREE behind them   2. - 4. payload and READY, from the last to the first   5. tail
//! ```
//!
//! Invariants:
//! 1. A burst is published by one store, READY of its first record: until then the word at tail is
//!    FREE, and no process reads what lies behind it. A putter that dies before that store leaves
//!    READY words in free space, which are no records: the next record at tail is published as
//!    ever, with FREE behind it first (Ring, Invariant 1). A putter that dies after it leaves all
//!    records of the burst, past the stored tail (Ring, Invariant 2).
//! 2. A burst is taken record by record, each by its store of DONE, from the first to the last. A
//!    getter that dies between two of these stores leaves head before records that are DONE, which
//!    the repair of the get side advances head over; the others were not taken.
//! 3. A burst does not cross the ring's end.

use super::{Header, Memory, Ring};
use crate::atomic::Ordering::{Relaxed, Release};
use crate::shm::geometry::CellIndex;

/// Cells that follow one another from tail or from head on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    position: u64,
    count: u64,
}

impl Burst {
    /// Most records that it can have.
    #[inline(always)]
    pub fn count(self) -> u64 {
        self.count
    }
}

impl<M: Memory> Ring<M> {
    /// The cells of a burst, in order.
    #[inline(always)]
    pub fn burst_cells(&self, burst: Burst) -> impl DoubleEndedIterator<Item = CellIndex> + use<M> {
        self.geometry.cells_from(burst.position, burst.count)
    }

    fn burst(&self, position: u64, most: u64) -> Burst {
        // None from garbage on, and none behind the ring's end (Invariant 3).
        Burst { position, count: self.geometry.cells_from(position, most).size_hint().0 as u64 }
    }

    /// Free cells at tail: as many as were reclaimed, up to `most`. Needs the put side of a sized
    /// ring; an endpoint need not be busy meanwhile, nor while it writes payloads into them: no
    /// other process moves tail or reclaim while it lives (Ring, Invariant 2).
    #[inline]
    pub fn burst_at_tail(&self, most: u64) -> Burst {
        let tail = self.memory.put_side().tail.load(Relaxed);
        self.burst(tail, most.min(self.room_reclaimed()))
    }

    /// Publishes the first `count` records of a burst. `write(n, cell)` writes the nth of them; it
    /// is called from the last to the first, so that each cache line is written once (measured, 8 B
    /// by endpoints: 350 -> 430 M/s). The store of READY in the first is the commit point of all
    /// (Invariant 1). Needs the put side.
    #[inline(always)]
    pub fn commit_burst(&self, burst: Burst, count: u64, length: u32, mut write: impl FnMut(usize, CellIndex)) {
        let records = Burst { count: count.min(burst.count), ..burst };
        let Some(next) = self.geometry.after(records.position, records.count).filter(|_| records.count > 0) else { return };
        let Some(behind) = self.geometry.cell(next) else { return };
        // Ring, Invariant 1. Relaxed: the header that publishes the burst is stored with Release
        // after it.
        self.memory.header(behind).store(Header::FREE.bits(), Relaxed);
        let ready = Header::ready(length).bits();
        let mut nth = records.count as usize;
        self.burst_cells(records).rev().for_each(|cell| {
            nth -= 1;
            write(nth, cell);
            self.memory.header(cell).store(ready, Release);
        });
        self.memory.put_side().tail.store(next, Release);
    }

    /// Cells from head on, up to `most`: messages as long as [`is_ready`](Ring::is_ready) finds
    /// them so, one after the other. Needs the get side of a sized ring.
    #[inline]
    pub fn burst_at_head(&self, most: u64) -> Burst {
        self.burst(self.memory.get_side().head.load(Relaxed), most)
    }

    /// Is the first record of that burst, which was found ready, still the one at head? While a
    /// Consumer lives, no other process moves head over it (see `retreat`).
    pub fn begins_at_head(&self, burst: Burst) -> bool {
        self.memory.get_side().head.load(Relaxed) == burst.position
    }

    /// Is there a message of that length?
    #[inline(always)]
    pub fn is_ready(&self, cell: CellIndex, length: u32) -> bool {
        self.load_header(cell) == Header::ready(length)
    }

    /// Finishes the first `count` records of a burst, which were copied out. Each store of DONE is
    /// the commit point of its record (Invariant 2). Needs the get side.
    #[inline]
    pub fn take_burst(&self, burst: Burst, count: u64, length: u32) {
        let records = Burst { count: count.min(burst.count), ..burst };
        let Some(next) = self.geometry.after(records.position, records.count).filter(|_| records.count > 0) else { return };
        let done = Header::done(length).bits();
        self.burst_cells(records).for_each(|cell| self.memory.header(cell).store(done, Release));
        self.memory.get_side().head.store(next, Release);
    }
}
