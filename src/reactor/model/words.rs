//! The shared words: wakes, and the callers that wake and sleep in blocking calls.

use super::{CLOSE, Flaw, Place, PutterStep, Queue, ReactorStep, State, TaskStep, Waiter, Wake};

impl State {
    /// What sleeps on the word of a queue: reactors, and the waiter as `None`.
    pub(super) fn sleepers(&self, queue: usize) -> Vec<Option<usize>> {
        let reactors = (0..2).filter(|&i| self.reactors[i].queued & State::bit(queue) != 0).map(Some);
        let waiter = (queue == 0 && matches!(self.waiter, Waiter::Asleep { .. })).then_some(None);
        reactors.chain(waiter).collect()
    }

    pub(super) fn rouse(&mut self, sleeper: Option<usize>, queue: usize) {
        match (sleeper, self.waiter) {
            (Some(reactor), _) => self.reactors[reactor].queued &= !State::bit(queue),
            (None, Waiter::Asleep { has_epoch }) => self.waiter = Waiter::Deregister { has_epoch },
            (None, _) => {}
        }
    }

    /// No sleeper that read the sequence before will sleep on it.
    fn raise(&mut self, queue: usize) {
        self.raises += 1;
        for reactor in &mut self.reactors {
            if let Some(place) = &mut reactor.places[queue] {
                place.has_sequence = false;
            }
            match &mut reactor.step {
                ReactorStep::Register { queue: of, has_sequence } if *of == queue => *has_sequence = false,
                _ => {}
            }
        }
        match &mut self.waiter {
            _ if queue != 0 => {}
            Waiter::Register { has_sequence }
            | Waiter::Barrier(Place { has_sequence, .. })
            | Waiter::CheckAgain(Place { has_sequence, .. })
            | Waiter::Sleep(Place { has_sequence, .. }) => *has_sequence = false,
            _ => {}
        }
    }

    /// The count begins at 0, and what was read of the last epoch is of no use.
    fn begin_epoch(&mut self, queue: usize) {
        self.queues[queue].count = 0;
        let expire = |wake: &mut Wake| match wake {
            Wake::RaiseSequence { seen } | Wake::OneSleeper { seen } | Wake::NewEpoch { seen } => *seen = None,
            _ => {}
        };
        for reactor in &mut self.reactors {
            if let Some(place) = &mut reactor.places[queue] {
                place.has_epoch = false;
            }
            match &mut reactor.step {
                ReactorStep::PassOn { queue: of, wake, .. } if *of == queue => expire(wake),
                _ => {}
            }
        }
        for task in self.tasks.iter_mut().filter(|task| task.queue == queue) {
            if let TaskStep::PassOn(wake) = &mut task.step {
                expire(wake);
            }
        }
        for putter in self.putters.iter_mut().filter(|putter| putter.queue == queue) {
            if let PutterStep::Notify(wake) = &mut putter.step {
                expire(wake);
            }
        }
        match &mut self.waiter {
            _ if queue != 0 => {}
            Waiter::Barrier(Place { has_epoch, .. })
            | Waiter::CheckAgain(Place { has_epoch, .. })
            | Waiter::Sleep(Place { has_epoch, .. })
            | Waiter::Asleep { has_epoch }
            | Waiter::Deregister { has_epoch } => *has_epoch = false,
            _ => {}
        }
    }

