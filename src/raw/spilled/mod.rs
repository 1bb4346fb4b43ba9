//! Messages that are larger than the ring: each in a file of its own, which a small record leads
//! to. `src/spill/mod.rs` has the protocol.
//!
//! ```text
//!   claim -> make the file -> fill -> commit            drop, death: remove the file -> abort
//!   lease -> map the file -> read -> release -> remove the file
//! ```
//!
//! Invariants:
//! 1. The file of a position is removed only (a) by the process that has claimed the record there,
//!    or (b) by an owner of a side that found it CLAIMED by a process, saw that dead, and found it
//!    CLAIMED by it once more (it may have committed and left in between), before it aborts it: a
//!    position is used again only by an owner of both sides; or (c) if the position is before head
//!    and its record is DONE: such a position is never used again.
//! 2. A [`LeasedRecord`] lacks the mark that its header has. So the release of an ordinary message
//!    need not test for it: that of a spilled one fails at first, and comes here.
//! 3. The payload of a [`ClaimedRecord`] with the mark, and of a [`LeasedRecord`] that leads out of
//!    the ring, is the object of a [`SpillMapping`], which is unmapped where the record ends.
//! 4. The count of bytes may be too high, never too low: it is raised after the claim, under the put
//!    side, and lowered before the file is removed, and a dead process's share stays in it. A put
//!    that finds it too high counts anew, claims and files together, and replaces it unless it
//!    changed meanwhile. (So each change of it has a number.)

mod leases;
mod room;

pub(super) use room::counted_bytes;

use super::ticket::{HeldTicket, Ticket};
use super::{ClaimedRecord, Mapped, RawQueue, Wait, add};
use crate::error::PutError;
use crate::message::{Message, Travel};
use crate::ring::Header;
use crate::shm::geometry::CellIndex;
use crate::shm::participant::Id;
use crate::shm::segment::{SpillError, SpillMapping, file_bytes, object_bytes};
use std::cell::Cell;
use std::sync::atomic::Ordering::Relaxed;

/// May a message of that type be spilled? Only bytes are.
#[inline(always)]
pub(crate) const fn may_be_spilled<T: ?Sized + Message>() -> bool {
    !T::IS_SIZED && T::LAYOUT.bytes == 1
}

/// What the record of a spilled message holds.
///
/// ```text
///   version 8 | bytes of the object 8 | check 8
/// ```
pub(crate) const DESCRIPTOR_BYTES: usize = 24;
const VERSION: u64 = 1;
/// Different for each record of each segment, so that bytes which are no descriptor, or that of
/// another record, are found out.
fn check_of(nonce: u64, position: u64, length: u64) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    [VERSION, nonce, position, length].into_iter().fold(0x6a09_e667_f3bc_c908, mix)
}

/// Bytes of the object that the record at that position leads to. The caller has seen that a record of
/// [`DESCRIPTOR_BYTES`] lies there, inside the mapping.
pub(crate) fn descriptor_of(memory: &Mapped, cell: CellIndex, nonce: u64, position: u64) -> Option<u64> {
    let words = memory.payload(cell).cast::<[u64; 3]>();
    // SAFETY: as the caller says. What another process writes meanwhile does not match the check.
    let [version, length, check] = unsafe { words.read_unaligned() };
    (version == VERSION && check == check_of(nonce, position, length)).then_some(length)
}

impl From<SpillError> for PutError {
    fn from(error: SpillError) -> PutError {
        match error {
            SpillError::NoSpace { needed_bytes, free_bytes } => PutError::NoSpace { needed_bytes, free_bytes },
            SpillError::Os { call, source } => PutError::Os { call, source },
            SpillError::Lost { source } => PutError::Os { call: "open the file of an object", source },
        }
    }
}

impl RawQueue {
    /// May messages be larger than the ring?
    pub(crate) fn spills(&self) -> bool {
        self.segment().max_spilled_bytes() != 0 && self.geometry().max_message_bytes() >= DESCRIPTOR_BYTES as u64
    }

