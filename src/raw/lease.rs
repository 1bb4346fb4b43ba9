//! Leasing: records that are read in place, and how a lease ends.
//!
//! ```text
//!   READY --lease--> LEASED --release--> DONE
//!                      |  \--give_back, or its holder dies--> RETURNED
//!                      |         RETURNED --lease--> LEASED, deliveries + 1
//!                      \--give_back_uncounted--> RETURNED, deliveries - 1
//! ```

use super::{Mapped, RawQueue, Wait, add};
use crate::attachment::Attached;
use crate::error::GetError;
use crate::message::Message;
use crate::raw::BY_LOCK;
use crate::raw::spilled::may_be_spilled;
use crate::ring::{Header, Record, Ring};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::geometry::CellIndex;
use crate::shm::participant::Id;

/// A record that this process reads in place. The copy of its header never has the mark of a spilled
/// message: see `spilled`, Invariant 2.
#[derive(Clone, Copy, Debug)]
pub struct LeasedRecord {
    pub(super) cell: CellIndex,
    pub(super) header: Header,
    pub(crate) payload: *mut u8,
    pub(crate) length: usize,
}

/// Needs the get side. For a message that was not delivered before.
#[inline(always)]
fn lease_record<const SIZED: bool>(ring: &Ring<Mapped>, record: Record, me: Id) -> LeasedRecord {
    let side = &ring.memory.head().get;
    // Before the record: `len` walks the ring as soon as there may be a lease.
    add(&side.leases, 1);
    if !SIZED {
        add(&side.bytes_got, record.length() as u64);
    }
    let length = record.length();
    let (cell, header) = ring.lease(record, RawQueue::owner_word(me));
    LeasedRecord { cell, header, payload: ring.memory.payload(cell), length }
}

impl LeasedRecord {
    /// Number of this delivery of the message, from 1.
    pub(crate) fn deliveries(&self) -> u32 {
        self.header.deliveries()
    }
}

impl RawQueue {
    /// Leases one message to be read in place.
    #[inline(always)]
    pub(crate) fn lease<const OWNED: bool, const SIZED: bool>(&self, me: Id, wait: Wait) -> Result<LeasedRecord, GetError> {
        // Records of dead owners come first: the slow path searches for them.
        if !self.is_probe_due() {
            if let Some(leased) = self.lease_at_once::<OWNED, SIZED>(me) {
                return Ok(leased);
            }
            if self.await_message::<OWNED>(wait) {
                if let Some(leased) = self.lease_at_once::<OWNED, SIZED>(me) {
                    return Ok(leased);
                }
            }
        }
        self.lease_slow::<OWNED>(me, wait)
    }

    /// The fast path. Returns `None` if nothing was leased; the slow path finds out why.
    #[inline(always)]
    fn lease_at_once<const OWNED: bool, const SIZED: bool>(&self, me: Id) -> Option<LeasedRecord> {
        // A private copy: as in `get`, constants stay in registers.
        let ring = self.ring;
        if self.is_poisoned() || !self.try_enter_get::<OWNED>(&ring, me) {
            return None;
        }
        let Some(record) = ring.ready_at_head::<SIZED>() else {
            let _ = self.exit_get_of::<OWNED>(&ring, me);
            return None;
        };
        let leased = lease_record::<SIZED>(&ring, record, me);
        self.exit_get_of::<OWNED>(&ring, me).ok()?;
        Some(leased)
    }

    /// [`lease`](RawQueue::lease) for a caller that does not know the message type.
    pub(crate) fn lease_whatever(&self, wait: Wait) -> Result<LeasedRecord, GetError> {
        self.lease_slow::<BY_LOCK>(self.me()?, wait)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn lease_slow<const OWNED: bool>(&self, me: Id, wait: Wait) -> Result<LeasedRecord, GetError> {
        let leased = self.with_record::<OWNED, _>(me, wait, &mut |record| self.lease_any(record, me))?;
        self.open_if_spilled(leased)
    }

    /// For slow paths. Needs the get side.
    pub(super) fn lease_any(&self, record: Record, me: Id) -> LeasedRecord {
        self.count_redelivery(&record);
        if self.geometry().sized {
            lease_record::<SIZED_RING>(&self.ring, record, me)
        } else if record.header.is_spilled() {
            // Counted as long as the object is.
            let object_bytes = self.spilled_length(&record).saturating_sub(record.length());
            add(&self.head().get.bytes_got, object_bytes as u64);
            let leased = lease_record::<SLICE_RING>(&self.ring, record, me);
            LeasedRecord { header: leased.header.unspilled(), ..leased }
        } else {
            lease_record::<SLICE_RING>(&self.ring, record, me)
        }
    }

    /// Finishes a lease: the message is done, its space can be reclaimed.
    #[inline(always)]
    pub(crate) fn release(&self, record: LeasedRecord) -> Result<(), GetError> {
        self.release_as::<[u8]>(record)
    }

    /// The same of a message of that type.
    #[inline(always)]
    pub(crate) fn release_as<T: ?Sized + Message>(&self, record: LeasedRecord) -> Result<(), GetError> {
        let LeasedRecord { cell, header, payload, .. } = record;
        let released = self.ring.release(cell, header) || (may_be_spilled::<T>() && self.release_spilled(cell, header, payload));
        // The oldest of several leases frees the space of all that were released before it.
        self.notify_not_full(u32::MAX);
        self.notify_all_done();
        if released { Ok(()) } else { Err(self.poison().into()) }
    }

    /// Ends a lease without finishing its message.
    pub(crate) fn give_back(&self, record: LeasedRecord) -> Result<(), GetError> {
        let given = self.ring.give_back(record.cell, record.header) || self.give_back_spilled(record, true);
        self.notify_not_empty(1);
        if given { Ok(()) } else { Err(self.poison().into()) }
    }

    /// Ends it in the same way if no caller has seen the message: this delivery does not count.
    pub(crate) fn give_back_uncounted(&self, record: LeasedRecord) -> Result<(), GetError> {
        let given = self.ring.give_back_uncounted(record.cell, record.header) || self.give_back_spilled(record, false);
        self.notify_not_empty(1);
        if given { Ok(()) } else { Err(self.poison().into()) }
    }
}
