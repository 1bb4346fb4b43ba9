//! Random operations against a plain model of the ring: a queue of records that does not model the
//! words of cells.

use super::heap::{self, Heap, bytes, write_garbage};
use crate::atomic::AtomicU64;
use crate::atomic::Ordering::Relaxed;
use crate::ring::{Front, Header, Memory, NoRoom, Owner, Record, Ring, Slot, State, Upto};
use crate::ring::{SIZED_RING, SLICE_RING};
use crate::shm::geometry::{CellIndex, Geometry};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Cells of payload, taken modulo what the ring allows.
    Put(u64),
    Lend(u64),
    /// Index among the open loans, and the cells of payload that it keeps.
    Commit(usize, u64),
    Abort(usize),
    Take,
    Lease,
    Release(usize),
    GiveBack(usize),
    GiveBackUncounted(usize),
    /// The message is done, and read on.
    IntoView(usize),
    DropView(usize),
    /// This many of the oldest leases and views: as if their owners had died.
    FreeTheDead(usize),
}

fn operation() -> impl Strategy<Value = Op> {
    let (which, cells) = (0..8usize, 0..8u64);
    prop_oneof![
        6 => cells.clone().prop_map(Op::Put),
        2 => cells.clone().prop_map(Op::Lend),
        2 => (which.clone(), cells).prop_map(|(which, cells)| Op::Commit(which, cells)),
        1 => which.clone().prop_map(Op::Abort),
        5 => Just(Op::Take),
        3 => Just(Op::Lease),
        2 => which.clone().prop_map(Op::Release),
        2 => which.clone().prop_map(Op::GiveBack),
        1 => which.clone().prop_map(Op::GiveBackUncounted),
        2 => which.clone().prop_map(Op::IntoView),
        2 => which.clone().prop_map(Op::DropView),
        1 => which.prop_map(Op::FreeTheDead),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Lent,
    Ready,
    Leased,
    Returned,
    Viewed,
    /// Its cells wait to be reclaimed: taken, aborted, filler, or cut off by a shorter commit.
    Done,
}

#[derive(Clone, Debug)]
struct Entry {
    status: Status,
    /// Fillers are no messages: they do not count against a bound in messages.
    counts: bool,
    cells: u64,
    length: u32,
    message: u64,
    deliveries: u32,
    /// Head is behind it.
    passed: bool,
    handle: Option<(CellIndex, Header)>,
}

impl Entry {
    /// Its handle is that of a view.
    fn read_on(&mut self) {
        self.handle = self.handle.map(|(cell, header)| (cell, header.pinned()));
    }
}

/// The records from the oldest whose space is not free, oldest first.
struct Model {
    geometry: Geometry,
    entries: VecDeque<Entry>,
    /// CellIndex of the next record.
    tail: u64,
}

impl Model {
    fn used(&self) -> u64 {
        self.entries.iter().map(|entry| entry.cells).sum()
    }

    /// Finished records at the old end, and behind head, are free space.
    fn trim(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.status == Status::Done && entry.passed) {
            self.entries.pop_front();
        }
    }

    /// Head advances over skipped records.
    fn step_head(&mut self) {
        let skipped = |entry: &&mut Entry| entry.passed || entry.status == Status::Done;
        self.entries.iter_mut().take_while(skipped).for_each(|entry| entry.passed = true);
        self.trim();
    }

    /// Tail moves back over skipped records, as far as head.
    fn retreat(&mut self) {
        while self.entries.back().is_some_and(|entry| entry.status == Status::Done && !entry.passed) {
            let cells = self.entries.pop_back().map_or(0, |entry| entry.cells);
            self.tail = (self.tail + self.geometry.cells - cells) % self.geometry.cells;
        }
    }

    /// Cells of filler that a record of `length` bytes needs first; `None`: no room.
    fn room(&self, length: u32) -> Option<u64> {
        let cells = self.geometry.record_cells(length as u64);
        let to_end = self.geometry.cells - self.tail;
        let filler = if cells > to_end { to_end } else { 0 };
        let messages = self.entries.iter().filter(|entry| entry.counts).count() as u64;
        (self.used() + filler + cells < self.geometry.cells && messages < self.geometry.capacity).then_some(filler)
    }

    fn publish(&mut self, entry: Entry) {
        self.tail = (self.tail + entry.cells) % self.geometry.cells;
        self.entries.push_back(entry);
    }

    fn nth(&mut self, status: Status, which: usize) -> Option<usize> {
        let all: Vec<usize> = (0..self.entries.len()).filter(|&at| self.entries[at].status == status).collect();
        (!all.is_empty()).then(|| all[which % all.len()])
    }

    fn next(&self) -> Option<usize> {
        let first = |status| self.entries.iter().position(|entry| entry.status == status);
        first(Status::Returned).or_else(|| {
            let ready = first(Status::Ready)?;
            first(Status::Lent).is_none_or(|lent| ready < lent).then_some(ready)
        })
    }
}

