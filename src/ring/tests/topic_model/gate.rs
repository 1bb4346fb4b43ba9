//! How far a publisher may go, in the order of `ring/topic/gate.rs`: the believed gate, the
//! laggard's line, the scan of all lines; a new gate, reclaim, and the bound.

use super::publisher::{CLAIMED, DONE, Step};
use super::subscriber::{self, Line};
use super::words::{self, BOUND, GATE, JOINS, JOINS_SEEN, LAGGARD, LOCK, OTHERS, RECLAIM, TAIL};
use super::{ABORTED, Case, Flaw, LENT, MOST_ACTORS, NOTHING, World};

/// In `joins_seen`: no gate is believed.
pub(super) const NEVER: u8 = u8::MAX;
pub(super) const NO_LINE: u8 = u8::MAX;

/// What a publisher has found, since it needs room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Scan {
    pub is_takeover: bool,
    pub is_full: bool,
    pub has_extended: bool,
    /// It frees the lines of the dead.
    pub is_probing: bool,
    /// The laggard's line alone was read.
    pub by_laggard: bool,
    pub joins: u8,
    pub low: u8,
    pub low_line: u8,
    pub others: u8,
    pub gate: u8,
    pub walk: u8,
    pub seen: u8,
    /// Position of its loan.
    pub lent: u8,
}

impl Scan {
    pub fn bytes(&self) -> [u8; 9] {
        let Scan { is_takeover, is_full, has_extended, is_probing, by_laggard, .. } = *self;
        let flags = [is_takeover, is_full, has_extended, is_probing, by_laggard].map(u8::from);
        let flags = flags.into_iter().fold(0, |bits, flag| bits << 1 | flag);
        let Scan { joins, low, low_line, others, gate, walk, seen, lent, .. } = *self;
        [flags, joins, low, low_line, others, gate, walk, seen, lent]
    }

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
    /// The lowest cursor, as the gate has it.
    fn lowest(&self, low: u8, tail: u8, reclaim: u8) -> u8 {
        match () {
            () if self.has(Flaw::GateBeyondTail) => low.min(tail + 1),
            () if self.has(Flaw::GateBelowReclaim) => low.min(tail),
            () => low.min(tail).max(reclaim),
        }
    }

    /// The gate for that: not as far as the subscribers are, for those that join.
    fn gate_for(&self, lowest: u8, tail: u8, reclaimed: u8) -> u8 {
        let wanted = self.history.max(self.capacity / 2);
        let kept_back = match () {
            () if self.has(Flaw::GateBeyondTail) => return lowest,
            () if self.has(Flaw::LagBeyondNeed) => return lowest.min(tail - wanted),
            () => wanted.min(self.capacity - 1),
        };
        lowest.min(reclaimed.max(tail - kept_back))
    }

    /// So far reclaim must move for one more record, and so far it moves at a time.
    fn targets(&self, tail: u8) -> (u8, u8) {
        let least = tail + 2 - self.cells();
        (least, least.max(tail + self.slack.max(1) + 1 - self.cells()))
    }

    /// One step of a walk of reclaim, up to `target` or `most`. `None`: it has ended.
    fn walk(&self, world: &World, next: &mut World, i: usize, target: u8, most: u8, believed: bool) -> Option<Step> {
        let walk = world.actors[i].put.walk;
        if walk >= target.min(most) {
            return None;
        }
        match world.load(i, self.header(walk)) {
            found if found > CLAIMED && world.is_dead(found - CLAIMED) && !self.has(Flaw::ReclaimPastLoan) => {
                next.actors[i].put.seen = found;
                Some(Step::AbortDead { believed })
            }
            found if found > CLAIMED && !self.has(Flaw::ReclaimPastLoan) => None,
            _ => {
                next.actors[i].put.walk += 1;
                Some(if believed { Step::WalkBelieved } else { Step::Walk })
            }
        }
    }

