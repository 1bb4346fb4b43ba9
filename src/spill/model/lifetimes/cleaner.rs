//! The clean-up of a segment that no process uses and no name leads to.

use super::{Flaw, SEGMENTS, State, bit, user};

/// What the process does after it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Then {
    Goes,
    /// A creator uses its own segment.
    Uses(u8),
    Leaves(user::Step),
    /// A sweeper goes on with the next anchor.
    Sweeps,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    LockWhole(Then),
    CountLinks(Then),
    RemoveFiles(Then),
    RemoveAnchor(Then),
    Unlock(Then),
    /// The wrong order, for the tests that must fail.
    LockLate(Then),
    RemoveFilesLate(Then),
}

impl State {
    fn clean_step(self, i: usize, step: Step) -> State {
        self.go(i, super::Step::Clean(step))
    }

    /// Opens the anchor of the segment that the process had open.
    pub(super) fn clean(mut self, i: usize, then: Then) -> State {
        if !self.open(i).has_anchor {
            return self.cleaned_up(i, then);
        }
        let step = match self.flaw {
            Flaw::LinksCountedFirst => Step::CountLinks(then),
            _ => Step::LockWhole(then),
        };
        self.clean_step(i, step)
    }

    pub(super) fn cleaned_up(mut self, i: usize, then: Then) -> State {
        match then {
            Then::Goes => self.go(i, super::Step::Gone),
            Then::Uses(segment) => {
                self.actors[i].segment = segment;
                self.use_next(i)
            }
            Then::Leaves(step) => self.go(i, super::Step::Use(step)),
            Then::Sweeps => self.sweep_next(i),
        }
    }

    pub(super) fn sweep_next(mut self, i: usize) -> State {
        let number = self.actors[i].listed.trailing_zeros() as usize;
        if number >= SEGMENTS {
            self.actors[i].segment = 0;
            return self.go(i, super::Step::Gone);
        }
        self.actors[i].listed &= !bit(number);
        self.actors[i].segment = number as u8;
        self.clean(i, Then::Sweeps)
    }

    pub(super) fn step_clean(&self, i: usize, step: Step) -> Option<State> {
        let mut next = *self;
        let number = self.actors[i].segment;
        // By a description of its own: its process's other locks conflict too.
        let locks = self.segments[number as usize].locks;
        let segment = next.open(i);
        Some(match step {
            Step::LockWhole(then) if self.has(Flaw::CleansUnlocked) => next.clean_step(i, Step::CountLinks(then)),
            Step::LockWhole(then) | Step::LockLate(then) => {
                if locks.has_users() || locks.has_claims() && self.has(Flaw::GivesUpBesideClaims) {
                    // Its holder cleans up when it goes.
                    return Some(next.cleaned_up(i, then));
                }
                if locks.has_claims() {
                    return None;
                }
                segment.locks.whole |= bit(i);
                let is_late = matches!(step, Step::LockLate(_));
                next.clean_step(i, if is_late { Step::RemoveFiles(then) } else { Step::CountLinks(then) })
            }
            Step::CountLinks(then) => {
                // The anchor's path still leads to it, and it is the only link.
                let is_alone = segment.has_anchor && (self.links(number) == 1 || self.has(Flaw::LinksNotCounted));
                let step = match (is_alone, self.flaw) {
                    (false, _) => Step::Unlock(then),
                    (true, Flaw::LinksCountedFirst) => Step::LockLate(then),
                    (true, Flaw::AnchorFirst) => Step::RemoveAnchor(then),
                    (true, _) => Step::RemoveFiles(then),
                };
                next.clean_step(i, step)
            }
            Step::RemoveFiles(then) => {
                segment.has_file = false;
                next.clean_step(i, Step::RemoveAnchor(then))
            }
            Step::RemoveAnchor(then) => {
                segment.has_anchor = false;
                next.clean_step(i, if self.has(Flaw::AnchorFirst) { Step::RemoveFilesLate(then) } else { Step::Unlock(then) })
            }
            Step::RemoveFilesLate(then) => {
                segment.has_file = false;
                next.clean_step(i, Step::Unlock(then))
            }
            Step::Unlock(then) => {
                segment.locks.whole &= !bit(i);
                next.cleaned_up(i, then)
            }
        })
    }
}
