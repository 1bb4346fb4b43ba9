//! The word of an entry.

/// What may still happen to a chunk.
pub(super) mod state {
    pub const WAITING: u64 = 0;
    pub const RUNNING: u64 = 1;
    pub const HELD: u64 = 2;
    pub const DONE: u64 = 3;
    pub const CANCELLED: u64 = 4;
    pub const KILLED: u64 = 5;
    pub const TIMED_OUT: u64 = 6;
}

/// `generation 32 | beat 19 | seat 10 | state 3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word(pub u64);

const SEAT_SHIFT: u32 = 3;
pub(super) const BEAT_SHIFT: u32 = 13;
const GENERATION_SHIFT: u32 = 32;
const SEAT_MASK: u64 = 0x3ff;
pub(super) const BEAT_MASK: u64 = 0x7_ffff;

impl Word {
    pub fn waiting(generation: u32) -> Word {
        Word(u64::from(generation) << GENERATION_SHIFT | state::WAITING)
    }

    pub fn generation(self) -> u32 {
        (self.0 >> GENERATION_SHIFT) as u32
    }

    pub fn state(self) -> u64 {
        self.0 & 7
    }

    pub fn seat(self) -> u32 {
        (self.0 >> SEAT_SHIFT & SEAT_MASK) as u32
    }

    pub fn with_state(self, state: u64) -> Word {
        Word(self.0 & !7 | state)
    }

    /// As it runs at that seat, one beat later.
    pub fn running(self, seat: u32) -> Word {
        let beat = ((self.0 >> BEAT_SHIFT) + 1) & BEAT_MASK;
        let generation = self.0 >> GENERATION_SHIFT << GENERATION_SHIFT;
        Word(generation | beat << BEAT_SHIFT | u64::from(seat) << SEAT_SHIFT | state::RUNNING)
    }
}
