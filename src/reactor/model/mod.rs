//! The protocol of wakes as a state machine: every order of steps, and a kill at every step.
//!
//! A step is one atomic access, one system call, or all that is done under a room's lock between
//! two of them. Some are joined to the step before: that a task tells the reactor after it has let
//! go of the room's lock; that the reactor takes the news before it takes that lock; the call of a
//! waker that does not panic. What runs in between is woken, or checks, once more for nothing: that
//! too is a case (`stray_news`, `early_polls`).
//!
//! The nodes of a room are those of `nodes.rs`: see [`room`]. What putters and sleeping callers do
//! is `Condvar` of `lock/futex.rs`, as in `lock/model.rs`; a message sits in its putter's store
//! buffer until an atomic of its own, a heavy barrier, or chance drains it. A process is killed
//! whole: its tasks and its reactor. Slices end when nothing else can move, and in some cases at
//! any moment. Left out are tasks that are held off, naps, several threads of a reactor, and forks.

mod flaw;
mod reactor;
mod rest;
mod room;
mod task;
mod tests;
mod words;

use crate::lock::model::Machine;
use flaw::Flaw;

/// How a future fares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Kind {
    /// There is none.
    Absent,
    /// Polled whenever it is woken.
    Able,
    /// Able, and dropped at some moment between two polls.
    Cancelled,
    /// Polled once; woken and never polled again: forgotten, or its executor is blocked.
    Stuck,
    /// Its waker panics.
    Panics,
}

/// What a room keeps of a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Node {
    Absent,
    Waiting,
    /// Its waker was taken: it answers for one message until it has polled.
    Notified {
        /// Since before this slice began.
        before: bool,
    },
    /// Did not poll within a slice, or its waker panicked: it answers for nothing.
    Late,
}

/// `Condvar::wake(1)` behind `has_waiters`. `seen` is the count that it read, as long as the epoch
/// is the one that it read with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Wake {
    /// Of what is passed on: is something there, and does somebody wait?
    CheckReady,
    CheckForWaiters,
    ReadWaiters,
    RaiseSequence {
        seen: Option<u8>,
    },
    OneSleeper {
        seen: Option<u8>,
    },
    NewEpoch {
        seen: Option<u8>,
    },
    RaiseAgain,
    AllSleepers,
}

