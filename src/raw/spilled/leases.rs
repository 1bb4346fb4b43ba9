//! Reading spilled messages: the file of a leased one, and what ends it (`super`, Invariants 1 to 3).

use super::{DESCRIPTOR_BYTES, descriptor_of};
use crate::error::GetError;
use crate::message::copy::vec_from_bytes;
use crate::raw::{LeasedRecord, RawQueue};
use crate::ring::{Header, Memory, Record};
use crate::shm::geometry::CellIndex;
use crate::shm::segment::{SpillError, SpillMapping};
use std::io;
use std::sync::atomic::Ordering::Acquire;

/// What is left of a spilled message that is done: dropped with no side held.
#[must_use]
pub(in crate::raw) struct Finished<'a> {
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
    /// Bytes of the object that a record leads to; 0 if it holds garbage. Needs the get side.
    pub(in crate::raw) fn spilled_length(&self, record: &Record) -> usize {
        if record.length() != DESCRIPTOR_BYTES {
            return 0;
        }
        self.descriptor_of(record.cell, self.ring.position_of(record.cell)).map_or(0, |length| length as usize)
    }

    /// As [`descriptor_of`], within what this queue can hold.
    pub(super) fn descriptor_of(&self, cell: CellIndex, position: u64) -> Option<u64> {
        let length = descriptor_of(&self.ring.memory, cell, self.segment().nonce(), position);
        length.filter(|&length| length <= self.largest_message() as u64)
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
    pub(in crate::raw) fn open_if_spilled(&self, record: LeasedRecord) -> Result<LeasedRecord, GetError> {
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
    pub(in crate::raw) fn copy_of_leased(&self, record: &LeasedRecord) -> Result<Vec<u8>, SpillError> {
        if self.is_mapped(record) || self.spilled_header(record).is_none() {
            // SAFETY: raw, Invariant 4: the record is on lease to this process, and its payload has
            // that length. Bytes have no alignment.
            return Ok(unsafe { vec_from_bytes(record.payload, record.length) });
        }
        let (mapping, length) = self.map_spilled(record)?;
        // SAFETY: the mapping has that many bytes of the object.
        Ok(unsafe { vec_from_bytes(mapping.object(), length) })
    }

    /// The mapping of a record that ends.
    fn mapping_of(&self, record: &LeasedRecord) -> Option<SpillMapping> {
        // SAFETY: Invariant 3; the caller ends the record.
        self.is_mapped(record).then(|| unsafe { SpillMapping::of_object(record.payload) })
    }

    /// Finishes the lease of a message whose release failed: it is spilled. `false`: it is another
    /// process's by now (Invariant 2). It takes the parts of the record: passed whole, the record
    /// would have an address, and be in memory on the fast path too (measured: 12 to 19
    /// instructions).
    #[cold]
    #[inline(never)]
    pub(in crate::raw) fn release_spilled(&self, cell: CellIndex, header: Header, payload: *mut u8) -> bool {
        // Its length does not matter any more.
        let record = LeasedRecord { cell, header, payload, length: 0 };
        let (released, finished) = self.finish_spilled(record);
        drop(finished);
        released.is_ok()
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
    pub(in crate::raw) fn keep_spilled(&self, record: LeasedRecord) -> Result<*mut u8, GetError> {
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
    pub(in crate::raw) fn unmap_spilled(object: *mut u8) {
        // SAFETY: Invariant 3; a view ends once.
        drop(unsafe { SpillMapping::of_object(object) });
    }

    /// As [`release`](RawQueue::release), for a caller that holds a side: what is left is dropped
    /// when it has left.
    pub(in crate::raw) fn release_deferred(&self, record: LeasedRecord) -> (Result<(), GetError>, Option<Finished<'_>>) {
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
    pub(in crate::raw) fn give_back_spilled(&self, record: LeasedRecord, counted: bool) -> bool {
        let Some(header) = self.spilled_header(&record) else { return false };
        drop(self.mapping_of(&record));
        match counted {
            true => self.ring.give_back(record.cell, header),
            false => self.ring.give_back_uncounted(record.cell, header),
        }
    }
}
