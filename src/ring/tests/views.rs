//! The end of a view, and of a dead reader's, as a state machine: every order of steps, and a kill
//! at every step.
//!
//! A step is one access to a shared word, or one question to the kernel. The reader has one record
//! on lease, at reclaim. A putter wants its cell, as a Producer or by the put lock. Two processes
//! that probe for the dead, or one that is to have the reader's entry, end its view too. The worst
//! payload that a put can write there is one that equals the word that they search for.

use crate::lock::model::{Machine, explore};

/// What the tests that must fail do otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Fault {
    None,
    /// Reclaim passes READ as it does DONE.
    PassesViews,
    /// A put ends the view of a live reader too.
    EndsTheLiving,
    /// A probe ends what it found without the lock.
    ProbeWithoutLock,
    /// A Producer, which owns its side, does without the lock.
    ProducerWithoutLock,
    /// A probe believes the header alone, and not reclaim.
    IgnoresReclaim,
    /// The Producer takes no lock over from the dead.
    LeavesTheLock,
    /// A successor ends nothing while there is a live Producer.
    NeedsTheSide,
    /// A successor has the entry first, and ends the views then.
    RegistersFirst,
}

/// The word of the record's first cell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Word {
    Leased,
    Read,
    Done,
    /// Of the next message: equal to `Read`.
    Payload,
}

