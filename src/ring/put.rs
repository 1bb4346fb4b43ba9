//! The put side: finding room, publishing records, finishing loans.

use super::{Corrupted, Header, Memory, Owner, Ring, State};
use crate::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::atomic::fence;
use crate::shm::geometry::CellIndex;

/// Records reclaimed beyond the need of the moment: each load of head moves a cache line between
/// the sides, so it should pay.
pub(crate) const RECLAIM_AHEAD: u64 = 64;

/// Room for one record, not yet published: dropping it changes nothing.
#[derive(Debug)]
pub(crate) struct Slot {
    pub cell: CellIndex,
    pub(super) next: u64,
    pub(super) length: u32,
}

/// Why there is no [`Slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    Full,
    Corrupted,
}

impl From<Corrupted> for NoRoom {
    fn from(_: Corrupted) -> NoRoom {
        NoRoom::Corrupted
    }
}

/// Where a record of some length would lie.
pub(super) struct Span {
    /// Filler up to the end of the ring is needed first.
    filler: bool,
    position: u64,
    pub(super) next: u64,
}

impl<M: Memory> Ring<M> {
    /// [`reserve`](Ring::reserve) where it takes no detour: there is room, and no filler is needed.
    /// Calls nothing, so that a copy of the ring stays in registers. Needs the put side.
    #[inline(always)]
    pub fn reserve_at_once<const SIZED: bool>(&self, length: u32) -> Option<Slot> {
        debug_assert_eq!(SIZED, self.geometry.sized);
        let put = self.memory.put_side();
        let tail = put.tail.load(Relaxed);
        let cell = self.geometry.cell(tail)?;
        let cells = if SIZED { 1 } else { self.geometry.slice_cells(length as u64) };
        let next = self.geometry.after(tail, cells)?;
        let reclaim = put.reclaim.load(Relaxed);
        if next >= self.geometry.next_lap(reclaim) {
            return None;
        }
        let behind = self.geometry.cell(next)?;
        if !SIZED {
            let sequence = self.memory.sequence(cell).load(Relaxed);
            // Room in messages, as in `reserve_slice`. Reclaim moves over many records at a time,
            // so the word at it is in this process's cache.
            if self.geometry.capacity != u64::MAX {
                let oldest = sequence.wrapping_add(1).saturating_sub(self.geometry.capacity);
                if self.memory.sequence(self.geometry.cell(reclaim)?).load(Relaxed) < oldest {
                    return None;
                }
            }
            self.memory.sequence(behind).store(sequence.wrapping_add(1), Relaxed);
        }
        // Invariant 1. Relaxed: the header that publishes the record is stored with Release after
        // it.
        self.memory.header(behind).store(Header::FREE.bits(), Relaxed);
        Some(Slot { cell, next, length })
    }

    /// Finds room for a record of `length` bytes and makes Invariant 1 true behind it. Needs the
    /// put side.
    #[cold]
    pub fn reserve(&self, length: u32) -> Result<Slot, NoRoom> {
        self.reserve_with(length, |next, oldest| {
            if self.geometry.sized { self.reclaim_sized(RECLAIM_AHEAD) } else { self.reclaim_for(next, oldest) }
        })
    }

    /// The same with another way to make room: `make_room(next, oldest)` returns `Ok` once a record
    /// may end at `next` and the record at reclaim is number `oldest` or later (`u64::MAX`: any).
    pub fn reserve_with(&self, length: u32, make_room: impl Fn(u64, u64) -> Result<(), NoRoom>) -> Result<Slot, NoRoom> {
        let tail = self.memory.put_side().tail.load(Relaxed);
        let cell = self.cell(tail)?;
        if !self.geometry.sized {
            return self.reserve_slice(tail, cell, length, make_room);
        }
        let next = self.geometry.after(tail, 1).ok_or(Corrupted)?;
        if next >= self.geometry.next_lap(self.memory.put_side().reclaim.load(Relaxed)) {
            make_room(next, u64::MAX)?;
        }
        self.memory.header(self.cell(next)?).store(Header::FREE.bits(), Relaxed);
        Ok(Slot { cell, next, length })
    }

