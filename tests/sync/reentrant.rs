//! Locks that their thread may take again, between live processes and dead ones.

#[cfg(not(shmq_portable_sync))]
use crate::support::BY_ITSELF;
use crate::support::harness::Case;
use crate::support::process::{Exit, expect_all_succeed, fork, fork_with_code, shared_words};
use crate::{SHORT, gives_up_in_time, holder};
use shmq::Stop;
use shmq::sync::{Condvar, ReentrantLock, SyncError};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_reentrant_lock_lets_one_thread_in_at_a_time,
        a_thread_acquires_a_reentrant_lock_a_thousand_times,
        only_the_thread_that_has_it_may_release_it,
        a_held_reentrant_lock_times_out_and_never_early,
        a_child_has_none_of_its_parents_levels,
        a_thread_that_ended_with_it_is_no_other_threads_equal,
        guards_and_levels_are_counted_together,
        a_guard_whose_lock_was_lost_in_a_wait_ends_no_later_hold,
        a_panic_with_a_reentrant_lock_is_reported_until_repaired,
        levels_of_any_thread_are_in_the_way_of_a_detach,
        #[cfg(not(shmq_portable_sync))]
        a_dead_holder_of_a_reentrant_lock_is_reported,
        #[cfg(not(shmq_portable_sync))]
        a_sleeper_gets_the_reentrant_lock_of_a_dead_holder,
    ]
}

fn a_reentrant_lock_lets_one_thread_in_at_a_time() {
    const ROUNDS: u64 = 3_000;
    let lock = ReentrantLock::new().unwrap();
    let words = shared_words(2);
    let add = || {
        let inner = || {
            let _guard = lock.lock().unwrap();
            words[1].store(words[1].load(Relaxed) + 1, Relaxed);
        };
        for _ in 0..ROUNDS {
            lock.acquire().unwrap();
            assert_eq!(words[0].load(Relaxed), words[1].load(Relaxed));
            words[0].store(words[0].load(Relaxed) + 1, Relaxed);
            inner();
            lock.release().unwrap();
        }
    };
    let children = (0..3).map(|_| {
        fork("a process of threads", || {
            std::thread::scope(|s| {
                (0..2).for_each(|_| drop(s.spawn(add)));
            });
        })
    });
    expect_all_succeed(children.collect());
    assert_eq!((words[0].load(Relaxed), words[1].load(Relaxed)), (6 * ROUNDS, 6 * ROUNDS));
    assert!(!lock.locked());
}

fn a_thread_acquires_a_reentrant_lock_a_thousand_times() {
    let lock = ReentrantLock::new().unwrap();
    for level in 1..=1_000 {
        assert!(!lock.acquire().unwrap().owner_died);
        assert_eq!(lock.levels(), level);
    }
    let is_taken = || fork("another", || assert!(lock.try_acquire().unwrap_err().is_would_block())).expect_success();
    for _ in 0..999 {
        lock.release().unwrap();
    }
    is_taken();
    assert!(lock.is_mine() && lock.levels() == 1);
    lock.release().unwrap();
    assert!(!lock.is_mine() && !lock.locked() && lock.levels() == 0);
    assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    fork("another", || assert!(lock.try_acquire().is_ok())).expect_success();
}

/// The refusal of a release by a thread that does not have it.
fn owner_of(lock: &ReentrantLock) -> (u32, u32) {
    match lock.release() {
        Err(SyncError::NotOwner { pid, tid }) => (pid, tid),
        other => panic!("{other:?}"),
    }
}

