//! Loans of the dead, aborted by an owner of a side: unlink first.

use super::{Flaw, State, Word, getter};

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
    Unlink {
        position: u8,
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
    /// Begins with the loan at that position, whose owner was seen dead.
    pub(super) fn abort(self, i: usize, position: u8, then: Then) -> State {
        let does_not = match then {
            Then::RepairsPutSide | Then::Retreats => self.has(Flaw::PutSideDoesNotUnlink) || self.has(Flaw::OthersDoNotUnlink),
            Then::Gets | Then::Walks => self.has(Flaw::OthersDoNotUnlink),
        };
        let step = match self.is_spilled(position) && !does_not && !self.has(Flaw::OthersUnlinkAfterAbort) {
            true => Step::Unlink { position },
            false => Step::Abort { position, claimed: self.word(position) },
        };
        self.go(i, super::Step::Abort(step, then))
    }

    pub(super) fn step_abort(&self, i: usize, step: Step, then: Then) -> State {
        let mut next = *self;
        match step {
            Step::Unlink { position } => {
                next.unlink(position);
                // Both sides may abort the same loan: the words do not change under a dead owner
                // but by that.
                next.go(i, super::Step::Abort(Step::Abort { position, claimed: self.word(position) }, then))
            }
            Step::Abort { position, claimed } => {
                if self.word(position) == claimed && matches!(claimed, Word::Claimed(_)) {
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

    fn go_on(self, i: usize, then: Then) -> State {
        let at = self.actors[i].at;
        match (then, then.goes_on()) {
            (_, Some(step)) => self.go(i, super::Step::Put(step)),
            (Then::Gets, _) => self.go(i, super::Step::Get(getter::Step::Find)),
            _ => self.go(i, super::Step::Get(getter::Step::Walk { position: at })),
        }
    }
}
