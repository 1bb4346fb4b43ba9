//! The ring: header words, cursors, and every transition between them. No system call, no lock, no
//! payload.
//!
//! ```text
//!        reclaim          head            tail
//!           v               v               v
//!   +-------+-------+-------+-------+-------+-------+
//!   | DONE  |LEASED | READY |CLAIMED| FREE  | spare |        positions grow to the right, cells are reused lap by lap
//!   +-------+-------+-------+-------+-------+-------+
//!     put side moves        put side writes
//!     reclaim               at tail
//!
//!   FREE -> CLAIMED(owner) -> READY -> LEASED(owner) -> DONE        CLAIMED -> DONE when aborted (the record is skipped)
//!    \----------------------^   \-> DONE (taken by copy)            LEASED -> RETURNED -> LEASED | DONE
//! ```
//!
//! To *own a side* is to hold its lock, or to be its live endpoint. Methods say which side they
//! need.
//!
//! Invariants:
//! 1. The word behind the last record is FREE, and in a slice ring the sequence beside it is the
//!    number of records before it. A putter that publishes a record at [p, p+n) writes both at p+n
//!    first. So a getter at head needs no other word, and a walk that ends at the FREE word has
//!    seen every record.
//! 2. reclaim <= head <= the FREE word, and reclaim <= tail <= the FREE word. Records may lie past
//!    the stored tail until the put side is done or repaired: one of each put, all of a batch that
//!    its first record publishes. They are like any others: taken, leased, given back, and head may
//!    pass tail by them. So nothing but the put side itself takes tail for the end of the records.
//!    reclaim and tail belong to the put side, head to the get side.
//!    Both together may take tail back over DONE records that were not taken, as far as head
//!    (`retreat`); a kill in the middle of that leaves DONE records between the stored tail and the
//!    FREE word. Only then is a position used twice, and `retreats` says so to walks that own no
//!    side.
//! 3. Each operation has one commit point, one atomic store: READY, CLAIMED, DONE, LEASED or
//!    RETURNED in the record's own header. Cursors follow it and can be derived anew
//!    ([`Ring::repair_put_side`], [`Ring::repair_get_side`]).
//! 4. A record from reclaim on that is not DONE keeps its cells, and so do all after it. The owner
//!    of the get side pins all from head on as well: nothing there is overwritten.
//! 5. A record's cells follow from its length, and its length changes only while it is CLAIMED by
//!    one owner.
//!
//! Orderings. Headers and cursors are stored with Release: a header so that whoever acquires it
//! sees the payload, FREE and sequence before it; a cursor so that it never becomes visible before
//! the header that it follows, not even to the compiler (a process can be killed between any two
//! instructions). Headers are loaded with Acquire. A side's own cursors are loaded Relaxed: the
//! side's lock, or being its only owner, orders them.
//!
//! Speculative loads. Four functions read a record's first two words without owning what keeps the
//! record in place: `nothing_to_take` and `head_is_pending` (head may have moved on), `walk` and
//! `has_room` (putters may reclaim what is visited), `count_at` (a sequence beside a cursor that
//! moves). In a slice ring, what stands there by then may be payload, which a putter copies in, or
//! a caller writes through its loan, with plain stores: a data race in the terms of the language,
//! and one that ThreadSanitizer reports. It does no harm:
//! - The load is an atomic one of an aligned word, so it is made once and yields some value; all
//!   that is done with it is comparing it. The writer reads nothing back, so the compiler can
//!   conclude nothing on its side.
//! - No value counts that may have been payload. Whoever overwrites a record has moved the cursors
//!   past it before (`move_reclaim`, with a release fence), so the reader, who loads the cursor
//!   again after the word (Acquire, or a fence), finds it moved, and throws the value away.
//!   `head_is_pending` does not look again: what it says only decides whether a getter spins once
//!   more or takes the lock.
//!
//! Payload itself is copied by one process at a time, before READY or between READY and DONE: those
//! copies are ordered, and a report of two of them is a fault. `.ci/tsan/suppressions` names the
//! loads above and nothing else.

mod dead_owners;
mod get;
mod header;
mod outlook;
mod put;
mod repair;
mod retreat;
mod run;
#[cfg(test)]
mod tests;
mod walk;

