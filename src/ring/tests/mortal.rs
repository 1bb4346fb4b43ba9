//! Memory whose user dies, for loom: a kill before any access.

use super::heap::Heap;
use crate::atomic::{AtomicU32, AtomicU64};
use crate::ring::Memory;
use crate::shm::geometry::CellIndex;
use crate::shm::layout::{GetSide, PutSide};
use ::loom::sync::Arc;
use std::cell::Cell as Counter;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Never dies.
pub(super) const ALIVE: u32 = u32::MAX;

/// Words of a heap, for a worker that dies when its accesses are used up: before each word that it
/// requests for the ring.
#[derive(Debug)]
pub(super) struct Mortal {
    heap: Arc<Heap>,
    accesses_left: Counter<u32>,
}

/// Payload of the unwind that stands for a death.
pub(super) struct Death;

impl Mortal {
    pub fn over(heap: Arc<Heap>, accesses: u32) -> Mortal {
        Mortal { heap, accesses_left: Counter::new(accesses) }
    }

    pub fn heap(&self) -> &Arc<Heap> {
        &self.heap
    }

    fn live(&self) -> &Heap {
        match self.accesses_left.get() {
            ALIVE => {}
            0 => resume_unwind(Box::new(Death)),
            left => self.accesses_left.set(left - 1),
        }
        &self.heap
    }
}

impl Memory for Mortal {
    fn put_side(&self) -> &PutSide {
        self.live().put_side()
    }

    fn get_side(&self) -> &GetSide {
        self.live().get_side()
    }

    fn returned(&self) -> &AtomicU32 {
        self.live().returned()
    }

    fn closed(&self) -> &AtomicU32 {
        self.live().closed()
    }

    fn fills_lines(&self) -> bool {
        self.heap.fills_lines()
    }

    fn header(&self, cell: CellIndex) -> &AtomicU64 {
        self.live().header(cell)
    }

    fn sequence(&self, cell: CellIndex) -> &AtomicU64 {
        self.live().sequence(cell)
    }
}

/// Runs `act`. Returns `true` if it completed, `false` if the worker died.
pub(super) fn survives(act: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(()) => true,
        Err(cause) if cause.is::<Death>() => false,
        Err(cause) => resume_unwind(cause),
    }
}
