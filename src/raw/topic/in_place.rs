//! Records of a topic in place: read through a plain reference by a gating subscriber, or written
//! through one by a loan.
//!
//! A loan's caller writes with plain stores, and a lossy subscriber may read what it writes into
//! (it finds out afterwards, and discards the copy). Through one mapping of a process that is a
//! data race, so there the two exclude each other: a handle, its clones, and what is made of them.
//! Between processes, and between two mappings of one process (two handles that were opened), no
//! rule of the language speaks of it: the addresses differ. There the reader's loads are atomic
//! ones, each made once, of values that are compared or copied and, if reclaim has passed them,
//! discarded; the writer reads nothing back that the reader might have written, since it writes
//! nothing. So neither compiler can conclude anything from the other's accesses.
//!
//! One case of one process is left to that argument: a gating subscriber that was evicted, and has
//! not learned of it, may be in the middle of a copy, which it will discard, when a loan is written
//! there.

use super::step::Tried;
use super::subscriber::RawSubscriber;
use crate::atomic::AtomicU64;
use crate::error::GetError;
use crate::raw::RawQueue;
use crate::ring::topic::{LineWord, Seen, Standing};
use crate::shm::geometry::CellIndex;
use crate::shm::layout::SubscriberLine;
use crate::shm::participant::Id;
use crate::wait::Wait;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const COUNT_BITS: u32 = 16;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const INCARNATION_SHIFT: u32 = 2 * COUNT_BITS;

/// What is used in place, or excludes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPlaceUse {
    Loan,
    LossyReader,
}

/// Loans and lossy readers of one process: `incarnation:32 | loans:16 | lossy readers:16`. A forked
/// child begins anew, since it cannot use what it inherited.
#[derive(Debug, Default)]
pub(crate) struct InPlace(AtomicU64);

impl InPlaceUse {
    fn shift(self) -> u32 {
        match self {
            InPlaceUse::Loan => COUNT_BITS,
            InPlaceUse::LossyReader => 0,
        }
    }

    fn other(self) -> InPlaceUse {
        match self {
            InPlaceUse::Loan => InPlaceUse::LossyReader,
            InPlaceUse::LossyReader => InPlaceUse::Loan,
        }
    }

    fn count(self, word: u64) -> u64 {
        word >> self.shift() & COUNT_MASK
    }
}

impl InPlace {
    /// `false`: there is one of the other kind.
    pub fn begin(&self, kind: InPlaceUse, incarnation: u32) -> bool {
        let fresh = (incarnation as u64) << INCARNATION_SHIFT;
        let begun = self.0.fetch_update(AcqRel, Acquire, |word| {
            let word = if word >> INCARNATION_SHIFT == incarnation as u64 { word } else { fresh };
            let is_free = kind.other().count(word) == 0 && kind.count(word) < COUNT_MASK;
            is_free.then(|| word + (1 << kind.shift()))
        });
        begun.is_ok()
    }

    pub fn has(&self, kind: InPlaceUse, incarnation: u32) -> bool {
        self.count(kind, incarnation) != 0
    }

    fn count(&self, kind: InPlaceUse, incarnation: u32) -> u64 {
        let word = self.0.load(Acquire);
        if word >> INCARNATION_SHIFT == incarnation as u64 { kind.count(word) } else { 0 }
    }

    pub fn end(&self, kind: InPlaceUse, incarnation: u32) {
        let _ = self.0.fetch_update(AcqRel, Acquire, |word| {
            let is_ours = word >> INCARNATION_SHIFT == incarnation as u64 && kind.count(word) != 0;
            is_ours.then(|| word - (1 << kind.shift()))
        });
    }
}

impl RawQueue {
    /// Begins a use in place, or one that excludes it.
    pub(crate) fn begin_in_place(&self, kind: InPlaceUse) -> bool {
        self.topic_part().in_place.begin(kind, self.incarnation())
    }

    /// Has this process lossy subscribers, which exclude loans?
    pub(crate) fn has_lossy_readers(&self) -> bool {
        self.topic_part().in_place.has(InPlaceUse::LossyReader, self.incarnation())
    }

    /// Loans of this process, forgotten ones too. (A walk would begin at the bound, not at the oldest
    /// record, and might not find one.)
    pub(in crate::raw) fn topic_loans(&self) -> usize {
        self.topic_part().in_place.count(InPlaceUse::Loan, self.incarnation()) as usize
    }

