//! The endpoints' own way through the ring for messages of one size: no lock, and hardly a look at anything that is shared.
//!
//! ```text
//!   shut --turn--> open: a stretch of the ring --put, loan, get, lease: at the side's cursor--> the stretch ends, or no message stands there
//!    ^               ^                                                                            |
//!    +-- the slow call <-- the ring's last record, no room, a closer, a death --+-- turn <--------+
//! ```
//!
//! Invariants:
//! 1. A lane has no place of its own: that is the side's cursor, read at each call and looked for in the stretch. So it never needs to be
//!    told that another verb moved it, and a cursor of garbage leads to some record of the ring, or to the slow call.
//! 2. The stretch of an open lane lies in the ring, one record behind the other, and so does the record behind it ([`Stretch`]). It was
//!    set out for the `T` whose shape is that of the segment, by a process that may rely on the light barrier.

use super::copy::{Aside, check_written, copy_message};
use super::{ClaimedRecord, LeasedRecord, RawQueue, Tenure, Wait};
use crate::atomic::AtomicU64;
use crate::error::{GetError, PutError};
use crate::message::Message;
use crate::message::copy::read_message;
use crate::ring::{Header, RECLAIM_AHEAD, Stretch};
use crate::shm::geometry::{CellIndex, SizedShape};
use std::cell::Cell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Smaller cells share their cache lines with so many others that there is nothing to win by taking lines ahead.
const LINE_SHARED_BYTES: usize = 48;

/// A Producer is followed closely if no more records than these wait for the getter: a ping-pong, most likely.
const CLOSE: u64 = 2;

/// As many records ahead of the one that is put lie the lines that a closely followed Producer takes.
const OWNED_AHEAD: u64 = 3;

/// Records that a closely followed Producer of such cells reclaims at a time: each put that does it is an answer that comes later (measured, the
/// 99th percentile of a spinning round trip of 64 B: 530 -> 380 ns). As many lines as a whole stretch of small cells has.
const RECLAIM_FOLLOWED: u64 = 16;

/// The stretch that an endpoint moves along; of no record while it is shut.
#[derive(Debug, Default)]
pub(super) struct Lane {
    first: Cell<u64>,
    records: Cell<u64>,
    cell: Cell<CellIndex>,
    /// A putter's: was it followed closely when it last looked? And does it therefore take lines ahead?
    is_followed: Cell<bool>,
    owns_ahead: Cell<bool>,
}

/// A record of the stretch.
#[derive(Clone, Copy)]
struct Spot {
    position: u64,
    cell: CellIndex,
}

impl Lane {
    #[inline(always)]
    fn find(&self, cursor: u64) -> Option<Spot> {
        let nth = cursor.wrapping_sub(self.first.get());
        (nth < self.records.get()).then(|| Spot { position: cursor, cell: self.cell.get().plus(nth) })
    }

    fn set_out(&self, stretch: Stretch) {
        self.first.set(stretch.first);
        self.records.set(stretch.records);
        self.cell.set(stretch.cell);
    }
}

#[inline(always)]
const fn cell_bytes<T>() -> usize {
    const { SizedShape::of::<T>() }.cell_bytes as usize
}

#[inline(always)]
const fn fills_lines<T>() -> bool {
    cell_bytes::<T>() > LINE_SHARED_BYTES
}

/// The ring's cells, as those of a `T`.
#[derive(Clone, Copy)]
struct Records(*mut u8);

impl Records {
    #[inline(always)]
    fn at<T>(self, cell: CellIndex) -> *mut u8 {
        // Invariant 2: the shape of `T` is that of the segment, so it is inside the ring.
        self.0.wrapping_add(cell.index() as usize * cell_bytes::<T>())
    }

    #[inline(always)]
    fn payload<T>(self, cell: CellIndex) -> *mut T {
        self.at::<T>(cell).wrapping_add(const { SizedShape::of::<T>() }.payload_offset as usize).cast()
    }

    #[inline(always)]
    fn header<'a, T>(self, cell: CellIndex) -> &'a AtomicU64 {
        // SAFETY: Invariant 2: a record of the ring starts there, aligned to 8 bytes as all cells are; who asks holds the queue, which
        // keeps the mapping.
        unsafe { &*self.at::<T>(cell).cast() }
    }
}