#[cfg(not(loom))]
pub(crate) use dead_owners::Upto;
pub(crate) use get::{Front, Record};
pub(crate) use header::{Header, Owner, State};
#[cfg(not(loom))]
pub(crate) use outlook::Outlook;
use put::RECLAIM_AHEAD;
pub(crate) use put::{NoRoom, Slot};
pub(crate) use repair::Repaired;
pub(crate) use run::Run;

use crate::atomic::{AtomicU32, AtomicU64};
use crate::shm::geometry::{CellIndex, Geometry};
use crate::shm::layout::{GetSide, PutSide};

/// Bits of the word [`returned`](Memory::returned).
mod notice {
    /// Some record behind head may be RETURNED. A flag, not a count: a count loses a message to a
    /// kill between its two stores.
    pub const RETURNED: u32 = 1;
    /// A getter saw [`RETURNED`], and has not found out yet.
    pub const WALKING: u32 = 2;
    /// A putter holds the Consumer off, or did: see `retreat`.
    pub const HELD_OFF: u32 = 4;
}

/// Words hold values that no transition leaves behind: another process wrote to the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrupted;

/// The two kinds of rings, for constant parameters `SIZED`.
pub(crate) const SIZED_RING: bool = true;
pub(crate) const SLICE_RING: bool = false;

/// Where the words live: in a mapped segment, or in the heap of a model.
pub(crate) trait Memory {
    fn put_side(&self) -> &PutSide;
    fn get_side(&self) -> &GetSide;
    /// What getters look at before they take what stands at head: bits of [`notice`].
    fn returned(&self) -> &AtomicU32;
    /// Not 0 once the queue is closed.
    fn closed(&self) -> &AtomicU32;
    /// Are cells so large that a cache line belongs to few of them, and is worth prefetching for
    /// one?
    fn fills_lines(&self) -> bool;
    /// First word of the record that starts at `cell`.
    fn header(&self, cell: CellIndex) -> &AtomicU64;
    /// Second word of it, in slice rings only.
    fn sequence(&self, cell: CellIndex) -> &AtomicU64;
    /// A hint that `count` cells from `first` on, which do not reach beyond the ring's end, will be
    /// written soon: several cache lines can then cross at a time.
    fn prefetch_write(&self, _first: CellIndex, _count: u64) {}
    /// The same of cells that will be read, and then finished.
    fn prefetch_read(&self, _first: CellIndex, _count: u64) {}
}

/// A ring over some memory. Copied into each fast path, so that what never changes stays in
/// registers while atomics are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring<M> {
    pub memory: M,
    pub geometry: Geometry,
}

impl<M: Memory> Ring<M> {
    /// Makes the FREE word at tail and all cursors. Before publication only.
    pub fn initialise(&self) {
        use crate::atomic::Ordering::Relaxed;
        let first = self.cell(0).expect("every ring has a cell 0");
        self.memory.header(first).store(Header::FREE.bits(), Relaxed);
        if !self.geometry.sized {
            self.memory.sequence(first).store(0, Relaxed);
        }
        self.memory.put_side().tail.store(0, Relaxed);
        self.memory.put_side().reclaim.store(0, Relaxed);
        self.memory.get_side().head.store(0, Relaxed);
    }

    #[inline(always)]
    fn cell(&self, position: u64) -> Result<CellIndex, Corrupted> {
        self.geometry.cell(position).ok_or(Corrupted)
    }

    #[inline(always)]
    fn load_header(&self, cell: CellIndex) -> Header {
        Header::from_bits(self.memory.header(cell).load(crate::atomic::Ordering::Acquire))
    }

    /// The position after a record that starts at `position`.
    #[inline]
    fn after(&self, position: u64, header: Header) -> Result<u64, Corrupted> {
        self.geometry.after(position, self.geometry.record_cells(header.length() as u64)).ok_or(Corrupted)
    }

    /// One header transition, made only if nobody made another.
    #[inline(always)]
    fn transition(&self, cell: CellIndex, from: Header, to: Header) -> bool {
        use crate::atomic::Ordering::{AcqRel, Acquire};
        self.memory.header(cell).compare_exchange(from.bits(), to.bits(), AcqRel, Acquire).is_ok()
    }

    /// Tells getters to look for RETURNED records. A read-modify-write, so that a getter that
    /// clears the bit acquires from every giver before it.
    fn announce_returned(&self) {
        self.memory.returned().fetch_or(notice::RETURNED, crate::atomic::Ordering::AcqRel);
    }
}
