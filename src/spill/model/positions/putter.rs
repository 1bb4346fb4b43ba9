//! A put: claim, create, fill, commit; and the put side's own work.

use super::aborts::{self, Then};
use super::{Brings, CELLS, Cell, File, Flaw, Kind, NO_SIDE, State, Word};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    /// The side was a dead process's: steps tail to the FREE word.
    Repair,
    Choose,
    /// Aborts what the dead claimed at the end, then tries the get side.
    TryGetSide,
    RepairGetSide,
    MoveTail {
        to: u8,
    },
    FreeWord,
    UnlockGetSide,
    StoreTail,
    Unlock,
    Create,
    Fill,
    Commit,
    Unlink,
    Abort,
    /// The wrong order, for the tests that must fail.
    CreateEarly,
    Claim,
    CommitEarly,
    UnlinkLate,
}

impl State {
    fn brings(&self, i: usize) -> Option<Brings> {
        match self.actors[i].kind {
            Kind::Putter([first, _]) => first,
            _ => None,
        }
    }

    /// Is a run of aborted records the end of the ring, which nobody has taken?
    fn untaken_end(&self) -> u8 {
        let mut begins = self.tail;
        while begins > self.head && self.word(begins - 1) == Word::Done {
            begins -= 1;
        }
        begins
    }

    fn has_room(&self) -> bool {
        self.tail - self.reclaim < CELLS - 1
    }

    fn can_reclaim(&self) -> bool {
        self.reclaim < self.head && self.word(self.reclaim) == Word::Done
    }

    fn can_retreat(&self) -> bool {
        let aborts = self.tail > self.head && self.is_claimed(self.tail - 1);
        self.may_lock(self.get_lock) && (aborts || self.untaken_end() < self.tail)
    }

    pub(super) fn begin_put(&self, i: usize) -> Vec<State> {
        let is_repaired = self.put_lock != NO_SIDE && self.is_dead(self.put_lock);
        let has_way = is_repaired || self.has_room() || self.can_reclaim() || self.can_retreat();
        if self.brings(i).is_none() || !self.may_lock(self.put_lock) || !has_way {
            return Vec::new();
        }
        let mut next = *self;
        next.put_lock = i as u8;
        vec![next.go(i, super::Step::Put(if is_repaired { Step::Repair } else { Step::Choose }))]
    }

    fn put(self, i: usize, step: Step) -> Vec<State> {
        vec![self.go(i, super::Step::Put(step))]
    }

    /// The put is over.
    fn end_put(mut self, i: usize) -> Vec<State> {
        if let Kind::Putter([_, second]) = self.actors[i].kind {
            self.actors[i].kind = Kind::Putter([second, None]);
        }
        (self.actors[i].at, self.actors[i].listed) = (0, 0);
        vec![self.go(i, super::Step::Idle)]
    }