    /// The largest message, in bytes.
    pub(crate) fn largest_message(&self) -> usize {
        let in_ring = self.geometry().max_message_bytes() as usize;
        let in_file = object_bytes(self.segment().max_spilled_bytes()).min(isize::MAX as u64);
        if self.spills() { in_ring.max(in_file as usize) } else { in_ring }
    }

    /// Removes the file of a position, and no longer counts its bytes (Invariants 1 and 4). For a
    /// record that ends regularly.
    fn remove_spilled(&self, position: u64) {
        let freed = Cell::new(0);
        let removed = self.segment().remove_spilled(position, |bytes| {
            self.free_spilled_bytes(bytes);
            freed.set(bytes);
        });
        if removed.is_none() && freed.get() != 0 {
            // A sweep has removed it meanwhile, and may have counted anew without it.
            self.count_bytes(|counted| counted.saturating_add(freed.get()));
        }
    }

    /// For the ring, which aborts a dead owner's claim next, or has given up a message: removes its
    /// file. Needs a side.
    pub(super) fn discard(&self) -> impl Fn(u64, Header) {
        |position, header: Header| {
            if header.is_spilled() {
                self.segment().remove_spilled(position, |_| ());
            }
        }
    }

    /// Aborts the claim of an owner that was seen dead after the header was loaded. Needs a side,
    /// which pins the record.
    pub(super) fn abort_of_the_dead(&self, cell: CellIndex, header: Header) -> bool {
        self.ring.abort_of_the_dead(self.ring.position_of(cell), cell, header, self.discard())
    }

    /// Claims room for a message of `length` bytes in a slice ring, or in a file of its own.
    #[inline(always)]
    pub(crate) fn claim_slice<const OWNED: bool>(
        &self,
        endpoint: Option<Id>,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        let fits = length as u64 <= self.geometry().max_message_bytes();
        // One way out for all that is slow: two would keep the claim in memory.
        match if fits { self.claim_slice_at_once::<OWNED>(endpoint, length) } else { None } {
            Some(claimed) => Ok(claimed),
            None => self.claim_slice_slow::<OWNED>(endpoint, length, wait),
        }
    }

    #[cold]
    #[inline(never)]
    fn claim_slice_slow<const OWNED: bool>(
        &self,
        endpoint: Option<Id>,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        match length as u64 > self.geometry().max_message_bytes() {
            true => self.claim_spilled::<OWNED>(endpoint, length, wait),
            false => self.claim_slow::<OWNED>(endpoint, length, wait),
        }
    }

    /// Claims room for a message of `length` bytes, which the ring cannot hold, in a file of its
    /// own.
    #[cold]
    #[inline(never)]
    pub(crate) fn claim_spilled<const OWNED: bool>(
        &self,
        endpoint: Option<Id>,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        let me = match endpoint {
            Some(me) => me,
            None => self.me_in_both_roles()?,
        };
        // Given back also if the check of a stop panics.
        let mut held = HeldTicket { raw: self, ticket: Ticket::default() };
        self.claim_spilled_by::<OWNED>(me, length, wait, &mut held.ticket)
    }

    /// The same, for a caller that keeps its place in line between several tries.
    pub(crate) fn claim_spilled_by<const OWNED: bool>(
        &self,
        me: Id,
        length: usize,
        wait: Wait,
        ticket: &mut Ticket,
    ) -> Result<ClaimedRecord, PutError> {
        let bytes = file_bytes(length as u64);
        if length > self.largest_message() {
            return Err(PutError::TooLarge { len: length, max: self.largest_message() });
        }
        if !self.is_anchored.load(Relaxed) {
            let refused = |source| PutError::Os { call: "link the file of a segment whose objects need files", source };
            self.segment().ensure_anchor().map_err(refused)?;
            self.is_anchored.store(true, Relaxed);
        }
        let (cell, header) = loop {
            self.await_spill_room(me, bytes, wait)?;
            // Counted when the record is claimed, and not before: while a put waits for room in the
            // ring, only what has a record or a file counts (see `count_spilled`).
            let claimed = self.with_slot_by::<OWNED, _>(me, DESCRIPTOR_BYTES as u32, wait, ticket, &mut |slot| {
                self.has_spill_room(bytes).then(|| {
                    let side = &self.head().put;
                    add(&side.loans, 1);
                    add(&side.bytes_put, length as u64);
                    self.write_descriptor(slot.cell, self.ring.position_of(slot.cell), length as u64);
                    let claimed = self.ring.claim_spilled(slot, RawQueue::owner_word(me));
                    // Not before the claim (Invariant 4).
                    self.count_bytes(|counted| counted.saturating_add(bytes));
                    claimed
                })
            })?;
            if let Some(claimed) = claimed {
                break claimed;
            }
        };
        match self.segment().create_spilled(self.ring.position_of(cell), length as u64) {
            Ok(mapping) => Ok(ClaimedRecord { cell, header, payload: mapping.into_object() }),
            Err(error) => {
                // There is no file.
                self.free_spilled_bytes(bytes);
                self.end_spilled(cell, header);
                Err(error.into())
            }
        }
    }

