//! Notices of condition variables: how many waiters they wake, with which locks, and beside deaths.

use crate::support::harness::Case;
use crate::support::process::{Child, expect_all_succeed, fork, shared_word, wait_for_count};
use crate::support::{BY_ITSELF, wait_until};
use crate::{SHORT, gives_up_in_time};
use shmq::Stop;
use shmq::sync::{Condvar, CondvarGuard, Lock, LockError, Mutex, ReentrantLock, SyncError};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        it_waits_with_every_lock,
        all_levels_are_released_and_restored,
        what_is_not_held_cannot_wait,
        notify_wakes_as_many_as_it_says,
        those_that_wait_for_the_longest_are_woken_first,
        only_a_notice_ends_a_wait_for_a_notice,
        a_wait_for_a_state_sees_it_without_a_notice,
        a_stop_ends_a_wait_for_a_notice,
        more_threads_than_there_are_places_are_refused,
        a_lock_without_a_guard_is_released_where_a_wait_cannot_begin,
        #[cfg(not(shmq_portable_sync))]
        no_notice_is_spent_on_killed_sleepers,
        #[cfg(not(shmq_portable_sync))]
        the_notice_of_a_waiter_that_is_killed_before_it_has_the_lock_goes_to_another,
        #[cfg(not(shmq_portable_sync))]
        a_notice_of_the_dead_goes_to_no_later_waiter,
        #[cfg(not(shmq_portable_sync))]
        a_waiter_learns_that_a_holder_died,
    ]
}

/// How long no further waiter may be seen to wake up.
const A_WHILE: Duration = Duration::from_millis(350);

fn wait_for_waiters(condvar: &Condvar, count: usize) {
    wait_until("waiters", || condvar.waiting() == count, || format!("{} wait", condvar.waiting()));
}

/// A process that waits for a notice, and counts itself then.
fn waiter(lock: &Lock, condvar: &Condvar, woken: &'static AtomicU64) -> Child {
    let before = condvar.waiting();
    let child = fork("a waiter", || {
        let _guard = condvar.wait_notified(lock.lock().unwrap()).unwrap();
        woken.fetch_add(1, SeqCst);
    });
    wait_for_waiters(condvar, before + 1);
    child
}

/// Waits with what `acquire` gives until another process has changed the word.
fn waits_with<G: CondvarGuard>(acquire: impl Fn() -> G, finish: impl Fn(G)) {
    let (condvar, word) = (Condvar::new().unwrap(), shared_word());
    let failed = |_: LockError<G>| panic!("a wait failed");
    let mut sleeper = fork("a waiter", || {
        let guard = condvar.wait_while(acquire(), |_| word.load(Relaxed) == 0).unwrap_or_else(failed);
        assert_eq!(word.load(Relaxed), 1);
        let guard = condvar.wait_notified(guard).unwrap_or_else(failed);
        assert_eq!(word.load(Relaxed), 2);
        finish(guard);
    });
    sleeper.wait_until_asleep();
    for number in 1..=2 {
        wait_for_waiters(&condvar, 1);
        let guard = acquire();
        word.store(number, Relaxed);
        condvar.notify_one();
        finish(guard);
    }
    sleeper.expect_success();
}

fn it_waits_with_every_lock() {
    let (mutex, lock, reentrant) = (Mutex::new(0u32).unwrap(), Lock::new().unwrap(), ReentrantLock::new().unwrap());
    waits_with(|| mutex.lock().unwrap(), drop);
    waits_with(|| lock.lock().unwrap(), drop);
    waits_with(|| reentrant.lock().unwrap(), drop);
    let acquire = || {
        lock.acquire().unwrap();
        &lock
    };
    waits_with(acquire, |lock| lock.release().unwrap());
    let acquire = || {
        reentrant.acquire().unwrap();
        &reentrant
    };
    waits_with(acquire, |lock| lock.release().unwrap());
    assert!(!lock.locked() && !reentrant.locked() && mutex.try_lock().is_ok());
}

fn all_levels_are_released_and_restored() {
    let (lock, condvar) = (ReentrantLock::new().unwrap(), Condvar::new().unwrap());
    (0..5).for_each(|_| drop(lock.acquire()));
    let other = fork("another", || {
        wait_for_waiters(&condvar, 1);
        lock.acquire().unwrap();
        assert_eq!(condvar.notify(1), 1);
        lock.release().unwrap();
    });
    condvar.wait_notified(&lock).unwrap();
    other.expect_success();
    assert_eq!(lock.levels(), 5);
    let guard = lock.lock().unwrap();
    let (guard, result) = condvar.wait_notified_timeout(guard, SHORT).unwrap();
    assert!(result.timed_out() && lock.levels() == 6);
    drop(guard);
    assert_eq!(lock.levels(), 5);
}

