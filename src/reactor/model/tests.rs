//! Which cases are explored, and which faults must be found.

use super::Kind::{self, Able, Absent, Cancelled, Panics, Stuck};
use super::{Flaw, State};
use crate::lock::model::Machine;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Tells states apart, by 128 bits.
#[derive(Default)]
struct Fingerprint(u128);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u8(byte));
    }

    fn write_u8(&mut self, byte: u8) {
        let mixed = (self.0 ^ u128::from(byte)).wrapping_mul(0xa076_1d64_78bd_642f_e703_7ed1_a0b4_28db);
        self.0 = mixed ^ (mixed >> 67);
    }

    /// Lengths and discriminants, all of them small.
    fn write_usize(&mut self, number: usize) {
        self.write_u8(number as u8);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u8(number as u8);
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint;
    }

    fn finish(&self) -> u64 {
        self.0 as u64
    }
}

fn fingerprint(state: &State, kills: u8) -> u128 {
    let mut hasher = Fingerprint::default();
    (kills, state).hash(&mut hasher);
    hasher.0
}

/// A state of the run that is under way.
struct Visit {
    at: u128,
    next: Vec<(State, u8)>,
    /// By the step to it, and most by the steps from it.
    raises: (u8, u8),
}

impl Visit {
    fn new(state: State, kills: u8, max_kills: u8, at: u128) -> Visit {
        let raises = (state.raises, 0);
        let state = State { raises: 0, ..state };
        let steps = state.steps();
        let mut next: Vec<(State, u8)> = Vec::new();
        if steps.is_empty() {
            state.check_rest(kills != 0);
            next.extend(state.end_slices().map(|state| (state, kills)));
        }
        next.extend(steps.into_iter().map(|state| (state, kills)));
        if kills < max_kills {
            next.extend(state.kills().into_iter().map(|state| (state, kills + 1)));
        }
        Visit { at, next, raises }
    }
}

/// Visits every state. All runs must end: no wake circulates. Returns how many states there are,
/// and how often a sequence is raised at most.
fn explore(start: State, max_kills: u8) -> (usize, u8) {
    /// Most raises from there on; `None` in the run that is under way.
    type Seen = HashMap<u128, Option<u8>, BuildHasherDefault<Fingerprint>>;
    let mut seen = Seen::default();
    let at = fingerprint(&start, 0);
    seen.insert(at, None);
    let mut run = vec![Visit::new(start, 0, max_kills, at)];
    loop {
        let visit = run.last_mut().unwrap();
        if let Some((state, kills)) = visit.next.pop() {
            let at = fingerprint(&State { raises: 0, ..state }, kills);
            match seen.get(&at) {
                Some(Some(raises)) => visit.raises.1 = visit.raises.1.max(state.raises + raises),
                Some(None) => panic!("a wake circulates: {state:?}"),
                None => {
                    seen.insert(at, None);
                    run.push(Visit::new(state, kills, max_kills, at));
                }
            }
            continue;
        }
        let Visit { at, raises, .. } = run.pop().unwrap();
        seen.insert(at, Some(raises.1));
        let Some(before) = run.last_mut() else { return (seen.len(), raises.1) };
        before.raises.1 = before.raises.1.max(raises.0 + raises.1);
    }
}

const KINDS: [Kind; 4] = [Able, Cancelled, Stuck, Panics];

/// Two tasks of one process on queue 0.
fn together(first: Kind, second: Kind) -> [(Kind, usize, usize); 2] {
    [(first, 0, 0), (second, 0, 0)]
}

/// Tasks of two processes on queue 0.
fn apart(first: Kind, second: Kind) -> [(Kind, usize, usize); 2] {
    [(first, 0, 0), (second, 1, 0)]
}

/// Two tasks of one process on two queues.
fn on_two_queues(first: Kind, second: Kind) -> [(Kind, usize, usize); 2] {
    [(first, 0, 0), (second, 0, 1)]
}

