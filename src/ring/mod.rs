//! The ring: header words, cursors, and every transition between them. No system call, no lock, no
//! payload.
//!
//! ```text
//!        reclaim          head            tail
//!           v               v               v
//!   +-------+-------+-------+-------+-------+-------+
//!   | DONE  |LEASED | READY |CLAIMED| FREE  | spare |   positions grow to the right,
//!   +-------+-------+-------+-------+-------+-------+
//!     put side moves        put side writes               cells are reused lap by lap
//!     reclaim               at tail
//!
//!   FREE -> CLAIMED(owner) -> READY -> LEASED(owner) -> DONE
//!    \----------------------^   \-> DONE (taken by copy)
//!
//!   CLAIMED -> DONE when aborted (the record is skipped)    LEASED -> RETURNED -> LEASED | DONE
//!   LEASED -> READ(owner) -> DONE when its message is finished, and still read
//! ```
//!
//! | question | file |
//! |---|---|
//! | which states a header word has, and their bits | `header.rs` |
//! | how a record is reserved and committed, and room reclaimed | `put.rs` |
//! | how a record is taken, leased, released and given back | `get.rs` |
//! | how a record is read on after its message is finished | `views.rs` |
//! | how many records are published, or taken, together | `burst.rs` |
//! | how endpoints move along slots that are known to be free or ready | `run.rs` |
//! | how cursors are put right after a death, and a full ring's stopper freed | `repair.rs` |
//! | how leases and loans of dead owners are found and freed while others work | `dead_owners.rs` |
//! | how tail moves back over dropped loans | `retreat.rs` |
//! | a ring without a get side, whose records every subscriber reads | `topic/` |
//! | what is seen without owning a side: records, or the next message | `walk.rs`, `outlook.rs` |
//!
//! A process *owns a side* while it holds the side's lock, or is its live endpoint. Each method
//! says which side it needs.
//!
//! Invariants:
//! 1. The word behind the last record is FREE, and in a slice ring the sequence beside it is the
//!    number of records before it. A putter that publishes a record at [p, p+n) writes both at p+n
//!    first. So a getter at head needs no other word, and a walk that ends at the FREE word has
//!    seen every record.
//! 2. reclaim <= head <= the FREE word, and reclaim <= tail <= the FREE word. Records may lie past
//!    the stored tail until the put side is done or repaired: one record of each put, all records
//!    of a burst, which its first record publishes (`burst`). Words behind the FREE word are no
//!    records, whatever they are. They are ordinary records: getters take, lease
//!    and give them back, and head may pass tail by them. So only the put side itself may treat
//!    tail as the end of the records. reclaim and tail belong to the put side, head to the get
//!    side. An owner of both sides may move tail back over DONE records that were not taken, as far
//!    as head (`retreat`); a kill in the middle of that leaves DONE records between the stored tail
//!    and the FREE word. This is the only case in which a position is used twice; `retreats`
//!    reports it to walks that own no side.
//! 3. Each operation has one commit point, one atomic store: READY, CLAIMED, DONE, LEASED, RETURNED
//!    or READ in the record's own header. That of a burst is READY in its first record; its other
//!    records are READY by then. A burst is taken record by record. Cursors follow it and can be
//!    derived anew ([`Ring::repair_put_side`], [`Ring::repair_get_side`]).
//! 4. A record from reclaim on that is not DONE keeps its cells, and so do all after it. The owner
//!    of the get side also pins every record from head on: nothing there is overwritten.
//! 5. A record's cells follow from its length, and its length changes only while it is CLAIMED by
//!    one owner.
//!
//! Orderings. Headers and cursors are stored with Release: a header so that a load-acquire of it
//! also sees the payload, FREE and sequence stored before it; a cursor so that it never becomes
//! visible before the header that it follows, not even to the compiler (a process can be killed
//! between any two instructions). Headers are loaded with Acquire. A side's own cursors are loaded
//! Relaxed: the side's lock, or exclusive ownership, orders them.
//!
//! Speculative loads. Six functions read a record's first two words without owning what keeps the
//! record in place: `nothing_to_take`, `head_is_pending` and `outlook_from` (head may have moved
//! on), `walk` and `has_room` (putters may reclaim the visited records), `count_at` (a sequence
//! beside a cursor that moves). In a slice ring, those words may by then be payload, which a putter
//! copies in, or a caller writes through its loan, with plain stores: a data race in the terms of
//! the language, and one that ThreadSanitizer reports. It does no harm:
//! - The load is one atomic load of an aligned word, so it is made once and yields some value; the
//!   value is only compared. The writer reads nothing back, so the compiler can conclude nothing on
//!   its side.
//! - A value that may have been payload is discarded. A putter moves the cursors past a record
//!   before it overwrites it (`move_reclaim`, with a release fence). The reader loads the cursor
//!   again after the word (Acquire, or a fence), finds that it moved, and discards the value.
//!   `head_is_pending` does not reload the cursor: its result only decides whether a getter spins
//!   once more or takes the lock. Nor does `ahead_at_a_glance`: it is a figure for display.
//!
//! Payload itself is copied by one process at a time, before READY or between READY and DONE: those
//! copies are ordered, and a report of a race between two of them is a bug. `.ci/tsan/suppressions`
//! names the loads above and nothing else.