fn what_is_not_held_cannot_wait() {
    let (lock, reentrant, condvar) = (Lock::new().unwrap(), ReentrantLock::new().unwrap(), Condvar::new().unwrap());
    assert!(matches!(condvar.wait(&lock), Err(LockError::Failed(SyncError::NotLocked))));
    assert!(matches!(condvar.wait(&reentrant), Err(LockError::Failed(SyncError::NotLocked))));
    lock.acquire().unwrap();
    reentrant.acquire().unwrap();
    let guard = lock.lock_timeout(Duration::ZERO);
    assert!(guard.is_err());
    fork("a child", || {
        let parent = std::os::unix::process::parent_id();
        let refused = |waited: SyncError| matches!(waited, SyncError::NotOwner { pid, .. } if pid == parent);
        assert!(refused(condvar.wait(&lock).unwrap_err().into()) && refused(condvar.wait(&reentrant).unwrap_err().into()));
    })
    .expect_success();
    assert!(lock.is_mine() && reentrant.levels() == 1);
}

fn notify_wakes_as_many_as_it_says() {
    let (lock, condvar, woken) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_word());
    std::thread::scope(|s| {
        let children: Vec<Child> = (0..3).map(|_| waiter(&lock, &condvar, woken)).collect();
        for _ in 0..3 {
            s.spawn(|| {
                drop(condvar.wait_notified(lock.lock().unwrap()).unwrap());
                woken.fetch_add(1, SeqCst);
            });
        }
        wait_for_waiters(&condvar, 6);
        let mut awake = 0;
        for (count, really) in [(2, 2), (0, 0), (1, 1), (4, 3), (3, 0)] {
            lock.acquire().unwrap();
            assert_eq!(condvar.notify(count), really);
            lock.release().unwrap();
            awake += u64::from(really);
            wait_for_count("woken waiters", woken, awake);
            std::thread::sleep(A_WHILE);
            assert_eq!((woken.load(SeqCst), condvar.waiting()), (awake, 6 - awake as usize));
        }
        expect_all_succeed(children);
    });
    let children: Vec<Child> = (0..4).map(|_| waiter(&lock, &condvar, woken)).collect();
    condvar.notify_all();
    expect_all_succeed(children);
    assert_eq!((condvar.waiting(), condvar.notify(5)), (0, 0));
}

fn those_that_wait_for_the_longest_are_woken_first() {
    let (lock, condvar, woken) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_word());
    let mut children: Vec<Child> = (0..4).map(|_| waiter(&lock, &condvar, woken)).collect();
    for count in 1..=12 {
        condvar.notify_one();
        children.remove(0).expect_success();
        assert_eq!(woken.load(SeqCst), count);
        // It takes the place of the one that has gone.
        children.push(waiter(&lock, &condvar, woken));
    }
    condvar.notify_all();
    expect_all_succeed(children);
}

fn only_a_notice_ends_a_wait_for_a_notice() {
    let (lock, condvar) = (Lock::new().unwrap(), Condvar::new().unwrap());
    lock.acquire().unwrap();
    for timeout in [Duration::ZERO, Duration::from_micros(200), SHORT, A_WHILE] {
        let (_, result) = gives_up_in_time(timeout, || condvar.wait_notified_timeout(&lock, timeout)).unwrap();
        assert!(result.timed_out() && lock.is_mine());
        let deadline = Instant::now() + timeout;
        let (_, result) = gives_up_in_time(timeout, || condvar.wait_notified_deadline(&lock, deadline)).unwrap();
        assert!(result.timed_out());
    }
    let notifier = fork("a notifier", || {
        wait_for_waiters(&condvar, 1);
        std::thread::sleep(A_WHILE);
        condvar.notify_one();
    });
    let (_, result) = condvar.wait_notified_timeout(&lock, Duration::from_secs(60)).unwrap();
    assert!(!result.timed_out());
    notifier.expect_success();
}

fn a_wait_for_a_state_sees_it_without_a_notice() {
    let (lock, condvar, word) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_word());
    let mut child = fork("a waiter", || {
        drop(condvar.wait_for(lock.lock().unwrap(), |()| word.load(Relaxed) == 1).unwrap());
        let (_, result) = condvar.wait_timeout_for(lock.lock().unwrap(), SHORT, |()| word.load(Relaxed) == 2).unwrap();
        assert!(result.timed_out());
    });
    child.wait_until_asleep();
    // The process that changes it is killed before it notifies, say.
    word.store(1, Relaxed);
    child.expect_success_within(BY_ITSELF);
}

fn a_stop_ends_a_wait_for_a_notice() {
    let (lock, condvar, woken) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_word());
    let stop = Stop::new();
    let stopped = condvar.with_stop(&stop);
    std::thread::scope(|s| {
        let waiter = s.spawn(|| stopped.wait_notified(lock.lock().unwrap()).map(drop).unwrap_err().is_interrupted());
        wait_for_waiters(&condvar, 1);
        stop.set();
        assert!(waiter.join().unwrap());
    });
    assert!(!lock.locked() && condvar.waiting() == 0);
    // A wait that has its notice uses it, whatever stop is set; one that has not takes none with it.
    let child = waiter(&lock, &condvar, woken);
    assert!(stopped.wait_notified(lock.lock().unwrap()).unwrap_err().is_interrupted());
    assert_eq!(condvar.notify(2), 1);
    child.expect_success();
}

