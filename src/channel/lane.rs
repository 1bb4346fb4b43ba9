//! The endpoints' own way through the ring for messages of one size: no lock, and hardly a look at anything that is shared.
//!
//! ```text
//!   shut --set out (after the first slow call, if the ring is such)--> open
//!                                                                    |  put, loan, get, lease: at the side's cursor
//!                                                                    |  no room, nothing there, a closer, a death: the slow call
//! ```
//!
//! Invariants:
//! 1. A lane has no place of its own: that is the side's cursor, read and range-checked at each call. So it never needs to be told that
//!    another verb moved it, and a cursor of garbage leads to some record of the ring, or to the slow call.
//! 2. An open lane's `T` is the message type that the stamp was checked for: its [`SizedShape`] is that of the segment. And its process
//!    may rely on the light barrier.

use super::typed::{check_written, copy_message};
use super::{Channel, ClaimedRecord, Failure, LeasedRecord, Patience, Tenure};
use crate::error::{GetError, PutError};
use crate::geometry::{Cell as RingCell, SizedShape};
use crate::ring::Header;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Smaller cells share their cache lines with so many others that there is nothing to win by asking for lines ahead.
const LINE_SHARED_BYTES: u64 = 48;

/// May this endpoint go its own way (Invariant 2)? Not before it went the slow one.
#[derive(Debug, Default)]
pub(super) struct Lane {
    open: Cell<bool>,
}

/// Where a record lies, as an offset from cell 0, and where the one behind it.
#[derive(Clone, Copy)]
struct Place {
    cell: RingCell,
    offset: usize,
    next: u64,
    next_offset: usize,
}

impl Channel {
    #[inline(always)]
    fn record_at(&self, offset: usize) -> *mut u8 {
        // Invariants 1 and 2: inside the ring.
        self.ring.memory.cells.as_ptr().wrapping_add(offset)
    }

    #[inline(always)]
    fn header_at(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: Invariants 1 and 2: a record of the ring starts there, aligned to 8 bytes as all cells are.
        unsafe { &*self.record_at(offset).cast() }
    }

    /// The record at a cursor, in an open lane. `None`: the cursor is garbage.
    #[inline(always)]
    fn place<T>(&self, cursor: u64) -> Option<Place> {
        let cell_bytes = const { SizedShape::of::<T>() }.cell_bytes;
        let geometry = self.geometry();
        let cell = geometry.cell(cursor)?;
        let offset = (cell.index() * cell_bytes) as usize;
        let (next, next_offset) = match cell.index() + 1 == geometry.cells {
            true => (geometry.next_lap(cursor).wrapping_sub(cell.index()), 0),
            false => (cursor.wrapping_add(1), offset + cell_bytes as usize),
        };
        Some(Place { cell, offset, next, next_offset })
    }

    /// [`put_value`](Channel::put_value) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn put_held<T>(&self, tenure: &Tenure, value: &T, patience: Patience) -> Result<(), PutError>
    where
        T: IntoBytes + Immutable,
    {
        if self.put_along(tenure, value) || (self.make_room_along(tenure, patience) && self.put_along(tenure, value)) {
            return Ok(());
        }
        self.put_value::<true, T>(self.tenant(tenure)?, value, patience)?;
        self.set_out::<T>(tenure);
        Ok(())
    }

    /// Enters the put side, if there is room for one record at tail. `None`: take the slow path.
    #[inline(always)]
    fn enter_lane_to_put<T>(&self, tenure: &Tenure) -> Option<Place> {
        let head = self.head();
        let side = &head.put;
        if self.incarnation() != tenure.incarnation || !tenure.lane.open.get() {
            return None;
        }
        let place = self.place::<T>(side.tail.load(Relaxed))?;
        if place.next >= self.geometry().next_lap(side.reclaim.load(Relaxed)) {
            return None;
        }
        // Busy before the look at `closed`: see `try_enter_put`. A process that may not rely on the light barrier has no open lane.
        side.busy.store(1, Relaxed);
        self.barrier.compiler_only();
        if side.owner.load(Relaxed) != tenure.me.bits() || head.put_notice.closed.load(Relaxed) != 0 {
            side.busy.store(0, Release);
            return None;
        }
        Some(place)
    }

