//! Looking at records without owning the side that moves reclaim, and counting them.

use super::{Corrupted, Header, Memory, Ring, State};
use crate::atomic::Ordering::{Acquire, Relaxed};
use crate::atomic::{AtomicU64, fence};
use crate::geometry::Cell;

/// Looks that give up because positions move faster than they can be read.
const ATTEMPTS: u32 = 64;

impl<M: Memory> Ring<M> {
    /// Visits the records of [reclaim, end) in order, DONE ones left out, until `visit` returns `false`. Putters may move reclaim
    /// meanwhile: it is reread after each header, and the walk goes on from there where it was passed (all before it is DONE).
    /// A record that `visit` sees was in the ring when its header was read. It still is as long as nobody can finish it: it is
    /// RETURNED or held by the dead, and the caller owns the get side (Invariant 4).
    pub fn walk(&self, end: u64, mut visit: impl FnMut(u64, Cell, Header) -> bool) -> Result<(), Corrupted> {
        let reclaim = &self.memory.put_side().reclaim;
        let mut at = reclaim.load(Acquire);
        // Restarts count too: putters pass a lap at most while the caller, or the records that it looks for, pin the rest.
        for _ in 0..=2 * self.geometry.cells {
            if at >= end {
                return Ok(());
            }
            let cell = self.cell(at)?;
            let header = self.load_header(cell);
            // Orders the header's load before that of reclaim: what a putter wrote into reclaimed cells comes with a newer reclaim.
            fence(Acquire);
            let now = reclaim.load(Relaxed);
            if now > at {
                at = now;
                continue;
            }
            let state = header.state().ok_or(Corrupted)?;
            if state == State::Free {
                return Ok(());
            }
            // Before anybody looks at the record: a length that leads out of the ring is garbage.
            let next = self.after(at, header)?;
            if state != State::Done && !visit(at, cell, header) {
                return Ok(());
            }
            at = next;
        }
        Err(Corrupted)
    }

    /// Records before the one that `cursor` leads to, since the beginning of time.
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

    /// Committed messages that nobody has taken. Exact when nothing moves; otherwise a value between call and return.
    pub fn len(&self) -> u64 {
        let in_place = self.memory.put_side().loans.load(Acquire) != 0 || self.memory.get_side().leases.load(Acquire) != 0;
        if in_place {
            if let Some(counted) = self.count_untaken() {
                return counted.min(self.geometry.capacity);
            }
        }
        self.ahead()
    }

    /// Records between head and tail: open and aborted loans count as messages, those given back do not. Two looks, no walk.
    pub fn ahead(&self) -> u64 {
        let head = &self.memory.get_side().head;
        for _ in 0..ATTEMPTS {
            let before = head.load(Acquire);
            let taken = self.count_at(head);
            let published = self.published();
            fence(Acquire);
            if head.load(Relaxed) == before {
                // head may have passed the stored tail by one record (Invariant 2).
                return published.saturating_sub(taken).min(self.geometry.capacity);
            }
        }
        self.published().saturating_sub(self.count_at(head)).min(self.geometry.capacity)
    }

    /// Counts READY ahead of head and RETURNED behind it. `None`: head kept moving.
    fn count_untaken(&self) -> Option<u64> {
        let head = &self.memory.get_side().head;
        for _ in 0..ATTEMPTS {
            let before = head.load(Acquire);
            let tail = self.memory.put_side().tail.load(Acquire);
            let mut count = 0;
            let walked = self.walk(tail.max(before), |at, _, header| {
                let untaken = if at < before { State::Returned } else { State::Ready };
                count += (header.state() == Some(untaken)) as u64;
                true
            });
            fence(Acquire);
            if walked.is_ok() && head.load(Relaxed) == before {
                return Some(count);
            }
        }
        None
    }

    /// Messages in the ring that somebody still has to finish: committed, leased or given back. Needs the get side.
    pub fn unfinished(&self) -> Result<u64, Corrupted> {
        let mut count = 0;
        let tail = self.memory.put_side().tail.load(Acquire);
        self.walk(tail, |_, _, header| {
            count += matches!(header.state(), Some(State::Ready | State::Leased | State::Returned)) as u64;
            true
        })?;
        Ok(count)
    }
}
