//! Which message is which: a name for one message that no other has, and what became of it.
//!
//! ```text
//!            get, lease
//!   Pending -----------> done, its record is DONE or reclaimed ------------------> Done
//!      \--position noted--> given up, its record is DONE or reclaimed ----------> GivenUp
//!              ^    |                  118 later messages were given up --------> Forgotten
//!              '----'  its consumer died in between: delivered again, the note is erased
//! ```
//!
//! Invariants:
//! 1. A position before head belongs to one message for ever (Ring, Invariant 2: tail moves back no
//!    further than head), and a nonce to one segment. So the two name one message, over all its
//!    deliveries.
//! 2. A position is noted before its record is DONE. A note counts only once the record is finished:
//!    a kill between the two leaves a note of a message that will be delivered again. The next
//!    delivery of a message erases its note, under the get side, before any consumer has it.
//! 3. `forgotten_before` passes a position before its note is overwritten. It is read after the
//!    notes: one that was not there any more is found to be forgotten.

use super::copy::{check_written, whole_elements};
use super::{LeasedRecord, RawQueue};
use crate::error::GetError;
use crate::message::copy::{copy_out, vec_from_bytes};
use crate::message::{Message, Plain};
use crate::ring::Record;
use crate::shm::layout::{GIVEN_UP_KEPT, GivenUp};
use crate::shm::participant::Id;
use crate::wait::Wait;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Names one message: 16 bytes that no other message has, of this queue or of any other, on any
/// machine. (The segment's random 64 bits, and the message's place in its stream.)
///
/// A message keeps it when it is given back and delivered again. One that is put anew, into the same
/// queue or as a dead letter, is another message. A queue that is made anew under the same name has
/// other ids.
///
/// For consumers that must know whether they have seen a message before: keep the ids of those that
/// are done. Ids of one queue are ordered as its messages were put.
///
/// ```
/// let queue = shmq::Queue::<u64>::new(4)?;
/// queue.put_slice(&[1, 2])?;
/// let first = queue.lease()?;
/// let id = first.id();
/// first.give_back();
/// let again = queue.lease()?;
/// assert_eq!(again.id(), id); // the same message, delivered twice
/// assert!(queue.lease()?.id() > id);
/// assert_eq!(shmq::MessageId::from_bytes(id.to_bytes()), id);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    nonce: u64,
    position: u64,
}

impl MessageId {
    /// The bytes, to be kept or sent. They sort as the ids do.
    ///
    /// ```
    /// let queue = shmq::Queue::<u64>::new(4)?;
    /// queue.put(&1)?;
    /// let (_, id) = queue.get_with_id()?;
    /// let bytes: [u8; 16] = id.to_bytes();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.nonce.to_be_bytes());
        bytes[8..].copy_from_slice(&self.position.to_be_bytes());
        bytes
    }

    /// The id with these bytes, which came from [`to_bytes`](Self::to_bytes). Other bytes name no
    /// message.
    ///
    /// ```
    /// use shmq::{Fate, MessageId, Queue};
    ///
    /// let no_message = MessageId::from_bytes([0; 16]);
    /// assert_eq!(Queue::<u64>::new(4)?.is_done(no_message), Fate::Foreign);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_bytes(bytes: [u8; 16]) -> MessageId {
        let half = |from: usize| u64::from_be_bytes(std::array::from_fn(|at| bytes[from + at]));
        MessageId { nonce: half(0), position: half(8) }
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}{:016x}", self.nonce, self.position)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MessageId({self})")
    }
}

/// What became of a message: the answer of [`Queue::is_done`](crate::Queue::is_done).
///
/// ```
/// use shmq::Fate;
///
/// let queue = shmq::Queue::<u64>::new(4)?;
/// queue.put(&1)?;
/// let lease = queue.lease()?;
/// let id = lease.id();
/// assert_eq!(queue.is_done(id), Fate::Pending);
/// lease.release();
/// assert_eq!(queue.is_done(id), Fate::Done);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is in the queue or on lease: it may still be delivered.
    Pending,
    /// A consumer took it, or released its lease. Also where the consumer got an error for it
    /// ([`Invalid`](GetError::Invalid), `Decode`) and there is no queue for dead letters.
    Done,
    /// It came back as often as [`max_deliveries`](crate::QueueBuilder::max_deliveries) allows, or
    /// is in the queue for [dead letters](crate::QueueBuilder::dead_letters).
    GivenUp,
    /// It is not pending, and has been finished for so long that it is not known how: the queue
    /// keeps the last 118 messages that were given up, and this one is older than one of those that
    /// were forgotten.
    Forgotten,
    /// It is a message of another queue, or of an earlier one of the same name.
    Foreign,
}

impl RawQueue {
    /// The id of a message on lease to this process.
    pub(crate) fn id_of(&self, record: &LeasedRecord) -> MessageId {
        self.id_at(self.ring.position_of(record.cell))
    }

    /// The id of the message at that position.
    pub(super) fn id_at(&self, position: u64) -> MessageId {
        MessageId { nonce: self.segment().nonce(), position }
    }

    /// What became of a message (Invariants 2 and 3). Takes no lock.
    pub(crate) fn fate(&self, id: MessageId) -> Fate {
        if id.nonce != self.segment().nonce() {
            return Fate::Foreign;
        }
        if self.ring.has_ended(id.position) { self.head().given_up.fate_of(id.position) } else { Fate::Pending }
    }

