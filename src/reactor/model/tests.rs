//! Which cases are explored, and which faults must be found.

use super::Kind::{self, Able, Absent, Cancelled, Panics, Stuck};
use super::{CLOSE, CONTROL, Flaw, Node, Place, Queue, Reactor, State, Task, TaskStep, Waiter};
use crate::lock::model::Machine;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Tells states apart, by 128 bits.
#[derive(Default)]
struct Fingerprint {
    mixed: u128,
    /// Of eight bytes, those that came last.
    bytes: u64,
    count: u32,
}

impl Fingerprint {
    fn mix(&mut self) {
        let mixed = (self.mixed ^ u128::from(self.bytes)).wrapping_mul(0xa076_1d64_78bd_642f_e703_7ed1_a0b4_28db);
        (self.mixed, self.bytes) = (mixed ^ (mixed >> 67), 0);
    }
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u8(byte));
    }

    fn write_u8(&mut self, byte: u8) {
        self.bytes = (self.bytes << 8) | u64::from(byte);
        self.count += 1;
        if self.count % 8 == 0 {
            self.mix();
        }
    }

    /// Lengths and discriminants, all of them small.
    fn write_usize(&mut self, number: usize) {
        self.write_u8(number as u8);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u8(number as u8);
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.mixed = fingerprint;
    }

    fn finish(&self) -> u64 {
        self.mixed as u64
    }
}

