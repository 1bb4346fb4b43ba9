//! A task: a future that gets one message, and its node in the room.

use super::{CONTROL, Flaw, Kind, Node, State, Task, TaskStep, Wake};

impl State {
    pub(super) fn step_task(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        let Task { kind, process, queue, want, step, is_scheduled, .. } = self.tasks[i];
        let messages = self.queues[queue].messages;
        next.tasks[i].step = match step {
            TaskStep::Poll if next.take(queue, want) => TaskStep::Taken,
            TaskStep::Poll if self.flaw == Flaw::WatchReadBeforeRegistering => TaskStep::ReadWatch,
            TaskStep::Poll => TaskStep::Register,
            TaskStep::ReadWatch => TaskStep::RegisterUnseen { is_watched: self.reactors[process].is_watched[queue] },
            TaskStep::RegisterUnseen { is_watched } => next.register(i, is_watched),
            TaskStep::Register => next.register(i, self.reactors[process].is_watched[queue]),
            TaskStep::CheckAgain if self.flaw != Flaw::NoCheckAfterRegistering && next.take(queue, want) => TaskStep::Taken,
            TaskStep::CheckAgain => TaskStep::Pending,
            TaskStep::Pending => {
                let mut all = Vec::new();
                if is_scheduled && kind != Kind::Stuck {
                    next.tasks[i].is_scheduled = false;
                    next.tasks[i].step = TaskStep::Poll;
                    all.push(next);
                } else if self.early_polls > 0 {
                    next.early_polls -= 1;
                    next.tasks[i].step = TaskStep::Poll;
                    all.push(next);
                }
                if kind == Kind::Cancelled {
                    all.push(self.end(i, false, self.flaw != Flaw::NothingPassedOnAtCancel));
                }
                return all;
            }
            TaskStep::Taken => return vec![self.end(i, true, self.flaw != Flaw::NothingPassedOnAtSuccess)],
            TaskStep::Check if messages == 0 => TaskStep::Gone,
            TaskStep::Check => TaskStep::Serve { ready: messages },
            TaskStep::Serve { ready } => return self.hand_on(i, ready),
            TaskStep::Call { task } => {
                next.catch_panic(task);
                TaskStep::Check
            }
            TaskStep::PassOn(wake) => {
                let with = |(mut next, then): (State, Option<Wake>)| {
                    next.tasks[i].step = then.map_or(TaskStep::Gone, TaskStep::PassOn);
                    next
                };
                return self.step_wake(queue, wake, self.is_room).into_iter().map(with).collect();
            }
            TaskStep::Gone => return Vec::new(),
        };
        vec![next]
    }

    /// `Room::register`.
    fn register(&mut self, i: usize, is_watched: bool) -> TaskStep {
        let Task { process, queue, .. } = self.tasks[i];
        let mut room = self.rooms(process, queue).remove(0);
        let found_less = room.answers_for_several(i) && self.flaw != Flaw::RestKept;
        room.register(i, self.tasks[i].want);
        self.keep(&room);
        if !is_watched || found_less {
            self.tell_reactor(process, queue);
        }
        TaskStep::CheckAgain
    }

    /// `Room::end`: the future ends, with a message or dropped.
    fn end(&self, i: usize, took: bool, hands_on: bool) -> State {
        let mut next = *self;
        let Task { process, queue, .. } = self.tasks[i];
        let mut room = self.rooms(process, queue).remove(0);
        let removed = room.remove(i, took);
        next.keep(&room);
        next.tasks[i].is_scheduled = false;
        let answered = removed.as_ref().is_some_and(|removed| removed.answered);
        next.tasks[i].step = if answered && hands_on { TaskStep::Check } else { TaskStep::Gone };
        let waited = removed.is_some_and(|removed| removed.waited);
        let reactor = &mut next.reactors[process];
        if reactor.is_watched[queue] && waited && !room.has_waiting() && self.flaw != Flaw::LastLeavesInSilence {
            (reactor.is_watched[queue], reactor.has_left[queue]) = (false, true);
            next.tell_reactor(process, queue);
        }
        next
    }

    /// The rest of `Room::hand_on`.
    fn hand_on(&self, i: usize, ready: u8) -> Vec<State> {
        let Task { process, queue, .. } = self.tasks[i];
        let serve = |mut room: super::room::Room| {
            let mut next = *self;
            let (called, left_over) = room.serve(ready, 1);
            next.keep(&room);
            next.tasks[i].step = match next.call(&called) {
                0 if left_over && called.is_empty() => TaskStep::PassOn(Wake::CheckReady),
                0 => TaskStep::Gone,
                panics => TaskStep::Call { task: panics.trailing_zeros() as usize },
            };
            next
        };
        self.rooms(process, queue).into_iter().map(serve).collect()
    }

    /// `Room::tell_reactor`.
    fn tell_reactor(&mut self, process: usize, queue: usize) {
        let reactor = &mut self.reactors[process];
        (reactor.has_news[queue], reactor.control) = (true, true);
        reactor.queued &= !CONTROL;
    }

    /// Calls the wakers of tasks that were notified, but those that panic: a step of their own.
    pub(super) fn call(&mut self, tasks: &[usize]) -> u8 {
        let mut panics = 0;
        for &task in tasks {
            match self.tasks[task].kind {
                Kind::Panics => panics |= 1 << task,
                _ => self.tasks[task].is_scheduled = true,
            }
        }
        panics
    }

    pub(super) fn catch_panic(&mut self, task: usize) {
        let Task { process, queue, node, .. } = self.tasks[task];
        if node != Node::Absent && self.flaw != Flaw::PanicsAnswer {
            let mut room = self.rooms(process, queue).remove(0);
            room.note_panic(task);
            self.keep(&room);
        }
    }
}
