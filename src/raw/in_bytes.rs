//! Messages whose layout is known at run time: the verbs by copy of a ring of values or of slices,
//! in bytes. What they do is what the typed verbs do, through the same calls; the length of a
//! message is compared with the ring's geometry first.
//!
//! Invariant 1: a message that is put has the length that the ring's geometry asks for: that of a
//! value, or whole elements. So a typed peer finds it as long as one of its own.

use super::batch::{Judged, moved_or};
use super::delivery::Delivery;
use super::mapped::{Mapped, MappedAs, SizedCells};
use super::{BY_LOCK, BY_OWNER, ClaimedRecord, LeasedRecord, RawQueue, SMALL_COPY_BYTES, SideOwner, Wait};
#[cfg(feature = "async")]
use super::{Ticket, ToOne};
use crate::error::{GetError, PutError};
use crate::message::Message;
use crate::message::copy::{copy_out, copy_payload};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::participant::Id;

/// A value of 64 bytes.
type CacheLine = [u64; 8];

impl RawQueue {
    /// Bytes of a value, or of an element of a slice.
    #[inline(always)]
    pub(crate) fn unit_bytes(&self) -> usize {
        self.geometry().message_bytes as usize
    }

    /// Is that a length of a message of this ring (Invariant 1)?
    #[inline(always)]
    pub(crate) fn check_length(&self, length: usize) -> Result<(), PutError> {
        let is_fit = if self.geometry().sized { length == self.unit_bytes() } else { self.is_whole(length) };
        if is_fit { Ok(()) } else { Err(self.wrong_length(length)) }
    }

    /// Bytes of every message, if all have the same.
    #[inline(always)]
    pub(crate) fn value_bytes(&self) -> Result<usize, PutError> {
        if self.geometry().sized { Ok(self.unit_bytes()) } else { Err(PutError::NotOfOneSize) }
    }

    #[cold]
    #[inline(never)]
    fn wrong_length(&self, len: usize) -> PutError {
        match self.unit_bytes() {
            expected if self.geometry().sized => PutError::WrongLength { len, expected },
            element => PutError::NotWhole { len, element },
        }
    }

    #[inline(always)]
    pub(crate) fn is_whole(&self, length: usize) -> bool {
        let unit = self.unit_bytes();
        unit <= 1 || length % unit == 0
    }

    /// Puts one message by copy, as `me`.
    #[inline]
    pub(crate) fn put_bytes<D: Delivery, const OWNED: bool>(&self, me: Id, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        self.check_length(bytes.len())?;
        self.put_as::<D, OWNED, [u8]>(self.geometry().sized, me, bytes, wait)
    }

    /// One try of a put by copy that keeps its place in line between several tries.
    #[cfg(feature = "async")]
    pub(crate) fn put_bytes_at_once<const OWNED: bool>(&self, me: Id, bytes: &[u8], ticket: &mut Ticket) -> Result<(), PutError> {
        self.check_length(bytes.len())?;
        match self.geometry().sized {
            true => self.put_as::<ToOne, OWNED, [u8]>(true, me, bytes, Wait::AtOnce),
            false => self.put_at_once::<ToOne, OWNED, [u8]>(me, bytes, ticket),
        }
    }

    /// The same by the side's endpoint. Values of one word and of one cache line go as those of a
    /// typed endpoint do, at distances that the compiler knows.
    #[inline(always)]
    pub(crate) fn put_bytes_owned<D: Delivery>(&self, owner: &SideOwner, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        let was_put = match bytes.len() {
            8 if self.has_values_like::<u64>() => {
                // SAFETY: 8 bytes, all initialised.
                let word = unsafe { bytes.as_ptr().cast::<u64>().read_unaligned() };
                self.try_put_in::<D, MappedAs<u64>, u64>(owner, &word)
            }
            64 if self.has_values_like::<CacheLine>() && bytes.as_ptr().addr() % align_of::<CacheLine>() == 0 => {
                // SAFETY: 64 bytes, all initialised, at a multiple of 8; borrowed for the call.
                let line = unsafe { &*bytes.as_ptr().cast::<CacheLine>() };
                self.try_put_in::<D, MappedAs<CacheLine>, CacheLine>(owner, line)
            }
            _ => return self.put_other_bytes_owned::<D>(owner, bytes, wait),
        };
        if was_put { Ok(()) } else { self.put_bytes_slowly::<D>(owner, bytes, wait) }
    }

    /// The same of any length. A function of its own, since a copy of unknown length is a call, for
    /// which the others would have to save registers.
    #[inline(never)]
    fn put_other_bytes_owned<D: Delivery>(&self, owner: &SideOwner, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        self.check_length(bytes.len())?;
        if self.geometry().sized && self.try_put_in::<D, Mapped, [u8]>(owner, bytes) {
            return Ok(());
        }
        self.put_bytes_slowly::<D>(owner, bytes, wait)
    }

