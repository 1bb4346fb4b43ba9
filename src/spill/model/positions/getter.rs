//! A get: lease, open, end the lease, unlink; and the walk that recovers records of the dead.

use super::aborts::Then;
use super::{CELLS, Flaw, Kind, NO_SIDE, State, Word};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    /// Recoverers only: the put side first, if it was a dead process's.
    RepairPutSide,
    UnlockPutSide,
    LockGetSide,
    Repair,
    Find,
    StoreHead,
    Unlock,
    Open,
    /// The lease ends, one way or the other.
    End,
    Unlink,
    /// The wrong order, for the tests that must fail.
    UnlinkEarly,
    UnlinkGivenBack,
    EndLate,
    Walk {
        position: u8,
    },
    /// What was given up.
    UnlinkGivenUp {
        position: u8,
    },
}

impl State {
    fn returned(&self) -> Option<u8> {
        (self.reclaim..self.head).find(|&position| self.word(position) == Word::Returned)
    }

    /// Does a call find more than an empty ring, or an open loan?
    fn has_work(&self, i: usize) -> bool {
        match self.actors[i].kind {
            Kind::Getter { messages: 0, .. } => false,
            Kind::Getter { .. } => {
                // An open loan is probed.
                self.word(self.head) != Word::Free || self.returned().is_some()
            }
            _ => {
                let is_probed =
                    |word| matches!(word, Word::Claimed(_)) || matches!(word, Word::Leased(owner) if self.is_dead(owner));
                let is_locked = |lock: u8| lock != NO_SIDE && self.is_dead(lock);
                self.records().any(|(_, cell)| is_probed(cell.word)) || is_locked(self.put_lock) || is_locked(self.get_lock)
            }
        }
    }

    pub(super) fn begin_get(&self, i: usize) -> Vec<State> {
        if !self.has_work(i) {
            return Vec::new();
        }
        let mut next = *self;
        if matches!(self.actors[i].kind, Kind::Recoverer { .. }) && self.put_lock != NO_SIDE && self.is_dead(self.put_lock) {
            next.put_lock = i as u8;
            return vec![next.go(i, super::Step::Get(Step::RepairPutSide))];
        }
        self.step_get(i, Step::LockGetSide)
    }

    fn get(self, i: usize, step: Step) -> Vec<State> {
        vec![self.go(i, super::Step::Get(step))]
    }

    fn begin(self, i: usize) -> Vec<State> {
        match self.actors[i].kind {
            Kind::Recoverer { .. } => {
                let position = self.reclaim;
                self.get(i, Step::Walk { position })
            }
            _ => self.get(i, Step::Find),
        }
    }

    /// The call is over.
    fn end_get(mut self, i: usize, has_taken: bool) -> Vec<State> {
        if let Kind::Getter { messages, .. } = &mut self.actors[i].kind {
            *messages -= u8::from(has_taken && *messages != u8::MAX);
        }
        self.actors[i].at = 0;
        self.actors[i].listed = 0;
        vec![self.go(i, super::Step::Idle)]
    }

    fn lease(mut self, i: usize, position: u8) -> Vec<State> {
        self.cell_mut(position).word = Word::Leased(i as u8);
        (self.actors[i].at, self.actors[i].listed) = (position, 1);
        let step = if position == self.head { Step::StoreHead } else { Step::Unlock };
        self.get(i, step)
    }