fn only_the_thread_that_has_it_may_release_it() {
    let lock = ReentrantLock::new().unwrap();
    lock.acquire().unwrap();
    // SAFETY: it takes no arguments and cannot fail.
    let me = (std::process::id(), unsafe { libc::gettid() } as u32);
    assert_eq!(std::thread::scope(|s| s.spawn(|| owner_of(&lock)).join().unwrap()), me);
    fork("another process", || assert_eq!(owner_of(&lock), me)).expect_success();
    let text = std::thread::scope(|s| s.spawn(|| lock.release().unwrap_err().to_string()).join().unwrap());
    assert!(text.contains(&format!("process {}, thread {}", me.0, me.1)), "{text}");
    assert!(lock.is_mine() && lock.levels() == 1);
    lock.release().unwrap();
}

fn a_held_reentrant_lock_times_out_and_never_early() {
    let lock = ReentrantLock::new().unwrap();
    let (child, go_on) = holder("a holder", |wait| {
        lock.acquire().unwrap();
        lock.acquire().unwrap();
        wait();
        lock.release().unwrap();
        lock.release().unwrap();
    });
    for timeout in [Duration::ZERO, Duration::from_micros(300), SHORT, 5 * SHORT] {
        assert!(gives_up_in_time(timeout, || lock.acquire_timeout(timeout)).unwrap_err().is_timeout());
        assert!(gives_up_in_time(timeout, || lock.lock_timeout(timeout)).unwrap_err().is_timeout());
    }
    assert!(lock.try_acquire().unwrap_err().is_would_block() && lock.try_lock().unwrap_err().is_would_block());
    assert!(lock.locked() && !lock.is_mine() && lock.levels() == 0);
    assert_eq!(lock.holder_pid(), Some(child.pid()));
    let mut sleeper = fork("a sleeper", || {
        lock.acquire().unwrap();
        lock.release().unwrap();
    });
    sleeper.wait_until_asleep();
    go_on.store(1, Release);
    child.expect_success();
    sleeper.expect_success();
    assert!(lock.acquire().is_ok());
}

fn a_child_has_none_of_its_parents_levels() {
    let lock = ReentrantLock::new().unwrap();
    lock.acquire().unwrap();
    let guard = lock.lock().unwrap();
    fork("a child", || {
        assert!(!lock.is_mine() && lock.locked() && lock.levels() == 0);
        // SAFETY: the copy that fork made of a guard; this process drops it in no other way.
        drop(unsafe { std::ptr::read(&guard) });
        assert!(lock.try_acquire().unwrap_err().is_would_block());
        owner_of(&lock);
    })
    .expect_success();
    assert_eq!(lock.levels(), 2);
    drop(guard);
    lock.release().unwrap();
    fork("a child", || {
        // In the thread that forked, with the numbers of its parent.
        lock.acquire().unwrap();
        assert!(lock.is_mine());
        lock.release().unwrap();
    })
    .expect_success();
    assert!(!lock.locked());
}

fn a_thread_that_ended_with_it_is_no_other_threads_equal() {
    let lock = ReentrantLock::new().unwrap();
    fork("a process of threads", || {
        let acquire = || drop(std::thread::scope(|s| s.spawn(|| lock.acquire().map(|_| ())).join().unwrap()));
        acquire();
        for _ in 0..50 {
            // Some of these have the id that the first one had.
            std::thread::scope(|s| {
                s.spawn(|| assert!(!lock.is_mine() && lock.try_acquire().unwrap_err().is_would_block()));
            });
        }
        assert!(lock.locked());
    })
    .expect_success();
    // Its process has ended since.
    #[cfg(not(shmq_portable_sync))]
    assert!(lock.try_acquire().unwrap().owner_died);
}

fn guards_and_levels_are_counted_together() {
    let lock = ReentrantLock::new().unwrap();
    let outer = lock.lock().unwrap();
    lock.acquire().unwrap();
    let inner = lock.try_lock().unwrap();
    assert_eq!(lock.levels(), 3);
    drop(outer);
    lock.release().unwrap();
    assert!(lock.is_mine() && lock.levels() == 1);
    lock.release().unwrap();
    // Its level was given back by hand.
    drop(inner);
    assert!(!lock.locked());
}

