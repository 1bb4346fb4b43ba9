//! The reactor thread: `Worker::round` and `Watch::check` of `thread.rs`.

use super::room::Room;
use super::{CONTROL, Flaw, Node, Place, Reactor, ReactorStep, Rest, State, Wake};

impl State {
    pub(super) fn step_reactor(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        let mut me = self.reactors[i];
        me.step = match me.step {
            ReactorStep::ReadControl => {
                me.control = false;
                self.begin(&me, 0)
            }
            ReactorStep::ReadNews { queue } => {
                ReactorStep::Decide { queue, is_woken: me.places[queue].is_some_and(|place| !place.has_sequence) }
            }
            ReactorStep::Decide { queue, is_woken } => {
                let is_told = std::mem::take(&mut me.has_news[queue]);
                if is_told || is_woken || me.is_late[queue] {
                    self.decide(i, &mut me, queue, is_woken)
                } else {
                    self.after(&me, queue)
                }
            }
            ReactorStep::LeaveUnknown { queue } => {
                next.leave_word(queue, me.places[queue].take());
                if std::mem::take(&mut me.has_fired[queue]) && self.flaw != Flaw::UnknownPassesNothingOn {
                    let rest = Rest { leaves: false, passes_on: true, panics: 0 };
                    ReactorStep::PassOn { queue, wake: Wake::CheckForWaiters, rest }
                } else {
                    self.after(&me, queue)
                }
            }
            ReactorStep::Leave { queue } => {
                next.leave_word(queue, me.places[queue].take());
                self.begin_to_check(queue)
            }
            ReactorStep::RenewSequence { queue } => {
                // The wake that belongs to it may come while the reactor sleeps on the new one.
                let has_fired = me.places[queue].is_some_and(|place| !place.has_sequence);
                me.has_fired[queue] |= has_fired && self.flaw != Flaw::RenewsUnnoticed;
                me.places[queue] = me.places[queue].map(|place| Place { has_sequence: true, ..place });
                match self.flaw {
                    Flaw::EpochBeforeSequence | Flaw::EpochNotCompared => self.begin_to_check(queue),
                    _ => ReactorStep::CompareEpoch { queue },
                }
            }
            ReactorStep::CompareEpoch { queue } => match me.places[queue] {
                Some(Place { has_epoch: false, .. }) => {
                    me.has_fired[queue] |= self.flaw != Flaw::RenewsUnnoticed;
                    self.begin_to_register(queue)
                }
                _ if self.flaw == Flaw::EpochBeforeSequence => ReactorStep::RenewSequence { queue },
                _ => self.begin_to_check(queue),
            },
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
                    self.after(&me, queue)
                } else {
                    self.begin_to_check(queue)
                }
            }
            ReactorStep::CountAnswers { queue } => {
                ReactorStep::Check { queue, answering: Some(self.count(i, queue, Node::answers)) }
            }
            ReactorStep::Check { queue, answering } => {
                ReactorStep::Serve { queue, ready: self.queues[queue].messages, answering }
            }
            ReactorStep::Serve { queue, ready, answering } => {
                let rooms = self.rooms(i, queue).into_iter();
                return rooms.flat_map(|room| self.serve(i, queue, ready, answering, room)).collect();
            }
            ReactorStep::LeaveWord { queue, rest } => {
                next.leave_word(queue, me.places[queue].take());
                self.after_serving(&me, queue, Rest { leaves: false, ..rest })
            }
            ReactorStep::PassOn { queue, wake, rest } => {
                let with = |(mut next, then): (State, Option<Wake>)| {
                    next.reactors[i].step = match then {
                        Some(wake) => ReactorStep::PassOn { queue, wake, rest },
                        None => self.after_serving(&me, queue, Rest { passes_on: false, ..rest }),
                    };
                    next
                };
                return self.step_wake(queue, wake, self.is_room).into_iter().map(with).collect();
            }
            ReactorStep::Call { queue, panics } => {
                next.catch_panic(panics.trailing_zeros() as usize);
                match panics & (panics - 1) {
                    0 => {
                        // As if the word had fired: what the task answered for is open again.
                        me.has_fired[queue] = true;
                        self.begin_to_check(queue)
                    }
                    panics => ReactorStep::Call { queue, panics },
                }
            }
            ReactorStep::Sleep { word: 0 } if me.control && self.flaw != Flaw::ControlReadAfterRoom => ReactorStep::Return,
            ReactorStep::Sleep { word } => {
                if word == 0 {
                    me.control = false;
                }
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
            ReactorStep::Asleep if me.queued != me.watched_words() => {
                if self.flaw == Flaw::ChecksOneWord && me.queued & State::bit(0) == 0 {
                    me.places[1] = me.places[1].map(|place| Place { has_sequence: true, ..place });
                }
                ReactorStep::Return
            }
            ReactorStep::Asleep => {
                let mut all = Vec::new();
                if self.early_slices > 0 && self.has_notified(i) {
                    let me = Reactor { step: ReactorStep::Return, is_late: self.all_queues(), ..me };
                    all.push(State { early_slices: self.early_slices - 1, ..self.with_reactor(i, me) });
                }
                if self.stray_news > 0 {
                    let me = Reactor { step: ReactorStep::Return, has_news: self.all_queues(), ..me };
                    all.push(State { stray_news: self.stray_news - 1, ..self.with_reactor(i, me) });
                }
                return all;
            }
            ReactorStep::Return => {
                me.queued = 0;
                ReactorStep::ReadControl
            }
            ReactorStep::Dead => return Vec::new(),
        };
        vec![next.with_reactor(i, me)]
    }

    fn with_reactor(mut self, i: usize, reactor: Reactor) -> State {
        self.reactors[i] = reactor;
        self
    }

    fn begin(&self, me: &Reactor, queue: usize) -> ReactorStep {
        if me.places[queue].is_some() { ReactorStep::ReadNews { queue } } else { ReactorStep::Decide { queue, is_woken: false } }
    }

    fn after(&self, me: &Reactor, queue: usize) -> ReactorStep {
        if queue + 1 < self.queue_count { self.begin(me, queue + 1) } else { ReactorStep::Sleep { word: 0 } }
    }

    /// Under the room's lock, and what follows from it.
    fn decide(&self, i: usize, me: &mut Reactor, queue: usize, is_woken: bool) -> ReactorStep {
        me.has_fired[queue] |= is_woken;
        let is_wanted = self.count(i, queue, Node::waits) > 0;
        let stays = is_wanted || self.flaw == Flaw::StaysRegistered && me.places[queue].is_some();
        let is_over = is_woken && self.flaw != Flaw::LingersWhenWoken || me.is_late[queue];
        let lingers = me.lingers[queue] && !is_over && !std::mem::take(&mut me.has_left[queue]);
        me.has_left[queue] = false;
        me.is_watched[queue] = stays || lingers;
        me.lingers[queue] &= is_wanted || lingers;
        if self.count(i, queue, Node::is_there) == 0 && !stays {
            me.is_late[queue] = false;
            return match me.places[queue] {
                Some(_) if !me.lingers[queue] => ReactorStep::LeaveUnknown { queue },
                _ => self.after(me, queue),
            };
        }
        match me.places[queue] {
            Some(_) if !stays && !me.lingers[queue] => ReactorStep::Leave { queue },
            Some(_) if self.flaw == Flaw::EpochBeforeSequence => ReactorStep::CompareEpoch { queue },
            Some(_) => ReactorStep::RenewSequence { queue },
            None if is_wanted => self.begin_to_register(queue),
            None => self.begin_to_check(queue),
        }
    }

    fn begin_to_register(&self, queue: usize) -> ReactorStep {
        match self.flaw {
            Flaw::SequenceAfterRegistering => ReactorStep::Register { queue, has_sequence: true },
            _ => ReactorStep::ReadSequence { queue },
        }
    }

    fn begin_to_check(&self, queue: usize) -> ReactorStep {
        match self.flaw {
            Flaw::NotifiedBeforeMessages => ReactorStep::CountAnswers { queue },
            _ => ReactorStep::Check { queue, answering: None },
        }
    }

    /// Under the room's lock: tasks that have not polled are late, and others are notified.
    fn serve(&self, i: usize, queue: usize, ready: u8, answering: Option<u8>, mut room: Room) -> Vec<State> {
        let mut next = *self;
        let mut me = self.reactors[i];
        let found_late = std::mem::take(&mut me.is_late[queue]) && self.flaw != Flaw::LateTasksAnswer && room.end_slice();
        // As if as many answered as did when they were counted.
        let answering_now = self.count(i, queue, Node::answers);
        let seen = answering.map_or(ready, |answering| (ready + answering_now).saturating_sub(answering));
        let (called, left_over) = room.serve(seen, usize::MAX);
        next.keep(&room);
        let is_wanted = room.has_waiting();
        let is_there = me.places[queue].is_some();
        let passes_left_over = std::mem::take(&mut me.has_fired[queue]) && left_over && self.flaw != Flaw::ReactorPassesNothingOn;
        let passes_late_on = found_late && ready > 0 && self.flaw != Flaw::LatePassesNothingOn;
        let panics = next.call(&called);
        let may_linger = self.may_linger && !is_wanted && !left_over && !called.is_empty() && is_there;
        let begins = if may_linger { vec![false, true] } else { vec![me.lingers[queue]] };
        let go_on = |lingers: bool| {
            let (mut next, mut me) = (next, me);
            me.lingers[queue] = lingers;
            let stays = is_wanted || lingers || self.flaw == Flaw::StaysRegistered;
            me.is_watched[queue] = stays && is_there;
            let rest = Rest { leaves: is_there && !stays, passes_on: passes_left_over || passes_late_on, panics };
            me.step = self.after_serving(&me, queue, rest);
            next.reactors[i] = me;
            next
        };
        begins.into_iter().map(go_on).collect()
    }

    fn after_serving(&self, me: &Reactor, queue: usize, rest: Rest) -> ReactorStep {
        let leaves_first = self.flaw != Flaw::PassesOnBeforeLeaving;
        match rest {
            Rest { leaves: true, passes_on, .. } if leaves_first || !passes_on => ReactorStep::LeaveWord { queue, rest },
            Rest { passes_on: true, .. } => ReactorStep::PassOn { queue, wake: Wake::CheckReady, rest },
            Rest { panics: 0, .. } => self.after(me, queue),
            Rest { panics, .. } => ReactorStep::Call { queue, panics },
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

    pub(super) fn has_notified(&self, process: usize) -> bool {
        self.tasks.iter().any(|task| task.process == process && task.node.answers())
    }
}

impl Reactor {
    /// Bits of the words that it sleeps on.
    fn watched_words(&self) -> u8 {
        (0..2).filter(|&queue| self.places[queue].is_some()).fold(CONTROL, |words, queue| words | State::bit(queue))
    }
}
