//! Killed in a call that waits: on the way to sleep, asleep, and on the way back.

use crate::stepped::contents::{attach, check, expect_whole, holding, put, recover};
use crate::stepped::sweep::Operation;
use crate::stepped::tracee::{Place, Trace, kill_at, trace};
use crate::support::harness::{Case, asks_for_ignored};
use crate::support::process::{Exit, fork};
use crate::support::{BY_ITSELF, PATIENCE, Rng, wait_at_most};
use shmq::inspect::Inspector;
use shmq::{GetError, Queue};
use std::cell::RefCell;
use std::time::Duration;

/// After this time, a child has missed the wake that it was meant to get.
const MISSED: Duration = Duration::from_secs(2);
/// How often a child that missed its wake is followed by another.
const ATTEMPTS: usize = 5;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_a_waiting_get,
        killed_in_a_waiting_put,
        killed_in_a_waiting_join,
        killed_with_a_wake_that_another_needs
    ]
}

fn killed_in_a_waiting_get() {
    let operation = Operation {
        what: "get, waiting",
        world: &|| holding::<u64>(&[]),
        body: &|queue, begin| {
            attach(queue);
            begin();
            assert_eq!(queue.get_timeout(PATIENCE).unwrap(), 10);
        },
        wake: Some(&|queue| put(queue, 10).unwrap()),
        recovery: Some(&recover),
        check: &|queue, killed, turn| check(queue, killed, turn, &[&[]], &[&[10], &[]]),
    };
    operation.sweep();
}

fn killed_in_a_waiting_put() {
    let operation = Operation {
        what: "put, waiting",
        world: &|| holding::<u64>(&[10, 11, 12, 13]),
        body: &|queue, begin| {
            attach(queue);
            begin();
            queue.put_timeout(&14, PATIENCE).unwrap();
        },
        wake: Some(&|queue| assert_eq!(queue.try_get().unwrap(), 10)),
        recovery: Some(&recover),
        check: &|queue, killed, turn| check(queue, killed, turn, &[&[10, 11, 12, 13]], &[&[11, 12, 13], &[11, 12, 13, 14]]),
    };
    operation.sweep();
}

fn killed_in_a_waiting_join() {
    let operation = Operation {
        what: "join, waiting",
        world: &|| {
            let queue = holding::<u64>(&[10]);
            assert_eq!(queue.try_get().unwrap(), 10);
            queue
        },
        body: &|queue, begin| {
            attach(queue);
            begin();
            queue.join_timeout(PATIENCE).unwrap();
        },
        wake: Some(&|queue| queue.task_done().unwrap()),
        recovery: Some(&recover),
        check: &|queue, killed, turn| check(queue, killed, turn, &[&[]], &[&[]]),
    };
    operation.sweep();
}

/// The dead process may have received the wake of a message that it did not take: another sleeper
/// gets the message nevertheless, within a slice.
fn killed_with_a_wake_that_another_needs() {
    let mut rng = Rng::new("a wake that another needs");
    let all = {
        let queue = holding::<u64>(&[]);
        trace(&|begin| assert!(matches!(get_within(PATIENCE, &queue, begin), Ok(10))), Some(&|| put(&queue, 10).unwrap()))
    };
    let woken_at = all.woken_at.expect("it sleeps") as u64;
    let from_there = all.len() as u64 - woken_at;
    let places: Vec<u64> =
        if asks_for_ignored() { (0..from_there).collect() } else { (0..12).map(|_| rng.below(from_there)).collect() };
    // A child whose sleep ends by itself sleeps behind the other from then on, and so misses the
    // wake. Then the round is repeated.
    for place in places {
        (0..ATTEMPTS).any(|_| killed_after_its_wake(&all, woken_at, place));
    }
}

fn get_within(patience: Duration, queue: &Queue<u64>, begin: &dyn Fn()) -> Result<u64, GetError> {
    attach(queue);
    begin();
    queue.get_timeout(patience)
}

/// Returns whether the child received the wake, and was killed at that place.
fn killed_after_its_wake(all: &Trace, woken_at: u64, place: u64) -> bool {
    let queue = holding::<u64>(&[]);
    let other = RefCell::new(None);
    // Called when the child sleeps: the other sleeps behind it, so that the wake is the child's.
    let wake = || {
        let mut sleeper = fork("another sleeper", || {
            attach(&queue);
            assert!(matches!(queue.get_timeout(PATIENCE), Ok(10 | 11)));
        });
        sleeper.wait_until_asleep();
        put(&queue, 10).unwrap();
        other.replace(Some(sleeper));
    };
    let steps = Place::After((woken_at + place) as usize);
    let killed = kill_at(&|begin| _ = get_within(MISSED, &queue, begin), all, steps, Some(&wake));
    let Some(mut sleeper) = other.take() else { return false };
    // The message is gone once it was taken: by the dead process, or by the sleeper, which a lost
    // wake delays by at most a slice. The inspector only reads the records: it repairs nothing and
    // wakes no process.
    let taken = || sleeper.has_ended() || Inspector::open(queue.name()).expect("ours").snapshot().messages == 0;
    let state = || format!("killed {place} instructions after its wake: the other sleeps on, {queue:?}");
    wait_at_most(BY_ITSELF, "the message to be taken", taken, state);
    let taken = !sleeper.has_ended();
    if taken {
        // In case the dead process took it.
        put(&queue, 11).unwrap();
    }
    assert_eq!(sleeper.wait(), Exit::Code(0), "killed {place} instructions after its wake, {queue:?}");
    while queue.try_get().is_ok() {}
    queue.recover();
    while queue.try_get().is_ok() {}
    expect_whole(&queue);
    killed.exact
}
