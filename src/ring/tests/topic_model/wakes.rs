//! A publisher sleeps at a full gate, and is woken by the subscriber that opens it: not for each
//! place, but for a step of them, or when that subscriber is about to sleep.
//!
//! ```text
//!   publisher   try, Full -> wake_at -> register -> heavy barrier -> room? -> sleep
//!   subscriber  cursor -> light barrier -> waiters? -> passes wake_at? -> wake all
//!               at the end: waiters? -> wake all -> sleep
//! ```
//!
//! Two publishers share one `wake_at`, and one may publish, or ask for an earlier wake, between the
//! ask of the other and its sleep: then that one is woken by a subscriber that sleeps, or by the
//! end of its slice.
//!
//! A subscriber's cursor stays in its store buffer until a heavy barrier, a wake, or chance. What
//! is left out: the wakes of subscribers, and that the count of waiters belongs to an epoch (both
//! are `Condvar`, `lock/model.rs`), and deaths, which cost a slice.

use crate::lock::model::{Machine, explore};

const CAPACITY: u8 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Flaw {
    None,
    NoBarrier,
    NotCheckedAgain,
    NoWakeBeforeSleep,
    WakeBeyondTail,
    WaitersReadFirst,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Publisher {
    Try,
    AskForWake,
    ReadSequence,
    Register { sequence: u8 },
    Barrier { sequence: u8 },
    CheckAgain { sequence: u8 },
    Sleep { sequence: u8 },
    Asleep,
    Deregister,
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Subscriber {
    /// At its place, or at the end.
    Next,
    /// The wrong order, for the test that must fail.
    MoveLate {
        are_waiting: bool,
    },
    ReadWaiters {
        from: u8,
    },
    ReadWakeAt {
        from: u8,
    },
    Wake,
    WakeBeforeSleep,
    Asleep,
    /// It lives, and reads no more for now: it does not sleep in the topic.
    Stopped,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct State {
    publishers: [Publisher; 2],
    /// Places that they want.
    needs: [u8; 2],
    subscribers: [Subscriber; 2],
    /// Where they are, as they know it, and as others see it.
    places: [u8; 2],
    cursors: [u8; 2],
    /// Places that are worth a wake.
    least: u8,
    tail: u8,
    gate: u8,
    wake_at: u8,
    waiters: u8,
    sequence: u8,
    /// Number of the publisher that holds the put side.
    side: Option<usize>,
    flaw: Flaw,
}

impl State {
    /// A full ring.
    fn new(needs: [u8; 2], least: u8, flaw: Flaw) -> State {
        State {
            publishers: needs.map(|need| if need == 0 { Publisher::Gone } else { Publisher::Try }),
            needs,
            subscribers: [Subscriber::Next; 2],
            places: [0; 2],
            cursors: [0; 2],
            least,
            tail: CAPACITY,
            gate: 0,
            wake_at: 0,
            waiters: 0,
            sequence: 0,
            side: None,
            flaw,
        }
    }

    /// The other one is far ahead.
    fn with_one_subscriber(mut self) -> State {
        (self.places[1], self.cursors[1], self.subscribers[1]) = (u8::MAX / 2, u8::MAX / 2, Subscriber::Asleep);
        self
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn lowest(&self) -> u8 {
        self.cursors[0].min(self.cursors[1])
    }

    fn has_room(&self, need: u8) -> bool {
        self.lowest() + CAPACITY >= self.tail + need
    }

    fn wake(&mut self) {
        self.sequence += 1;
        for publisher in self.publishers.iter_mut().filter(|publisher| **publisher == Publisher::Asleep) {
            *publisher = Publisher::Deregister;
        }
    }

    fn step_publisher(&self, i: usize) -> Option<State> {
        let mut next = *self;
        let need = self.needs[i];
        next.publishers[i] = match self.publishers[i] {
            Publisher::Try if self.side.is_some() => return None,
            Publisher::Try if self.has_room(need) => {
                next.tail += need;
                Publisher::Gone
            }
            Publisher::Try => {
                next.gate = self.lowest();
                next.side = Some(i);
                Publisher::AskForWake
            }
            Publisher::AskForWake => {
                let wake_at = (self.tail + need.max(self.least)).saturating_sub(CAPACITY);
                let wake_at = if self.has(Flaw::WakeBeyondTail) { wake_at } else { wake_at.min(self.tail) };
                let is_asked_for = self.wake_at > self.gate;
                next.wake_at = if is_asked_for { wake_at.min(self.wake_at) } else { wake_at };
                next.side = None;
                Publisher::ReadSequence
            }
            Publisher::ReadSequence => Publisher::Register { sequence: self.sequence },
            Publisher::Register { sequence } => {
                next.waiters += 1;
                Publisher::Barrier { sequence }
            }
            Publisher::Barrier { sequence } => {
                if !self.has(Flaw::NoBarrier) {
                    next.cursors = self.places;
                }
                Publisher::CheckAgain { sequence }
            }
            Publisher::CheckAgain { .. } if self.has_room(need) && !self.has(Flaw::NotCheckedAgain) => Publisher::Deregister,
            Publisher::CheckAgain { sequence } => Publisher::Sleep { sequence },
            Publisher::Sleep { sequence } if sequence == self.sequence => Publisher::Asleep,
            Publisher::Sleep { .. } => Publisher::Deregister,
            Publisher::Deregister => {
                next.waiters -= 1;
                Publisher::Try
            }
            Publisher::Asleep | Publisher::Gone => return None,
        };
        Some(next)
    }

    fn step_subscriber(&self, i: usize) -> Vec<State> {
        let mut next = *self;
        let place = self.places[i];
        next.subscribers[i] = match self.subscribers[i] {
            Subscriber::Next if place == self.tail => Subscriber::WakeBeforeSleep,
            Subscriber::Next => {
                let mut stopped = *self;
                stopped.subscribers[i] = Subscriber::Stopped;
                next.subscribers[i] = match self.has(Flaw::WaitersReadFirst) {
                    true => Subscriber::MoveLate { are_waiting: self.waiters > 0 },
                    false => {
                        next.places[i] += 1;
                        Subscriber::ReadWaiters { from: place }
                    }
                };
                return vec![stopped, next];
            }
            Subscriber::MoveLate { are_waiting } => {
                next.places[i] += 1;
                if are_waiting { Subscriber::ReadWakeAt { from: place } } else { Subscriber::Next }
            }
            Subscriber::ReadWaiters { .. } if self.waiters == 0 => Subscriber::Next,
            Subscriber::ReadWaiters { from } => Subscriber::ReadWakeAt { from },
            Subscriber::ReadWakeAt { from } if from < self.wake_at && self.wake_at <= place => Subscriber::Wake,
            Subscriber::ReadWakeAt { .. } => Subscriber::Next,
            Subscriber::Wake => {
                next.cursors[i] = place;
                next.wake();
                Subscriber::Next
            }
            Subscriber::WakeBeforeSleep => {
                next.cursors[i] = place;
                if self.waiters > 0 && !self.has(Flaw::NoWakeBeforeSleep) {
                    next.wake();
                }
                Subscriber::Asleep
            }
            Subscriber::Asleep if self.tail > place => Subscriber::Next,
            Subscriber::Asleep | Subscriber::Stopped => return Vec::new(),
        };
        vec![next]
    }
}

impl Machine for State {
    fn steps(&self) -> Vec<State> {
        let mut next: Vec<State> = (0..2).filter_map(|i| self.step_publisher(i)).collect();
        for i in 0..2 {
            next.extend(self.step_subscriber(i));
            if self.cursors[i] != self.places[i] {
                let mut drained = *self;
                drained.cursors[i] = self.places[i];
                next.push(drained);
            }
        }
        next
    }

    fn kills(&self) -> Vec<State> {
        Vec::new()
    }

    fn end_slices(&self) -> Option<State> {
        None
    }

    fn check_rest(&self, _: bool) {
        let is_busy = self.subscribers.contains(&Subscriber::Stopped);
        for (publisher, need) in self.publishers.iter().zip(self.needs) {
            if *publisher == Publisher::Gone {
                continue;
            }
            assert_eq!(*publisher, Publisher::Asleep, "something hangs: {self:?}");
            // While a subscriber is busy with its message, a publisher may wait for a whole step;
            // and one of two for its slice.
            let is_alone = self.needs.contains(&0);
            let worth = if is_busy { need.max(self.least) } else { need };
            assert!(is_busy && !is_alone || !self.has_room(worth), "a publisher sleeps beside room: {self:?}");
        }
    }
}

fn all(flaw: Flaw) -> usize {
    let of_one = [([1, 0], 1), ([1, 0], 2), ([2, 0], 1), ([3, 0], 1)].map(|(needs, least)| State::new(needs, least, flaw));
    let of_two = [([1, 1], 1), ([1, 2], 1), ([2, 1], 2), ([3, 1], 1)].map(|(needs, least)| State::new(needs, least, flaw));
    let alone = of_two.map(State::with_one_subscriber);
    of_one.into_iter().chain(alone).map(|state| explore(state, 0)).sum()
}

#[test]
fn a_publisher_never_sleeps_beside_room_that_is_worth_a_wake() {
    let states = all(Flaw::None);
    assert!(states > 10_000, "{states} states are not all");
}

#[test]
#[should_panic(expected = "a publisher sleeps beside room")]
fn a_publisher_without_a_barrier_would_sleep_beside_room() {
    all(Flaw::NoBarrier);
}

#[test]
#[should_panic(expected = "a publisher sleeps beside room")]
fn a_publisher_that_does_not_check_again_would_sleep_beside_room() {
    all(Flaw::NotCheckedAgain);
}

#[test]
#[should_panic(expected = "a publisher sleeps beside room")]
fn a_subscriber_that_sleeps_in_silence_would_leave_a_publisher_asleep() {
    all(Flaw::NoWakeBeforeSleep);
}

#[test]
#[should_panic(expected = "a publisher sleeps beside room")]
fn a_subscriber_that_reads_the_waiters_before_it_moves_would_miss_one() {
    all(Flaw::WaitersReadFirst);
}

#[test]
fn a_wake_beyond_tail_is_that_of_a_subscriber_that_sleeps() {
    all(Flaw::WakeBeyondTail);
}
