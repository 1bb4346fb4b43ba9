//! The futex mutex and condition variable as state machines: every order of steps, and a kill at
//! every step.
//!
//! A step is one atomic access or one system call of `futex.rs`, in its order. A notifier's message
//! sits in its store buffer until an atomic of its own, the heavy barrier of a waiter, or chance
//! drains it. The slices that cut every sleep are left out until nothing else can move: what still
//! sleeps then beside a message (or a free lock) had its wake lost.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;

/// Something that moves in steps.
pub(crate) trait Machine: Clone + Eq + Hash + Debug {
    /// All states one step further, slices and kills left out.
    fn steps(&self) -> Vec<Self>;
    /// All states after one more kill.
    fn kills(&self) -> Vec<Self>;
    /// The state in which every sleeper's slice has ended. `None`: no process sleeps.
    fn end_slices(&self) -> Option<Self>;
    /// Nothing moves any more: is that as it should be? `killed` or not, before or after slices.
    fn check_rest(&self, was_killed: bool);
}

/// Visits every state from `start`; how many there are.
pub(crate) fn explore<M: Machine>(start: M, max_kills: u32) -> usize {
    let mut seen = HashSet::new();
    let mut open = vec![(start, 0)];
    while let Some((state, kills)) = open.pop() {
        if !seen.insert((state.clone(), kills)) {
            continue;
        }
        let next = state.steps();
        if next.is_empty() {
            state.check_rest(kills != 0);
            open.extend(state.end_slices().map(|next| (next, kills)));
        }
        open.extend(next.into_iter().map(|next| (next, kills)));
        if kills < max_kills {
            open.extend(state.kills().into_iter().map(|next| (next, kills + 1)));
        }
    }
    seen.len()
}

mod condvar {
    use super::{Machine, explore};

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Waiter {
        Check,
        ReadSequence,
        Register { sequence: u8 },
        Barrier { sequence: u8, epoch: u8 },
        CheckAgain { sequence: u8, epoch: u8 },
        Sleep { sequence: u8, epoch: u8 },
        Asleep { epoch: u8 },
        Deregister { epoch: u8 },
        Gone,
    }

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Notifier {
        Store,
        CheckForWaiters,
        ReadWaiters,
        RaiseSequence { seen: (u8, u8) },
        WakeOne { seen: (u8, u8) },
        NewEpoch { seen: (u8, u8) },
        RaiseAgain,
        WakeAll,
        Gone,
    }

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct State {
        waiters: Vec<Waiter>,
        notifiers: Vec<Notifier>,
        /// Messages still in the store buffers of notifiers.
        buffered: Vec<bool>,
        messages: u8,
        sequence: u8,
        /// Epoch and count.
        word: (u8, u8),
    }

    impl State {
        fn new(waiters: usize, notifiers: usize) -> State {
            State {
                waiters: vec![Waiter::Check; waiters],
                notifiers: vec![Notifier::Store; notifiers],
                buffered: vec![false; notifiers],
                messages: 0,
                sequence: 0,
                word: (0, 0),
            }
        }

        fn drain(&mut self, notifier: usize) {
            self.messages += u8::from(std::mem::take(&mut self.buffered[notifier]));
        }

        fn asleep(&self) -> impl Iterator<Item = (usize, u8)> + '_ {
            let asleep = |(i, waiter): (usize, &Waiter)| match waiter {
                Waiter::Asleep { epoch } => Some((i, *epoch)),
                _ => None,
            };
            self.waiters.iter().enumerate().filter_map(asleep)
        }

        fn step_waiter(&self, i: usize) -> Option<State> {
            let mut next = self.clone();
            next.waiters[i] = match self.waiters[i] {
                Waiter::Check if self.messages > 0 => {
                    next.messages -= 1;
                    Waiter::Gone
                }
                Waiter::Check => Waiter::ReadSequence,
                Waiter::ReadSequence => Waiter::Register { sequence: self.sequence },
                Waiter::Register { sequence } => {
                    next.word.1 += 1;
                    Waiter::Barrier { sequence, epoch: self.word.0 }
                }
                Waiter::Barrier { sequence, epoch } => {
                    (0..self.buffered.len()).for_each(|notifier| next.drain(notifier));
                    Waiter::CheckAgain { sequence, epoch }
                }
                Waiter::CheckAgain { epoch, .. } if self.messages > 0 => Waiter::Deregister { epoch },
                Waiter::CheckAgain { sequence, epoch } => Waiter::Sleep { sequence, epoch },
                Waiter::Sleep { sequence, epoch } if sequence == self.sequence => Waiter::Asleep { epoch },
                Waiter::Sleep { epoch, .. } => Waiter::Deregister { epoch },
                Waiter::Deregister { epoch } => {
                    if self.word.0 == epoch && self.word.1 > 0 {
                        next.word.1 -= 1;
                    }
                    Waiter::Check
                }
                Waiter::Asleep { .. } | Waiter::Gone => return None,
            };
            Some(next)
        }