fn a_lock_without_a_guard_is_released_where_a_wait_cannot_begin() {
    let condvar = Condvar::builder().max_participants(1).create().unwrap();
    let (lock, reentrant) = (Lock::new().unwrap(), ReentrantLock::new().unwrap());
    let waits = || {
        let is_refused = |waited: SyncError| matches!(waited, SyncError::TooManyParticipants { max: 1 });
        lock.acquire().unwrap();
        assert!(is_refused(condvar.wait(&lock).map(drop).unwrap_err().into()) && !lock.locked());
        reentrant.acquire().unwrap();
        reentrant.acquire().unwrap();
        assert!(is_refused(condvar.wait(&reentrant).map(drop).unwrap_err().into()) && !reentrant.locked());
    };
    fork("a process for which there is no place", waits).expect_success();
}

fn more_threads_than_there_are_places_are_refused() {
    let (lock, condvar) = (Lock::new().unwrap(), Condvar::new().unwrap());
    std::thread::scope(|s| {
        for _ in 0..1024 {
            let small = std::thread::Builder::new().stack_size(64 << 10);
            let wait = || drop(condvar.wait_notified(lock.lock().unwrap()).unwrap());
            small.spawn_scoped(s, wait).unwrap();
        }
        wait_for_waiters(&condvar, 1024);
        let refused = condvar.wait(lock.lock().unwrap());
        assert!(matches!(refused, Err(LockError::Failed(SyncError::TooManyWaiters { max: 1024 }))));
        assert!(!lock.locked());
        condvar.notify_all();
    });
    assert!(condvar.wait(lock.lock().unwrap()).is_ok());
}

#[cfg(not(shmq_portable_sync))]
fn no_notice_is_spent_on_killed_sleepers() {
    let (lock, condvar, woken) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_word());
    for round in 1..=5 {
        let mut children: Vec<Child> = (0..3).map(|_| waiter(&lock, &condvar, woken)).collect();
        let survivor = children.remove(round as usize % 3);
        children.iter_mut().for_each(Child::wait_until_asleep);
        children.into_iter().for_each(Child::kill);
        assert_eq!(condvar.waiting(), 1);
        let count = if round % 2 == 0 { 1 } else { 3 };
        let started = Instant::now();
        assert_eq!(condvar.notify(count), 1, "as many as live");
        survivor.expect_success();
        eprintln!("woken after {:?}", started.elapsed());
        assert_eq!((woken.load(SeqCst), condvar.waiting()), (round, 0));
    }
}

#[cfg(not(shmq_portable_sync))]
fn the_notice_of_a_waiter_that_is_killed_before_it_has_the_lock_goes_to_another() {
    let (lock, condvar, woken) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_word());
    for round in 1..=3 {
        let victim = waiter(&lock, &condvar, woken);
        let (first, second) = (waiter(&lock, &condvar, woken), waiter(&lock, &condvar, woken));
        lock.acquire().unwrap();
        assert_eq!(condvar.notify(1), 1);
        // It has the notice, and cannot use it without the lock.
        victim.kill();
        lock.release().unwrap();
        first.expect_success_within(BY_ITSELF);
        assert_eq!(condvar.waiting(), 1, "one notice, one waiter");
        assert_eq!(condvar.notify(1), 1);
        second.expect_success();
        assert_eq!(woken.load(SeqCst), 2 * round);
    }
}

#[cfg(not(shmq_portable_sync))]
fn a_notice_of_the_dead_goes_to_no_later_waiter() {
    let (lock, condvar, woken) = (Lock::new().unwrap(), Condvar::new().unwrap(), shared_word());
    for all in [false, true] {
        let victim = waiter(&lock, &condvar, woken);
        lock.acquire().unwrap();
        if all {
            condvar.notify_all()
        } else {
            condvar.notify_one()
        }
        victim.kill();
        let (_, result) = condvar.wait_notified_timeout(&lock, A_WHILE).unwrap();
        assert!(result.timed_out(), "it waited for nothing that was given before");
        lock.release().unwrap();
    }
    assert_eq!(woken.load(SeqCst), 0);
}

#[cfg(not(shmq_portable_sync))]
fn a_waiter_learns_that_a_holder_died() {
    let (lock, condvar) = (ReentrantLock::new().unwrap(), Condvar::new().unwrap());
    lock.acquire().unwrap();
    lock.acquire().unwrap();
    let child = fork("a holder", || {
        wait_for_waiters(&condvar, 1);
        lock.acquire().unwrap();
        condvar.notify_one();
        // It ends with the lock.
    });
    let Err(LockError::OwnerDied(again)) = condvar.wait_notified(&lock) else { panic!("no news") };
    assert_eq!(again.levels(), 2);
    lock.mark_repaired();
    child.expect_success();
}
