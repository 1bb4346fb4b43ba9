//! A queue as tasks wait for it: what there is, seen without a lock.
//!
//! What is counted may be too high and is never too low (reactor, Invariant 4): a task that is
//! notified in vain waits again, one that is not notified would wait for a slice.

use super::RawQueue;
use crate::lock::{Condvar, KeptCondvar};
use crate::os::Deadline;
use crate::reactor::{Aspect, Available, Awaited, Want};
use std::sync::atomic::Ordering::Acquire;

/// What a caller that tries waits for, and does not keep a place in line for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tries {
    /// A get.
    ToGet { by_lock: bool },
    /// A put of so many bytes.
    ToPut { bytes: usize, by_lock: bool },
}

impl RawQueue {
    fn condvar_of(&self, aspect: Aspect) -> Condvar<'_> {
        match aspect {
            Aspect::Message => self.not_empty(),
            Aspect::Room => self.not_full(),
            Aspect::Closed => self.locks().closing(self.head()),
            Aspect::Finished | Aspect::Given | Aspect::Stopped => self.all_done(),
        }
    }

    /// Where the words are that tasks wait on, by proxy of the reactor.
    pub(crate) fn words_of(&self, aspect: Aspect) -> usize {
        self.condvar_of(aspect).address()
    }

    fn messages_available(&self) -> Available {
        let is_held = self.head().get.owner.load(Acquire) != 0;
        if !self.is_ready_to_get() {
            return Available { units: 0, is_held };
        }
        if self.is_closed() || self.is_poisoned() {
            return Available::ALL;
        }
        // Messages that came back lie before head, and are counted by a walk only.
        let returned = if self.ring.has_returned() { self.ring.len() } else { 0 };
        Available { units: self.ring.ahead().max(returned).max(1), is_held }
    }

    fn room_available(&self) -> Available {
        if self.is_closed() || self.is_poisoned() {
            return Available::ALL;
        }
        let is_held = self.head().put.owner.load(Acquire) != 0;
        if self.topic.is_some() {
            return Available { units: self.room_before_the_gate(), is_held };
        }
        let (geometry, put) = (self.geometry(), &self.head().put);
        // What is larger than the ring wants more than there can be: `has_room` decides.
        let in_files = if self.spills() { geometry.record_cells(self.largest_message() as u64) } else { 0 };
        if put.loans.load(Acquire) != 0 {
            // Aborted records may lie anywhere, and are room (`retreat`): `has_room` decides.
            return Available { units: geometry.cells.max(in_files), is_held };
        }
        let taken = self.head().get.head.load(Acquire);
        let used = geometry.linear(put.tail.load(Acquire)).wrapping_sub(geometry.linear(taken));
        // Cells before head that are on lease, or not yet reclaimed, count as free: `has_room`
        // decides.
        Available { units: geometry.cells.saturating_sub(used.min(geometry.cells)).max(1).max(in_files), is_held }
    }

    /// The aspect and the want of a caller that tries.
    pub(crate) fn wanted_by(&self, tries: Tries) -> (Aspect, Want) {
        match tries {
            Tries::ToGet { by_lock } => (Aspect::Message, Want { by_lock, ..Want::ONE }),
            Tries::ToPut { bytes, by_lock } => (Aspect::Room, Want { is_large: false, ..self.want_room(bytes, by_lock, 0) }),
        }
    }

    /// Would that try return at once with anything but `Empty` or `Full`?
    pub(crate) fn is_worth_a_try(&self, tries: Tries) -> bool {
        match tries {
            Tries::ToGet { by_lock } => (by_lock && self.head().get.owner.load(Acquire) != 0) || self.is_ready_to_get(),
            Tries::ToPut { bytes, by_lock } => {
                (by_lock && self.head().put.owner.load(Acquire) != 0)
                    || self.is_closed()
                    || self.is_poisoned()
                    || bytes > self.largest_message()
                    // A try draws no ticket, and waits behind those of others.
                    || (self.sees_room_for(bytes) && self.drawn_ticket() == 0)
            }
        }
    }

    /// Changes whenever a try of that kind succeeds, in any process.
    pub(crate) fn successes(&self, tries: Tries) -> [u64; 3] {
        match tries {
            Tries::ToGet { .. } => self.takes(),
            Tries::ToPut { .. } => [self.head().put.tail.load(Acquire), 0, 0],
        }
    }

    /// What a put of `bytes` wants, with the ticket that it has.
    pub(crate) fn want_room(&self, bytes: usize, by_lock: bool, ticket: u64) -> Want {
        let units = self.geometry().record_cells(bytes as u64);
        let in_ring = bytes as u64 <= self.geometry().max_message_bytes();
        Want { units, by_lock, is_large: !self.geometry().sized && in_ring && self.is_large_in_cells(units), ticket }
    }
}

impl Awaited for RawQueue {
    fn condvar(&self, aspect: Aspect) -> Option<KeptCondvar> {
        KeptCondvar::new(self.condvar_of(aspect), self.segment())
    }

    fn heavy_barrier(&self) -> bool {
        self.barrier().heavy()
    }

    fn available(&self, aspect: Aspect) -> Available {
        let all_if = |is_so| if is_so { Available::ALL } else { Available::NOTHING };
        match aspect {
            Aspect::Message => self.messages_available(),
            Aspect::Room => self.room_available(),
            Aspect::Finished => all_if(self.is_poisoned() || self.may_be_done()),
            Aspect::Closed | Aspect::Given | Aspect::Stopped => all_if(self.is_closed() || self.is_poisoned()),
        }
    }

    fn has_room(&self, units: u64) -> bool {
        // The most bytes that need as many cells.
        let bytes = || match self.geometry().sized {
            true => self.geometry().message_bytes,
            false => (units - 1) * self.geometry().cell_bytes,
        };
        // Of a queue that has ended, every put is refused at once.
        self.is_closed() || self.is_poisoned() || self.sees_room_for(usize::try_from(bytes()).unwrap_or(usize::MAX))
    }

    fn first_ticket(&self) -> u64 {
        if self.is_closed() || self.is_poisoned() { 0 } else { self.drawn_ticket() }
    }

    fn probe(&self, _: Aspect) {
        self.periodic_probe(Deadline::PASSED);
    }

    fn pass_on(&self, aspect: Aspect) {
        match aspect {
            Aspect::Message => RawQueue::pass_on(self),
            Aspect::Room if self.sees_room(self.smallest_message()) => self.notify_not_full(1),
            // All waiters are woken.
            _ => {}
        }
    }
}
