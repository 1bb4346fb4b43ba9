//! Processes that change what the name leads to: unlink, create, and the removal of what is stale.

use super::cleaner::Then;
use super::{Flaw, Kind, SEGMENTS, Segment, State, bit};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    LockName,
    LinkAnchor,
    Unlink,
    UnlockName,
    LockWhole,
    Judge,
    Change,
    UnlockWhole,
    /// The name is another's, or the segment is persisted.
    LetGo,
}

impl State {
    fn named(self, i: usize, step: Step) -> Vec<State> {
        vec![self.go(i, super::Step::Name(step))]
    }

    pub(super) fn step_name(&self, i: usize, step: Step) -> Vec<State> {
        let mut next = *self;
        let number = self.actors[i].segment;
        let others = self.others(i);
        let segment = next.open(i);
        match step {
            Step::LockName => {
                if others.has_claims() {
                    return Vec::new();
                }
                segment.locks.name_byte |= bit(i);
                next.named(i, if self.leads_to(number) { Step::LinkAnchor } else { Step::LetGo })
            }
            Step::LinkAnchor => {
                segment.has_anchor |= match self.flaw {
                    Flaw::UnlinkedWithoutAnchor => false,
                    Flaw::AnchoredOnlyInUse => others.liveness != 0,
                    _ => true,
                };
                next.named(i, Step::Unlink)
            }
            Step::Unlink => {
                // It was removed by the last one that left, or is another segment's: the byte that
                // is locked keeps both away.
                assert!(self.leads_to(number), "a name changes under its lock: {self:?}");
                next.name = None;
                next.named(i, Step::UnlockName)
            }
            Step::UnlockName => {
                segment.locks.drop_of(i);
                if self.has(Flaw::UnlinkerDoesNotClean) {
                    return vec![next.go(i, super::Step::Gone)];
                }
                vec![next.clean(i, Then::Goes)]
            }
            Step::LockWhole => {
                if others.has_users() {
                    // In use.
                    return vec![next.go(i, super::Step::Gone)];
                }
                if others.has_claims() {
                    return Vec::new();
                }
                segment.locks.whole |= bit(i);
                next.named(i, Step::Judge)
            }
            Step::Judge if self.leads_to(number) && !segment.is_persisted => next.named(i, Step::Change),
            Step::Judge => next.named(i, Step::LetGo),
            Step::Change if self.actors[i].kind == Kind::Creator => {
                next.name = Some(next.make(i));
                next.named(i, Step::UnlockWhole)
            }
            Step::Change => {
                next.name = None;
                next.named(i, Step::UnlockWhole)
            }
            Step::LetGo => {
                segment.locks.drop_of(i);
                vec![next.go(i, super::Step::Gone)]
            }
            Step::UnlockWhole => {
                segment.locks.drop_of(i);
                let new = (0..).zip(&self.segments).find(|(_, segment)| segment.locks.liveness & bit(i) != 0);
                let then = new.map_or(Then::Goes, |(new, _)| Then::Uses(new));
                if self.has(Flaw::ReplacerDoesNotClean) {
                    return vec![next.cleaned_up(i, then)];
                }
                vec![next.clean(i, then)]
            }
        }
    }

    /// Creates a segment where the name is free.
    pub(super) fn publish(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        let new = next.make(i);
        next.name = Some(new);
        next.actors[i].segment = new;
        vec![next.use_next(i)]
    }

    /// A segment of this process's own.
    fn make(&mut self, i: usize) -> u8 {
        let is_free = |number: &usize| !self.segments[*number].is_made;
        let new = (0..SEGMENTS).find(is_free).expect("a segment for each creator");
        let mut segment = Segment { is_made: true, ..Segment::default() };
        (segment.locks.liveness, segment.locks.keeps) = (bit(i), bit(i));
        self.segments[new] = segment;
        new as u8
    }
}
