//! The endpoints' path through a ring of messages of one size: single producer, single consumer, no
//! lock, and hardly a load of anything that is shared. Its transitions are those of
//! [`ring::Run`](crate::ring::Run); here are copies, waits and wakes.
//!
//! ```text
//!   try_put / try_claim / enter
//!     --the run is empty, or no message--> refill, wait a while --> once more --> the slow call
//! ```
//!
//! Invariant: a run that is not empty was filled for cells (`C`) that fit the segment, by a process
//! that may rely on the light barrier. (An endpoint has one `C` for life, that of its `T` or that
//! of the segment's geometry, and a forked child's endpoint is refused by its incarnation.)

use super::copy::{SlowGet, check_written};
use super::delivery::Delivery;
use super::mapped::{MappedAs, SizedCells};
use super::{ClaimedRecord, LeasedRecord, RawQueue, SideOwner, Wait};
use crate::error::{GetError, PutError};
use crate::message::copy::read_message;
use crate::message::{Message, Travel};
use crate::raw::BY_OWNER;
use crate::ring::{Record, Ring};
use std::sync::atomic::Ordering::Relaxed;

impl RawQueue {
    /// The ring, as one of such cells.
    #[inline(always)]
    pub(super) fn ring_of<C: SizedCells>(&self) -> Ring<C> {
        Ring { memory: C::of(&self.ring.memory), geometry: self.ring.geometry }
    }

    /// May runs of such cells be filled here (Invariant)?
    pub(super) fn has_spsc_path<C: SizedCells>(&self) -> bool {
        C::fits(self.geometry()) && self.barrier().is_registered()
    }

    /// A put by the side's endpoint, where [`try_put`](RawQueue::try_put) put nothing.
    #[cold]
    #[inline(never)]
    pub(crate) fn put_owned<D, T>(&self, owner: &SideOwner, message: &T, wait: Wait) -> Result<(), PutError>
    where
        D: Delivery,
        T: ?Sized + Message,
    {
        let me = self.check(owner)?;
        if self.refill_to_put::<MappedAs<T>>(owner, wait) && self.try_put::<D, T>(owner, message) {
            return Ok(());
        }
        self.put_by::<D, BY_OWNER, T>(me, message, wait)
    }

    /// A put by the side's endpoint. `false`: nothing was put, and
    /// [`put_owned`](RawQueue::put_owned) is needed.
    #[inline(always)]
    pub(crate) fn try_put<D, T>(&self, owner: &SideOwner, message: &T) -> bool
    where
        D: Delivery,
        T: ?Sized + Message,
    {
        T::IS_SIZED && self.try_put_in::<D, MappedAs<T>, T>(owner, message)
    }

    /// The same. The message is as long as a record of such cells.
    #[inline(always)]
    pub(super) fn try_put_in<D, C, T>(&self, owner: &SideOwner, message: &T) -> bool
    where
        D: Delivery,
        C: SizedCells,
        T: ?Sized + Message,
    {
        if self.incarnation() != owner.incarnation {
            return false;
        }
        let ring = self.ring_of::<C>();
        let length = size_of_val(message) as u32;
        let Some(slot) = ring.enter_run_to_put(&owner.run, length, || self.barrier().compiler_only()) else {
            return false;
        };
        // SAFETY: Invariant: the record has room for the message behind its header, and it belongs
        // to this endpoint until it is committed.
        unsafe { D::write(message, ring.memory.payload(slot.cell())) };
        ring.commit_in_run(slot);
        self.barrier().compiler_only();
        let not_empty = self.locks().not_empty(ring.memory.head());
        if not_empty.has_waiters() {
            self.attachment.wake(not_empty, D::wakes(1));
        }
        true
    }

    /// Fills the run with the free slots from tail on, having moved reclaim if need be. `false`:
    /// not here, or there is no room.
    #[cold]
    #[inline(never)]
    pub(super) fn refill_to_put<C: SizedCells>(&self, owner: &SideOwner, wait: Wait) -> bool {
        let owns = || self.head().put.owner.load(Relaxed) == owner.me.bits();
        self.has_spsc_path::<C>()
            && owns()
            && self.ring.refill_to_put(&owner.run, owns, || self.await_room(wait), |most| self.make_room(most))
    }

