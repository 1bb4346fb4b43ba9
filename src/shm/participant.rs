//! Participants: who is attached, and who of them is alive.
//!
//! ```text
//!   id     generation (21 bits) | entry (10 bits)         a lock word is id << 1 | waiters
//!
//!   entry  free, generation g --raise_generation--> free, generation g + 1 --liveness lock taken, register--> attached, generation g + 1
//!           ^                                                                                              |
//!           '---------------- the kernel drops the liveness lock with the process, however it ends ----------------'
//! ```
//!
//! Invariants:
//! 1. Only the holder of an entry's liveness lock writes the entry, except that others set the pid of a
//!    dead one to 0, and that the generation is raised before the liveness lock is taken (the segment's
//!    `enter.rs`).
//! 2. Whoever is named by an id anywhere in a segment registered it first, so its entry showed the generation before the id could
//!    be seen: an id whose entry shows another generation belongs to somebody who is gone.
//! 3. A generation is never 0, so an id is never 0 and no lock word of a holder equals "unlocked".
//! 4. Entry numbers read from a segment may be garbage: beyond the table nobody is alive.

use crate::atomic::{Ordering, fence};
use crate::error::CreateError;
use crate::os;
use crate::shm::layout::{Entry, MAX_PARTICIPANTS};
use crate::shm::segment::Segment;

const ENTRY_BITS: u32 = 10;
const ENTRY_MASK: u32 = (1 << ENTRY_BITS) - 1;
const _: () = assert!(MAX_PARTICIPANTS <= ENTRY_MASK);
const GENERATION_MAX: u32 = (1 << 21) - 1;
/// A record header keeps only this much of a generation.
const GENERATION_LOW_MASK: u32 = (1 << 11) - 1;

/// How many may be attached at once, as somebody asked for it.
pub(crate) fn checked_count(asked: usize) -> Result<u32, CreateError> {
    let max = MAX_PARTICIPANTS as usize;
    if (1..=max).contains(&asked) {
        Ok(asked as u32)
    } else {
        Err(CreateError::OutOfRange { option: "max_participants", asked, min: 1, max })
    }
}

/// A participant: an entry of the table and which of its successive holders.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Id(u32);