    /// The fast way. `false`: nothing was put.
    #[inline(always)]
    fn put_along<T>(&self, tenure: &Tenure, value: &T) -> bool
    where
        T: IntoBytes + Immutable,
    {
        let side = &self.head().put;
        let Some(Place { offset, next, next_offset, .. }) = self.enter_lane_to_put::<T>(tenure) else { return false };
        let payload_offset = const { SizedShape::of::<T>() }.payload_offset as usize;
        // Ring, Invariant 1.
        self.header_at(next_offset).store(Header::FREE.bits(), Relaxed);
        // SAFETY: Invariants 1 and 2: the record has room for a T behind its header.
        unsafe { copy_message(value, self.record_at(offset).wrapping_add(payload_offset)) };
        self.header_at(offset).store(Header::ready(size_of::<T>() as u32).bits(), Release);
        side.tail.store(next, Release);
        if const { SizedShape::of::<T>() }.cell_bytes > LINE_SHARED_BYTES {
            self.own_ahead::<T>(next, next_offset);
        }
        side.busy.store(0, Release);
        self.barrier.compiler_only();
        if self.not_empty().has_waiters() {
            self.wake(self.not_empty(), 1);
        }
        true
    }

    /// Takes the lines of the record behind the next one from the getter, who had them a lap ago, before they are needed: the getter
    /// begins to watch the next record by then, not yet this one. What does it is a store of FREE into free space, which nobody reads
    /// (Ring, Invariant 1; the fence of `move_reclaim`). Measured, a spinning round trip of 64 B: 280 -> 225 ns with the cores near, 850 ->
    /// 690 far; asking by `prefetchw` changed nothing.
    #[inline(always)]
    fn own_ahead<T>(&self, next: u64, next_offset: usize) {
        // The header two records on has in its line the end of the record before it. Not round the ring's end.
        let is_free = next.wrapping_add(2) < self.geometry().next_lap(self.head().put.reclaim.load(Relaxed));
        if is_free && self.geometry().cells_to_end(next) > 2 {
            let offset = next_offset + 2 * const { SizedShape::of::<T>() }.cell_bytes as usize;
            self.header_at(offset).store(Header::FREE.bits(), Relaxed);
        }
    }

    /// Moves reclaim on where the lane ends for want of room. `false`: not here, or there is no room.
    #[cold]
    #[inline(never)]
    fn make_room_along(&self, tenure: &Tenure, patience: Patience) -> bool {
        let owns = || self.head().put.owner.load(Relaxed) == tenure.me.bits();
        if self.incarnation() != tenure.incarnation || !tenure.lane.open.get() || !owns() {
            return false;
        }
        self.await_room(patience);
        // While it is the owner and alive, nobody else moves reclaim (Ring, Invariant 2).
        owns() && self.ring.make_room_for_one()
    }

