//! The reactor thread.

use super::{CONTROL, Flaw, Node, Place, Reactor, ReactorStep, State, Wake};

impl State {
    pub(super) fn step_reactor(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        let mut me = self.reactors[i];
        let after = |queue: usize| {
            if queue + 1 < self.queue_count { ReactorStep::Decide { queue: queue + 1 } } else { ReactorStep::Sleep { word: 0 } }
        };
        me.step = match me.step {
            ReactorStep::ReadControl => {
                me.control = false;
                ReactorStep::Decide { queue: 0 }
            }
            ReactorStep::Decide { queue } => {
                let place = me.places[queue];
                let is_wanted = self.is_wanted(i, queue) || place.is_some() && self.flaw == Flaw::StaysRegistered;
                let is_old = place.is_some_and(|place| !place.has_sequence || !place.has_epoch);
                me.has_fired[queue] |= place.is_some_and(|place| !place.has_sequence);
                me.is_watched[queue] = is_wanted;
                match place {
                    Some(_) if is_old || !is_wanted => ReactorStep::Deregister { queue, is_wanted },
                    None if is_wanted => self.begin_to_register(queue),
                    None if !me.has_fired[queue] && !me.is_late[queue] => after(queue),
                    _ => ReactorStep::Check { queue, passes_on: false },
                }
            }
            ReactorStep::Deregister { queue, is_wanted } => {
                next.leave_word(queue, me.places[queue].take());
                if is_wanted { self.begin_to_register(queue) } else { ReactorStep::Check { queue, passes_on: false } }
            }
            ReactorStep::ReadSequence { queue } => ReactorStep::Register { queue, has_sequence: true },
            ReactorStep::Register { queue, has_sequence } => {
                next.queues[queue].count += 1;
                me.places[queue] = Some(Place { has_sequence, has_epoch: true });
                match self.flaw {
                    Flaw::SequenceAfterRegistering => ReactorStep::ReadSequenceLate { queue },
                    _ => ReactorStep::Barrier { queue },
                }
            }
            ReactorStep::ReadSequenceLate { queue } => {
                me.places[queue] = me.places[queue].map(|place| Place { has_sequence: true, ..place });
                ReactorStep::Barrier { queue }
            }
            ReactorStep::Barrier { queue } => {
                if self.flaw != Flaw::NoBarrier {
                    next.heavy_barrier();
                }
                if self.flaw == Flaw::ReactorChecksBeforeRegistering {
                    after(queue)
                } else {
                    ReactorStep::Check { queue, passes_on: false }
                }
            }
            ReactorStep::Check { queue, passes_on } => {
                ReactorStep::Serve { queue, ready: self.queues[queue].messages, passes_on }
            }
            ReactorStep::Serve { queue, ready, passes_on } => return self.serve(i, queue, ready, passes_on),
            ReactorStep::Call { queue, tasks, passes_on } => {
                next.catch_panic(tasks.trailing_zeros() as usize);
                match tasks & (tasks - 1) {
                    0 => {
                        // As if the word had fired: what the task answered for is open again.
                        me.has_fired[queue] = true;
                        ReactorStep::Check { queue, passes_on }
                    }
                    tasks => ReactorStep::Call { queue, tasks, passes_on },
                }
            }
            ReactorStep::Leave { queue, passes_on } => {
                let is_wanted = self.is_wanted(i, queue) || self.flaw == Flaw::StaysRegistered;
                me.is_watched[queue] = is_wanted && me.places[queue].is_some();
                match me.places[queue] {
                    Some(_) if !is_wanted => ReactorStep::LeaveWord { queue, passes_on },
                    _ if passes_on => ReactorStep::PassOn { queue, wake: Wake::CheckForWaiters },
                    _ => after(queue),
                }
            }
            ReactorStep::LeaveWord { queue, passes_on } => {
                next.leave_word(queue, me.places[queue].take());
                if passes_on { ReactorStep::PassOn { queue, wake: Wake::CheckForWaiters } } else { after(queue) }
            }
            ReactorStep::PassOn { queue, wake } => {
                let with = |(mut next, then): (State, Option<Wake>)| {
                    next.reactors[i].step = then.map_or(after(queue), |wake| ReactorStep::PassOn { queue, wake });
                    next
                };
                return self.step_wake(queue, wake).into_iter().map(with).collect();
            }
            ReactorStep::Sleep { word: 0 } if me.control => ReactorStep::Return,
            ReactorStep::Sleep { word } => {
                let queue = word.checked_sub(1);
                let place = queue.and_then(|queue| me.places[queue]);
                match place {
                    Some(place) if !place.has_sequence => ReactorStep::Return,
                    _ => {
                        if word == 0 || place.is_some() {
                            me.queued |= CONTROL << word;
                        }
                        if word == self.queue_count { ReactorStep::Asleep } else { ReactorStep::Sleep { word: word + 1 } }
                    }
                }
            }
            ReactorStep::Asleep if me.queued != me.watched_words() => ReactorStep::Return,
            ReactorStep::Asleep
                if self.early_slices > 0 && self.tasks.iter().any(|task| task.process == i && task.node == Node::Notified) =>
            {
                next.early_slices -= 1;
                me.is_late = self.all_queues();
                ReactorStep::Return
            }
            ReactorStep::Return => {
                me.queued = 0;
                ReactorStep::ReadControl
            }
            ReactorStep::Asleep | ReactorStep::Dead => return Vec::new(),
        };
        next.reactors[i] = me;
        vec![next]
    }

