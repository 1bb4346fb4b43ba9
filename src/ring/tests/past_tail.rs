//! Several records past the stored tail, the state after a putter is killed that has published a
//! batch by its first record (Invariant 2).

use super::heap::{self, Heap, bytes, write_garbage};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::ring::{Front, Memory, NoRoom, Owner, Record, Ring, State};
use crate::shm::geometry::Geometry;

const DEAD: Owner = Owner::new(3, 1);

/// Four records from tail on, after some others, and tail as it was before them.
fn ring_with_four_past_tail(geometry: Geometry, length: u32) -> Ring<Heap> {
    let ring = heap::ring(geometry);
    for _ in 0..3 {
        put(&ring, length);
        let record = next(&ring).expect("a message");
        ring.take(record);
    }
    let tail = ring.memory.put_side().tail.load(Relaxed);
    for _ in 0..4 {
        put(&ring, length);
    }
    ring.memory.put_side().tail.store(tail, Relaxed);
    ring
}

fn put(ring: &Ring<Heap>, length: u32) {
    let slot = ring.reserve(length).expect("room");
    write_garbage(ring, slot.cell, length);
    ring.commit(slot);
}

fn next(ring: &Ring<Heap>) -> Option<Record> {
    if ring.may_hold_returned() {
        if let Some(record) = ring.first_returned(&AtomicU64::new(0)).expect("nothing is corrupted") {
            return Some(record);
        }
    }
    match ring.front().expect("nothing is corrupted") {
        Front::Ready(record) => Some(record),
        _ => None,
    }
}

fn all_are_seen(geometry: Geometry, length: u32) {
    let ring = ring_with_four_past_tail(geometry, length);
    assert_eq!((ring.published(), ring.len(), ring.unfinished()), (7, 4, Ok(4)));
    // One that the dead process leased, one that was taken, another that it leased, and one that
    // was not taken.
    ring.memory.get_side().leases.store(2, Relaxed);
    ring.lease(next(&ring).expect("the first"), DEAD);
    ring.take(next(&ring).expect("the second"));
    ring.lease(next(&ring).expect("the third"), DEAD);
    assert_eq!((ring.published(), ring.len(), ring.unfinished()), (7, 1, Ok(3)));
    let repaired = ring.free_the_dead(|owner| owner == DEAD, |_| false, |_, _| ()).expect("nothing is corrupted");
    assert_eq!((repaired.redelivered, ring.len(), ring.unfinished()), (2, 3, Ok(3)));
    // The putter's successor finds them, too.
    ring.repair_put_side(|owner| owner == DEAD, |_, _| ()).expect("nothing is corrupted");
    assert_eq!((ring.published(), ring.len(), ring.unfinished()), (7, 3, Ok(3)));
    for redelivered in [true, true, false] {
        let record = next(&ring).expect("a message");
        assert_eq!(record.is_redelivery(), redelivered);
        ring.take(record);
    }
    assert!(next(&ring).is_none());
    assert_eq!((ring.len(), ring.unfinished(), ring.nothing_to_take()), (0, Ok(0), Some(State::Free)));
}

#[test]
fn all_are_seen_in_a_sized_ring() {
    // Five cells: the four records are before the end of the ring, across it, and behind it.
    for capacity in 4..9 {
        all_are_seen(Geometry::sized(8, 8, capacity).expect("a small ring"), 8);
    }
}

#[test]
fn all_are_seen_in_a_slice_ring_with_fillers() {
    for cells in 0..8 {
        all_are_seen(bytes(11 + cells, 4), 16);
        all_are_seen(bytes(16 + cells, u64::MAX), 32);
    }
}

/// A full ring is full, whatever the stored tail is.
#[test]
fn a_full_ring_has_no_room() {
    let ring = ring_with_four_past_tail(Geometry::sized(8, 8, 4).expect("a small ring"), 8);
    assert_eq!(ring.has_room(8, true), Ok(false));
    ring.repair_put_side(|_| false, |_, _| ()).expect("nothing is corrupted");
    assert_eq!(ring.reserve(8).err(), Some(NoRoom::Full));
}
