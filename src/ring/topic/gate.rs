//! How far the put side may go: the gate, reclaim, and the bound of both.
//!
//! ```text
//!   the bound is reached
//!     --the gate leaves room--> reclaim a stretch --> bound
//!     --it does not--> the laggard of the last scan has moved enough? else scan all lines
//!          --> store gate, light barrier, no one joined? --> reclaim a stretch --> bound
//!                                           \--one did--> scan again
//! ```
//!
//! All of it needs the put side.

use super::{Fences, LineWord, MUST_SCAN, NOT_YET, Standing, TopicRing, order_reclaimed};
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::atomic::fence;
use crate::ring::{Corrupted, Header, Memory, NoRoom, RECLAIM_AHEAD, Slot, State};
use crate::shm::layout::SubscriberLine;

/// The share of the capacity that must be free before a publisher that waits goes on with what the
/// laggard alone shows, and that a subscriber frees before it wakes one.
const STEP_SHARE: u64 = 8;
/// Scans in a row that found another subscriber joining: then it counts as full.
const SCANS: u32 = 1000;
/// Steps between two marks, as a share of the ring.
const MARK_SHARE: u64 = 4;

/// What keeps the put side from more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The gating subscriber in that line.
    Subscriber { line: usize, word: LineWord },
    /// An open loan.
    Loan(Header),
}

/// What a scan of the lines found: cells since position 0.
struct Scan {
    lowest: u64,
    /// Line and word of the lowest.
    laggard: Option<(usize, LineWord)>,
    /// No other cursor is lower than this.
    others: u64,
}