/// What a registered sleeper knows of a queue's words. Of a sequence and of an epoch only one thing
/// matters, whether it is still the one that was read: they never come back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Place {
    has_sequence: bool,
    has_epoch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum TaskStep {
    Poll,
    /// It has a message; its node is still in the room.
    Taken,
    /// The wrong order, for the test that must fail: the reactor's watch is read before.
    ReadWatch,
    RegisterUnseen {
        is_watched: bool,
    },
    Register,
    CheckAgain,
    Pending,
    /// It answered for a message and ends: is there still one?
    Check,
    Serve {
        ready: u8,
    },
    Call {
        task: usize,
    },
    PassOn(Wake),
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Task {
    kind: Kind,
    process: usize,
    queue: usize,
    /// Messages, or units of room.
    want: u8,
    step: TaskStep,
    node: Node,
    /// Its executor will poll it.
    is_scheduled: bool,
}

/// What is left to do for a queue after its tasks were served.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Rest {
    leaves: bool,
    passes_on: bool,
    /// Tasks whose wakers panic.
    panics: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum ReactorStep {
    ReadControl,
    /// Has the word fired?
    ReadNews {
        queue: usize,
    },
    Decide {
        queue: usize,
        is_woken: bool,
    },
    /// The room is empty: nothing is known of what a wake was for.
    LeaveUnknown {
        queue: usize,
    },
    Leave {
        queue: usize,
    },
    /// It stays counted: the sequence first, the epoch then.
    RenewSequence {
        queue: usize,
    },
    CompareEpoch {
        queue: usize,
    },
    ReadSequence {
        queue: usize,
    },
    Register {
        queue: usize,
        has_sequence: bool,
    },
    /// The wrong order, for the test that must fail.
    ReadSequenceLate {
        queue: usize,
    },
    Barrier {
        queue: usize,
    },
    /// The wrong order, for the test that must fail: how many tasks answer.
    CountAnswers {
        queue: usize,
    },
    Check {
        queue: usize,
        answering: Option<u8>,
    },
    Serve {
        queue: usize,
        ready: u8,
        answering: Option<u8>,
    },
    LeaveWord {
        queue: usize,
        rest: Rest,
    },
    PassOn {
        queue: usize,
        wake: Wake,
        rest: Rest,
    },
    /// The wakers that panic.
    Call {
        queue: usize,
        panics: u8,
    },
    /// Within `futex_waitv`: the control word, then the queues' words, each checked and queued.
    Sleep {
        word: usize,
    },
    Asleep,
    Return,
    Dead,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Reactor {
    step: ReactorStep,
    /// Of each queue that it is registered with.
    places: [Option<Place>; 2],
    has_fired: [bool; 2],
    /// It stays registered for a while although no task waits.
    lingers: [bool; 2],
    /// A slice has passed, and this queue is to be checked for it.
    is_late: [bool; 2],
    /// Words on which the kernel has it queued: [`CONTROL`], and [`State::bit`] of each queue.
    queued: u8,
    /// The control word was raised since it was read.
    control: bool,
    /// A task has told it of a change.
    has_news: [bool; 2],
    /// Under the room's lock: tasks that register need not tell it.
    is_watched: [bool; 2],
    /// Under the room's lock: the last waiting task went without having been notified.
    has_left: [bool; 2],
}

/// A caller of a third process, blocked in `get`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Waiter {
    Check,
    ReadSequence,
    Register { has_sequence: bool },
    Barrier(Place),
    CheckAgain(Place),
    Sleep(Place),
    Asleep { has_epoch: bool },
    Deregister { has_epoch: bool },
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum PutterStep {
    Absent,
    Store,
    Notify(Wake),
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Putter {
    step: PutterStep,
    queue: usize,
    /// Messages, or units of room; or [`CLOSE`].
    gives: u8,
    is_buffered: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Queue {
    /// Or units of room, for tasks that put; [`CLOSE`] and more if it is closed.
    messages: u8,
    /// Sleepers that are counted in this epoch.
    count: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    tasks: [Task; 2],
    /// Of two processes.
    reactors: [Reactor; 2],
    waiter: Waiter,
    putters: [Putter; 2],
    queues: [Queue; 2],
    queue_count: usize,
    /// The reactor may stay registered for a task that was notified.
    may_linger: bool,
    /// Who frees room wakes all that sleep: they want more, or less.
    is_room: bool,
    /// A wake is one step once it has seen that there are waiters: in larger cases.
    has_short_wakes: bool,
    /// Slices that may still end at any moment at which a task is notified.
    early_slices: u8,
    /// Times that a reactor is told of a change that it has seen already.
    stray_news: u8,
    /// Polls that no wake has caused.
    early_polls: u8,
    /// How often slices have ended since nothing could move, and no process was killed.
    stage: u8,
    /// Raises of a sequence by the last step.
    raises: u8,
    flaw: Flaw,
}

impl Node {
    fn waits(self) -> bool {
        self == Node::Waiting
    }

    fn answers(self) -> bool {
        matches!(self, Node::Notified { .. })
    }

    fn is_there(self) -> bool {
        self != Node::Absent
    }
}

/// What is there for all, and is not taken.
const CLOSE: u8 = 100;
/// Bit of the control word.
const CONTROL: u8 = 1;
/// Slices after which no message lies beside an able waiter, however many tasks are stuck.
const LAST_STAGE: u8 = 6;

const DEAD: Reactor = Reactor {
    step: ReactorStep::Dead,
    places: [None; 2],
    has_fired: [false; 2],
    lingers: [false; 2],
    is_late: [false; 2],
    queued: 0,
    control: false,
    has_news: [false; 2],
    is_watched: [false; 2],
    has_left: [false; 2],
};

impl State {
    /// Tasks as kind, process and queue; the queues of putters; is there a waiter, on queue 0?
    fn new(tasks: [(Kind, usize, usize); 2], putters: &[usize], has_waiter: bool, queue_count: usize) -> State {
        let task = |(kind, process, queue)| Task {
            kind,
            process,
            queue,
            want: 1,
            step: if kind == Kind::Absent { TaskStep::Gone } else { TaskStep::Poll },
            node: Node::Absent,
            is_scheduled: false,
        };
        let reactor = Reactor { step: ReactorStep::Asleep, queued: CONTROL, ..DEAD };
        let putter = |i: usize| match putters.get(i) {
            Some(&queue) => Putter { step: PutterStep::Store, queue, gives: 1, is_buffered: false },
            None => Putter { step: PutterStep::Absent, queue: 0, gives: 0, is_buffered: false },
        };
        State {
            tasks: tasks.map(task),
            reactors: [reactor; 2],
            waiter: if has_waiter { Waiter::Check } else { Waiter::Gone },
            putters: [putter(0), putter(1)],
            queues: [Queue { messages: 0, count: 0 }; 2],
            queue_count,
            may_linger: false,
            is_room: false,
            has_short_wakes: false,
            early_slices: 0,
            stray_news: 0,
            early_polls: 0,
            stage: 0,
            raises: 0,
            flaw: Flaw::None,
        }
    }

    fn drain(&mut self, putter: usize) {
        let Putter { queue, gives, .. } = self.putters[putter];
        if std::mem::take(&mut self.putters[putter].is_buffered) {
            self.queues[queue].messages += gives;
        }
    }

    /// Is there what this task or caller wants? Takes it.
    fn take(&mut self, queue: usize, want: u8) -> bool {
        let messages = &mut self.queues[queue].messages;
        let has = *messages >= want;
        if has && *messages < CLOSE {
            *messages -= want;
        }
        has
    }

    fn heavy_barrier(&mut self) {
        (0..2).for_each(|putter| self.drain(putter));
    }

    /// The tasks of a process and queue whose node is such.
    fn nodes(&self, process: usize, queue: usize, is_such: fn(Node) -> bool) -> impl Iterator<Item = usize> + '_ {
        let has_such = move |task: &Task| task.process == process && task.queue == queue && is_such(task.node);
        (0..2).filter(move |&i| has_such(&self.tasks[i]))
    }

    fn count(&self, process: usize, queue: usize, is_such: fn(Node) -> bool) -> u8 {
        self.nodes(process, queue, is_such).count() as u8
    }

    /// Bit of a queue's word.
    fn bit(queue: usize) -> u8 {
        CONTROL << (queue + 1)
    }

    fn kill_process(&mut self, process: usize) {
        for task in self.tasks.iter_mut().filter(|task| task.process == process) {
            (task.step, task.node, task.is_scheduled) = (TaskStep::Gone, Node::Absent, false);
        }
        self.reactors[process] = DEAD;
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        let mut next = self.step_waiter();
        for i in 0..2 {
            next.extend(self.step_task(i));
            next.extend(self.step_reactor(i));
            next.extend(self.step_putter(i));
            if self.putters[i].is_buffered {
                let mut drained = *self;
                drained.drain(i);
                next.push(drained);
            }
        }
        if self.putters[0].queue == self.putters[1].queue {
            // Putters of one queue are alike.
            next.iter_mut().for_each(|next| next.putters.sort_unstable());
        }
        next
    }

    fn kills(&self) -> Vec<State> {
        let mut all = Vec::new();
        let start = State { stage: 0, ..*self };
        if self.waiter != Waiter::Gone {
            all.push(State { waiter: Waiter::Gone, ..start });
        }
        for i in 0..2 {
            if matches!(self.putters[i].step, PutterStep::Store | PutterStep::Notify(_)) {
                // What it stored it has stored.
                let mut killed = start;
                killed.putters[i].step = PutterStep::Gone;
                all.push(killed);
            }
            if self.tasks.iter().any(|task| task.process == i && task.step != TaskStep::Gone) {
                let mut killed = start;
                killed.kill_process(i);
                all.push(killed);
            }
        }
        all
    }

    /// First two of reactors with a task that is late with its poll, then of all.
    fn end_slices(&self) -> Option<State> {
        let has_left_all = self.reactors.iter().all(|reactor| reactor.places == [None; 2]);
        if self.stage == LAST_STAGE || self.queues.iter().all(|queue| queue.messages == 0) && has_left_all {
            return None;
        }
        let mut next = State { stage: self.stage + 1, ..*self };
        for i in (0..2).filter(|&i| self.reactors[i].step == ReactorStep::Asleep && (self.stage > 1 || self.has_notified(i))) {
            next.reactors[i].is_late = self.all_queues();
            next.reactors[i].step = ReactorStep::Return;
        }
        match self.waiter {
            Waiter::Asleep { has_epoch } if self.stage > 1 => next.waiter = Waiter::Deregister { has_epoch },
            _ => {}
        }
        Some(next)
    }

    fn check_rest(&self, was_killed: bool) {
        for queue in 0..self.queue_count {
            self.check_messages(queue, was_killed);
            self.check_counts(queue, was_killed);
        }
    }
}
