//! The files of positions as a state machine: every order of steps, and a kill at every step.
//!
//! A step is one access to a word that other processes access, or one call that changes the
//! directory. The words of the ring are those of `ring`, in its order; its store orders have models
//! of their own (`ring/tests`), so stores are seen at once here. Every record has one cell. The
//! FREE word behind a record is stored together with it, and a side's lock is taken over from the
//! dead in one step, after which the side is repaired step by step. Tail moves back whenever an
//! owner of the put side gets the get side too and aborted records stand at the end: more often
//! than in `raw/make_room.rs`.
//!
//! When nothing moves any more, an heir recovers, sweeps, takes all messages, and sweeps again:
//! after a sweep, there is a file for each unfinished object and no other.

mod aborts;
mod flaw;
mod getter;
mod putter;
mod sweeper;
mod tests;

use crate::lock::model::Machine;
use flaw::Flaw;

/// One of them is the FREE word.
const CELLS: u8 = 3;
const POSITIONS: usize = 8;
const ACTORS: usize = 4;
const HEIR: usize = ACTORS - 1;
const NO_SIDE: u8 = u8::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Word {
    Free,
    Claimed(u8),
    Ready,
    Leased(u8),
    Returned,
    Done,
}

/// What a put brings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Brings {
    /// An object that fits the ring.
    Small,
    /// One in a file of its own.
    Spilled,
    /// The same, and its put is given up once the file has its name.
    Abandoned,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Absent,
    Putter([Option<Brings>; 2]),
    Getter {
        messages: u8,
        /// So many leases are given back.
        gives_back: u8,
    },
    /// Aborts loans of the dead, and brings back their leases, or gives them up.
    Recoverer {
        gives_up: bool,
    },
    Sweeper,
}

