//! Killed in a call of an event.

use crate::stepped::sweep::{Finding, Operation, found};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::sync::{Event, SyncError};

pub fn cases() -> Vec<Case> {
    crate::cases![killed_in_set_of_an_event, killed_in_a_waiting_wait_for_an_event]
}

fn event() -> Event {
    Event::create(unique_name("event")).unwrap()
}

fn check_event(event: &Event, killed: Killed) -> Finding {
    let set = event.is_set();
    assert!(set || !killed.done);
    event.set();
    event.wait_timeout(PATIENCE).unwrap();
    event.clear();
    assert!(!event.is_set());
    assert!(matches!(event.wait_timeout(std::time::Duration::from_millis(1)), Err(SyncError::Timeout)));
    found(usize::from(set), killed)
}

fn killed_in_set_of_an_event() {
    let operation = Operation {
        what: "event: set",
        world: &|| {
            // A killed waiter is counted, and dead.
            let event = event();
            let mut waiter = fork("a waiter", || event.wait().unwrap());
            waiter.wait_until_asleep();
            waiter.kill();
            event
        },
        body: &|event, begin| {
            event.clear();
            begin();
            event.set();
        },
        wake: None,
        recovery: None,
        check: &|event, killed, _| check_event(event, killed),
    };
    operation.sweep();
}

fn killed_in_a_waiting_wait_for_an_event() {
    let operation = Operation {
        what: "event: wait",
        world: &event,
        body: &|event, begin| {
            assert!(event.wait_timeout(std::time::Duration::ZERO).is_err());
            begin();
            event.wait_timeout(PATIENCE).unwrap();
        },
        wake: Some(&|event| event.set()),
        recovery: None,
        check: &|event, killed, _| check_event(event, killed),
    };
    operation.sweep();
}