    /// Writes what leads to an object of that length. The record at `cell` is this process's, or
    /// about to be.
    fn write_descriptor(&self, cell: CellIndex, position: u64, length: u64) {
        let words = [VERSION, length, check_of(self.segment().nonce(), position, length)];
        // SAFETY: the record has room for a descriptor, and is this process's until it is committed
        // (raw, Invariant 4).
        unsafe { self.ring.memory.payload(cell).cast::<[u64; 3]>().write_unaligned(words) };
    }

    /// Puts a message by copy that the ring cannot hold.
    #[cold]
    pub(super) fn put_spilled<const OWNED: bool>(
        &self,
        me: Id,
        length: usize,
        wait: Wait,
        write: &dyn Fn(*mut u8),
    ) -> Result<(), PutError> {
        let claimed = self.claim_spilled::<OWNED>(Some(me), length, wait)?;
        write(claimed.payload);
        self.commit_spilled(claimed, length)
    }

    /// Commits it, shortened to `length` bytes.
    #[cold]
    pub(crate) fn commit_spilled(&self, record: ClaimedRecord, length: usize) -> Result<(), PutError> {
        // SAFETY: Invariant 3; the record ends here.
        let mapping = unsafe { SpillMapping::of_object(record.payload) };
        debug_assert!(length <= mapping.room(), "a loan only shrinks");
        if length != mapping.room() {
            self.write_descriptor(record.cell, self.ring.position_of(record.cell), length as u64);
        }
        drop(mapping);
        let committed = self.ring.commit_spilled(record.cell, record.header);
        self.head().spilled.objects.fetch_add(1, Relaxed);
        self.notify_not_empty(u32::MAX);
        if committed { Ok(()) } else { Err(self.poison().into()) }
    }

    /// Aborts it: getters skip it.
    #[cold]
    pub(crate) fn abort_spilled(&self, record: ClaimedRecord) {
        // SAFETY: Invariant 3; the record ends here.
        drop(unsafe { SpillMapping::of_object(record.payload) });
        // Before the abort: after it, the position may be another record's (Invariant 1). It is already
        // if this process was taken for dead, as one is that has closed its descriptors.
        if self.ring.load_header(record.cell) == record.header {
            self.remove_spilled(self.ring.position_of(record.cell));
        }
        self.end_spilled(record.cell, record.header);
    }

    fn end_spilled(&self, cell: CellIndex, header: Header) {
        if self.ring.abort_claimed(cell, header) {
            self.rare().aborted.fetch_add(1, Relaxed);
        } else {
            self.poison();
        }
        self.notify_not_empty(u32::MAX);
        self.notify_not_full(u32::MAX);
    }

    /// Would a message of that length probably find room, in the ring or in a file of its own?
    #[cfg(feature = "async")]
    pub(super) fn sees_room_for(&self, length: usize) -> bool {
        match length as u64 <= self.geometry().max_message_bytes() {
            true => self.sees_room(length as u32),
            false => self.sees_room(DESCRIPTOR_BYTES as u32) && self.has_spill_room(file_bytes(length as u64)),
        }
    }
}