    /// Under the room's lock: tasks that have not polled are late, and others are notified, any of
    /// those that wait.
    fn serve(&self, i: usize, queue: usize, ready: u8, mut passes_on: bool) -> Vec<State> {
        let mut next = *self;
        if std::mem::take(&mut next.reactors[i].is_late[queue]) {
            for task in self.nodes(i, queue, Node::Notified) {
                next.tasks[task].node = Node::Late;
                passes_on |= ready > 0 && self.flaw != Flaw::LatePassesNothingOn;
            }
        }
        let open = ready.saturating_sub(next.count(i, queue, Node::Notified));
        let waiting: Vec<usize> = next.nodes(i, queue, Node::Waiting).collect();
        let is_left_over = std::mem::take(&mut next.reactors[i].has_fired[queue]) && usize::from(open) > waiting.len();
        passes_on |= is_left_over && self.flaw != Flaw::ReactorPassesNothingOn;
        let choices: Vec<Vec<usize>> = match open {
            0 => vec![Vec::new()],
            1 if waiting.len() > 1 => waiting.iter().map(|&task| vec![task]).collect(),
            _ => vec![waiting],
        };
        let notify = |tasks: Vec<usize>| {
            let mut next = next;
            let panics = tasks.into_iter().filter(|&task| next.notify(task)).fold(0, |tasks, task| tasks | 1 << task);
            next.reactors[i].step = match panics {
                0 => ReactorStep::Leave { queue, passes_on },
                tasks => ReactorStep::Call { queue, tasks, passes_on },
            };
            next
        };
        choices.into_iter().map(notify).collect()
    }

    fn is_wanted(&self, process: usize, queue: usize) -> bool {
        self.count(process, queue, Node::Waiting) > 0
    }

    fn begin_to_register(&self, queue: usize) -> ReactorStep {
        match self.flaw {
            Flaw::SequenceAfterRegistering => ReactorStep::Register { queue, has_sequence: true },
            _ => ReactorStep::ReadSequence { queue },
        }
    }

    fn leave_word(&mut self, queue: usize, place: Option<Place>) {
        if let Some(place) = place {
            self.deregister(queue, place.has_epoch);
        }
    }

    pub(super) fn all_queues(&self) -> [bool; 2] {
        [true, self.queue_count > 1]
    }
}

impl Reactor {
    /// Bits of the words that it sleeps on.
    fn watched_words(&self) -> u8 {
        (0..2).filter(|&queue| self.places[queue].is_some()).fold(CONTROL, |words, queue| words | State::bit(queue))
    }
}