    /// [`claim`](RawQueue::claim) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn claim_owned<T: Message>(&self, owner: &SideOwner, wait: Wait) -> Result<ClaimedRecord, PutError> {
        self.claim_owned_in::<MappedAs<T>>(owner, wait)
    }

    /// The same in such cells.
    #[inline(always)]
    pub(super) fn claim_owned_in<C: SizedCells>(&self, owner: &SideOwner, wait: Wait) -> Result<ClaimedRecord, PutError> {
        match self.try_claim::<C>(owner) {
            Some(claimed) => Ok(claimed),
            None => self.claim_owned_slow::<C>(owner, wait),
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_owned_slow<C: SizedCells>(&self, owner: &SideOwner, wait: Wait) -> Result<ClaimedRecord, PutError> {
        let me = self.check(owner)?;
        if self.refill_to_put::<C>(owner, wait) {
            if let Some(claimed) = self.try_claim::<C>(owner) {
                return Ok(claimed);
            }
        }
        self.claim_slow::<BY_OWNER>(Some(me), C::message_bytes(self.geometry()), wait)
    }

    /// `None`: nothing was claimed, and the slow call is needed.
    #[inline(always)]
    fn try_claim<C: SizedCells>(&self, owner: &SideOwner) -> Option<ClaimedRecord> {
        if self.is_poisoned() || self.incarnation() != owner.incarnation {
            return None;
        }
        let ring = self.ring_of::<C>();
        let length = C::message_bytes(&ring.geometry) as u32;
        let slot = ring.enter_run_to_put(&owner.run, length, || self.barrier().compiler_only())?;
        let (cell, header) = ring.claim_in_run(slot, RawQueue::owner_word(owner.me));
        Some(ClaimedRecord { cell, header, payload: ring.memory.payload(cell) })
    }

    /// [`get_value`](RawQueue::get_value) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn get_owned<T>(&self, owner: &SideOwner, wait: Wait) -> Result<T, GetError>
    where
        T: Message,
    {
        let mut slow = SlowGet::new();
        let ring = self.ring_of::<MappedAs<T>>();
        let entered = self.enter_or_wait::<MappedAs<T>>(owner, wait);
        let from = match &entered {
            Some(record) => ring.memory.payload(record.cell).cast(),
            None if slow.run(|| self.get_value_slowly::<BY_OWNER, T>(self.check(owner)?, wait)) => slow.value(),
            // SAFETY: `run` failed.
            None => return unsafe { slow.failure() },
        };
        // SAFETY: Invariant: a committed T lies there, and only this endpoint may end it. Or the
        // slow call wrote a value.
        let copy = unsafe { read_message(from) };
        if let Some(record) = entered {
            // SAFETY: all bytes of `copy` were written.
            if unsafe { check_written(&copy) }.is_err() && self.has_dead_letters() {
                ring.exit_get();
                return self.get_invalid::<BY_OWNER, T>(self.check(owner)?, wait);
            }
            self.take_in_run(&ring, record);
        }
        // SAFETY: all bytes of `copy` were written.
        unsafe { slow.checked(copy) }
    }

    /// Finishes a record that was copied out.
    #[inline(always)]
    pub(super) fn take_in_run<C: SizedCells>(&self, ring: &Ring<C>, record: Record) {
        ring.take_in_run(record);
        self.barrier().compiler_only();
        let not_full = self.locks().not_full(ring.memory.head());
        if not_full.has_waiters() {
            self.attachment.wake(not_full, 1);
        }
    }

    /// Enters the get side, if a message is ready at head or becomes so soon. `None`: the slow call
    /// is needed.
    #[inline(always)]
    pub(super) fn enter_or_wait<C: SizedCells>(&self, owner: &SideOwner, wait: Wait) -> Option<Record> {
        match self.enter_to_get::<C>(owner) {
            // Entered in two places: see `enter_ready_or_spin`.
            None if self.refill_or_wait::<C>(owner, wait) => self.enter_to_get::<C>(owner),
            entered => entered,
        }
    }

    #[inline(always)]
    fn enter_to_get<C: SizedCells>(&self, owner: &SideOwner) -> Option<Record> {
        if self.incarnation() != owner.incarnation {
            return None;
        }
        let length = C::message_bytes(self.geometry()) as u32;
        self.ring_of::<C>().enter_run_to_get(&owner.run, length, || self.barrier().compiler_only())
    }

    /// Fills the run anew, or waits a while for a message, if either is what it needs. `true`: it
    /// may be entered now.
    #[cold]
    #[inline(never)]
    fn refill_or_wait<C: SizedCells>(&self, owner: &SideOwner, wait: Wait) -> bool {
        if self.check(owner).is_err() {
            return false;
        }
        let refilled = self.refill_to_get::<C>(owner);
        if refilled && self.may_hold_leases() && self.is_time_to_probe() {
            // What comes back keeps the run shut until it is taken. An error is for the slow call
            // to return.
            let _ = self.probe_for_the_dead::<BY_OWNER>(owner.me, wait);
            self.post_again(wait);
        }
        if self.ring.head_is_pending() { self.await_message::<BY_OWNER>(wait) } else { refilled }
    }

    /// Fills the run from head on, if it has not that slot. `false`: not here, or it had.
    fn refill_to_get<C: SizedCells>(&self, owner: &SideOwner) -> bool {
        if !self.has_spsc_path::<C>() {
            return false;
        }
        let Some(slots) = self.ring.refill_to_get(&owner.run) else { return false };
        self.fetch_ahead(slots);
        true
    }

    /// [`lease`](RawQueue::lease) for the side's endpoint.
    #[inline(always)]
    pub(crate) fn lease_owned<T: Message>(&self, owner: &SideOwner, wait: Wait) -> Result<LeasedRecord, GetError> {
        self.lease_owned_in::<MappedAs<T>>(owner, wait)
    }

    /// The same in such cells.
    #[inline(always)]
    pub(super) fn lease_owned_in<C: SizedCells>(&self, owner: &SideOwner, wait: Wait) -> Result<LeasedRecord, GetError> {
        // What the dead held comes first: the slow call probes for it.
        if self.is_poisoned() || self.is_probe_due() {
            return self.lease_slow::<BY_OWNER>(self.check(owner)?, wait);
        }
        let Some(record) = self.enter_or_wait::<C>(owner, wait) else {
            return self.lease_slow::<BY_OWNER>(self.check(owner)?, wait);
        };
        let ring = self.ring_of::<C>();
        let (cell, header) = ring.lease_in_run(record, RawQueue::owner_word(owner.me));
        Ok(LeasedRecord { cell, header, payload: ring.memory.payload(cell), length: C::message_bytes(&ring.geometry) })
    }
}
