//! The endpoints' transitions in a ring of messages of one size: those of a `Producer` and of a
//! `Consumer`, which own their side and take no lock.
//!
//! ```text
//!   empty --refill--> a run of slots --put, claim, take, lease: at the cursor--> the run ends
//!     ^                                                                              |
//!     +--------- the slow call: the ring's last cell, no room, a death, closed <-----+
//! ```
//!
//! What makes them short: a [`Run`] is found to lie inside the ring once, for many records, so
//! that a call compares one number; and room for all of it was reclaimed before. They publish with
//! the same stores as every other call ([`Ring::commit`], [`Ring::take`]), so that peers need not
//! know which kind of call it was.
//!
//! Invariants:
//! 1. A run has no cursor of its own. Each call reads that of the side and finds it in the run, so
//!    a run is never wrong, only empty: other calls of the endpoint may move the cursor, and a
//!    cursor of garbage leads to some record of the ring, or to the slow call.
//! 2. A putter's run is free space: reclaim is past all of its cells, one lap before. Only the
//!    endpoint moves tail and reclaim while it lives, and reclaim never goes back. (`retreat` takes
//!    tail back, to a position that was free as well.)
//! 3. Both enter by Dekker's protocol: store `busy`, barrier, then load `closed` (or the notice of
//!    what holds the Consumer off). The other process stores its word, runs the heavy barrier, and
//!    then loads `busy`. At least one of the two sees the other.

use super::{Header, Memory, Owner, RECLAIM_AHEAD, Record, Ring, Slot};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::{Relaxed, Release};
use crate::shm::geometry::{CellIndex, CellRow};
use std::cell::Cell;

/// A Producer is *followed closely* if no more records than these wait for the getter when it reads
/// head: a ping-pong, most likely.
const CLOSE: u64 = 2;

/// How many records ahead of the one that is put a closely followed Producer takes ownership of a
/// cache line.
pub(super) const OWNED_AHEAD: u64 = 3;

/// Records that a closely followed Producer reclaims at a time: each put that reclaims is an answer
/// that comes later (measured, the 99th percentile of a spinning round trip of 64 B: 530 -> 380
/// ns). As many cache lines as a whole run of small cells has.
const RECLAIM_FOLLOWED: u64 = 16;

/// Slots that follow one another in the ring, at positions that differ by one. What an endpoint
/// remembers between two calls; empty at first.
#[derive(Debug)]
pub(crate) struct Run {
    /// The endpoint's id, as the side's `owner` word has it.
    owner: u32,
    /// Position of the first slot.
    first: Cell<u64>,
    cells: Cell<CellRow>,
    /// A putter's: was it followed closely when it last read head?
    is_followed: Cell<bool>,
}

/// One slot of a run, entered to put.
#[derive(Debug)]
pub(crate) struct RunSlot {
    slot: Slot,
    cells: CellRow,
    nth: u64,
}

impl RunSlot {
    #[inline(always)]
    pub fn cell(&self) -> CellIndex {
        self.slot.cell
    }
}

impl Run {
    /// Of an endpoint that is about to own its side.
    pub fn of(owner: u32) -> Run {
        Run { owner, first: Cell::default(), cells: Cell::default(), is_followed: Cell::default() }
    }

    /// Of a Producer that was followed closely when it last read head.
    #[cfg(test)]
    pub fn of_followed(owner: u32) -> Run {
        Run { is_followed: Cell::new(true), ..Run::of(owner) }
    }

    fn set(&self, first: u64, cells: CellRow) {
        self.first.set(first);
        self.cells.set(cells);
    }

    fn has(&self, position: u64) -> bool {
        position.wrapping_sub(self.first.get()) < self.cells.get().count()
    }
}

