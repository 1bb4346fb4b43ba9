//! Messages of a topic whose layout is known at run time: a subscriber's verbs by copy, in bytes.

use super::next::{copy_to_buffer, copy_to_vec};
use super::subscriber::RawSubscriber;
use crate::error::GetError;
use crate::message::copy::load_words;
use crate::raw::mapped::Mapped;
use crate::wait::Wait;

impl RawSubscriber {
    /// The next message into the caller's buffer: its length.
    #[inline]
    pub(crate) fn next_bytes_into(&self, buffer: &mut [u8], wait: Wait) -> Result<usize, GetError> {
        if self.raw().geometry().sized && self.raw().unit_bytes() <= buffer.len() {
            if let Some(length) = self.value_at_once(buffer) {
                return Ok(length);
            }
            if self.await_next::<Mapped>(wait) {
                if let Some(length) = self.value_at_once(buffer) {
                    return Ok(length);
                }
            }
        }
        self.next_with(wait, &mut |from, length| {
            self.check_whole(length)?;
            copy_to_buffer(from, length, buffer)
        })
    }

    /// A value that is ready at its place, into a buffer that has room for it.
    #[inline(always)]
    fn value_at_once(&self, buffer: &mut [u8]) -> Option<usize> {
        let bytes = self.raw().unit_bytes();
        debug_assert!(bytes <= buffer.len());
        // SAFETY: the record has so many bytes, in whole words, and the buffer room for as many.
        // What is torn is discarded.
        self.read_at_once::<Mapped, _>(|from| unsafe { load_words(from, buffer.as_mut_ptr(), bytes) })?;
        Some(bytes)
    }

    /// Up to as many values as have room, one after the other, at least one; waits for the first.
    /// Returns how many.
    pub(crate) fn next_row(&self, buffer: &mut [u8], wait: Wait) -> Result<usize, GetError> {
        let unit = self.raw().unit_bytes();
        if !self.raw().geometry().sized {
            return Err(GetError::NotOfOneSize);
        }
        if buffer.len() < unit {
            return Err(GetError::TooSmall { needed: unit, given: buffer.len() });
        }
        self.next_bytes_into(buffer, wait)?;
        let mut got = 1;
        // Values without bytes: one, as any length is room for any number.
        for rest in buffer.chunks_exact_mut(unit.max(1)).skip(1).take(if unit == 0 { 0 } else { usize::MAX }) {
            let next =
                self.value_at_once(rest).or_else(|| self.await_next::<Mapped>(Wait::Never).then(|| self.value_at_once(rest))?);
            if next.is_none() {
                break;
            }
            got += 1;
        }
        Ok(got)
    }

    /// The next message as a vector.
    pub(crate) fn next_bytes_vec(&self, wait: Wait) -> Result<Vec<u8>, GetError> {
        if !self.raw().geometry().sized {
            return self.next_with(wait, &mut |from, length| self.checked_vec(from, length));
        }
        let mut bytes = vec![0; self.raw().unit_bytes()];
        let length = self.next_bytes_into(&mut bytes, wait)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The newest message that it has not passed, at once.
    pub(crate) fn latest_bytes_vec(&self) -> Result<Vec<u8>, GetError> {
        self.latest_with(&mut |from, length| self.checked_vec(from, length))
    }

    fn checked_vec(&self, from: *const u8, length: usize) -> Result<Vec<u8>, GetError> {
        self.check_whole(length)?;
        copy_to_vec(from, length)
    }

    /// A record's length must be whole elements: another length is garbage.
    fn check_whole(&self, length: usize) -> Result<(), GetError> {
        if self.raw().geometry().sized || self.raw().is_whole(length) { Ok(()) } else { Err(GetError::Corrupted) }
    }
}