impl RawQueue {
    #[inline(always)]
    fn records(&self) -> Records {
        Records(self.ring.memory.cells.as_ptr())
    }

    /// May lanes for `T` be open here (Invariant 2)?
    fn has_lanes<T>(&self) -> bool {
        self.geometry().sized && self.geometry().cell_bytes as usize == cell_bytes::<T>() && self.barrier.is_registered()
    }

    /// [`put_value`](RawQueue::put_value) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn put_held<T>(&self, tenure: &Tenure, value: &T, wait: Wait) -> Result<(), PutError>
    where
        T: Message,
    {
        if self.put_along(tenure, value) { Ok(()) } else { self.put_held_slowly(tenure, value, wait) }
    }

    #[cold]
    #[inline(never)]
    fn put_held_slowly<T>(&self, tenure: &Tenure, value: &T, wait: Wait) -> Result<(), PutError>
    where
        T: Message,
    {
        let me = self.tenant(tenure)?;
        if self.turn_to_put::<T>(tenure, wait) && self.put_along(tenure, value) {
            return Ok(());
        }
        self.put_value::<true, T>(me, value, wait)
    }

    /// Enters the put side, if there is room for one record at tail. `None`: take the slow path.
    #[inline(always)]
    fn enter_lane_to_put(&self, tenure: &Tenure) -> Option<Spot> {
        let head = self.head();
        let side = &head.put;
        if self.incarnation() != tenure.incarnation {
            return None;
        }
        let spot = tenure.lane.find(side.tail.load(Relaxed))?;
        // Busy before the look at `closed`: see `try_enter_put`. A process that may not rely on the light barrier has no open lane.
        side.busy.store(1, Relaxed);
        self.barrier.compiler_only();
        if side.owner.load(Relaxed) != tenure.me.bits() || head.put_notice.closed.load(Relaxed) != 0 {
            side.busy.store(0, Release);
            return None;
        }
        Some(spot)
    }

    /// The fast way. `false`: nothing was put.
    #[inline(always)]
    fn put_along<T>(&self, tenure: &Tenure, value: &T) -> bool
    where
        T: Message,
    {
        let (head, records) = (self.head(), self.records());
        let Some(Spot { position, cell }) = self.enter_lane_to_put(tenure) else { return false };
        // Ring, Invariant 1.
        records.header::<T>(cell.plus(1)).store(Header::FREE.bits(), Relaxed);
        // SAFETY: Invariant 2: the record has room for a T behind its header.
        unsafe { copy_message(value, records.payload::<T>(cell).cast()) };
        records.header::<T>(cell).store(Header::ready(size_of::<T>() as u32).bits(), Release);
        head.put.tail.store(position.wrapping_add(1), Release);
        if fills_lines::<T>() && tenure.lane.owns_ahead.get() {
            self.prefetch_for_ownership::<T>(cell);
        }
        head.put.busy.store(0, Release);
        self.barrier.compiler_only();
        let not_empty = self.locks.not_empty(head);
        if not_empty.has_waiters() {
            self.wake(not_empty, 1);
        }
        true
    }

    /// Takes the lines of the record behind the next one from the getter, who had them a lap ago, before they are needed: the getter
    /// begins to watch the next record by then, not yet this one. What does it is a store of FREE into free space, which nobody reads
    /// (Ring, Invariant 1; the fence of `move_reclaim`). Measured, a spinning round trip of 64 B: 280 -> 225 ns with the cores near, 850 ->
    /// 690 far; asking by `prefetchw` changed nothing. A stream, which asks for whole stretches of lines, would lose 5 - 10 %.
    #[inline(always)]
    fn prefetch_for_ownership<T>(&self, cell: CellIndex) {
        // The header three records on has in its line the end of the record before it.
        self.records().header::<T>(cell.plus(OWNED_AHEAD)).store(Header::FREE.bits(), Relaxed);
    }

