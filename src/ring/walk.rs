//! Scanning and counting records without owning the side that moves reclaim.

use super::{Corrupted, Header, Memory, Ring, State};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::atomic::{AtomicU64, fence};
use crate::shm::geometry::CellIndex;

/// Attempts before giving up: positions may move faster than they can be read.
const ATTEMPTS: u32 = 64;
/// Walks before giving up: tail may move back again and again.
const RETREATS: u32 = 1000;

impl<M: Memory> Ring<M> {
    /// Visits the records of [reclaim, end) in order, DONE ones left out, until `visit` returns
    /// `false`. Putters may move reclaim meanwhile: it is reread after each header, and if it
    /// passed the walk, the walk continues from it (all before it is DONE). If tail moved back, the
    /// walk continues behind the last record that no retreat can have touched; CLAIMED ones may be
    /// visited again. A record that `visit` sees was in the ring when its header was read. It stays
    /// there as long as no process can finish it: it is RETURNED or held by a dead owner, and the
    /// caller owns the get side (Invariant 4).
    pub fn walk(&self, end: u64, visit: impl FnMut(u64, CellIndex, Header) -> bool) -> Result<(), Corrupted> {
        self.walk_from(0, end, visit)
    }

    /// Walks [`from`, end) in the same way, where all records before `from` are known to be DONE;
    /// `from` is the start of a record, or was reclaimed.
    pub fn walk_from(&self, from: u64, end: u64, mut visit: impl FnMut(u64, CellIndex, Header) -> bool) -> Result<(), Corrupted> {
        let put = self.memory.put_side();
        let (reclaim, retreats) = (&put.reclaim, &put.retreats);
        // Loaded after the count: no retreat that is counted later moves tail behind it.
        let kept_now = || put.settled.load(Acquire).max(self.memory.get_side().head.load(Acquire));
        let mut gone_back = retreats.load(Acquire);
        let mut kept = kept_now();
        let mut at = reclaim.load(Acquire).max(from);
        let mut firm = at;
        let mut restarts = 0;
        // Restarts count too: putters advance by one lap at most while the caller, or the records
        // that it searches for, pin the rest.
        let longest = 2 * self.geometry.cells;
        let mut steps = 0;
        while steps <= longest {
            steps += 1;
            if at >= end {
                return Ok(());
            }
            let cell = self.cell(at)?;
            let header = self.load_header(cell);
            // Orders the header's load before that of reclaim: a putter's write into reclaimed
            // cells becomes visible only with a newer reclaim.
            fence(Acquire);
            let now = reclaim.load(Relaxed);
            let retreated = retreats.load(Relaxed);
            if retreated != gone_back {
                if restarts == RETREATS {
                    // From `kept` on there are only records that are aborted again and again.
                    return if at < kept { Err(Corrupted) } else { Ok(()) };
                }
                gone_back = retreated;
                restarts += 1;
                steps = 0;
                firm = firm.max(now);
                at = firm;
                kept = kept_now();
                continue;
            }
            if now > at {
                at = now;
                firm = now;
                continue;
            }
            let state = header.state().ok_or(Corrupted)?;
            if state == State::Free {
                return Ok(());
            }
            // Checked before `visit` sees the record: a length that leads out of the ring is
            // garbage.
            let next = self.after(at, header)?;
            if state != State::Done && !visit(at, cell, header) {
                return Ok(());
            }
            at = next;
            // A taken record is before head, and tail never moves back behind head; a record that
            // is not taken keeps its place.
            if !matches!(state, State::Done | State::Claimed) || next <= kept {
                firm = next;
                restarts = 0;
            }
        }
        Err(Corrupted)
    }

    /// [`walk`](Ring::walk) to the FREE word that ends the records (Invariant 1): the stored tail
    /// may not cover the last of them (Invariant 2). All records that were in the ring when the
    /// walk began lie within a lap of its start, so it ends there, however fast putters add more.
    pub fn walk_all(&self, visit: impl FnMut(u64, CellIndex, Header) -> bool) -> Result<(), Corrupted> {
        self.walk(self.geometry.next_lap(self.memory.put_side().reclaim.load(Acquire)), visit)
    }

