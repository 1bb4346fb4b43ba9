//! The phases of a barrier: their word, and how each of them ended.
//!
//! The invariants are those of the [module](super).

use crate::shm::layout::BarrierWords;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// Of a phase (Invariant 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Open,
    Broken,
    Ended,
    /// As `Ended`, and the next phase is to be broken from its beginning: a party gave up that
    /// would have belonged to it.
    EndedNextBroken,
}

impl State {
    /// Have all parties arrived? Then the phase is over for them, whatever the next one is.
    pub fn is_ended(self) -> bool {
        matches!(self, State::Ended | State::EndedNextBroken)
    }

    /// How a phase begins after one that ended like this, with all parties there.
    pub fn of_next(self) -> State {
        if self == State::EndedNextBroken { State::Broken } else { State::Open }
    }
}

/// A phase and its state, as the word `phase` holds them.
fn word_of(phase: u64, state: State) -> u64 {
    phase << 2 | state as u64
}

fn parts_of(word: u64) -> (u64, State) {
    let state = match word & 3 {
        0 => State::Open,
        1 => State::Broken,
        2 => State::Ended,
        _ => State::EndedNextBroken,
    };
    (word >> 2, state)
}

fn phase_bit(phase: u64) -> u64 {
    1 << (phase % 64)
}

/// The phases of one barrier.
#[derive(Clone, Copy)]
pub(super) struct Phases<'a>(pub &'a BarrierWords);

impl Phases<'_> {
    /// The phase now, and its state.
    pub fn now(self) -> (u64, State) {
        parts_of(self.0.phase.load(Acquire))
    }

    /// The way out of an open phase. `false`: it is another phase by now, or not open.
    pub fn end(self, phase: u64, how: State) -> bool {
        // AcqRel: a party that sees how a phase ended sees what led to it.
        let word = &self.0.phase;
        word.compare_exchange(word_of(phase, State::Open), word_of(phase, how), AcqRel, Acquire).is_ok()
    }

    /// Breaks the phase that is open, if one is. Needs no lock.
    pub fn break_open(self) -> bool {
        let (phase, _) = self.now();
        self.end(phase, State::Broken)
    }

    /// Breaks the phase that is open, or else the one after a phase that has ended: for a party
    /// that has arrived in neither. Needs no lock.
    pub fn break_open_or_next(self) {
        self.change(|phase, state| match state {
            State::Open | State::Broken => (phase, State::Broken),
            State::Ended | State::EndedNextBroken => (phase, State::EndedNextBroken),
        });
    }

    fn change(self, change: impl Fn(u64, State) -> (u64, State)) {
        let changed = |word| {
            let (phase, state) = parts_of(word);
            let (phase, state) = change(phase, state);
            Some(word_of(phase, state))
        };
        // AcqRel: as in `end`, and a party that sees the next phase sees all that was made ready
        // for it. Never refused.
        let _ = self.0.phase.fetch_update(AcqRel, Acquire, changed);
    }

    /// Needs the lock. `opens` says how the next phase begins, after one of that state; `clear`
    /// forgets the arrivals. The phase last: by then everything else is ready for it (Invariant 3).
    /// May be killed in the middle, and done again.
    pub fn open_next(self, clear: impl FnOnce(), opens: fn(State) -> State) {
        let (phase, state) = self.now();
        let next = phase.wrapping_add(1);
        let bit = if state == State::Broken { phase_bit(phase) } else { 0 };
        let others = self.0.broken_phases.load(Relaxed) & !phase_bit(phase) & !phase_bit(next);
        self.0.broken_phases.store(others | bit, Relaxed);
        clear();
        self.0.arrived.store(0, Relaxed);
        // By compare-and-swap: a party that gives up, or aborts, may change the state meanwhile.
        self.change(|_, state| (next, opens(state)));
    }

    /// Was that phase, which had an arrival of the caller, broken (Invariant 3)? `None`: it is
    /// open.
    pub fn was_broken(self, phase: u64) -> Option<bool> {
        match self.now() {
            (now, State::Open) if now == phase => None,
            (now, state) if now == phase => Some(state == State::Broken),
            _ => Some(self.0.broken_phases.load(Acquire) & phase_bit(phase) != 0),
        }
    }
}
