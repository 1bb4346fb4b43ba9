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
//!    or (b) by an owner of a side that found it CLAIMED by a dead process, before it aborts it: a
//!    position is used again only by an owner of both sides; or (c) if the position is before head
//!    and its record is DONE: such a position is never used again.
//! 2. A [`LeasedRecord`] lacks the mark that its header has. So the release of an ordinary message
//!    need not test for it: that of a spilled one fails at first, and comes here.
//! 3. The payload of a [`ClaimedRecord`] with the mark, and of a [`LeasedRecord`] that leads out of
//!    the ring, is the object of a [`SpillMapping`], which is unmapped where the record ends.
//! 4. The count of bytes may be too high, never too low: it is raised after the claim, under the put
//!    side, and lowered before the file is removed, and a dead process's share stays in it. A put
//!    that finds it too high counts anew, claims and files together, and replaces it unless it
//!    changed meanwhile.

use super::recover::RECOVER_LOCK_NS;
use super::stats::Verb;
use super::ticket::Ticket;
use super::{ClaimedRecord, LeasedRecord, RawQueue, Wait, add};
use crate::error::{GetError, PutError};
use crate::os::Deadline;
use crate::ring::{Header, Memory, Record, State};
use crate::shm::geometry::CellIndex;
use crate::shm::participant::Id;
use crate::shm::segment::{SpillError, SpillMapping, file_bytes, object_bytes};
use crate::wait::Step;
use std::io;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::fence;

/// What the record of a spilled message holds.
///
/// ```text
///   version 8 | bytes of the object 8 | check 8
/// ```
pub(crate) const DESCRIPTOR_BYTES: usize = 24;
const VERSION: u64 = 1;
/// How often the bytes of files are counted anew while others change their number.
const COUNT_ATTEMPTS: u32 = 8;