        fn step_notifier(&self, i: usize) -> Vec<State> {
            let mut next = self.clone();
            next.notifiers[i] = match self.notifiers[i] {
                Notifier::Store => {
                    next.buffered[i] = true;
                    Notifier::CheckForWaiters
                }
                Notifier::CheckForWaiters if self.word.1 == 0 => Notifier::Gone,
                Notifier::CheckForWaiters => Notifier::ReadWaiters,
                Notifier::ReadWaiters => Notifier::RaiseSequence { seen: self.word },
                Notifier::RaiseSequence { seen } => {
                    next.drain(i);
                    next.sequence += 1;
                    Notifier::WakeOne { seen }
                }
                Notifier::WakeOne { seen } => {
                    // Any of them.
                    let woken: Vec<State> = self
                        .asleep()
                        .map(|(sleeper, epoch)| {
                            let mut next = self.clone();
                            next.waiters[sleeper] = Waiter::Deregister { epoch };
                            next.notifiers[i] = Notifier::Gone;
                            next
                        })
                        .collect();
                    if !woken.is_empty() {
                        return woken;
                    }
                    if seen.1 == 0 { Notifier::Gone } else { Notifier::NewEpoch { seen } }
                }
                Notifier::NewEpoch { seen } if self.word == seen => {
                    next.word = (seen.0 + 1, 0);
                    Notifier::RaiseAgain
                }
                Notifier::NewEpoch { .. } => Notifier::Gone,
                Notifier::RaiseAgain => {
                    next.sequence += 1;
                    Notifier::WakeAll
                }
                Notifier::WakeAll => {
                    self.asleep().for_each(|(sleeper, epoch)| next.waiters[sleeper] = Waiter::Deregister { epoch });
                    Notifier::Gone
                }
                Notifier::Gone => return Vec::new(),
            };
            vec![next]
        }
    }

    impl Machine for State {
        fn steps(&self) -> Vec<State> {
            let mut next: Vec<State> = (0..self.waiters.len()).filter_map(|i| self.step_waiter(i)).collect();
            for i in 0..self.notifiers.len() {
                next.extend(self.step_notifier(i));
                if self.buffered[i] {
                    let mut drained = self.clone();
                    drained.drain(i);
                    next.push(drained);
                }
            }
            next
        }

        fn kills(&self) -> Vec<State> {
            let mut next = Vec::new();
            for i in (0..self.waiters.len()).filter(|&i| self.waiters[i] != Waiter::Gone) {
                let mut killed = self.clone();
                killed.waiters[i] = Waiter::Gone;
                next.push(killed);
            }
            for i in (0..self.notifiers.len()).filter(|&i| self.notifiers[i] != Notifier::Gone) {
                // What it stored it has stored.
                let mut killed = self.clone();
                killed.notifiers[i] = Notifier::Gone;
                next.push(killed);
            }
            next
        }

        fn end_slices(&self) -> Option<State> {
            let mut next = self.clone();
            self.asleep().for_each(|(sleeper, epoch)| next.waiters[sleeper] = Waiter::Deregister { epoch });
            // A slice that finds nothing sleeps again, for ever.
            (next != *self && self.messages > 0).then_some(next)
        }

        fn check_rest(&self, was_killed: bool) {
            let sleepers = self.asleep().count();
            assert!(was_killed || self.messages == 0 || sleepers == 0, "a wake was lost, and no process was killed: {self:?}");
            // The count has the sleepers and the dead. However many of the dead, they cost one
            // needless wake.
            let mut later = State { notifiers: vec![Notifier::Store], buffered: vec![false], ..self.clone() };
            while let Some(next) = later.step_notifier(0).pop() {
                later = next;
            }
            assert!(sleepers != 0 || later.word.1 == 0, "the count sticks: {later:?} after {self:?}");
        }
    }

    #[test]
    fn no_wake_is_lost_and_no_count_sticks() {
        for (waiters, notifiers, kills) in [(1, 1, 2), (2, 1, 2), (1, 2, 2), (2, 2, 1), (3, 1, 1)] {
            let states = explore(State::new(waiters, notifiers), kills);
            println!("{waiters} waiters, {notifiers} notifiers, {kills} kills: {states} states");
            assert!(states > 50, "{states} states are not all");
        }
    }

    #[test]
    #[should_panic(expected = "a wake was lost")]
    fn a_sequence_read_after_registering_would_lose_wakes() {
        // So the explorer finds what there is to find: a waiter that sleeps on a sequence which it
        // read when the wake had passed.
        let mut late = State::new(1, 1);
        late.waiters[0] = Waiter::Sleep { sequence: 1, epoch: 0 };
        late.notifiers[0] = Notifier::Gone;
        (late.sequence, late.messages, late.word) = (1, 1, (0, 1));
        explore(late, 0);
    }
}

mod mutex {
    use super::{Machine, explore};

    /// Holder and waiters bit; 0 is free, participants count from 1.
    type Word = (u8, bool);

    #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
    enum Locker {
        Check {
            waiters: bool,
        },
        Take {
            waiters: bool,
        },
        Probe {
            seen: Word,
            waiters: bool,
        },
        TakeOver {
            seen: Word,
        },
        Announce {
            seen: Word,
            waiters: bool,
        },
        Sleep {
            holder: u8,
        },
        Asleep,
        /// Its time is up, and it has slept.
        GiveUp,
        Mark {
            seen: Word,
        },
        Inside,
        Wake,
        Gone,
        Dead,
    }

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct State {
        lockers: Vec<Locker>,
        word: Word,
        /// A locker died inside, and no other has repaired it.
        broken: bool,
    }

