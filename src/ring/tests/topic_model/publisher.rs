//! A publisher: as an endpoint, or by the lock.

use super::gate::{NEVER, NO_LINE, Scan};
use super::subscriber::{self, Line};
use super::words::{self, BOUND, GATE, JOINS, JOINS_SEEN, LAGGARD, LOCK, OTHERS, OWNER, RECLAIM, TAIL};
use super::{ABORTED, Actor, Case, Flaw, Kind, LENT, Loans, World};

/// Header words.
pub(super) const FREE: u8 = 0;
pub(super) const READY: u8 = 1;
pub(super) const DONE: u8 = 2;
/// And the owner's number.
pub(super) const CLAIMED: u8 = 4;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    Lock,
    CheckOwner,
    /// What a dead owner remembers of its last scan counts for nothing.
    Forget,
    Repair,
    RepairTail,
    ClearOwner,
    BecomeOwner,
    /// By the endpoint.
    ReleaseLock,
    Reserve,
    ReadJoins,
    /// The only line that is read as long as no subscriber joins.
    ReadLaggard,
    RememberJoins,
    ReadLine {
        line: u8,
    },
    BarrierBeforePin {
        line: u8,
    },
    ReadPin {
        line: u8,
    },
    BarrierAfterPin {
        line: u8,
    },
    LeaveOut {
        line: u8,
    },
    FreeLine {
        line: u8,
    },
    ReadCursor {
        line: u8,
    },
    ReadJoinsLate,
    EndScan,
    RememberOthers,
    Decide,
    StoreGate,
    CompareJoins,
    StoreGateLate,
    Walk,
    AbortDead,
    StoreReclaim,
    StoreBound,
    Full,
    StoreReclaimLate,
    WriteFree,
    WriteFirst,
    WriteSecond,
    Commit,
    Claim,
    MoveTail,
    Unlock,
    WriteLoanFirst,
    WriteLoanSecond,
    CommitLoan,
    Holding,
    LeaveOwner,
}

impl Step {
    /// Does it touch nothing but words that only the owner of the put side uses?
    pub fn is_private(self) -> bool {
        matches!(
            self,
            Step::Forget
                | Step::Reserve
                | Step::RememberJoins
                | Step::EndScan
                | Step::Decide
                | Step::RememberOthers
                | Step::StoreBound
        )
    }
}

