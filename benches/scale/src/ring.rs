//! One ring of the model: which words share a line (`src/shm/layout/mod.rs`, `src/shm/geometry.rs`), its
//! cursors, and what another core sees of them at a moment.
//!
//! Invariants:
//! 1. A position is READY once and DONE once, in this order; `Ring::take` checks it.
//! 2. A store is seen by other cores from the moment on at which its line was owned.

use crate::lines::Ps;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Put,
    Get,
}

/// Lines at the start of a ring: put side, get side, put notice, get notice. The words of each that
/// the fast path uses lie in one line.
const HEAD_LINES: usize = 4;
const LINE_BYTES: u64 = 64;
const HEADER_BYTES: u64 = 8;

/// A message: its putter, and its number among those of this putter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub putter: usize,
    pub number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    ready: u64,
    ready_at: Ps,
    done: u64,
    done_at: Ps,
    message: Message,
}

/// A cursor as the other side sees it: its value, and older ones while a store is on its way.
#[derive(Debug, Default)]
struct Cursor {
    value: u64,
    stores: VecDeque<(Ps, u64)>,
}

impl Cursor {
    fn store(&mut self, value: u64, visible: Ps) {
        self.stores.push_back((visible, value));
    }

    fn load(&mut self, now: Ps) -> u64 {
        while self.stores.front().is_some_and(|(visible, _)| *visible <= now) {
            self.value = self.stores.pop_front().map_or(self.value, |(_, value)| value);
        }
        self.value
    }
}

/// The lock of a side, and the actors that sleep on it or until the other side has done something.
#[derive(Debug, Default)]
pub struct Gate {
    pub holder: Option<usize>,
    /// Actors asleep on the lock.
    pub lock_sleepers: VecDeque<usize>,
    /// Actors asleep until there is something to do on this side.
    pub idle_sleepers: VecDeque<usize>,
}

#[derive(Debug)]
pub struct Ring {
    first_line: usize,
    cells: Vec<Cell>,
    cell_bytes: u64,
    pub put: Gate,
    pub get: Gate,
    pub tail: u64,
    pub reclaim: u64,
    pub head_seen: u64,
    pub head: u64,
    tail_shared: Cursor,
    head_shared: Cursor,
    /// Number of the last message taken of each putter, and 1.
    last_taken: Vec<u64>,
}

const NEVER: Cell = Cell { ready: u64::MAX, ready_at: 0, done: u64::MAX, done_at: 0, message: Message { putter: 0, number: 0 } };

impl Ring {
    pub fn new(first_line: usize, capacity: u64, message_bytes: u64, putters: usize) -> Ring {
        Ring {
            first_line,
            cells: vec![NEVER; capacity as usize + 1],
            cell_bytes: message_bytes + HEADER_BYTES,
            put: Gate::default(),
            get: Gate::default(),
            tail: 0,
            reclaim: 0,
            head_seen: 0,
            head: 0,
            tail_shared: Cursor::default(),
            head_shared: Cursor::default(),
            last_taken: vec![0; putters],
        }
    }

    /// Lines of a ring.
    pub fn lines(capacity: u64, message_bytes: u64) -> usize {
        HEAD_LINES + ((capacity + 1) * (message_bytes + HEADER_BYTES)).div_ceil(LINE_BYTES) as usize
    }

    pub fn side_line(&self, side: Side) -> usize {
        self.first_line + side as usize
    }

    /// The line that a side reads at each message, and sleepers of the other side write.
    pub fn notice_line(&self, side: Side) -> usize {
        self.first_line + 2 + side as usize
    }

    pub fn gate(&mut self, side: Side) -> &mut Gate {
        match side {
            Side::Put => &mut self.put,
            Side::Get => &mut self.get,
        }
    }

    fn index(&self, position: u64) -> u64 {
        position % self.cells.len() as u64
    }

    pub fn header_line(&self, position: u64) -> usize {
        self.first_line + HEAD_LINES + (self.index(position) * self.cell_bytes / LINE_BYTES) as usize
    }

    /// All lines of a record, that of its header first.
    pub fn record_lines(&self, position: u64) -> std::ops::RangeInclusive<usize> {
        let end = (self.index(position) + 1) * self.cell_bytes - 1;
        self.header_line(position)..=self.first_line + HEAD_LINES + (end / LINE_BYTES) as usize
    }

    /// The lines of several records up to the ring's end.
    pub fn stretch_lines(&self, position: u64, count: u64) -> std::ops::RangeInclusive<usize> {
        self.header_line(position)..=*self.record_lines(position + count.max(1) - 1).end()
    }

    pub fn to_end(&self, position: u64) -> u64 {
        self.cells.len() as u64 - self.index(position)
    }

    /// Does a stretch of `length` records begin there?
    pub fn begins_stretch(&self, position: u64, length: u64) -> bool {
        self.index(position) % length == 0
    }

    /// Records that find room without another load of head.
    pub fn room(&self) -> u64 {
        self.cells.len() as u64 - 1 - (self.tail - self.reclaim)
    }

    pub fn is_ready(&self, position: u64, now: Ps) -> bool {
        let cell = &self.cells[self.index(position) as usize];
        cell.ready == position && cell.ready_at <= now
    }

    pub fn is_done(&self, position: u64, now: Ps) -> bool {
        let cell = &self.cells[self.index(position) as usize];
        cell.done == position && cell.done_at <= now
    }

    pub fn set_ready(&mut self, position: u64, message: Message, visible: Ps) {
        let size = self.cells.len() as u64;
        assert!(position >= self.tail && position + 1 < self.reclaim + size, "a record over one that was not reclaimed");
        let index = self.index(position) as usize;
        self.cells[index] = Cell { ready: position, ready_at: visible, message, ..self.cells[index] };
    }

    pub fn set_done(&mut self, position: u64, visible: Ps) {
        let index = self.index(position) as usize;
        let cell = &mut self.cells[index];
        (cell.done, cell.done_at) = (position, visible);
    }

    pub fn move_tail(&mut self, count: u64, visible: Ps) {
        self.tail += count;
        self.tail_shared.store(self.tail, visible);
    }

    pub fn move_head(&mut self, count: u64, visible: Ps) {
        self.head += count;
        self.head_shared.store(self.head, visible);
    }

    pub fn load_tail(&mut self, now: Ps) -> u64 {
        self.tail_shared.load(now)
    }

    pub fn load_head(&mut self, now: Ps) -> u64 {
        self.head_shared.load(now)
    }

    /// Takes the record: it must be there, once, and behind all that its putter put before.
    pub fn take(&mut self, position: u64) {
        let cell = self.cells[self.index(position) as usize];
        assert_eq!(cell.ready, position, "a record that is not there was taken");
        assert!(cell.done != position, "a record was taken twice");
        let last = &mut self.last_taken[cell.message.putter];
        assert!(cell.message.number >= *last, "messages of one putter changed places");
        *last = cell.message.number + 1;
    }
}