/// Different for each record of each segment, so that bytes which are no descriptor, or that of
/// another record, are found out.
fn check_of(nonce: u64, position: u64, length: u64) -> u64 {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    [VERSION, nonce, position, length].into_iter().fold(0x6a09_e667_f3bc_c908, mix)
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

/// What is left of a spilled message that is done: dropped with no side held.
#[must_use]
pub(super) struct Finished<'a> {
    raw: &'a RawQueue,
    position: u64,
    mapping: Option<SpillMapping>,
}

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        drop(self.mapping.take());
        self.raw.remove_spilled(self.position);
        self.raw.notify_not_full(u32::MAX);
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
        self.segment().remove_spilled(position, |bytes| self.free_spilled_bytes(bytes));
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

    /// Aborts the claim of a dead owner. Needs a side, which pins the record.
    pub(super) fn abort_of_the_dead(&self, cell: CellIndex, header: Header) -> bool {
        if header.is_spilled() {
            self.discard()(self.ring.position_of(cell), header);
        }
        self.ring.abort_claimed(cell, header)
    }

    // Putting.

    /// Claims room for a message of `length` bytes, which the ring cannot hold, in a file of its
    /// own.
    #[cold]
    pub(crate) fn claim_spilled<const OWNED: bool>(
        &self,
        endpoint: Option<Id>,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        let mut ticket = Ticket::default();
        let me = match endpoint {
            Some(me) => me,
            None => self.me_in_both_roles()?,
        };
        let claimed = self.claim_spilled_by::<OWNED>(me, length, wait, &mut ticket);
        ticket.end(self);
        claimed
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
                    self.head().spilled.bytes.fetch_add(bytes, AcqRel);
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
        // Before the abort: after it, the position may be another record's (Invariant 1).
        self.remove_spilled(self.ring.position_of(record.cell));
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

    // The bound in bytes.

    /// Would a file of so many bytes be within the bound?
    pub(super) fn has_spill_room(&self, bytes: u64) -> bool {
        self.head().spilled.bytes.load(Acquire).saturating_add(bytes) <= self.segment().max_spilled_bytes()
    }

    fn free_spilled_bytes(&self, bytes: u64) {
        let left = |now: u64| Some(now.saturating_sub(bytes));
        let _ = self.head().spilled.bytes.fetch_update(AcqRel, Acquire, left);
    }

    /// Waits while the files have too many bytes for another of `bytes`, as a put waits for room in
    /// the ring.
    fn await_spill_room(&self, me: Id, bytes: u64, wait: Wait) -> Result<(), PutError> {
        if self.has_spill_room(bytes) {
            return Ok(());
        }
        let mut waiter = self.waiter(wait, Verb::Put);
        let mut counts = true;
        loop {
            if self.is_poisoned() {
                return Err(PutError::Poisoned);
            }
            if self.is_closed() {
                return Err(PutError::Closed);
            }
            if self.has_spill_room(bytes) || (counts && self.count_spilled() && self.has_spill_room(bytes)) {
                return Ok(());
            }
            match waiter.next(&mut || self.is_closed() || self.has_spill_room(bytes)) {
                Step::Interrupted => return Err(PutError::Interrupted),
                Step::GiveUp if wait.is_try() => {
                    if wait == Wait::Never {
                        self.count_refusal();
                    }
                    return Err(PutError::Full);
                }
                Step::GiveUp => {
                    self.count_timeout(Verb::Put);
                    return Err(PutError::Timeout);
                }
                step => counts = step == Step::Probe,
            }
            if counts && self.has_dead(me) {
                // Their loans have files too.
                self.recover_until(Deadline::in_ns(RECOVER_LOCK_NS));
            }
        }
    }

    /// Counts the bytes of all files anew: a process may have died between its file and the count.
    /// `false`: others kept changing it.
    pub(super) fn count_spilled(&self) -> bool {
        let counted = &self.head().spilled.bytes;
        if !self.spills() {
            return true;
        }
        for _ in 0..COUNT_ATTEMPTS {
            let before = counted.load(Acquire);
            let left = self.sweep_spilled();
            let now = left.iter().map(|(_, bytes)| bytes).sum::<u64>() + self.claimed_without_file(&left);
            if counted.compare_exchange(before, now, AcqRel, Acquire).is_ok() {
                if now < before {
                    self.notify_not_full(u32::MAX);
                }
                return true;
            }
        }
        false
    }

    /// Bytes of the files that are about to be made. Needs nothing: a change meanwhile shows in the
    /// count.
    fn claimed_without_file(&self, files: &[(u64, u64)]) -> u64 {
        let mut bytes = 0;
        let _ = self.ring.walk_all(|position, cell, header| {
            let is_claim = header.state() == Some(State::Claimed) && header.is_spilled();
            if is_claim && header.length() as usize == DESCRIPTOR_BYTES && !files.iter().any(|&(its, _)| its == position) {
                bytes += self.descriptor_of(cell, position).map_or(0, file_bytes);
            }
            true
        });
        bytes
    }

    /// Removes the files of finished messages, and returns position and bytes of the others. Needs
    /// nothing.
    fn sweep_spilled(&self) -> Vec<(u64, u64)> {
        // In this order: the names, head, the record's header, reclaim. A position that is before
        // head now is not used again.
        let objects = self.segment().spilled_objects();
        let head = self.head().get.head.load(Acquire);
        let is_left = |&(position, _): &(u64, u64)| {
            let finished = position < head && self.is_finished(position);
            // Not of another user, in a sticky directory.
            !(finished && self.segment().remove_spilled(position, |_| ()).is_some())
        };
        objects.into_iter().filter(is_left).collect()
    }

    /// Is the record at that position, which is before head, finished?
    fn is_finished(&self, position: u64) -> bool {
        let Some(cell) = self.geometry().cell(position) else { return false };
        let header = self.ring.load_header(cell);
        // As in ring's `walk`: the header is loaded before reclaim.
        fence(Acquire);
        self.head().put.reclaim.load(Relaxed) > position || header.state() == Some(State::Done)
    }

    // Getting.

    /// Bytes of the object that a record leads to; 0 if it holds garbage. Needs the get side.
    pub(super) fn spilled_length(&self, record: &Record) -> usize {
        if record.length() != DESCRIPTOR_BYTES {
            return 0;
        }
        self.descriptor_of(record.cell, self.ring.position_of(record.cell)).map_or(0, |length| length as usize)
    }

    /// Bytes of the object that a record of [`DESCRIPTOR_BYTES`] at that position leads to.
    fn descriptor_of(&self, cell: CellIndex, position: u64) -> Option<u64> {
        let words = self.ring.memory.payload(cell).cast::<[u64; 3]>();
        // SAFETY: the ring found a record of so many bytes there, inside the mapping. What another
        // process writes meanwhile does not match the check.
        let [version, length, check] = unsafe { words.read_unaligned() };
        let is_it = version == VERSION && check == check_of(self.segment().nonce(), position, length);
        (is_it && length <= self.largest_message() as u64).then_some(length)
    }

    /// The header of a record that this process has leased, if its message lies in a file of its
    /// own.
    fn spilled_header(&self, record: &LeasedRecord) -> Option<Header> {
        let header = Header::from_bits(self.ring.memory.header(record.cell).load(Acquire));
        (header == record.header.spilled()).then_some(header)
    }

    /// Does the payload lie in a file that is mapped?
    fn is_mapped(&self, record: &LeasedRecord) -> bool {
        record.payload != self.ring.memory.payload(record.cell)
    }

    /// Maps the file of a message that was just leased, if it has one. If that fails the message is
    /// given back, or finished if it is lost.
    #[inline]
    pub(super) fn open_if_spilled(&self, record: LeasedRecord) -> Result<LeasedRecord, GetError> {
        match self.spills() && self.spilled_header(&record).is_some() {
            true => self.open_spilled(record),
            false => Ok(record),
        }
    }

    #[cold]
    fn open_spilled(&self, record: LeasedRecord) -> Result<LeasedRecord, GetError> {
        match self.map_spilled(&record) {
            Ok((mapping, length)) => Ok(LeasedRecord { payload: mapping.into_object(), length, ..record }),
            Err(SpillError::Lost { source }) => {
                self.release(record)?;
                Err(GetError::Os { call: "open the file of an object that is larger than the ring (the object is lost)", source })
            }
            Err(SpillError::Os { call, source }) => {
                self.give_back_uncounted(record)?;
                Err(GetError::Os { call, source })
            }
            Err(SpillError::NoSpace { .. }) => {
                self.give_back_uncounted(record)?;
                Err(GetError::Os { call: "mmap", source: io::Error::from_raw_os_error(libc::ENOSPC) })
            }
        }
    }

    fn map_spilled(&self, record: &LeasedRecord) -> Result<(SpillMapping, usize), SpillError> {
        let garbage = || SpillError::Lost { source: io::Error::new(io::ErrorKind::InvalidData, "the record leads to no file") };
        if record.header.length() as usize != DESCRIPTOR_BYTES {
            return Err(garbage());
        }
        let position = self.ring.position_of(record.cell);
        let length = self.descriptor_of(record.cell, position).ok_or_else(garbage)?;
        let mapping = self.segment().open_spilled(position, length)?;
        Ok((mapping, length as usize))
    }

    /// A copy of the message of a record that is leased, wherever it lies.
    pub(super) fn copy_of_leased(&self, record: &LeasedRecord) -> io::Result<Vec<u8>> {
        if self.is_mapped(record) || self.spilled_header(record).is_none() {
            // SAFETY: raw, Invariant 4: the record is on lease to this process, and its payload has
            // that length. Bytes have no alignment.
            return Ok(unsafe { crate::message::copy::vec_from_bytes(record.payload, record.length) });
        }
        let (mapping, length) = self.map_spilled(record).map_err(|error| match error {
            SpillError::Os { source, .. } | SpillError::Lost { source } => source,
            SpillError::NoSpace { .. } => io::Error::from_raw_os_error(libc::ENOSPC),
        })?;
        // SAFETY: the mapping has that many bytes of the object.
        Ok(unsafe { crate::message::copy::vec_from_bytes(mapping.object(), length) })
    }

    /// The mapping of a record that ends.
    fn mapping_of(&self, record: &LeasedRecord) -> Option<SpillMapping> {
        // SAFETY: Invariant 3; the caller ends the record.
        self.is_mapped(record).then(|| unsafe { SpillMapping::of_object(record.payload) })
    }

    /// Finishes the lease of a message whose release failed: it is spilled, or another process's by
    /// now (Invariant 2).
    #[cold]
    #[inline(never)]
    pub(super) fn release_spilled(&self, record: LeasedRecord) -> Result<(), GetError> {
        let (released, finished) = self.finish_spilled(record);
        drop(finished);
        self.notify_all_done();
        released
    }

    fn finish_spilled(&self, record: LeasedRecord) -> (Result<(), GetError>, Option<Finished<'_>>) {
        let Some(header) = self.spilled_header(&record) else { return (Err(self.poison().into()), None) };
        let position = self.ring.position_of(record.cell);
        let mapping = self.mapping_of(&record);
        if self.ring.release(record.cell, header) {
            (Ok(()), Some(Finished { raw: self, position, mapping }))
        } else {
            (Err(self.poison().into()), None)
        }
    }

    /// Finishes the lease of a message whose pin failed: a spilled one, whose mapping is kept
    /// although its file goes, or another process's by now (Invariant 2). Returns the object.
    #[cold]
    #[inline(never)]
    pub(super) fn keep_spilled(&self, record: LeasedRecord) -> Result<*mut u8, GetError> {
        if !self.is_mapped(&record) {
            return Err(self.poison().into());
        }
        let (released, finished) = self.finish_spilled(record);
        self.notify_all_done();
        match finished {
            Some(mut finished) => {
                let mapping = finished.mapping.take();
                released.map(|()| mapping.map_or(record.payload, SpillMapping::into_object))
            }
            // Its record is another process's; the mapping is still this one's.
            None => released.map(|()| record.payload),
        }
    }

    /// Unmaps what [`keep_spilled`](RawQueue::keep_spilled) kept.
    pub(super) fn unmap_spilled(object: *mut u8) {
        // SAFETY: Invariant 3; a view ends once.
        drop(unsafe { SpillMapping::of_object(object) });
    }

    /// As [`release`](RawQueue::release), for a caller that holds a side: what is left is dropped
    /// when it has left.
    pub(super) fn release_deferred(&self, record: LeasedRecord) -> (Result<(), GetError>, Option<Finished<'_>>) {
        if !self.is_mapped(&record) {
            return (self.release(record), None);
        }
        let ended = self.finish_spilled(record);
        self.notify_not_full(u32::MAX);
        self.notify_all_done();
        ended
    }

    /// Gives back a message that is spilled, `counted`: its delivery counts. `false`: it is another
    /// process's by now.
    #[cold]
    #[inline(never)]
    pub(super) fn give_back_spilled(&self, record: LeasedRecord, counted: bool) -> bool {
        let Some(header) = self.spilled_header(&record) else { return false };
        drop(self.mapping_of(&record));
        match counted {
            true => self.ring.give_back(record.cell, header),
            false => self.ring.give_back_uncounted(record.cell, header),
        }
    }
}
