//! How far a publisher may go: what it finds at the lines, and the arithmetic of the gate.

use super::publisher::Step;
use super::subscriber::{self, Line};
use super::words::{self, LOCK};
use super::{Case, Flaw, MOST_ACTORS, NOTHING, World};

/// In `joins_seen`: there was no scan.
pub(super) const NEVER: u8 = u8::MAX;
pub(super) const NO_LINE: u8 = u8::MAX;

/// What a publisher has found, since it needs room.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Scan {
    pub is_takeover: bool,
    pub is_full: bool,
    pub has_extended: bool,
    pub is_probing: bool,
    pub joins: u8,
    pub low: u8,
    pub low_line: u8,
    pub others: u8,
    pub gate: u8,
    pub walk: u8,
    pub seen: u8,
    /// Position and header of its loan.
    pub lent: u8,
}

impl Scan {
    pub fn begin(&mut self) {
        (self.low, self.low_line, self.others) = (u8::MAX, NO_LINE, u8::MAX);
    }

    pub fn add(&mut self, line: u8, cursor: u8) {
        if cursor < self.low {
            (self.others, self.low, self.low_line) = (self.low, cursor, line);
        } else {
            self.others = self.others.min(cursor);
        }
    }
}

impl Case {
    /// The gate for some lowest cursor: within the virtual lag, which yields to the need.
    pub(super) fn gate_for(&self, low: u8, tail: u8) -> u8 {
        if self.has(Flaw::GateBeyondTail) {
            return low.min(tail + 1);
        }
        let wanted = self.history.max(self.capacity / 2);
        let lag = if self.has(Flaw::LagBeyondNeed) { wanted } else { wanted.min(self.capacity - 1) };
        low.min(tail - lag)
    }

    pub(super) fn is_open(&self, low: u8, tail: u8) -> bool {
        self.gate_for(low, tail) + self.capacity > tail
    }

    pub(super) fn solo_has_room(&self, world: &World, i: usize, from: Step) -> bool {
        let mut world = *world;
        world.actors[i].put = Scan::default();
        let mut step = from;
        for _ in 0..200 {
            world.actors[i].step = super::Step::Publish(step);
            match step {
                Step::WriteFree => return true,
                Step::Lock if world.words[LOCK as usize] != 0 && !world.is_dead(world.words[LOCK as usize]) => return false,
                _ => {}
            }
            let Some(next) = self.step_publisher(&world, i, step) else { return false };
            world = next;
            step = match world.actors[i].step {
                super::Step::Publish(Step::Full) => return false,
                super::Step::Publish(step) => step,
                _ => return false,
            };
        }
        panic!("a scan without an end: {world:?}");
    }

    pub(super) fn freed(&self, line: Line) -> Line {
        if self.has(Flaw::FreeForgetsGeneration) { Line(0) } else { line.free() }
    }

    pub(super) fn next_line(&self, line: u8) -> Step {
        match line + 1 {
            line if line < self.lines => Step::ReadLine { line },
            _ if self.has(Flaw::JoinsReadAfterScan) => Step::ReadJoinsLate,
            _ => Step::EndScan,
        }
    }

    /// The commit point: is no gating subscriber more than a whole ring behind?
    pub(super) fn publish(&self, world: &mut World, position: u8, what: u8) {
        assert_eq!(world.published[position as usize], NOTHING, "{position} is published twice: {world:?}");
        world.published[position as usize] = what;
        for i in 0..MOST_ACTORS {
            if let Some(cursor) = self.gating_cursor(world, i) {
                assert!(position < cursor + self.capacity, "beyond the capacity: {position} for {cursor}, {world:?}");
            }
        }
    }

    /// Of a live subscriber that has joined and was not evicted. It may stand in its buffer: that
    /// of one that has just joined is not what the publisher went by.
    fn gating_cursor(&self, world: &World, i: usize) -> Option<u8> {
        let actor = &world.actors[i];
        let super::Step::Subscribe(step) = actor.step else { return None };
        let line = actor.sub.line;
        let found = Line(world.words[words::state(line) as usize]);
        let gates = found.kind() == subscriber::GATING && found.0 == actor.sub.word;
        (step.has_joined() && gates).then(|| world.load(i, words::cursor(line)))
    }
}