fn a_guard_whose_lock_was_lost_in_a_wait_ends_no_later_hold() {
    let (lock, condvar, stop) = (ReentrantLock::new().unwrap(), Condvar::new().unwrap(), Stop::new());
    stop.set();
    let outer = lock.lock().unwrap();
    let inner = lock.lock().unwrap();
    // All levels are released, and the wait ends without the lock.
    assert!(condvar.with_stop(&stop).wait_notified(inner).unwrap_err().is_interrupted());
    assert!(!lock.locked());
    let again = lock.lock().unwrap();
    drop(outer);
    assert!(lock.is_mine() && lock.levels() == 1);
    drop(again);
    assert!(!lock.locked());
    // Where the wait ends with the lock, the guards around it stand for their levels again.
    let outer = lock.lock().unwrap();
    let inner = lock.lock().unwrap();
    let (inner, _) = condvar.wait_notified_timeout(inner, SHORT).unwrap();
    assert_eq!(lock.levels(), 2);
    drop(outer);
    assert!(lock.is_mine());
    drop(inner);
    assert!(!lock.locked());
}

fn a_panic_with_a_reentrant_lock_is_reported_until_repaired() {
    let lock = ReentrantLock::new().unwrap();
    let mut child = fork_with_code("one who panics", || {
        let _guard = lock.lock().unwrap();
        let _again = lock.lock().unwrap();
        panic!("in the middle of its work");
    });
    assert_eq!(child.wait(), Exit::Code(101));
    assert!(lock.lock().unwrap_err().is_owner_died());
    let mut guard = lock.lock().unwrap_err().into_guard().unwrap();
    // The same holder, one level further, is told as well.
    assert!(lock.lock().unwrap_err().is_owner_died());
    guard.mark_repaired();
    assert!(lock.lock().is_ok());
}

fn levels_of_any_thread_are_in_the_way_of_a_detach() {
    let lock = ReentrantLock::new().unwrap();
    std::thread::scope(|s| drop(s.spawn(|| lock.acquire().map(drop)).join()));
    let lock = lock.detach().map_err(|refused| (refused.in_use().locks, refused.into_handle())).unwrap_err();
    assert_eq!(lock.0, 1);
    let other = ReentrantLock::new().unwrap();
    let (guard, again) = (other.lock_owned().unwrap(), other.lock_owned().unwrap());
    let refused = other.detach().unwrap_err();
    assert_eq!((refused.in_use().locks, refused.in_use().owned_guards), (1, 2));
    drop((guard, again));
    refused.into_handle().detach().unwrap();
}

#[cfg(not(shmq_portable_sync))]
fn a_dead_holder_of_a_reentrant_lock_is_reported() {
    let lock = ReentrantLock::new().unwrap();
    for _ in 0..3 {
        let (child, _) = holder("a holder", |wait| {
            (0..5).for_each(|_| assert!(!lock.acquire().unwrap().owner_died));
            wait();
        });
        child.kill();
        assert!(!lock.locked());
        assert!(lock.try_acquire().unwrap().owner_died);
        assert_eq!(lock.levels(), 1);
        lock.release().unwrap();
        fork("another", || {
            let mut guard = lock.lock().unwrap_err().into_guard().unwrap();
            guard.mark_repaired();
        })
        .expect_success();
        assert!(lock.lock().is_ok() && !lock.owner_died());
    }
}

#[cfg(not(shmq_portable_sync))]
fn a_sleeper_gets_the_reentrant_lock_of_a_dead_holder() {
    let lock = ReentrantLock::new().unwrap();
    let (child, _) = holder("a holder", |wait| {
        lock.acquire().unwrap();
        wait();
    });
    let mut sleeper = fork("a sleeper", || assert!(lock.acquire().unwrap().owner_died && lock.levels() == 1));
    sleeper.wait_until_asleep();
    child.kill();
    sleeper.expect_success_within(BY_ITSELF);
}
