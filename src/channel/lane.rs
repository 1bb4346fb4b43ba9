//! The endpoints' own way through the ring for messages of one size: no lock, and hardly a look at anything that is shared.
//!
//! ```text
//!   off --set out (a slow call succeeded)--> at a position, room for n more
//!    ^                                          | put, loan, get, lease: one record further
//!    '---- the side moved without us, no room, nothing there, a closer, a waiter with a ticket: the slow call
//! ```
//!
//! Invariants:
//! 1. A lane is used only while its position is the side's cursor, so it never needs to be told that another verb moved it. Then
//!    `offset` is where the record at that position starts: less than `ring_bytes`, and a whole number of cells.
//! 2. The word at a put lane's position is FREE, and `room` counts records that end before the spare cell of reclaim's lap. Only this
//!    endpoint makes it smaller, and reclaim only grows: so it may be too small, never too large.
//! 3. `T` is the message type that the stamp was checked for: its [`SizedShape`] is that of the segment.

use super::typed::{check_written, copy_message};
use super::{Channel, ClaimedRecord, Failure, LeasedRecord, Patience, Tenure};
use crate::error::{GetError, PutError};
use crate::geometry::SizedShape;
use crate::ring::Header;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Where an endpoint stands.
#[derive(Debug, Default)]
pub(super) struct Lane {
    position: Cell<u64>,
    offset: Cell<usize>,
    ring_bytes: Cell<usize>,
    /// Put lanes only (Invariant 2). 0: off.
    room: Cell<u64>,
}

impl Lane {
    /// One record further: the position there.
    #[inline(always)]
    fn after(&self, cell_bytes: usize, index_mask: u64) -> (u64, usize) {
        let (position, offset) = (self.position.get(), self.offset.get() + cell_bytes);
        if offset == self.ring_bytes.get() {
            ((position | index_mask).wrapping_add(1), 0)
        } else {
            (position.wrapping_add(1), offset)
        }
    }

    #[inline(always)]
    fn move_to(&self, (position, offset): (u64, usize)) {
        self.position.set(position);
        self.offset.set(offset);
    }
}

impl Channel {
    #[inline(always)]
    fn record_at(&self, offset: usize) -> *mut u8 {
        // Lane, Invariant 1: inside the ring.
        self.ring.memory.cells.as_ptr().wrapping_add(offset)
    }

    #[inline(always)]
    fn header_at(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: Lane, Invariant 1: a record of the ring starts there, aligned to 8 bytes as all cells are.
        unsafe { &*self.record_at(offset).cast() }
    }

    /// [`put_value`](Channel::put_value) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn put_held<T>(&self, tenure: &Tenure, value: &T, patience: Patience) -> Result<(), PutError>
    where
        T: IntoBytes + Immutable,
    {
        if self.put_along(tenure, value) {
            return Ok(());
        }
        self.put_value::<true, T>(self.tenant(tenure)?, value, patience)?;
        self.set_out_to_put::<T>(tenure);
        Ok(())
    }

    /// Enters the put side at the lane's position, where there is room for one record. `false`: take the slow path.
    #[inline(always)]
    fn enter_lane_to_put(&self, tenure: &Tenure) -> bool {
        let lane = &tenure.lane;
        let head = self.head();
        let side = &head.put;
        if self.incarnation() != tenure.incarnation || lane.room.get() == 0 || side.tail.load(Relaxed) != lane.position.get() {
            return false;
        }
        // Busy before the look at `closed`: see `try_enter_put`. A process that may not rely on the light barrier has no lane.
        side.busy.store(1, Relaxed);
        self.barrier.compiler_only();
        if side.owner.load(Relaxed) != tenure.me.bits() || head.put_notice.closed.load(Relaxed) != 0 {
            side.busy.store(0, Release);
            return false;
        }
        true
    }

