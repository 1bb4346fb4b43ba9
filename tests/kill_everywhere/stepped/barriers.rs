//! Killed in a call of a barrier.

use crate::stepped::sweep::{Finding, Operation};
use crate::support::harness::Case;
use crate::support::process::{Child, Exit, fork, fork_with_code};
use crate::support::{PATIENCE, unique_name};
use shmq::sync::{Barrier, SyncError};
use std::cell::RefCell;

pub fn cases() -> Vec<Case> {
    crate::cases![killed_in_a_waiting_barrier, killed_as_the_last_party_of_a_barrier, killed_in_reset_of_a_barrier]
}

fn barrier() -> Barrier {
    Barrier::create(unique_name("barrier"), 2).unwrap()
}

/// After a reset the barrier is as new, without the dead party.
fn expect_as_new(barrier: &Barrier) {
    barrier.reset().unwrap();
    assert_eq!((barrier.waiting(), barrier.is_broken()), (0, false));
    let partner = fork("a partner", {
        let barrier = barrier.clone();
        move || (0..3).for_each(|_| assert!(barrier.wait_timeout(PATIENCE).is_ok()))
    });
    (0..3).for_each(|_| assert!(barrier.wait_timeout(PATIENCE).is_ok()));
    partner.expect_success();
}

/// What a party finds that comes after a death. It never passes with the dead party, and never
/// waits for it.
fn expect_no_wait_for_the_dead(barrier: &Barrier) {
    let found = barrier.wait_timeout(PATIENCE);
    assert!(matches!(found, Err(SyncError::Broken)), "{found:?}, {barrier:?}");
}

fn killed_in_a_waiting_barrier() {
    let operation = Operation {
        what: "barrier: wait",
        world: &barrier,
        body: &|barrier, begin| {
            barrier.reset().unwrap();
            begin();
            assert!(barrier.wait_timeout(PATIENCE).is_ok());
        },
        wake: Some(&|barrier| assert!(barrier.wait_timeout(PATIENCE).unwrap().is_leader())),
        recovery: Some(&|barrier, begin| {
            begin();
            barrier.reset().unwrap();
        }),
        check: &|barrier, killed, turn| {
            if turn % 4 == 0 {
                expect_no_wait_for_the_dead(barrier);
            }
            expect_as_new(barrier);
            Finding { stage: None, repaired: !killed.done }
        },
    };
    operation.sweep();
}

/// A party that waits for the last one.
struct Waiter(RefCell<Option<Child>>);

impl Waiter {
    fn end(&self) -> Option<Exit> {
        self.0.take().map(|mut waiter| waiter.wait())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.end();
    }
}

fn killed_as_the_last_party_of_a_barrier() {
    let operation = Operation {
        what: "barrier: last wait",
        world: &|| {
            let barrier = barrier();
            // Its exit code reports how its wait ended.
            let mut waiter = fork_with_code("a party", {
                let barrier = barrier.clone();
                move || match barrier.wait_timeout(PATIENCE) {
                    Ok(_) => 0,
                    Err(SyncError::Broken) => 1,
                    Err(_) => 2,
                }
            });
            waiter.wait_until_asleep();
            (barrier, Waiter(RefCell::new(Some(waiter))))
        },
        body: &|(barrier, _), begin| {
            // The child attaches before the operation: a child killed before it attached would not
            // be a party, and would be waited for.
            let own = Barrier::open(barrier.name()).unwrap();
            begin();
            assert!(own.wait_timeout(PATIENCE).is_ok());
            std::mem::forget(own);
        },
        wake: None,
        recovery: None,
        check: &|(barrier, waiter), killed, _| {
            let Some(Exit::Code(code @ (0 | 1))) = waiter.end() else { panic!("it ended otherwise, {killed:?}") };
            assert!(code == 0 || !killed.done, "all had arrived, and one got Broken");
            expect_as_new(barrier);
            Finding { stage: Some(usize::from(code == 0)), repaired: !killed.done }
        },
    };
    operation.sweep();
}

fn killed_in_reset_of_a_barrier() {
    let operation = Operation {
        what: "barrier: reset",
        world: &|| {
            let barrier = barrier();
            barrier.abort().unwrap();
            barrier
        },
        body: &|barrier, begin| {
            assert!(barrier.wait().is_err());
            begin();
            barrier.reset().unwrap();
        },
        wake: None,
        recovery: None,
        check: &|barrier, killed, turn| {
            assert!(!(killed.done && barrier.is_broken()));
            if turn % 4 == 0 {
                expect_no_wait_for_the_dead(barrier);
            }
            expect_as_new(barrier);
            Finding { stage: None, repaired: false }
        },
    };
    operation.sweep();
}
