//! The files of a segment and its anchor, from the first attach to the last sweep, as a state
//! machine: every order of steps, and a kill at every step.
//!
//! A step is one change of the directory, one lock on a segment's file, or one check of either.
//! Locks are those of `shm/segment/locks.rs`: liveness, keep-name, keepers, name byte, whole file.
//! They conflict as there, and the kernel drops them with their holder. A caller that would retry
//! waits. The anchor is a second link to the segment's file, so what finds it finds the locks.
//!
//! Of the ring there is one object for each segment, which is put once and taken once: `positions`
//! has the rest. A process that exits without leaving is one that was killed. A process that is killed between the end of a message and its unlink leaves a
//! file, too.

mod cleaner;
mod flaw;
mod names;
mod tests;
mod user;

use crate::lock::model::Machine;
use flaw::Flaw;

const SEGMENTS: usize = 3;
const ACTORS: usize = 4;
const HEIR: usize = ACTORS - 1;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Absent,
    /// Attached at the beginning, or opens the name; then does its work, and leaves.
    User {
        is_attached: bool,
        puts: bool,
        gets: bool,
        persists: bool,
    },
    /// A fork of the first actor, which keeps the name and is not attached. It attaches, or
    /// executes another program.
    Child,
    /// `unlink`, of a segment in use or not.
    Unlinker,
    /// `create` of that name: a segment of its own, perhaps in the place of a dead one.
    Creator,
    /// `remove_stale`.
    Remover,
    /// The scan for stale files.
    Sweeper,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    Begin,
    Use(user::Step),
    Name(names::Step),
    Clean(cleaner::Step),
    Gone,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Actor {
    kind: Kind,
    step: Step,
    /// The segment whose file it has open.
    segment: u8,
    /// Segments that a sweeper has still to check, one bit each.
    listed: u8,
}

/// Locks on one file: one bit for each process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Locks {
    liveness: u8,
    keeps: u8,
    keepers: u8,
    name_byte: u8,
    whole: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
struct Segment {
    is_made: bool,
    is_persisted: bool,
    has_anchor: bool,
    /// A committed object that is not finished.
    has_object: bool,
    /// Its file, or that of a finished one.
    has_file: bool,
    locks: Locks,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    name: Option<u8>,
    segments: [Segment; SEGMENTS],
    actors: [Actor; ACTORS],
    stage: u8,
    flaw: Flaw,
}

fn bit(i: usize) -> u8 {
    1 << i
}

impl Locks {
    fn of_others(self, i: usize) -> Locks {
        let others = |held: u8| held & !bit(i);
        Locks {
            liveness: others(self.liveness),
            keeps: others(self.keeps),
            keepers: others(self.keepers),
            name_byte: others(self.name_byte),
            whole: others(self.whole),
        }
    }

    fn drop_of(&mut self, i: usize) {
        *self = self.of_others(i);
    }

    /// Held by a process that is attached, keeps the name, or is about to find that it came late.
    fn has_users(self) -> bool {
        self.liveness | self.keeps != 0
    }

    /// Held for a moment, by a process that checks or changes the name.
    fn has_claims(self) -> bool {
        self.keepers | self.name_byte | self.whole != 0
    }
}

impl State {
    fn new(kinds: &[Kind]) -> State {
        let absent = Actor { kind: Kind::Absent, step: Step::Gone, segment: 0, listed: 0 };
        let mut state = State {
            name: Some(0),
            segments: [Segment::default(); SEGMENTS],
            actors: [absent; ACTORS],
            stage: 0,
            flaw: Flaw::None,
        };
        state.segments[0].is_made = true;
        assert!(kinds.len() < ACTORS, "the last one is the heir");
        for (i, &kind) in kinds.iter().enumerate() {
            state.actors[i] = Actor { kind, step: Step::Begin, ..absent };
            let locks = &mut state.segments[0].locks;
            match kind {
                Kind::User { is_attached: true, .. } => {
                    (locks.liveness, locks.keeps) = (locks.liveness | bit(i), locks.keeps | bit(i))
                }
                Kind::Child => locks.keeps |= bit(i),
                _ => {}
            }
        }
        state
    }