    pub(super) fn step_put(&self, i: usize, step: Step) -> Vec<State> {
        let mut next = *self;
        let at = self.actors[i].at;
        let brings = self.brings(i);
        match step {
            Step::Repair => match self.word(self.tail) {
                Word::Free => next.put(i, Step::Choose),
                Word::Claimed(_) => vec![next.abort(i, self.tail, Then::RepairsPutSide)],
                _ => {
                    next.tail += 1;
                    next.put(i, Step::Repair)
                }
            },
            Step::Choose => {
                let mut all = Vec::new();
                if self.can_retreat() {
                    all.extend(next.put(i, Step::TryGetSide));
                }
                if self.has_room() {
                    all.extend(next.publish(i));
                } else if self.can_reclaim() {
                    next.reclaim += 1;
                    all.extend(next.put(i, Step::Choose));
                }
                if all.is_empty() { next.put(i, Step::Unlock) } else { all }
            }
            Step::TryGetSide => {
                if self.tail > self.head && self.is_claimed(self.tail - 1) {
                    return vec![next.abort(i, self.tail - 1, Then::Retreats)];
                }
                if !self.may_lock(self.get_lock) {
                    return next.put(i, Step::Choose);
                }
                let was_free = self.get_lock == NO_SIDE;
                next.get_lock = i as u8;
                if was_free { next.begin_retreat(i) } else { next.put(i, Step::RepairGetSide) }
            }
            Step::RepairGetSide => match self.word(self.head) {
                Word::Done | Word::Leased(_) | Word::Returned => {
                    next.head += 1;
                    next.put(i, Step::RepairGetSide)
                }
                _ => next.begin_retreat(i),
            },
            Step::MoveTail { to } => {
                next.tail = to;
                next.put(i, Step::FreeWord)
            }
            Step::FreeWord => {
                next.cell_mut(self.tail).word = Word::Free;
                next.put(i, Step::UnlockGetSide)
            }
            Step::UnlockGetSide => {
                next.get_lock = NO_SIDE;
                next.put(i, Step::Choose)
            }
            Step::CreateEarly => {
                next.files[at as usize] = Some(File { object: self.objects, is_whole: true });
                next.put(i, Step::Claim)
            }
            Step::Claim => {
                next.claim(i, at);
                next.put(i, Step::StoreTail)
            }
            Step::StoreTail => {
                next.tail = at + 1;
                next.put(i, Step::Unlock)
            }
            Step::Unlock => {
                next.put_lock = NO_SIDE;
                match self.word(at) {
                    Word::Claimed(owner) if owner as usize == i => {
                        let early = self.has(Flaw::CommitsBeforeCreate);
                        next.put(i, if early { Step::CommitEarly } else { Step::Create })
                    }
                    // There was no room after all.
                    _ if self.actors[i].listed == 0 => vec![next.go(i, super::Step::Idle)],
                    _ => next.end_put(i),
                }
            }
            Step::Create => {
                let file = &mut next.files[at as usize];
                if file.take().is_some() {
                    // A stale file of that name: it is unlinked, and then there is none.
                    if self.has(Flaw::StaleFileKept) {
                        return vec![State { files: self.files, ..next }.go(i, super::Step::Put(Step::Commit))];
                    }
                    return next.put(i, Step::Create);
                }
                *file = Some(File { object: self.cell(at).object, is_whole: false });
                next.put(i, if self.has(Flaw::CommitsBeforeFill) { Step::CommitEarly } else { Step::Fill })
            }
            Step::Fill => {
                next.files[at as usize] = Some(File { object: self.cell(at).object, is_whole: true });
                match brings {
                    _ if self.word(at) != Word::Claimed(i as u8) => next.end_put(i),
                    Some(Brings::Abandoned) if self.has(Flaw::OwnerUnlinksAfterAbort) => next.put(i, Step::Abort),
                    Some(Brings::Abandoned) => next.put(i, Step::Unlink),
                    _ => next.put(i, Step::Commit),
                }
            }
            Step::Commit | Step::CommitEarly => {
                assert_eq!(self.word(at), Word::Claimed(i as u8), "a claim of the living is taken away: {self:?}");
                next.cell_mut(at).word = Word::Ready;
                if step == Step::CommitEarly { next.put(i, Step::Fill) } else { next.end_put(i) }
            }
            Step::Unlink | Step::UnlinkLate => {
                if !self.has(Flaw::OwnerDoesNotUnlink) {
                    next.unlink(at);
                }
                if step == Step::Unlink { next.put(i, Step::Abort) } else { next.end_put(i) }
            }
            Step::Abort => {
                next.cell_mut(at).word = Word::Done;
                if self.has(Flaw::OwnerUnlinksAfterAbort) { next.put(i, Step::UnlinkLate) } else { next.end_put(i) }
            }
        }
    }

    /// Needs both sides.
    fn begin_retreat(self, i: usize) -> Vec<State> {
        let to = self.untaken_end();
        if to < self.tail { self.put(i, Step::MoveTail { to }) } else { self.put(i, Step::UnlockGetSide) }
    }

    /// Publishes a small object, or claims a record for a large one. The FREE word behind it first.
    fn publish(mut self, i: usize) -> Vec<State> {
        let at = self.tail;
        *self.cell_mut(at + 1) = Cell { word: Word::Free, object: 0 };
        (self.actors[i].at, self.actors[i].listed) = (at, 1);
        if self.brings(i) == Some(Brings::Small) {
            let object = self.objects;
            self.objects += 1;
            let cell = self.cell_mut(at);
            (cell.word, cell.object) = (Word::Ready, object);
        } else if self.has(Flaw::CreatesBeforeClaim) {
            return self.put(i, Step::CreateEarly);
        } else {
            self.claim(i, at);
        }
        self.put(i, Step::StoreTail)
    }

    fn claim(&mut self, i: usize, at: u8) {
        let object = self.objects;
        self.objects += 1;
        self.spilled |= 1 << object;
        let cell = self.cell_mut(at);
        (cell.word, cell.object) = (Word::Claimed(i as u8), object);
    }
}

impl aborts::Then {
    /// Where the put side goes on.
    pub(super) fn goes_on(self) -> Option<Step> {
        match self {
            Then::RepairsPutSide => Some(Step::Repair),
            Then::Retreats => Some(Step::TryGetSide),
            Then::Gets | Then::Walks => None,
        }
    }
}
