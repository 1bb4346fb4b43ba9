//! Participants: which processes are attached, and which of them are alive.
//!
//! ```text
//!   free, generation g --raise_generation--> free, generation g + 1
//!           ^                                     |
//!           |                                     | liveness lock taken, register
//!           |                                     v
//!           '--- the process ends, however ---  attached, generation g + 1
//!                (the kernel drops the lock)
//! ```
//!
//! Invariants:
//! 1. Only the holder of an entry's liveness lock writes the entry, except that others set the pid
//!    of a dead one to 0, and that the generation is raised before the lock is taken
//!    (`segment/enter.rs`).
//! 2. A participant registers before its id is stored anywhere in the segment, so its entry showed
//!    the generation before the id could be seen: an id whose entry shows another generation
//!    belongs to a dead process.
//! 3. Entry numbers read from a segment may be garbage: no participant beyond the table is alive.

use super::id::{ENTRY_BITS, GENERATION_LOW_MASK, GENERATIONS, raise_generation};
pub(crate) use super::id::{Id, checked_count};
use crate::atomic::{Ordering, fence};
use crate::os;
use crate::shm::layout::Entry;
use crate::shm::segment::Segment;

/// Makes the holder of an entry's liveness lock a participant. The caller has repaired what the
/// predecessor left.
pub(crate) fn register(segment: &Segment, entry: u32) -> Id {
    // An entry beyond the table has no lock to hold; its id is dead for every process (Invariant
    // 3).
    let Some(slot) = segment.entries().get(entry as usize) else { return Id::of(1, entry) };
    let mut generation = slot.generation.load(Ordering::Relaxed);
    if !GENERATIONS.contains(&generation) {
        // A peer overwrote it.
        raise_generation(slot);
        generation = slot.generation.load(Ordering::Relaxed).clamp(*GENERATIONS.start(), *GENERATIONS.end());
    }
    slot.pid.store(std::process::id(), Ordering::Relaxed);
    slot.attached_unix_s.store(os::unix_seconds(), Ordering::Relaxed);
    for word in [&slot.roles, &slot.put_sleepers, &slot.get_sleepers, &slot.join_sleepers] {
        word.store(0, Ordering::Relaxed);
    }
    Id::of(generation, entry)
}

/// Is this participant alive? Our own id (`me`) is so by definition: the kernel reports no conflict
/// with our own lock.
#[cold]
pub(crate) fn is_alive(segment: &Segment, id: Id, me: Id) -> bool {
    id == me || shows_generation(segment, id.entry(), |generation| generation == id.generation())
}

/// Is the owner of a record alive? The record's header keeps the low bits of its generation.
#[cold]
pub(crate) fn owner_is_alive(segment: &Segment, entry: u32, generation_low: u32, me: Id) -> bool {
    (entry == me.entry() && generation_low == me.generation_low())
        || shows_generation(segment, entry, |generation| generation & GENERATION_LOW_MASK == generation_low)
}

/// The probe: the liveness lock, and then the expected generation. In this order, because the entry
/// may change hands between the two: a generation read before the lock could be the predecessor's
/// while the lock is the successor's.
fn shows_generation(segment: &Segment, entry: u32, expected: impl Fn(u32) -> bool) -> bool {
    let Some(slot) = segment.entries().get(entry as usize) else { return false };
    if !segment.liveness_is_held(entry) {
        return false;
    }
    // Acquire, with the fence of `raise_generation`: a process that has seen the id sees its
    // generation here, or a later one (Invariant 2).
    fence(Ordering::Acquire);
    expected(slot.generation.load(Ordering::Acquire))
}

/// Entries of participants that died without detaching, each with the pid that stands there.
pub(crate) fn dead(segment: &Segment, me: Id) -> Vec<(&Entry, u32)> {
    let died = |(number, entry): (usize, &'_ Entry)| {
        let pid = entry.pid.load(Ordering::Acquire);
        if pid == 0 {
            return None;
        }
        let id = Id::from_bits(entry.generation.load(Ordering::Acquire).wrapping_shl(ENTRY_BITS) | number as u32);
        let alive = id.is_some_and(|id| is_alive(segment, id, me));
        // The pid once more: a process that detaches clears its pid before it drops its lock, and
        // may do so between our loads; a newcomer has a pid of its own.
        (!alive && entry.pid.load(Ordering::Acquire) == pid).then_some((&segment.entries()[number], pid))
    };
    segment.entries().iter().enumerate().filter_map(died).collect()
}

/// Process id of a participant as that process saw it, for messages to people. 0 if the id is
/// garbage.
pub(crate) fn pid_of(segment: &Segment, id: Id) -> u32 {
    segment.entries().get(id.entry() as usize).map_or(0, |slot: &Entry| slot.pid.load(Ordering::Relaxed))
}