    /// One step of a wake, and the next.
    pub(super) fn step_wake(&self, queue: usize, wake: Wake, all: bool) -> Vec<(State, Option<Wake>)> {
        let all = all && self.flaw != Flaw::WakesOneOfAll;
        let mut next = *self;
        let count = self.queues[queue].count;
        let then = match wake {
            Wake::CheckReady if self.queues[queue].messages == 0 => None,
            Wake::CheckReady | Wake::CheckForWaiters if count == 0 => None,
            Wake::CheckReady | Wake::CheckForWaiters => Some(Wake::ReadWaiters),
            Wake::ReadWaiters if self.has_short_wakes => return self.wake_at_once(queue, all),
            Wake::ReadWaiters => Some(Wake::RaiseSequence { seen: Some(count) }),
            Wake::RaiseSequence { seen } => {
                next.raise(queue);
                Some(Wake::OneSleeper { seen })
            }
            Wake::OneSleeper { .. } if all && !self.sleepers(queue).is_empty() => {
                self.sleepers(queue).into_iter().for_each(|sleeper| next.rouse(sleeper, queue));
                None
            }
            Wake::OneSleeper { seen } => {
                // Any of them.
                let woken = self.sleepers(queue).into_iter().map(|sleeper| {
                    let mut next = *self;
                    next.rouse(sleeper, queue);
                    (next, None)
                });
                let woken: Vec<_> = woken.collect();
                if !woken.is_empty() {
                    return woken;
                }
                // Of another epoch, its exchange would fail.
                seen.filter(|&count| count != 0).map(|_| Wake::NewEpoch { seen })
            }
            Wake::NewEpoch { seen } if seen == Some(count) => {
                next.begin_epoch(queue);
                Some(Wake::RaiseAgain)
            }
            Wake::NewEpoch { .. } => None,
            Wake::RaiseAgain => {
                next.raise(queue);
                Some(Wake::AllSleepers)
            }
            Wake::AllSleepers => {
                self.sleepers(queue).into_iter().for_each(|sleeper| next.rouse(sleeper, queue));
                None
            }
        };
        vec![(next, then)]
    }

    /// All of a wake.
    fn wake_at_once(&self, queue: usize, all: bool) -> Vec<(State, Option<Wake>)> {
        let mut next = *self;
        next.raise(queue);
        if all && !self.sleepers(queue).is_empty() {
            self.sleepers(queue).into_iter().for_each(|sleeper| next.rouse(sleeper, queue));
            return vec![(next, None)];
        }
        let wake = |sleeper| {
            let mut next = next;
            next.rouse(sleeper, queue);
            (next, None)
        };
        let woken: Vec<_> = self.sleepers(queue).into_iter().map(wake).collect();
        if !woken.is_empty() {
            return woken;
        }
        if self.queues[queue].count != 0 {
            next.begin_epoch(queue);
            next.raise(queue);
        }
        vec![(next, None)]
    }

    pub(super) fn deregister(&mut self, queue: usize, has_epoch: bool) {
        let count = &mut self.queues[queue].count;
        *count = count.saturating_sub(u8::from(has_epoch));
    }

    pub(super) fn step_waiter(&self) -> Vec<State> {
        let mut next = *self;
        let Queue { messages, .. } = self.queues[0];
        next.waiter = match self.waiter {
            Waiter::Check if next.take(0, 1) => Waiter::Gone,
            Waiter::Check => Waiter::ReadSequence,
            Waiter::ReadSequence => Waiter::Register { has_sequence: true },
            Waiter::Register { has_sequence } => {
                next.queues[0].count += 1;
                Waiter::Barrier(Place { has_sequence, has_epoch: true })
            }
            Waiter::Barrier(place) => {
                next.heavy_barrier();
                Waiter::CheckAgain(place)
            }
            Waiter::CheckAgain(Place { has_epoch, .. }) if messages > 0 => Waiter::Deregister { has_epoch },
            Waiter::CheckAgain(place) => Waiter::Sleep(place),
            Waiter::Sleep(Place { has_sequence: true, has_epoch }) => Waiter::Asleep { has_epoch },
            Waiter::Sleep(Place { has_epoch, .. }) => Waiter::Deregister { has_epoch },
            Waiter::Deregister { has_epoch } => {
                next.deregister(0, has_epoch);
                Waiter::Check
            }
            Waiter::Asleep { .. } | Waiter::Gone => return Vec::new(),
        };
        vec![next]
    }

    pub(super) fn step_putter(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        match self.putters[i].step {
            PutterStep::Store => {
                next.putters[i].is_buffered = true;
                next.putters[i].step = PutterStep::Notify(Wake::CheckForWaiters);
                vec![next]
            }
            PutterStep::Notify(wake) => {
                if matches!(wake, Wake::RaiseSequence { .. }) || wake == Wake::ReadWaiters && self.has_short_wakes {
                    next.drain(i);
                }
                let with = |(mut next, then): (State, Option<Wake>)| {
                    next.putters[i].step = then.map_or(PutterStep::Gone, PutterStep::Notify);
                    next
                };
                next.step_wake(self.putters[i].queue, wake, self.is_room || self.putters[i].gives == CLOSE)
                    .into_iter()
                    .map(with)
                    .collect()
            }
            PutterStep::Gone | PutterStep::Absent => Vec::new(),
        }
    }
}
