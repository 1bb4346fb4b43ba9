//! Loans of the dead, aborted by an owner of a side: unlink first.

use super::{Flaw, State, Word, getter, putter};

/// What the process was doing when it found the loan.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Then {
    RepairsPutSide,
    Retreats,
    /// At head.
    Gets,
    /// Over all records, under the get side.
    Walks,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    /// Is the owner of the claim that was read dead?
    Probe {
        position: u8,
        claimed: Word,
    },
    /// It may have committed before it died.
    ReadAgain {
        position: u8,
        claimed: Word,
    },
    Unlink {
        position: u8,
        claimed: Word,
    },
    Abort {
        position: u8,
        claimed: Word,
    },
    /// The wrong order, for the test that must fail.
    UnlinkLate {
        position: u8,
    },
}

impl State {
    /// Begins with the claim at that position, whose owner may be dead.
    pub(super) fn abort(self, i: usize, position: u8, then: Then) -> State {
        let claimed = self.word(position);
        self.go(i, super::Step::Abort(Step::Probe { position, claimed }, then))
    }

    fn does_not_unlink(&self, then: Then) -> bool {
        match then {
            Then::RepairsPutSide | Then::Retreats => self.has(Flaw::PutSideDoesNotUnlink) || self.has(Flaw::OthersDoNotUnlink),
            Then::Gets | Then::Walks => self.has(Flaw::OthersDoNotUnlink),
        }
    }

    pub(super) fn step_abort(&self, i: usize, step: Step, then: Then) -> State {
        let mut next = *self;
        match step {
            Step::Probe { position, claimed } => {
                if !matches!(claimed, Word::Claimed(owner) if self.is_dead(owner)) {
                    return next.goes_by(i, position, then);
                }
                let reads = !self.has(Flaw::ClaimNotReadAgain);
                let step = if reads { Step::ReadAgain { position, claimed } } else { self.after_read(position, claimed, then) };
                next.go(i, super::Step::Abort(step, then))
            }
            Step::ReadAgain { position, claimed } if self.word(position) != claimed => next.go_on(i, then),
            Step::ReadAgain { position, claimed } => {
                next.go(i, super::Step::Abort(self.after_read(position, claimed, then), then))
            }
            Step::Unlink { position, claimed } => {
                next.unlink(position);
                next.go(i, super::Step::Abort(Step::Abort { position, claimed }, then))
            }
            Step::Abort { position, claimed } => {
                if self.word(position) == claimed {
                    next.cell_mut(position).word = Word::Done;
                }
                if self.has(Flaw::OthersUnlinkAfterAbort) && self.is_spilled(position) {
                    return next.go(i, super::Step::Abort(Step::UnlinkLate { position }, then));
                }
                next.go_on(i, then)
            }
            Step::UnlinkLate { position } => {
                next.unlink(position);
                next.go_on(i, then)
            }
        }
    }

    fn after_read(&self, position: u8, claimed: Word, then: Then) -> Step {
        let unlinks = self.is_spilled(position) && !self.does_not_unlink(then) && !self.has(Flaw::OthersUnlinkAfterAbort);
        if unlinks { Step::Unlink { position, claimed } } else { Step::Abort { position, claimed } }
    }

    /// The owner lives: its record is stepped over, or waited for.
    fn goes_by(mut self, i: usize, position: u8, then: Then) -> State {
        match then {
            Then::RepairsPutSide => {
                self.tail = position + 1;
                self.go_on(i, then)
            }
            Then::Retreats => self.go(i, super::Step::Put(putter::Step::Unlock)),
            Then::Gets => self.go(i, super::Step::Get(getter::Step::Unlock)),
            Then::Walks => self.go(i, super::Step::Get(getter::Step::Walk { position: position + 1 })),
        }
    }

    fn go_on(self, i: usize, then: Then) -> State {
        let at = self.actors[i].at;
        match (then, then.goes_on()) {
            (_, Some(step)) => self.go(i, super::Step::Put(step)),
            (Then::Gets, _) => self.go(i, super::Step::Get(getter::Step::Find)),
            _ => self.go(i, super::Step::Get(getter::Step::Walk { position: at })),
        }
    }
}