impl Id {
    /// `None` unless the bits can be an id (Invariant 3).
    #[inline]
    pub fn from_bits(bits: u32) -> Option<Id> {
        let generation = bits >> ENTRY_BITS;
        (generation != 0 && generation <= GENERATION_MAX).then_some(Id(bits))
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

    /// Do the generations that a record header can tell apart begin anew with this one? Then records of earlier holders of the entry are
    /// freed first, also where the last one left in good order: it may have forgotten a guard.
    pub fn begins_anew(self) -> bool {
        self.generation_low() == 0
    }
}

/// What is known of earlier holders of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Past {
    /// There were none.
    None,
    /// The last one left in good order.
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

/// Makes all ids of an entry those of the dead: the process that takes its liveness lock after this is
/// another. For the holder of its registration byte, while no process has the liveness lock.
pub(crate) fn raise_generation(entry: &Entry) {
    // Whatever stands there, garbage too, the next one is in range (Invariant 3).
    let generation = entry.generation.load(Ordering::Relaxed) % GENERATION_MAX + 1;
    if generation & GENERATION_LOW_MASK == 0 {
        // `begins_anew` must not be missed, also if this process dies before it attaches: there is
        // something to repair.
        let _ = entry.pid.compare_exchange(0, std::process::id(), Ordering::Relaxed, Ordering::Relaxed);
    }
    entry.generation.store(generation, Ordering::Release);
    // Before the liveness lock, for all that see the liveness lock (`shows_generation`), and Invariant 2 for every
    // way in which any thread of this process may publish the id later, a relaxed store included.
    fence(Ordering::SeqCst);
}

/// Makes the holder of an entry's liveness lock a participant, which repairs first what its predecessor
/// left.
pub(crate) fn register(segment: &Segment, entry: u32) -> Id {
    // An entry beyond the table has no liveness lock to hold; its id would be dead in everybody's eyes (Invariant 4).
    let Some(slot) = segment.entries().get(entry as usize) else { return Id(1 << ENTRY_BITS | (entry & ENTRY_MASK)) };
    let mut generation = slot.generation.load(Ordering::Relaxed);
    if !(1..=GENERATION_MAX).contains(&generation) {
        // A peer wrote there that must not.
        raise_generation(slot);
        generation = slot.generation.load(Ordering::Relaxed).clamp(1, GENERATION_MAX);
    }
    slot.pid.store(std::process::id(), Ordering::Relaxed);
    slot.attached_unix_s.store(os::unix_seconds(), Ordering::Relaxed);
    for word in [&slot.roles, &slot.put_sleepers, &slot.get_sleepers, &slot.join_sleepers] {
        word.store(0, Ordering::Relaxed);
    }
    Id(generation << ENTRY_BITS | entry)
}

/// Is this participant alive? Our own id (`me`) is so by definition: the kernel reports no conflict with our own lock.
#[cold]
pub(crate) fn is_alive(segment: &Segment, id: Id, me: Id) -> bool {
    id == me || shows_generation(segment, id.entry(), |generation| generation == id.generation())
}

/// Is the owner of a record alive, of which the header keeps the low bits of the generation?
#[cold]
pub(crate) fn owner_is_alive(segment: &Segment, entry: u32, generation_low: u32, me: Id) -> bool {
    (entry == me.entry() && generation_low == me.generation_low())
        || shows_generation(segment, entry, |generation| generation & GENERATION_LOW_MASK == generation_low)
}

/// The probe: a liveness lock, and then the expected generation. In this order: the entry may change hands between the two, and a
/// generation read before the liveness lock could be the predecessor's while the liveness lock is the successor's.
fn shows_generation(segment: &Segment, entry: u32, expected: impl Fn(u32) -> bool) -> bool {
    let Some(slot) = segment.entries().get(entry as usize) else { return false };
    if !segment.liveness_is_held(entry) {
        return false;
    }
    // Acquire, with the fence of `register`: whoever saw the id sees its generation, or a later one (Invariant 2).
    fence(Ordering::Acquire);
    expected(slot.generation.load(Ordering::Acquire))
}

/// Entries of participants that died without leaving, each with the pid that stands there.
pub(crate) fn dead(segment: &Segment, me: Id) -> Vec<(&Entry, u32)> {
    let died = |(number, entry): (usize, &'_ Entry)| {
        let pid = entry.pid.load(Ordering::Acquire);
        if pid == 0 {
            return None;
        }
        let id = Id::from_bits(entry.generation.load(Ordering::Acquire).wrapping_shl(ENTRY_BITS) | number as u32);
        let alive = id.is_some_and(|id| is_alive(segment, id, me));
        // The pid once more: one that leaves takes its pid away before its liveness lock, and may do so while we look; one that comes has a pid of
        // its own.
        (!alive && entry.pid.load(Ordering::Acquire) == pid).then_some((&segment.entries()[number], pid))
    };
    segment.entries().iter().enumerate().filter_map(died).collect()
}

/// Process id of a participant as that process saw it, for messages to people. 0 if the id is garbage.
pub(crate) fn pid_of(segment: &Segment, id: Id) -> u32 {
    segment.entries().get(id.entry() as usize).map_or(0, |slot: &Entry| slot.pid.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_parts() {
        assert!(Id(2048 << ENTRY_BITS).begins_anew() && !Id(2049 << ENTRY_BITS).begins_anew());
        for (generation, entry) in [(1, 0), (1, 1022), (GENERATION_MAX, 5), (2048, 1023)] {
            let id = Id::from_bits(generation << 10 | entry).unwrap();
            assert_eq!((id.generation(), id.entry(), id.generation_low()), (generation, entry, generation & 2047));
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