    /// [`claim`](Channel::claim) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn loan_held<T>(&self, tenure: &Tenure, patience: Patience) -> Result<ClaimedRecord, PutError> {
        match self.claim_along::<T>(tenure) {
            Some(claimed) => Ok(claimed),
            None => self.loan_held_slowly::<T>(tenure, patience),
        }
    }

    #[cold]
    #[inline(never)]
    fn loan_held_slowly<T>(&self, tenure: &Tenure, patience: Patience) -> Result<ClaimedRecord, PutError> {
        if self.make_room_along(tenure, patience) {
            if let Some(claimed) = self.claim_along::<T>(tenure) {
                return Ok(claimed);
            }
        }
        let claimed = self.claim_slow::<true>(self.tenant(tenure)?, size_of::<T>(), patience)?;
        self.set_out::<T>(tenure);
        Ok(claimed)
    }

    /// The fast way. `None`: nothing was claimed.
    #[inline(always)]
    fn claim_along<T>(&self, tenure: &Tenure) -> Option<ClaimedRecord> {
        let side = &self.head().put;
        if self.is_poisoned() {
            return None;
        }
        let Place { cell, offset, next, next_offset } = self.enter_lane_to_put::<T>(tenure)?;
        let header = Header::claimed(Channel::owner_word(tenure.me), size_of::<T>() as u32);
        // Ring, Invariant 1. The counter: see `claim_slot`.
        self.header_at(next_offset).store(Header::FREE.bits(), Relaxed);
        super::put::add(&side.loans, 1);
        self.header_at(offset).store(header.bits(), Release);
        side.tail.store(next, Release);
        side.busy.store(0, Release);
        let payload = self.record_at(offset).wrapping_add(const { SizedShape::of::<T>() }.payload_offset as usize);
        Some(ClaimedRecord { cell, header, payload })
    }

    /// Opens the lane if Invariant 2 allows it.
    #[cold]
    fn set_out<T>(&self, tenure: &Tenure) {
        let shape = const { SizedShape::of::<T>() };
        let fits = self.geometry().sized && self.geometry().cell_bytes == shape.cell_bytes && self.barrier.is_registered();
        tenure.lane.open.set(fits);
    }

    /// [`get_value`](Channel::get_value) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn get_held<T>(&self, tenure: &Tenure, patience: Patience) -> Result<T, GetError>
    where
        T: TryFromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let mut copy = MaybeUninit::<T>::uninit();
        if self.incarnation() != tenure.incarnation {
            return Err(Failure::Inherited.into());
        }
        if self.get_along(tenure, &mut copy) || (self.await_message::<true>(patience) && self.get_along(tenure, &mut copy)) {
            // SAFETY: all bytes of `copy` were written.
            unsafe { check_written(&copy)? };
            // SAFETY: the bytes were just found to be a value of T.
            return Ok(unsafe { copy.assume_init() });
        }
        let got = self.get_value::<true, T>(Some(tenure.me), patience);
        self.set_out::<T>(tenure);
        got
    }

    /// Enters the get side, if a message is ready at head. `None`: take the slow path.
    #[inline(always)]
    fn enter_lane_to_get<T>(&self, tenure: &Tenure) -> Option<Place> {
        let side = &self.head().get;
        if !tenure.lane.open.get() {
            return None;
        }
        let place = self.place::<T>(side.head.load(Relaxed))?;
        // Busy before the record is taken: `join` counts between two calls only.
        side.busy.store(1, Relaxed);
        let ready = self.header_at(place.offset).load(Acquire) == Header::ready(size_of::<T>() as u32).bits()
            && side.owner.load(Relaxed) == tenure.me.bits()
            && !self.ring.may_hold_returned();
        if !ready {
            side.busy.store(0, Release);
        }
        ready.then_some(place)
    }

    /// The fast way. `true`: `to` was filled.
    #[inline(always)]
    fn get_along<T>(&self, tenure: &Tenure, to: &mut MaybeUninit<T>) -> bool {
        let side = &self.head().get;
        let Some(Place { cell, offset, next, .. }) = self.enter_lane_to_get::<T>(tenure) else { return false };
        let payload = self.record_at(offset).wrapping_add(const { SizedShape::of::<T>() }.payload_offset as usize);
        // SAFETY: Invariants 1 and 2: a committed T lies there, and only this endpoint may end it.
        unsafe { ptr::copy_nonoverlapping(payload, to.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
        self.header_at(offset).store(Header::done(size_of::<T>() as u32).bits(), Release);
        side.head.store(next, Release);
        super::put::add(&side.copies, 1);
        side.busy.store(0, Release);
        self.barrier.compiler_only();
        if self.not_full().has_waiters() {
            self.wake(self.not_full(), 1);
        }
        if self.ring.ends_stretch(cell) {
            self.ring.fetch_ahead();
        }
        true
    }

    /// [`lease`](Channel::lease) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn lease_held<T>(&self, tenure: &Tenure, patience: Patience) -> Result<LeasedRecord, GetError> {
        if let Some(leased) = self.lease_along::<T>(tenure) {
            return Ok(leased);
        }
        self.lease_held_slowly::<T>(tenure, patience)
    }

    #[cold]
    #[inline(never)]
    fn lease_held_slowly<T>(&self, tenure: &Tenure, patience: Patience) -> Result<LeasedRecord, GetError> {
        let me = self.tenant(tenure)?;
        if self.await_message::<true>(patience) {
            if let Some(leased) = self.lease_along::<T>(tenure) {
                return Ok(leased);
            }
        }
        let leased = self.lease_slow::<true>(me, patience);
        self.set_out::<T>(tenure);
        leased
    }

    /// The fast way. `None`: nothing was leased.
    #[inline(always)]
    fn lease_along<T>(&self, tenure: &Tenure) -> Option<LeasedRecord> {
        let side = &self.head().get;
        if self.incarnation() != tenure.incarnation || self.is_poisoned() {
            return None;
        }
        let Place { cell, offset, next, .. } = self.enter_lane_to_get::<T>(tenure)?;
        let length = size_of::<T>() as u32;
        let header = Header::ready(length).leased_by(Channel::owner_word(tenure.me));
        // Before the record: see `lease_record`.
        super::put::add(&side.leases, 1);
        self.header_at(offset).store(header.bits(), Release);
        side.head.store(next, Release);
        side.busy.store(0, Release);
        let payload = self.record_at(offset).wrapping_add(const { SizedShape::of::<T>() }.payload_offset as usize);
        Some(LeasedRecord { cell, header, payload, length: length as usize })
    }
}