struct Pair {
    ring: Ring<Heap>,
    messages: Vec<u64>,
    model: Model,
    /// As a process keeps it: one for getters that take, one for a scan for held records.
    settled: AtomicU64,
    settled_by_probes: AtomicU64,
    next_message: u64,
}

impl Pair {
    fn new(geometry: Geometry) -> Pair {
        let model = Model { geometry, entries: VecDeque::new(), tail: 0 };
        let messages = vec![0; geometry.cells as usize];
        let (settled, settled_by_probes) = (AtomicU64::new(0), AtomicU64::new(0));
        Pair { ring: heap::ring(geometry), messages, model, settled, settled_by_probes, next_message: 1 }
    }

    fn length(&self, cells: u64) -> u32 {
        match self.ring.geometry.sized {
            true => self.ring.geometry.message_bytes as u32,
            false => (cells * self.ring.geometry.cell_bytes % (self.ring.geometry.max_message_bytes() + 1)) as u32,
        }
    }

    fn reserve(&self, length: u32) -> Option<Slot> {
        let at_once = match self.ring.geometry.sized {
            true => self.ring.reserve_at_once::<SIZED_RING>(length),
            false => self.ring.reserve_at_once::<SLICE_RING>(length),
        };
        let room = at_once.map_or_else(|| self.ring.reserve(length), Ok);
        let room = room.or_else(|_| {
            // As the queue does: an aborted record at head stops reclaim, until head advances over
            // it; tail moves back over others before it.
            let end = self.ring.untaken_end(|_, _| false).expect("not corrupted");
            self.ring.retreat(end).expect("not corrupted");
            self.ring.front().expect("not corrupted");
            self.ring.reserve(length)
        });
        assert_ne!(room.as_ref().err(), Some(&NoRoom::Corrupted));
        room.ok()
    }

    fn write(&mut self, cell: CellIndex, length: u32) {
        self.messages[cell.index() as usize] = self.next_message;
        write_garbage(&self.ring, cell, length);
    }

    /// Puts, or lends: the model and the ring agree on whether there is room.
    fn publish(&mut self, length: u32, status: Status) {
        let expected = self.model.room(length).or_else(|| {
            self.model.retreat();
            self.model.step_head();
            self.model.room(length)
        });
        assert_eq!(self.ring.has_room(length, true), Ok(expected.is_some()), "has_room of {length} bytes");
        let slot = self.reserve(length);
        assert_eq!(slot.is_some(), expected.is_some(), "room for {length} bytes");
        let (Some(slot), Some(filler)) = (slot, expected) else { return };
        let message = self.next_message;
        let done = Entry {
            status: Status::Done,
            counts: false,
            cells: filler,
            length: 0,
            message: 0,
            deliveries: 0,
            passed: false,
            handle: None,
        };
        if filler > 0 {
            self.model.publish(done.clone());
        }
        assert_eq!(slot.cell.index(), self.model.tail, "records lie one after the other");
        let mut handle = None;
        let cell = slot.cell;
        if status == Status::Lent {
            let loans = &self.ring.memory.put_side().loans;
            loans.store(loans.load(Relaxed) + 1, Relaxed);
            handle = Some(self.ring.claim(slot, Owner::new(7, 9)));
            self.write(cell, length);
        } else {
            self.write(cell, length);
            self.ring.commit(slot);
        }
        let cells = self.ring.geometry.record_cells(length as u64);
        self.model.publish(Entry { status, counts: true, cells, length, message, handle, ..done });
        self.next_message += 1;
    }

