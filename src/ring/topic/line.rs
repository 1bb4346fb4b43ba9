//! The state word of a subscriber's line.
//!
//! ```text
//!   63..32 participant | 31..4 generation of the line | 3..0 standing
//! ```

use std::fmt;

const STANDING_BITS: u32 = 4;
const STANDING_MASK: u64 = (1 << STANDING_BITS) - 1;
const GENERATION_BITS: u32 = 28;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;
const PARTICIPANT_SHIFT: u32 = STANDING_BITS + GENERATION_BITS;

/// What a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No subscriber.
    Free,
    /// A subscriber that has no cursor yet.
    Joining,
    /// The put side waits for it.
    Gating,
    /// It is never waited for.
    Lossy,
    /// It was evicted. It gates until a publisher has left it out, or while it reads in place.
    Evicting,
    /// It was evicted, and a publisher has left it out of the gate. It does not know yet.
    Evicted,
}

/// A state word. It changes as a whole, by compare-and-swap, once its line has a participant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct LineWord(u64);

impl LineWord {
    pub fn from_bits(bits: u64) -> LineWord {
        LineWord(bits)
    }

    #[inline(always)]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The same line for its next subscriber.
    pub fn taken_by(self, participant: u32) -> LineWord {
        // From 1 on: no subscriber has the word of a line that was never used.
        let generation = ((self.generation() as u64 + 1) & GENERATION_MASK).max(1);
        LineWord((participant as u64) << PARTICIPANT_SHIFT | generation << STANDING_BITS).standing_as(Standing::Joining)
    }

    /// No subscriber; the generation stays.
    pub fn freed(self) -> LineWord {
        LineWord(self.0 & GENERATION_MASK << STANDING_BITS)
    }

    pub fn standing_as(self, standing: Standing) -> LineWord {
        LineWord(self.0 & !STANDING_MASK | standing as u64)
    }

    /// `None` for a number that no version of this code writes.
    pub fn standing(self) -> Option<Standing> {
        Some(match self.0 & STANDING_MASK {
            0 => Standing::Free,
            1 => Standing::Joining,
            2 => Standing::Gating,
            3 => Standing::Lossy,
            4 => Standing::Evicting,
            5 => Standing::Evicted,
            _ => return None,
        })
    }

    pub fn generation(self) -> u32 {
        (self.0 >> STANDING_BITS & GENERATION_MASK) as u32
    }

    /// Bits of the participant's id.
    pub fn participant(self) -> u32 {
        (self.0 >> PARTICIPANT_SHIFT) as u32
    }

    /// The same subscriber, whatever it stands for?
    pub fn is_same_subscriber(self, other: LineWord) -> bool {
        self.0 >> STANDING_BITS == other.0 >> STANDING_BITS
    }
}

impl fmt::Debug for LineWord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (participant, generation) = (self.participant(), self.generation());
        match self.standing() {
            Some(standing) => write!(out, "{standing:?}(participant {participant:#x}, generation {generation})"),
            None => write!(out, "Garbage({:#018x})", self.0),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_word_keeps_its_parts_apart() {
        let word = LineWord::from_bits(0).taken_by(u32::MAX);
        assert_eq!((word.participant(), word.generation(), word.standing()), (u32::MAX, 1, Some(Standing::Joining)));
        for standing in [Standing::Gating, Standing::Lossy, Standing::Evicting, Standing::Evicted] {
            let changed = word.standing_as(standing);
            assert!(changed.is_same_subscriber(word) && changed.standing() == Some(standing));
        }
        let next = word.freed().taken_by(7);
        assert_eq!((next.participant(), next.generation()), (7, 2));
        assert!(!next.is_same_subscriber(word));
        let last = LineWord::from_bits(GENERATION_MASK << STANDING_BITS).taken_by(1);
        assert_eq!(last.generation(), 1, "0 is a line that was never used");
    }
}