    pub(super) fn step_get(&self, i: usize, step: Step) -> Vec<State> {
        let mut next = *self;
        let at = self.actors[i].at;
        match step {
            Step::RepairPutSide => match self.word(self.tail) {
                Word::Free => next.get(i, Step::UnlockPutSide),
                Word::Claimed(_) => vec![next.abort(i, self.tail, Then::RepairsPutSide)],
                _ => {
                    next.tail += 1;
                    next.get(i, Step::RepairPutSide)
                }
            },
            Step::UnlockPutSide => {
                next.put_lock = NO_SIDE;
                next.get(i, Step::LockGetSide)
            }
            Step::LockGetSide => {
                if !self.may_lock(self.get_lock) {
                    return Vec::new();
                }
                let was_free = self.get_lock == NO_SIDE;
                next.get_lock = i as u8;
                if was_free { next.begin(i) } else { next.get(i, Step::Repair) }
            }
            Step::Repair => match self.word(self.head) {
                Word::Done | Word::Leased(_) | Word::Returned => {
                    next.head += 1;
                    next.get(i, Step::Repair)
                }
                _ => next.begin(i),
            },
            Step::Find => match (self.returned(), self.word(self.head)) {
                (Some(position), _) => next.lease(i, position),
                (None, Word::Ready) => next.lease(i, self.head),
                (None, Word::Claimed(_)) => vec![next.abort(i, self.head, Then::Gets)],
                (None, Word::Done | Word::Leased(_) | Word::Returned) => {
                    next.head += 1;
                    next.get(i, Step::Find)
                }
                (None, Word::Free) => next.get(i, Step::Unlock),
            },
            Step::StoreHead => {
                next.head += 1;
                next.get(i, Step::Unlock)
            }
            Step::Unlock => {
                next.get_lock = NO_SIDE;
                let is_leased = self.actors[i].listed != 0;
                if is_leased { next.get(i, Step::Open) } else { next.end_get(i, false) }
            }
            Step::Open => {
                let is_spilled = self.is_spilled(at);
                assert!(!is_spilled || self.has_its_file(at), "a lease finds no file, or another's: {self:?}");
                let ends_early = is_spilled && self.has(Flaw::UnlinksBeforeDone);
                next.get(i, if ends_early { Step::UnlinkEarly } else { Step::End })
            }
            Step::End | Step::EndLate => self.end_lease(i, step),
            Step::Unlink | Step::UnlinkEarly | Step::UnlinkGivenBack => {
                if !(step == Step::Unlink && self.has(Flaw::GetterDoesNotUnlink)) {
                    next.unlink(at);
                }
                if step == Step::UnlinkEarly { next.get(i, Step::EndLate) } else { next.end_get(i, step == Step::Unlink) }
            }
            Step::Walk { position } => self.walk(i, position),
            Step::UnlinkGivenUp { position } => {
                next.unlink(position);
                next.get(i, Step::Walk { position: position + 1 })
            }
        }
    }

    fn end_lease(&self, i: usize, step: Step) -> Vec<State> {
        let at = self.actors[i].at;
        let is_spilled = self.is_spilled(at);
        assert_eq!(self.word(at), Word::Leased(i as u8), "a lease of the living is taken away: {self:?}");
        let mut released = *self;
        released.cell_mut(at).word = Word::Done;
        let unlinks = is_spilled && step == Step::End;
        let mut all = if unlinks { released.get(i, Step::Unlink) } else { released.end_get(i, true) };
        if let Kind::Getter { gives_back: 1.., .. } = self.actors[i].kind {
            let mut given = *self;
            given.cell_mut(at).word = Word::Returned;
            if let Kind::Getter { gives_back, .. } = &mut given.actors[i].kind {
                *gives_back -= 1;
            }
            let unlinks = is_spilled && self.has(Flaw::UnlinksWhatIsGivenBack);
            all.extend(if unlinks { given.get(i, Step::UnlinkGivenBack) } else { given.end_get(i, false) });
        }
        all
    }

    /// Over all records, as `free_the_dead`. Needs the get side.
    fn walk(&self, i: usize, position: u8) -> Vec<State> {
        let mut next = *self;
        next.actors[i].at = position;
        let gives_up = matches!(self.actors[i].kind, Kind::Recoverer { gives_up: true });
        match self.word(position) {
            Word::Free => {
                next.actors[i].at = 0;
                next.get(i, Step::Unlock)
            }
            // Putters have reclaimed the cells meanwhile.
            _ if position < self.reclaim || position >= self.reclaim + CELLS => {
                let position = self.reclaim;
                next.get(i, Step::Walk { position })
            }
            Word::Claimed(_) => vec![next.abort(i, position, Then::Walks)],
            Word::Leased(owner) if self.is_dead(owner) && gives_up => {
                next.cell_mut(position).word = Word::Done;
                let unlinks = self.is_spilled(position) && !self.has(Flaw::GivenUpIsNotUnlinked);
                next.get(i, if unlinks { Step::UnlinkGivenUp { position } } else { Step::Walk { position: position + 1 } })
            }
            Word::Leased(owner) if self.is_dead(owner) => {
                next.cell_mut(position).word = Word::Returned;
                next.get(i, Step::Walk { position: position + 1 })
            }
            _ => next.get(i, Step::Walk { position: position + 1 }),
        }
    }
}
