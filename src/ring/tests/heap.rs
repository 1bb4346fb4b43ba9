//! A ring's words on the heap.

use crate::atomic::Ordering::Relaxed;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::ring::{Memory, Ring};
use crate::shm::geometry::{CellIndex, Geometry};
use crate::shm::layout::{GetSide, PutSide};

/// Payload as read by code that mistakes it for a header or a sequence: a state that does not
/// exist, a number that is too large.
pub(super) const GARBAGE: u64 = 0xeeee_eeee_eeee_eeee;

#[derive(Debug)]
pub(super) struct Heap {
    put: PutSide,
    get: GetSide,
    returned: AtomicU32,
    closed: AtomicU32,
    headers: Vec<AtomicU64>,
    sequences: Vec<AtomicU64>,
}

impl Heap {
    /// Nothing is initialised: every word of a cell is garbage.
    pub fn new(geometry: &Geometry) -> Heap {
        let words = || (0..geometry.cells).map(|_| AtomicU64::new(GARBAGE)).collect();
        Heap {
            put: PutSide::default(),
            get: GetSide::default(),
            returned: AtomicU32::default(),
            closed: AtomicU32::default(),
            headers: words(),
            sequences: words(),
        }
    }
}

impl Memory for Heap {
    fn put_side(&self) -> &PutSide {
        &self.put
    }

    fn get_side(&self) -> &GetSide {
        &self.get
    }

    fn returned(&self) -> &AtomicU32 {
        &self.returned
    }

    fn closed(&self) -> &AtomicU32 {
        &self.closed
    }

    /// So that the models prefetch lines for ownership.
    fn fills_lines(&self) -> bool {
        true
    }

    fn header(&self, cell: CellIndex) -> &AtomicU64 {
        &self.headers[cell.index() as usize]
    }

    fn sequence(&self, cell: CellIndex) -> &AtomicU64 {
        &self.sequences[cell.index() as usize]
    }
}

/// A fresh ring on the heap.
pub(super) fn ring(geometry: Geometry) -> Ring<Heap> {
    let ring = Ring { memory: Heap::new(&geometry), geometry };
    ring.initialise();
    ring
}

/// A slice ring of the given number of 16-byte cells, for bytes.
pub(super) fn bytes(cells: u64, capacity: u64) -> Geometry {
    Geometry::slice(1, 1, capacity, cells * 16).expect("a small ring")
}

/// Writes a payload of `length` bytes into the record at `cell`. Words of its cells that other laps
/// use as headers become garbage.
pub(super) fn write_garbage<M: Memory>(ring: &Ring<M>, cell: CellIndex, length: u32) {
    for behind in 1..ring.geometry.record_cells(length as u64) {
        let inner = ring.geometry.cell(cell.index() + behind).expect("records are contiguous");
        ring.memory.header(inner).store(GARBAGE, Relaxed);
        ring.memory.sequence(inner).store(GARBAGE, Relaxed);
    }
}
