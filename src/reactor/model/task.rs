//! A task: a future that gets one message, and its node in the room.

use super::{CONTROL, Flaw, Kind, Node, State, Task, TaskStep, Wake};

impl State {
    pub(super) fn step_task(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        let Task { kind, process, queue, step, is_scheduled, .. } = self.tasks[i];
        let messages = self.queues[queue].messages;
        next.tasks[i].step = match step {
            TaskStep::Poll if messages > 0 => {
                next.queues[queue].messages -= 1;
                TaskStep::Taken
            }
            TaskStep::Poll => TaskStep::Register,
            TaskStep::Register => {
                next.tasks[i].node = Node::Waiting;
                if !self.reactors[process].is_watched[queue] {
                    next.raise_control(process);
                }
                TaskStep::CheckAgain
            }
            TaskStep::CheckAgain if messages > 0 && self.flaw != Flaw::NoCheckAfterRegistering => TaskStep::Poll,
            TaskStep::CheckAgain => TaskStep::Pending,
            TaskStep::Pending => {
                let mut all = Vec::new();
                if is_scheduled && kind != Kind::Stuck {
                    next.tasks[i].is_scheduled = false;
                    next.tasks[i].step = TaskStep::Poll;
                    all.push(next);
                }
                if kind == Kind::Cancelled {
                    all.push(self.remove(i, self.flaw != Flaw::NothingPassedOnAtCancel));
                }
                return all;
            }
            TaskStep::Taken => return vec![self.remove(i, self.flaw != Flaw::NothingPassedOnAtSuccess)],
            TaskStep::Check if messages == 0 => TaskStep::Gone,
            TaskStep::Check => TaskStep::Serve { ready: messages },
            TaskStep::Serve { ready } if ready <= self.count(process, queue, Node::Notified) => TaskStep::Gone,
            TaskStep::Serve { .. } if self.count(process, queue, Node::Waiting) == 0 => TaskStep::PassOn(Wake::CheckForWaiters),
            TaskStep::Serve { .. } => {
                // Any of them.
                let notify = |task| {
                    let mut next = *self;
                    let panics = next.notify(task);
                    next.raise_if_last(i);
                    next.tasks[i].step = if panics { TaskStep::Call { task } } else { TaskStep::Gone };
                    next
                };
                return self.nodes(process, queue, Node::Waiting).map(notify).collect();
            }
            TaskStep::Call { task } => {
                next.catch_panic(task);
                TaskStep::Check
            }
            TaskStep::PassOn(wake) => {
                let with = |(mut next, then): (State, Option<Wake>)| {
                    next.tasks[i].step = then.map_or(TaskStep::Gone, TaskStep::PassOn);
                    next
                };
                return self.step_wake(queue, wake).into_iter().map(with).collect();
            }
            TaskStep::Gone => return Vec::new(),
        };
        vec![next]
    }

    /// A future ends, with a message or dropped: its node goes.
    fn remove(&self, i: usize, passes_on: bool) -> State {
        let mut next = *self;
        next.tasks[i].node = Node::Absent;
        next.tasks[i].is_scheduled = false;
        next.raise_if_last(i);
        let answers = self.tasks[i].node == Node::Notified;
        next.tasks[i].step = if answers && passes_on { TaskStep::Check } else { TaskStep::Gone };
        next
    }

    /// Under the room's lock: raises the control word when no task of the queue waits any more.
    fn raise_if_last(&mut self, i: usize) {
        let Task { process, queue, .. } = self.tasks[i];
        let is_watched = self.reactors[process].is_watched[queue];
        if is_watched && self.count(process, queue, Node::Waiting) == 0 && self.flaw != Flaw::StaysRegistered {
            self.raise_control(process);
        }
    }

    /// And wakes the reactor.
    fn raise_control(&mut self, process: usize) {
        self.reactors[process].control = true;
        self.reactors[process].queued &= !CONTROL;
    }

    /// Takes the waker of a task and calls it. Does it panic? That is a step of its own.
    pub(super) fn notify(&mut self, task: usize) -> bool {
        let task = &mut self.tasks[task];
        task.node = Node::Notified;
        task.is_scheduled = task.kind != Kind::Panics;
        !task.is_scheduled
    }

    pub(super) fn catch_panic(&mut self, task: usize) {
        if self.tasks[task].node == Node::Notified {
            self.tasks[task].node = Node::Late;
        }
    }
}