/// Adds to a counter that only one process at a time writes: a plain load and a plain store.
#[inline(always)]
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl<M: Memory> Ring<M> {
    /// Enters the put side as its owner, with room for one record at tail. `None`: not entered, the
    /// slow call is needed. `barrier` is the light half of the barrier (Invariant 3): that of the
    /// compiler, in a process that is registered for the heavy one.
    #[inline(always)]
    pub fn enter_run_to_put(&self, run: &Run, length: u32, barrier: impl FnOnce()) -> Option<RunSlot> {
        let side = self.memory.put_side();
        let tail = side.tail.load(Relaxed);
        let (cells, nth) = (run.cells.get(), tail.wrapping_sub(run.first.get()));
        let (cell, behind) = cells.pair(nth)?;
        side.busy.store(1, Relaxed);
        barrier();
        if side.owner.load(Relaxed) != run.owner || self.memory.closed().load(Relaxed) != 0 {
            self.exit_put();
            return None;
        }
        // Ring, Invariant 1. Relaxed: the header that publishes the record is stored with Release
        // after it.
        self.memory.header(behind).store(Header::FREE.bits(), Relaxed);
        // A run has not the ring's last cell, so the next position is in the same lap.
        let slot = Slot { cell, next: tail.wrapping_add(1), length };
        Some(RunSlot { slot, cells, nth })
    }

    /// Publishes a written record, and exits. The store of READY is the commit point.
    ///
    /// In a run that reaches so far it then takes ownership of a cache line ahead of its use:
    /// stores FREE into the header three records ahead, in free space, where no process reads it
    /// (Ring, Invariant 1; Invariant 2; the fence of `move_reclaim`). The getter had that line a
    /// lap ago, and does not poll it yet: by then it polls the next record. In that line lies the
    /// end of the record before it, too. Measured, a spinning round trip of 64 B: 280 -> 225 ns
    /// with the cores near, 850 -> 690 far; `prefetchw` there changed nothing. A stream, which
    /// prefetches whole runs of lines, would lose 5 - 10 %.
    #[inline(always)]
    pub fn commit_in_run(&self, RunSlot { slot, cells, nth }: RunSlot) {
        self.memory.header(slot.cell).store(Header::ready(slot.length).bits(), Release);
        self.memory.put_side().tail.store(slot.next, Release);
        if self.memory.fills_lines() {
            if let Some(ahead) = cells.ahead(nth, OWNED_AHEAD) {
                self.memory.header(ahead).store(Header::FREE.bits(), Relaxed);
            }
        }
        self.exit_put();
    }

    /// Publishes a record that `owner` will write, and exits. The store of CLAIMED is the commit
    /// point. The counter goes first: a queue in which it is 0 is never searched for loans.
    #[inline(always)]
    pub fn claim_in_run(&self, RunSlot { slot, .. }: RunSlot, owner: Owner) -> (CellIndex, Header) {
        add_one(&self.memory.put_side().loans);
        let claimed = self.claim(slot, owner);
        self.exit_put();
        claimed
    }

    /// Leaves the put side, of which the caller is the owner. Release: a process that loads busy 0
    /// sees all that was committed.
    #[inline(always)]
    pub fn exit_put(&self) {
        self.memory.put_side().busy.store(0, Release);
    }

    /// Makes the run start at tail, and reclaims for it if no room is left. `false`: there is no
    /// room, or tail is garbage. The run of a closely followed Producer ends before its room does,
    /// by what it takes ahead. Needs the put side of a sized ring; an endpoint need not be busy
    /// meanwhile, since nothing is committed. `await_room` may wait a while for room; `make_room`
    /// is [`Ring::make_room`], or what a topic has for it.
    ///
    /// `is_owner` is asked last before reclaim moves: while the owner lives, no other process moves
    /// it (Ring, Invariant 2).
    #[inline]
    pub fn refill_to_put(
        &self,
        run: &Run,
        is_owner: impl Fn() -> bool,
        await_room: impl FnOnce(),
        make_room: impl Fn(u64) -> bool,
    ) -> bool {
        let room = self.room_reclaimed();
        let (spare, most) = if run.is_followed.get() { (OWNED_AHEAD, RECLAIM_FOLLOWED) } else { (0, RECLAIM_AHEAD) };
        if room <= spare {
            if room == 0 {
                await_room();
            }
            let head_seen = || self.memory.put_side().head_seen.load(Relaxed);
            let before = head_seen();
            if !(is_owner() && make_room(most)) && room == 0 {
                return false;
            }
            if head_seen() != before {
                run.is_followed.set(self.memory.fills_lines() && self.backlog_seen() <= CLOSE);
            }
        }
        let tail = self.memory.put_side().tail.load(Relaxed);
        let room = self.room_reclaimed();
        let followed = run.is_followed.get().then(|| self.geometry.row(tail, room.saturating_sub(OWNED_AHEAD), OWNED_AHEAD));
        let cells = match followed.flatten() {
            Some(cells) if cells.count() > 0 => cells,
            _ => {
                let Some(cells) = self.geometry.row(tail, room, 1) else { return false };
                cells
            }
        };
        run.set(tail, cells);
        true
    }

    /// Enters the get side as its owner, if a message is ready at head. `None`: not entered.
    /// `barrier` is that of [`enter_run_to_put`](Ring::enter_run_to_put).
    ///
    /// Busy before the record is taken: `join` counts between two calls only. And before the load
    /// of the notice: see `retreat`.
    #[inline(always)]
    pub fn enter_run_to_get(&self, run: &Run, length: u32, barrier: impl FnOnce()) -> Option<Record> {
        let side = self.memory.get_side();
        let head = side.head.load(Relaxed);
        let (cell, _) = run.cells.get().pair(head.wrapping_sub(run.first.get()))?;
        side.busy.store(1, Relaxed);
        barrier();
        let header = Header::ready(length);
        let ready = self.load_header(cell) == header && side.owner.load(Relaxed) == run.owner && !self.may_hold_returned();
        if !ready {
            self.exit_get();
            return None;
        }
        Some(Record { cell, header, next: Some(head.wrapping_add(1)) })
    }

    /// Finishes a record that was copied out, and exits. The store of DONE is the commit point.
    #[inline(always)]
    pub fn take_in_run(&self, record: Record) {
        self.take(record);
        add_one(&self.memory.get_side().copies);
        self.exit_get();
    }

    /// Hands a record to `owner` to read in place, and exits. The store of LEASED is the commit
    /// point. The counter goes first, as in `claim_in_run`.
    #[inline(always)]
    pub fn lease_in_run(&self, record: Record, owner: Owner) -> (CellIndex, Header) {
        add_one(&self.memory.get_side().leases);
        let leased = self.lease(record, owner);
        self.exit_get();
        leased
    }

    /// Leaves the get side, of which the caller is the owner.
    #[inline(always)]
    pub fn exit_get(&self) {
        self.memory.get_side().busy.store(0, Release);
    }

    /// Makes the run start at head, unless it has that position already. It ends where it is time
    /// to [fetch ahead](Ring::fetch_ahead) again. `Some` is how many slots a new run has. Needs the
    /// get side of a sized ring.
    #[inline]
    pub fn refill_to_get(&self, run: &Run) -> Option<u64> {
        let head = self.memory.get_side().head.load(Relaxed);
        if run.has(head) {
            return None;
        }
        let cells = self.geometry.row(head, self.until_next_fetch(head)?, 1)?;
        run.set(head, cells);
        Some(cells.count())
    }
}
