//! Locks without data, between live processes and dead ones.

#[cfg(not(shmq_portable_sync))]
use crate::support::BY_ITSELF;
use crate::support::harness::Case;
use crate::support::process::{Exit, expect_all_succeed, fork, fork_with_code, shared_words};
use crate::{SHORT, gives_up_in_time, holder};
#[cfg(not(shmq_portable_sync))]
use shmq::Stop;
#[cfg(not(shmq_portable_sync))]
use shmq::sync::LockGuard;
use shmq::sync::{Lock, LockError, Mutex, SyncError};
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    crate::cases![
        a_lock_lets_one_process_in_at_a_time,
        a_held_lock_times_out_and_never_early,
        another_thread_and_another_process_may_release,
        a_release_too_many_is_refused,
        a_sleeping_acquirer_is_woken,
        a_guard_ends_its_own_hold_only,
        a_guard_in_a_child_releases_nothing,
        a_panic_with_a_guard_is_reported_until_repaired,
        a_lock_travels_by_its_handle,
        a_lock_that_is_held_is_not_detached,
        #[cfg(not(shmq_portable_sync))]
        a_dead_holder_is_reported_until_one_repairs,
        #[cfg(not(shmq_portable_sync))]
        a_sleeping_acquirer_gets_the_lock_of_a_dead_holder,
        #[cfg(not(shmq_portable_sync))]
        acquirers_killed_asleep_do_not_stop_the_others,
        #[cfg(not(shmq_portable_sync))]
        the_release_of_a_dead_holders_lock_reports_the_death,
        #[cfg(not(shmq_portable_sync))]
        a_process_that_drops_its_last_handle_counts_as_dead,
    ]
}

