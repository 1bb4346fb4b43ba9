//! Records of a topic in place: read through a plain reference by a gating subscriber, or written
//! through one by a loan.
//!
//! A loan's caller writes with plain stores, and a lossy subscriber may read what it writes into (it
//! finds out afterwards, and discards the copy). In one process that is a data race, so there the two
//! exclude each other. Between processes no rule of the language speaks of it: the reader's loads are
//! atomic ones, each made once, of values that are compared or copied and, if reclaim has passed them,
//! discarded; the writer reads nothing back that the reader might have written, since it writes
//! nothing. So neither compiler can conclude anything from the other's accesses.

use crate::atomic::AtomicU64;
use crate::raw::RawQueue;
use crate::ring::topic::order_reclaimed;
use crate::shm::geometry::CellIndex;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

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
        order_reclaimed();
        self.topic_part().in_place.begin(kind, self.incarnation())
    }

    /// `incarnation`: that in which it began.
    pub(crate) fn end_in_place(&self, kind: InPlaceUse, incarnation: u32) {
        self.topic_part().in_place.end(kind, incarnation);
    }

    /// A loan that was claimed at `cell` is a message: it may be the newest.
    pub(crate) fn note_committed(&self, cell: CellIndex) {
        let geometry = self.geometry();
        if geometry.sized {
            return;
        }
        // Its position is the last one of that cell before tail: less than a lap ago it was CLAIMED,
        // which reclaim does not pass.
        let topic = self.as_topic();
        let (tail, first) = (topic.tail(), topic.first());
        let lap = tail & !(first - 1);
        let position = if (tail & (first - 1)) > cell.index() { lap | cell.index() } else { (lap - first) | cell.index() };
        topic.note_newest(position);
    }
}

/// A record that a gating subscriber reads in place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InPlaceRecord {
    pub payload: *const u8,
    pub length: usize,
    pub(super) next: crate::ring::topic::Place,
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
