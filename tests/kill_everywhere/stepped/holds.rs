//! Killed in a call of a lock without data, or while it holds one.

use crate::stepped::sweep::{Finding, Operation, found};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::sync::{Lock, ReentrantLock, SyncError};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_with_a_lock,
        killed_with_a_guard_of_a_lock,
        killed_in_a_waiting_acquire_of_a_lock,
        killed_in_the_release_of_anothers_lock,
        killed_in_the_release_of_a_dead_holders_lock,
        killed_in_the_repair_of_a_lock,
        killed_with_levels_of_a_reentrant_lock,
        killed_in_a_waiting_acquire_of_a_reentrant_lock,
    ]
}

fn lock() -> Lock {
    Lock::create(unique_name("lock")).unwrap()
}

/// Acquires it, whatever the dead left, and puts things in order. Returns true if a holder had died.
fn acquire_and_repair(lock: &Lock) -> bool {
    let died = lock.try_acquire().expect("it is free, or its holder is dead").owner_died;
    lock.mark_repaired();
    lock.release().unwrap();
    died
}

fn check_lock(lock: &Lock, killed: Killed) -> Finding {
    assert!(!lock.locked(), "{lock:?}");
    let died = acquire_and_repair(lock);
    assert!(!(died && killed.done), "it had released it");
    assert!(!acquire_and_repair(lock), "repaired already");
    assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    Finding { stage: None, repaired: died }
}

fn kill_with(what: &'static str, world: &dyn Fn() -> Lock, body: &dyn Fn(&Lock, &dyn Fn())) {
    let operation = Operation {
        what,
        world,
        body,
        wake: None,
        recovery: Some(&|lock, begin| {
            begin();
            acquire_and_repair(lock);
        }),
        check: &|lock, killed, _| check_lock(lock, killed),
    };
    operation.sweep();
}

fn killed_with_a_lock() {
    kill_with("lock: acquire, release", &lock, &|lock, begin| {
        acquire_and_repair(lock);
        begin();
        assert!(!lock.acquire().unwrap().owner_died);
        lock.release().unwrap();
    });
}

fn killed_with_a_guard_of_a_lock() {
    kill_with("lock: lock, drop", &lock, &|lock, begin| {
        acquire_and_repair(lock);
        begin();
        drop(lock.lock().unwrap());
    });
}

/// A lock whose holder has died.
fn left_by_the_dead() -> Lock {
    let lock = lock();
    fork("a holder", || assert!(lock.acquire().is_ok())).expect_success();
    lock
}

fn killed_in_the_repair_of_a_lock() {
    kill_with("lock: acquire after a death, repair", &left_by_the_dead, &|lock, begin| {
        assert!(lock.holder_pid().is_some() && !lock.locked());
        begin();
        assert!(acquire_and_repair(lock));
    });
}

fn killed_in_a_waiting_acquire_of_a_lock() {
    let operation = Operation {
        what: "lock: acquire, waiting",
        world: &|| {
            let lock = lock();
            lock.acquire().unwrap();
            lock
        },
        body: &|lock, begin| {
            assert!(lock.try_acquire().is_err());
            begin();
            lock.acquire_timeout(PATIENCE).unwrap();
            lock.release().unwrap();
        },
        wake: Some(&|lock| lock.release().unwrap()),
        recovery: None,
        check: &|lock, killed, _| {
            if !killed.woken {
                assert!(lock.is_mine());
                lock.release().unwrap();
            }
            check_lock(lock, killed)
        },
    };
    operation.sweep();
}

fn killed_in_the_release_of_anothers_lock() {
    let operation = Operation {
        what: "lock: release of another's",
        world: &|| {
            let lock = lock();
            lock.acquire().unwrap();
            lock
        },
        body: &|lock, begin| {
            assert!(lock.try_acquire().is_err());
            begin();
            lock.release().unwrap();
        },
        wake: None,
        recovery: None,
        check: &|lock, killed, _| {
            let is_released = !lock.locked();
            assert!(is_released || (lock.is_mine() && !killed.done));
            if !is_released {
                lock.release().unwrap();
            }
            assert!(!check_lock(lock, killed).repaired, "no holder died");
            found(usize::from(is_released), killed)
        },
    };
    operation.sweep();
}

fn killed_in_the_release_of_a_dead_holders_lock() {
    let operation = Operation {
        what: "lock: release of a dead holder's",
        world: &left_by_the_dead,
        body: &|lock, begin| {
            assert!(!lock.locked());
            begin();
            lock.release().unwrap();
        },
        wake: None,
        recovery: None,
        check: &|lock, killed, _| {
            assert!(acquire_and_repair(lock), "the death is known, whichever process released the lock");
            let is_left = check_lock(lock, Killed { done: false, ..killed }).repaired;
            assert!(!is_left);
            Finding { stage: None, repaired: false }
        },
    };
    operation.sweep();
}

fn reentrant() -> ReentrantLock {
    ReentrantLock::create(unique_name("reentrant")).unwrap()
}

/// Acquires it twice, whatever the dead left, and puts things in order. Returns true if a holder had
/// died.
fn acquire_levels_and_repair(lock: &ReentrantLock) -> bool {
    let died = lock.try_acquire().expect("it is free, or its holder is dead").owner_died;
    assert_eq!(lock.acquire().unwrap().owner_died, died);
    assert_eq!(lock.levels(), 2, "levels of the dead count for nothing");
    lock.mark_repaired();
    (0..2).for_each(|_| lock.release().unwrap());
    assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    died
}

fn check_reentrant(lock: &ReentrantLock, killed: Killed) -> Finding {
    assert!(!lock.locked(), "{lock:?}");
    let died = acquire_levels_and_repair(lock);
    assert!(!(died && killed.done), "it had released it");
    assert!(!acquire_levels_and_repair(lock), "repaired already");
    Finding { stage: None, repaired: died }
}

fn killed_with_levels_of_a_reentrant_lock() {
    let operation = Operation {
        what: "reentrant lock: levels",
        world: &reentrant,
        body: &|lock, begin| {
            acquire_levels_and_repair(lock);
            begin();
            assert!(!acquire_levels_and_repair(lock));
        },
        wake: None,
        recovery: Some(&|lock, begin| {
            begin();
            acquire_levels_and_repair(lock);
        }),
        check: &|lock, killed, _| check_reentrant(lock, killed),
    };
    operation.sweep();
}

fn killed_in_a_waiting_acquire_of_a_reentrant_lock() {
    let operation = Operation {
        what: "reentrant lock: acquire, waiting",
        world: &|| {
            let lock = reentrant();
            lock.acquire().unwrap();
            lock
        },
        body: &|lock, begin| {
            assert!(lock.try_acquire().is_err());
            begin();
            lock.acquire_timeout(PATIENCE).unwrap();
            lock.release().unwrap();
        },
        wake: Some(&|lock| lock.release().unwrap()),
        recovery: None,
        check: &|lock, killed, _| {
            if !killed.woken {
                lock.release().unwrap();
            }
            check_reentrant(lock, killed)
        },
    };
    operation.sweep();
}