fn a_lock_lets_one_process_in_at_a_time() {
    const ROUNDS: u64 = 5_000;
    let lock = Lock::new().unwrap();
    let words = shared_words(2);
    let add = || {
        for round in 0..ROUNDS {
            let guard = (round % 2 == 0).then(|| lock.lock().unwrap());
            if guard.is_none() {
                assert!(!lock.acquire().unwrap().owner_died);
            }
            let before = words[0].load(Relaxed);
            assert_eq!(words[1].load(Relaxed), before);
            words[0].store(before + 1, Relaxed);
            words[1].store(before + 1, Relaxed);
            if guard.is_none() {
                lock.release().unwrap();
            }
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
    assert_eq!(words[0].load(Relaxed), 6 * ROUNDS);
    assert!(!lock.locked());
}

fn a_held_lock_times_out_and_never_early() {
    let lock = Lock::new().unwrap();
    let (child, go_on) = holder("a holder", |wait| {
        lock.acquire().unwrap();
        wait();
        lock.release().unwrap();
    });
    for timeout in [Duration::ZERO, Duration::from_micros(300), SHORT, 5 * SHORT] {
        assert!(gives_up_in_time(timeout, || lock.acquire_timeout(timeout)).unwrap_err().is_timeout());
        assert!(gives_up_in_time(timeout, || lock.lock_deadline(Instant::now() + timeout)).unwrap_err().is_timeout());
    }
    assert!(lock.try_acquire().unwrap_err().is_would_block() && lock.try_lock().unwrap_err().is_would_block());
    assert!(lock.locked() && !lock.is_mine());
    assert_eq!(lock.holder_pid(), Some(child.pid()));
    go_on.store(1, Release);
    child.expect_success();
    assert!(!lock.locked() && lock.holder_pid().is_none());
    assert!(lock.acquire_timeout(Duration::MAX).is_ok() && lock.is_mine());
}

fn another_thread_and_another_process_may_release() {
    let lock = Lock::new().unwrap();
    lock.acquire().unwrap();
    std::thread::scope(|s| s.spawn(|| lock.release().unwrap()).join().unwrap());
    lock.acquire().unwrap();
    fork("another", || lock.release().unwrap()).expect_success();
    assert!(!lock.acquire().unwrap().owner_died);
    let (child, go_on) = {
        lock.release().unwrap();
        holder("a holder", |wait| {
            lock.acquire().unwrap();
            wait();
        })
    };
    lock.release().unwrap();
    assert!(!lock.try_acquire().unwrap().owner_died);
    go_on.store(1, Release);
    child.expect_success();
    // It had no hold any more when it ended.
    assert!(lock.is_mine() && !lock.owner_died());
}

fn a_release_too_many_is_refused() {
    let lock = Lock::new().unwrap();
    assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    lock.acquire().unwrap();
    lock.release().unwrap();
    assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    assert!(lock.try_acquire().is_ok());
}

fn a_sleeping_acquirer_is_woken() {
    let lock = Lock::new().unwrap();
    for _ in 0..20 {
        lock.acquire().unwrap();
        let mut waiter = fork("an acquirer", || {
            lock.acquire().unwrap();
            lock.release().unwrap();
        });
        waiter.wait_until_asleep();
        lock.release().unwrap();
        waiter.expect_success();
    }
}

fn a_guard_ends_its_own_hold_only() {
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    fork("another", || lock.release().unwrap()).expect_success();
    let next = lock.lock().unwrap();
    // Of the same process, and another hold.
    drop(guard);
    assert!(lock.locked() && lock.try_lock().is_err());
    std::thread::scope(|s| drop(s.spawn(move || drop(next))));
    assert!(!lock.locked());
}

fn a_guard_in_a_child_releases_nothing() {
    let lock = Lock::new().unwrap();
    let guard = lock.lock().unwrap();
    fork("a child with a copy of the guard", || {
        // SAFETY: the copy that fork made of a guard; this process drops it in no other way.
        let mut copy = unsafe { std::ptr::read(&guard) };
        copy.mark_repaired();
        drop(copy);
        assert!(lock.locked() && !lock.is_mine());
        assert!(matches!(lock.try_lock(), Err(LockError::Failed(SyncError::WouldBlock))));
    })
    .expect_success();
    assert!(lock.is_mine());
    drop(guard);
    assert!(!lock.locked());
}

fn a_panic_with_a_guard_is_reported_until_repaired() {
    let lock = Lock::new().unwrap();
    let mut child = fork_with_code("one who panics", || {
        let _guard = lock.lock().unwrap();
        panic!("in the middle of its work");
    });
    assert_eq!(child.wait(), Exit::Code(101));
    for _ in 0..3 {
        drop(lock.lock().unwrap_err().into_guard().expect("the lock, with the news"));
        assert!(lock.acquire().unwrap().owner_died);
        lock.release().unwrap();
    }
    assert!(matches!(lock.lock().map_err(SyncError::from), Err(SyncError::OwnerDied)));
    lock.lock().unwrap_err().into_guard().unwrap().mark_repaired();
    assert!(lock.lock().is_ok() && !lock.owner_died());
}

fn a_lock_travels_by_its_handle() {
    let lock = Lock::new().unwrap();
    let handle = serde_json::to_string(&lock).unwrap();
    lock.acquire().unwrap();
    let again: Lock = serde_json::from_str(&handle).unwrap();
    assert!(again.locked() && again.name() == lock.name());
    assert!(Mutex::<u32>::open(lock.name()).is_err());
    again.release().unwrap();
    assert!(!lock.locked());
}

fn a_lock_that_is_held_is_not_detached() {
    let lock = Lock::new().unwrap();
    let name = lock.name().to_owned();
    lock.acquire().unwrap();
    let refused = lock.detach().unwrap_err();
    assert_eq!((refused.in_use().locks, refused.in_use().other_handles), (1, 0));
    let lock = refused.into_handle();
    lock.release().unwrap();
    let guard = lock.lock_owned().unwrap();
    let refused = lock.detach().unwrap_err();
    assert_eq!((refused.in_use().locks, refused.in_use().owned_guards), (1, 1));
    drop(guard);
    refused.into_handle().detach().unwrap();
    assert!(Lock::open(&name).is_err());
}

/// Kills a process that has acquired it.
#[cfg(not(shmq_portable_sync))]
fn kill_a_holder(lock: &Lock) {
    let (child, _) = holder("a holder", |wait| {
        assert!(!lock.acquire().unwrap().owner_died);
        wait();
    });
    child.kill();
}

#[cfg(not(shmq_portable_sync))]
fn a_dead_holder_is_reported_until_one_repairs() {
    let lock = Lock::new().unwrap();
    let keep = |taken: Result<LockGuard<'_>, LockError<LockGuard<'_>>>| {
        std::mem::forget(taken.unwrap_err().into_guard().expect("the lock, with the news"));
    };
    // It is never reported as taken, by whatever form.
    let stop = Stop::new();
    stop.set();
    let stopped = lock.with_stop(&stop);
    let forms: [&dyn Fn(); 7] = [
        &|| assert!(lock.try_acquire().unwrap().owner_died),
        &|| assert!(stopped.acquire().unwrap().owner_died),
        &|| assert!(lock.acquire_timeout(SHORT).unwrap().owner_died),
        &|| assert!(lock.acquire_deadline(Instant::now()).unwrap().owner_died),
        &|| assert!(lock.acquire().unwrap().owner_died),
        &|| keep(lock.try_lock()),
        &|| keep(lock.lock()),
    ];
    for form in forms {
        kill_a_holder(&lock);
        assert!(!lock.locked() && !lock.is_mine());
        form();
        assert!(lock.locked() && lock.is_mine());
        lock.release().unwrap();
        fork("another", || {
            assert!(lock.acquire().unwrap().owner_died && lock.owner_died());
            lock.mark_repaired();
            lock.release().unwrap();
        })
        .expect_success();
        assert!(!lock.acquire().unwrap().owner_died);
        lock.release().unwrap();
    }
}

#[cfg(not(shmq_portable_sync))]
fn a_sleeping_acquirer_gets_the_lock_of_a_dead_holder() {
    let lock = Lock::new().unwrap();
    for _ in 0..4 {
        let (child, _) = holder("a holder", |wait| {
            lock.acquire().unwrap();
            wait();
        });
        let mut sleeper = fork("a sleeper", || {
            assert!(lock.acquire().unwrap().owner_died);
            lock.mark_repaired();
            lock.release().unwrap();
        });
        sleeper.wait_until_asleep();
        child.kill();
        sleeper.expect_success_within(BY_ITSELF);
        assert!(!lock.locked() && !lock.owner_died());
    }
}

#[cfg(not(shmq_portable_sync))]
fn acquirers_killed_asleep_do_not_stop_the_others() {
    let lock = Lock::new().unwrap();
    for _ in 0..10 {
        lock.acquire().unwrap();
        let mut sleepers: Vec<_> = (0..3).map(|_| fork("a sleeper", || assert!(lock.acquire().is_ok()))).collect();
        sleepers.iter_mut().for_each(|sleeper| sleeper.wait_until_asleep());
        let mut survivor = fork("the survivor", || {
            lock.acquire().unwrap();
            lock.mark_repaired();
            lock.release().unwrap();
        });
        survivor.wait_until_asleep();
        sleepers.into_iter().for_each(|sleeper| sleeper.kill());
        lock.release().unwrap();
        survivor.expect_success_within(BY_ITSELF);
    }
}

#[cfg(not(shmq_portable_sync))]
fn the_release_of_a_dead_holders_lock_reports_the_death() {
    let lock = Lock::new().unwrap();
    fork("a holder", || assert!(lock.acquire().is_ok())).expect_success();
    assert!(!lock.locked());
    lock.release().unwrap();
    assert!(matches!(lock.release(), Err(SyncError::NotLocked)));
    assert!(lock.acquire().unwrap().owner_died);
}

#[cfg(not(shmq_portable_sync))]
fn a_process_that_drops_its_last_handle_counts_as_dead() {
    let lock = Lock::new().unwrap();
    let (child, go_on) = holder("a holder", |wait| {
        let own = Lock::open(lock.name()).unwrap();
        own.acquire().unwrap();
        drop(own);
        wait();
    });
    assert!(lock.try_acquire().unwrap().owner_died);
    go_on.store(1, Release);
    child.expect_success();
}