    /// Position of the FREE word that ends the records: at the stored tail, or behind records that
    /// the stored tail does not cover. Returns `None` if the cells on the way were reclaimed
    /// meanwhile, so that tail is far ahead by now, or if tail moved back.
    pub(super) fn end(&self) -> Result<Option<u64>, Corrupted> {
        let put = self.memory.put_side();
        let retreats = put.retreats.load(Acquire);
        let mut at = put.tail.load(Acquire);
        // One record per step, and no more than a lap.
        for _ in 0..=self.geometry.cells {
            let header = self.load_header(self.cell(at)?);
            // As in `walk`: the header of a reclaimed cell may be payload and is discarded.
            fence(Acquire);
            if put.reclaim.load(Relaxed) > at || put.retreats.load(Relaxed) != retreats {
                return Ok(None);
            }
            if header.state().ok_or(Corrupted)? == State::Free {
                return Ok(Some(at));
            }
            at = self.after(at, header)?;
        }
        Err(Corrupted)
    }

    /// Number of records ever published, without fillers, with those that the stored tail does not
    /// cover. Needs no side.
    pub fn published(&self) -> u64 {
        let put = self.memory.put_side();
        for _ in 0..ATTEMPTS {
            let retreats = put.retreats.load(Acquire);
            let end = match self.end() {
                Ok(Some(end)) => end,
                Ok(None) => continue,
                Err(Corrupted) => break,
            };
            if self.geometry.sized {
                return self.geometry.linear(end);
            }
            let Ok(cell) = self.cell(end) else { break };
            let sequence = self.memory.sequence(cell).load(Acquire);
            // The sequence beside the FREE word stays until the cells are reclaimed, or tail moves
            // back.
            fence(Acquire);
            if put.reclaim.load(Relaxed) <= end && put.retreats.load(Relaxed) == retreats {
                return sequence;
            }
        }
        self.count_at(&put.tail)
    }

    /// Records ever published before the one at `cursor`.
    pub(super) fn count_at(&self, cursor: &AtomicU64) -> u64 {
        for _ in 0..ATTEMPTS {
            let at = cursor.load(Acquire);
            if self.geometry.sized {
                return self.geometry.linear(at);
            }
            let Ok(cell) = self.cell(at) else { return 0 };
            let sequence = self.memory.sequence(cell).load(Acquire);
            fence(Acquire);
            if cursor.load(Relaxed) == at {
                return sequence;
            }
        }
        0
    }

    /// Committed messages that have not been taken. Exact when nothing moves; otherwise a value
    /// that was right at some point between call and return.
    pub fn len(&self) -> u64 {
        let in_place = self.memory.put_side().loans.load(Acquire) != 0 || self.memory.get_side().leases.load(Acquire) != 0;
        if in_place {
            if let Some(counted) = self.count_untaken() {
                return counted.min(self.geometry.capacity);
            }
        }
        self.ahead()
    }

    /// Records from head on: open and aborted loans count as messages, returned records do not.
    /// Reads both ends, without a walk.
    pub fn ahead(&self) -> u64 {
        let head = &self.memory.get_side().head;
        for _ in 0..ATTEMPTS {
            let before = head.load(Acquire);
            let taken = self.count_at(head);
            let published = self.published();
            fence(Acquire);
            if head.load(Relaxed) == before {
                // head was read first: it has not passed the end of the records, unless words are
                // garbage.
                return published.saturating_sub(taken).min(self.geometry.capacity);
            }
        }
        self.published().saturating_sub(self.count_at(head)).min(self.geometry.capacity)
    }

    /// Counts READY ahead of head and RETURNED behind it: at one moment, or, if head keeps moving,
    /// each at its own moment. Returns `None` if no walk reached its end.
    fn count_untaken(&self) -> Option<u64> {
        let head = &self.memory.get_side().head;
        let mut counted = None;
        for _ in 0..ATTEMPTS {
            let before = head.load(Acquire);
            let mut count = 0;
            let walked = self.walk_all(|at, _, header| {
                let untaken = if at < before { State::Returned } else { State::Ready };
                count += (header.state() == Some(untaken)) as u64;
                true
            });
            fence(Acquire);
            if walked.is_ok() {
                counted = Some(count);
                if head.load(Relaxed) == before {
                    break;
                }
            }
        }
        counted
    }

    /// Messages in the ring that are not finished: committed, leased or given back. Needs the get
    /// side.
    pub fn unfinished(&self) -> Result<u64, Corrupted> {
        let mut count = 0;
        self.walk_all(|_, _, header| {
            count += matches!(header.state(), Some(State::Ready | State::Leased | State::Returned)) as u64;
            true
        })?;
        Ok(count)
    }
}