impl Case {
    pub(super) fn step_publisher(&self, world: &World, i: usize, step: Step) -> Option<World> {
        let me = i as u8 + 1;
        let (is_endpoint, loans) = match self.kinds[i] {
            Kind::Publisher { is_endpoint, loans, .. } => (is_endpoint, loans),
            _ => (false, Loans::No),
        };
        let mut next = *world;
        let tail = world.load(i, TAIL);
        let private = |word: words::Word| world.words[word as usize];
        let longest = self.buffer;
        let then = match step {
            Step::Lock => {
                let holder = private(LOCK);
                if holder != 0 && !world.is_dead(holder) {
                    return None;
                }
                next.drain(i);
                next.words[LOCK as usize] = me;
                next.actors[i].put.is_takeover = holder != 0;
                Step::CheckOwner
            }
            Step::CheckOwner => match private(OWNER) {
                0 if world.actors[i].put.is_takeover => Step::Forget,
                0 if is_endpoint => Step::BecomeOwner,
                0 => Step::Reserve,
                owner if world.is_dead(owner) => Step::Forget,
                _ => {
                    // A live endpoint: refused.
                    next.actors[i].messages = 0;
                    Step::Unlock
                }
            },
            Step::Forget => {
                if !self.has(Flaw::MemorySurvivesDeath) {
                    next.words[JOINS_SEEN as usize] = NEVER;
                }
                Step::Repair
            }
            Step::Repair => match world.load(i, self.header(tail)) {
                FREE => Step::ClearOwner,
                claimed if claimed > CLAIMED && world.is_dead(claimed - CLAIMED) => {
                    if next.compare_exchange(i, self.header(tail), claimed, DONE) {
                        next.published[tail as usize] = ABORTED;
                    }
                    Step::RepairTail
                }
                _ => Step::RepairTail,
            },
            Step::RepairTail => {
                next.store(i, TAIL, tail + 1, true, longest);
                Step::Repair
            }
            Step::ClearOwner => {
                next.drain(i);
                next.words[OWNER as usize] = 0;
                if is_endpoint { Step::BecomeOwner } else { Step::Reserve }
            }
            Step::BecomeOwner => {
                next.words[OWNER as usize] = me;
                Step::ReleaseLock
            }
            Step::ReleaseLock => {
                next.drain(i);
                next.words[LOCK as usize] = 0;
                Step::Reserve
            }
            Step::Reserve => {
                next.actors[i].at = tail;
                let has_room = tail + 1 < private(BOUND) + self.cells();
                match (has_room, world.actors[i].put.has_extended) {
                    (true, _) => Step::WriteFree,
                    (false, false) => Step::ReadJoins,
                    (false, true) => {
                        // A loan stops it.
                        next.actors[i].put = Scan { is_full: true, ..Scan::default() };
                        if is_endpoint { Step::Full } else { Step::Unlock }
                    }
                }
            }
            Step::ReadJoins => {
                let joins = world.load(i, JOINS);
                next.actors[i].put.joins = joins;
                next.actors[i].put.begin();
                let is_fresh = joins == private(JOINS_SEEN) || self.has(Flaw::MemoryWithoutJoins) && private(JOINS_SEEN) != NEVER;
                if self.has_memory && is_fresh && !world.actors[i].put.is_probing {
                    Step::ReadLaggard
                } else {
                    Step::RememberJoins
                }
            }
            Step::ReadLaggard => {
                let laggard = private(LAGGARD);
                let cursor = if laggard == NO_LINE { u8::MAX } else { world.load(i, words::cursor(laggard)) };
                let others = if self.has(Flaw::MemoryWithoutOthers) { u8::MAX } else { private(OTHERS) };
                let low = cursor.min(others);
                if self.is_open(low, tail) {
                    next.actors[i].put.gate = self.gate_for(low, tail);
                    Step::StoreGate
                } else {
                    Step::RememberJoins
                }
            }
            Step::RememberJoins => {
                if !self.has(Flaw::JoinsReadAfterScan) {
                    next.words[JOINS_SEEN as usize] = world.actors[i].put.joins;
                }
                Step::ReadLine { line: 0 }
            }
            Step::ReadLine { line } => {
                let found = Line(world.load(i, words::state(line)));
                let is_dead = found.kind() != subscriber::NO && world.is_dead(found.owner());
                next.actors[i].put.seen = found.0;
                match found.kind() {
                    _ if is_dead && world.actors[i].put.is_probing && !self.has(Flaw::DeadStayInGate) => Step::FreeLine { line },
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
                let seen = Line(world.actors[i].put.seen);
                next.drain(i);
                if self.has(Flaw::EvictedByStore) {
                    next.words[words::state(line) as usize] = seen.with(subscriber::EVICTED).0;
                    self.next_line(line)
                } else if next.compare_exchange(i, words::state(line), seen.0, seen.with(subscriber::EVICTED).0) {
                    self.next_line(line)
                } else {
                    Step::ReadLine { line }
                }
            }
            Step::FreeLine { line } => {
                let seen = Line(world.actors[i].put.seen);
                if self.has(Flaw::FreedByStore) {
                    next.drain(i);
                    next.words[words::state(line) as usize] = self.freed(seen).0;
                    self.next_line(line)
                } else if next.compare_exchange(i, words::state(line), seen.0, self.freed(seen).0) {
                    self.next_line(line)
                } else {
                    Step::ReadLine { line }
                }
            }
            Step::ReadCursor { line } => {
                next.actors[i].put.add(line, world.load(i, words::cursor(line)));
                self.next_line(line)
            }
            Step::ReadJoinsLate => {
                next.words[JOINS_SEEN as usize] = world.load(i, JOINS);
                Step::EndScan
            }
            Step::EndScan if self.has(Flaw::FullForgotten) && !self.is_open(world.actors[i].put.low, tail) => Step::Decide,
            Step::EndScan => {
                next.words[LAGGARD as usize] = world.actors[i].put.low_line;
                Step::RememberOthers
            }
            Step::RememberOthers => {
                next.words[OTHERS as usize] = world.actors[i].put.others;
                Step::Decide
            }
            Step::Decide => {
                let scan = &mut next.actors[i].put;
                scan.gate = self.gate_for(scan.low, tail);
                if self.is_open(scan.low, tail) {
                    Step::StoreGate
                } else if !scan.is_probing {
                    scan.is_probing = true;
                    Step::ReadJoins
                } else {
                    *scan = Scan { is_full: true, ..Scan::default() };
                    if is_endpoint { Step::Full } else { Step::Unlock }
                }
            }
            Step::StoreGate => {
                if !self.has(Flaw::GateStoredAfterCompare) {
                    next.store(i, GATE, world.actors[i].put.gate, true, longest);
                }
                Step::CompareJoins
            }
            Step::CompareJoins => {
                let joins = world.load(i, JOINS);
                if joins != private(JOINS_SEEN) && !self.has(Flaw::JoinsNotCompared) {
                    next.actors[i].put.joins = joins;
                    next.actors[i].put.begin();
                    Step::RememberJoins
                } else if self.has(Flaw::GateStoredAfterCompare) {
                    Step::StoreGateLate
                } else {
                    next.actors[i].put.walk = world.load(i, RECLAIM);
                    Step::Walk
                }
            }
            Step::StoreGateLate => {
                next.store(i, GATE, world.actors[i].put.gate, true, longest);
                next.actors[i].put.walk = world.load(i, RECLAIM);
                Step::Walk
            }
            Step::Walk => {
                let Scan { walk, gate, .. } = world.actors[i].put;
                let found = if walk < gate { world.load(i, self.header(walk)) } else { FREE };
                if walk >= gate {
                    Step::StoreReclaim
                } else if found > CLAIMED && !self.has(Flaw::ReclaimPastLoan) {
                    next.actors[i].put.seen = found;
                    if world.is_dead(found - CLAIMED) { Step::AbortDead } else { Step::StoreReclaim }
                } else {
                    next.actors[i].put.walk += 1;
                    Step::Walk
                }
            }
            Step::AbortDead => {
                let Scan { walk, seen, .. } = world.actors[i].put;
                if next.compare_exchange(i, self.header(walk), seen, DONE) {
                    next.published[walk as usize] = ABORTED;
                }
                Step::Walk
            }
            Step::StoreReclaim => {
                let (before, walk) = (world.load(i, RECLAIM), world.actors[i].put.walk);
                for at in before..walk {
                    assert!(world.published[at as usize] != LENT, "reclaim passes an open loan: {world:?}");
                }
                if self.has(Flaw::ReclaimAfterWrite) {
                    next.actors[i].put.seen = walk;
                } else if walk > before {
                    next.store(i, RECLAIM, walk, true, longest);
                    if !self.has(Flaw::ReclaimNotFenced) {
                        next.fence_release(i, longest);
                    }
                }
                Step::StoreBound
            }
            Step::StoreBound => {
                let Scan { gate, walk, .. } = world.actors[i].put;
                let slack = if self.has(Flaw::SlackPublished) { 0 } else { self.slack };
                next.words[BOUND as usize] = walk.min(gate - slack);
                let seen = world.actors[i].put.seen;
                next.actors[i].put = Scan { has_extended: true, seen, ..Scan::default() };
                Step::Reserve
            }
            Step::Full => {
                let again = if is_endpoint { Step::ReadJoins } else { Step::Lock };
                if !self.solo_has_room(world, i, again) {
                    return None;
                }
                next.actors[i].put = Scan::default();
                again
            }
            Step::WriteFree => {
                next.store(i, self.header(tail + 1), FREE, false, longest);
                Step::WriteFirst
            }
            Step::WriteFirst if loans != Loans::No => Step::Claim,
            Step::WriteFirst => {
                next.store(i, self.header(tail) + 1, Case::tag(tail, me), false, longest);
                Step::WriteSecond
            }
            Step::WriteSecond => {
                next.store(i, self.header(tail) + 2, Case::tag(tail, me), false, longest);
                if self.has(Flaw::ReclaimAfterWrite) && world.actors[i].put.seen > private(RECLAIM) {
                    Step::StoreReclaimLate
                } else {
                    Step::Commit
                }
            }
            Step::StoreReclaimLate => {
                next.store(i, RECLAIM, world.actors[i].put.seen, true, longest);
                Step::Commit
            }
            Step::Commit => {
                self.publish(&mut next, tail, me);
                next.store(i, self.header(tail), READY, true, longest);
                Step::MoveTail
            }
            Step::Claim => {
                self.publish(&mut next, tail, LENT);
                next.store(i, self.header(tail), CLAIMED + me, true, longest);
                next.actors[i].put.lent = tail;
                Step::MoveTail
            }
            Step::MoveTail => {
                let lent = world.actors[i].put.lent;
                next.store(i, TAIL, tail + 1, true, longest);
                next.actors[i].put = Scan { lent, ..Scan::default() };
                next.actors[i].messages -= 1;
                match (is_endpoint, lent) {
                    (true, 0) if next.actors[i].messages == 0 => Step::LeaveOwner,
                    (true, 0) => Step::Reserve,
                    (true, _) => Step::WriteLoanFirst,
                    (false, _) => Step::Unlock,
                }
            }
            Step::Unlock => {
                next.drain(i);
                next.words[LOCK as usize] = 0;
                if world.actors[i].put.lent != 0 {
                    Step::WriteLoanFirst
                } else if world.actors[i].messages == 0 {
                    return Some(self.done(next, i));
                } else if world.actors[i].put.is_full {
                    Step::Full
                } else {
                    Step::Lock
                }
            }
            Step::WriteLoanFirst if loans == Loans::Keeps => Step::Holding,
            Step::WriteLoanFirst => {
                let lent = world.actors[i].put.lent;
                next.store(i, self.header(lent) + 1, Case::tag(lent, me), false, longest);
                Step::WriteLoanSecond
            }
            Step::WriteLoanSecond => {
                let lent = world.actors[i].put.lent;
                next.store(i, self.header(lent) + 2, Case::tag(lent, me), false, longest);
                Step::CommitLoan
            }
            Step::CommitLoan => {
                let lent = world.actors[i].put.lent;
                assert!(next.compare_exchange(i, self.header(lent), CLAIMED + me, READY), "a live loan was aborted: {world:?}");
                next.published[lent as usize] = me;
                next.actors[i].put.lent = 0;
                match (is_endpoint, world.actors[i].messages) {
                    (true, 0) => Step::LeaveOwner,
                    (true, _) => Step::Reserve,
                    (false, 0) => return Some(self.done(next, i)),
                    (false, _) => Step::Lock,
                }
            }
            Step::Holding => return None,
            Step::LeaveOwner => {
                next.drain(i);
                next.words[OWNER as usize] = 0;
                return Some(self.done(next, i));
            }
        };
        next.actors[i].step = super::Step::Publish(then);
        Some(next)
    }

    fn done(&self, mut world: World, i: usize) -> World {
        let actor = &mut world.actors[i];
        *actor = Actor { step: super::Step::Done, at: 0, put: Scan::default(), ..*actor };
        world
    }
}