    fn reserve_slice(
        &self,
        tail: u64,
        cell: CellIndex,
        length: u32,
        make_room: impl Fn(u64, u64) -> Result<(), NoRoom>,
    ) -> Result<Slot, NoRoom> {
        let span = self.span(tail, length)?;
        let sequence = self.memory.sequence(cell).load(Relaxed);
        // Room in messages: fewer than `capacity` records may stand between reclaim and tail.
        let oldest = match self.geometry.capacity {
            u64::MAX => u64::MAX,
            capacity => sequence.wrapping_add(1).saturating_sub(capacity),
        };
        let reclaim = self.memory.put_side().reclaim.load(Relaxed);
        let fits = span.next < self.geometry.next_lap(reclaim)
            && (oldest == u64::MAX || self.memory.sequence(self.cell(reclaim)?).load(Relaxed) >= oldest);
        if !fits {
            make_room(span.next, oldest)?;
        }
        let mut start = cell;
        if span.filler {
            // A filler is published like any record: Invariant 1 behind it, its header, then tail.
            start = self.cell(span.position)?;
            self.free_word(span.position, sequence)?;
            let filler_bytes = (self.geometry.cells_to_end(tail) - 1) * self.geometry.cell_bytes;
            self.memory.header(cell).store(Header::done(filler_bytes as u32).bits(), Release);
            self.memory.put_side().tail.store(span.position, Release);
        }
        self.free_word(span.next, sequence.wrapping_add(1))?;
        Ok(Slot { cell: start, next: span.next, length })
    }

    /// Invariant 1 at `position`. Relaxed: published by the Release of the header before it.
    fn free_word(&self, position: u64, sequence: u64) -> Result<(), Corrupted> {
        let cell = self.cell(position)?;
        self.memory.sequence(cell).store(sequence, Relaxed);
        self.memory.header(cell).store(Header::FREE.bits(), Relaxed);
        Ok(())
    }

    pub(super) fn span(&self, tail: u64, length: u32) -> Result<Span, Corrupted> {
        let cells = self.geometry.record_cells(length as u64);
        let to_end = self.geometry.cells_to_end(tail);
        let filler = cells > to_end;
        let position = if filler { self.geometry.after(tail, to_end).ok_or(Corrupted)? } else { tail };
        let next = self.geometry.after(position, cells).ok_or(Corrupted)?;
        Ok(Span { filler, position, next })
    }

    /// [`reclaim_for`](Ring::reclaim_for) one more message of a sized ring, whose records all look
    /// alike, and up to `most`.
    #[cold]
    fn reclaim_sized(&self, most: u64) -> Result<(), NoRoom> {
        let put = self.memory.put_side();
        let before = put.reclaim.load(Relaxed);
        let mut head = put.head_seen.load(Relaxed);
        if before >= head {
            head = self.memory.get_side().head.load(Acquire);
            put.head_seen.store(head, Relaxed);
        }
        let done = Header::done(self.geometry.message_bytes as u32);
        // A stretch of cells without the ring's end in it, and without cells at or behind head.
        let first = self.cell(before)?;
        let taken = if head > before { self.geometry.linear(head).wrapping_sub(self.geometry.linear(before)) } else { 0 };
        let stretch = taken.min(self.geometry.cells_to_end(before)).min(most);
        // All of them are taken, so their lines are wanted for writing, and together rather than
        // one after the other.
        self.memory.prefetch_write(first, stretch);
        let is_done = |&cell: &CellIndex| self.memory.header(cell).load(Acquire) == done.bits();
        let reclaimed = self.geometry.cells_from(before, stretch).take_while(is_done).count() as u64;
        let at = self.geometry.after(before, reclaimed).ok_or(Corrupted)?;
        self.move_reclaim(before, at);
        if at == before { Err(NoRoom::Full) } else { Ok(()) }
    }

    /// Records that find room without another load of head. A hint that needs nothing, in a
    /// sized ring; for the put side more.
    pub fn room_reclaimed(&self) -> u64 {
        let put = self.memory.put_side();
        let (tail, reclaim) = (put.tail.load(Relaxed), put.reclaim.load(Relaxed));
        let used = self.geometry.linear(tail).wrapping_sub(self.geometry.linear(reclaim));
        (self.geometry.cells - 1).saturating_sub(used)
    }

    /// Makes room for one to `most` more messages of a sized ring, if it can be had without the get
    /// side. Needs the put side; an endpoint need not be busy meanwhile, since nothing is
    /// committed, and while its owner lives no other process moves reclaim.
    #[cold]
    pub fn make_room(&self, most: u64) -> bool {
        self.reclaim_sized(most).is_ok()
    }