fn explore_each(state: impl Fn(Kind) -> State, max_kills: u8) {
    for kind in KINDS {
        let (states, raises) = explore(state(kind), max_kills);
        println!("{kind:?}, {max_kills} kills: {states} states, {raises} raises");
        assert!(states > 10_000, "{states} states are not all");
    }
}

fn explore_all(state: impl Fn(Kind, Kind) -> State, max_kills: u8) {
    for (i, &first) in KINDS.iter().enumerate() {
        for &second in &KINDS[i..] {
            let (states, raises) = explore(state(first, second), max_kills);
            println!("{first:?} and {second:?}, {max_kills} kills: {states} states, {raises} raises");
            assert!(states > 10_000, "{states} states are not all");
        }
    }
}

fn with_short_wakes(state: State) -> State {
    State { has_short_wakes: true, ..state }
}

#[test]
fn one_task_beside_a_blocked_caller() {
    explore_each(|kind| State { early_slices: 1, ..State::new(together(kind, Absent), &[0], true, 1) }, 1);
}

#[test]
fn one_task_and_two_messages() {
    explore_each(|kind| State { early_slices: 1, ..State::new(together(kind, Absent), &[0, 0], false, 1) }, 1);
}

#[test]
fn two_tasks_and_one_message() {
    explore_all(|first, second| State::new(together(first, second), &[0], false, 1), 1);
}

#[test]
fn two_tasks_beside_a_blocked_caller() {
    explore_all(|first, second| with_short_wakes(State::new(together(first, second), &[0], true, 1)), 1);
}

#[test]
fn two_tasks_and_two_messages() {
    explore_all(|first, second| with_short_wakes(State::new(together(first, second), &[0, 0], false, 1)), 1);
}

#[test]
fn tasks_of_two_processes() {
    explore_all(|first, second| with_short_wakes(State::new(apart(first, second), &[0], false, 1)), 1);
}

#[test]
fn a_reactor_of_two_queues() {
    explore_all(|first, second| with_short_wakes(State::new(on_two_queues(first, second), &[0, 1], false, 2)), 1);
}

fn explore_with(flaw: Flaw, state: State) {
    explore(State { flaw, ..state }, 0);
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_cancelled_task_that_passes_nothing_on_would_swallow_a_wake() {
    explore_with(Flaw::NothingPassedOnAtCancel, State::new(together(Cancelled, Absent), &[0], true, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_task_that_took_a_message_and_left_another_must_pass_on() {
    explore_with(Flaw::NothingPassedOnAtSuccess, State::new(together(Able, Able), &[0, 0], false, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_task_that_does_not_check_after_it_registered_would_miss_a_message() {
    explore_with(Flaw::NoCheckAfterRegistering, State::new(together(Able, Stuck), &[0, 0], false, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_that_does_not_check_after_it_registered_would_miss_a_message() {
    explore_with(Flaw::ReactorChecksBeforeRegistering, State::new(together(Able, Absent), &[0], false, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_without_its_barrier_would_miss_a_message() {
    explore_with(Flaw::NoBarrier, State::new(together(Able, Absent), &[0], false, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_that_reads_the_sequence_after_registering_would_miss_a_wake() {
    explore_with(Flaw::SequenceAfterRegistering, State::new(together(Able, Absent), &[0, 0], true, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_without_tasks_that_passes_nothing_on_would_swallow_a_wake() {
    explore_with(Flaw::ReactorPassesNothingOn, State::new(together(Cancelled, Absent), &[0], true, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_late_task_that_passes_nothing_on_would_cost_a_blocked_caller_a_slice() {
    explore_with(Flaw::LatePassesNothingOn, State::new(together(Stuck, Absent), &[0], true, 1));
}

#[test]
#[should_panic(expected = "a wake circulates")]
fn a_reactor_that_stays_registered_without_tasks_would_pass_one_wake_on_for_ever() {
    explore_with(Flaw::StaysRegistered, State::new(apart(Cancelled, Cancelled), &[0], false, 1));
}
