//! A participant: attaches, puts and gets an object, persists, leaves.

use super::cleaner;
use super::names;
use super::{Flaw, Kind, State, bit};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    TakeLiveness,
    KeepName,
    CheckName,
    BackOut,
    /// A child that attaches has no name to check.
    Reattach,
    /// The anchor, before the first spilled put.
    LockName,
    Link,
    Put,
    Get,
    Unlink,
    Persist,
    /// Does it leave now?
    Stays,
    DropLiveness,
    StopKeeping,
    LockKeepers,
    LockNameToo,
    RemoveName,
    /// As the last one: under the locks of the name.
    RemoveFiles,
    RemoveAnchor,
    UnlockName,
    /// A forked child keeps the name: later again.
    Deferred,
}

impl Step {
    pub(super) fn is_attached(self) -> bool {
        use Step::*;
        matches!(self, LockName | Link | Put | Get | Unlink | Persist | Stays | DropLiveness)
    }
}

impl State {
    pub(super) fn begin(&self, i: usize) -> Vec<State> {
        match self.actors[i].kind {
            Kind::Absent => Vec::new(),
            Kind::User { is_attached: true, .. } => vec![self.use_next(i)],
            Kind::User { .. } => self.open_by_name(i, super::Step::Use(Step::TakeLiveness)),
            Kind::Child => {
                let mut executes = self.go(i, super::Step::Gone);
                executes.segments[0].locks.drop_of(i);
                vec![self.go(i, super::Step::Use(Step::Reattach)), executes]
            }
            Kind::Unlinker => self.open_by_name(i, super::Step::Name(names::Step::LockName)),
            Kind::Creator if self.name.is_none() => self.publish(i),
            Kind::Creator | Kind::Remover => self.open_by_name(i, super::Step::Name(names::Step::LockWhole)),
            Kind::Sweeper => {
                let mut next = *self;
                let has_anchor = |number: &usize| self.segments[*number].has_anchor;
                next.actors[i].listed = (0..super::SEGMENTS).filter(has_anchor).map(bit).sum();
                vec![next.sweep_next(i)]
            }
        }
    }

    /// A name that leads nowhere is refused.
    fn open_by_name(&self, i: usize, step: super::Step) -> Vec<State> {
        let Some(segment) = self.name else { return vec![self.go(i, super::Step::Gone)] };
        let mut next = *self;
        next.actors[i].segment = segment;
        vec![next.go(i, step)]
    }

    /// What an attached process does next.
    pub(super) fn use_next(mut self, i: usize) -> State {
        let mut step = Step::Stays;
        if let Kind::User { puts, gets, persists, .. } = &mut self.actors[i].kind {
            let work = [(puts, Step::LockName), (gets, Step::Get), (persists, Step::Persist)];
            if let Some((wants, first)) = work.into_iter().find(|(wants, _)| **wants) {
                (*wants, step) = (false, first);
            }
        }
        self.go(i, super::Step::Use(step))
    }

    fn used(self, i: usize, step: Step) -> Vec<State> {
        vec![self.go(i, super::Step::Use(step))]
    }

