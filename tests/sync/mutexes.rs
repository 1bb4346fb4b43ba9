//! Locks between live processes.

use crate::support::harness::Case;
use crate::support::process::{Exit, expect_all_succeed, fork, fork_with_code};
use crate::{SHORT, gives_up_in_time, holder};
use shmq::sync::{Array, LockError, Mutex, SyncError};
use std::sync::atomic::Ordering::Release;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_mutex_lets_one_process_in_at_a_time,
        threads_and_processes_exclude_each_other,
        a_held_mutex_times_out_and_never_early,
        a_sleeping_locker_is_woken,
        a_thread_that_locks_twice_times_out,
        a_guard_in_a_child_unlocks_nothing_and_cannot_be_used,
        a_panic_with_the_lock_is_reported_until_repaired,
        a_panic_elsewhere_is_no_news,
        an_array_is_shared_and_locked_as_a_whole,
    ]
}

fn a_mutex_lets_one_process_in_at_a_time() {
    const ROUNDS: u64 = 20_000;
    let pair = Mutex::new([0u64; 2]).unwrap();
    let add = || {
        for _ in 0..ROUNDS {
            let mut guard = pair.lock().unwrap();
            assert_eq!(guard[0], guard[1]);
            guard[0] += 1;
            guard[1] += 1;
        }
    };
    expect_all_succeed((0..4).map(|_| fork("an adder", add)).collect());
    assert_eq!(*pair.lock().unwrap(), [4 * ROUNDS; 2]);
}

fn threads_and_processes_exclude_each_other() {
    const ROUNDS: u64 = 5_000;
    let count = Mutex::new(0u64).unwrap();
    let children = (0..2).map(|_| {
        fork("a process of threads", || {
            std::thread::scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| (0..ROUNDS).for_each(|_| *count.lock().unwrap() += 1));
                }
            });
        })
    });
    expect_all_succeed(children.collect());
    assert_eq!(*count.lock().unwrap(), 6 * ROUNDS);
}

fn a_held_mutex_times_out_and_never_early() {
    let mutex = Mutex::new(1u32).unwrap();
    let (child, go_on) = holder("a holder", |wait| {
        let _guard = mutex.lock().unwrap();
        wait();
    });
    let timed_out = |result| matches!(result, Err(LockError::Failed(SyncError::Timeout)));
    for timeout in [Duration::ZERO, Duration::from_micros(300), SHORT, 5 * SHORT] {
        assert!(timed_out(gives_up_in_time(timeout, || mutex.lock_timeout(timeout))));
        assert!(timed_out(gives_up_in_time(timeout, || mutex.lock_deadline(Instant::now() + timeout))));
    }
    assert!(matches!(mutex.try_lock(), Err(LockError::Failed(SyncError::WouldBlock))));
    go_on.store(1, Release);
    child.expect_success();
    assert!(mutex.try_lock().is_ok());
    assert!(mutex.lock_timeout(Duration::MAX).is_ok());
}

fn a_sleeping_locker_is_woken() {
    let mutex = Mutex::new(0u32).unwrap();
    for round in 0..20 {
        let guard = mutex.lock().unwrap();
        let mut waiter = fork("a locker", || *mutex.lock().unwrap() += 1);
        waiter.wait_until_asleep();
        assert_eq!(*guard, round);
        drop(guard);
        waiter.expect_success();
        assert_eq!(*mutex.lock().unwrap(), round + 1);
    }
}

fn a_thread_that_locks_twice_times_out() {
    let mutex = Mutex::new(7u32).unwrap();
    let guard = mutex.lock().unwrap();
    assert!(gives_up_in_time(SHORT, || mutex.lock_timeout(SHORT)).is_err());
    assert!(mutex.try_lock().is_err());
    assert_eq!(*guard, 7);
    drop(guard);
    assert!(mutex.try_lock().is_ok());
}

fn a_guard_in_a_child_unlocks_nothing_and_cannot_be_used() {
    let mutex = Mutex::new(7u32).unwrap();
    let guard = mutex.lock().unwrap();
    fork("a child with a copy of the guard", || {
        // SAFETY: the copy that fork made of a guard; this process drops it in no other way.
        let copy = unsafe { std::ptr::read(&guard) };
        drop(copy);
        assert!(matches!(mutex.try_lock(), Err(LockError::Failed(SyncError::WouldBlock))));
    })
    .expect_success();
    let mut using = fork_with_code("a child that uses the guard", || *guard as i32);
    assert_eq!(using.wait(), Exit::Code(101));
    fork("another process", || assert!(mutex.try_lock().is_err())).expect_success();
    assert_eq!(*guard, 7);
    drop(guard);
    fork("another process", || assert!(mutex.try_lock().is_ok())).expect_success();
}

fn a_panic_with_the_lock_is_reported_until_repaired() {
    let mutex = Mutex::new([1u32, 1]).unwrap();
    let mut child = fork_with_code("one who panics", || {
        let mut guard = mutex.lock().unwrap();
        guard[0] = 2;
        panic!("in the middle of its work");
    });
    assert_eq!(child.wait(), Exit::Code(101));
    for _ in 0..3 {
        let guard = mutex.lock().unwrap_err().into_guard().expect("the lock, with the news");
        assert_eq!(*guard, [2, 1]);
    }
    assert!(matches!(mutex.lock().map_err(SyncError::from), Err(SyncError::OwnerDied)));
    fork("one who repairs", || {
        let Err(LockError::OwnerDied(mut guard)) = mutex.lock() else { panic!("no news") };
        guard[1] = 2;
        guard.mark_repaired();
    })
    .expect_success();
    assert_eq!(*mutex.lock().unwrap(), [2, 2]);
}

fn a_panic_elsewhere_is_no_news() {
    struct LocksInPassing<'m>(&'m Mutex<u32>);
    impl Drop for LocksInPassing<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let mutex = Mutex::new(0u32).unwrap();
    let mut child = fork_with_code("one who locks while it panics", || {
        let _locks = LocksInPassing(&mutex);
        panic!("for another reason");
    });
    assert_eq!(child.wait(), Exit::Code(101));
    assert_eq!(*mutex.lock().unwrap(), 1);
}

fn an_array_is_shared_and_locked_as_a_whole() {
    let array = Array::<u64>::new(vec![0; 1000]).unwrap();
    let add = || {
        for _ in 0..200 {
            let mut guard = array.lock().unwrap();
            let first = guard[0];
            assert!(guard.iter().all(|&element| element == first));
            guard.iter_mut().for_each(|element| *element += 1);
        }
    };
    expect_all_succeed((0..3).map(|_| fork("an adder", add)).collect());
    assert_eq!(array.len(), 1000);
    assert_eq!(*array.lock().unwrap(), [600; 1000]);
    let guard = array.lock().unwrap();
    fork("another", || {
        assert!(array.try_lock().is_err() && gives_up_in_time(SHORT, || array.lock_timeout(SHORT)).is_err());
    })
    .expect_success();
    drop(guard);
    assert!(Array::<u64>::new([]).is_err());
}