    fn next_record(&self) -> Option<Record> {
        if self.ring.may_hold_returned() {
            if let Some(record) = self.ring.first_returned(&self.settled).expect("not corrupted") {
                return Some(record);
            }
        }
        match self.ring.front().expect("not corrupted") {
            Front::Ready(record) => Some(record),
            Front::Empty | Front::Claimed(..) => None,
        }
    }

    /// Takes, or leases: the model and the ring agree on which message comes next.
    fn get(&mut self, lease: bool) -> Option<u64> {
        let expected = self.model.next();
        if expected.is_none_or(|at| self.model.entries[at].status == Status::Ready) {
            // Until the next message, or as far as head comes.
            let passed = expected.unwrap_or(0);
            self.model.entries.iter_mut().take(passed).for_each(|entry| entry.passed = true);
            if expected.is_none() {
                let skipped = |entry: &&mut Entry| entry.passed || entry.status == Status::Done;
                self.model.entries.iter_mut().take_while(skipped).for_each(|entry| entry.passed = true);
            }
        }
        let record = self.next_record();
        assert_eq!(record.is_some(), expected.is_some(), "a next message");
        let (record, at) = (record?, expected?);
        let entry = &mut self.model.entries[at];
        entry.passed = true;
        assert_eq!(self.messages[record.cell.index() as usize], entry.message);
        assert_eq!(record.length(), entry.length as usize);
        assert_eq!(record.header.deliveries(), entry.deliveries);
        assert_eq!(record.is_redelivery(), entry.status == Status::Returned);
        if lease {
            let leases = &self.ring.memory.get_side().leases;
            leases.store(leases.load(Relaxed) + 1, Relaxed);
            entry.handle = Some(self.ring.lease(record, Owner::new(7, 9)));
            entry.status = Status::Leased;
            entry.deliveries += 1;
        } else {
            self.ring.take(record);
            entry.status = Status::Done;
        }
        Some(entry.message)
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Put(cells) => self.publish(self.length(cells), Status::Ready),
            Op::Lend(cells) => self.publish(self.length(cells), Status::Lent),
            Op::Take => drop(self.get(false)),
            Op::Lease => drop(self.get(true)),
            Op::Commit(which, cells) => self.commit(which, cells),
            Op::Abort(which) => {
                self.finish(Status::Lent, which, Status::Done, |ring, cell, header| ring.abort_claimed(cell, header))
            }
            Op::Release(which) => {
                self.finish(Status::Leased, which, Status::Done, |ring, cell, header| ring.release(cell, header))
            }
            Op::GiveBack(which) => {
                self.finish(Status::Leased, which, Status::Returned, |ring, cell, header| ring.give_back(cell, header))
            }
            Op::GiveBackUncounted(which) => {
                let at = self.model.nth(Status::Leased, which);
                self.finish(Status::Leased, which, Status::Returned, |ring, cell, header| ring.give_back_uncounted(cell, header));
                at.iter().for_each(|&at| self.model.entries[at].deliveries -= 1);
            }
            Op::IntoView(which) => {
                let at = self.model.nth(Status::Leased, which);
                let pin = |ring: &Ring<Heap>, cell, header| ring.pin(cell, header).is_some();
                self.finish(Status::Leased, which, Status::Viewed, pin);
                at.iter().for_each(|&at| self.model.entries[at].read_on());
            }
            Op::DropView(which) => {
                let at = self.model.nth(Status::Viewed, which);
                at.iter().for_each(|&at| assert!(self.shows(at), "what a view shows"));
                self.finish(Status::Viewed, which, Status::Done, |ring, cell, header| ring.unpin(cell, header));
            }
            Op::FreeTheDead(most) => self.free_the_dead(most),
        }
        self.model.trim();
        self.check();
    }

    fn shows(&self, at: usize) -> bool {
        let entry = &self.model.entries[at];
        entry.handle.is_some_and(|(cell, _)| self.messages[cell.index() as usize] == entry.message)
    }

    /// All leases and views belong to dead owners, and at most this many are found.
    fn free_the_dead(&mut self, most: usize) {
        let is_dead = |_| true;
        let found = self.ring.find_the_dead(Upto::Head, &self.settled_by_probes, is_dead, |_| false, most + 1);
        let found = found.expect("not corrupted");
        let freed = self.ring.free_found(&found, is_dead, |_| false, |_, _| ());
        let ended = self.ring.end_found_views(&found, is_dead);
        let is_held = |entry: &&mut Entry| matches!(entry.status, Status::Leased | Status::Viewed);
        let (mut came_back, mut viewed) = (0, 0);
        for entry in self.model.entries.iter_mut().filter(is_held).take(most + 1) {
            let is_leased = entry.status == Status::Leased;
            *if is_leased { &mut came_back } else { &mut viewed } += 1;
            entry.status = if is_leased { Status::Returned } else { Status::Done };
        }
        assert_eq!((freed.redelivered, ended, freed.given_up, freed.aborted), (came_back, viewed, 0, 0));
    }

    fn finish(&mut self, from: Status, which: usize, to: Status, finish: impl Fn(&Ring<Heap>, CellIndex, Header) -> bool) {
        let Some(at) = self.model.nth(from, which) else { return };
        let entry = &mut self.model.entries[at];
        let (cell, header) = entry.handle.expect("who holds it has a handle");
        assert!(finish(&self.ring, cell, header));
        assert!(!finish(&self.ring, cell, header), "finished twice");
        entry.status = to;
    }

    fn commit(&mut self, which: usize, cells: u64) {
        let Some(at) = self.model.nth(Status::Lent, which) else { return };
        let length = self.length(cells).min(self.model.entries[at].length);
        let kept = self.ring.geometry.record_cells(length as u64);
        self.finish(Status::Lent, which, Status::Ready, |ring, cell, header| ring.commit_claimed(cell, header, length));
        let entry = &mut self.model.entries[at];
        let spare = entry.cells - kept;
        (entry.cells, entry.length) = (kept, length);
        if spare > 0 {
            let rest = Entry { status: Status::Done, counts: false, cells: spare, length: 0, handle: None, ..entry.clone() };
            self.model.entries.insert(at + 1, rest);
        }
    }

    fn check(&self) {
        let count = |wanted: &[Status]| self.model.entries.iter().filter(|entry| wanted.contains(&entry.status)).count() as u64;
        assert_eq!(self.ring.unfinished(), Ok(count(&[Status::Ready, Status::Leased, Status::Returned])), "unfinished");
        assert_eq!(self.ring.len(), count(&[Status::Ready, Status::Returned]), "len");
        if let Some(state) = self.ring.nothing_to_take() {
            assert_eq!(self.model.next(), None, "a probe found {state:?}");
        }
    }

    /// Finishes the held records, drains, fills to exact capacity, drains.
    fn wind_up(mut self) {
        for _ in 0..self.ring.geometry.cells {
            self.run(Op::Abort(0));
            self.run(Op::GiveBack(0));
            self.run(Op::DropView(0));
        }
        while self.get(false).is_some() {
            self.model.trim();
        }
        assert_eq!(self.ring.len(), 0);
        let length = self.length(0);
        let capacity = self.ring.geometry.capacity.min(self.ring.geometry.cells - 1);
        for _ in 0..capacity + 1 {
            self.run(Op::Put(0));
        }
        assert_eq!(self.ring.len(), capacity);
        assert_eq!(self.ring.has_room(length, true), Ok(false));
        let first = self.next_message - capacity;
        let drained: Vec<u64> = std::iter::from_fn(|| self.get(false)).collect();
        assert_eq!(drained, (first..self.next_message).collect::<Vec<_>>());
        assert_eq!(self.ring.nothing_to_take(), Some(State::Free));
    }
}

fn geometry() -> impl Strategy<Value = Geometry> {
    prop_oneof![
        (1..6u64).prop_map(|capacity| Geometry::sized(8, 8, capacity).expect("a small ring")),
        (6..20u64, prop_oneof![1..6u64, Just(u64::MAX)]).prop_map(|(cells, capacity)| bytes(cells, capacity)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_queue(geometry in geometry(), operations in prop::collection::vec(operation(), 0..200)) {
        let mut pair = Pair::new(geometry);
        for op in operations {
            pair.run(op);
        }
        pair.wind_up();
    }
}