    /// `incarnation`: that in which it began.
    pub(crate) fn end_in_place(&self, kind: InPlaceUse, incarnation: u32) {
        self.topic_part().in_place.end(kind, incarnation);
    }

    /// Does a subscriber of this process, forgotten or not, read in place?
    pub(in crate::raw) fn reads_in_place(&self, me: Id) -> bool {
        self.samples_of(me) != 0
    }

    /// How many subscribers of this process, forgotten or not, read in place?
    pub(in crate::raw) fn samples_of(&self, me: Id) -> usize {
        let reads = |line: &&SubscriberLine| {
            let word = LineWord::from_bits(line.state.load(Acquire));
            word.participant() == me.bits() && word.standing() != Some(Standing::Free) && line.pin.load(Relaxed) != 0
        };
        self.as_topic().lines.iter().filter(reads).count()
    }

    /// Position of the record that this process has claimed at `cell`: the last one of that cell
    /// before tail. It was claimed less than a lap ago, since reclaim does not pass it.
    pub(crate) fn position_of_claimed(&self, cell: CellIndex) -> u64 {
        let topic = self.as_topic();
        let (tail, lap) = (topic.tail(), topic.first());
        let this_lap = tail & !(lap - 1) | cell.index();
        if this_lap < tail { this_lap } else { this_lap.wrapping_sub(lap) }
    }

    /// A loan that was claimed at `position` is a message: it may be the newest, and reclaim may
    /// pass it.
    pub(crate) fn note_committed(&self, position: u64) {
        if !self.geometry().sized {
            self.as_topic().note_newest(position);
        }
        self.notify_not_full(u32::MAX);
    }
}

/// A record that a gating subscriber reads in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InPlaceRecord {
    pub payload: *const u8,
    pub length: usize,
    pub(super) next: crate::ring::topic::Place,
}

impl RawSubscriber {
    /// Waits for a message to be read in place.
    pub(crate) fn pin_next(&self, wait: Wait) -> Result<InPlaceRecord, GetError> {
        self.await_place(wait);
        self.wait_for(wait, &mut || self.step_in_place())
    }

    fn step_in_place(&self) -> Tried<InPlaceRecord> {
        let raw = &*self.raw;
        let pin = &self.line().pin;
        let tail = raw.as_topic().tail();
        for _ in 0..=raw.geometry().cells {
            self.learn()?;
            if !self.is_gating() {
                return Err(GetError::NotGating);
            }
            // Ring topic, Invariant 6.
            pin.store(1, Relaxed);
            raw.barrier().light();
            let seen = if self.gates_now() { raw.as_topic().look(self.place.get(), || true).map(Some) } else { Ok(None) };
            if let Ok(Some(Seen::Record { cell, length, next })) = seen {
                return Ok(Some(InPlaceRecord { payload: raw.ring.memory.payload(cell), length, next }));
            }
            pin.store(0, Release);
            match seen? {
                Some(Seen::Nothing | Seen::Loan(_)) => return Ok(None),
                Some(Seen::Skipped(next)) => self.skip_to(next),
                _ => {}
            }
        }
        self.nothing_after_a_lap(tail)
    }

    /// A record is read no more in place: it is passed.
    pub(crate) fn unpin(&self, record: &InPlaceRecord) {
        if self.is_inherited() {
            return;
        }
        self.move_past(record.next);
        // Release: what was read in place was read before.
        self.line().pin.store(0, Release);
        if self.is_changed() {
            // Evicted: a publisher that waits leaves it out now.
            self.raw.notify_not_full(u32::MAX);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn loans_and_lossy_readers_exclude_each_other_in_one_incarnation() {
        let (uses, loan, lossy) = (InPlace::default(), InPlaceUse::Loan, InPlaceUse::LossyReader);
        assert!(uses.begin(loan, 1) && uses.begin(loan, 1));
        assert!(!uses.begin(lossy, 1));
        uses.end(loan, 1);
        assert!(!uses.begin(lossy, 1), "one loan is left");
        assert!(uses.begin(lossy, 2), "a child has none");
        uses.end(lossy, 2);
        uses.end(lossy, 2);
        uses.end(loan, 1);
        assert!(uses.begin(loan, 2) && !uses.begin(lossy, 2));
    }
}