mod burst;
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
pub(crate) mod topic;
mod views;
mod walk;

#[cfg(not(loom))]
pub(crate) use burst::Burst;
#[cfg(not(loom))]
pub(crate) use dead_owners::{Found, Upto};
pub(crate) use get::{Front, Record};
pub(crate) use header::{Header, Owner, State};
#[cfg(not(loom))]
pub(crate) use outlook::Outlook;
pub(crate) use put::RECLAIM_AHEAD;
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
    /// A getter saw [`RETURNED`], and its walk has not ended yet.
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
    /// Word that getters check before they take the record at head: bits of [`notice`].
    fn returned(&self) -> &AtomicU32;
    /// Not 0 once the queue is closed.
    fn closed(&self) -> &AtomicU32;
    /// Are cells so large that few of them share a cache line, so that prefetching the line for one
    /// cell pays?
    fn fills_lines(&self) -> bool;
    /// First word of the record that starts at `cell`.
    fn header(&self, cell: CellIndex) -> &AtomicU64;
    /// Second word of it, in slice rings only.
    fn sequence(&self, cell: CellIndex) -> &AtomicU64;
    /// The message at that position is about to be given up.
    fn note_given_up(&self, _position: u64) {}
    /// Prefetches `count` cells from `first` on, which do not reach beyond the ring's end, for
    /// writing: several cache lines can then cross at a time.
    fn prefetch_write(&self, _first: CellIndex, _count: u64) {}
    /// Prefetches cells in the same way for reading and then finishing them.
    fn prefetch_read(&self, _first: CellIndex, _count: u64) {}
}

/// A ring over some memory. Each fast path makes its own copy, so that constants stay in registers
/// across atomic stores.
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
    pub(crate) fn load_header(&self, cell: CellIndex) -> Header {
        Header::from_bits(self.memory.header(cell).load(crate::atomic::Ordering::Acquire))
    }

    /// The position of a record that reclaim cannot pass meanwhile.
    pub fn position_of(&self, cell: CellIndex) -> u64 {
        use crate::atomic::Ordering::Acquire;
        self.geometry.first_of(cell, self.memory.put_side().reclaim.load(Acquire))
    }

    /// The position after a record that starts at `position`.
    #[inline]
    fn after(&self, position: u64, header: Header) -> Result<u64, Corrupted> {
        self.geometry.after(position, self.geometry.record_cells(header.length() as u64)).ok_or(Corrupted)
    }

    /// One header transition (compare-and-exchange): fails if another process made one first.
    #[inline(always)]
    fn transition(&self, cell: CellIndex, from: Header, to: Header) -> bool {
        use crate::atomic::Ordering::{AcqRel, Acquire};
        self.memory.header(cell).compare_exchange(from.bits(), to.bits(), AcqRel, Acquire).is_ok()
    }

    /// Sets the flag that makes getters search for RETURNED records. A read-modify-write, so that a
    /// getter that clears the bit acquires from every giver before it.
    fn announce_returned(&self) {
        self.memory.returned().fetch_or(notice::RETURNED, crate::atomic::Ordering::AcqRel);
    }
}
