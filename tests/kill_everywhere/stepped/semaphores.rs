//! Killed in a call of a semaphore, or with its permit.

use crate::stepped::sweep::{Finding, Operation, found};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::{PATIENCE, unique_name};
use shmq::sync::Semaphore;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_in_acquire,
        killed_in_a_waiting_acquire,
        killed_in_release,
        killed_with_a_permit,
        killed_in_forgetting_a_permit,
    ]
}

fn semaphore() -> Semaphore {
    Semaphore::create(unique_name("semaphore"), 2).unwrap()
}

fn attach(semaphore: &Semaphore) {
    drop(semaphore.try_permit().unwrap());
}

/// Scans for dead processes, with a handle that has not scanned so far.
fn probe(semaphore: &Semaphore, begin: &dyn Fn()) {
    begin();
    Semaphore::open(semaphore.name()).unwrap().value();
}

/// Counts the permits by taking them, and returns them.
fn count(semaphore: &Semaphore) -> u64 {
    let mut taken = 0;
    while semaphore.try_acquire().is_ok() {
        taken += 1;
    }
    (0..taken).for_each(|_| semaphore.release().unwrap());
    taken
}

/// `stages`: permits before, on the way, after.
fn check_permits(semaphore: &Semaphore, killed: Killed, turn: u64, stages: &[u64]) -> Finding {
    let survivor = Semaphore::open(semaphore.name()).unwrap();
    if turn % 2 == 0 {
        survivor.value();
    } else if let Ok(permit) = survivor.try_permit() {
        drop(permit);
    }
    let survivor = Semaphore::open(semaphore.name()).unwrap();
    let permits = count(&survivor);
    let Some(stage) = stages.iter().position(|&stage| stage == permits) else {
        panic!("{permits} permits of {stages:?}, {killed:?}, {semaphore:?}")
    };
    assert!(!killed.done || stage == stages.len() - 1, "done, and {permits} permits");
    assert_eq!((count(&survivor), semaphore.value()), (permits, permits));
    found(stage, killed)
}

/// Kills `act` everywhere, each time on a semaphore with two permits.
fn kill_with_permits(what: &'static str, body: &dyn Fn(&Semaphore, &dyn Fn()), stages: &[u64]) {
    let operation = Operation {
        what,
        world: &semaphore,
        body: &|semaphore, begin| {
            attach(semaphore);
            body(semaphore, begin);
        },
        wake: None,
        recovery: Some(&probe),
        check: &|semaphore, killed, turn| check_permits(semaphore, killed, turn, stages),
    };
    operation.sweep();
}

fn killed_in_acquire() {
    let body = |semaphore: &Semaphore, begin: &dyn Fn()| {
        begin();
        semaphore.acquire().unwrap();
    };
    kill_with_permits("semaphore: acquire", &body, &[2, 1]);
}

fn killed_in_a_waiting_acquire() {
    let operation = Operation {
        what: "semaphore: acquire, waiting",
        world: &|| {
            let semaphore = semaphore();
            (0..2).for_each(|_| semaphore.acquire().unwrap());
            semaphore
        },
        body: &|semaphore, begin| {
            assert!(semaphore.try_permit().is_err());
            begin();
            semaphore.acquire_timeout(PATIENCE).unwrap();
        },
        wake: Some(&|semaphore| semaphore.release().unwrap()),
        recovery: None,
        check: &|semaphore, killed, turn| {
            let stages: &[u64] = if killed.woken { &[1, 0] } else { &[0] };
            let finding = check_permits(semaphore, killed, turn, stages);
            Finding { stage: finding.stage.map(|stage| stage + usize::from(killed.woken)), ..finding }
        },
    };
    operation.sweep();
}

fn killed_in_release() {
    let body = |semaphore: &Semaphore, begin: &dyn Fn()| {
        begin();
        semaphore.release().unwrap();
    };
    kill_with_permits("semaphore: release", &body, &[2, 3]);
}

fn killed_with_a_permit() {
    let body = |semaphore: &Semaphore, begin: &dyn Fn()| {
        begin();
        drop(semaphore.permit().unwrap());
    };
    kill_with_permits("semaphore: permit, drop", &body, &[2]);
}

fn killed_in_forgetting_a_permit() {
    let body = |semaphore: &Semaphore, begin: &dyn Fn()| {
        let permit = semaphore.permit().unwrap();
        begin();
        permit.forget().unwrap();
    };
    kill_with_permits("semaphore: permit forgotten", &body, &[2, 1]);
}
