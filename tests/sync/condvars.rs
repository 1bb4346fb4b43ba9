//! Condition variables.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, fork_with_code};
use crate::{SHORT, gives_up_in_time};
use shmq::sync::{Array, Condvar, LockError, Mutex, SyncError};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_bounded_buffer_of_two_condvars_loses_nothing,
        notify_all_releases_all_waiters,
        waiting_gives_up_in_time_and_never_early,
        waiting_until_a_deadline_gives_up_then_and_never_early,
        it_works_with_the_guard_of_an_array,
        a_panic_with_the_mutex_reaches_the_waiters,
        a_guard_of_the_parent_cannot_wait,
    ]
}

/// Room for 3 numbers: count, then the numbers.
type Buffer = [u64; 4];

fn a_bounded_buffer_of_two_condvars_loses_nothing() {
    const EACH: u64 = 3_000;
    let buffer = Mutex::new([0u64; 4] as Buffer).unwrap();
    let (not_empty, not_full) = (Condvar::new().unwrap(), Condvar::new().unwrap());
    let put = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let mut guard = not_full.wait_while(buffer.lock().unwrap(), |buffer| buffer[0] == 3).unwrap();
            guard[0] += 1;
            let place = guard[0] as usize;
            guard[place] = number;
            drop(guard);
            not_empty.notify_one();
        }
    };
    let putters = (0..2).map(|n| fork("a putter", move || put(n * EACH..(n + 1) * EACH)));
    let mut putters: Vec<Child> = putters.collect();
    putters.push(fork("a getter", || {
        let mut got: Vec<u64> = (0..2 * EACH)
            .map(|_| {
                let mut guard = not_empty.wait_while(buffer.lock().unwrap(), |buffer| buffer[0] == 0).unwrap();
                let place = guard[0] as usize;
                guard[0] -= 1;
                let number = guard[place];
                drop(guard);
                not_full.notify_one();
                number
            })
            .collect();
        got.sort_unstable();
        assert!(got.iter().copied().eq(0..2 * EACH));
    }));
    expect_all_succeed(putters);
}

fn notify_all_releases_all_waiters() {
    let (open, opened) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let wait = || drop(opened.wait_while(open.lock().unwrap(), |open| *open == 0).unwrap());
    let mut waiters: Vec<Child> = (0..4).map(|_| fork("a waiter", wait)).collect();
    waiters.iter_mut().for_each(Child::wait_until_asleep);
    *open.lock().unwrap() = 1;
    opened.notify_all();
    expect_all_succeed(waiters);
}

fn waiting_gives_up_in_time_and_never_early() {
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    for timeout in [Duration::ZERO, Duration::from_micros(200), SHORT, Duration::from_millis(350)] {
        let waited =
            gives_up_in_time(timeout, || condvar.wait_timeout_while(mutex.lock().unwrap(), timeout, |value| *value == 0));
        let (mut guard, result) = waited.unwrap();
        assert!(result.timed_out());
        *guard = 0;
    }
    let (mut guard, result) = condvar.wait_timeout_while(mutex.lock().unwrap(), SHORT, |value| *value == 1).unwrap();
    assert!(!result.timed_out());
    let started = Instant::now();
    loop {
        // The wait may end spuriously, but then it does not report a timeout.
        let left = SHORT.saturating_sub(started.elapsed());
        let (relocked, result) = condvar.wait_timeout(guard, left).unwrap();
        guard = relocked;
        if result.timed_out() {
            break;
        }
    }
    assert!(started.elapsed() >= SHORT);
    // It ends spuriously, since there is no notification: after a slice at most.
    drop(condvar.wait(guard).unwrap());
    assert!(mutex.try_lock().is_ok());
}

fn it_works_with_the_guard_of_an_array() {
    let (array, condvar) = (Array::<u8>::new([0; 8]).unwrap(), Condvar::new().unwrap());
    let mut waiter = fork("a waiter", || {
        let guard = condvar.wait_while(array.lock().unwrap(), |bytes| bytes[7] == 0).unwrap();
        assert_eq!(*guard, [1; 8]);
    });
    waiter.wait_until_asleep();
    array.lock().unwrap().fill(1);
    condvar.notify_one();
    waiter.expect_success();
}

fn a_panic_with_the_mutex_reaches_the_waiters() {
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let mut waiter = fork("a waiter", || {
        let waited = condvar.wait_while(mutex.lock().unwrap(), |value| *value < 2);
        let Err(LockError::OwnerDied(mut guard)) = waited else { panic!("no news") };
        assert_eq!(*guard, 1);
        guard.mark_repaired();
    });
    waiter.wait_until_asleep();
    let mut panicking = fork_with_code("one who panics", || {
        let mut guard = mutex.lock().unwrap();
        *guard = 1;
        condvar.notify_all();
        panic!("with the mutex");
    });
    panicking.wait();
    waiter.expect_success();
    assert!(mutex.lock().is_ok());
}

fn a_guard_of_the_parent_cannot_wait() {
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let guard = mutex.lock().unwrap();
    fork("a child with a copy of the guard", || {
        // SAFETY: the copy that fork made of a guard; this process drops it in no other way.
        let copy = unsafe { std::ptr::read(&guard) };
        assert!(matches!(condvar.wait(copy), Err(LockError::Failed(SyncError::Inherited))));
        assert!(mutex.try_lock().is_err());
    })
    .expect_success();
    drop(guard);
}

fn waiting_until_a_deadline_gives_up_then_and_never_early() {
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    for timeout in [Duration::ZERO, Duration::from_micros(200), SHORT, Duration::from_millis(250)] {
        let (guard, result) = gives_up_in_time(timeout, || {
            condvar.wait_deadline_while(mutex.lock().unwrap(), Instant::now() + timeout, |n| *n == 0).unwrap()
        });
        assert!(result.timed_out() && *guard == 0);
        drop(guard);
        let deadline = Instant::now() + timeout;
        let mut guard = mutex.lock().unwrap();
        loop {
            let (again, result) = condvar.wait_deadline(guard, deadline).unwrap();
            guard = again;
            if result.timed_out() {
                assert!(Instant::now() >= deadline, "early");
                break;
            }
            // It may also end spuriously.
        }
    }
    let child = fork("one who changes it", || {
        *mutex.lock().unwrap() = 1;
        condvar.notify_all();
    });
    let deadline = Instant::now() + crate::support::PATIENCE;
    let (guard, result) = condvar.wait_deadline_while(mutex.lock().unwrap(), deadline, |n| *n == 0).unwrap();
    assert!(!result.timed_out() && *guard == 1);
    drop(guard);
    child.expect_success();
}