    /// Is this a ring of values of the size of a `T`, in such cells?
    #[inline(always)]
    fn has_values_like<T: Message>(&self) -> bool {
        self.unit_bytes() == size_of::<T>() && MappedAs::<T>::fits(self.geometry())
    }

    #[cold]
    #[inline(never)]
    fn put_bytes_slowly<D: Delivery>(&self, owner: &SideOwner, bytes: &[u8], wait: Wait) -> Result<(), PutError> {
        let me = self.check(owner)?;
        let sized = self.geometry().sized;
        if sized && self.refill_to_put::<Mapped>(owner, wait) && self.try_put_in::<D, Mapped, [u8]>(owner, bytes) {
            return Ok(());
        }
        self.put_as::<D, BY_OWNER, [u8]>(sized, me, bytes, wait)
    }

    /// The values that lie one after the other in `bytes`, in a ring of values that have some.
    fn values_in(&self, bytes: usize) -> Result<usize, PutError> {
        match self.unit_bytes() {
            _ if !self.geometry().sized => Err(PutError::NotOfOneSize),
            0 if bytes == 0 => Ok(0),
            0 => Err(PutError::WrongLength { len: bytes, expected: 0 }),
            unit if bytes % unit != 0 => Err(PutError::NotWhole { len: bytes, element: unit }),
            unit => Ok(bytes / unit),
        }
    }

    /// Puts values that lie one after the other. Returns how many.
    pub(crate) fn put_row<D: Delivery, const OWNED: bool>(&self, me: Id, bytes: &[u8], wait: Wait) -> Result<usize, PutError> {
        let (count, unit) = (self.values_in(bytes.len())?, self.unit_bytes());
        self.put_batch::<D, OWNED>(me, count, unit, wait, |nth, to| {
            // SAFETY: the put side gave `to` to this call alone, and a sized ring's records have
            // room for a value, in whole words.
            unsafe { D::write(&bytes[nth * unit..][..unit], to) }
        })
    }

    /// Claims a record to be written in place. `me`: as for [`claim`](RawQueue::claim).
    #[inline]
    pub(crate) fn claim_bytes(&self, me: Option<Id>, length: usize, wait: Wait) -> Result<ClaimedRecord, PutError> {
        self.check_length(length)?;
        match self.geometry().sized {
            true => self.claim::<BY_LOCK, SIZED_RING>(me, length, wait),
            false => self.claim_slice::<BY_LOCK>(me, length, wait),
        }
    }

    /// The same by the side's endpoint.
    #[inline]
    pub(crate) fn claim_bytes_owned(&self, owner: &SideOwner, length: usize, wait: Wait) -> Result<ClaimedRecord, PutError> {
        self.check_length(length)?;
        match self.geometry().sized {
            true => self.claim_owned_in::<Mapped>(owner, wait),
            false => self.claim_slice::<BY_OWNER>(Some(self.check(owner)?), length, wait),
        }
    }

    /// The same of a topic, where nothing spills.
    pub(crate) fn claim_bytes_by<D: Delivery, const OWNED: bool>(
        &self,
        me: Id,
        length: usize,
        wait: Wait,
    ) -> Result<ClaimedRecord, PutError> {
        self.check_length(length)?;
        match self.geometry().sized {
            true => self.claim_by::<D, OWNED, SIZED_RING>(Some(me), length, wait),
            false if self.fits_ring(length) => self.claim_by::<D, OWNED, SLICE_RING>(Some(me), length, wait),
            false => Err(PutError::TooLarge { len: length, max: self.largest_message() }),
        }
    }

    #[inline(always)]
    fn fits_ring(&self, length: usize) -> bool {
        length as u64 <= self.geometry().max_message_bytes()
    }

    /// Gets one message into the caller's buffer, by lock, in both roles: its length.
    #[inline]
    pub(crate) fn get_bytes_in_both_roles(&self, buffer: &mut [u8], wait: Wait) -> Result<usize, GetError> {
        let unit = self.unit_bytes();
        // As in `get_value`: where it need not wait, it takes no more than a typed get.
        if self.geometry().sized && unit <= SMALL_COPY_BYTES && unit <= buffer.len() {
            let ring = self.ring;
            if let Some((me, record)) = self.enter_ready_or_spin(&ring, wait) {
                // SAFETY: the ring found the record's length equal to `unit`, and the record is
                // ours while the side is; the buffer has room.
                unsafe { copy_payload(ring.memory.payload(record.cell), buffer.as_mut_ptr(), unit) };
                self.take_and_exit(&ring, record, me);
                return Ok(unit);
            }
        }
        self.get_bytes_slowly(buffer, wait)
    }

