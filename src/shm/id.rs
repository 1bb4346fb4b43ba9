//! Participant ids: an entry of the table, and the generation of its holder.
//!
//! ```text
//!   id     generation (21 bits) | entry (10 bits)         a lock word is id << 1 | waiters
//! ```
//!
//! Invariants:
//! 1. A generation is never 0, so an id is never 0 and no lock word of a holder equals "unlocked".
//! 2. The generation of an entry is raised before its liveness lock is taken (`segment/enter.rs`):
//!    the ids of all earlier holders are dead from then on.

use crate::atomic::{Ordering, fence};
#[cfg(not(loom))]
use crate::error::CreateError;
use crate::shm::layout::{Entry, MAX_PARTICIPANTS};
use std::ops::RangeInclusive;

pub(super) const ENTRY_BITS: u32 = 10;
const ENTRY_MASK: u32 = (1 << ENTRY_BITS) - 1;
const _: () = assert!(MAX_PARTICIPANTS <= ENTRY_MASK);
const GENERATION_MAX: u32 = (1 << 21) - 1;
pub(super) const GENERATIONS: RangeInclusive<u32> = 1..=GENERATION_MAX;
/// A record header keeps only these bits of a generation.
pub(crate) const GENERATION_LOW_MASK: u32 = (1 << 10) - 1;

/// The number of participants that may be attached at once, if it is in range.
#[cfg(not(loom))]
pub(crate) fn checked_count(asked: usize) -> Result<u32, CreateError> {
    let max = MAX_PARTICIPANTS as usize;
    if (1..=max).contains(&asked) {
        Ok(asked as u32)
    } else {
        Err(CreateError::OutOfRange { option: "max_participants", asked, min: 1, max })
    }
}

/// A participant: an entry of the table, and which of its successive holders.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Id(u32);

impl Id {
    /// The caller has checked that `generation` is one of [`GENERATIONS`].
    pub(super) fn of(generation: u32, entry: u32) -> Id {
        Id(generation << ENTRY_BITS | (entry & ENTRY_MASK))
    }

    /// `None` unless the bits can be an id (Invariant 1).
    #[inline]
    pub fn from_bits(bits: u32) -> Option<Id> {
        // Not `GENERATIONS.contains`: these two become one comparison, on the path of every call.
        let generation = bits >> ENTRY_BITS;
        (generation != 0 && generation <= GENERATION_MAX).then_some(Id(bits))
    }

    /// An id back from its [`bits`](Id::bits), which this process has kept in memory of its own.
    #[inline(always)]
    pub fn restore(bits: u32) -> Id {
        debug_assert!(Id::from_bits(bits).is_some());
        Id(bits)
    }

    #[inline]
    pub fn bits(self) -> u32 {
        self.0
    }

    #[inline]
    pub fn entry(self) -> u32 {
        self.0 & ENTRY_MASK
    }

    #[inline]
    pub fn generation(self) -> u32 {
        self.0 >> ENTRY_BITS
    }

    /// What a record header keeps of the generation.
    #[inline]
    pub fn generation_low(self) -> u32 {
        self.generation() & GENERATION_LOW_MASK
    }

    /// Do the low bits of the generation, which is all that record headers keep, wrap to 0 here?
    /// Then records of earlier holders of the entry are freed first, even where the last one
    /// detached cleanly: it may have forgotten a guard.
    pub fn begins_anew(self) -> bool {
        self.generation_low() == 0
    }
}

/// What is known of earlier holders of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Past {
    /// There were none.
    None,
    /// The last one detached cleanly.
    Detached,
    /// The last one is attached, or died.
    Open,
}

pub(crate) fn past_of(entry: &Entry) -> Past {
    match (entry.generation.load(Ordering::Relaxed), entry.pid.load(Ordering::Relaxed)) {
        (0, _) => Past::None,
        (_, 0) => Past::Detached,
        _ => Past::Open,
    }
}

/// Makes every id given out for an entry so far the id of a dead process: the one that takes its
/// liveness lock next is another. The caller holds the entry's registration byte, and no process
/// holds its liveness lock.
pub(crate) fn raise_generation(entry: &Entry) {
    let generation = after(entry.generation.load(Ordering::Relaxed));
    if generation & GENERATION_LOW_MASK == 0 {
        // `begins_anew` must not be missed, even if this process dies before it attaches: a pid
        // says that there is something to repair.
        let _ = entry.pid.compare_exchange(0, std::process::id(), Ordering::Relaxed, Ordering::Relaxed);
    }
    entry.generation.store(generation, Ordering::Release);
    // SeqCst: a process that sees the liveness lock held sees this store (`shows_generation`), and
    // so does one that reads the id, however a thread of this process publishes it, with a relaxed
    // store too (`participant`, Invariant 2).
    fence(Ordering::SeqCst);
}

/// The generation after another. Whatever that is, garbage included, this is in range (Invariant 1).
/// From the last one it goes on at the first whose low bits are 0, so that `begins_anew` is not
/// passed over.
fn after(generation: u32) -> u32 {
    if generation < GENERATION_MAX { generation + 1 } else { GENERATION_LOW_MASK + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_bits_of_generations_pass_0_in_each_lap() {
        let mut generation = GENERATION_MAX - 2 * (GENERATION_LOW_MASK + 1);
        let mut since_anew = 0;
        for _ in 0..10 * (GENERATION_LOW_MASK + 1) {
            generation = after(generation);
            since_anew = if generation & GENERATION_LOW_MASK == 0 { 0 } else { since_anew + 1 };
            assert!((1..=GENERATION_MAX).contains(&generation) && since_anew <= GENERATION_LOW_MASK);
        }
        assert_eq!((after(0), after(u32::MAX)), (1, GENERATION_LOW_MASK + 1));
    }

    #[test]
    fn ids_keep_their_parts() {
        assert!(Id(1024 << ENTRY_BITS).begins_anew() && !Id(1025 << ENTRY_BITS).begins_anew());
        for (generation, entry) in [(1, 0), (1, 1022), (GENERATION_MAX, 5), (2048, 1023)] {
            let id = Id::from_bits(generation << 10 | entry).unwrap();
            assert_eq!((id.generation(), id.entry(), id.generation_low()), (generation, entry, generation & 1023));
            assert_eq!(Id::from_bits(id.bits()), Some(id));
        }
    }

    #[test]
    fn bits_that_cannot_be_an_id_are_refused() {
        for garbage in [0, 1, 1023, 1 << 31, u32::MAX] {
            assert_eq!(Id::from_bits(garbage), None, "{garbage:#x}");
        }
    }
}
