//! Killed in a call of `shmq::sync`.

use crate::stepped::sweep::{Finding, Operation};
use crate::stepped::tracee::Killed;
use crate::support::harness::Case;
use crate::support::process::{Child, Exit, fork, fork_with_code};
use crate::support::{PATIENCE, unique_name};
use shmq::sync::{Array, Barrier, Condvar, Event, LockError, Mutex, Semaphore, SyncError, Value};
use std::cell::RefCell;

pub fn cases() -> Vec<Case> {
    crate::cases![
        killed_with_a_mutex,
        killed_in_the_repair_of_a_mutex,
        killed_with_an_array,
        killed_in_set_of_a_value,
        killed_in_acquire,
        killed_in_a_waiting_acquire,
        killed_in_release,
        killed_with_a_permit,
        killed_in_forgetting_a_permit,
        killed_in_set_of_an_event,
        killed_in_a_waiting_wait_for_an_event,
        killed_in_a_waiting_condvar,
        killed_in_a_notice_to_the_dead,
        killed_in_a_waiting_barrier,
        killed_as_the_last_party_of_a_barrier,
        killed_in_reset_of_a_barrier,
    ]
}

/// A finding with that stage. It was repaired unless the child was done.
fn found(stage: usize, killed: Killed) -> Finding {
    Finding { stage: Some(stage), repaired: !killed.done }
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