    pub(super) fn step_gate(&self, world: &World, next: &mut World, i: usize, step: Step) -> Step {
        let tail = world.load(i, TAIL);
        let reclaim = world.load(i, RECLAIM);
        let private = |word: words::Word| world.words[word as usize];
        let longest = self.buffer;
        let scan = world.actors[i].put;
        let (least, target) = self.targets(tail);
        let put = &mut next.actors[i].put;
        match step {
            Step::Believe => {
                (put.gate, put.walk) = (world.load(i, GATE), reclaim);
                if private(JOINS_SEEN) == NEVER { Step::ReadJoins } else { Step::WalkBelieved }
            }
            Step::WalkBelieved => match self.walk(world, next, i, target, scan.gate, true) {
                Some(step) => step,
                None if scan.gate + self.capacity > tail && scan.walk >= least => Step::StoreReclaim,
                None => Step::ReadJoins,
            },
            Step::ReadJoins => {
                let joins = world.load(i, JOINS);
                put.joins = joins;
                let is_fresh = joins == private(JOINS_SEEN) || self.has(Flaw::MemoryWithoutJoins) && private(JOINS_SEEN) != NEVER;
                if self.has_memory && is_fresh { Step::ReadLaggard } else { Step::ReadJoinsAgain }
            }
            Step::ReadLaggard => {
                let laggard = private(LAGGARD);
                let others = if self.has(Flaw::MemoryWithoutOthers) { u8::MAX } else { private(OTHERS) };
                (put.low, put.low_line) = (others, laggard);
                if laggard == NO_LINE {
                    return self.try_laggard(next, i, tail);
                }
                put.low = others.min(world.load(i, words::cursor(laggard)));
                put.others = others;
                Step::ReadLaggardState
            }
            Step::ReadLaggardState => {
                // What it gated as is not kept in the model: it gates, or the others decide.
                let now = Line(world.load(i, words::state(scan.low_line)));
                match now.kind() {
                    subscriber::GATING => {}
                    subscriber::NO | subscriber::JOINING => put.low = scan.others,
                    _ => return Step::ReadJoinsAgain,
                }
                self.try_laggard(next, i, tail)
            }
            Step::ReadJoinsAgain => {
                put.joins = world.load(i, JOINS);
                put.walk = reclaim;
                if scan.by_laggard {
                    return Step::Walk;
                }
                put.begin();
                Step::ReadLine { line: 0 }
            }
            Step::ReadLine { line } => {
                let found = Line(world.load(i, words::state(line)));
                let is_dead = found.kind() != subscriber::NO && world.is_dead(found.owner());
                put.seen = found.0;
                match found.kind() {
                    _ if is_dead && scan.is_probing && !self.has(Flaw::DeadStayInGate) => Step::FreeLine { line },
                    subscriber::GATING => Step::ReadCursor { line },
                    subscriber::EVICTING if self.has(Flaw::BarrierAfterPin) => Step::ReadPin { line },
                    subscriber::EVICTING => Step::BarrierBeforePin { line },
                    _ => self.next_line(line),
                }
            }
            Step::BarrierBeforePin { line } => {
                if !self.has(Flaw::NoBarrierBeforePin) && !self.has(Flaw::EvictorRunsBarrier) {
                    next.heavy_barrier();
                }
                Step::ReadPin { line }
            }
            Step::ReadPin { line } => match world.load(i, words::pin(line)) {
                1 if !self.has(Flaw::PinNotRead) => Step::ReadCursor { line },
                _ if self.has(Flaw::BarrierAfterPin) => Step::BarrierAfterPin { line },
                _ => Step::LeaveOut { line },
            },
            Step::BarrierAfterPin { line } => {
                next.heavy_barrier();
                Step::LeaveOut { line }
            }
            Step::LeaveOut { line } => {
                let seen = Line(scan.seen);
                self.change_line(next, i, line, seen.with(subscriber::EVICTED), self.has(Flaw::EvictedByStore))
            }
            Step::FreeLine { line } => {
                let seen = Line(scan.seen);
                self.change_line(next, i, line, self.freed(seen), self.has(Flaw::FreedByStore))
            }
            Step::ReadCursor { line } => {
                put.add(line, world.load(i, words::cursor(line)));
                self.next_line(line)
            }
            Step::ReadJoinsLate => {
                put.joins = world.load(i, JOINS);
                Step::EndScan
            }
            Step::EndScan => Step::Walk,
            Step::Walk => {
                let lowest = self.lowest(scan.low, tail, reclaim);
                if let Some(step) = self.walk(world, next, i, target, lowest, false) {
                    return step;
                }
                next.actors[i].put.gate = self.gate_for(lowest, tail, scan.walk);
                if scan.by_laggard { Step::DropMemory } else { Step::StoreMustScan }
            }
            Step::AbortDead { believed } => {
                if next.compare_exchange(i, self.header(scan.walk), scan.seen, DONE) {
                    next.published[scan.walk as usize] = ABORTED;
                }
                if believed { Step::WalkBelieved } else { Step::Walk }
            }
            Step::DropMemory => {
                put.by_laggard = false;
                if private(JOINS_SEEN) != scan.joins && !self.has(Flaw::MemoryWithoutJoins) {
                    return Step::ReadJoinsAgain;
                }
                next.words[JOINS_SEEN as usize] = NEVER;
                Step::StoreGate
            }
            Step::StoreMustScan => {
                let is_early = self.has(Flaw::MemoryHalfWritten) || self.has(Flaw::FullForgotten);
                next.words[JOINS_SEEN as usize] = if is_early || self.has(Flaw::MemoryNotDropped) { scan.joins } else { NEVER };
                let is_open = scan.gate + self.capacity > tail;
                if self.has(Flaw::FullForgotten) && !is_open { Step::StoreGate } else { Step::StoreOthers }
            }
            Step::StoreOthers => {
                next.words[OTHERS as usize] = scan.others;
                Step::StoreLaggard
            }
            Step::StoreLaggard => {
                next.words[LAGGARD as usize] = scan.low_line;
                Step::StoreGate
            }
            Step::StoreGate => {
                if !self.has(Flaw::GateStoredAfterCompare) {
                    next.store(i, GATE, scan.gate, true, longest);
                }
                Step::CompareJoins
            }
            Step::CompareJoins => {
                if world.load(i, JOINS) != scan.joins && !self.has(Flaw::JoinsNotCompared) {
                    Step::ReadJoinsAgain
                } else if self.has(Flaw::GateStoredAfterCompare) {
                    Step::StoreGateLate
                } else {
                    Step::StoreJoinsSeen
                }
            }
            Step::StoreGateLate => {
                next.store(i, GATE, scan.gate, true, longest);
                Step::StoreJoinsSeen
            }
            Step::StoreJoinsSeen => {
                next.words[JOINS_SEEN as usize] = scan.joins;
                Step::StoreReclaim
            }
            Step::StoreReclaim => {
                for at in reclaim..scan.walk {
                    assert!(world.published[at as usize] != LENT, "reclaim passes an open loan: {world:?}");
                }
                if self.has(Flaw::ReclaimAfterWrite) {
                    put.seen = scan.walk;
                } else if scan.walk > reclaim {
                    next.store(i, RECLAIM, scan.walk, true, longest);
                    if !self.has(Flaw::ReclaimNotFenced) {
                        next.fence_release(i, longest);
                    }
                }
                Step::StoreBound
            }
            Step::StoreBound => {
                let slack = if self.has(Flaw::SlackPublished) { 0 } else { self.slack };
                let Scan { is_probing, seen, lent, .. } = scan;
                next.actors[i].put = Scan { has_extended: true, is_probing, seen, lent, ..Scan::default() };
                next.words[BOUND as usize] = scan.walk.min(scan.gate.saturating_sub(slack));
                Step::Reserve
            }
            step => unreachable!("{step:?} is not of the gate"),
        }
    }

    /// Goes on with what the laggard alone shows, if that is enough.
    fn try_laggard(&self, next: &mut World, i: usize, tail: u8) -> Step {
        let put = &mut next.actors[i].put;
        put.by_laggard = put.low.min(tail) + self.capacity > tail;
        Step::ReadJoinsAgain
    }

    /// To the next line; or to the same one again, if it has changed.
    fn change_line(&self, next: &mut World, i: usize, line: u8, to: Line, by_store: bool) -> Step {
        let seen = next.actors[i].put.seen;
        if by_store {
            next.drain(i);
            next.words[words::state(line) as usize] = to.0;
        } else if !next.compare_exchange(i, words::state(line), seen, to.0) {
            return Step::ReadLine { line };
        }
        self.next_line(line)
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

    fn next_line(&self, line: u8) -> Step {
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
