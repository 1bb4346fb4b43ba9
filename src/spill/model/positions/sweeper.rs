//! The sweep: which files are of finished positions, without a side.

use super::{Flaw, POSITIONS, State, Word};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Step {
    /// The next of the listed files.
    Next,
    ReadHead {
        header: Option<Word>,
    },
    ReadHeader {
        head: u8,
    },
    ReadReclaim {
        header: Word,
    },
    Unlink,
    /// The wrong order, for the test that must fail.
    HeaderFirst,
}

impl State {
    pub(super) fn begin_sweep(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        let is_there = |position: &usize| self.files[*position].is_some();
        next.actors[i].listed = (0..POSITIONS).filter(is_there).map(|position| 1 << position).sum();
        vec![next.go(i, super::Step::Sweep(Step::Next))]
    }

    pub(super) fn step_sweep(&self, i: usize, step: Step) -> State {
        let mut next = *self;
        let at = self.actors[i].at;
        let step = match step {
            Step::Next => {
                let position = self.actors[i].listed.trailing_zeros() as u8;
                if usize::from(position) >= POSITIONS {
                    next.actors[i].kind = super::Kind::Absent;
                    (next.actors[i].at, next.actors[i].listed) = (0, 0);
                    return next.go(i, super::Step::Idle);
                }
                next.actors[i].listed &= !(1 << position);
                next.actors[i].at = position;
                if self.has(Flaw::HeaderBeforeHead) { Step::HeaderFirst } else { Step::ReadHead { header: None } }
            }
            Step::HeaderFirst => Step::ReadHead { header: Some(self.word(at)) },
            Step::ReadHead { .. } if at >= self.head && !self.has(Flaw::SweepsAhead) => Step::Next,
            Step::ReadHead { header: Some(header) } => Step::ReadReclaim { header },
            Step::ReadHead { header: None } => Step::ReadHeader { head: self.head },
            Step::ReadHeader { .. } => Step::ReadReclaim { header: self.word(at) },
            Step::ReadReclaim { header } => {
                let is_reclaimed = self.reclaim > at && !self.has(Flaw::ReclaimNotRead);
                let is_leased = matches!(header, Word::Leased(_)) && self.has(Flaw::SweepsLeases);
                if is_reclaimed || header == Word::Done || is_leased { Step::Unlink } else { Step::Next }
            }
            Step::Unlink => {
                next.unlink(at);
                Step::Next
            }
        };
        next.go(i, super::Step::Sweep(step))
    }
}
