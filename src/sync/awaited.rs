//! An event and a semaphore as tasks wait for them: what there is, seen without a lock.

use super::{Event, Semaphore};
use crate::lock::KeptCondvar;
use crate::reactor::{Aspect, Available, Awaited};
use crate::wait::Wait;

impl Awaited for Event {
    fn condvar(&self, _: Aspect) -> Option<KeptCondvar> {
        KeptCondvar::new(self.primitive().condvar(), self.primitive().segment())
    }

    fn heavy_barrier(&self) -> bool {
        self.primitive().barrier().heavy()
    }

    fn available(&self, _: Aspect) -> Available {
        // Each task waits for another number than that at which it began: `has_room` decides. Those
        // that an event has released began before the others, and wait in front of them.
        Available::ALL
    }

    fn has_room(&self, units: u64) -> bool {
        self.was_set_since(units)
    }

    fn probe(&self, _: Aspect) {
        // No process can die with it half changed (`event`, Invariant 1).
        self.primitive().segment().report_if_nameless();
    }

    fn pass_on(&self, _: Aspect) {
        // All waiters are woken.
    }
}

impl Awaited for Semaphore {
    fn condvar(&self, _: Aspect) -> Option<KeptCondvar> {
        KeptCondvar::new(self.primitive().condvar(), self.primitive().segment())
    }

    fn heavy_barrier(&self) -> bool {
        self.primitive().barrier().heavy()
    }

    fn available(&self, _: Aspect) -> Available {
        if self.primitive().is_poisoned() {
            return Available::ALL;
        }
        Available { units: self.available(), ..Available::NOTHING }
    }

    fn probe(&self, _: Aspect) {
        self.probe_for_the_dead(Wait::AtOnce);
        self.primitive().segment().report_if_nameless();
    }

    fn pass_on(&self, _: Aspect) {
        if self.has_permits() {
            self.primitive().notify(1);
        }
    }
}