    /// Notes that a message on lease to this process is given up (Invariant 2).
    pub(super) fn note_given_up(&self, record: &LeasedRecord) {
        self.head().given_up.note(self.ring.position_of(record.cell));
    }

    /// The message is about to be delivered again (Invariant 2). Needs the get side.
    pub(super) fn forget_given_up(&self, record: &Record) {
        let given_up = &self.head().given_up;
        if given_up.noted.load(Relaxed) != 0 {
            given_up.erase(self.ring.position_of(record.cell));
        }
    }

    /// Gets one sized value by copy, and its id. On lease until it is copied: a process that is
    /// killed meanwhile leaves it to the others.
    pub(crate) fn get_value_with_id<const OWNED: bool, T>(&self, me: Id, wait: Wait) -> Result<(T, MessageId), GetError>
    where
        T: Message,
    {
        let record = self.lease_slow::<OWNED>(me, wait)?;
        let id = self.id_of(&record);
        let mut copy = MaybeUninit::<T>::uninit();
        // SAFETY: the record is on lease to this process, and the ring found its length equal to
        // `size_of::<T>()` (segment header and record header).
        unsafe { copy_out(record.payload, copy.as_mut_ptr().cast(), size_of::<T>()) };
        // SAFETY: all bytes of `copy` were written above.
        if unsafe { check_written(&copy) }.is_err() {
            return Err(self.refuse_invalid::<OWNED>(record, wait));
        }
        self.finish_copy::<OWNED>(record, wait)?;
        // SAFETY: the bytes were just found to be a value of T.
        Ok((unsafe { copy.assume_init() }, id))
    }

    /// The same of a slice.
    pub(crate) fn get_vec_with_id<const OWNED: bool, X>(&self, me: Id, wait: Wait) -> Result<(Vec<X>, MessageId), GetError>
    where
        X: Plain,
    {
        let record = self.lease_slow::<OWNED>(me, wait)?;
        let id = self.id_of(&record);
        if let Err(garbage) = whole_elements::<X>(record.length) {
            let _ = self.give_back_uncounted(record);
            return Err(garbage);
        }
        // SAFETY: the record is on lease to this process, and holds `length` bytes.
        let elements = unsafe { vec_from_bytes(record.payload, record.length) };
        self.finish_copy::<OWNED>(record, wait)?;
        Ok((elements, id))
    }
}

impl GivenUp {
    /// Notes a position; any process may, without a lock.
    pub(super) fn note(&self, position: u64) {
        let number = self.noted.fetch_add(1, AcqRel);
        let place = &self.positions[number as usize % GIVEN_UP_KEPT];
        let note = position.wrapping_add(1);
        let mut old = place.load(Acquire);
        loop {
            // First (Invariant 3). An erased note is 0.
            self.forgotten_before.fetch_max(old, AcqRel);
            match place.compare_exchange(old, note, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    /// Takes all notes of a position away: there may be several, of processes that were killed.
    fn erase(&self, position: u64) {
        let note = position.wrapping_add(1);
        for place in &self.positions {
            // Fails if it is another note, or has just been overwritten.
            let _ = place.compare_exchange(note, 0, Release, Relaxed);
        }
    }

    /// Of a message that is finished.
    fn fate_of(&self, position: u64) -> Fate {
        let note = position.wrapping_add(1);
        if self.positions.iter().any(|place| place.load(Acquire) == note) {
            return Fate::GivenUp;
        }
        if position < self.forgotten_before.load(Acquire) { Fate::Forgotten } else { Fate::Done }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn none() -> GivenUp {
        GivenUp {
            noted: AtomicU64::new(0),
            forgotten_before: AtomicU64::new(0),
            positions: [const { AtomicU64::new(0) }; GIVEN_UP_KEPT],
        }
    }

    #[test]
    fn the_last_ones_are_kept_and_what_is_older_is_forgotten() {
        let given_up = none();
        let positions = |count: u64| (0..count).map(|number| number * 3);
        positions(GIVEN_UP_KEPT as u64 + 2).for_each(|position| given_up.note(position));
        for position in positions(GIVEN_UP_KEPT as u64 + 2).skip(2) {
            assert_eq!(given_up.fate_of(position), Fate::GivenUp, "{position}");
            assert_eq!(given_up.fate_of(position + 1), Fate::Done, "{position} + 1");
        }
        // The notes of 0 and 3 are gone.
        for position in 0..=3 {
            assert_eq!(given_up.fate_of(position), Fate::Forgotten, "{position}");
        }
    }

    #[test]
    fn a_message_that_is_delivered_again_was_not_given_up() {
        let given_up = none();
        given_up.note(7);
        given_up.note(7);
        given_up.note(8);
        given_up.erase(7);
        assert_eq!((given_up.fate_of(7), given_up.fate_of(8)), (Fate::Done, Fate::GivenUp));
        // An erased note makes nothing forgotten.
        (0..GIVEN_UP_KEPT as u64 - 1).for_each(|number| given_up.note(100 + number));
        assert_eq!((given_up.fate_of(7), given_up.fate_of(8)), (Fate::Done, Fate::GivenUp));
    }
}