    /// Sets the lane out where tail is, having moved reclaim on if need be. `false`: not here, or there is no room. The stretch of a closely
    /// followed Producer ends before its room does, by what it takes ahead.
    fn turn_to_put<T>(&self, tenure: &Tenure, wait: Wait) -> bool {
        let owns = || self.head().put.owner.load(Relaxed) == tenure.me.bits();
        if !self.has_lanes::<T>() || !owns() {
            return false;
        }
        let lane = &tenure.lane;
        let room = self.ring.room_reclaimed();
        let (reserve, most) = if lane.is_followed.get() { (OWNED_AHEAD, RECLAIM_FOLLOWED) } else { (0, RECLAIM_AHEAD) };
        if room <= reserve {
            if room == 0 {
                self.await_room(wait);
            }
            let head_seen = &self.head().put.head_seen;
            let before = head_seen.load(Relaxed);
            // While it is the owner and alive, nobody else moves reclaim (Ring, Invariant 2).
            if !(owns() && self.ring.make_room(most)) && room == 0 {
                return false;
            }
            if head_seen.load(Relaxed) != before {
                lane.is_followed.set(fills_lines::<T>() && self.ring.backlog_seen() <= CLOSE);
            }
        }
        let Some(mut stretch) = self.ring.stretch_to_put() else { return false };
        let owns_ahead = lane.is_followed.get() && stretch.records > OWNED_AHEAD;
        if owns_ahead {
            stretch.records -= OWNED_AHEAD;
        }
        lane.owns_ahead.set(owns_ahead);
        lane.set_out(stretch);
        true
    }

