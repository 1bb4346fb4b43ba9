//! Subscribers come and go: joining beside a live publisher, leaving, being evicted, and being
//! freed after their death.
//!
//! ```text
//!   a free line --CAS--> JOINING --cursor--> GATING --joins + 1, heavy barrier, read gate--> a cursor
//!                                                                                  not before it
//! ```
//!
//! Needs no side: a live publisher holds the put side for its life, so its lock is no way in.

use super::{Fences, LineWord, NOT_YET, Standing, TopicRing};
use crate::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::ring::{Corrupted, Memory};
use crate::shm::layout::SubscriberLine;

/// Tails that were a whole ring behind before their number was read: no publisher is so fast.
const TAILS: u32 = 1 << 16;
/// Walks from reclaim that found themselves overtaken, before a subscriber begins at tail.
const WALKS: u32 = 16;

/// Where a subscriber begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what is published from now on.
    Now,
    /// With the oldest record that is left.
    Oldest,
    /// So many records before the newest, or as many as are left.
    Back(u64),
}

/// A subscriber that has just joined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Joined {
    pub line: usize,
    pub word: LineWord,
    pub cursor: u64,
    pub number: u64,
}

impl<M: Memory> TopicRing<'_, M> {
    /// Joins as a gating subscriber, or as a lossy one. `None`: every line has a live subscriber.
    /// `settle` waits until the stores of other cores are seen, for a process that the system
    /// refuses the barrier.
    pub fn join(
        &self,
        participant: u32,
        start: Start,
        gates: bool,
        is_dead: impl Fn(u32) -> bool,
        fences: &impl Fences,
        settle: impl Fn(),
    ) -> Result<Option<Joined>, Corrupted> {
        let Some((index, word)) = self.take_line(participant, is_dead) else { return Ok(None) };
        let joined = self.join_in(index, word, start, gates, fences, settle);
        if joined.is_err() {
            self.leave(index, word);
        }
        joined.map(Some)
    }

    fn join_in(
        &self,
        index: usize,
        word: LineWord,
        start: Start,
        gates: bool,
        fences: &impl Fences,
        settle: impl Fn(),
    ) -> Result<Joined, Corrupted> {
        let line = &self.lines[index];
        let joined = |(cursor, number): (u64, u64), word| {
            line.number.store(number, Relaxed);
            line.cursor.store(cursor, Release);
            line.start.store(number, Release);
            Joined { line: index, word, cursor, number }
        };
        line.pin.store(0, Relaxed);
        line.missed.store(0, Relaxed);
        line.start.store(NOT_YET, Release);
        if !gates {
            let word = word.standing_as(Standing::Lossy);
            let place = self.place_of_lossy(start)?;
            let joined = joined(place, word);
            line.state.store(word.bits(), Release);
            return Ok(joined);
        }
        // As far back as it may want to begin. It gates there until it knows.
        let first = match start {
            Start::Now => self.tail(),
            _ if self.ring.geometry.sized => self.words.gate.load(Acquire).max(self.words.reclaim.load(Acquire)),
            // No record before the middle is promised to it, and until it is there it gates.
            Start::Back(_) => self.words.middle.load(Acquire).max(self.words.reclaim.load(Acquire)),
            Start::Oldest => self.words.reclaim.load(Acquire),
        };
        line.cursor.store(first, Release);
        let word = word.standing_as(Standing::Gating);
        line.state.store(word.bits(), Release);
        // Invariant 2.
        self.words.joins.fetch_add(1, SeqCst);
        if !fences.heavy() {
            settle();
        }
        let gate = self.words.gate.load(Acquire);
        let place = match start {
            // The tail that was loaded last: from now on, exactly. It is not before the gate.
            Start::Now => self.place_at(self.tail().max(gate))?,
            _ => self.place_of_gating(start, first, gate)?,
        };
        Ok(joined(place, word))
    }

    fn take_line(&self, participant: u32, is_dead: impl Fn(u32) -> bool) -> Option<(usize, LineWord)> {
        for (index, line) in self.lines.iter().enumerate() {
            let before = LineWord::from_bits(line.state.load(Acquire));
            let is_free = before.standing() == Some(Standing::Free);
            if !is_free && !is_dead(before.participant()) {
                continue;
            }
            let word = before.taken_by(participant);
            if line.state.compare_exchange(before.bits(), word.bits(), AcqRel, Relaxed).is_ok() {
                self.words.lines_end.fetch_max(index as u32 + 1, AcqRel);
                return Some((index, word));
            }
        }
        None
    }

    fn place_at(&self, position: u64) -> Result<(u64, u64), Corrupted> {
        Ok((position, self.number_at(position)?))
    }

    /// The number that a subscriber which begins there has first. `newest`: number of the next
    /// record to be published.
    fn wanted(start: Start, newest: u64) -> u64 {
        match start {
            Start::Now => newest,
            Start::Oldest => 0,
            Start::Back(count) => newest.saturating_sub(count),
        }
    }

    /// From `first` on, where its line gates, and not before the gate. What lies behind both cannot
    /// be overwritten.
    fn place_of_gating(&self, start: Start, first: u64, gate: u64) -> Result<(u64, u64), Corrupted> {
        let tail = self.tail();
        if self.ring.geometry.sized {
            return self.place_of_sized(start, first.max(gate).max(self.words.reclaim.load(Acquire)), tail);
        }
        let wanted = Self::wanted(start, self.number_of_tail(tail)?);
        let found = self.walk_to(first, |position, number| position >= gate && number >= wanted)?;
        // Overtaken before it was at the gate: there is nothing older than tail to rely on.
        found.map_or_else(|| self.place_at(self.tail().max(gate)), Ok)
    }

    fn place_of_lossy(&self, start: Start) -> Result<(u64, u64), Corrupted> {
        if start == Start::Now {
            return self.place_at_tail();
        }
        for _ in 0..WALKS {
            let tail = self.tail();
            let reclaim = self.words.reclaim.load(Acquire);
            if self.ring.geometry.sized {
                return self.place_of_sized(start, reclaim, tail);
            }
            let wanted = Self::wanted(start, self.number_of_tail(tail)?);
            if let Some(found) = self.walk_to(reclaim, |_, number| number >= wanted)? {
                return Ok(found);
            }
        }
        self.place_at_tail()
    }

    /// Tail and its number, which belong together.
    fn place_at_tail(&self) -> Result<(u64, u64), Corrupted> {
        for _ in 0..TAILS {
            let tail = self.tail();
            let place = self.place_at(tail)?;
            if self.is_intact(tail) {
                return Ok(place);
            }
        }
        Err(Corrupted)
    }

    fn place_of_sized(&self, start: Start, oldest: u64, tail: u64) -> Result<(u64, u64), Corrupted> {
        let geometry = &self.ring.geometry;
        let wanted = Self::wanted(start, self.number_at(tail)?).wrapping_add(geometry.cells);
        self.place_at(geometry.position(wanted).max(oldest).min(tail.max(oldest)))
    }

    /// The number of the record that will be put at `tail`. The word beside it may be payload by
    /// now, of a whole lap later: then a newer tail says as much.
    fn number_of_tail(&self, tail: u64) -> Result<u64, Corrupted> {
        let number = self.number_at(tail)?;
        Ok(if self.is_intact(tail) { number } else { self.published() })
    }

    /// The first record from `from` on that `is_it`, or the end of the records. `None`: overtaken
    /// by reclaim on the way.
    fn walk_to(&self, from: u64, is_it: impl Fn(u64, u64) -> bool) -> Result<Option<(u64, u64)>, Corrupted> {
        self.walk(from, |walked| !is_it(walked.position, walked.number))
    }

    /// Ends a subscription, whatever it stands for. `false`: it had ended.
    pub fn leave(&self, line: usize, word: LineWord) -> bool {
        self.change(line, word, LineWord::freed)
    }

    /// Frees a line whose subscriber is dead.
    fn free(&self, line: &SubscriberLine, word: LineWord) -> bool {
        line.state.compare_exchange(word.bits(), word.freed().bits(), AcqRel, Relaxed).is_ok()
    }

    /// Frees the lines of dead participants. Returns how many.
    pub fn free_the_dead(&self, is_dead: impl Fn(u32) -> bool) -> u64 {
        let mut freed = 0;
        for line in self.used_lines() {
            let word = LineWord::from_bits(line.state.load(Acquire));
            if word.standing() != Some(Standing::Free) && is_dead(word.participant()) {
                freed += self.free(line, word) as u64;
            }
        }
        freed
    }

    /// Evicts a gating subscriber: it becomes a lossy one. `false`: it does not gate.
    pub fn evict(&self, line: usize, word: LineWord) -> bool {
        let Some(line) = self.lines.get(line) else { return false };
        self.evict_word(line, word.standing_as(Standing::Gating)).is_some()
    }

    /// The new word.
    pub(super) fn evict_word(&self, line: &SubscriberLine, gating: LineWord) -> Option<LineWord> {
        let evicting = gating.standing_as(Standing::Evicting);
        let evicted = line.state.compare_exchange(gating.bits(), evicting.bits(), AcqRel, Relaxed).is_ok();
        if evicted {
            self.words.evictions.fetch_add(1, Relaxed);
        }
        evicted.then_some(evicting)
    }

    /// The subscriber learns that it was evicted: it stands for a lossy one from now on. Not while
    /// it reads in place. Returns its new word; `None`: it is not evicted, or no longer this
    /// subscriber.
    pub fn learn_of_eviction(&self, line: usize, word: LineWord) -> Option<LineWord> {
        let lossy = word.standing_as(Standing::Lossy);
        self.change(line, word, |_| lossy).then_some(lossy)
    }

    fn change(&self, line: usize, word: LineWord, to: impl Fn(LineWord) -> LineWord) -> bool {
        let Some(line) = self.lines.get(line) else { return false };
        let changed = line.state.fetch_update(AcqRel, Acquire, |bits| {
            let now = LineWord::from_bits(bits);
            (now.is_same_subscriber(word) && now.standing() != Some(Standing::Free)).then(|| to(now).bits())
        });
        changed.is_ok()
    }
}