    #[cold]
    #[inline(never)]
    fn get_bytes_slowly(&self, buffer: &mut [u8], wait: Wait) -> Result<usize, GetError> {
        self.get_bytes_into::<BY_LOCK>(self.me_in_both_roles()?, buffer, wait)
    }

    /// The same, as `me`.
    #[inline]
    pub(crate) fn get_bytes_into<const OWNED: bool>(&self, me: Id, buffer: &mut [u8], wait: Wait) -> Result<usize, GetError> {
        // SAFETY: the buffer has room for as many bytes.
        unsafe { self.get_bytes_to::<OWNED>(me, buffer.as_mut_ptr(), buffer.len(), wait) }
    }

    /// The same.
    ///
    /// # Safety
    /// At `to` is room for `room` bytes.
    #[inline]
    unsafe fn get_bytes_to<const OWNED: bool>(&self, me: Id, to: *mut u8, room: usize, wait: Wait) -> Result<usize, GetError> {
        let fits = |length: usize| match length {
            _ if !self.is_whole(length) => Err(GetError::Corrupted),
            needed if needed > room => Err(GetError::TooSmall { needed, given: room }),
            _ => Ok(()),
        };
        let read = |from: *const u8, length: usize| {
            // SAFETY: `fits` found room for `length` bytes, which the record holds (Invariant 2).
            unsafe { copy_out(from, to, length) };
            length
        };
        match self.geometry().sized {
            true => self.get::<OWNED, SIZED_RING, usize>(me, false, wait, fits, read),
            false => self.get::<OWNED, SLICE_RING, usize>(me, false, wait, fits, read),
        }
    }

    /// The same by the side's endpoint. As [`put_bytes_owned`](RawQueue::put_bytes_owned).
    #[inline(always)]
    pub(crate) fn get_bytes_into_owned(&self, owner: &SideOwner, buffer: &mut [u8], wait: Wait) -> Result<usize, GetError> {
        // SAFETY: the buffer has room for as many bytes.
        unsafe { self.get_bytes_to_owned(owner, buffer.as_mut_ptr(), buffer.len(), wait) }
    }

    /// The same.
    ///
    /// # Safety
    /// As [`get_bytes_to`](RawQueue::get_bytes_to).
    #[inline(always)]
    unsafe fn get_bytes_to_owned(&self, owner: &SideOwner, to: *mut u8, room: usize, wait: Wait) -> Result<usize, GetError> {
        let unit = self.unit_bytes();
        let got = match unit {
            8 if room >= 8 && self.has_values_like::<u64>() => {
                // SAFETY: there is room for 8 bytes.
                unsafe { self.try_get_like::<u64>(owner, to, wait) }
            }
            64 if room >= 64 && self.has_values_like::<CacheLine>() => {
                // SAFETY: there is room for 64 bytes.
                unsafe { self.try_get_like::<CacheLine>(owner, to, wait) }
            }
            // SAFETY: as the caller says.
            _ => return unsafe { self.get_other_bytes_owned(owner, to, room, wait) },
        };
        if got {
            return Ok(unit);
        }
        // SAFETY: as the caller says.
        unsafe { self.get_bytes_slowly_owned(owner, to, room, wait) }
    }

    /// The same of any length: see [`put_other_bytes_owned`](RawQueue::put_other_bytes_owned).
    ///
    /// # Safety
    /// As [`get_bytes_to`](RawQueue::get_bytes_to).
    #[inline(never)]
    unsafe fn get_other_bytes_owned(&self, owner: &SideOwner, to: *mut u8, room: usize, wait: Wait) -> Result<usize, GetError> {
        let unit = self.unit_bytes();
        if self.geometry().sized && unit <= room {
            if let Some(record) = self.enter_or_wait::<Mapped>(owner, wait) {
                let ring = self.ring;
                // SAFETY: the ring found the record's length equal to `unit`; a committed message
                // lies there, and only this endpoint may end it.
                unsafe { copy_out(ring.memory.payload(record.cell), to, unit) };
                self.take_in_run(&ring, record);
                return Ok(unit);
            }
        }
        // SAFETY: as the caller says.
        unsafe { self.get_bytes_slowly_owned(owner, to, room, wait) }
    }

