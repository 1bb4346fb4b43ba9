//! Killed with a mutex, an array, a value or a condition variable of `shmq::sync`.

use crate::stepped::sweep::{Finding, Operation, found};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::process::fork;
use crate::support::{PATIENCE, unique_name};
use shmq::sync::{Array, Condvar, LockError, Mutex, Value};

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_with_a_mutex,
        killed_in_the_repair_of_a_mutex,
        killed_with_an_array,
        killed_in_set_of_a_value,
        killed_in_a_waiting_condvar,
        killed_in_a_notice_to_the_dead,
    ]
}

/// Two words that are equal, except while a process is changing them.
type Pair = [u64; 2];

fn pair() -> Mutex<Pair> {
    Mutex::create(unique_name("pair"), [1, 1]).unwrap()
}

fn count_up(pair: &mut Pair) {
    pair[0] += 1;
    pair[1] += 1;
}

/// Locks, and repairs what a dead holder left. Returns true if there was one.
fn lock_and_repair(mutex: &Mutex<Pair>) -> bool {
    match mutex.lock_timeout(PATIENCE) {
        Ok(guard) => {
            assert_eq!(guard[0], guard[1], "no news of a death");
            false
        }
        Err(LockError::OwnerDied(mut guard)) => {
            guard[1] = guard[0];
            guard.mark_repaired();
            true
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn check_pair(mutex: &Mutex<Pair>, killed: Killed) -> Finding {
    let died = lock_and_repair(mutex);
    assert!(!(died && killed.done), "it had unlocked");
    assert!(!lock_and_repair(mutex), "repaired already");
    let mut guard = mutex.try_lock().expect("it is free");
    assert!((1..=2).contains(&guard[0]) && (!killed.done || guard[0] == 2), "{guard:?}");
    let stage = guard[0] as usize;
    count_up(&mut guard);
    Finding { stage: Some(stage), repaired: died }
}

fn killed_with_a_mutex() {
    let operation = Operation {
        what: "mutex: lock, unlock",
        world: &pair,
        body: &|mutex, begin| {
            assert!(mutex.try_lock().is_ok());
            begin();
            count_up(&mut mutex.lock().unwrap());
        },
        wake: None,
        recovery: Some(&|mutex, begin| {
            begin();
            lock_and_repair(mutex);
        }),
        check: &|mutex, killed, _| check_pair(mutex, killed),
    };
    operation.sweep();
}

fn killed_in_the_repair_of_a_mutex() {
    let operation = Operation {
        what: "mutex: lock after a death, repair",
        world: &|| {
            let mutex = pair();
            let holder = fork("a holder", || {
                let mut guard = mutex.lock().unwrap();
                guard[0] += 1;
                std::mem::forget(guard);
            });
            holder.expect_success();
            mutex
        },
        body: &|mutex, begin| {
            begin();
            assert!(lock_and_repair(mutex));
        },
        wake: None,
        recovery: None,
        check: &|mutex, killed, _| check_pair(mutex, killed),
    };
    operation.sweep();
}

fn killed_with_an_array() {
    let operation = Operation {
        what: "array: lock, unlock",
        world: &|| Array::<u64>::create(unique_name("array"), [1; 6]).unwrap(),
        body: &|array, begin| {
            assert!(array.try_lock().is_ok());
            begin();
            array.lock().unwrap().fill(2);
        },
        wake: None,
        recovery: Some(&|array, begin| {
            begin();
            if let Err(LockError::OwnerDied(mut guard)) = array.lock() {
                guard.fill(2);
                guard.mark_repaired();
            }
        }),
        check: &|array, killed, _| {
            let died = match array.lock_timeout(PATIENCE) {
                Ok(guard) => {
                    assert!(guard.iter().all(|&element| element == guard[0]), "no news of a death: {guard:?}");
                    assert!(!killed.done || guard[0] == 2);
                    false
                }
                Err(LockError::OwnerDied(mut guard)) => {
                    assert!(!killed.done);
                    guard.mark_repaired();
                    true
                }
                Err(error) => panic!("{error:?}"),
            };
            assert!(array.try_lock().is_ok());
            Finding { stage: None, repaired: died }
        },
    };
    operation.sweep();
}

fn killed_in_set_of_a_value() {
    let operation = Operation {
        what: "value: set",
        world: &|| Value::create(unique_name("value"), [1u64; 8]).unwrap(),
        body: &|value, begin| {
            value.get().unwrap();
            begin();
            assert_eq!(value.set([2; 8]).unwrap(), [1; 8]);
        },
        wake: None,
        recovery: Some(&|value, begin| {
            begin();
            value.update(|words| words[0] += 0).unwrap();
        }),
        check: &|value, killed, _| {
            let now = value.get().unwrap();
            assert!(now == [2; 8] || (now == [1; 8] && !killed.done), "{now:?}");
            value.set([3; 8]).unwrap();
            assert_eq!(value.get().unwrap(), [3; 8]);
            found(now[0] as usize, killed)
        },
    };
    operation.sweep();
}

type Sleepers = (Mutex<Pair>, Condvar);

/// A sleeper is woken, and notifying never hangs.
fn check_condvar((mutex, condvar): &Sleepers, killed: Killed, turn: u64) -> Finding {
    let died = lock_and_repair(mutex);
    condvar.notify_one();
    condvar.notify_all();
    if turn % 8 == 0 {
        let before = mutex.lock().unwrap()[0];
        let mut sleeper = fork("a sleeper", || {
            let slept = condvar.wait_while(mutex.lock().unwrap(), |pair| pair[0] == before);
            assert!(slept.is_ok());
        });
        sleeper.wait_until_asleep();
        count_up(&mut mutex.lock().unwrap());
        condvar.notify_one();
        sleeper.expect_success();
    }
    assert!(!(died && killed.done));
    Finding { stage: None, repaired: false }
}

fn sleepers() -> Sleepers {
    (pair(), Condvar::create(unique_name("condvar")).unwrap())
}

fn killed_in_a_waiting_condvar() {
    let operation = Operation {
        what: "condvar: wait",
        world: &sleepers,
        body: &|(mutex, condvar), begin| {
            let guard = mutex.lock().unwrap();
            let guard = condvar.wait_timeout(guard, std::time::Duration::ZERO).unwrap().0;
            begin();
            drop(condvar.wait(guard).unwrap());
        },
        wake: Some(&|(mutex, condvar)| {
            count_up(&mut mutex.lock().unwrap());
            condvar.notify_one();
        }),
        recovery: None,
        check: &check_condvar,
    };
    operation.sweep();
}

fn killed_in_a_notice_to_the_dead() {
    let operation = Operation {
        what: "condvar: notify, sleeper dead",
        world: &|| {
            let world = sleepers();
            let (mutex, condvar) = &world;
            let mut sleeper = fork("a sleeper", || drop(condvar.wait_while(mutex.lock().unwrap(), |_| true)));
            sleeper.wait_until_asleep();
            sleeper.kill();
            lock_and_repair(mutex);
            world
        },
        body: &|(_, condvar), begin| {
            begin();
            condvar.notify_one();
        },
        wake: None,
        recovery: None,
        check: &check_condvar,
    };
    operation.sweep();
}
