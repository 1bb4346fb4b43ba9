//! Loans: records that are claimed, written in place, and committed or aborted.
//!
//! ```text
//!   FREE --claim--> CLAIMED --commit--> READY
//!                      \--abort, or its owner dies--> DONE: getters skip it
//! ```

use super::delivery::{Delivery, ToOne};
#[cfg(feature = "async")]
use super::ticket::Ticket;
use super::{Mapped, RawQueue, Wait, add};
use crate::error::PutError;
use crate::ring::{Header, Ring, Slot};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::geometry::CellIndex;
use crate::shm::participant::Id;
use std::sync::atomic::Ordering::Relaxed;

/// A record that this process writes in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimedRecord {
    pub(super) cell: CellIndex,
    pub(super) header: Header,
    pub payload: *mut u8,
}

impl ClaimedRecord {
    pub(crate) fn cell(&self) -> CellIndex {
        self.cell
    }

    /// Its parts: a record that is passed whole has an address, and is in memory wherever it is used.
    #[inline(always)]
    pub(crate) fn parts(self) -> (CellIndex, Header, *mut u8) {
        (self.cell, self.header, self.payload)
    }

    pub(crate) fn of_parts(cell: CellIndex, header: Header, payload: *mut u8) -> ClaimedRecord {
        ClaimedRecord { cell, header, payload }
    }

    /// Is it of a message in a file of its own?
    #[inline(always)]
    pub(crate) fn is_spilled(&self) -> bool {
        self.header.is_spilled()
    }
}

/// Needs the put side.
#[inline(always)]
fn claim_slot<const SIZED: bool>(ring: &Ring<Mapped>, slot: Slot, length: usize, me: Id) -> ClaimedRecord {
    let side = &ring.memory.head().put;
    // Before the record: `len` walks the ring as soon as there may be a loan.
    add(&side.loans, 1);
    if !SIZED {
        add(&side.bytes_put, length as u64);
    }
    let (cell, header) = ring.claim(slot, RawQueue::owner_word(me));
    ClaimedRecord { cell, header, payload: ring.memory.payload(cell) }
}

impl RawQueue {
    /// Claims a record of `length` bytes to be written in place. The caller checks that `length`
    /// fits the ring. `endpoint`: its id, or `None` for a put side entered by lock. (The id of this
    /// process, found by the caller, would cost the fast path 8 - 20 instructions.)
    #[inline(always)]
    pub(crate) fn claim<const OWNED: bool, const SIZED: bool>(
        &self,
        endpoint: Option<Id>,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        self.claim_by::<ToOne, OWNED, SIZED>(endpoint, length, wait)
    }

    /// The same for whichever reads it.
    #[inline(always)]
    pub(crate) fn claim_by<D: Delivery, const OWNED: bool, const SIZED: bool>(
        &self,
        endpoint: Option<Id>,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        match self.claim_at_once::<D, OWNED, SIZED>(endpoint.or_else(|| self.known_me_of_plain()), length) {
            Some(claimed) => Ok(claimed),
            None => self.claim_slow::<OWNED>(endpoint, length, wait),
        }
    }

    /// The fast path of a slice that fits the ring.
    #[inline(always)]
    pub(super) fn claim_slice_at_once<const OWNED: bool>(&self, endpoint: Option<Id>, length: usize) -> Option<ClaimedRecord> {
        self.claim_at_once::<ToOne, OWNED, SLICE_RING>(endpoint.or_else(|| self.known_me_of_plain()), length)
    }

    /// The fast path. Returns `None` if nothing was claimed; the slow path finds out why.
    #[inline(always)]
    fn claim_at_once<D: Delivery, const OWNED: bool, const SIZED: bool>(
        &self,
        me: Option<Id>,
        length: usize,
    ) -> Option<ClaimedRecord> {
        let me = me?;
        // A private copy: as in `put`, constants stay in registers.
        let ring = self.ring;
        if self.is_poisoned() || !self.try_enter_put::<OWNED>(&ring, me) {
            return None;
        }
        D::entered();
        let Some(slot) = ring.reserve_at_once::<SIZED>(length as u32) else {
            let _ = self.exit_put_of::<OWNED>(&ring, me);
            return None;
        };
        let claimed = claim_slot::<SIZED>(&ring, slot, length, me);
        self.exit_put_of::<OWNED>(&ring, me).ok()?;
        Some(claimed)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn claim_slow<const OWNED: bool>(
        &self,
        endpoint: Option<Id>,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        let me = endpoint.map_or_else(|| self.me_in_both_roles(), Ok)?;
        self.with_slot::<OWNED, _>(me, length as u32, wait, &mut |slot| self.claim_any(slot, length, me))
    }

    /// For slow paths. Needs the put side.
    fn claim_any(&self, slot: Slot, length: usize, me: Id) -> ClaimedRecord {
        if self.geometry().sized {
            claim_slot::<SIZED_RING>(&self.ring, slot, length, me)
        } else {
            claim_slot::<SLICE_RING>(&self.ring, slot, length, me)
        }
    }

    /// One try, for a caller that keeps its place in line between several.
    #[cfg(feature = "async")]
    pub(crate) fn claim_at_once_by<const OWNED: bool>(
        &self,
        me: Id,
        length: usize,
        ticket: &mut Ticket,
    ) -> Result<ClaimedRecord, PutError> {
        if length as u64 > self.geometry().max_message_bytes() {
            return self.claim_spilled_by::<OWNED>(me, length, Wait::AtOnce, ticket);
        }
        self.with_slot_by::<OWNED, _>(me, length as u32, Wait::AtOnce, ticket, &mut |slot| self.claim_any(slot, length, me))
    }

    /// Commits a claimed record, shortened to `length` bytes.
    #[inline(always)]
    pub(crate) fn commit_claimed(&self, record: ClaimedRecord, length: usize) -> Result<(), PutError> {
        debug_assert!(length <= record.header.length() as usize, "a loan only shrinks");
        let committed = self.ring.commit_claimed(record.cell, record.header, length as u32);
        // Everything that was put behind it meanwhile can be taken now.
        self.notify_not_empty(u32::MAX);
        if committed { Ok(()) } else { Err(self.poison().into()) }
    }

    /// Aborts a claimed record: getters skip it.
    pub(crate) fn abort_claimed(&self, record: ClaimedRecord) {
        if self.ring.abort_claimed(record.cell, record.header) {
            self.head().rare.aborted.fetch_add(1, Relaxed);
        } else {
            self.poison();
        }
        // Callers that wait behind it may go on; a getter of a closed queue learns that nothing
        // will come.
        self.notify_not_empty(u32::MAX);
        self.notify_not_full(u32::MAX);
    }
}