    /// The same where another process has died with an object in the queue.
    fn with_object(mut self) -> State {
        let segment = &mut self.segments[0];
        (segment.has_object, segment.has_file, segment.has_anchor) = (true, true, true);
        self
    }

    fn persisted(mut self) -> State {
        self.segments[0].is_persisted = true;
        self
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn leads_to(&self, segment: u8) -> bool {
        self.name == Some(segment)
    }

    fn links(&self, segment: u8) -> u8 {
        u8::from(self.leads_to(segment)) + u8::from(self.segments[segment as usize].has_anchor)
    }

    fn go(mut self, i: usize, step: Step) -> State {
        self.actors[i].step = step;
        self
    }

    /// The segment that actor `i` has open.
    fn open(&mut self, i: usize) -> &mut Segment {
        &mut self.segments[self.actors[i].segment as usize]
    }

    fn others(&self, i: usize) -> Locks {
        self.segments[self.actors[i].segment as usize].locks.of_others(i)
    }

    /// Is some live process, or a name for later ones, entitled to the objects of the segment?
    fn is_wanted(&self, segment: u8) -> bool {
        let wants = |actor: &Actor| match actor.step {
            Step::Use(step) => actor.segment == segment && step.is_attached(),
            Step::Begin => match actor.kind {
                Kind::User { is_attached, .. } => is_attached && segment == 0,
                Kind::Child => segment == 0,
                _ => false,
            },
            _ => false,
        };
        self.leads_to(segment) || self.actors.iter().any(wants)
    }

    fn check(&self) {
        for (number, segment) in (0..).zip(&self.segments) {
            let is_lost = segment.has_object && !segment.has_file && self.is_wanted(number);
            assert!(!is_lost, "a committed object is lost: {self:?}");
        }
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        let mut next = Vec::new();
        for (i, actor) in self.actors.iter().enumerate() {
            match actor.step {
                Step::Begin => next.extend(self.begin(i)),
                Step::Use(step) => next.extend(self.step_user(i, step)),
                Step::Name(step) => next.extend(self.step_name(i, step)),
                Step::Clean(step) => next.extend(self.step_clean(i, step)),
                Step::Gone | Step::Dead => {}
            }
        }
        next.iter().for_each(State::check);
        next
    }

    fn kills(&self) -> Vec<State> {
        let is_alive = |i: &usize| !matches!(self.actors[*i].step, Step::Gone | Step::Dead);
        let killed = (0..HEIR).filter(is_alive).map(|i| {
            let mut killed = State { stage: 0, ..self.go(i, Step::Dead) };
            (killed.actors[i].kind, killed.actors[i].segment, killed.actors[i].listed) = (Kind::Absent, 0, 0);
            killed.segments.iter_mut().for_each(|segment| segment.locks.drop_of(i));
            killed
        });
        killed.collect()
    }

    /// The heir sweeps.
    fn end_slices(&self) -> Option<State> {
        let mut next = State { stage: self.stage + 1, ..*self };
        next.actors[HEIR] = Actor { kind: Kind::Sweeper, step: Step::Begin, segment: 0, listed: 0 };
        (self.stage == 0).then_some(next)
    }

    fn check_rest(&self, was_killed: bool) {
        for actor in &self.actors {
            assert!(matches!(actor.step, Step::Gone | Step::Dead), "a process hangs: {self:?}");
        }
        for (number, segment) in (0..).zip(&self.segments) {
            let is_left = segment.has_anchor || segment.has_file;
            // A persisted segment is not deferred: a child that executes a program is as one that
            // was killed.
            let has_child = self.actors.iter().any(|actor| actor.kind == Kind::Child);
            let is_due = self.stage > 0 || !(was_killed || segment.is_persisted && has_child);
            assert!(!(is_left && is_due) || self.is_wanted(number), "a file is left: {self:?}");
        }
    }
}