/// What it does next. A position that a step names is the actor's `at`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Step {
    Idle,
    Put(putter::Step),
    Get(getter::Step),
    Abort(aborts::Step, aborts::Then),
    Sweep(sweeper::Step),
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Actor {
    kind: Kind,
    step: Step,
    at: u8,
    /// A sweeper's positions, one bit each; a putter's object and what it brings.
    listed: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Cell {
    word: Word,
    /// Which put wrote the record. Whether its object is in a file is a bit of the header.
    object: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct File {
    object: u8,
    is_whole: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    cells: [Cell; CELLS as usize],
    head: u8,
    tail: u8,
    reclaim: u8,
    /// The file named after each position.
    files: [Option<File>; POSITIONS],
    put_lock: u8,
    get_lock: u8,
    actors: [Actor; ACTORS],
    /// Objects that were claimed so far, and those of them that are in files.
    objects: u8,
    spilled: u8,
    /// What the heir has done.
    stage: u8,
    flaw: Flaw,
}

impl State {
    fn new(kinds: &[Kind]) -> State {
        let actor = |kind| Actor { kind, step: Step::Idle, at: 0, listed: 0 };
        let mut actors = [actor(Kind::Absent); ACTORS];
        assert!(kinds.len() < ACTORS, "the last one is the heir");
        actors.iter_mut().zip(kinds).for_each(|(each, &kind)| *each = actor(kind));
        State {
            cells: [Cell { word: Word::Free, object: 0 }; CELLS as usize],
            head: 0,
            tail: 0,
            reclaim: 0,
            files: [None; POSITIONS],
            put_lock: NO_SIDE,
            get_lock: NO_SIDE,
            actors,
            objects: 0,
            spilled: 0,
            stage: 0,
            flaw: Flaw::None,
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn cell(&self, position: u8) -> Cell {
        self.cells[(position % CELLS) as usize]
    }

    fn word(&self, position: u8) -> Word {
        self.cell(position).word
    }

    fn cell_mut(&mut self, position: u8) -> &mut Cell {
        &mut self.cells[(position % CELLS) as usize]
    }

    fn is_dead(&self, i: u8) -> bool {
        self.actors[i as usize].step == Step::Dead
    }

    fn is_claimed(&self, position: u8) -> bool {
        matches!(self.word(position), Word::Claimed(_))
    }

    /// Is the lock free, or a dead process's?
    fn may_lock(&self, lock: u8) -> bool {
        lock == NO_SIDE || self.is_dead(lock)
    }

    /// The records from reclaim to the FREE word.
    fn records(&self) -> impl Iterator<Item = (u8, Cell)> + '_ {
        let all = (self.reclaim..self.reclaim + CELLS).map(|position| (position, self.cell(position)));
        all.take_while(|(_, cell)| cell.word != Word::Free)
    }

    /// Does the record's header say that its object is in a file?
    fn is_spilled(&self, position: u8) -> bool {
        self.spilled & 1 << self.cell(position).object != 0
    }

    /// Has this record a file with its object, whole?
    fn has_its_file(&self, position: u8) -> bool {
        self.files[position as usize] == Some(File { object: self.cell(position).object, is_whole: true })
    }

    fn unlink(&mut self, position: u8) {
        self.files[position as usize] = None;
    }

    /// Continues actor `i` there.
    fn go(mut self, i: usize, step: Step) -> State {
        self.actors[i].step = step;
        self
    }

    /// In every state.
    fn check(&self) {
        for (position, cell) in self.records() {
            let is_unfinished = matches!(cell.word, Word::Ready | Word::Leased(_) | Word::Returned);
            let has_lost = is_unfinished && self.is_spilled(position) && !self.has_its_file(position);
            assert!(!has_lost, "a committed object without its file: {self:?}");
        }
    }

    /// After a sweep.
    fn check_files(&self) {
        for (position, file) in (0..).zip(self.files) {
            let is_its = |(at, cell): (u8, Cell)| at == position && self.has_its_file(at) && cell.word != Word::Done;
            assert!(file.is_none() || self.records().any(is_its), "a file is left: {self:?}");
        }
    }

    fn steps_of(&self, i: usize) -> Vec<State> {
        match (self.actors[i].step, self.actors[i].kind) {
            (Step::Dead, _) | (Step::Idle, Kind::Absent) => Vec::new(),
            (Step::Idle, Kind::Putter(_)) => self.begin_put(i),
            (Step::Idle, Kind::Getter { .. } | Kind::Recoverer { .. }) => self.begin_get(i),
            (Step::Idle, Kind::Sweeper) => self.begin_sweep(i),
            (Step::Put(step), _) => self.step_put(i, step),
            (Step::Get(step), _) => self.step_get(i, step),
            (Step::Abort(step, then), _) => vec![self.step_abort(i, step, then)],
            (Step::Sweep(step), _) => vec![self.step_sweep(i, step)],
        }
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        let next: Vec<State> = (0..ACTORS).flat_map(|i| self.steps_of(i)).collect();
        next.iter().for_each(State::check);
        next
    }

    fn kills(&self) -> Vec<State> {
        let is_there = |actor: &Actor| actor.kind != Kind::Absent && actor.step != Step::Dead;
        let alive = (0..HEIR).filter(|&i| is_there(&self.actors[i]));
        alive
            .map(|i| {
                let mut killed = State { stage: 0, ..self.go(i, Step::Dead) };
                (killed.actors[i].kind, killed.actors[i].at, killed.actors[i].listed) = (Kind::Absent, 0, 0);
                killed
            })
            .collect()
    }

    /// The heir's next work.
    fn end_slices(&self) -> Option<State> {
        let mut next = State { stage: self.stage + 1, ..*self };
        next.actors[HEIR].kind = match self.stage {
            0 | 3 => Kind::Recoverer { gives_up: false },
            1 | 4 => Kind::Sweeper,
            2 => Kind::Getter { messages: u8::MAX, gives_back: 0 },
            _ => return None,
        };
        Some(next)
    }

    fn check_rest(&self, was_killed: bool) {
        for actor in &self.actors {
            let is_stuck = !matches!(actor.step, Step::Idle | Step::Dead);
            assert!(!is_stuck, "a process hangs: {self:?}");
        }
        // Without a death, each process removes its own files.
        if !was_killed || matches!(self.stage, 2 | 5) {
            self.check_files();
        }
        let is_left = |cell: Cell| cell.word != Word::Done;
        assert!(self.stage < 3 || !self.records().any(|(_, cell)| is_left(cell)), "a message is stuck: {self:?}");
    }
}