    /// Records that were not taken when head was last loaded. Needs the put side of a sized
    /// ring.
    pub fn backlog_seen(&self) -> u64 {
        let put = self.memory.put_side();
        self.geometry.linear(put.tail.load(Relaxed)).wrapping_sub(self.geometry.linear(put.head_seen.load(Relaxed)))
    }

    /// Is the record at reclaim taken, and only has to be reclaimed? And is a whole stretch from
    /// there on? Reads the records, and not head, which lies beside the getters' lock. Hints;
    /// they need nothing, in a sized ring.
    #[inline(always)]
    pub fn oldest_is_done(&self) -> bool {
        self.is_done_after_reclaim(1)
    }

    #[inline(always)]
    pub fn stretch_is_done(&self) -> bool {
        self.is_done_after_reclaim((self.geometry.cells / 2).clamp(1, RECLAIM_AHEAD))
    }

    #[inline(always)]
    fn is_done_after_reclaim(&self, count: u64) -> bool {
        let reclaim = self.memory.put_side().reclaim.load(Relaxed);
        let Some(last) = self.geometry.cells_from(reclaim, count).next_back() else { return true };
        self.memory.header(last).load(Relaxed) == Header::done(self.geometry.message_bytes as u32).bits()
    }

    fn move_reclaim(&self, before: u64, to: u64) {
        if to != before {
            self.memory.put_side().reclaim.store(to, Release);
            // A walk of these cells rereads reclaim after each header (Invariant 4): no byte of a
            // new record may become visible before the new reclaim. On x86-64 this orders the
            // compiler only and is no instruction. A commit has no fence against getters that go to
            // sleep: `os/membarrier.rs`.
            fence(Release);
        }
    }

    /// Walks reclaim over DONE records, never past head (Invariant 2), until a record may end at
    /// `next` and the record at reclaim is number `oldest` or later (`u64::MAX`: any).
    #[cold]
    fn reclaim_for(&self, next: u64, oldest: u64) -> Result<(), NoRoom> {
        let head = self.memory.get_side().head.load(Acquire);
        let before = self.memory.put_side().reclaim.load(Relaxed);
        let mut at = before;
        let mut ahead = 0;
        let mut fits = false;
        for _ in 0..=self.geometry.cells {
            let cell = self.cell(at)?;
            if !fits {
                fits = next < self.geometry.next_lap(at)
                    && (oldest == u64::MAX || self.memory.sequence(cell).load(Relaxed) >= oldest);
            }
            if at >= head || ahead == RECLAIM_AHEAD {
                break;
            }
            let header = self.load_header(cell);
            match header.state() {
                Some(State::Done) => at = self.after(at, header)?,
                Some(_) => break,
                None => return Err(NoRoom::Corrupted),
            }
            ahead += fits as u64;
        }
        self.move_reclaim(before, at);
        if fits { Ok(()) } else { Err(NoRoom::Full) }
    }

    /// Publishes a written record. The store of READY is the commit point (Invariant 3). Needs the
    /// put side. No fence follows, here or in the callers: `os/membarrier.rs` says why.
    #[inline(always)]
    pub fn commit(&self, slot: Slot) {
        self.memory.header(slot.cell).store(Header::ready(slot.length).bits(), Release);
        self.memory.put_side().tail.store(slot.next, Release);
    }

    /// Publishes a record that `owner` will write. Needs the put side.
    #[inline(always)]
    pub fn claim(&self, slot: Slot, owner: Owner) -> (CellIndex, Header) {
        let header = Header::claimed(owner, slot.length);
        self.memory.header(slot.cell).store(header.bits(), Release);
        self.memory.put_side().tail.store(slot.next, Release);
        (slot.cell, header)
    }

    /// Publishes a record that `owner` will write, of a message in a file of its own. Needs the put
    /// side.
    pub fn claim_spilled(&self, slot: Slot, owner: Owner) -> (CellIndex, Header) {
        let header = Header::claimed(owner, slot.length).spilled();
        self.memory.header(slot.cell).store(header.bits(), Release);
        self.memory.put_side().tail.store(slot.next, Release);
        (slot.cell, header)
    }

    /// Commits it. `false`: it was aborted, its owner was taken for dead.
    pub fn commit_spilled(&self, cell: CellIndex, claimed: Header) -> bool {
        self.transition(cell, claimed, Header::ready(claimed.length()).spilled())
    }