    /// The fast way. `false`: nothing was put.
    #[inline(always)]
    fn put_along<T>(&self, tenure: &Tenure, value: &T) -> bool
    where
        T: IntoBytes + Immutable,
    {
        let lane = &tenure.lane;
        let side = &self.head().put;
        if !self.enter_lane_to_put(tenure) {
            return false;
        }
        let shape = const { SizedShape::of::<T>() };
        let (cell_bytes, payload_offset) = (shape.cell_bytes as usize, shape.payload_offset as usize);
        let offset = lane.offset.get();
        let next = lane.after(cell_bytes, self.geometry().index_mask());
        // Ring, Invariant 1.
        self.header_at(next.1).store(Header::FREE.bits(), Relaxed);
        // SAFETY: Invariants 1 and 3: the record has room for a T behind its header.
        unsafe { copy_message(value, self.record_at(offset).wrapping_add(payload_offset)) };
        self.header_at(offset).store(Header::ready(size_of::<T>() as u32).bits(), Release);
        side.tail.store(next.0, Release);
        side.busy.store(0, Release);
        lane.move_to(next);
        lane.room.set(lane.room.get() - 1);
        self.barrier.compiler_only();
        if self.not_empty().has_waiters() {
            self.wake(self.not_empty(), 1);
        }
        true
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
        let claimed = self.claim_slow::<true>(self.tenant(tenure)?, size_of::<T>(), patience)?;
        self.set_out_to_put::<T>(tenure);
        Ok(claimed)
    }

    /// The fast way. `None`: nothing was claimed.
    #[inline(always)]
    fn claim_along<T>(&self, tenure: &Tenure) -> Option<ClaimedRecord> {
        let lane = &tenure.lane;
        let side = &self.head().put;
        let cell = self.geometry().cell(lane.position.get())?;
        if self.is_poisoned() || !self.enter_lane_to_put(tenure) {
            return None;
        }
        let shape = const { SizedShape::of::<T>() };
        let offset = lane.offset.get();
        let next = lane.after(shape.cell_bytes as usize, self.geometry().index_mask());
        let header = Header::claimed(Channel::owner_word(tenure.me), size_of::<T>() as u32);
        // Ring, Invariant 1. The counter: see `claim_slot`.
        self.header_at(next.1).store(Header::FREE.bits(), Relaxed);
        super::put::add(&side.loans, 1);
        self.header_at(offset).store(header.bits(), Release);
        side.tail.store(next.0, Release);
        side.busy.store(0, Release);
        lane.move_to(next);
        lane.room.set(lane.room.get() - 1);
        Some(ClaimedRecord { cell, header, payload: self.record_at(offset).wrapping_add(shape.payload_offset as usize) })
    }

    #[cold]
    fn set_out_to_put<T>(&self, tenure: &Tenure) {
        let side = &self.head().put;
        let (tail, reclaim) = (side.tail.load(Relaxed), side.reclaim.load(Relaxed));
        let taken = self.geometry().linear(tail).wrapping_sub(self.geometry().linear(reclaim));
        let room = self.geometry().capacity.saturating_sub(taken);
        let set = self.set_out::<T>(tenure, tail);
        tenure.lane.room.set(if set { room } else { 0 });
    }

    /// Invariant 1, for the cursor's position. `false`: no lane for this process or this cursor.
    fn set_out<T>(&self, tenure: &Tenure, position: u64) -> bool {
        let shape = const { SizedShape::of::<T>() };
        let fits = self.geometry().sized && self.geometry().cell_bytes == shape.cell_bytes && self.barrier.is_registered();
        let Some(cell) = self.geometry().cell(position).filter(|_| fits) else {
            tenure.lane.ring_bytes.set(0);
            return false;
        };
        tenure.lane.ring_bytes.set(self.geometry().ring_bytes() as usize);
        tenure.lane.move_to((position, (cell.index() * shape.cell_bytes) as usize));
        true
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
        if self.get_along(tenure, &mut copy) || (self.await_message(patience) && self.get_along(tenure, &mut copy)) {
            // SAFETY: all bytes of `copy` were written.
            unsafe { check_written(&copy)? };
            // SAFETY: the bytes were just found to be a value of T.
            return Ok(unsafe { copy.assume_init() });
        }
        let got = self.get_value::<true, T>(Some(tenure.me), patience);
        self.set_out::<T>(tenure, self.head().get.head.load(Relaxed));
        got
    }

