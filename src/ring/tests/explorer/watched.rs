//! Memory that records an image of itself whenever the ring requests a word.

use super::super::heap::{Heap, write_garbage};
use crate::atomic::Ordering::Relaxed;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::ring::{Memory, Ring};
use crate::shm::geometry::{CellIndex, Geometry};
use crate::shm::layout::{GetSide, PutSide};
use std::cell::RefCell;

/// All that survives a kill: the words named below, then header, sequence and payload of each cell.
pub(super) type Image = Vec<u64>;

pub(super) const TAIL: usize = 0;
pub(super) const RECLAIM: usize = 1;
pub(super) const HEAD: usize = 2;
pub(super) const HEAD_SEEN: usize = 3;
pub(super) const RETURNED: usize = 4;
pub(super) const LOANS: usize = 5;
pub(super) const LEASES: usize = 6;
pub(super) const SETTLED: usize = 7;
const CELLS: usize = 8;
const WORDS_A_CELL: usize = 3;

/// Index of the words of a cell in an image.
pub(super) fn header_at(cell: u64) -> usize {
    CELLS + WORDS_A_CELL * cell as usize
}

pub(super) fn sequence_at(cell: u64) -> usize {
    header_at(cell) + 1
}

/// Payload is one number, which distinguishes messages.
pub(super) fn tag_at(cell: u64) -> usize {
    header_at(cell) + 2
}

/// Locks that are held, by a running process or by a dead one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub put: bool,
    pub get: bool,
}

#[derive(Debug, Default)]
struct Journal {
    open: bool,
    held: Held,
    images: Vec<(Image, Held)>,
}

#[derive(Debug)]
pub(super) struct Watched {
    heap: Heap,
    geometry: Geometry,
    tags: RefCell<Vec<u64>>,
    journal: RefCell<Journal>,
}

impl Watched {
    pub fn ring(geometry: Geometry) -> Ring<Watched> {
        let tags = RefCell::new(vec![0; geometry.cells as usize]);
        let ring = Ring { memory: Watched { heap: Heap::new(&geometry), geometry, tags, journal: RefCell::default() }, geometry };
        ring.initialise();
        ring
    }

    /// Leaves out words that only inform observers.
    fn named(&self) -> [&AtomicU64; 7] {
        let (put, get) = (self.heap.put_side(), self.heap.get_side());
        [&put.tail, &put.reclaim, &get.head, &put.head_seen, &put.loans, &get.leases, &put.settled]
    }

    pub fn image(&self) -> Image {
        let [tail, reclaim, head, head_seen, loans, leases, settled] = self.named().map(|word| word.load(Relaxed));
        let mut image = vec![tail, reclaim, head, head_seen, self.heap.returned().load(Relaxed) as u64, loans, leases, settled];
        let tags = self.tags.borrow();
        for index in 0..self.geometry.cells {
            let cell = self.geometry.cell(index).expect("index < cells");
            let (header, sequence) = (self.heap.header(cell), self.heap.sequence(cell));
            image.extend([header.load(Relaxed), sequence.load(Relaxed), tags[index as usize]]);
        }
        image
    }

    pub fn restore(&self, image: &Image) {
        for (word, at) in self.named().into_iter().zip([TAIL, RECLAIM, HEAD, HEAD_SEEN, LOANS, LEASES, SETTLED]) {
            word.store(image[at], Relaxed);
        }
        self.heap.returned().store(image[RETURNED] as u32, Relaxed);
        for index in 0..self.geometry.cells {
            let cell = self.geometry.cell(index).expect("index < cells");
            self.heap.header(cell).store(image[header_at(index)], Relaxed);
            self.heap.sequence(cell).store(image[sequence_at(index)], Relaxed);
            self.tags.borrow_mut()[index as usize] = image[tag_at(index)];
        }
    }

    /// Starts a journal of what a kill would leave.
    pub fn open_journal(&self, held: Held) {
        *self.journal.borrow_mut() = Journal { open: true, held, images: Vec::new() };
        self.observe();
    }

    /// The images that a kill would have left, from before the first store to after the last.
    pub fn close_journal(&self) -> Vec<(Image, Held)> {
        self.observe();
        let mut journal = self.journal.borrow_mut();
        journal.open = false;
        std::mem::take(&mut journal.images)
    }

    /// Takes or releases locks.
    pub fn hold(&self, change: impl FnOnce(&mut Held)) {
        self.observe();
        change(&mut self.journal.borrow_mut().held);
        self.observe();
    }

    fn observe(&self) {
        let mut journal = self.journal.borrow_mut();
        if !journal.open {
            return;
        }
        let held = journal.held;
        let image = self.image();
        if let Some((last, last_held)) = journal.images.last() {
            if *last == image && *last_held == held {
                return;
            }
            let stored: Vec<usize> = (0..image.len()).filter(|&at| last[at] != image[at]).collect();
            assert!(stored.len() <= 2, "{stored:?} stored without a kill between them: {last:x?} to {image:x?}");
            if stored.len() == 2 {
                // Whichever came first.
                let last = last.clone();
                for at in stored {
                    let mut between = last.clone();
                    between[at] = image[at];
                    journal.images.push((between, held));
                }
            }
        }
        journal.images.push((image, held));
    }

    pub fn tag(&self, cell: CellIndex) -> u64 {
        self.tags.borrow()[cell.index() as usize]
    }
}

/// Writes a message's payload. A kill in the middle of it leaves the same state as a kill before or
/// after it.
pub(super) fn write_payload(ring: &Ring<Watched>, cell: CellIndex, length: u32, tag: u64) {
    let memory = &ring.memory;
    memory.observe();
    let was_open = std::mem::take(&mut memory.journal.borrow_mut().open);
    memory.tags.borrow_mut()[cell.index() as usize] = tag;
    write_garbage(ring, cell, length);
    let mut journal = memory.journal.borrow_mut();
    journal.open = was_open;
    if was_open {
        let held = journal.held;
        journal.images.push((memory.image(), held));
    }
}

impl Memory for Watched {
    fn put_side(&self) -> &PutSide {
        self.observe();
        self.heap.put_side()
    }

    fn get_side(&self) -> &GetSide {
        self.observe();
        self.heap.get_side()
    }

    fn returned(&self) -> &AtomicU32 {
        self.observe();
        self.heap.returned()
    }

    fn closed(&self) -> &AtomicU32 {
        self.observe();
        self.heap.closed()
    }

    fn fills_lines(&self) -> bool {
        self.heap.fills_lines()
    }

    fn header(&self, cell: CellIndex) -> &AtomicU64 {
        self.observe();
        self.heap.header(cell)
    }

    fn sequence(&self, cell: CellIndex) -> &AtomicU64 {
        self.observe();
        self.heap.sequence(cell)
    }
}