    /// Commits a claimed record of the caller's, shortened to `length` bytes. `false`: it was
    /// aborted, its owner was taken for dead.
    #[inline(always)]
    pub fn commit_claimed(&self, cell: CellIndex, claimed: Header, length: u32) -> bool {
        (length == claimed.length() || self.shorten(cell, claimed, length))
            && self.transition(cell, claimed, Header::ready(length))
    }

    /// Makes a record of what a claimed one will not need of its cells when its length is stored.
    #[cold]
    fn shorten(&self, cell: CellIndex, claimed: Header, length: u32) -> bool {
        let kept = self.geometry.record_cells(length as u64);
        let spare = self.geometry.record_cells(claimed.length() as u64) - kept;
        if spare > 0 {
            // The cells that are not needed become a filler of their own, unreachable until READY
            // shortens the record (Invariant 5).
            let Some(rest) = self.geometry.cell(cell.index() + kept) else { return false };
            let sequence = self.memory.sequence(cell).load(Relaxed);
            self.memory.sequence(rest).store(sequence.wrapping_add(1), Relaxed);
            self.memory.header(rest).store(Header::done(((spare - 1) * self.geometry.cell_bytes) as u32).bits(), Relaxed);
        }
        true
    }

    /// Makes a claimed record of the caller's one that getters skip.
    pub fn abort_claimed(&self, cell: CellIndex, claimed: Header) -> bool {
        self.transition(cell, claimed, Header::done(claimed.length()))
    }

    /// Would a record of `length` bytes find room now? Counts DONE records before head, and with
    /// `past_head` also those that stand at head or before tail and were not taken, which a putter
    /// makes room of if it gets the get side (`retreat`). Needs nothing, and is only a hint while
    /// others are at work.
    pub fn has_room(&self, length: u32, past_head: bool) -> Result<bool, Corrupted> {
        let put = self.memory.put_side();
        let head = if past_head { u64::MAX } else { self.memory.get_side().head.load(Acquire) };
        let tail = self.end()?.unwrap_or_else(|| put.tail.load(Acquire));
        let next = self.span(tail, length)?.next;
        let bounded = !self.geometry.sized && self.geometry.capacity != u64::MAX;
        let oldest = match bounded {
            false => 0,
            true => (self.memory.sequence(self.cell(tail)?).load(Acquire).wrapping_add(1)).saturating_sub(self.geometry.capacity),
        };
        let first = put.reclaim.load(Acquire);
        let mut at = first;
        for _ in 0..=self.geometry.cells {
            let cell = self.cell(at)?;
            if next < self.geometry.next_lap(at) && (!bounded || self.memory.sequence(cell).load(Acquire) >= oldest) {
                return Ok(true);
            }
            let header = self.load_header(cell);
            if at >= head || header.state() != Some(State::Done) {
                // As in `walk`: what another putter wrote into reclaimed cells comes with a newer
                // reclaim, and may have been payload.
                fence(Acquire);
                if put.reclaim.load(Relaxed) != first {
                    return Ok(true);
                }
                return if past_head { self.has_room_at_the_end(length, at) } else { Ok(false) };
            }
            let Ok(after) = self.after(at, header) else { return Ok(true) };
            at = after;
        }
        Ok(true)
    }

    /// The same, once tail is back at the end of what was not aborted, and reclaim at `reclaim`.
    fn has_room_at_the_end(&self, length: u32, reclaim: u64) -> Result<bool, Corrupted> {
        let Some(end) = self.find_untaken_end() else { return Ok(true) };
        if end >= self.memory.put_side().tail.load(Acquire) {
            return Ok(false);
        }
        let bounded = !self.geometry.sized && self.geometry.capacity != u64::MAX;
        let sequence = |position| Ok(self.memory.sequence(self.cell(position)?).load(Acquire));
        Ok(self.span(end, length)?.next < self.geometry.next_lap(reclaim)
            && (!bounded || sequence(end)?.wrapping_sub(sequence(reclaim)?) < self.geometry.capacity))
    }

    /// The record that stands in the way of more space: at reclaim, and not DONE. Needs the put
    /// side, which pins it.
    pub fn stopper(&self) -> Result<(u64, CellIndex, Header), Corrupted> {
        let at = self.memory.put_side().reclaim.load(Relaxed);
        let cell = self.cell(at)?;
        Ok((at, cell, self.load_header(cell)))
    }
}