    /// Enters the get side at the lane's position, if a message of `length` bytes is ready there. `false`: take the slow path.
    #[inline(always)]
    fn enter_lane_to_get(&self, tenure: &Tenure, offset: usize, length: u32) -> bool {
        let lane = &tenure.lane;
        let side = &self.head().get;
        if lane.ring_bytes.get() == 0 || side.head.load(Relaxed) != lane.position.get() {
            return false;
        }
        // Busy before the record is taken: `join` counts between two calls only.
        side.busy.store(1, Relaxed);
        let ready = self.header_at(offset).load(Acquire) == Header::ready(length).bits()
            && side.owner.load(Relaxed) == tenure.me.bits()
            && !self.ring.may_hold_returned();
        if !ready {
            side.busy.store(0, Release);
        }
        ready
    }

    /// The fast way. `true`: `to` was filled.
    #[inline(always)]
    fn get_along<T>(&self, tenure: &Tenure, to: &mut MaybeUninit<T>) -> bool {
        let lane = &tenure.lane;
        let side = &self.head().get;
        let offset = lane.offset.get();
        let length = size_of::<T>() as u32;
        if !self.enter_lane_to_get(tenure, offset, length) {
            return false;
        }
        let shape = const { SizedShape::of::<T>() };
        let payload = self.record_at(offset).wrapping_add(shape.payload_offset as usize);
        // SAFETY: Invariants 1 and 3: a committed T lies there, and only this endpoint may end it.
        unsafe { ptr::copy_nonoverlapping(payload, to.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
        self.header_at(offset).store(Header::done(length).bits(), Release);
        let next = lane.after(shape.cell_bytes as usize, self.geometry().index_mask());
        side.head.store(next.0, Release);
        super::put::add(&side.copies, 1);
        side.busy.store(0, Release);
        lane.move_to(next);
        self.barrier.compiler_only();
        if self.not_full().has_waiters() {
            self.wake(self.not_full(), 1);
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
        if self.await_message(patience) {
            if let Some(leased) = self.lease_along::<T>(tenure) {
                return Ok(leased);
            }
        }
        let leased = self.lease_slow::<true>(me, patience);
        self.set_out::<T>(tenure, self.head().get.head.load(Relaxed));
        leased
    }

    /// The fast way. `None`: nothing was leased.
    #[inline(always)]
    fn lease_along<T>(&self, tenure: &Tenure) -> Option<LeasedRecord> {
        let lane = &tenure.lane;
        let side = &self.head().get;
        let offset = lane.offset.get();
        let length = size_of::<T>() as u32;
        let cell = self.geometry().cell(lane.position.get())?;
        if self.incarnation() != tenure.incarnation || self.is_poisoned() || !self.enter_lane_to_get(tenure, offset, length) {
            return None;
        }
        let shape = const { SizedShape::of::<T>() };
        let header = Header::ready(length).leased_by(Channel::owner_word(tenure.me));
        let next = lane.after(shape.cell_bytes as usize, self.geometry().index_mask());
        // Before the record: see `lease_record`.
        super::put::add(&side.leases, 1);
        self.header_at(offset).store(header.bits(), Release);
        side.head.store(next.0, Release);
        side.busy.store(0, Release);
        lane.move_to(next);
        let payload = self.record_at(offset).wrapping_add(shape.payload_offset as usize);
        Some(LeasedRecord { cell, header, payload, length: length as usize })
    }
}
