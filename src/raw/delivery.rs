//! What differs between a message that one getter takes and one that every subscriber reads.

use super::{ClaimedRecord, RawQueue};
use crate::error::PutError;
use crate::message::Message;
use crate::message::copy::{copy_message, copy_pieces, store_message, store_pieces};
use crate::ring::topic::order_reclaimed;
use std::io::IoSlice;
use std::sync::atomic::Ordering::{Relaxed, Release};

/// How a message is written by copy, and which waiting processes it concerns.
pub(crate) trait Delivery {
    /// Of those that wait, how many to wake for so many messages.
    fn wakes(messages: u32) -> u32;

    /// The caller has entered the put side by lock, and has written nothing yet.
    fn entered();

    /// # Safety
    /// As [`copy_message`].
    unsafe fn write<T: ?Sized + Message>(message: &T, to: *mut u8);

    /// Writes a message of several pieces, one behind the other.
    ///
    /// # Safety
    /// As [`copy_message`].
    unsafe fn write_pieces(pieces: &[IoSlice<'_>], to: *mut u8);

    /// The record that is put next was put: `position` is where tail was before. Needs the put side
    /// of a ring of slices.
    fn note_newest(raw: &RawQueue, position: u64);

    /// Commits a claimed record that was written whole.
    fn commit(raw: &RawQueue, record: ClaimedRecord, length: usize) -> Result<(), PutError>;
}

/// To one getter: a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToOne;

/// To all subscribers: a topic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToAll;

impl Delivery for ToOne {
    #[inline(always)]
    fn wakes(messages: u32) -> u32 {
        messages
    }

    #[inline(always)]
    fn entered() {}

    #[inline(always)]
    unsafe fn write<T: ?Sized + Message>(message: &T, to: *mut u8) {
        // SAFETY: as the caller says.
        unsafe { copy_message(message, to) }
    }

    unsafe fn write_pieces(pieces: &[IoSlice<'_>], to: *mut u8) {
        // SAFETY: as the caller says.
        unsafe { copy_pieces(pieces, to) }
    }

    #[inline(always)]
    fn note_newest(_: &RawQueue, _: u64) {}

    fn commit(raw: &RawQueue, record: ClaimedRecord, length: usize) -> Result<(), PutError> {
        raw.commit_claimed(record, length)
    }
}

impl Delivery for ToAll {
    #[inline(always)]
    fn wakes(_: u32) -> u32 {
        u32::MAX
    }

    #[inline(always)]
    fn entered() {
        order_reclaimed();
    }

    #[inline(always)]
    unsafe fn write<T: ?Sized + Message>(message: &T, to: *mut u8) {
        // SAFETY: as the caller says; the cells of a record have room for whole words.
        unsafe { store_message(message, to) }
    }

    unsafe fn write_pieces(pieces: &[IoSlice<'_>], to: *mut u8) {
        // SAFETY: as the caller says; the cells of a record have room for whole words.
        unsafe { store_pieces(pieces, to) }
    }

    #[inline(always)]
    fn note_newest(raw: &RawQueue, position: u64) {
        // Plain: only the put side stores it so, and what a loan's commit raises it to was
        // published before.
        raw.head().put.newest.store(position, Release);
    }

    fn commit(raw: &RawQueue, record: ClaimedRecord, length: usize) -> Result<(), PutError> {
        // Before the commit: the record is there for certain.
        let position = raw.position_of_claimed(record.cell());
        raw.commit_claimed(record, length)?;
        raw.note_committed(position);
        Ok(())
    }
}

impl RawQueue {
    /// Where the record that is put next will be, if it needs no filler before it, or has one.
    #[inline(always)]
    pub(super) fn put_position(&self) -> u64 {
        self.head().put.tail.load(Relaxed)
    }
}
