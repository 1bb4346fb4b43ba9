//! Messages that are put from several pieces of memory, one behind the other: no caller joins them
//! first.
//!
//! ```text
//!   small, or a value --joined here--> put as one slice            (put.rs, in_bytes.rs)
//!   by lock           --a loan------> pieces, without a lock held   (put_large)
//!   by an endpoint    --its side----> pieces
//!   beyond the ring   --a file------> pieces                        (spilled/)
//! ```

use super::delivery::{Delivery, ToOne};
use super::{BY_LOCK, BY_OWNER, RawQueue, SMALL_COPY_BYTES, SideOwner, Wait};
use crate::error::PutError;
use crate::shm::participant::Id;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::ptr;

impl RawQueue {
    /// Puts one message by copy, as `me`, by lock.
    #[inline]
    pub(crate) fn put_pieces<D: Delivery>(&self, me: Id, pieces: &[IoSlice<'_>], wait: Wait) -> Result<(), PutError> {
        let length = self.length_of(pieces)?;
        match length <= SMALL_COPY_BYTES || self.geometry().sized {
            true => with_joined(pieces, length, |bytes| self.put_bytes::<D, BY_LOCK>(me, bytes, wait)),
            false => self.put_large_pieces::<D, BY_LOCK>(me, pieces, length, wait),
        }
    }

    /// The same by the side's endpoint.
    #[inline]
    pub(crate) fn put_pieces_owned<D: Delivery>(
        &self,
        owner: &SideOwner,
        pieces: &[IoSlice<'_>],
        wait: Wait,
    ) -> Result<(), PutError> {
        let length = self.length_of(pieces)?;
        match length <= SMALL_COPY_BYTES || self.geometry().sized {
            true => with_joined(pieces, length, |bytes| self.put_bytes_owned::<D>(owner, bytes, wait)),
            false => self.put_large_pieces::<D, BY_OWNER>(self.check(owner)?, pieces, length, wait),
        }
    }

    /// The length of a message, which is one of this ring (`in_bytes.rs`, Invariant 1).
    fn length_of(&self, pieces: &[IoSlice<'_>]) -> Result<usize, PutError> {
        let total = pieces.iter().try_fold(0usize, |total, piece| total.checked_add(piece.len()));
        // More than memory has: the same memory many times.
        let length = total.ok_or(PutError::TooLarge { len: usize::MAX, max: self.largest_message() })?;
        self.check_length(length).map(|()| length)
    }

    #[inline(never)]
    fn put_large_pieces<D: Delivery, const OWNED: bool>(
        &self,
        me: Id,
        pieces: &[IoSlice<'_>],
        length: usize,
        wait: Wait,
    ) -> Result<(), PutError> {
        if length as u64 > self.geometry().max_message_bytes() {
            return self.put_spilled::<OWNED>(me, length, wait, &|to| {
                // SAFETY: as in `put_as`: the file has room for `length` bytes, and is this call's.
                unsafe { ToOne::write_pieces(pieces, to) }
            });
        }
        // SAFETY: as in `put_as`: the record has room for `length` bytes, which were just compared
        // with the ring's limit, and belongs to this call until it is committed.
        let write = |to: *mut u8| unsafe { D::write_pieces(pieces, to) };
        match OWNED {
            true => self.put_slow::<D, OWNED>(me, length, wait, &write),
            false => self.put_large::<D>(me, length, wait, &write),
        }
    }
}

/// Calls `put` with the pieces as one slice of `length` bytes.
fn with_joined<R>(pieces: &[IoSlice<'_>], length: usize, put: impl FnOnce(&[u8]) -> R) -> R {
    if let [piece] = pieces {
        return put(piece);
    }
    if length > SMALL_COPY_BYTES {
        // A value as large as that.
        return put(&pieces.iter().fold(Vec::with_capacity(length), |mut joined, piece| {
            joined.extend_from_slice(piece);
            joined
        }));
    }
    let mut joined = [MaybeUninit::<u8>::uninit(); SMALL_COPY_BYTES];
    let mut end = 0;
    for piece in pieces {
        // SAFETY: the pieces have `length` bytes, for which there is room: `end` never passes it.
        unsafe { ptr::copy_nonoverlapping(piece.as_ptr(), joined.as_mut_ptr().add(end).cast(), piece.len()) };
        end += piece.len();
    }
    // SAFETY: `end` bytes were written.
    put(unsafe { std::slice::from_raw_parts(joined.as_ptr().cast(), end) })
}