fn fingerprint(state: &State, kills: u8) -> u128 {
    let mut hasher = Fingerprint::default();
    (kills, state).hash(&mut hasher);
    hasher.mix();
    // The last bytes are spread as far as the first.
    hasher.mix();
    hasher.mixed
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

const STEADY: [(Kind, Kind); 6] =
    [(Able, Able), (Able, Stuck), (Able, Panics), (Stuck, Stuck), (Stuck, Panics), (Panics, Panics)];
const CANCELLED: [(Kind, Kind); 4] = [(Cancelled, Able), (Cancelled, Cancelled), (Cancelled, Stuck), (Cancelled, Panics)];

fn explore_all(pairs: &[(Kind, Kind)], state: impl Fn(Kind, Kind) -> State) {
    for &(first, second) in pairs {
        let (states, raises) = explore(state(first, second), 1);
        println!("{first:?} and {second:?}, 1 kill: {states} states, {raises} raises");
        assert!(states > 10_000, "{states} states are not all");
    }
}

fn with_short_wakes(state: State) -> State {
    State { has_short_wakes: true, may_linger: true, ..state }
}

#[test]
fn one_task_beside_a_blocked_caller() {
    explore_each(|kind| State { early_slices: 2, may_linger: true, ..State::new(together(kind, Absent), &[0], true, 1) }, 1);
}

#[test]
fn one_task_that_is_polled_and_a_reactor_that_is_told_for_nothing() {
    let stray = |state| State { stray_news: 1, early_polls: 1, ..with_short_wakes(state) };
    explore_each(|kind| stray(State::new(together(kind, Absent), &[0], true, 1)), 0);
}

/// A reactor that stays registered for a notified task, beside a caller that sleeps: one message is
/// there, and one comes.
fn lingering(kind: Kind) -> State {
    let mut state = State { may_linger: true, stray_news: 1, ..State::new(together(kind, Absent), &[0], false, 1) };
    state.tasks[0] =
        Task { step: TaskStep::Pending, node: Node::Notified { before: false }, is_scheduled: true, ..state.tasks[0] };
    let places = [Some(Place { has_sequence: true, has_epoch: true }), None];
    let queued = CONTROL | State::bit(0);
    state.reactors[0] = Reactor { places, queued, lingers: [true, false], is_watched: [true, false], ..state.reactors[0] };
    state.waiter = Waiter::Asleep { has_epoch: true };
    state.queues[0] = Queue { messages: 1, count: 2 };
    state
}

#[test]
fn a_reactor_that_lingers_beside_a_blocked_caller() {
    for kind in [Able, Cancelled, Stuck] {
        let (states, raises) = explore(lingering(kind), 1);
        println!("{kind:?}, 1 kill: {states} states, {raises} raises");
        assert!(states > 2_000, "{states} states are not all");
    }
}

#[test]
fn one_task_and_two_messages() {
    explore_each(|kind| State { early_slices: 2, may_linger: true, ..State::new(together(kind, Absent), &[0, 0], false, 1) }, 1);
}

/// Two tasks of one process, and the queues of putters.
fn of_one_process(first: Kind, second: Kind, putters: &[usize], has_waiter: bool) -> State {
    with_short_wakes(State::new(together(first, second), putters, has_waiter, 1))
}

fn of_two_processes(first: Kind, second: Kind) -> State {
    with_short_wakes(State::new(apart(first, second), &[0], false, 1))
}

fn of_two_queues(first: Kind, second: Kind) -> State {
    with_short_wakes(State::new(on_two_queues(first, second), &[0, 1], false, 2))
}

#[test]
fn two_tasks_and_one_message() {
    explore_all(&STEADY, |first, second| State { has_short_wakes: false, ..of_one_process(first, second, &[0], false) });
}

#[test]
fn two_tasks_and_one_message_cancelled() {
    explore_all(&CANCELLED, |first, second| State { has_short_wakes: false, ..of_one_process(first, second, &[0], false) });
}

#[test]
fn two_tasks_beside_a_blocked_caller() {
    explore_all(&STEADY, |first, second| of_one_process(first, second, &[0], true));
}

#[test]
fn two_tasks_beside_a_blocked_caller_cancelled() {
    explore_all(&CANCELLED, |first, second| of_one_process(first, second, &[0], true));
}

#[test]
fn two_tasks_and_two_messages() {
    explore_all(&STEADY, |first, second| of_one_process(first, second, &[0, 0], false));
}

#[test]
fn two_tasks_and_two_messages_cancelled() {
    explore_all(&CANCELLED, |first, second| of_one_process(first, second, &[0, 0], false));
}

#[test]
fn tasks_of_two_processes() {
    explore_all(&STEADY, of_two_processes);
}

#[test]
fn tasks_of_two_processes_cancelled() {
    explore_all(&CANCELLED, of_two_processes);
}

#[test]
fn a_reactor_of_two_queues() {
    explore_all(&STEADY, of_two_queues);
}

#[test]
fn a_reactor_of_two_queues_cancelled() {
    explore_all(&CANCELLED, of_two_queues);
}

/// Tasks that put: what they want, and what comes free at a time; the caller wants one unit.
fn for_room(tasks: [(Kind, usize, usize); 2], wants: [u8; 2], gives: &[u8]) -> State {
    let putters = vec![0; gives.len()];
    let mut state = State { is_room: true, ..with_short_wakes(State::new(tasks, &putters, true, 1)) };
    (0..2).for_each(|i| state.tasks[i].want = wants[i]);
    (0..gives.len()).for_each(|i| state.putters[i].gives = gives[i]);
    state
}

#[test]
fn putters_of_two_lengths_beside_a_blocked_one() {
    explore_all(&STEADY, |first, second| for_room(together(first, second), [2, 1], &[2]));
}

#[test]
fn putters_of_two_lengths_cancelled() {
    explore_all(&CANCELLED, |first, second| for_room(together(first, second), [2, 1], &[2]));
}

#[test]
fn a_long_putter_and_room_that_comes_in_two() {
    explore_each(|kind| for_room(together(kind, Absent), [2, 1], &[1, 1]), 0);
}

#[test]
fn putters_of_two_processes() {
    explore_all(&[(Able, Able), (Stuck, Able), (Cancelled, Able)], |first, second| State {
        waiter: Waiter::Gone,
        ..for_room(apart(first, second), [2, 1], &[2])
    });
}

#[test]
fn a_close_wakes_all() {
    explore_all(&STEADY[..4], |first, second| State { is_room: false, ..for_room(together(first, second), [1, 1], &[CLOSE]) });
}

#[test]
fn a_close_behind_a_message() {
    explore_each(|kind| State { is_room: false, ..for_room(together(kind, Absent), [1, 1], &[1, CLOSE]) }, 1);
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn room_that_wakes_one_would_leave_a_short_putter_behind_a_long_one() {
    explore_with(Flaw::WakesOneOfAll, for_room(together(Able, Absent), [2, 1], &[1]));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_task_that_found_less_than_it_wants_and_says_nothing_would_hide_the_rest() {
    explore_with(Flaw::RestKept, for_room(together(Able, Able), [2, 1], &[2]));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_close_that_wakes_one_would_leave_the_others() {
    let state = for_room(together(Able, Absent), [1, 1], &[CLOSE]);
    explore_with(Flaw::WakesOneOfAll, State { is_room: false, ..state });
}

fn explore_with(flaw: Flaw, state: State) {
    explore(State { flaw, may_linger: true, ..state }, 0);
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

#[test]
#[should_panic(expected = "tasks wait, and it is not registered")]
fn a_task_that_reads_before_it_is_in_the_room_whether_it_is_watched_would_be_forgotten() {
    let state = State::new(together(Able, Able), &[0], false, 1);
    explore_with(Flaw::WatchReadBeforeRegistering, with_short_wakes(state));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_that_compares_the_epoch_before_it_reads_the_sequence_would_sleep_uncounted() {
    let state = State::new(together(Able, Able), &[0, 0], false, 1);
    explore_with(Flaw::EpochBeforeSequence, with_short_wakes(state));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_that_compares_no_epoch_would_sleep_uncounted() {
    let state = State::new(together(Able, Able), &[0, 0], false, 1);
    explore_with(Flaw::EpochNotCompared, with_short_wakes(state));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_that_renews_its_place_and_does_not_note_it_would_swallow_the_wake() {
    explore_with(Flaw::RenewsUnnoticed, lingering(Stuck));
}

#[test]
#[should_panic(expected = "tasks wait, and it is not registered")]
fn a_reactor_that_reads_the_control_word_after_the_room_would_miss_a_task() {
    explore_with(Flaw::ControlReadAfterRoom, State::new(together(Able, Absent), &[0], true, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_that_checks_one_word_would_swallow_the_wake_of_the_other() {
    let state = State::new(on_two_queues(Able, Able), &[0, 1], false, 2);
    explore_with(Flaw::ChecksOneWord, with_short_wakes(state));
}

#[test]
#[should_panic(expected = "a late task costs other processes more than a slice")]
fn a_late_task_that_answers_would_cost_a_blocked_caller_slices() {
    explore_with(Flaw::LateTasksAnswer, State::new(together(Stuck, Absent), &[0], true, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_task_whose_waker_panicked_and_that_answers_would_cost_a_slice() {
    explore_with(Flaw::PanicsAnswer, State::new(together(Panics, Absent), &[0], true, 1));
}

#[test]
#[should_panic(expected = "a wake circulates")]
fn a_reactor_that_lingers_after_a_wake_would_pass_one_wake_on_for_ever() {
    explore_with(Flaw::LingersWhenWoken, State::new(together(Able, Absent), &[0], true, 1));
}

#[test]
#[should_panic(expected = "a wake was swallowed")]
fn a_reactor_that_leaves_an_empty_room_and_passes_nothing_on_would_swallow_a_wake() {
    explore_with(Flaw::UnknownPassesNothingOn, State::new(together(Cancelled, Absent), &[0], true, 1));
}

#[test]
fn what_saves_time_alone_loses_nothing_when_it_is_left_out() {
    for flaw in
        [Flaw::NoCheckAfterRegistering, Flaw::NotifiedBeforeMessages, Flaw::LastLeavesInSilence, Flaw::PassesOnBeforeLeaving]
    {
        explore_with(flaw, State::new(together(Cancelled, Absent), &[0], true, 1));
        explore_with(flaw, with_short_wakes(State::new(together(Able, Stuck), &[0, 0], false, 1)));
        explore_with(flaw, lingering(Cancelled));
    }
}
