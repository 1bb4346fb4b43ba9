//! A publisher: as an endpoint, or by the lock.

use super::gate::{NEVER, Scan};
use super::words::{self, BOUND, JOINS_SEEN, LOCK, OWNER, RECLAIM, TAIL};
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
    /// Does the gate of the last scan leave room?
    Believe,
    WalkBelieved,
    /// Did no subscriber join since the last scan? Then the laggard's line says it.
    ReadJoins,
    ReadLaggard,
    ReadLaggardState,
    ReadJoinsAgain,
    DropMemory,
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
    Walk,
    AbortDead {
        believed: bool,
    },
    StoreMustScan,
    StoreOthers,
    StoreLaggard,
    StoreGate,
    CompareJoins,
    StoreGateLate,
    StoreJoinsSeen,
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
                | Step::Believe
                | Step::DropMemory
                | Step::EndScan
                | Step::StoreMustScan
                | Step::StoreOthers
                | Step::StoreLaggard
                | Step::StoreJoinsSeen
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
                if !self.has(Flaw::MemoryHalfWritten) && !self.has(Flaw::MemoryOfTheDead) {
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
                match world.actors[i].put {
                    _ if has_room => Step::WriteFree,
                    Scan { has_extended: false, .. } => Step::Believe,
                    Scan { is_probing: false, .. } => {
                        next.actors[i].put.is_probing = true;
                        Step::ReadJoinsAgain
                    }
                    _ => {
                        next.actors[i].put = Scan { is_full: true, ..Scan::default() };
                        if is_endpoint { Step::Full } else { Step::Unlock }
                    }
                }
            }
            Step::Full => {
                let again = if is_endpoint { Step::Reserve } else { Step::Lock };
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
            of_the_gate => self.step_gate(world, &mut next, i, of_the_gate),
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