    pub(super) fn step_user(&self, i: usize, step: Step) -> Vec<State> {
        let mut next = *self;
        let number = self.actors[i].segment;
        let others = self.others(i);
        let segment = next.open(i);
        match step {
            Step::TakeLiveness => {
                if others.whole != 0 {
                    return Vec::new();
                }
                segment.locks.liveness |= bit(i);
                next.used(i, Step::KeepName)
            }
            Step::KeepName => {
                if others.whole | others.keepers != 0 {
                    return Vec::new();
                }
                segment.locks.keeps |= bit(i);
                next.used(i, Step::CheckName)
            }
            Step::CheckName if self.leads_to(number) => vec![next.use_next(i)],
            Step::CheckName => next.used(i, Step::BackOut),
            Step::BackOut => {
                segment.locks.drop_of(i);
                next.cleaned_unless(i, Flaw::BackedOutDoesNotClean)
            }
            Step::Reattach => {
                segment.locks.liveness |= bit(i);
                vec![next.use_next(i)]
            }
            Step::LockName if segment.has_anchor || self.has(Flaw::SpillsWithoutAnchor) => next.used(i, Step::Put),
            Step::LockName => {
                if others.has_claims() {
                    return Vec::new();
                }
                segment.locks.name_byte |= bit(i);
                next.used(i, Step::Link)
            }
            Step::Link => {
                assert!(segment.has_anchor || self.leads_to(number), "a put is refused: {self:?}");
                segment.has_anchor = true;
                segment.locks.name_byte &= !bit(i);
                next.used(i, Step::Put)
            }
            Step::Put => {
                // The other put's file has a name of its own: it stands for both.
                (segment.has_object, segment.has_file) = (true, true);
                vec![next.use_next(i)]
            }
            Step::Get => {
                let has_object = std::mem::take(&mut segment.has_object);
                if has_object { next.used(i, Step::Unlink) } else { vec![next.use_next(i)] }
            }
            Step::Unlink => {
                segment.has_file &= segment.has_object;
                vec![next.use_next(i)]
            }
            Step::Persist => {
                segment.is_persisted = true;
                vec![next.use_next(i)]
            }
            Step::Stays if self.has(Flaw::CleansBeforeLiveness) => vec![next.clean_before(i, Step::DropLiveness)],
            Step::Stays => next.used(i, Step::DropLiveness),
            Step::DropLiveness => {
                segment.locks.liveness &= !bit(i);
                next.used(i, Step::StopKeeping)
            }
            Step::StopKeeping => {
                segment.locks.keeps &= !bit(i);
                if self.has(Flaw::CleansBeforeName) {
                    return vec![next.clean_before(i, Step::LockKeepers)];
                }
                next.used(i, Step::LockKeepers)
            }
            Step::LockKeepers if segment.is_persisted => next.leave(i),
            Step::LockKeepers => {
                if others.whole | others.keepers != 0 {
                    return Vec::new();
                }
                if others.keeps != 0 {
                    let is_of_child = |j: usize| others.keeps & bit(j) != 0 && self.actors[j].kind == Kind::Child;
                    let waits = self.actors[i].kind != Kind::Child && (0..super::ACTORS).any(is_of_child);
                    return if waits { next.used(i, Step::Deferred) } else { next.leave(i) };
                }
                segment.locks.keepers |= bit(i);
                next.used(i, Step::LockNameToo)
            }
            Step::LockNameToo => {
                if others.whole | others.name_byte != 0 {
                    segment.locks.keepers &= !bit(i);
                    return next.used(i, Step::LockKeepers);
                }
                segment.locks.name_byte |= bit(i);
                next.used(i, Step::RemoveName)
            }
            Step::RemoveName => {
                if self.leads_to(number) && !segment.is_persisted {
                    next.name = None;
                    next.actors[i].listed = 1;
                }
                let cleans = !self.has(Flaw::CleansBeforeName) && !self.has(Flaw::CleansBeforeLiveness);
                next.used(i, if cleans { Step::RemoveFiles } else { Step::UnlockName })
            }
            Step::RemoveFiles if self.links(number) == 1 && segment.has_anchor => {
                segment.has_file = false;
                next.used(i, Step::RemoveAnchor)
            }
            Step::RemoveFiles => next.used(i, Step::UnlockName),
            Step::RemoveAnchor => {
                segment.has_anchor = false;
                next.used(i, Step::UnlockName)
            }
            Step::UnlockName => {
                segment.locks.drop_of(i);
                let removed = std::mem::take(&mut next.actors[i].listed) != 0;
                if removed { next.cleaned(i) } else { next.leave(i) }
            }
            Step::Deferred if self.leads_to(number) => {
                if others.has_users() || others.has_claims() {
                    return Vec::new();
                }
                next.name = if segment.is_persisted { self.name } else { None };
                next.cleaned(i)
            }
            Step::Deferred if others.has_users() && !self.has(Flaw::DeferredCleansOnce) => Vec::new(),
            Step::Deferred => next.cleaned_unless(i, Flaw::DeferredDoesNotClean),
        }
    }

    /// Leaves a segment whose name it did not remove.
    fn leave(self, i: usize) -> Vec<State> {
        self.cleaned_unless(i, Flaw::OnlyRemoverCleans)
    }

    fn cleaned_unless(self, i: usize, flaw: Flaw) -> Vec<State> {
        if self.has(flaw) { vec![self.go(i, super::Step::Gone)] } else { self.cleaned(i) }
    }

    fn cleaned(self, i: usize) -> Vec<State> {
        if self.has(Flaw::CleansBeforeName) || self.has(Flaw::CleansBeforeLiveness) {
            return vec![self.go(i, super::Step::Gone)];
        }
        vec![self.clean(i, cleaner::Then::Goes)]
    }

    fn clean_before(self, i: usize, step: Step) -> State {
        self.clean(i, cleaner::Then::Leaves(step))
    }
}