impl<M: Memory> TopicRing<'_, M> {
    /// Cells that the put side may be ahead of the gate.
    pub fn capacity(&self) -> u64 {
        let geometry = &self.ring.geometry;
        geometry.cells - 1 - geometry.slack()
    }

    /// Cells by which a laggard moves before that is worth a wake.
    pub fn step(&self) -> u64 {
        (self.capacity() / STEP_SHARE).max(1)
    }

    /// As [`Ring::reserve`](crate::ring::Ring::reserve).
    #[cold]
    pub fn reserve(&self, length: u32, fences: &impl Fences) -> Result<Slot, NoRoom> {
        order_reclaimed();
        self.ring.reserve_with(length, |next, _| self.open(next, fences))
    }

    /// As [`Ring::make_room`](crate::ring::Ring::make_room).
    #[cold]
    pub fn make_room(&self, fences: &impl Fences) -> bool {
        let tail = self.ring.memory.put_side().tail.load(Relaxed);
        self.ring.geometry.after(tail, 1).is_some_and(|next| self.open(next, fences).is_ok())
    }

    /// Raises the bound so that a record may end at `next`.
    fn open(&self, next: u64, fences: &impl Fences) -> Result<(), NoRoom> {
        let geometry = &self.ring.geometry;
        let put = self.ring.memory.put_side();
        let tail = self.linear(put.tail.load(Relaxed));
        let next = self.linear(next);
        let reclaim = self.words.reclaim.load(Relaxed);
        // Below this, a record that ends at `next` would overwrite what is not reclaimed.
        let least = next.wrapping_add(1).saturating_sub(geometry.cells);
        let stretch = next.saturating_sub(tail).max(if geometry.sized { geometry.slack() } else { geometry.cells / STEP_SHARE });
        let target = tail.wrapping_add(stretch).wrapping_add(1).saturating_sub(geometry.cells).max(least);

        // Room is opened for a run of records at a time, and reclaim, which subscribers read, moves
        // by whole stretches.
        let before = self.linear(put.reclaim.load(Relaxed));
        let run = if geometry.sized { RECLAIM_AHEAD } else { geometry.cells };
        let lacking = before.saturating_add(run.min(stretch)).max(least);

        let mut gate = self.linear(self.words.gate.load(Relaxed));
        let is_believed = self.words.joins_seen.load(Relaxed) != MUST_SCAN;
        let mut reclaimed = if self.linear(reclaim) < lacking { self.reclaimed_upto(reclaim, target, gate)? } else { reclaim };
        if !is_believed || gate.wrapping_add(self.capacity()) < next || self.linear(reclaimed) < least {
            (gate, reclaimed) = self.raise_gate(next, reclaim, target, fences)?;
        }
        self.store_reclaim(reclaim, reclaimed);
        let bound = self.linear(reclaimed).min(gate.saturating_sub(geometry.slack())).min(before.saturating_add(run));
        if geometry.sized && bound > before {
            // They were read a lap ago: their lines are wanted for writing, and together rather
            // than one after the other.
            let first = geometry.position(before);
            let count = (bound - before).min(geometry.cells_to_end(first));
            self.ring.memory.prefetch_write(self.ring.cell(first)?, count);
        }
        put.reclaim.store(geometry.position(bound), Release);
        if next < bound.wrapping_add(geometry.cells) { Ok(()) } else { Err(NoRoom::Full) }
    }

    /// Stores a new gate (Invariant 2), and returns it in cells, and how far reclaim may move.
    fn raise_gate(&self, next: u64, reclaim: u64, target: u64, fences: &impl Fences) -> Result<(u64, u64), NoRoom> {
        let words = self.words;
        let tail = self.linear(self.ring.memory.put_side().tail.load(Relaxed));
        let enough = next.max(tail.wrapping_add(self.step()));
        let mut by_laggard = self.by_laggard().filter(|lowest| lowest.min(&tail).wrapping_add(self.capacity()) >= enough);
        for _ in 0..SCANS {
            let joins = words.joins.load(Acquire);
            let (lowest, scan) = match by_laggard.take() {
                Some(lowest) => (lowest, None),
                None => {
                    let scan = self.scan(fences)?;
                    (scan.lowest, Some(scan))
                }
            };
            // Not below reclaim: a cursor there is that of one that is joining, which takes a place
            // at or behind the gate that is stored here.
            let lowest = lowest.min(tail).max(self.linear(reclaim));
            let reclaimed = self.reclaimed_upto(reclaim, target, lowest)?;
            // Not as far as the subscribers are: one that joins may begin some way back.
            let gate = lowest.min(self.linear(reclaimed).max(tail.saturating_sub(self.kept_back())));
            if let Some(scan) = scan {
                words.joins_seen.store(MUST_SCAN, Release);
                words.others.store(scan.others, Release);
                let (line, word) = scan.laggard.map_or((0, 0), |(line, word)| (line as u32, word.bits()));
                words.laggard_line.store(line, Release);
                words.laggard.store(word, Release);
            } else if words.joins_seen.swap(MUST_SCAN, AcqRel) != joins {
                continue;
            }
            words.gate.store(self.ring.geometry.position(gate), Release);
            fences.light();
            if words.joins.load(Acquire) == joins {
                words.joins_seen.store(joins, Release);
                return Ok((gate, reclaimed));
            }
        }
        Err(NoRoom::Full)
    }

    /// Cells before tail that stay for a subscriber that joins, while nothing else keeps them.
    fn kept_back(&self) -> u64 {
        let history = if self.ring.geometry.sized { self.limits.history } else { 0 };
        history.max(self.capacity() / 2).min(self.capacity() - self.step())
    }

    /// The lowest cursor, as the last scan and the laggard's cursor of now have it. `None`: only a
    /// scan can say.
    fn by_laggard(&self) -> Option<u64> {
        let others = self.words.others.load(Relaxed);
        Some(self.laggard_cursor()?.map_or(others, |cursor| cursor.min(others)))
    }

    /// Where the laggard of the last scan is now; `Some(None)`: it gates no more, or there was
    /// none. `None`: only a scan can say.
    fn laggard_cursor(&self) -> Option<Option<u64>> {
        let words = self.words;
        if words.joins_seen.load(Relaxed) != words.joins.load(Acquire) {
            return None;
        }
        let word = LineWord::from_bits(words.laggard.load(Relaxed));
        if word.bits() == 0 {
            return Some(None);
        }
        let line = self.lines.get(words.laggard_line.load(Relaxed) as usize)?;
        // The cursor first: that of a line that was freed, and taken again, does not count.
        let cursor = self.linear(line.cursor.load(Acquire));
        match LineWord::from_bits(line.state.load(Acquire)) {
            now if now == word => Some(Some(cursor)),
            now if now.is_same_subscriber(word) => None,
            _ => Some(None),
        }
    }

    /// The laggard of the last scan, if there was a gating one.
    fn laggard(&self) -> Option<(usize, LineWord)> {
        let word = LineWord::from_bits(self.words.laggard.load(Relaxed));
        let line = self.words.laggard_line.load(Relaxed) as usize;
        (word.standing() == Some(Standing::Gating) && line < self.lines.len()).then_some((line, word))
    }

    /// Reads all lines.
    #[cold]
    fn scan(&self, fences: &impl Fences) -> Result<Scan, Corrupted> {
        let mut scan = Scan { lowest: u64::MAX, laggard: None, others: u64::MAX };
        for (index, line) in self.used_lines().iter().enumerate() {
            let Some((word, cursor)) = self.gates_at(line, fences)? else { continue };
            if cursor < scan.lowest {
                scan.others = scan.lowest;
                scan.lowest = cursor;
                scan.laggard = Some((index, word));
            } else {
                scan.others = scan.others.min(cursor);
            }
        }
        Ok(scan)
    }

    /// Where this line gates, if it does. Evicts one that lags too far, and leaves an evicted one
    /// out (Invariant 6).
    fn gates_at(&self, line: &SubscriberLine, fences: &impl Fences) -> Result<Option<(LineWord, u64)>, Corrupted> {
        let mut word = LineWord::from_bits(line.state.load(Acquire));
        if !matches!(word.standing(), Some(Standing::Gating | Standing::Evicting)) {
            return Ok(None);
        }
        let position = line.cursor.load(Acquire);
        self.ring.cell(position)?;
        if word.standing() == Some(Standing::Gating) && self.lags_too_far(line, position)? {
            word = self.evict_word(line, word).unwrap_or(word);
        }
        if word.standing() == Some(Standing::Evicting) && fences.heavy() && line.pin.load(Acquire) == 0 {
            let out = word.standing_as(Standing::Evicted);
            if line.state.compare_exchange(word.bits(), out.bits(), AcqRel, Acquire).is_ok() {
                return Ok(None);
            }
            // It has learned of it, and is lossy; or it left.
            return self.gates_at(line, fences);
        }
        Ok(Some((word, self.linear(position))))
    }

    fn lags_too_far(&self, line: &SubscriberLine, position: u64) -> Result<bool, Corrupted> {
        // One that is joining has no place yet. One before an open loan cannot go on.
        if self.limits.max_lag == 0 || line.start.load(Acquire) == NOT_YET || self.is_claimed(position)? {
            return Ok(false);
        }
        let tail = self.ring.memory.put_side().tail.load(Relaxed);
        // A cursor may be past the stored tail (Ring, Invariant 2).
        Ok(self.number_at(tail)?.saturating_sub(self.number_at(position)?) >= self.limits.max_lag)
    }

    /// Is there an open loan at a position that its subscriber keeps?
    fn is_claimed(&self, position: u64) -> Result<bool, Corrupted> {
        Ok(self.ring.load_header(self.ring.cell(position)?).state() == Some(State::Claimed))
    }

    /// The first start of a record at or behind `target`, or the last one that is not behind `most`
    /// or a CLAIMED record. From `reclaim` on; `target` and `most` are cells.
    fn reclaimed_upto(&self, reclaim: u64, target: u64, most: u64) -> Result<u64, Corrupted> {
        let (geometry, target) = (&self.ring.geometry, target.min(most));
        let mut at = reclaim;
        if self.linear(at) >= target {
            return Ok(at);
        }
        if geometry.sized && self.ring.memory.put_side().loans.load(Relaxed) == 0 {
            return Ok(geometry.position(target));
        }
        for _ in 0..=geometry.cells {
            let header = self.ring.load_header(self.ring.cell(at)?);
            let after = match header.state() {
                Some(State::Ready | State::Done) => self.ring.after(at, header)?,
                Some(State::Claimed) => break,
                _ => return Err(Corrupted),
            };
            if self.linear(after) > most {
                break;
            }
            at = after;
            if self.linear(at) >= target {
                break;
            }
        }
        Ok(at)
    }

    /// Invariant 3.
    fn store_reclaim(&self, before: u64, to: u64) {
        if to == before {
            return;
        }
        self.words.reclaim.store(to, Release);
        fence(Release);
        // A mark each quarter of the ring: the middle is two to three quarters behind tail.
        let tail = self.ring.memory.put_side().tail.load(Relaxed);
        let [newer, older] = &self.words.marks;
        if self.linear(tail).wrapping_sub(self.linear(newer.load(Relaxed))) >= self.ring.geometry.cells / MARK_SHARE {
            self.words.middle.store(older.load(Relaxed), Release);
            older.store(newer.load(Relaxed), Relaxed);
            newer.store(tail, Relaxed);
        }
    }

    /// The lowest cursor that gates, in cells, and its line; `u64::MAX` if none does. A hint that
    /// needs nothing, and evicts nobody.
    pub fn lowest_gating(&self, leaves_out: bool) -> (u64, Option<(usize, LineWord)>) {
        let mut lowest = (u64::MAX, None);
        for (line, words) in self.used_lines().iter().enumerate() {
            let word = LineWord::from_bits(words.state.load(Acquire));
            let cursor = self.linear(words.cursor.load(Acquire));
            let gates = match word.standing() {
                Some(Standing::Gating) => true,
                Some(Standing::Evicting) => !leaves_out || words.pin.load(Acquire) != 0,
                _ => false,
            };
            if gates && cursor < lowest.0 {
                lowest = (cursor, Some((line, word)));
            }
        }
        lowest
    }

    /// Is there no room for a record of `length` bytes? One line says so, as long as the laggard of
    /// the last scan has not moved enough. A hint that needs nothing.
    pub fn is_held(&self, length: u32, leaves_out: bool) -> Result<bool, Corrupted> {
        let next = self.linear(self.ring.span(self.tail(), length)?.next);
        if let Some((line, word)) = self.laggard() {
            let cursor = self.linear(self.lines[line].cursor.load(Acquire));
            if cursor.wrapping_add(self.capacity()) < next && self.lines[line].state.load(Acquire) == word.bits() {
                return Ok(true);
            }
        }
        Ok(self.hold(length, leaves_out)?.is_some())
    }

    /// What keeps a record of `length` bytes out, if anything does. A hint that needs nothing.
    pub fn hold(&self, length: u32, leaves_out: bool) -> Result<Option<Hold>, Corrupted> {
        let geometry = &self.ring.geometry;
        let next = self.linear(self.ring.span(self.tail(), length)?.next);
        let lowest = self.lowest_gating(leaves_out);
        if lowest.0.saturating_add(self.capacity()) < next {
            return lowest.1.map(|(line, word)| self.held_by(line, word)).transpose();
        }
        // Reclaim is never far from what it must reach, unless a loan stops it.
        let least = next.wrapping_add(1).saturating_sub(geometry.cells);
        let reclaim = self.words.reclaim.load(Acquire);
        let stopped = self.reclaimed_upto(reclaim, least, lowest.0);
        if !self.is_intact(reclaim) {
            return Ok(None);
        }
        let stopped = stopped?;
        if self.linear(stopped) >= least {
            return Ok(None);
        }
        let header = self.ring.load_header(self.ring.cell(stopped)?);
        Ok((header.state() == Some(State::Claimed) && self.is_intact(reclaim)).then_some(Hold::Loan(header)))
    }

    /// The subscriber in that line, or the open loan that it stands before.
    fn held_by(&self, line: usize, word: LineWord) -> Result<Hold, Corrupted> {
        let cell = self.ring.cell(self.lines[line].cursor.load(Acquire))?;
        let header = self.ring.load_header(cell);
        Ok(if header.state() == Some(State::Claimed) { Hold::Loan(header) } else { Hold::Subscriber { line, word } })
    }

    /// Does the gate leave room, or has the laggard of the last scan moved so far that a publisher
    /// goes on with some stretch? Or is it time to scan? A hint.
    pub fn is_opening(&self) -> bool {
        let tail = self.linear(self.ring.memory.put_side().tail.load(Relaxed));
        let opens = |lowest: u64, cells| lowest.saturating_add(self.capacity()) >= tail.wrapping_add(cells);
        // The gate first: while it leaves room, no line is read. And the laggard alone: the bound
        // of the others is that of the last scan, which stands until the next one.
        opens(self.linear(self.words.gate.load(Relaxed)), 1)
            || self.laggard_cursor().is_none_or(|cursor| opens(cursor.unwrap_or(u64::MAX), self.step()))
    }

    /// Before a publisher of a record of `length` bytes sleeps: the gating subscriber that passes
    /// this position wakes it; not later than another publisher that waits has asked for.
    pub fn ask_for_wake(&self, length: u32) -> Result<(), Corrupted> {
        let position = self.tail();
        let tail = self.linear(position);
        let need = self.linear(self.ring.span(position, length)?.next).saturating_sub(tail);
        let wake_at = tail.wrapping_add(need.max(self.step())).saturating_sub(self.capacity()).min(tail);
        let wake_at = self.ring.geometry.position(wake_at);
        let before = self.words.wake_at.load(Relaxed);
        // One that all have passed wakes nobody.
        let lowest = self.lowest_gating(true).0;
        let is_asked_for = lowest != u64::MAX && self.linear(before) > lowest;
        self.words.wake_at.store(if is_asked_for { wake_at.min(before) } else { wake_at }, Release);
        Ok(())
    }

    /// The put side was taken over from the dead, which may have left the memory of its scan half
    /// written: before anything else.
    pub fn distrust(&self) {
        self.words.joins_seen.store(MUST_SCAN, Release);
    }

    /// Does a subscriber that moves from one position to the other free what a publisher waits for?
    #[inline]
    pub fn is_worth_a_wake(&self, from: u64, to: u64) -> bool {
        let wake_at = self.words.wake_at.load(Acquire);
        from < wake_at && wake_at <= to
    }
}