impl Word {
    fn equals_read(self) -> bool {
        matches!(self, Word::Read | Word::Payload)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Reader {
    Pin,
    Read,
    Unpin,
    Gone,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    /// Of a putter without an endpoint: for its whole call.
    Enter,
    CheckHeader,
    MoveReclaim,
    Write,
    Exit,
    /// Full: it sleeps until its slice ends.
    Sleep,
    Find,
    FindReclaim,
    Probe,
    Lock,
    CheckAgain,
    CheckReclaim,
    ProbeAgain,
    End,
    Unlock,
    Register,
    Gone,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Producer,
    Putter,
    Prober,
    Successor,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct State {
    fault: Fault,
    kinds: [Kind; 3],
    steps: [Step; 3],
    reader: Reader,
    /// Of the reader's owner word: a process has its entry.
    owner_lives: bool,
    word: Word,
    is_reclaimed: bool,
    /// Which of `steps` holds the put lock, dead or alive.
    lock: Option<usize>,
    was_pinned: bool,
    sliced: bool,
}

impl State {
    fn new(kinds: [Kind; 3], fault: Fault) -> State {
        let first = |kind| match kind {
            Kind::Producer => Step::CheckHeader,
            Kind::Putter => Step::Enter,
            Kind::Prober | Kind::Successor => Step::Find,
        };
        State {
            fault,
            kinds,
            steps: kinds.map(first),
            reader: Reader::Pin,
            owner_lives: true,
            word: Word::Leased,
            is_reclaimed: false,
            lock: None,
            was_pinned: false,
            sliced: false,
        }
    }

    fn step_reader(&self) -> Option<State> {
        let mut next = self.clone();
        next.reader = match self.reader {
            Reader::Pin => {
                // A lease of the dead comes back, and that is not modelled here.
                assert_eq!(self.word, Word::Leased);
                (next.word, next.was_pinned) = (Word::Read, true);
                Reader::Read
            }
            Reader::Read => {
                assert_eq!(self.word, Word::Read, "written over under a view");
                Reader::Unpin
            }
            Reader::Unpin => {
                assert_eq!(self.word, Word::Read, "written over under a view");
                next.word = Word::Done;
                Reader::Gone
            }
            Reader::Gone | Reader::Dead => return None,
        };
        Some(next)
    }

    /// `None`: it is held by a process that lives.
    fn lock_for(&mut self, actor: usize) -> Option<()> {
        match self.lock {
            Some(holder) if self.steps[holder] != Step::Dead => return None,
            Some(_) if self.fault == Fault::LeavesTheLock && self.kinds[actor] == Kind::Producer => return None,
            _ => self.lock = Some(actor),
        }
        Some(())
    }

    fn step(&self, actor: usize) -> Option<State> {
        let mut next = self.clone();
        let kind = self.kinds[actor];
        let is_putter = matches!(kind, Kind::Producer | Kind::Putter);
        // Where a call goes that has nothing to end.
        let leave = match kind {
            Kind::Producer => Step::Sleep,
            Kind::Putter => Step::Exit,
            Kind::Prober => Step::Gone,
            Kind::Successor if self.fault == Fault::RegistersFirst => Step::Gone,
            Kind::Successor => Step::Register,
        };
        let has_no_lock = match self.fault {
            Fault::ProbeWithoutLock => kind == Kind::Prober,
            Fault::ProducerWithoutLock => kind == Kind::Producer,
            _ => false,
        };
        next.steps[actor] = match self.steps[actor] {
            Step::Enter => {
                next.lock_for(actor)?;
                Step::CheckHeader
            }
            Step::CheckHeader => match self.word {
                Word::Done => Step::MoveReclaim,
                Word::Read if self.fault == Fault::PassesViews => Step::MoveReclaim,
                Word::Read if kind == Kind::Producer && !has_no_lock => Step::Lock,
                Word::Read => Step::ProbeAgain,
                Word::Leased => leave,
                Word::Payload => unreachable!("one message is put"),
            },
            Step::MoveReclaim => {
                next.is_reclaimed = true;
                Step::Write
            }
            Step::Write => {
                assert!(!matches!(self.reader, Reader::Read | Reader::Unpin), "written over under a view");
                next.word = Word::Payload;
                if kind == Kind::Putter { Step::Exit } else { Step::Gone }
            }
            Step::Exit => {
                next.lock = None;
                if self.is_reclaimed { Step::Gone } else { Step::Sleep }
            }
            // A successor comes when the reader is dead.
            Step::Find if kind == Kind::Successor && self.reader != Reader::Dead => return None,
            Step::Find if kind == Kind::Successor && self.fault == Fault::RegistersFirst && !self.owner_lives => {
                next.owner_lives = true;
                Step::Find
            }
            Step::Find if kind == Kind::Successor && self.needs_the_side() => leave,
            Step::Find if self.word.equals_read() => Step::FindReclaim,
            Step::Find => leave,
            Step::FindReclaim if self.is_reclaimed => leave,
            Step::FindReclaim => Step::Probe,
            Step::Probe if self.owner_lives => leave,
            Step::Probe if has_no_lock => Step::End,
            Step::Probe => Step::Lock,
            // A getter's probe, and a Producer, only try.
            Step::Lock if kind != Kind::Successor && next.lock_for(actor).is_none() => leave,
            Step::Lock => {
                if kind == Kind::Successor {
                    next.lock_for(actor)?;
                }
                Step::CheckAgain
            }
            Step::CheckAgain if is_putter && self.word == Word::Read => Step::ProbeAgain,
            Step::CheckAgain if is_putter || !self.word.equals_read() => Step::Unlock,
            Step::CheckAgain if self.fault == Fault::IgnoresReclaim => Step::ProbeAgain,
            Step::CheckAgain => Step::CheckReclaim,
            Step::CheckReclaim if self.is_reclaimed => Step::Unlock,
            Step::CheckReclaim => Step::ProbeAgain,
            Step::ProbeAgain if self.owner_lives && self.fault != Fault::EndsTheLiving => {
                if kind == Kind::Putter {
                    Step::Exit
                } else if has_no_lock {
                    leave
                } else {
                    Step::Unlock
                }
            }
            Step::ProbeAgain => Step::End,
            Step::End => {
                if self.word.equals_read() {
                    assert_eq!(self.word, Word::Read, "a message that was put is changed");
                    next.word = Word::Done;
                }
                match kind {
                    Kind::Putter => Step::CheckHeader,
                    _ if has_no_lock && is_putter => Step::CheckHeader,
                    _ if has_no_lock => leave,
                    _ => Step::Unlock,
                }
            }
            Step::Unlock => {
                next.lock = None;
                // A Producer tries again if it found room; else it sleeps first.
                if kind == Kind::Producer && self.word == Word::Done { Step::CheckHeader } else { leave }
            }
            Step::Register => {
                next.owner_lives = true;
                Step::Gone
            }
            Step::Sleep | Step::Gone | Step::Dead => return None,
        };
        Some(next)
    }

    fn needs_the_side(&self) -> bool {
        let producer = self.kinds.iter().position(|&kind| kind == Kind::Producer);
        self.fault == Fault::NeedsTheSide && producer.is_some_and(|at| self.steps[at] != Step::Dead)
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        let others = (0..self.steps.len()).filter_map(|actor| self.step(actor));
        self.step_reader().into_iter().chain(others).collect()
    }

    fn kills(&self) -> Vec<State> {
        let mut killed = Vec::new();
        if !matches!(self.reader, Reader::Gone | Reader::Dead) {
            killed.push(State { reader: Reader::Dead, owner_lives: false, ..self.clone() });
        }
        for actor in 0..self.steps.len() {
            // A successor that dies after it registered leaves nothing of its own here.
            if !matches!(self.steps[actor], Step::Gone | Step::Dead) {
                let mut next = self.clone();
                next.steps[actor] = Step::Dead;
                killed.push(next);
            }
        }
        killed
    }

    fn end_slices(&self) -> Option<State> {
        let sleeper = (0..self.steps.len()).find(|&actor| self.steps[actor] == Step::Sleep)?;
        if self.sliced {
            return None;
        }
        let mut next = State { sliced: true, ..self.clone() };
        next.steps[sleeper] = if self.kinds[sleeper] == Kind::Putter { Step::Enter } else { Step::CheckHeader };
        Some(next)
    }

    fn check_rest(&self, _: bool) {
        if !self.was_pinned {
            return;
        }
        if self.sliced {
            assert!(!self.steps.contains(&Step::Sleep), "full, and no live process stops it: {self:?}");
        }
        let successor = self.kinds.iter().position(|&kind| kind == Kind::Successor);
        if successor.is_some_and(|at| self.steps[at] == Step::Gone) && self.reader == Reader::Dead {
            assert_ne!(self.word, Word::Read, "taken for a view of the successor: {self:?}");
        }
    }
}

const KILLS: u32 = 2;

fn explore_all(kinds: [Kind; 3], fault: Fault) {
    let states = explore(State::new(kinds, fault), KILLS);
    println!("{kinds:?}, {fault:?}: {states} states");
}

#[test]
fn a_view_ends_once_if_any_two_processes_die() {
    for first in [Kind::Producer, Kind::Putter] {
        explore_all([first, Kind::Prober, Kind::Prober], Fault::None);
        explore_all([first, Kind::Prober, Kind::Successor], Fault::None);
    }
    // By lock, two putters take turns: one message is put.
    explore_all([Kind::Successor, Kind::Prober, Kind::Prober], Fault::None);
}

#[test]
#[should_panic(expected = "written over under a view")]
fn reclaim_that_passes_views_would_overwrite_them() {
    explore_all([Kind::Putter, Kind::Prober, Kind::Prober], Fault::PassesViews);
}

#[test]
#[should_panic(expected = "written over under a view")]
fn a_put_that_does_not_probe_would_overwrite_a_view() {
    explore_all([Kind::Putter, Kind::Prober, Kind::Prober], Fault::EndsTheLiving);
}

#[test]
#[should_panic(expected = "a message that was put is changed")]
fn a_probe_without_the_lock_would_change_a_later_message() {
    explore_all([Kind::Putter, Kind::Prober, Kind::Prober], Fault::ProbeWithoutLock);
}

#[test]
#[should_panic(expected = "a message that was put is changed")]
fn a_producer_without_the_lock_would_let_a_probe_change_its_message() {
    explore_all([Kind::Producer, Kind::Prober, Kind::Prober], Fault::ProducerWithoutLock);
}

#[test]
#[should_panic(expected = "a message that was put is changed")]
fn a_probe_that_ignores_reclaim_would_change_a_later_message() {
    explore_all([Kind::Putter, Kind::Prober, Kind::Prober], Fault::IgnoresReclaim);
}

#[test]
#[should_panic(expected = "full, and no live process stops it")]
fn a_producer_that_leaves_the_lock_to_the_dead_would_stay_full() {
    explore_all([Kind::Producer, Kind::Prober, Kind::Prober], Fault::LeavesTheLock);
}

#[test]
#[should_panic(expected = "taken for a view of the successor")]
fn a_successor_that_needs_the_side_would_inherit_a_view_beside_a_producer() {
    explore_all([Kind::Producer, Kind::Prober, Kind::Successor], Fault::NeedsTheSide);
}

#[test]
#[should_panic(expected = "taken for a view of the successor")]
fn a_successor_that_registers_first_would_inherit_a_view() {
    explore_all([Kind::Putter, Kind::Prober, Kind::Successor], Fault::RegistersFirst);
}