    /// Gets a value of as many bytes as a `T`, if there is one or will be soon.
    ///
    /// # Safety
    /// There is room for a `T` at `to`, and the ring [has such values](RawQueue::has_values_like).
    #[inline(always)]
    unsafe fn try_get_like<T: Message>(&self, owner: &SideOwner, to: *mut u8, wait: Wait) -> bool {
        let Some(record) = self.enter_or_wait::<MappedAs<T>>(owner, wait) else { return false };
        let ring = self.ring_of::<MappedAs<T>>();
        // SAFETY: the ring found the record's length equal to a `T`'s; a committed message lies
        // there, and only this endpoint may end it. The caller passes the room.
        unsafe { copy_out(ring.memory.payload(record.cell), to, size_of::<T>()) };
        self.take_in_run(&ring, record);
        true
    }

    /// # Safety
    /// As [`get_bytes_to`](RawQueue::get_bytes_to).
    #[cold]
    #[inline(never)]
    unsafe fn get_bytes_slowly_owned(&self, owner: &SideOwner, to: *mut u8, room: usize, wait: Wait) -> Result<usize, GetError> {
        // SAFETY: as the caller says.
        unsafe { self.get_bytes_to::<BY_OWNER>(self.check(owner)?, to, room, wait) }
    }

    /// Gets one message as a vector.
    pub(crate) fn get_bytes_vec<const OWNED: bool>(&self, me: Id, wait: Wait) -> Result<Vec<u8>, GetError> {
        match self.geometry().sized {
            // SAFETY: `collect` passes memory for a value.
            true => self.collect(|to, room| unsafe { self.get_bytes_to::<OWNED>(me, to, room, wait) }),
            false => self.get_vec::<OWNED, u8>(me, wait),
        }
    }

    /// The same by the side's endpoint.
    pub(crate) fn get_bytes_vec_owned(&self, owner: &SideOwner, wait: Wait) -> Result<Vec<u8>, GetError> {
        match self.geometry().sized {
            // SAFETY: `collect` passes memory for a value.
            true => self.collect(|to, room| unsafe { self.get_bytes_to_owned(owner, to, room, wait) }),
            false => self.get_vec::<BY_OWNER, u8>(self.check(owner)?, wait),
        }
    }

    /// A value as a vector: `get` writes it to memory that it is given, and returns its length.
    /// Nothing is allocated while a side is entered.
    fn collect(&self, get: impl FnOnce(*mut u8, usize) -> Result<usize, GetError>) -> Result<Vec<u8>, GetError> {
        let mut bytes = Vec::<u8>::with_capacity(self.unit_bytes());
        let length = get(bytes.as_mut_ptr(), bytes.capacity())?;
        // SAFETY: `get` wrote so many.
        unsafe { bytes.set_len(length) };
        Ok(bytes)
    }

    /// Gets values, one after the other, into a buffer: as many as there are and have room, at
    /// least one. Returns how many.
    pub(crate) fn get_row<const OWNED: bool>(&self, me: Id, buffer: &mut [u8], wait: Wait) -> Result<usize, GetError> {
        let unit = self.unit_bytes();
        if !self.geometry().sized {
            return Err(GetError::NotOfOneSize);
        }
        if buffer.len() < unit {
            return Err(GetError::TooSmall { needed: unit, given: buffer.len() });
        }
        // Values without bytes: one, as any length is room for any number.
        let count = buffer.len().checked_div(unit).unwrap_or(1);
        if !OWNED && unit > SMALL_COPY_BYTES {
            return moved_or(count, |nth| {
                let wait = if nth == 0 { wait } else { Wait::Never };
                self.get_bytes_into::<BY_LOCK>(me, &mut buffer[nth * unit..][..unit], wait).map(drop)
            });
        }
        let mut kept = 0;
        self.get_batch::<OWNED>(me, count, wait, |from| {
            let to = &mut buffer[kept * unit..][..unit];
            // SAFETY: `get_batch` passes the payload of a record of a value, which stays until the
            // batch finishes it, at most `count` times.
            unsafe { copy_out(from, to.as_mut_ptr(), unit) };
            kept += 1;
            Judged::Taken
        })
    }

    /// Leases one message to be read in place.
    #[inline]
    pub(crate) fn lease_bytes(&self, me: Id, wait: Wait) -> Result<LeasedRecord, GetError> {
        match self.geometry().sized {
            true => self.lease::<BY_LOCK, SIZED_RING>(me, wait),
            false => self.lease::<BY_LOCK, SLICE_RING>(me, wait),
        }
    }

    /// The same by the side's endpoint.
    #[inline]
    pub(crate) fn lease_bytes_owned(&self, owner: &SideOwner, wait: Wait) -> Result<LeasedRecord, GetError> {
        match self.geometry().sized {
            true => self.lease_owned_in::<Mapped>(owner, wait),
            false => self.lease::<BY_OWNER, SLICE_RING>(self.check(owner)?, wait),
        }
    }
}
