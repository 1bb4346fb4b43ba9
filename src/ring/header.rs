//! The header word of a record: state, owner, deliveries and length in one atomic `u64`.
//!
//! ```text
//!   63..61 state | 60 spilled | 59..50 generation (low 10) | 49..40 entry | 39..32 deliveries
//!   31..0 length in bytes
//! ```

use std::fmt;

const STATE_SHIFT: u32 = 61;
const OWNER_SHIFT: u32 = 40;
const OWNER_MASK: u64 = (1 << 20) - 1;
/// The message lies in a file of its own; the record holds what leads to it. Kept from CLAIMED to
/// RETURNED. No fast path takes such a record: each compares the whole word.
const SPILLED: u64 = 1 << 60;
const DELIVERIES_SHIFT: u32 = 32;
const DELIVERIES_MASK: u64 = 0xff;
const LENGTH_MASK: u64 = 0xffff_ffff;

/// State of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not a record: the end of the stream.
    Free,
    /// Being written in place by its owner.
    Claimed,
    /// Committed, ready to be taken.
    Ready,
    /// Being read in place by its owner.
    Leased,
    /// Given back, or left by a dead owner: taken before newer records.
    Returned,
    /// Finished: taken, aborted, or a filler. Its cells are free once head has passed.
    Done,
    /// Its message is finished, but its owner still reads it in place: its cells are kept until the
    /// last view of it is gone.
    Read,
}

/// Identifies the owner that claimed, leased or reads a record: entry, and the low bits of the
/// generation. The process that takes the entry of a dead participant, or is the first for which
/// these bits wrap, frees the records of its predecessors: so no later holder of the entry is
/// mistaken for one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u32);

impl Owner {
    /// Number of values that an entry can have here.
    pub const ENTRIES: usize = 0x400;

    #[inline(always)]
    pub const fn new(entry: u32, generation_low: u32) -> Owner {
        Owner((generation_low & 0x3ff) << 10 | entry & 0x3ff)
    }

    pub fn entry(self) -> u32 {
        self.0 & 0x3ff
    }

    pub fn generation_low(self) -> u32 {
        self.0 >> 10
    }
}

/// A header word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header(u64);

impl Header {
    pub const FREE: Header = Header(0);

    #[inline(always)]
    pub const fn ready(length: u32) -> Header {
        Header(2 << STATE_SHIFT | length as u64)
    }

    #[inline(always)]
    pub const fn done(length: u32) -> Header {
        Header(5 << STATE_SHIFT | length as u64)
    }

    #[inline(always)]
    pub fn claimed(owner: Owner, length: u32) -> Header {
        Header(1 << STATE_SHIFT | (owner.0 as u64) << OWNER_SHIFT | length as u64)
    }

    /// One more delivery, to `owner`. The count saturates.
    #[inline(always)]
    pub fn leased_by(self, owner: Owner) -> Header {
        let deliveries = (self.deliveries() as u64 + 1).min(DELIVERIES_MASK);
        Header(
            3 << STATE_SHIFT
                | (owner.0 as u64) << OWNER_SHIFT
                | deliveries << DELIVERIES_SHIFT
                | self.0 & (SPILLED | LENGTH_MASK),
        )
    }

    /// The same message, available again to any getter.
    pub fn returned(self) -> Header {
        Header(4 << STATE_SHIFT | self.0 & (SPILLED | DELIVERIES_MASK << DELIVERIES_SHIFT | LENGTH_MASK))
    }

    /// As [`returned`](Header::returned) of a leased record, but its last delivery does not count.
    pub fn returned_uncounted(self) -> Header {
        let deliveries = (self.deliveries() as u64).saturating_sub(1);
        Header(4 << STATE_SHIFT | deliveries << DELIVERIES_SHIFT | self.0 & (SPILLED | LENGTH_MASK))
    }

    /// The same, of a message that lies in a file of its own.
    pub const fn spilled(self) -> Header {
        Header(self.0 | SPILLED)
    }

    /// The same without that mark.
    pub const fn unspilled(self) -> Header {
        Header(self.0 & !SPILLED)
    }

    /// Does the message lie in a file of its own?
    #[inline(always)]
    pub const fn is_spilled(self) -> bool {
        self.0 & SPILLED != 0
    }

    /// The same message, finished by the owner of its lease, which goes on reading it.
    pub fn pinned(self) -> Header {
        Header(6 << STATE_SHIFT | self.0 & !(7 << STATE_SHIFT))
    }

    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Header {
        Header(bits)
    }

    #[inline(always)]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns `None` for a word that no transition leaves behind.
    #[inline]
    pub fn state(self) -> Option<State> {
        match self.0 >> STATE_SHIFT {
            0 if self.0 == 0 => Some(State::Free),
            1 => Some(State::Claimed),
            2 => Some(State::Ready),
            3 => Some(State::Leased),
            4 => Some(State::Returned),
            5 => Some(State::Done),
            6 => Some(State::Read),
            _ => None,
        }
    }

    /// Is there nothing to take while this word is at head: FREE, or CLAIMED by an open loan?
    #[inline(always)]
    pub fn is_pending(self) -> bool {
        self.0 >> STATE_SHIFT <= 1
    }

    #[inline(always)]
    pub fn length(self) -> u32 {
        (self.0 & LENGTH_MASK) as u32
    }

    pub fn deliveries(self) -> u32 {
        (self.0 >> DELIVERIES_SHIFT & DELIVERIES_MASK) as u32
    }

    pub fn owner(self) -> Owner {
        Owner((self.0 >> OWNER_SHIFT & OWNER_MASK) as u32)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.state() {
            None => write!(out, "Garbage({:#018x})", self.0),
            Some(State::Free) => out.write_str("Free"),
            Some(state) => {
                let owner = self.owner();
                write!(out, "{state:?}(length {}, deliveries {}, ", self.length(), self.deliveries())?;
                write!(out, "entry {} generation ..{})", owner.entry(), owner.generation_low())
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_view_keeps_what_its_lease_says() {
        let owner = Owner::new(1022, 2047);
        let leased = Header::ready(u32::MAX).leased_by(owner).returned().leased_by(owner);
        let pinned = leased.pinned();
        assert_eq!((leased.state(), pinned.state()), (Some(State::Leased), Some(State::Read)));
        assert_eq!((pinned.owner(), pinned.deliveries(), pinned.length()), (owner, 2, u32::MAX));
        assert!(!pinned.is_pending());
    }

    #[test]
    fn no_other_word_is_a_header() {
        let is_none = |bits| Header::from_bits(bits).state().is_none();
        assert!((1..1 << 20).chain([1 << 60, (1 << 61) - 1]).all(is_none), "FREE is 0");
        assert!([7 << 61, u64::MAX].into_iter().all(is_none));
        assert!((1..=6).all(|state| !is_none(state << 61) && !is_none(((state + 1) << 61) - 1)));
    }
}
