//! A walk that owns no side, beside a putter that moves tail back over aborted records and writes a
//! new one there, whose payload resembles headers.

use super::heap::{Heap, bytes};
use crate::atomic::Ordering::{Relaxed, Release};
use crate::atomic::{AtomicU32, AtomicU64};
use crate::ring::{Memory, Owner, Ring, Upto};
use crate::shm::geometry::CellIndex;
use crate::shm::layout::{GetSide, PutSide};
use std::cell::{Cell as Variable, OnceCell, RefCell};

const LOANER: Owner = Owner::new(3, 1);
/// Read as a header, it is a record that entry 0 claimed.
const ONE: u64 = 1.0f64.to_bits();

type Interruption = Box<dyn FnOnce(&Ring<&Interrupted>)>;

/// A ring's words, and something that happens at one of the loads of a header.
struct Interrupted {
    heap: Heap,
    loads_left: Variable<u32>,
    interruption: RefCell<Option<Interruption>>,
    ring: OnceCell<crate::shm::geometry::Geometry>,
}

impl Memory for &Interrupted {
    fn put_side(&self) -> &PutSide {
        self.heap.put_side()
    }

    fn get_side(&self) -> &GetSide {
        self.heap.get_side()
    }

    fn returned(&self) -> &AtomicU32 {
        self.heap.returned()
    }

    fn closed(&self) -> &AtomicU32 {
        self.heap.closed()
    }

    fn fills_lines(&self) -> bool {
        true
    }

    fn header(&self, cell: CellIndex) -> &AtomicU64 {
        let left = self.loads_left.get();
        self.loads_left.set(left.saturating_sub(1));
        if left == 1 {
            if let (Some(interruption), Some(&geometry)) = (self.interruption.borrow_mut().take(), self.ring.get()) {
                interruption(&Ring { memory: *self, geometry });
            }
        }
        self.heap.header(cell)
    }

    fn sequence(&self, cell: CellIndex) -> &AtomicU64 {
        self.heap.sequence(cell)
    }
}

/// Behind an unread message are the records of four dropped loans. `begun`: the putter has counted
/// the retreat when the walk begins, and does the rest at the `nth` load of a header.
fn walk_beside_a_retreat(begun: bool, nth: u32) {
    let geometry = bytes(32, u64::MAX);
    let memory = Interrupted {
        heap: Heap::new(&geometry),
        loads_left: Variable::new(0),
        interruption: RefCell::new(None),
        ring: OnceCell::from(geometry),
    };
    let ring = Ring { memory: &memory, geometry };
    ring.initialise();
    let message = ring.reserve(16).expect("room");
    ring.commit(message);
    let loans: Vec<_> = (0..4).map(|_| ring.claim(ring.reserve(16).expect("room"), LOANER)).collect();
    memory.heap.put_side().loans.store(4, Relaxed);
    loans.iter().for_each(|&(cell, claimed)| assert!(ring.abort_claimed(cell, claimed)));
    let to = ring.untaken_end(|_, _| false).expect("nothing is corrupted");
    assert!(to < memory.heap.put_side().tail.load(Relaxed));

    let retreats = &memory.heap.put_side().retreats;
    if begun {
        retreats.store(retreats.load(Relaxed) | 1, Relaxed);
    }
    *memory.interruption.borrow_mut() = Some(Box::new(move |ring| {
        assert_eq!(ring.retreat(to), Ok(true));
        let length = 6 * 16;
        let slot = ring.reserve(length).expect("room");
        for behind in 1..ring.geometry.record_cells(length as u64) {
            let inner = ring.geometry.cell(slot.cell.index() + behind).expect("records are contiguous");
            ring.memory.heap.header(inner).store(ONE, Relaxed);
            ring.memory.heap.sequence(inner).store(ONE, Relaxed);
        }
        ring.commit(slot);
    }));
    memory.loads_left.set(nth);
    let found = ring.find_the_dead(Upto::Tail, &AtomicU64::new(0), |_| true, |_| false, 100);
    memory.loads_left.set(0);
    assert_eq!(found.map(|found| found.len()), Ok(0), "begun: {begun}, load {nth}");
    if memory.interruption.borrow().is_none() {
        assert_eq!(retreats.load(Relaxed) % 2, 0);
    }
}

#[test]
fn payload_is_never_taken_for_a_header() {
    for begun in [false, true] {
        (1..12).for_each(|nth| walk_beside_a_retreat(begun, nth));
    }
}

/// A putter died in the middle: its successor ends the retreat before it uses the cells.
#[test]
fn the_repair_ends_a_retreat() {
    let geometry = bytes(32, u64::MAX);
    let ring = super::heap::ring(geometry);
    ring.memory.put_side().retreats.store(5, Release);
    ring.repair_put_side(|_| true, |_, _| ()).expect("nothing is corrupted");
    assert_eq!(ring.memory.put_side().retreats.load(Relaxed), 6);
}