    /// [`claim`](RawQueue::claim) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn loan_held<T>(&self, tenure: &Tenure, wait: Wait) -> Result<ClaimedRecord, PutError> {
        match self.claim_along::<T>(tenure) {
            Some(claimed) => Ok(claimed),
            None => self.loan_held_slowly::<T>(tenure, wait),
        }
    }

    #[cold]
    #[inline(never)]
    fn loan_held_slowly<T>(&self, tenure: &Tenure, wait: Wait) -> Result<ClaimedRecord, PutError> {
        let me = self.tenant(tenure)?;
        if self.turn_to_put::<T>(tenure, wait) {
            if let Some(claimed) = self.claim_along::<T>(tenure) {
                return Ok(claimed);
            }
        }
        self.claim_slow::<true>(me, size_of::<T>(), wait)
    }

    /// The fast way. `None`: nothing was claimed.
    #[inline(always)]
    fn claim_along<T>(&self, tenure: &Tenure) -> Option<ClaimedRecord> {
        let (side, records) = (&self.head().put, self.records());
        if self.is_poisoned() {
            return None;
        }
        let Spot { position, cell } = self.enter_lane_to_put(tenure)?;
        let header = Header::claimed(RawQueue::owner_word(tenure.me), size_of::<T>() as u32);
        // Ring, Invariant 1. The counter: see `claim_slot`.
        records.header::<T>(cell.plus(1)).store(Header::FREE.bits(), Relaxed);
        super::add(&side.loans, 1);
        records.header::<T>(cell).store(header.bits(), Release);
        side.tail.store(position.wrapping_add(1), Release);
        side.busy.store(0, Release);
        Some(ClaimedRecord { cell, header, payload: records.payload::<T>(cell).cast() })
    }

    /// [`get_value`](RawQueue::get_value) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn get_held<T>(&self, tenure: &Tenure, wait: Wait) -> Result<T, GetError>
    where
        T: Message,
    {
        let mut aside = Aside::new();
        let entered = self.enter_lane_or_look::<T>(tenure, wait);
        let from = match &entered {
            Some(spot) => self.records().payload::<T>(spot.cell),
            None if aside.fill(|| self.get_value_slowly::<true, T>(self.tenant(tenure)?, wait)) => aside.got(),
            // SAFETY: `fill` failed.
            None => return unsafe { aside.failure() },
        };
        // SAFETY: Invariant 2: a committed T lies there, and only this endpoint may end it. Or a value was written aside.
        let copy = unsafe { read_message(from) };
        if let Some(spot) = entered {
            // SAFETY: all bytes of `copy` were written.
            if unsafe { check_written(&copy) }.is_err() && self.has_dead_letters() {
                self.head().get.busy.store(0, Release);
                return self.get_invalid::<true, T>(self.tenant(tenure)?, wait);
            }
            self.take_along::<T>(spot);
        }
        // SAFETY: all bytes of `copy` were written.
        unsafe { aside.checked(copy) }
    }

    /// Enters the get side, if a message is ready at head or becomes so soon. `None`: take the slow path.
    #[inline(always)]
    fn enter_lane_or_look<T>(&self, tenure: &Tenure, wait: Wait) -> Option<Spot> {
        match self.enter_lane_to_get::<T>(tenure) {
            // Entered in two places: see `enter_ready_or_look`.
            None if self.look_along::<T>(tenure, wait) => self.enter_lane_to_get::<T>(tenure),
            entered => entered,
        }
    }

    /// Sets the lane out anew, or waits a while for a message, if either is what it needs. `true`: it may be entered now.
    #[cold]
    #[inline(never)]
    fn look_along<T>(&self, tenure: &Tenure, wait: Wait) -> bool {
        if self.tenant(tenure).is_err() {
            return false;
        }
        let turned = self.turn_to_get::<T>(tenure);
        if turned && self.may_hold_leases() && self.is_time_to_look() {
            // What comes back shuts the lane until it is taken. What goes wrong is for the slow path to tell.
            let _ = self.look_for_the_dead::<true>(tenure.me, wait);
            self.post_again(wait);
        }
        if self.ring.head_is_pending() { self.await_message::<true>(wait) } else { turned }
    }

    /// Sets the lane out where head is, if it is not there. `false`: not here, or it was.
    fn turn_to_get<T>(&self, tenure: &Tenure) -> bool {
        let cursor = self.head().get.head.load(Relaxed);
        if !self.has_lanes::<T>() || tenure.lane.find(cursor).is_some() {
            return false;
        }
        let Some(stretch) = self.ring.stretch_to_get() else { return false };
        tenure.lane.set_out(stretch);
        self.fetch_ahead(stretch.records);
        true
    }

    /// Enters the get side, if a message is ready at head.
    #[inline(always)]
    fn enter_lane_to_get<T>(&self, tenure: &Tenure) -> Option<Spot> {
        let side = &self.head().get;
        if self.incarnation() != tenure.incarnation {
            return None;
        }
        let spot = tenure.lane.find(side.head.load(Relaxed))?;
        // Busy before the record is taken: `join` counts between two calls only. And before the
        // look at what holds the Consumer off (ring, `retreat`). A process that may not rely on the
        // light barrier has no open lane.
        side.busy.store(1, Relaxed);
        self.barrier.compiler_only();
        let ready = self.records().header::<T>(spot.cell).load(Acquire) == Header::ready(size_of::<T>() as u32).bits()
            && side.owner.load(Relaxed) == tenure.me.bits()
            && !self.ring.may_hold_returned();
        if !ready {
            side.busy.store(0, Release);
        }
        ready.then_some(spot)
    }

    /// Finishes a record that was copied out, and exits. The store of DONE is the commit point.
    #[inline(always)]
    fn take_along<T>(&self, Spot { position, cell }: Spot) {
        let (head, records) = (self.head(), self.records());
        records.header::<T>(cell).store(Header::done(size_of::<T>() as u32).bits(), Release);
        head.get.head.store(position.wrapping_add(1), Release);
        super::add(&head.get.copies, 1);
        head.get.busy.store(0, Release);
        self.barrier.compiler_only();
        let not_full = self.locks.not_full(head);
        if not_full.has_waiters() {
            self.wake(not_full, 1);
        }
    }

    /// [`lease`](RawQueue::lease) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn lease_held<T>(&self, tenure: &Tenure, wait: Wait) -> Result<LeasedRecord, GetError> {
        // What the dead held comes first: the slow path looks.
        if self.is_poisoned() || self.is_look_due() {
            return self.lease_slow::<true>(self.tenant(tenure)?, wait);
        }
        match self.enter_lane_or_look::<T>(tenure, wait) {
            Some(spot) => Ok(self.lease_along::<T>(tenure, spot)),
            None => self.lease_slow::<true>(self.tenant(tenure)?, wait),
        }
    }

    /// Leases a record, and exits. The store of LEASED is the commit point.
    #[inline(always)]
    fn lease_along<T>(&self, tenure: &Tenure, Spot { position, cell }: Spot) -> LeasedRecord {
        let (side, records) = (&self.head().get, self.records());
        let length = size_of::<T>() as u32;
        let header = Header::ready(length).leased_by(RawQueue::owner_word(tenure.me));
        // Before the record: see `lease_record`.
        super::add(&side.leases, 1);
        records.header::<T>(cell).store(header.bits(), Release);
        side.head.store(position.wrapping_add(1), Release);
        side.busy.store(0, Release);
        let payload = records.payload::<T>(cell).cast();
        LeasedRecord { cell, header, payload, length: length as usize }
    }
}