    impl State {
        fn step(&self, i: usize) -> Vec<State> {
            let me = i as u8 + 1;
            let mut next = self.clone();
            next.lockers[i] = match self.lockers[i] {
                Locker::Check { waiters } if self.word.0 == 0 => Locker::Take { waiters },
                Locker::Check { waiters } => Locker::Probe { seen: self.word, waiters },
                Locker::Take { waiters } if self.word == (0, false) => {
                    next.word = (me, waiters);
                    assert!(!self.broken, "taken as clean after a death inside: {self:?}");
                    next.enter(i);
                    Locker::Inside
                }
                Locker::Take { waiters } => Locker::Check { waiters },
                Locker::Probe { seen, waiters } => match self.lockers[seen.0 as usize - 1] {
                    Locker::Dead => Locker::TakeOver { seen },
                    _ => {
                        if waiters {
                            let mut gives_up = self.clone();
                            gives_up.lockers[i] = Locker::GiveUp;
                            next.lockers[i] = Locker::Announce { seen, waiters };
                            return vec![gives_up, next];
                        }
                        Locker::Announce { seen, waiters }
                    }
                },
                Locker::GiveUp if self.word.0 == 0 => Locker::Wake,
                Locker::GiveUp if self.word.1 => Locker::Gone,
                Locker::GiveUp => Locker::Mark { seen: self.word },
                Locker::Mark { seen } if self.word == seen => {
                    next.word.1 = true;
                    Locker::Gone
                }
                Locker::Mark { .. } => Locker::GiveUp,
                Locker::TakeOver { seen } if self.word == seen => {
                    next.word = (me, true);
                    next.broken = false;
                    next.enter(i);
                    Locker::Inside
                }
                Locker::TakeOver { .. } => Locker::Check { waiters: false },
                Locker::Announce { seen, waiters } if self.word != seen => Locker::Check { waiters },
                Locker::Announce { seen, .. } => {
                    next.word.1 = true;
                    Locker::Sleep { holder: seen.0 }
                }
                Locker::Sleep { holder } if self.word == (holder, true) => Locker::Asleep,
                Locker::Sleep { .. } => Locker::Check { waiters: true },
                Locker::Inside => {
                    next.word = (0, false);
                    assert_eq!(self.word.0, me, "the word of a live holder was replaced: {self:?}");
                    if self.word.1 { Locker::Wake } else { Locker::Gone }
                }
                Locker::Wake => {
                    let asleep = (0..self.lockers.len()).filter(|&j| self.lockers[j] == Locker::Asleep);
                    let woken = asleep.map(|j| {
                        let mut next = self.clone();
                        next.lockers[j] = Locker::Check { waiters: true };
                        next.lockers[i] = Locker::Gone;
                        next
                    });
                    let woken: Vec<State> = woken.collect();
                    if !woken.is_empty() {
                        return woken;
                    }
                    Locker::Gone
                }
                Locker::Asleep | Locker::Gone | Locker::Dead => return Vec::new(),
            };
            vec![next]
        }

        fn enter(&self, i: usize) {
            let others = (0..self.lockers.len()).filter(|&j| j != i && self.lockers[j] == Locker::Inside);
            assert_eq!(others.count(), 0, "two inside: {self:?}");
        }
    }

    impl Machine for State {
        fn steps(&self) -> Vec<State> {
            (0..self.lockers.len()).flat_map(|i| self.step(i)).collect()
        }

        fn kills(&self) -> Vec<State> {
            let alive = (0..self.lockers.len()).filter(|&i| !matches!(self.lockers[i], Locker::Gone | Locker::Dead));
            let killed = alive.map(|i| {
                let mut next = self.clone();
                next.broken |= self.lockers[i] == Locker::Inside;
                next.lockers[i] = Locker::Dead;
                next
            });
            killed.collect()
        }

        fn end_slices(&self) -> Option<State> {
            let mut next = self.clone();
            for locker in next.lockers.iter_mut().filter(|locker| **locker == Locker::Asleep) {
                *locker = Locker::Check { waiters: true };
            }
            (next != *self).then_some(next)
        }

        fn check_rest(&self, was_killed: bool) {
            let sleepers = self.lockers.iter().filter(|locker| **locker == Locker::Asleep).count();
            assert!(was_killed || sleepers == 0, "a wake was lost, and no process was killed: {self:?}");
        }
    }

    #[test]
    fn one_holder_at_a_time_and_every_death_inside_is_reported() {
        for (lockers, kills) in [(2, 0), (2, 2), (3, 0), (3, 2), (4, 0)] {
            let start = State { lockers: vec![Locker::Check { waiters: false }; lockers], word: (0, false), broken: false };
            let states = explore(start, kills);
            println!("{lockers} lockers, {kills} kills: {states} states");
            assert!(states > 20, "{states} states are not all");
        }
    }
}
